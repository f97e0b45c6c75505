# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `jointdit models …`: the full model's files on this machine."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from .errors import JointDiTError
from .models import Models
from .weights.catalogue import NEEDED, PIECES, describe, size_text
from .weights.library import Library, home_folder, how_to_complete

if TYPE_CHECKING:
    from .weights.download import DownloadProgress, PlannedFile


def models_folder() -> Path:
    """Where models go if nobody says otherwise."""
    return home_folder() / "models"


@click.group("models")
def models_group() -> None:
    """The full model's files: what there is, and how it comes here."""


@models_group.command("list")
def list_command() -> None:
    """Say which models there are, and what each lacks."""
    models = Models()
    try:
        for about in models.describe():
            click.echo(f"{about['name']}: {about['title']}, {size_text(about['size'])}, {about['licence']}")
        for entry in models.library.entries():
            for sentence in how_to_complete(entry.missing()):
                click.echo(f"{entry.name} lacks: {sentence}")
    except JointDiTError as error:
        raise click.ClickException(str(error)) from error


@models_group.command("add")
@click.argument("paths", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.option("--name", default="flux", show_default=True, help="What the model is called; the same name again completes or replaces it.")
def add_command(paths: tuple[Path, ...], name: str) -> None:
    """Find the pieces of a FLUX.1-dev with JointDiT in files and folders (PATHS), by what is in them, and remember where they are."""
    from .doctor import report_on
    from .weights.pieces import find_pieces

    found = find_pieces(paths)
    try:
        entry = Library().add(name, found)
    except JointDiTError as error:
        raise click.ClickException(str(error)) from error
    for finding in report_on(found):
        click.echo(f"{finding.what}: {finding.text}")
    for sentence in how_to_complete(entry.missing()):
        click.echo(f"Missing: {sentence}")
    if entry.missing():
        click.echo("Add what is missing with the same command, or fetch it: jointdit models download")
    else:
        click.echo(f'The model {name} is complete. Try: jointdit generate "a lighthouse at dusk" --model {name}')


@models_group.command("remove")
@click.argument("name")
def remove_command(name: str) -> None:
    """Forget the model NAME; its files stay where they are."""
    try:
        Library().remove(name)
    except JointDiTError as error:
        raise click.ClickException(str(error)) from error


@models_group.command("download")
@click.option("--piece", "pieces", type=click.Choice(PIECES), multiple=True, help="What to fetch; may be given several times. Default: all that a model needs.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where to; default: JOINTDIT_HOME/models, or the user's data folder.")
@click.option("--endpoint", metavar="URL", help="Another hub; default: HF_ENDPOINT, or the public one.")
@click.option("--yes", is_flag=True, help="Do not ask before fetching.")
def download_command(pieces: tuple[str, ...], folder: Path | None, endpoint: str | None, yes: bool) -> None:
    """Fetch FLUX.1-dev and JointDiT's add-ons from their hub, after asking. A download that was stopped goes on where it ended."""
    folder = folder or models_folder()
    try:
        _download(pieces or NEEDED, folder, endpoint, yes)
    except JointDiTError as error:
        raise click.ClickException(str(error)) from error
    click.echo(folder)
    click.echo(f'Next: jointdit models add "{folder}"' if " " in str(folder) else f"Next: jointdit models add {folder}")


def _download(pieces: tuple[str, ...], folder: Path, endpoint: str | None, yes: bool) -> None:
    """List, ask, fetch.

    Raises:
        JointDiTError: a file cannot be fetched.
        click.Abort: the person does not want it.
    """
    if find_spec("huggingface_hub") is None:
        raise JointDiTError('huggingface_hub cannot be found in this Python; install jointdit with its extra: pip install ".[runtime]"')
    from .weights.download import download_plan, plan_download  # brings the network's libraries, which no other command needs

    plan = plan_download(pieces, folder, endpoint)
    for piece in pieces:
        _list([file for file in plan if file.offer.piece == piece], piece)
    missing = sum(file.missing for file in plan)
    if missing == 0 and all(file.there for file in plan):
        click.echo("All of it is here already.")
        return
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    click.echo(f"To fetch: {size_text(missing)} into {folder}, where {size_text(shutil.disk_usage(place).free)} are free.")
    if not yes:
        click.confirm("Continue?", abort=True)
    with tqdm(total=sum(file.size for file in plan), unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:

        def report(progress: DownloadProgress) -> None:
            bar.set_description(progress.file.rpartition("/")[2], refresh=False)
            bar.update(progress.done - bar.n)

        download_plan(plan, folder, report)


def _list(files: list[PlannedFile], piece: str) -> None:
    """Say what a piece is and how much of it is here."""
    size, missing = sum(file.size for file in files), sum(file.missing for file in files)
    if all(file.there for file in files):
        state = "already here"
    elif missing < size:
        state = f"{size_text(size - missing)} of {size_text(size)} already here"
    else:
        state = "not here yet"
    click.echo(f"{describe(piece)} [{state}]")
