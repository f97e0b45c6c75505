# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a small model is that learned from procedural scenes: all three tasks, on scenes that no training has seen.

Depth follows Marigold's protocol (`depth.score`): the disparity is fitted to 1 / depth, the sky is left out. Scenes reach to a horizon kilometers away, where
a disparity that ranges from 0 to 1 has next to no steps left, so what is farther than `FARTHEST` does not count, as on KITTI; it is reported as well.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..pictures import stretched
from ..pipeline import JointDiTPipeline
from ..procedural import Batch, render
from ..procedural.rewording import HELD_OUT_WORDS, Words, reworded
from ..procedural.synonyms import TAUGHT_WORDS
from ..training.data import HELD_OUT
from .asked import Asked, asked, asked_in_other_words
from .borders import edge_ratio, grid_ratio
from .depth import Dataset, Score, prepared, score
from .probe import Probe, Reading

FARTHEST = 80.0
"""Meters. The disparity of such a place differs from the sky's by a few hundredths of that of the nearest, and no relief shows it."""
TO_80_M = Dataset("held-out scenes", 1e-5, FARTHEST, dense=False)
ALL = Dataset("held-out scenes", 1e-5, dense=False)
NEAR, FAR = 2.0, 40.0
"""Meters between which Blender builds a disparity unless it is told otherwise."""
MEASURES = ("image-to-depth", "agreement", "depth-to-image", "attributes", "synonyms", "new-words", "borders", "speed")
OTHER_WORDS: dict[str, tuple[str, Words]] = {
    "synonyms": ("the same in other words, which the text encoder was taught", TAUGHT_WORDS),
    "new-words": ("the same in words that no training saw", HELD_OUT_WORDS),
}
"""Measures of prompts in other words: their figures, and the words."""
SHEET = 64
ESTIMATES = 1_000_000
"""Added to the seeds of noise when depth is estimated."""
SPEED_RUNS = 2


@dataclass(frozen=True)
class Figure:
    """One figure with its standard error over pictures, its target (the most, or the least if `at_least`), and how many pictures or answers it is of."""

    what: str
    value: float
    error: float | None = None
    target: float | None = None
    at_least: bool = False
    unit: str = "%"
    count: int | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value < self.target

    @property
    def verdict(self) -> str:
        """As a word; what misses its target by less than its error is neither reached nor missed."""
        if self.met is None:
            return ""
        within = self.error is not None and abs(self.value - self.target) <= self.error
        return "yes" if self.met else "within error" if within else "NO"


@dataclass(frozen=True)
class Settings:
    """How it is measured. Another seed means other scenes and other noise."""

    pictures: int = 64
    steps: int = 20
    seed: int = 0
    batch: int = 8


@dataclass(frozen=True)
class Topic:
    """Shares of what prompts ask of one kind (`ground`, `color`, ...) that the probe found: in pictures of the prompts, of rewordings in taught and new words,
    and in renders.

    Only where the probe is `sure` they count in the whole.
    """

    topic: str
    asked: int
    sure: bool
    prompts: float | None = None
    synonyms: float | None = None
    new_words: float | None = None
    renders: float | None = None


@dataclass
class Measured:
    """All figures, attributes by topic, and the machine."""

    figures: list[Figure] = field(default_factory=list)
    topics: list[Topic] = field(default_factory=list)
    machine: str = ""


@dataclass
class Subject:
    """A model with held-out scenes; what it makes of them is made when it is first needed, and once."""

    pipeline: JointDiTPipeline
    settings: Settings
    report: Callable[[str], None] = lambda what: None

    @property
    def first(self) -> int:
        """The number of the first scene, and the seed of the first noise."""
        return self.settings.seed * self.settings.pictures

    @cached_property
    def scenes(self) -> Batch:
        """The scenes, at the model's own size."""
        self.report("rendering scenes")
        first = HELD_OUT + self.first
        return render(range(first, first + self.settings.pictures), self.pipeline.config.native_size)

    @cached_property
    def estimates(self) -> np.ndarray:
        """Disparities (N, H, W) of the scenes' pictures."""
        return self.depth_of(self.scenes.image, "depth of renders")

    @cached_property
    def joint(self) -> tuple[Tensor, np.ndarray]:
        """Pictures (N, 3, H, W) and disparities (N, H, W) of the scenes' captions."""
        return self.generate(self.scenes.captions, "pictures with depth")

    @cached_property
    def painted(self) -> Tensor:
        """Pictures (N, 3, H, W) of the scenes' captions for their disparity."""
        return self.generate(self.scenes.captions, "pictures for depth", disparity=self.scenes.disparity[:, 0])[0]

    def depth_of(self, images: Tensor, what: str) -> np.ndarray:
        """Disparities (N, H, W) that the model estimates from pictures, without a prompt."""
        return np.concatenate([self._run(part, image=images[part])[1] for part in self._parts(len(images), what)])

    def generate(self, prompts: Sequence[str], what: str, **known: Tensor) -> tuple[Tensor, np.ndarray]:
        """Pictures and disparities of prompts; `disparity` (N, H, W) if they are given."""
        parts = [
            self._run(part, prompt=list(prompts[part]), **{name: value[part] for name, value in known.items()}) for part in self._parts(len(prompts), what)
        ]
        return torch.cat([images for images, _ in parts]), np.concatenate([disparities for _, disparities in parts])

    def _parts(self, count: int, what: str) -> Iterator[slice]:
        for start in range(0, count, self.settings.batch):
            self.report(f"{what} {start + 1} of {count}")
            yield slice(start, min(start + self.settings.batch, count))

    def _run(self, part: slice, **asked_for: Any) -> tuple[Tensor, np.ndarray]:
        # A picture's depth must not be estimated from the noise that it was made of, with which it would agree too well.
        first = self.first + (ESTIMATES if "image" in asked_for else 0)
        noises = [torch.Generator().manual_seed(first + number) for number in range(part.start, part.stop)]
        made = self.pipeline(**asked_for, generator=noises, num_inference_steps=self.settings.steps, output_type="pt")
        return made.images.float().cpu(), made.disparity.float().cpu().numpy()


