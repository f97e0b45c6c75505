# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of the running Blender: from the operator to the worker, and from its results to objects. Main thread only.

It keeps names and paths, never data-blocks, because loading a file or undoing makes those invalid.
"""

from __future__ import annotations

import sys
import traceback
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import active, preferences
from .core.frame import FrameError, read_frame
from .core.jobs import Job
from .core.request import Request
from .core.rpc import readable
from .core.worker import State, Worker
from .scene.builder import BuildError, BuildOptions, build_frame
from .scene.extending import extend

INTERVAL = 0.1
"""Seconds between two looks at the worker; each takes a few milliseconds at most."""
KEPT = 20
"""Closed runs that stay in the list."""


@dataclass(frozen=True)
class Extension:
    """What is asked for around a frame of the scene, how it is built, and the name of the frame's object, whose place it takes."""

    request: Request
    options: BuildOptions
    extended: str


@dataclass(eq=False)
class Run:
    """A job and what is to become of its result. `extended` is the name of the object whose place it takes, if it does."""

    job: Job
    title: str
    scene: str
    options: BuildOptions
    extended: str = ""
    warnings: list[str] = field(default_factory=list)
    object_name: str = ""
    message: str = ""
    closed: bool = False

    @property
    def failed(self) -> bool:
        """Whether it ended without an object and not by the person's wish."""
        return self.closed and not self.object_name and self.job.state is not State.CANCELLED

    def row(self) -> dict[str, Any]:
        """What the panel shows."""
        job = self.job
        state = "failed" if self.failed else "building" if job.state is State.DONE and not self.closed else job.state.value
        values = {"job_id": job.id, "title": self.title, "state": state, "phase": job.phase, "step": job.step, "total": job.total}
        return values | {"elapsed": job.elapsed, "message": self.message, "finished": self.closed}

    def report(self) -> str:
        """Text for a bug report."""
        lines = [self.message, "", f"Blender {bpy.app.version_string}", f"Job: {self.job.params}", "", self.job.detail]
        return "\n".join(lines)


class Session:
    """One worker and the runs that were started since Blender began."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.worker = Worker()
        self._shown: list[dict[str, Any]] = []

    @property
    def busy(self) -> bool:
        """Whether anything is still to come."""
        return any(not run.closed for run in self.runs)

    def start(self, context: bpy.types.Context, extension: Extension | None = None) -> Run:
        """Queue what the scene's settings ask for, or an extension of a frame. Raises `RequestError` or OSError."""
        settings = context.scene.jointdit
        request = extension.request if extension else settings.request(preferences.model(context))
        job = request.to_job(preferences.output_folder(context))
        interpreter = preferences.interpreter(context)
        if not self.busy and self.worker.interpreter != interpreter:
            self.worker.stop()
            self.worker.interpreter = interpreter
        options = extension.options if extension else settings.build_options()
        run = Run(self.worker.submit(job), request.title, context.scene.name, options, extension.extended if extension else "")
        self.runs.append(run)
        for old in [other for other in self.runs if other.closed][:-KEPT]:
            self.runs.remove(old)
        self.show()
        return run

    def advance(self) -> None:
        """Take in news and build at most one finished result."""
        self.worker.poll()
        self._settle()

    def finish(self, run: Run) -> None:
        """Block until a run is closed: for background mode, where no timer runs."""
        while not run.closed:
            self.worker.wait(INTERVAL)
            self._settle(patient=False)

    def cancel(self, job_id: int) -> None:
        """Stop a run."""
        for run in self.runs:
            if run.job.id != job_id or run.closed:
                continue
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
        rows = [run.row() for run in self.runs]
        jobs = bpy.context.window_manager.jointdit.jobs
        if rows == self._shown and len(jobs) == len(rows):
            return
        self._shown = rows
        while len(jobs) > len(rows):
            jobs.remove(len(jobs) - 1)
        while len(jobs) < len(rows):
            jobs.add()
        for item, row in zip(jobs, rows, strict=True):
            for name, value in row.items():
                setattr(item, name, value)
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                if area.type == "VIEW_3D":
                    area.tag_redraw()

    def _settle(self, *, patient: bool = True) -> None:
        """Close what has ended; a result is built when Blender is ready for it, or at once if nobody could make it ready."""
        for run in self.runs:
            if run.closed or not run.job.state.finished:
                continue
            if run.job.state is not State.DONE:
                run.message, run.closed = readable(run.job.message), True
            elif not (obstacle := _obstacle(run.scene) if patient else ""):
                self._place(run)
                break
            else:
                run.message = obstacle
        self.show()

    @staticmethod
    def _place(run: Run) -> None:
        """Build a run's result; whatever happens, the run is closed."""
        # Closed before it is tried: a defect in the builder must not be met again at every tick.
        run.closed = True
        try:
            _build(run)
        except Exception:  # noqa: BLE001 - whatever the defect, the timer must live on for the other jobs; the report tells all of it
            run.message = f"The result could not be built: please send the report. It is kept in {run.job.result['frame']}."
            run.job.detail = readable(traceback.format_exc())
            print(run.job.detail, file=sys.stderr)
        run.message = readable(run.message)


