# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One map of distances from many views, against scenes in closed form."""

from __future__ import annotations

from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jointdit.panorama.merge import REACH, STEP, integrate, merge
from jointdit.panorama.solve import Alignment, solve
from jointdit.panorama.sphere import View, layout
from panorama_scenes import ENDLESS, FURNISHED, OUTDOORS, ROOM, all_around, errors, inside_box, inverse_depth, outside_box, seen, together, turned
from scipy.ndimage import maximum_filter, minimum_filter, shift, zoom

SIZE, HEIGHT = 128, 128
SCENES = {"room": ROOM, "furnished": FURNISHED, "outdoors": OUTDOORS, "endless": ENDLESS}


pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def case(name: str, count: int = 18, deviation: float = 0.0) -> tuple[list[np.ndarray], Alignment]:
    disparities, _, _ = seen(SCENES[name], layout(count), SIZE, deviation)
    return disparities, solve(layout(count), disparities)


@cache
def merged(name: str, count: int = 18, deviation: float = 0.0) -> np.ndarray:
    return merge(layout(count), *case(name, count, deviation), HEIGHT)


@cache
def truth(name: str) -> np.ndarray:
    return SCENES[name](all_around(HEIGHT))


def near_edges(inverse: np.ndarray, pixels: int) -> np.ndarray:
    """(H, W): within so many pixels of a jump of distance by a tenth, the sky being at 300 m."""
    logarithm = np.log(np.maximum(inverse, 1 / 300))
    jumps = maximum_filter(logarithm, 2, mode="wrap") - minimum_filter(logarithm, 2, mode="wrap") > 0.1
    return np.asarray(maximum_filter(jumps, 2 * pixels + 1, mode="wrap"))


@pytest.mark.parametrize("count", [6, 18, 26])
@pytest.mark.parametrize("name", SCENES)
def test_a_consistent_scene_is_what_it_is(name: str, count: int) -> None:
    relative, median, within = errors(merged(name, count), truth(name))
    assert median < 0.005 and relative < 0.01 and within > 0.99


@pytest.mark.parametrize("deviation", [0.01, 0.02])
@pytest.mark.parametrize("name", SCENES)
def test_under_two_percent_with_noise(name: str, deviation: float) -> None:
    relative, _, within = errors(merged(name, 18, deviation), truth(name))
    assert relative < 0.02 and within > 0.97


@pytest.mark.parametrize("name", ["furnished", "outdoors"])
def test_the_sky_is_far_and_only_the_sky(name: str) -> None:
    ratio = np.median(truth(name)[truth(name) > 0] / merged(name)[truth(name) > 0])
    inverse, real = merged(name) * ratio, truth(name)
    clear = ~near_edges(real, 3)
    assert (inverse[clear & (real == 0)] < 1 / 1000).all()
    assert (inverse[clear & (real > 0)] > 1 / 50).all()


@pytest.mark.parametrize("name", ["room", "furnished", "outdoors"])
def test_depth_edges_are_sharp_and_in_place(name: str) -> None:
    real, inverse = truth(name), merged(name)
    known = (real > 0) & ~near_edges(real, 2)
    ratio = inverse[known] / real[known]
    assert (np.abs(ratio / np.median(ratio) - 1) < 0.03).mean() > 0.999


@pytest.mark.parametrize("deviation", [0.0, 0.02])
@pytest.mark.parametrize("name", ["room", "outdoors"])
def test_poles_are_single_and_the_seam_is_like_any_column(name: str, deviation: float) -> None:
    inverse = merged(name, 18, deviation)
    assert np.ptp(inverse[0]) == pytest.approx(0, abs=1e-12) and np.ptp(inverse[-1]) == pytest.approx(0, abs=1e-12)
    logarithm = np.log(np.maximum(inverse, 1e-2 * inverse.max()))
    jumps = np.abs(logarithm - np.roll(logarithm, 1, axis=1)).mean(axis=0)
    assert jumps[0] < 2 * np.median(jumps) + 1e-3


def test_a_turned_world_gives_the_turned_panorama() -> None:
    views, half = layout(18), HEIGHT
    disparities, alignment = case("furnished", 18, 0.01)
    # What was seen to the north is now seen to the south; straight up and down it is upside down.
    place = {(view.yaw % 360, view.pitch): index for index, view in enumerate(views)}
    order = [place[(view.yaw + 180 * (abs(view.pitch) < 90)) % 360, view.pitch] for view in views]
    moved = [disparities[index] if abs(views[index].pitch) < 90 else np.rot90(disparities[index], 2) for index in order]
    inverse = merge(views, moved, Alignment(alignment.scales[order], alignment.shifts[order], 0.0), HEIGHT)
    assert np.allclose(inverse, np.roll(merged("furnished", 18, 0.01), half, axis=1), rtol=2e-3)
    # And the world itself, with everything found anew.
    again, _, _ = seen(turned(FURNISHED, 180), views, SIZE)
    inverse = merge(views, again, solve(views, again), HEIGHT)
    ratio = inverse / np.roll(merged("furnished"), half, axis=1)
    assert np.abs(ratio / np.median(ratio) - 1).mean() < 1e-3


