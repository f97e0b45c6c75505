# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in from Blender's own menus, styles and presets."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from PIL import Image

bpy = pytest.importorskip("bpy")

from working import built, registered, write  # noqa: E402

from jointdit_blender import menus, session  # noqa: E402
from jointdit_blender.core.styles import STYLES, style_of, styled  # noqa: E402
from jointdit_blender.operators import manual  # noqa: E402

PRESETS = Path(menus.__file__).parent / "presets"


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with registered(tmp_path, monkeypatch) as folder:
        yield folder


def entries(menu: str) -> list[str]:
    return [function.__module__ for function in getattr(bpy.types, menu).draw._draw_funcs]


@pytest.mark.parametrize("menu", ["TOPBAR_MT_file_import", "VIEW3D_MT_add", "VIEW3D_MT_object", "IMAGE_MT_image"])
def test_blenders_menus_have_an_entry_of_ours(menu: str) -> None:
    assert menus.__name__ in entries(menu)


USEFUL = (
    *("generate", "generate_template", "generate_list", "add_scene", "match_camera", "fit_to_camera", "align_ground", "scale_by_points", "relight"),
    *("bake", "rebuild", "surround", "refresh_history", "cancel_all", "free_memory", "set_up", "check_setup", "open_manual"),
)


class Layout:
    """Writes down what a menu draws: each as Blender's own layout is called."""

    def __init__(self) -> None:
        self.operators: dict[str, str | None] = {}
        self.menus: list[str] = []
        self.operator_context = "EXEC_DEFAULT"

    def operator(self, name: str, text: str | None = None) -> None:
        self.operators[name] = text
        assert self.operator_context.startswith("INVOKE"), "dialogs would not open"

    def operator_menu_enum(self, name: str, item: str, text: str | None = None) -> None:
        module, _, function = name.partition(".")
        assert len(getattr(getattr(bpy.ops, module), function).get_rna_type().properties[item].enum_items) >= 4
        self.operators[name] = text

    def menu(self, name: str) -> None:
        self.menus.append(name)

    def separator(self) -> None:
        pass


def test_the_object_menu_holds_everything_that_f3_should_find() -> None:
    layout = Layout()
    menus._draw_object(SimpleNamespace(layout=layout), bpy.context)
    assert layout.menus == ["JOINTDIT_MT_main"] and bpy.types.JOINTDIT_MT_main.bl_label == "JointDiT"
    menus.JOINTDIT_MT_main.draw(SimpleNamespace(layout=layout), bpy.context)
    assert sorted(layout.operators) == sorted(f"jointdit.{name}" for name in USEFUL)
    for name, text in layout.operators.items():
        module, _, function = name.partition(".")
        operator = getattr(getattr(bpy.ops, module), function)
        assert operator.idname_py() == name and operator.get_rna_type().name, "no such operator"
        assert text is None or text
        assert "INTERNAL" not in operator.bl_options, f"{name} would not be found"


def test_the_manual_opens_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert bpy.ops.jointdit.open_manual() == {"FINISHED"} == bpy.ops.jointdit.open_manual(page="install")
    pages = [urlsplit(address) for address in opened]
    assert [page.scheme for page in pages] == ["file", "file"]
    first, second = (Path(url2pathname(page.path)) for page in pages)
    assert "JointDiT for Blender" in first.read_text("utf-8") and "Set Up…" in second.read_text("utf-8")


def test_the_built_manual_comes_before_its_text_and_the_first_page_instead_of_one_that_is_missing(tmp_path: Path) -> None:
    built, text = tmp_path / "built", tmp_path / "text"
    places = (built, text)
    assert manual.find_page("index", places) is None
    for file in (text / "index.md", text / "install.md"):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    assert manual.find_page("install", places) == text / "install.md" and manual.find_page("gone", places) == text / "index.md"
    built.mkdir()
    (built / "index.html").touch()
    assert manual.find_page("index", places) == built / "index.html"


def test_the_add_menu_asks_for_a_scene() -> None:
    assert bpy.ops.jointdit.add_scene(prompt="a pier at dawn", build="POINTS") == {"FINISHED"}
    settings = bpy.context.scene.jointdit
    assert (settings.task, settings.prompt, settings.build) == ("TEXT", "a pier at dawn", "POINTS")
    assert built()[0]["prompt"] == "a pier at dawn"
    with pytest.raises(RuntimeError, match="the prompt is empty"):
        bpy.ops.jointdit.add_scene(prompt=" ")


def image(name: str, width: int = 24, height: int = 16, *, generated: bool = True) -> bpy.types.Image:
    picture = bpy.data.images.new(name, width, height)
    if generated:
        pixels = np.ones((height, width, 4), np.float32)
        pixels[..., 0] = np.linspace(0, 1, width)[None]
        pixels[..., 1], pixels[..., 2] = 0.5, 0.25
        picture.pixels.foreach_set(pixels.ravel())
    return picture


