# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the output folder in Blender: listed, searched, built, recalled, varied, deleted."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from frames import hills, make_frame  # noqa: E402
from working import built, drive, registered, rows, shown, write  # noqa: E402

from jointdit_blender import gallery, session, thumbnails  # noqa: E402
from jointdit_blender.core.history import PAGE  # noqa: E402
from jointdit_blender.scene.builder import OPTIONS_KEY, BuildOptions  # noqa: E402


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with registered(tmp_path, monkeypatch) as folder:
        yield folder


def choose(folder: Path) -> None:
    bpy.ops.jointdit.refresh_history()
    bpy.context.window_manager.jointdit.chosen = ""
    bpy.ops.jointdit.choose_result(result=folder.name)


def read(folder: Path) -> dict[str, object]:
    return json.loads((folder / "frame.json").read_text(encoding="utf-8"))


def test_results_of_other_runs_are_listed_with_pictures_and_found_by_words(results: Path) -> None:
    state = bpy.context.window_manager.jointdit
    for number in range(PAGE + 2):
        write(results, prompt=f"a lake and {number} boats")
    write(results, prompt="a red house", task="image_to_depth")
    bpy.ops.jointdit.refresh_history()
    assert (len(shown()), state.found, state.all_results) == (PAGE, PAGE + 3, PAGE + 3)
    assert shown()[0].title == "a red house" and "Depth of a picture · 64 x 48" in shown()[0].facts
    # Without a window there are no icons, but the pictures are there.
    pictures = [preview for name, preview in thumbnails.current()._previews.items() if name.startswith(str(results))]
    assert len(pictures) == PAGE and all(tuple(preview.image_size) == (64, 48) for preview in pictures)
    bpy.ops.jointdit.show_more()
    assert len(shown()) == PAGE + 3
    state.search = "LAKE 1"
    assert [item.title for item in shown()] == ["a lake and 1 boats"]
    state.search = "nothing like it"
    assert (len(shown()), state.found, state.all_results) == (0, 0, PAGE + 3)


def test_a_finished_job_is_in_the_list_at_once(results: Path) -> None:
    assert bpy.ops.jointdit.generate() == {"FINISHED"}
    assert [item.title for item in shown()] == ["a green hill"]


def test_the_list_survives_a_new_file(results: Path) -> None:
    write(results)
    bpy.ops.jointdit.refresh_history()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    drive(lambda: len(shown()) == 1)


@pytest.mark.parametrize(("build", "geometry_name"), [("PANEL", "dome"), ("RELIEF", "mesh"), ("POINTS", "points")])
def test_a_result_is_built_as_the_panel_says_or_as_another_geometry(results: Path, build: str, geometry_name: str) -> None:
    settings = bpy.context.scene.jointdit
    settings.build = "DOME"
    choose(write(results))
    assert bpy.ops.jointdit.build_result(build=build) == {"FINISHED"}
    relief = built()[0]
    geometry = relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    assert bool(geometry.pointcloud) == (geometry_name == "points")
    assert BuildOptions.from_json(relief[OPTIONS_KEY]).geometry == geometry_name
    assert settings.build == "DOME" and relief["prompt"] == "a lake" and bpy.context.view_layer.objects.active == relief


