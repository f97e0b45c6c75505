# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ground, hills, mountains, sky and light of an open landscape."""

import math
from random import Random

from .palette import GROUNDS, SKIES, TRUNK, Colour, linear
from .scene import Material, Scene

GROUND_WEIGHTS = {"grass": 3.0, "sand": 1.6, "snow": 1.4, "dirt": 0.9, "stone": 0.8, "water": 1.5}
SKY_WEIGHTS = {"clear": 2.6, "cloudy": 2.0, "sunset": 1.8, "overcast": 1.0, "night": 1.5}
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


def vary(rng: Random, colour: Colour, amount: float = 0.03) -> Colour:
    """The colour a little off."""
    red, green, blue = (min(1.0, max(0.0, c + rng.uniform(-amount, amount))) for c in colour)
    return red, green, blue


def landscape(rng: Random, scene: Scene) -> None:
    """Fill in everything but the things that stand there, and say so in `about`."""
    ground = rng.choices(list(GROUND_WEIGHTS), list(GROUND_WEIGHTS.values()))[0]
    look = GROUNDS[ground]
    grain, size = GRAIN[ground]
    material = Material(vary(rng, look.colour), vary(rng, look.second), grain, size * rng.uniform(0.8, 1.3), water=float(ground == "water"))
    scene.surface(material, normal=(0, 1, 0))
    bare = scene.kind == "landscape"
    relief = rng.choices(("none", "hills", "mountains"), (0.15, 0.35, 0.5) if bare else (0.5, 0.2, 0.3))[0]
    if ground == "water" and relief == "hills":
        relief = "none"
    scene.about |= {"ground": ground, "relief": relief, "trees": ""}
    if relief == "mountains":
        scene.about["mountains"] = rng.choice(MOUNTAINS_BY_GROUND[ground])
    uplands(rng, scene, material)
    if bare and ground in ("grass", "snow", "dirt") and rng.random() < 0.35:
        scene.about["trees"] = rng.choice(("fir", "round"))
        grove(rng, scene, scene.about["trees"])
    light(rng, scene)


def uplands(rng: Random, scene: Scene, ground: Material) -> None:
    """The hills or mountains that `about` tells of."""
    if scene.about["relief"] == "hills":
        hills(rng, scene, ground)
    if scene.about["relief"] == "mountains":
        mountains(rng, scene, scene.about["mountains"])


def grove(rng: Random, scene: Scene, kind: str) -> None:
    """Five to eight plain trees of one kind at different distances, none hiding the whole view."""
    count = rng.randint(5, 8)
    for index in range(count):
        z, height = rng.uniform(11, 32), rng.uniform(4, 7.5)
        x = ((index + rng.uniform(0.2, 0.8)) / count * 2 - 1) * 0.52 * z
        factor = rng.uniform(0.8, 1.1)
        colour = vary(rng, (0.18 * factor, 0.42 * factor, 0.13 * factor), 0.02)
        dark = tuple(0.55 * c for c in colour)
        leaves = Material(colour, dark, 0.8, height * 0.09)
        scene.frustum(x, z, 0, height * 0.4, height * 0.045, height * 0.04, Material(TRUNK))
        if kind == "fir":
            scene.frustum(x, z, height * 0.18, height, height * rng.uniform(0.2, 0.26), 0, leaves)
        else:
            wide = height * rng.uniform(0.24, 0.32)
            scene.ellipsoid((x, height * 0.68, z), (wide, height * 0.32, wide), leaves)


def hills(rng: Random, scene: Scene, ground: Material) -> None:
    """Flat ellipsoids sunk in the ground, of the ground's colour."""
    for index in range(rng.randint(3, 5)):
        z = rng.uniform(60, 85) + index * rng.uniform(12, 30)
        tall = z * rng.uniform(0.07, 0.16)
        wide, deep = z * rng.uniform(0.35, 0.7), rng.uniform(22, 30) + 0.1 * z
        x = (rng.uniform(-0.55, 0.55) if index else rng.choice((-0.3, 0.3))) * z
        factor = rng.uniform(0.82, 1.05)
        tint = tuple(min(1.0, c * factor) for c in ground.colour)
        scene.ellipsoid(
            (x, -0.15 * tall, z), (wide, tall * 1.15, deep), Material(tint, ground.second, ground.grain, ground.grain_size * 3), hill=True
        )


def mountains(rng: Random, scene: Scene, kind: str) -> None:
    """One to three ridges behind one another."""
    rock, second, line = MOUNTAIN_KINDS[kind]
    count = rng.choices((1, 2, 3), (0.35, 0.45, 0.2))[0]
    distance = rng.uniform(160, 300)
    snow = rng.uniform(*line)
    for index in range(count):
        elevation = rng.uniform(0.09, 0.15) + 0.05 * index + (0.05 if count == 1 else 0)
        height = distance * elevation * 1.35
        surface = scene.surface(Material(vary(rng, rock), second), normal=(0, 0.5, -0.86))
        scene.curtains.append((distance, 0.45, -0.02 * height, height, height * rng.uniform(1.1, 1.7), rng.uniform(0, 32), snow, surface))
        distance *= rng.uniform(1.5, 2.0)


def towards(azimuth: float, elevation: float) -> tuple[float, float, float]:
    """Unit vector; azimuth 0 is straight ahead, positive to the right; radians."""
    return math.sin(azimuth) * math.cos(elevation), math.sin(elevation), math.cos(azimuth) * math.cos(elevation)


def light(rng: Random, scene: Scene) -> None:
    """Sky, light and haze."""
    name = rng.choices(list(SKY_WEIGHTS), list(SKY_WEIGHTS.values()))[0]
    sky = SKIES[name]
    side = rng.choice((-1, 1))
    azimuth = side * rng.uniform(math.radians(70), math.radians(150))
    elevation = math.radians(rng.uniform(*sky.elevation))
    disc, colour, shape = (0.0, -1.0, 0.0), (1.0, 0.9, 0.7), (0.0, 0.0)
    if name == "sunset":
        azimuth = side * rng.uniform(math.radians(60), math.radians(115))
        disc = towards(side * math.radians(rng.uniform(3, 20)), math.radians(rng.uniform(2.5, 7)))
        colour, shape = linear((1.0, rng.uniform(0.78, 0.9), rng.uniform(0.45, 0.6))), (math.radians(rng.uniform(1.6, 2.4)), 1.0)
    moon = name == "night" and rng.random() < 0.7
    if name == "night":
        disc = towards(side * math.radians(rng.uniform(4, 18)), math.radians(rng.uniform(13, 19)))
        colour, shape = linear((0.93, 0.94, 0.88)), (math.radians(rng.uniform(1.5, 2.3)) if moon else 0.0, 0.10 if moon else 0.0)
    cloud = rng.uniform(*sky.cloud)
    scene.environment = {
        "light": towards(azimuth, elevation),
        "sun": sky.sun,
        "ambient": sky.ambient,
        "zenith": linear(vary(rng, sky.zenith, 0.02)),
        "horizon": linear(vary(rng, sky.horizon, 0.02)),
        "disc": disc,
        "disc_colour": colour,
        "disc_shape": shape,
        "cloud": (cloud if cloud > 0.15 else 0.0,),
        "cloud_colour": linear(sky.cloud_colour),
        "stars": (rng.uniform(0.6, 0.9) if name == "night" else 0.0,),
        "salt": (float(rng.randint(0, 40)),),
        "fog": (rng.uniform(*sky.fog),),
        "shade": (0.35 if name == "overcast" else 0.85,),
    }
    scene.about |= {"sky": name, "moon": moon}
