# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Teaching the small text encoders to read before they meet pictures, as FLUX's own are: from a caption, say what is in the scene.

Captions cost nothing compared with pictures, so the words are learnt from ten times as many of them, and the base only has to learn what they look like.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..procedural.captions import caption
from ..procedural.sampling import sample
from .loop import Schedule, train
from .stages import TextSide
from .text import roughen

ABSENT = "-"
PLACE_QUESTIONS = ("kind", "ground", "relief", "mountains", "trees", "sky", "walls", "floor", "backdrop")
OBJECT_QUESTIONS = ("colour", "side", "roof")
SURVEYED = 4000  # scenes looked at to learn which answers there are


def answers(about: Mapping[str, Any]) -> dict[str, str]:
    """Every question that a scene answers: its place, and for each kind of object its colour and side (`cube colour` -> `red`)."""
    found = {question: str(about.get(question) or ABSENT) for question in PLACE_QUESTIONS}
    for thing in reversed(about["objects"]):  # of two alike the first one counts
        found |= {f"{thing['shape']} {question}": str(thing.get(question) or ABSENT) for question in OBJECT_QUESTIONS}
    return found


class Reader(nn.Module):
    """Answers from token states and from the pooled vector; thrown away when the encoders have learnt."""

    def __init__(self, choices: Mapping[str, list[str]], width: int, pooled: int) -> None:
        super().__init__()
        self.sizes = [len(options) for options in choices.values()]
        self.queries = nn.Parameter(torch.randn(len(choices), width) / width**0.5)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.from_tokens = nn.ModuleList(nn.Linear(width, size) for size in self.sizes)
        self.from_pooled = nn.Linear(pooled, sum(self.sizes))

    def loss(self, states: Tensor, pooled: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy over the questions: states (N, T, D), pooled (N, P), targets (N, questions)."""
        read = self.attention(self.queries.expand(len(states), -1, -1), states, states, need_weights=False)[0]
        logits = [head(read[:, i]) for i, head in enumerate(self.from_tokens)]
        guesses = self.from_pooled(pooled).split(self.sizes, dim=1)
        both = [nn.functional.cross_entropy(x.float(), targets[:, i]) for part in (logits, guesses) for i, x in enumerate(part)]
        return torch.stack(both).mean()


def train_text(text: TextSide, schedule: Schedule, checkpoint: Path, minutes: float | None = None) -> bool:
    """Teach both encoders of the text side. Returns whether the stage is finished."""
    surveyed = [answers(sample(seed).about) for seed in range(SURVEYED)]
    questions = sorted({question for scene in surveyed for question in scene})
    choices = {q: sorted({scene.get(q, ABSENT) for scene in surveyed} | {ABSENT}) for q in questions}
    reader = Reader(choices, text.t5.config.d_model, text.clip.config.hidden_size)
    modules = {"t5": text.t5, "clip": text.clip, "reader": reader}

    def loss(step: int, generator: torch.Generator) -> Tensor:
        words = random.Random(int(torch.randint(2**31, (), generator=generator)))
        scenes = [sample(words.randrange(10**8)) for _ in range(schedule.batch)]
        captions = [roughen(caption(scene), words) for scene in scenes]
        found = [answers(scene.about) for scene in scenes]
        targets = torch.tensor([[_index(options, scene.get(q, ABSENT)) for q, options in choices.items()] for scene in found])
        with torch.autocast("cpu", torch.bfloat16):
            return reader.loss(*text(text.ids(captions)), targets)

    parameters = {f"{prefix}.{n}": p for prefix, module in modules.items() for n, p in module.named_parameters()}
    return train(parameters, loss, schedule, checkpoint, seed=5, minutes=minutes)


def _index(options: list[str], answer: str) -> int:
    return options.index(answer if answer in options else ABSENT)
