# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's first minute, in a real window: the tab, the prompt, a click on Generate, the result, Ctrl-Z. Screenshots are kept.

The worker is the stand-in; with JOINTDIT_WINDOW_BACKEND=real it is this Python's own jointdit with torch. The screenshots go to
JOINTDIT_WINDOW_SHOTS, else to pytest's temporary folder. JOINTDIT_WINDOW_PATIENCE=5 waits longer on a busy machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine import standin
from frames import hills, make_frame

from . import chroot

pytestmark = pytest.mark.timeout(600)  # every wait below has a limit of its own
DISPLAY = ":77"
SLOW = float(os.environ.get("JOINTDIT_WINDOW_PATIENCE", "3"))
"""How many times longer everything may take than on an idle machine with two cores."""
REAL = os.environ.get("JOINTDIT_WINDOW_BACKEND") == "real"


class Inside:
    """Commands that run beside Blender, in its folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.shared = [chroot.REPOSITORY, *chroot.python_folders(), folder]
        self.environment = {"BLENDER_USER_RESOURCES": str(folder / "user"), "LIBGL_ALWAYS_SOFTWARE": "1", "DISPLAY": DISPLAY} | environment

    def command(self, *arguments: str) -> list[str]:
        return chroot.enter(list(arguments), self.shared, self.environment)

    def run(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=seconds * SLOW)


def installed(folder: Path, environment: dict[str, str]) -> Inside:
    """Blender with the extension installed from its zip and enabled, for somebody who has never used it."""
    try:
        chroot.provide()
    except chroot.NoWindowError as reason:
        pytest.skip(f"WINDOW NOT TESTED: {reason}")
    build = [sys.executable, str(chroot.REPOSITORY / "tools/build_extension.py"), "--tool", str(chroot.extension_tool()), "--output", str(folder)]
    archive = subprocess.run(build, capture_output=True, text=True, check=True).stdout.split()[-1]
    inside = Inside(folder, environment)
    done = inside.run("blender", "--command", "extension", "install-file", "-r", "user_default", "--enable", archive)
    assert done.returncode == 0, done.stdout + done.stderr
    return inside


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """With an image generator that the environment names."""
    folder = tmp_path_factory.mktemp("window")
    stand_in = {"JOINTDIT_PYTHON": sys.executable} if REAL else {"JOINTDIT_PYTHON": str(standin.write_interpreter(folder)), "STANDIN_STEP_SECONDS": "0.25"}
    return installed(folder, {"PYTHONPATH": str(chroot.REPOSITORY / "backend")} | stand_in)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """Without an image generator, but with a Python that has it and can be chosen."""
    if subprocess.run([sys.executable, "-c", "import jointdit, torch, diffusers"], cwd="/", capture_output=True).returncode:
        pytest.skip("this Python does not have jointdit with its extra “runtime”")
    # Blender with simulated events never sleeps, and two threads of torch wait for each other when they share a core with it.
    folder = tmp_path_factory.mktemp("newcomer")
    # Under a name that may stand in a picture: with --basetemp=/home/artist/blender none shows whose machine it is.
    python = folder / "generator/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return installed(folder, {"TOUR_PYTHON": str(python), "OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def screen() -> Iterator[None]:
    """A screen that nobody sees."""
    server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1280x800x24", "-nolisten", "tcp"], stderr=subprocess.DEVNULL)
    time.sleep(1.0)
    assert server.poll() is None, f"Xvfb cannot have the display {DISPLAY}"
    yield
    server.terminate()
    server.wait()


def play(inside: Inside, patience: float, story: str = "inside") -> dict[str, Any]:
    """Run a story in the window and take the photographs that it asks for."""
    from PIL import ImageGrab

    script = str(chroot.REPOSITORY / f"tests/window/{story}.py")
    window = ["--enable-event-simulate", "--window-geometry", "0", "0", "1280", "800"]
    talk = inside.folder / f"talk-{story}"
    talk.mkdir()
    command = inside.command("blender", *window, "--python", script, "--", str(talk), "a lighthouse on a green hill at dusk", str(patience))
    shots = Path(os.environ.get("JOINTDIT_WINDOW_SHOTS", inside.folder / "shots"))
    shots.mkdir(parents=True, exist_ok=True)
    with (inside.folder / "log.txt").open("w") as log:
        blender = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + patience + 90 * SLOW
        try:
            while blender.poll() is None and time.monotonic() < end:
                for wish in talk.glob("SHOT-*"):
                    name = wish.name.removeprefix("SHOT-")
                    wish.unlink()
                    ImageGrab.grab(xdisplay=DISPLAY).save(talk / f"{name}.part", "PNG")
                    shutil.copy(talk / f"{name}.part", shots / f"{name}.png")
                    (talk / f"{name}.part").rename(talk / f"{name}.png")
                time.sleep(0.05)
        finally:
            blender.kill()
            blender.wait()
    text = (inside.folder / "log.txt").read_text(errors="replace")
    assert (talk / "facts.json").exists(), text[-3000:]
    facts = json.loads((talk / "facts.json").read_text())
    print(json.dumps(facts, indent=1), "\nscreenshots:", shots)
    assert "error" not in facts, facts["error"] + text[-3000:]
    assert "Traceback" not in text, text[-3000:]
    return facts


def test_a_click_on_generate_builds_a_relief_and_undo_takes_exactly_it(inside: Inside, screen: None) -> None:
    facts = play(inside, (300.0 if REAL else 40.0) * SLOW)
    assert facts["job"][0] == "done"
    assert len(facts["objects"]) == 1
    assert facts["generate_from_top"] < facts["sidebar"][1], "Generate is below the screen"
    assert facts["view"] == "CAMERA"
    assert facts["after_undo"] == [0, 0, "a lighthouse on a green hill at dusk"]
    assert facts["after_redo"] == 1
    assert facts["steps_seen"] >= 3
    assert REAL or (facts["extended"], facts["extension_undone"]) == (["done", [False, True]], [False])
    assert facts["pointing"] == ["RUNNING_MODAL"]
    assert (facts["after_escape"], facts["after_enter"]) == ("", "JOINTDIT_OT_scale_by_points")
    assert (facts["dropped"], facts["dropped_points"]) == (1, True), "a dropped frame is built as the panel says"
    assert REAL or "stopped unexpectedly" in facts["failed"]
    assert facts["longest_pause"] < 1.5 * SLOW, "the window stood still"


def test_from_the_first_start_to_a_backdrop(newcomer: Inside, screen: None) -> None:
    """With the embedded model; the screenshots are those of the README and of the manual (docs/images)."""
    facts = play(newcomer, 150.0 * SLOW, "tour")
    assert "not installed yet" in facts["missing"]
    assert facts["previewed"] == [True, True]
    assert facts["states"] == ["done"] * 3 and all("Built" in message for message in facts["messages"])
    assert "frame.json" in facts["failure"]
    assert len(facts["history"]) == 3 and "snowy mountains at sunset" in facts["history"]


def test_the_command_line_of_the_extension(inside: Inside) -> None:
    helped = inside.run("blender", "--command", "jointdit", "scene", "--help")
    assert helped.returncode == 0 and "usage" in helped.stdout.lower(), helped.stdout + helped.stderr


@pytest.mark.parametrize("way", ["script", "command"])
def test_the_program_makes_a_file_of_a_frame_folder(inside: Inside, way: str) -> None:
    frame, out = make_frame(inside.folder / f"frame of {way}", hills(32, 24)), inside.folder / f"{way}.blend"
    if way == "script":
        (script,) = (inside.folder / "user").rglob("headless.py")
        start = ["-b", "--python", str(script), "--"]
    else:
        start = ["--command", "jointdit"]
    done = inside.run("blender", *start, "scene", "--frame", str(frame.folder), "--out", str(out), seconds=90)
    assert done.returncode == 0 and "Built 768 vertices" in done.stdout, done.stdout + done.stderr
    assert out.is_file() and "Traceback" not in done.stderr


def test_a_script_in_the_background_generates_and_waits(inside: Inside) -> None:
    program = (
        "import bpy; bpy.context.scene.jointdit.prompt = 'a hill'\n"
        "assert bpy.ops.jointdit.generate() == {'FINISHED'}\n"
        "print('built', len([o for o in bpy.data.objects if 'frame' in o]))"
    )
    done = inside.run("blender", "-b", "--python-exit-code", "3", "--python-expr", program, seconds=300)
    assert done.returncode == 0 and "built 1" in done.stdout, done.stdout + done.stderr