@given(st.integers(0, 17), st.sampled_from(["flat", "black", "noise", "flipped", "half"]))
@settings(max_examples=6, deadline=None)
def test_one_wrong_view_hardly_matters(index: int, kind: str) -> None:
    clean, _ = case("furnished")
    wrong = {
        "flat": np.full((SIZE, SIZE), 0.5),
        "black": np.zeros((SIZE, SIZE)),
        "noise": np.random.default_rng(index).random((SIZE, SIZE)),
        "flipped": clean[index][::-1].copy(),
        "half": np.where(np.arange(SIZE) < SIZE // 2, 0.8, clean[index]),
    }[kind]
    disparities = [*clean[:index], wrong, *clean[index + 1 :]]
    relative, median, _ = errors(merge(layout(18), disparities, solve(layout(18), disparities), HEIGHT), truth("furnished"))
    assert relative < 0.03 and median < 0.005


def test_outlier_pixels_hardly_matter() -> None:
    draw = np.random.default_rng(1)
    disparities = [np.where(draw.random(d.shape) < 0.05, draw.random(d.shape), d) for d in case("furnished")[0]]
    relative, median, _ = errors(merge(layout(18), disparities, solve(layout(18), disparities), HEIGHT), truth("furnished"))
    assert relative < 0.02 and median < 0.005


def test_views_that_differ_make_neither_seams_nor_double_edges() -> None:
    draw = np.random.default_rng(4)
    bend = [zoom(draw.uniform(-1, 1, (4, 4)), SIZE / 4, order=3) for _ in range(18)]
    moved = [shift(d, draw.uniform(-1, 1, 2), order=1, mode="nearest") for d in case("furnished")[0]]
    disparities = [(d * (1 + 0.08 * error)).clip(0, 1) for d, error in zip(moved, bend, strict=True)]
    inverse, real = merge(layout(18), disparities, solve(layout(18), disparities), HEIGHT), truth("furnished")
    assert errors(inverse, real)[0] < 0.05
    # Slopes far from edges are as smooth as they should be: where one view ends nothing happens.
    away = ~near_edges(real, 5)[:, 1:]
    slope = np.abs(np.diff(np.log(inverse), axis=1) - np.diff(np.log(real), axis=1))[away]
    assert np.quantile(slope, 0.999) < 0.02
    # On a line across an edge the distance is that of one side or the other but for a pixel or two.
    logarithm, side = np.log(inverse / inverse.mean()), np.log(real / real.mean())
    low, high = minimum_filter(side, 7, mode="wrap"), maximum_filter(side, 7, mode="wrap")
    between = (logarithm > low + 0.2) & (logarithm < high - 0.2) & (np.abs(logarithm - side) > 0.2)
    assert between[near_edges(real, 3)].mean() < 0.15


def test_of_two_views_the_one_that_looks_there_says_where_a_step_is() -> None:
    views = [View(0.0, 0.0, 90.0), View(45.0, 0.0, 90.0)]
    # The same board with its right end at 12 degrees and at 9 degrees.
    scenes = [together(inside_box((-9, -9, -4), (9, 9, 9)), outside_box((-9, -9, -2.01), (2 * np.tan(np.radians(end)), 9, -2))) for end in (12, 9)]
    disparities = [inverse_depth(scene, view, SIZE, SIZE) for scene, view in zip(scenes, views, strict=True)]
    row = merge(views, disparities, Alignment(np.ones(2), np.zeros(2), 0.0), HEIGHT)[HEIGHT // 2]
    degrees = (np.arange(2 * HEIGHT) + 0.5) / HEIGHT * 180 - 180
    fall = -np.diff(np.log(row))
    at_one, at_other = (np.abs(degrees[:-1] + 0.7 - end) < 1.5 for end in (12, 9))
    assert fall[at_one].sum() > 0.8 * np.log(2) and fall[at_other].sum() < 0.15 * np.log(2)


@pytest.mark.parametrize("name", ["furnished", "outdoors"])
def test_a_known_view_gives_metres_and_is_kept(name: str) -> None:
    frame = View(20.0, 5.0, 60.0, (0.45, 0.55))
    views = (*layout(18), frame)
    across = np.linspace(-1, 1, 180)
    inverse = inverse_depth(SCENES[name], frame, 120, 180) * (1 + 0.05 * across)  # not quite what the others say
    disparities = [*case(name, 18, 0.01)[0], inverse]
    result = merge(views, disparities, solve(views, disparities, known={18: (1.0, 0.0)}), HEIGHT, keep=[18])
    assert errors(result, truth(name), scaled=False)[0] < 0.02
    # Where a pixel of the panorama is in the frame, by vectors alone; and what the frame says there.
    yaw, pitch = np.radians(frame.yaw), np.radians(frame.pitch)
    directions = all_around(HEIGHT)
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)])
    right = np.array([np.cos(yaw), 0, np.sin(yaw)])
    depth = directions @ forward
    half = np.tan(np.radians(30))
    x = directions @ right / depth / half + 2 * 0.45 - 1
    y = -(directions @ np.cross(right, forward)) / depth / half * 1.5 + 2 * 0.55 - 1
    inside = (depth > 0) & (np.maximum(np.abs(x), np.abs(y)) < 0.95) & ~near_edges(truth(name), 2) & (truth(name) > 0)
    expected = truth(name) * (1 + 0.05 * np.clip(x, -1, 1) * 180 / 179)
    off = np.abs(result / np.where(inside, expected, 1) - 1)[inside]
    assert len(off) > 50 and np.quantile(off, 0.98) < 0.001 and off.max() < 0.01


