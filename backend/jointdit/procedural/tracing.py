# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest thing along each ray of a packed batch, and whether a ray meets any solid (shadows)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .casting import INFINITY, Vector, along, box, curtain, ellipsoid, frustum, polyhedron
from .packing import MOST_PLANES, SOLIDS, Packed
from .tiles import Lists

SKY = -1  # the surface number of a ray that meets nothing
GROUND = 0  # outdoors: the ground; indoors: the floor, counted from the scene's first surface
WALLS = 1  # indoors: right, left, back wall and ceiling are WALLS .. WALLS + 3

Rows = Tensor | None  # which of the L rows; None: all
Steps = list[tuple[Rows, Tensor]]  # rows, and the primitive that each of them meets next


@dataclass
class Hits:
    """t (L, R), inf for the sky; surface (L, R) float, SKY where nothing; below (L, R) metres under the crest, for curtains."""

    t: Tensor
    surface: Tensor
    below: Tensor | None = None

    def keep(self, rows: Rows, t: Tensor, surface: Tensor, below: Tensor | None = None) -> None:
        """Take over the hits nearer than those known."""
        nearer = t < picked(self.t, rows)
        news = {"t": t, "surface": surface} | ({} if below is None else {"below": below})
        for name, value in news.items():
            whole = getattr(self, name)
            chosen = torch.where(nearer, value, picked(whole, rows))
            if rows is None:
                setattr(self, name, chosen)
            else:
                whole.index_copy_(0, rows, chosen)


def picked(array: Tensor, rows: Rows) -> Tensor:
    """The rows (L', ...) of an array (L, ...), itself for None or where one row serves all."""
    return array if rows is None or array.shape[0] == 1 else array.index_select(0, rows)


def steps(lists: dict[str, Lists[Tensor]]) -> dict[str, Steps]:
    """The lists slot by slot: which rows have a primitive there. Waits for the device once."""
    lengths = torch.cat([(entry.counts[:, None] > torch.arange(entry.items.shape[1], device=entry.counts.device)).sum(0) for entry in lists.values()]).tolist()
    found: dict[str, Steps] = {}
    for kind, entry in lists.items():
        own, lengths = lengths[: entry.items.shape[1]], lengths[entry.items.shape[1] :]
        found[kind] = list(_slots(entry, own, together=kind.split()[-1] in SOLIDS))
    return found


def _slots(entry: Lists[Tensor], lengths: list[int], together: bool) -> Iterator[tuple[Rows, Tensor]]:
    """Rows with their items (L',), or later on, where few rows have any, several `together` (L', S), padded with -1."""
    order, slot = None, 0
    while slot < len(lengths) and lengths[slot]:
        count, width = lengths[slot], max(1, slot * together)
        if count == len(entry.counts):
            rows = None
        elif entry.counts.is_cuda:  # looking for the rows would wait for the device; the longest lists first need no look
            order = entry.counts.argsort(descending=True) if order is None else order
            rows = order[:count]
        else:
            rows = (entry.counts > slot).nonzero()[:, 0]
        items = picked(entry.items[:, slot : slot + width], rows)
        if width > 1:
            there = picked(entry.counts, rows)[:, None] > slot + torch.arange(items.shape[1], device=items.device)
            yield rows, torch.where(there, items, -1)
        else:
            yield rows, items[:, 0]
        slot += width


def columns(array: Tensor) -> list[Tensor]:
    """(L, F) as F tensors (L, 1)."""
    return [array[:, i : i + 1] for i in range(array.shape[1])]


def fields(table: Tensor, items: Tensor) -> list[Tensor]:
    """The numbers (L, 1) each of chosen primitives of a table (F, N)."""
    return list(table.index_select(1, items)[..., None])


