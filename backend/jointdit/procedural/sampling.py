# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed to scene: which stage, and what stands on it."""

from random import Random
from typing import Any

from .cameras import outdoor_camera, pick
from .catalogue import WIDTHS
from .indoors import room, studio
from .outdoors import landscape, village_trees
from .palette import GROUNDS
from .placing import paint, place, span, stand, things
from .scene import HORIZONTAL_ANGLE, Scene
from .styles import STYLES

__all__ = ["HORIZONTAL_ANGLE", "sample"]

STAGES = {"objects": 0.52, "landscape": 0.19, "studio": 0.11, "room": 0.18}
OUTDOOR_SHAPES = {
    "ball": 1.5, "cube": 1.5, "cone": 1.0, "cylinder": 0.8, "column": 0.5, "pyramid": 1.0, "house": 2.6, "tree": 2.6,
    "tower": 1.2, "lighthouse": 0.5, "rock": 0.8, "bench": 0.4,
}  # fmt: skip
BEACH_SHAPES = {"lighthouse": 1.5, "house": 1.0, "rock": 1.0, "tree": 0.5, "ball": 1.2, "tower": 0.5, "cube": 0.6, "cone": 0.5, "bench": 0.3}
WATER_SHAPES = {"ball": 1.5, "cube": 1.0, "lighthouse": 1.2, "rock": 1.2, "pyramid": 0.6, "tower": 0.6}
FROM_ABOVE = {"house": 3.0, "tree": 2.0, "tower": 1.0, "lighthouse": 0.5, "pyramid": 0.8}
VILLAGES = 0.13  # of the scenes with things on grass, snow or dirt


def outdoors(rng: Random, scene: Scene) -> None:
    """An open landscape, with things if the scene's kind says so."""
    outdoor_camera(rng, scene)
    landscape(rng, scene)
    scene.about |= {"group": "", "objects": []}
    if scene.kind == "landscape":
        return
    if scene.about["ground"] in ("grass", "snow", "dirt") and scene.about["camera"] != "low" and rng.random() < VILLAGES:
        scene.about["objects"] = village(rng, scene)
    if len(scene.about["objects"]) > 1:
        scene.about["group"] = "village"
    elif not scene.about["objects"]:
        scene.about["objects"] = outdoor_things(rng, scene)
    if not scene.about["objects"]:  # nothing fits into this view
        scene.kind = scene.about["kind"] = "landscape"


def reach(scene: Scene) -> tuple[float, float]:
    """How near and far things may stand."""
    far = 26.0 if scene.about["relief"] == "hills" else 60.0
    if scene.about["camera"] == "bird's-eye":
        far = 90.0 if scene.about["relief"] != "hills" else 34.0
    if scene.about["sky"] == "fog":
        far = 20.0 if scene.about["camera"] != "bird's-eye" else 40.0
    return 3.0, min(far, scene.free)


def outdoor_things(rng: Random, scene: Scene) -> list[dict[str, Any]]:
    """What stands on the scene's ground."""
    ground = scene.about["ground"]
    shapes = WATER_SHAPES if ground == "water" else BEACH_SHAPES if scene.about["shore"] == "sea" else OUTDOOR_SHAPES
    if scene.about["camera"] == "bird's-eye":
        shapes = {name: weight for name, weight in FROM_ABOVE.items() if ground != "water" or name in WATER_SHAPES}
    return things(rng, scene, shapes, GROUNDS[ground].too_alike, reach(scene))


def village(rng: Random, scene: Scene) -> list[dict[str, Any]]:
    """Two to four houses at different distances, side by side in the picture, and trees around them."""
    sides = rng.choice((("left", "right"), ("left", "centre", "right"), ("left", "centre", "right"), ("left", "left", "centre", "right")))
    spans: list[tuple[float, float]] = []
    taken: list[tuple[float, float, float]] = []
    used: set[str] = set()
    found = []
    for side in sides:
        spot = place(rng, scene, "house", side, (0.13, 0.30), reach(scene), spans)
        if spot is None:
            continue
        painted = paint(rng, "house", GROUNDS[scene.about["ground"]].too_alike, used)
        used.add(painted[0])
        spans.append(span(scene, "house", spot))
        taken.append((spot[0], spot[1], WIDTHS["house"] * spot[2]))
        found.append(stand(rng, scene, "house", spot, painted, side))
    if len(found) > 1:
        village_trees(rng, scene, taken)
    return found


def styled(rng: Random, scene: Scene) -> None:
    """Choose the style: named in `about`, and what the renderer needs for it."""
    style = pick(rng, STYLES)
    scene.about["style"] = style
    scene.environment["flat"] = (float(style == "flat"),)
    scene.about["coloured"] = style != "line" or rng.random() < 0.5
    if style == "line":
        scene.fill, scene.warm = rng.uniform(0.45, 0.6) if scene.about["coloured"] else 0.0, rng.choice((0.0, 0.0, 1.0))


def sample(seed: int) -> Scene:
    """The scene of a seed."""
    rng = Random(f"jointdit {seed}")
    scene = Scene(seed=seed, kind=pick(rng, STAGES))
    scene.about = {"kind": scene.kind}
    styled(rng, scene)
    {"objects": outdoors, "landscape": outdoors, "studio": studio, "room": room}[scene.kind](rng, scene)
    return scene

