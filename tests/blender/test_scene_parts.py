# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build puts beside the relief (sky, dome, world, floor), where it puts it, and how it is built again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from frames import gradient, hills, make_frame

bpy = pytest.importorskip("bpy")

from jointdit_blender.core.frame import Camera, Frame, NearFar, read_frame  # noqa: E402
from jointdit_blender.core.lifting import rays  # noqa: E402
from jointdit_blender.scene.builder import BuildError, BuildOptions, build_frame  # noqa: E402
from jointdit_blender.scene.modifier import get_input, set_input  # noqa: E402
from jointdit_blender.scene.pixels import load_picture, read_pixels  # noqa: E402
from jointdit_blender.scene.preview import render_preview  # noqa: E402
from jointdit_blender.scene.rebuild import rebuild  # noqa: E402
from jointdit_blender.scene.templates import TEMPLATES  # noqa: E402

BLUE, GREEN, RED = (90, 140, 230), (60, 120, 50), (200, 40, 40)


def landscape(folder: Path, width: int = 96, height: int = 64, tilt: float = 0.0) -> Frame:
    """Flat ground 1.5 m below a level camera, a red box on it, and the sky; exact in closed form, near 2 m, far 100 m."""
    camera = Camera("perspective", 60.0)
    ray = rays(camera, width, height, "planar")
    ground = np.where(ray[..., 1] < -1e-6, 1.5 / np.maximum(-ray[..., 1], 1e-6), np.inf)
    depth = np.where(ground < 100.0, ground, np.inf)
    rgb = np.where(np.isfinite(depth)[..., None], GREEN, BLUE).astype(np.uint8)
    rgb[..., 2] = np.where(np.isfinite(depth), rgb[..., 2], np.linspace(230, 160, height)[:, None])
    box = (np.abs(ray[..., 0] * 6.0 + 1.0) < 0.7) & (ray[..., 1] * 6.0 < 0.8) & (ray[..., 1] * 6.0 > -1.5)
    depth[box], rgb[box] = 6.0, RED
    mapping = NearFar(2.0, 100.0)
    disparity = (1.0 / depth - 1.0 / mapping.far) / (1.0 / mapping.near - 1.0 / mapping.far)
    return make_frame(folder, np.clip(disparity, 0.0, 1.0).astype(np.float32), rgb=rgb, camera=camera, mapping=mapping, prompt="a red box")


def positions(item: bpy.types.Object) -> np.ndarray:
    """World positions of the evaluated vertices, (n, 3)."""
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.data
    values = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", values)
    return np.c_[values.reshape(-1, 3), np.ones(len(mesh.vertices))] @ np.array(evaluated.matrix_world)[:3].T


def part(collection: bpy.types.Collection, ending: str) -> bpy.types.Object | None:
    return next((item for item in collection.objects if item.name.split(".")[0].endswith(ending)), None)


