# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values known at a few pixels, continued smoothly over the whole picture: push and pull over a pyramid of cells.

After Gortler et al. 1996 (The Lumigraph), with planes in place of means where a slope is to go on. Arrays of cells are (rows, columns, channels)
float32; pixels are indices into the flattened picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FULL = 0.1
"""The share of a cell that has to be known before it says as much as its larger surroundings."""
RIDGE = 0.1
"""The variance, as a share of the square of a cell's side, over which something has to be known to say as much of a slope as the surroundings."""


@dataclass(frozen=True)
class Cells:
    """A picture of `shape` in square cells of `side` pixels, from the top left."""

    shape: tuple[int, int]
    side: int

    @property
    def grid(self) -> tuple[int, int]:
        return -(-self.shape[0] // self.side), -(-self.shape[1] // self.side)

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """The cell of each pixel, as an index into the flattened grid."""
        rows, columns = np.divmod(pixels, self.shape[1])
        return np.asarray(rows // self.side * self.grid[1] + columns // self.side)

    def any(self, mask: np.ndarray) -> np.ndarray:
        """Cells with a pixel of the mask, booleans."""
        cells = np.zeros(self.grid, bool)
        cells.ravel()[self.of(np.flatnonzero(mask))] = True
        return cells

    def pixels(self, cells: np.ndarray) -> np.ndarray:
        """All pixels of the marked cells."""
        mask = cells.repeat(self.side, axis=0).repeat(self.side, axis=1)
        return np.flatnonzero(mask[: self.shape[0], : self.shape[1]])

    def grown(self, cells: np.ndarray, distance: int) -> np.ndarray:
        """The marked cells and all within so many pixels of them: an octagon that holds the circle."""
        for step in range(-(-distance // self.side)):
            grown = cells.copy()
            grown[1:] |= cells[:-1]
            grown[:-1] |= cells[1:]
            # A square in five of eight steps makes the octagon whose inner circle has the radius.
            across = grown if step % 8 in (0, 2, 4, 5, 7) else cells
            cells = grown.copy()
            cells[:, 1:] |= across[:, :-1]
            cells[:, :-1] |= across[:, 1:]
        return cells

    def sums(self, pixels: np.ndarray, *values: np.ndarray) -> np.ndarray:
        """Sums of the values (n,) of the pixels of each cell, one channel for each."""
        cells, count = self.of(pixels), self.grid[0] * self.grid[1]
        return np.stack([np.bincount(cells, value, count).reshape(self.grid) for value in values], axis=-1)

    def sample(self, field: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """A field of cells at pixels, (n, channels), linear between the middles of cells."""
        rows, columns = np.divmod(pixels, self.shape[1])
        (top, down), (left, right) = (self._between(at, count) for at, count in zip((rows, columns), self.grid, strict=True))
        width, flat = self.grid[1], field.reshape(-1, field.shape[-1])
        below, beside = np.minimum(top + 1, self.grid[0] - 1), np.minimum(left + 1, width - 1)
        upper = flat[top * width + left] * (1 - right) + flat[top * width + beside] * right
        lower = flat[below * width + left] * (1 - right) + flat[below * width + beside] * right
        return np.asarray(upper * (1 - down) + lower * down)

    def _between(self, at: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        place = np.clip((at.astype(np.float32) + 0.5) / self.side - 0.5, 0.0, count - 1)
        first = place.astype(np.int64)
        return first, (place - first)[:, None]


def continued_planes(cells: Cells, pixels: np.ndarray, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (n, channels) at pixels, continued as planes: (rows, columns, channels) at the middles of the cells.

    At each level of the pyramid a plane is fitted by weighted least squares to what is known in and around a cell; the more is known there,
    the more it counts against the larger cells. A plane is continued exactly.
    """
    rows, columns = (part.astype(np.float64) for part in np.divmod(pixels, cells.shape[1]))
    values = values.astype(np.float64)
    moments = [weights, weights * rows, weights * columns, weights * rows * rows, weights * rows * columns, weights * columns * columns]
    for value in values.T:
        moments += [weights * value, weights * rows * value, weights * columns * value]
    levels = _pyramid(cells.sums(pixels, *moments))
    # Value at the top left, slope down and slope along of each channel.
    planes = np.zeros((1, 1, 3 * values.shape[1]))
    for level in range(len(levels) - 1, -1, -1):
        side = cells.side * 2**level
        sums = softened(levels[level])
        if level < len(levels) - 1:
            planes = _finer(planes, sums.shape)
        share = sums[..., :1] / (sums[..., :1] + FULL * side * side) if level < len(levels) - 1 else 1.0
        planes += share * (_planes(sums, planes, RIDGE * side * side if level < len(levels) - 1 else 1.0) - planes)
    down, along = ((np.arange(count) + 0.5) * cells.side - 0.5 for count in cells.grid)
    return np.asarray(planes[..., 0::3] + planes[..., 1::3] * down[:, None, None] + planes[..., 2::3] * along[:, None], np.float32)


def continued_colours(cells: Cells, pixels: np.ndarray, colours: np.ndarray, smooth: float) -> np.ndarray:
    """Colours (n, 3) at pixels, continued: (rows, columns, 3) at the middles of the cells, without what is smaller than `smooth` pixels."""
    levels = _pyramid(cells.sums(pixels, np.ones(len(pixels)), *colours.T))
    result = None
    for level in range(len(levels) - 1, -1, -1):
        side = cells.side * 2**level
        if result is not None:
            result = _finer(result, levels[level].shape)
            if side < smooth:
                continue
        sums = softened(levels[level])
        count = sums[..., :1]
        mean = sums[..., 1:] / np.maximum(count, 1e-9)
        if result is None:
            result = mean
        else:
            result += count / (count + FULL * side * side) * (mean - result)
    assert result is not None
    return np.asarray(result, np.float32)


def nearest_marked(cells: Cells, pixels: np.ndarray) -> np.ndarray | None:
    """For each cell the nearest one that has some of the pixels: the middle of those, (rows, columns, 2) as row and column. None without any.

    Exact as a distance between cells: first along rows, then over them (after Saito and Toriwaki 1994).
    """
    if not pixels.size:
        return None
    rows, columns = np.divmod(pixels, cells.shape[1])
    sums = cells.sums(pixels, np.ones(len(pixels)), rows, columns)
    marked = sums[..., 0] > 0.0
    height, width = cells.grid
    far = 4 * (height + width)
    places = np.broadcast_to(np.arange(width, dtype=np.int32), cells.grid)
    left = np.maximum.accumulate(np.where(marked, places, -far), axis=1)
    right = np.minimum.accumulate(np.where(marked, places, far)[:, ::-1], axis=1)[:, ::-1]
    column = np.where(places - left <= right - places, left, right)
    across = (column - places) ** 2
    best, row = across.copy(), np.broadcast_to(np.arange(height, dtype=np.int32)[:, None], cells.grid).copy()
    for step in range(1, height):
        if step * step >= best.max():
            break
        for target, source, sign in ((np.s_[step:], np.s_[:-step], -1), (np.s_[:-step], np.s_[step:], 1)):
            distance = across[source] + step * step
            closer = distance < best[target]
            best[target][closer] = distance[closer]
            row[target][closer] = (np.arange(height, dtype=np.int32)[target, None] + sign * step).repeat(width, axis=1)[closer]
    column = np.take_along_axis(column, row, axis=0)
    return np.asarray((sums[..., 1:] / np.maximum(sums[..., :1], 1.0))[row, column], np.float32)


def _planes(sums: np.ndarray, coarser: np.ndarray, ridge: float) -> np.ndarray:
    """Least-squares planes through what the moments describe: value at the top left of the picture, slope down and slope along.

    Slopes are drawn to those of `coarser`, as much as if what is known had a variance of `ridge` square pixels more that says the same.
    """
    weight = np.maximum(sums[..., 0], 1e-9)
    row, column, row_row, row_column, column_column = (sums[..., i] / weight for i in range(1, 6))
    row_row += ridge - row * row
    column_column += ridge - column * column
    row_column -= row * column
    determinant = row_row * column_column - row_column * row_column
    planes = []
    for channel, first in enumerate(range(6, sums.shape[-1], 3)):
        value, row_value, column_value = (sums[..., first + i] / weight for i in range(3))
        row_value += ridge * coarser[..., 3 * channel + 1] - row * value
        column_value += ridge * coarser[..., 3 * channel + 2] - column * value
        slope_down = (row_value * column_column - column_value * row_column) / determinant
        slope_along = (column_value * row_row - row_value * row_column) / determinant
        planes += [value - slope_down * row - slope_along * column, slope_down, slope_along]
    return np.stack(planes, axis=-1)


def _pyramid(finest: np.ndarray) -> list[np.ndarray]:
    """The sums over ever larger cells, 2 x 2 of the one before, down to a single one."""
    levels = [finest]
    while max(levels[-1].shape[:2]) > 1:
        last = levels[-1]
        height, width = last.shape[:2]
        even = np.pad(last, ((0, height % 2), (0, width % 2), (0, 0)))
        pairs = even[0::2] + even[1::2]
        levels.append(pairs[:, 0::2] + pairs[:, 1::2])
    return levels


def softened(sums: np.ndarray) -> np.ndarray:
    """Each cell with half of its neighbours and a quarter of those across a corner."""
    result = sums.copy()
    result[1:] += 0.5 * sums[:-1]
    result[:-1] += 0.5 * sums[1:]
    rows = result.copy()
    result[:, 1:] += 0.5 * rows[:, :-1]
    result[:, :-1] += 0.5 * rows[:, 1:]
    return result


def _finer(field: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A field of cells at the middles of cells of half the side, linear in between and constant beyond the outermost middles."""
    for axis in (0, 1):
        field = np.moveaxis(field, axis, 0)
        before, after = np.concatenate([field[:1], field[:-1]]), np.concatenate([field[1:], field[-1:]])
        twice = np.empty((2 * len(field), *field.shape[1:]), field.dtype)
        twice[0::2] = 0.75 * field + 0.25 * before
        twice[1::2] = 0.75 * field + 0.25 * after
        field = np.moveaxis(twice, 0, axis)
    return np.array(field[: shape[0], : shape[1]])
