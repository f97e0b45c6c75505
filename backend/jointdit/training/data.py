# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural RGB-D scenes as a training set: rendered once, encoded once, kept in memory with their captions."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from diffusers import ModelMixin
from torch import Tensor
from tqdm import tqdm

from ..procedural import render

HELD_OUT = 1_000_000_000  # seeds from here on are never trained on


@dataclass
class Pictures:
    """Images (N, 3, H, W) as uint8 and disparities (N, 1, H, W) as float16, to keep many in memory, and one caption each."""

    image: Tensor
    disparity: Tensor
    captions: list[str]

    def as_float(self, chosen: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Images and grey disparities of some scenes, both (n, 3, H, W) in [0, 1]."""
        return self.image[chosen].float() / 255, self.disparity[chosen].float().expand(-1, 3, -1, -1)


@dataclass
class Latents:
    """Normalised latents of images and disparities (N, C, H / 8, W / 8) in float16, and one caption each."""

    rgb: Tensor
    depth: Tensor
    captions: list[str]


def render_pictures(count: int, size: int, cache: Path, chunk: int = 256, processes: int | None = None) -> Pictures:
    """The scenes of the seeds 0 ... count - 1 at `size` x `size`; kept in the file `cache` so that a resumed run starts at once.

    Works in `processes` processes of one thread each (all cores by default): the ray caster gains nothing from threads.
    """
    if cache.is_file():
        return Pictures(**torch.load(cache, weights_only=True))
    starts = range(0, count, chunk)
    jobs = [starts, [min(chunk, count - first) for first in starts], [size] * len(starts)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        parts = list(tqdm(pool.map(_render_chunk, *jobs), total=len(starts), desc="scenes"))
    images, disparities = (torch.cat([torch.from_numpy(part[i]) for part in parts]) for i in range(2))
    pictures = Pictures(images, disparities, [caption for part in parts for caption in part[2]])
    cache.parent.mkdir(parents=True, exist_ok=True)
    torch.save(vars(pictures), cache)
    return pictures


def _render_chunk(first: int, count: int, size: int, batch: int = 32) -> tuple[object, object, list[str]]:
    """NumPy arrays rather than tensors cross between processes: they need no shared memory files."""
    batches = [render(range(start, min(start + batch, first + count)), size) for start in range(first, first + count, batch)]
    images = torch.cat([(255 * b.image).round().to(torch.uint8) for b in batches])
    return images.numpy(), torch.cat([b.disparity.half() for b in batches]).numpy(), [c for b in batches for c in b.captions]


@torch.no_grad()
def encode(vae: ModelMixin, pictures: Pictures, cache: Path, batch: int = 64) -> Latents:
    """Latents of all pictures, shifted and scaled as the pipeline does; kept in the file `cache`, which belongs to this autoencoder."""
    if cache.is_file():
        return Latents(**torch.load(cache, weights_only=True))
    rgb, depth = [], []
    for start in tqdm(range(0, len(pictures.image), batch), desc="latents"):
        for latents, picture in zip((rgb, depth), pictures.as_float(slice(start, start + batch)), strict=True):
            latents.append(((vae.encode(2 * picture - 1).latent_dist.mode() - vae.config.shift_factor) * vae.config.scaling_factor).half())
    latents = Latents(torch.cat(rgb), torch.cat(depth), pictures.captions)
    torch.save(vars(latents), cache)
    return latents
