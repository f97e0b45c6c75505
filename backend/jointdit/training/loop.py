# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One training loop for every stage: schedule, averaging of weights, checkpoints that resume exactly, a log."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: linear warm-up, then a cosine down to zero at `steps`."""

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 300
    weight_decay: float = 0.01
    average: float = 0.999  # decay of the running average of the weights
    clip: float = 1.0

    def rate(self, step: int) -> float:
        """Learning rate of one step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Average:
    """Exponential running average of parameters; young averages forget faster so that the start does not weigh on them."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.values = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, parameters: Mapping[str, nn.Parameter], step: int) -> None:
        """Move towards the parameters after step number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), [p.detach() for p in parameters.values()], 1 - decay)

    @torch.no_grad()
    def copy_to(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Put the averages into the model."""
        for name, p in parameters.items():
            p.copy_(self.values[name])


def train(
    parameters: Mapping[str, nn.Parameter],
    loss: Callable[[int, torch.Generator], Tensor],
    schedule: Schedule,
    checkpoint: Path,
    seed: int = 0,
    minutes: float | None = None,
    every_minutes: float = 5.0,
    on_checkpoint: Callable[[int], None] | None = None,
) -> bool:
    """Minimise `loss(step, generator)` over the named parameters.

    Starts where `checkpoint` stopped, if it exists, bit for bit: weights, optimiser, average and generator are in it. Stops after `minutes` at the latest.
    At the end the averaged weights are in the model. Returns whether all the steps are done. `on_checkpoint(step)` is called with averaged weights in place.
    """
    optimizer = torch.optim.AdamW(parameters.values(), lr=schedule.learning_rate, betas=(0.9, 0.99), weight_decay=schedule.weight_decay)
    average = Average(parameters, schedule.average)
    generator = torch.Generator().manual_seed(seed)
    start = _resume(checkpoint, parameters, optimizer, average, generator)
    began = saved = time.monotonic()
    log = checkpoint.with_suffix(".jsonl").open("a", encoding="utf-8")
    running, bar = None, tqdm(range(start, schedule.steps), initial=start, total=schedule.steps, mininterval=5, desc=checkpoint.stem)
    step = start - 1
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        value = loss(step, generator)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), schedule.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update(parameters, step)
        running = value.item() if running is None else 0.99 * running + 0.01 * value.item()
        if step % 100 == 99:
            bar.set_postfix(loss=f"{running:.4f}")
            log.write(json.dumps({"step": step + 1, "loss": running, "rate": schedule.rate(step), "seconds": time.monotonic() - began}) + "\n")
            log.flush()
        now = time.monotonic()
        if now - saved > 60 * every_minutes:
            _save(checkpoint, step + 1, parameters, optimizer, average, generator)
            saved = now
            if on_checkpoint is not None:
                with _averaged(parameters, average):
                    on_checkpoint(step + 1)
        if minutes is not None and now - began > 60 * minutes:
            break
    log.close()
    _save(checkpoint, step + 1, parameters, optimizer, average, generator)
    average.copy_to(parameters)
    return step + 1 >= schedule.steps


class _averaged:
    """Within the block the averaged weights are in the model."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], average: Average) -> None:
        self.parameters, self.average = parameters, average

    def __enter__(self) -> None:
        self.kept = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.average.copy_to(self.parameters)

    def __exit__(self, *_: object) -> None:
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(self.kept[name])


def _save(
    path: Path, step: int, parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer, average: Average, generator: torch.Generator
) -> None:
    state = {
        "step": step,
        "parameters": {name: p.detach() for name, p in parameters.items()},
        "optimizer": optimizer.state_dict(),
        "average": average.values,
        "generator": generator.get_state(),
    }
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def _resume(
    path: Path, parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer, average: Average, generator: torch.Generator
) -> int:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        return 0
    state = torch.load(path, weights_only=True)
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(state["parameters"][name])
    optimizer.load_state_dict(state["optimizer"])
    average.values = state["average"]
    generator.set_state(state["generator"])
    return state["step"]