def preview(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The scene through its camera at the size of the picture, (height, width, 3) from 0 to 255."""
    bpy.context.scene.view_settings.view_transform = "Standard"
    render_preview(bpy.context.scene, path, 4 * max(size))
    image = bpy.data.images.load(str(path), check_existing=False)
    pixels = np.empty(16 * size[0] * size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    large = pixels.reshape(4 * size[1], 4 * size[0], 4)[::-1, :, :3]
    return large.reshape(size[1], 4, size[0], 4, 3).mean(axis=(1, 3)) * 255.0


def test_the_sky_stands_far_behind_and_the_picture_stays_whole(tmp_path: Path) -> None:
    frame = landscape(tmp_path / "frame")
    result = build_frame(bpy.context, frame)
    assert result.notes == ()
    sky = part(result.collection, "Sky")
    assert sky is not None and sky.parent == result.object
    distances = np.linalg.norm(positions(sky), axis=1)
    np.testing.assert_allclose(distances, 500.0, rtol=1e-4)
    # Neither the sky nor mixed pixels are left in the relief: nothing of it is higher than the box or farther than the ground goes.
    relief = positions(result.object)
    assert relief[:, 2].max() < 1.2 and relief[:, 1].max() < 101.0
    shown = preview(tmp_path / "preview.png", (frame.width, frame.height))
    seen = bpy.data.images.load(str(frame.image))
    pixels = np.empty(4 * frame.width * frame.height, np.float32)
    seen.pixels.foreach_get(pixels)
    picture = pixels.reshape(frame.height, frame.width, 4)[::-1, :, :3] * 255.0
    difference = np.abs(shown - picture)[1:-1, 1:-1].max(axis=-1)
    # The relief ends in the middle of its last pixels before the sky.
    assert np.median(difference) < 2.0 and (difference > 40.0).mean() < 0.025 and (difference > 130.0).mean() < 0.002
    # The sheet follows the live inputs.
    set_input(result.object.modifiers[0], "Far", 50.0)
    np.testing.assert_allclose(np.linalg.norm(positions(sky), axis=1), 250.0, rtol=1e-4)


@pytest.mark.parametrize(("sky", "beside", "highest"), [("keep", set(), 20.0), ("remove", set(), 1.2), ("dome", {"Dome"}, 1.2), ("world", set(), 1.2)])
def test_choices_for_the_sky(tmp_path: Path, sky: str, beside: set[str], highest: float) -> None:
    before = bpy.context.scene.world
    result = build_frame(bpy.context, landscape(tmp_path / "frame"), BuildOptions(sky=sky))
    assert {ending for ending in ("Sky", "Dome") if part(result.collection, ending)} == beside
    top = positions(result.object)[:, 2].max()
    assert top > highest if sky == "keep" else top < highest
    assert (bpy.context.scene.world != before) == (sky == "world")


def test_no_sky_is_said_where_one_was_wished(tmp_path: Path) -> None:
    result = build_frame(bpy.context, make_frame(tmp_path / "frame", hills(40, 30)), BuildOptions(sky="remove"))
    assert any("No sky was found" in note for note in result.notes)
    assert build_frame(bpy.context, make_frame(tmp_path / "frame", hills(40, 30))).notes == ()


def test_a_dome_of_a_perspective_frame_is_closed(tmp_path: Path) -> None:
    result = build_frame(bpy.context, landscape(tmp_path / "frame"), BuildOptions(geometry="dome", environment=True))
    dome = part(result.collection, "Dome")
    assert dome is not None and dome.parent == result.object
    edges = dome.data.edge_keys
    assert len(dome.data.vertices) - len(edges) + len(dome.data.polygons) == 2, "a sphere"
    assert bpy.context.scene.world is not None
    # From the middle every direction meets something.
    bpy.context.view_layer.update()
    for direction in np.random.default_rng(0).normal(size=(40, 3)):
        hit, *_ = bpy.context.scene.ray_cast(bpy.context.evaluated_depsgraph_get(), (0, 0, 0), direction / np.linalg.norm(direction))
        assert hit


def test_the_sky_of_a_sphere_stays_over_it(tmp_path: Path) -> None:
    camera = Camera("equirectangular", 360.0, 180.0)
    up = rays(camera, 96, 48, "radial")[..., 1]
    distance = np.where(up < -1e-3, np.minimum(1.6 / np.maximum(-up, 1e-3), 60.0), np.inf)
    rgb = np.where((up < 0.0)[..., None], GREEN, BLUE).astype(np.uint8)
    rgb[..., 2] = np.where(up < 0.0, rgb[..., 2], np.linspace(200, 240, 48)[:, None])
    disparity = np.clip((1.0 / distance - 1.0 / 60.0) / (1.0 / 1.6 - 1.0 / 60.0), 0.0, 1.0).astype(np.float32)
    frame = make_frame(tmp_path / "frame", disparity, rgb=rgb, camera=camera, distance="radial", mapping=NearFar(1.6, 60.0))
    build_frame(bpy.context, frame, BuildOptions(geometry="dome"))
    bpy.context.view_layer.update()
    for direction in np.random.default_rng(0).normal(size=(40, 3)):
        hit, *_ = bpy.context.scene.ray_cast(bpy.context.evaluated_depsgraph_get(), (0, 0, 0), direction / np.linalg.norm(direction))
        assert hit, direction


def test_an_empty_sky_has_the_colors_of_the_picture(tmp_path: Path) -> None:
    frame = landscape(tmp_path / "frame")
    made = make_frame(tmp_path / "other", _with_holes(frame), rgb=_colors(frame), camera=frame.camera, mapping=frame.mapping)
    result = build_frame(bpy.context, made)
    assert part(result.collection, "Sky") is not None


def _colors(frame: Frame) -> np.ndarray:
    image = bpy.data.images.load(str(frame.image))
    pixels = np.empty(4 * frame.width * frame.height, np.float32)
    image.pixels.foreach_get(pixels)
    return np.rint(pixels.reshape(frame.height, frame.width, 4)[::-1, :, :3] * 255.0).astype(np.uint8)


def _with_holes(frame: Frame) -> np.ndarray:
    """The frame's disparity with holes where its sky is."""
    values = read_pixels(load_picture(frame.disparity)).copy()
    values[values <= 0.0] = np.nan
    return values


def test_a_backdrop_hangs_on_the_camera_of_the_scene(tmp_path: Path) -> None:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (3.0, -2.0, 1.0), (1.2, 0.1, 0.7)
    scene.collection.objects.link(camera)
    scene.camera = camera
    size = scene.render.resolution_x, scene.render.resolution_y
    result = build_frame(bpy.context, landscape(tmp_path / "frame"), BuildOptions(backdrop=30.0))
    assert result.camera is None and scene.camera == camera and result.object.parent == camera
    assert (scene.render.resolution_x, scene.render.resolution_y) == size
    assert get_input(result.object.modifiers[0], "Near") == pytest.approx(30.0)
    bpy.context.view_layer.update()
    sky = part(result.collection, "Sky")
    inverse = np.array(camera.matrix_world.inverted())
    seen = positions(sky) @ inverse[:3, :3].T + inverse[:3, 3]
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 5.0 * 1500.0, rtol=1e-3)
    with pytest.raises(BuildError):
        camera.data.type = "ORTHO"
        build_frame(bpy.context, landscape(tmp_path / "frame"), BuildOptions(backdrop=30.0))
    assert len([item for item in bpy.data.objects if "frame" in item]) == 1


