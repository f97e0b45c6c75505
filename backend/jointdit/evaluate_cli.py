# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit evaluate …`: figures of what a model makes, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .errors import JointDiTError


@click.group("evaluate")
def evaluate_group() -> None:
    """Measure what a model makes."""


@evaluate_group.command("panorama")
@click.option("--model", default="embedded", show_default=True, help="A model's name, or the folder of a pipeline.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Panoramas of each prompt.")
@click.option("--steps", type=click.IntRange(1), default=20, show_default=True, help="Sampling steps.")
@click.option("--scenes", type=click.IntRange(1), default=12, show_default=True, help="Procedural panoramas with exact depth.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the figures to this file.")
def evaluate_panorama(model: str, seeds: int, steps: int, scenes: int, file: Path | None) -> None:
    """Seams, poles, turns and overlaps of spheres, strips and photographs; and the solved depth of procedural spheres."""
    from .evaluation.panorama import as_json, as_table, measure_model, solved_depth
    from .frame import check_output
    from .models import Models
    from .wishes import Wish

    models = Models()
    try:
        if file is not None:
            check_output(file.absolute().parent)
        found = models.find(model)
        side = min(found.index.get("native_size") or 1024, 512)
        pipeline = models.pipeline(found, Wish(4 * side, side, steps))
    except JointDiTError as error:
        raise click.ClickException(str(error)) from error
    solved = [solved_depth(range(scenes), noise) for noise in (0.0, 0.01, 0.02)]
    batch = max(1, models.pairs_at_once(side, side, steps))
    measures = measure_model(pipeline, seeds, steps, batch, lambda what: click.echo(what, err=True))
    click.echo(as_table(measures, solved))
    if file is not None:
        file.write_text(json.dumps(as_json(measures, solved), indent=1) + "\n", encoding="utf-8")
