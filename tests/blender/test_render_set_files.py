# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The captions of `render-set`, what it makes of broken, killed and stopped runs, and what it does to files: nothing."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402
from sets import ROOT, SMALL, Scene, abouts, run  # noqa: E402

from jointdit_blender.headless import command  # noqa: E402

# Captions


def test_captions_say_what_is_seen(tmp_path: Path) -> None:
    made = Scene()
    made.plane(name="Lawn")
    made.ball((0.0, 0.0, 0.5), 1.0, "Sphere.001", 3)
    made.box((2.5, 1.0, 1.0), (1.5, 1.5, 2.0), "Cube.002")
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.subdivide(number_cuts=2, smoothness=0.7)
    bpy.ops.object.mode_set(mode="OBJECT")
    made.box((0.0, 30.0, -20.0), (1.0, 1.0, 1.0), "Buried")
    made.box((-2.5, 1.0, 0.5), (1.0, 1.0, 1.0), "Marker").hide_render = True
    made.camera((0.0, -5.0, 7.0), (0.0, 0.0, 0.5), angle=70.0)
    made.scene.render.resolution_x = made.scene.render.resolution_y
    words = (made.save(tmp_path / "garden.blend"), *SMALL)
    assert run(*words, "--out", tmp_path / "a") == 0
    # A cube that was made into something else is no cube.
    assert (tmp_path / "a" / "garden-scene-camera-f0001-l00.txt").read_text() == "a lawn and a sphere, from above, wide angle\n"
    words = (made_again(tmp_path / "garden.blend", "Cube.002", "small house"), *SMALL)
    assert run(*words, "--out", tmp_path / "b", "--caption", "{file} with {objects}, {light}, {camera}, in our style") == 0
    assert next((tmp_path / "b").glob("*.txt")).read_text() == "garden with a lawn, a small house and a sphere, from above, wide angle, in our style\n"
    words = (made_again(tmp_path / "garden.blend", "Camera", "Anna's garden, {camera}"), *SMALL)
    assert run(*words, "--out", tmp_path / "c") == 0
    assert next((tmp_path / "c").glob("*.txt")).read_text() == "Anna's garden, from above, wide angle\n"


def made_again(path: Path, name: str, caption: str) -> Path:
    """The file with a custom property "caption" on one of its objects."""
    bpy.ops.wm.open_mainfile(filepath=str(path))
    bpy.data.objects[name]["caption"] = caption
    bpy.ops.wm.save_mainfile()
    return path


# Files


def simple(path: Path) -> Path:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    made = Scene()
    made.plane()
    made.ball((0.0, 0.0, 1.0), 1.0, smoothness=2)
    made.camera((0.0, -6.0, 2.0), (0.0, 0.0, 0.8))
    return made.save(path)


def test_files_are_never_changed_and_nothing_else_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "show"
    folder.mkdir()
    file = simple(folder / "Shot 010.blend")
    bpy.context.scene.render.filepath = "//frames/"
    script = bpy.data.texts.new("script.py")
    script.from_string(f"open({str(folder / 'ran')!r}, 'w').close()")
    script.use_module = True
    bpy.ops.wm.save_mainfile()
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert run(file, "--out", tmp_path / "{set} #1", *SMALL, "--lights", "2", "--path", "dolly", "--count", "2") == 0
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["show", "{set} #1"]
    names = sorted(path.name for path in (tmp_path / "{set} #1").iterdir())
    assert len(names) == 6 * 5 and all(name.startswith("shot-010-scene-camera-") for name in names)


def test_what_is_broken_is_told_and_the_rest_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = simple(tmp_path / "good.blend")
    torn = tmp_path / "torn.blend"
    torn.write_bytes(good.read_bytes()[:3000])
    text = tmp_path / "text.blend"
    text.write_text("no blend")
    bare = tmp_path / "bare.blend"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(bare))
    pink, part = tmp_path / "pink.blend", tmp_path / "part.blend"
    simple(pink)
    ground = bpy.data.objects["Ground"]
    ground.data.materials.append(bpy.data.materials.new("Painted"))
    if bpy.app.version < (5, 0, 0):
        ground.data.materials[0].use_nodes = True
    image = bpy.data.images.new("wood", 8, 8)
    image.filepath_raw, image.file_format = str(tmp_path / "wood.png"), "PNG"
    image.save()
    ground.data.materials[0].node_tree.nodes.new("ShaderNodeTexImage").image = bpy.data.images.load(str(tmp_path / "wood.png"))
    bpy.ops.wm.save_as_mainfile(filepath=str(pink))
    (tmp_path / "wood.png").unlink()
    library = simple(tmp_path / "library.blend")
    simple(part)
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.objects = ["Sphere"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    bpy.ops.wm.save_as_mainfile(filepath=str(part))
    library.unlink()
    files = (tmp_path / "none.blend", text, torn, bare, pink, part, good)
    capfd.readouterr()
    assert run(*files, "--out", tmp_path / "set", *SMALL, "--json") == 1
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["status"] for line in lines] == ["failed"] * 6 + ["done", "failed"] and lines[-1] | {"message": ""} == {
        "status": "failed", "exit": 1, "made": 1, "before": 0, "failed": 6, "message": ""
    }  # fmt: skip
    says = ("There is no file", "cannot be opened", "", "no scene with a camera", "the texture wood.png", "the library library.blend")
    for line, words in zip(lines, says, strict=False):
        assert words in line["message"] and line["message"].endswith(".") and "Traceback" not in line["message"]
    assert [name.split("-")[0] for name in abouts(tmp_path / "set")] == ["good"] and "Traceback" not in err
    assert run(pink, "--out", tmp_path / "set", *SMALL, "--allow-missing") == 0