def test_settings_come_back_and_make_the_same_again(results: Path) -> None:
    settings = bpy.context.scene.jointdit
    settings.prompt, settings.style, settings.seed, settings.near, settings.far = "a pier", "OIL", 91, 1.25, 77.0
    settings.horizontal_angle, settings.use_size, settings.width, settings.height = math.radians(70.0), True, 96, 64
    settings.use_guidance, settings.guidance = True, 2.25
    bpy.ops.jointdit.generate()
    (folder,) = (path for path in results.iterdir() if path.is_dir())
    made = read(folder)
    for name in ("prompt", "style", "seed", "near", "far", "horizontal_angle", "use_size", "use_guidance", "quality"):
        settings.property_unset(name)
    choose(folder)
    assert bpy.ops.jointdit.recall_settings() == {"FINISHED"}
    assert (settings.prompt, settings.style, settings.seed, settings.width, settings.height) == ("a pier", "OIL", 91, 96, 64)
    bpy.ops.jointdit.generate()
    again = read(max((path for path in results.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime_ns))
    assert {**again, "timings": 0} == {**made, "timings": 0}
    assert made["prompt"].startswith("a pier, oil painting")  # type: ignore[attr-defined]


def test_an_imported_result_gives_what_is_known(results: Path) -> None:
    settings = bpy.context.scene.jointdit
    choose(write(results, task="imported", near=3.0, far=9.0))
    settings.prompt = "mine"
    assert bpy.ops.jointdit.recall_settings() == {"FINISHED"}
    assert (settings.prompt, settings.near, settings.far) == ("mine", 3.0, 9.0)
    with pytest.raises(RuntimeError, match="was imported, not generated"):
        bpy.ops.jointdit.vary_result()


def test_new_seeds_and_other_sizes_are_made_of_the_same_prompt(results: Path) -> None:
    choose(write(results, seed=7))
    assert bpy.ops.jointdit.vary_result(count=3) == {"FINISHED"}
    assert not built() and all("choose it in History" in row.message and row.state == "done" for row in rows())
    assert sorted(read(path)["seed"] for path in results.iterdir() if path.is_dir()) == [7, 8, 9, 10]  # type: ignore[type-var]
    # Once more: other seeds again, not the same ones.
    assert bpy.ops.jointdit.vary_result(count=2) == {"FINISHED"}
    assert sorted(read(path)["seed"] for path in results.iterdir() if path.is_dir()) == [7, 8, 9, 10, 11, 12]  # type: ignore[type-var]
    assert bpy.ops.jointdit.resize_result(width=96, height=80) == {"FINISHED"}
    assert (built()[0]["seed"], tuple(bpy.data.images[0].size)) == (7, (96, 80))


def test_several_results_are_made_and_the_first_is_built(results: Path) -> None:
    bpy.context.scene.jointdit.count = 3
    assert bpy.ops.jointdit.generate() == {"FINISHED"}
    assert len(rows()) == 3 and len(built()) == 1 and built()[0]["seed"] == 5
    assert [item.facts.split(" · ")[2] for item in shown()] == ["seed 7", "seed 6", "seed 5"]


def test_a_list_of_prompts_is_worked_through(results: Path) -> None:
    assert not bpy.ops.jointdit.generate_list.poll()
    text = bpy.data.texts.new("prompts")
    text.from_string("a hill\n\n# not this\n  a lake  \n")
    bpy.context.scene.jointdit.style = "WATERCOLOR"
    assert bpy.ops.jointdit.generate_list(text="prompts") == {"FINISHED"}
    prompts = [str(read(path)["prompt"]) for path in results.iterdir() if path.is_dir()]
    assert sorted(prompt.split(", ")[0] for prompt in prompts) == ["a hill", "a lake"] and all("watercolor" in prompt for prompt in prompts)
    text.clear()
    with pytest.raises(RuntimeError, match="has no prompts"):
        bpy.ops.jointdit.generate_list(text="prompts")
    bpy.context.scene.jointdit.task = "IMAGE"
    assert not bpy.ops.jointdit.generate_list.poll()


def test_deleting_takes_the_folder_and_the_row(results: Path) -> None:
    doomed, other = write(results), write(results, seed=8)
    choose(doomed)
    assert bpy.ops.jointdit.delete_result() == {"FINISHED"}
    assert not doomed.exists() and other.exists()
    assert [item.name for item in shown()] == [other.name] and bpy.context.window_manager.jointdit.chosen == ""
    (other / "mine.txt").touch()
    with pytest.raises(RuntimeError, match=r"also holds mine\.txt"):
        bpy.ops.jointdit.delete_result(result=other.name)


def test_a_result_whose_pictures_stayed_files_is_deleted_too(results: Path) -> None:
    folder = write(results)
    bpy.context.scene.jointdit.pack = False
    choose(folder)
    assert bpy.ops.jointdit.build_result() == {"FINISHED"}
    assert (folder / "derived").is_dir() and any((folder / "derived").iterdir())
    assert bpy.ops.jointdit.delete_result(result=folder.name) == {"FINISHED"} and not folder.exists()


def test_a_result_that_is_gone_is_a_sentence(results: Path) -> None:
    folder = write(results)
    choose(folder)
    shutil.rmtree(folder)
    with pytest.raises(RuntimeError, match="no frame folder"):
        bpy.ops.jointdit.build_result()
    with pytest.raises(RuntimeError, match="There is no result “nobody”"):
        bpy.ops.jointdit.recall_settings(result="nobody")
    bpy.ops.jointdit.refresh_history()
    with pytest.raises(RuntimeError, match="Choose a result in History first"):
        bpy.ops.jointdit.recall_settings()


def test_a_folder_that_cannot_be_read_is_told(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path, _known: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(gallery, "scan", refuse)
    bpy.ops.jointdit.refresh_history()
    assert "cannot be read (Permission denied)" in bpy.context.window_manager.jointdit.problem


def test_a_panorama_comes_back_with_its_directions(results: Path) -> None:
    settings = bpy.context.scene.jointdit
    settings.extent, settings.up, settings.back = "SPHERE", "swallows", "a church"
    bpy.ops.jointdit.generate()
    (folder,) = (path for path in results.iterdir() if path.is_dir())
    settings.extent, settings.up, settings.back = "PICTURE", "", ""
    bpy.ops.jointdit.recall_settings(result=folder.name)
    assert (settings.task, settings.extent, settings.up, settings.back, settings.down) == ("TEXT", "SPHERE", "swallows", "a church", "")


def test_a_frame_made_elsewhere_is_a_result_too(results: Path) -> None:
    make_frame(results / "by hand", hills(32, 24))
    bpy.ops.jointdit.refresh_history()
    assert [item.name for item in shown()] == ["by hand"]
    assert bpy.ops.jointdit.build_result(result="by hand") == {"FINISHED"} and len(built()) >= 1
    assert session.current().runs == []
