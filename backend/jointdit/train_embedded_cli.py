# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit train embedded`: the whole recipe of the model that comes with the project, in pieces of any length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .training import RECIPES, STAGES

FOLDER = click.Path(file_okay=False, path_type=Path)


class StageNumber(click.ParamType):
    """`STAGE=N`."""

    name = "STAGE=N"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[str, int]:
        """Text -> (stage, number)."""
        if isinstance(value, tuple):
            return value
        stage, _, number = value.partition("=")
        if stage not in STAGES[1:] or not number.isdigit() or int(number) < 1:
            self.fail(f"{value!r} is no number for a stage; write base=4000, with one of {', '.join(STAGES[1:])}.", param, context)
        return stage, int(number)


@click.command("embedded")
@click.option("--folder", type=FOLDER, default=Path("runs/embedded"), show_default=True, help="Where checkpoints and results go.")
@click.option("--minutes", type=float, help="Stop after so many minutes; run the command again to go on.")
@click.option("--device", help="cuda, mps or cpu; default: the best that there is.")
@click.option("--text-encoder", "source", type=FOLDER, help="Folder of all-MiniLM-L6-v2 (first time only).")
@click.option("--words", type=click.Path(dir_okay=False, path_type=Path), help="A list of English words, one a line (first time only).")
@click.option("--start", type=FOLDER, help="Go on from this finished model, the folder of its pipeline: all but text and autoencoder, further.")
@click.option("--parts-of", type=FOLDER, help="Take the text encoder and the autoencoder of this finished model, and train a transformer from nothing.")
@click.option("--recipe", "name", type=click.Choice(RECIPES), default="embedded", show_default=True, help="Sizes: `small` is for comparisons on a processor.")
@click.option("--stage", "stages", type=click.Choice(STAGES), multiple=True, help="Only these stages; default: all, in their order.")
@click.option("--scenes", type=int, help="Number of procedural scenes to learn from.")
@click.option("--pictures", type=int, help="Number of pictures that the autoencoder learns from.")
@click.option("--steps", type=StageNumber(), multiple=True, help="Length of a stage in steps.")
@click.option("--batch", type=StageNumber(), multiple=True, help="Samples of a stage that are worked on at once.")
@click.option("--accumulation", type=StageNumber(), multiple=True, help="How often that is done in a step of a stage; default: once.")
@click.option("--compile/--no-compile", "compiled", default=None, help="Compile blocks; default: on a card. A processor needs a C++ compiler.")
def embedded_command(
    folder: Path,
    minutes: float | None,
    device: str | None,
    source: Path | None,
    words: Path | None,
    start: Path | None,
    parts_of: Path | None,
    name: str,
    stages: tuple[str, ...],
    steps: tuple[tuple[str, int], ...],
    batch: tuple[tuple[str, int], ...],
    accumulation: tuple[tuple[str, int], ...],
    compiled: bool | None,
    **sizes: int | None,
) -> None:
    """Train the embedded model from nothing, stage by stage: see docs/training.md. Stopped at any time, the same command goes on."""
    from .training.recipe import Bench, recipe_named, run

    if start is not None and parts_of is not None:
        raise click.UsageError("--start trains a model further, --parts-of takes some of its parts: give one of them.")
    recipe = replace(recipe_named(name), **{field: size for field, size in sizes.items() if size is not None})
    for field, changes in (("steps", steps), ("batch", batch), ("accumulation", accumulation)):
        for stage, number in changes:
            recipe = replace(recipe, **{stage: replace(getattr(recipe, stage), **{field: number})})
    done = run(recipe, Bench.here(folder, minutes, device, compiled), stages or STAGES, source, words, start or parts_of, whole=parts_of is None)
    click.echo(f"The training is {'finished' if done else 'not finished yet; run the same command to go on'}. Results are in {folder}.")


@click.command("ablation")
@click.option("--folder", type=FOLDER, default=Path("runs/embedded"), show_default=True, help="The finished training whose base is used.")
@click.option("--minutes", type=float, help="Begin no variant after so many minutes; run the command again to go on.")
@click.option("--device", help="cuda, mps or cpu; default: the best that there is.")
@click.option("--steps", type=click.IntRange(1), default=200, show_default=True, help="Steps of each variant.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Trainings of each variant, from other weights and noise.")
@click.option("--pictures", type=click.IntRange(1), default=64, show_default=True, help="Held-out scenes that each is measured on.")
@click.option("--scenes", type=int, help="Number of procedural scenes, as the training had them.")
@click.option("--recipe", "name", type=click.Choice(RECIPES), default="embedded", show_default=True, help="As the training had it.")
@click.option("--variant", "names", multiple=True, help="Only this variant, such as `both`; may be given several times. Default: all.")
def ablation_command(
    folder: Path, minutes: float | None, device: str | None, steps: int, seeds: int, pictures: int, scenes: int | None, name: str, names: tuple[str, ...]
) -> None:
    """The paper's ablations on the base of a small model: adaptive weights, unbalanced timesteps, rank of the LoRAs, trained alike."""
    from .training.ablation import VARIANTS, run, table
    from .training.recipe import Bench, recipe_named

    recipe = recipe_named(name) if scenes is None else replace(recipe_named(name), scenes=scenes)
    unknown = {*names} - {variant.name for variant in VARIANTS}
    if unknown:
        raise click.UsageError(f"There is no variant {unknown.pop()!r}; there are: {', '.join(variant.name for variant in VARIANTS)}.")
    chosen = [variant for variant in VARIANTS if not names or variant.name in names]
    click.echo(table(run(recipe, Bench.here(folder, minutes, device), steps, seeds, pictures, chosen)))
