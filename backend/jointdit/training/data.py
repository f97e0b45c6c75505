# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural RGB-D scenes as a training set: rendered once, encoded at once, kept in memory as latents with the token ids of their captions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import torch
from diffusers import ModelMixin
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from ..errors import CheckpointError, TrainingError
from ..procedural import Batch
from ..procedural.render import draw
from .thinking import WORDINGS, thought_up

HELD_OUT = 1_000_000_000  # seeds from here on are never trained on
PART = 8192  # scenes in one file
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


def drawn(seeds: range, size: int, device: torch.device, processes: int) -> Iterator[tuple[Batch, list[list[str]]]]:
    """The scenes of some seeds in order, a chunk at a time: pictures on `device`, and the wordings of each scene.

    Scenes are thought up in `processes` processes, which on a machine with a card is all that they do, and drawn here.
    """
    chunk = CHUNKS.get(device.type, CHUNKS["cpu"])
    with tqdm(total=len(seeds), desc="scenes", mininterval=5) as bar:
        for thought in thought_up(seeds, chunk, processes):
            yield draw(thought.prepared, size, device), thought.words
            bar.update(len(thought.words))


def in_parts(
    folder: Path, count: int, made: Callable[[range], Iterable[dict[str, Tensor]]], deadline: float | None, device: torch.device
) -> dict[str, Tensor] | None:
    """What `made` gives of the seeds 0 ... count - 1, laid together on `device`; None where the deadline (`time.monotonic`) came first.

    It is kept in files of `PART` scenes in `folder`, so that a run that is stopped goes on. Raises `CheckpointError` for a damaged file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{first:08}.safetensors" for first in range(0, count, PART)]
    there = sum(1 for _ in takewhile(Path.is_file, files))
    part: list[dict[str, Tensor]] = []
    for piece in made(range(there * PART, count)) if there < len(files) else ():
        part.append({name: tensor.cpu() for name, tensor in piece.items()})
        held = sum(len(next(iter(one.values()))) for one in part)
        if held >= PART or there * PART + held == count:
            _save(_together(part), files[there])
            there, part = there + 1, []
            if deadline is not None and time.monotonic() > deadline and there < len(files):
                return None
    try:
        return _together([load_file(file, device=str(device)) for file in files])
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"The rendered scenes in {folder} cannot be read ({error}). Remove the folder; they are made again.") from error


def _together(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _save(tensors: dict[str, Tensor], file: Path) -> None:
    temporary = file.with_suffix(".tmp")
    save_file(tensors, temporary)
    temporary.replace(file)


def render_pictures(folder: Path, count: int, size: int, device: torch.device, processes: int, deadline: float | None = None) -> Pictures | None:
    """The scenes of the seeds 0 ... count - 1 at `size` x `size`, in the machine's memory and in `folder`; None where the deadline came first."""

    def made(seeds: range) -> Iterator[dict[str, Tensor]]:
        for batch, _ in drawn(seeds, size, device, processes):
            yield {"image": (255 * batch.image).round().to(torch.uint8), "disparity": batch.disparity.half()}

    found = in_parts(folder, count, made, deadline, torch.device("cpu"))
    return None if found is None else Pictures(**found)


@torch.no_grad()
def render_latents(
    vae: ModelMixin, tokens: Callable[[list[str]], Tensor], folder: Path, count: int, size: int, device: torch.device, processes: int,
    deadline: float | None = None,
) -> Latents | None:  # fmt: skip
    """Latents of the scenes of the seeds 0 ... count - 1, shifted and scaled as the pipeline does; None where the deadline came first.

    They are kept in `folder`, which belongs to this autoencoder. Raises `TrainingError` for a scene that is no picture.
    """
    vae = vae.to(device)

    def made(seeds: range) -> Iterator[dict[str, Tensor]]:
        for batch, words in drawn(seeds, size, device, processes):
            pictures = {"rgb": batch.image, "depth": batch.disparity.expand(-1, 3, -1, -1)}
            if not all(torch.isfinite(x).all() for x in pictures.values()):
                raise TrainingError("A rendered scene holds values that are no numbers: this is a fault of the generator. Please report it.")
            encoded = {name: torch.cat([vae.encode(2 * part - 1).latent_dist.mode() for part in x.split(64)]) for name, x in pictures.items()}
            latents = {name: ((x - vae.config.shift_factor) * vae.config.scaling_factor).half() for name, x in encoded.items()}
            ids = tokens([wording for scene in words for wording in scene]).view(len(words), WORDINGS + 1, -1)
            yield latents | {"ids": ids.int()}

    found = in_parts(folder, count, made, deadline, device)
    return None if found is None else Latents(**found)