def test_what_shows_nothing_is_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Scene()
    made.plane(9.0, Matrix.Translation((0.0, 5.0, 0.0)) @ Matrix.Rotation(math.pi / 2.0, 4, "X"), "Wall")
    made.camera((0.0, 2.0, 0.0), (0.0, 1.0, 9.0), name="Up")
    made.camera((0.0, 2.0, 0.0), (0.0, 5.0, 0.0), name="Ahead")
    assert run(made.save(tmp_path / "a.blend"), "--out", tmp_path / "set", *SMALL) == 0
    out, err = capfd.readouterr()
    assert "0 pictures made" in out and err.count("nothing but sky, or one flat wall") == 2 and list((tmp_path / "set").iterdir()) == []


def start(words: list[str], user: Path) -> subprocess.Popen[str]:
    """The program as a process, which Ctrl-C reaches as it would on a terminal."""
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(user), "PYTHONPATH": str(ROOT)}
    code = "import runpy, signal; signal.signal(2, signal.default_int_handler); runpy.run_module('jointdit_blender', run_name='__main__')"
    return subprocess.Popen([sys.executable, "-c", code, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def wait_for(out: Path, number: int, child: subprocess.Popen[str]) -> None:
    """Until so many pictures are there."""
    deadline = time.monotonic() + 60.0
    while len(list(out.glob("*.json"))) < number and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def test_a_run_that_was_killed_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file, out = simple(tmp_path / "long.blend"), tmp_path / "set"
    words = ["render-set", str(file), "--out", str(out), *SMALL, "--path", "orbit", "--count", "6", "--lights", "2"]
    child = start(words, tmp_path / "user")
    try:
        wait_for(out, 4, child)
    finally:
        child.kill()
        child.communicate()
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}
    assert 4 <= len(done) < 14
    assert command(words) == 0
    assert f"{14 - len(done)} pictures made, {len(done)} made before" in capfd.readouterr().out
    assert {name: (out / name).stat().st_mtime_ns for name in done} == done and len(abouts(out)) == 14
    assert not (out / ".unfinished").exists() and len(list(out.iterdir())) == 14 * 5
    # Other settings, or a file that was saved since, make them anew.
    assert command([*words, "--samples", "2", "--no-own"]) == 0
    assert "12 pictures made." in capfd.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C there without a console of its own")
def test_ctrl_c_ends_after_the_picture_at_hand(tmp_path: Path) -> None:
    out = tmp_path / "set"
    child = start(["render-set", str(simple(tmp_path / "long.blend")), "--out", str(out), *SMALL, "--path", "orbit", "--count", "60"], tmp_path / "user")
    try:
        wait_for(out, 2, child)
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=60.0)
    finally:
        child.kill()
    number = len(list(out.glob("*.json")))
    assert child.returncode == 130 and said.startswith("Stopped. ") and f": {number} pictures made; run the same command again" in said
    assert 2 <= number < 61 and len(list(out.iterdir())) == 5 * number, "complete pairs, and nothing else"


def test_the_backends_command_uses_the_module_where_there_is_no_program(tmp_path: Path) -> None:
    pytest.importorskip("click")
    pytest.importorskip("jointdit.cli")
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "backend")))
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": paths, "BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    words = ["render-set", simple(tmp_path / "a.blend"), "--out", tmp_path / "set", *SMALL]
    command = [sys.executable, "-c", "from jointdit.cli import main; main()", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120.0)
    assert (done.returncode, done.stdout) == (0, "1 file: 1 picture made.\n"), done.stderr
    assert list(abouts(tmp_path / "set")) == ["a-scene-camera-f0001-l00"]
