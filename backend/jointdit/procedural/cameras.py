# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the camera stands, where it looks and how wide."""

import math
from random import Random

from .scene import Scene

LENSES = {"normal": 0.75, "wide": 0.125, "telephoto": 0.125}
WIDE, TELEPHOTO = (75.0, 85.0), (30.0, 38.0)  # degrees
SKY_IN_VIEW = 4.0  # degrees of sky above the horizon, from where on there is one to speak of
HEIGHTS = {"eye level": 0.80, "bird's-eye": 0.12, "low": 0.08}


def pick(rng: Random, weights: dict[str, float]) -> str:
    """A key by weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


def lens(rng: Random, scene: Scene) -> None:
    """The field of view, and its name in `about`."""
    scene.about["lens"] = pick(rng, LENSES)
    if scene.about["lens"] != "normal":
        scene.angle = rng.uniform(*(WIDE if scene.about["lens"] == "wide" else TELEPHOTO))


def outdoor_camera(rng: Random, scene: Scene) -> None:
    """Lens, height and pitch in the open, and their names in `about`; there also whether the horizon is in view."""
    lens(rng, scene)
    name = pick(rng, HEIGHTS)
    if name == "bird's-eye" and scene.about["lens"] == "telephoto":
        name = "eye level"
    scene.about["camera"] = name
    narrow = min(1.0, scene.half / math.tan(math.radians(27.5)))
    if name == "eye level":
        scene.camera_height, pitch = rng.uniform(1.3, 3.4), rng.uniform(-9.0, 5.0)
    elif name == "low":
        scene.camera_height, pitch = rng.uniform(0.35, 0.8), rng.uniform(0.0, 9.0)
    else:
        scene.camera_height, pitch = 8.0 + 17.0 * rng.random() ** 2, rng.uniform(-30.0, -15.0)
    scene.pitch = math.radians(pitch * narrow)
    scene.about["horizon"] = view_top(scene) > SKY_IN_VIEW


def view_top(scene: Scene) -> float:
    """Elevation of the picture's upper edge in degrees."""
    return math.degrees(scene.pitch + math.atan(scene.half))


def indoor_camera(rng: Random, scene: Scene, height: tuple[float, float], pitch: tuple[float, float]) -> None:
    """Lens, height and pitch (degrees) indoors."""
    lens(rng, scene)
    scene.about["camera"] = "eye level"
    scene.camera_height = rng.uniform(*height)
    scene.pitch = math.radians(rng.uniform(*pitch) * min(1.0, scene.half / math.tan(math.radians(27.5))))
