# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe: a small classifier that says what a picture of a procedural scene shows. `probe_training` makes it, `jointdit evaluate embedded` asks it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import CheckpointError
from .asked import ABSENT, ANYTHING, Asked, answers, hidden

WEIGHTS = Path(__file__).parent / "probe_weights"
SIDE = 128
"""Pixels a side of what the network sees."""
RAREST = 3
"""Answers that are seen less often in a survey are no answers."""
AT_ONCE = 64
SURE = 0.9
"""What a probe finds less often in renders that have it, it cannot judge."""
ALWAYS = ("shape", "color", "side", "ground", "sky")
"""A probe that cannot judge these is no use, and must not be spared them."""


@dataclass(frozen=True)
class Questions:
    """The questions of a probe in their order, each with its answers; `ABSENT` is always the first."""

    choices: Mapping[str, Sequence[str]]

    @classmethod
    def survey(cls, scenes: Iterable[Mapping[str, Any]]) -> Questions:
        """All that these scenes (their `about`) answer."""
        seen: dict[str, Counter[str]] = {}
        for about in scenes:
            for question, found in answers(about).items():
                seen.setdefault(question, Counter()).update(found)
        choices = {question: [ABSENT, *sorted(a for a, count in seen[question].items() if count >= RAREST)] for question in sorted(seen)}
        return cls({question: options for question, options in choices.items() if len(options) > 1})

    @property
    def sizes(self) -> list[int]:
        """How many answers each question has."""
        return [len(options) for options in self.choices.values()]

    def of_things(self) -> list[tuple[str, str, Sequence[str]]]:
        """The questions of things (`ball colour`), with what they ask of them (`colour`) and their answers."""
        return [(question, question.rpartition(" ")[2], options) for question, options in self.choices.items() if " " in question]

    def shapes(self) -> list[str]:
        """The shapes that things have."""
        return sorted({question.rpartition(" ")[0] for question, *_ in self.of_things()})

    def values(self) -> dict[str, list[str]]:
        """What may be answered of things, whatever their shape: by `colour`, `side`, ..."""
        found: dict[str, set[str]] = {}
        for _, topic, options in self.of_things():
            found.setdefault(topic, set()).update(options[1:])
        return {topic: sorted(answers) for topic, answers in sorted(found.items())}

    def targets(self, about: Mapping[str, Any]) -> np.ndarray:
        """Shares (sum of sizes,) float32: 1 for the right answer of a question; several right answers have equal parts; all 0 if it cannot be answered."""
        found, parts = answers(about), []
        for question, options in self.choices.items():
            part = np.zeros(len(options), np.float32)
            if hidden(about, question):
                parts.append(part)
                continue
            for answer in found.get(question, (ABSENT,)):
                part[options.index(answer) if answer in options else 0] += 1
            parts.append(part / part.sum())
        return np.concatenate(parts)

    def parts(self, values: Tensor) -> dict[str, Tensor]:
        """(N, sum of sizes) by question: (N, answers)."""
        return dict(zip(self.choices, values.split(self.sizes, dim=1), strict=True))


