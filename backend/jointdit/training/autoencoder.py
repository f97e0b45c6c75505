# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage 0 of a small model: an autoencoder of FLUX's kind (16 channels, 8 x reduction) for pictures and grey disparities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from tqdm import tqdm

from ..procedural import render
from .loop import Schedule, train

KL_WEIGHT = 1e-3  # enough to keep the latents smooth, too little to blur pictures
CROP = 64


@dataclass
class Pictures:
    """Images (N, 3, H, W) and disparities (N, 1, H, W), both uint8 and float16 respectively to keep many in memory."""

    image: Tensor
    disparity: Tensor


def new_autoencoder() -> AutoencoderKL:
    """The small autoencoder: 8 x down to 16 channels, like FLUX's, but with a few million weights."""
    channels = (24, 48, 96, 192)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=channels, layers_per_block=1,
        latent_channels=16, norm_num_groups=8, mid_block_add_attention=False, use_quant_conv=False, use_post_quant_conv=False,
        scaling_factor=1.0, shift_factor=0.0,
    )  # fmt: skip


def render_pictures(first: int, count: int, size: int, batch: int = 64) -> Pictures:
    """Pictures of the scenes with seeds first ... first + count - 1."""
    images, disparities = [], []
    for start in tqdm(range(first, first + count, batch), desc="pictures"):
        scenes = render(range(start, min(start + batch, first + count)), size)
        images.append((255 * scenes.image).round().to(torch.uint8))
        disparities.append(scenes.disparity.half())
    return Pictures(torch.cat(images), torch.cat(disparities))


def random_crops(pictures: Pictures, count: int, generator: torch.Generator) -> Tensor:
    """(count, 3, CROP, CROP) in [-1, 1]: two thirds images, one third disparities as grey pictures."""
    height, width = pictures.image.shape[-2:]
    crops = []
    for i in range(count):
        which, top, left = (int(torch.randint(n, (), generator=generator)) for n in (len(pictures.image), height - CROP + 1, width - CROP + 1))
        window = (which, slice(None), slice(top, top + CROP), slice(left, left + CROP))
        crops.append(pictures.disparity[window].float().expand(3, -1, -1) if i % 3 == 2 else pictures.image[window].float() / 255)
    return 2 * torch.stack(crops) - 1


def reconstruction_loss(vae: AutoencoderKL, x: Tensor, generator: torch.Generator) -> Tensor:
    """Absolute error of pixels and of their differences (edges), plus a little KL."""
    with torch.autocast(x.device.type, torch.bfloat16):
        posterior = vae.encode(x).latent_dist
        y = vae.decode(posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=generator)).sample
    error = y.float() - x
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    kl = 0.5 * (posterior.mean.float().square() + posterior.var.float() - 1 - posterior.logvar.float()).mean()
    return error.abs().mean() + 0.5 * edges + KL_WEIGHT * kl


@torch.no_grad()
def normalise(vae: AutoencoderKL, pictures: Pictures) -> None:
    """Set shift and scale so that image latents have mean 0 and deviation 1, as FLUX's autoencoder file states its own."""
    x = pictures.image[:256].float() / 127.5 - 1
    latents = vae.encode(x).latent_dist.mode()
    vae.register_to_config(shift_factor=latents.mean().item(), scaling_factor=1 / latents.std().item())


def train_autoencoder(
    folder: Path, size: int, schedule: Schedule, scenes: int = 6000, minutes: float | None = None, on_checkpoint: Callable[[int], None] | None = None
) -> AutoencoderKL:
    """Train, or go on with, the autoencoder in `folder`; saved as a diffusers folder `vae` when done."""
    torch.manual_seed(0)
    vae = new_autoencoder().train()
    pictures = render_pictures(0, scenes, size)
    parameters = dict(vae.named_parameters())

    def loss(step: int, generator: torch.Generator) -> Tensor:
        return reconstruction_loss(vae, random_crops(pictures, schedule.batch, generator), generator)

    train(parameters, loss, schedule, folder / "autoencoder.pt", minutes=minutes, on_checkpoint=on_checkpoint)
    vae.eval()
    normalise(vae, pictures)
    vae.save_pretrained(folder / "vae")
    return vae
