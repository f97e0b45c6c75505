# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes in closed form around a camera, seen all around and in perspective: the truth that panoramas are tested against.

Everything is ray casting in numpy, float64, without a line of the engine's geometry. Axes: x right, y up, -z forward; metres; the camera is at the origin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jointdit.panorama.sphere import View

Scene = Callable[[np.ndarray], np.ndarray]
"""Unit directions (..., 3) -> inverse distances (...) along them, in 1/metres; 0 is the sky."""


def inside_box(low: Sequence[float], high: Sequence[float]) -> Scene:
    """A room with these corners, the camera inside."""

    def cast(directions: np.ndarray) -> np.ndarray:
        walls = np.where(directions > 0, high, low)
        return np.asarray((directions / walls).max(-1))

    return cast


def outside_box(low: Sequence[float], high: Sequence[float]) -> Scene:
    """A box with these corners, the camera outside."""

    def cast(directions: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            one, other = np.asarray(low) / directions, np.asarray(high) / directions
        enter, leave = np.minimum(one, other).max(-1), np.maximum(one, other).min(-1)
        return np.where((enter < leave) & (enter > 0), 1 / np.maximum(enter, 1e-9), 0.0)

    return cast


def ball(center: Sequence[float], radius: float) -> Scene:
    def cast(directions: np.ndarray) -> np.ndarray:
        along = directions @ np.asarray(center)
        squared = along**2 - np.dot(center, center) + radius**2
        return np.where((squared > 0) & (along > 0), 1 / np.maximum(along - np.sqrt(np.maximum(squared, 0)), 1e-9), 0.0)

    return cast


def ground(below: float, farthest: float = np.inf) -> Scene:
    """Flat ground that ends at this distance."""

    def cast(directions: np.ndarray) -> np.ndarray:
        inverse = np.maximum(-directions[..., 1] / below, 0)
        return np.where(inverse >= 1 / farthest, inverse, 0.0)

    return cast


def together(*scenes: Scene) -> Scene:
    """The nearest of all."""
    return lambda directions: np.max([scene(directions) for scene in scenes], axis=0)


def turned(scene: Scene, yaw: float) -> Scene:
    """The scene turned to the right around the camera, by degrees."""
    angle = np.radians(yaw)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return lambda directions: scene(directions @ turn.T)


ROOM = inside_box((-2.6, -1.5, -3.4), (1.7, 1.1, 2.2))
FURNISHED = together(ROOM, outside_box((-1.6, -1.5, -2.4), (-0.7, -0.2, -1.5)), ball((1.0, -0.7, -1.3), 0.35), outside_box((0.2, -1.5, 1.2), (1.0, 0.2, 1.6)))
THINGS = (
    ball((2.0, -0.6, -5.0), 1.0),
    ball((-4.0, 0.5, -1.0), 1.2),
    ball((6.0, 2.0, 7.0), 2.0),
    outside_box((-3.0, -1.6, -8.0), (-1.0, 2.5, -6.0)),
    outside_box((3.0, -1.6, 2.0), (5.0, 1.0, 3.5)),
    outside_box((-9.0, -1.6, 6.0), (-2.0, 4.0, 9.0)),
)
OUTDOORS = together(ground(1.6, 40.0), *THINGS)
"""Ground that ends at 40 m, balls and boxes on it, sky."""
ENDLESS = together(ground(1.6), *THINGS)
"""The same with ground to the horizon."""


def all_around(height: int) -> np.ndarray:
    """(height, 2 height, 3): unit directions of the pixel centres of a panorama."""
    longitude = ((np.arange(2 * height) + 0.5) / height - 1) * np.pi
    latitude = (0.5 - (np.arange(height)[:, None] + 0.5) / height) * np.pi
    return np.stack(np.broadcast_arrays(np.cos(latitude) * np.sin(longitude), np.sin(latitude), -np.cos(latitude) * np.cos(longitude)), axis=-1)


def inverse_depth(scene: Scene, view: View, height: int, width: int) -> np.ndarray:
    """(height, width): 1 over the planar depth of a scene in a view, in 1/metres."""
    half = np.tan(np.radians(view.angle) / 2)
    x = ((np.arange(width) + 0.5) / width - view.principal_point[0]) * 2 * half
    y = ((view.principal_point[1] * height - np.arange(height) - 0.5) / width * 2 * half)[:, None]
    right, up, back = np.broadcast_arrays(x, y, 1.0)
    yaw, pitch = np.radians(view.yaw), np.radians(view.pitch)
    up, back = up * np.cos(pitch) + back * np.sin(pitch), back * np.cos(pitch) - up * np.sin(pitch)
    rays = np.stack([right * np.cos(yaw) + back * np.sin(yaw), up, right * np.sin(yaw) - back * np.cos(yaw)], axis=-1)
    length = np.linalg.norm(rays, axis=-1)
    return scene(rays / length[..., None]) * length


def seen(scene: Scene, views: Sequence[View], size: int, noise: float = 0.0, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Disparities from 0 to 1 of square views with noise, and the scales (N,) and shifts (N,) in 1/metres that undo them.

    A view without structure becomes zeros; its scale is NaN.
    """
    draw = np.random.default_rng(seed)
    disparities, scales, shifts = [], [], []
    for view in views:
        inverse = inverse_depth(scene, view, size, size)
        low, high = inverse.min(), inverse.max()
        structured = high - low > 1e-9 * high
        disparity = (inverse - low) / (high - low) if structured else np.zeros_like(inverse)
        disparities.append((disparity + noise * draw.standard_normal(inverse.shape)).clip(0, 1))
        scales.append(high - low if structured else np.nan)
        shifts.append(low)
    return disparities, np.array(scales), np.array(shifts)


def errors(estimate: np.ndarray, truth: np.ndarray, scaled: bool = True) -> tuple[float, float, float]:
    """(AbsRel, its median, delta1) of inverse distances (H, 2 H) where the truth is no sky, each pixel by its solid angle; one scale is free if `scaled`.

    The scale is the median of the ratios. An estimate beyond 1000 m counts as there.
    """
    ground_truth = truth > 0
    weight = np.broadcast_to(np.sin((np.arange(len(truth))[:, None] + 0.5) / len(truth) * np.pi), truth.shape)[ground_truth]
    estimate, truth = estimate[ground_truth], truth[ground_truth]
    scale = np.median(truth / np.maximum(estimate, 1e-6)) if scaled else 1.0
    ratio = truth / np.maximum(estimate * scale, 1e-3)
    relative = np.abs(ratio - 1)
    within = np.maximum(ratio, 1 / ratio) < 1.25
    return float(np.average(relative, weights=weight)), float(np.median(relative)), float(np.average(within, weights=weight))
