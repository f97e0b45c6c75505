# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python API, with the stand-in behind it; the examples of its page are run as they stand there."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames import gradient, hills, make_frame, write_png

bpy = pytest.importorskip("bpy")

from engine import standin  # noqa: E402

from jointdit_blender import api, preferences, registration  # noqa: E402
from jointdit_blender.core.pictures import write_exr  # noqa: E402
from jointdit_blender.core.wishes import Wishes  # noqa: E402
from jointdit_blender.headless import command  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/python-api.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder, and the stand-in as the generator."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("JOINTDIT_PYTHON", str(standin.write_interpreter(tmp_path)))


def said(frame: api.Frame) -> dict[str, Any]:
    """What the stand-in was asked for, as it wrote it down."""
    return json.loads((frame.folder / "frame.json").read_text())


# The page


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block {number}" for number in range(1, len(BLOCKS) + 1)])
def test_the_examples_of_the_page(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_png(Path("photo.png"), gradient(64, 48))
    np.save("depth.npy", np.linspace(3.0, 11.0, 48 * 64, dtype=np.float32).reshape(48, 64))
    exec(compile(block, "docs/python-api.md", "exec"), {"__name__": "example"})
    printed = capsys.readouterr().out
    written = re.findall(r'"([\w-]+\.(?:blend|png|glb))"', block)
    assert all(Path(name).stat().st_size > 100 for name in written)
    assert "castle" not in block or sorted(path.name for path in Path().glob("castle-*.blend")) == ["castle-0.blend", "castle-1.blend", "castle-2.blend"]
    assert "no such folder" not in block or "There is no frame folder" in printed
    assert "lighthouse" not in block or "128 128" in printed


def test_the_page_has_examples_and_names_every_function() -> None:
    assert len(BLOCKS) >= 4
    functions = [name for name in api.__all__ if inspect.isfunction(getattr(api, name)) or name == "Generator"]
    errors = [name for name in api.__all__ if name.endswith("Error")]
    assert [name for name in (*functions, *errors) if f"`{name}" not in PAGE and f"with {name}" not in PAGE] == []
    assert [wish for wish in Wishes.__annotations__ if f"`{wish}`" not in PAGE] == []


def test_everything_is_told_and_typed() -> None:
    for name in api.__all__:
        thing = getattr(api, name)
        assert name == "Progress" or inspect.getdoc(thing), name
        if inspect.isfunction(thing):
            assert inspect.signature(thing).return_annotation is not inspect.Signature.empty, name


def test_all_errors_have_one_base() -> None:
    errors = [getattr(api, name) for name in api.__all__ if name.endswith("Error")]
    assert len(errors) >= 8 and all(issubclass(error, api.JointDiTError) for error in errors)


# Generating


def test_what_is_wished_is_asked_for() -> None:
    heard = []
    frame = api.generate("a hill", seed=7, size=(48, 32), steps=3, guidance=2.5, near=1, far=9, horizontal_angle=70, on_progress=heard.append)
    asked = said(frame)
    assert (frame.width, frame.height, frame.prompt, frame.seed, frame.steps, frame.guidance, frame.task) == (48, 32, "a hill", 7, 3, 2.5, "joint")
    assert frame.mapping == api.NearFar(1.0, 9.0) and asked["camera"]["horizontal_angle"] == 70
    assert [news["step"] for news in heard if news["phase"] == "sampling"][-1] == 3
    assert frame.folder.parent == Path.cwd() / "frames"


def test_a_sphere_around_a_frame() -> None:
    front = api.generate("a hill", steps=1, output="fronts")
    frame = api.generate("a bay", panorama="sphere", parts={"up": "clouds"}, around=front.folder, views=6, size=(128, 64), steps=1)
    assert frame.camera.projection == "equirectangular" and front.folder.parent == Path.cwd() / "fronts"
    assert said(frame)["panorama"] == {"kind": "sphere", "parts": {"up": "clouds"}, "front": str(front.folder), "views": 6}


def test_the_task_follows_from_what_is_given() -> None:
    write_png(Path("photo.png"), gradient(64, 32))
    write_exr(Path("near.exr"), hills(64, 32))
    frames = [
        api.estimate_depth("photo.png", steps=1),
        api.generate(image="photo.png", steps=1),
        api.estimate_depth("photo.png", steps=1, task="panorama_depth"),
        api.paint("near.exr", "a castle", steps=1),
    ]
    assert [frame.task for frame in frames] == ["image_to_depth", "image_to_depth", "panorama_depth", "depth_to_image"]


def test_one_process_for_many_results_and_another_when_it_has_died() -> None:
    with api.Generator(output="made") as generator:
        first, second = (generator.generate("a hill", seed=seed, steps=1) for seed in (1, 2))
        with pytest.raises(api.WorkerError, match="stopped unexpectedly") as error:
            generator.generate("crash")
        assert "driver" in error.value.detail
        third = generator.generate("a hill", seed=3, steps=1)
    processes = [frame.folder.name.split("-")[2] for frame in (first, second, third)]
    assert processes[0] == processes[1] != processes[2]
    assert {frame.folder.parent for frame in (first, second, third)} == {Path.cwd() / "made"}


def test_warnings_of_the_generator_reach_the_script() -> None:
    assert any("prompt is long" in warning for warning in api.generate("hill " * 300, steps=1).warnings)


def test_what_cannot_be_done_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("blocked").write_text("no folder")
    for attempt, error in (
        (lambda: api.generate(" "), api.RequestError),
        (lambda: api.generate("a", size=5), api.RequestError),
        (lambda: api.generate("a", python="nowhere"), api.WorkerError),
        (lambda: api.generate("full"), api.WorkerError),
        (lambda: api.generate("crash", output="blocked"), api.FileError),
        (lambda: api.load("nowhere"), api.FrameError),
        (lambda: api.open_file("nowhere.blend"), api.FileError),
        (lambda: api.save("blocked/a.blend"), api.FileError),
        (lambda: api.render("a.png"), api.BuildError),
    ):
        with pytest.raises(error) as raised:
            attempt()
        assert isinstance(raised.value, api.JointDiTError) and str(raised.value).endswith("."), str(raised.value)
    with pytest.raises(TypeError, match="there is no wish sead"):
        api.generate("a", sead=3)


# Building


@pytest.fixture
def frame(tmp_path: Path) -> api.Frame:
    return make_frame(tmp_path / "frame", hills(32, 24))


def test_building_by_options_and_by_their_names(frame: api.Frame) -> None:
    built = api.build(frame.folder, api.BuildOptions(step=2, sky="keep"), geometry="points")
    assert (built.vertices, built.geometry) == (16 * 12, "points")
    with pytest.raises(TypeError, match="geometri"):
        api.build(frame, geometri="points")
    with pytest.raises(api.BuildError, match="must be one of"):
        api.build(frame, geometry="cube")


def test_in_another_scene(frame: api.Frame) -> None:
    other = bpy.data.scenes.new("Other")
    with bpy.context.temp_override(scene=other, view_layer=other.view_layers[0]):
        built = api.build(frame, context=bpy.context)
    assert built.object.name in other.objects and built.object.name not in bpy.context.scene.objects


def test_a_plain_mesh_for_a_moment(frame: api.Frame) -> None:
    built = api.build(frame)
    before = {item.name for item in bpy.data.objects}
    with api.plain(built, error=0.02) as baked:
        assert baked.vertices < built.vertices and not built.object.visible_get()
    assert {item.name for item in bpy.data.objects} == before and built.object.visible_get() and not built.object.hide_render
    with pytest.raises(ZeroDivisionError), api.plain(built):
        raise ZeroDivisionError
    assert {item.name for item in bpy.data.objects} == before
    assert api.export(built, "live.ply") == Path.cwd() / "live.ply" and api.export(api.bake(built), "baked.ply").is_file()
    assert {item.name for item in bpy.data.objects} > before
    assert Path("live.ply").read_bytes() == Path("baked.ply").read_bytes()


def test_saving_keeps_the_name_of_the_open_file_and_never_half_a_file(frame: api.Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    api.new_file()
    api.build(frame)
    saved = api.save("a/scene.blend")
    assert saved.is_file() and bpy.data.filepath == "" and [path.name for path in saved.parent.iterdir()] == ["scene.blend"]
    before = saved.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_paths: (_ for _ in ()).throw(OSError("the disk is gone")))
    with pytest.raises(api.FileError, match="the disk is gone"):
        api.save(saved)
    monkeypatch.undo()
    assert saved.read_bytes() == before and [path.name for path in saved.parent.iterdir()] == ["scene.blend"]
    api.open_file(saved)
    assert any("frame" in item for item in bpy.data.objects)


# Preferences


class Chosen:
    """As the add-on's preferences."""

    interpreter, model, output = "", " flux ", ""


def test_what_is_not_said_comes_from_the_preferences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Chosen()
    chosen.interpreter, chosen.output = str(tmp_path / "chosen" / "standin"), str(tmp_path / "results")
    monkeypatch.setattr(preferences, "preferences", lambda _context: chosen)
    with pytest.raises(api.WorkerError, match=r"no Python at .*chosen"):
        api.generate("a hill")
    (tmp_path / "chosen").mkdir()
    standin.write_interpreter(tmp_path / "chosen")
    monkeypatch.setenv("JOINTDIT_PYTHON", str(tmp_path / "gone"))
    asked = []
    monkeypatch.setattr(api.WorkerClient, "run", lambda _client, job, *_more: asked.append(job) or {"frame": str(standin.write_frame(job))})
    assert api.generate("a hill").folder.parent == tmp_path / "results"
    assert api.generate("a hill", model="embedded", output="here").folder.parent == Path.cwd() / "here"
    assert [job["model"] for job in asked] == ["flux", "embedded"]


def test_the_enabled_add_on_may_be_used_by_scripts_too(frame: api.Frame) -> None:
    registration.register()
    try:
        assert api.build(frame).vertices == 768
    finally:
        registration.unregister()


# The command line is made of it


def test_the_command_line_goes_through_the_api(frame: api.Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for name in ("load", "new_file", "build", "bake", "export", "render", "save"):
        real = getattr(api, name)
        monkeypatch.setattr(api, name, lambda *arguments, real=real, name=name, **more: called.append(name) or real(*arguments, **more))
    assert command(["scene", "--frame", str(frame.folder), "--out", "a.blend", "--render", "a.png", "--bake", "--export", "a.ply"]) == 0
    assert called == ["load", "new_file", "build", "bake", "export", "render", "save"]
