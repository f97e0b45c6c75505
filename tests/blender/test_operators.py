# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators as a script calls them, and the session as the timer drives it; the worker is a real process (`engine.standin`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engine import standin
from engine.patience import PATIENCE

bpy = pytest.importorskip("bpy")

import jointdit_blender  # noqa: E402
from jointdit_blender import api, arriving, headless, session  # noqa: E402
from jointdit_blender.core.worker import WorkerClient, WorkerError  # noqa: E402
from jointdit_blender.operators.generate import from_settings  # noqa: E402
from jointdit_blender.scene.options import BuildOptions  # noqa: E402
from jointdit_blender.scene.templates import TEMPLATES  # noqa: E402
from jointdit_blender.settings import TEMPLATE_ITEMS  # noqa: E402


@pytest.fixture(autouse=True)
def blender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new file, JointDiT registered, and the stand-in as the backend's Python."""
    monkeypatch.setenv("JOINTDIT_PYTHON", str(standin.write_interpreter(tmp_path)))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    jointdit_blender.register()
    settings = bpy.context.scene.jointdit
    settings.prompt, settings.quality, settings.steps, settings.seed = "a green hill", "CUSTOM", 3, 5
    # Every pixel becomes a vertex.
    settings.sky, settings.torn, settings.clean, settings.back_layer = "KEEP", "KEEP", False, False
    yield
    jointdit_blender.unregister()


def order() -> session.Order:
    """What a click on Generate would queue."""
    return from_settings(bpy.context)[0]


def built() -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if "frame" in item]


def drive(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """What the timer does in a window."""
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        session.current().advance()
        time.sleep(0.02)


def rows() -> list[bpy.types.PropertyGroup]:
    return list(bpy.context.window_manager.jointdit.jobs)


def frame_folder(tmp_path: Path, **more: object) -> Path:
    return standin.write_frame({"output": str(tmp_path), "prompt": "made by hand", "task": "imported", **more})


def test_generate_builds_the_result_and_makes_it_active() -> None:
    assert bpy.ops.jointdit.generate() == {"FINISHED"}
    (relief,) = built()
    assert (relief["prompt"], relief["seed"], bpy.context.view_layer.objects.active, relief.select_get()) == ("a green hill", 5, relief, True)
    mesh = relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    assert len(mesh.vertices) == 64 * 48
    assert bpy.context.scene.camera is not None
    (row,) = rows()
    assert (row.state, row.finished, row.title) == ("done", True, "a green hill") and "3 072 vertices" in row.message


def test_the_settings_reach_the_frame() -> None:
    settings = bpy.context.scene.jointdit
    settings.use_size, settings.width, settings.height = True, 32, 16
    settings.near, settings.far, settings.build = 1.5, 9.0, "POINTS"
    settings.horizontal_angle = 1.0
    bpy.ops.jointdit.generate()
    (relief,) = built()
    geometry = relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    cloud = geometry.pointcloud
    assert len(cloud.points) == 32 * 16
    depths = sorted(-point.co.z for point in cloud.points)
    assert depths[0] == pytest.approx(1.5, rel=1e-4) and depths[-1] == pytest.approx(9.0, rel=1e-4)
    assert bpy.data.cameras[0].angle_x == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"prompt": "  "}, "the prompt is empty"),
        ({"task": "IMAGE"}, "Choose the picture first"),
        ({"task": "DEPTH"}, "Choose the depth picture first"),
        ({"near": 5.0, "far": 4.0}, "Near must be smaller than far"),
    ],
)
def test_a_greyed_button_says_why(values: dict[str, object], words: str) -> None:
    for name, value in values.items():
        setattr(bpy.context.scene.jointdit, name, value)
    assert not bpy.ops.jointdit.generate.poll()
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.jointdit.generate()


def test_a_picture_that_is_gone_is_a_sentence_and_no_job() -> None:
    settings = bpy.context.scene.jointdit
    settings.task, settings.image = "IMAGE", "//gone.png"
    with pytest.raises(RuntimeError, match=r"There is no file .*gone\.png"):
        bpy.ops.jointdit.generate()
    assert rows() == [] and session.current().worker.pid is None


