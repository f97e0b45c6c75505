# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms and the seamless studio stage."""

import math
from random import Random
from typing import Any

from .palette import FLOORS, ROOM_COLOURS, linear
from .placing import HALF, choose, paint, stand, things
from .scene import Material, Scene
from .solids import HEIGHTS, WIDTHS

SOLIDS = {"ball": 1.2, "cube": 1.2, "cone": 1.0, "cylinder": 0.9, "pyramid": 0.9}
FURNITURE = {**SOLIDS, "table": 1.6, "bed": 1.2}


def indoor_light(rng: Random, scene: Scene, lamp: tuple[float, float, float], strength: float, ambient: float, shade: float) -> None:
    warm = rng.uniform(0.0, 0.12)
    scene.environment |= {
        "lamp": lamp,
        "sun": (strength, strength * (1 - warm / 2), strength * (1 - warm)),
        "ambient": (ambient, ambient * (1 - warm / 3), ambient * (1 - warm / 2)),
        "shade": (shade,),
    }


def room(rng: Random, scene: Scene) -> None:
    """A closed room with coloured walls and one to three things."""
    half, back, ceiling = rng.uniform(2.2, 3.2), rng.uniform(5.0, 7.5), rng.uniform(2.5, 3.1)
    scene.camera_height = rng.uniform(1.4, 1.75)
    scene.pitch = math.radians(rng.uniform(-10.0, -4.0))
    walls, floor = rng.choice(list(ROOM_COLOURS)), rng.choice(list(FLOORS))
    colour, second = FLOORS[floor]
    paint_ = Material(ROOM_COLOURS[walls])
    scene.surface(Material(colour, second, 0.7, 0.25), normal=(0, 1, 0))
    for normal in ((-1, 0, 0), (1, 0, 0), (0, 0, -1)):
        scene.surface(paint_, normal=normal)
    scene.surface(Material((0.93, 0.92, 0.90)), normal=(0, -1, 0))
    scene.environment = {"room": (half, back, ceiling), "seamless": (0.0,), "tone": (0.0, 0.0, 0.0)}
    indoor_light(
        rng,
        scene,
        (rng.uniform(-0.5, 0.5) * half, ceiling - 0.15, rng.uniform(0.35, 0.6) * back),
        rng.uniform(0.5, 0.65),
        rng.uniform(0.42, 0.5),
        0.75,
    )
    scene.about |= {"walls": walls, "floor": floor}
    scene.about["objects"] = furnish(rng, scene)


def furnish(rng: Random, scene: Scene) -> list[dict[str, Any]]:
    """One or two things inside the room's walls."""
    half, back, _ = scene.environment["room"]
    banned = (scene.about["walls"],) + {"wooden": ("brown", "orange"), "grey": ("grey",), "white": ("white",), "dark": ("black",)}[scene.about["floor"]]
    sides = rng.choices((("centre",), ("left",), ("right",), ("left", "right")), (3, 1, 1, 3))[0]
    used: set[str] = set()
    found: list[dict[str, Any]] = []
    for side in sides:
        shape = choose(
            rng, {name: weight for name, weight in FURNITURE.items() if not (name in ("table", "bed") and any(o["shape"] == name for o in found))}
        )
        height = rng.uniform(*HEIGHTS[shape]) if shape in ("table", "bed") else rng.uniform(0.7, 1.3)
        width = WIDTHS[shape] * height * 1.05
        deepest = back - width - 0.2
        z = rng.uniform(min(deepest, max(3.3, 2.1 * width / HALF)), max(3.4, deepest))
        limit = min(half - width - 0.1, HALF * z * 0.96 - width)
        aside = max(min(HALF * z * rng.uniform(0.4, 0.6), limit), 0.22 * HALF * z)
        x = {"left": -1, "centre": rng.uniform(-0.15, 0.15), "right": 1}[side] * aside
        painted = paint(rng, shape, banned, used)
        used.add(painted[0])
        found.append(stand(rng, scene, shape, (x, z, height), painted, side))
    return found


def studio(rng: Random, scene: Scene) -> None:
    """Solids on a seamless stage."""
    tones = {
        "white": (0.90, 0.90, 0.89),
        "grey": (0.66, 0.67, 0.68),
        "beige": (0.88, 0.82, 0.72),
        "light blue": (0.70, 0.81, 0.90),
        "pink": (0.92, 0.78, 0.79),
        "black": (0.13, 0.13, 0.14),
    }
    weights = {"white": 2.5, "grey": 1.5, "beige": 1.0, "light blue": 1.0, "pink": 0.6, "black": 0.6}
    name = choose(rng, weights)
    stage = Material(tones[name])
    scene.camera_height = rng.uniform(1.5, 2.3)
    scene.pitch = math.radians(rng.uniform(-14.0, -7.0))
    scene.surface(stage, normal=(0, 1, 0))
    for normal in ((-1, 0, 0), (1, 0, 0), (0, 0, -1), (0, -1, 0)):
        scene.surface(stage, normal=normal)
    back = rng.uniform(10.0, 15.0)
    bright = rng.uniform(0.82, 1.0)
    tone = tuple(c * bright for c in linear(tones[name]))
    scene.environment = {"room": (40.0, back, 60.0), "seamless": (1.0,), "tone": tone}
    indoor_light(
        rng,
        scene,
        (rng.choice((-1, 1)) * rng.uniform(4, 9), rng.uniform(9, 13), rng.uniform(-5, 2)),
        rng.uniform(0.62, 0.75),
        rng.uniform(0.36, 0.44),
        0.7,
    )
    scene.about["backdrop"] = name
    scene.about["objects"] = studio_things(rng, scene)


def studio_things(rng: Random, scene: Scene) -> list[dict[str, Any]]:
    """Solids before the studio's backdrop, none of its colour."""
    banned = {"white": ("white",), "grey": ("grey",), "pink": ("pink",), "black": ("black",), "light blue": (), "beige": ()}[scene.about["backdrop"]]
    return things(rng, scene, SOLIDS, banned, (3.2, scene.environment["room"][1] - 2.5), 0.95)