def test_depth_of_the_picture_in_the_image_editor(results: Path) -> None:
    picture = image("My Picture.001")
    with bpy.context.temp_override(edit_image=picture):
        assert bpy.ops.jointdit.depth_of_image() == {"FINISHED"}
    (saved,) = (results / ".pictures").iterdir()
    assert saved.name.startswith("My-Picture-001-") and saved.suffix == ".png"
    again = bpy.data.images.load(str(saved))
    assert tuple(again.size) == (24, 16)
    seen = np.empty(24 * 16 * 4, np.float32)
    again.pixels.foreach_get(seen)
    # What is saved is what is seen in the editor: no view transform of renders.
    np.testing.assert_allclose(seen.reshape(16, 24, 4)[5, :, 0], np.linspace(0, 1, 24), atol=1 / 255)
    assert session.current().runs[-1].job.params["image"] == str(saved)
    assert built()[0]["task"] == "image_to_depth" and bpy.context.scene.jointdit.image == str(saved)
    assert picture.filepath == "" and picture.source == "GENERATED" and picture.is_dirty


def test_a_float_picture_is_saved_as_it_is_seen(results: Path, tmp_path: Path) -> None:
    floating = bpy.data.images.new("Floating", 8, 8, float_buffer=True)
    floating.pixels.foreach_set(np.full(8 * 8 * 4, 0.5, np.float32))
    floating.file_format = "OPEN_EXR"
    with bpy.context.temp_override(edit_image=floating):
        assert bpy.ops.jointdit.depth_of_image() == {"FINISHED"}
    (saved,) = (results / ".pictures").iterdir()
    with Image.open(saved) as seen:
        assert seen.format == "PNG"
        assert np.asarray(seen.convert("RGB"))[4, 4, 0] / 255 == pytest.approx(0.735, abs=0.01), "linear 0.5 is 0.735 in sRGB"
    assert floating.file_format == "OPEN_EXR"


def test_a_file_is_used_where_it_lies(results: Path, tmp_path: Path) -> None:
    path = write(tmp_path) / "image.png"
    picture = bpy.data.images.load(str(path))
    with bpy.context.temp_override(edit_image=picture):
        assert bpy.ops.jointdit.depth_of_image() == {"FINISHED"}
    assert bpy.context.scene.jointdit.image == str(path) and not (results / ".pictures").exists()


def test_a_render_is_saved_as_a_picture_whatever_the_output_is(results: Path) -> None:
    scene = bpy.context.scene
    scene.render.engine, scene.render.resolution_x, scene.render.resolution_y = "BLENDER_WORKBENCH", 32, 16
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    bpy.ops.render.render()
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR", "32"
    with bpy.context.temp_override(edit_image=bpy.data.images["Render Result"]):
        assert bpy.ops.jointdit.depth_of_image() == {"FINISHED"}
    (saved,) = (results / ".pictures").iterdir()
    assert saved.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (settings.file_format, settings.color_depth) == ("OPEN_EXR", "32")


def test_without_a_picture_the_entry_says_why() -> None:
    with bpy.context.temp_override(edit_image=None):
        assert not bpy.ops.jointdit.depth_of_image.poll()


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_added_and_found_again(style: str) -> None:
    prompt = styled("a pier at dawn.", style)
    assert (prompt == "a pier at dawn.") == (style == "NONE")
    assert style_of(prompt) == ("a pier at dawn." if style == "NONE" else "a pier at dawn", style)
    assert styled("  ", style).strip() == ""


def test_a_style_reaches_the_frame(results: Path) -> None:
    bpy.context.scene.jointdit.style = "WATERCOLOR"
    bpy.ops.jointdit.generate()
    (folder,) = (path for path in results.iterdir() if path.is_dir())
    assert json.loads((folder / "frame.json").read_text())["prompt"] == "a green hill, watercolor painting, soft washes on paper"


@pytest.mark.parametrize("path", sorted(PRESETS.rglob("*.py")), ids=lambda path: path.stem)
def test_every_preset_that_is_shipped_can_be_chosen(path: Path) -> None:
    kind = path.parent.name
    assert path.parent.as_posix() in [Path(folder).as_posix() for folder in bpy.utils.preset_paths(kind)]
    settings, menu = bpy.context.scene.jointdit, "JOINTDIT_MT_presets" if kind == "jointdit" else "JOINTDIT_MT_sizes"
    assert bpy.ops.script.execute_preset(filepath=str(path), menu_idname=menu) == {"FINISHED"}
    for line in path.read_text().splitlines():
        if line.startswith("settings."):
            name, value = line.removeprefix("settings.").split(" = ")
            assert getattr(settings, name) == pytest.approx(eval(value)) if value[0].isdigit() else str(getattr(settings, name)) == value.strip('"')
    assert settings.missing() == ""


@pytest.mark.parametrize(("operator", "menu"), [("add_preset", "JOINTDIT_MT_presets"), ("add_size", "JOINTDIT_MT_sizes")])
def test_a_preset_of_ones_own_comes_back(operator: str, menu: str) -> None:
    settings = bpy.context.scene.jointdit
    settings.style, settings.near, settings.use_size, settings.width = "OIL", 3.5, True, 640
    assert getattr(bpy.ops.jointdit, operator)(name="Mine") == {"FINISHED"}
    folder = getattr(bpy.types, menu).preset_subdir
    (file,) = (Path(place) / "Mine.py" for place in bpy.utils.preset_paths(folder) if (Path(place) / "Mine.py").exists())
    settings.style, settings.near, settings.width = "NONE", 2.0, 512
    bpy.ops.script.execute_preset(filepath=str(file), menu_idname=menu)
    assert (settings.style, settings.near) == ("OIL", 3.5) if operator == "add_preset" else settings.width == 640
    assert getattr(bpy.ops.jointdit, operator)(name="Mine", remove_active=True) == {"FINISHED"} and not file.exists()
