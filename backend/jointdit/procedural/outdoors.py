# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ground, shores, roads, hills and mountains of an open landscape, and the trees, rocks and walls that belong to it."""

import math
from random import Random

from .buildings import barrier
from .cameras import pick
from .palette import GROUNDS, OBJECT_COLOURS, ROADS, SEA, Colour, linear, scaled, vary
from .placing import NO_ROAD, on_road
from .plants import bush, grove, plant
from .scene import HORIZONTAL_ANGLE, Material, Scene
from .solids import Stand, rock
from .weather import light

GROUND_WEIGHTS = {"grass": 3.2, "sand": 1.9, "snow": 1.4, "dirt": 0.9, "stone": 0.8, "water": 1.3}
MOUNTAIN_KINDS: dict[str, tuple[Colour, Colour, tuple[float, float]]] = {  # rock, second, snow line as a share of the height
    "snowy": ((0.40, 0.39, 0.42), (0.95, 0.96, 0.99), (0.22, 0.48)),
    "rocky": ((0.47, 0.42, 0.38), (0.62, 0.56, 0.50), (0.45, 0.75)),
    "green": ((0.22, 0.38, 0.16), (0.38, 0.42, 0.26), (0.55, 0.9)),
    "red": ((0.58, 0.31, 0.20), (0.74, 0.46, 0.30), (0.4, 0.7)),
}
MOUNTAINS_BY_GROUND = {
    "grass": ("snowy", "green", "rocky", "snowy"), "sand": ("red", "rocky"), "snow": ("snowy",), "dirt": ("rocky", "red", "snowy"),
    "stone": ("snowy", "rocky"), "water": ("green", "rocky", "snowy"),
}  # fmt: skip
GRAIN = {"grass": (0.9, 1.2), "sand": (0.7, 2.5), "snow": (0.6, 3.0), "dirt": (0.9, 1.0), "stone": (0.9, 1.1), "water": (0.5, 4.0)}
SHORES = {"sand": 0.45, "grass": 0.14, "stone": 0.14, "snow": 0.06}  # how likely there is water behind
ROAD_LIKELY = {"grass": 0.24, "sand": 0.12, "snow": 0.12, "dirt": 0.20, "stone": 0.12}
ROAD_KINDS: dict[str, dict[str, float]] = {
    "grass": {"asphalt": 2, "dirt": 2, "gravel": 1}, "sand": {"asphalt": 1}, "snow": {"asphalt": 1}, "dirt": {"asphalt": 1}, "stone": {"asphalt": 1, "dirt": 1},
}  # fmt: skip
TREES_ON = ("grass", "snow", "dirt")
BARRIER_LIKELY = 0.13
ROCKS_LIKELY = {"sand": 0.14, "dirt": 0.2, "stone": 0.25, "grass": 0.12, "snow": 0.1}
BUSHES_LIKELY = {"grass": 0.16, "dirt": 0.12}
LEAST_WATER = 0.11  # of the half height, between a shore and the horizon
USUAL_HALF = math.tan(math.radians(HORIZONTAL_ANGLE) / 2)


def landscape(rng: Random, scene: Scene) -> None:
    """Fill in everything but the things that stand there, and say so in `about`."""
    ground = pick(rng, GROUND_WEIGHTS)
    look = GROUNDS[ground]
    grain, size = GRAIN[ground]
    material = Material(vary(rng, look.colour), vary(rng, look.second), grain, size * rng.uniform(0.8, 1.3), water=float(ground == "water"))
    scene.surface(material, normal=(0, 1, 0))
    bare = scene.kind == "landscape"
    relief = rng.choices(("none", "hills", "mountains"), (0.15, 0.35, 0.5) if bare else (0.5, 0.2, 0.3))[0]
    if ground == "water" and relief == "hills":
        relief = "none"
    if bare and relief == "none" and scene.about["style"] == "line":  # a line alone is no drawing
        relief = "mountains"
    light(rng, scene)
    if scene.about["sky"] == "fog" or (relief == "mountains" and not scene.about["horizon"]):
        relief = "none"
    scene.about |= {"ground": ground, "relief": relief, "trees": "", "shore": "", "road": "", "barrier": "", "rocks": False, "bushes": False}
    if relief == "mountains":
        scene.about["mountains"] = rng.choice(MOUNTAINS_BY_GROUND[ground])
    scene.environment |= {"road": NO_ROAD, "road_colour": (0.0,) * 3, "shore": (0.0,) * 5, "shore_colour": linear(vary(rng, SEA, 0.02))}
    if rng.random() < SHORES.get(ground, 0):
        shore(rng, scene)
    elif rng.random() < ROAD_LIKELY.get(ground, 0):
        road(rng, scene)
    uplands(rng, scene, material)
    if bare and ground in TREES_ON and not scene.about["shore"] and rng.random() < 0.38:
        scene.about["trees"] = rng.choice(("fir", "round"))
        grove(rng, scene, scene.about["trees"])
    scatter(rng, scene)


