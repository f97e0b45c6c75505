# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Light on what the rays met: surfaces, normals, noise, shadows, haze. All in linear light, shapes (L, R)."""

import math

import torch
from torch import Tensor

from . import ground, sky
from .casting import Vector, dot
from .packing import Packed
from .scene import SURFACE_FIELDS
from .sky import mix, smooth, three, unit
from .styles import facets, stepped
from .textures import noise
from .tiles import FADE
from .tracing import GROUND, SKY, WALLS, Hits, Steps, blocked, columns, fields, picked, points

LIFT = 2e-3  # a shadow ray starts this far off the surface, times (1 + t)
RELIEF = 0.035  # step of the mountains' slope in texture units
CONTACT = 0.5  # how dark the ground is right beside a thing
PIXEL = 0.008  # a pixel's width at distance 1, for fading noise before it aliases
FILL = 0.18  # light from the camera's side, as a share of the ambient
JOINT = 0.10  # of a course of bricks, the joint between two
JOINT_PIXEL = 0.003  # the same as PIXEL for joints, which are regular and bear more
BRICK = 2.2  # how much longer than high a brick is
SHADED, BANDED, PAINTED, SURFACE = 1, 2, 4, 8  # parts of the edge key


class Surfaces:
    """Gathers the surface fields of the hits: `surfaces["red"]` is (L, R)."""

    def __init__(self, packed: Packed[Tensor], hits: Hits) -> None:
        self.table = packed.surfaces
        self.index = hits.surface.clamp(min=0).long()

    def __getitem__(self, name: str) -> Tensor:
        return self.table[SURFACE_FIELDS.index(name)].take(self.index)

    def many(self, *names: str) -> Vector:
        return tuple(self[name] for name in names)


def normals(surfaces: Surfaces, p: Vector) -> tuple[Vector, Tensor]:
    """Unit normals of the hits, as `Scene` writes them, and which of the hits are on curved surfaces."""
    scale, centre, constant = (surfaces.many(*(f"{name}_{axis}" for axis in "xyz")) for name in ("scale", "centre", "normal"))
    n = tuple(s * (x - c) + k for s, x, c, k in zip(scale, p, centre, constant, strict=True))
    radius = (n[0] * n[0] + n[2] * n[2]).sqrt()
    return unit((n[0], n[1] + surfaces["taper"] * radius, n[2])), scale[0] > 0


def mountains(packed: Packed[Tensor], plan: Steps, p: Vector, n: Vector, hits: Hits, share: Tensor) -> tuple[Vector, Tensor]:
    """Relief normals and the share of the second colour (snow above its line), for the curtains' hits only."""
    whole = [*n, share]
    for rows, items in plan:
        _, _, base, height, length, offset, snow, surface = fields(packed.primitives["curtains"], items)
        x, y, below, met, nx, ny, nz, old = (picked(value, rows) for value in (p[0], p[1], hits.below, hits.surface, *whole))
        here = met == surface
        u, v = x / length * 0.35 + offset, below / length * 0.30
        skew = u + 0.5 * v
        left, right, low = noise(skew - RELIEF / 2, v), noise(skew + RELIEF / 2, v), noise(skew, v + RELIEF)
        fine = noise(u * 4.3 - v, v * 3.1)
        turned = unit((nx + 5.0 * (left - right) + 1.6 * (fine - 0.5), ny + 2.0 * (left - low), nz))
        level = (y - base) / height + 0.45 * (left - 0.5) + 0.25 * (fine - 0.5)
        white = smooth(snow - 0.04, snow + 0.05, level)
        news = [torch.where(here, new, before) for new, before in zip((*turned, white), (nx, ny, nz, old), strict=True)]
        whole = news if rows is None else [a.index_copy(0, rows, b) for a, b in zip(whole, news, strict=True)]
    return tuple(whole[:3]), whole[3]


