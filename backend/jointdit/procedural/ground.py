# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is painted on flat ground: roads and paths, the water behind a shore, and the mirror that water is. Linear light, shapes (L, R)."""

import torch
from torch import Tensor

from . import sky
from .casting import Vector, dot
from .sky import mix, smooth, three, unit
from .styles import stepped
from .textures import noise

FOAM = 0.55  # metres, how wide the sea breaks on the beach
WET = 1.6  # metres of dark wet sand before it


def road(environment: dict[str, Tensor], p: Vector, t: Tensor, albedo: Vector) -> tuple[Vector, Tensor]:
    """The ground's colour with its road, and where that is (bool).

    environment["road"]: x at z = 0, slope, swing in metres, waves per metre, half width (0: none), whether it has a dashed middle line.
    """
    start, slope, swing, wave, half, dashed = (environment["road"][:, i : i + 1] for i in range(6))
    away = (p[0] - start - slope * p[2] - swing * torch.sin(wave * p[2])).abs() * (1 + slope * slope).rsqrt()
    there = away < half
    worn = 0.93 + 0.14 * (noise(p[0] * 0.09, p[2] * 0.05) - 0.5) + 0.07 * smooth(0.25, 0.6, (away / half.clamp(min=0.1) - 0.5).abs())
    colour = tuple(c * worn for c in three(environment["road_colour"]))
    line = (away < 0.07 + 0.001 * t) & ((p[2] / 5.0).remainder(1.0) < 0.5) & (dashed > 0) & (t < 70)
    return mix(mix(albedo, colour, there.float()), (0.82, 0.82, 0.78), (line & there).float()), there


def shore(environment: dict[str, Tensor], p: Vector, albedo: Vector) -> tuple[Vector, Tensor]:
    """The ground's colour with the water behind its shore line, and how much water there is.

    environment["shore"]: z at x = 0 (0: none), slope, swing in metres, waves per metre, how much it foams.
    """
    start, slope, swing, wave, foam = (environment["shore"][:, i : i + 1] for i in range(5))
    out = (p[2] - start - slope * p[0] - swing * torch.sin(wave * p[0]) - 0.4 * swing * torch.sin(2.7 * wave * p[0] + 1)) * (1 + slope * slope).rsqrt()
    exists = (start > 0).float()
    water = (out > 0).float() * exists
    wet = smooth(-WET, -0.2, out) * exists
    dark = tuple(c * (1 - 0.32 * wet) for c in albedo)
    coloured = mix(dark, three(environment["shore_colour"]), water * (1 - 0.25 * torch.exp(-out.clamp(min=0) / 3)))
    broken = smooth(0.0, 1.0, 1 - (out / FOAM - 0.5 - 1.2 * (noise(p[0] * 0.06, p[2] * 0.02) - 0.5)).abs())
    return mix(coloured, (0.86, 0.90, 0.90), broken * foam * exists), water * (1 - 0.8 * broken * foam)


def mirror(environment: dict[str, Tensor], share: Tensor, direction: Vector, p: Vector, t: Tensor, lit: Vector, flags: frozenset[str]) -> Vector:
    """The sky in the water where `share` says so, more at grazing angles, broken by ripples."""
    d = unit(direction)
    near = 1 / (1 + 0.03 * t)
    ripple = (noise(p[0] * 0.05, p[2] * 0.10) - 0.5) * near + 0.5 * (noise(p[0] * 0.012 + 0.3, p[2] * 0.05) - 0.5)
    fresnel = 0.08 + 0.75 * (1 - d[1].abs()).clamp(0, 1) ** 5
    if "flat" in flags:
        ripple, fresnel = ripple * (1 - environment["flat"]), stepped(fresnel, environment["flat"])
    bounce = unit((d[0] + 0.2 * ripple, (-d[1] + 0.22 * ripple).abs() + 0.02, d[2]))
    seen = sky.gradient(environment, bounce[1])
    disc = dot(bounce, three(environment["disc"])).clamp(min=0) ** 90
    seen = mix(seen, three(environment["disc_colour"]), 0.9 * disc * environment["disc_shape"][:, 1:2])
    return mix(lit, seen, fresnel * share)
