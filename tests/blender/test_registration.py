# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabling and disabling leaves nothing behind, however often; and nothing of Blender is needed where none is promised."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine import standin

bpy = pytest.importorskip("bpy")

from bpy.utils import previews  # noqa: E402
from traces import Recorder, Traces, difference, traces  # noqa: E402

import jointdit_blender  # noqa: E402
from jointdit_blender import session  # noqa: E402
from jointdit_blender.operators.generate import from_settings  # noqa: E402
from jointdit_blender.settings import JOINTDIT_PG_settings  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Sees every timer and every command."""
    recorder = Recorder()
    for owner, name, function in recorder.watching():
        monkeypatch.setattr(owner, name, function)
    return recorder


def now(recorder: Recorder) -> Traces:
    """Everything that can be left behind; threads of ours that have nothing to do any more get a moment to end."""
    for thread in threading.enumerate():
        if thread.name.startswith("jointdit") and not hasattr(bpy.types.Scene, "jointdit"):
            thread.join(5)
    return traces() | recorder.traces()


def test_disabling_takes_back_everything_and_may_be_repeated(recorder: Recorder) -> None:
    before = now(recorder)
    seen = []
    for _ in range(20):
        jointdit_blender.register()
        seen.append(now(recorder))
        jointdit_blender.unregister()
        assert difference(before, now(recorder)) == {}
    assert all(difference(seen[0], traces) == {} for traces in seen)
    added = difference(before, seen[0])
    assert {"handlers", "types", "operators", "properties", "draw functions", "commands"} <= set(added)
    assert "jointdit.generate" in added["operators"] and "Scene.jointdit" in added["properties"] and added["commands"] == ["jointdit"]


class JOINTDIT_MT_left(bpy.types.Menu):
    bl_label = "Left"

    def draw(self, _context: object) -> None:
        pass


def leave(*_arguments: object) -> None:
    """A function that is left behind in some list of Blender's."""


def leave_a_thread() -> threading.Event:
    end = threading.Event()
    threading.Thread(target=end.wait, name="jointdit left").start()
    return end


def leave_a_process() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def leave_a_shortcut() -> tuple[Any, Any]:
    keymap = bpy.context.window_manager.keyconfigs.addon.keymaps.new("3D View", space_type="VIEW_3D")
    return keymap, keymap.keymap_items.new("jointdit.generate", "F19", "PRESS")


LEAKS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "handlers": (lambda: bpy.app.handlers.save_pre.append(leave), lambda _: bpy.app.handlers.save_pre.remove(leave)),
    "timers": (lambda: bpy.app.timers.register(leave), lambda _: bpy.app.timers.unregister(leave)),
    "types": (lambda: bpy.utils.register_class(JOINTDIT_MT_left), lambda _: bpy.utils.unregister_class(JOINTDIT_MT_left)),
    "properties": (lambda: setattr(bpy.types.Scene, "left", bpy.props.IntProperty()), lambda _: delattr(bpy.types.Scene, "left")),
    "draw functions": (lambda: bpy.types.VIEW3D_MT_add.prepend(leave), lambda _: bpy.types.VIEW3D_MT_add.remove(leave)),
    "commands": (lambda: bpy.utils.register_cli_command("left", leave), lambda handle: bpy.utils.unregister_cli_command(handle)),
    "shortcuts": (leave_a_shortcut, lambda made: made[0].keymap_items.remove(made[1])),
    "previews": (previews.new, previews.remove),
    "threads": (leave_a_thread, lambda end: end.set()),
    "processes": (leave_a_process, lambda child: child.communicate(b"\n")),
    "search path": (lambda: sys.path.append("left"), lambda _: sys.path.remove("left")),
    "environment": (lambda: os.environ.update(JOINTDIT_LEFT="1"), lambda _: os.environ.pop("JOINTDIT_LEFT")),
}
"""How to leave something behind, and how to take it away again, given what the first returned."""


@pytest.mark.parametrize("kind", LEAKS)
def test_whatever_is_left_behind_is_seen(kind: str, recorder: Recorder) -> None:
    if kind == "processes" and not sys.platform.startswith("linux"):
        pytest.skip("the processes of this one are listed on Linux only")
    before = now(recorder)
    leak, take_away = LEAKS[kind]
    left = leak()
    seen = difference(before, traces() | recorder.traces())
    take_away(left)
    assert kind in seen
    assert difference(before, now(recorder)) == {}


def test_disabling_in_the_middle_of_a_job_stops_worker_threads_and_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOINTDIT_PYTHON", str(standin.write_interpreter(tmp_path)))
    before = traces()["threads"]
    jointdit_blender.register()
    settings = bpy.context.scene.jointdit
    settings.prompt, settings.quality, settings.steps = "a hill", "CUSTOM", 1000
    current = session.current()
    (run,) = current.start(bpy.context, from_settings(bpy.context))
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
        assert parts <= {"active", "settings", "session", "core.history"}, path.name


def test_the_core_is_used_by_pythons_without_blender() -> None:
    program = (
        "import sys; sys.modules['bpy'] = None\n"
        "import jointdit_blender\n"
        "from jointdit_blender.core import frame, interpreter, jobs, process, request, rpc, worker\n"
        "assert 'numpy' not in sys.modules, 'the client must start fast'"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
