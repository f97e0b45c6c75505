# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Light on what the rays met: surfaces, normals, noise, shadows, haze. All in linear light, shapes (L, R)."""

import torch
from torch import Tensor

from . import sky
from .casting import Vector, dot
from .packing import Packed
from .scene import SURFACE_FIELDS
from .sky import mix, smooth, three, unit
from .textures import noise
from .tracing import GROUND, SKY, Hits, blocked, columns, points

LIFT = 2e-3  # a shadow ray starts this far off the surface, times (1 + t)
RELIEF = 0.035  # step of the mountains' slope in texture units
CONTACT = 0.5  # how dark the ground is right beside a thing
PIXEL = 0.008  # a pixel's width at distance 1, for fading noise before it aliases
FILL = 0.18  # light from the camera's side, as a share of the ambient


class Surfaces:
    """Gathers the surface fields of the hits: `surfaces["red"]` is (L, R)."""

    def __init__(self, packed: Packed, hits: Hits) -> None:
        table = packed.surfaces
        self.table = table.reshape(table.shape[0], -1)
        self.index = hits.surface.clamp(min=0).long() + packed.row[:, None] * table.shape[2]

    def __getitem__(self, name: str) -> Tensor:
        return self.table[SURFACE_FIELDS.index(name)].take(self.index)

    def many(self, *names: str) -> Vector:
        return tuple(self[name] for name in names)


def normals(surfaces: Surfaces, p: Vector) -> Vector:
    """Unit normals of the hits, as `Scene` writes them."""
    scale, centre, constant = (surfaces.many(*(f"{name}_{axis}" for axis in "xyz")) for name in ("scale", "centre", "normal"))
    n = tuple(s * (x - c) + k for s, x, c, k in zip(scale, p, centre, constant, strict=True))
    radius = (n[0] * n[0] + n[2] * n[2]).sqrt()
    return unit((n[0], n[1] + surfaces["taper"] * radius, n[2]))


def mountains(packed: Packed, p: Vector, n: Vector, hits: Hits, share: Tensor) -> tuple[Vector, Tensor]:
    """Relief normals and the share of the second colour (snow above its line), for the curtains' hits only."""
    for slot in range(packed.arrays["curtains"].shape[1]):
        shape = packed.arrays["curtains"][:, slot]
        here = (packed.counts["curtains"][:, None] > slot) & (hits.surface == shape[:, 7:8])
        _, _, base, height, length, offset, snow, _ = columns(shape)
        u, v = p[0] / length * 0.35 + offset, hits.below / length * 0.30
        skew = u + 0.5 * v
        left, right, low = noise(skew - RELIEF / 2, v), noise(skew + RELIEF / 2, v), noise(skew, v + RELIEF)
        fine = noise(u * 4.3 - v, v * 3.1)
        turned = unit((n[0] + 5.0 * (left - right) + 1.6 * (fine - 0.5), n[1] + 2.0 * (left - low), n[2]))
        n = tuple(torch.where(here, new, old) for new, old in zip(turned, n, strict=True))
        level = (p[1] - base) / height + 0.45 * (left - 0.5) + 0.25 * (fine - 0.5)
        white = smooth(snow - 0.04, snow + 0.05, level)
        share = torch.where(here, white, share)
    return n, share


def colours(surfaces: Surfaces, p: Vector, t: Tensor) -> tuple[Vector, Tensor]:
    """Second colour's share by noise or stripes, and the share itself; colour is mixed by the caller."""
    size = surfaces["grain_size"]
    fade = (size / (size + 2.0 * PIXEL * t * (1 + 0.12 * t))).clamp(0, 1)
    u, v = (p[0] + 0.6 * p[1]) / size * 0.12, (p[2] - 0.8 * p[1]) / size * 0.12
    speckle = 0.35 + 0.65 * smooth(0.3, 0.7, noise(u, v)) * fade + 0.35 * (noise(v * 0.13 + 0.5, u * 0.13) - 0.85)
    stripe = surfaces["stripe"]
    banded = ((p[1] / stripe.clamp(min=1e-3)).remainder(1.0) < 0.5).float() * (stripe > 0)
    return surfaces["grain"] * speckle.clamp(0, 1), banded


def sunlight(packed: Packed, p: Vector, n: Vector, t: Tensor, lit: Tensor) -> Tensor:
    """Lambert term (L, R) times visibility of the light."""
    environment = packed.environment
    indoors = "lamp" in environment
    if indoors:
        lamp = three(environment["lamp"])
        towards = tuple(a - b for a, b in zip(lamp, p, strict=True))
        facing = dot(n, unit(towards)).clamp(min=0)
    else:
        towards = three(environment["light"])
        facing = dot(n, towards).clamp(min=0)
    lift = LIFT * (1 + t)
    start = tuple(x + k * lift for x, k in zip(p, n, strict=True))
    shade = blocked(packed, start, towards, 1.0 if indoors else float("inf")) & lit
    return facing * (1 - shade.float() * environment["shade"])