def _obstacle(scene_name: str) -> str:
    """Why now is not the moment to add an object, as a sentence, or nothing."""
    if bpy.app.is_job_running("RENDER"):  # type: ignore[func-returns-value]
        return "The result is placed when the render is done"
    for window in bpy.context.window_manager.windows:
        if any(operator.bl_idname.startswith("TRANSFORM_OT_") for operator in window.modal_operators):
            return "The result is placed when you have finished moving"
        item = window.view_layer.objects.active
        if window.scene.name == scene_name and item is not None and item.mode != "OBJECT":
            # Adding an object now would not be an undo step of its own.
            return "The result is placed when you are back in Object Mode"
    return ""


def _build(run: Run) -> None:
    """From the frame folder to an object, with one undo step."""
    folder = Path(run.job.result["frame"])
    run.warnings = [str(warning) for warning in run.job.result.get("warnings", [])]
    scene = bpy.data.scenes.get(run.scene)
    if scene is None:
        run.message = f"The scene “{run.scene}” is gone: import the result with File > Import > RGB-D Frame from {folder}."
        return
    window = next((window for window in bpy.context.window_manager.windows if window.scene == scene), None)
    with _inside(scene, window):
        first = not any("frame" in item and item.type == "MESH" for item in scene.objects)
        extended = bpy.data.objects.get(run.extended) if run.extended else None
        try:
            frame = read_frame(folder)
            if extended is not None and active.frame_modifier(extended):
                result = extend(bpy.context, extended, frame, run.options)
                run.warnings.append(f"It stands in the place of “{run.extended}”, which is hidden.")
            else:
                result = build_frame(bpy.context, frame, run.options)
        except (BuildError, FrameError, OSError) as error:
            run.message = str(error)
            return
        select_only(bpy.context, result.object)
        # Later results leave the view alone.
        if first and window is not None:
            look_through_camera(window)
    run.object_name = result.object.name
    run.message = " ".join([f"{result.sentence}.", *run.warnings])
    if first and window is not None and _colorless(window):
        run.message += " Choose Material Preview in the header to see its colors."
    if scene.view_settings.view_transform != "Standard":
        run.message += " For the picture's own colors set Render > Color Management > View Transform to Standard."
    if not bpy.app.background:
        with _inside(scene, window):
            bpy.ops.ed.undo_push(message=f"JointDiT: {result.object.name}"[:60])


def select_only(context: bpy.types.Context, chosen: bpy.types.Object) -> None:
    """Make an object the active and only selected one."""
    layer = context.view_layer
    # Objects that were just removed are still in its list.
    layer.update()
    for item in layer.objects:
        item.select_set(item == chosen)
    layer.objects.active = chosen


def _inside(scene: bpy.types.Scene, window: bpy.types.Window | None) -> AbstractContextManager[Any]:
    """The context of a window that shows the scene, else of the scene alone. In a timer there is neither."""
    if bpy.app.background and bpy.context.scene == scene:
        return nullcontext()
    if window is not None:
        return bpy.context.temp_override(window=window)
    return bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0])


def look_through_camera(window: bpy.types.Window) -> None:
    """Show the scene in every viewport of the window as its camera sees it."""
    for area in window.screen.areas:
        if area.type == "VIEW_3D":
            area.spaces.active.region_3d.view_perspective = "CAMERA"


def _colorless(window: bpy.types.Window) -> bool:
    """Whether every view of the window shows plain gray surfaces."""
    shadings = [area.spaces.active.shading for area in window.screen.areas if area.type == "VIEW_3D"]
    return all(shading.type in ("WIREFRAME", "SOLID") and shading.color_type != "TEXTURE" for shading in shadings)


_session: Session | None = None


def current() -> Session:
    """The session; it exists while the extension is registered."""
    if _session is None:
        raise RuntimeError("JointDiT is not registered")
    return _session


def watch() -> None:
    """Have the timer look after the session until nothing is left to do."""
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=INTERVAL, persistent=True)


def _tick() -> float | None:
    if _session is None:
        return None
    _session.advance()
    return INTERVAL if _session.busy else None


@persistent  # type: ignore[untyped-decorator]
def _loaded(*_arguments: object) -> None:
    """A new file brings a new window manager, with empty properties."""
    if _session is not None:
        preferences.look_for_backend(bpy.context)
        _session.show()


def register() -> None:
    """Called once all classes and properties exist."""
    global _session
    _session = Session()
    bpy.app.handlers.load_post.append(_loaded)


def unregister() -> None:
    """Stop the worker and everything that could call us."""
    global _session
    bpy.app.handlers.load_post.remove(_loaded)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _session is not None:
        _session.worker.stop()
        _session = None
