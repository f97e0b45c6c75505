# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabling and disabling leaves nothing behind, however often; and nothing of Blender is needed where none is promised."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from engine import standin

bpy = pytest.importorskip("bpy")

import jointdit_blender  # noqa: E402
from jointdit_blender import session  # noqa: E402
from jointdit_blender.settings import JOINTDIT_PG_settings  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def traces() -> dict[str, object]:
    """Everything that a registered JointDiT adds to Blender."""
    return {
        "classes": sorted(name for name in dir(bpy.types) if name.startswith("JOINTDIT")),
        "operators": sorted(dir(bpy.ops.jointdit)),
        "scene": hasattr(bpy.types.Scene, "jointdit"),
        "window manager": hasattr(bpy.types.WindowManager, "jointdit"),
        "handlers": [len(getattr(bpy.app.handlers, name)) for name in dir(bpy.app.handlers) if isinstance(getattr(bpy.app.handlers, name), list)],
        "import menu": [function.__module__ for function in bpy.types.TOPBAR_MT_file_import._dyn_ui_initialize()],
        "timer": bpy.app.timers.is_registered(session._tick),
        "threads": sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("jointdit")),
    }


def test_disabling_takes_back_everything_and_may_be_repeated() -> None:
    before = traces()
    seen = []
    for _ in range(20):
        jointdit_blender.register()
        seen.append(traces())
        jointdit_blender.unregister()
        assert traces() == before
    assert all(traces == seen[0] for traces in seen)
    assert "generate" in seen[0]["operators"] and seen[0]["classes"]


def test_disabling_in_the_middle_of_a_job_stops_worker_threads_and_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOINTDIT_PYTHON", str(standin.write_interpreter(tmp_path)))
    before = traces()["threads"]
    jointdit_blender.register()
    settings = bpy.context.scene.jointdit
    settings.prompt, settings.quality, settings.steps = "a hill", "CUSTOM", 1000
    current = session.current()
    run = current.start(bpy.context)
    session.watch()
    while run.job.step < 2:
        current.worker.wait(0.1)
        current.advance()
    process = current.worker._process
    assert process and process.alive and bpy.app.timers.is_registered(session._tick)
    jointdit_blender.unregister()
    assert not process.alive and not bpy.app.timers.is_registered(session._tick)
    for thread in threading.enumerate():
        if thread.name.startswith("jointdit"):
            thread.join(5)
    assert traces()["threads"] == before


def test_every_property_and_operator_tells_what_it_is() -> None:
    jointdit_blender.register()
    try:
        for name in (*JOINTDIT_PG_settings.__annotations__, *JOINTDIT_PG_settings.names()):
            shown = bpy.context.scene.jointdit.bl_rna.properties[name]
            assert shown.name[:1].isupper() and shown.description and not shown.description.endswith("."), name
        for name in dir(bpy.ops.jointdit):
            shown = getattr(bpy.ops.jointdit, name).get_rna_type()
            assert shown.description and not shown.description.endswith("."), name
            for item in shown.properties:
                assert item.description or item.is_hidden or item.identifier == "rna_type", (name, item.identifier)
    finally:
        jointdit_blender.unregister()


def test_drawing_knows_settings_and_session_only() -> None:
    for path in (ROOT / "jointdit_blender/panels").glob("*.py"):
        parts = {
            part
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.level == 2
            for part in ([node.module] if node.module else [name.name for name in node.names])
        }
        assert parts <= {"active", "settings", "session"}, path.name


def test_the_core_is_used_by_pythons_without_blender() -> None:
    program = (
        "import sys; sys.modules['bpy'] = None\n"
        "import jointdit_blender\n"
        "from jointdit_blender.core import frame, interpreter, jobs, process, request, rpc, worker\n"
        "assert 'numpy' not in sys.modules, 'the client must start fast'"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
