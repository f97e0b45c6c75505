# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strip all around, as the paper makes it (supplement B.5, after JointNet): square windows and, early on, the whole strip denoised together.

Windows lie half a window apart and wrap around the seam. Each step moves them and the whole by one random offset, anywhere around: JointNet's stays below
half a window, which keeps the border of the whole in one region. What is
averaged are velocities, which for an Euler step is the same as averaging the results. All parts follow one schedule, that of a window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..latents import image_position_ids, pack, unpack
from ..sampler import Sampler, even_batches

WHOLE_SHARE, WHOLE_WEIGHT = 0.4, 5.0
"""For what share of the steps the whole strip is denoised too, and what it counts then."""
RAMP = 8
"""Latent pixels over which a window's weight rises at its borders."""


def denoise_strip(
    sampler: Sampler,
    canvas: Tensor,
    batch: int,
    generator: torch.Generator,
    after_batch: Callable[[int], None] = lambda step: None,
    after_step: Callable[[int, Tensor, Tensor], None] = lambda step, canvas, clean: None,
    prompts: tuple[int, int] = (0, 0),
) -> Tensor:
    """From noise to clean latents: (2, C, h, W), RGB first, W a multiple of h / 2, in and out.

    `sampler` is that of one window, a square as high as the strip; at most `batch` windows work at a time. `prompts` are those of windows and of the
    whole. `after_batch(step)` is called while a step goes on; `after_step(step, canvas, clean)` gets the clean estimate too.
    """
    _, _, height, width = canvas.shape
    starts = range(0, width, height // 2)
    weight = window_weight(height, canvas.device)
    whole = sampler.rotary(image_position_ids(height // 2, width // 2, canvas.device))
    steps = len(sampler.sigmas) - 1
    for step in range(steps):
        offset = 2 * int(torch.randint(width // 2, (), generator=generator))
        turned = canvas.roll(-offset, -1)
        velocity, weights = torch.zeros_like(turned), turned.new_zeros(width)
        for some in (starts[first:past] for first, past in even_batches(len(starts), batch)):
            for start, change in zip(some, window_velocities(sampler, turned, some, step, prompts[0]), strict=True):
                columns = torch.arange(start, start + height, device=canvas.device) % width
                velocity[..., columns] += weight * change
                weights[columns] += weight
            after_batch(step)
        if step < WHOLE_SHARE * steps:
            velocity += WHOLE_WEIGHT * unpack(sampler.velocity(pack(turned), step, [prompts[1]], whole), height // 2, width // 2)
            weights += WHOLE_WEIGHT
            after_batch(step)
        velocity = (velocity / weights).roll(offset, -1)
        sigma, following = sampler.sigmas[step].to(canvas), sampler.sigmas[step + 1].to(canvas)
        clean = canvas - sigma * velocity
        canvas = canvas + (following - sigma) * velocity
        after_step(step, canvas, clean)
    return canvas


def window_velocities(sampler: Sampler, canvas: Tensor, starts: Sequence[int], step: int, prompt: int) -> list[Tensor]:
    """Velocities (2, C, h, h) of the windows that begin at these columns of a canvas (2, C, h, W), which wraps."""
    height, width = canvas.shape[-2:]
    windows = torch.stack([canvas[..., (torch.arange(height, device=canvas.device) + start) % width] for start in starts], dim=1)
    changes = sampler.velocity(pack(windows.flatten(0, 1)), step, [prompt] * len(starts))
    return list(unpack(changes, height // 2, height // 2).unflatten(0, (2, -1)).unbind(1))


def window_weight(side: int, device: torch.device | str = "cpu") -> Tensor:
    """(side,): 1 in the middle of a window, falling linearly to 0 at its borders over `RAMP` latent pixels, or over half of a small window."""
    ramp = min(RAMP, side // 2)
    from_middle = (torch.arange(side, device=device) + 0.5 - side / 2).abs()
    return ((side / 2 - from_middle) / ramp).clamp(max=1)
