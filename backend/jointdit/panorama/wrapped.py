# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sphere as one equirectangular picture: for a model that a LoRA has taught panoramas.

The latents are padded by a patch on either side with what is on the other one: its noise and its position, so that the seam is no border to the model.
Each step also turns the sphere by a random angle, so that no place is at the seam twice.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..latents import image_position_ids, pack, unpack
from ..sampler import Sampler
from .sphere import around_poles

PATCH = 2
"""Latent pixels of a patch."""


def denoise_wrapped(
    sampler: Sampler, canvas: Tensor, generator: torch.Generator, after_step: Callable[[int, Tensor], None] = lambda step, clean: None
) -> Tensor:
    """From noise to clean latents (2, C, h, 2h), RGB first, in and out. `after_step(step, clean)` gets the clean estimate."""
    height, width = canvas.shape[-2:]
    rows, columns = height // PATCH, width // PATCH
    rotary = sampler.rotary(wrapped_position_ids(rows, columns, canvas.device))
    for step in range(len(sampler.sigmas) - 1):
        sigma, following = sampler.sigmas[step].to(canvas), sampler.sigmas[step + 1].to(canvas)
        offset = PATCH * int(torch.randint(columns, (), generator=generator))
        padded = around_poles(canvas.roll(-offset, -1), PATCH, 0)
        velocity = unpack(sampler.velocity(pack(padded), step, [0], rotary), rows, columns + 2)[..., PATCH:-PATCH].roll(offset, -1)
        after_step(step, canvas - sigma * velocity)
        canvas = canvas + (following - sigma) * velocity
    return canvas


def wrapped_position_ids(rows: int, columns: int, device: torch.device | str = "cpu") -> Tensor:
    """(rows * (columns + 2), 3): a column more on each side, with the positions of the patches that it copies."""
    ids = image_position_ids(rows, columns, device).view(rows, columns, 3)
    return torch.cat([ids[:, -1:], ids, ids[:, :1]], dim=1).reshape(-1, 3)
