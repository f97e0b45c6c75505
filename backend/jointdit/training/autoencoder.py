# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage 1 of a small model: its autoencoder, for pictures and for disparities as grey pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pixel_unshuffle

from ..autoencoder import PATCH, PatchAutoencoder
from .data import Pictures
from .export import pack
from .loop import Journal, Schedule, train

CROP = 96
HALF_WIDTH = 48
LATENT_NOISE = 0.05  # the decoder learns to live with the small errors of sampled latents
MOST_ERROR = 0.2  # of the latents' deviation: what a small transformer leaves of noise is mostly below
DISPARITY_WEIGHT = 3.0  # far away, small errors of disparity are large ones of depth


def random_crops(pictures: Pictures, count: int, generator: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    """(count, 3, CROP, CROP) in [-1, 1], half images, then half disparities as grey pictures, and the weight of each (count,)."""
    height, width = pictures.image.shape[-2:]
    where = [torch.randint(n, (count,), generator=generator, device=device) for n in (len(pictures.image), height - CROP + 1, width - CROP + 1)]
    rows, columns = (start[:, None] + torch.arange(CROP, device=device) for start in where[1:])
    index = (where[0][:, None, None], slice(None), rows[:, :, None], columns[:, None, :])  # the channels come last
    half = count // 2
    first, second = ((index[0][part], index[1], index[2][part], index[3][part]) for part in (slice(half), slice(half, None)))
    images = pictures.image[first].float() / 255
    disparities = pictures.disparity[second].float().expand(-1, -1, -1, 3)
    weight = torch.ones(count, device=device)
    weight[half:] = DISPARITY_WEIGHT
    return 2 * torch.cat([images, disparities]).movedim(-1, 1) - 1, weight


def reconstruction_loss(vae: PatchAutoencoder, x: Tensor, weight: Tensor, generator: torch.Generator) -> Tensor:
    """`picture_loss` of what comes out, with a little noise on the latents."""
    with torch.autocast(x.device.type, torch.bfloat16):
        latents = vae.encode(x).latent_dist.mode()
        y = vae.decode(latents + LATENT_NOISE * torch.randn(latents.shape, generator=generator, device=x.device)).sample
    return picture_loss(y.float(), x, weight)


def sampled_latents_loss(vae: PatchAutoencoder, x: Tensor, weight: Tensor, generator: torch.Generator) -> Tensor:
    """`picture_loss` of what the decoder makes of latents with errors as a small transformer leaves: of each latent, and of each patch of 2 x 2 together.

    Errors of the steps from one block of pixels to the next count besides.
    """
    count, device = len(x), x.device
    with torch.autocast(device.type, torch.bfloat16):
        with torch.no_grad():
            latents = vae.encode(x).latent_dist.mode().float()
        patches = (count, latents.shape[1], latents.shape[2] // 2, latents.shape[3] // 2)
        each, together = (torch.randn(shape, generator=generator, device=device) for shape in (latents.shape, patches))
        errors = (each + together.repeat_interleave(2, 2).repeat_interleave(2, 3)) / 2**0.5
        amount = MOST_ERROR / vae.config.scaling_factor * torch.rand(count, 1, 1, 1, generator=generator, device=device)
        y = vae.decode(latents + amount * errors).sample
    jumps = [(y.float() - x).diff(dim=dim).movedim(dim, -1)[..., PATCH - 1 :: PATCH].abs().mean((1, 2, 3)) for dim in (-1, -2)]  # where blocks meet
    return picture_loss(y.float(), x, weight) + (weight * (jumps[0] + jumps[1])).mean()


def picture_loss(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Absolute and squared error of the pixels, absolute errors of their differences (edges) and of means over 4 x 4 (no drift of smooth parts)."""
    error = y - x
    edges = error.diff(dim=-1).abs().mean((1, 2, 3)) + error.diff(dim=-2).abs().mean((1, 2, 3))
    smooth = avg_pool2d(error, 4).abs().mean((1, 2, 3))
    each = error.abs().mean((1, 2, 3)) + error.square().mean((1, 2, 3)) + 0.5 * edges + smooth
    return (each * weight).mean()


@torch.no_grad()
def normalise(vae: PatchAutoencoder, pictures: Pictures, device: torch.device) -> None:
    """Set shift and scale so that latents have mean 0 and deviation 1 over images and disparities together, as FLUX's autoencoder states its own."""
    image, disparity = pictures.as_float(slice(0, 256))
    latents = torch.cat([vae.encode(2 * x.to(device) - 1).latent_dist.mode() for x in (*image.split(32), *disparity.split(32))])
    vae.register_to_config(shift_factor=latents.mean().item(), scaling_factor=1 / latents.std().item())


def train_autoencoder(
    folder: Path, pictures: Pictures, schedule: Schedule, device: torch.device, minutes: float | None = None,
    on_checkpoint: Callable[[int], None] | None = None, journal: Journal | None = None,
) -> bool:  # fmt: skip
    """Train, or go on with, the autoencoder in `folder`; saved in 8 bits in `vae`, as it is shipped. Returns whether it is finished."""
    torch.manual_seed(0)
    vae = PatchAutoencoder(half_width=HALF_WIDTH).train()
    image, disparity = pictures.as_float(torch.arange(0, len(pictures.image), max(1, len(pictures.image) // 500)))
    vae.start_from(pixel_unshuffle(2 * torch.cat([image, image, disparity]) - 1, PATCH).movedim(1, -1).reshape(-1, 3 * PATCH**2))
    vae = vae.to(device, memory_format=torch.channels_last)
    held = Pictures(pictures.image.to(device), pictures.disparity.to(device))

    def loss(step: int, generator: torch.Generator) -> Tensor:
        return reconstruction_loss(vae, *random_crops(held, schedule.batch, generator, device), generator)

    done = train(
        dict(vae.named_parameters()), loss, schedule, folder / "autoencoder.pt",
        minutes=minutes, on_checkpoint=on_checkpoint, device=device, journal=journal,
    )  # fmt: skip
    vae.eval()
    normalise(vae, pictures, device)
    pack(vae.to("cpu", memory_format=torch.contiguous_format), folder / "vae")
    return done


def polish_decoder(vae: PatchAutoencoder, pictures: Pictures, schedule: Schedule, device: torch.device, checkpoint: Path, **options: Any) -> bool:
    """Teach the decoder to live with the errors of sampled latents, which show as blocks of 8 and 16 pixels; the encoder, and so what latents mean, stays.

    `options` as of `loop.train`. Returns whether it is finished.
    """
    vae.to(device, memory_format=torch.channels_last).train()
    parameters = {name: parameter for name, parameter in vae.named_parameters() if name.startswith("picture")}
    held = Pictures(pictures.image.to(device), pictures.disparity.to(device))

    def loss(step: int, generator: torch.Generator) -> Tensor:
        return sampled_latents_loss(vae, *random_crops(held, schedule.batch, generator, device), generator)

    done = train(parameters, loss, schedule, checkpoint, device=device, **options)
    vae.to("cpu", memory_format=torch.contiguous_format).eval()
    return done
