# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job with all its real parts: a prompt, the worker with the embedded model, Blender, a file and its preview."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="There is no bpy in this Python.")


def scene(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the headless program in a folder, as the README's first command does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backend")]), "BLENDER_USER_RESOURCES": str(folder / "user")}
    command = [sys.executable, "-m", "jointdit_blender", "scene", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)


def test_a_prompt_becomes_a_scene_whose_preview_is_its_picture(tmp_path: Path) -> None:
    done = scene(tmp_path, "--out", "scene.blend", "--render", "preview.png", "--prompt", "a red cube", "--seed", "2", "--python", sys.executable)
    assert done.returncode == 0, done.stderr
    built = re.fullmatch(r"Built (\d+ \d{3}) vertices, \d+\.\d % of the faces torn: scene\.blend\n", done.stdout)
    assert built and 8000 < int(built[1].replace(" ", "")) <= 256 * 256, done.stdout
    assert "20/20" in done.stderr  # true steps were shown
    assert "passed over" not in done.stderr  # the extension knows every field that the backend writes
    (frame,) = (tmp_path / "frames").iterdir()
    with Image.open(frame / "image.png") as made, Image.open(tmp_path / "preview.png") as preview:
        assert min(preview.size) > 1000
        picture, seen = (np.asarray(x.convert("RGB").resize((64, 64), Image.Resampling.BOX), np.float32) for x in (made, preview))
        border = np.asarray(preview.convert("RGB"), np.float32)
    assert np.abs(picture - seen).mean() < 4  # of 255
    # No empty rim: the outermost pixels look like those three further in.
    for side in (border, border[::-1], border.swapaxes(0, 1), border[:, ::-1].swapaxes(0, 1)):
        assert np.abs(side[0] - side[3]).mean() < 4
    assert (tmp_path / "scene.blend").stat().st_size > 10_000
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "user") == ["frames", "preview.png", "scene.blend"]


def test_points_from_the_same_frame(tmp_path: Path) -> None:
    from frames import gradient, hills, make_frame

    frame = make_frame(tmp_path / "frame", hills(40, 30), rgb=gradient(40, 30))
    done = scene(tmp_path, "--frame", str(frame.folder), "--geometry", "points", "--out", "points.blend")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "points.blend").is_file() and "points" in done.stdout


def test_a_prompt_becomes_a_dome_that_shows_the_sphere(tmp_path: Path) -> None:
    words = ("--prompt", "a house on a green meadow", "--panorama", "sphere", "--steps", "3", "--size", "512x256", "--part", "front=a red cube")
    done = scene(tmp_path, *words, "--out", "dome.blend", "--render", "preview.png", "--python", sys.executable)
    assert done.returncode == 0, done.stderr
    assert "passed over" not in done.stderr
    (frame,) = (tmp_path / "frames").iterdir()
    with Image.open(frame / "image.png") as made, Image.open(tmp_path / "preview.png") as preview:
        assert made.size == (512, 256) and preview.width == 2 * preview.height
        picture, seen = (np.asarray(x.convert("RGB").resize((64, 32), Image.Resampling.BOX), np.float32) for x in (made, preview))
    assert np.abs(picture - seen).mean() < 4  # of 255: the dome's own camera sees the sphere
