# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JointDiT registered in the bpy wheel, with the stand-in as the image generator and a folder of results of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import pytest
from engine import standin
from engine.patience import PATIENCE

import jointdit_blender
from jointdit_blender import gallery, preferences, session


@contextmanager
def registered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In a new file; yields the folder of results."""
    results = folder / "results"
    results.mkdir()
    monkeypatch.setenv("JOINTDIT_PYTHON", str(standin.write_interpreter(folder)))
    monkeypatch.setattr(preferences, "output_folder", lambda _context: results)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    jointdit_blender.register()
    settings = bpy.context.scene.jointdit
    settings.prompt, settings.quality, settings.steps, settings.seed = "a green hill", "CUSTOM", 3, 5
    try:
        yield results
    finally:
        jointdit_blender.unregister()


def drive(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """What the timers do in a window."""
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        session.current().advance()
        gallery.current().advance()
        time.sleep(0.02)


def rows() -> list[Any]:
    """The rows of the Jobs panel."""
    return list(bpy.context.window_manager.jointdit.jobs)


def shown() -> list[Any]:
    """The results that the History panel shows."""
    return list(bpy.context.window_manager.jointdit.results)


def built() -> list[Any]:
    """The objects that were built from frames."""
    return [item for item in bpy.data.objects if "frame" in item]


def write(results: Path, **given: Any) -> Path:
    """A result on the disk, as a run without a window leaves it."""
    return standin.write_frame({"output": str(results), "task": "joint", "prompt": "a lake", "seed": 7, "steps": 4, **given})
