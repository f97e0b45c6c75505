# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, watch, restart and stop the backend, and lead jobs through it. Never waits but where it says so.

Jobs are led from one thread; Blender calls `release` and `stop` from others too, such as that of a render, so a lock keeps them apart. It is held for
moments only: whoever waits for a process has let go of it before.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import rpc
from .interpreter import ADVICE, WorkerError, find_interpreter
from .jobs import Job, State
from .process import Limits, WorkerProcess
from .rpc import readable

__all__ = ("Job", "Limits", "State", "Worker", "WorkerClient", "WorkerError")

PROTOCOL = 1
VERSION = "0.1.0"
INITIALIZE_ID = 0
LAST_WORDS = 0.3
"""Seconds that the exit code and the log of a failed process are waited for."""


class Worker:
    """One backend process at a time and a queue of jobs, of which one is with the process.

    The queue is kept here, so that a process that dies takes one job with it and the next job starts a new process. While `hold` is true no waiting job is
    handed out: set it where something else needs the card, and `release` the process.
    """

    def __init__(self, interpreter: Path | str | None = None, limits: Limits | None = None) -> None:
        self.interpreter = interpreter
        self.hold = False
        self.about: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._program: Path | None = None
        self._limits = limits or Limits()
        self._process: WorkerProcess | None = None
        self._started = 0.0
        self._ready = False
        self._hung_up = False
        self._died: float | None = None
        self._cancelled_at = 0.0
        self._idle_since = 0.0
        self._current: Job | None = None
        self._waiting: list[Job] = []
        self._next_id = INITIALIZE_ID + 1

    @property
    def pid(self) -> int | None:
        """The number of the running process, or None."""
        process = self._process
        return process.pid if process and process.alive else None

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._current is not None or bool(self._waiting)

    @property
    def idle(self) -> float | None:
        """Seconds since the running process had something to do; None while it has or is about to, or there is none."""
        with self._lock:
            wanted = self._current is not None or (bool(self._waiting) and not self.hold)
            return None if wanted or self.pid is None else time.monotonic() - self._idle_since

    def log(self) -> str:
        """The last lines of the backend's log."""
        process = self._process
        return process.log() if process else ""

    def submit(self, params: dict[str, Any]) -> Job:
        """Queue a `generate` request. Whatever goes wrong is told in the job, at a later `poll`."""
        with self._lock:
            job = Job(self._next_id, params)
            self._next_id += 1
            self._waiting.append(job)
        return job

    def cancel(self, job: Job) -> None:
        """Drop a waiting job, or ask the backend to stop the running one."""
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)
                job.state = State.CANCELLED
            elif job is self._current and job.state is State.RUNNING:
                job.state, self._cancelled_at = State.CANCELLING, time.monotonic()
                if self._process and self._ready:
                    self._process.send(rpc.notification("$/cancelRequest", {"id": job.id}))

    def poll(self, budget: float = 0.004) -> None:
        """Take in what has arrived, for at most about `budget` seconds, and see to limits and to the next job."""
        with self._lock:
            self._poll(time.monotonic() + budget)

    def _poll(self, end: float) -> None:
        while self._process is not None:
            try:
                message = self._process.inbox.get_nowait()
            except queue.Empty:
                break
            self._receive(message)
            if time.monotonic() > end:
                break
        if self._process is not None:
            self._watch(self._process)
        if self._current is None and self._waiting and not self.hold:
            self._next()

    def wait(self, seconds: float) -> None:
        """Like `poll`, but take in one message only, and block for it at most so long."""
        if self._current is None:
            self.poll()
        process = self._process
        if process is None:
            return
        try:
            message = process.inbox.get(timeout=seconds)
        except queue.Empty:
            self.poll()
            return
        with self._lock:
            if process is self._process:
                self._receive(message)
            if self._process is not None:
                self._watch(self._process)

    def stop(self) -> None:
        """Cancel everything and end the process; returns after `Limits.stop` seconds, or a little more where the process has to be killed."""
        with self._lock:
            for job in [*self._waiting, *([self._current] if self._current else [])]:
                job.state = State.CANCELLED
            self._waiting.clear()
            self._current = None
            process = self._let_go()
        if process is not None:
            process.end(self._limits.stop)

    def release(self, *, wait: bool = False) -> bool:
        """End a process that has nothing to do, so that all its memory is free; the next job starts another. Returns whether there was one.

        With `wait` it is gone on return, after about `Limits.stop` seconds at most; otherwise soon after. Any thread may call this.
        """
        with self._lock:
            process = None if self.idle is None else self._let_go()
        if process is None:
            return False
        if wait:
            process.end(self._limits.stop)
        else:
            process.leave(self._limits.stop)
        return True

    # The process

    def _start(self) -> WorkerProcess:
        """Raises `WorkerError`."""
        self._program = find_interpreter(self.interpreter)
        process = WorkerProcess(self._program)
        self._process, self._started, self._ready, self._hung_up, self._died = process, time.monotonic(), False, False, None
        atexit.register(self.stop)
        process.send(rpc.request(INITIALIZE_ID, "initialize", {"protocol": PROTOCOL, "client": {"name": "jointdit_blender", "version": VERSION}}))
        return process

    def _let_go(self) -> WorkerProcess | None:
        """Have no process any more; the one that there was is the caller's to end, and gets no job meanwhile."""
        process, self._process, self._ready = self._process, None, False
        if process is not None:
            atexit.unregister(self.stop)
        return process

    def _leave(self, patience: float) -> WorkerProcess | None:
        """Have the process, which is returned, ended in a thread of its own."""
        process = self._let_go()
        if process is not None:
            process.leave(patience)
        return process

    def _next(self) -> None:
        """Give the first waiting job to the process, which is started if there is none."""
        if self._process is not None and not self._process.alive:
            self._leave(0.0)  # it died while there was nothing to do
        try:
            process = self._process or self._start()
        except WorkerError as error:
            for job in self._waiting:
                job.fail(str(error), error.detail)
            self._waiting.clear()
            return
        self._current = self._waiting.pop(0)
        self._current.state, self._current.phase, self._current.heard = State.RUNNING, "starting", time.monotonic()
        if self._ready:
            self._send_current(process)

    def _send_current(self, process: WorkerProcess) -> None:
        job = self._current
        if job is None:
            return
        if job.state is State.CANCELLING:
            self._finish(State.CANCELLED)
            return
        job.heard = time.monotonic()
        process.send(rpc.request(job.id, "generate", job.params))

    def _finish(self, state: State) -> None:
        self._idle_since = time.monotonic()
        if self._current is not None:
            self._current.state, self._current = state, None

    def _fail(self, sentence: str, *, detail: str = "", kill: bool = True) -> None:
        """End the process and with it the current job. `detail` comes before the log in the report."""
        process = self._leave(0.0 if kill else self._limits.stop)
        code, log = process.last_words(LAST_WORDS) if process is not None else (None, "")
        job, self._current = self._current, None
        if job is not None:
            end = f"Exit code {'unknown' if code is None else code}. The last lines of the backend's log:\n{log or '(empty)'}"
            job.fail(sentence, "\n".join(filter(None, (detail, end))))

    # What arrives

    def _receive(self, message: rpc.Message | None) -> None:
        job = self._current
        if message is None:
            self._hung_up = True  # the last words of its log may still be on their way, which `_watch` waits for
        elif isinstance(message, rpc.Rubbish):
            if not self._ready:
                self._fail(f"“{self._program}” does not answer as the image generator does, but with “{message.text[:80]}”: {ADVICE}.")
        elif isinstance(message, rpc.Notice):
            if job is not None and message.method == "$/progress" and message.params.get("id") == job.id:
                job.advance(message.params)
        elif message.id == INITIALIZE_ID:
            self._initialized(message)
        elif job is not None and message.id in (job.id, None):
            self._answered(job, message)

    def _initialized(self, message: rpc.Answer | rpc.Failure) -> None:
        if isinstance(message, rpc.Failure):
            self._fail(message.message, detail=message.detail)
        elif not isinstance(message.result, dict) or message.result.get("protocol") != PROTOCOL:
            self._fail("The image generator speaks another protocol: update the extension and the package jointdit to the same version.")
        elif self._process is not None:
            self.about, self._ready, self._idle_since = message.result, True, time.monotonic()
            self._send_current(self._process)

    def _answered(self, job: Job, message: rpc.Answer | rpc.Failure) -> None:
        if isinstance(message, rpc.Failure):
            if message.code == rpc.CANCELLED:
                job.state = State.CANCELLING
            job.fail(message.message, message.detail)
            self._current, self._idle_since = None, time.monotonic()
        elif isinstance(message.result, dict) and isinstance(message.result.get("frame"), str):
            job.result = message.result
            late = job.state is State.CANCELLING
            if late:
                job.message = f"It was finished already and is kept in {readable(message.result['frame'])}."
            self._finish(State.CANCELLED if late else State.DONE)
        else:
            self._fail("The image generator gave an answer without a result: update the package jointdit.")

    def _closed(self) -> None:
        """The process has ended by itself."""
        was_ready, log = self._ready, self.log()
        job = self._current
        if job is not None and was_ready and job.state is State.RUNNING and not job.restarts:
            # Whatever it was, memory or a driver, may not come again: a new process takes the job, once.
            self._current = None
            job.begin_anew()
            self._waiting.insert(0, job)
            self._leave(0.0)
        elif "No module named jointdit" in log or "No module named 'jointdit'" in log:
            self._fail(f"The Python at “{self._program}” does not have the package jointdit: {ADVICE}.")
        elif was_ready:
            self._fail("The image generator stopped unexpectedly, twice: choose a smaller size or another model, or send the report.", kill=False)
        else:
            self._fail(f"The image generator at “{self._program}” ended before it was ready: see the report for the reason.", kill=False)

    def _watch(self, process: WorkerProcess) -> None:
        """See whether the process, or its patience with us, has come to an end."""
        now, job = time.monotonic(), self._current
        if self._hung_up or (not process.alive and process.inbox.empty()):
            # A grandchild may keep its pipes open for ever, and what has closed its output may never end.
            self._died = self._died or now
            if now - self._died > 2.0 or (self._hung_up and process.ended):
                self._closed()
        elif not self._ready and now - self._started > self._limits.start:
            self._fail(f"The image generator did not answer within {self._limits.start:.0f} seconds: see the report, then try again.")
        elif job is not None and job.state is State.CANCELLING and now - self._cancelled_at > self._limits.cancel:
            self._fail("The job was stopped.")
        elif job is not None and self._ready and now - job.heard > self._limits.silence:
            self._fail(f"The image generator gave no news for {self._limits.silence:.0f} seconds and was stopped: try a smaller size.")


