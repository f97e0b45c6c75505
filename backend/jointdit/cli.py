# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `jointdit`: the three tasks, the worker, a look at the machine, and training. Every picture ends in a frame folder."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from . import __version__
from .allocator import let_segments_grow
from .errors import InputError, JointDiTError
from .evaluate_cli import evaluate_group
from .features_cli import features_command
from .jobs import Job, Progress, Result, generate
from .lines import json_option, say
from .memory import PLANS
from .models import Models
from .models_cli import models_group
from .panorama.asked import KINDS, ROUTES
from .prepare_cli import prepare_command
from .render_set_cli import render_set_command
from .train_cli import train_group
from .wishes import BRANCHES, COMPILING, Lora

FOLDER = click.Path(file_okay=False, path_type=Path)


class Size(click.ParamType):
    """`N` or `WIDTHxHEIGHT` in pixels."""

    name = "N or WxH"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[int, int]:
        """Text -> (width, height)."""
        if isinstance(value, tuple):
            return value
        sides = value.lower().split("x")
        if len(sides) > 2 or not all(side.isdigit() for side in sides):
            self.fail(f"{value!r} is not a size; write 512, or 640x480 for width and height.", param, context)
        return int(sides[0]), int(sides[-1])


class LoraFile(click.ParamType):
    """`FILE`, `FILE:STRENGTH` or `FILE:STRENGTH:BRANCH`. A colon in the path, as in C:\\, is left alone."""

    name = "FILE[:STRENGTH[:BRANCH]]"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Lora:
        """Text -> a LoRA."""
        if isinstance(value, Lora):
            return value
        branch, strength = "both", 1.0
        head, colon, tail = value.rpartition(":")
        if colon and tail in BRANCHES:
            value, branch = head, tail
            head, colon, tail = value.rpartition(":")
        if colon and re.fullmatch(r"-?\d+(\.\d*)?|-?\.\d+", tail):
            value, strength = head, float(tail)
        try:
            return Lora(Path(value), strength, branch)
        except JointDiTError as error:
            self.fail(str(error), param, context)


class Part(click.ParamType):
    """`DIRECTION=TEXT`."""

    name = "DIRECTION=TEXT"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[str, str]:
        """Text -> (direction, text)."""
        if isinstance(value, tuple):
            return value
        direction, equals, text = value.partition("=")
        if not equals or not text.strip():
            self.fail(f"{value!r} is no part of a prompt; write up=TEXT, or down, front, right, back, left.", param, context)
        return direction.strip().lower(), text.strip()


def job_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that all tasks share."""
    for option in (
        click.option("--output", type=FOLDER, default=Path("jointdit-output"), show_default=True, help="Folder for the frame folder."),
        click.option("--size", type=Size(), help="Pixels; default: the picture's size, or the model's own."),
        click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same result."),
        click.option("--steps", type=int, default=20, show_default=True, help="Sampling steps."),
        click.option("--guidance", type=float, help="How strictly the prompt is followed; default: the model's own."),
        click.option("--model", default="embedded", show_default=True, help="A model's name, or the folder of a pipeline."),
        click.option("--near", type=float, default=2.0, show_default=True, help="Distance of the nearest pixel in metres."),
        click.option("--far", type=float, default=40.0, show_default=True, help="Distance of the farthest pixel in metres."),
        click.option("--fov", type=float, help="Horizontal field of view in degrees; default: the model's own."),
        click.option("--memory-plan", type=click.Choice(["auto", *PLANS]), default="auto", show_default=True, help="How the weights lie in memory."),
        click.option("--compile", type=click.Choice(COMPILING), default="auto", show_default=True, help="Compile the model's blocks: slow first, then faster."),
        click.option("--step-cache", type=float, default=0.0, help="Reuse steps that change less than this, such as 0.08: faster, not exact."),
        click.option("--lora", "loras", type=LoraFile(), multiple=True, help="A FLUX LoRA as FILE, FILE:STRENGTH or FILE:STRENGTH:BRANCH (both, rgb, depth)."),
    ):
        command = option(command)
    return command


def run_job(task: str, options: dict[str, Any], **inputs: Any) -> None:
    """Run one task with a progress bar and print the frame folder."""
    size = options.pop("size") or (None, None)
    job = Job(task=task, width=size[0], height=size[1], horizontal_angle=options.pop("fov"), **options, **inputs)
    with tqdm(total=job.steps, desc="loading", leave=False, file=sys.stderr) as bar:

        def report(progress: Progress) -> None:
            bar.set_description(progress.phase)
            if progress.phase == "sampling":
                bar.update(progress.step - bar.n)

        result: Result = generate(job, Models(), report)
    for warning in result.warnings:
        click.echo(f"Note: {warning}", err=True)
    click.echo(result.frame)


def sentences(command: Callable[..., None]) -> Callable[..., None]:
    """Errors that a person can mend end as one sentence and exit code 1."""

    @wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except JointDiTError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Images and their depth, made together by JointDiT."""
    let_segments_grow()


