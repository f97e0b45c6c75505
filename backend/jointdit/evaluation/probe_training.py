# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the probe on scenes that are rendered meanwhile, in a given time."""

from __future__ import annotations

import logging
import math
import os
import pickle
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CheckpointError, InputError
from ..procedural import render
from ..procedural.sampling import sample
from ..procedural.tiles import GRID
from ..training.data import HELD_OUT
from .asked import ABSENT, answers, asked, hidden
from .damage import damaged
from .probe import SIDE, Network, Probe, Questions
from .probe_scenes import Scenes

SURVEYED = 10_000
EXAMINED = HELD_OUT + 500_000_000
"""The first seed of the scenes by which the probe itself is judged."""
RESERVE = 0.1
"""Share of the time that is left for the examination and for saving."""
RATE = 3e-3
WARM_UP = 100
"""Steps."""
SAVE_SECONDS = 60.0
log = logging.getLogger(__name__)


def loss_of(logits: Tensor, targets: Tensor, questions: Questions) -> Tensor:
    """Cross-entropy, summed over the questions, mean over the pictures."""
    parts, wanted = questions.parts(logits.float()), questions.parts(targets)
    return torch.stack([nn.functional.cross_entropy(parts[q], wanted[q]) for q in parts]).sum()


def train_probe(
    folder: Path,
    device: str = "cpu",
    minutes: float = 2.0,
    size: int = 256,
    side: int = SIDE,
    batch: int | None = None,
    workers: int | None = None,
    chunk: int | None = None,
    kept: int = 100_000,
    examined: int = 2048,
    width: int = 32,
    surveyed: int = SURVEYED,
    uses: float = 2.0,
) -> Examination:
    """Train, or go on with, a probe in `folder`, and save it there (`Probe.load(folder)`): `minutes` in all, with start and examination.

    A run that was broken off goes on where it stood; one that is finished is only examined, unless it is given more minutes. Scenes are rendered at `size`
    by `workers` processes (0: a thread), seen at `side` pixels, and used `uses` times at least. Returns its examination, which is logged as well.
    Raises `InputError` for a size that cannot be rendered, `CheckpointError` for a damaged state.
    """
    if size % GRID:
        raise InputError(f"Scenes are rendered in {GRID} x {GRID} tiles: give a size that is a multiple of {GRID}, not {size}.")
    side = min(side, size)
    began, cuda = time.monotonic(), torch.device(device).type == "cuda"
    workers = (min(4, max(1, (os.cpu_count() or 2) - 2)) if cuda else 0) if workers is None else workers
    batch, chunk, kept = batch or (512 if cuda else 64), chunk or (256 if cuda else 64), kept if cuda else min(kept, 20_000)
    questions = Questions.survey(sample(seed).about for seed in range(surveyed))
    torch.manual_seed(0)
    network = Network(questions, width).to(device, memory_format=torch.channels_last)
    log.info("%d questions, %d answers, %.2f M parameters", len(questions.sizes), sum(questions.sizes), sum(p.numel() for p in network.parameters()) / 1e6)
    run = Run(folder / "probe.pt", network, questions, began, 60 * minutes * (1 - RESERVE))
    with _executor(workers) as executor:
        scenes = Scenes(executor, (size, side, device, questions), run.next_seed, chunk, 2 * max(1, workers), kept)
        while run.goes_on():
            # Rendering must not take more of the machine than learning can use.
            scenes.collect(wait=scenes.count == 0, most=int(run.step * batch / uses) + 4 * chunk)
            run.learn(*scenes.draw(batch, run.generator), scenes)
        scenes.cancel()
    run.save(scenes.next_seed)
    probe = Probe(network.half().float().eval(), questions, side)
    found = examine(probe, range(EXAMINED, EXAMINED + examined), size, device)
    made = {"steps": run.step, "seconds": round(run.spent), "seeds": [0, run.next_seed], "rendered_at": size, "torch": torch.__version__}
    made["device"] = torch.cuda.get_device_name() if cuda else device
    judging = replace(probe, topics={topic: round(share, 4) for topic, share in found.topics.items()})
    shares = {"right": found.all, "found": found.asked, "found_where_sure": found.sure}
    judging.save(folder, {"made": made, "examined": examined, **{name: round(share, 4) for name, share in shares.items()}})
    found.tell()
    return found


def _executor(workers: int) -> Executor:
    if workers == 0:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,))


