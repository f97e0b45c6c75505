# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the live group shows, in numpy and with few triangles: the surface with its poles, the strips in its cuts, the layer behind it.

The rules are those of `scene.group`; the triangles are those of `core.adaptive`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .adaptive import Simplified, simplify
from .frame import Camera
from .lifting import Pinned, inverse_depth, nearness, rays, torn_faces, vertex_pixels

FILL_REACH = 3
"""Pixels within which the distance behind a cut is looked for: the width of a soft edge."""
STRIP_JUMP = 0.25
"""Greatest jump in distance along a strip that fills a cut, as a share of it: more would be a sheet of rubber."""
BACK_OFFSET = 1.002
"""How much farther than its disparity says the layer behind lies, so that it never fights with the surface."""
LEAST_TEAR = 1e-6


@dataclass(frozen=True)
class Recipe:
    """How a disparity picture becomes a surface: the inputs of the live group. `torn` is cut, fill or keep; `step` in pixels."""

    camera: Camera
    distance: str
    pinned: Pinned
    tear: float = 0.06
    torn: str = "cut"
    sky_cutoff: float = 0.0
    clean: bool = False
    back: bool = False
    step: int = 1

    @property
    def has_poles(self) -> bool:
        """Whether the surface is closed straight up and down."""
        return self.camera.wraps and self.camera.projection == "equirectangular" and (self.camera.vertical_angle or 0.0) >= 180.0


@dataclass(frozen=True)
class Patch:
    """A piece of the result: `points` (n, 3) metres in camera space, `triangles` (m, 3), `uv` (m, 3, 2) of their corners from the lower left.

    A triangle that crosses the end of a closed panorama has a u above 1. `behind`: it shows the picture of what lies behind.
    """

    points: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    behind: bool = False


@dataclass(frozen=True)
class Reduced:
    """All pieces that have triangles, and the greatest error in them, relative to the distance from the camera."""

    patches: tuple[Patch, ...]
    largest_error: float


