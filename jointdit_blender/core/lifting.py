# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disparity to depth to points, as pure functions on numpy arrays: the numbers that the scene builder is tested against.

Arrays are (height, width), row 0 at the top. Points are in Blender's camera space: x right, y up, -z forward, metres.
Computation is in the type of the input; pass float64 for a reference.
"""

from __future__ import annotations

import numpy as np

from .frame import Camera, NearFar, ScaleShift

TEAR_REACH = 24
"""Pixels over which the slope of a surface is measured: much longer than the blur of a step, so that a step is no slope."""
SLOPE_ALLOWANCE = 1.15
"""How much steeper than its surroundings a whole surface may be."""


def inverse_depth(disparity: np.ndarray, mapping: NearFar | ScaleShift) -> np.ndarray:
    """1/Z in 1/metres, same shape. What is not finite, or not in front of infinity, is NaN: a hole."""
    inverse = _mapped(disparity, mapping)
    return np.where(np.isfinite(inverse) & (inverse > 0.0), inverse, np.nan)


def depth(disparity: np.ndarray, mapping: NearFar | ScaleShift) -> np.ndarray:
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


def points(disparity: np.ndarray, camera: Camera, distance: str, mapping: NearFar | ScaleShift) -> np.ndarray:
    """The point of every pixel, (height, width, 3) metres; NaN in holes."""
    height, width = disparity.shape
    return np.asarray(rays(camera, width, height, distance) * depth(disparity, mapping)[..., None])


def tear_reach(pixels: int) -> int:
    """Over how many pixels a slope is measured along an axis of so many pixels: everywhere one side of a pixel has that many."""
    return max(1, min(TEAR_REACH, pixels // 4))


def torn_edges(inverse: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Which edges between neighbouring pixels jump in depth: (height, width - 1) and (height - 1, width) booleans.

    `inverse` is 1/Z, (height, width), NaN in holes. An edge is torn when its jump in 1/Z exceeds `threshold` times the 1/Z of its farther end
    (the relative jump in depth) plus what the slope of 1/Z over the `tear_reach` pixels before or after the edge, whichever is steeper,
    explains. 1/Z is linear in the image on every plane, so ground that runs to the horizon stays whole however steep its depth is, while
    a step of a few pixels is torn. Edges at a hole are torn, and a slope from or to a hole explains nothing.
    """
    horizontal = _torn_along_rows(inverse, threshold)
    vertical = _torn_along_rows(inverse.T, threshold).T
    return horizontal, vertical


def torn_faces(inverse: np.ndarray, threshold: float) -> np.ndarray:
    """Which quads between four pixels are left out, (height - 1, width - 1): those with a torn edge."""
    horizontal, vertical = torn_edges(inverse, threshold)
    return np.asarray(horizontal[:-1] | horizontal[1:] | vertical[:, :-1] | vertical[:, 1:])


def _mapped(disparity: np.ndarray, mapping: NearFar | ScaleShift) -> np.ndarray:
    if isinstance(mapping, NearFar):
        return np.asarray(disparity / mapping.near + (1.0 - disparity) / mapping.far)
    return np.asarray(mapping.scale * disparity + mapping.shift)


def _torn_along_rows(inverse: np.ndarray, threshold: float) -> np.ndarray:
    reach = tear_reach(inverse.shape[1])
    # Beyond the border counts as at the border: then the other side is the steeper one.
    padded = np.pad(inverse, ((0, 0), (reach, reach)), mode="edge")
    left, right = inverse[:, :-1], inverse[:, 1:]
    slopes = np.abs(left - padded[:, : -2 * reach - 1]), np.abs(padded[:, 2 * reach + 1 :] - right)
    steeper = np.maximum(*slopes) * (SLOPE_ALLOWANCE / reach)
    allowed = threshold * np.minimum(left, right) + np.where(np.isfinite(steeper), steeper, 0.0)
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
