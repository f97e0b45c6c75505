# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Houses, towers, lighthouses, and the walls and fences that bound land."""

import math
from random import Random

from .palette import DOOR, OBJECT_COLOURS, WINDOW, Colour, scaled, vary
from .scene import Material, Scene
from .solids import Stand, pyramid_roof

FRAME: Colour = (0.90, 0.89, 0.86)
PALE: Colour = (0.70, 0.62, 0.50)
LAMPLIGHT: Colour = (1.0, 0.80, 0.42)
BRICKS = {"red": 0.5, "brown": 0.3, "white": 0.08, "grey": 0.2}  # how likely a house of that colour is built of bricks
BARRIERS: dict[str, Colour] = {"stone wall": (0.56, 0.54, 0.51), "brick wall": (0.62, 0.27, 0.19), "wooden fence": (0.47, 0.32, 0.19)}
POST = 2.2  # metres between the posts of a fence


def glass(scene: Scene, dark_wall: bool) -> Material:
    """Window panes: dark by day, lit at night."""
    if scene.about.get("sky") == "night":
        return Material(LAMPLIGHT, glow=0.9)
    return Material((0.85, 0.80, 0.55) if dark_wall else WINDOW)


def house(scene: Scene, at: Stand, rng: Random) -> float:
    """Box body with a gable or pyramid roof, a chimney, a door, and windows on the sides that the camera may see."""
    wide, deep = at.height * rng.uniform(0.46, 0.6), at.height * rng.uniform(0.34, 0.44)
    body = at.height * rng.uniform(0.52, 0.6)
    brick = rng.random() < BRICKS.get(at.name, 0.0)
    if brick:
        at.notes["walls"] = "brick"
    joint = scaled(at.colour, 0.7) if at.name in ("white", "grey") else tuple(0.5 * c + 0.28 for c in at.colour)
    walls = Material(at.colour, joint, brick=0.065 * at.height) if brick else Material(at.colour)
    roof = Material(at.second, scaled(at.second, 0.8), 0.6, 0.4)
    rise, eave = at.height - body, 1.12
    at.box(scene, (wide, body / 2, deep), 0, body / 2, 0, walls)
    form = rng.random()
    if form < 0.75:
        half = deep * eave
        slopes = [(0, half, rise, rise * half), (0, half, -rise, rise * half)]
        reach = (math.hypot(wide * 1.02, half), 0, rise)
        if form < 0.3:  # the gable looks at the camera
            half = wide * eave
            slopes = [(rise, half, 0, rise * half), (-rise, half, 0, rise * half)]
            ends = [(0, 0, 1, deep * 1.02), (0, 0, -1, deep * 1.02)]
            reach = (math.hypot(deep * 1.02, half), 0, rise)
        else:
            ends = [(1, 0, 0, wide * 1.02), (-1, 0, 0, wide * 1.02)]
        plain = Material(at.colour)
        faces = [(plane, roof) for plane in slopes] + [(plane, plain) for plane in ends] + [((0, -1, 0, 0), plain)]
        scene.polyhedron(faces, (at.x, body, at.z), at.yaw, reach)
    else:
        pyramid_roof(scene, at.x, at.z, body, rise, wide * eave, deep * eave, at.yaw, roof)
    if rng.random() < 0.55:
        chimney(scene, at, rng, wide, deep, body)
    facade(scene, at, rng, wide, deep, body)
    return (wide + deep) / 2


def chimney(scene: Scene, at: Stand, rng: Random, wide: float, deep: float, body: float) -> None:
    """A chimney that comes out of the roof, half way between ridge and eave on the far side."""
    side, thick = rng.choice((-1, 1)), 0.055 * at.height
    high = at.height * rng.uniform(0.98, 1.04)
    brick = vary(rng, rng.choice(((0.48, 0.26, 0.20), (0.45, 0.43, 0.42))))
    at.box(scene, (thick, (high - body) / 2, thick), side * 0.42 * wide, (high + body) / 2, 0.12 * deep, Material(brick))
    at.box(scene, (thick * 1.25, 0.012 * at.height, thick * 1.25), side * 0.42 * wide, high, 0.12 * deep, Material(scaled(brick, 0.7)))


def facade(scene: Scene, at: Stand, rng: Random, wide: float, deep: float, body: float) -> None:
    """A door and two framed windows on the wall at local z = -deep, and one window on each side of it."""
    dark_wall = sum(at.colour) < 0.5
    pane, frame, thin = glass(scene, dark_wall), Material(FRAME if at.name != "white" else (0.55, 0.54, 0.52)), 0.012 * at.height
    door = vary(rng, PALE if dark_wall else rng.choice((DOOR, DOOR, (0.16, 0.28, 0.22), (0.42, 0.10, 0.09))), 0.02)
    at.box(scene, (0.16 * wide, 0.31 * body, thin), 0, 0.31 * body, -deep, Material(door))
    for across in (-0.6 * wide, 0.6 * wide):
        at.box(scene, (0.17 * wide, 0.17 * body, thin), across, 0.55 * body, -deep, pane)
        at.box(scene, (0.205 * wide, 0.025 * body, thin * 1.8), across, 0.36 * body, -deep, frame)
    for side in (-1, 1):
        at.box(scene, (thin, 0.17 * body, 0.2 * deep), side * wide, 0.55 * body, 0, pane)


