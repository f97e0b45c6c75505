# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scales and shifts of views against scenes in closed form."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jointdit.panorama.solve import Alignment, consistency, denoised, noise, solve
from jointdit.panorama.sphere import View, layout
from panorama_scenes import FURNISHED, OUTDOORS, ROOM, Scene, inverse_depth, seen
from scipy.ndimage import gaussian_filter

SIZE = 96
solved = partial(solve, points=8000)
"""As precise as this needs, and quicker."""


pytestmark = pytest.mark.usefixtures("one_thread")


SCENES = {"room": ROOM, "furnished": FURNISHED, "outdoors": OUTDOORS}


@cache
def pictures(name: str, count: int = 18, deviation: float = 0.0) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    return seen(SCENES[name], layout(count), SIZE, deviation)


def depth_error(alignment: Alignment, scene: Scene, views: tuple[View, ...], scaled: bool = True) -> np.ndarray:
    """(N,): mean error of 1/z in each view, relative to the mean 1/z of all of them, from disparities without noise; one scale is free if `scaled`."""
    clean, _, _ = seen(scene, views, SIZE)
    truth = np.array([inverse_depth(scene, view, SIZE, SIZE) for view in views])
    estimate = alignment.scales[:, None, None] * np.array(clean) + alignment.shifts[:, None, None]
    if scaled:
        estimate = estimate * np.median(truth[truth > 0] / estimate[truth > 0])
    return np.asarray(np.abs(estimate - truth).mean((1, 2)) / truth.mean())


@pytest.mark.parametrize("count", [6, 14, 18, 26])
@pytest.mark.parametrize("name", SCENES)
def test_exact_disparities_give_exact_scales_and_shifts_but_for_one_factor(name: str, count: int) -> None:
    views = layout(count)
    disparities, scales, shifts = pictures(name, count)
    alignment = solve(views, disparities)
    factor = np.nanmedian(scales / alignment.scales)
    structured = np.isfinite(scales)
    assert np.median(np.abs(alignment.scales * factor / scales - 1)[structured]) < 0.002
    assert np.median(np.abs(alignment.shifts * factor - shifts)) < 0.002 * np.nanmean(scales)
    assert depth_error(alignment, SCENES[name], views).max() < 0.005
    assert alignment.scales.mean() == pytest.approx(1)


@pytest.mark.parametrize(("deviation", "typical", "worst"), [(0.005, 0.002, 0.01), (0.01, 0.003, 0.015), (0.02, 0.005, 0.03)])
@pytest.mark.parametrize("name", SCENES)
def test_noise_does_little(name: str, deviation: float, typical: float, worst: float) -> None:
    error = depth_error(solved(layout(18), pictures(name, 18, deviation)[0]), SCENES[name], layout(18))
    assert np.median(error) < typical and error.max() < worst


@pytest.mark.parametrize("name", SCENES)
def test_outliers_do_little(name: str) -> None:
    draw = np.random.default_rng(1)
    disparities = [np.where(draw.random(d.shape) < 0.05, draw.random(d.shape), d) for d in pictures(name)[0]]
    assert np.median(depth_error(solved(layout(18), disparities), SCENES[name], layout(18))) < 0.01


@pytest.mark.parametrize("name", SCENES)
def test_blurred_edges_do_little(name: str) -> None:
    disparities = [gaussian_filter(d, 1.5, mode="nearest") for d in pictures(name)[0]]
    assert np.median(depth_error(solved(layout(18), disparities), SCENES[name], layout(18))) < 0.005


@pytest.mark.parametrize("name", SCENES)
def test_a_view_that_is_wrong_in_part_or_all_over_does_not_spoil_the_others(name: str) -> None:
    for wrong in (np.s_[:, :40], np.s_[:, :]):
        disparities = [d.copy() for d in pictures(name)[0]]
        disparities[0][wrong] = np.random.default_rng(2).random(disparities[0][wrong].shape)
        alignment = solved(layout(18), disparities)
        assert np.delete(depth_error(alignment, SCENES[name], layout(18)), 0).max() < 0.01
        assert (alignment.scales > 0).all() and (alignment.shifts >= 0).all()


def test_flat_views_and_sky_are_survived() -> None:
    views = layout(18)
    disparities = [d.copy() for d in pictures("outdoors")[0]]
    disparities[2][:], disparities[10][:], disparities[16][:] = 0.5, 0.0, 1.0
    disparities[4] = np.random.default_rng(3).random((SIZE, SIZE))  # the sky, its noise drawn out to the whole range
    alignment = solved(views, disparities)
    assert (alignment.scales > 0).all() and (alignment.shifts >= 0).all() and np.isfinite(alignment.scales + alignment.shifts).all()
    assert np.delete(depth_error(alignment, OUTDOORS, views), [2, 4, 10, 16]).max() < 0.01
    # The truth is the sky; beyond a hundred times the mean distance is near enough to it.
    assert alignment.scales[4] + alignment.shifts[4] < 0.01


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_nothing_but_flat_views_gives_something_finite(value: float) -> None:
    alignment = solved(layout(6), [np.full((32, 32), value)] * 6)
    assert np.allclose(alignment.scales, 1, atol=0.01) and (alignment.shifts >= 0).all() and (alignment.shifts < 0.1).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_any_garbage_gives_something_finite(seed: int) -> None:
    draw = np.random.default_rng(seed)
    disparities = [draw.random((32, 32)) ** draw.uniform(0.2, 5) * draw.integers(0, 2) for _ in range(14)]
    alignment = solved(layout(14), disparities)
    assert np.isfinite(alignment.scales).all() and (alignment.scales > 0).all() and np.isfinite(alignment.shifts).all() and (alignment.shifts >= 0).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=6, deadline=None)