def test_a_backdrop_without_a_camera_brings_its_own(tmp_path: Path) -> None:
    result = build_frame(bpy.context, landscape(tmp_path / "frame"), BuildOptions(backdrop=30.0))
    assert result.camera is not None and bpy.context.scene.camera == result.camera
    assert any("no camera" in note for note in result.notes)


def test_the_ground_is_level_and_the_floor_on_it(tmp_path: Path) -> None:
    result = build_frame(bpy.context, landscape(tmp_path / "frame"), BuildOptions(ground=3.0, floor=True, torn="cut", back_layer=False))
    relief = positions(result.object)
    ground = relief[(relief[:, 1] < 40.0) & (relief[:, 1] > 9.0 * 2.0)]
    assert len(ground) > 200 and np.abs(ground[:, 2] + 0.05).max() < 0.02
    assert result.camera.matrix_world.translation.z == pytest.approx(2.95, abs=0.02)
    floor = part(result.collection, "Floor")
    assert floor is not None and floor.is_shadow_catcher and floor.location.z == 0.0
    assert bpy.context.scene.world is not None, "a shadow catcher shows the world, and nothing else"


def test_no_ground_is_a_note(tmp_path: Path) -> None:
    flat = make_frame(tmp_path / "frame", np.full((30, 40), 0.5, np.float32))
    result = build_frame(bpy.context, flat, BuildOptions(ground=1.6))
    assert len(result.notes) == 2 and all(note.endswith(".") for note in result.notes)
    assert "same everywhere" in result.notes[0]