def needs_probe(only: Sequence[str]) -> bool:
    """Whether these measures need the probe."""
    return bool({"attributes", *OTHER_WORDS} & {*only})


def measure(subject: Subject, probe: Probe | None, only: Sequence[str] = MEASURES) -> Measured:
    """The measures named in `only`; a probe is needed for attributes and other words."""
    found = Measured()
    if "image-to-depth" in only:
        depths = subject.scenes.depth[:, 0].numpy()
        found.figures += depth_figures("image to depth", subject.estimates, depths, TO_80_M, "to 80 m", (8.0, 93.0))
        found.figures += depth_figures("image to depth", subject.estimates, depths, ALL, "to the horizon")
        if len(depths) > 1:
            others = np.roll(subject.estimates, 1, axis=0)  # most scenes have a ground, so that a depth is never quite wrong
            found.figures += depth_figures("depth of another image", others, depths, TO_80_M, "to 80 m")
    if "agreement" in only:
        images, disparities = subject.joint
        again = subject.depth_of(images, "depth of generated pictures")
        found.figures += agreement_figures(disparities, again, subject.scenes.depth[:, 0].numpy())
    if "depth-to-image" in only:
        again = subject.depth_of(subject.painted, "depth of pictures for depth")
        found.figures += depth_figures("depth to image", again, subject.scenes.depth[:, 0].numpy(), TO_80_M, "to 80 m", (12.0, None))
    if needs_probe(only) and probe is not None:
        _attributes(subject, probe, only, found)
    if "borders" in only:
        found.figures += border_figures(subject)
    if "speed" in only:
        found.figures.append(speed(subject.pipeline, subject.settings.steps))
    found.machine = machine(subject.pipeline)
    return found


# Depth


def depth_figures(
    what: str, disparities: np.ndarray, depths: np.ndarray, dataset: Dataset, reach: str, targets: tuple[float | None, float | None] = (None, None)
) -> list[Figure]:
    """AbsRel and delta1 of disparities against exact depth in meters (inf for the sky), both (N, H, W)."""
    scores: list[Score] = []
    for disparity, depth in zip(disparities, depths, strict=True):
        scores.append(score(disparity.astype(np.float64), *prepared(depth.astype(np.float64), None, dataset), dataset))
    return [
        mean_figure(f"{what}: AbsRel, {reach}", [one.abs_rel for one in scores], targets[0]),
        mean_figure(f"{what}: delta1, {reach}", [one.delta1 for one in scores], targets[1], at_least=True),
    ]


def agreement_figures(made: np.ndarray, estimated: np.ndarray, depths: np.ndarray) -> list[Figure]:
    """AbsRel and delta1 of estimated disparities against those that were made with the pictures, all (N, H, W), as depth of the scenes that prompts tell of."""
    scores = [agreement(*maps) for maps in zip(made, estimated, depths, strict=True)]
    built = [agreement_as_built(*maps) for maps in zip(made, estimated, strict=True)]
    what = "joint: its disparity and that of its picture"
    return [
        mean_figure(f"{what}: AbsRel, to 80 m", [one.abs_rel for one in scores], 10.0),
        mean_figure(f"{what}: delta1, to 80 m", [one.delta1 for one in scores]),
        mean_figure(f"{what}: AbsRel as Blender builds them, sky and all", built),
    ]


