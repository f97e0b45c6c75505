# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms and the seamless studio stage."""

from random import Random
from typing import Any

from . import furniture
from .cameras import indoor_camera, pick
from .catalogue import HEIGHTS, WIDTHS
from .palette import OBJECT_COLOURS, ROOM_COLOURS, linear, vary
from .placing import apart, paint, span, stand, things
from .scene import Material, Scene

SOLIDS = {"ball": 1.2, "cube": 1.2, "cone": 1.0, "cylinder": 0.9, "pyramid": 0.9}
ON_STAGE = {**SOLIDS, "chair": 0.5, "table": 0.3, "lamp": 0.2, "column": 0.3}
FURNITURE = {"table": 1.5, "bed": 1.2, "chair": 1.5, "sofa": 1.3, "wardrobe": 1.1, "shelf": 1.0, "lamp": 1.0}
IN_ROOMS = {**{name: 0.55 * weight for name, weight in SOLIDS.items()}, **FURNITURE}
FLOOR_LIKE = {"wooden": ("brown", "orange"), "grey": ("grey",), "white": ("white",), "dark": ("black",)}
TONES = {
    "white": (0.90, 0.90, 0.89),
    "grey": (0.66, 0.67, 0.68),
    "beige": (0.88, 0.82, 0.72),
    "light blue": (0.70, 0.81, 0.90),
    "pink": (0.92, 0.78, 0.79),
    "black": (0.13, 0.13, 0.14),
}
TONE_WEIGHTS = {"white": 2.5, "grey": 1.5, "beige": 1.0, "light blue": 1.0, "pink": 0.6, "black": 0.6}
TONE_LIKE = {"white": ("white",), "grey": ("grey",), "pink": ("pink",), "black": ("black",)}
EMPTY = 0.13  # of all rooms have nothing in them that is named


def indoor_light(rng: Random, scene: Scene, lamp: tuple[float, float, float], strength: float, ambient: float, shade: float) -> None:
    """A lamp, warm more or less."""
    warm = rng.uniform(0.0, 0.12)
    scene.environment |= {
        "lamp": lamp,
        "sun": (strength, strength * (1 - warm / 2), strength * (1 - warm)),
        "ambient": (ambient, ambient * (1 - warm / 3), ambient * (1 - warm / 2)),
        "shade": (shade,),
    }


def room(rng: Random, scene: Scene) -> None:
    """A closed room with coloured walls, up to three things, and what hangs on the wall and lies on the floor."""
    half, back, ceiling = rng.uniform(2.2, 3.2), rng.uniform(5.0, 7.5), rng.uniform(2.5, 3.1)
    indoor_camera(rng, scene, (1.35, 1.8), (-11.0, -3.0))
    walls, floor = rng.choice(list(ROOM_COLOURS)), pick(rng, {"wooden": 2.0, "grey": 1.0, "white": 1.0, "dark": 0.8})
    paint_ = Material(vary(rng, ROOM_COLOURS[walls], 0.02))
    scene.surface(furniture.floor_of(floor), normal=(0, 1, 0))
    for normal in ((-1, 0, 0), (1, 0, 0), (0, 0, -1)):
        scene.surface(paint_, normal=normal)
    scene.surface(Material((0.93, 0.92, 0.90)), normal=(0, -1, 0))
    scene.environment |= {"room": (half, back, ceiling), "seamless": (0.0,), "tone": (0.0, 0.0, 0.0)}
    lamp = (rng.uniform(-0.5, 0.5) * half, ceiling - 0.15, rng.uniform(0.35, 0.6) * back)
    indoor_light(rng, scene, lamp, rng.uniform(0.5, 0.65), rng.uniform(0.42, 0.5), 0.75)
    scene.about |= {"walls": walls, "floor": floor, "fixtures": [], "rug": ""}
    scene.about["objects"] = furnish(rng, scene)