class Run:
    """A training that goes on until its time is over, from where the checkpoint at `path` left it. A checkpoint of other questions is no use."""

    def __init__(self, path: Path, network: Network, questions: Questions, began: float, budget: float) -> None:
        self.path, self.network, self.questions, self.budget = path, network.train(), questions, budget
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.02)
        self.step, self.spent, self.next_seed, self.loss = 0, 0.0, 0, float("nan")
        if path.is_file():
            try:
                self._load(torch.load(path, weights_only=True, map_location="cpu"))
            except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
                raise CheckpointError(f"{path} is damaged, or not from this training. Remove it to begin anew, or choose another --folder.") from error
        self.began, self.saved = began - self.spent, began  # as if there had been no break
        self.generator = torch.Generator().manual_seed(self.step)

    def _load(self, kept: dict[str, Any]) -> None:
        if kept["questions"] != self._choices():
            log.info("The scenes have other answers now; the training begins anew.")
            return
        self.network.load_state_dict(kept["network"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.step, self.spent, self.next_seed = kept["step"], kept["seconds"], kept["next_seed"]

    def _choices(self) -> dict[str, list[str]]:
        return {question: list(options) for question, options in self.questions.choices.items()}

    def goes_on(self) -> bool:
        """Whether there is time left, or nothing has been learned yet."""
        if self.step == 0 or self.spent < self.budget:
            self.spent = time.monotonic() - self.began
        return self.step == 0 or self.spent < self.budget

    def learn(self, pictures: Tensor, targets: Tensor, scenes: Scenes) -> None:
        """One step. The rate rises by steps and falls by time."""
        rate = RATE * min(1.0, (self.step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * min(1.0, self.spent / self.budget)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        pictures = damaged(pictures, self.generator).contiguous(memory_format=torch.channels_last)
        with torch.autocast(pictures.device.type, torch.bfloat16):
            logits = self.network(pictures)
        loss = loss_of(logits, targets, self.questions)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        if self.step % 50 == 0:
            self.loss = loss.item() if math.isnan(self.loss) else 0.7 * self.loss + 0.3 * loss.item()
            log.info("step %d, %d scenes, loss %.3f, %.0f s", self.step, scenes.count, self.loss, self.spent)
        if time.monotonic() - self.saved > SAVE_SECONDS:
            self.save(scenes.next_seed)
            self.saved = time.monotonic()

    def save(self, next_seed: int) -> None:
        """Write the checkpoint; the next run sees scenes from `next_seed` on."""
        self.next_seed = next_seed
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        state = {"step": self.step, "seconds": self.spent, "next_seed": next_seed, "questions": self._choices()}
        torch.save({"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), **state}, temporary)
        temporary.replace(self.path)


@dataclass(frozen=True)
class Examination:
    """Shares of right answers on held-out renders: by question, by question where the answer is not `ABSENT`, and over `all` questions.

    Of what captions ask for: by topic, over all of it (`asked`), and over the topics in which the probe is sure.
    """

    right: dict[str, float]
    there: dict[str, float]
    topics: dict[str, float]
    all: float
    asked: float
    sure: float

    def tell(self) -> None:
        """Log all of it."""
        for question, share in self.right.items():
            log.info("%-20s %5.1f %% right, %5.1f %% where there is one", question, 100 * share, 100 * self.there[question])
        for topic, share in self.topics.items():
            log.info("%-20s %5.1f %% of what captions tell", topic, 100 * share)
        log.info("all answers %.2f %% right; of what captions tell %.2f %%, where it is sure %.2f %%", 100 * self.all, 100 * self.asked, 100 * self.sure)


@torch.no_grad()
def examine(probe: Probe, seeds: Sequence[int], size: int, device: str, at_once: int = 64) -> Examination:
    """How often the probe is right about renders."""
    right: dict[str, list[bool]] = {question: [] for question in probe.questions.choices}
    there: dict[str, list[bool]] = {question: [] for question in probe.questions.choices}
    told: dict[str, list[bool]] = {}
    for start in range(0, len(seeds), at_once):
        batch = render(seeds[start : start + at_once], size, device)
        for reading, about, caption in zip(probe.read(batch.image), batch.attributes, batch.captions, strict=True):
            truth = answers(about)
            for question in right:
                if hidden(about, question):
                    continue
                wanted = truth.get(question, [ABSENT])
                right[question].append(reading.best(question, len(wanted)) == set(wanted))
                if question in truth:
                    there[question].append(right[question][-1])
            for wish in asked(caption, about):
                if reading.knows(wish):
                    told.setdefault(wish.topic, []).append(reading.shows(wish))
    topics = {topic: _share(hits) for topic, hits in sorted(told.items())}
    certain = [hits for topic, hits in told.items() if replace(probe, topics=topics).sure(topic)]
    return Examination(
        {question: _share(hits) for question, hits in right.items()},
        {question: _share(hits) for question, hits in there.items()},
        topics,
        *(_share([hit for hits in some for hit in hits]) for some in (right.values(), told.values(), certain)),
    )


def _share(hits: Sequence[bool]) -> float:
    return float(np.mean(hits)) if hits else float("nan")
