# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that runs beside Blender and says on its output how far it is: started, listened to and stopped without ever waiting for it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from .interpreter import WorkerError, apart, backend_environment

LOG_LINES = 400
LINE_LENGTH = 4000
PATIENCE = 3.0
"""Seconds that a program has to end after it was asked to."""


class Command:
    """One run of a program. Nothing here blocks but `wait` and `stop`; call it from one thread.

    What it prints to standard output comes by `lines`; that and its standard error are kept for `log`.
    """

    def __init__(self, arguments: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        """Start it; `environment` (all of it) defaults to what suits the program, if it is a Python. Raises `WorkerError`."""
        self.arguments = [str(argument) for argument in arguments]
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        try:
            self._child = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(backend_environment(Path(self.arguments[0])) if environment is None else environment),
                encoding="utf-8",
                errors="replace",
                **apart(),
            )
        except OSError as error:
            raise WorkerError(f"“{self.arguments[0]}” cannot be started ({error.strerror or error}).") from error
        assert self._child.stdout and self._child.stderr, "Popen was given two pipes"
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, told), name="jointdit command", daemon=True)
            for pipe, told in ((self._child.stdout, True), (self._child.stderr, False))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def ended(self) -> bool:
        """Whether it has ended and all that it said has been read."""
        return self._child.poll() is not None and not any(reader.is_alive() for reader in self._readers)

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._child.poll()

    def lines(self) -> list[str]:
        """The lines of its standard output that came since the last call."""
        found = []
        while not self._lines.empty():
            found.append(self._lines.get())
        return found

    def log(self) -> str:
        """The last lines that it printed, on either output."""
        return "\n".join(tuple(self._log))

    def wait(self, seconds: float | None = None) -> int | None:
        """Block until it has ended, for at most so long; the exit code."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        for reader in self._readers:
            reader.join(PATIENCE)
        return self._child.returncode

    def stop(self) -> None:
        """Ask it to end, with all programs that it has started, and make it; waits at most `PATIENCE` seconds for each of these."""
        if self._child.poll() is not None:
            return
        if not self._ask() or self.wait(PATIENCE) is None:
            self._make()
            self.wait(PATIENCE)

    def _ask(self) -> bool:
        """Ask it to end; whether that could be done."""
        try:
            if sys.platform == "win32":
                self._child.send_signal(signal.CTRL_BREAK_EVENT)
            else:
                os.killpg(self._child.pid, signal.SIGTERM)
        except (OSError, SystemError):
            # Windows sends no such event to a process without our console; some Pythons say so by a SystemError.
            return False
        return True

    def _make(self) -> None:
        """End it and its children."""
        if sys.platform == "win32":
            # Of all ways to end a process on Windows only this one ends its children too.
            words = ["taskkill", "/F", "/T", "/PID", str(self._child.pid)]
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(words, capture_output=True, check=False, timeout=PATIENCE, **apart())
            with suppress(OSError):
                self._child.kill()
        else:
            with suppress(OSError):
                os.killpg(self._child.pid, signal.SIGKILL)

    def _read(self, pipe: IO[str], told: bool) -> None:
        with pipe:
            while line := pipe.readline(LINE_LENGTH):
                text = line.rstrip()
                if text:
                    self._log.append(text)
                    if told:
                        self._lines.put(text)
