# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural RGB-D scenes as a training set: rendered once, encoded at once, kept in memory as latents with the token ids of their captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import ModelMixin
from torch import Tensor
from tqdm import tqdm

from ..errors import TrainingError
from ..procedural import Batch
from ..procedural.render import draw
from .thinking import WORDINGS, thought_up

HELD_OUT = 1_000_000_000  # seeds from here on are never trained on
CHUNKS = {"cpu": 64, "cuda": 1024}  # scenes that are drawn together; a card is kept waiting by small ones


@dataclass
class Pictures:
    """Images (N, 3, H, W) as uint8 and disparities (N, 1, H, W) as float16, to keep many in memory."""

    image: Tensor
    disparity: Tensor

    def as_float(self, chosen: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Images and grey disparities of some scenes, both (n, 3, H, W) in [0, 1]."""
        return self.image[chosen].float() / 255, self.disparity[chosen].float().expand(-1, 3, -1, -1)


@dataclass
class Latents:
    """Normalised latents of images and disparities (N, C, H / 8, W / 8) in float16, and token ids of captions (N, WORDINGS + 1, T), the disparity's last."""

    rgb: Tensor
    depth: Tensor
    ids: Tensor

    def to(self, device: torch.device) -> Latents:
        """The same on a device."""
        return Latents(*(getattr(self, name).to(device) for name in ("rgb", "depth", "ids")))


def drawn(count: int, size: int, device: torch.device, processes: int) -> Iterator[tuple[Batch, list[list[str]]]]:
    """The scenes of the seeds 0 ... count - 1 in order, a chunk at a time: pictures on `device`, and the wordings of each scene.

    Scenes are thought up in `processes` processes, which on a machine with a card is all that they do, and drawn here.
    """
    chunk = CHUNKS.get(device.type, CHUNKS["cpu"])
    with tqdm(total=count, desc="scenes", mininterval=5) as bar:
        for thought in thought_up(count, chunk, processes):
            yield draw(thought.prepared, size, device), thought.words
            bar.update(len(thought.words))


def render_pictures(count: int, size: int, device: torch.device, processes: int) -> Pictures:
    """The scenes of the seeds 0 ... count - 1 at `size` x `size`, in the machine's memory."""
    images, disparities = [], []
    for batch, _ in drawn(count, size, device, processes):
        images.append((255 * batch.image).round().to(torch.uint8).cpu())
        disparities.append(batch.disparity.half().cpu())
    return Pictures(torch.cat(images), torch.cat(disparities))


@torch.no_grad()
def render_latents(
    vae: ModelMixin, tokens: Callable[[list[str]], Tensor], count: int, size: int, cache: Path, device: torch.device, processes: int
) -> Latents:
    """Latents of the scenes of the seeds 0 ... count - 1, shifted and scaled as the pipeline does.

    They are kept in the file `cache`, which belongs to this autoencoder.
    """
    if cache.is_file():
        return Latents(**torch.load(cache, weights_only=True, map_location=device))
    vae = vae.to(device)
    parts: list[tuple[Tensor, ...]] = []
    for batch, words in drawn(count, size, device, processes):
        ids = tokens([wording for scene in words for wording in scene]).view(len(words), WORDINGS + 1, -1)
        pictures = (batch.image, batch.disparity.expand(-1, 3, -1, -1))
        if not all(torch.isfinite(x).all() for x in pictures):
            raise TrainingError("A rendered scene holds values that are no numbers: this is a fault of the generator. Please report it.")
        latents = [torch.cat([vae.encode(2 * part - 1).latent_dist.mode() for part in x.split(64)]) for x in pictures]
        latents = [(x - vae.config.shift_factor) * vae.config.scaling_factor for x in latents]
        parts.append((*(x.half() for x in latents), ids.int().to(device)))
    latents = Latents(*(torch.cat(part) for part in zip(*parts, strict=True)))
    torch.save(vars(latents), cache)
    return latents