def test_linked_pictures_are_files_that_load_again(tmp_path: Path) -> None:
    frame = landscape(tmp_path / "frame")
    result = build_frame(bpy.context, frame, BuildOptions(pack=False))
    count, name = result.vertices, result.object.name
    assert not any(image.packed_file for image in bpy.data.images)
    assert {path.name.split("-")[0] for path in (frame.folder / "derived").iterdir()} == {"maps", "behind", "sky"}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "linked.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "linked.blend"))
    set_input(bpy.data.objects[name].modifiers[0], "Torn Faces", "Cut")
    set_input(bpy.data.objects[name].modifiers[0], "Back Layer", False)
    assert len(positions(bpy.data.objects[name])) == count
    assert read_frame(frame.folder) == frame


def test_packed_pictures_need_no_folder(tmp_path: Path) -> None:
    frame = landscape(tmp_path / "frame")
    result = build_frame(bpy.context, frame)
    name, before = result.object.name, positions(result.object)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "packed.blend"))
    for path in frame.folder.iterdir():
        path.unlink()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "packed.blend"))
    np.testing.assert_array_equal(positions(bpy.data.objects[name]), before)


def test_rebuild_is_in_place(tmp_path: Path) -> None:
    frame = landscape(tmp_path / "frame")
    old = build_frame(bpy.context, frame, BuildOptions(tear=0.1, relit=True))
    relief, name, camera = old.object, old.object.name, old.camera
    shots = bpy.data.collections.new("Shots")
    bpy.context.scene.collection.children.link(shots)
    bpy.context.scene.collection.children.unlink(old.collection)
    shots.children.link(old.collection)
    mine = bpy.data.objects.new("Mine.001", None)
    mine.constraints.new("COPY_LOCATION").target = relief
    old.collection.objects.link(mine)
    shots.objects.link(relief)
    relief.location = (1.0, 2.0, 3.0)
    relief.keyframe_insert("location", frame=1)
    set_input(relief.modifiers[0], "Far", 7.0)
    bpy.data.images.remove(get_input(relief.modifiers[0], "Disparity"))
    result = rebuild(bpy.context, relief)
    assert result.object == relief and relief.name == name and tuple(relief.location) == (1.0, 2.0, 3.0)
    assert relief.animation_data.action is not None and mine.constraints[0].target == relief
    assert result.camera == camera == bpy.context.scene.camera and camera.parent == relief
    # What was changed since stays; the pictures are there again.
    assert get_input(relief.modifiers[0], "Far") == pytest.approx(7.0)
    assert get_input(relief.modifiers[0], "Tear") == pytest.approx(0.1)
    assert tuple(get_input(relief.modifiers[0], "Disparity").size) == (96, 64)
    assert set(shots.children) == {old.collection} and mine.name == "Mine.001"
    assert {item.name for item in old.collection.objects} == {name, f"{name} Camera", f"{name} Sky", "Mine.001"}
    sky = part(old.collection, "Sky")
    assert sky.parent == relief
    set_input(relief.modifiers[0], "Far", 100.0)
    np.testing.assert_allclose(np.linalg.norm(positions(sky) - (1.0, 2.0, 3.0), axis=1), 500.0, rtol=1e-4)
    with pytest.raises(BuildError):
        rebuild(bpy.context, mine)


def test_rebuild_by_other_options(tmp_path: Path) -> None:
    old = build_frame(bpy.context, landscape(tmp_path / "frame"))
    relief = old.object
    with_floor = rebuild(bpy.context, relief, BuildOptions(floor=True))
    assert part(with_floor.collection, "Floor") is not None and len(bpy.data.worlds) == 1
    rebuild(bpy.context, relief, BuildOptions(floor=True))
    assert len(bpy.data.worlds) == 1, "a world that was built makes room for the next one"
    points = rebuild(bpy.context, relief, BuildOptions(geometry="points"))
    assert points.object == relief and get_input(relief.modifiers[0], "Output") == "Points"
    assert part(points.collection, "Floor") is None
    assert len([item for item in bpy.data.objects if "frame" in item]) == 1
    assert BuildOptions.from_json(relief["jointdit_options"]).geometry == "points"


def test_rebuild_of_a_copy_leaves_the_original_alone(tmp_path: Path) -> None:
    old = build_frame(bpy.context, landscape(tmp_path / "frame"))
    copy = old.object.copy()
    old.collection.objects.link(copy)
    rebuild(bpy.context, copy)
    assert {child.name.rsplit(" ", 1)[1] for child in old.object.children} == {"Camera", "Sky"}


