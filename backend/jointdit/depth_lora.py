# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Low-rank adaptation of the depth half of a batch.

Both branches run the same frozen weights as one batch, RGB samples first and depth samples second. Only the depth samples see the LoRA
(JointDiT, section 3.2): y = W x for RGB, y = W x + (alpha / rank) B A x for depth, with alpha = rank / 2 in the released weights.
The base layers stay what they are, so quantisation, offloading and users' own LoRAs work on them from outside.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LORA_SCALE = 0.5  # alpha / rank of the released weights; the files do not store it


class DepthLora(nn.Module):
    """The pair (A, B) of one base layer. `down` maps to the rank, `up` back; `up` starts at zero, so a new LoRA changes nothing."""

    def __init__(self, in_features: int, out_features: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(in_features, rank, bias=False)
        self.up = nn.Linear(rank, out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The change of the base layer's output: (..., in_features) -> (..., out_features)."""
        # Scaled at the rank's width, where it costs least.
        return self.up(LORA_SCALE * self.down(x))


def add_to_depth_half(y: Tensor, change: Tensor) -> Tensor:
    """Add `change` (N, ...) to the second half of `y` (2N, ...), leaving the RGB half bit for bit as it was.

    `y` is the fresh output of a layer: without gradients it is changed in place, which spares a copy of it.
    """
    rgb, depth = y.chunk(2)
    if torch.is_grad_enabled():
        return torch.cat([rgb, depth + change])
    depth += change
    return y


def depth_half(x: Tensor) -> Tensor:
    """The depth samples (N, ...) of a batch (2N, ...)."""
    return x.chunk(2)[1]
