# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of scenes as arrays: all primitives of a kind in one table, and for each row of rays those that it may meet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from .scene import SURFACE_FIELDS, Scene
from .tiles import TILES, Bounds, Lists, bounds_of, everything, seen_by_tiles, shaded_tiles

Array = TypeVar("Array", np.ndarray, Tensor)

CURTAIN_FIELDS = ("distance", "lean", "base", "height", "length", "offset", "snow", "surface")
SOLIDS = ("ellipsoids", "frusta", "boxes", "roofs", "rocks")  # they throw shadows
KINDS = {"ellipsoids": 7, "frusta": 7, "boxes": 9, "roofs": 21, "rocks": 37, "hills": 7, "curtains": 8, "footprints": 3}
MOST_PLANES = {"roofs": 5, "rocks": 9}
OUTSIDE = (0.0, 0.0, 0.0, float("inf"))  # a plane with everything inside
BOX_NORMALS = np.array(((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)), np.float32)
FEATURES = {"water": "water", "brick": "brick"}  # costly parts of shading, by the surface field that asks for them
COSTLY = {"stars": 0, "cloud": 0, "road": 4, "shore": 0, "flat": 0}  # and by the environment's entry and which of its numbers is then above 0


@dataclass(frozen=True)
class Packed(Generic[Array]):
    """B scenes, and L rows of rays that each look into one of them.

    camera (L, 3): height in metres, pitch in radians, half width of the image plane. environment[name] (L, n). scene, first (L,): which scene, and its
    first surface. primitives[kind] (F, N): those of all scenes; seen[kind] and shading[kind]: which of them a row may meet, or have its light taken by.
    surfaces (fields, N): linear colours. flags: the costly parts of shading that any scene needs.
    """

    camera: Array
    environment: dict[str, Array]
    scene: Array
    first: Array
    primitives: dict[str, Array]
    seen: dict[str, Lists[Array]]
    shading: dict[str, Lists[Array]]
    surfaces: Array
    flags: frozenset[str]

    def rows(self, index: Any) -> "Packed[Array]":
        """The rows at `index`, an index or a slice; with repetition if the index repeats."""
        return Packed(
            self.camera[index],
            {name: value[index] for name, value in self.environment.items()},
            self.scene[index],
            self.first[index],
            self.primitives,
            {kind: lists.rows(index) for kind, lists in self.seen.items()},
            {kind: lists.rows(index) for kind, lists in self.shading.items()},
            self.surfaces,
            self.flags,
        )

    def on(self, device: torch.device) -> "Packed[Tensor]":
        """The same as tensors on a device."""
        return _converted(self, lambda array: torch.from_numpy(array).to(device, non_blocking=True))


def _converted(value: Any, convert: Callable[[Any], Any]) -> Any:
    """The dataclass, dict or array with every array in it converted."""
    if isinstance(value, Packed | Lists):
        return type(value)(**{field.name: _converted(getattr(value, field.name), convert) for field in fields(value)})
    if isinstance(value, dict):
        return {name: _converted(item, convert) for name, item in value.items()}
    return convert(value) if isinstance(value, np.ndarray) else value


def flattened(polyhedra: Sequence[tuple[list[tuple[float, ...]], Any, int]], most: int) -> list[list[float]]:
    """Rows of `most` planes and the first surface."""
    return [[x for plane in planes for x in plane] + [*OUTSIDE] * (most - len(planes)) + [first] for planes, _, first in polyhedra]


