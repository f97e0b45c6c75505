# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Panoramas, from the panel and the command line to a dome; the worker is a real process (`engine.standin`)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from engine import standin
from frames import gradient, make_frame, write_png

bpy = pytest.importorskip("bpy")
from mathutils import Matrix, Vector  # noqa: E402

import jointdit_blender  # noqa: E402
from jointdit_blender import active, headless, session  # noqa: E402
from jointdit_blender.core.frame import Camera, NearFar, read_frame  # noqa: E402
from jointdit_blender.core.lifting import rays  # noqa: E402
from jointdit_blender.panels import generate, result  # noqa: E402
from jointdit_blender.scene.builder import build_frame  # noqa: E402
from jointdit_blender.scene.modifier import get_input, set_input  # noqa: E402
from jointdit_blender.scene.options import BuildOptions  # noqa: E402

SPHERE = Camera("equirectangular", 360.0, 180.0)


@pytest.fixture(autouse=True)
def blender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new file, JointDiT registered, and the stand-in as the backend's Python."""
    monkeypatch.setenv("JOINTDIT_PYTHON", str(standin.write_interpreter(tmp_path)))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    jointdit_blender.register()
    settings = bpy.context.scene.jointdit
    settings.prompt, settings.quality, settings.steps, settings.seed = "a green valley", "CUSTOM", 2, 5
    yield
    jointdit_blender.unregister()


def built() -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if "frame" in item]


def child(relief: bpy.types.Object, kind: str) -> bpy.types.Object | None:
    return next((item for item in relief.children if item.name.endswith(kind)), None)


def job() -> dict[str, Any]:
    return session.current().runs[-1].job.params


def evaluated(item: bpy.types.Object) -> bpy.types.Mesh:
    return item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data


def rims(mesh: bpy.types.Mesh) -> int:
    """Edges with a face on one side only."""
    sides = Counter(key for face in mesh.polygons for key in face.edge_keys)
    assert max(sides.values()) == 2
    return sum(count == 1 for count in sides.values())


def faces_inward(mesh: bpy.types.Mesh) -> bool:
    return all(face.normal.dot(face.center) < 0.0 for face in mesh.polygons)


def open_directions(eye: tuple[float, float, float] = (0.0, 0.0, 0.0), count: int = 300) -> int:
    """In how many directions one sees past everything."""
    bpy.context.view_layer.update()
    graph, directions = bpy.context.evaluated_depsgraph_get(), np.random.default_rng(0).normal(size=(count, 3))
    return sum(not bpy.context.scene.ray_cast(graph, eye, Vector(direction).normalized())[0] for direction in directions)


# The panel