def meet(kind: str, start: Vector, way: Vector, shape: list[Tensor]) -> tuple[Tensor, Tensor]:
    """t and surface (L, R) of rays and one solid each."""
    if kind == "ellipsoids":
        return ellipsoid(start, way, shape), shape[-1]
    if kind in MOST_PLANES:
        t, face = polyhedron(start, way, torch.stack(shape[:-1], -1).reshape(-1, MOST_PLANES[kind], 4))
    else:
        t, face = (frustum if kind == "frusta" else box)(start, way, shape[:-1])
    return t, face + shape[-1]


def solids(packed: Packed[Tensor], plan: dict[str, Steps], origin: Vector, direction: Vector, hits: Hits) -> None:
    """Cast against the shadow-casting primitives."""
    for kind in SOLIDS:
        for rows, items in plan[kind]:
            width = items.shape[1] if items.dim() == 2 else 1
            rays = rows
            if width > 1:  # each ray as often as there are solids to try
                rays = (torch.arange(len(items), device=items.device) if rows is None else rows).repeat_interleave(width)
            start, way = (tuple(picked(axis, rays) for axis in vector) for vector in (origin, direction))
            t, surface = meet(kind, start, way, fields(packed.primitives[kind], items.reshape(-1).clamp(min=0)))
            if width > 1:
                t = torch.where(items.reshape(-1, 1) < 0, INFINITY, t).reshape(len(items), width, -1)
                t, which = t.min(1)
                surface = surface.reshape(len(items), width, -1).expand(-1, -1, t.shape[1]).gather(1, which[:, None])[:, 0]
            hits.keep(rows, t, surface)


def nearest(packed: Packed[Tensor], plan: dict[str, Steps], origin: Vector, direction: Vector) -> Hits:
    """First hits of camera rays; origin (L, 1) each, direction (L, R) each; plan: the `steps` of what is seen."""
    hits = surroundings(packed, origin, direction)
    solids(packed, plan, origin, direction, hits)
    for rows, items in plan["hills"]:
        shape = fields(packed.primitives["hills"], items)
        start, way = (tuple(picked(axis, rows) for axis in vector) for vector in (origin, direction))
        hits.keep(rows, ellipsoid(start, way, shape), shape[6])
    if plan["curtains"]:
        hits.below = torch.zeros_like(hits.t)
    for rows, items in plan["curtains"]:
        shape = fields(packed.primitives["curtains"], items)
        start, way = (tuple(picked(axis, rows) for axis in vector) for vector in (origin, direction))
        t, below = curtain(start, way, shape[:6])
        hits.keep(rows, t, shape[7], below)
    return hits


def surroundings(packed: Packed[Tensor], origin: Vector, direction: Vector) -> Hits:
    """The ground, or indoors the floor, ceiling and walls, before anything else."""
    t = -origin[1] / direction[1]
    t = torch.where(t > 0, t, INFINITY)
    surface = torch.where(t < INFINITY, packed.first[:, None] + GROUND, float(SKY))
    if "room" in packed.environment:
        half, back, ceiling = columns(packed.environment["room"])
        walls = ((0, half), (0, -half), (2, back), (1, ceiling))
        for number, (axis, place) in enumerate(walls):
            at = (place - origin[axis]) / direction[axis]
            nearer = (at > 0) & (at < t)
            t = torch.where(nearer, at, t)
            surface = torch.where(nearer, packed.first[:, None] + WALLS + number, surface)
    return Hits(t, surface)


def blocked(packed: Packed[Tensor], plan: dict[str, Steps], origin: Vector, direction: Vector, reach: float) -> Tensor:
    """Bool (L, R): a solid stands within t < reach; plan: the `steps` of what throws shadow."""
    t = torch.full_like(origin[0], INFINITY)
    hits = Hits(t, torch.full_like(t, SKY))
    solids(packed, plan, origin, direction, hits)
    return hits.t < reach


def points(origin: Vector, direction: Vector, t: Tensor) -> Vector:
    """Hit points, with the sky's put at the camera so that they stay finite."""
    return along(origin, direction, torch.where(t < INFINITY, t, 0.0))
