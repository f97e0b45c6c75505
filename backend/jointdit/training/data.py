# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural RGB-D scenes as a training set: rendered once, encoded once, kept in memory as latents with their captions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from tqdm import tqdm

from ..procedural import render

HELD_OUT = 1_000_000_000  # seeds from here on are never trained on


@dataclass
class Latents:
    """Normalised latents of images and disparities (N, C, H / 8, W / 8) in float16, and one caption each."""

    rgb: Tensor
    depth: Tensor
    captions: list[str]


@torch.no_grad()
def encode_scenes(vae: AutoencoderKL, count: int, size: int, cache: Path, batch: int = 64) -> Latents:
    """Latents of the scenes 0 ... count - 1, rendered at `size` x `size`; kept in the file `cache` so that a resumed run starts at once."""
    if cache.is_file():
        state = torch.load(cache, weights_only=True)
        return Latents(**state)
    rgb, depth, captions = [], [], []
    for first in tqdm(range(0, count, batch), desc="scenes"):
        scenes = render(range(first, min(first + batch, count)), size)
        rgb.append(normalised_latents(vae, scenes.image).half())
        depth.append(normalised_latents(vae, scenes.disparity.expand(-1, 3, -1, -1)).half())
        captions += scenes.captions
    latents = Latents(torch.cat(rgb), torch.cat(depth), captions)
    torch.save(vars(latents), cache)
    return latents


def normalised_latents(vae: AutoencoderKL, picture: Tensor) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> (N, C, H / 8, W / 8), shifted and scaled as the pipeline does."""
    with torch.autocast(vae.device.type, torch.bfloat16):
        latents = vae.encode(2 * picture - 1).latent_dist.mode().float()
    return (latents - vae.config.shift_factor) * vae.config.scaling_factor
