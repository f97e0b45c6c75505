# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The things that stand in a scene, built from ellipsoids, frusta and convex polyhedra around (x, z) with a given height."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .palette import DOOR, OBJECT_COLOURS, TRUNK, WINDOW, Colour
from .scene import Material, Scene

ROCK_PLANES = 9


@dataclass(frozen=True)
class Stand:
    """Where and how large: foot at (x, z), height in metres, turned by yaw radians, painted `colour`; `second` is the roof's or stripes' colour."""

    x: float
    z: float
    height: float
    yaw: float
    colour: Colour
    second: Colour


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor below 1) or lighter."""
    red, green, blue = (min(1.0, c * factor) for c in colour)
    return red, green, blue


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
    pyramid_roof(scene, at.x, at.z, 0, at.height, half, at.yaw, Material(at.colour))
    return half


def pyramid_roof(scene: Scene, x: float, z: float, bottom: float, height: float, half: float, yaw: float, material: Material) -> None:
    """A square pyramid with half side `half` standing at height `bottom`."""
    planes = [
        (height, half, 0, height * half),
        (-height, half, 0, height * half),
        (0, half, height, height * half),
        (0, half, -height, height * half),
        (0, -1, 0, 0),
    ]
    scene.polyhedron([(plane, material) for plane in planes], (x, bottom, z), yaw)


def house(scene: Scene, at: Stand, rng: Random) -> float:
    """Box body with a gable or pyramid roof, a door and two windows on the side that faces the camera."""
    wide, deep = at.height * rng.uniform(0.46, 0.6), at.height * rng.uniform(0.34, 0.44)
    body = at.height * rng.uniform(0.52, 0.6)
    walls, roof = Material(at.colour), Material(at.second, shade(at.second, 0.8), 0.6, 0.4)
    rise, eave = at.height - body, 1.12
    scene.box((wide, body / 2, deep), (at.x, body / 2, at.z), at.yaw, walls)
    if rng.random() < 0.75:
        half = deep * eave
        slopes = [(0, half, rise, rise * half), (0, half, -rise, rise * half)]
        if rng.random() < 0.4:  # the gable looks at the camera
            half = wide * eave
            slopes = [(rise, half, 0, rise * half), (-rise, half, 0, rise * half)]
            ends = [(0, 0, 1, deep * 1.02), (0, 0, -1, deep * 1.02)]
        else:
            ends = [(1, 0, 0, wide * 1.02), (-1, 0, 0, wide * 1.02)]
        faces = [(plane, roof) for plane in slopes] + [(plane, walls) for plane in ends] + [((0, -1, 0, 0), walls)]
        scene.polyhedron(faces, (at.x, body, at.z), at.yaw)
    else:
        half = wide * eave
        pyramid_roof(scene, at.x, at.z, body, rise, half, at.yaw, roof)
    facade(scene, at, wide, deep, body)
    return (wide + deep) / 2


def facade(scene: Scene, at: Stand, wide: float, deep: float, body: float) -> None:
    """A door and two windows, thin boxes on the wall at local z = -deep."""
    sin, cos = math.sin(at.yaw), math.cos(at.yaw)

    def put(across: float, half_width: float, low: float, high: float, colour: Colour) -> None:
        position = (at.x + cos * across - sin * deep, (low + high) / 2 * body, at.z - sin * across - cos * deep)
        scene.box((half_width, (high - low) / 2 * body, 0.012 * at.height), position, at.yaw, Material(colour))

    dark_wall = sum(at.colour) < 0.5
    put(0, 0.16 * wide, 0.0, 0.62, (0.70, 0.62, 0.50) if dark_wall else DOOR)
    for across in (-0.6 * wide, 0.6 * wide):
        put(across, 0.17 * wide, 0.38, 0.72, (0.85, 0.80, 0.55) if dark_wall else WINDOW)


def tree(scene: Scene, at: Stand, rng: Random) -> float:
    """A trunk with a round, a clustered or a fir-like crown."""
    trunk = at.height * rng.uniform(0.035, 0.05)
    leaves = Material(at.colour, shade(at.colour, 0.55), 0.8, at.height * 0.09)
    scene.frustum(at.x, at.z, 0, at.height * 0.55, trunk * 1.2, trunk, Material(TRUNK, shade(TRUNK, 0.6), 0.6, at.height * 0.05))
    form = rng.random()
    if form < 0.4:
        wide = at.height * rng.uniform(0.26, 0.33)
        tall = at.height * 0.32
        scene.ellipsoid((at.x, at.height - tall, at.z), (wide, tall, wide), leaves)
    elif form < 0.65:
        for across, up, size in ((-0.17, 0.58, 0.20), (0.18, 0.62, 0.19), (0.0, 0.78, 0.22)):
            scene.ellipsoid((at.x + across * at.height, up * at.height, at.z), (size * at.height,) * 3, leaves)
    else:
        wide = at.height * rng.uniform(0.24, 0.30)
        for bottom, top, share in ((0.2, 0.62, 1.0), (0.42, 0.82, 0.78), (0.62, 1.0, 0.55)):
            scene.frustum(at.x, at.z, bottom * at.height, top * at.height, share * wide, 0, leaves)
    return at.height * 0.14


def tower(scene: Scene, at: Stand, rng: Random) -> float:
    """A round tower with a cone roof in the second colour."""
    radius = at.height * rng.uniform(0.13, 0.17)
    scene.frustum(at.x, at.z, 0, at.height * 0.7, radius * 1.1, radius, Material(at.colour))
    scene.frustum(at.x, at.z, at.height * 0.7, at.height, radius * 1.4, 0, Material(at.second))
    scene.box(
        (radius * 0.35, at.height * 0.08, radius * 0.3),
        (at.x, at.height * 0.08, at.z - radius),
        0,
        Material(DOOR if sum(at.colour) > 0.5 else (0.7, 0.6, 0.5)),
    )
    return radius * 1.1


def lighthouse(scene: Scene, at: Stand, rng: Random) -> float:
    """A striped tapering tower with a lantern and a small cap in the stripes' colour."""
    radius = at.height * rng.uniform(0.11, 0.14)
    scene.frustum(at.x, at.z, 0, at.height * 0.78, radius * 1.15, radius * 0.75, Material((0.93, 0.93, 0.92), at.colour, stripe=at.height * 0.26))
    scene.frustum(at.x, at.z, at.height * 0.78, at.height * 0.8, radius, radius, Material((0.25, 0.25, 0.27)))
    scene.frustum(at.x, at.z, at.height * 0.8, at.height * 0.9, radius * 0.5, radius * 0.5, Material((0.98, 0.93, 0.65)))
    scene.frustum(at.x, at.z, at.height * 0.9, at.height, radius * 0.75, 0, Material(at.colour))
    return radius * 1.1


