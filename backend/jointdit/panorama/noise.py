# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise on the sphere that views share: standard normal and independent within each view, the same where two views look."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .sphere import View, even_directions

POINTS_PER_PIXEL = 6
"""Of the lattice, on the smallest pixel of a view: enough that hardly a pixel has none."""


def sphere_noise(
    views: Sequence[View], channels: int, height: int, width: int, generator: torch.Generator, device: torch.device | str = "cpu", turn: float = 0.0
) -> Tensor:
    """(N, channels, height, width) float32 standard normal noise of N views, seen from one noise on the sphere. The generator is the processor's.

    The sphere carries noise on an even lattice; a pixel's noise is the sum over the lattice's points that it covers, divided by the root of their number.
    So pixels of one view are exactly independent, and two views agree as far as their pixels cover the same points (the idea of integrated noise:
    Chang et al., How I Warped Your Noise, ICLR 2024). `turn` turns the sphere's noise to the right by degrees.
    """
    count = max(_lattice_size(view, height, width) for view in views)
    points = even_directions(count, torch.empty(0, dtype=torch.float64)) @ View(yaw=turn).axes(torch.empty(0, dtype=torch.float64))
    # On the processor, where a sum has one order: the same seed shall give the same sphere.
    values = torch.randn(channels, count, generator=generator)
    return torch.stack([_seen(view, points, values, height, width, generator) for view in views]).to(device)


def _lattice_size(view: View, height: int, width: int) -> int:
    """How many points all around give every pixel of a view enough of them."""
    pixel = (2 * view.half / width) ** 2
    farthest = 1 + view.half**2 * (1 + (height / width) ** 2)  # squared length of the ray of a corner at planar depth 1
    return math.ceil(POINTS_PER_PIXEL * 4 * math.pi / (pixel * farthest**-1.5))


def _seen(view: View, points: Tensor, values: Tensor, height: int, width: int, generator: torch.Generator) -> Tensor:
    """(channels, height, width) of one view."""
    places, depth = view.project(points, height, width)
    column, row = ((places[:, axis] + 1) / 2 * side for axis, side in ((0, width), (1, height)))
    seen = (depth > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    pixel = (row[seen].floor() * width + column[seen].floor()).long()
    covered = torch.bincount(pixel, minlength=height * width)
    total = torch.zeros(len(values), height * width).index_add_(1, pixel, values[:, seen])
    noise = total / covered.clamp(min=1).sqrt()
    if (empty := covered == 0).any():
        noise[:, empty] = torch.randn(len(values), int(empty.sum()), generator=generator)
    return noise.reshape(len(values), height, width)
