# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One running backend process: three threads on its three pipes, so that nobody who calls in here ever waits for a pipe."""

from __future__ import annotations

import io
import queue
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from . import rpc
from .interpreter import start_worker

LOG_LINES = 200
LOG_LINE_LENGTH = 2000
INBOX_SIZE = 1000
"""Messages that wait for the main thread. A worker that floods us waits at its pipe; memory does not grow."""


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

    def log(self) -> str:
        """The last lines that the process wrote to its standard error; all that it said when it has ended."""
        if not self.alive:
            # A grandchild may hold the log open for longer than the process lives.
            self._logger.join(0.5)
        return "\n".join(tuple(self._log))

    def send(self, line: bytes) -> None:
        """Hand a line to the writing thread."""
        self._outbox.put(line)

    def end(self, patience: float) -> int:
        """Close the process's standard input, wait for it at most `patience` seconds, then kill it. Returns its exit code."""
        self._outbox.put(None)
        try:
            self._child.wait(patience)
        except subprocess.TimeoutExpired:
            self._child.kill()
        code = self._child.wait()
        self._stopped.set()
        return code

    def leave(self, patience: float) -> None:
        """`end` it without waiting for that."""
        threading.Thread(target=self.end, args=(patience,), name="jointdit leaving", daemon=True).start()

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