def test_what_no_view_sees_is_filled_and_what_they_see_stays() -> None:
    views = [View(0.0, 0.0, 100.0), View(60.0, 10.0, 80.0)]
    disparities = [inverse_depth(FURNISHED, view, SIZE, SIZE) for view in views]
    result = merge(views, [torch.from_numpy(d).float() for d in disparities], Alignment(np.ones(2), np.zeros(2), 0.0), 64)
    real = FURNISHED(all_around(64))
    assert np.isfinite(result).all() and (result > 0.5 * real.min()).all() and (result < 2 * real.max()).all()
    ahead = np.s_[20:44, 50:90]
    assert np.median(np.abs(result / real - 1)[ahead]) < 0.005
    with pytest.raises(ValueError, match="see nothing"):
        merge([View(10.0, 10.0, 0.01)], [np.ones((8, 8))], Alignment(np.ones(1), np.zeros(1), 0.0), 8)


def test_nothing_but_sky_is_infinitely_far() -> None:
    assert np.array_equal(merge(layout(6), [np.zeros((32, 32))] * 6, Alignment(np.ones(6), np.zeros(6), 0.0), 32), np.zeros((32, 64)))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_slopes_are_integrated_as_a_dense_solver_does(seed: int) -> None:
    """Each term of the sum of squares written down as a row, a pole being one column of the matrix."""
    draw = np.random.default_rng(seed)
    rows, columns = 7, 12
    across, down, heights = draw.normal(size=(rows, columns)), draw.normal(size=(rows - 1, columns)), draw.normal(size=(rows, columns))
    known, certain = draw.random((rows, columns)) < 0.8, draw.random((rows, columns)) < 0.2
    certain[[0, -1]] = False
    known |= certain
    unknown = np.arange(rows * columns).reshape(rows, columns)
    unknown[0], unknown[-1] = 0, rows * columns - 1
    latitude = (0.5 - (np.arange(rows) + 0.5) / rows) * np.pi
    matrix, target = [], []

    def term(weight: float, plus: int, minus: int | None, value: float) -> None:
        row = np.zeros(rows * columns)
        row[plus] = np.sqrt(weight)
        if minus is not None:
            row[minus] -= np.sqrt(weight)
        matrix.append(row)
        target.append(np.sqrt(weight) * value)

    for row in range(rows):
        for column in range(columns):
            here = unknown[row, column]
            if 0 < row < rows - 1:
                value = across[row, column]
                term(1 / np.cos(latitude[row]) / (1 + (value / STEP) ** 2), unknown[row, (column + 1) % columns], here, value)
            if row < rows - 1:
                value = down[row, column]
                term(np.cos((latitude[row] + latitude[row + 1]) / 2) / (1 + (value / STEP) ** 2), unknown[row + 1, column], here, value)
            term(np.cos(latitude[row]) * (np.pi / rows / REACH) ** 2 * known[row, column], here, None, heights[row, column])
            term(1e8 * certain[row, column], here, None, heights[row, column])
    expected = np.linalg.lstsq(np.array(matrix), np.array(target), rcond=None)[0][unknown]
    with patch("jointdit.panorama.merge.TOLERANCE", 1e-10):
        assert np.allclose(integrate(across, down, heights, known, certain), expected, atol=1e-5)
