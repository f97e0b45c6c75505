# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry in closed form: distances, rays of every projection, torn edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jointdit_blender.core.frame import Camera, NearFar, ScaleShift
from jointdit_blender.core.lifting import (
    FARTHEST,
    Pinned,
    depth,
    inverse_depth,
    nearness,
    pin,
    points,
    rays,
    torn_edges,
    torn_faces,
    vertex_pixels,
)


def test_near_and_far_are_the_ends() -> None:
    values = depth(np.array([[1.0, 0.0, 0.5]]), NearFar(2.0, 40.0))
    np.testing.assert_allclose(values, [[2.0, 40.0, 1.0 / (0.25 + 0.0125)]])


def test_scale_and_shift() -> None:
    np.testing.assert_allclose(depth(np.array([[1.0, 3.0]]), ScaleShift(0.2, 0.1)), [[1.0 / 0.3, 1.0 / 0.7]])


def test_holes() -> None:
    values = inverse_depth(np.array([[np.nan, np.inf, -np.inf, -5.0, 0.0, 1.0]]), ScaleShift(1.0, 0.0))
    assert np.isnan(values[0, :5]).all() and values[0, 5] == 1.0


def test_rays_of_a_perspective_image() -> None:
    width, height, angle = 8, 4, 90.0
    focal = width / 2.0
    directions = rays(Camera("perspective", angle), width, height, "planar")
    np.testing.assert_allclose(directions[0, 0], [(0.5 - 4.0) / focal, (2.0 - 0.5) / focal, -1.0])
    np.testing.assert_allclose(directions[3, 7], [3.5 / focal, -1.5 / focal, -1.0])
    np.testing.assert_allclose(np.linalg.norm(rays(Camera("perspective", angle), width, height, "radial"), axis=-1), 1.0)


def test_rays_start_at_the_principal_point() -> None:
    camera = Camera("perspective", 60.0, None, (0.25, 0.75))
    directions = rays(camera, 8, 4, "planar")
    # The corner shared by four pixels whose middle is the principal point.
    np.testing.assert_allclose(directions[2:4, 1:3].mean(axis=(0, 1)), [0.0, 0.0, -1.0], atol=1e-12)


@pytest.mark.parametrize("projection", ["cylindrical", "equirectangular"])
def test_rays_of_a_panorama(projection: str) -> None:
    directions = rays(Camera(projection, 360.0, 90.0), 360, 90, "radial")
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0)
    middle = directions[44:46, 179:181].mean(axis=(0, 1))
    np.testing.assert_allclose(middle / np.linalg.norm(middle), [0.0, 0.0, -1.0], atol=1e-12)
    right = directions[44:46, 269:271].mean(axis=(0, 1))
    np.testing.assert_allclose(right / np.linalg.norm(right), [1.0, 0.0, 0.0], atol=1e-12)
    elevation = np.degrees(np.arcsin(directions[:, 0, 1]))
    assert (np.diff(elevation) < 0).all()
    if projection == "equirectangular":
        np.testing.assert_allclose(elevation, 44.5 - np.arange(90))
    flat = rays(Camera(projection, 360.0, 90.0), 360, 90, "horizontal")
    np.testing.assert_allclose(np.hypot(flat[..., 0], flat[..., 2]), 1.0)


def test_planar_distance_around_a_panorama_is_refused() -> None:
    with pytest.raises(ValueError, match="planar"):
        rays(Camera("equirectangular", 360.0, 180.0), 8, 4, "planar")


def test_points_of_a_wall() -> None:
    found = points(np.full((4, 8), 0.5), Camera("perspective", 70.0), "planar", NearFar(2.0, 6.0))
    np.testing.assert_allclose(found[..., 2], -3.0)


def test_a_step_is_torn_and_only_the_step() -> None:
    inverse = np.full((40, 60), 0.1)
    inverse[:, 30:] = 0.5
    horizontal, vertical = torn_edges(inverse, 0.06)
    assert horizontal[:, 29].all() and horizontal.sum() == 40 and not vertical.any()
    assert torn_faces(inverse, 0.06).sum() == 39


def test_a_soft_step_is_torn() -> None:
    inverse = np.full((40, 60), 0.02)
    inverse[:, 28] += 0.1
    inverse[:, 29] += 0.3
    inverse[:, 30:] += 0.4
    assert torn_edges(inverse, 0.06)[0][:, 27:30].all()


def test_ground_to_the_horizon_is_whole() -> None:
    # 1.6 m above the ground, 64 pixels below the horizon, f = 120 pixels: steps of up to 25 % in depth. Above it the sky at 60 m.
    below = np.arange(64) + 0.5
    inverse = np.concatenate([np.full(64, 1 / 60), np.maximum(below / (120 * 1.6), 1 / 60)])[:, None] * np.ones((1, 50))
    assert (np.diff(inverse, axis=0) / inverse[:-1]).max() > 0.2
    assert not np.any(torn_edges(inverse, 0.06)[1])


def test_ground_below_a_removed_sky_is_whole() -> None:
    below = np.arange(64) + 0.5
    inverse = np.concatenate([np.full(64, np.nan), below / (120 * 1.6)])[:, None] * np.ones((1, 50))
    vertical = torn_edges(inverse, 0.06)[1]
    assert vertical[:64].all() and not vertical[64:].any()