def test_a_picture_becomes_depth(tmp_path: Path) -> None:
    picture = frame_folder(tmp_path) / "image.png"
    settings = bpy.context.scene.jointdit
    settings.task, settings.image, settings.prompt = "IMAGE", str(picture), ""
    assert bpy.ops.jointdit.generate() == {"FINISHED"}
    assert built()[0]["task"] == "image_to_depth" and rows()[0].title == "image.png"


@pytest.mark.parametrize(("prompt", "words"), [("crash", "stopped unexpectedly"), ("full", "The disk is full"), ("defect", "has a defect")])
def test_what_goes_wrong_stands_in_the_row_and_in_the_report(prompt: str, words: str) -> None:
    bpy.context.scene.jointdit.prompt = prompt
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.jointdit.generate()
    (row,) = rows()
    assert row.state == "failed" and words in row.message and not built()
    report = session.current().find(row.job_id).report()
    assert words in report and bpy.app.version_string in report and len(report.splitlines()) > 5
    bpy.ops.jointdit.clear_jobs()
    assert rows() == []
    bpy.context.scene.jointdit.prompt = "a hill"
    assert bpy.ops.jointdit.generate() == {"FINISHED"}


def test_without_a_backend_the_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOINTDIT_PYTHON", str(tmp_path / "nowhere"))
    with pytest.raises(RuntimeError, match=r"There is no Python at .*nowhere.*choose the one that has the package jointdit"):
        bpy.ops.jointdit.generate()


def test_the_row_follows_the_steps_and_the_result_is_built_when_it_arrives() -> None:
    bpy.context.scene.jointdit.steps = 60
    session.current().start(bpy.context, [order()])[0]
    seen = set()

    def done() -> bool:
        seen.add((rows()[0].phase, rows()[0].step, rows()[0].total))
        return rows()[0].finished

    drive(done)
    assert len([step for phase, step, total in seen if phase == "sampling" and total == 60]) > 5 and len(built()) == 1


def test_two_jobs_wait_for_each_other_and_one_is_cancelled() -> None:
    bpy.context.scene.jointdit.steps = 1000
    first, second = session.current().start(bpy.context, [order()])[0], session.current().start(bpy.context, [order()])[0]
    drive(lambda: rows()[0].step > 1)
    assert [row.state for row in rows()] == ["running", "waiting"]
    bpy.ops.jointdit.cancel(job=first.job.id)
    bpy.ops.jointdit.cancel(job=second.job.id)
    assert [row.state for row in rows()] == ["cancelling", "cancelled"]
    drive(lambda: rows()[0].finished, 2.0)
    assert [row.state for row in rows()] == ["cancelled", "cancelled"] and not built() and rows()[0].message == ""


def test_a_job_survives_the_loading_of_a_file(tmp_path: Path) -> None:
    bpy.context.scene.jointdit.steps = 40
    session.current().start(bpy.context, [order()])[0]
    drive(lambda: rows()[0].step > 1)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "kept.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "kept.blend"))
    assert len(rows()) == 1 and bpy.context.scene.jointdit.prompt == "a green hill"
    drive(lambda: rows()[0].finished)
    assert len(built()) == 1


def test_a_scene_that_is_gone_does_not_lose_the_result() -> None:
    doomed = bpy.data.scenes.new("Doomed")
    with bpy.context.temp_override(scene=doomed):
        doomed.jointdit.prompt = "a hill"
        session.current().start(bpy.context, [order()])[0]
    bpy.data.scenes.remove(doomed)
    drive(lambda: rows()[0].finished)
    assert "“Doomed” is gone" in rows()[0].message and rows()[0].state == "failed" and not built()
    folder = rows()[0].message.split(" kept in ")[1].rstrip(".")
    assert bpy.ops.jointdit.build_frame(filepath=folder) == {"FINISHED"}


def test_a_result_goes_to_the_scene_it_was_asked_for() -> None:
    other = bpy.data.scenes.new("Other")
    with bpy.context.temp_override(scene=other):
        other.jointdit.prompt = "a hill"
        session.current().start(bpy.context, [order()])[0]
    drive(lambda: rows()[0].finished)
    assert built()[0].name in other.objects and not bpy.context.scene.objects


