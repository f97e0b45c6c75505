# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ray against primitive, as pure functions on tensors that broadcast together.

A ray is origin + t * direction; origin and direction are triples of tensors. Rays come as (L, R), R rays for each of L rows
of scene parameters, parameters as (L, 1). Every function gives t, infinity where the ray misses; only t > 0 counts.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .textures import crest

Vector = tuple[Tensor, Tensor, Tensor]
INFINITY = float("inf")
TINY = 1e-20  # added to what may be 0, lost on anything else


def dot(a: Vector, b: Vector) -> Tensor:
    """Scalar product, componentwise so that a result never depends on the batch around it."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def along(origin: Vector, direction: Vector, t: Tensor) -> Vector:
    """The point origin + t * direction."""
    return origin[0] + t * direction[0], origin[1] + t * direction[1], origin[2] + t * direction[2]


def ellipsoid(origin: Vector, direction: Vector, shape: Sequence[Tensor]) -> Tensor:
    """t of the first hit with an axis-aligned ellipsoid; shape: centre x, y, z and radii x, y, z."""
    o = tuple((origin[i] - shape[i]) / shape[i + 3] for i in range(3))
    inverse = tuple(1 / shape[i + 3] for i in range(3))
    d = tuple(direction[i] * inverse[i] for i in range(3))
    a, b, c = dot(d, d), dot(o, d), dot(o, o) - 1
    t = (-b - (b * b - a * c).sqrt()) / a  # the root of a negative number is nan, which is not above 0
    return torch.where(t > 0, t, INFINITY)


def frustum(origin: Vector, direction: Vector, shape: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """t and face (0 side, 1 top, 2 bottom) of the first hit; shape: x, z, bottom, top, radius below, radius above."""
    x, z, bottom, top, below, above = shape
    taper = (below - above) / (top - bottom)
    ox, oy, oz = origin[0] - x, origin[1], origin[2] - z
    dx, dy, dz = direction
    radius = below - taper * (oy - bottom)  # of the endless cone at the height of the origin
    narrowing = taper * dy
    a = dx * dx + dz * dz - narrowing * narrowing
    b = ox * dx + oz * dz + radius * narrowing
    c = ox * ox + oz * oz - radius * radius
    root = (b * b - a * c).sqrt()
    q = -torch.where(b > 0, b + root, b - root)
    t = torch.full_like(q, INFINITY)
    for candidate in (q / a, c / q):
        y = oy + candidate * dy
        t = torch.where((candidate > 0) & (y >= bottom) & (y <= top) & (candidate < t), candidate, t)
    face = torch.zeros_like(t)
    for number, level, size in ((1, top, above), (2, bottom, below)):
        candidate = (level - oy) / dy
        px, pz = ox + candidate * dx, oz + candidate * dz
        hit = (candidate > 0) & (px * px + pz * pz <= size * size) & (candidate < t)
        t = torch.where(hit, candidate, t)
        face = torch.where(hit, float(number), face)
    return t, face


def polyhedron(origin: Vector, direction: Vector, planes: Tensor) -> tuple[Tensor, Tensor]:
    """t and plane number of the entry into a convex solid; planes (L, P, 4): nx, ny, nz, d with the inside n . p <= d."""
    enter = leave = face = None
    for number in range(planes.shape[1]):
        normal = tuple(planes[:, number, i : i + 1] for i in range(3))
        gap = planes[:, number, 3:4] - dot(normal, origin)
        slope = dot(normal, direction)
        t = gap / slope
        opening = torch.where(slope < 0, t, torch.where((slope == 0) & (gap < 0), INFINITY, -INFINITY))
        closing = torch.where(slope > 0, t, INFINITY)
        if enter is None:
            enter, leave, face = opening, closing, torch.zeros_like(opening)
            continue
        face = torch.where(opening > enter, float(number), face)
        enter = torch.maximum(enter, opening)
        leave = torch.minimum(leave, closing)
    return torch.where((enter < leave) & (enter > 0), enter, INFINITY), face


def box(origin: Vector, direction: Vector, shape: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """t and face (0 +x, 1 -x, 2 +y, 3 -y, 4 +z, 5 -z) of the entry into an upright box.

    shape: centre x, y, z, half sides x, y, z, and the box's own x axis as world x and z.
    """
    across, along_ = shape[6], shape[7]
    ox, oy, oz = (origin[i] - shape[i] for i in range(3))
    dx, dz = direction[0] * across + direction[2] * along_, direction[2] * across - direction[0] * along_
    own = ((ox * across + oz * along_, dx), (oy, direction[1]), (oz * across - ox * along_, dz))
    enter = leave = face = None
    for axis, (start, slope) in enumerate(own):
        inverse = 1 / (slope + TINY)
        middle, reach = -start * inverse, shape[3 + axis] * inverse.abs()
        opening, closing = middle - reach, middle + reach
        side = (slope > 0) + 2.0 * axis
        if enter is None:
            enter, leave, face = opening, closing, side
            continue
        face = torch.where(opening > enter, side, face)
        enter, leave = torch.maximum(enter, opening), torch.minimum(leave, closing)
    return torch.where((enter < leave) & (enter > 0), enter, INFINITY), face


def curtain(origin: Vector, direction: Vector, shape: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """t and metres below the crest for a leaning plane z = distance + lean * y that ends at a mountain's crest line.

    shape: distance, lean, base, height, length, offset (see CURTAIN_FIELDS), all (L, 1).
    """
    distance, lean, base, height, length, offset = shape
    t = (distance + lean * origin[1] - origin[2]) / (direction[2] - lean * direction[1])
    x, y = origin[0] + t * direction[0], origin[1] + t * direction[1]
    below = base + height * crest(x / length + offset) - y
    return torch.where((t > 0) & (below > 0), t, INFINITY), below