def patterns(packed: Packed[Tensor], surfaces: Surfaces, p: Vector, n: Vector, t: Tensor) -> tuple[Tensor, Tensor]:
    """Share of the second colour by noise and joints, and by stripes."""
    size = surfaces["grain_size"]
    fade = (size / (size + 2.0 * PIXEL * t * (1 + 0.12 * t))).clamp(0, 1)
    u, v = (p[0] + 0.6 * p[1]) / size * 0.12, (p[2] - 0.8 * p[1]) / size * 0.12
    fine = (size / (size + 20.0 * PIXEL * t * (1 + 0.2 * t))).clamp(0, 1)
    speckle = 0.35 + 0.65 * smooth(0.3, 0.7, noise(u, v)) * fade + 0.35 * (noise(v * 0.13 + 0.5, u * 0.13) - 0.85)
    speckle = speckle + 0.6 * (noise(u * 7.3, v * 7.3) - 0.5) * fine
    share = surfaces["grain"] * speckle.clamp(0, 1)
    stripe = surfaces["stripe"]
    banded = ((p[1] / stripe.clamp(min=1e-3)).remainder(1.0) < 0.5).float() * (stripe > 0)
    if "brick" in packed.flags:
        share = torch.maximum(share, joints(surfaces["brick"], p, n, t))
    return share, banded


def joints(course: Tensor, p: Vector, n: Vector, t: Tensor) -> Tensor:
    """Where bricks, stones or the blocks of a parquet meet, faded out with the distance before it aliases."""
    high = course.clamp(min=1e-3)
    flat = n[1].abs() > 0.9
    row = torch.where(flat, p[0], p[1]) / high
    place = torch.where(flat, p[2], p[0] * n[2] - p[2] * n[0]) / (BRICK * high) + 0.5 * row.floor().remainder(2.0)
    soft = JOINT_PIXEL * t / high
    level = ((row - row.floor() - 0.5).abs() - 0.5 + JOINT + soft) / (soft + 1e-3)
    upright = ((place - place.floor() - 0.5).abs() - 0.5 + JOINT / BRICK + soft / BRICK) / (soft / BRICK + 1e-3)
    return torch.maximum(level, upright).clamp(0, 1) * (0.6 / (1 + 4 * soft)) * (course > 0)


def sunlight(packed: Packed[Tensor], plan: dict[str, Steps], p: Vector, n: Vector, t: Tensor, lit: Tensor) -> Tensor:
    """Lambert term (L, R) times visibility of the light."""
    environment = packed.environment
    indoors = "lamp" in environment
    if indoors:
        towards = tuple(a - b for a, b in zip(three(environment["lamp"]), p, strict=True))
        facing = dot(n, unit(towards)).clamp(min=0)
    else:
        towards = three(environment["light"])
        facing = dot(n, towards).clamp(min=0)
    lift = LIFT * (1 + t)
    start = tuple(x + k * lift for x, k in zip(p, n, strict=True))
    shade = blocked(packed, plan, start, towards, 1.0 if indoors else float("inf")) & lit
    return facing * (1 - shade.float() * environment["shade"])


def contact(packed: Packed[Tensor], plan: Steps, p: Vector) -> Tensor:
    """Ambient shade (L, R) on the floor around each thing's foot, 1 where open."""
    open_ = torch.ones_like(p[0])
    none = math.exp(-0.55 * FADE * FADE)
    for rows, items in plan:
        x, z, radius = fields(packed.primitives["footprints"], items)
        away = ((picked(p[0], rows) - x) ** 2 + (picked(p[2], rows) - z) ** 2) / (radius * radius)
        kept = picked(open_, rows) * (1 - CONTACT * (torch.exp(-0.55 * away) - none).clamp(min=0))
        open_ = kept if rows is None else open_.index_copy_(0, rows, kept)
    return open_


