# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of scenes as padded tensors, one row a scene."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .scene import SURFACE_FIELDS, Scene

CURTAIN_FIELDS = ("distance", "lean", "base", "height", "length", "offset", "snow", "surface")


@dataclass(frozen=True)
class Packed:
    """B scenes. `counts[kind]` (B,) tells how many of the K padded slots of a kind a scene uses.

    camera (B, 2): height in metres, pitch in radians. ellipsoids/hills/frusta (B, K, 7), polyhedra (B, K, P, 4) with
    polyhedron_surfaces (B, K), curtains (B, K, 8), footprints (B, K, 3), environment[name] (B, n). surfaces (fields, N, S) are those of
    the N scenes packed first, and row (B,) tells which of them each scene is.
    """

    camera: Tensor
    arrays: dict[str, Tensor]
    counts: dict[str, Tensor]
    surfaces: Tensor
    row: Tensor
    environment: dict[str, Tensor]

    def rows(self, index: Tensor) -> "Packed":
        """The scenes at `index` (L,), with repetition: L rows."""
        return Packed(
            self.camera[index],
            {name: array[index] for name, array in self.arrays.items()},
            {name: count[index] for name, count in self.counts.items()},
            self.surfaces,
            self.row[index],
            {name: value[index] for name, value in self.environment.items()},
        )


def padded(lists: Sequence[Sequence[Sequence[float]]], width: int) -> np.ndarray:
    """Ragged (B, k, width) numbers as a zero-padded float32 array (B, K, width)."""
    array = np.zeros((len(lists), max(len(rows) for rows in lists), width), np.float32)
    for row, values in enumerate(lists):
        if values:
            array[row, : len(values)] = values
    return array


def pack(scenes: Sequence[Scene], device: torch.device) -> Packed:
    """Tensors on `device` for scenes of one stage (all outdoors or all indoors, so that the environments share their names)."""
    planes_at_most = max((len(planes) for scene in scenes for planes, _ in scene.polyhedra), default=0)
    filler = (0.0, 0.0, 0.0, math.inf)  # always inside
    polyhedra = [
        [[value for plane in planes + [filler] * (planes_at_most - len(planes)) for value in plane] + [first] for planes, first in scene.polyhedra]
        for scene in scenes
    ]
    flat = padded(polyhedra, planes_at_most * 4 + 1)
    arrays = {
        "ellipsoids": padded([scene.ellipsoids for scene in scenes], 7),
        "hills": padded([scene.hills for scene in scenes], 7),
        "frusta": padded([scene.frusta for scene in scenes], 7),
        "polyhedra": flat[..., :-1].reshape(len(scenes), flat.shape[1], planes_at_most, 4),
        "polyhedron_surfaces": flat[..., -1],
        "curtains": padded([scene.curtains for scene in scenes], len(CURTAIN_FIELDS)),
        "footprints": padded([scene.footprints for scene in scenes], 3),
    }
    kinds = ("ellipsoids", "hills", "frusta", "polyhedra", "curtains", "footprints")
    surfaces = padded([scene.surfaces for scene in scenes], len(SURFACE_FIELDS))
    return Packed(
        camera=torch.tensor([(scene.camera_height, scene.pitch) for scene in scenes], dtype=torch.float32, device=device),
        arrays={name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()},
        counts={kind: torch.tensor([len(getattr(scene, kind)) for scene in scenes], device=device) for kind in kinds},
        surfaces=torch.from_numpy(np.ascontiguousarray(surfaces.transpose(2, 0, 1))).to(device),
        row=torch.arange(len(scenes), device=device),
        environment={
            name: torch.tensor([scene.environment[name] for scene in scenes], dtype=torch.float32, device=device) for name in scenes[0].environment
        },
    )
