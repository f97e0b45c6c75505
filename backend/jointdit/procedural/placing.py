# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things put into a scene: which shape, which colour, where, and how large in the picture."""

import math
from random import Random
from typing import Any

from .palette import OBJECT_COLOURS, Colour
from .scene import Scene
from .solids import BUILDERS, HEIGHTS, WIDTHS, Stand

HORIZONTAL_ANGLE: float = 55.0  # degrees
HALF = math.tan(math.radians(HORIZONTAL_ANGLE) / 2)  # half width of the image plane at distance 1

TREE_COLOURS = {
    "green": ((0.20, 0.46, 0.12), 7.0),
    "orange": ((0.90, 0.45, 0.08), 1.2),
    "yellow": ((0.92, 0.76, 0.14), 1.0),
    "red": ((0.74, 0.14, 0.08), 0.8),
    "pink": ((0.96, 0.62, 0.76), 1.2),
}
ROCK_COLOURS = {"grey": 3.0, "brown": 1.5, "black": 0.6, "red": 0.4}
HOUSE_COLOURS = {
    "white": 3.0,
    "red": 1.5,
    "yellow": 1.5,
    "blue": 1.3,
    "brown": 1.2,
    "pink": 1.0,
    "green": 0.9,
    "grey": 0.9,
    "orange": 0.9,
    "purple": 0.5,
    "black": 0.3,
}
ROOFS = ("red", "brown", "grey", "blue", "black", "orange", "green", "purple")
SIDES = {"left": (-0.62, -0.36), "centre": (-0.10, 0.10), "right": (0.36, 0.62)}  # of the half width
MARGIN = 0.04  # of the half height, kept free under a thing's foot
ROOMY = 1.04  # a thing may reach this far out, in half widths of the picture
OVERLAP = 0.35  # at most this share of the narrower of two things may lie over the other in the picture
TALL = ("tower", "lighthouse", "column", "tree")
ATTEMPTS = 40

Spot = tuple[float, float, float]  # x, z, height in metres


def choose(rng: Random, weights: dict[str, float]) -> str:
    """A key by weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


def paint(rng: Random, shape: str, banned: tuple[str, ...], used: set[str]) -> tuple[str, Colour]:
    """A colour name and its slightly varied sRGB for a shape."""
    if shape == "tree":
        weights: dict[str, float] = {name: weight for name, (_, weight) in TREE_COLOURS.items()}
    elif shape == "rock":
        weights = {name: weight for name, weight in ROCK_COLOURS.items() if name not in banned}
    elif shape in ("house", "tower"):
        weights = {name: weight for name, weight in HOUSE_COLOURS.items() if name not in banned}
    elif shape == "lighthouse":
        weights = {"red": 3.0, "blue": 1.5, "black": 1.0, "green": 0.5}
    else:
        weights = {name: 0.6 if name in ("brown", "grey") else 1.0 for name in OBJECT_COLOURS if name not in banned}
    fresh = {name: weight for name, weight in weights.items() if name not in used}
    name = choose(rng, fresh or weights)
    colour = TREE_COLOURS[name][0] if shape == "tree" else OBJECT_COLOURS[name]
    factor, wander = rng.uniform(0.9, 1.06), 0.006 if name in ("white", "grey", "black") else 0.025
    red, green, blue = (min(1.0, max(0.0, c * factor + rng.uniform(-wander, wander))) for c in colour)
    return name, (red, green, blue)


def span(shape: str, spot: Spot) -> tuple[float, float]:
    """Left and right end of a thing in the picture, in half widths from the centre, on the safe side."""
    x, z, height = spot
    half = WIDTHS[shape] * height / (HALF * z)
    return x / (HALF * z) - half, x / (HALF * z) + half


def apart(mine: tuple[float, float], others: list[tuple[float, float]]) -> bool:
    """Whether nothing hides much of anything else."""
    return all(min(mine[1], b) - max(mine[0], a) < OVERLAP * min(mine[1] - mine[0], b - a) for a, b in others)


def place(
    rng: Random, scene: Scene, shape: str, side: str, share: tuple[float, float], reach: tuple[float, float], taken: list[tuple[float, float]]
) -> Spot | None:
    """A spot where the thing takes about `share` of the picture's height, `reach` metres away, wholly in view; None if none was found."""
    for attempt in range(ATTEMPTS):
        height = rng.uniform(*HEIGHTS[shape])
        part = rng.uniform(*share) * (1 - 0.45 * attempt / ATTEMPTS)  # smaller and smaller
        z = height / (2 * HALF * part)
        spot = (rng.uniform(*SIDES[side]) * HALF * z, z, height)
        nearest = z - height * WIDTHS[shape] * 0.8
        if not reach[0] <= z <= reach[1] or nearest < 1.0:
            continue
        foot = math.tan(math.atan2(scene.camera_height, nearest) + scene.pitch)
        mine = span(shape, spot)
        top = math.tan(math.atan2(height - scene.camera_height, z) - scene.pitch)
        if foot < HALF * (1 - MARGIN) and top < HALF * (1 - MARGIN) and mine[0] > -ROOMY and mine[1] < ROOMY and apart(mine, taken):
            return spot
    return None


def stand(rng: Random, scene: Scene, shape: str, spot: Spot, paint_: tuple[str, Colour], side: str) -> dict[str, Any]:
    """Build a thing and say what it is."""
    x, z, height = spot
    name, colour = paint_
    thing: dict[str, Any] = {"shape": shape, "colour": name, "side": side}
    second = colour
    if shape in ("house", "tower"):
        thing["roof"] = rng.choice([roof for roof in ROOFS if roof != name])
        second = OBJECT_COLOURS[thing["roof"]]
    yaw = rng.uniform(-0.4, 0.4) if shape == "table" else math.atan2(x, z) + rng.uniform(-0.75, 0.75)
    if shape == "cube":  # two sides to be seen
        yaw = math.atan2(x, z) + rng.choice((-1, 1)) * rng.uniform(0.25, 0.78)
    radius = BUILDERS[shape](scene, Stand(x, z, height, yaw, colour, second), rng)
    scene.footprints.append((x, z, radius))
    return thing


def things(
    rng: Random, scene: Scene, shapes: dict[str, float], banned: tuple[str, ...], reach: tuple[float, float], size: float = 1.0
) -> list[dict[str, Any]]:
    """One to three things, each on its own side, differing in colour; `size` scales their share of the picture."""
    count = rng.choices((1, 2, 3), (0.55, 0.33, 0.12))[0]
    single, pairs = (("left",), ("centre",), ("right",)), (("left", "right"), ("left", "centre"), ("centre", "right"), ("left", "right"))
    sides = {1: rng.choices(single, (1, 2, 1))[0], 2: rng.choice(pairs), 3: ("left", "centre", "right")}[count]
    low, high = {1: (0.26, 0.58), 2: (0.22, 0.44), 3: (0.18, 0.34)}[count]
    used: set[str] = set()
    taken: list[tuple[float, float]] = []
    found: list[dict[str, Any]] = []
    for side in sides:
        spot = None
        while spot is None:
            shape = choose(rng, shapes)
            grow = 1.2 if shape in TALL else 1.0
            spot = place(rng, scene, shape, side, (low * size * grow, high * size * grow), reach, taken)
            if spot is None and found:
                break
        if spot is None:
            continue
        painted = paint(rng, shape, banned, used)
        used.add(painted[0])
        taken.append(span(shape, spot))
        found.append(stand(rng, scene, shape, spot, painted, side))
    return found
