# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a frame that stands in the scene, as a script does it; and what is dropped or imported."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from frames import gradient, hills, make_frame, write_png

bpy = pytest.importorskip("bpy")

from mathutils import Vector  # noqa: E402

import jointdit_blender  # noqa: E402
from jointdit_blender import active, preferences  # noqa: E402
from jointdit_blender.core.frame import NearFar, read_frame  # noqa: E402
from jointdit_blender.core.lifting import rays  # noqa: E402
from jointdit_blender.operators.frame import JOINTDIT_FH_frame, JOINTDIT_FH_pictures  # noqa: E402
from jointdit_blender.operators.scale import meets  # noqa: E402
from jointdit_blender.scene.modifier import get_input, set_input  # noqa: E402

WIDTH, HEIGHT = 48, 32


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    jointdit_blender.register()
    yield
    jointdit_blender.unregister()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_frame(tmp_path / "frame", hills(WIDTH, HEIGHT)).folder


@pytest.fixture
def relief(folder: Path) -> bpy.types.Object:
    """A frame, built and active."""
    assert bpy.ops.jointdit.build_frame(filepath=str(folder)) == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def value(relief: bpy.types.Object, name: str) -> object:
    return get_input(active.frame_modifier(relief), name)


def add_camera(lens: float = 50.0) -> bpy.types.Object:
    camera = bpy.data.objects.new("Shot", bpy.data.cameras.new("Shot"))
    camera.data.lens, camera.location = lens, (1.0, 2.0, 3.0)
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera


def ground_disparity(height: float, pitch: float) -> np.ndarray:
    """1/Z of a level floor `height` metres below a camera that looks `pitch` radians down; NaN above its horizon."""
    from jointdit_blender.core.frame import Camera

    direction = rays(Camera(), WIDTH, HEIGHT, "planar")
    down = direction @ np.array([0.0, -math.cos(pitch), -math.sin(pitch)])
    with np.errstate(divide="ignore"):
        inverse = np.where(down > 0.02, down / height, np.nan)
    return inverse.astype(np.float32)


OPERATORS = ("match_camera", "fit_to_camera", "align_ground", "scale_by_points", "relight", "bake", "rebuild", "surround")


@pytest.mark.parametrize("name", OPERATORS)
def test_without_a_frame_the_button_says_so(name: str) -> None:
    operator = getattr(bpy.ops.jointdit, name)
    assert not operator.poll()
    with pytest.raises(RuntimeError, match="Select a frame first"):
        operator()


@pytest.mark.parametrize("name", OPERATORS)
def test_in_edit_mode_the_button_says_so(name: str, relief: bpy.types.Object) -> None:
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Go back to Object Mode first"):
        getattr(bpy.ops.jointdit, name)()


