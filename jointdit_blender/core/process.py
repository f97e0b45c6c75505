# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One running backend process: three threads on its three pipes, so that nobody who calls in here ever waits for a pipe."""

from __future__ import annotations

import io
import queue
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from . import rpc
from .interpreter import start_worker

LOG_LINES = 200
LOG_LINE_LENGTH = 2000
INBOX_SIZE = 1000
"""Messages that wait for the main thread. A worker that floods us waits at its pipe; memory does not grow."""
KILLING = 2.0
"""Seconds that a killed process is waited for; those with gigabytes on a card take a moment."""


@dataclass(frozen=True)
class Limits:
    """How long a process is waited for, in seconds. A model of many gigabytes on a slow disk is loaded without news, so `silence` is long."""

    start: float = 180.0
    silence: float = 900.0
    cancel: float = 30.0
    stop: float = 3.0


class WorkerProcess:
    """Messages arrive in `inbox`; None is the last of them and means that the process has closed its output."""

    def __init__(self, interpreter: Path) -> None:
        """Raises `WorkerError`."""
        self.inbox: queue.Queue[rpc.Message | None] = queue.Queue(INBOX_SIZE)
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._stopped = threading.Event()
        self._child = start_worker(interpreter)
        pipes = self._child.stdin, self._child.stdout, self._child.stderr
        assert pipes[0] and pipes[1] and pipes[2], "Popen was given three pipes"
        self._logger = threading.Thread(target=self._read_log, args=(pipes[2],), name="jointdit log", daemon=True)
        self._logger.start()
        threading.Thread(target=self._read_messages, args=(pipes[1],), name="jointdit messages", daemon=True).start()
        threading.Thread(target=self._write, args=(pipes[0],), name="jointdit requests", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._child.poll() is None

    @property
    def ended(self) -> bool:
        """Whether the process has ended and all that it said has been read. A grandchild may hold the log open for longer."""
        return not self.alive and not self._logger.is_alive()

    def log(self) -> str:
        """The last lines that the process wrote to its standard error, as far as they have been read."""
        return "\n".join(tuple(self._log))

    def last_words(self, seconds: float) -> tuple[int | None, str]:
        """The exit code and the log of a process that is ending, waited for at most so long; no code where it has not ended by then."""
        end = time.monotonic() + seconds
        code = self._wait(seconds)
        self._logger.join(max(0.0, end - time.monotonic()))
        return code, self.log()

    def send(self, line: bytes) -> None:
        """Hand a line to the writing thread."""
        self._outbox.put(line)

    def end(self, patience: float) -> None:
        """Close the process's standard input, wait for it at most `patience` seconds, then kill it.

        Nobody can kill a process that is stuck in a driver, so even then it is waited for `KILLING` seconds only.
        """
        self._outbox.put(None)
        if self._wait(patience) is None:
            with suppress(OSError):  # Windows refuses where it is about to end
                self._child.kill()
            self._wait(KILLING)
        self._stopped.set()

    def leave(self, patience: float) -> None:
        """`end` it without waiting for that."""
        threading.Thread(target=self.end, args=(patience,), name="jointdit leaving", daemon=True).start()

    def _wait(self, seconds: float) -> int | None:
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            with pipe:
                while (line := self._outbox.get()) is not None:
                    rest = memoryview(line)
                    while rest:
                        rest = rest[pipe.write(rest) :]
        except OSError:
            # The process is gone; the thread that reads its output says so.
            return

    def _read_messages(self, pipe: IO[bytes]) -> None:
        decoder = rpc.Decoder()
        with pipe:
            while chunk := pipe.read(65536):
                for message in decoder.feed(chunk):
                    self._deliver(message)
        self._deliver(None)

    def _deliver(self, message: rpc.Message | None) -> None:
        while not self._stopped.is_set():
            try:
                self.inbox.put(message, timeout=0.2)
            except queue.Full:
                continue
            return

    def _read_log(self, pipe: IO[bytes]) -> None:
        with io.BufferedReader(cast(io.RawIOBase, pipe)) as lines:
            while line := lines.readline(LOG_LINE_LENGTH):
                text = line.decode("utf-8", "replace").rstrip()
                if text:
                    self._log.append(text)
