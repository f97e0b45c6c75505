# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sky, light and haze of an open landscape."""

import math
from random import Random

from .cameras import view_top
from .palette import SKIES, SUNRISE, linear, vary
from .scene import Scene

SKY_WEIGHTS = {"clear": 2.4, "cloudy": 1.9, "sunset": 1.6, "overcast": 0.9, "night": 1.4, "fog": 0.6, "golden": 0.7}
LIGHT_FROM = {"left": 0.36, "right": 0.36, "behind": 0.18, "front": 0.10}
SHADOWS_TELL = ("clear", "cloudy", "golden")  # the skies under which one sees where the light comes from
LEAST_FOR_MOON = 16.0  # degrees of sky in view: below, mountains may hide the moon
SUNRISES = 0.3  # of all low suns


def towards(azimuth: float, elevation: float) -> tuple[float, float, float]:
    """Unit vector; azimuth 0 is straight ahead, positive to the right; radians."""
    return math.sin(azimuth) * math.cos(elevation), math.sin(elevation), math.cos(azimuth) * math.cos(elevation)


def bearing(rng: Random, source: str) -> float:
    """Azimuth in radians of light from the left, the right, behind the camera or in front of it."""
    side = {"left": -1, "right": 1}.get(source, rng.choice((-1, 1)))
    low, high = {"behind": (148, 172), "front": (4, 14)}.get(source, (62, 122))
    return side * math.radians(rng.uniform(low, high))


def light(rng: Random, scene: Scene) -> None:
    """Choose sky, light and haze, and say so in `about`: sky, moon, time, weather, light (where shadows tell)."""
    name = rng.choices(list(SKY_WEIGHTS), list(SKY_WEIGHTS.values()))[0] if scene.about["style"] != "line" else "clear"
    sunrise = name == "sunset" and rng.random() < SUNRISES
    sky = SUNRISE if sunrise else SKIES[name]
    source = rng.choices(list(LIGHT_FROM), list(LIGHT_FROM.values()))[0]
    if source == "front" and (name != "clear" or scene.about["style"] != "photographic"):
        source = rng.choice(("left", "right"))
    azimuth, elevation = bearing(rng, source), math.radians(rng.uniform(*sky.elevation))
    disc, colour, shape = (0.0, -1.0, 0.0), (1.0, 0.9, 0.7), (0.0, 0.0)
    side = rng.choice((-1, 1))
    seen = scene.half / math.tan(math.radians(27.5))  # the discs stand within a narrow view as they do within the usual one
    if source == "front":
        azimuth *= min(1.0, seen)
        elevation = math.radians(rng.uniform(13, 18)) * min(1.0, seen)
        disc, colour, shape = towards(azimuth, elevation), (1.0, 0.97, 0.86), (math.radians(1.3), 0.9)
    if name == "sunset":
        disc = towards(side * math.radians(rng.uniform(3, 20) * min(1.0, seen)), math.radians(rng.uniform(2.5, 7)))
        colour, shape = linear((1.0, rng.uniform(0.78, 0.9), rng.uniform(0.45, 0.6) + 0.15 * sunrise)), (math.radians(rng.uniform(1.6, 2.4)), 1.0)
    top = view_top(scene)
    moon = name == "night" and top > LEAST_FOR_MOON and rng.random() < 0.7
    if name == "night":
        high = rng.uniform(min(15.0, top - 4.5), min(19.0, top - 3.5)) + max(0.0, math.degrees(scene.pitch))
        disc = towards(side * math.radians(rng.uniform(4, 18) * min(1.0, seen)), math.radians(min(high, top - 3.5)))
        colour, shape = linear((0.93, 0.94, 0.88)), (math.radians(rng.uniform(1.5, 2.3)) if moon else 0.0, 0.10 if moon else 0.0)
    cloud = rng.uniform(*sky.cloud)
    scene.environment |= {
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
        "fog": (rng.uniform(*sky.fog) * (2.5 if name == "fog" and scene.about["camera"] == "bird's-eye" else 1.0),),
        "shade": (sky.shade,),
    }
    scene.about |= {
        "sky": name,
        "moon": moon,
        "time": {"sunset": "sunrise" if sunrise else "sunset", "night": "night", "golden": "golden hour"}.get(name, "day"),
        "weather": name if name in ("cloudy", "overcast", "fog") else "clear",
        "light": source if name in SHADOWS_TELL else "",
    }
