# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera paths around what a camera looks at, as plain numbers: the same seed gives the same cameras.

Axes are Blender's: z is up, and a camera looks along its -z with y up. For every place of a path there are several tries, best first, because some
may be blocked by what stands in the scene.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

Point = tuple[float, float, float]
PATHS = ("orbit", "dolly", "random")
TRIES = 24
"""Viewpoints that are proposed for each place of a path."""
STEEPEST = 75.0
"""Degrees above or below the target, at most: straight from above there is no up."""
BACK, FORTH = -0.3, 0.55
"""Where a dolly begins and ends, as shares of the way from its camera to the target."""


@dataclass(frozen=True)
class View:
    """A camera at `position` that looks at `target`; `fov` is horizontal, in degrees."""

    position: Point
    target: Point
    fov: float

    @property
    def distance(self) -> float:
        """From the camera to its target."""
        return math.dist(self.position, self.target)


def path(kind: str, eye: Point, target: Point, count: int, fov: tuple[float, float], seed: str) -> list[list[View]]:
    """`count` places, each with `TRIES` views in the order in which they should be tried. `kind` is one of `PATHS`; eye and target lie apart."""
    random = Random(seed)
    place = {"orbit": _orbit, "dolly": _dolly, "random": _random}[kind]
    places = []
    for number in range(count):
        angle = random.uniform(*fov)
        places.append([View(*place(eye, target, number, count, attempt, random.uniform), angle) for attempt in range(TRIES)])
    return places


def looking(view: View) -> np.ndarray:
    """The camera's matrix (4, 4), from its own axes to the world's."""
    eye = np.asarray(view.position, float)
    backward = eye - np.asarray(view.target, float)
    backward /= np.linalg.norm(backward)
    right = np.cross((0.0, 0.0, 1.0), backward)
    if np.linalg.norm(right) < 1e-6:
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :] = np.stack([right, np.cross(backward, right), backward, eye], axis=1)
    return matrix


Uniform = Callable[[float, float], float]


def _orbit(eye: Point, target: Point, number: int, count: int, attempt: int, uniform: Uniform) -> tuple[Point, Point]:
    """Once around the target, from the camera's own side on; later tries come nearer, look from higher up, or step aside."""
    radius, azimuth, elevation = _around(eye, target)
    azimuth += 360.0 * number / count
    aside, up, closer = uniform(-0.5, 0.5), uniform(-8.0, 25.0), uniform(0.4, 1.2)
    if attempt:
        azimuth, elevation, radius = azimuth + aside * 360.0 / count, elevation + up, radius * closer
    return _at(target, radius, azimuth, elevation), target


def _dolly(eye: Point, target: Point, number: int, count: int, attempt: int, uniform: Uniform) -> tuple[Point, Point]:
    """From behind the camera towards the target; later tries go beside that line."""
    share = BACK + (FORTH - BACK) * (number / (count - 1) if count > 1 else 0.5)
    aside, up, step = uniform(-0.2, 0.2), uniform(-0.05, 0.15), uniform(-0.5, 0.5)
    radius, azimuth, _ = _around(eye, target)
    if not attempt:
        aside = up = step = 0.0
    share += step * (FORTH - BACK) / count
    turned = math.radians(azimuth)
    moved = (-math.sin(turned) * aside * radius, math.cos(turned) * aside * radius, up * radius)
    x, y, z = (start + share * (end - start) + more for start, end, more in zip(eye, target, moved, strict=True))
    return (x, y, z), target


def _random(eye: Point, target: Point, _number: int, _count: int, _attempt: int, uniform: Uniform) -> tuple[Point, Point]:
    """From anywhere around, past the target by up to a quarter of the distance."""
    radius, _, _ = _around(eye, target)
    aim = (
        target[0] + uniform(-0.25, 0.25) * radius,
        target[1] + uniform(-0.25, 0.25) * radius,
        target[2] + uniform(-0.08, 0.12) * radius,
    )
    return _at(target, radius * uniform(0.4, 1.4), uniform(-180.0, 180.0), uniform(-4.0, 50.0)), aim


def _around(eye: Point, target: Point) -> tuple[float, float, float]:
    """Distance, azimuth and elevation (degrees) of the eye as seen from the target."""
    x, y, z = (a - b for a, b in zip(eye, target, strict=True))
    radius = math.sqrt(x * x + y * y + z * z)
    return radius, math.degrees(math.atan2(y, x)), math.degrees(math.asin(z / radius))


def _at(target: Point, radius: float, azimuth: float, elevation: float) -> Point:
    turned, raised = math.radians(azimuth), math.radians(min(max(elevation, -STEEPEST), STEEPEST))
    flat = radius * math.cos(raised)
    return target[0] + flat * math.cos(turned), target[1] + flat * math.sin(turned), target[2] + radius * math.sin(raised)