def agreement(made: np.ndarray, estimated: np.ndarray, depth: np.ndarray) -> Score:
    """As for the depth of renders, but the truth is the disparity (H, W) that was made with a picture, laid over the range of a scene's depth (H, W) in meters.

    The scene is the one whose caption was the prompt: what is made from "a lake" reaches to infinity, from "a red chair" perhaps to a wall.
    """
    nearest, farthest = float(depth.min()), float(depth.max())
    inverse = 1 / farthest + stretched(made.astype(np.float64)) * (1 / nearest - 1 / farthest)  # 1 / inf is 0: the sky
    told = 1 / inverse.clip(min=1e-9)
    return score(estimated.astype(np.float64), told, told < max(FARTHEST, 1.01 * nearest), TO_80_M)


def agreement_as_built(made: np.ndarray, estimated: np.ndarray) -> float:
    """AbsRel of an estimated disparity (H, W) against the one that was made with the picture, as Blender builds that by default; every pixel counts."""
    share = stretched(made.astype(np.float64))
    depth = 1 / (share / NEAR + (1 - share) / FAR)
    built = Dataset("built", NEAR, FAR, dense=False)
    return score(estimated.astype(np.float64), depth, np.ones(depth.shape, bool), built).abs_rel


def mean_figure(what: str, shares: Sequence[float], target: float | None = None, at_least: bool = False) -> Figure:
    """The mean of shares of pictures, in percent, with its standard error."""
    values = 100 * np.asarray(shares, np.float64)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return Figure(what, float(values.mean()), error, target, at_least, count=len(values))


# Attributes


@dataclass(frozen=True)
class Asking:
    """What some prompts ask for, and what the probe reads in pictures of them."""

    wishes: list[list[Asked]]
    readings: list[Reading]

    def of(self, counts: Callable[[str], bool]) -> Asking:
        """Only the topics that count."""
        return Asking([[wish for wish in some if counts(wish.topic)] for some in self.wishes], self.readings)

    @property
    def swapped(self) -> Asking:
        """Each prompt with the picture of the one before."""
        return Asking(self.wishes, [self.readings[-1], *self.readings[:-1]])


def _attributes(subject: Subject, probe: Probe, only: Sequence[str], found: Measured) -> None:
    scenes = subject.scenes
    wishes = [asked(caption, about) for caption, about in zip(scenes.captions, scenes.attributes, strict=True)]
    asking = {"renders": Asking(wishes, probe.read(scenes.image))}
    if "attributes" in only:
        asking["prompts"] = Asking(wishes, probe.read(subject.joint[0]))
        found.figures.append(found_figure("what prompts ask for, found by the probe", asking["prompts"].of(probe.sure), 85.0))
    for name, (what, table) in OTHER_WORDS.items():
        if name in only:
            prompts = [reworded(about, subject.first + number, table) for number, about in enumerate(scenes.attributes)]
            others = [asked_in_other_words(prompt, about) for prompt, about in zip(prompts, scenes.attributes, strict=True)]
            key = name.replace("-", "_")
            asking[key] = Asking(others, probe.read(subject.generate(prompts, f"pictures of {name}")[0]))
            found.figures.append(found_figure(what, asking[key].of(probe.sure)))
    found.figures.append(found_figure("the same in renders: how far the probe can be trusted", asking["renders"].of(probe.sure), 95.0))
    if "prompts" in asking and len(wishes) > 1:
        found.figures.append(found_figure("the same in another prompt's picture: what chance finds", asking["prompts"].swapped.of(probe.sure)))
    found.topics = by_topic(asking, probe.sure)


def hits_of(asking: Asking) -> list[list[tuple[str, bool]]]:
    """For each picture, the topics that its prompt asks for and the probe knows, and whether the picture shows what was asked for."""
    return [[(wish.topic, reading.shows(wish)) for wish in some if reading.knows(wish)] for some, reading in zip(asking.wishes, asking.readings, strict=True)]


def found_figure(what: str, asking: Asking, target: float | None = None) -> Figure:
    """The share of all that is asked for that is found; its error counts that attributes of one picture go together."""
    answers = hits_of(asking)
    asked_for, hits = np.array([len(some) for some in answers]), np.array([sum(hit for _, hit in some) for some in answers])
    total = max(1, int(asked_for.sum()))
    share = hits.sum() / total
    # The spread of a ratio of sums over pictures, to first order.
    spread = np.sqrt(((hits - share * asked_for) ** 2).sum() * len(answers) / max(1, len(answers) - 1)) / total
    return Figure(what, 100 * float(share), 100 * float(spread) if len(answers) > 1 else None, target, at_least=True, count=int(asked_for.sum()))