def contact(packed: Packed, p: Vector) -> Tensor:
    """Ambient shade (L, R) on the floor around each thing's foot, 1 where open."""
    open_ = torch.ones_like(p[0])
    for slot in range(packed.arrays["footprints"].shape[1]):
        x, z, radius = columns(packed.arrays["footprints"][:, slot])
        used = packed.counts["footprints"][:, None] > slot
        away = (p[0] - x) ** 2 + (p[2] - z) ** 2
        reach = torch.where(used, radius * radius, 1.0)
        open_ = open_ * (1 - CONTACT * used * torch.exp(-0.55 * away / reach))
    return open_


def shade(packed: Packed, origin: Vector, direction: Vector, plane: tuple[Tensor, Tensor], hits: Hits) -> tuple[Vector, Tensor]:
    """Linear colour and a key (L, R) that jumps where a supersampled edge is worth it."""
    environment = packed.environment
    found = hits.surface != SKY
    p = points(origin, direction, hits.t)
    t = torch.where(found, hits.t, 0.0)
    surfaces = Surfaces(packed, hits)
    n = normals(surfaces, p)
    grain, banded = colours(surfaces, p, t)
    if packed.arrays["curtains"].shape[1]:
        n, grain = mountains(packed, p, n, hits, grain)
    share = torch.maximum(grain, banded)
    albedo = mix(surfaces.many("red", "green", "blue"), surfaces.many("red2", "green2", "blue2"), share)
    direct = sunlight(packed, p, n, t, found)
    floor = hits.surface == GROUND
    open_ = torch.where(floor, contact(packed, p), 1.0)
    up = 0.92 + 0.08 * n[1] + 0.62 * (-n[1]).clamp(min=0) if "room" in environment else 0.72 + 0.28 * n[1]
    fill = FILL * (-n[2]).clamp(min=0)
    ambient = open_ * (up + fill)
    sun, dim = three(environment["sun"]), three(environment["ambient"])
    lit = tuple(a * (s * direct * (0.5 + 0.5 * open_) + d * ambient) for a, s, d in zip(albedo, sun, dim, strict=True))
    if "room" in environment:
        key = hits.surface * 4 + (direct > 0) + banded * 2
        return backdrop(packed, p, lit, hits), key
    if bool((packed.surfaces[SURFACE_FIELDS.index("water"), :, 0] > 0).any()):
        lit = water(packed, surfaces, direction, p, t, lit)
    bands = {name: bool((environment[key] > 0).any()) for name, key in (("stars", "stars"), ("clouds", "cloud"))}
    heaven = sky.colour(environment, direction, plane, bands)
    distance = t * dot(direction, direction).sqrt()
    haze = 1 - torch.exp(-((distance / environment["fog"]) ** 1.3))
    lit = mix(lit, sky.gradient(environment, torch.zeros_like(t)), haze)
    return tuple(torch.where(found, a, b) for a, b in zip(lit, heaven, strict=True)), hits.surface * 4 + (direct > 0) + banded * 2


def water(packed: Packed, surfaces: Surfaces, direction: Vector, p: Vector, t: Tensor, lit: Vector) -> Vector:
    """Mirror the sky in the water, more at grazing angles, broken by ripples."""
    environment = packed.environment
    d = unit(direction)
    near = 1 / (1 + 0.03 * t)
    ripple = (noise(p[0] * 0.05, p[2] * 0.10) - 0.5) * near + 0.5 * (noise(p[0] * 0.012 + 0.3, p[2] * 0.05) - 0.5)
    bounce = unit((d[0] + 0.2 * ripple, (-d[1] + 0.22 * ripple).abs() + 0.02, d[2]))
    mirror = sky.gradient(environment, bounce[1])
    disc = dot(bounce, three(environment["disc"])).clamp(min=0) ** 90
    mirror = mix(mirror, three(environment["disc_colour"]), 0.9 * disc * environment["disc_shape"][:, 1:2])
    fresnel = 0.08 + 0.75 * (1 - d[1].abs()).clamp(0, 1) ** 5
    return mix(lit, mirror, fresnel * surfaces["water"])


def backdrop(packed: Packed, p: Vector, lit: Vector, hits: Hits) -> Vector:
    """Studio: the floor's far end and the wall's foot flow into one colour; rooms: corners a little darker."""
    half, back, _ = columns(packed.environment["room"])
    seamless = packed.environment["seamless"]
    near_back = torch.exp(-(back - p[2]).clamp(min=0) / 1.2 - p[1].clamp(min=0) / 1.2)
    corner = torch.exp(-p[1].clamp(min=0) * 3) * (hits.surface > GROUND) * (hits.surface <= 4)
    side = torch.exp(-(half - p[0].abs()).clamp(min=0) * 2.5) * (hits.surface <= 4)
    dark = 1 - (0.22 * corner + 0.14 * side) * (1 - seamless)
    stage = (hits.surface == GROUND) | (hits.surface == 3)
    share = near_back * seamless * stage
    tone = three(packed.environment["tone"])
    return mix(tuple(c * dark for c in lit), tone, share)
