# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit prepare`: a folder of pictures becomes a training set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .errors import JointDiTError
from .preparing import DEPTH_MODEL

FOLDER = click.Path(file_okay=False, path_type=Path)
NOTES = 10
"""So many pictures that are left out are named; set.json names all."""


@click.command("prepare")
@click.argument("folder", type=FOLDER)
@click.option("--output", type=FOLDER, default=Path("training-set"), show_default=True, help="Folder for the training set.")
@click.option("--size", type=int, default=512, show_default=True, help="Pixels of a side; a multiple of 16.")
@click.option("--model", default="embedded", show_default=True, help="Whose autoencoder and text encoders: a model's name, or the folder of a pipeline.")
@click.option("--captioner", help="Model for pictures without a text file: a name or folder for transformers, such as llava-hf/llava-1.5-7b-hf.")
@click.option("--caption-prompt", help="What the captioner is asked; default: to describe the picture.")
@click.option("--captions", type=click.Choice(["beside", "none"]), default="beside", show_default=True, help="none: the empty prompt for every picture.")
@click.option("--depth-model", default=DEPTH_MODEL, show_default=True, help="Name or folder for transformers; or jointdit, or a model's name.")
@click.option("--ground-truth-only", is_flag=True, help="Estimate nothing: use pictures whose depth is known everywhere, infinite in the sky.")
@click.option("--allow-enlarging", is_flag=True, help="Also use pictures whose short side is below the size.")
@click.option("--text-embeddings/--no-text-embeddings", default=True, show_default=True, help="Store what the text encoders make of the captions.")
@click.option("--shard-size", type=int, default=256, show_default=True, help="Pictures in a file.")
@click.option("--limit", type=int, help="Take only so many pictures, the first by name.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True, help="Where the models work.")
@click.option("--batch", type=int, default=8, show_default=True, help="Pictures that a model gets at once.")
def prepare_command(**options: Any) -> None:
    """Make a training set of the pictures in FOLDER, with the captions, disparities and depths that lie beside them.

    Run it again to go on where it was ended.
    """
    from tqdm import tqdm

    from .models import Models
    from .preparing.plan import Settings
    from .preparing.run import prepare

    notes: list[str] = []

    def report(note: str) -> None:
        notes.append(note)
        if len(notes) <= NOTES:
            tqdm.write(f"Note: {note}", file=sys.stderr)

    try:
        summary = prepare(Settings(**options), Models(), report)
    except JointDiTError as error:
        raise click.ClickException(str(error)) from error
    if len(notes) > NOTES:
        click.echo(f"Note: {len(notes) - NOTES} more notes; set.json says which files are left out, and why.", err=True)
    left_out = f", {len(summary.left_out)} left out" if summary.left_out else ""
    click.echo(f"The training set {summary.folder} holds {summary.kept} picture{'' if summary.kept == 1 else 's'}{left_out}.")