def test_edges_at_holes_are_torn() -> None:
    inverse = np.full((5, 5), 0.1)
    inverse[2, 2] = np.nan
    assert torn_faces(inverse, 1.0).sum() == 4


def test_gamma_bends_between_the_ends() -> None:
    pinned = Pinned(2.0, 40.0, 3.0, 1.0, 2.0)
    values = inverse_depth(np.array([[3.0, 1.0, 2.0, 0.5, -9.0]]), pinned)
    np.testing.assert_allclose(values[0, :3], [0.5, 0.025, 0.025 + 0.25 * 0.475])
    # Beyond the far end the curve goes on, mirrored, until there is no distance.
    np.testing.assert_allclose(inverse_depth(np.array([[0.8]]), pinned), 0.025 - 0.01 * 0.475)
    assert np.isnan(values[0, 3:]).all()
    np.testing.assert_array_equal(nearness(np.array([3.0, 1.0, 2.0]), pinned), [1.0, 0.0, 0.5])
    with pytest.raises(ValueError, match="pin"):
        nearness(np.zeros(1), ScaleShift(1.0, 0.0))


@settings(deadline=None)
@given(
    st.floats(-5.0, 5.0).filter(lambda scale: abs(scale) > 1e-3),
    st.floats(-2.0, 2.0),
    st.lists(st.floats(-3.0, 3.0, width=32), min_size=2, max_size=20),
)
def test_pinning_changes_no_distance(scale: float, shift: float, row: list[float]) -> None:
    disparity = np.array([row])
    mapping = ScaleShift(scale, shift)
    expected = scale * disparity + shift
    if not (expected > 1.0 / FARTHEST).any():
        with pytest.raises(ValueError, match=r"usable distance.*\.$"):
            pin(mapping, disparity)
        return
    pinned = pin(mapping, disparity)
    assert pinned.near <= pinned.far and pinned.at_near != pinned.at_far and pinned.gamma == 1.0
    usable = expected > 1e-3
    if pinned.near < pinned.far * (1.0 - 1e-6):
        np.testing.assert_allclose(inverse_depth(disparity, pinned)[usable], expected[usable], rtol=1e-4)
    assert pinned.near == pytest.approx(1.0 / expected.max())


def test_near_and_far_are_pinned_as_they_are() -> None:
    assert pin(NearFar(2.0, 40.0), np.full((2, 2), np.nan)) == Pinned(2.0, 40.0)


@given(st.integers(2, 300), st.integers(1, 400), st.booleans())
def test_vertices_lie_every_step_with_equal_margins(pixels: int, step: int, wraps: bool) -> None:
    wraps = wraps and pixels > 2
    found = vertex_pixels(pixels, step, wraps)
    assert len(found) >= (3 if wraps else 2)
    used = np.diff(found)
    assert (used == used[0]).all() and used[0] <= step
    before, after = found[0], pixels - 1 - found[-1]
    if wraps:
        assert before == 0 and after + 1 <= used[0], "the gap that closes the turn is no wider"
    else:
        assert 0 <= after - before <= 1 and after < used[0]


@pytest.mark.parametrize("step", [1, 4])
def test_tears_around_the_turn_do_not_depend_on_where_it_begins(step: int) -> None:
    random = np.random.default_rng(5)
    inverse = np.repeat(np.repeat(random.uniform(0.1, 0.5, (5, 12)), 8, axis=0), 8, axis=1) + random.uniform(0.0, 0.004, (40, 96))
    inverse[10:14, 30:50] = np.nan
    horizontal, vertical = torn_edges(inverse, 0.06, wraps=True, step=step)
    faces = torn_faces(inverse, 0.06, wraps=True, step=step)
    assert horizontal.shape == (40, 96) and vertical.shape == faces.shape == (39, 96)
    assert 0.1 < faces.mean() < 0.9
    for turn in (1, 17, 95):
        moved = np.roll(inverse, turn, axis=1)
        np.testing.assert_array_equal(torn_faces(moved, 0.06, wraps=True, step=step), np.roll(faces, turn, axis=1))
    # Far from the ends it is the same as without the turn.
    np.testing.assert_array_equal(torn_faces(inverse, 0.06, step=step)[:, 30:60], faces[:, 30:60])


@pytest.mark.parametrize("step", [1, 2, 6])
def test_ground_around_the_camera_is_whole_and_a_wall_before_it_is_not(step: int) -> None:
    rays_ = rays(Camera("equirectangular", 360.0, 180.0), 256, 128, "radial")
    ground = np.maximum(-rays_[..., 1] / 1.6, 1.0 / 60.0)
    rows, columns = vertex_pixels(128, step), vertex_pixels(256, step, True)
    seen = ground[np.ix_(rows, columns)]
    assert not torn_faces(seen, 0.06, wraps=True, step=step).any()
    # A pillar across the end of the turn.
    pillar = ground.copy()
    pillar[40:100, :20] = pillar[40:100, -20:] = 0.8
    torn = torn_faces(pillar[np.ix_(rows, columns)], 0.06, wraps=True, step=step)
    middle = torn[len(rows) // 2]
    assert middle.sum() == 2 and torn.mean() < 0.1
