# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things put into a scene: which shape, which colour, where, and how large in the picture."""

import math
from random import Random
from typing import Any

from .cameras import pick
from .catalogue import BUILDERS, HEIGHTS, WIDTHS
from .palette import OBJECT_COLOURS, Colour
from .scene import Scene
from .solids import Stand

TREE_COLOURS = {
    "green": ((0.20, 0.46, 0.12), 7.0),
    "orange": ((0.90, 0.45, 0.08), 1.2),
    "yellow": ((0.92, 0.76, 0.14), 1.0),
    "red": ((0.74, 0.14, 0.08), 0.8),
    "pink": ((0.96, 0.62, 0.76), 1.2),
}
ROCK_COLOURS = {"grey": 3.0, "brown": 1.5, "black": 0.6, "red": 0.4}
BENCH_COLOURS = {"brown": 3.0, "white": 1.0, "red": 0.7, "green": 0.7, "blue": 0.6, "black": 0.5}
FURNITURE_COLOURS = {"brown": 2.0, "white": 1.6, "black": 1.0, "grey": 1.0, "red": 1.0, "blue": 1.0, "green": 0.9, "yellow": 0.8, "orange": 0.6}
HOUSE_COLOURS = {
    "white": 3.0, "red": 1.5, "yellow": 1.5, "blue": 1.3, "brown": 1.2, "pink": 1.0, "green": 0.9, "grey": 0.9, "orange": 0.9, "purple": 0.5, "black": 0.3,
}  # fmt: skip
BY_SHAPE = {
    "rock": ROCK_COLOURS, "bench": BENCH_COLOURS, "house": HOUSE_COLOURS, "tower": HOUSE_COLOURS,
    "lighthouse": {"red": 3.0, "blue": 1.5, "black": 1.0, "green": 0.5},
    "chair": FURNITURE_COLOURS, "wardrobe": FURNITURE_COLOURS, "shelf": FURNITURE_COLOURS, "tree": {name: weight for name, (_, weight) in TREE_COLOURS.items()},
}  # fmt: skip
OTHERS = {name: 0.6 if name in ("brown", "grey") else 1.0 for name in OBJECT_COLOURS}
ROOFS = ("red", "brown", "grey", "blue", "black", "orange", "green", "purple")
SIDES = {"left": (-0.62, -0.36), "centre": (-0.10, 0.10), "right": (0.36, 0.62)}  # of the half width
MARGIN = 0.04  # of the half height, kept free under a thing's foot
ROOMY = 1.0  # a thing may reach this far out, in half widths of the picture
OVERLAP = 0.35  # at most this share of the narrower of two things may lie over the other in the picture
TALL = ("tower", "lighthouse", "column", "tree")
ROOTED = ("house", "tree", "tower", "lighthouse", "bench", "column")
NO_ROAD = (0.0,) * 6
LEAST = 0.09  # of the picture's height: nothing is put so far away that it is lower
SMALL, LARGE = 0.24, 0.48  # of the picture's height: things up to the one are called small, from the other on large
ATTEMPTS = 40

Spot = tuple[float, float, float]  # x, z, height in metres


def paint(rng: Random, shape: str, banned: tuple[str, ...], used: set[str]) -> tuple[str, Colour]:
    """A colour name and its slightly varied sRGB for a shape."""
    weights = BY_SHAPE.get(shape, OTHERS)
    if shape not in ("tree", "lighthouse"):
        weights = {name: weight for name, weight in weights.items() if name not in banned}
    fresh = {name: weight for name, weight in weights.items() if name not in used}
    name = pick(rng, fresh or weights)
    colour = TREE_COLOURS[name][0] if shape == "tree" else OBJECT_COLOURS[name]
    factor, wander = rng.uniform(0.9, 1.06), 0.006 if name in ("white", "grey", "black") else 0.025
    red, green, blue = (min(1.0, max(0.0, c * factor + rng.uniform(-wander, wander))) for c in colour)
    return name, (red, green, blue)


def seen_at(scene: Scene, y: float, z: float) -> tuple[float, float]:
    """Depth of a point straight ahead, and its height in the picture in half heights above the middle."""
    cos, sin = math.cos(scene.pitch), math.sin(scene.pitch)
    up = y - scene.camera_height
    depth = z * cos + up * sin
    return depth, (up * cos - z * sin) / depth / scene.half


def on_road(scene: Scene, x: float, z: float, room: float) -> bool:
    """Whether a place is within `room` metres of the scene's road."""
    start, slope, swing, wave, half, _ = scene.environment.get("road", NO_ROAD)
    return half > 0 and abs(x - start - slope * z - swing * math.sin(wave * z)) < half + room


def span(scene: Scene, shape: str, spot: Spot) -> tuple[float, float]:
    """Left and right end of a thing in the picture, in half widths from the centre, on the safe side."""
    x, z, height = spot
    unit = scene.half * seen_at(scene, 0.5 * height, z)[0]
    half = WIDTHS[shape] * height / unit
    return x / unit - half, x / unit + half


