# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sky: rendered scenes with a known mask, silhouettes in closed form, far ends that are no sky; and filling in what is unknown."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jointdit.procedural import Batch, render
from jointdit.procedural.sampling import sample
from scipy import ndimage

from jointdit_blender.core.frame import Camera
from jointdit_blender.core.lifting import Pinned, inverse_depth
from jointdit_blender.core.prepare import prepare
from jointdit_blender.core.sky import _connected, fill_unknown, find_sky, push_pull, sky_cutoff

CAMERA = Camera("perspective", 55.0)
SIZE = 128


@pytest.fixture(scope="module")
def scenes() -> Batch:
    """Pictures from the usual place through the usual lens, in which a sky can be told from the land: no fog, no far lake that mirrors it."""
    known = [sample(seed).about for seed in range(120)]
    usual = [{"camera": "eye level", "lens": "normal", "style": "photographic"}.items() <= about.items() for about in known]
    return render([seed for seed, about in enumerate(known) if usual[seed] and about.get("sky") != "fog" and not about.get("shore")], SIZE)


def overlaps(batch: Batch, disparity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection over union with the true sky where there is one, and the share of the picture taken for sky where there is none."""
    pictures = (batch.image.permute(0, 2, 3, 1).numpy() * 255.0 + 0.5).astype(np.uint8)
    outdoors, indoors = [], []
    for near, rgb, true in zip(disparity, pictures, batch.sky[:, 0].numpy(), strict=True):
        found = find_sky(near, rgb, CAMERA)
        if true.any():
            outdoors.append((found & true).sum() / (found | true).sum())
        else:
            indoors.append(found.mean())
    assert len(outdoors) > 30 and len(indoors) > 12
    return np.array(outdoors), np.array(indoors)


def test_rendered_scenes(scenes: Batch) -> None:
    outdoors, indoors = overlaps(scenes, scenes.disparity[:, 0].numpy())
    assert outdoors.mean() > 0.975 and outdoors.min() > 0.85
    assert indoors.max() <= 0.01


def test_rendered_scenes_with_blurred_and_noisy_disparity(scenes: Batch) -> None:
    random = np.random.default_rng(0)
    disparity = np.stack([ndimage.gaussian_filter(each, 2.0) for each in scenes.disparity[:, 0].numpy()])
    disparity += random.normal(0.0, 0.004, disparity.shape).astype(np.float32)
    outdoors, indoors = overlaps(scenes, disparity)
    assert outdoors.mean() > 0.96 and outdoors.min() > 0.8
    assert indoors.max() <= 0.01


def hills(height: int, width: int) -> np.ndarray:
    """Where the ground is, (height, width) bool: a jagged line with a tower on it."""
    column = np.arange(width)
    line = height * (0.55 + 0.08 * np.sin(column / 17.0) + 0.04 * np.sin(column / 5.0 + 1.0))
    ground = np.arange(height)[:, None] >= line
    ground[round(0.25 * height) :, round(0.6 * width) : round(0.66 * width)] = True
    return ground


def outdoor_picture(ground: np.ndarray) -> np.ndarray:
    """A sky that brightens towards the horizon, with clouds, over dark ground."""
    random = np.random.default_rng(1)
    height, width = ground.shape
    sky = np.linspace((60, 110, 200), (190, 210, 235), height)[:, None] + np.zeros((1, width, 1))
    sky += 25.0 * ndimage.gaussian_filter(random.normal(size=(height, width)), width / 20.0)[..., None] * width / 10.0
    soil = np.array((70, 60, 40)) + random.normal(0.0, 10.0, (height, width, 1))
    return np.clip(np.where(ground[..., None], soil, sky), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [0.0, 1.5, 2.5])
@pytest.mark.parametrize("size", [(128, 128), (300, 500), (700, 600)])
def test_a_silhouette_is_followed_to_the_pixel(sigma: float, size: tuple[int, int]) -> None:
    ground = hills(*size)
    near = np.where(ground, 0.4 + 0.6 * np.linspace(0.0, 1.0, size[0])[:, None], 0.0)
    found = find_sky(ndimage.gaussian_filter(near, sigma), outdoor_picture(ground), CAMERA)
    wrong = found == ground
    assert wrong.mean() < 0.002
    assert not (wrong & ndimage.binary_erosion(ground, iterations=2)).any()
    assert (wrong & ndimage.binary_erosion(~ground, iterations=2, border_value=1)).mean() < 5e-4


def test_far_mountains_of_another_color_stay() -> None:
    ground = np.zeros((128, 128), bool)
    ground[80:] = True
    mountain = ~ground & hills(128, 128)
    rgb = outdoor_picture(ground)
    rgb[mountain] = (120, 80, 70)
    near = np.where(ground, np.linspace(-1.7, 1.0, 128)[:, None].clip(0.0), 0.0)
    found = find_sky(near, rgb, CAMERA)
    assert found[mountain].mean() < 0.03 and found[~ground & ~mountain].mean() > 0.97


def test_far_mountains_of_another_disparity_stay() -> None:
    ground = np.zeros((128, 128), bool)
    ground[80:] = True
    mountain = ~ground & hills(128, 128)
    near = np.where(ground, np.linspace(-1.7, 1.0, 128)[:, None].clip(0.02), np.where(mountain, 0.02, 0.0))
    found = find_sky(near, outdoor_picture(ground), CAMERA)
    assert found[mountain].mean() < 0.1 and found[~ground & ~mountain].mean() > 0.97


def test_night_with_stars() -> None:
    ground = hills(128, 128)
    rgb = np.full((128, 128, 3), (14, 18, 50), np.uint8)
    rgb[np.random.default_rng(0).random((128, 128)) < 0.01] = (230, 230, 220)
    rgb[ground] = (8, 14, 8)
    found = find_sky(np.where(ground, 0.5, 0.0), rgb, CAMERA)
    assert (found != ground).mean() > 0.99


def gallery(name: str) -> np.ndarray:
    picture = getattr(skimage.data, name)()
    picture = picture if picture.ndim == 3 else picture[..., None].repeat(3, axis=-1)
    return np.asarray(picture[:256, :256, :3])


def room(rgb: np.ndarray, far: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A far end down to two thirds of the picture, a floor that comes nearer below it, and a thing in front."""
    size = rgb.shape[0]
    near = np.broadcast_to(np.maximum(far, np.linspace(-2.0, 1.0, size)[:, None]), rgb.shape[:2]).copy()
    near[size // 2 : 3 * size // 4, size // 3 : size // 2] = 0.6
    rgb = rgb.copy()
    rgb[2 * size // 3 :] = (120, 100, 90)
    return near, rgb


def flat(color: tuple[int, int, int]) -> np.ndarray:
    return np.full((256, 256, 3), color, np.uint8)


@pytest.mark.parametrize("name", ["brick", "gravel", "grass"])
def test_a_textured_wall_is_no_sky(name: str) -> None:
    assert not find_sky(*room(gallery(name)), CAMERA).any()


@pytest.mark.parametrize("color", [(120, 80, 50), (90, 140, 80), (140, 60, 50)], ids=["wood", "green", "brick"])
def test_a_wall_of_a_color_that_no_sky_has(color: tuple[int, int, int]) -> None:
    assert not find_sky(*room(flat(color)), CAMERA).any()


def test_a_wall_seen_from_above_leans() -> None:
    lean = np.linspace(0.03, 0.0, 256)[:, None]
    assert not find_sky(*room(flat((235, 235, 230)), lean), CAMERA).any()
    assert find_sky(*room(flat((235, 235, 230))), CAMERA).any(), "the same without the lean is an overcast sky"


def test_a_yawed_wall_and_a_ceiling() -> None:
    assert not find_sky(*room(flat((235, 235, 230)), np.linspace(0.0, 0.3, 256)[None, :] + np.linspace(0.05, 0.0, 256)[:, None]), CAMERA).any()
    near, rgb = room(flat((235, 235, 230)))
    near[:64] = np.linspace(0.5, 0.0, 64)[:, None]
    assert not find_sky(near, rgb, CAMERA).any()


def test_from_straight_above() -> None:
    near = np.zeros((256, 256))
    near[90:160, 80:150] = 1.0
    for picture in (flat((150, 150, 148)), gallery("gravel")):
        assert not find_sky(near, picture, CAMERA).any()


@pytest.mark.parametrize("near", [np.zeros((64, 64)), np.full((64, 64), 0.7), np.full((64, 64), np.nan), np.zeros((1, 64)), np.zeros((2, 2))])
def test_no_depth_no_sky(near: np.ndarray) -> None:
    found = find_sky(near, np.full((*near.shape, 3), (90, 140, 220), np.uint8), CAMERA)
    assert found.shape == near.shape and not found.any()


def test_noise_alone_is_no_sky() -> None:
    near = np.random.default_rng(0).normal(0.5, 0.01, (128, 128))
    assert not find_sky(near, flat((90, 140, 220))[:128, :128], CAMERA).any()


def test_a_measured_room_with_holes() -> None:
    left, _, disparity = skimage.data.stereo_motorcycle()
    near = np.where(np.isfinite(disparity), disparity, np.nan)
    near = (near - np.nanmin(near)) / (np.nanmax(near) - np.nanmin(near))
    assert find_sky(near, left[..., :3], CAMERA).mean() <= 0.01


def test_a_sky_without_depth_is_a_sky() -> None:
    ground = hills(128, 128)
    near = np.where(ground, np.linspace(0.0, 1.0, 128)[:, None], np.nan)
    found = find_sky(near, outdoor_picture(ground), CAMERA)
    assert (found != ground).mean() > 0.99


def test_a_panorama_goes_on_around_the_back() -> None:
    """A tunnel's mouth: the upper border is reached only around the back."""
    height, width = 128, 256
    open_sky = np.zeros((height, width), bool)
    open_sky[:70, 200:] = True
    open_sky[40:70, :60] = True
    rgb = np.where(open_sky[..., None], (110, 150, 225), (60, 50, 40)).astype(np.uint8)
    near = np.where(open_sky, 0.0, 0.8)
    around = find_sky(near, rgb, Camera("equirectangular", 360.0, 180.0))
    assert (around == open_sky).mean() > 0.99


@settings(max_examples=60, deadline=None)
@given(data=st.data(), shape=st.tuples(st.integers(1, 12), st.integers(1, 12)), wraps=st.booleans())
def test_connected_parts_are_those_of_scipy(data: st.DataObject, shape: tuple[int, int], wraps: bool) -> None:
    mask = data.draw(arrays(bool, shape))
    seeds = data.draw(arrays(bool, shape))
    repeated = np.tile(mask, (1, 3)) if wraps else mask
    labels, _ = ndimage.label(repeated, np.ones((3, 3)))
    sown = np.tile(seeds, (1, 3)) if wraps else seeds
    for _ in range(2 * mask.size if wraps else 1):  # what is reached in one copy is reached in all of them
        reached = np.isin(labels, np.unique(labels[sown & repeated])) & repeated
        if wraps:
            sown = np.tile(np.logical_or.reduce(np.split(reached, 3, axis=1)), (1, 3))
    expected = reached[:, shape[1] : 2 * shape[1]] if wraps else reached
    np.testing.assert_array_equal(_connected(mask, seeds, wraps), expected)


def test_corners_connect_around_the_back() -> None:
    mask = np.zeros((3, 5), bool)
    mask[0, 0] = mask[1, 4] = mask[2, 0] = True
    seeds = np.zeros_like(mask)
    seeds[0, 0] = True
    np.testing.assert_array_equal(_connected(mask, seeds, True), mask)
    np.testing.assert_array_equal(_connected(mask, seeds, False), seeds)


def test_the_cutoff_reaches_the_sky_and_not_much_more() -> None:
    near = np.linspace(0.0, 1.0, 1000).reshape(1, -1)
    mask = near < 0.1
    assert 0.099 < sky_cutoff(mask, near) < 0.13
    assert sky_cutoff(np.zeros_like(mask), near) == 0.0
    assert 0.0 < sky_cutoff(near == 0.0, near) < 0.01


@settings(max_examples=60, deadline=None)
@given(near=arrays(np.float32, (12, 12), elements=st.floats(0.0, 1.0, width=32)), mask=arrays(bool, (12, 12)))
def test_the_cutoff_never_eats_the_nearest_three_quarters(near: np.ndarray, mask: np.ndarray) -> None:
    cutoff = sky_cutoff(mask, near)
    assert 0.0 <= cutoff <= 0.25
    if (~mask).any():
        assert cutoff <= max(np.percentile(near[~mask], 25.0), 1e-3) + 1e-6


@settings(max_examples=60, deadline=None)
@given(data=st.data(), shape=st.tuples(st.integers(1, 20), st.integers(1, 20)), wraps=st.booleans())
def test_filling_keeps_what_is_known_and_stays_between(data: st.DataObject, shape: tuple[int, int], wraps: bool) -> None:
    rgb = data.draw(arrays(np.uint8, (*shape, 3)))
    known = data.draw(arrays(bool, shape))
    filled = fill_unknown(rgb, known, wraps)
    assert filled.shape == rgb.shape and filled.dtype == np.uint8
    if not known.any():
        assert (filled == 128).all()
        return
    np.testing.assert_array_equal(filled[known], rgb[known])
    assert (filled >= rgb[known].min(axis=0)).all() and (filled <= rgb[known].max(axis=0)).all()


def test_filling_is_smooth() -> None:
    """Between a dark and a bright border the colors rise steadily: no blocks, no steps."""
    rgb = np.zeros((64, 256, 3), np.uint8)
    rgb[:, -32:] = 240
    known = np.zeros((64, 256), bool)
    known[:, :32] = known[:, -32:] = True
    row = fill_unknown(rgb, known)[32, :, 0].astype(int)
    assert np.diff(row).min() >= -1 and np.abs(np.diff(row)).max() <= 12
    assert 100 < row[128] < 140


def test_filling_around_the_back() -> None:
    values = np.zeros((32, 64, 1), np.float32)
    values[:, :8] = 1.0
    weight = np.zeros((32, 64), np.float32)
    weight[:, :8] = weight[:, 28:36] = 1.0
    around, apart = push_pull(values, weight, wraps=True)[16, :, 0], push_pull(values, weight)[16, :, 0]
    assert around[62] > 0.8 and apart[62] < 0.2


def test_an_endless_sky_goes_on_behind_what_stands_before_it() -> None:
    height, width = 96, 192
    below = np.arange(height)[:, None] / height - 0.5
    inverse = np.where(below > 0.02, below, np.nan) * np.ones(width)
    rgb = np.where(np.isnan(inverse)[..., None], (140, 180, 240), (90, 140, 60)).astype(np.uint8)
    inverse[20:60, 80:100], rgb[20:60, 80:100] = 0.4, (200, 40, 40)
    pinned = Pinned(2.0, 1.0 / np.nanmin(inverse), 0.5, float(np.nanmin(inverse)))
    camera = Camera("equirectangular", 360.0, 180.0)
    made = prepare(inverse.astype(np.float32), rgb, pinned, camera, clean=True, back_layer=True, sky=True)
    assert made.found[:20].all() and 0.0 < made.cutoff < 0.02, "what the sky's border holds says nothing of how near a sky may be"
    assert made.back_rgb is not None and made.back_rgb[30, 85:95, 2].min() > 200, "sky, not ground"
    behind = 1.0 / inverse_depth(made.back, pinned)
    assert not (behind[25:45, 84:96] < 30.0).any() and behind[56, 84:96].max() < 30.0, "far away but for the ground behind its foot"