def shore(rng: Random, scene: Scene) -> None:
    """Water behind a shore line: the sea behind a beach, a lake elsewhere."""
    beach = scene.about["ground"] == "sand"
    scene.about["shore"] = "sea" if beach else "lake"
    if scene.about["camera"] == "bird's-eye":
        start = rng.uniform(1.3, 2.2) * scene.camera_height / math.tan(-scene.pitch)
    else:
        start = rng.uniform(9, 26 if scene.about["sky"] != "fog" else 13)
        start = min(start, scene.camera_height / (LEAST_WATER * scene.half))
    slope = rng.choice((0.0, rng.uniform(-0.12, 0.12), rng.uniform(-0.45, 0.45)))
    scene.environment["shore"] = (start, slope, rng.uniform(0.2, 0.9), rng.uniform(0.08, 0.25), 1.0 if beach else 0.25)
    scene.free = 0.72 * start


def road(rng: Random, scene: Scene) -> None:
    """A road or path that runs away into the distance."""
    kind = pick(rng, ROAD_KINDS[scene.about["ground"]])
    scene.about["road"] = kind
    narrow = kind != "asphalt" and rng.random() < 0.6
    half = rng.uniform(0.6, 1.0) if narrow else rng.uniform(1.6, 2.6)
    slope = rng.choice((0.0, rng.uniform(-0.35, 0.35), rng.uniform(-0.35, 0.35))) * scene.half / USUAL_HALF
    start = rng.uniform(-1.5, 1.5) - 4 * slope
    swing = rng.uniform(0.5, 1.6) if kind != "asphalt" or rng.random() < 0.3 else 0.0
    scene.environment["road"] = (start, slope, swing, rng.uniform(0.06, 0.14), half, float(kind == "asphalt" and rng.random() < 0.75))
    scene.environment["road_colour"] = linear(vary(rng, ROADS[kind], 0.03))


def scatter(rng: Random, scene: Scene) -> None:
    """Rocks, bushes, a wall or a fence, now and then; named in `about`."""
    ground, above = scene.about["ground"], scene.about["camera"] == "bird's-eye"
    fogged = scene.about["sky"] == "fog"
    free = ground in TREES_ON and not scene.about["road"] and not scene.about["shore"] and scene.about["camera"] == "eye level"
    if free and rng.random() < BARRIER_LIKELY:
        scene.about["barrier"] = pick(rng, {"stone wall": 1.0, "brick wall": 0.8, "wooden fence": 1.6})
        z = rng.uniform(9, 15) if fogged or scene.kind == "landscape" else rng.uniform(14, 24)
        barrier(rng, scene, scene.about["barrier"], z)
        scene.free = z * (1 - 0.22 * scene.half) - 1.5
    for name, likely in (("rocks", ROCKS_LIKELY), ("bushes", BUSHES_LIKELY)):
        if rng.random() > likely.get(ground, 0):
            continue
        far = 2.2 * scene.camera_height / math.tan(-scene.pitch) if above else min(24.0, scene.free)
        near = max(6.0, 1.1 * scene.camera_height / math.tan(min(1.4, math.atan(scene.half) - scene.pitch)) + 2)
        for _ in range(rng.randint(3, 6)):
            z = rng.uniform(near, max(near + 1, far))
            x, high = rng.uniform(-0.95, 0.95) * scene.half * z, rng.uniform(0.3, 0.9) * (2 if above else 1)
            if on_road(scene, x, z, 1.0):
                continue
            scene.about[name] = True
            if name == "bushes":
                bush(rng, scene, x, z, high + 0.3)
            else:
                colour = vary(rng, scaled(OBJECT_COLOURS[rng.choice(("grey", "grey", "brown"))], 0.9), 0.03)
                scene.footprints.append((x, z, rock(scene, Stand(x, z, high, rng.uniform(0, 6), colour, colour), rng)))


