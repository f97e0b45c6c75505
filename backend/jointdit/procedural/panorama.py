# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds to panoramas with exact distance: the scene of a seed, and other things on the same stage on its other sides.

A side is a scene in its own axes, turned to the right by quarter turns: four of them outdoors and in the studio, and two in a room, which close it.
Directions from outside are those of `jointdit.panorama`: x right, y up, -z forward. The first side looks forward, level.
"""

import math
from dataclasses import dataclass, replace
from random import Random
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..panorama.sphere import equirectangular_rays
from .captions import caption
from .casting import Vector
from .indoors import furnish, studio_things
from .outdoors import GRAIN, uplands
from .packing import Packed, pack
from .palette import GROUNDS
from .plants import grove
from .render import RAYS_AT_ONCE, encode
from .sampling import outdoor_things, sample
from .scene import Material, Scene
from .shading import shade
from .tracing import Hits, nearest, steps
from .weather import towards

FAR = 0.75  # how likely another side has hills or mountains, where the first has
FINER = 2  # rays along each side of a pixel
FACE = 4.0  # apart in the plane of the stars are the faces of their cube, a whole number of star cells
THINGS = {"objects": outdoor_things, "landscape": lambda rng, scene: [], "studio": studio_things, "room": furnish}

Number = TypeVar("Number", float, Tensor)


@dataclass(frozen=True)
class Panorama:
    """A panorama with its geometry and words.

    image (3, H, 2H) float32 sRGB in [0, 1]; distance (H, 2H) float32 metres along the pixel centre's ray, inf in the sky; sky (H, 2H) bool.
    The caption is that of the view ahead. The attributes are those of its scene, "kind" among them, and "around": the objects of each side, to the right.
    """

    image: Tensor
    distance: Tensor
    sky: Tensor
    caption: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class World:
    """What a ray may meet: `views[i]` is the world in axes turned to the right by `turns[i]` quarters.

    Outdoors the first holds everything but the other sides' mountains, the others these alone. Indoors each holds everything.
    """

    scene: Scene
    turns: list[int]
    views: list[Packed[Tensor]]
    around: list[list[dict[str, Any]]]


def turned(vector: tuple[Number, Number, Number], quarters: int) -> tuple[Number, Number, Number]:
    """A vector in scene axes (z forward) after quarter turns to the right: exact, and two of them only change signs."""
    x, y, z = vector
    return ((x, y, z), (z, y, -x), (-x, y, -z), (-z, y, x))[quarters % 4]


def put(scene: Scene, other: Scene, quarters: int) -> None:
    """Add another scene's things and hills, turned to the right by quarter turns."""
    first = len(scene.surfaces)

    def sizes(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(map(abs, turned(values, quarters)))

    def foot(x: float, z: float) -> tuple[float, float]:
        return turned((x, 0.0, z), quarters)[::2]

    for row in other.surfaces:
        scene.surfaces.append((*sizes(row[0:3]), *turned(row[3:6], quarters), row[6], *turned(row[7:10], quarters), *row[10:]))
    for mine, theirs in ((scene.ellipsoids, other.ellipsoids), (scene.hills, other.hills)):
        mine += [(*turned(shape[0:3], quarters), *sizes(shape[3:6]), shape[6] + first) for shape in theirs]
    scene.frusta += [(*foot(*shape[0:2]), *shape[2:6], shape[6] + first) for shape in other.frusta]
    for planes, (x, y, z, *reach), surface in other.polyhedra:
        there = turned((x, y, z), quarters)
        scene.polyhedra.append(([(*turned(plane[0:3], quarters), plane[3]) for plane in planes], (*there, *reach), surface + first))
    start = len(scene.materials)
    scene.boxes += [(*turned(box[0:3], quarters), *box[3:6], *foot(*box[6:8]), box[8] + start) for box in other.boxes]
    scene.materials += other.materials
    scene.footprints += [(*foot(x, z), radius) for x, z, radius in other.footprints]


def bare(scene: Scene) -> Scene:
    """The scene's seed, kind and camera with nothing to be seen."""
    return Scene(scene.seed, scene.kind, scene.camera_height, scene.pitch, scene.angle)


def other_side(scene: Scene, quarters: int) -> Scene:
    """The stage of a scene with other things on it, in its own axes and still lit as the scene is."""
    rng = Random(f"jointdit {scene.seed} turned {quarters}")
    about = scene.about | {"objects": [], "fixtures": [], "rug": ""}
    stage = scene.surfaces[: 5 if "room" in scene.environment else 1]
    side = replace(bare(scene), environment=scene.environment, surfaces=stage, about=about)
    if "ground" in about and rng.random() < FAR:
        look = GROUNDS[about["ground"]]
        uplands(rng, side, Material(look.colour, look.second, *GRAIN[about["ground"]]))
    if about.get("trees"):
        grove(rng, side, about["trees"])
    about["objects"] = THINGS[scene.kind](rng, side)
    return side


def all_around(scene: Scene) -> Scene:
    """The scene as a panorama shows it: no line drawing, no lens, and lit from where the sun or moon is seen, which in a picture may be elsewhere."""
    environment = dict(scene.environment)
    if environment.get("disc_shape", (0.0,))[0] > 0:
        (x, _, z), (_, high, _) = environment["disc"], environment["light"]
        environment["light"] = towards(math.atan2(x, z), math.asin(high))
    style = "photographic" if scene.about["style"] == "line" else scene.about["style"]
    return replace(scene, environment=environment, about=scene.about | {"style": style, "coloured": True, "lens": "normal"})


def world(seed: int, device: torch.device) -> World:
    """The world of a seed, depending on that seed alone."""
    ahead = all_around(sample(seed))
    inside = "room" in ahead.environment
    turns = [0, 2] if ahead.kind == "room" else [0, 1, 2, 3]
    sides = [ahead] + [other_side(ahead, turn) for turn in turns[1:]]
    views = []
    for turn, side in zip(turns, sides, strict=True):
        environment = side.environment | {name: turned(side.environment[name], -turn) for name in ("light", "disc", "lamp") if name in side.environment}
        view = replace(bare(side), pitch=0.0, environment=environment, surfaces=list(side.surfaces), curtains=side.curtains)
        if inside or turn == 0:
            for other_turn, other in zip(turns, sides, strict=True):
                put(view, other, other_turn - turn)
        views.append(view)
    chosen = [i for i, view in enumerate(views) if inside or turns[i] == 0 or view.curtains]
    return World(
        scene=ahead,
        turns=[turns[i] for i in chosen],
        views=[pack([views[i]], tiled=False).on(device) for i in chosen],
        around=[side.about["objects"] for side in sides],
    )


def rays(directions: Tensor) -> list[Vector]:
    """Directions (..., 3) of any length in panorama axes as rays (1, R) of length 1 in scene axes, as many at once as memory likes."""
    x, y, z = directions.float().reshape(-1, 3).t()
    length = (x * x + y * y + z * z).sqrt()
    pieces = torch.stack((x / length, y / length, -z / length)).split(RAYS_AT_ONCE.get(directions.device.type, RAYS_AT_ONCE["cuda"]), 1)
    return [piece.split(1) for piece in pieces]


def eye(view: Packed[Tensor]) -> Vector:
    """Where the camera stands, (1, 1) each."""
    height = view.camera[:, :1]
    return torch.zeros_like(height), height, torch.zeros_like(height)


def meet(here: World, ray: Vector) -> tuple[list[Hits], Tensor]:
    """What rays (1, R) meet in each view, and (R,) which view each of them is to be seen in."""
    turned_rays = [turned(ray, -turn) for turn in here.turns]
    hits = [nearest(view, steps(view.seen), eye(view), turned_ray) for view, turned_ray in zip(here.views, turned_rays, strict=True)]
    if here.scene.kind == "studio":  # its floor flows into the wall that is ahead
        order = [-z for _, _, z in turned_rays]
    else:  # what is in several views is equally far in all, and the first of them is taken
        order = [hit.t for hit in hits]
    return hits, torch.cat(order).argmin(0)


def star_plane(ray: Vector) -> tuple[Tensor, Tensor]:
    """Coordinates on the faces of a cube instead of an image plane; ahead they are those of a level picture. No star lies on an edge."""
    x, y, z = ray
    most = torch.maximum(torch.maximum(x.abs(), y.abs()), z.abs())
    above, along = y.abs() == most, z.abs() >= x.abs()
    face = torch.where(above, 4.0, torch.where(along, (z < 0).float(), 2.0 + (x < 0)))
    return torch.where(above | along, x, z) / most + FACE * face, torch.where(above, z, y) / most


def distances(here: World, directions: Tensor) -> Tensor:
    """Metres (...) along directions (..., 3), inf in the sky."""
    found = []
    for ray in rays(directions):
        hits, first = meet(here, ray)
        found.append(torch.cat([hit.t for hit in hits]).gather(0, first[None])[0])
    return torch.cat(found).reshape(directions.shape[:-1])


def colours(here: World, directions: Tensor) -> Tensor:
    """Linear light (..., 3) in [0, 1] from directions (..., 3)."""
    found = []
    for ray in rays(directions):
        hits, first = meet(here, ray)
        light = torch.empty(3, len(first), device=first.device)
        for number, (view, turn, hit) in enumerate(zip(here.views, here.turns, hits, strict=True)):
            seen = (first == number).nonzero()[:, 0]
            if len(seen):
                part = turned(tuple(axis[:, seen] for axis in ray), -turn)
                here_hits = Hits(hit.t[:, seen], hit.surface[:, seen], None if hit.below is None else hit.below[:, seen])
                shaded, _ = shade(view, steps(view.seen), steps(view.shading), eye(view), part, star_plane(part), here_hits)
                light[:, seen] = torch.cat(shaded).clamp(0, 1)
        found.append(light)
    return torch.cat(found, 1).t().reshape(directions.shape)


@torch.no_grad()
def radial_distance(seed: int, directions: Tensor) -> Tensor:
    """Metres (...) float32 to what is seen along directions (..., 3) of any length, in panorama axes; inf in the sky."""
    return distances(world(seed, directions.device), directions)


@torch.no_grad()
def look_around(seed: int, directions: Tensor) -> tuple[Tensor, Tensor]:
    """sRGB (..., 3) in [0, 1] and metres (...), inf in the sky, along directions (..., 3) of any length, in panorama axes: one ray each."""
    here = world(seed, directions.device)
    return encode(colours(here, directions)), distances(here, directions)


@torch.no_grad()
def render_panorama(seed: int, height: int = 256, device: str | torch.device = "cpu") -> Panorama:
    """The panorama of a seed at height x 2 * height pixels, each the mean of FINER**2 rays; its distance is that of one more ray at its centre."""
    like = torch.empty((), device=torch.device(device))
    here = world(seed, like.device)
    light = colours(here, equirectangular_rays(FINER * height, FINER * 2 * height, like))
    distance = distances(here, equirectangular_rays(height, 2 * height, like))
    return Panorama(
        image=encode(avg_pool2d(light.permute(2, 0, 1), FINER)),
        distance=distance,
        sky=distance.isinf(),
        caption=caption(here.scene),
        attributes=here.scene.about | {"around": here.around},
    )