def rock(scene: Scene, at: Stand, rng: Random) -> float:
    """A boulder: planes touching a flattened ellipsoid in random directions."""
    stone = Material(at.colour, shade(at.colour, 0.7), 0.7, at.height * 0.3)
    planes = [((0, -1, 0, at.height * 0.2), stone), ((0.15, 1, 0, at.height), stone)]
    turn = rng.uniform(0, math.tau)
    for index in range(ROCK_PLANES - 2):
        angle = turn + math.tau * index * 2 / (ROCK_PLANES - 2) + rng.uniform(-0.25, 0.25)
        up = rng.uniform(0.0, 0.35) if index < (ROCK_PLANES - 2) / 2 else rng.uniform(0.6, 1.1)
        length = math.hypot(1, up)
        n = (math.cos(angle) / length, up / length, math.sin(angle) / length)
        reach = at.height * math.sqrt((0.8 * n[0]) ** 2 + n[1] ** 2 + (0.8 * n[2]) ** 2) * rng.uniform(0.88, 1.0)
        planes.append(((*n, reach), stone))
    scene.polyhedron(planes, (at.x, 0, at.z), at.yaw)
    return at.height * 0.75


def table(scene: Scene, at: Stand, rng: Random) -> float:
    """A table top on four legs."""
    wide, deep, top = at.height * rng.uniform(0.75, 0.95), at.height * rng.uniform(0.5, 0.65), at.height * 0.05
    wood = Material(at.colour)
    scene.box((wide, top, deep), (at.x, at.height - top, at.z), at.yaw, wood)
    cos, sin = math.cos(at.yaw), math.sin(at.yaw)
    leg = at.height * 0.05
    for across in (-0.88 * wide, 0.88 * wide):
        for along in (-0.85 * deep, 0.85 * deep):
            foot = (at.x + cos * across + sin * along, at.height * 0.45, at.z + cos * along - sin * across)
            scene.box((leg, at.height * 0.45, leg), foot, at.yaw, wood)
    return at.height * 0.5


def bed(scene: Scene, at: Stand, rng: Random) -> float:
    """A bed along the back wall: mattress in the colour, white pillow, wooden head board."""
    wide, deep = at.height * 1.15, at.height * 0.62
    scene.box((wide, at.height * 0.24, deep), (at.x, at.height * 0.28, at.z), 0, Material(at.colour))
    head = -1 if at.x < 0 else 1
    scene.box((at.height * 0.05, at.height * 0.5, deep * 1.04), (at.x + head * wide, at.height * 0.5, at.z), 0, Material(OBJECT_COLOURS["brown"]))
    pillow = (at.x + head * wide * 0.74, at.height * 0.55, at.z)
    scene.ellipsoid(pillow, (wide * 0.2, at.height * 0.12, deep * 0.7), Material((0.95, 0.95, 0.95)))
    return at.height * 0.8


BUILDERS: dict[str, Callable[[Scene, Stand, Random], float]] = {
    builder.__name__: builder for builder in (ball, cube, cone, cylinder, column, pyramid, house, tree, tower, lighthouse, rock, table, bed)
}
HEIGHTS: dict[str, tuple[float, float]] = {  # metres
    "ball": (0.9, 3.0), "cube": (0.9, 3.0), "cone": (1.0, 3.5), "cylinder": (1.0, 3.2), "column": (2.5, 6.0), "pyramid": (1.2, 5.0),
    "house": (3.6, 7.0), "tree": (3.0, 8.0), "tower": (5.0, 13.0), "lighthouse": (6.0, 14.0),
    "rock": (0.8, 2.6), "table": (0.75, 0.85), "bed": (0.9, 1.0),
}  # fmt: skip
WIDTHS: dict[str, float] = {  # half width over height, as the camera sees it at most
    "ball": 0.5, "cube": 0.7, "cone": 0.46, "cylinder": 0.42, "column": 0.19, "pyramid": 0.9, "house": 0.75, "tree": 0.38,
    "tower": 0.24, "lighthouse": 0.17, "rock": 0.9, "table": 1.1, "bed": 1.2,
}  # fmt: skip
