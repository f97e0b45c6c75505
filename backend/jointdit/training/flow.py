# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow matching: noise levels and the loss, as pure functions. Sigma is 1 for noise and 0 for clean; the target is noise - clean."""

from __future__ import annotations

import torch
from torch import Tensor

NOISY_SHIFT = 3.1582  # f of the paper's unbalanced sampling: exp(1.15)
CLEAN_SHIFT = 0.25  # g
ESTIMATED = 0.5  # share of estimates in `estimating_sigmas`
FROM_NOISE = 0.3  # and of these, how many begin


def shifted_logit_normal(count: int, shift: float, generator: torch.Generator) -> Tensor:
    """(count,) sigmas: u = sigmoid(N(0, 1)), sigma = shift u / (1 + (shift - 1) u). A shift above 1 favours noise, below 1 favours clean."""
    u = torch.sigmoid(torch.randn(count, generator=generator, device=generator.device))
    return shift * u / (1 + (shift - 1) * u)


def unbalanced_sigmas(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise levels (sigma_rgb, sigma_depth), each (count,), of the paper's unbalanced timestep sampling (section 3.3, as released).

    With probability 1/2 both branches share one sigma from f; with 1/4 RGB takes f and depth g; with 1/4 the other way round.
    """
    shared = shifted_logit_normal(count, NOISY_SHIFT, generator)
    clean = shifted_logit_normal(count, CLEAN_SHIFT, generator)
    choice = torch.rand(count, generator=generator, device=generator.device)
    sigma_rgb = torch.where(choice >= 0.75, clean, shared)
    sigma_depth = torch.where((choice >= 0.5) & (choice < 0.75), clean, shared)
    return sigma_rgb, sigma_depth


def estimating_sigmas(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Noise levels (sigma_rgb, sigma_depth), each (count,), of which half are as an estimate of depth meets them; and which these are, bools (count,).

    There the picture is quite clean, and the depth is noise altogether, as at the first step, or drawn from f. The rest is `unbalanced_sigmas`.
    """
    rgb, depth = unbalanced_sigmas(count, generator)
    noisy = shifted_logit_normal(count, NOISY_SHIFT, generator)
    kind = torch.rand(count, generator=generator, device=generator.device)
    estimated = kind < ESTIMATED
    noisy = torch.where(kind < ESTIMATED * FROM_NOISE, 1.0, noisy)
    return torch.where(estimated, 0.0, rgb), torch.where(estimated, noisy, depth), estimated


def add_noise(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """(1 - sigma) clean + sigma noise, with sigma (B,) and clean (B, ...)."""
    sigma = sigma.view(-1, *[1] * (clean.ndim - 1))
    return (1 - sigma) * clean + sigma * noise


def velocity_loss(velocity: Tensor, clean: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error of the velocities of all samples; with both branches in the batch this is the paper's equation 4."""
    return torch.nn.functional.mse_loss(velocity.float(), noise - clean)