@main.command("generate")
@click.argument("prompt")
@job_options
@sentences
def generate_command(prompt: str, **options: Any) -> None:
    """Make an image and its disparity from PROMPT."""
    run_job("joint", options, prompt=prompt)


@main.command("depth")
@click.argument("image", type=click.Path(path_type=Path))
@job_options
@sentences
def depth_command(image: Path, **options: Any) -> None:
    """Estimate the disparity of IMAGE."""
    run_job("image_to_depth", options, image=image)


@main.command("image")
@click.argument("disparity", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="What the image shows.")
@job_options
@sentences
def image_command(disparity: Path, prompt: str, **options: Any) -> None:
    """Paint an image onto DISPARITY (EXR, 16-bit PNG or NPY; nearest = highest)."""
    run_job("depth_to_image", options, disparity=disparity, prompt=prompt)


@main.command("panorama")
@click.argument("prompt", default="")
@click.option("--kind", type=click.Choice(KINDS), default="sphere", show_default=True, help="The whole sphere, or the paper's strip around the horizon.")
@click.option("--part", "parts", type=Part(), multiple=True, help="What is seen up, down, front, right, back or left, instead of PROMPT.")
@click.option("--front", type=FOLDER, help="A frame folder that becomes the view ahead; the rest is made around it.")
@click.option("--photo", "image", type=click.Path(path_type=Path), help="An equirectangular photograph, twice as wide as high: find its depth.")
@click.option("--views", type=int, help="Perspective views of a sphere: 6, 14, 18 (default) or 26.")
@click.option("--route", type=click.Choice(ROUTES), default="views", show_default=True, help="latents: as one picture, for a LoRA that knows panoramas.")
@job_options
@sentences
def panorama_command(prompt: str, image: Path | None, parts: tuple[tuple[str, str], ...], **options: Any) -> None:
    """Make a panorama with its depth from PROMPT, around a frame, or of a photograph. --size is that of the whole; --fov has no use here."""
    if image is not None and prompt:
        raise InputError("A photograph is shown as it is: leave out the prompt, or --photo.")
    run_job("panorama" if image is None else "panorama_depth", options, prompt=prompt, image=image, parts=dict(parts))


main.add_command(models_group)
main.add_command(evaluate_group)
main.add_command(train_group)
main.add_command(prepare_command)
main.add_command(render_set_command)
main.add_command(features_command)


@main.command("worker")
def worker_command() -> None:
    """Serve Blender over standard input and output (docs/protocol.md)."""
    from .worker.__main__ import main as serve

    sys.exit(serve())


@main.command("doctor")
@click.argument("paths", type=click.Path(path_type=Path, exists=True), nargs=-1)
@json_option
def doctor_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Say what this machine has, and whether the models are whole; or what files and folders (PATHS) hold of the full model."""
    from .doctor import examine, examine_files

    healthy = True
    for finding in examine_files(paths) if paths else examine(Models()):
        healthy &= finding.good
        if as_json:
            say(**finding.told())
        else:
            click.echo(f"{'ok ' if finding.good else 'BAD'}  {finding.what}: {finding.text}")
    if as_json:
        say(result={"healthy": healthy})
    sys.exit(0 if healthy else 1)


if __name__ == "__main__":
    main()
