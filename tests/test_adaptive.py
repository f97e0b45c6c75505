# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Few triangles for many points: every face of the surface covered once, no crack, and the error as promised, by brute force in float64."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jointdit_blender.core.adaptive import Simplified, simplify
from jointdit_blender.core.frame import Camera
from jointdit_blender.core.lifting import rays

PERSPECTIVE = Camera("perspective", 70.0)
SPHERE = Camera("equirectangular", 360.0, 180.0)


def bumps(height: int, width: int, seed: int = 0, noise: float = 0.0) -> np.ndarray:
    """Smooth distances between 2 and 8 metres that go around a panorama without a jump, with some noise."""
    x, y = np.meshgrid(np.linspace(0.0, 2.0 * np.pi, width, endpoint=False), np.linspace(0.0, 1.0, height))
    distances = 5.0 + 2.0 * np.sin(x + seed) * np.cos(3.0 * y) + np.sin(3.0 * x + 2.0 * y + seed) * y
    return np.asarray(distances * (1.0 + noise * np.random.default_rng(seed).standard_normal((height, width))))


def seen(distances: np.ndarray, camera: Camera = PERSPECTIVE) -> np.ndarray:
    height, width = distances.shape
    return np.asarray(rays(camera, width, height, "planar" if camera.projection == "perspective" else "radial") * distances[..., None])


