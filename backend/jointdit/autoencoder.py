# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small autoencoder with the interface and the latent shape of FLUX's (8 x down to 16 channels), for the embedded model.

A linear code of 8 x 8 patches, as principal components give it, carries the picture; convolutions at an eighth, a quarter and half of the resolution
correct code and picture where patches meet. It learns in minutes, because it starts from the best linear code instead of from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

PATCH = 8
PIXELS = 3 * PATCH**2


class PointCode:
    """A latent distribution that is one point: what `AutoencoderKL` calls `latent_dist`, without spread."""

    def __init__(self, latents: Tensor) -> None:
        self.mean = latents

    def mode(self) -> Tensor:
        """(N, C, h, w)."""
        return self.mean


@dataclass
class Encoded:
    """What `encode` returns, named as in diffusers."""

    latent_dist: PointCode


class Residual(nn.Module):
    """x + two 3 x 3 convolutions; the second starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1))
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same."""
        return x + self.layers(x)


def _correction(layers: list[nn.Module]) -> nn.Sequential:
    """A branch whose output starts at zero."""
    nn.init.zeros_(layers[-1].weight)
    nn.init.zeros_(layers[-1].bias)
    return nn.Sequential(*layers)


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Pictures (N, 3, H, W) in [-1, 1] <-> latents (N, latent_channels, H / 8, W / 8).

    `shift_factor` and `scaling_factor` mean what they mean for `AutoencoderKL`; `reduction` is how many times smaller the latents' sides are.
    """

    @register_to_config
    def __init__(
        self, latent_channels: int = 16, encoder_width: int = 128, decoder_width: int = 192, quarter_width: int = 96, half_width: int = 0,
        decoder_depth: int = 3, reduction: int = PATCH, shift_factor: float = 0.0, scaling_factor: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.code = nn.Conv2d(PIXELS, latent_channels, 1)
        self.picture = nn.Conv2d(latent_channels, PIXELS, 1)
        self.code_correction = _correction(
            [nn.Conv2d(PIXELS, encoder_width, 1), Residual(encoder_width), Residual(encoder_width), nn.Conv2d(encoder_width, latent_channels, 1)]
        )
        finest = [nn.Conv2d(quarter_width, PIXELS // 4, 3, padding=1)]
        if half_width:
            finest = [
                nn.Conv2d(quarter_width, 4 * half_width, 1),
                nn.PixelShuffle(2),
                Residual(half_width),
                nn.Conv2d(half_width, PIXELS // 16, 3, padding=1),
            ]
        self.picture_correction = _correction(
            [
                nn.Conv2d(latent_channels, decoder_width, 3, padding=1),
                *(Residual(decoder_width) for _ in range(decoder_depth)),
                nn.Conv2d(decoder_width, 4 * quarter_width, 1),
                nn.PixelShuffle(2),
                Residual(quarter_width),
                Residual(quarter_width),
                *finest,
            ]
        )
        self.finest_patch = PATCH // 4 if half_width else PATCH // 2

    def encode(self, x: Tensor) -> Encoded:
        """(N, 3, H, W) in [-1, 1], sides multiples of 8 -> the latent `latent_dist.mode()` (N, C, H / 8, W / 8)."""
        patches = pixel_unshuffle(x, PATCH)
        return Encoded(PointCode(self.code(patches) + self.code_correction(patches)))

    def decode(self, z: Tensor) -> DecoderOutput:
        """(N, C, h, w) -> `sample` (N, 3, 8 h, 8 w), about [-1, 1]."""
        return DecoderOutput(sample=pixel_shuffle(self.picture(z), PATCH) + pixel_shuffle(self.picture_correction(z), self.finest_patch))

    @torch.no_grad()
    def start_from(self, patches: Tensor) -> None:
        """Set the linear code to the principal components of patches (N, 192) in [-1, 1].

        Components are scaled to the square root of their deviation: fine detail then counts for more than its energy, but for less than the coarse.
        """
        mean = patches.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((patches - mean).T.double()))
        values, vectors = values.flip(0)[: self.code.out_channels].float(), vectors.flip(1)[:, : self.code.out_channels].float()
        gain = values.clamp(min=1e-8) ** -0.25
        gain = gain / (gain * values.sqrt()).square().mean().sqrt()
        self.code.weight.copy_((vectors * gain).T[..., None, None])
        self.code.bias.copy_(-(mean @ vectors) * gain)
        self.picture.weight.copy_((vectors / gain)[..., None, None])
        self.picture.bias.copy_(mean)