def test_a_backdrop_stays_one(tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    relief = build_frame(bpy.context, landscape(tmp_path / "frame"), BuildOptions(backdrop=20.0)).object
    scene.camera.data.lens = 35.0
    bpy.context.view_layer.update()
    before = positions(relief)
    rebuild(bpy.context, relief)
    assert relief.parent == scene.camera and get_input(relief.modifiers[0], "Near") == pytest.approx(20.0)
    np.testing.assert_allclose(positions(relief), before, rtol=1e-4, atol=1e-4)
    # The sky is five times as far as the frame's far distance, and the camera sees it.
    assert scene.camera.data.clip_end > 5.0 * get_input(relief.modifiers[0], "Far")
    rebuild(bpy.context, relief, BuildOptions(backdrop=30.0))
    assert relief.parent == scene.camera and get_input(relief.modifiers[0], "Near") == pytest.approx(30.0)
    scene.camera.data.lens = 70.0
    bpy.context.view_layer.update()
    narrow = get_input(relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).modifiers[0], "Field of View")
    assert narrow < 0.6, "it still follows the lens"


def test_a_failed_rebuild_keeps_the_old_one(tmp_path: Path) -> None:
    frame = landscape(tmp_path / "frame")
    old = build_frame(bpy.context, frame)
    frame.image.write_bytes(b"no picture")
    names = {item.name for item in bpy.data.objects}
    with pytest.raises(Exception, match="PNG"):
        rebuild(bpy.context, old.object)
    assert {item.name for item in bpy.data.objects} == names


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("with_camera", [False, True])
def test_templates(tmp_path: Path, template: str, with_camera: bool) -> None:
    scene = bpy.context.scene
    if with_camera:
        scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(scene.camera)
    result = build_frame(bpy.context, landscape(tmp_path / "frame"), TEMPLATES[template])
    assert result.vertices > 1000
    assert (result.camera is None) == (template == "BACKDROP" and with_camera)
    assert BuildOptions.from_json(result.object["jointdit_options"]) == TEMPLATES[template]
    kinds = {"BACKDROP": {"Sky"}, "ROOM": {"Floor"}, "DOME": {"Dome"}, "POINTS": set()}[template]
    assert {ending for ending in ("Sky", "Floor", "Dome") if part(result.collection, ending)} == kinds


def test_everything_equal_and_very_wide_are_sentences(tmp_path: Path) -> None:
    flat = build_frame(bpy.context, make_frame(tmp_path / "flat", np.zeros((20, 30), np.float32)))
    assert "The disparity is the same everywhere, so everything stands at one distance." in flat.notes
    ramp = np.tile(np.linspace(0.0, 1.0, 16384, dtype=np.float32), (2, 1))
    wide = build_frame(bpy.context, make_frame(tmp_path / "wide", ramp), BuildOptions(clean=False, back_layer=False, sky="keep", torn="cut"))
    assert wide.vertices == 2 * 16384
    large = replace(make_frame(tmp_path / "large", hills(20, 10)), width=8192, height=4096)
    objects = len(bpy.data.objects)
    with pytest.raises(BuildError, match=r"choose a step of 2 pixels"):
        build_frame(bpy.context, large)
    assert len(bpy.data.objects) == objects


def test_a_picture_from_elsewhere_is_not_stretched(tmp_path: Path) -> None:
    """A frame without clean-up has exactly its own pixels, and options that are kept as text come back whole."""
    options = BuildOptions(clean=False, back_layer=False, sky="keep", torn="cut", near=1.0, ground=None, focal_length=35.0)
    assert BuildOptions.from_json(options.to_json()) == options
    assert BuildOptions.from_json('{"new": 1, "tear": 0.2}') == BuildOptions(tear=0.2)
    assert BuildOptions.from_json("no JSON") == BuildOptions()
    frame = make_frame(tmp_path / "frame", hills(30, 20), rgb=gradient(30, 20))
    assert build_frame(bpy.context, frame, options).vertices == 600