def test_what_hides_the_picture_is_hidden_and_a_room_around_it_is_not() -> None:
    """As the cube of a new file: from inside of it one would see nothing else."""

    def cube(x: float, y: float, z: float, size: float = 2.0) -> bpy.types.Object:
        bpy.ops.mesh.primitive_cube_add(location=(x, y, z), size=size)
        return bpy.context.object

    around, aside, room = cube(0.2, 0.0, 0.1), cube(0.0, 3.0, 0.0), cube(0.0, 0.0, 0.0, 20.0)
    bpy.ops.mesh.primitive_plane_add(location=(0.0, 0.0, 0.0))
    flat = bpy.context.object
    bpy.ops.object.camera_add()
    camera, scene = bpy.context.object, bpy.context.scene
    assert arriving.hide_around(scene, camera, near=1.5) == [], "a part of it is farther than the picture begins"
    assert arriving.hide_around(scene, camera, near=2.0) == [around.name]
    assert (around.hide_get(), around.hide_render) == (True, True)
    assert not any(item.hide_get() or item.hide_render for item in (aside, room, flat, camera))
    assert arriving.hide_around(scene, camera, near=2.0) == [] and arriving.hide_around(scene, None, near=2.0) == []


def test_a_result_does_not_land_in_another_file(tmp_path: Path) -> None:
    """Every file has a “Scene”."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "mine.blend"))
    (run,) = session.current().start(bpy.context, [order()])
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    drive(lambda: run.closed)
    assert not built() and "Another file was opened" in rows()[0].message and rows()[0].state == "done" and not run.failed
    # Reading the same file again, as Revert does, is no other file; and saving it is none either.
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "mine.blend"))
    (run,) = session.current().start(bpy.context, [order()])
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "mine.blend"))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "renamed.blend"))
    drive(lambda: run.closed)
    assert len(built()) == 1 and run.object_name


def test_in_edit_mode_the_result_waits() -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    session.current().start(bpy.context, [order()])[0]
    drive(lambda: "Object Mode" in rows()[0].message)
    assert not built() and rows()[0].state == "building"
    bpy.ops.object.mode_set(mode="OBJECT")
    drive(lambda: rows()[0].finished)
    assert len(built()) == 1


def test_a_result_that_waits_may_be_given_up_and_stays_on_disk() -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    run = session.current().start(bpy.context, [order()])[0]
    drive(lambda: "Object Mode" in rows()[0].message)
    bpy.ops.jointdit.cancel(job=run.job.id)
    assert (rows()[0].state, rows()[0].finished) == ("cancelled", True)
    assert run.job.result["frame"] in rows()[0].message and Path(run.job.result["frame"]).is_dir() and not built()
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_defect_of_the_builder_is_told_and_the_next_job_is_built(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    builders = [api.build_frame]

    def fails_once(*arguments: object) -> object:
        monkeypatch.setattr(api, "build_frame", builders[0])
        raise RuntimeError("Error: the node tree is a knot \ud83d")

    monkeypatch.setattr(api, "build_frame", fails_once)
    current = session.current()
    first, second = current.start(bpy.context, [order()])[0], current.start(bpy.context, [order()])[0]
    end = time.monotonic() + 20 * PATIENCE
    # The timer itself, which Blender would take away if it raised.
    while current.busy:
        session._tick()
        assert time.monotonic() < end
        time.sleep(0.02)
    assert [row.state for row in rows()] == ["failed", "done"] and len(built()) == 1 and second.object_name
    assert "could not be built" in rows()[0].message and first.job.result["frame"] in rows()[0].message
    assert "RuntimeError: Error: the node tree is a knot" in first.report() and "fails_once" in first.report()
    assert "RuntimeError" in capsys.readouterr().err


@pytest.mark.parametrize("odd", [{"elapsed": 1e400, "step": 10**400}, {"phase": "half \ud83d"}, {"elapsed": "long", "step": None, "total": 1e400}])
def test_odd_progress_can_be_shown(odd: dict[str, object]) -> None:
    run = session.current().start(bpy.context, [order()])[0]
    run.job.advance(odd)
    session.current().show()
    assert len(rows()) == 1
    run.job.fail("It failed \ud83d.")
    session.current()._settle()
    assert rows()[0].message == "It failed ?."


@pytest.mark.parametrize(("transform", "told"), [("Standard", False), ("AgX", True)])
def test_a_view_transform_that_changes_the_picture_is_told(transform: str, told: bool) -> None:
    bpy.context.scene.view_settings.view_transform = transform
    bpy.ops.jointdit.generate()
    assert rows()[0].message.endswith("set Render > Color Management > View Transform to Standard.") is told


def test_guidance_is_the_models_own_unless_it_is_chosen(tmp_path: Path) -> None:
    settings = bpy.context.scene.jointdit
    settings.guidance = 7.0
    assert "guidance" not in settings.request("").to_job(tmp_path)
    settings.use_guidance = True
    assert settings.request("").to_job(tmp_path)["guidance"] == 7.0


def test_the_panel_and_the_program_without_a_window_ask_for_the_same_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(_client: WorkerClient, job: dict[str, object], *_more: object) -> None:
        asked.append(job)
        raise WorkerError("That was all.")

    monkeypatch.setattr(WorkerClient, "run", run)
    assert headless.command(["scene", "--prompt", "a hill", "--seed", "4", "--out", str(tmp_path / "a.blend"), "--output", str(tmp_path)]) == 1
    settings = bpy.data.scenes.new("Untouched").jointdit
    settings.prompt, settings.seed = "a hill", 4
    assert [settings.request("").to_job(tmp_path)] == asked


def test_the_panel_and_scripts_build_the_same() -> None:
    assert bpy.data.scenes.new("Untouched").jointdit.build_options() == BuildOptions()


@pytest.mark.parametrize("template", TEMPLATES)
def test_one_click_from_a_prompt(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, build = [], api.build_frame

    def watched(context: bpy.types.Context, frame: object, options: BuildOptions) -> object:
        asked.append(options)
        return build(context, frame, options)

    monkeypatch.setattr(api, "build_frame", watched)
    settings = bpy.context.scene.jointdit
    settings.prompt, settings.gamma, settings.near = "", 3.0, 1.0
    with pytest.raises(RuntimeError, match="the prompt is empty"):
        bpy.ops.jointdit.generate_template(template=template)
    settings.prompt = "a hill"
    assert bpy.ops.jointdit.generate_template(template=template) == {"FINISHED"}
    expected = replace(TEMPLATES[template], near=None, far=None, look_through=True)
    assert asked == [expected] and settings.build_options() == expected and len(built()) == 1
    assert settings.near == pytest.approx(TEMPLATES[template].near or 2.0)
    assert session.current().runs[0].job.params["near"] == pytest.approx(settings.near)


def test_every_template_has_a_button_with_a_sentence() -> None:
    assert [name for name, _, _ in TEMPLATE_ITEMS] == list(TEMPLATES)
    shown = bpy.ops.jointdit.generate_template.get_rna_type().properties["template"].enum_items
    assert all(len(item.description.split()) > 3 and not item.description.endswith(".") for item in shown)


def test_a_script_in_edit_mode_does_not_wait_for_ever() -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    assert bpy.ops.jointdit.generate() == {"FINISHED"}
    assert len(built()) == 1


def test_a_damaged_result_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    run = session.current().start(bpy.context, [order()])[0]
    while not run.job.state.finished:
        session.current().worker.wait(0.1)
    (Path(run.job.result["frame"]) / "disparity.exr").write_bytes(b"nothing")
    drive(lambda: rows()[0].finished)
    assert rows()[0].state == "failed" and "disparity.exr" in rows()[0].message and not built()
    assert not [image for image in bpy.data.images if image.users == 0 and image.name.startswith("image")]


@pytest.mark.parametrize("chosen", ["", "frame.json"])
def test_a_frame_folder_is_imported_by_itself_or_by_its_description(tmp_path: Path, chosen: str) -> None:
    folder = frame_folder(tmp_path, seed=9)
    assert bpy.ops.jointdit.build_frame(filepath=str(folder / chosen), build="POINTS") == {"FINISHED"}
    assert built()[0]["prompt"] == "made by hand" and bpy.context.view_layer.objects.active == built()[0]


def test_importing_something_else_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=str(tmp_path)):
        bpy.ops.jointdit.build_frame(filepath=str(tmp_path))
    assert not built()


def test_the_dice_change_the_seed() -> None:
    seeds = {bpy.context.scene.jointdit.seed}
    for _ in range(3):
        bpy.ops.jointdit.random_seed()
        seeds.add(bpy.context.scene.jointdit.seed)
    assert len(seeds) == 4
