# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges: what bled goes back to its side, what was whole stays as it is, and parts are counted as scikit-image and SciPy count them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from skimage.measure import label
from skimage.transform import resize

from jointdit_blender.core.edges import MOST_SPECKS, Cleaned, clean_edges, components, find_specks
from jointdit_blender.core.lifting import torn_edges, torn_faces

NEAR, FAR = 1.0, 10.0
GREY = (120, 120, 120)


def inverse_of(disparity: np.ndarray) -> np.ndarray:
    return np.asarray(disparity / NEAR + (1 - disparity) / FAR)


def cleaned(disparity: np.ndarray, rgb: np.ndarray | tuple[int, int, int] = GREY, **options: object) -> Cleaned:
    picture = np.broadcast_to(np.array(rgb, np.uint8), (*disparity.shape, 3))
    return clean_edges(disparity.astype(np.float32), inverse_of(disparity).astype(np.float32), picture, **options)  # type: ignore[arg-type]


def objects(size: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Disparity at pixel centres and picture, smooth at borders, of a disc, a box and a slanted post before a slanted wall."""
    fine = 4 * size
    y, x = (np.mgrid[:fine, :fine] + 0.5) / fine
    disparity = 0.05 + 0.2 * x + 0.1 * y
    rgb = np.stack([60 + 40 * x, 90 + 30 * y, np.full_like(x, 150)], axis=-1)
    for inside, nearness, colour in (
        ((x - 0.3) ** 2 + (y - 0.35) ** 2 < 0.2**2, 0.7 + 0.1 * x, (220, 80, 30)),
        ((abs(x - 0.72) < 0.15) & (abs(y - 0.62) < 0.25), 0.9 - 0.1 * y, (240, 230, 200)),
        (abs(x - 0.35 - 0.2 * y) < 0.02, 0.55 + 0 * x, (20, 40, 20)),
    ):
        disparity = np.where(inside, nearness, disparity)
        rgb = np.where(inside[..., None], colour, rgb)
    return disparity[2::4, 2::4], resize(rgb, (size, size), anti_aliasing=False, order=1).round().astype(np.uint8)


@pytest.mark.parametrize("blur", [0.6, 0.8, 1.0])
def test_what_bled_goes_back_to_its_side(blur: float) -> None:
    truth, rgb = objects()
    soft = gaussian_filter(truth, blur, truncate=3.0)
    result = cleaned(soft, rgb).disparity
    inverse_truth, inverse = inverse_of(truth), inverse_of(result)
    bled = np.abs(inverse_of(soft) - inverse_truth) > 0.06 * inverse_truth
    assert bled.sum() > 1000
    right = np.abs(inverse - inverse_truth) <= 0.06 * inverse_truth
    assert right[bled].mean() > 0.95
    assert (~right & ~bled).mean() < 0.002
    torn, torn_true, torn_soft = (torn_faces(values, 0.06).sum() for values in (inverse, inverse_truth, inverse_of(soft)))
    assert abs(torn - torn_true) < 0.1 * torn_true and torn_soft > 1.8 * torn_true


def test_no_face_spans_a_step() -> None:
    truth, rgb = objects()
    inverse = inverse_of(cleaned(gaussian_filter(truth, 1.0, truncate=3.0), rgb).disparity)
    corners = np.stack([inverse[:-1, :-1], inverse[1:, :-1], inverse[:-1, 1:], inverse[1:, 1:]])
    spans = (corners.max(axis=0) / corners.min(axis=0))[~torn_faces(inverse, 0.06)]
    assert spans.max() < 1.2  # the least of the steps is 1.8


def test_colour_says_where_the_border_is() -> None:
    ramp = np.interp(np.arange(60), [27, 33], [0.1, 0.8])[None, :] * np.ones((40, 1))
    for border in (28, 30, 32):
        rgb = np.where((np.arange(60) < border)[None, :, None], (30, 60, 200), (230, 200, 40)) * np.ones((40, 1, 1), int)
        result = cleaned(ramp, rgb).disparity
        np.testing.assert_allclose(result[:, :border], 0.1, atol=1e-6)
        np.testing.assert_allclose(result[:, border:], 0.8, atol=1e-6)


def test_without_colour_the_nearer_value_counts() -> None:
    row = np.concatenate([np.full(20, 0.1), [0.2, 0.3, 0.6], np.full(20, 0.8)])
    result = cleaned(np.tile(row, (30, 1))).disparity
    np.testing.assert_allclose(result[:, :22], 0.1, atol=1e-6)
    np.testing.assert_allclose(result[:, 22:], 0.8, atol=1e-6)


def test_a_slope_beside_a_border_goes_on() -> None:
    columns = np.arange(80)
    truth = np.where(columns < 40, 0.1 + 0.004 * columns, 0.9 - 0.002 * columns)
    result = cleaned(np.tile(np.convolve(np.pad(truth, 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid"), (20, 1))).disparity
    np.testing.assert_allclose(result[:, 4:-4], np.tile(truth, (20, 1))[:, 4:-4], atol=0.005)


@settings(max_examples=60, deadline=None)
@given(st.floats(-0.006, 0.006), st.floats(-0.006, 0.006), st.floats(0, 0.05), st.floats(0, 7))
def test_smooth_surfaces_stay(across: float, down: float, bump: float, phase: float) -> None:
    y, x = np.mgrid[:48, :64]
    surface = 0.5 + across * (x - 32) + down * (y - 24) + bump * np.sin(x / 9 + phase) * np.cos(y / 11)
    result = cleaned(surface)
    assert (result.snapped, result.specks) == (0, 0)
    assert np.array_equal(result.disparity, surface.astype(np.float32))


def test_ground_to_the_horizon_stays() -> None:
    below = np.arange(64) + 0.5
    inverse = np.concatenate([np.full(64, 1 / 60), np.maximum(below / (120 * 1.6), 1 / 60)])[:, None] * np.ones((1, 50))
    result = clean_edges(inverse.astype(np.float32), inverse.astype(np.float32), np.zeros((128, 50, 3), np.uint8))
    assert np.array_equal(result.disparity, inverse.astype(np.float32)) and result.snapped == 0


@pytest.mark.parametrize("right", [0.1, 0.9])
def test_a_thin_pole_stays(right: float) -> None:
    scene = np.full((60, 80), 0.1)
    scene[:, 40:] = right
    scene[5:, 39:41] = 0.5
    for picture in (scene, scene.T):
        result = cleaned(picture)
        assert np.array_equal(result.disparity, picture.astype(np.float32)) and result.snapped == 0


def test_cleaning_again_changes_nothing() -> None:
    truth, rgb = objects()
    once = cleaned(gaussian_filter(truth, 0.8, truncate=3.0), rgb)
    twice = cleaned(once.disparity, rgb)
    # A corner may still move by a pixel.
    assert once.snapped > 1000 and np.count_nonzero(np.abs(twice.disparity - once.disparity) > 0.01) < 0.01 * once.snapped


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (6, 8), elements=st.floats(0, 1, width=32)), st.floats(0.3, 1.5), st.booleans())
def test_values_come_from_around_and_holes_stay(blocks: np.ndarray, blur: float, wraps: bool) -> None:
    disparity = gaussian_filter(np.kron(blocks, np.ones((9, 9), np.float32)), blur).astype(np.float32)
    holes = np.kron(blocks, np.ones((9, 9), np.float32)) > 0.95
    inverse = np.where(holes, np.nan, inverse_of(disparity)).astype(np.float32)
    rgb = (255 * np.stack([disparity] * 3, axis=-1)).astype(np.uint8)
    result = clean_edges(np.where(holes, np.inf, disparity), inverse, rgb, wraps=wraps)
    found = np.isfinite(result.disparity)
    assert not (found & holes).any() and np.count_nonzero(~found & ~holes) <= result.specks
    mode = ["nearest", "wrap" if wraps else "nearest"]
    most = maximum_filter(np.where(holes, -np.inf, disparity), 25, mode=mode)
    least = minimum_filter(np.where(holes, np.inf, disparity), 25, mode=mode)
    assert (result.disparity[found] <= most[found] + 1e-6).all() and (result.disparity[found] >= least[found] - 1e-6).all()


def test_a_full_turn_has_no_seam() -> None:
    truth, rgb = objects(120)
    soft = gaussian_filter(truth, 0.8, mode=["nearest", "wrap"])
    result = cleaned(soft, rgb, wraps=True)
    for shift in (30, 85):
        turned = cleaned(np.roll(soft, shift, axis=1), np.roll(rgb, shift, axis=1), wraps=True)
        assert np.array_equal(turned.disparity, np.roll(result.disparity, shift, axis=1), equal_nan=True)
        assert (turned.snapped, turned.specks) == (result.snapped, result.specks)


def test_specks_go_and_objects_stay() -> None:
    scene = np.full((100, 100), 0.1)
    scene[10, 10] = scene[30:32, 40:43] = 0.7
    scene[60:64, 60:64] = 0.7
    result = cleaned(scene)
    assert result.specks == 7
    # They sink into what is behind them: no hole in the picture.
    assert result.disparity[10, 10] == np.float32(0.1) and (result.disparity[30:32, 40:43] == np.float32(0.1)).all()
    assert np.isfinite(result.disparity).all() and (result.disparity[60:64, 60:64] == np.float32(0.7)).all()


def test_a_speck_that_touches_only_holes_goes() -> None:
    scene = np.full((100, 100), 0.1, np.float32)
    scene[40:50, 40:50] = np.nan
    scene[44:46, 44:46] = 0.7
    scene[42, 43] = scene[41, 39] = 0.5
    result = cleaned(scene)
    assert result.specks == 6 and np.isnan(result.disparity[40:50, 40:50]).all()
    assert result.disparity[41, 39] == np.float32(0.1)


def test_a_speck_on_the_seam_is_one_part() -> None:
    scene = np.full((64, 64), 0.1)
    scene[20:25, :1] = scene[20:25, -1:] = 0.7
    assert cleaned(scene, wraps=False).specks == 10
    assert cleaned(scene, wraps=True).specks == 0


def test_noise_is_not_all_specks() -> None:
    noise = np.random.default_rng(0).random((64, 64))
    assert (noise.size * MOST_SPECKS < np.bincount(label((noise * 99).astype(int)).ravel()).size) and not find_specks(noise + 0.01, 0.06).any()


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 40), (40, 1), (3, 5)])
@pytest.mark.parametrize("wraps", [False, True])
def test_tiny_pictures(shape: tuple[int, int], wraps: bool) -> None:
    steps = np.where(np.indices(shape).sum(axis=0) % 4 < 2, 0.2, 0.8)
    for values in (np.zeros(shape), steps, np.full(shape, np.nan)):
        result = cleaned(values, wraps=wraps)
        assert result.disparity.shape == shape and result.disparity.dtype == np.float32 and (result.snapped, result.specks) == (0, 0)


def same_parts(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether two labellings agree up to the names."""
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1)
    return bool(np.unique(pairs[0]).size == pairs.shape[1] == np.unique(pairs[1]).size)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_parts_agree_with_scikit_image(height: int, width: int, values: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, values, (height, width))
    solid = picture != 0 if values > 1 else np.ones(picture.shape, bool)
    horizontal = (picture[:, 1:] != picture[:, :-1]) | ~solid[:, 1:]
    vertical = (picture[1:] != picture[:-1]) | ~solid[1:]
    labels, sizes = components(solid, horizontal, vertical)
    assert same_parts(labels, np.where(solid, label(picture, background=-1, connectivity=1), -1))
    assert np.array_equal(sizes, np.bincount(labels[solid], minlength=sizes.size)) and (sizes > 0).all()


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 16), st.integers(1, 16), st.floats(0, 1), st.booleans(), st.integers(0, 2**32 - 1))
def test_parts_agree_with_scipy(height: int, width: int, torn: float, wraps: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    horizontal, vertical = random.random((height, width if wraps else width - 1)) < torn, random.random((height - 1, width)) < torn
    labels, _ = components(np.ones((height, width), bool), horizontal, vertical, wraps)
    numbers = np.arange(height * width).reshape(height, width)
    beside = np.roll(numbers, -1, axis=1)[:, : horizontal.shape[1]]
    first = np.concatenate([numbers[:, : horizontal.shape[1]][~horizontal], numbers[:-1][~vertical]])
    second = np.concatenate([beside[~horizontal], numbers[1:][~vertical]])
    graph = coo_matrix((np.ones(first.size), (first, second)), shape=(numbers.size,) * 2)
    assert same_parts(labels, connected_components(graph, directed=False)[1].reshape(height, width))


def test_a_comb_and_a_spiral_are_one_part_each() -> None:
    comb = np.zeros((60, 201), int)
    comb[:-1, 1::2] = 1
    spiral = np.zeros((41, 41), int)
    row, column, turn, length = 0, 0, 0, 40
    for leg in range(38):
        for _ in range(length):
            spiral[row, column] = 1
            row, column = row + (0, 1, 0, -1)[turn], column + (1, 0, -1, 0)[turn]
        turn, length = (turn + 1) % 4, length - (2 if leg % 2 and leg > 1 else 0)
        if length <= 0:
            break
    for picture in (comb, spiral):
        labels, _ = components(np.ones(picture.shape, bool), picture[:, 1:] != picture[:, :-1], picture[1:] != picture[:-1])
        assert same_parts(labels, label(picture, background=-1, connectivity=1))


def test_edges_at_holes_part() -> None:
    inverse = np.full((20, 20), 0.1)
    inverse[:, 10] = np.nan
    labels, sizes = components(np.isfinite(inverse), *torn_edges(inverse, 0.06))
    assert sorted(sizes) == [180, 200] and (labels[:, 10] == -1).all()
