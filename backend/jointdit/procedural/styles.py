# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that are no photographs: facets of flat colour, and lines on paper. Their geometry is the same."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .casting import Vector

STYLES = {"photographic": 0.85, "flat": 0.085, "line": 0.065}
FACET = math.tau / 10  # radians, the width of the facets that curved surfaces have in the flat style
STEPS = 5.0  # of light and haze in the flat style
PAPER = ((0.985, 0.980, 0.965), (0.955, 0.935, 0.885))  # white, and the warm tone of `warm` 1
INK = (0.10, 0.10, 0.13)
SOFTENED = (0.25, 0.5, 0.25)


def facets(n: Vector, share: Tensor) -> Vector:
    """Unit normals, where share is 1 those of the nearest of a few facets."""
    around = torch.atan2(n[0], n[2])
    up = torch.asin(n[1].clamp(-1, 1))
    around, up = (((angle / FACET).floor() + 0.5) * FACET for angle in (around, up))
    flat = up.cos() * around.sin(), up.sin(), up.cos() * around.cos()
    return tuple(torch.where(share > 0, new, old) for new, old in zip(flat, n, strict=True))


def stepped(value: Tensor, share: Tensor) -> Tensor:
    """A value in a few steps where share is 1."""
    return torch.where(share > 0, (value * STEPS).round() / STEPS, value)


def outlines(key: Tensor) -> Tensor:
    """How much ink (B, H, W) there is where the key (B, H, W) changes."""
    ink = torch.zeros_like(key)
    down, right = (key[:, 1:] != key[:, :-1]).to(key), (key[:, :, 1:] != key[:, :, :-1]).to(key)
    ink[:, 1:] = torch.maximum(ink[:, 1:], down)
    ink[:, :, 1:] = torch.maximum(ink[:, :, 1:], right)
    weights = torch.tensor(SOFTENED, device=key.device)
    padded = F.pad(ink[:, None], (1, 1, 1, 1), mode="replicate")
    return (2 * F.conv2d(F.conv2d(padded, weights.view(1, 1, 1, 3)), weights.view(1, 1, 3, 1))[:, 0]).clamp(0, 1)


def drawn(image: Tensor, key: Tensor, fill: Tensor, warm: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in sRGB as line drawings; fill and warm (B,) say how much of the colour stays and how yellow the paper is."""
    white, old = (torch.tensor(colour, device=image.device).view(1, 3, 1, 1) for colour in PAPER)
    paper = torch.lerp(white, old, warm.view(-1, 1, 1, 1))
    ink = torch.tensor(INK, device=image.device).view(1, 3, 1, 1)
    return torch.lerp(paper * torch.lerp(torch.ones_like(image), image, fill.view(-1, 1, 1, 1)), ink, outlines(key)[:, None])
