# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of the running Blender: from the operator to the worker, and from its results to objects. Main thread only.

It keeps names and paths, never data-blocks, because loading a file or undoing makes those invalid.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import gallery, memory, preferences, thumbnails
from .arriving import obstacle, place
from .core.failures import without_names
from .core.jobs import Job
from .core.request import Request
from .core.rpc import readable
from .core.worker import State, Worker
from .scene.builder import BuildOptions
from .windows import redraw

INTERVAL = 0.1
"""Seconds between two looks at the worker; each takes a few milliseconds at most."""
IDLE_INTERVAL = 5.0
"""The same while the worker only waits for its memory to be given back."""
KEPT = 20
"""Closed runs that stay in the list."""


@dataclass(frozen=True)
class Order:
    """What is asked for and how it is built, unless it is only kept; `extended` is the name of the object whose place the result takes, if it does."""

    request: Request
    options: BuildOptions
    extended: str = ""
    build: bool = True


@dataclass(eq=False)
class Run:
    """A job and what is to become of its result. `elsewhere`: the file that asked for it has been left."""

    job: Job
    order: Order
    scene: str
    elsewhere: bool = False
    object_name: str = ""
    message: str = ""
    closed: bool = False

    @property
    def kept(self) -> str:
        """Why its result is not built but only kept, as a sentence, or nothing."""
        if self.elsewhere:
            return "Another file was opened meanwhile. The result is kept: choose it in History to build it."
        return "" if self.order.build else "It is kept: choose it in History to build it."

    @property
    def failed(self) -> bool:
        """Whether it ended without an object and not by the person's wish."""
        return self.closed and not self.object_name and not (self.kept and self.job.state is State.DONE) and self.job.state is not State.CANCELLED

    def row(self) -> dict[str, Any]:
        """What the panel shows."""
        job = self.job
        state = "failed" if self.failed else "building" if job.state is State.DONE and not self.closed else job.state.value
        values = {"job_id": job.id, "title": self.order.request.title, "seed": str(job.params.get("seed", "")), "state": state, "phase": job.phase}
        times = {"elapsed": float(int(job.taken)), "remaining": -1.0 if job.remaining is None else job.remaining, "again": job.restarts > 0}
        return values | times | {"step": job.step, "total": job.total, "message": self.message, "finished": self.closed}

    def report(self) -> str:
        """Text for a bug report."""
        lines = [self.message, "", f"Blender {bpy.app.version_string}", f"Job: {self.job.params}", "", self.job.detail]
        return without_names("\n".join(lines))


class Session:
    """One worker and the runs that were started since Blender began."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.worker = Worker()
        self.file = ""
        self._shown: list[dict[str, Any]] = []

    @property
    def busy(self) -> bool:
        """Whether anything is still to come."""
        return any(not run.closed for run in self.runs)

    def start(self, context: bpy.types.Context, orders: Sequence[Order]) -> list[Run]:
        """Queue orders for the current scene, all or none of them. Raises `RequestError` or OSError."""
        output = preferences.output_folder(context)
        jobs = [order.request.to_job(output) for order in orders]
        interpreter = preferences.interpreter(context)
        if not self.busy and self.worker.interpreter != interpreter:
            self.worker.release()
            self.worker.interpreter = interpreter
        runs = [Run(self.worker.submit(job), order, context.scene.name) for job, order in zip(jobs, orders, strict=True)]
        self.runs += runs
        for old in [other for other in self.runs if other.closed][:-KEPT]:
            self.runs.remove(old)
        self.show()
        return runs

    def leave_file(self) -> None:
        """What was asked for in the file that has been left must not be built in another one, which also has a “Scene”."""
        for run in self.runs:
            run.elsewhere = run.elsewhere or not run.closed

    def advance(self) -> None:
        """Take in news and build at most one finished result."""
        self.worker.poll()
        self._settle()

    def finish(self, run: Run) -> None:
        """Block until a run is closed: for background mode, where no timer runs."""
        self.worker.hold = False  # a render that held the jobs has ended, since we are called; there is no tick to see it
        while not run.closed:
            self.worker.wait(INTERVAL)
            self._settle(patient=False)

    def cancel(self, job_id: int | None = None) -> None:
        """Stop a run, or all of them."""
        for run in [run for run in self.runs if not run.closed and job_id in (None, run.job.id)]:
            if run.job.state is State.DONE:
                run.job.state = State.CANCELLED
                run.job.message = f"The result was not placed; it is kept in {run.job.result['frame']}."
            else:
                self.worker.cancel(run.job)
        self._settle()

    def clear(self, job_id: int | None = None) -> None:
        """Forget closed runs, or one of them."""
        self.runs = [run for run in self.runs if not run.closed or job_id not in (None, run.job.id)]
        self.show()

    def find(self, job_id: int) -> Run | None:
        """The run of a job."""
        return next((run for run in self.runs if run.job.id == job_id), None)

    def show(self) -> None:
        """Copy the rows to the window manager and redraw the panels, if anything changed."""
        pictures = thumbnails.current()
        pictures.forget(run.job.id for run in self.runs if not run.closed)
        rows = [run.row() | pictures.live(run.job.id, None if run.closed else run.job.preview, run.job.step) for run in self.runs]
        jobs = bpy.context.window_manager.jointdit.jobs
        if rows == self._shown and len(jobs) == len(rows):
            return
        # A new file's window manager has no rows yet. Of many that wait, few change at a time.
        known = self._shown if len(jobs) == len(self._shown) else []
        self._shown = rows
        while len(jobs) > len(rows):
            jobs.remove(len(jobs) - 1)
        while len(jobs) < len(rows):
            jobs.add()
        for item, row, before in zip_longest(jobs, rows, known[: len(rows)]):
            if row != before:
                for name, value in row.items():
                    setattr(item, name, value)
        redraw()

    def _settle(self, *, patient: bool = True) -> None:
        """Close what has ended; a result is built when Blender is ready for it, or at once if nobody could make it ready."""
        for run in self.runs:
            if run.closed or not run.job.state.finished:
                continue
            if run.job.state is not State.DONE:
                run.message, run.closed = readable(run.job.message), True
                if run.job.result:
                    gallery.current().refresh(bpy.context)  # it was stopped too late
            elif run.kept:
                run.closed, run.message = True, run.kept
                gallery.current().refresh(bpy.context)
            elif not (reason := obstacle(run.scene) if patient else ""):
                self._place(run)
                break
            else:
                run.message = reason
        self.show()

    @staticmethod
    def _place(run: Run) -> None:
        """Build a run's result; whatever happens, the run is closed."""
        # Closed before it is tried: a defect in the builder must not be met again at every tick.
        run.closed = True
        folder = Path(run.job.result["frame"])
        try:
            arrival = place(folder, run.scene, run.order.options, run.order.extended, [str(one) for one in run.job.result.get("warnings", [])])
        except Exception:  # noqa: BLE001 - whatever the defect, the timer must live on for the other jobs; the report tells all of it
            run.message = readable(f"The result could not be built: please send the report. It is kept in {folder}.")
            run.job.detail = readable(traceback.format_exc())
            print(run.job.detail, file=sys.stderr)
        else:
            run.object_name, run.message = arrival.object_name, readable(arrival.message)
        gallery.current().refresh(bpy.context)