def test_the_camera_of_a_frame_and_its_sky_stand_for_it(relief: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = active.own_camera(relief)
    assert active.active_frame(bpy.context) == relief


def test_the_inputs_that_the_panel_shows_are_those_of_the_object(relief: bpy.types.Object) -> None:
    modifier = active.frame_modifier(relief)
    for output, count in (("Mesh", 7), ("Points", 5)):
        set_input(modifier, "Output", output)
        names = (*active.DEPTH_INPUTS, *active.SURFACE_INPUTS[active.output(relief)])
        shown = {name: owner.path_resolve(path) for name, owner, path in active.shown_inputs(modifier, names)}
        assert len(shown) == len(names) == 4 + count
        assert shown["Near"] == 2.0 and shown["Step"] == 1 and shown["Clean Edges"] is True


def test_match_camera(relief: bpy.types.Object) -> None:
    own, other = bpy.context.scene.camera, add_camera()
    bpy.context.scene.render.resolution_x = 17
    assert bpy.context.scene.camera == other
    assert bpy.ops.jointdit.match_camera() == {"FINISHED"}
    render = bpy.context.scene.render
    assert bpy.context.scene.camera == own and render.resolution_x / render.resolution_y == WIDTH / HEIGHT
    bpy.data.objects.remove(own)
    with pytest.raises(RuntimeError, match="no camera of its own"):
        bpy.ops.jointdit.match_camera()


def test_fit_to_camera(relief: bpy.types.Object) -> None:
    with pytest.raises(RuntimeError, match="is the frame's own"):
        bpy.ops.jointdit.fit_to_camera()
    camera = add_camera()
    assert bpy.ops.jointdit.fit_to_camera(distance=7.0, use_focal_length=True, focal_length=35.0, follow=True) == {"FINISHED"}
    assert relief.parent == camera and camera.data.lens == 35.0
    assert value(relief, "Near") == pytest.approx(7.0) and value(relief, "Far") == pytest.approx(140.0)
    with pytest.raises(RuntimeError, match="clear its parent first"):
        bpy.ops.jointdit.align_ground()
    bpy.context.scene.camera = None
    with pytest.raises(RuntimeError, match="has no camera"):
        bpy.ops.jointdit.fit_to_camera()


def test_align_ground(tmp_path: Path) -> None:
    from jointdit_blender.core.frame import ScaleShift

    inverse = ground_disparity(height=2.0, pitch=0.4)
    folder = make_frame(tmp_path / "ground", inverse, mapping=ScaleShift(1.0, 0.0)).folder
    assert bpy.ops.jointdit.build_frame(filepath=str(folder), sky="KEEP", clean=False, back_layer=False) == {"FINISHED"}
    relief = bpy.context.active_object
    before = value(relief, "Near")
    assert bpy.ops.jointdit.align_ground(camera_height=1.5) == {"FINISHED"}
    assert value(relief, "Near") == pytest.approx(before * 1.5 / 2.0, rel=1e-3)
    mesh = relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    heights = [(relief.matrix_world @ vertex.co).z for vertex in mesh.vertices]
    assert max(map(abs, heights)) < 0.02
    assert relief.matrix_world.translation.z == pytest.approx(1.5, rel=1e-3)


def test_without_a_ground_nothing_moves(tmp_path: Path) -> None:
    wall = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    wall[0, 0], wall[-1, -1] = 0.0, 1.0
    assert bpy.ops.jointdit.build_frame(filepath=str(make_frame(tmp_path / "wall", wall).folder)) == {"FINISHED"}
    relief = bpy.context.active_object
    before = relief.matrix_world.copy(), value(relief, "Near")
    with pytest.raises(RuntimeError, match="ground"):
        bpy.ops.jointdit.align_ground()
    assert (relief.matrix_world, value(relief, "Near")) == before


def test_scale_by_two_points(relief: bpy.types.Object) -> None:
    first, second = Vector((0.0, 0.0, -3.0)), Vector((0.0, 0.4, -3.0))
    assert bpy.ops.jointdit.scale_by_points(first=first, second=second, distance=2.0) == {"FINISHED"}
    assert value(relief, "Near") == pytest.approx(2.0 * 5.0) and value(relief, "Far") == pytest.approx(40.0 * 5.0)
    with pytest.raises(RuntimeError, match="two points are one"):
        bpy.ops.jointdit.scale_by_points(first=first, second=first, distance=2.0)
    set_input(active.frame_modifier(relief), "Output", "Points")
    with pytest.raises(RuntimeError, match="set Output to Mesh first"):
        bpy.ops.jointdit.scale_by_points(first=first, second=second)


def test_a_ray_meets_the_live_surface_in_its_own_space(relief: bpy.types.Object) -> None:
    relief.matrix_world = relief.matrix_world @ relief.matrix_world.Rotation(0.7, 4, "Z")
    relief.location, relief.scale = (4.0, -1.0, 2.0), (2.0, 2.0, 2.0)
    bpy.context.view_layer.update()
    disparity = hills(WIDTH, HEIGHT)
    row, column = 20, 30
    depth = 1.0 / (disparity[row, column] / 2.0 + (1.0 - disparity[row, column]) / 40.0)
    expected = Vector(rays(read_frame(Path(relief["frame"])).camera, WIDTH, HEIGHT, "planar")[row, column] * depth)
    eye = relief.matrix_world.translation
    found = meets(bpy.context, relief, eye, (relief.matrix_world @ expected) - eye)
    assert found is not None and (found - expected).length < 1e-3 * depth
    assert meets(bpy.context, relief, eye, eye - (relief.matrix_world @ expected)) is None


def test_relit_and_back(relief: bpy.types.Object) -> None:
    assert not active.relit(relief)
    bpy.ops.jointdit.relight()
    assert active.relit(relief)
    bpy.ops.jointdit.relight()
    assert not active.relit(relief)
    own = bpy.data.materials.new("Own")
    if bpy.app.version < (5, 0, 0):
        own.use_nodes = True
    set_input(active.frame_modifier(relief), "Material", own)
    assert not active.relit(relief)
    with pytest.raises(RuntimeError, match="not one of JointDiT's"):
        bpy.ops.jointdit.relight()


def test_bake(relief: bpy.types.Object) -> None:
    assert bpy.ops.jointdit.bake() == {"FINISHED"}
    plain = bpy.context.active_object
    evaluated = relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    assert plain != relief and not plain.modifiers and len(plain.data.vertices) == len(evaluated.vertices)
    bpy.context.view_layer.objects.active = relief
    relief.hide_set(False)
    relief.hide_viewport = False
    assert bpy.ops.jointdit.bake(simplify=True, error=1.0, keep_live=False) == {"FINISHED"}
    simple = bpy.context.active_object
    assert 4 <= len(simple.data.vertices) < len(plain.data.vertices) / 2 and len(bpy.data.objects) >= 2
    assert not [item for item in bpy.data.objects if active.frame_modifier(item)]


def test_rebuild_as_it_was_or_as_the_panel_says(relief: bpy.types.Object) -> None:
    relief.location, name = (1.0, 2.0, 3.0), relief.name
    set_input(active.frame_modifier(relief), "Near", 0.5)
    assert bpy.ops.jointdit.rebuild() == {"FINISHED"}
    again = bpy.context.active_object
    assert again.name == name and tuple(again.location) == (1.0, 2.0, 3.0) and value(again, "Near") == 0.5
    bpy.context.scene.jointdit.build = "POINTS"
    assert bpy.ops.jointdit.rebuild(use_settings=True) == {"FINISHED"}
    assert active.output(bpy.context.active_object) == "Points" and len([item for item in bpy.data.objects if active.frame_modifier(item)]) == 1
    for path in Path(bpy.context.active_object["frame"]).iterdir():
        path.unlink()
    with pytest.raises(RuntimeError, match="holds no frame"):
        bpy.ops.jointdit.rebuild()
    assert len([item for item in bpy.data.objects if active.frame_modifier(item)]) == 1


def dropped(folder: Path, *names: str, **settings: object) -> set[str]:
    """What Blender's file handler calls; without a window nothing is asked of the panel."""
    return set(bpy.ops.jointdit.build_frame(directory=str(folder), files=[{"name": name} for name in names], **settings))


@pytest.mark.parametrize("names", [["frame.json"], ["image.png"], ["disparity.exr"], ["frame.json", "image.png", "disparity.exr"]])
def test_a_dropped_frame_is_built(folder: Path, names: list[str]) -> None:
    assert dropped(folder, *names, build="POINTS", relit=True) == {"FINISHED"}
    relief = bpy.context.active_object
    assert relief["frame"] == str(folder) and active.output(relief) == "Points" and active.relit(relief)


def test_a_dropped_pair_becomes_a_frame_in_the_output_folder(tmp_path: Path) -> None:
    write_png(tmp_path / "photo.png", gradient(WIDTH, HEIGHT))
    np.save(tmp_path / "photo_depth.npy", hills(WIDTH, HEIGHT))
    settings = bpy.context.scene.jointdit
    settings.near, settings.far, settings.horizontal_angle = 3.0, 9.0, math.radians(40.0)
    assert dropped(tmp_path, "photo_depth.npy", "photo.png") == {"FINISHED"}
    frame = read_frame(Path(bpy.context.active_object["frame"]))
    assert frame.folder.parent == preferences.output_folder(bpy.context) and frame.prompt == "photo"
    assert frame.mapping == NearFar(3.0, 9.0) and frame.camera.horizontal_angle == 40.0


def test_what_is_no_frame_is_a_sentence_and_changes_nothing(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, gradient(8, 6))
    for names, words in ((["a.png"], "needs two"), (["a.png", "b.png"], "cannot be told"), (["notes.json"], "no frame.json")):
        with pytest.raises(RuntimeError, match=words):
            dropped(tmp_path, *names)
    assert not bpy.data.objects and not bpy.data.images


def over(area_type: str = "VIEW_3D", tab: str = "Item", width: int = 300, mode: str = "OBJECT") -> SimpleNamespace:
    """The context in which Blender asks the handlers."""
    regions = [SimpleNamespace(type="WINDOW", width=900), SimpleNamespace(type="UI", width=width, active_panel_category=tab)]
    return SimpleNamespace(area=SimpleNamespace(type=area_type, regions=regions), mode=mode)


@pytest.mark.parametrize(
    ("context", "takers"),
    [
        (over(), [JOINTDIT_FH_frame]),
        (over(tab="JointDiT"), [JOINTDIT_FH_pictures]),
        (over(tab="JointDiT", width=1), [JOINTDIT_FH_frame]),
        (over(mode="EDIT_MESH", tab="JointDiT"), []),
        (over(area_type="NODE_EDITOR"), []),
        (SimpleNamespace(area=None, mode="OBJECT"), []),
    ],
)
def test_pictures_stay_with_blender_unless_the_tab_is_open(context: SimpleNamespace, takers: list[type]) -> None:
    assert [handler for handler in (JOINTDIT_FH_frame, JOINTDIT_FH_pictures) if handler.poll_drop(context)] == takers
    assert set(JOINTDIT_FH_frame.bl_file_extensions.split(";")) == {".json", ".npy"}, "no kind that Blender itself takes"
    assert {".png", ".exr", ".jpg", ".npy", ".json"} <= set(JOINTDIT_FH_pictures.bl_file_extensions.split(";"))


def test_options_of_the_panel_are_those_of_the_builder() -> None:
    from hypothesis import given
    from hypothesis import strategies as st

    from jointdit_blender.scene.options import GEOMETRIES, SKIES, TORN, BuildOptions

    metres = st.floats(0.01, 500.0).map(lambda number: float(f"{number:.5g}"))
    options = st.builds(
        BuildOptions,
        geometry=st.sampled_from(GEOMETRIES),
        gamma=metres.filter(lambda number: number >= 0.05),
        tear=metres,
        torn=st.sampled_from(TORN),
        clean=st.booleans(),
        back_layer=st.booleans(),
        sky=st.sampled_from(SKIES),
        step=st.integers(1, 64),
        relit=st.booleans(),
        backdrop=metres,
        focal_length=st.none() | st.floats(1.0, 300.0).map(lambda number: float(f"{number:.5g}")),
        follow=st.booleans(),
        ground=st.none() | metres,
        floor=st.booleans(),
        environment=st.booleans(),
    )

    @given(options=options, own=st.booleans())
    def holds(options: BuildOptions, own: bool) -> None:
        if own:
            options = replace(options, backdrop=None, focal_length=None)
        else:
            # A backdrop hangs on its camera.
            options = replace(options, ground=None, floor=False)
        settings = bpy.context.scene.jointdit
        settings.adopt(options)
        assert settings.build_options() == options

    holds()
