# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of the sphere from many views: weighted means along rays, each view counting most where it looks straight ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .sphere import View, border_weight, sample

RAMP = 0.35
"""Part of a view's half side, at its border, over which it fades."""
SHARPNESS = 4
"""Power of the cosine to a view's axis in its weight: a picture is finest, and bent least, in its middle."""
FEATHER, KEPT = 0.06, 1e4
"""The ramp of a known picture, and its weight against 1 for the others."""


@dataclass(frozen=True)
class Look:
    """What one view sees of K rays: indices of the rays (k,), places in the view (k, 2), and the view's share of the mean there (k,)."""

    view: int
    rays: Tensor
    places: Tensor
    share: Tensor


def looks(views: Sequence[View], sides: Sequence[tuple[int, int]], rays: Tensor, known: int = 0) -> list[Look]:
    """Who sees unit rays (K, 3), and how much each view counts. `sides` are the heights and widths of the views' pictures; the last `known` are to be kept."""
    seen, total = [], torch.zeros(len(rays), dtype=rays.dtype, device=rays.device)
    for index, (view, side) in enumerate(zip(views, sides, strict=True)):
        kept = index >= len(views) - known
        places, cosine = view.project(rays, *side)
        weight = KEPT * border_weight(places, FEATHER) if kept else border_weight(places, RAMP) * cosine.clamp(min=0) ** SHARPNESS
        weight = weight * (cosine > 0)
        found = weight.nonzero()[:, 0]
        total[found] += weight[found]
        seen.append(Look(index, found, places[found], weight[found]))
    return [Look(look.view, look.rays, look.places, look.share / total[look.rays]) for look in seen if len(look.rays)]


def mean(pictures: Sequence[Tensor], seen: Sequence[Look], count: int) -> Tensor:
    """The weighted mean of pictures (C, h, w) along `count` rays: (C, K); 0 where nobody looks."""
    total = torch.zeros(len(pictures[0]), count, dtype=pictures[0].dtype, device=pictures[0].device)
    for look in seen:
        total.index_add_(1, look.rays, look.share * sample(pictures[look.view], look.places))
    return total


def unit_rays(view: View, height: int, width: int, like: Tensor) -> Tensor:
    """(height * width, 3): unit directions of a view's pixel centres."""
    return normalize(view.rays(height, width, like).reshape(-1, 3), dim=-1)


def cosines(view: View, height: int, width: int, like: Tensor) -> Tensor:
    """(height, width): planar depth over radial distance at the pixel centres."""
    return 1 / view.rays(height, width, like).norm(dim=-1)