class Residual(nn.Module):
    """Two convolutions beside a short way around them."""

    def __init__(self, wide: int, out: int, stride: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(wide, out, 3, stride, 1, bias=False), nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm_one, self.norm_two = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.around = nn.Identity() if (wide, stride) == (out, 1) else nn.Sequential(nn.Conv2d(wide, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        inner = torch.relu(self.norm_one(self.one(x)))
        return torch.relu(self.around(x) + self.norm_two(self.two(inner)))


class Network(nn.Module):
    """A small residual network. Of the place it answers from the whole picture; of each shape from where it looks for that shape.

    What it knows of colors and sides is the same for all shapes, so that it learns them together.
    """

    def __init__(self, questions: Questions, width: int = 32) -> None:
        super().__init__()
        self.questions, self.width, seen = questions, width, 5 * width
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        sizes = ((width, width, 1), (width, 2 * width, 2), (2 * width, 2 * width, 1), (2 * width, 4 * width, 2))
        self.near = nn.Sequential(*(Residual(*size) for size in sizes))
        self.far = Residual(4 * width, seen, 2)
        self.both = nn.Sequential(nn.Conv2d(4 * width + seen + 2, seen, 1, bias=False), nn.BatchNorm2d(seen), nn.ReLU())
        places = sum(len(options) for question, options in questions.choices.items() if " " not in question)
        self.of_place = nn.Sequential(nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(6 * seen, 4 * width), nn.ReLU(), nn.Linear(4 * width, places))
        shapes, values = questions.shapes(), questions.values()
        self.where = nn.Conv2d(seen, len(shapes), 1) if shapes else None
        self.absent = nn.Parameter(torch.zeros(len(shapes), seen))
        self.of_things = nn.ModuleDict({topic: nn.Linear(seen, len(found)) for topic, found in values.items()})
        self.register_buffer("order", torch.tensor(_order(questions, places)), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) in [0, 1] -> logits (N, sum of sizes), in the questions' order."""
        near = self.near(self.stem(2 * pictures - 1))
        far = self.far(near)
        logits = [self.of_place(far).float()]
        if self.where is not None:
            y, x = (torch.linspace(-1, 1, side, device=near.device, dtype=near.dtype) for side in near.shape[-2:])
            grid = torch.stack(torch.meshgrid(y, x, indexing="ij")).expand(len(near), -1, -1, -1)
            seen = self.both(torch.cat([near, nn.functional.interpolate(far, near.shape[-2:]), grid], dim=1))
            looks = self.where(seen).flatten(2).softmax(dim=2)  # (N, shapes, places)
            found = looks @ seen.flatten(2).transpose(1, 2).to(looks.dtype)  # (N, shapes, features)
            logits += [(found * self.absent).sum(dim=2).float(), *(head(found).flatten(1).float() for head in self.of_things.values())]
        return torch.cat(logits, dim=1)[:, self.order]


def _order(questions: Questions, places: int) -> list[int]:
    """Where the network's parts hold each answer: those of the place, then one for the absence of each shape, then by topic and shape."""
    shapes, values = questions.shapes(), questions.values()
    first, starts = places + len(shapes), {}
    for topic, found in values.items():
        starts[topic] = first
        first += len(shapes) * len(found)
    order, place = [], 0
    for question, options in questions.choices.items():
        if " " not in question:
            order += range(place, place + len(options))
            place += len(options)
            continue
        shape, _, topic = question.rpartition(" ")
        row = shapes.index(shape)
        order += [places + row, *(starts[topic] + row * len(values[topic]) + values[topic].index(answer) for answer in options[1:])]
    return order


def shrunk(pictures: Tensor, side: int) -> Tensor:
    """(N, 3, H, W) at side x side pixels, each the mean of what it covers."""
    return pictures if pictures.shape[-2:] == (side, side) else nn.functional.interpolate(pictures, (side, side), mode="area")


@dataclass(frozen=True)
class Probe:
    """A trained network with its questions. `topics`: how often it found what captions of held-out renders ask for, by topic."""

    network: Network
    questions: Questions
    side: int = SIDE
    topics: Mapping[str, float] = field(default_factory=dict)

    def sure(self, topic: str) -> bool:
        """Whether it can judge pictures in this respect."""
        return topic in ALWAYS or self.topics.get(topic, 1.0) >= SURE

    @classmethod
    def load(cls, folder: Path = WEIGHTS) -> Probe:
        """The probe of a folder. Raises `CheckpointError` where it is missing or damaged."""
        try:
            described = json.loads((folder / "probe.json").read_text(encoding="utf-8"))
            questions = Questions(described["questions"])
            network = Network(questions, described["width"])
            network.load_state_dict({name: tensor.float() for name, tensor in load_file(folder / "probe.safetensors").items()})
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(f"The probe in {folder} cannot be read ({error}). Install the program again, or train it: jointdit train probe.") from error
        return cls(network.eval(), questions, described["side"], described["topics"])

    def save(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Write it in half precision, with how it was made."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu() for name, tensor in self.network.state_dict().items()}
        save_file({name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in tensors.items()}, folder / "probe.safetensors")
        choices = {question: list(options) for question, options in self.questions.choices.items()}
        described = {"side": self.side, "width": self.network.width, "topics": dict(self.topics), **about, "questions": choices}
        (folder / "probe.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")

    @torch.no_grad()
    def read(self, pictures: Tensor) -> list[Reading]:
        """What pictures (N, 3, H, W) in [0, 1] show."""
        device = next(self.network.parameters()).device
        logits = torch.cat([self.network(shrunk(some.to(device).float(), self.side)) for some in pictures.split(AT_ONCE)]).float().cpu()
        chances = {question: part.softmax(dim=1) for question, part in self.questions.parts(logits).items()}
        return [Reading({question: part[i] for question, part in chances.items()}, self.questions) for i in range(len(pictures))]


@dataclass(frozen=True)
class Reading:
    """How likely each answer is for one picture."""

    chances: Mapping[str, Tensor]
    questions: Questions

    def knows(self, wish: Asked) -> bool:
        """Whether the probe has learnt the answer."""
        options = self.questions.choices.get(wish.question, ())
        return bool(options) and wish.answer in (ANYTHING, *options)

    def shows(self, wish: Asked) -> bool:
        """Whether the picture has what was asked for: more likely there than not, and the answer among the likeliest `alike` ones."""
        seen = self.best(wish.question, wish.alike)
        return ABSENT not in seen and (wish.answer == ANYTHING or wish.answer in seen)

    def best(self, question: str, count: int = 1) -> set[str]:
        """The likeliest answer, or so many likeliest ones if it is not `ABSENT`."""
        chance, options = self.chances[question], self.questions.choices[question]
        if chance[0] >= 0.5:
            return {ABSENT}
        return {options[i + 1] for i in chance[1:].topk(min(count, len(options) - 1)).indices.tolist()}
