# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit prepare`: look at the pictures, caption them, find their disparity, encode all of it into shards; or go on where an earlier run was ended.

A run that was ended at any moment and one that was not make the same files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError
from ..frame import check_output
from ..jobs import SHORTAGES
from ..machine import device_named
from ..models import Models
from ..training.prepared import DESCRIPTION
from .bench import Bench, Report
from .plan import Plan, Settings
from .shards import encode
from .sources import LeftOut, look_into
from .stages import caption, look, measure


@dataclass(frozen=True)
class Summary:
    """What came of it: the set's folder, how many pictures it holds, and the files that were left out."""

    folder: Path
    kept: int
    left_out: tuple[LeftOut, ...]


def prepare(settings: Settings, models: Models, report: Report = lambda sentence: None) -> Summary:
    """Make the set, or what is missing of it. `report` gets a sentence for every file that is left out.

    Raises `InputError`, `CheckpointError`, `OutputError`.
    """
    try:
        return _prepare(settings, models, report)
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(phrase in str(error).lower() for phrase in SHORTAGES):
            raise
        raise InputError(
            "The memory ran out. Close other programs, or run the same command with a smaller --batch or with --device cpu; what is done is kept."
        ) from error


def _prepare(settings: Settings, models: Models, report: Report) -> Summary:
    models.find(settings.model)
    device = device_named(settings.device)
    found = look_into(settings.folder, without=settings.output)
    sources = found.sources[: settings.limit]
    check_output(settings.output)
    with _alone(settings.output):
        plan = Plan(settings.output)
        plan.refuse_changes(settings, sources)
        bench = Bench(settings, models, device, plan, report)
        for one in found.left_out:
            report(f"{one.file} is left out. {one.why}")
        sights = look(bench, sources)
        _refuse_nothing(bench, len(sources))
        captions = caption(bench, bench.kept(sources), sights)
        measure(bench, bench.kept(sources), sights)
        _refuse_nothing(bench, len(sources))
        reasons = [LeftOut(bench.file_of(source), bench.left_out[source.name]) for source in sources if source.name in bench.left_out]
        left_out = tuple(sorted([*found.left_out, *reasons], key=lambda one: one.file))
        if not (settings.output / DESCRIPTION).is_file():
            encode(bench, bench.kept(sources), captions, left_out)
    return Summary(settings.output, len(bench.kept(sources)), left_out)


def _refuse_nothing(bench: Bench, count: int) -> None:
    if len(bench.left_out) == count:
        example = next(iter(bench.left_out.values()))
        raise InputError(f"None of the {count} pictures of {bench.settings.folder} can be used. The first one: {example}")


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """While this program alone works on a set; the system ends the hold with the process."""
    try:
        with FileLock(output / ".preparing.lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"Another program is preparing {output} at this moment. Wait until it is done, or choose another --output.") from error
