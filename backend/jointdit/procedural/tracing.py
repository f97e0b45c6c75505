# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest thing along each ray of a packed batch, and whether a ray meets any solid (shadows)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .casting import INFINITY, Rows, Vector, along, curtain, each_slot, ellipsoid, frustum, picked, polyhedron
from .packing import Packed

SKY = -1  # the surface number of a ray that meets nothing
GROUND = 0  # outdoors: the ground; indoors: the floor
WALLS = 1  # indoors: right, left, back wall and ceiling are WALLS .. WALLS + 3


@dataclass
class Hits:
    """t (L, R), inf for the sky; surface (L, R) float, SKY where nothing; below (L, R) metres under the crest, for curtains."""

    t: Tensor
    surface: Tensor
    below: Tensor

    def keep(self, rows: Rows, t: Tensor, surface: Tensor, below: Tensor | None = None) -> None:
        """Take over the hits nearer than those known, for some rows (None: all)."""
        old = picked(self.t, rows)
        nearer = t < old
        news = (("t", t), ("surface", surface)) if below is None else (("t", t), ("surface", surface), ("below", below))
        for name, value in news:
            whole = getattr(self, name)
            if rows is None:
                setattr(self, name, torch.where(nearer, value, whole))
            elif isinstance(rows, slice):
                whole[rows] = torch.where(nearer, value, whole[rows])
            else:
                whole.index_copy_(0, rows, torch.where(nearer, value, picked(whole, rows)))


def columns(array: Tensor) -> list[Tensor]:
    """(L, F) as F tensors (L, 1)."""
    return [array[:, i : i + 1] for i in range(array.shape[1])]


def solids(packed: Packed, origin: Vector, direction: Vector, hits: Hits) -> None:
    """Cast against the shadow-casting primitives."""
    rays = (*origin, *direction)
    arrays = packed.arrays

    def visit_ellipsoid(slot: int, rows: Rows, *ray: Tensor) -> None:
        shape = columns(picked(arrays["ellipsoids"][:, slot], rows))
        hits.keep(rows, ellipsoid(ray[:3], ray[3:], shape), shape[6])

    def visit_frustum(slot: int, rows: Rows, *ray: Tensor) -> None:
        shape = columns(picked(arrays["frusta"][:, slot], rows))
        t, face = frustum(ray[:3], ray[3:], shape[:6])
        hits.keep(rows, t, face + shape[6])

    def visit_polyhedron(slot: int, rows: Rows, *ray: Tensor) -> None:
        t, face = polyhedron(ray[:3], ray[3:], picked(arrays["polyhedra"][:, slot], rows))
        hits.keep(rows, t, face + picked(arrays["polyhedron_surfaces"][:, slot, None], rows))

    each_slot(packed.counts["ellipsoids"], rays, visit_ellipsoid)
    each_slot(packed.counts["frusta"], rays, visit_frustum)
    each_slot(packed.counts["polyhedra"], rays, visit_polyhedron)


def nearest(packed: Packed, origin: Vector, direction: Vector) -> Hits:
    """First hits of camera rays; origin (L, 1) each, direction (L, R) each."""
    hits = surroundings(packed, origin, direction)
    solids(packed, origin, direction, hits)
    rays = (*origin, *direction)

    def visit_hill(slot: int, rows: Rows, *ray: Tensor) -> None:
        shape = columns(picked(packed.arrays["hills"][:, slot], rows))
        hits.keep(rows, ellipsoid(ray[:3], ray[3:], shape), shape[6])

    def visit_curtain(slot: int, rows: Rows, *ray: Tensor) -> None:
        shape = columns(picked(packed.arrays["curtains"][:, slot], rows))
        t, below = curtain(ray[:3], ray[3:], shape[:6])
        hits.keep(rows, t, shape[7], below)

    each_slot(packed.counts["hills"], rays, visit_hill)
    each_slot(packed.counts["curtains"], rays, visit_curtain)
    return hits


def surroundings(packed: Packed, origin: Vector, direction: Vector) -> Hits:
    """The ground, or indoors the floor, ceiling and walls, before anything else."""
    t = -origin[1] / direction[1]
    t = torch.where(t > 0, t, INFINITY)
    surface = torch.where(t < INFINITY, float(GROUND), float(SKY))
    if "room" in packed.environment:
        half, back, ceiling = columns(packed.environment["room"])
        walls = ((0, half), (0, -half), (2, back), (1, ceiling))
        for number, (axis, place) in enumerate(walls):
            at = (place - origin[axis]) / direction[axis]
            nearer = (at > 0) & (at < t)
            t = torch.where(nearer, at, t)
            surface = torch.where(nearer, float(WALLS + number), surface)
    return Hits(t, surface, torch.zeros_like(t))


def blocked(packed: Packed, origin: Vector, direction: Vector, reach: float) -> Tensor:
    """Bool (L, R): a solid stands within t < reach."""
    t = torch.full_like(origin[0], INFINITY)
    hits = Hits(t, torch.full_like(t, SKY), t)
    direction = tuple(d.expand_as(t) for d in direction)
    solids(packed, origin, direction, hits)
    return hits.t < reach


def points(origin: Vector, direction: Vector, t: Tensor) -> Vector:
    """Hit points, with the sky's put at the camera so that they stay finite."""
    return along(origin, direction, torch.where(t < INFINITY, t, 0.0))
