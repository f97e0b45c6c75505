# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage 0 of a small model: its autoencoder, for pictures and for disparities as grey pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from ..autoencoder import PATCH, PatchAutoencoder
from .data import Pictures
from .loop import Schedule, train

CROP = 64
LATENT_NOISE = 0.05  # the decoder learns to live with the small errors of sampled latents


def random_crops(pictures: Pictures, count: int, generator: torch.Generator) -> Tensor:
    """(count, 3, CROP, CROP) in [-1, 1]: two thirds images, one third disparities as grey pictures."""
    height, width = pictures.image.shape[-2:]
    crops = []
    for i in range(count):
        which, top, left = (int(torch.randint(n, (), generator=generator)) for n in (len(pictures.image), height - CROP + 1, width - CROP + 1))
        window = (which, slice(None), slice(top, top + CROP), slice(left, left + CROP))
        crops.append(pictures.disparity[window].float().expand(3, -1, -1) if i % 3 == 2 else pictures.image[window].float() / 255)
    return 2 * torch.stack(crops) - 1


def reconstruction_loss(vae: PatchAutoencoder, x: Tensor, generator: torch.Generator) -> Tensor:
    """Absolute and squared error of the pixels, and absolute error of their differences (edges)."""
    with torch.autocast(x.device.type, torch.bfloat16):
        latents = vae.encode(x).latent_dist.mode()
        y = vae.decode(latents + LATENT_NOISE * torch.randn(latents.shape, generator=generator)).sample
    error = y.float() - x
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + error.square().mean() + 0.5 * edges


@torch.no_grad()
def normalise(vae: PatchAutoencoder, pictures: Pictures) -> None:
    """Set shift and scale so that latents have mean 0 and deviation 1 over images and disparities together, as FLUX's autoencoder states its own."""
    image, disparity = pictures.as_float(slice(0, 512))
    latents = vae.encode(2 * torch.cat([image, disparity]) - 1).latent_dist.mode()
    vae.register_to_config(shift_factor=latents.mean().item(), scaling_factor=1 / latents.std().item())


def train_autoencoder(
    folder: Path, pictures: Pictures, schedule: Schedule, minutes: float | None = None, on_checkpoint: Callable[[int], None] | None = None
) -> bool:
    """Train, or go on with, the autoencoder in `folder`; saved as a diffusers folder `vae`. Returns whether it is finished."""
    torch.manual_seed(0)
    vae = PatchAutoencoder().train()
    image, disparity = pictures.as_float(torch.arange(0, len(pictures.image), max(1, len(pictures.image) // 1000)))
    vae.start_from(pixel_unshuffle(2 * torch.cat([image, image, disparity]) - 1, PATCH).movedim(1, -1).reshape(-1, 3 * PATCH**2))
    parameters = dict(vae.named_parameters())

    def loss(step: int, generator: torch.Generator) -> Tensor:
        return reconstruction_loss(vae, random_crops(pictures, schedule.batch, generator), generator)

    done = train(parameters, loss, schedule, folder / "autoencoder.pt", minutes=minutes, on_checkpoint=on_checkpoint)
    vae.eval()
    normalise(vae, pictures)
    vae.save_pretrained(folder / "vae")
    return done