class Sheet:
    """A layout that remembers which properties and operators it shows."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def prop(self, _owner: object, name: str, **_: object) -> None:
        self.shown.append(name)

    def textbox(self, _owner: object, name: str, **_: object) -> None:
        self.shown.append(name)

    def operator(self, name: str, **_: object) -> SimpleNamespace:
        self.shown.append(name)
        return SimpleNamespace()

    def operator_menu_enum(self, name: str, *_words: object, **_: object) -> None:
        self.shown.append(name)

    def label(self, **_: object) -> None:
        pass

    def separator(self, **_: object) -> None:
        pass

    def row(self, **_: object) -> Sheet:
        return self

    column = grid_flow = row


def drawn(panel: type, width: int = 300) -> list[str]:
    """What a panel shows in a sidebar of so many pixels."""
    here = bpy.context
    interface = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))
    context = SimpleNamespace(scene=here.scene, window_manager=here.window_manager, preferences=interface, region=SimpleNamespace(width=width))
    context.active_object = here.view_layer.objects.active
    assert not hasattr(panel, "poll") or panel.poll(context)
    sheet = Sheet()
    panel.draw(SimpleNamespace(layout=sheet), context)
    return sheet.shown


@pytest.mark.parametrize("width", [160, 300])
def test_the_panel_asks_how_far_around_where_that_can_be_chosen(width: int) -> None:
    settings = bpy.context.scene.jointdit
    for task, shown in (("TEXT", {"extent"}), ("IMAGE", {"photograph"}), ("DEPTH", set())):
        settings.task = task
        assert set(drawn(generate.JOINTDIT_PT_generate, width)) & {"extent", "photograph"} == shown


def test_what_has_no_meaning_for_a_panorama_is_not_shown() -> None:
    settings = bpy.context.scene.jointdit
    for extent, angle, wide, directions in (("PICTURE", True, True, False), ("STRIP", False, True, False), ("SPHERE", False, False, True)):
        settings.extent = extent
        assert ("horizontal_angle" in drawn(generate.JOINTDIT_PT_depth)) is angle
        assert ("width" in drawn(generate.JOINTDIT_PT_image)) is wide
        assert generate.JOINTDIT_PT_directions.poll(bpy.context) is directions
    assert drawn(generate.JOINTDIT_PT_directions) == ["up", "down", "front", "right", "back", "left"]
    settings.task = "IMAGE"
    assert not generate.JOINTDIT_PT_directions.poll(bpy.context) and "horizontal_angle" in drawn(generate.JOINTDIT_PT_depth)


def test_the_settings_of_a_sphere_reach_the_worker(tmp_path: Path) -> None:
    settings = bpy.context.scene.jointdit
    settings.extent, settings.up, settings.left, settings.use_size, settings.height = "SPHERE", "thick clouds", "a wood", True, 64
    params = settings.request("").to_job(tmp_path)
    assert (params["task"], params["kind"], params["width"], params["height"]) == ("panorama", "sphere", 128, 64)
    assert params["parts"] == {"up": "thick clouds", "left": "a wood"} and "horizontal_angle" not in params
    settings.extent = "STRIP"
    params = settings.request("").to_job(tmp_path)
    assert (params["kind"], params["width"]) == ("strip", 512) and "parts" not in params
    settings.task, settings.extent, settings.disparity = "DEPTH", "SPHERE", __file__
    assert settings.request("").to_job(tmp_path)["task"] == "depth_to_image"


def test_a_panorama_cannot_be_a_backdrop() -> None:
    settings = bpy.context.scene.jointdit
    settings.extent, settings.placing = "SPHERE", "BACKDROP"
    with pytest.raises(RuntimeError, match="choose Own Camera under Placing"):
        bpy.ops.jointdit.generate()


# One click


def test_one_click_from_a_prompt_to_a_closed_dome() -> None:
    assert bpy.ops.jointdit.generate_template(template="DOME") == {"FINISHED"}
    (relief,) = built()
    assert (job()["task"], job()["kind"]) == ("panorama", "sphere") and bpy.context.scene.jointdit.extent == "SPHERE"
    (row,) = bpy.context.window_manager.jointdit.jobs
    assert row.title == "Sphere: a green valley" and row.state == "done" and "passed over" not in row.message
    mesh = evaluated(relief)
    assert len(mesh.vertices) == 64 * 32 + 2 and len(mesh.vertices) - len(mesh.edges) + len(mesh.polygons) == 2
    assert rims(mesh) == 0 and faces_inward(mesh) and open_directions() == 0
    assert relief.matrix_world.translation.length == 0.0 and bpy.context.scene.world.node_tree is not None
    assert bpy.context.scene.camera.data.panorama_type == "EQUIRECTANGULAR"


def test_the_other_quick_starts_make_ordinary_pictures() -> None:
    settings = bpy.context.scene.jointdit
    for template in ("BACKDROP", "ROOM", "POINTS"):
        settings.extent = "SPHERE"
        bpy.ops.jointdit.generate_template(template=template)
        assert job()["task"] == "joint" and settings.extent == "PICTURE"


@pytest.mark.parametrize(("size", "task", "photograph"), [((64, 32), "panorama_depth", "SPHERE"), ((64, 48), "image_to_depth", "PICTURE")])
def test_one_click_from_a_picture_goes_by_its_shape(tmp_path: Path, size: tuple[int, int], task: str, photograph: str) -> None:
    write_png(tmp_path / "photo.png", gradient(*size))
    settings = bpy.context.scene.jointdit
    settings.task, settings.image, settings.prompt = "IMAGE", str(tmp_path / "photo.png"), ""
    assert bpy.ops.jointdit.generate_template(template="DOME") == {"FINISHED"}
    assert (job()["task"], settings.photograph, job()["image"]) == (task, photograph, settings.image)
    assert open_directions() == 0
    bpy.ops.jointdit.generate_template(template="POINTS")
    assert job()["task"] == task, "what the photograph shows stays"


def test_a_picture_that_is_gone_is_a_sentence() -> None:
    settings = bpy.context.scene.jointdit
    settings.task, settings.image = "IMAGE", "/nowhere/photo.jpg"
    with pytest.raises(RuntimeError, match="There is no file"):
        bpy.ops.jointdit.generate_template(template="DOME")


# What is built


def test_a_strip_is_closed_around_and_goes_on_above_and_below() -> None:
    settings = bpy.context.scene.jointdit
    settings.extent, settings.build, settings.sky, settings.back_layer, settings.torn = "STRIP", "DOME", "KEEP", False, "KEEP"
    assert bpy.ops.jointdit.generate() == {"FINISHED"}
    (relief,) = built()
    assert session.current().runs[-1].order.request.title == "Strip: a green valley"
    mesh, dome = evaluated(relief), child(relief, "Dome")
    assert len(mesh.vertices) == 64 * 32 and rims(mesh) == 2 * 64, "welded all around; open above and below"
    assert dome is not None and rims(dome.data) == 0 and faces_inward(dome.data) and open_directions() == 0
    assert bpy.context.scene.camera.data.panorama_type == "CENTRAL_CYLINDRICAL"


@pytest.mark.parametrize("extent", ["SPHERE", "STRIP"])
@pytest.mark.parametrize("build", ["RELIEF", "POINTS"])
def test_a_panorama_becomes_a_relief_or_points_too(extent: str, build: str) -> None:
    settings = bpy.context.scene.jointdit
    settings.extent, settings.build, settings.sky, settings.use_ground = extent, build, "KEEP", True
    assert bpy.ops.jointdit.generate() == {"FINISHED"}
    (relief,) = built()
    assert active.output(relief) == ("Mesh" if build == "RELIEF" else "Points") and child(relief, "Dome") is None
    near = get_input(active.frame_modifier(relief), "Near")
    assert near > 0.0 and relief.matrix_world.translation.z > 0.0


def things(folder: Path) -> Any:
    """A sphere with level ground, a sky, and a wide post in front of them."""
    width, height = 192, 96
    direction = rays(SPHERE, width, height, "radial")
    across, up = np.degrees(np.arctan2(direction[..., 0], -direction[..., 2])), direction[..., 1]
    distance = np.where(up < -1.6 / 30.0, 1.6 / np.maximum(-up, 1e-3), 30.0)
    post = (np.abs(across - 40.0) < 12.0) & (np.abs(up) < 0.3)
    distance = np.where(post, 2.0, distance)
    rgb = np.where((up < 0.0)[..., None], (60, 120, 50), (150, 180, 230)).astype(np.uint8)
    rgb[post] = 200, 30, 30
    disparity = (1.0 / distance - 1.0 / 30.0) / (1.0 / 1.6 - 1.0 / 30.0)
    return make_frame(folder, disparity.astype(np.float32), rgb=rgb, camera=SPHERE, distance="radial", mapping=NearFar(1.6, 30.0))


@pytest.mark.parametrize("options", [BuildOptions(geometry="dome"), BuildOptions(geometry="dome", sky="keep", torn="cut", environment=True)])
def test_a_dome_is_closed_from_beside_its_camera_and_shows_nothing_twice(tmp_path: Path, options: BuildOptions) -> None:
    result = build_frame(bpy.context, things(tmp_path / "frame"), options)
    for eye in ((0.0, 0.0, 0.0), (0.4, 0.0, 0.2), (-0.3, -0.3, 0.3)):
        assert open_directions(eye, 1000) == 0
    dome = child(result.object, "Dome")
    assert dome is not None and rims(dome.data) == 0
    image = next(node.image for node in dome.data.materials[0].node_tree.nodes if node.type == "TEX_IMAGE")
    pixels = np.empty(4 * image.size[0] * image.size[1], np.float32)
    image.pixels.foreach_get(pixels)
    red, green = pixels.reshape(-1, 4)[:, :2].T
    assert ((red > 0.7) & (green < 0.3)).mean() < 0.1 * 24.0 / 360.0 * 35.0 / 180.0, "hardly anything is left of the post"


def test_a_saved_panorama_is_built_again(tmp_path: Path) -> None:
    bpy.ops.jointdit.generate_template(template="DOME")
    name = built()[0].name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "kept.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "kept.blend"))
    assert bpy.context.scene.jointdit.extent == "SPHERE"
    relief = bpy.data.objects[name]
    set_input(active.frame_modifier(relief), "Far", 90.0)
    assert bpy.ops.jointdit.rebuild() == {"FINISHED"}
    assert [item.name for item in relief.children if item.type == "MESH"] == [f"{name} Dome"]
    assert rims(evaluated(relief)) == 0 and open_directions() == 0
    bpy.context.view_layer.update()
    assert child(relief, "Dome").matrix_world.median_scale == pytest.approx(5.0 * 90.0)
    assert "jointdit.surround" in drawn(result.JOINTDIT_PT_result)
    shown = [input_name for input_name, *_ in active.shown_inputs(active.frame_modifier(relief), active.depth_inputs(relief))]
    assert shown == ["Near", "Far", "Gamma"]


# A sphere around a frame


def ahead(**settings: Any) -> bpy.types.Object:
    """A perspective frame, built and active."""
    bpy.ops.jointdit.generate()
    (relief,) = built()
    for name, value in settings.items():
        setattr(relief, name, value)
    return relief


def test_a_frame_is_extended_to_a_sphere_in_its_place() -> None:
    turn = Matrix.Translation((3.0, -2.0, 1.5)) @ Matrix.Rotation(0.7, 4, "Z") @ Matrix.Rotation(1.3, 4, "X")
    relief = ahead(matrix_world=turn)
    frame, camera = read_frame(Path(relief["frame"])), bpy.context.scene.camera
    # As after Align Ground: everything twice as far away.
    for name in ("Near", "Far"):
        set_input(active.frame_modifier(relief), name, 2.0 * getattr(frame.mapping, name.lower()))
    assert bpy.ops.jointdit.surround() == {"FINISHED"}
    asked = {"task": "panorama", "kind": "sphere", "prompt": "a green valley", "front": relief["frame"], "seed": 5, "steps": 2}
    assert asked.items() <= job().items() and "parts" not in job()
    sphere = next(item for item in built() if item != relief)
    assert session.current().runs[-1].order.request.title == "Sphere around: a green valley"
    bpy.context.view_layer.update()
    assert max(abs(a - b) for row, other in zip(sphere.matrix_world, turn, strict=True) for a, b in zip(row, other, strict=True)) < 1e-5
    assert get_input(active.frame_modifier(sphere), "Near") == pytest.approx(4.0) and rims(evaluated(sphere)) == 0
    assert bpy.context.scene.camera == camera and camera.parent == relief, "the scene keeps its camera"
    assert relief.hide_render and relief.hide_viewport and not camera.hide_render
    assert bpy.context.view_layer.objects.active == sphere and open_directions(tuple(turn.translation)) == 0


def test_the_prompt_of_an_extension_can_be_another_one() -> None:
    ahead()
    assert bpy.ops.jointdit.surround(prompt="a dark wood") == {"FINISHED"}
    assert job()["prompt"] == "a dark wood"


def test_what_cannot_be_extended_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Select a frame first"):
        bpy.ops.jointdit.surround()
    relief = ahead()
    relief["frame"] = str(tmp_path / "gone")
    with pytest.raises(RuntimeError, match="There is no frame folder"):
        bpy.ops.jointdit.surround()
    bpy.ops.jointdit.build_frame(filepath=str(standin.write_frame({"output": str(tmp_path), "task": "panorama"})))
    with pytest.raises(RuntimeError, match="This frame is a panorama"):
        bpy.ops.jointdit.surround()


def test_an_extension_is_built_also_when_its_frame_is_gone() -> None:
    relief = ahead()
    session.current().worker.poll()
    request = bpy.context.scene.jointdit.request_around(Path(relief["frame"]), "a wood", "")
    (run,) = session.current().start(bpy.context, [session.Order(request, BuildOptions(geometry="dome"), relief.name)])
    bpy.data.objects.remove(relief)
    session.current().finish(run)
    assert len(built()) == 1 and open_directions() == 0


# The command line


def command(tmp_path: Path, *words: str) -> bpy.types.Object:
    """The frame in the file that the program makes."""
    out = tmp_path / "out" / "scene.blend"
    program = str(standin.write_interpreter(tmp_path))
    assert headless.command(["scene", *words, "--out", str(out), "--python", program, "--steps", "2"]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    (relief,) = built()
    return relief


def options(relief: bpy.types.Object) -> BuildOptions:
    return BuildOptions.from_json(relief["jointdit_options"])


@pytest.mark.parametrize(
    ("words", "projection", "geometry"),
    [
        (["--panorama", "sphere"], "equirectangular", "dome"),
        (["--panorama", "strip"], "cylindrical", "dome"),
        (["--template", "dome"], "equirectangular", "dome"),
        (["--panorama", "sphere", "--geometry", "mesh"], "equirectangular", "mesh"),
        (["--panorama", "strip", "--template", "points"], "cylindrical", "points"),
        (["--geometry", "dome"], "perspective", "dome"),
    ],
)
def test_from_a_prompt_by_the_command_line(tmp_path: Path, words: list[str], projection: str, geometry: str) -> None:
    relief = command(tmp_path, "--prompt", "a bay", *words)
    assert read_frame(Path(relief["frame"])).camera.projection == projection and options(relief).geometry == geometry


def test_around_a_frame_and_by_directions(tmp_path: Path) -> None:
    front = standin.write_frame({"output": str(tmp_path / "fronts")})
    relief = command(tmp_path, "--prompt", "a bay", "--panorama", "sphere", "--around", str(front), "--part", "up=clouds", "--views", "6", "--size", "128x64")
    made = (Path(relief["frame"]) / "frame.json").read_text()
    assert str(front) in made and '"up": "clouds"' in made and '"views": 6' in made and '"width": 128' in made


def test_a_photograph_and_its_preview(tmp_path: Path) -> None:
    write_png(tmp_path / "photo.png", gradient(64, 32))
    preview = tmp_path / "preview.png"
    relief = command(tmp_path, "--panorama-photo", str(tmp_path / "photo.png"), "--far", "20", "--render", str(preview))
    frame = read_frame(Path(relief["frame"]))
    assert (frame.task, frame.mapping, options(relief).geometry) == ("panorama_depth", NearFar(2.0, 20.0), "dome")
    seen, made = (bpy.data.images.load(str(path)) for path in (preview, frame.image))
    assert tuple(seen.size) == (1024, 512)
    pixels = [np.empty(picture.size[0] * picture.size[1] * picture.channels, np.float32) for picture in (seen, made)]
    for picture, values in zip((seen, made), pixels, strict=True):
        picture.pixels.foreach_get(values)
    shown = pixels[0].reshape(512, 1024, -1)[..., :3].reshape(32, 16, 64, 16, 3).mean(axis=(1, 3))
    difference = np.abs(shown - pixels[1].reshape(32, 64, -1)[..., :3])
    assert difference.mean() < 0.02 and difference[:, [0, -1]].max() < 0.1, "the panorama itself, also at its ends"


def test_a_size_that_is_no_sphere_is_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["scene", "--prompt", "a bay", "--panorama", "sphere", "--size", "256", "--out", str(tmp_path / "a.blend")]
    assert headless.command(words) == 1 and "choose 512 x 256" in capfd.readouterr().err


def test_the_field_of_view_of_a_full_turn_is_a_full_turn(tmp_path: Path) -> None:
    relief = command(tmp_path, "--prompt", "a bay", "--panorama", "sphere")
    assert get_input(active.frame_modifier(relief), "Field of View") == pytest.approx(2.0 * math.pi)
