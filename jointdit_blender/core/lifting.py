# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disparity to depth to points, as pure functions on numpy arrays: the numbers that the scene builder is tested against.

Arrays are (height, width), row 0 at the top. Points are in Blender's camera space: x right, y up, -z forward, metres.
Computation is in the type of the input; pass float64 for a reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame import Camera, NearFar, ScaleShift

FARTHEST = 1e5
"""Metres beyond which nothing is pinned: positions in float32 mean little there, so that it counts as sky."""
TEAR_REACH = 24
"""Pixels over which the slope of a surface is measured: much longer than the blur of a step, so that a step is no slope."""
SLOPE_ALLOWANCE = 1.15
"""How much steeper than its surroundings a whole surface may be."""


@dataclass(frozen=True)
class Pinned:
    """Distances `near` and `far` in metres at the disparities `at_near` and `at_far`: how the live group keeps every mapping.

    With n = (d - at_far) / (at_near - at_far) and n' = sign(n) |n|^gamma, 1/Z = 1/far + n' (1/near - 1/far).
    """

    near: float
    far: float
    at_near: float = 1.0
    at_far: float = 0.0
    gamma: float = 1.0


Mapping = NearFar | ScaleShift | Pinned


def pin(mapping: NearFar | ScaleShift, disparity: np.ndarray) -> Pinned:
    """The same mapping in the form of the group, exact whatever range the disparity has.

    A mapping by scale and shift is pinned at the nearest and the farthest pixel up to `FARTHEST`, so that near and far are true distances.
    Raises ValueError with a sentence when no pixel is at a usable distance.
    """
    if isinstance(mapping, NearFar):
        return Pinned(mapping.near, mapping.far)
    values = disparity.astype(np.float64)
    inverse = inverse_depth(values, mapping)
    seen = inverse > 1.0 / FARTHEST
    if not seen.any():
        raise ValueError("No pixel is at a usable distance; check scale and shift of the mapping.")
    values, inverse = values[seen], inverse[seen]
    nearest, farthest = int(inverse.argmax()), int(inverse.argmin())
    at_near, at_far = float(values[nearest]), float(values[farthest])
    # On a flat wall any other disparity may stand for the same distance.
    return Pinned(1.0 / float(inverse[nearest]), 1.0 / float(inverse[farthest]), at_near, at_far if at_far != at_near else at_near - 1.0)


def nearness(disparity: np.ndarray, mapping: Mapping) -> np.ndarray:
    """Disparity such that 0 is the far end and 1 the near end of the mapping, same shape; what the sky cut-off is measured in.

    A mapping by scale and shift has no ends: it must be pinned first, else ValueError.
    """
    if isinstance(mapping, ScaleShift):
        raise ValueError("a mapping by scale and shift has no near and far end; pin it")
    if isinstance(mapping, NearFar):
        return disparity
    return np.asarray((disparity - mapping.at_far) / (mapping.at_near - mapping.at_far))


def inverse_depth(disparity: np.ndarray, mapping: Mapping) -> np.ndarray:
    """1/Z in 1/metres, same shape. What is not finite, or not in front of infinity, is NaN: a hole."""
    inverse = _mapped(disparity, mapping)
    return np.where(np.isfinite(inverse) & (inverse > 0.0), inverse, np.nan)


def depth(disparity: np.ndarray, mapping: Mapping) -> np.ndarray:
    """The distance Z in metres, same shape; NaN in holes. What it measures is the frame's `distance`."""
    return 1.0 / inverse_depth(disparity, mapping)


def rays(camera: Camera, width: int, height: int, distance: str) -> np.ndarray:
    """One direction a pixel, (height, width, 3) float64, scaled so that `ray * Z` is the point for a Z of kind `distance`.

    Rays go through pixel centres. Raises ValueError when a kind of distance has no meaning for the projection
    (planar distance around a panorama).
    """
    u = ((np.arange(width) + 0.5) / width)[None, :]
    v = ((np.arange(height) + 0.5) / height)[:, None]
    half = np.radians(camera.horizontal_angle) / 2.0
    if camera.projection == "perspective":
        pixel = 2.0 * np.tan(half) / width
        x = (u - camera.principal_point[0]) * width * pixel
        y = (camera.principal_point[1] - v) * height * pixel
        direction = np.stack(np.broadcast_arrays(x, y, -1.0), axis=-1)
    else:
        longitude = (2.0 * u - 1.0) * half
        half_vertical = np.radians(_vertical_angle(camera)) / 2.0
        up = 1.0 - 2.0 * v
        y = up * np.tan(half_vertical) if camera.projection == "cylindrical" else np.tan(up * half_vertical)
        direction = np.stack(np.broadcast_arrays(np.sin(longitude), y, -np.cos(longitude)), axis=-1)
    return np.asarray(direction / _measure(direction, distance, camera.projection)[..., None])


