# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer behind: planes go on as planes, always behind what is in front, as far as promised, and without the colours of what it lies behind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, uniform_filter

from jointdit_blender.core.behind import OVERLAP, Behind, behind
from jointdit_blender.core.lifting import torn_edges, torn_faces
from jointdit_blender.core.pyramid import Cells, continued_colours, continued_planes, nearest_marked

HEIGHT, WIDTH, REACH = 150, 200, 16
Y, X = np.mgrid[:HEIGHT, :WIDTH].astype(float)
WALL = 0.15 + 0.0008 * X + 0.0004 * Y
DISC = (X - 70) ** 2 + (Y - 70) ** 2 < 40**2
BOX = (abs(X - 150) < 25) & (Y > 60)
"""The box goes on beyond the lower border of the picture."""
IN_FRONT = DISC | BOX


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Disparity, which is 1/Z here, and picture of a disc and a box before a slanted wall. Only what is in front has any red."""
    disparity = np.where(DISC, 0.7 + 0.001 * Y, np.where(BOX, 0.9, WALL))
    weave = 40 * np.sin(X * 1.3) * np.sin(Y * 1.1)
    wall = np.stack([0 * X, 130 + weave, 160 + 0.3 * X], axis=-1)
    rgb = np.where(IN_FRONT[..., None], (230, 40, 30), wall)
    return disparity, rgb.round().astype(np.uint8)


def layer_of(disparity: np.ndarray, rgb: np.ndarray | None = None, **options: object) -> Behind:
    picture = np.full((*disparity.shape, 3), 99, np.uint8) if rgb is None else rgb
    inverse = np.where(np.isfinite(disparity) & (disparity > 0), disparity, np.nan)
    return behind(disparity.astype(np.float32), inverse.astype(np.float32), picture, **options)  # type: ignore[arg-type]


def test_a_wall_goes_on_behind_what_is_before_it() -> None:
    disparity, rgb = scene()
    layer = layer_of(disparity, rgb, reach=REACH).disparity
    hidden = IN_FRONT & np.isfinite(layer)
    error = np.abs(layer - WALL) / WALL
    inside = distance_transform_edt(IN_FRONT)
    assert error[hidden & (inside <= 4)].max() < 0.01 and error[hidden].max() < 0.03 and error[hidden].mean() < 0.005


def test_it_reaches_as_far_as_promised_and_no_farther() -> None:
    disparity, rgb = scene()
    for reach in (8, 16, 40):
        found = np.isfinite(layer_of(disparity, rgb, reach=reach).disparity)
        inside, outside = distance_transform_edt(IN_FRONT), distance_transform_edt(~IN_FRONT)
        assert found[IN_FRONT & (inside <= reach)].all()
        assert not found[IN_FRONT & (inside > 1.5 * reach + 8)].any()
        assert not found[outside > OVERLAP + 1].any() and found[(outside > 0) & (outside <= OVERLAP - 1)].all()
    default = np.isfinite(layer_of(disparity, rgb).disparity)
    assert np.array_equal(default, np.isfinite(layer_of(disparity, rgb, reach=12).disparity))


def test_a_wall_that_comes_nearer_beside_an_object_is_not_in_front_of_itself() -> None:
    away = np.maximum(abs(X - 100) - 20, 0)
    disparity = np.where(away == 0, 0.9, 0.2 + 0.02 * np.maximum(away - 14, 0))
    found = np.isfinite(layer_of(disparity, reach=40).disparity)
    assert found[away == 0].all() and not found[(away > OVERLAP + 1) & (away < 40)].any()


def test_beside_the_border_it_is_the_wall_itself() -> None:
    disparity, rgb = scene()
    layer = layer_of(disparity, rgb).disparity
    beside = np.isfinite(layer) & ~IN_FRONT
    assert np.array_equal(layer[beside], disparity.astype(np.float32)[beside])
    # No crack and no step: the layer is one piece across the border.
    grown = binary_dilation(IN_FRONT, iterations=2) & binary_dilation(~IN_FRONT, iterations=2)
    torn = torn_faces(layer, 0.06)
    assert not torn[(grown[:-1, :-1] & grown[1:, :-1] & grown[:-1, 1:] & grown[1:, 1:])].any()


def test_nothing_of_what_is_in_front_shines_through() -> None:
    disparity, rgb = scene()
    mixed = gaussian_filter(rgb.astype(float), (0.8, 0.8, 0)).round().astype(np.uint8)  # as a picture mixes colours at borders
    for picture in (rgb, mixed):
        result = layer_of(disparity, picture, reach=REACH)
        shown = np.isfinite(result.disparity)
        assert result.rgb[shown][:, 0].max() <= 12
    assert np.array_equal(result.rgb[~shown], mixed[~shown])


def test_it_is_textured_and_goes_with_the_wall() -> None:
    disparity, rgb = scene()
    result = layer_of(disparity, rgb, reach=REACH)
    hidden = IN_FRONT & np.isfinite(result.disparity)
    green, blue = result.rgb[..., 1].astype(float), result.rgb[..., 2]
    assert np.abs(green[hidden].mean() - 130) < 6 and 0.6 * 20 < green[hidden].std() < 1.4 * 20
    assert np.abs(blue - (160 + 0.3 * X))[hidden].mean() < 4
    # No streaks: it varies along both axes about as much as the wall does.
    wall = rgb[..., 1].astype(float)
    for axis in (0, 1):
        change, of_wall = (np.abs(np.diff(values, axis=axis)) for values in (green, wall))
        both = np.logical_and(*((hidden[1:], hidden[:-1]) if axis == 0 else (hidden[:, 1:], hidden[:, :-1])))
        around = ~(IN_FRONT[1:] | IN_FRONT[:-1]) if axis == 0 else ~(IN_FRONT[:, 1:] | IN_FRONT[:, :-1])
        assert change[both].mean() > 0.5 * of_wall[around].mean()


def uncovered(layers: list[np.ndarray], parallax: float) -> np.ndarray:
    """Where a camera that moved sideways sees none of the surfaces (1/Z), whole between pixels whose edge is not torn."""
    height, width = layers[0].shape
    seen = np.zeros((height, width), bool)
    for inverse in layers:
        place = np.arange(width) + parallax * inverse
        for row, column in np.argwhere(~torn_edges(inverse, 0.06)[0]):
            first, last = sorted((place[row, column], place[row, column + 1]))
            seen[row, max(0, int(np.ceil(first - 1e-3))) : max(0, int(np.floor(last + 1e-3)) + 1)] = True
    return ~seen


@pytest.mark.parametrize("parallax", [-20.0, 20.0])
def test_a_view_from_aside_has_no_hole(parallax: float) -> None:
    disparity, rgb = scene()
    layer = layer_of(disparity, rgb, reach=REACH).disparity
    within = np.s_[:, 20:-20]  # what lies beyond the sides of the picture is not the layer's
    without, both = uncovered([disparity], parallax)[within], uncovered([disparity, layer], parallax)[within]
    assert without.sum() > 1000 and both.sum() == 0


def test_two_depths_behind_one_object() -> None:
    disparity = np.where(Y < 75, 0.1, 0.25)
    disparity[abs(X - 100) < 20] = 0.8
    layer = layer_of(disparity, reach=REACH).disparity
    for rows, value in ((np.s_[:50], 0.1), (np.s_[100:], 0.25)):
        hidden = layer[rows][:, 81:120]
        np.testing.assert_allclose(hidden[np.isfinite(hidden)], value, rtol=0.15)


def test_noise_does_not_carry_it_away() -> None:
    disparity, rgb = scene()
    disparity = disparity * np.random.default_rng(0).normal(1, 0.01, disparity.shape)
    layer = layer_of(disparity, rgb, reach=REACH).disparity
    hidden = IN_FRONT & np.isfinite(layer)
    assert (np.abs(layer - WALL) / WALL)[hidden].max() < 0.06


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (5, 6), elements=st.floats(0, 1, width=32)), st.integers(1, 30), st.booleans(), st.floats(0, 1.5))
def test_it_is_never_in_front(blocks: np.ndarray, reach: int, wraps: bool, blur: float) -> None:
    disparity = gaussian_filter(np.kron(blocks, np.ones((9, 9), np.float32)), blur)
    disparity[np.kron(blocks, np.ones((9, 9))) > 0.9] = np.nan
    picture = np.random.default_rng(0).integers(0, 256, (*disparity.shape, 3), np.uint8)
    result = layer_of(disparity, picture, reach=reach, wraps=wraps)
    found, known = np.isfinite(result.disparity), disparity > 0
    assert (result.disparity <= disparity)[found & known].all()
    assert not found.any() or disparity[known].min() <= result.disparity[found].min()
    assert np.array_equal(result.rgb[~found], picture[~found])


def test_small_holes_are_covered_and_wide_ones_are_not() -> None:
    disparity = WALL.copy()
    disparity[30:33, 40:45] = disparity[80:140, 100:180] = np.nan
    disparity[40:100, 92:100] = 0.8  # an object before the wide hole
    layer = layer_of(disparity, reach=REACH).disparity
    np.testing.assert_allclose(layer[29:34, 39:46], WALL[29:34, 39:46], rtol=0.05)
    assert np.isnan(layer[95:140, 115:180]).all()


def test_what_a_stereo_camera_does_not_see_is_background() -> None:
    disparity, rgb = scene()
    shadow = binary_dilation(IN_FRONT, np.ones((1, 9)), origin=(0, 4)) & ~IN_FRONT
    result = layer_of(np.where(shadow, np.nan, disparity), rgb, reach=REACH)
    assert np.isfinite(result.disparity[shadow]).all()
    assert (np.abs(result.disparity - WALL) / WALL)[shadow].max() < 0.05


@pytest.mark.parametrize("wraps", [False, True])
def test_without_tears_there_is_none(wraps: bool) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    for disparity in (np.full((60, 90), 0.5), np.full((60, 90), np.nan), 0.3 + 0.001 * X[:60, :90] if not wraps else np.full((60, 90), 0.0)):
        result = layer_of(disparity, picture, wraps=wraps)
        assert np.isnan(result.disparity).all() and np.array_equal(result.rgb, picture)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 50), (50, 1), (3, 7)])
@pytest.mark.parametrize("wraps", [False, True])
def test_tiny_pictures(shape: tuple[int, int], wraps: bool) -> None:
    stripes = np.where(np.indices(shape).sum(axis=0) % 5 < 3, 0.2, 0.8)
    for disparity in (stripes, np.where(stripes > 0.5, np.nan, 0.2)):
        result = layer_of(disparity, wraps=wraps)
        assert result.disparity.shape == shape and result.disparity.dtype == np.float32 and result.rgb.shape == (*shape, 3)


def test_a_full_turn_has_no_seam() -> None:
    disparity, rgb = scene()
    disparity = np.where(IN_FRONT, disparity, 0.2 + 0.0004 * Y)  # a wall all around
    first = layer_of(disparity, rgb, wraps=True)
    for shift in (130, 50):  # the disc lies on the seam, the box does
        turned = layer_of(np.roll(disparity, shift, axis=1), np.roll(rgb, shift, axis=1), wraps=True)
        back = np.roll(turned.disparity, -shift, axis=1)
        both = np.isfinite(back) & np.isfinite(first.disparity)
        assert both.sum() > 0.97 * np.isfinite(first.disparity).sum()
        np.testing.assert_allclose(back[both], first.disparity[both], rtol=0.02)


def test_planes_are_continued_exactly() -> None:
    cells = Cells((90, 70), 4)
    pixels = np.flatnonzero(np.random.default_rng(0).random(90 * 70) < 0.02)
    rows, columns = np.divmod(pixels, 70)
    values = np.stack([3 + 0.2 * rows - 0.1 * columns, 100 - rows], axis=1)
    found = continued_planes(cells, pixels, np.ones(pixels.size), values)
    everywhere = np.arange(90 * 70)
    down, across = np.divmod(everywhere, 70)
    truth = np.stack([3 + 0.2 * down - 0.1 * across, 100 - down], axis=1)
    # Samples are constant beyond the middles of the outermost cells.
    within = (down > 2) & (down < 87) & (across > 2) & (across < 67)
    np.testing.assert_allclose(cells.sample(found, everywhere)[within], truth[within], atol=0.05)


def test_colours_are_continued_from_the_nearest() -> None:
    cells = Cells((64, 64), 2)
    left, right = (np.ravel_multi_index(np.indices((64, 5)).reshape(2, -1) + np.array([[0], [at]]), (64, 64)) for at in (0, 59))
    colours = np.concatenate([np.full((left.size, 3), 10.0), np.full((right.size, 3), 200.0)])
    found = cells.sample(continued_colours(cells, np.concatenate([left, right]), colours, 0.0), np.arange(64 * 64)).reshape(64, 64, 3)
    assert found.min() >= 10 - 1e-3 and found.max() <= 200 + 1e-3
    np.testing.assert_allclose(found[:, :5], 10, atol=1)
    np.testing.assert_allclose(found[:, 30:34].mean(), 105, atol=10)
    assert (np.diff(found[..., 0], axis=1) > -2).all() and np.abs(np.diff(found[..., 0], axis=0)).max() < 4
    smooth = cells.sample(continued_colours(cells, np.concatenate([left, right]), colours, 32.0), np.arange(64 * 64))
    assert np.ptp(smooth) < 0.8 * np.ptp(found)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_the_nearest_agrees_with_scipy(height: int, width: int, count: int, seed: int) -> None:
    pixels = np.unique(np.random.default_rng(seed).integers(0, height * width, count))
    mask = np.zeros((height, width), bool)
    mask.ravel()[pixels] = True
    found = nearest_marked(Cells((height, width), 1), pixels)
    assert found is not None
    distance = np.linalg.norm(found - np.stack(np.indices((height, width)), axis=-1), axis=-1)
    np.testing.assert_allclose(distance, distance_transform_edt(~mask), atol=1e-4)
    assert nearest_marked(Cells((height, width), 1), pixels[:0]) is None


@pytest.mark.parametrize("side", [1, 3, 8])
@pytest.mark.parametrize("distance", [1, 8, 30, 61])
def test_growing_holds_the_circle(side: int, distance: int) -> None:
    cells = Cells((200, 190), side)
    mark = np.zeros(cells.shape, bool)
    mark[100, 90] = True
    grown = np.zeros(cells.shape, bool)
    grown.ravel()[cells.pixels(cells.grown(cells.any(mark), distance))] = True
    away = distance_transform_edt(~mark)
    assert grown[away <= distance].all() and not grown[away > 1.18 * distance + 3 * side].any()


def test_the_layer_is_smooth() -> None:
    disparity, rgb = scene()
    layer = layer_of(disparity, rgb, reach=40).disparity
    whole = uniform_filter(np.isfinite(layer).astype(float), 5) > 0.999
    inside = whole & (distance_transform_edt(IN_FRONT) > 4)
    bend = np.abs(layer[1:-1, :-2] + layer[1:-1, 2:] - 2 * layer[1:-1, 1:-1])[inside[1:-1, 1:-1]]
    assert bend.max() < 0.01 * WALL.mean()