def unrolled(result: Simplified, columns: int, wraps: bool) -> np.ndarray:
    """Rows and columns of the corners of every triangle, (m, 3, 2) int; past the seam the columns count on."""
    corners = result.vertices[result.triangles].astype(np.int64)
    if wraps:
        across = np.ptp(corners[..., 1], axis=1) > columns // 2
        corners[..., 1] += np.where(across[:, None] & (corners[..., 1] < columns // 2), columns, 0)
    return corners


def covered(triangle: np.ndarray, places: np.ndarray, closed: bool) -> np.ndarray:
    """Which of the places (k, 2) are inside of a triangle that is counter-clockwise with y up."""
    inside = np.ones(len(places), bool)
    for start, end in zip(triangle, np.roll(triangle, -1, axis=0), strict=True):
        edge = end - start
        turn = edge[0] * (places[:, 1] - start[1]) - edge[1] * (places[:, 0] - start[0])
        inside &= turn >= 0 if closed else turn > 0
    return inside


def check_cover(result: Simplified, whole: np.ndarray, wraps: bool) -> None:
    """Four samples in every quad, one in each of the quarters that its diagonals make: covered once or not at all.

    The samples lie on no line between pixels.
    """
    height, width = whole.shape
    count = np.zeros((height, width, 4), int)
    samples = np.array([(0.5, 0.2), (0.5, 0.8), (0.2, 0.5), (0.8, 0.5)]) + np.sqrt([2.0, 3.0]) / 100.0
    for triangle in unrolled(result, width, wraps):
        low, high = triangle.min(axis=0), triangle.max(axis=0)
        rows, columns = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij")
        quads = np.stack([rows.ravel(), columns.ravel()], axis=1)
        inside = covered(triangle, (quads[:, None, :] + samples).reshape(-1, 2), closed=False).reshape(-1, 4)
        assert inside.any(), "no triangle without area, and none that looks away"
        np.add.at(count, (quads[:, 0], quads[:, 1] % width), inside)
    np.testing.assert_array_equal(count, np.where(whole, 1, 0)[..., None] * np.ones(4, int))


def check_no_crack(result: Simplified, whole: np.ndarray, wraps: bool) -> None:
    """Every edge is used by two triangles that look the same way, or lies where the surface really ends."""
    height, width = whole.shape
    edges = Counter((int(a), int(b)) for triangle in result.triangles for a, b in zip(triangle, np.roll(triangle, -1), strict=True))
    assert max(edges.values()) == 1
    ends = np.zeros((height + 2, width + 2), bool)
    ends[1:-1, 1:-1] = whole
    if wraps:
        ends[:, 0], ends[:, -1] = ends[:, -2], ends[:, 1]
    for a, b in edges:
        if (b, a) in edges:
            continue
        (row, column), (row_2, column_2) = sorted(map(tuple, result.vertices[[a, b]]))
        if wraps and row == row_2 and column_2 - column > width // 2:
            column, column_2 = column_2, column + width
        assert row == row_2 or column == column_2, "an open edge lies along the pixels"
        for step in range(max(row_2 - row, column_2 - column)):
            if row == row_2:
                sides = ends[row, 1 + (column + step) % width], ends[row + 1, 1 + (column + step) % width]
            else:
                sides = ends[row + step + 1, column], ends[row + step + 1, column + 1]
            assert sides[0] != sides[1], "an open edge is between a face of the surface and none"


def true_errors(result: Simplified, points: np.ndarray, wraps: bool) -> tuple[float, float]:
    """The greatest error and slip, pixel by pixel: where its ray meets the plane of the triangle, solved as a linear system in float64."""
    columns = points.shape[1]
    worst, slip = 0.0, 0.0
    for triangle in unrolled(result, columns, wraps):
        low, high = triangle.min(axis=0), triangle.max(axis=0)
        rows, cols = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="ij")
        pixels = np.stack([rows.ravel(), cols.ravel()], axis=1)
        pixels = pixels[covered(triangle, pixels, closed=True)]
        corners = points[triangle[:, 0], triangle[:, 1] % columns].astype(np.float64)
        for pixel in pixels:
            point = points[pixel[0], pixel[1] % columns].astype(np.float64)
            # point * t = b0 * first + b1 * second + b2 * third, with b0 + b1 + b2 = 1.
            system = np.zeros((4, 4))
            system[:3, 0], system[:3, 1:], system[3, 1:] = -point, corners.T, 1.0
            solved = np.linalg.solve(system, [0.0, 0.0, 0.0, 1.0])
            worst = max(worst, abs(solved[0] - 1.0))
            slip = max(slip, float(np.linalg.norm(solved[1:] @ triangle - pixel)))
    return worst, slip


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(2, 40),
    width=st.integers(2, 40),
    wraps=st.booleans(),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    error=st.sampled_from([0.0, 0.001, 0.02, 0.5]),
    seed=st.integers(0, 1000),
)
def test_every_face_is_covered_once(height: int, width: int, wraps: bool, share: float, error: float, seed: int) -> None:
    points = seen(bumps(height, width, seed), SPHERE if wraps else PERSPECTIVE)
    whole = np.random.default_rng(seed).random((height - 1, width if wraps else width - 1)) >= share
    result = simplify(points.astype(np.float32), whole, error, wraps)
    assert result.vertices.shape[1:] == (2,) and result.triangles.shape[1:] == (3,)
    assert (np.sort(np.unique(result.triangles)) == np.arange(len(result.vertices))).all(), "no loose vertex"
    assert len(np.unique(result.vertices, axis=0)) == len(result.vertices), "the seam is welded"
    if wraps and width < 3:
        return
    check_cover(result, whole, wraps)
    if whole.any():
        check_no_crack(result, whole, wraps)


@pytest.mark.parametrize(("height", "width", "wraps"), [(45, 70, False), (64, 33, False), (40, 64, True), (33, 50, True)])
@pytest.mark.parametrize("slip", [None, 0.3])
@pytest.mark.parametrize("error", [0.002, 0.02])
def test_the_error_is_what_it_says(height: int, width: int, wraps: bool, slip: float | None, error: float) -> None:
    points = seen(bumps(height, width, 1, noise=1e-3), SPHERE if wraps else PERSPECTIVE)
    whole = np.ones((height - 1, width if wraps else width - 1), bool)
    whole[5:9, 20:23] = False
    result = simplify(points.astype(np.float32), whole, error, wraps, slip)
    worst, moved = true_errors(result, points.astype(np.float32), wraps)
    assert result.largest_error == pytest.approx(worst, abs=2e-6)
    assert worst <= error * (1.0 + 1e-4)
    assert error < 0.01 or len(result.vertices) < 0.7 * height * width, "something was saved"
    if slip is not None:
        assert moved <= slip * (1.0 + 1e-3)
    check_cover(result, whole, wraps)
    check_no_crack(result, whole, wraps)


