# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour of the sky, linear light, for directions of any length."""

import torch
from torch import Tensor

from .casting import Vector, dot
from .textures import noise

GRADIENT = 4.0  # how fast the horizon's colour gives way with height
CLOUD_SCALE = 0.11
BANDS = 9.0  # of a flat-shaded sky, from horizon to zenith
STAR_CELL = 17.0  # star cells per unit of image plane
STAR_RADIUS = 0.0032  # of the image plane, whose half width is about 0.52


def smooth(low: Tensor | float, high: Tensor | float, x: Tensor) -> Tensor:
    """Smoothstep from 0 at low to 1 at high."""
    s = ((x - low) / (high - low)).clamp(0, 1)
    return s * s * (3 - 2 * s)


def mix(a: Vector, b: Vector, share: Tensor) -> Vector:
    """a where share is 0, b where it is 1."""
    return tuple(p + (q - p) * share for p, q in zip(a, b, strict=True))


def three(value: Tensor) -> Vector:
    """(L, 3) as a vector of (L, 1)."""
    return value[:, 0:1], value[:, 1:2], value[:, 2:3]


def unit(v: Vector) -> Vector:
    """The vector at length 1."""
    inverse = (dot(v, v) + 1e-20).rsqrt()
    return v[0] * inverse, v[1] * inverse, v[2] * inverse


def gradient(environment: dict[str, Tensor], height: Tensor) -> Vector:
    """Horizon to zenith by the sine of the elevation `height`."""
    return mix(three(environment["horizon"]), three(environment["zenith"]), 1 - torch.exp(-GRADIENT * height.clamp(min=0)))


def hash_unit(x: Tensor, y: Tensor, salt: Tensor | float) -> Tensor:
    """A number in [0, 1) that looks random, for whole numbers x, y below a few thousand."""
    h = (x * 12.9898 + y * 78.233 + salt * 3.717).remainder(6.2831853)
    return (torch.sin(h) * 4375.8545).remainder(1.0)


def stars(plane_x: Tensor, plane_y: Tensor, salt: Tensor) -> Tensor:
    """Brightness of at most one star per cell of the image plane, same shape as the coordinates."""
    x, y = plane_x * STAR_CELL + 64, plane_y * STAR_CELL + 64
    cell_x, cell_y = x.floor(), y.floor()
    there = hash_unit(cell_x, cell_y, salt)
    dx = (x - cell_x - 0.2 - 0.6 * hash_unit(cell_y, cell_x, salt + 1)) / STAR_CELL
    dy = (y - cell_y - 0.2 - 0.6 * hash_unit(cell_x, cell_y, salt + 2)) / STAR_CELL
    bright = ((there - 0.45) / 0.55).clamp(min=0)
    return bright * torch.exp(-(dx * dx + dy * dy) / (STAR_RADIUS * STAR_RADIUS))


def colour(environment: dict[str, Tensor], direction: Vector, plane: tuple[Tensor, Tensor], flags: frozenset[str]) -> Vector:
    """Sky for camera rays (L, R); plane: their image plane coordinates; flags: which costly parts any of the rows needs."""
    d = unit(direction)
    height = d[1]
    if "flat" in flags:  # a few bands of one colour each
        height = torch.where(environment["flat"] > 0, ((height * BANDS).floor() + 0.5) / BANDS, height)
    sky = gradient(environment, height)
    disc = dot(d, three(environment["disc"]))
    disc_colour = three(environment["disc_colour"])
    radius, glow = environment["disc_shape"][:, 0:1], environment["disc_shape"][:, 1:2]
    angle = torch.acos(disc.clamp(-1, 1))
    halo = glow * (0.55 * torch.exp(-angle * 9) + 0.25 * torch.exp(-angle * 2.5))
    sky = mix(sky, disc_colour, halo.clamp(0, 1))
    if "stars" in flags:
        light = stars(*plane, environment["salt"]) * environment["stars"] * smooth(0.02, 0.12, d[1])
        sky = tuple(c + light for c in sky)
    rim = radius.clamp(min=1e-3)  # a sky without a disc still has its direction, where the angle is 0 as well
    sky = mix(sky, disc_colour, (1 - smooth(rim * 0.92, rim * 1.06, angle)) * (radius > 0))
    if "cloud" in flags:
        sky = clouds(environment, d, sky, flags)
    return sky


def clouds(environment: dict[str, Tensor], d: Vector, sky: Vector, flags: frozenset[str]) -> Vector:
    """Fractal clouds on a plane above, lighter at the rims, thinning to the horizon."""
    scale = CLOUD_SCALE / (d[1].clamp(min=0) + 0.10)
    offset = environment["salt"]
    u, v = d[0] * scale + offset * 0.137, d[2] * scale + offset * 0.071
    thick = noise(u, v)
    cover = environment["cloud"]
    low = 1 - cover
    share = smooth(low - 0.12, low + 0.16, thick) * smooth(0.0, 0.09, d[1]) * (cover > 0)
    shadow = 1 - 0.30 * smooth(low, low + 0.35, noise(u + 0.012, v - 0.02))
    if "flat" in flags:
        flat = environment["flat"] > 0
        share, shadow = torch.where(flat, smooth(0.4, 0.6, share), share), torch.where(flat, 1.0, shadow)
    base = three(environment["cloud_colour"])
    return mix(sky, tuple(c * shadow for c in base), share)