def tower(scene: Scene, at: Stand, rng: Random) -> float:
    """A round tower with a cone roof in the second colour, a door and slits for windows."""
    radius = at.height * rng.uniform(0.13, 0.17)
    scene.frustum(at.x, at.z, 0, at.height * 0.7, radius * 1.1, radius, Material(at.colour))
    scene.frustum(at.x, at.z, at.height * 0.7, at.height, radius * 1.4, 0, Material(at.second))
    door = Material(DOOR if sum(at.colour) > 0.5 else (0.7, 0.6, 0.5))
    facing = Stand(at.x, at.z, at.height, math.atan2(at.x, at.z), at.colour, at.second)
    facing.box(scene, (radius * 0.35, at.height * 0.08, radius * 0.3), 0, at.height * 0.08, -radius, door)
    for across, up in ((0.35, 0.36), (-0.3, 0.54)):
        along = -radius * math.sqrt(1 - across * across)
        facing.box(scene, (radius * 0.13, at.height * 0.035, radius * 0.1), across * radius, up * at.height, along, glass(scene, sum(at.colour) < 0.5))
    return radius * 1.1


def lighthouse(scene: Scene, at: Stand, rng: Random) -> float:
    """A striped tapering tower with a lantern and a small cap in the stripes' colour."""
    radius = at.height * rng.uniform(0.11, 0.14)
    scene.frustum(at.x, at.z, 0, at.height * 0.78, radius * 1.15, radius * 0.75, Material((0.93, 0.93, 0.92), at.colour, stripe=at.height * 0.26))
    scene.frustum(at.x, at.z, at.height * 0.78, at.height * 0.8, radius, radius, Material((0.25, 0.25, 0.27)))
    lit = 0.9 if scene.about.get("sky") in ("night", "sunset", "fog") else 0.3
    scene.frustum(at.x, at.z, at.height * 0.8, at.height * 0.9, radius * 0.5, radius * 0.5, Material((0.98, 0.93, 0.65), glow=lit))
    scene.frustum(at.x, at.z, at.height * 0.9, at.height, radius * 0.75, 0, Material(at.colour))
    return radius * 1.1


def bench(scene: Scene, at: Stand, rng: Random) -> float:
    """A seat with a back on two legs."""
    wide, deep, seat = at.height * 0.95, at.height * 0.24, at.height * 0.5
    wood = Material(at.colour)
    at.box(scene, (wide, at.height * 0.04, deep), 0, seat, 0, wood)
    for up in (0.72, 0.93):
        at.box(scene, (wide, at.height * 0.07, at.height * 0.03), 0, up * at.height, deep, wood)
    for across in (-0.8 * wide, 0.8 * wide):
        at.box(scene, (at.height * 0.05, seat / 2, deep * 0.9), across, seat / 2, 0, wood)
        at.box(scene, (at.height * 0.05, at.height * 0.24, at.height * 0.03), across, 0.74 * at.height, deep * 1.05, wood)
    return at.height * 0.5


def barrier(rng: Random, scene: Scene, name: str, z: float) -> None:
    """A wall or fence across the view, `z` metres away, a little aslant, with an end in view now and then."""
    yaw = rng.uniform(-0.22, 0.22)
    reach = scene.half * z * 1.5 + 3
    shift = rng.choice((0, 0, -1, 1)) * rng.uniform(0.7, 1.1) * scene.half * z
    at = Stand(shift, z, 1.0, yaw, (0, 0, 0), (0, 0, 0))
    own = vary(rng, BARRIERS[name], 0.04)
    if name == "wooden fence":
        if rng.random() < 0.25:
            own = vary(rng, OBJECT_COLOURS["white"], 0.02)
        wood, high = Material(own, scaled(own, 0.7), 0.5, 0.3), rng.uniform(0.9, 1.2)
        for up in (0.4, 0.82):
            at.box(scene, (reach, 0.07, 0.035), 0, up * high, 0, wood)
        count = int(2 * reach / POST)
        for index in range(count + 1):
            at.box(scene, (0.07, high / 2, 0.07), -reach + 2 * reach * index / count, high / 2, 0, wood)
        return
    high = rng.uniform(0.8, 1.3)
    stone = Material(own, scaled(own, 0.55), brick=0.32) if name == "stone wall" else Material(own, (0.72, 0.66, 0.60), brick=0.22)
    at.box(scene, (reach, high / 2, 0.25), 0, high / 2, 0, stone)
    at.box(scene, (reach + 0.04, 0.05, 0.30), 0, high + 0.05, 0, Material(scaled(own, 0.85)))