def test_whatever_scales_and_shifts_undo_the_disparities_are_found(seed: int) -> None:
    draw = np.random.default_rng(seed)
    views = layout(14)
    inverse = [inverse_depth(FURNISHED, view, SIZE, SIZE) for view in views]
    scales, shifts = draw.uniform(0.3, 3, 14), draw.uniform(0, 1, 14) * [one.min() for one in inverse]
    disparities = [(one - shift) / scale for one, scale, shift in zip(inverse, scales, shifts, strict=True)]
    alignment = solved(views, disparities)
    inverses = [scale * disparity + shift for scale, disparity, shift in zip(alignment.scales, disparities, alignment.shifts, strict=True)]
    factor = np.median(np.array(inverse) / inverses)
    assert np.abs(np.array(inverses) * factor / inverse - 1).mean((1, 2)).max() < 0.01


def test_known_views_stay_and_give_metres() -> None:
    frame = View(20.0, 5.0, 60.0, (0.45, 0.55))
    views = (*layout(18), frame)
    disparities, scales, shifts = pictures("outdoors", 18, 0.005)
    inverse = inverse_depth(OUTDOORS, frame, 120, 180)
    alignment = solved(views, [*disparities, inverse / 3], known={18: (3.0, 0.0)})
    assert (alignment.scales[18], alignment.shifts[18]) == pytest.approx((3, 0))
    structured = np.isfinite(scales)
    assert np.median(np.abs(alignment.scales[:18] / scales - 1)[structured]) < 0.02
    two = solved(views, [*disparities, inverse], known={18: (1.0, 0.0), 14: (scales[14], shifts[14])})
    assert (two.scales[14], two.shifts[14], two.scales[18]) == pytest.approx((scales[14], shifts[14], 1))
    assert np.median(np.abs(two.scales[:18] / scales - 1)[structured]) < 0.01
    everything = dict(enumerate(zip(np.nan_to_num(scales, nan=1), shifts, strict=True)))
    assert np.allclose(solved(layout(18), disparities, known=everything).shifts, shifts)


def test_a_start_saves_iterations() -> None:
    views = layout(18)
    start = solved(views, pictures("furnished", 18, 0.01)[0])
    disparities, _, _ = pictures("furnished")
    assert depth_error(solved(views, disparities, start=start, iterations=2), FURNISHED, views).max() < 0.005


def test_tensors_of_several_sizes_and_types() -> None:
    views = layout(6)
    disparities = [torch.from_numpy(seen(FURNISHED, [view], size)[0][0]).float() for view, size in zip(views, (64, 96, 128, 300, 64, 512), strict=True)]
    alignment = solved(views, disparities)
    assert depth_error(alignment, FURNISHED, views).max() < 0.005
    assert alignment.scales.dtype == alignment.shifts.dtype == np.float64


def test_consistency_tells_borders_from_the_interior() -> None:
    views = layout(18)
    disparities, scales, shifts = pictures("room")
    truth = Alignment(np.nan_to_num(scales, nan=1), shifts, 0.0)
    assert max(consistency(views, disparities, truth)) < 1e-3
    # 10 % nearer towards the borders, so that the mean difference there is some of that.
    across = np.abs((np.arange(SIZE) + 0.5) / SIZE * 2 - 1)
    near_border = np.maximum(across[:, None], across) > 0.85
    inverse = [np.where(near_border, 1.1, 1) * inverse_depth(ROOM, view, SIZE, SIZE) for view in views]
    interior, border = consistency(views, inverse, Alignment(np.ones(18), np.zeros(18), 0.0))
    assert interior < 1e-3 and 0.02 < border < 0.1
    assert solved(views, disparities).disagreement < 1e-3


@given(st.floats(0.002, 0.02), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_noise_is_measured_and_taken_away_on_planes_and_steps_stay(deviation: float, across: float, down: float, seed: int) -> None:
    rows, columns = np.mgrid[:60, :80]
    plane = 5 + across * columns + down * rows + np.where(columns < 40, 0.0, 1.0)
    noisy = plane + deviation * np.random.default_rng(seed).standard_normal(plane.shape)
    assert noise(plane) < 1e-12
    assert noise(noisy) == pytest.approx(deviation, rel=0.15)
    clean = denoised(noisy, noise(noisy))
    flat = np.abs(columns - 39.5) > 4
    assert (clean - plane)[flat].std() < 0.35 * deviation
    assert np.abs(clean - plane).max() < 5 * deviation
    assert np.array_equal(denoised(plane, 0.0), plane)