def tables(scenes: Sequence[Scene]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """For each kind: primitives (N, F) with their surface last, still counted within their scene; their scene (N,); reaches of polyhedra (N, 6)."""
    rows: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    owners: dict[str, list[int]] = {kind: [] for kind in KINDS}
    reaches: dict[str, list[Any]] = {kind: [] for kind in MOST_PLANES}
    for number, scene in enumerate(scenes):
        for kind in ("ellipsoids", "frusta", "boxes", "hills", "curtains", "footprints"):
            found = getattr(scene, kind)
            rows[kind] += found
            owners[kind] += [number] * len(found)
        for solid in scene.polyhedra:
            kind = "roofs" if len(solid[0]) <= MOST_PLANES["roofs"] else "rocks"
            rows[kind] += flattened((solid,), MOST_PLANES[kind])
            owners[kind].append(number)
            reaches[kind].append(solid[1])
    arrays = {kind: np.array(rows[kind], np.float32).reshape(-1, width) for kind, width in KINDS.items()}
    return arrays, {kind: np.array(owner, np.int64) for kind, owner in owners.items()}, {k: np.array(v).reshape(-1, 6) for k, v in reaches.items()}


def surface_table(scenes: Sequence[Scene], boxes: np.ndarray, box_owners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Surfaces (fields, N) with linear colours, the first surface of each scene (B,) and of each box: those of the boxes come last."""
    plain = np.array([row for scene in scenes for row in scene.surfaces], np.float32)
    first = np.cumsum([0] + [len(scene.surfaces) for scene in scenes])
    if len(boxes):
        materials = np.array([row for scene in scenes for row in scene.materials], np.float32)
        start = np.cumsum([0] + [len(scene.materials) for scene in scenes])
        across, along = boxes[:, None, 6], boxes[:, None, 7]
        sides = np.zeros((len(boxes), 6, len(SURFACE_FIELDS)), np.float32)
        sides[:, :, 7] = BOX_NORMALS[:, 0] * across - BOX_NORMALS[:, 2] * along
        sides[:, :, 8] = BOX_NORMALS[:, 1]
        sides[:, :, 9] = BOX_NORMALS[:, 0] * along + BOX_NORMALS[:, 2] * across
        sides[:, :, 10:] = materials[(start[box_owners] + boxes[:, 8].astype(np.int64))][:, None]
        plain = np.concatenate((plain, sides.reshape(-1, len(SURFACE_FIELDS))))
    table = np.ascontiguousarray(plain.T)
    colours = table[10:16]
    table[10:16] = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return table, first[:-1], first[-1] + 6 * np.arange(len(boxes))


def pack(scenes: Sequence[Scene], tiled: bool = True) -> Packed[np.ndarray]:
    """Scenes of one stage (all outdoors or all indoors, so that the environments share their names), TILES rows each: the tiles of its picture.

    Not `tiled`: one row each, that may meet everything in its scene.
    """
    arrays, owners, reaches = tables(scenes)
    surfaces, first, box_first = surface_table(scenes, arrays["boxes"], owners["boxes"])
    camera = np.array([(scene.camera_height, scene.pitch, scene.half) for scene in scenes], np.float32)
    environment = {name: np.array([scene.environment[name] for scene in scenes], np.float32) for name in scenes[0].environment}
    bounds: dict[str, Bounds] = {kind: bounds_of(kind, arrays[kind], reaches.get(kind)) for kind in KINDS}
    if tiled:
        seen = {kind: seen_by_tiles(bounds[kind], owners[kind], camera) for kind in KINDS}
        shading = {kind: shaded_tiles(bounds[kind], owners[kind], camera, environment) for kind in SOLIDS}
    else:
        seen = {kind: everything(owners[kind], len(scenes)) for kind in KINDS}
        shading = {kind: seen[kind] for kind in SOLIDS}
    for kind in KINDS:
        if kind == "boxes":
            arrays[kind][:, -1] = box_first
        elif kind != "footprints":
            arrays[kind][:, -1] += first[owners[kind]]
    flags = {name for name, field in FEATURES.items() if (surfaces[SURFACE_FIELDS.index(field)] > 0).any()}
    flags |= {name for name, place in COSTLY.items() if name in environment and (environment[name][:, place] > 0).any()}
    if "shore" in flags:
        flags.add("water")
    scene = np.repeat(np.arange(len(scenes)), TILES if tiled else 1)
    return Packed(
        camera[scene],
        {name: value[scene] for name, value in environment.items()},
        scene,
        first[scene].astype(np.float32),
        {kind: np.ascontiguousarray(array.T) for kind, array in arrays.items()},
        seen,
        shading,
        surfaces,
        frozenset(flags),
    )