def shade(
    packed: Packed[Tensor], seen: dict[str, Steps], shading: dict[str, Steps], origin: Vector, direction: Vector, plane: tuple[Tensor, Tensor], hits: Hits
) -> tuple[Vector, Tensor]:
    """Linear colour and a key (L, R) that jumps where a supersampled edge is worth it: SURFACE and the parts below it.

    seen, shading: the `steps` of what the rays may meet and of what throws shadow on them.
    """
    environment = packed.environment
    found = hits.surface != SKY
    p = points(origin, direction, hits.t)
    t = torch.where(found, hits.t, 0.0)
    surfaces = Surfaces(packed, hits)
    n, curved = normals(surfaces, p)
    floor = hits.surface == packed.first[:, None] + GROUND
    grain, banded = patterns(packed, surfaces, p, n, t)
    if seen["curtains"]:
        n, grain = mountains(packed, seen["curtains"], p, n, hits, grain)
    if "flat" in packed.flags:
        flat = environment["flat"]
        n, grain = facets(n, curved * flat), torch.where(flat > 0, (grain > 0.6).float() * (p[2] > 150), grain)
    albedo = mix(surfaces.many("red", "green", "blue"), surfaces.many("red2", "green2", "blue2"), torch.maximum(grain, banded))
    key = banded * BANDED
    water = surfaces["water"] if "water" in packed.flags else None
    if "road" in packed.flags:
        albedo, on_road = masked(floor, albedo, *ground.road(environment, p, t, albedo))
        key = key + on_road * PAINTED
    if "shore" in packed.flags:
        albedo, wet = masked(floor, albedo, *ground.shore(environment, p, albedo))
        water = torch.maximum(water, wet)
        key = key + (wet > 0) * PAINTED
    direct = sunlight(packed, shading, p, n, t, found)
    open_ = torch.where(floor, contact(packed, seen["footprints"], p), 1.0)
    if "flat" in packed.flags:
        direct, open_ = stepped(direct, flat), torch.where(flat > 0, 1.0, open_)
    up = 0.92 + 0.08 * n[1] + 0.62 * (-n[1]).clamp(min=0) if "room" in environment else 0.72 + 0.28 * n[1]
    ambient = open_ * (up + FILL * (-n[2]).clamp(min=0))
    sun, dim, glow = three(environment["sun"]), three(environment["ambient"]), surfaces["glow"]
    lit = tuple(torch.lerp(a * (s * direct * (0.5 + 0.5 * open_) + d * ambient), a, glow) for a, s, d in zip(albedo, sun, dim, strict=True))
    key = key + hits.surface * SURFACE + (direct > 0) * SHADED
    if "room" in environment:
        return backdrop(packed, p, lit, hits), key
    if water is not None:
        lit = ground.mirror(environment, water, direction, p, t, lit, packed.flags)
    heaven = sky.colour(environment, direction, plane, packed.flags)
    distance = t * dot(direction, direction).sqrt()
    haze = 1 - torch.exp(-((distance / environment["fog"]) ** 1.3))
    if "flat" in packed.flags:
        haze = stepped(haze, flat)
    lit = mix(lit, sky.gradient(environment, torch.zeros_like(t)), haze)
    return tuple(torch.where(found, a, b) for a, b in zip(lit, heaven, strict=True)), key


def masked(floor: Tensor, before: Vector, after: Vector, share: Tensor) -> tuple[Vector, Tensor]:
    """Paint that is on the floor alone: colour and share."""
    return tuple(torch.where(floor, new, old) for new, old in zip(after, before, strict=True)), share * floor


def backdrop(packed: Packed[Tensor], p: Vector, lit: Vector, hits: Hits) -> Vector:
    """Studio: the floor's far end and the wall's foot flow into one colour; rooms: corners a little darker."""
    half, back, _ = columns(packed.environment["room"])
    seamless = packed.environment["seamless"]
    local = hits.surface - packed.first[:, None]
    near_back = torch.exp(-(back - p[2]).clamp(min=0) / 1.2 - p[1].clamp(min=0) / 1.2)
    corner = torch.exp(-p[1].clamp(min=0) * 3) * (local > GROUND) * (local <= WALLS + 3)
    side = torch.exp(-(half - p[0].abs()).clamp(min=0) * 2.5) * (local <= WALLS + 3)
    dark = 1 - (0.22 * corner + 0.14 * side) * (1 - seamless)
    share = near_back * seamless * ((local == GROUND) | (local == WALLS + 2))
    return mix(tuple(c * dark for c in lit), three(packed.environment["tone"]), share)
