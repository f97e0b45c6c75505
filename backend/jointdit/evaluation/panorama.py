# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How whole a panorama is: what shows at its seam, its poles and the borders of its views, against what is usual inside it.

Each measure comes with its interior value: the same of places that are no seam. Their ratio should be 1; up to `TARGET` counts as whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from ..panorama.make import Recipe, Sphere, Strip, depth_of_photograph, make_sphere, make_strip
from ..panorama.merge import merge
from ..panorama.solve import consistency, solve
from ..panorama.sphere import View, layout
from ..pipeline import JointDiTPipeline
from ..procedural.panorama import radial_distance, render_panorama

TARGET = 1.1
FARTHEST = 100.0
"""Times the nearest distance; what is farther counts as that far, as everything hardly differs from the sky there."""
TURNS = (0.0, 90.0, 180.0, 270.0)
"""Degrees; windows and views lie at multiples of a quarter turn, too, so that nothing but the seam moves."""
INVISIBLE = {"picture": 0.5 / 255, "depth": 0.0}
"""Half a step of the 8 bits in which a picture is written; disparity is written as floats."""
PROMPTS = (
    "a red house and a tree on a green meadow under a blue sky",
    "snowy mountains at sunset",
    "a tower in the desert at night",
    "a blue ball and a yellow cube on a grey floor",
)


@dataclass(frozen=True)
class Measure:
    """A value and its interior value, of one panorama or means over several; `target` is the most that their ratio may be.

    `error` is the standard error of the ratio, where there are several. A value up to `least` cannot be seen and is whole whatever the interior is.
    """

    what: str
    value: float
    interior: float
    target: float = TARGET
    error: float | None = None
    least: float = 0.0

    @property
    def ratio(self) -> float:
        """1 is as inside; nothing at all is whole, too."""
        return self.value / self.interior if self.interior > 0 else 1.0 if self.value <= 0 else float("inf")

    @property
    def met(self) -> bool:
        """Whether the ratio is within its target, or the value cannot be seen."""
        return self.ratio <= self.target or self.value <= self.least


@dataclass(frozen=True)
class SolvedDepth:
    """Of spheres whose views have exact disparities, each min-max normalised and with `noise` added: AbsRel and delta1 as shares."""

    noise: float
    relative_error: float
    delta1: float
    panoramas: int


def seam_jump(turns: Sequence[np.ndarray]) -> tuple[float, float]:
    """Jump of (C, H, W) across the seam, and at the same places of the scene where they are no seam.

    `turns` are the same panorama with all noise turned by 0, 1, ... parts of a whole turn: what is at the seam of one is inside the others, so that what
    happens to stand there counts in both. The jump of two columns is the median over their rows: a seam shows all along it, an outline in some rows only.
    """
    seams = _seams(turns)
    jumps = np.array([np.median(np.abs(one - np.roll(one, 1, axis=-1)).mean(axis=0), axis=0)[seams] for one in _turned_back(turns)])
    own = np.eye(len(turns), dtype=bool)
    return float(jumps[own].mean()), float(jumps[~own].mean())


def pole_spread(field: np.ndarray) -> tuple[float, float]:
    """Mean deviation within the two pole rows of (C, H, W), each of which is nearly one place, and the median jump between rows."""
    rows = field[:, [0, -1]]
    return float(np.abs(rows - rows.mean(axis=-1, keepdims=True)).mean()), float(np.median(np.abs(np.diff(field, axis=1)).mean(axis=(0, 2))))


