# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's training method on a prepared set: joint conditional flow matching (equation 4) of the RGB and the depth branch.

Sigma is 1 for noise and 0 for clean (the paper's t is 1 - sigma). Each branch has its own sigma, so one model learns all three tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..latents import image_position_ids, pack
from ..transformer import JointDiTTransformer2DModel
from .flow import NOISY_SHIFT, add_noise, shifted_logit_normal, unbalanced_sigmas, velocity_loss

GUIDANCE = 1.0
"""What a guidance-distilled model is told in training."""

Text = tuple[Tensor, Tensor]
"""Token states (n, T, D) and pooled vectors (n, P)."""


class Pairs(Protocol):
    """Where training samples come from: a `PreparedSet` with its text, as `sources.SetPairs` gives it."""

    def __len__(self) -> int:
        """How many pairs may be drawn."""

    def batch(self, indices: list[int]) -> tuple[Tensor, Tensor, Text]:
        """Clean latents of RGB and depth (n, C, h, w), and the text of some pairs."""

    def empty(self) -> Text:
        """The text of the empty prompt, n = 1."""


def independent_sigmas(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The ablation without unbalanced sampling (section 4.4): both branches draw from f, each for itself. Noise levels as `unbalanced_sigmas` gives them."""
    return shifted_logit_normal(count, NOISY_SHIFT, generator), shifted_logit_normal(count, NOISY_SHIFT, generator)


SIGMAS: dict[str, Callable[[int, torch.Generator], tuple[Tensor, Tensor]]] = {"unbalanced": unbalanced_sigmas, "independent": independent_sigmas}


@dataclass(frozen=True)
class Batch:
    """What one call of the loss works on: packed clean latents and their noise (2n, L, C), RGB first; noise levels (2n,); the text of each pair; the grid."""

    clean: Tensor
    noise: Tensor
    sigma: Tensor
    text: Text
    grid: tuple[int, int]


def joint_loss(model: JointDiTTransformer2DModel, batch: Batch, precision: torch.dtype = torch.float32, counted: Tensor | None = None) -> Tensor:
    """Equation 4: the mean squared error of the velocities of both branches, over all samples, tokens and channels; or over the `counted` samples, bools (2n,).

    `precision` bfloat16 rounds the products (autocast); the noisy samples, the targets and the error are never rounded.
    """
    device, samples = batch.clean.device, len(batch.clean)
    tokens, pooled = batch.text
    ids = image_position_ids(*batch.grid, device), torch.zeros(tokens.shape[1], 3, device=device)
    guidance = torch.full((samples,), GUIDANCE, device=device) if model.config.guidance_embeds else None
    noisy = add_noise(batch.clean, batch.noise, batch.sigma)
    rounded = precision == torch.bfloat16
    with torch.autocast(device.type, torch.bfloat16, enabled=rounded):
        dtype = model.dtype if rounded else batch.clean.dtype
        velocity = model(
            noisy.to(dtype), tokens.to(dtype).repeat(2, 1, 1), pooled.to(dtype).repeat(2, 1), batch.sigma, *ids, guidance=guidance, return_dict=False
        )[0]
    if counted is not None:
        return velocity_loss(velocity[counted], batch.clean[counted], batch.noise[counted])
    return velocity_loss(velocity, batch.clean, batch.noise)


class Drawing:
    """Draws what a step trains on. All that is random comes from the one generator of the run, so that a checkpoint with its state resumes exactly.

    Of several `count` processes each draws the same whole batch and takes its own part, `rank`: N processes with n pairs each train on what one
    process with N n pairs would.
    """

    def __init__(self, pairs: Pairs, batch: int, timesteps: str = "unbalanced", prompt_drop: float = 0.1, rank: int = 0, count: int = 1) -> None:
        self._pairs, self._batch, self._drop = pairs, batch, prompt_drop
        self._sigmas = SIGMAS[timesteps]
        self._rank, self._count = rank, count

    def __call__(self, generator: torch.Generator) -> Batch:
        """The next batch of this process, on the generator's device."""
        device, whole = generator.device, self._batch * self._count
        own = slice(self._rank * self._batch, (self._rank + 1) * self._batch)
        chosen = torch.randint(len(self._pairs), (whole,), generator=generator, device=device)[own]
        dropped = (torch.rand(whole, generator=generator, device=device) < self._drop)[own]
        sigma = torch.cat([branch[own] for branch in self._sigmas(whole, generator)])
        rgb, depth, (tokens, pooled) = self._pairs.batch(chosen.tolist())
        shape = (2, whole, *rgb.shape[1:])
        noise = torch.randn(shape, generator=generator, device=device)[:, own].flatten(0, 1)
        empty = [part.to(device) for part in self._pairs.empty()]
        text = tuple(
            torch.where(dropped.view(-1, *[1] * (part.ndim - 1)), nothing.to(part.dtype), part)
            for part, nothing in zip((tokens.to(device), pooled.to(device)), empty, strict=True)
        )
        grid = (rgb.shape[-2] // 2, rgb.shape[-1] // 2)
        clean = torch.cat([rgb, depth]).to(device).float()
        return Batch(pack(clean), pack(noise), sigma.to(device), text, grid)


def held_out_batch(pairs: Pairs, indices: list[int], device: torch.device, seed: int = 0) -> Batch:
    """A fixed batch to measure on: the same pairs with the same noise and noise levels each time, drawn on the processor."""
    generator = torch.Generator().manual_seed(seed)
    rgb, depth, (tokens, pooled) = pairs.batch(indices)
    clean = torch.cat([rgb, depth]).float()
    noise = torch.randn(clean.shape, generator=generator)
    sigma = torch.cat(unbalanced_sigmas(len(indices), generator))
    grid = (rgb.shape[-2] // 2, rgb.shape[-1] // 2)
    return Batch(pack(clean).to(device), pack(noise).to(device), sigma.to(device), (tokens.to(device), pooled.to(device)), grid)
