# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes for the probe, rendered ahead while it learns. Kept apart from the training, as every process that renders has to import it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..procedural import render
from .probe import Questions, shrunk


@dataclass(frozen=True)
class Chunk:
    """Shrunk pictures (N, 3, S, S) uint8 with their targets (N, outputs), as NumPy arrays, which cross between processes without shared memory."""

    pictures: np.ndarray
    targets: np.ndarray


def render_chunk(seeds: Sequence[int], size: int, side: int, device: str, questions: Questions) -> Chunk:
    """Render scenes at `size` and shrink them to `side`."""
    batch = render(seeds, size, device)
    pictures = (255 * shrunk(batch.image.float(), side)).round().to(torch.uint8).cpu().numpy()
    return Chunk(pictures, np.stack([questions.targets(about) for about in batch.attributes]))


@dataclass
class Scenes:
    """Scenes rendered ahead by an executor, in the order of their seeds; the last `kept` ones stay on the device to be learnt from again."""

    executor: Executor
    arguments: tuple[int, int, str, Questions]
    next_seed: int
    chunk: int
    ahead: int
    kept: int
    _coming: list[Future[Chunk]] = field(default_factory=list)
    _pictures: Tensor | None = None
    _targets: Tensor | None = None
    count: int = 0

    def collect(self, wait: bool, most: int) -> None:
        """Take in what has been rendered, at least one chunk if `wait`, and order more unless `most` scenes came already."""
        while len(self._coming) < self.ahead and self.count + self.chunk * len(self._coming) < most:
            seeds = range(self.next_seed, self.next_seed + self.chunk)
            self._coming.append(self.executor.submit(render_chunk, seeds, *self.arguments))
            self.next_seed += self.chunk
        while self._coming and (wait or self._coming[0].done()):
            self._take(self._coming.pop(0).result())
            wait = False

    def cancel(self) -> None:
        """Forget what has been ordered and not begun."""
        for coming in self._coming:
            coming.cancel()

    def _take(self, chunk: Chunk) -> None:
        device = torch.device(self.arguments[2])
        pictures, targets = torch.from_numpy(chunk.pictures).to(device), torch.from_numpy(chunk.targets).to(device)
        if self._pictures is None:
            self._pictures = torch.empty(self.kept, *pictures.shape[1:], dtype=torch.uint8, device=device)
            self._targets = torch.empty(self.kept, targets.shape[1], device=device)
        places = (self.count + torch.arange(len(pictures), device=device)) % self.kept
        self._pictures[places], self._targets[places] = pictures, targets
        self.count += len(pictures)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Some of the scenes at hand: pictures (count, 3, S, S) float in [0, 1], and targets."""
        device = self._pictures.device
        chosen = torch.randint(min(self.count, self.kept), (count,), generator=generator).to(device)
        return self._pictures[chosen].float() / 255, self._targets[chosen]
