# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody's .blend files to pictures with exact depth and captions, to train on (docs/render-set.md)."""

from __future__ import annotations

import signal
import threading
import time
import traceback
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import bpy

from .core.errors import JointDiTError
from .core.files import FileError, check_writable
from .core.pairs import WORKPLACE, unique_slugs
from .progress import ProgressLine
from .scene.capture import CaptureError, Look, Studio
from .scene.opened import lost, open_unsaved, scenes, told
from .shooting import Shooting

DONE, PARTLY, FAILED = "done", "partly", "failed"


@dataclass
class Count:
    """Pictures of one file, or of all."""

    made: int = 0
    before: int = 0
    notes: list[str] = field(default_factory=list)
    """Why what was planned is left out."""

    def add(self, other: Count) -> None:
        """Count another file's too."""
        self.made, self.before = self.made + other.made, self.before + other.before
        self.notes += other.notes

    @property
    def sentence(self) -> str:
        """In words."""
        told = [f"{self.made} {'picture' if self.made == 1 else 'pictures'} made"]
        return ", ".join(told + ([f"{self.before} made before"] if self.before else []))


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    files: int
    failed: int
    count: Count
    stopped: bool
    out: Path

    @property
    def sentence(self) -> str:
        """One sentence for the person."""
        failed = f", {self.failed} failed" if self.failed else ""
        again = "; run the same command again to go on" if self.stopped else ""
        files = f"{self.files} {'file' if self.files == 1 else 'files'}{failed}"
        return f"{'Stopped. ' if self.stopped else ''}{files}: {self.count.sentence}{again}. Folder: {self.out}"


def run_render_set(arguments: Namespace, screen: TextIO, tell: Callable[..., None]) -> Summary:
    """Render all files; progress goes to `screen`, and what has become of each file to `tell`. Ctrl-C ends it cleanly.

    Whatever is wrong with a file, the others have their turn. Raises `FileError` when nothing can be written.
    """
    out = arguments.out.absolute()
    check_writable(out / WORKPLACE / "picture.png")
    files = [path.absolute() for path in arguments.files]
    with _Stop() as stop:
        return _run_all(arguments, files, _Run(arguments, out, screen, stop), tell)


def _run_all(arguments: Namespace, files: list[Path], run: _Run, tell: Callable[..., None]) -> Summary:
    total, failed, stopped, seen = Count(), 0, False, 0
    try:
        for number, (path, name) in enumerate(zip(files, unique_slugs([path.stem for path in files]), strict=True), 1):
            if number < arguments.first:
                continue
            seen += 1
            status, count, message = run.file(path, name, f"file {number} of {len(files)}")
            failed += status != DONE
            total.add(count)
            run.count = Count()
            tell(file=str(path), number=number, status=status, made=count.made, before=count.before, message=message, notes=count.notes)
    except KeyboardInterrupt:
        stopped = True
        total.add(run.count)
    finally:
        with suppress(OSError):
            # Another run may be at work in it.
            (run.out / WORKPLACE).rmdir()
    return Summary(seen, failed, total, stopped, run.out)


class _Stop:
    """Makes a note of Ctrl-C; a second one ends the program at once.

    An exception would come out inside Cycles' own Python, where Blender swallows it and takes half a picture for a whole one.
    """

    def __init__(self) -> None:
        self.wanted = False

    def __enter__(self) -> _Stop:
        self._handles = threading.current_thread() is threading.main_thread()
        if self._handles:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_exception: object) -> None:
        # None: it was not Python's, and only its owner can put it back.
        if self._handles and self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_signal: object) -> None:
        self.wanted = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def check(self) -> None:
        """Raises KeyboardInterrupt when it is wanted."""
        if self.wanted:
            raise KeyboardInterrupt


class _Run:
    """What is the same for all files."""

    def __init__(self, arguments: Namespace, out: Path, screen: TextIO, stop: _Stop) -> None:
        self.arguments, self.out, self.screen, self.stop = arguments, out, screen, stop
        self.count = Count()
        """Of the file at hand."""
        self.look = Look(arguments.size, arguments.engine, arguments.samples, arguments.device)

    def file(self, path: Path, name: str, title: str) -> tuple[str, Count, str]:
        """Render one file: what has become of it, how many pictures, and a sentence. Raises `FileError` when the set cannot be written."""
        self.stop.check()
        self._say(f"{title}: {path.name}")
        count, problems = self.count, []
        try:
            open_unsaved(path)
            found = lost()
            if found and not self.arguments.allow_missing:
                raise FileError(told(found))
            chosen = [scene.name for scene in scenes(self.arguments.scene)]
            # With names that do not depend on which of them are wanted.
            slugs = dict(zip(bpy.data.scenes.keys(), unique_slugs(bpy.data.scenes.keys()), strict=True))
        except FileError as error:
            return self._ended(title, path, FAILED, count, str(error))
        except Exception as error:  # noqa: BLE001 - a damaged file may break anything in Blender; the other files must have their turn
            return self._ended(title, path, FAILED, count, f"It cannot be used ({error}); open it in Blender to see what is wrong.")
        for scene in chosen:
            try:
                with ProgressLine(self.screen, f"{title}, {scene}") as line:
                    self._scene(bpy.data.scenes[scene], path, f"{name}-{slugs[scene]}", count, line)
            except CaptureError as error:
                problems.append(str(error))
            except JointDiTError:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                self._say(traceback.format_exc())
                problems.append(f"The program has a defect ({error}); please send a report with what stands above.")
        if problems:
            return self._ended(title, path, PARTLY if count.made + count.before else FAILED, count, " ".join(problems))
        return self._ended(title, path, DONE, count, f"{count.sentence}.")

    def _scene(self, scene: bpy.types.Scene, path: Path, prefix: str, count: Count, line: ProgressLine) -> None:
        layer = next((layer for layer in scene.view_layers if layer.use), scene.view_layers[0])
        bpy.context.window.scene = scene
        bpy.context.window.view_layer = layer
        began = time.monotonic()
        with Studio(scene, layer, self.look) as studio:
            shooting = Shooting(self.arguments, studio, scene, layer, path, prefix, self.out)
            for step, result in enumerate(shooting.pictures(), 1):
                count.made += result.made
                count.before += result.before
                count.notes += [result.note] if result.note else []
                shown: dict[str, Any] = {"phase": "rendering", "step": step, "total": shooting.total, "elapsed": time.monotonic() - began}
                line.show(shown)
                self.stop.check()

    def _ended(self, title: str, path: Path, status: str, count: Count, message: str) -> tuple[str, Count, str]:
        self._say(f"{title}: {path.name}: {status}. {message}")
        for note in count.notes:
            self._say(f"jointdit: {note}")
        return status, count, message

    def _say(self, text: str) -> None:
        self.screen.write(text + "\n")
        self.screen.flush()
