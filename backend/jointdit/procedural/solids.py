# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain solids and rocks, built around (x, z) with a given height. Every builder returns the radius of the shade around its foot."""

import math
from dataclasses import dataclass, field
from random import Random
from typing import Any

from .palette import Colour, scaled
from .scene import Material, Scene

ROCK_PLANES = 9


@dataclass(frozen=True)
class Stand:
    """Where and how large: foot at (x, z), height in metres, turned by yaw radians, painted `colour`; `second` is the roof's or stripes' colour.

    `name` is the colour's; `notes` takes what a builder wants said of the thing.
    """

    x: float
    z: float
    height: float
    yaw: float
    colour: Colour
    second: Colour
    name: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    def at(self, across: float, along: float) -> tuple[float, float]:
        """x and z of a place in the thing's own axes."""
        sin, cos = math.sin(self.yaw), math.cos(self.yaw)
        return self.x + cos * across + sin * along, self.z + cos * along - sin * across

    def box(self, scene: Scene, half: tuple[float, float, float], across: float, up: float, along: float, material: Material) -> None:
        """A box turned as the thing is, its middle at a place in the thing's own axes."""
        x, z = self.at(across, along)
        scene.box(half, (x, up, z), self.yaw, material)


def ball(scene: Scene, at: Stand, rng: Random) -> float:
    radius = at.height / 2
    scene.ellipsoid((at.x, radius, at.z), (radius,) * 3, Material(at.colour))
    return radius * 0.6


def cube(scene: Scene, at: Stand, rng: Random) -> float:
    half = at.height / 2
    scene.box((half,) * 3, (at.x, half, at.z), at.yaw, Material(at.colour))
    return half * 1.1


def cone(scene: Scene, at: Stand, rng: Random) -> float:
    radius = at.height * rng.uniform(0.36, 0.46)
    scene.frustum(at.x, at.z, 0, at.height, radius, 0, Material(at.colour))
    return radius


def cylinder(scene: Scene, at: Stand, rng: Random) -> float:
    radius = at.height * rng.uniform(0.30, 0.42)
    scene.frustum(at.x, at.z, 0, at.height, radius, radius, Material(at.colour))
    return radius


def column(scene: Scene, at: Stand, rng: Random) -> float:
    radius = at.height * rng.uniform(0.09, 0.13)
    scene.frustum(at.x, at.z, 0.07 * at.height, 0.93 * at.height, radius, radius * 0.9, Material(at.colour))
    slab = radius * 1.45
    for middle in (0.035, 0.965):
        scene.box((slab, 0.035 * at.height, slab), (at.x, middle * at.height, at.z), at.yaw, Material(at.colour))
    return slab


def pyramid(scene: Scene, at: Stand, rng: Random) -> float:
    half = at.height * rng.uniform(0.55, 0.68)
    pyramid_roof(scene, at.x, at.z, 0, at.height, half, half, at.yaw, Material(at.colour))
    return half


def pyramid_roof(scene: Scene, x: float, z: float, bottom: float, height: float, wide: float, deep: float, yaw: float, material: Material) -> None:
    """A pyramid with half sides `wide` and `deep` standing at height `bottom`."""
    planes = [
        (height, wide, 0, height * wide),
        (-height, wide, 0, height * wide),
        (0, deep, height, height * deep),
        (0, deep, -height, height * deep),
        (0, -1, 0, 0),
    ]
    scene.polyhedron([(plane, material) for plane in planes], (x, bottom, z), yaw, (math.hypot(wide, deep), 0, height))


def rock(scene: Scene, at: Stand, rng: Random) -> float:
    """A boulder: planes touching a flattened ellipsoid in random directions."""
    stone = Material(at.colour, scaled(at.colour, 0.7), 0.7, at.height * 0.3)
    planes = [((0, -1, 0, at.height * 0.2), stone), ((0.15, 1, 0, at.height), stone)]
    turn = rng.uniform(0, math.tau)
    for index in range(ROCK_PLANES - 2):
        angle = turn + math.tau * index * 2 / (ROCK_PLANES - 2) + rng.uniform(-0.25, 0.25)
        up = rng.uniform(0.0, 0.35) if index < (ROCK_PLANES - 2) / 2 else rng.uniform(0.6, 1.1)
        length = math.hypot(1, up)
        n = (math.cos(angle) / length, up / length, math.sin(angle) / length)
        reach = at.height * math.sqrt((0.8 * n[0]) ** 2 + n[1] ** 2 + (0.8 * n[2]) ** 2) * rng.uniform(0.88, 1.0)
        planes.append(((*n, reach), stone))
    scene.polyhedron(planes, (at.x, 0, at.z), at.yaw, (2.2 * at.height, -0.2 * at.height, 1.5 * at.height))
    return at.height * 0.75
