# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as backdrops, on the ground and in true size, held against Blender's own projection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from frames import hills, make_frame

bpy = pytest.importorskip("bpy")

from mathutils import Euler, Matrix, Vector  # noqa: E402
from rendering import render  # noqa: E402

from jointdit_blender.core.frame import Camera, NearFar  # noqa: E402
from jointdit_blender.scene.builder import BuildOptions, build_frame  # noqa: E402
from jointdit_blender.scene.modifier import get_input, input_path, set_input  # noqa: E402
from jointdit_blender.scene.placing import PlacingError, align_ground, fit_to_camera, frame_modifier, scale_between, scale_depth  # noqa: E402

PLACE = Matrix.LocRotScale(Vector((1.0, -2.0, 3.0)), Euler((1.2, 0.3, -0.7)), Vector((2.0, 3.0, 0.5)))
WHOLE = BuildOptions(torn="keep", clean=False, back_layer=False, sky="keep", look_through=False)


@dataclass(frozen=True)
class Ground:
    """What `core.ground` finds."""

    normal: tuple[float, float, float]
    height: float
    share: float = 1.0


def build(folder: Path, size: tuple[int, int] = (48, 32), **values: object) -> bpy.types.Object:
    return build_frame(bpy.context, make_frame(folder / "frame", hills(*size), **values), WHOLE).object


def add_camera(lens: float = 50.0) -> bpy.types.Object:
    """The scene's camera at an odd place, scaled as artists scale cameras to see them."""
    camera = bpy.data.objects.new("Shot", bpy.data.cameras.new("Shot"))
    camera.data.lens = lens
    camera.matrix_world = PLACE
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera


def local_points(relief: bpy.types.Object) -> np.ndarray:
    """Vertices of the evaluated frame in its own space, (n, 3)."""
    mesh = relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    values = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", values)
    return values.reshape(-1, 3).astype(np.float64)


def world_points(relief: bpy.types.Object) -> np.ndarray:
    points = local_points(relief)
    return np.c_[points, np.ones(len(points))] @ np.array(relief.matrix_world)[:3].T