_session: Session | None = None


def current() -> Session:
    """The session; it exists while the extension is registered."""
    if _session is None:
        raise RuntimeError("JointDiT is not registered")
    return _session


def watch() -> None:
    """Have the timer look after the session until nothing is left to do."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)  # it may be at its slow pace
    bpy.app.timers.register(_tick, first_interval=INTERVAL, persistent=True)


def _tick() -> float | None:
    if _session is None:
        return None
    worker = _session.worker
    # While Cycles has the card, no job takes its memory.
    rendering = bool(bpy.app.is_job_running("RENDER"))  # type: ignore[func-returns-value]
    worker.hold = rendering and bpy.context.scene is not None and memory.wanted_for_render(bpy.context, bpy.context.scene)
    if worker.idle is not None and worker.idle >= memory.patience(bpy.context):
        worker.release()
    if _session.busy:
        _session.advance()
        return INTERVAL
    return None if _session.worker.pid is None else IDLE_INTERVAL


@persistent  # type: ignore[untyped-decorator]
def _before_render(scene: bpy.types.Scene, *_more: object) -> None:
    """Blender waits for this handler, so that the card's memory is free when Cycles asks for it. A job that runs keeps what it needs."""
    if _session is not None and memory.wanted_for_render(bpy.context, scene):
        _session.worker.hold = True  # until a tick sees the end of the render
        _session.worker.release(wait=True)


@persistent  # type: ignore[untyped-decorator]
def _leaving(*_arguments: object) -> None:
    """Remember which file is left, to tell another one from the same one read again."""
    if _session is not None:
        _session.file = bpy.data.filepath


@persistent  # type: ignore[untyped-decorator]
def _loaded(*_arguments: object) -> None:
    """A new file brings a new window manager, with empty properties."""
    if _session is None:
        return
    if not bpy.data.filepath or bpy.data.filepath != _session.file:
        _session.leave_file()
    preferences.look_for_backend(bpy.context)
    _session.show()
    gallery.current().show()


def register() -> None:
    """Called once all classes and properties exist."""
    global _session
    _session = Session()
    bpy.app.handlers.load_pre.append(_leaving)
    bpy.app.handlers.load_post.append(_loaded)
    bpy.app.handlers.render_init.append(_before_render)


def unregister() -> None:
    """Stop the worker and everything that could call us."""
    global _session
    bpy.app.handlers.load_pre.remove(_leaving)
    bpy.app.handlers.load_post.remove(_loaded)
    bpy.app.handlers.render_init.remove(_before_render)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _session is not None:
        _session.worker.stop()
        _session = None