def uplands(rng: Random, scene: Scene, ground: Material) -> None:
    """The hills or mountains that `about` tells of."""
    if scene.about["relief"] == "hills":
        (dunes if scene.about["ground"] == "sand" and not scene.about["shore"] else hills)(rng, scene, ground)
    if scene.about["relief"] == "mountains":
        mountains(rng, scene, scene.about["mountains"])


def hills(rng: Random, scene: Scene, ground: Material) -> None:
    """Flat ellipsoids sunk in the ground, of the ground's colour; those across water are green."""
    zoom = scene.half / USUAL_HALF
    if scene.about["shore"]:
        ground = Material(vary(rng, GROUNDS["grass"].colour), vary(rng, GROUNDS["grass"].second), 0.9, 1.5)
    for index in range(rng.randint(3, 5) + (2 if zoom > 1.2 else 0)):
        z = rng.uniform(60, 85) + index * rng.uniform(12, 30)
        tall = z * rng.uniform(0.07, 0.16) * min(1.0, zoom)
        wide, deep = z * rng.uniform(0.35, 0.7) * min(1.0, zoom), rng.uniform(22, 30) + 0.1 * z
        x = (rng.uniform(-0.55, 0.55) if index else rng.choice((-0.3, 0.3))) * z * zoom
        tint = scaled(ground.colour, rng.uniform(0.82, 1.05))
        scene.ellipsoid(
            (x, -0.15 * tall, z), (wide, tall * 1.15, deep), Material(tint, ground.second, ground.grain, ground.grain_size * 3), hill=True
        )


def dunes(rng: Random, scene: Scene, ground: Material) -> None:
    """Long low hills of sand one behind the other, a darker one after a lighter."""
    zoom = scene.half / USUAL_HALF
    z = rng.uniform(42, 50)
    for index in range(rng.randint(6, 8)):
        side = 1 if index % 2 else -1
        tall = z * rng.uniform(0.045, 0.085) * min(1.0, zoom) * (1 + 0.12 * index)
        x = side * rng.uniform(0.1, 0.5) * z * zoom
        tint = scaled(ground.colour, rng.uniform(0.98, 1.06) if index % 2 else rng.uniform(0.80, 0.88))
        material = Material(tint, scaled(tint, 0.88), 0.5, 6.0)
        scene.ellipsoid((x, -0.1 * tall, z), (z * rng.uniform(0.5, 0.8) * zoom, tall * 1.1, z * rng.uniform(0.2, 0.26)), material, hill=True)
        z *= rng.uniform(1.2, 1.35)


def mountains(rng: Random, scene: Scene, kind: str) -> None:
    """One to four ridges behind one another."""
    rocks, second, line = MOUNTAIN_KINDS[kind]
    count = rng.choices((1, 2, 3, 4), (0.22, 0.38, 0.28, 0.12))[0]
    distance = rng.uniform(160, 300)
    snow = rng.uniform(*line)
    zoom = min(1.0, scene.half / USUAL_HALF)
    for index in range(count):
        elevation = rng.uniform(0.09, 0.15) + 0.05 * index + (0.05 if count == 1 else 0) - (0.02 if count == 4 else 0)
        height = distance * elevation * 1.35 * zoom
        surface = scene.surface(Material(vary(rng, rocks), second), normal=(0, 0.5, -0.86))
        scene.curtains.append((distance, 0.45, -0.02 * height, height, height * rng.uniform(1.1, 1.7), rng.uniform(0, 32), snow, surface))
        distance *= rng.uniform(1.4, 1.9)


def village_trees(rng: Random, scene: Scene, taken: list[tuple[float, float, float]]) -> None:
    """Trees between and behind houses, none in front of one; taken: x, z and room of each house."""
    kind = rng.choice(("fir", "round", "round"))
    far = max(z for _, z, _ in taken)
    for _ in range(rng.randint(3, 7)):
        z = rng.uniform(0.75, 1.35) * far
        x, height = rng.uniform(-0.95, 0.95) * scene.half * z, rng.uniform(3.5, 6.5)
        hides = any(z < b + room and abs(x / z - a / b) < (room + 0.33 * height) / b for a, b, room in taken)
        if not hides and not on_road(scene, x, z, 1.5) and z < 1.2 * scene.free:
            plant(rng, scene, kind, x, z, height)
            scene.about["trees"] = kind
