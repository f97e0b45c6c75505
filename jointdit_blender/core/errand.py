# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that takes a while and is looked at now and then: a command of the backend, or a function in a thread. None of it waits."""

from __future__ import annotations

import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .command import Command
from .failures import without_names
from .interpreter import WorkerError, backend_environment
from .report import Report

STOPPED = "Stopped."


class Errand(Protocol):
    """What can be shown, stopped and waited for; `core.installer.Installation` is one too.

    `done` of `total` bytes, where anything is counted. At the end one of `failed`, `cancelled` or neither; `message` is then a sentence.
    """

    @property
    def phase(self) -> str:
        """What is being done, in a few words."""

    @property
    def done(self) -> int:
        """Bytes."""

    @property
    def total(self) -> int:
        """Bytes, or 0 where nobody knows."""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""

    @property
    def finished(self) -> bool:
        """Whether it has ended, however."""

    @property
    def failed(self) -> bool:
        """Whether it ended badly."""

    @property
    def cancelled(self) -> bool:
        """Whether it ended because the person wished so."""

    @property
    def message(self) -> str:
        """The outcome as a sentence."""

    def start(self) -> None:
        """Begin."""

    def poll(self) -> None:
        """Take in the news."""

    def cancel(self) -> None:
        """Ask it to end."""

    def report(self) -> str:
        """Text for a bug report."""


class _Clock:
    """Seconds between a beginning and an end."""

    def __init__(self) -> None:
        self._begun, self._ended = time.monotonic(), 0.0

    def stop(self) -> None:
        self._ended = self._ended or time.monotonic()

    @property
    def seconds(self) -> float:
        return (self._ended or time.monotonic()) - self._begun


class BackendCommand:
    """`jointdit … --json` in the backend's Python; what it says is in `told`. `secrets` are variables for it alone, that no report shows."""

    def __init__(self, interpreter: Path, words: Sequence[str], phase: str, secrets: Mapping[str, str] | None = None) -> None:
        self.words, self.phase = tuple(words), phase
        self.told = Report()
        self.finished = self.failed = self.cancelled = False
        self.message = ""
        self._interpreter = interpreter
        self._environment = backend_environment(interpreter) | dict(secrets or {})
        self._command: Command | None = None
        self._clock = _Clock()

    @property
    def done(self) -> int:
        """Bytes that have arrived."""
        return self.told.done

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.told.total

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return self._clock.seconds

    def start(self) -> None:
        """Start the program; one that cannot be started has failed at once."""
        self._clock = _Clock()
        try:
            self._command = Command([self._interpreter, "-m", "jointdit.cli", *self.words, "--json"], self._environment)
        except WorkerError as error:
            self._end(failed=True, message=str(error))
        self._environment = {}

    def poll(self) -> None:
        """Take in what it has said, and see whether it has ended."""
        command = self._command
        if command is None or self.finished:
            return
        ended = command.ended
        for line in command.lines():
            self.told.feed(line)
        if not ended:
            return
        if self.told.result is not None:
            self._end()
        elif self.cancelled:
            self._end(message=STOPPED)
        else:
            self._end(failed=True, message=self.told.error or self._last_words(command))

    def cancel(self) -> None:
        """Have the program stopped, in a thread: that may take it some seconds."""
        if self._command is None or self.finished or self.cancelled:
            return
        self.cancelled, self.phase = True, "Stopping"
        threading.Thread(target=self._command.stop, name="jointdit stop", daemon=True).start()

    def report(self) -> str:
        """The command, how it ended, and what it printed last; no variables of the environment."""
        command = self._command
        lines = [self.message, "", f"Command: {self._interpreter} -m jointdit.cli {' '.join(self.words)} --json"]
        if command is not None:
            lines += [f"Exit code: {command.code}", "", command.log()]
        return without_names("\n".join(lines))

    def _end(self, *, failed: bool = False, message: str = "") -> None:
        self.finished, self.failed, self.message = True, failed, message
        # What is done is done: a wish to stop that came too late stops nothing.
        self.cancelled = self.cancelled and message == STOPPED
        self._clock.stop()

    def _last_words(self, command: Command) -> str:
        """A sentence for a program that ended without one of its own."""
        if command.code and command.code < 0:
            return f"The program was ended by the system (signal {-command.code}): close other programs and try again."
        if re.search(r"No module named '?jointdit", command.log()):
            return f"The Python “{self._interpreter}” does not have the package jointdit: choose another one, or install."
        if "No such option" in command.log():
            return "The installed image generator is older than this add-on: update it."
        return "The image generator ended without a result: try again, and if it happens again please send the report."


class InThread:
    """A function in a thread; it cannot be stopped. What it returns is `value`; errors of the kinds in `expected` are sentences."""

    total = done = 0
    cancelled = False

    def __init__(self, function: Callable[[], Any], phase: str, expected: tuple[type[Exception], ...] = ()) -> None:
        self.phase = phase
        self.value: Any = None
        self.finished = self.failed = False
        self.message = ""
        self._function, self._expected = function, expected
        self._clock = _Clock()
        self._detail = ""
        self._thread = threading.Thread(target=self._run, name="jointdit errand", daemon=True)

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return self._clock.seconds

    def start(self) -> None:
        """Start the thread."""
        self._clock = _Clock()
        self._thread.start()

    def poll(self) -> None:
        """See whether it has ended."""
        if not self.finished and not self._thread.is_alive():
            self.finished = True
            self._clock.stop()

    def cancel(self) -> None:
        """Nothing: it is short, or must not be left half done."""

    def report(self) -> str:
        """What it was and how it ended."""
        return without_names("\n".join([self.message, "", f"While: {self.phase}", f"Python {sys.version}", "", self._detail]))

    def _run(self) -> None:
        try:
            self.value = self._function()
        except self._expected as error:
            self.failed, self.message = True, str(error)
        except Exception:  # noqa: BLE001 - whatever the defect, the person gets a report instead of an errand that never ends well
            self.failed, self.message = True, "The add-on has a defect: please send the report."
            self._detail = traceback.format_exc()
