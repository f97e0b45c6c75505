# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking after the image generator and its models: one errand at a time, seen to by a timer. Main thread only.

An errand is a process or a thread of its own (`core.errand`, `core.installer`). What is known lives here, so it survives the loading of a file; a copy for
drawing is on the window manager.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bpy
from bpy.app.handlers import persistent
from bpy.props import PointerProperty

from . import preferences, upkeep_rows
from .core import installer
from .core.errand import BackendCommand, Errand, InThread
from .core.interpreter import WorkerError, find_interpreter
from .core.report import Finding, ModelState, Piece, Report, size_text
from .windows import redraw

if TYPE_CHECKING:
    from .core.installer import Plan

INTERVAL = 0.1
"""Seconds between two looks at the errand."""
LAST_PATIENCE = 7.0
"""Seconds that an errand has to end when the extension is disabled; its process is killed before they are over."""
QUIET = ("list", "plan")
"""Errands that end without a word if all is well."""
OBSTACLES = {"install": "Wait until the installation is done", "remove": "Wait until the image generator is removed"}
"""What is said of errands that change the image generator, so that it must not be started meanwhile."""

CLASSES = upkeep_rows.CLASSES
Then = Callable[[], None]
Retry = tuple[str, str]
"""The name of an operator and the model that it is about; "" where there is none."""


@dataclass(frozen=True)
class Outcome:
    """How the last errand ended, and the operator that tries it again where it failed."""

    kind: str
    message: str
    failed: bool
    report: str
    retry: Retry


@dataclass(frozen=True)
class DownloadPlan:
    """What the backend says that it would fetch for a model; bytes are approximate."""

    model: str
    pieces: tuple[Piece, ...]
    folder: str
    free: int

    @property
    def missing(self) -> int:
        """Bytes that are to come."""
        return sum(piece.missing for piece in self.pieces)

    @property
    def restricted(self) -> tuple[Piece, ...]:
        """The pieces under a licence that has to be accepted first."""
        return tuple(piece for piece in self.pieces if piece.gated)