@pytest.mark.parametrize(("height", "width"), [(257, 257), (129, 129), (130, 200), (90, 31), (2, 100)])
@pytest.mark.parametrize("slant", [(0.0, 0.0), (0.06, -0.18)])
def test_a_plane_is_a_few_triangles(height: int, width: int, slant: tuple[float, float]) -> None:
    """Whatever its slant: on a plane 1/Z is linear in the image, but Z is not."""
    directions = rays(PERSPECTIVE, width, height, "planar")
    inverse = 0.5 + directions[..., 0] * slant[0] + directions[..., 1] * slant[1]
    points = (directions / inverse[..., None]).astype(np.float32)
    whole = np.ones((height - 1, width - 1), bool)
    result = simplify(points, whole, 1e-5)
    # The diagonal of the tile may meet the border between two corners of the image.
    assert len(result.vertices) in (4, 5) and len(result.triangles) in (2, 3)
    assert result.largest_error < 1e-5
    check_cover(result, whole, False)
    # For a picture on it, that is too few.
    if slant != (0.0, 0.0) and height > 2:
        assert len(simplify(points, whole, 1e-5, slip=0.5).vertices) > 5


def test_error_zero_keeps_what_is_not_flat() -> None:
    points = seen(bumps(20, 20, noise=0.01)).astype(np.float32)
    result = simplify(points, np.ones((19, 19), bool), 0.0)
    assert len(result.vertices) == 400 and len(result.triangles) == 2 * 19 * 19 and result.largest_error == 0.0


def test_edges_are_full_and_the_rest_is_not() -> None:
    """Full resolution along a tear, coarse a few pixels from it, and nothing spent on what is torn away."""
    points = seen(np.full((129, 129), 3.0)).astype(np.float32)
    whole = np.ones((128, 128), bool)
    whole[:, 64] = False
    whole[:, 80:] = False
    rows, columns = simplify(points, whole, 0.001).vertices.T
    assert (columns <= 80).all()
    for column in (64, 65):
        assert len(rows[columns == column]) <= 129
    assert {64, 65} <= set(columns)
    assert len(rows[columns < 32]) < 20
    whole[:] = False
    whole[40:61, 33:44] = True
    vertices = simplify(points, whole, 0.001).vertices
    assert len(vertices) < 2 * (21 + 11) + 30
    assert (vertices >= (40, 33)).all() and (vertices <= (61, 44)).all()


def test_holes_are_left_out_even_when_faces_claim_them() -> None:
    distances = bumps(30, 30)
    distances[10, 12] = np.nan
    whole = np.ones((29, 29), bool)
    result = simplify(seen(distances).astype(np.float32), whole, 0.05)
    whole[9:11, 11:13] = False
    check_cover(result, whole, False)


def test_nothing_left() -> None:
    result = simplify(np.full((8, 9, 3), np.nan, np.float32), np.zeros((7, 8), bool), 0.1)
    assert result.vertices.shape == (0, 2) and result.triangles.shape == (0, 3) and result.largest_error == 0.0


@pytest.mark.parametrize("error", [-1.0, np.nan])
def test_bad_arguments_are_sentences(error: float) -> None:
    points = seen(np.full((6, 6), 2.0))
    with pytest.raises(ValueError, match="from 0"):
        simplify(points, np.ones((5, 5), bool), error)
    with pytest.raises(ValueError, match="from 0"):
        simplify(points, np.ones((5, 5), bool), 0.1, slip=error)
    with pytest.raises(ValueError, match="does not fit"):
        simplify(points, np.ones((5, 6), bool), 0.1)