def apart(mine: tuple[float, float], others: list[tuple[float, float]], overlap: float = OVERLAP) -> bool:
    """Whether nothing hides much of anything else."""
    return all(min(mine[1], b) - max(mine[0], a) < overlap * min(mine[1] - mine[0], b - a) for a, b in others)


def place(
    rng: Random, scene: Scene, shape: str, side: str, share: tuple[float, float], reach: tuple[float, float], taken: list[tuple[float, float]]
) -> Spot | None:
    """A spot where the thing takes about `share` of the picture's height, `reach` metres away, wholly in view; None if none was found.

    Nothing that is built or grows stands on a road.
    """
    half = scene.half
    for attempt in range(ATTEMPTS):
        height = rng.uniform(*HEIGHTS[shape])
        part = rng.uniform(*share) * (1 - 0.45 * attempt / ATTEMPTS)  # smaller and smaller
        z = height / (2 * half * part)
        if scene.about["camera"] == "bird's-eye":  # anywhere that is seen
            z = rng.uniform(0.62, 1.25) * scene.camera_height / math.tan(-scene.pitch)
        nearest = z - height * WIDTHS[shape] * 0.8
        if not reach[0] <= z <= reach[1] or nearest < 1.0:
            continue
        depth, foot = seen_at(scene, 0.0, nearest)
        if height < LEAST * 2 * half * depth:
            continue
        if depth <= 0.5 or foot < MARGIN - 1 or max(seen_at(scene, height, z)[1], seen_at(scene, 0.8 * height, nearest)[1]) > 1 - MARGIN:
            continue
        spot = (rng.uniform(*SIDES[side]) * half * seen_at(scene, 0.5 * height, z)[0], z, height)
        if shape in ROOTED and on_road(scene, spot[0], z, 0.8 * WIDTHS[shape] * height):
            continue
        mine = span(scene, shape, spot)
        if mine[0] > -ROOMY and mine[1] < ROOMY and apart(mine, taken):
            return spot
    return None


def stand(rng: Random, scene: Scene, shape: str, spot: Spot, paint_: tuple[str, Colour], side: str, yaw: float | None = None) -> dict[str, Any]:
    """Build a thing and say what it is."""
    x, z, height = spot
    name, colour = paint_
    thing: dict[str, Any] = {"shape": shape, "colour": name, "side": side}
    second = colour
    if shape in ("house", "tower"):
        thing["roof"] = rng.choice([roof for roof in ROOFS if roof != name])
        second = OBJECT_COLOURS[thing["roof"]]
    if yaw is None:
        yaw = math.atan2(x, z) + rng.uniform(-0.75, 0.75)
        if shape == "cube":  # two sides to be seen
            yaw = math.atan2(x, z) + rng.choice((-1, 1)) * rng.uniform(0.25, 0.78)
    share = height / (2 * scene.half * seen_at(scene, 0.5 * height, z)[0])
    thing["size"] = "small" if share < SMALL else "large" if share > LARGE else ""
    at = Stand(x, z, height, yaw, colour, second, name)
    radius = BUILDERS[shape](scene, at, rng)
    scene.footprints.append((x, z, radius))
    return thing | at.notes


def things(
    rng: Random,
    scene: Scene,
    shapes: dict[str, float],
    banned: tuple[str, ...],
    reach: tuple[float, float],
    size: float = 1.0,
    counts: tuple[float, float, float] = (0.55, 0.33, 0.12),
) -> list[dict[str, Any]]:
    """One to three things, each on its own side, differing in colour; `size` scales their share of the picture."""
    count = rng.choices((1, 2, 3), counts)[0]
    single, pairs = (("left",), ("centre",), ("right",)), (("left", "right"), ("left", "centre"), ("centre", "right"), ("left", "right"))
    sides = {1: rng.choices(single, (1, 2, 1))[0], 2: rng.choice(pairs), 3: ("left", "centre", "right")}[count]
    low, high = {1: (0.26, 0.58), 2: (0.22, 0.44), 3: (0.18, 0.34)}[count]
    used: set[str] = set()
    taken: list[tuple[float, float]] = []
    found: list[dict[str, Any]] = []
    for side in sides:
        spot = None
        for _ in range(ATTEMPTS):
            shape = pick(rng, shapes)
            grow = 1.2 if shape in TALL else 1.0
            spot = place(rng, scene, shape, side, (low * size * grow, high * size * grow), reach, taken)
            if spot is not None or found:
                break
        if spot is None:
            continue
        painted = paint(rng, shape, banned, used)
        used.add(painted[0])
        taken.append(span(scene, shape, spot))
        found.append(stand(rng, scene, shape, spot, painted, side))
    return found