class Upkeep:
    """The errand at work and what the earlier ones found out."""

    def __init__(self) -> None:
        self.errand: Errand | None = None
        self.kind = ""
        self.outcome: Outcome | None = None
        self.findings: list[Finding] = []
        self.models: dict[str, ModelState] = {}
        self.plan: Plan | None = None
        self.download_plan: DownloadPlan | None = None
        self.listed = False
        self._then: Then | None = None
        self._retry: Retry = ("", "")
        self._shown: tuple[Any, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether an errand is at work."""
        return self.errand is not None

    # Errands

    def install(self, plan: Plan) -> None:
        """Install the backend into its own environment; from then on that is the one that is used."""
        self.plan = None
        self._begin("install", installer.Installation(plan), self._settle_in, ("jointdit.install", ""))

    def _settle_in(self) -> None:
        preferences.choose(bpy.context, interpreter="")
        self.findings = []
        self.list_models()

    def plan_installation(self, then: Then) -> None:
        """Find out what an installation would take: `plan`."""
        folder, package, build = preferences.backend_folder(), preferences.package(), preferences.build(bpy.context)
        assert package is not None, "the operator's poll has looked"
        errand = InThread(lambda: installer.plan_installation(folder, package, build), "Looking at the graphics driver and the disk", (installer.InstallError,))

        def keep() -> None:
            self.plan = errand.value
            then()

        self._begin("plan", errand, keep, ("jointdit.install", ""))

    def uninstall(self) -> None:
        """Remove the backend's own environment."""
        folder = preferences.backend_folder()
        errand = InThread(lambda: installer.uninstall(folder), "Removing the image generator", (installer.InstallError,))
        self._begin("remove", errand, self.list_models, ("jointdit.uninstall", ""))

    def check(self) -> None:
        """Have the backend look at itself; without one that is the finding."""
        try:
            command = self._command(["doctor"], "Checking the setup")
        except WorkerError as error:
            self.findings = [Finding("image generator", False, str(error), "install")]
            self.show()
            return
        self.findings = command.told.findings
        self._begin("check", command, retry=("jointdit.check_setup", ""))

    def list_models(self) -> None:
        """Have the backend say which models there are. Without a backend nothing happens."""
        self.listed = True
        try:
            command = self._command(["models", "list"], "Looking at the models")
        except WorkerError:
            self.models = {}
            self.show()
            return
        self._begin("list", command, retry=("jointdit.list_models", ""))

    def add_model(self, paths: Sequence[str], name: str) -> None:
        """Have the backend find a model's pieces in files and folders. Raises `WorkerError`."""
        command = self._command(["models", "add", *paths, "--name", name], "Looking through the files")
        self._begin("add", command, self.list_models, ("jointdit.add_model", name))

    def remove_model(self, name: str) -> None:
        """Have the backend forget a model; its files stay. Raises `WorkerError`."""
        self._begin("forget", self._command(["models", "remove", name], "Removing from the list"), self.list_models)

    def plan_download(self, model: str, pieces: Sequence[str], then: Then) -> None:
        """Have the backend say what a download would fetch: `download_plan`. Raises `WorkerError`."""
        words = [word for piece in pieces for word in ("--piece", piece)]
        command = self._command(["models", "download", "--plan", *words], "Looking at what is missing")

        def keep() -> None:
            result = command.told.result or {}
            self.download_plan = DownloadPlan(model, tuple(command.told.pieces), str(result.get("folder", "")), int(result.get("free", 0)))
            then()

        self._begin("plan", command, keep, ("jointdit.download_model", model))

    def download(self, plan: DownloadPlan, folder: str, token: str) -> None:
        """Have the backend fetch what is planned; the token goes into its environment and nowhere else. Raises `WorkerError`."""
        words = [word for piece in plan.pieces for word in ("--piece", piece.name)]
        # A token that was given shall be used, whatever is set for logins on this machine.
        secrets = {"HF_TOKEN": token, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"} if token else {}
        command = self._command(["models", "download", "--yes", "--add", plan.model, "--folder", folder, *words], "Asking the model hub", secrets)
        self._begin("download", command, self.list_models, ("jointdit.download_model", plan.model))

    @staticmethod
    def _command(words: Sequence[str], phase: str, secrets: dict[str, str] | None = None) -> BackendCommand:
        return BackendCommand(find_interpreter(preferences.interpreter(bpy.context)), words, phase, secrets)

    # The errand at work

    def advance(self) -> None:
        """Take in the errand's news; when it has ended well, what comes after it begins."""
        errand = self.errand
        if errand is None:
            return
        errand.poll()
        if isinstance(errand, BackendCommand):
            self._hear(errand.told)
        then = self._end(errand) if errand.finished else None
        self.show()
        if then is not None:
            then()

    def finish(self) -> None:
        """Block until nothing is left to do: for background mode, where no timer runs."""
        while self.busy:
            time.sleep(INTERVAL / 4)
            self.advance()

    def cancel(self) -> None:
        """Ask the errand to end."""
        if self.errand is not None:
            self.errand.cancel()
            self.show()

    def dismiss(self) -> None:
        """Forget how the last errand ended."""
        self.outcome = None
        self.show()

    def stop(self) -> None:
        """End the errand and wait for that."""
        self.cancel()
        end = time.monotonic() + LAST_PATIENCE
        while self.errand is not None and not self.errand.finished and time.monotonic() < end:
            time.sleep(0.02)
            self.errand.poll()
        self.errand = None

    def _begin(self, kind: str, errand: Errand, then: Then | None = None, retry: Retry = ("", "")) -> None:
        if self.busy:
            raise RuntimeError("an errand is at work already: the operators' polls have to look")
        self.kind, self.errand, self._then, self._retry = kind, errand, then, retry
        if kind not in QUIET:
            self.outcome = None
        errand.start()
        self.show()
        if not bpy.app.background:
            watch()

    def _hear(self, told: Report) -> None:
        if self.kind == "list" and told.models:
            # Those that are still to be told may have been removed.
            self.models = dict(told.models)

    def _end(self, errand: Errand) -> Then | None:
        """Keep how it ended; returns what comes next if it ended well."""
        self.errand = None
        if self.kind == "check" and errand.failed:
            self.findings = [Finding("image generator", False, errand.message, "install")]
        if errand.failed or self.kind not in QUIET:
            self.outcome = Outcome(self.kind, errand.message or self._good_news(errand), errand.failed, errand.report(), self._retry)
        preferences.look_for_backend(bpy.context)
        return None if errand.failed or errand.cancelled else self._then

    def _good_news(self, errand: Errand) -> str:
        """A sentence for what ended well."""
        result = (errand.told.result if isinstance(errand, BackendCommand) else None) or {}
        model, lacks = result.get("model", ""), ", ".join(str(piece.get("title")) for piece in result.get("missing", ()))
        match self.kind:
            case "remove":
                return "The image generator was removed; models and results are kept."
            case "check":
                bad = sum(not finding.good for finding in self.findings)
                return f"{bad} of {len(self.findings)} findings need your attention." if bad else "All is well."
            case "add" | "download":
                return f"The model {model} still lacks {lacks}." if lacks else f"The model {model} is complete."
            case "forget":
                return f"The model {model} was removed from the list; its files are kept."
        return "Done."

    # What is shown

    def show(self, *, afresh: bool = False) -> None:
        """Copy everything to the window manager and redraw, if anything changed; `afresh`: whatever the window manager had."""
        state = self._state()
        findings, models = [upkeep_rows.finding_row(finding) for finding in self.findings], [upkeep_rows.model_row(model) for model in self.models.values()]
        shown = bpy.context.window_manager.jointdit_upkeep
        now = (state, findings, models)
        if now == self._shown and not afresh:
            return
        self._shown = now
        for name, value in state.items():
            setattr(shown, name, value)
        upkeep_rows.fill(shown.findings, findings)
        upkeep_rows.fill(shown.models, models)
        redraw()

    def _state(self) -> dict[str, Any]:
        errand, outcome = self.errand, self.outcome
        told = Outcome("", "", False, "", ("", "")) if outcome is None or (errand and self.kind not in QUIET) else outcome
        retry, model = told.retry if told.failed else ("", "")
        return {
            "running": errand is not None,
            "kind": self.kind if errand else "",
            "obstacle": OBSTACLES.get(self.kind, "") if errand else "",
            "quiet": self.kind in QUIET,
            "phase": errand.phase if errand else "",
            "progress": progress_text(errand) if errand else "",
            "factor": min(errand.done / errand.total, 1.0) if errand and errand.total else 0.0,
            "outcome": told.kind,
            "message": told.message,
            "failed": told.failed,
            "retry": retry,
            "retry_model": model,
        }


def progress_text(errand: Errand) -> str:
    """“1.2 GB of 2.5 GB · 1:05”."""
    minutes, seconds = divmod(int(errand.elapsed), 60)
    amount = f"{size_text(errand.done)} of {size_text(errand.total)} · " if errand.total else ""
    return f"{amount}{minutes}:{seconds:02}"


_upkeep: Upkeep | None = None


def current() -> Upkeep:
    """The upkeep; it exists while the extension is registered."""
    if _upkeep is None:
        raise RuntimeError("JointDiT is not registered")
    return _upkeep


def watch() -> None:
    """Have the timer look after the errand until there is none."""
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=INTERVAL, persistent=True)


def look_at_models_once() -> None:
    """List the models soon, when they are looked at for the first time. For draw(), in which nothing may be started."""
    if _upkeep is not None and not _upkeep.listed and not _upkeep.busy:
        _upkeep.listed = True
        bpy.app.timers.register(_list_models, first_interval=0.0, persistent=True)


def _list_models() -> None:
    if _upkeep is not None and not _upkeep.busy:
        _upkeep.list_models()


def _tick() -> float | None:
    if _upkeep is None:
        return None
    _upkeep.advance()
    return INTERVAL if _upkeep.busy else None


@persistent  # type: ignore[untyped-decorator]
def _loaded(*_arguments: object) -> None:
    """A new file brings a new window manager, with empty properties."""
    if _upkeep is not None:
        preferences.look_for_backend(bpy.context)
        _upkeep.show(afresh=True)


def register() -> None:
    """Called once all classes exist."""
    global _upkeep
    bpy.types.WindowManager.jointdit_upkeep = PointerProperty(  # type: ignore[attr-defined, func-returns-value]
        type=upkeep_rows.JOINTDIT_PG_upkeep, name="JointDiT Upkeep", options={"SKIP_SAVE"}
    )
    _upkeep = Upkeep()
    bpy.app.handlers.load_post.append(_loaded)


def unregister() -> None:
    """Stop the errand and everything that could call us."""
    global _upkeep
    bpy.app.handlers.load_post.remove(_loaded)
    for function in (_tick, _list_models):
        if bpy.app.timers.is_registered(function):
            bpy.app.timers.unregister(function)
    if _upkeep is not None:
        _upkeep.stop()
        _upkeep = None
    del bpy.types.WindowManager.jointdit_upkeep  # type: ignore[attr-defined]
