# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures made worse as a small model makes them worse, so that a classifier of them does not mind: shifts, colors, blur, noise, blocks."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, interpolate, pad

BLOCK = 8


def damaged(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """(N, 3, H, W) in [0, 1], each damaged in its own way, or hardly. `generator` is one of the CPU."""
    device, count = pictures.device, len(pictures)

    def between(low: float, high: float, *shape: int) -> Tensor:
        return (low + (high - low) * torch.rand(count, *shape, generator=generator)).to(device)

    def some(share: float) -> Tensor:
        return torch.rand(count, generator=generator).lt(share).to(device)[:, None, None, None]

    pictures = shifted(pictures, between(-0.06, 0.06, 2), between(0.94, 1.04))
    pictures = torch.where(some(0.4), blurred(pictures, between(0.4, 1.6)), pictures)
    pictures = torch.where(some(0.15), interpolate(interpolate(pictures, scale_factor=0.5, mode="area"), pictures.shape[-2:], mode="bilinear"), pictures)
    grey = pictures.mean(dim=1, keepdim=True)
    pictures = grey + (pictures - grey) * between(0.8, 1.15, 1, 1, 1)
    pictures = (pictures * between(0.88, 1.1, 1, 1, 1) * between(0.96, 1.04, 3, 1, 1) + between(-0.03, 0.03, 1, 1, 1)).clamp(0, 1)
    pictures = torch.where(some(0.3), blocky(pictures, between(0.02, 0.25)), pictures)
    seeds = torch.Generator(device).manual_seed(int(torch.randint(2**31, (), generator=generator)))
    noise = torch.randn(pictures.shape, generator=seeds, device=device)
    return (pictures + torch.where(some(0.5), between(0.0, 0.06, 1, 1, 1), 0.0) * noise).clamp(0, 1)


def shifted(pictures: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Moved by `shift` (N, 2), in halves of the picture, and zoomed; what is beyond the edge repeats it."""
    matrix = torch.zeros(len(pictures), 2, 3, device=pictures.device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, :, 2] = shift
    return grid_sample(pictures, affine_grid(matrix, list(pictures.shape), align_corners=False), padding_mode="border", align_corners=False)


def blurred(pictures: Tensor, sigma: Tensor) -> Tensor:
    """By a Gaussian of `sigma` (N,) pixels, cut off at 3."""
    count, channels, height, width = pictures.shape
    offsets = torch.arange(-3.0, 4.0, device=pictures.device)
    kernel = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)[:, None]
    flat = pad(pictures, (3, 3, 3, 3), mode="replicate").reshape(1, count * channels, height + 6, width + 6)
    rows = conv2d(flat, kernel[..., None], groups=count * channels)
    return conv2d(rows, kernel[:, :, None], groups=count * channels).reshape(count, channels, height, width)


def blocky(pictures: Tensor, strength: Tensor) -> Tensor:
    """As JPEG: in blocks of 8 pixels frequencies are rounded, high ones more; `strength` (N,) is the step of the lowest."""
    count, channels, height, width = pictures.shape
    waves = cosines(pictures.device)
    blocks = pictures.reshape(count, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    spectrum = waves @ blocks @ waves.t()
    order = torch.arange(BLOCK, device=pictures.device)
    step = strength[:, None, None, None, None, None] * (1 + 0.6 * (order[:, None] + order[None]))
    return (waves.t() @ (step * (spectrum / step).round()) @ waves).transpose(3, 4).reshape(pictures.shape).clamp(0, 1)


def cosines(device: torch.device) -> Tensor:
    """The orthonormal cosine transform of 8 values."""
    order = torch.arange(BLOCK, dtype=torch.float32, device=device)
    waves = torch.cos(math.pi / BLOCK * (order[None] + 0.5) * order[:, None]) * math.sqrt(2 / BLOCK)
    waves[0] /= math.sqrt(2)
    return waves