def furnish(rng: Random, scene: Scene) -> list[dict[str, Any]]:
    """Up to three things inside the room's walls, then what is on the walls and the floor."""
    back = scene.environment["room"][1]
    banned = (scene.about["walls"],) + FLOOR_LIKE[scene.about["floor"]]
    sides = rng.choices((("centre",), ("left",), ("right",), ("left", "right"), ("left", "centre", "right")), (2.4, 1, 1, 3, 1.4))[0]
    sides = () if rng.random() < EMPTY else sides
    used: set[str] = set()
    found: list[dict[str, Any]] = []
    taken: list[tuple[float, float]] = []
    high: list[tuple[float, float]] = []  # what hides the back wall: from x to x
    for side in sides:
        shape = pick(rng, {name: weight for name, weight in IN_ROOMS.items() if name in SOLIDS or not any(o["shape"] == name for o in found)})
        spot = inside(rng, scene, shape, side)
        if not apart(span(scene, shape, spot), taken, 0.2):
            continue
        painted = paint(rng, shape, banned, used)
        used.add(painted[0])
        yaw = 0.0 if shape in furniture.FROM_WALL else {"left": -0.5, "centre": 0.0, "right": 0.5}[side] + rng.uniform(-0.5, 0.5)
        found.append(stand(rng, scene, shape, spot, painted, side, yaw if shape in FURNITURE else None))
        taken.append(span(scene, shape, spot))
        if spot[2] > 1.05:
            width = WIDTHS[shape] * spot[2] + 0.15
            middle = spot[0] * back / spot[1]
            high.append((middle - width * back / spot[1], middle + width * back / spot[1]))
    decorate(rng, scene, high, banned + tuple(used))
    return found


def inside(rng: Random, scene: Scene, shape: str, side: str) -> tuple[float, float, float]:
    """A spot for a thing in the room, in view and clear of the walls."""
    half, back, _ = scene.environment["room"]
    height = rng.uniform(*HEIGHTS[shape]) if shape in FURNITURE else rng.uniform(0.6, 1.3)
    width = WIDTHS[shape] * height * 1.05
    deepest = back - width - 0.2
    z = rng.uniform(min(deepest, max(3.3, 2.1 * width / scene.half)), max(3.4, deepest))
    if shape in furniture.FROM_WALL:
        z = back - furniture.FROM_WALL[shape]
    limit = min(half - width - 0.1, scene.half * z * 0.96 - width)
    aside = max(min(scene.half * z * rng.uniform(0.4, 0.6), limit), 0.0 if shape in furniture.FROM_WALL else 0.22 * scene.half * z)
    return {"left": -1, "centre": rng.uniform(-0.15, 0.15), "right": 1}[side] * aside, z, height


def decorate(rng: Random, scene: Scene, high: list[tuple[float, float]], banned: tuple[str, ...]) -> None:
    """Window, picture and door on the free parts of the back wall, a rug on the floor; named in `about`."""
    half, back, _ = scene.environment["room"]
    view = min(half - 0.2, scene.half * back * 0.9)
    for name, width, likely in (("window", 0.8, 0.4), ("door", 0.55, 0.22), ("picture", 0.5, 0.4)):
        if rng.random() > likely or 2 * width > 2 * view:
            continue
        x = rng.uniform(-view + width, view - width)
        if all(x + width < a or x - width > b for a, b in high):
            getattr(furniture, name)(rng, scene, x, back)
            high.append((x - width - 0.1, x + width + 0.1))
            scene.about["fixtures"].append(name)
    if rng.random() < 0.28:
        colour = rng.choice([name for name in ("red", "blue", "green", "yellow", "purple", "white", "brown", "grey") if name not in banned])
        furniture.rug(rng, scene, rng.uniform(-0.3, 0.3), 0.62 * back, vary(rng, OBJECT_COLOURS[colour], 0.02))
        scene.about["rug"] = colour


def studio(rng: Random, scene: Scene) -> None:
    """Solids on a seamless stage."""
    name = pick(rng, TONE_WEIGHTS)
    stage = Material(TONES[name])
    indoor_camera(rng, scene, (1.5, 2.3), (-14.0, -7.0))
    scene.surface(stage, normal=(0, 1, 0))
    for normal in ((-1, 0, 0), (1, 0, 0), (0, 0, -1), (0, -1, 0)):
        scene.surface(stage, normal=normal)
    back = rng.uniform(10.0, 15.0) * max(1.0, 0.52 / scene.half)
    bright = rng.uniform(0.82, 1.0)
    tone = tuple(c * bright for c in linear(TONES[name]))
    scene.environment |= {"room": (40.0, back, 60.0), "seamless": (1.0,), "tone": tone}
    lamp = (rng.choice((-1, 1)) * rng.uniform(4, 9), rng.uniform(9, 13), rng.uniform(-5, 2))
    indoor_light(rng, scene, lamp, rng.uniform(0.62, 0.75), rng.uniform(0.36, 0.44), 0.7)
    scene.about["backdrop"] = name
    scene.about["objects"] = studio_things(rng, scene)


def studio_things(rng: Random, scene: Scene) -> list[dict[str, Any]]:
    """Solids before the studio's backdrop, none of its colour."""
    banned, reach = TONE_LIKE.get(scene.about["backdrop"], ()), (3.2, scene.environment["room"][1] - 2.5)
    found: list[dict[str, Any]] = []
    while not found:
        found = things(rng, scene, ON_STAGE, banned, reach, 0.95)
    return found
