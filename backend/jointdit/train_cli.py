# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit train ...`: the paper's method on a prepared set, and the stages of the embedded model."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click

from .errors import JointDiTError
from .probe_cli import probe_command
from .train_embedded_cli import ablation_command, embedded_command

FOLDER = click.Path(file_okay=False, path_type=Path)
INTERRUPTED = 130
"""Exit code after Ctrl+C, as shells have it."""


class Training(click.Group):
    """Errors that a person can mend end as one sentence and exit code 1; Ctrl+C as one and 130."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        try:
            return super().invoke(context)
        except JointDiTError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo("Stopped. Run the command again to go on from what was saved.", err=True)
            sys.exit(INTERRUPTED)


@click.group("train", cls=Training)
def train_group() -> None:
    """Train JointDiT: its add-ons on a set of your own, or the embedded model."""


@train_group.command("joint")
@click.argument("set_folder", metavar="SET", type=FOLDER)
@click.option("--folder", type=FOLDER, default=Path("runs/joint"), show_default=True, help="Where checkpoints, curves, sheets and add-ons go.")
@click.option("--model", default="embedded", show_default=True, help="Whose base is used: a model's name, or the folder of a pipeline.")
@click.option("--start", metavar="FILE|model", help="Begin with these add-ons (model: the model's own) instead of new ones.")
@click.option("--rank", type=int, help="Rank of new LoRAs; default: as the model's add-ons have it, or 64.")
@click.option("--steps", type=int, default=75_000, show_default=True, help="Steps in all.")
@click.option("--batch", type=int, default=4, show_default=True, help="Pairs at once on each card.")
@click.option("--accumulation", type=int, default=1, show_default=True, help="Batches a step.")
@click.option("--learning-rate", type=float, default=1e-5, show_default=True, help="Length of a step.")
@click.option("--warmup", type=int, default=0, show_default=True, help="Steps in which the learning rate rises.")
@click.option("--decay", type=click.Choice(["constant", "cosine"]), default="constant", show_default=True, help="The learning rate after that.")
@click.option("--optimizer", type=click.Choice(["adafactor", "adamw"]), default="adafactor", show_default=True, help="adamw takes more memory.")
@click.option("--weight-decay", type=float, default=0.0, show_default=True, help="Pull of the weights towards zero.")
@click.option("--clip", type=float, default=1.0, show_default=True, help="Largest norm of the gradients; 0 for any.")
@click.option("--average", type=float, default=0.0, show_default=True, help="Decay of a running average of the weights, such as 0.999; 0 for none.")
@click.option("--adaptive-weights", type=click.Choice(["released", "paper", "off"]), default="released", show_default=True, help="For ablations.")
@click.option("--timesteps", type=click.Choice(["unbalanced", "independent"]), default="unbalanced", show_default=True, help="For ablations.")
@click.option("--prompt-drop", type=float, default=0.1, show_default=True, help="Share of the prompts that are left empty.")
@click.option("--addon-dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True, help="How the trained weights are stored.")
@click.option("--precision", type=click.Choice(["bfloat16", "float32"]), default="bfloat16", show_default=True, help="How products are rounded.")
@click.option("--gradient-checkpointing/--no-gradient-checkpointing", default=None, help="Less memory, more time; default: for large models.")
@click.option("--held-out", type=int, help="Pairs at the end of SET that are only looked at; default: an eighth, 8 at most.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same run.")
@click.option("--minutes", type=float, help="Stop after so many minutes; run the command again to go on.")
@click.option("--every-minutes", type=float, default=30.0, show_default=True, help="Time between checkpoints.")
@click.option("--keep", type=int, default=3, show_default=True, help="How many checkpoints stay.")
@click.option("--resume", metavar="FILE|last", help="Go on from this checkpoint; default: from the last one in the folder, if there is one.")
@click.option("--samples", type=int, default=4, show_default=True, help="Held-out pairs on a sheet.")
@click.option("--sample-steps", type=int, default=20, show_default=True, help="Sampling steps for a sheet.")
@click.option("--estimate", "only_estimate", is_flag=True, help="Say what memory the training takes on a card, and stop.")
def joint_command(
    set_folder: Path,
    folder: Path,
    minutes: float | None,
    every_minutes: float,
    keep: int,
    resume: str | None,
    samples: int,
    sample_steps: int,
    only_estimate: bool,
    **options: Any,
) -> None:
    """Train JointDiT's add-ons on the prepared SET by the paper's method; the base model is not changed. Stopped at any time, the same command goes on."""
    from .training.joint_run import estimate, run
    from .training.options import JointOptions, Keeping

    asked = JointOptions(**options)
    if only_estimate:
        click.echo("\n".join(estimate(set_folder, asked).lines()))
        return
    outcome = run(set_folder, folder, asked, Keeping(minutes, every_minutes, keep, sample_steps, samples), resume)
    if outcome is None:  # one of several processes, not the first
        return
    state = "finished" if outcome.finished else "not finished yet; run the command again to go on"
    click.echo(f"The training is {state}. {outcome.step} steps are done; the add-ons are in {outcome.addons}.")


train_group.add_command(embedded_command)
train_group.add_command(ablation_command)
train_group.add_command(probe_command)
