# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure functions between pictures and the transformer's tokens: packing, positions, padding, the shift of the noise schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


def pack(latents: Tensor) -> Tensor:
    """(B, C, 2 rows, 2 columns) -> (B, rows * columns, 4 C): 2 x 2 patches become tokens, row by row."""
    b, c, h, w = latents.shape
    return latents.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h // 2 * (w // 2), 4 * c)


def unpack(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """The inverse of `pack`."""
    b, _, c = tokens.shape
    return tokens.view(b, rows, columns, c // 4, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(b, c // 4, 2 * rows, 2 * columns)


def image_position_ids(rows: int, columns: int, device: torch.device | str = "cpu") -> Tensor:
    """(rows * columns, 3): (0, row, column) of every patch. Text tokens are all at (0, 0, 0)."""
    ids = torch.zeros(rows, columns, 3, device=device)
    ids[..., 1] = torch.arange(rows, device=device)[:, None]
    ids[..., 2] = torch.arange(columns, device=device)
    return ids.view(-1, 3)


def scheduler_shift(tokens: int, config: Mapping[str, float]) -> float:
    """mu of the schedule sigma' = exp(mu) / (exp(mu) + 1 / sigma - 1), linear in the number of image tokens (0.5 at 256, 1.15 at 4096 for FLUX)."""
    low, high = config["base_image_seq_len"], config["max_image_seq_len"]
    slope = (config["max_shift"] - config["base_shift"]) / (high - low)
    return config["base_shift"] + slope * (tokens - low)


@dataclass(frozen=True)
class Padding:
    """How a picture of any size sits inside one whose sides the model can use; `height` and `width` are the padded ones, in pixels."""

    height: int
    width: int
    top: int
    left: int
    inner_height: int
    inner_width: int

    def apply(self, picture: Tensor) -> Tensor:
        """(..., inner_height, inner_width) -> (..., height, width), border pixels repeated."""
        rows = (torch.arange(self.height, device=picture.device) - self.top).clamp(0, self.inner_height - 1)
        columns = (torch.arange(self.width, device=picture.device) - self.left).clamp(0, self.inner_width - 1)
        return picture[..., rows[:, None], columns]

    def crop(self, picture: Tensor) -> Tensor:
        """The inverse of `apply`."""
        return picture[..., self.top : self.top + self.inner_height, self.left : self.left + self.inner_width]


def pad_to_multiple(height: int, width: int, multiple: int) -> Padding:
    """The smallest padded size whose sides are multiples, the picture in its middle."""
    padded_height, padded_width = -(-height // multiple) * multiple, -(-width // multiple) * multiple
    return Padding(padded_height, padded_width, (padded_height - height) // 2, (padded_width - width) // 2, height, width)
