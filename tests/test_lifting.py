# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry in closed form: distances, rays of every projection, torn edges."""

from __future__ import annotations

import numpy as np
import pytest

from jointdit_blender.core.frame import Camera, NearFar, ScaleShift
from jointdit_blender.core.lifting import depth, inverse_depth, points, rays, torn_edges, torn_faces


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


def test_edges_at_holes_are_torn() -> None:
    inverse = np.full((5, 5), 0.1)
    inverse[2, 2] = np.nan
    assert torn_faces(inverse, 1.0).sum() == 4