def points(disparity: np.ndarray, camera: Camera, distance: str, mapping: Mapping) -> np.ndarray:
    """The point of every pixel, (height, width, 3) metres; NaN in holes."""
    height, width = disparity.shape
    return np.asarray(rays(camera, width, height, distance) * depth(disparity, mapping)[..., None])


def vertex_pixels(pixels: int, step: int, wraps: bool = False) -> np.ndarray:
    """Which pixels of an axis of the image have a vertex when there is one every `step` pixels; from the left or the top.

    An axis that wraps starts at its first pixel and has at least three vertices; another one keeps equal margins.
    """
    last = pixels - 1
    step = max(1, min(step, last // 2 if wraps else last))
    first = 0 if wraps else last % step // 2
    return np.arange(first, pixels, step)


def tear_reach(vertices: int, step: int = 1) -> int:
    """Over how many vertices a slope is measured along an axis of so many vertices, one every `step` pixels.

    Everywhere one side of a vertex has that many.
    """
    return max(1, min(TEAR_REACH // step, vertices // 4))


def torn_edges(inverse: np.ndarray, threshold: float, wraps: bool = False, step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Which edges between neighbours jump in depth: (height, width - 1) and (height - 1, width) booleans.

    `inverse` is 1/Z, (height, width), NaN in holes, taken every `step` pixels. When it `wraps`, the last column has the first one as its
    right neighbour, and the first result is (height, width).

    An edge is torn when its jump in 1/Z exceeds `threshold` times the 1/Z of its farther end
    (the relative jump in depth) plus what the slope of 1/Z over the `tear_reach` before or after the edge, whichever is steeper,
    explains. 1/Z is linear in the image on every plane, so ground that runs to the horizon stays whole however steep its depth is, while
    a step of a few pixels is torn. Edges at a hole are torn, and a slope from or to a hole explains nothing: the other side's counts.
    """
    horizontal = _torn_along_rows(inverse, threshold, wraps, step)
    vertical = _torn_along_rows(inverse.T, threshold, False, step).T
    return horizontal, vertical


def torn_faces(inverse: np.ndarray, threshold: float, wraps: bool = False, step: int = 1) -> np.ndarray:
    """Which quads between four neighbours are left out: those with a torn edge. (height - 1, width - 1), or (height - 1, width) when it wraps."""
    horizontal, vertical = torn_edges(inverse, threshold, wraps, step)
    right = np.roll(vertical, -1, axis=1) if wraps else vertical[:, 1:]
    left = vertical if wraps else vertical[:, :-1]
    return np.asarray(horizontal[:-1] | horizontal[1:] | left | right)


def _mapped(disparity: np.ndarray, mapping: Mapping) -> np.ndarray:
    if isinstance(mapping, ScaleShift):
        return np.asarray(mapping.scale * disparity + mapping.shift)
    part = nearness(disparity, mapping)
    if isinstance(mapping, Pinned) and mapping.gamma != 1.0:
        part = np.sign(part) * np.abs(part) ** mapping.gamma
    return np.asarray(part * (1.0 / mapping.near - 1.0 / mapping.far) + 1.0 / mapping.far)


def _torn_along_rows(inverse: np.ndarray, threshold: float, wraps: bool, step: int) -> np.ndarray:
    reach = tear_reach(inverse.shape[1], step)
    # Beyond a border counts as at the border: then the other side is the steeper one.
    padded = np.pad(inverse, ((0, 0), (reach, reach + wraps)), mode="wrap" if wraps else "edge")
    edges = inverse.shape[1] - (not wraps)
    before, left, right, after = (padded[:, start : start + edges] for start in (0, reach, reach + 1, 2 * reach + 1))
    # To a hole there is no slope; the other side's counts.
    steeper = np.nan_to_num(np.fmax(np.abs(left - before), np.abs(after - right)), nan=0.0) * (SLOPE_ALLOWANCE / reach)
    allowed = threshold * np.minimum(left, right) + steeper
    return np.asarray(~(np.abs(right - left) <= allowed))


def _vertical_angle(camera: Camera) -> float:
    if camera.vertical_angle is None:
        raise ValueError("a panorama needs a vertical angle")
    return camera.vertical_angle


def _measure(direction: np.ndarray, distance: str, projection: str) -> np.ndarray:
    if distance == "radial":
        return np.asarray(np.linalg.norm(direction, axis=-1))
    if distance == "horizontal":
        return np.asarray(np.hypot(direction[..., 0], direction[..., 2]))
    if projection != "perspective":
        raise ValueError("planar distance has no meaning for a panorama")
    return -direction[..., 2]
