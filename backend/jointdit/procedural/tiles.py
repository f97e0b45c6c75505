# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which primitives the rays of a tile of the picture may meet, and which may throw shadow there: on the safe side, from their bounds."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Generic, TypeVar

import numpy as np
from torch import Tensor

Array = TypeVar("Array", np.ndarray, Tensor)

GRID = 8  # tiles along each side of a picture
TILES = GRID * GRID
NEAR = 0.05  # metres: bounds are cut off there
PAD = 0.03  # of the half width, around what bounds say: a pixel's own width and rounding
WIDE = 1e5  # metres: half the width of a mountain range
FADE = 3.0  # radii around a footprint that are shaded
ENDLESS = 30.0  # how many times its distance from the lamp a shadow reaches at most
CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)

Bounds = np.ndarray  # (N, 8, 3) corners


@dataclass(frozen=True)
class Lists(Generic[Array]):
    """For L rows the primitives that each may meet: items (L, K), of which the first counts (L,) are meant."""

    items: Array
    counts: Array

    def rows(self, index: Any) -> "Lists[Array]":
        """Those of some rows."""
        return Lists(self.items[index], self.counts[index])


def around(low: np.ndarray, high: np.ndarray) -> Bounds:
    """Corners (N, 8, 3) of boxes along the axes."""
    return ((low + high) / 2)[:, None] + CORNERS * ((high - low) / 2)[:, None]


def bounds_of(kind: str, table: np.ndarray, reaches: np.ndarray | None) -> Bounds:
    """Corners of what holds each primitive of a table (N, F)."""
    table = table.astype(np.float64)
    columns = table.T
    if kind in ("ellipsoids", "hills"):
        return around(table[:, 0:3] - table[:, 3:6], table[:, 0:3] + table[:, 3:6])
    if kind == "boxes":
        across, along = columns[6:8, :, None]
        x, y, z = (CORNERS * table[:, None, 3:6]).transpose(2, 0, 1)
        return table[:, None, 0:3] + np.stack((x * across - z * along, y, x * along + z * across), -1)
    if kind == "curtains":
        distance, lean, base, height = columns[:4]
        top, wide = base + height, np.full(len(table), WIDE)
        return around(np.stack((-wide, base, distance + lean * base), 1), np.stack((wide, top, distance + lean * top), 1))
    if kind == "frusta":
        x, z, bottom, top = columns[:4]
        radius = columns[4:6].max(0)
    elif kind == "footprints":
        x, z, radius = columns
        radius, bottom, top = FADE * radius, np.zeros(len(table)), np.zeros(len(table))
    else:
        x, y, z, radius, bottom, top = reaches.T
        bottom, top = bottom + y, top + y
    return around(np.stack((x - radius, bottom, z - radius), 1), np.stack((x + radius, top, z + radius), 1))


def window(points: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Left, right, lowest and highest (N, 4) of the hulls of points (N, P, 3) in the picture, in half widths; camera (N, 3) as in `Packed`."""
    height, pitch, half = camera.astype(np.float64).T[:, :, None]
    cos, sin = np.cos(pitch), np.sin(pitch)
    up = points[..., 1] - height
    own = np.stack((points[..., 0] / half, (up * cos - points[..., 2] * sin) / half, points[..., 2] * cos + up * sin), -1)
    depth = own[..., 2]
    front = depth >= NEAR
    found = np.empty((len(points), 4))
    place = own[..., :2] / np.where(front, depth, 1.0)[..., None]
    low, high = np.where(front[..., None], place, np.inf).min(1), np.where(front[..., None], place, -np.inf).max(1)
    cut = np.flatnonzero(front.any(1) & ~front.all(1))
    if len(cut):
        a, b = np.array(list(combinations(range(points.shape[1]), 2))).T
        start, end = own[cut][:, a], own[cut][:, b]
        crosses = (start[..., 2] >= NEAR) != (end[..., 2] >= NEAR)
        rise = np.where(crosses, end[..., 2] - start[..., 2], 1.0)
        at = ((NEAR - start[..., 2]) / rise)[..., None]
        edge = (start[..., :2] + at * (end[..., :2] - start[..., :2])) / NEAR
        low[cut] = np.minimum(low[cut], np.where(crosses[..., None], edge, np.inf).min(1))
        high[cut] = np.maximum(high[cut], np.where(crosses[..., None], edge, -np.inf).max(1))
    found[:, 0::2], found[:, 1::2] = low, high
    return found


def tile_lists(windows: np.ndarray, owners: np.ndarray, scenes: int) -> Lists[np.ndarray]:
    """For each tile of each scene, row by row from the top left, the primitives whose window touches it."""
    start = np.arange(GRID) / GRID * 2 - 1
    stop = start + 2 / GRID
    across = (windows[:, 0:1] - PAD < stop) & (windows[:, 1:2] + PAD > start)
    down = (-windows[:, 3:4] - PAD < stop) & (-windows[:, 2:3] + PAD > start)
    primitive, row, column = np.nonzero(down[:, :, None] & across[:, None, :])
    return grouped(primitive, owners[primitive] * TILES + row * GRID + column, scenes * TILES)


def grouped(primitive: np.ndarray, row: np.ndarray, rows: int) -> Lists[np.ndarray]:
    """Pairs of primitive and row as lists, primitives of a row in their order."""
    order = np.argsort(row, kind="stable")
    primitive, row = primitive[order], row[order]
    counts = np.bincount(row, minlength=rows)
    items = np.zeros((rows, counts.max(initial=0)), np.int32)
    items[row, np.arange(len(row)) - (np.cumsum(counts) - counts)[row]] = primitive
    return Lists(items, counts.astype(np.int32))


def everything(owners: np.ndarray, scenes: int) -> Lists[np.ndarray]:
    """One row a scene, which may meet all that is in the scene."""
    return grouped(np.arange(len(owners)), owners, scenes)


def seen_by_tiles(bounds: Bounds, owners: np.ndarray, camera: np.ndarray) -> Lists[np.ndarray]:
    """For each tile what its rays from the camera may meet; camera (B, 3)."""
    return tile_lists(window(bounds, camera[owners]), owners, len(camera))


def shaded_tiles(bounds: Bounds, owners: np.ndarray, camera: np.ndarray, environment: dict[str, np.ndarray]) -> Lists[np.ndarray]:
    """For each tile what may stand between the light and what is seen there, which is never below the ground."""
    top = bounds[..., 1].max(1)
    if "lamp" in environment:
        lamp = environment["lamp"].astype(np.float64)[owners]
        gap = np.maximum(lamp[:, 1] - top, 1e-9)
        away = bounds - lamp[:, None]
        times = np.minimum(top / gap, ENDLESS)
    else:
        light = environment["light"].astype(np.float64)[owners]
        away = np.broadcast_to(-light[:, None], bounds.shape)
        times = top / np.maximum(light[:, 1], 0.05)
    times = np.maximum(times, 0) * 1.01
    hull = np.concatenate((bounds, bounds + times[:, None, None] * away), 1)
    return tile_lists(window(hull, camera[owners]), owners, len(camera))
