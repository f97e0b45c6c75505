# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed to scene: which stage, and what stands on it."""

import math
from random import Random
from typing import Any

from .indoors import room, studio
from .outdoors import landscape
from .palette import GROUNDS
from .placing import HORIZONTAL_ANGLE, choose, things
from .scene import Scene

__all__ = ["HORIZONTAL_ANGLE", "sample"]

STAGES = {"objects": 0.56, "landscape": 0.18, "studio": 0.14, "room": 0.12}
OUTDOOR_SHAPES = {
    "ball": 1.5, "cube": 1.5, "cone": 1.0, "cylinder": 0.8, "column": 0.5, "pyramid": 1.0, "house": 2.2, "tree": 2.4,
    "tower": 1.2, "lighthouse": 0.5, "rock": 0.6,
}  # fmt: skip
WATER_SHAPES = {"ball": 1.5, "cube": 1.0, "lighthouse": 1.2, "rock": 1.2, "pyramid": 0.6, "tower": 0.6}


def outdoors(rng: Random, scene: Scene) -> None:
    """An open landscape, with things if the scene's kind says so."""
    scene.camera_height = rng.uniform(1.5, 3.0)
    scene.pitch = math.radians(rng.uniform(-7.0, 4.0))
    landscape(rng, scene)
    scene.about["objects"] = outdoor_things(rng, scene) if scene.kind == "objects" else []


def outdoor_things(rng: Random, scene: Scene) -> list[dict[str, Any]]:
    """What stands on the scene's ground."""
    ground = scene.about["ground"]
    shapes = WATER_SHAPES if ground == "water" else OUTDOOR_SHAPES
    return things(rng, scene, shapes, GROUNDS[ground].too_alike, (3.0, 26.0 if scene.about["relief"] == "hills" else 60.0))


def sample(seed: int) -> Scene:
    """The scene of a seed."""
    rng = Random(f"jointdit {seed}")
    scene = Scene(seed=seed, kind=choose(rng, STAGES))
    scene.about = {"kind": scene.kind}
    {"objects": outdoors, "landscape": outdoors, "studio": studio, "room": room}[scene.kind](rng, scene)
    return scene
