# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plane that things stand on, found in the points of a frame.

RANSAC (Fischler and Bolles, 1981) over points whose surface faces up, then iteratively reweighted least squares. What counts is the distance
from the plane relative to the distance from the camera: depth from disparity is the less certain the farther it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LONGEST_SIDE = 192
"""At most so many points along each side of the picture are looked at."""
SCORED = 6000
TRIALS = 400
GREATEST_TILT = 40.0
"""Degrees between the ground's normal and the expected up."""
FACING = 30.0
"""Degrees between the ground's normal and that of a surface that belongs to it."""
TOLERANCE = 0.02
"""Distance from the plane, relative to the distance from the camera, up to which a point lies on it."""
LEAST_SHARE = 0.04
TOO_FEW = 50
BELOW = 2.0
"""How much a point below a plane speaks against it: what has something below it is a table, a stair or a roof."""


class GroundError(ValueError):
    """No ground was found; `str(error)` is a sentence for a person: what happened, what to do."""


@dataclass(frozen=True)
class Plane:
    """Points with normal . p + height = 0. `normal` is (3,), of length 1, and points up; `height` is how far the camera is above the plane, in
    metres, above 0; `share` is the part of all points that lie on it, 0 to 1."""

    normal: np.ndarray
    height: float
    share: float


def ground_plane(points: np.ndarray, up: tuple[float, float, float] = (0.0, 1.0, 0.0)) -> Plane:
    """The ground in camera-space points (height, width, 3), metres, NaN in holes: the lowest large plane that faces up.

    `up` is about where up is, within 40 degrees, in the same space. The same points give the same plane. Raises `GroundError`.
    """
    expected = np.asarray(up, np.float64)
    expected /= np.linalg.norm(expected)
    every = max(1, -(-max(points.shape[:2]) // LONGEST_SIDE))
    grid = points[::every, ::every].astype(np.float64)
    normals = _normals(grid)
    length = np.linalg.norm(grid, axis=-1)
    usable = np.isfinite(length) & (length > 0.0)
    if int(usable.sum()) < TOO_FEW:
        raise GroundError("There are too few points to find the ground in; choose a frame with more depth, or align it by hand.")
    # A plane n . p + h = 0 is linear in these: directions, and 1 / distance.
    seen = np.concatenate([grid[usable] / length[usable, None], 1.0 / length[usable, None]], axis=-1)
    normals = normals[usable]
    facing = normals @ expected > np.cos(np.radians(GREATEST_TILT + FACING / 2.0))
    if int(facing.sum()) < max(TOO_FEW, LEAST_SHARE * len(seen)):
        raise GroundError("No ground was found, because hardly any surface faces up; choose a frame that shows the ground, or align it by hand.")
    best = _search(seen, normals, facing, expected)
    if best is None:
        raise GroundError("No ground was found, because no large surface is level; choose a frame that shows the ground, or align it by hand.")
    plane = _refined(best, seen, normals)
    on_it = _on(plane, seen, normals)
    share = float(on_it.mean())
    if share < LEAST_SHARE or plane[3] <= 0.0 or plane[:3] @ expected < np.cos(np.radians(GREATEST_TILT)):
        raise GroundError("No ground was found, because no large surface is level; choose a frame that shows the ground, or align it by hand.")
    return Plane(plane[:3].copy(), float(plane[3]), share)


def _normals(grid: np.ndarray) -> np.ndarray:
    """Normals of length 1 of points (h, w, 3), from the points two columns and two rows apart; NaN at holes and where it is not known."""
    height, width, _ = grid.shape
    rows, columns = np.arange(height), np.arange(width)
    down = grid[np.minimum(rows + 1, height - 1)] - grid[np.maximum(rows - 1, 0)]
    along = grid[:, np.minimum(columns + 1, width - 1)] - grid[:, np.maximum(columns - 1, 0)]
    normal = np.cross(down, along)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    return np.asarray(normal / np.where(length > 0.0, length, np.nan))


def _search(seen: np.ndarray, normals: np.ndarray, facing: np.ndarray, expected: np.ndarray) -> np.ndarray | None:
    """The best plane (4,) through three points that face up: much lies on it and little below; None when there is none."""
    random = np.random.default_rng(0)
    pool = seen[facing]
    picked = pool[random.integers(len(pool), size=(TRIALS, 3))]
    corners = picked[..., :3] / picked[..., 3:]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=-1)
    normal = normal[length > 1e-9] / length[length > 1e-9, None]
    normal *= np.sign(normal @ expected)[:, None]
    height = -(normal * corners[length > 1e-9, 0]).sum(axis=-1)
    usable = (normal @ expected > np.cos(np.radians(GREATEST_TILT))) & (height > 0.0)
    if not usable.any():
        return None
    planes = np.concatenate([normal, height[:, None]], axis=-1)[usable]
    some = random.permutation(len(seen))[:SCORED]
    above = planes @ seen[some].T
    faces = planes[:, :3] @ np.nan_to_num(normals[some]).T > np.cos(np.radians(FACING))
    score = ((np.abs(above) < TOLERANCE) & faces).mean(axis=1) - BELOW * (above < -2.0 * TOLERANCE).mean(axis=1)
    return np.asarray(planes[int(np.argmax(score))])


def _refined(plane: np.ndarray, seen: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """A plane (4,) fitted to what lies on it, with Tukey's weights, so that the feet of things do not lift it."""
    reach = TOLERANCE
    for _ in range(12):
        above = seen @ plane
        chosen = _on(plane, seen, normals) & (np.abs(above) < reach)
        if int(chosen.sum()) < 3:
            break
        weight = 1.0 - (above[chosen] / reach) ** 2
        # The plane changes by two small turns and a lift: least squares without a constraint.
        sideways = np.linalg.svd(plane[None, :3])[2][1:]
        turns = seen[chosen, :3] @ sideways.T
        design = np.concatenate([turns, seen[chosen, 3:]], axis=-1)
        change = np.linalg.lstsq(design * weight[:, None], -above[chosen] * weight, rcond=None)[0]
        plane = plane + np.append(change[:2] @ sideways, change[2])
        plane = plane / np.linalg.norm(plane[:3])
        spread = 1.4826 * float(np.median(np.abs(above[chosen])))
        reach = min(TOLERANCE, max(4.685 * spread, 1e-6))
    return plane


def _on(plane: np.ndarray, seen: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Which points (n,) lie on the plane and face as it does."""
    with np.errstate(invalid="ignore"):
        return np.asarray((np.abs(seen @ plane) < TOLERANCE) & (normals @ plane[:3] > np.cos(np.radians(FACING))))