def reduced(recipe: Recipe, disparity: np.ndarray, maps: np.ndarray | None, error: float, slip: float | None = None) -> Reduced:
    """The surface from `disparity` (height, width), within `error` of every vertex that the live group would make of it.

    `maps` (height, width, 3 or more) has the clean disparity, the disparity behind and where sky may be, NaN in holes; or None. `slip` bounds
    in pixels how far the picture may move on the surface. Raises ValueError as `simplify` does.
    """
    lattice = _Lattice(recipe, *disparity.shape)
    front = lattice.picked(_front(recipe, disparity, maps))
    wraps, tear = recipe.camera.wraps, max(recipe.tear, LEAST_TEAR)
    solid = _solid(front, wraps)
    torn = torn_faces(front, tear, wraps, recipe.step)
    pieces = [(front, solid if recipe.torn == "keep" else ~torn, False)]
    if recipe.torn == "fill":
        strips = _farthest(front, max(1, FILL_REACH // recipe.step), wraps)
        pieces.append((strips, torn & solid & _even(strips, max(tear, STRIP_JUMP), wraps), False))
    if recipe.back and maps is not None:
        back = lattice.picked(inverse_depth(maps[..., 1], recipe.pinned)) / np.float32(BACK_OFFSET)
        pieces.append((back, _even(back, tear, wraps), True))

    patches, largest = [], 0.0
    for number, (inverse, whole, behind) in enumerate(pieces):
        points = lattice.points(inverse)
        mesh = simplify(points, whole, error, wraps, None if slip is None else slip / recipe.step)
        if number == 0 and recipe.has_poles:
            patch = _with_poles(lattice, mesh, points, inverse, whole)
        else:
            patch = lattice.patch(mesh.vertices, mesh.triangles, points, behind)
        largest = max(largest, mesh.largest_error)
        if len(patch.triangles):
            patches.append(patch)
    return Reduced(tuple(patches), largest)


class _Lattice:
    """The pixels that have a vertex, and their directions."""

    def __init__(self, recipe: Recipe, height: int, width: int) -> None:
        self.recipe, self.size = recipe, (height, width)
        self.rows = vertex_pixels(height, recipe.step)
        self.columns = vertex_pixels(width, recipe.step, recipe.camera.wraps)
        self.rays = self.picked(rays(recipe.camera, width, height, recipe.distance))

    def picked(self, values: np.ndarray) -> np.ndarray:
        """Values of the pixels that have a vertex."""
        return np.asarray(values[np.ix_(self.rows, self.columns)], np.float32)

    def points(self, inverse: np.ndarray) -> np.ndarray:
        """The vertices at the distance 1 / `inverse`, (rows, columns, 3) float32."""
        return np.asarray(self.rays / inverse[..., None])

    def v(self, rows: np.ndarray) -> np.ndarray:
        """The v of rows of vertices."""
        return np.asarray(1.0 - (self.rows[rows] + 0.5) / self.size[0])

    def u(self, columns: np.ndarray) -> np.ndarray:
        """The u of columns of vertices; the one after the last is the first again, at the end of the turn."""
        turn = columns == len(self.columns)
        return np.asarray((self.columns[np.where(turn, 0, columns)] + 0.5) / self.size[1] + turn)

    def patch(self, vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, behind: bool = False) -> Patch:
        """A triangle mesh between vertices (n, 2) given by row and column."""
        corners = vertices[triangles]
        rows, columns = corners[..., 0], corners[..., 1]
        u = self.u(columns)
        if self.recipe.camera.wraps:
            # No triangle is wider than a quarter turn, so one that seems to be crosses the end.
            across = np.ptp(columns, axis=1) > len(self.columns) // 2 if len(columns) else np.zeros(0, bool)
            u = u + (across[:, None] & (columns < len(self.columns) // 2))
        uv = np.stack([u, self.v(rows)], axis=-1)
        return Patch(points[vertices[:, 0], vertices[:, 1]], triangles, uv.astype(np.float32), behind)


def _front(recipe: Recipe, disparity: np.ndarray, maps: np.ndarray | None) -> np.ndarray:
    """1/Z of the surface, NaN in holes and where the sky was."""
    clean = disparity if maps is None or not recipe.clean else maps[..., 0]
    inverse = inverse_depth(clean, recipe.pinned)
    if recipe.sky_cutoff <= 0.0:
        return inverse
    sky = nearness(clean, recipe.pinned) <= recipe.sky_cutoff
    if maps is not None:
        sky &= maps[..., 2] > 0.5
    return np.asarray(np.where(sky, np.nan, inverse))


def _corners(values: np.ndarray, wraps: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The four corners of every quad, in turn around it."""
    if wraps:
        values = np.concatenate([values, values[:, :1]], axis=1)
    return values[:-1, :-1], values[:-1, 1:], values[1:, 1:], values[1:, :-1]


def _solid(inverse: np.ndarray, wraps: bool) -> np.ndarray:
    """Quads without a hole."""
    return np.asarray(np.logical_and.reduce([np.isfinite(corner) for corner in _corners(inverse, wraps)]))


def _even(inverse: np.ndarray, tear: float, wraps: bool) -> np.ndarray:
    """Quads without a jump, whatever the slope: the layer behind has been made smooth."""
    corners = _corners(inverse, wraps)
    edges = zip(corners, (*corners[1:], corners[0]), strict=True)
    return np.asarray(np.logical_and.reduce([np.abs(one - other) <= tear * np.minimum(one, other) for one, other in edges]))


def _farthest(inverse: np.ndarray, reach: int, wraps: bool) -> np.ndarray:
    """The least 1/Z of a vertex and of those `reach` away from it in the eight directions, holes left out."""
    height, width = inverse.shape
    padded = np.pad(inverse, ((0, 0), (reach, reach)), mode="wrap" if wraps else "edge")
    padded = np.pad(padded, ((reach, reach), (0, 0)), mode="edge")
    places = [(down, right) for down in (0, reach, 2 * reach) for right in (0, reach, 2 * reach)]
    behind = np.fmin.reduce([padded[down : down + height, right : right + width] for down, right in places])
    return np.asarray(np.where(np.isfinite(inverse), behind, np.nan))


def _with_poles(lattice: _Lattice, mesh: Simplified, points: np.ndarray, inverse: np.ndarray, whole: np.ndarray) -> Patch:
    """The surface with a fan around each pole, which lies at the mean 1/Z of its row."""
    vertices, height, width = mesh.vertices, *inverse.shape
    number = np.full((height, width + 1), -1)
    number[vertices[:, 0], vertices[:, 1]] = np.arange(len(vertices))
    rings = [_ring(number[row, :width] >= 0, inverse[row], whole[side]) for row, side in ((0, 0), (height - 1, -1))]
    for row, (columns, _) in zip((0, height - 1), rings, strict=True):
        new = columns[number[row, columns] < 0]
        number[row, new] = len(vertices) + np.arange(len(new))
        vertices = np.concatenate([vertices, np.stack([np.full(len(new), row), new], axis=1)])
    number[:, width] = number[:, 0]
    patch = lattice.patch(vertices, mesh.triangles, points)
    pole_points, triangles, uv = [patch.points], [patch.triangles], [patch.uv]
    for row, up, (columns, ends) in zip((0, height - 1), (1.0, -1.0), rings, strict=True):
        if not len(columns):
            continue
        pole = sum(map(len, pole_points))
        pole_points.append(np.array([[0.0, up * _pole_distance(lattice, inverse[row]), 0.0]], np.float32))
        left, right = (columns, ends) if up > 0.0 else (ends, columns)
        fan = np.stack([number[row, left], number[row, right], np.full(len(left), pole)], axis=1)
        u = np.stack([lattice.u(left), lattice.u(right), (lattice.u(left) + lattice.u(right)) / 2.0], axis=1)
        triangles.append(fan.astype(patch.triangles.dtype))
        uv.append(np.stack([u, np.full_like(u, lattice.v(np.array(row)))], axis=-1).astype(np.float32))
    return Patch(np.concatenate(pole_points), np.concatenate(triangles), np.concatenate(uv))


def _ring(kept: np.ndarray, inverse: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges of a fan along its row: the columns where they start and where they end, up to the number of columns.

    The fan uses the edges of the surface where there is surface, and the single pixels elsewhere.
    """
    seen = np.isfinite(inverse)
    starts = np.flatnonzero(seen & (kept | ~whole | ~np.roll(whole, 1)))
    if not len(starts):
        return starts, starts
    ends = np.append(starts[1:], starts[0] + len(inverse))
    # Where a column was left out, all quads up to the next one are whole; so a gap is a hole only beside one.
    # The first column of a surface is always kept, as a corner of tiles.
    closed = seen[(starts + 1) % len(inverse)]
    return starts[closed], ends[closed]


def _pole_distance(lattice: _Lattice, inverse: np.ndarray) -> float:
    """Metres from the camera to a pole."""
    distance = 1.0 / float(np.nanmean(inverse.astype(np.float64)))
    if lattice.recipe.distance != "horizontal":
        return distance
    # Horizontal distance has no meaning straight up: the pole is level with the outermost row.
    outermost = (1.0 - (2.0 * lattice.rows[0] + 1.0) / lattice.size[0]) * np.radians(lattice.recipe.camera.vertical_angle or 180.0) / 2.0
    return distance / float(np.cos(outermost))