def turn_change(turns: Sequence[np.ndarray]) -> tuple[float, float]:
    """How much (C, H, W) changes when all noise is turned by half a turn: beside the seams of the two, and at the same places of the scene in two without.

    `turns` as in `seam_jump`, their number a multiple of four: quarter turns bring the seams elsewhere. Were the seam a special place, it would change more.
    """
    width, count = turns[0].shape[-1], len(turns)
    back, seams = _turned_back(turns), _seams(turns)
    changes = np.array([np.abs(back[one] - back[one + count // 2]).mean(axis=(0, 1)) for one in range(count // 2)])
    offsets = np.arange(-(width // 16), width // 16)
    beside = np.array([np.isin(np.arange(width), [(seam + offsets) % width for seam in seams[one :: count // 2]]) for one in range(count // 2)])
    elsewhere = beside.any(axis=0) & ~beside
    return float(changes[beside].mean()), float(changes[elsewhere].mean())


def _turned_back(turns: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.roll(one, -turn * one.shape[-1] // len(turns), axis=-1) for turn, one in enumerate(turns)]


def _seams(turns: Sequence[np.ndarray]) -> list[int]:
    """The columns right of the seams of panoramas that are turned back."""
    width = turns[0].shape[-1]
    return [-turn * width // len(turns) % width for turn in range(len(turns))]


def log_distance(inverse: np.ndarray) -> np.ndarray:
    """(1, H, W) log of distance from 1/r (H, W), `FARTHEST` at most."""
    return -np.log(np.maximum(inverse, inverse.max() / FARTHEST))[None]


def measure_spheres(make: Callable[[float], Sphere], name: str) -> list[Measure]:
    """The measures of one sphere; `make` makes it with its noise turned by degrees."""
    spheres = [make(turn) for turn in TURNS]
    fields = {"picture": [sphere.image.numpy() for sphere in spheres], "depth": [log_distance(sphere.inverse) for sphere in spheres]}
    measures = []
    for modality, turns in fields.items():
        least = INVISIBLE[modality]
        measures.append(Measure(f"{name}: {modality}, jump across the seam", *seam_jump(turns), least=least))
        measures.append(Measure(f"{name}: {modality}, change under half a turn", *turn_change(turns), least=least))
        measures.append(Measure(f"{name}: {modality}, spread at the poles", *pole_spread(turns[0]), least=least))
    inside, border = np.mean([consistency(sphere.views, sphere.disparities, sphere.alignment) for sphere in spheres], axis=0)
    return [*measures, Measure(f"{name}: depth, AbsRel between views at their borders", float(border), float(inside))]


def measure_strips(make: Callable[[float], Strip]) -> list[Measure]:
    """The measures of one strip; `make` makes it with its noise turned by degrees."""
    strips = [make(turn) for turn in TURNS]
    measures = []
    for modality, turns in (("picture", [strip.image.numpy() for strip in strips]), ("depth", [strip.disparity[None].numpy() for strip in strips])):
        measures.append(Measure(f"strip: {modality}, jump across the seam", *seam_jump(turns), least=INVISIBLE[modality]))
        measures.append(Measure(f"strip: {modality}, change under half a turn", *turn_change(turns), least=INVISIBLE[modality]))
    return measures


def pooled(runs: Sequence[Sequence[Measure]]) -> list[Measure]:
    """The means of the same measures over several panoramas. A panorama's value and interior are of the same places, so that they vary together."""
    return [_mean(same) for same in zip(*runs, strict=True)]


def _mean(same: Sequence[Measure]) -> Measure:
    """With the error of the ratio of the means by the jackknife: how much it changes as each panorama is left out."""
    values, interiors = np.array([m.value for m in same]), np.array([m.interior for m in same])
    whole = replace(same[0], value=float(values.mean()), interior=float(interiors.mean()))
    if len(same) < 2:
        return whole
    without = np.array([Measure("", float(np.delete(values, one).mean()), float(np.delete(interiors, one).mean())).ratio for one in range(len(same))])
    deviation = np.sqrt((len(same) - 1) * np.mean((without - without.mean()) ** 2)) if np.isfinite(without).all() else float("inf")
    return replace(whole, error=float(deviation))


def measure_model(
    pipeline: JointDiTPipeline, seeds: int = 1, steps: int = 20, batch: int = 8, report: Callable[[str], None] = lambda what: None
) -> list[Measure]:
    """All measures of a model: spheres and strips of `PROMPTS`, and the depth of procedural photographs."""
    side = min(pipeline.config.native_size, 512)
    guidance = pipeline.config.default_guidance
    spheres, strips, photographs = [], [], []
    for run in range(seeds):
        for number, prompt in enumerate(PROMPTS):
            report(prompt)
            seed = run * len(PROMPTS) + number  # the offsets of a strip, which come from its seed, must not be the same in all
            whole = Recipe(4 * side, 2 * side, prompt, steps=steps, guidance=guidance, seed=seed, batch=batch)
            spheres.append(measure_spheres(lambda turn, r=whole: make_sphere(pipeline, _turned(r, turn)), "sphere"))
            belt = Recipe(4 * side, side, prompt, steps=steps, guidance=guidance, seed=seed, batch=batch)
            strips.append(measure_strips(lambda turn, r=belt: make_strip(pipeline, _turned(r, turn))))
            photograph = render_panorama(seed, 2 * side).image

            def depth(turn: float, r: Recipe = whole, photograph: torch.Tensor = photograph) -> Sphere:
                shift = round(turn / 360 * photograph.shape[-1])
                return depth_of_photograph(pipeline, photograph.roll(shift, -1), _turned(r, turn))

            photographs.append([m for m in measure_spheres(depth, "photograph") if "picture" not in m.what])
    return [*pooled(spheres), *pooled(strips), *pooled(photographs)]


def _turned(recipe: Recipe, turn: float) -> Recipe:
    return Recipe(**{**vars(recipe), "turn": turn})


def solved_depth(seeds: Sequence[int], noise: float = 0.01, side: int = 128, views: int = 18) -> SolvedDepth:
    """How well solve and merge find distances from exact disparities, on procedural panoramas.

    Distances are compared where there is no sky, up to one factor for the whole sphere (the median's), `FARTHEST` at most.
    """
    errors, right = [], []
    generator = np.random.default_rng(0)
    for seed in seeds:
        everybody = layout(views)
        disparities = [_exact_disparity(seed, view, side) for view in everybody]
        noisy = [(one + noise * generator.standard_normal(one.shape)).clip(0, 1) for one in disparities]
        inverse = merge(everybody, noisy, solve(everybody, noisy), 2 * side)
        truth = render_panorama(seed, 2 * side).distance.double().numpy()
        ground = np.isfinite(truth)
        truth = np.minimum(truth, FARTHEST * truth[ground].min())
        made = 1 / np.maximum(inverse, 1e-12)
        made = np.minimum(made * np.median(truth[ground] / made[ground]), FARTHEST * truth[ground].min())
        errors.append(float(np.mean(np.abs(made - truth)[ground] / truth[ground])))
        right.append(float(np.mean(np.maximum(made / truth, truth / made)[ground] < 1.25)))
    return SolvedDepth(noise, float(np.mean(errors)), float(np.mean(right)), len(seeds))


def _exact_disparity(seed: int, view: View, side: int) -> np.ndarray:
    """(side, side) min-max normalised 1/z of a view of a procedural panorama; a view of nothing but sky is 0."""
    rays = view.rays(side, side, torch.zeros((), dtype=torch.float64))
    lengths = rays.norm(dim=-1)
    inverse = (lengths / radial_distance(seed, rays / lengths[..., None]).double()).numpy()
    return (inverse - inverse.min()) / max(np.ptp(inverse), 1e-12)


def as_table(measures: Sequence[Measure], solved: Sequence[SolvedDepth]) -> str:
    """Both as tables in Markdown."""
    lines = ["| measure | value | inside | ratio | at most | met |", "|---|---|---|---|---|---|"]
    lines += [f"| {m.what} | {m.value:.4f} | {m.interior:.4f} | {_ratio_text(m)} | {m.target:g} | {_verdict(m)} |" for m in measures]
    lines += ["", "| exact disparities with noise | AbsRel | delta1 | panoramas |", "|---|---|---|---|"]
    lines += [f"| {s.noise:g} | {100 * s.relative_error:.2f} % | {100 * s.delta1:.1f} % | {s.panoramas} |" for s in solved]
    return "\n".join(lines)


def _ratio_text(measure: Measure) -> str:
    return f"{measure.ratio:.2f}" + (f" ± {measure.error:.2f}" if measure.error is not None else "")


def _verdict(measure: Measure) -> str:
    if measure.met:
        return "yes" if measure.ratio <= measure.target else "yes, invisible"
    return "within error" if measure.error is not None and measure.ratio - measure.error <= measure.target else "NO"


def as_json(measures: Sequence[Measure], solved: Sequence[SolvedDepth]) -> dict[str, list[dict[str, float | str | None]]]:
    """Both as plain data; an infinite ratio or error is None."""
    plain = [{**asdict(m), "ratio": _finite(m.ratio), "error": _finite(m.error), "met": m.met} for m in measures]
    return {"measures": plain, "solved": [asdict(s) for s in solved]}


def _finite(number: float | None) -> float | None:
    return number if number is not None and np.isfinite(number) else None