def by_topic(asking: Mapping[str, Asking], sure: Callable[[str], bool]) -> list[Topic]:
    """The shares by topic of `prompts`, `synonyms`, `new_words` and `renders`, those that captions ask for most first."""
    shares: dict[str, dict[str, float]] = {}
    counts: Counter[str] = Counter()
    for name, some in asking.items():
        hits: dict[str, list[bool]] = {}
        for topic, hit in chain.from_iterable(hits_of(some)):
            hits.setdefault(topic, []).append(hit)
        for topic, values in hits.items():
            shares.setdefault(topic, {})[name] = float(np.mean(values))
            counts[topic] += len(values) if name == "renders" else 0
    return [Topic(topic, counts[topic], sure(topic), **shares[topic]) for topic in sorted(counts, key=lambda topic: -counts[topic])]


# Borders and speed


def border_figures(subject: Subject) -> list[Figure]:
    """How much more the grids of the autoencoder and of the patches, and the edges, show in what the model makes than in renders: 1 is not at all."""
    pipeline = subject.pipeline
    made = {"picture": subject.joint[0].numpy(), "disparity": subject.joint[1][:, None]}
    renders = {"picture": subject.scenes.image.numpy(), "disparity": subject.scenes.disparity.numpy()}
    figures = []
    for name, fields in made.items():
        for period in (pipeline.vae_scale_factor, pipeline.size_multiple):
            ratios = [grid_ratio(some, period) for some in (fields, renders[name])]
            figures.append(_against(f"joint: jumps of the {name} every {period} pixels, against renders", *ratios))
        figures.append(_against(f"joint: jumps of the {name} at its edges, against renders", edge_ratio(fields), edge_ratio(renders[name])))
    return figures


def _against(what: str, made: np.ndarray, renders: np.ndarray) -> Figure:
    value = float(made.mean() / renders.mean())
    error = None
    if len(made) > 1:
        error = value * float(np.sqrt(sum((some.std(ddof=1) / some.mean()) ** 2 / len(some) for some in (made, renders))))
    return Figure(what, value, error, 1.1, unit="times", count=len(made))


def speed(pipeline: JointDiTPipeline, steps: int) -> Figure:
    """Seconds from a prompt to one picture and its disparity at the model's own size; the least of some runs after a short one."""

    def run(prompt: str, count: int) -> float:
        started = time.perf_counter()
        pipeline(prompt, generator=torch.Generator().manual_seed(0), num_inference_steps=count, output_type="np")
        return time.perf_counter() - started

    run("a white cube", 1)
    seconds = min(run(f"a red cube and {number + 2} trees", steps) for number in range(SPEED_RUNS))
    return Figure(f"one picture with depth, {steps} steps", seconds, None, 10.0 if steps == 20 else None, unit="s")


def machine(pipeline: JointDiTPipeline) -> str:
    """What worked: the device, and of a processor how many threads."""
    from ..machine import this_machine

    found = this_machine(pipeline.device_at_work)
    threads = f", {torch.get_num_threads()} threads" if found.kind == "cpu" else ""
    return f"{found.name}{threads}, torch {torch.__version__}"


# Report


def as_table(measured: Measured) -> str:
    """The figures and, if there are any, the attributes by topic, as tables in Markdown."""
    lines = ["| measure | value | target | met | of |", "|---|---|---|---|---|"]
    lines += [f"| {f.what} | {_value(f)} | {_target(f)} | {f.verdict} | {f.count or ''} |" for f in measured.figures]
    if measured.topics:
        lines += ["", "| asked for | times | prompts % | synonyms % | new words % | renders % | |", "|---|---|---|---|---|---|---|"]
        for t in measured.topics:
            shares = " | ".join(_percent(share) for share in (t.prompts, t.synonyms, t.new_words, t.renders))
            lines.append(f"| {t.topic} | {t.asked} | {shares} | {_note(t)} |")
    return "\n".join([*lines, "", f"Machine: {measured.machine}"])


def _value(figure: Figure) -> str:
    digits = 1 if figure.unit == "%" else 2
    error = "" if figure.error is None else f" ± {figure.error:.{digits}f}"
    return f"{figure.value:.{digits}f}{error} {figure.unit}"


def _target(figure: Figure) -> str:
    return "" if figure.target is None else f"{'at least' if figure.at_least else 'under'} {figure.target:g} {figure.unit}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}"


def _note(topic: Topic) -> str:
    return "" if topic.sure else "not counted: the probe is not sure"


def as_json(measured: Measured, settings: Settings, about: dict[str, Any]) -> dict[str, Any]:
    """The same as plain data, with how it was measured."""
    figures = [{**asdict(figure), "met": figure.met} for figure in measured.figures]
    protocol = {**asdict(settings), "farthest": FARTHEST, "near": NEAR, "far": FAR, "first_scene": HELD_OUT + settings.seed * settings.pictures, **about}
    return {"protocol": protocol, "machine": measured.machine, "figures": figures, "attributes": [asdict(topic) for topic in measured.topics]}
