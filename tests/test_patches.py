# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces of a simplified frame, held against the lifting in closed form; against the live group they are tested in tests/blender."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from frames import hills

from jointdit_blender.core import lifting
from jointdit_blender.core.frame import Camera
from jointdit_blender.core.lifting import Pinned
from jointdit_blender.core.patches import Patch, Recipe, reduced

RECIPE = Recipe(Camera("perspective", 60.0), "planar", Pinned(2.0, 40.0))
SPHERE = Recipe(Camera("equirectangular", 360.0, 180.0), "radial", Pinned(2.0, 40.0))


def scenery() -> np.ndarray:
    disparity = (0.5 * hills(40, 30)).astype(np.float32)
    disparity[8:20, 12:30] = 0.95
    return disparity


def texels(patch: Patch) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the pixel that every vertex shows, by its UV."""
    uv = np.empty((len(patch.points), 2))
    uv[patch.triangles] = patch.uv
    return np.rint((1.0 - uv[:, 1]) * 30 - 0.5).astype(int), np.rint(uv[:, 0] * 40 - 0.5).astype(int) % 40


@pytest.mark.parametrize("error", [0.0, 0.01])
@pytest.mark.parametrize("gamma", [1.0, 1.7])
def test_vertices_lie_where_their_pixels_do(error: float, gamma: float) -> None:
    disparity = scenery()
    recipe = replace(RECIPE, pinned=Pinned(2.0, 40.0, gamma=gamma))
    result = reduced(recipe, disparity, None, error)
    (patch,) = result.patches
    expected = lifting.points(disparity.astype(np.float64), recipe.camera, "planar", recipe.pinned)
    np.testing.assert_allclose(patch.points, expected[texels(patch)], rtol=1e-5, atol=1e-5)
    assert result.largest_error <= error and (len(patch.points) < 600) == (error > 0.0)


def test_strips_close_the_cuts_at_the_farther_side() -> None:
    disparity = np.full((30, 40), 0.1, np.float32)
    disparity[8:20, 12:30] = 0.9
    cut, filled = (reduced(replace(RECIPE, torn=torn), disparity, None, 0.001).patches for torn in ("cut", "fill"))
    assert len(cut) == 1 and len(filled) == 2
    np.testing.assert_array_equal(cut[0].points, filled[0].points)
    np.testing.assert_allclose(-filled[1].points[:, 2], lifting.depth(np.array(0.1), RECIPE.pinned), rtol=1e-5)
    # Together they hide everything: as much of the picture as there is.
    covered = sum(0.5 * abs(np.cross(patch.uv[:, 1] - patch.uv[:, 0], patch.uv[:, 2] - patch.uv[:, 0])).sum() for patch in filled)
    assert covered == pytest.approx(29 * 39 / (30 * 40), rel=1e-4)


def test_maps_decide_about_sky_edges_and_what_lies_behind() -> None:
    disparity = scenery()
    maps = np.stack([disparity, np.full_like(disparity, np.nan), np.zeros_like(disparity)], axis=-1)
    maps[:5, :, 0], maps[:3, :, 2] = 0.0, 1.0
    maps[10:15, 15:25, 1] = 0.2
    recipe = replace(RECIPE, clean=True, back=True, sky_cutoff=0.02)
    surface, behind = reduced(recipe, disparity, maps, 0.01).patches
    assert behind.behind and not surface.behind
    assert texels(surface)[0].min() == 3, "only where sky may be"
    rows, columns = texels(behind)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 14, 15, 24)
    np.testing.assert_allclose(-behind.points[:, 2], 1.002 * lifting.depth(np.array(0.2), RECIPE.pinned), rtol=1e-5)
    # Without the maps everything up to the cut-off goes.
    assert texels(reduced(replace(recipe, sky_cutoff=0.3), disparity, None, 0.01).patches[0])[0].min() > 3


@pytest.mark.parametrize("error", [0.0, 0.05])
def test_a_sphere_is_closed(error: float) -> None:
    disparity = np.tile(hills(40, 30)[:, :1], (1, 40))
    (patch,) = reduced(SPHERE, disparity, None, error).patches
    corners = np.concatenate([patch.triangles[:, [0, 1]], patch.triangles[:, [1, 2]], patch.triangles[:, [2, 0]]])
    edges = {tuple(edge) for edge in corners.tolist()}
    assert len(edges) == len(corners) and all((b, a) in edges for a, b in edges)
    assert len(patch.points) - len(edges) // 2 + len(patch.triangles) == 2
    assert (np.ptp(patch.uv[..., 0], axis=1) <= 0.5).all()
    poles = patch.points[np.hypot(patch.points[:, 0], patch.points[:, 2]) < 1e-6]
    np.testing.assert_allclose(sorted(poles[:, 1]), [-lifting.depth(disparity[-1, 0], SPHERE.pinned), lifting.depth(disparity[0, 0], SPHERE.pinned)], rtol=1e-5)
