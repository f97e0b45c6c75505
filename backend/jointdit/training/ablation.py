# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's ablations at small size: add-ons of several kinds, trained alike on one base of the recipe, measured on the same held-out scenes.

Section 4.4 (adaptive weights, unbalanced timesteps) and supplement B.3 (rank of the LoRAs).
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..evaluation.embedded import Settings, Subject, measure
from ..transformer import JointDiTTransformer2DModel
from .export import assemble
from .joint import SIGMAS
from .loop import Schedule
from .recipe import Bench, Parts, Recipe, new_joint, open_base, parts, refuse_other_sizes
from .stages import train_joint

MEASURES = ("image-to-depth", "agreement", "depth-to-image")
COLUMNS = {
    "image to depth: AbsRel, to 80 m": "image to depth AbsRel",
    "image to depth: delta1, to 80 m": "delta1",
    "depth to image: AbsRel, to 80 m": "depth to image AbsRel",
    "joint: its disparity and that of its picture: AbsRel, to 80 m": "joint, agreement AbsRel",
}
"""The figures of `evaluation.embedded` that the table shows, and their headings."""


@dataclass(frozen=True)
class Variant:
    """One row: the form of the adaptive weights, how noise levels are drawn, and the LoRAs' rank."""

    name: str
    adaptive: str = "noise_fraction"
    timesteps: str = "unbalanced"
    rank: int = 32


VARIANTS = (
    Variant("neither", "none", "independent"),
    Variant("unbalanced timesteps", "none", "unbalanced"),
    Variant("adaptive weights", "noise_fraction", "independent"),
    Variant("both"),
    Variant("both, rank 16", rank=16),
    Variant("both, rank 8", rank=8),
)


def run(recipe: Recipe, bench: Bench, steps: int, seeds: int, pictures: int, variants: Sequence[Variant] = VARIANTS) -> list[dict[str, Any]]:
    """Train and measure each variant with each seed on the base in the bench's folder, until the deadline; go on where it stopped.

    Every run sees the same scenes in the same order with the same noise as the other variants of its seed. All rows are kept in `ablation.json`; those of
    these numbers are returned, unless they were measured before a figure of `COLUMNS` was there. Raises `InputError` where there is no base yet, or the file
    is damaged.
    """
    file = bench.folder / "ablation.json"
    kept = read_rows(file)
    numbers = {"steps": steps, "batch": recipe.joint.batch, "rate": recipe.joint.learning_rate, "pictures": pictures, "scenes": recipe.scenes}
    wanted = {variant.name for variant in variants}
    rows = [row for row in kept if row["variant"] in wanted and {name: row.get(name) for name in numbers} == numbers]
    rows = [row for row in rows if COLUMNS.keys() <= row["figures"].keys()]
    if not (bench.folder / "base.done").is_file():
        raise InputError(f"{bench.folder} holds no base that is trained to its end. Run `jointdit train embedded` with this folder first.")
    refuse_other_sizes(recipe, bench.folder)
    found = parts(recipe, bench, "text-trained")
    if found is None:
        return rows
    schedule = replace(recipe.joint, steps=steps, warmup=min(recipe.joint.warmup, steps // 4))
    scenes = None
    for seed in range(seeds):
        for variant in variants:
            if any((row["variant"], row["seed"]) == (variant.name, seed) for row in rows) or bench.minutes_left == 0:
                continue
            began = time.monotonic()
            model = trained(recipe, bench, found, variant, schedule, seed)
            subject = Subject(assemble(recipe, found.vae, found.tokenizer, found.text, model), Settings(pictures, batch=64))
            if scenes is not None:
                subject.scenes = scenes
            with torch.compiler.set_stance("force_eager"):
                figures = {figure.what: figure.value for figure in measure(subject, None, MEASURES).figures}
            scenes = subject.scenes
            about = {"variant": variant.name, "seed": seed, **numbers, **asdict(variant)}
            rows.append(about | {"seconds": time.monotonic() - began, "figures": figures})
            kept.append(rows[-1])
            temporary = file.with_suffix(".tmp")
            temporary.write_text(json.dumps(kept, indent=1))
            temporary.replace(file)
    return rows


def trained(recipe: Recipe, bench: Bench, found: Parts, variant: Variant, schedule: Schedule, seed: int) -> JointDiTTransformer2DModel:
    """One variant's add-ons, trained from nothing; the seed decides their first weights, the order of the scenes and the noise."""
    torch.manual_seed(seed)
    base = open_base(bench.folder).to(bench.device)
    model = new_joint(base, recipe, adaptive_form=variant.adaptive, lora_rank=variant.rank)
    work = bench.work("ablation", None)
    work.checkpoint.unlink(missing_ok=True)
    # Noise levels have a generator of their own: the ways to draw them take unequally many numbers, and scenes and noise shall be the same.
    levels = torch.Generator(bench.device).manual_seed(seed + 1)
    draw = SIGMAS[variant.timesteps]
    train_joint(model, found.text, found.empty, found.latents, schedule, replace(work, minutes=None), lambda count, _: draw(count, levels), seed)
    return model.eval()


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for each variant, the means over its seeds and their deviations."""
    lines = [f"| variant | {' | '.join(COLUMNS.values())} | seeds |", f"|---|{'---|' * len(COLUMNS)}---|"]
    for name in dict.fromkeys(row["variant"] for row in rows):
        own = [row["figures"] for row in rows if row["variant"] == name]
        cells = [_spread([figures[what] for figures in own]) for what in COLUMNS]
        lines.append(f"| {name} | {' | '.join(cells)} | {len(own)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    deviation = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{deviation}"


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of an `ablation.json`; none where there is no file. Raises `InputError` for a damaged one."""
    if not file.is_file():
        return []
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise InputError(f"{file} is damaged ({error}). Remove it; the variants are trained again.") from error
