# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene files for all rows of a list, one after another, with one image generator (docs/batch.md)."""

from __future__ import annotations

import time
import traceback
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from .api import Generator, JointDiTError, Progress
from .core.batch import read_list
from .core.batch_log import DONE, FAILED, SKIPPED, Entry, Log
from .making import make_scene
from .progress import ProgressLine, clock
from .rows import Task, plan

LOG_NAME = "batch.jsonl"
OWN = ("command", "list", "out", "log", "fail_fast", "retry_failed", "python")
"""Options of `batch` that are none of `scene`."""


@dataclass(frozen=True)
class Summary:
    """How a batch ended."""

    done: int
    skipped: int
    failed: int
    left: int
    stopped: bool
    log: Path

    @property
    def sentence(self) -> str:
        """One sentence for the person."""
        counts = ((self.done, "done"), (self.skipped, "done before"), (self.failed, "failed"), (self.left, "not started"))
        total = sum(number for number, _ in counts)
        told = ", ".join(f"{number} {what}" for number, what in counts if number)
        again = "; run the same command again to go on" if self.left else ""
        return f"{'Stopped. ' if self.stopped else ''}{total} {'row' if total == 1 else 'rows'}: {told}{again}. Log: {self.log}"


def run_batch(arguments: Namespace, screen: TextIO) -> Summary:
    """Work through the list; progress goes to `screen`. Ctrl-C ends it cleanly.

    Raises `ListError` before anything is started when a row makes no sense, and `FileError` when the log cannot be written.
    """
    out = arguments.out.absolute()
    defaults = {name: value for name, value in vars(arguments).items() if name not in OWN}
    tasks = plan(read_list(arguments.list), defaults, arguments.list.absolute().parent, out)
    path = (arguments.log or out / LOG_NAME).absolute()
    with Log(path) as log, Generator(arguments.python) as generator:
        batch = _Batch(tasks, log, generator, screen)
        stopped = False
        try:
            batch.run(fail_fast=arguments.fail_fast, retry_failed=arguments.retry_failed)
        except KeyboardInterrupt:
            stopped = True
    count = batch.count
    left = len(tasks) - count.total()
    return Summary(count[DONE], count[SKIPPED], count[FAILED], left, stopped, path)


class _Batch:
    """One run through the tasks."""

    def __init__(self, tasks: list[Task], log: Log, generator: Generator, screen: TextIO) -> None:
        self.tasks, self.log, self.generator, self.screen = tasks, log, generator, screen
        self.count: Counter[str] = Counter()
        self.durations: list[float] = []

    def run(self, *, fail_fast: bool, retry_failed: bool) -> None:
        """Raises `FileError`, which the log does, and KeyboardInterrupt."""
        for number, task in enumerate(self.tasks, 1):
            title = f"row {number} of {len(self.tasks)}"
            entry = self._before(task, retry_failed)
            if entry is None:
                self._say(f"{title}: {task.name}{self._remaining(number)}")
                with ProgressLine(self.screen, title) as progress:
                    entry = _entry(task, self.generator, progress.show)
                if entry.status == DONE:
                    self.durations.append(entry.seconds)
            self.log.add(entry)
            self.count[entry.status] += 1
            self._say(f"{title}: {task.name}: {entry.status}. {entry.message}")
            for warning in entry.warnings:
                self._say(f"jointdit: {warning}")
            if fail_fast and entry.status == FAILED:
                return

    def _before(self, task: Task, retry_failed: bool) -> Entry | None:
        """The entry of a task that needs no new run; None: it does."""
        last = self.log.before(str(task.outputs[0]), task.settings)
        if last is None:
            return None
        told = replace(last, row=task.number, name=task.name, seconds=0.0, warnings=(), detail="")
        if last.status == FAILED and not retry_failed:
            again = " (It failed before; --retry-failed tries it again.)"
            return replace(told, message=last.message.removesuffix(again) + again)
        if last.status == DONE and _fresh(task):
            return replace(told, status=SKIPPED, message="It was done before.")
        return None

    def _remaining(self, number: int) -> str:
        """About how long all of the rest takes, by what was done so far."""
        if not self.durations:
            return ""
        mean = sum(self.durations) / len(self.durations)
        return f" (about {clock(mean * (len(self.tasks) - number + 1))} left for all)"

    def _say(self, line: str) -> None:
        self.screen.write(line + "\n")
        self.screen.flush()


def _entry(task: Task, generator: Generator, show: Progress) -> Entry:
    """Make one scene; whatever happens is told in the entry."""
    began = time.monotonic()
    told = Entry(row=task.number, name=task.name, status=FAILED, outputs=tuple(str(path) for path in task.outputs), settings=task.settings)
    try:
        made = make_scene(task.arguments, generator, show)
    except JointDiTError as error:
        told = replace(told, message=str(error), detail=error.detail)
    except Exception as error:  # noqa: BLE001 - whatever the defect, the other rows must have their turn; the log tells all of it
        told = replace(told, message=f"The program has a defect ({error}); please send the log.", detail=traceback.format_exc())
    else:
        told = replace(told, status=DONE, message=f"{made.sentence}.", frame=str(made.frame), warnings=made.warnings)
    return replace(told, seconds=round(time.monotonic() - began, 2))


def _fresh(task: Task) -> bool:
    """Whether all that was made is there, and nothing that it was made from is newer."""
    try:
        made = min(path.stat().st_mtime for path in task.outputs)
        return all(path.stat().st_mtime <= made for path in task.inputs)
    except OSError:
        return False
