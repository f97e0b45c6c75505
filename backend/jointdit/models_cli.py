# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `jointdit models …`: the full model's files on this machine. With `--json` they speak to a program (docs/models.md)."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from . import inventory
from .errors import InputError, JointDiTError
from .lines import json_option, say
from .models import Models
from .weights.catalogue import NEEDED, PIECES, Offer, describe, find_offer, size_text
from .weights.library import Library, home_folder, how_to_complete

if TYPE_CHECKING:
    from .weights.download import DownloadProgress

NEWS_INTERVAL = 0.25
"""Seconds between two lines of progress."""


def models_folder() -> Path:
    """Where models go if nobody says otherwise."""
    return home_folder() / "models"


@click.group("models")
def models_group() -> None:
    """The full model's files: what there is, and how it comes here."""


@models_group.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """Say which models there are, and what each lacks."""
    models = Models()
    if as_json:
        items = [inventory.look(models, name) for name in models.names()]
        for item in items:
            say(**item.told())
        for item in items:
            say(**inventory.examine(models, item).told())
        say(result={"models": len(items)})
        return
    for about in models.describe():
        click.echo(f"{about['name']}: {about['title']}, {size_text(about['size'])}, {about['licence']}")
    for entry in models.library.entries():
        for sentence in how_to_complete(entry.missing()):
            click.echo(f"{entry.name} lacks: {sentence}")


@models_group.command("add")
@click.argument("paths", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.option("--name", default="flux", show_default=True, help="What the model is called; the same name again completes or replaces it.")
@json_option
def add_command(paths: tuple[Path, ...], name: str, as_json: bool) -> None:
    """Find the pieces of a FLUX.1-dev with JointDiT in files and folders (PATHS), by what is in them, and remember where they are."""
    from .doctor import report_on
    from .weights.pieces import find_pieces

    found = find_pieces(paths)
    entry = Library().add(name, found)
    if as_json:
        for finding in report_on(found):
            say(**finding.told())
        say(result={"model": name, "complete": not entry.missing(), "missing": [inventory.piece_told(piece) for piece in entry.missing()]})
        return
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
@json_option
def remove_command(name: str, as_json: bool) -> None:
    """Forget the model NAME; its files stay where they are."""
    Library().remove(name)
    if as_json:
        say(result={"model": name})


@models_group.command("download")
@click.option("--piece", "pieces", type=click.Choice(PIECES), multiple=True, help="What to fetch; may be given several times. Default: all that a model needs.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where to; default: JOINTDIT_HOME/models, or the user's data folder.")
@click.option("--endpoint", metavar="URL", help="Another hub; default: HF_ENDPOINT, or the public one.")
@click.option("--add", "name", metavar="NAME", help="Remember what was fetched as the model NAME, as `jointdit models add` does.")
@click.option("--plan", "only_plan", is_flag=True, help="Only say what would be fetched, from the catalogue, without asking the hub.")
@click.option("--yes", is_flag=True, help="Do not ask before fetching.")
@json_option
def download_command(
    pieces: tuple[str, ...], folder: Path | None, endpoint: str | None, name: str | None, only_plan: bool, yes: bool, as_json: bool
) -> None:
    """Fetch FLUX.1-dev and JointDiT's add-ons from their hub, after asking. A download that was stopped goes on where it ended."""
    folder, pieces = (folder or models_folder()).absolute(), pieces or NEEDED
    if only_plan:
        _say_plan(pieces, folder, as_json)
        return
    if as_json and not yes:
        raise InputError("With --json nobody can be asked: say --yes as well.")
    _download(pieces, folder, endpoint, yes, as_json)
    missing = _remember(name, folder) if name else ()
    if as_json:
        say(result={"folder": str(folder), "model": name, "missing": [inventory.piece_told(piece) for piece in missing]})
        return
    click.echo(folder)
    if name:
        lacks = f"still lacks {', '.join(missing)}" if missing else "is complete"
        click.echo(f"The model {name} {lacks}.")
    else:
        click.echo(f'Next: jointdit models add "{folder}"' if " " in str(folder) else f"Next: jointdit models add {folder}")


def _remember(name: str, folder: Path) -> tuple[str, ...]:
    """Put what is in a folder into the list of models; returns what the model still lacks. Raises `InputError`, `OutputError`."""
    from .weights.pieces import find_pieces

    return Library().add(name, find_pieces([folder])).missing()


def _say_plan(pieces: tuple[str, ...], folder: Path, as_json: bool) -> None:
    """What there is to fetch as far as catalogue and disk tell: sizes are approximate."""
    size = missing = 0
    for piece in dict.fromkeys(pieces):
        offer = find_offer(piece)
        lacking = _lacking(offer, folder)
        size, missing = size + offer.nbytes, missing + lacking
        if as_json:
            say(**inventory.piece_told(piece), missing=lacking)
        else:
            click.echo(f"{describe(piece)} [{_state(offer.nbytes, lacking)}]")
    free = _free(folder)
    if as_json:
        say(result={"folder": str(folder), "free": free, "size": size, "missing": missing})
    else:
        click.echo(f"To fetch: about {size_text(missing)} into {folder}, where {size_text(free)} are free.")


def _lacking(offer: Offer, folder: Path) -> int:
    """About how many bytes of a piece are not in the folder yet, parts of files counted."""
    files = [folder / name for name in offer.files if name not in offer.optional]
    if all(file.is_file() for file in files):
        return 0
    here = [part for file in files for part in ([file] if file.is_file() else file.parent.glob(f"{file.name}.*.part"))]
    return max(offer.nbytes - sum(part.stat().st_size for part in here), 0)


def _free(folder: Path) -> int:
    """Free bytes on the disk that a folder is on, or will be."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free


def _download(pieces: tuple[str, ...], folder: Path, endpoint: str | None, yes: bool, as_json: bool) -> None:
    """List, ask, fetch.

    Raises:
        JointDiTError: a file cannot be fetched.
        click.Abort: the person does not want it.
    """
    if find_spec("huggingface_hub") is None:
        raise JointDiTError('huggingface_hub cannot be found in this Python; install jointdit with its extra: pip install ".[runtime]"')
    from .weights.download import download_plan, plan_download  # brings the network's libraries, which no other command needs

    plan = plan_download(pieces, folder, endpoint)
    if as_json:
        download_plan(plan, folder, _news())
        return
    for piece in pieces:
        files = [file for file in plan if file.offer.piece == piece]
        click.echo(f"{describe(piece)} [{_state(sum(file.size for file in files), sum(file.missing for file in files))}]")
    missing = sum(file.missing for file in plan)
    if missing == 0 and all(file.there for file in plan):
        click.echo("All of it is here already.")
        return
    click.echo(f"To fetch: {size_text(missing)} into {folder}, where {size_text(_free(folder))} are free.")
    if not yes:
        click.confirm("Continue?", abort=True)
    with tqdm(total=sum(file.size for file in plan), unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:

        def report(progress: DownloadProgress) -> None:
            bar.set_description(progress.file.rpartition("/")[2], refresh=False)
            bar.update(progress.done - bar.n)

        download_plan(plan, folder, report)


def _news() -> Callable[[DownloadProgress], None]:
    """A report that prints a line of progress now and then, and always the last one."""
    told = 0.0

    def report(progress: DownloadProgress) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= NEWS_INTERVAL or progress.done >= progress.total:
            told = now
            say(done=progress.done, total=progress.total, file=progress.file)

    return report


def _state(size: int, missing: int) -> str:
    """How much of something is here."""
    if missing == 0:
        return "already here"
    return f"{size_text(size - missing)} of {size_text(size)} already here" if missing < size else "not here yet"