class WorkerClient:
    """The blocking side for scripts and the command line. Use it as a context manager: `with WorkerClient() as client: …`."""

    def __init__(self, interpreter: Path | str | None = None, limits: Limits | None = None) -> None:
        """`interpreter`: the Python that has jointdit; None: that of `JOINTDIT_PYTHON`, else this one if it has it."""
        self._worker = Worker(interpreter, limits)

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def worker(self) -> Worker:
        """The worker underneath."""
        return self._worker

    def run(self, job: dict[str, Any], on_progress: Callable[[dict[str, Any]], None], timeout: float | None = None) -> dict[str, Any]:
        """Run one `generate` request and return its result. `on_progress` gets the params of every `$/progress`.

        Raises `WorkerError`. A job that is left early, by `timeout` seconds, Ctrl-C or an error in `on_progress`, is cancelled.
        """
        end = None if timeout is None else time.monotonic() + timeout
        running = self._worker.submit(job)
        told = running.news
        try:
            while not running.state.finished:
                self._worker.wait(0.1)
                if running.news is not told:
                    told = running.news
                    on_progress(told)
                if end is not None and time.monotonic() > end:
                    raise WorkerError(f"The result was not ready within {timeout:.0f} seconds: allow more time or ask for fewer steps.")
        finally:
            if not running.state.finished:
                # The process may be in the middle of a step: end it rather than wait for it.
                self._worker.stop()
        if running.state is State.CANCELLED:
            raise WorkerError("The job was cancelled.")
        if running.state is State.FAILED:
            raise WorkerError(running.message, running.detail)
        return running.result

    def close(self) -> None:
        """End the backend process."""
        self._worker.stop()