def projected(relief: bpy.types.Object, camera: bpy.types.Object) -> np.ndarray:
    """Where the vertices land in the view of a camera, (n, 2): -1 to 1 from its left to its right and from its bottom to its top."""
    scene, depsgraph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
    render = scene.render
    matrix = camera.evaluated_get(depsgraph).calc_matrix_camera(
        depsgraph, x=render.resolution_x, y=render.resolution_y, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    # Renders take no notice of a camera's scale.
    location, rotation, _ = camera.matrix_world.decompose()
    matrix = np.array(matrix @ Matrix.LocRotScale(location, rotation, None).inverted())
    points = world_points(relief)
    clip = np.c_[points, np.ones(len(points))] @ matrix.T
    assert (clip[:, 3] > 0.0).all(), "in front of the camera"
    return clip[:, :2] / clip[:, 3:]


def check_covers(relief: bpy.types.Object, camera: bpy.types.Object, slack: float = 0.004, off: float = 2e-4) -> None:
    """The picture fills the view, centred but for the part `off`, and one of its sides just so."""
    bpy.context.view_layer.update()
    landed = projected(relief, camera)
    low, high = landed.min(axis=0), landed.max(axis=0)
    assert (low <= -1.0).all() and (high >= 1.0).all(), (low, high)
    np.testing.assert_allclose(low, -high, rtol=off)
    assert high.min() <= 1.0 + slack


@pytest.mark.parametrize("size", [(1920, 1080), (1000, 1000), (1080, 1920)])
def test_a_backdrop_fills_the_view(tmp_path: Path, size: tuple[int, int]) -> None:
    scene, camera = bpy.context.scene, add_camera()
    scene.render.resolution_x, scene.render.resolution_y = size
    camera.data.sensor_width, camera.data.sensor_height = 30.0, 21.0
    relief = build(tmp_path)
    for follow in (False, True):
        fit_to_camera(bpy.context, relief, distance=7.0, follow=follow)
        assert (relief.parent == camera) == follow
        for fit in ("AUTO", "HORIZONTAL", "VERTICAL"):
            camera.data.sensor_fit = fit
            for shift_x, shift_y, pixel_aspect in ((0.0, 0.0, 1.0), (0.2, -0.35, 1.5)):
                camera.data.shift_x, camera.data.shift_y = shift_x, shift_y
                scene.render.pixel_aspect_y = pixel_aspect
                if not follow:
                    fit_to_camera(bpy.context, relief, distance=7.0, follow=False)
                check_covers(relief, camera)


def test_a_backdrop_follows_its_camera(tmp_path: Path) -> None:
    scene, camera = bpy.context.scene, add_camera()
    relief = build(tmp_path, size=(40, 60))
    modifier = frame_modifier(relief)
    shape = get_input(modifier, "Far") / get_input(modifier, "Near")
    assert fit_to_camera(bpy.context, relief, distance=3.0, focal_length=85.0) == ()
    assert camera.data.lens == 85.0
    assert get_input(modifier, "Near") == pytest.approx(3.0)
    assert get_input(modifier, "Far") == pytest.approx(3.0 * shape)
    assert -local_points(relief)[:, 2].max() == pytest.approx(3.0, rel=1e-5)
    check_covers(relief, camera)
    camera.matrix_world = Matrix.Translation((5.0, 6.0, 7.0)) @ Euler((0.3, 2.0, 1.0)).to_matrix().to_4x4()
    camera.scale = (4.0, 1.0, 2.0)
    bpy.context.view_layer.update()
    np.testing.assert_allclose(relief.matrix_world.translation, (5.0, 6.0, 7.0), atol=1e-5)
    check_covers(relief, camera)
    # An animated lens: at every frame of the animation.
    camera.data.lens = 20.0
    camera.data.keyframe_insert("lens", frame=1)
    camera.data.lens = 120.0
    camera.data.keyframe_insert("lens", frame=20)
    lenses = []
    for number in (1, 7, 20):
        scene.frame_set(number)
        check_covers(relief, camera)
        lenses.append(round(camera.data.lens))
    assert lenses[0] == 20 and lenses[2] == 120
    # A coarser grid ends farther inside of the picture.
    for step in (2, 3, 4, 7):
        set_input(modifier, "Step", step)
        check_covers(relief, camera, slack=0.25, off=0.1)


@pytest.mark.parametrize("size", [(96, 54), (54, 96)])
def test_a_backdrop_has_no_rim(tmp_path: Path, size: tuple[int, int]) -> None:
    camera = add_camera()
    camera.data.shift_x = 0.3
    relief = build(tmp_path, rgb=np.full((32, 48, 3), 255, np.uint8))
    fit_to_camera(bpy.context, relief, distance=3.0)
    # The size sets the aspect, which the drivers follow.
    assert render(bpy.context.scene, tmp_path / "white.png", size, samples=16).min() >= 254


def test_the_drivers_need_no_python(tmp_path: Path) -> None:
    camera = add_camera()
    relief = build(tmp_path)
    fit_to_camera(bpy.context, relief, distance=3.0)
    # Fitted once more, it is not driven twice.
    fit_to_camera(bpy.context, relief, distance=4.0)
    bpy.context.view_layer.update()
    drivers = relief.animation_data.drivers
    paths = {input_path(frame_modifier(relief), name) for name in ("Field of View", "Principal X", "Principal Y")}
    assert len(drivers) == 3 and {curve.data_path for curve in drivers} == paths
    assert all(curve.driver.is_simple_expression and curve.driver.is_valid for curve in drivers)
    fit_to_camera(bpy.context, relief, distance=4.0, follow=False)
    assert not relief.animation_data.drivers and relief.parent is None and not relief.constraints
    placed = world_points(relief)
    camera.location.x += 5.0
    camera.data.lens = 20.0
    bpy.context.view_layer.update()
    np.testing.assert_array_equal(world_points(relief), placed)


def test_a_fixed_backdrop_equals_one_that_follows(tmp_path: Path) -> None:
    camera = add_camera(33.0)
    camera.data.shift_x, camera.data.shift_y = 0.1, 0.2
    relief = build(tmp_path)
    places = []
    for follow in (True, False):
        fit_to_camera(bpy.context, relief, distance=2.0, follow=follow)
        places.append(world_points(relief))
    np.testing.assert_allclose(*places, rtol=1e-4, atol=1e-4)


def test_the_camera_sees_as_far_as_the_backdrop(tmp_path: Path) -> None:
    camera = add_camera()
    camera.data.clip_start, camera.data.clip_end = 2.0, 30.0
    relief = build(tmp_path)
    (note,) = fit_to_camera(bpy.context, relief, distance=5.0)
    assert "Shot" in note and note.endswith(".")
    assert camera.data.clip_start < 5.0 and camera.data.clip_end > 100.0
    assert fit_to_camera(bpy.context, relief, distance=5.0) == ()


def test_what_no_backdrop_can_be_made_of_is_a_sentence(tmp_path: Path) -> None:
    scene = bpy.context.scene
    relief = build(tmp_path)
    own = next(child for child in relief.children if child.type == "CAMERA")
    modifier = frame_modifier(relief)
    camera = add_camera()
    panorama = build_frame(
        bpy.context, make_frame(tmp_path / "around", hills(32, 16), camera=Camera("equirectangular", 360.0, 180.0), distance="radial"), WHOLE
    ).object
    before = (get_input(modifier, "Near"), relief.matrix_world.copy(), camera.data.lens)

    def fails(words: str, item: bpy.types.Object = relief, **values: float) -> None:
        with pytest.raises(PlacingError, match=words) as caught:
            fit_to_camera(bpy.context, item, **{"distance": 5.0, **values})
        assert str(caught.value).endswith(".")

    scene.camera = None
    fails("no camera")
    scene.camera = own
    fails("hangs on the frame")
    scene.camera = camera
    for kind in ("ORTHO", "PANO"):
        camera.data.type = kind
        fails("not a perspective camera")
    camera.data.type = "PERSP"
    fails("panorama", panorama)
    fails("not a live frame", camera)
    for distance in (0.0, -1.0, math.nan, math.inf, 1e30, 1e-30):
        fails("distance", distance=distance)
    for length in (0.0, math.nan, -5.0):
        fails("focal length", focal_length=length)
    assert before == (get_input(modifier, "Near"), relief.matrix_world, camera.data.lens) and relief.parent is None


def tilted_ground(width: int, height: int, angle: float, roll: float, tall: float, camera: Camera) -> tuple[np.ndarray, Vector]:
    """1/Z of a plane `tall` metres below a camera that looks down by `angle` and is rolled by `roll` (radians), and the plane's normal."""
    normal = Euler((angle, 0.0, roll)).to_matrix() @ Vector((0.0, 1.0, 0.0))
    pixel = 2.0 * math.tan(math.radians(camera.horizontal_angle) / 2.0) / width
    x = (np.arange(width) + 0.5 - width / 2.0) * pixel
    y = (height / 2.0 - np.arange(height) - 0.5) * pixel
    rays = np.stack(np.broadcast_arrays(x[None, :], y[:, None], -1.0), axis=-1)
    # On the plane: ray * Z . normal = -tall.
    return -(rays @ np.array(normal)) / tall, normal


@pytest.mark.parametrize(("angle", "roll"), [(0.9, 0.0), (0.8, 0.2), (math.pi / 2.0, 0.0), (1.2, -0.5)])
def test_the_ground_becomes_level(tmp_path: Path, angle: float, roll: float) -> None:
    inverse, normal = tilted_ground(40, 30, angle, roll, 2.5, Camera())
    near, far = 1.0 / inverse.max(), 1.0 / inverse.min()
    disparity = (inverse - inverse.min()) / np.ptp(inverse)
    if np.ptp(inverse) < 1e-9:
        near, far, disparity = 2.5, 5.0, np.ones_like(inverse)
    frame = make_frame(tmp_path / "frame", disparity.astype(np.float32), mapping=NearFar(float(near), float(far)))
    result = build_frame(bpy.context, frame, WHOLE)
    relief, camera = result.object, result.camera
    relief.location = (4.0, 5.0, 6.0)
    relief.scale = (2.0, 2.0, 2.0)
    bpy.context.view_layer.update()
    seen = projected(relief, camera)
    align_ground(bpy.context, relief, Ground(tuple(normal), 2.5), 1.6)
    points = world_points(relief)
    np.testing.assert_allclose(points[:, 2], 0.0, atol=2e-3)
    np.testing.assert_allclose(camera.matrix_world.translation, (4.0, 5.0, 1.6), atol=1e-5)
    np.testing.assert_allclose(projected(relief, camera), seen, atol=1e-4)
    # The heading is that of a frame as it is built: +Y is ahead.
    middle = points[:, :2].mean(axis=0) - (4.0, 5.0) if angle < 1.5 else np.array(camera.matrix_world.to_3x3() @ Vector((0.0, 1.0, 0.0)))[:2]
    looks = camera.matrix_world.to_3x3() @ Vector((0.0, 0.0, -1.0))
    if angle < 1.5:
        assert abs(looks.x) < 1e-5 and looks.y > 0.1
    else:
        assert middle[1] > 0.99


def test_leveling_keeps_the_heading(tmp_path: Path) -> None:
    relief = build(tmp_path)
    relief.rotation_euler = (math.radians(70.0), 0.0, 1.0)
    align_ground(bpy.context, relief, Ground((0.0, 1.0, 0.0), 1.0), 1.0)
    np.testing.assert_allclose(relief.matrix_world.to_3x3() @ Vector((0.0, 0.0, -1.0)), (-math.sin(1.0), math.cos(1.0), 0.0), atol=1e-6)
    # Already level: nothing more happens.
    before = relief.matrix_world.copy()
    align_ground(bpy.context, relief, Ground((0.0, 1.0, 0.0), 1.0), 1.0)
    np.testing.assert_allclose(relief.matrix_world, before, atol=1e-6)
    # A ceiling for a ground: upside down, but level.
    align_ground(bpy.context, relief, Ground((0.0, -1.0, 0.0), 1.0), 1.0)
    np.testing.assert_allclose(relief.matrix_world.to_3x3() @ Vector((0.0, 1.0, 0.0)), (0.0, 0.0, -1.0), atol=1e-6)


def test_bad_grounds_are_sentences(tmp_path: Path) -> None:
    relief = build(tmp_path)
    before = relief.matrix_world.copy()
    for plane, height in (
        (Ground((0.0, 1.0, 0.0), -1.0), 1.6),
        (Ground((0.0, 1.0, 0.0), math.nan), 1.6),
        (Ground((0.0, 0.0, 0.0), 1.0), 1.6),
        (Ground((math.nan, 1.0, 0.0), 1.0), 1.6),
        (Ground((0.0, 1.0, 0.0), 1.0), 0.0),
        (Ground((0.0, 1.0, 0.0), 1.0), math.inf),
        (Ground((0.0, 1.0, 0.0), 1e-30), 1.6),
    ):
        with pytest.raises(PlacingError) as caught:
            align_ground(bpy.context, relief, plane, height)
        assert str(caught.value).endswith(".")
    assert relief.matrix_world == before and get_input(frame_modifier(relief), "Near") == pytest.approx(2.0)
    camera = add_camera()
    fit_to_camera(bpy.context, relief, distance=2.0)
    with pytest.raises(PlacingError, match="follows a camera"):
        align_ground(bpy.context, relief, Ground((0.0, 1.0, 0.0), 1.0), 1.6)
    assert relief.parent == camera


def test_scaling_keeps_the_picture(tmp_path: Path) -> None:
    result = build_frame(bpy.context, make_frame(tmp_path / "frame", hills(30, 20)), WHOLE)
    relief, camera = result.object, result.camera
    seen, points = projected(relief, camera), local_points(relief)
    scale_depth(relief, 25.0)
    np.testing.assert_allclose(local_points(relief), 25.0 * points, rtol=1e-4)
    np.testing.assert_allclose(projected(relief, camera), seen, atol=1e-4)
    assert camera.data.clip_end > 25.0 * 40.0
    assert tuple(relief.scale) == (1.0, 1.0, 1.0)
    scale_depth(relief, 1e-4)
    assert camera.data.clip_start < 25e-4 * 2.0
    for factor in (0.0, -1.0, math.nan, math.inf, 1e-9):
        with pytest.raises(PlacingError):
            scale_depth(relief, factor)


def test_scale_by_two_points(tmp_path: Path) -> None:
    relief = build(tmp_path)
    relief.scale = (2.0, 2.0, 2.0)
    bpy.context.view_layer.update()
    numbers = (3, 900)
    first, second = (Vector(local_points(relief)[number]) for number in numbers)
    apart = 2.0 * (second - first).length
    assert scale_between(relief, first, second, 1.75) == pytest.approx(1.75 / apart, rel=1e-5)
    there = world_points(relief)[list(numbers)]
    assert np.linalg.norm(there[0] - there[1]) == pytest.approx(1.75, rel=1e-4)
    for bad in ((first, first, 1.0), (first, second, 0.0), (first, second, math.nan), (first, Vector((math.nan, 0.0, 0.0)), 1.0)):
        with pytest.raises(PlacingError) as caught:
            scale_between(relief, *bad)
        assert str(caught.value).endswith(".")
