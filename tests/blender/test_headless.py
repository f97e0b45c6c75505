# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program without a window, called as its function and, once for each way to start it, as a process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from frames import gradient, hills, make_frame, write_png

bpy = pytest.importorskip("bpy")

from engine import standin  # noqa: E402

from jointdit_blender import active, api, preferences  # noqa: E402
from jointdit_blender.core.files import FileError  # noqa: E402
from jointdit_blender.core.frame import NearFar, ScaleShift, read_frame  # noqa: E402
from jointdit_blender.core.pictures import write_exr  # noqa: E402
from jointdit_blender.headless import command  # noqa: E402
from jointdit_blender.progress import ProgressLine, clock  # noqa: E402
from jointdit_blender.scene.modifier import get_input  # noqa: E402
from jointdit_blender.scene.options import BuildOptions  # noqa: E402
from jointdit_blender.scene.templates import TEMPLATES  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def frame_folder(tmp_path: Path) -> Path:
    return make_frame(tmp_path / "frame", hills(32, 24)).folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def failure(arguments: list[str | Path], capfd: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which the program fails."""
    assert command([str(argument) for argument in arguments]) == 1
    out, err = capfd.readouterr()
    sentences = [line for line in err.splitlines() if line.startswith("jointdit: ")]
    assert out == "" and len(sentences) == 1 and "Traceback" not in err
    assert sentences[0].endswith(".")
    return sentences[0]


@pytest.mark.parametrize("geometry", ["mesh", "points"])
def test_a_frame_becomes_a_file_of_its_own(frame_folder: Path, tmp_path: Path, geometry: str, capfd: pytest.CaptureFixture[str]) -> None:
    out, render = tmp_path / "result" / "scene.blend", tmp_path / "result" / "preview.png"
    arguments = ["scene", "--frame", frame_folder, "--out", out, "--render", render, "--geometry", geometry, "--near", "1", "--far", "9"]
    assert command([str(argument) for argument in arguments]) == 0
    line = capfd.readouterr().out
    assert line.startswith("Built 768 ") and line.endswith(f": {out}\n") and line.count("\n") == 1
    assert names(out.parent) == ["preview.png", "scene.blend"]
    # The file needs nothing beside it.
    for path in frame_folder.iterdir():
        path.unlink()
    bpy.ops.wm.open_mainfile(filepath=str(out))
    (relief,) = [item for item in bpy.data.objects if "frame" in item]
    evaluated = relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    data = evaluated.pointcloud if geometry == "points" else evaluated.mesh
    values = np.empty(3 * 768, np.float32)
    data.attributes["position"].data.foreach_get("vector", values)
    depth = -values.reshape(-1, 3)[:, 2]
    assert (depth.min(), depth.max()) == (pytest.approx(1.0, rel=1e-4), pytest.approx(9.0, rel=1e-4))
    assert bpy.context.scene.view_settings.view_transform == "Standard"
    assert bpy.context.scene.camera is not None


def scene(frame_folder: Path, out: Path, *more: str | Path) -> bpy.types.Object:
    """The frame in the file that the program makes."""
    assert command([str(argument) for argument in ("scene", "--frame", frame_folder, "--out", out, *more)]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    (relief,) = [item for item in bpy.data.objects if active.frame_modifier(item)]
    return relief


FLAGS = {
    "": {},
    "--torn cut --no-clean --no-back-layer --gamma 0.5": {"torn": "cut", "clean": False, "back_layer": False, "gamma": 0.5},
    "--torn keep --sky remove --sky-cutoff 0.25": {"torn": "keep", "sky": "remove", "sky_cutoff": 0.25},
    "--geometry dome --environment --step 2": {"geometry": "dome", "environment": True, "step": 2},
    "--geometry points --point-size 2 --link": {"geometry": "points", "point_size": 2.0, "pack": False},
    "--ground 1.5 --floor --relit": {"ground": 1.5, "floor": True, "relit": True},
    "--backdrop 7 --focal-length 35 --no-follow": {"backdrop": 7.0, "focal_length": 35.0, "follow": False},
    "--near 1 --far 5 --fov 70 --tear 0.2": {"near": 1.0, "far": 5.0, "horizontal_angle": 70.0, "tear": 0.2},
}


@pytest.mark.parametrize("flags", FLAGS)
def test_the_options_say_the_same_as_those_of_the_builder(frame_folder: Path, tmp_path: Path, flags: str) -> None:
    relief = scene(frame_folder, tmp_path / "scene.blend", *flags.split())
    assert BuildOptions.from_json(relief["jointdit_options"]) == replace(BuildOptions(), **FLAGS[flags])


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_those_of_the_panel_and_can_be_changed(frame_folder: Path, tmp_path: Path, template: str) -> None:
    relief = scene(frame_folder, tmp_path / "scene.blend", "--template", template.lower(), "--gamma", "0.7", "--no-clean")
    assert BuildOptions.from_json(relief["jointdit_options"]) == replace(TEMPLATES[template], gamma=0.7, clean=False)


def test_a_backdrop_has_a_camera_to_stand_behind(frame_folder: Path, tmp_path: Path) -> None:
    relief = scene(frame_folder, tmp_path / "scene.blend", "--backdrop", "7")
    assert relief.parent == bpy.context.scene.camera and not active.own_camera(relief)
    assert get_input(active.frame_modifier(relief), "Near") == pytest.approx(7.0)


def test_into_a_file_that_there_is(frame_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine, out = tmp_path / "mine.blend", tmp_path / "out.blend"
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    kept = bpy.data.objects.new("Kept", bpy.data.cameras.new("Kept"))
    bpy.context.scene.collection.objects.link(kept)
    bpy.context.scene.camera = kept
    bpy.context.scene.view_settings.view_transform = "AgX"
    bpy.ops.wm.save_as_mainfile(filepath=str(mine))
    before = mine.read_bytes()
    relief = scene(frame_folder, out, "--into", mine, "--backdrop", "3")
    assert relief.parent == bpy.data.objects["Kept"] and bpy.context.scene.view_settings.view_transform == "AgX"
    assert mine.read_bytes() == before and names(tmp_path) == ["frame", "mine.blend", "out.blend"]
    # Only who names it twice means it.
    scene(frame_folder, mine, "--into", mine)
    assert "Kept" in bpy.data.objects and mine.read_bytes() != before
    capfd.readouterr()
    assert "There is no file" in failure(["scene", "--frame", frame_folder, "--into", tmp_path / "no.blend", "--out", out], capfd)
    (tmp_path / "bad.blend").write_text("no blend")
    assert "cannot be opened" in failure(["scene", "--frame", frame_folder, "--into", tmp_path / "bad.blend", "--out", out], capfd)


@pytest.mark.parametrize("simplified", [False, True])
def test_a_plain_mesh_in_the_file(frame_folder: Path, tmp_path: Path, simplified: bool) -> None:
    relief = scene(frame_folder, tmp_path / "scene.blend", "--bake", *(["2"] if simplified else []))
    (plain,) = [item for item in bpy.data.objects if item.type == "MESH" and not item.modifiers and len(item.data.vertices)]
    whole = len(relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices)
    assert (len(plain.data.vertices) < whole) if simplified else (len(plain.data.vertices) == whole)


READERS = {
    ".glb": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    ".ply": lambda path: bpy.ops.wm.ply_import(filepath=path),
    ".usd": lambda path: bpy.ops.wm.usd_import(filepath=path),
    ".usdc": lambda path: bpy.ops.wm.usd_import(filepath=path),
    ".obj": lambda path: bpy.ops.wm.obj_import(filepath=path),
}


def test_files_for_other_programs(frame_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    exports = [argument for kind in READERS for argument in ("--export", tmp_path / "sub" / f"hills{kind}")]
    relief = scene(frame_folder, tmp_path / "scene.blend", *exports, "--torn", "cut", "--no-back-layer")
    assert relief.visible_get() and not [item for item in bpy.data.objects if item.type == "MESH" and not item.modifiers], "only the files were wished"
    said, _read = capfd.readouterr().out.splitlines()
    assert said.startswith("Built 768 vertices") and "Baked 768 vertices" in said
    vertices = len(relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices)
    # What is read back must not need the frame.
    for path in frame_folder.iterdir():
        path.unlink()
    for kind, read in READERS.items():
        bpy.ops.wm.read_factory_settings(use_empty=True)
        read(str(tmp_path / "sub" / f"hills{kind}"))
        (item,) = [item for item in bpy.data.objects if item.type == "MESH"]
        assert len(item.data.vertices) == vertices and item.data.uv_layers, kind
        if kind != ".ply":
            assert item.active_material, kind
            textures = [node.image for node in item.active_material.node_tree.nodes if node.type == "TEX_IMAGE"]
            assert textures and all(texture.has_data or min(texture.size) > 1 for texture in textures), kind
            assert {tuple(texture.size) for texture in textures} == {(32, 24)}, kind


def test_a_prompt(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = standin.write_interpreter(tmp_path)
    out = tmp_path / "result" / "scene.blend"
    arguments = ["scene", "--prompt", "a green hill", "--size", "48x32", "--seed", "7", "--steps", "3", "--fov", "60", "--far", "20"]
    arguments += ["--sky", "keep", "--torn", "keep", "--no-clean"]
    assert command([*arguments, "--python", str(program), "--out", str(out)]) == 0
    outputs = capfd.readouterr()
    assert outputs.out.startswith("Built 1 536 vertices")
    assert "sampling 3/3" in outputs.err
    (folder,) = (out.parent / "frames").iterdir()
    frame = read_frame(folder)
    assert (frame.width, frame.height, frame.seed, frame.steps, frame.prompt) == (48, 32, 7, 3, "a green hill")
    assert frame.mapping == NearFar(2.0, 20.0) and frame.camera.horizontal_angle == 60.0


def test_the_backend_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = standin.write_interpreter(tmp_path)
    out = tmp_path / "result" / "scene.blend"
    assert "full" in failure(["scene", "--prompt", "full", "--python", program, "--out", out], capfd)
    assert "prompt is empty" in failure(["scene", "--prompt", " ", "--python", program, "--out", out], capfd)
    assert "no Python" in failure(["scene", "--prompt", "a hill", "--python", tmp_path / "nothing", "--out", out], capfd)
    assert [name for name in names(out.parent) if name != "frames"] == []


@pytest.mark.parametrize("kind", ["exr", "npy", "png"])
def test_two_pictures(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    values = hills(40, 30) * 5.0 + 1.0
    values[3:6, 7:9] = np.nan
    write_png(tmp_path / "photo.png", gradient(40, 30))
    disparity = tmp_path / f"near.{kind}"
    if kind == "exr":
        write_exr(disparity, values, channel="V")
    elif kind == "npy":
        np.save(disparity, values.astype(np.float64))
    else:
        values = np.nan_to_num(values)
        picture = bpy.data.images.new("depth", 40, 30, alpha=False, float_buffer=True)
        picture.colorspace_settings.name = "Non-Color"
        picture.pixels.foreach_set(np.dstack([values[::-1] / 6.0] * 3 + [np.ones_like(values)]).astype(np.float32).ravel())
        settings = bpy.context.scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "16"
        bpy.context.scene.view_settings.view_transform = "Raw"
        picture.save_render(str(disparity))
    arguments = ["scene", "--image", tmp_path / "photo.png", "--disparity", disparity, "--out", tmp_path / "scene.blend", "--near", "3"]
    assert command([str(argument) for argument in arguments]) == 0
    assert "stretched" in capfd.readouterr().err or kind == "png"
    frame = read_frame(tmp_path / "frames" / "photo")
    assert frame.task == "imported" and frame.mapping == NearFar(3.0, 40.0)
    loaded = bpy.data.images.load(str(frame.disparity))
    found = np.empty(40 * 30 * loaded.channels, np.float32)
    loaded.pixels.foreach_get(found)
    found = found.reshape(30, 40, -1)[::-1, :, 0]
    expected = (values - np.nanmin(values)) / (np.nanmax(values) - np.nanmin(values))
    np.testing.assert_allclose(found, expected, atol=1e-6 if kind != "png" else 3e-4)


def test_metric_pictures_are_taken_as_they_are(tmp_path: Path) -> None:
    write_png(tmp_path / "photo.png", gradient(40, 30))
    values = (hills(40, 30) * 50.0 + 7.0).astype(np.float32)
    np.save(tmp_path / "d.npy", values)
    arguments = ["scene", "--image", tmp_path / "photo.png", "--disparity", tmp_path / "d.npy", "--out", tmp_path / "s.blend"]
    arguments += ["--scale", "0.005", "--shift", "0.16", "--focal", "40", "--principal-point", "18", "16"]
    assert command([str(argument) for argument in arguments]) == 0
    frame = read_frame(tmp_path / "frames" / "photo")
    assert frame.mapping == ScaleShift(0.005, 0.16) and frame.warnings == ()
    assert frame.camera.horizontal_angle == pytest.approx(2 * np.degrees(np.arctan(0.5)))
    assert frame.camera.principal_point == pytest.approx((18 / 40, 16 / 30))


def test_pictures_that_cannot_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_png(tmp_path / "photo.png", gradient(40, 30))
    write_png(tmp_path / "dot.png", gradient(1, 1))
    (tmp_path / "text.png").write_text("I am a text file")
    np.save(tmp_path / "other.npy", hills(41, 30))
    np.save(tmp_path / "dot.npy", np.ones((1, 1)))
    np.save(tmp_path / "holes.npy", np.full((30, 40), np.nan))
    np.save(tmp_path / "color.npy", np.ones((30, 40, 3)))
    with (tmp_path / "archive.npy").open("wb") as file:
        np.savez(file, a=np.ones((30, 40)))
    np.save(tmp_path / "objects.npy", np.array([{}, "code"], dtype=object), allow_pickle=True)
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    for image, disparity, words in (
        ("photo.png", "other.npy", "41 x 30 pixels, but photo.png is 40 x 30"),
        ("dot.png", "dot.npy", "at least 2 x 2"),
        ("photo.png", "holes.npy", "every pixel is a hole"),
        ("photo.png", "color.npy", "one number a pixel"),
        ("photo.png", "archive.npy", "archive of arrays"),
        ("photo.png", "objects.npy", "cannot be read as a NumPy array"),
        ("photo.png", "broken.npy", "cannot be read as a NumPy array"),
        ("text.png", "other.npy", "damaged"),
        ("photo.png", "text.png", "damaged"),
        ("nothing.png", "other.npy", "There is no file"),
    ):
        out = tmp_path / "result" / "scene.blend"
        assert words in failure(["scene", "--image", tmp_path / image, "--disparity", tmp_path / disparity, "--out", out], capfd)
        assert names(tmp_path / "result") in ([], ["frames"]) and names(tmp_path / "result" / "frames") == []


def test_unusable_places(frame_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = standin.write_interpreter(tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    # Found out before the backend is started: "crash" would be another sentence.
    for where in (["--out", blocked / "scene.blend"], ["--out", tmp_path / "s.blend", "--output", blocked]):
        assert "choose another folder" in failure(["scene", "--prompt", "crash", "--python", program, *where], capfd)
    assert "choose another folder" in failure(["scene", "--frame", frame_folder, "--out", tmp_path / ("x" * 300) / "s.blend"], capfd)
    (tmp_path / "folder.blend").mkdir()
    assert "is a folder" in failure(["scene", "--frame", frame_folder, "--out", tmp_path / "folder.blend"], capfd)
    assert "no frame folder" in failure(["scene", "--frame", tmp_path / "nowhere", "--out", tmp_path / "s.blend"], capfd)
    assert not (tmp_path / "s.blend").exists()


def test_a_failed_build_leaves_the_old_file(frame_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scene.blend"
    out.write_bytes(b"yesterday's work")
    failure(["scene", "--frame", frame_folder, "--out", out, "--near", "50", "--far", "5"], capfd)
    assert out.read_bytes() == b"yesterday's work"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["scene"],
        ["scene", "--prompt", "a", "--frame", "b", "--out", "c.blend"],
        ["scene", "--image", "a.png", "--out", "c.blend"],
        ["scene", "--frame", "a", "--out", "c.txt"],
        ["scene", "--frame", "a", "--out", "c.blend", "--near", "nan"],
        ["scene", "--frame", "a", "--out", "c.blend", "--step", "0"],
        ["scene", "--prompt", "a", "--out", "c.blend", "--size", "12x"],
        ["scene", "--prompt", "a", "--out", "c.blend", "--size", "1x2x3"],
        ["scene", "--image", "a", "--disparity", "b", "--out", "c.blend", "--scale", "1", "--near", "2"],
        ["scene", "--frame", "a", "--out", "c.blend", "--torn", "apart"],
        ["scene", "--frame", "a", "--out", "c.blend", "--sky-cutoff", "1"],
        ["scene", "--frame", "a", "--out", "c.blend", "--focal-length", "35"],
        ["scene", "--frame", "a", "--out", "c.blend", "--backdrop", "3", "--ground", "2"],
        ["scene", "--frame", "a", "--out", "c.blend", "--export", "c.stl"],
        ["scene", "--frame", "a", "--out", "c.blend", "--template", "cellar"],
        ["scene", "--frame", "a", "--out", "c.blend", "--bake", "-1"],
    ],
)
def test_wrong_usage(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert command(arguments) == 2
    assert "usage:" in capfd.readouterr().err


def test_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert command(["scene", "--help"]) == 0
    assert "--prompt" in capfd.readouterr().out


def run(*command_line: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *map(str, command_line)], capture_output=True, text=True, timeout=300, env=environment, cwd=ROOT)


def test_as_a_module_and_as_a_script(frame_folder: Path, tmp_path: Path) -> None:
    done = run("-m", "jointdit_blender", "scene", "--frame", frame_folder, "--out", tmp_path / "a.blend")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1) and (tmp_path / "a.blend").is_file(), done.stderr
    failed = run(ROOT / "jointdit_blender" / "headless.py", "--", "scene", "--frame", tmp_path, "--out", tmp_path / "b.blend")
    assert failed.returncode == 1 and "holds no frame" in failed.stderr and "Traceback" not in failed.stderr


def test_progress_line() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    sampling = {"phase": "sampling", "step": 1, "total": 2}
    messages = [{"phase": "loading", "step": 0, "total": 0}, sampling, sampling]
    log, terminal = io.StringIO(), Terminal()
    for stream in (log, terminal):
        with ProgressLine(stream) as progress:
            for message in messages:
                progress.show(message)
    assert log.getvalue() == "loading\n[############............] sampling 1/2\n"
    assert terminal.getvalue() == "\rloading\r[############............] sampling 1/2\n"


@pytest.mark.parametrize("sky", [np.inf, 1e10, None])
def test_a_depth_in_meters_is_taken_as_it_is(tmp_path: Path, sky: float | None) -> None:
    distance = np.linspace(3.0, 11.0, 24 * 32, dtype=np.float32).reshape(24, 32)
    if sky is not None:
        distance[:5] = sky
    write_png(tmp_path / "photo.png", gradient(32, 24))
    np.save(tmp_path / "depth.npy", distance)
    plain = ("--torn", "cut", "--no-clean", "--no-back-layer", "--sky", "keep", "--geometry", "points")
    pictures = ("--image", str(tmp_path / "photo.png"), "--depth", str(tmp_path / "depth.npy"))
    assert command(["scene", *pictures, "--out", str(tmp_path / "scene.blend"), *plain]) == 0
    (relief,) = [item for item in bpy.data.objects if active.frame_modifier(item)]
    evaluated = relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    values = np.empty(3 * len(evaluated.pointcloud.points), np.float32)
    evaluated.pointcloud.attributes["position"].data.foreach_get("vector", values)
    expected = distance[np.isfinite(distance) & (distance < 1e9)]
    np.testing.assert_allclose(np.sort(-values.reshape(-1, 3)[:, 2]), np.sort(expected), rtol=1e-4)


# For programs


def told(capfd: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The one line of standard output, as a program reads it."""
    (line,) = capfd.readouterr().out.splitlines()
    return json.loads(line)


def test_json(frame_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, render = tmp_path / "scene.blend", tmp_path / "scene.png"
    assert command(["scene", "--frame", str(frame_folder), "--out", str(out), "--render", str(render), "--export", str(tmp_path / "a.ply"), "--json"]) == 0
    said = told(capfd)
    assert said.pop("seconds") > 0.0 and str(said.pop("message")).startswith("Built 768 vertices")
    assert said == {
        **{"status": "done", "exit": 0, "out": str(out), "outputs": [str(out), str(render), str(tmp_path / "a.ply")]},
        **{"frame": str(frame_folder), "vertices": 768, "warnings": []},
    }


def test_json_of_a_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["scene", "--frame", str(tmp_path / "nowhere"), "--out", str(tmp_path / "scene.blend"), "--json"]
    assert command(words) == 1
    said = told(capfd)
    assert (said["status"], said["exit"]) == ("failed", 1) and "no frame folder" in str(said["message"])
    assert command([*words, "--near", "nan"]) == 2
    assert told(capfd) == {"status": "failed", "exit": 2, "message": "argument --near: nan is not a number."}

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jointdit_blender.making.make_scene", interrupted)
    assert command(words) == 130
    assert (said := told(capfd))["status"] == "stopped" and said["exit"] == 130


def test_json_tells_what_was_warned_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_png(tmp_path / "photo.png", gradient(40, 30))
    np.save(tmp_path / "near.npy", hills(40, 30) * 5.0)
    pictures = ["--image", str(tmp_path / "photo.png"), "--disparity", str(tmp_path / "near.npy")]
    assert command(["scene", *pictures, "--out", str(tmp_path / "scene.blend"), "--json"]) == 0
    (warning,) = told(capfd)["warnings"]
    assert "stretched" in warning


def test_a_photograph_and_a_depth_to_follow(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = str(standin.write_interpreter(tmp_path))
    write_png(tmp_path / "photo.png", gradient(40, 30))
    write_exr(tmp_path / "near.exr", hills(40, 30))
    for source, task in ((["--photo", "photo.png"], "image_to_depth"), (["--prompt", "a castle", "--disparity", "near.exr"], "depth_to_image")):
        words = [str(tmp_path / word) if "." in word else word for word in source]
        assert command(["scene", *words, "--python", program, "--steps", "1", "--out", str(tmp_path / "scene.blend"), "--json"]) == 0
        assert read_frame(Path(str(told(capfd)["frame"]))).task == task


def test_remaining_time_is_shown_once_it_is_known() -> None:
    log = io.StringIO()
    with ProgressLine(log, "row 1 of 2") as progress:
        progress.show({"phase": "loading", "step": 0, "total": 1, "elapsed": 1.0})
        for step in range(5):
            progress.show({"phase": "sampling", "step": step, "total": 40, "elapsed": 5.0 + 2.0 * step})
    lines = log.getvalue().splitlines()
    assert lines[1].endswith("sampling 0/40") and lines[-1] == "row 1 of 2: [##......................] sampling 4/40, 1:12 left"
    assert [clock(seconds) for seconds in (7.4, 59.6, 750, 3723)] == ["0:07", "1:00", "12:30", "1:02:03"]


# The doctor


def doctor(tmp_path: Path, program: str) -> Path:
    """A program that is called as the backend's Python is, and does this."""
    script = tmp_path / "physician.py"
    script.write_text(program)
    return standin.write_interpreter(tmp_path, script=script)


def test_the_doctor_passes_on_what_the_generator_says(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    program = doctor(tmp_path, "import sys; print('ok   device: a card'); print(sys.argv[1:]); sys.exit(0)")
    monkeypatch.delenv("JOINTDIT_PYTHON", raising=False)
    assert command(["doctor", "--python", str(program)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith(f"ok   Blender: {bpy.app.version_string}, with Python 3.") and lines[1].startswith("ok   extension: JointDiT ")
    assert lines[2:] == [f"ok   interpreter: {program}, chosen by --python", "ok   device: a card", "['-m', 'jointdit.cli', 'doctor']"]
    monkeypatch.setenv("JOINTDIT_PYTHON", str(doctor(tmp_path, "import sys; print('BAD  memory: little'); sys.exit(1)")))
    assert command(["doctor"]) == 1
    out = capfd.readouterr().out
    assert "named by the variable JOINTDIT_PYTHON" in out and out.endswith("BAD  memory: little\n")


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import sys; sys.exit('/usr/bin/python: No module named jointdit')", "starts, but does not have the package jointdit: press Set Up"),
        ("import sys; sys.exit(3)", "does not start the image generator (exit code 3): it said nothing"),
        ("import sys; print('libc is too old', file=sys.stderr); sys.exit(127)", "(exit code 127): libc is too old"),
        (None, "There is no Python at"),
    ],
)
def test_the_doctor_says_what_is_bad(tmp_path: Path, program: str | None, says: str, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = tmp_path / "nowhere" if program is None else doctor(tmp_path, program)
    assert command(["doctor", "--python", str(chosen)]) == 1
    outputs = capfd.readouterr()
    assert outputs.out.splitlines()[-1].startswith("BAD  image generator: ") and says in outputs.out and "Traceback" not in outputs.err


def test_without_a_generator_the_doctor_says_how_to_get_one(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOINTDIT_PYTHON", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert command(["doctor"]) == 1
    assert "BAD  image generator: The image generator is not set up" in capfd.readouterr().out


def test_a_picture_and_its_file_are_of_one_make(frame_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    render = tmp_path / "made" / "scene.png"
    render.parent.mkdir()
    render.write_bytes(b"yesterday's picture")

    def refuse(_path: Path) -> None:
        raise FileError("The disk is full; free some space.")

    monkeypatch.setattr(api, "save", refuse)
    assert "disk is full" in failure(["scene", "--frame", frame_folder, "--out", tmp_path / "made" / "scene.blend", "--render", render, "--step", "8"], capfd)
    assert names(render.parent) == ["scene.png"] and render.read_bytes() == b"yesterday's picture"


@pytest.mark.parametrize(
    ("state", "code", "says"),
    [
        ("chosen", 0, "chosen in the add-on's preferences"),
        ("installed", 0, "installed by the add-on"),
        ("outdated", 1, "BAD  installation: Update it."),
        ("unfinished", 1, "BAD  installation: Update it."),
        ("found", 0, "named by the variable JOINTDIT_PYTHON"),
    ],
)
def test_the_doctor_says_why_it_is_this_python(
    state: str, code: int, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOINTDIT_PYTHON", str(doctor(tmp_path, "")))
    monkeypatch.setattr(preferences, "engine", lambda _context: preferences.Engine(state, "Update it."))
    assert command(["doctor"]) == code
    assert says in capfd.readouterr().out
