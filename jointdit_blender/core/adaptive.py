# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Few triangles for a grid of points: large ones where the surface is flat, the pixels themselves where it is not. Pure numpy.

The triangles are those of a right-triangulated irregular network (Evans, Kirkpatrick and Townsend 2001, "Right-triangulated irregular
networks"; Lindstrom et al. 1996, "Real-time, continuous level of detail rendering of height fields"): the image is covered by square tiles,
every square is two right triangles, and a triangle is halved from its apex to the middle of its longest side. When the triangle on the other
side of that middle is halved with it, and so on up the hierarchy, no cracks appear. Such a triangle is known by its middle and the direction
of its apex, so all triangles of one size and direction are a strided slice of the image, and the whole is computed from the smallest size to
the largest without a loop over triangles.

Edges are straight in rows and columns or exactly diagonal. Hence a tile that reaches beyond the image is simply clipped: its edges cross the
border on pixels.

Unlike the nested errors of the papers, every pixel of a triangle is held against that very triangle, so the bound is strict.

A point's error is measured along its own ray: where the ray meets the plane of the triangle, how far from the point is that, relative to the
point's distance from the camera? In terms of depth it is |Z' / Z - 1|. It is zero for every plane however slanted, because it compares places
and not their interpolation over the image, and it is never below the point's distance from the surface.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LARGEST_TILE = 256
"""Pixels along the legs of the largest triangles. Larger ones would save nothing that counts and cost time."""
SMALLEST_TURN = 4
"""A closed panorama has at least so many tiles around, so that no triangle meets itself."""
CHUNK = 1 << 18
"""Pixels that are measured at a time."""

Offset = tuple[int, int]
"""Rows down, columns to the right."""


@dataclass(frozen=True)
class Simplified:
    """A triangle mesh between pixels.

    `vertices` (n, 2) are the row and column of the kept pixels, `triangles` (m, 3) their numbers, counter-clockwise as the camera sees them
    (x right, y up). `largest_error` is the greatest error of all left-out pixels.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    largest_error: float


def simplify(points: np.ndarray, whole: np.ndarray, error: float, wraps: bool = False, slip: float | None = None) -> Simplified:
    """The mesh of few triangles whose error is nowhere above `error` (0.001 = a thousandth of the distance from the camera).

    `points` (height, width, 3) are seen from the origin, NaN in holes; `whole` (height - 1, width - 1) says which quads between four pixels
    belong to the surface. Every one of them is covered exactly once and no other is touched. With `wraps`, `whole` is (height - 1, width):
    the last column is connected with the first, and both sides of that seam use the same vertices.

    `slip` bounds in pixels how far a picture that is mapped by these vertices moves between them. A flat floor needs only a few vertices for
    its shape, but a picture taken in perspective does not stay in place on large triangles. None: only the shape counts.

    Raises ValueError when the sizes do not fit or the error is no number from 0.
    """
    for name, limit in (("error", error), ("slip", 0.0 if slip is None else slip)):
        if not limit >= 0.0:
            raise ValueError(f"The {name} must be a number from 0, not {limit:g}.")
    height, width, _ = points.shape
    if whole.shape != (height - 1, width if wraps else width - 1):
        raise ValueError(f"The faces are {whole.shape}, which does not fit {height} x {width} points.")
    if wraps:
        points = np.concatenate([points, points[:, :1]], axis=1)
    network = _Network(points, whole, wraps, _Limits(error, slip))
    network.refine()
    corners, largest = network.leaves()
    columns = points.shape[1]
    if wraps:
        corners = np.where(corners % columns == width, corners - width, corners)
    used = np.zeros(height * columns, bool)
    used[corners] = True
    kept = np.flatnonzero(used)
    number = np.empty(len(used), np.int32)
    number[kept] = np.arange(len(kept), dtype=np.int32)
    return Simplified(np.stack(np.divmod(kept, columns), axis=1), number[corners], largest)


@dataclass(frozen=True)
class _Limits:
    error: float
    slip: float | None


@dataclass(frozen=True)
class _Family:
    """All triangles of one size and direction: their middles (of the longest side) and where the apex lies from there."""

    rows: range
    columns: range
    apex: Offset

    @property
    def side(self) -> int:
        """Two triangles share a middle; this tells them apart."""
        return int(self.apex > (0, 0))

    @property
    def along(self) -> Offset:
        """From the middle to one end of the longest side."""
        return self.apex[1], -self.apex[0]

    def halves(self) -> Iterator[tuple[float, float]]:
        """From the middle to the middles of the two halves of the triangle; between pixels for the smallest triangles."""
        (down, right), (end_down, end_right) = self.apex, self.along
        for sign in (-1, 1):
            yield (down + sign * end_down) / 2.0, (right + sign * end_right) / 2.0

    def at(self, down: int, right: int) -> tuple[slice, slice]:
        """The pixels at an offset from the middles."""
        return _shifted(self.rows, down), _shifted(self.columns, right)


@dataclass(frozen=True)
class _Facet:
    """A triangle as offsets from its middle: corners (3, 2) counter-clockwise in the image, and the other pixels in it (m, 2)."""

    corners: np.ndarray
    inside: np.ndarray


class _Network:
    """The hierarchy over one image. A pixel is `split` when triangles are halved there."""

    def __init__(self, points: np.ndarray, whole: np.ndarray, wraps: bool, limits: _Limits) -> None:
        self.height, self.width, _ = points.shape
        self.points, self.wraps, self.limits = points.reshape(-1, 3), wraps, limits
        quads = self.height - 1, self.width - 1
        # A closed panorama needs tiles that go a few times into its width.
        room = quads[1] // SMALLEST_TURN if wraps else max(quads)
        self.tile = min(LARGEST_TILE, 1 << max(0, room.bit_length() - 1 if wraps else (room - 1).bit_length()))
        tiled = [-(-count // self.tile) * self.tile for count in quads]
        self.shape = tiled[0] + 1, tiled[1] + 1
        finite = np.isfinite(points).all(axis=2)
        whole = whole & finite[:-1, :-1] & finite[:-1, 1:] & finite[1:, :-1] & finite[1:, 1:]
        # What lies beyond the image is neither whole nor broken: triangles may reach there, and are clipped.
        self.whole, self.broken = np.zeros(tiled, bool), np.zeros(tiled, bool)
        self.whole[: quads[0], : quads[1]], self.broken[: quads[0], : quads[1]] = whole, ~whole
        self.split = np.zeros(self.shape, bool)
        self.split[:: self.tile, :: self.tile] = True
        self.any_whole, self.any_broken = np.zeros((2, *self.shape), bool), np.zeros((2, *self.shape), bool)
        self.errors = np.zeros((2, *self.shape), np.float32)
        if wraps and tiled[1] != quads[1]:
            self._refine_seam()

    def refine(self) -> None:
        """Decide where triangles are halved, from the smallest to the largest."""
        for level in _levels(self.tile, self.shape):
            for family in level:
                self._refine(family)
            if self.wraps and self.shape[1] == self.width:
                self.split[:, 0] |= self.split[:, -1]
                self.split[:, -1] = self.split[:, 0]

    def leaves(self) -> tuple[np.ndarray, float]:
        """The triangles that are not halved: pixel numbers of their corners (m, 3), and the greatest error in them."""
        found, largest = [self._smallest()], 0.0
        for level in _levels(self.tile, self.shape):
            for family in level:
                middle = family.at(0, 0)
                leaf = self.any_whole[family.side][middle] & ~self.split[middle] & self.split[family.at(*family.apex)]
                if not leaf.any():
                    continue
                largest = max(largest, float(self.errors[family.side][middle][leaf].max()))
                for places, facets, _ in self._shapes(family, leaf):
                    found += [places[:, None] + self._flat(facet.corners) for facet in facets]
        return np.concatenate(found), largest

    def _refine(self, family: _Family) -> None:
        middle, side = family.at(0, 0), family.side
        whole, broken, halved = (np.zeros((len(family.rows), len(family.columns)), bool) for _ in range(3))
        for down, right in family.halves():
            if down % 1.0:
                quad = family.at(int(np.floor(down)), int(np.floor(right)))
                whole |= self.whole[quad]
                broken |= self.broken[quad]
                continue
            half = family.at(int(down), int(right))
            # The apex of a half is the middle of the whole.
            half_side = int((-down, -right) > (0, 0))
            half_whole = self.any_whole[half_side][half]
            whole |= half_whole
            broken |= self.any_broken[half_side][half]
            halved |= half_whole & self.split[half]
        self.any_whole[side][middle], self.any_broken[side][middle] = whole, broken
        # Where nothing of the surface is, nothing needs to be halved.
        must = whole & (broken | halved)
        candidates = whole & ~must
        errors, slips = self._measured(family, candidates)
        self.errors[side][middle] = errors
        must |= errors > self.limits.error
        if self.limits.slip is not None:
            must |= slips > self.limits.slip
        self.split[middle] |= must

    def _measured(self, family: _Family, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The greatest error and the greatest slip in every candidate, 0 elsewhere; shaped like the family."""
        errors, slips = np.zeros(candidates.shape, np.float32), np.zeros(candidates.shape, np.float32)
        for places, facets, where in self._shapes(family, candidates):
            for facet in facets:
                step = max(1, CHUNK // max(1, len(facet.inside)))
                for start in range(0, len(places), step):
                    chunk = slice(start, start + step)
                    error, slip = self._measure(places[chunk], facet)
                    index = where[0][chunk], where[1][chunk]
                    errors[index] = np.maximum(errors[index], error)
                    slips[index] = np.maximum(slips[index], slip)
        return errors, slips

    def _measure(self, places: np.ndarray, facet: _Facet) -> tuple[np.ndarray, np.ndarray]:
        """The greatest error and slip of the pixels in a facet at each of the places (n,)."""
        if not len(facet.inside):
            return np.zeros(len(places), np.float32), np.zeros(len(places), np.float32)
        first, second, third = (self.points[places + offset] for offset in self._flat(facet.corners))
        normal = np.cross(second - first, third - first)
        inside = self.points[places[:, None] + self._flat(facet.inside)]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            volume = np.einsum("nk,nk->n", normal, first)[:, None]
            # A point x is on the plane when plane . x = 1, and x / (plane . x) is where its ray meets the plane.
            nearness = np.einsum("nmk,nk->nm", inside, normal / volume)
            error = _greatest(np.where(nearness > 0.0, np.abs(1.0 / nearness - 1.0), np.inf))
            if self.limits.slip is None:
                return error, np.zeros_like(error)
            # The weight of a corner where the ray meets the plane is the volume between the ray and the opposite edge.
            sides = np.cross(second, third), np.cross(third, first), np.cross(first, second)
            slip = np.zeros_like(nearness)
            for axis in (0, 1):
                gradient = sum(side * float(corner) for side, corner in zip(sides, facet.corners[:, axis], strict=True)) / volume
                slip += (np.einsum("nmk,nk->nm", inside, gradient) / nearness - facet.inside[:, axis]) ** 2
            return error, np.sqrt(_greatest(slip))

    def _shapes(self, family: _Family, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[_Facet, ...], tuple[np.ndarray, np.ndarray]]]:
        """The chosen triangles of a family by how the image's border clips them: pixel numbers of the middles, facets, places in the family."""
        down, right = np.nonzero(chosen)
        rows = family.rows.start + down * family.rows.step
        columns = family.columns.start + right * family.columns.step
        places = rows * self.width + columns
        reach = max(abs(family.apex[0]), abs(family.apex[1]))
        room = np.minimum(self.height - 1 - rows, reach), np.minimum(self.width - 1 - columns, reach)
        kinds = (room[0] + 2 * reach) * (8 * reach) + room[1] + 2 * reach
        for kind in np.unique(kinds):
            index = np.flatnonzero(kinds == kind)
            facets = _facets(family.apex, int(room[0][index[0]]), int(room[1][index[0]]))
            yield places[index], facets, (down[index], right[index])

    def _smallest(self) -> np.ndarray:
        """The halves of single quads that are not part of a larger triangle, (m, 3) pixel numbers."""
        found = []
        for row in (0, 1):
            for column in (0, 1):
                quads = self.whole[row::2, column::2]
                # The diagonal joins the corners where rows and columns are both even or both odd.
                upright = row == column
                apexes = ((0, 1), (1, 0)) if upright else ((0, 0), (1, 1))
                for down, right in apexes:
                    apex = self.split[row + down :: 2, column + right :: 2][: quads.shape[0], : quads.shape[1]]
                    rows, columns = np.nonzero(quads & apex)
                    places = (2 * rows + row) * self.width + 2 * columns + column
                    ends = ((0, 0), (1, 1)) if upright else ((0, 1), (1, 0))
                    found.append(places[:, None] + self._flat(_oriented(np.array([(down, right), *ends]))))
        return np.concatenate(found)

    def _refine_seam(self) -> None:
        """Full resolution along both sides of the seam: tiles that do not divide the width meet there with different edges."""
        self.broken[:, self.width - 1] = True
        self.split[1::2, 0] = True
        self.split[1::2, self.width - 1] = True

    def _flat(self, offsets: np.ndarray) -> np.ndarray:
        return np.asarray(offsets[:, 0] * self.width + offsets[:, 1])


def _levels(tile: int, shape: tuple[int, int]) -> Iterator[list[_Family]]:
    """The families of every size, the smallest first."""
    size = 2
    while size <= tile:
        half = size // 2
        # Middles of the sides of squares, then middles of squares. Their diagonals alternate like the colors of a chessboard.
        yield [
            *(_family((0, half), (size, size), shape, (sign * half, 0)) for sign in (-1, 1)),
            *(_family((half, 0), (size, size), shape, (0, sign * half)) for sign in (-1, 1)),
        ]
        yield [
            _family((half + row * size, half + column * size), (2 * size, 2 * size), shape, (sign * half, -sign * half if row == column else sign * half))
            for row in (0, 1)
            for column in (0, 1)
            for sign in (-1, 1)
        ]
        size *= 2


def _family(start: Offset, step: Offset, shape: tuple[int, int], apex: Offset) -> _Family:
    """The middles from `start` on whose apex is in the tiles."""
    rows, columns = (
        range(first + (pitch if first + offset < 0 else 0), size - max(offset, 0), pitch)
        for first, pitch, size, offset in zip(start, step, shape, apex, strict=True)
    )
    return _Family(rows, columns, apex)


def _shifted(places: range, offset: int) -> slice:
    return slice(places.start + offset, max(places.start, places.stop) + offset, places.step)


def _greatest(values: np.ndarray) -> np.ndarray:
    """The greatest of each row; what is not a number counts as infinite."""
    greatest = values.max(axis=1)
    return np.asarray(np.where(np.isnan(greatest), np.inf, greatest), np.float32)


@lru_cache(maxsize=512)
def _facets(apex: Offset, rows: int, columns: int) -> tuple[_Facet, ...]:
    """A triangle by offsets from its middle, of which only `rows` rows below the middle and `columns` columns to its right are in the image."""
    polygon: list[Offset] = [apex, (apex[1], -apex[0]), (-apex[1], apex[0])]
    for axis, limit in ((0, rows), (1, columns)):
        polygon = _clipped(polygon, axis, limit)
    corners = [np.array([polygon[0], polygon[number], polygon[number + 1]]) for number in range(1, len(polygon) - 1)]
    return tuple(_Facet(_oriented(facet), _inside(facet)) for facet in corners if _area(facet))


def _clipped(polygon: list[Offset], axis: int, limit: int) -> list[Offset]:
    """The part of a convex polygon up to a row or column (Sutherland and Hodgman 1974); exact, because all edges are at 0, 45 or 90 degrees."""
    kept: list[Offset] = []
    for number, here in enumerate(polygon):
        before = polygon[number - 1]
        if (before[axis] <= limit) != (here[axis] <= limit):
            share = (limit - before[axis]) / (here[axis] - before[axis])
            kept.append((round(before[0] + share * (here[0] - before[0])), round(before[1] + share * (here[1] - before[1]))))
        if here[axis] <= limit:
            kept.append(here)
    return list(dict.fromkeys(kept))


def _area(corners: np.ndarray) -> int:
    """Twice the area of a triangle of offsets, positive when it is counter-clockwise with y up."""
    (down, right), (down_2, right_2) = corners[1] - corners[0], corners[2] - corners[0]
    return int(down * right_2 - right * down_2)


def _oriented(corners: np.ndarray) -> np.ndarray:
    return corners if _area(corners) > 0 else corners[::-1]


def _inside(corners: np.ndarray) -> np.ndarray:
    """All pixels in a triangle or on its border but for its corners, (m, 2)."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    rows, columns = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="ij")
    pixels = np.stack([rows.ravel(), columns.ravel()], axis=1)
    corners = _oriented(corners)
    inside = np.ones(len(pixels), bool)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge, to = end - start, pixels - start
        inside &= edge[0] * to[:, 1] - edge[1] * to[:, 0] >= 0
        inside &= (pixels != start).any(axis=1)
    return np.asarray(pixels[inside])
