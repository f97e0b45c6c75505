# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene builder in Blender, held against closed forms in numpy."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames import gradient, hills, make_frame, write_png

bpy = pytest.importorskip("bpy")

from jointdit_blender.core import lifting  # noqa: E402
from jointdit_blender.core.frame import Camera, Frame, FrameError, NearFar, ScaleShift  # noqa: E402
from jointdit_blender.scene.builder import BuildError, BuildOptions, BuildResult, build_frame  # noqa: E402
from jointdit_blender.scene.modifier import get_input, set_input  # noqa: E402
from jointdit_blender.scene.preview import render_preview  # noqa: E402

PLAIN: dict[str, Any] = {"clean": False, "back_layer": False, "sky": "keep", "torn": "cut"}
"""Nothing that changes the frame's own disparity."""
WHOLE = BuildOptions(**PLAIN, tear=1e6)
POINTS = BuildOptions(**PLAIN, geometry="points")


def evaluated_points(result: BuildResult) -> np.ndarray:
    """Coordinates of the evaluated mesh or points in the object's own space, (n, 3) float64."""
    geometry = result.object.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    attributes = (geometry.pointcloud if result.geometry == "points" else geometry.mesh).attributes
    data = attributes["position"].data
    values = np.empty(3 * len(data), np.float32)
    data.foreach_get("vector", values)
    return values.reshape(-1, 3).astype(np.float64)


def camera_pixels(result: BuildResult, frame: Frame, points: np.ndarray) -> np.ndarray:
    """Where points of the object land in the image of the made camera, (n, 2) in pixels from the top left, by Blender's own matrix."""
    scene = bpy.context.scene
    depsgraph = bpy.context.evaluated_depsgraph_get()
    camera = result.camera.evaluated_get(depsgraph)
    projection = camera.calc_matrix_camera(depsgraph, x=scene.render.resolution_x, y=scene.render.resolution_y)
    relief = result.object.evaluated_get(depsgraph)
    matrix = np.array(projection @ camera.matrix_world.inverted() @ relief.matrix_world)
    clip = np.c_[points, np.ones(len(points))] @ matrix.T
    ndc = clip[:, :2] / clip[:, 3:]
    return np.c_[(ndc[:, 0] + 1.0) / 2.0 * frame.width, (1.0 - ndc[:, 1]) / 2.0 * frame.height]


def nearest_texels(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Row and column of the texel whose centre is next to every landing, and the greatest distance from it in pixels."""
    columns, rows = np.round(pixels - 0.5).astype(int).T
    offset = np.abs(pixels - 0.5 - np.c_[columns, rows]).max()
    return rows, columns, float(offset)


@pytest.mark.parametrize(
    ("size", "camera", "distance"),
    [
        ((64, 48), Camera("perspective", 55.0), "planar"),
        ((33, 50), Camera("perspective", 100.0, None, (0.4, 0.7)), "planar"),
        ((64, 48), Camera("perspective", 70.0), "radial"),
        ((64, 48), Camera("perspective", 70.0), "horizontal"),
    ],
)
def test_vertices_are_where_the_closed_form_puts_them(tmp_path: Path, size: tuple[int, int], camera: Camera, distance: str) -> None:
    disparity = hills(*size)
    frame = make_frame(tmp_path / "frame", disparity, camera=camera, distance=distance)
    result = build_frame(bpy.context, frame, WHOLE)
    found = evaluated_points(result)
    assert result.vertices == len(found) == size[0] * size[1]
    expected = lifting.points(disparity.astype(np.float64), camera, distance, frame.mapping)
    # The grid runs column by column, from the bottom.
    np.testing.assert_allclose(found.reshape(size[0], size[1], 3), expected[::-1].swapaxes(0, 1), rtol=2e-5, atol=2e-5)
    rows, columns, offset = nearest_texels(camera_pixels(result, frame, found))
    assert offset < 0.01
    assert len(set(zip(rows, columns, strict=True))) == len(found)


@pytest.mark.parametrize("step", [2, 3, 5, 1000])
def test_a_coarser_grid_stays_on_texel_centres(tmp_path: Path, step: int) -> None:
    disparity = hills(50, 31)
    frame = make_frame(tmp_path / "frame", disparity)
    result = build_frame(bpy.context, frame, replace(WHOLE, step=step))
    found = evaluated_points(result)
    assert len(found) == (49 // min(step, 49) + 1) * (30 // min(step, 30) + 1)
    rows, columns, offset = nearest_texels(camera_pixels(result, frame, found))
    assert offset < 0.01
    np.testing.assert_allclose(-found[:, 2], lifting.depth(disparity.astype(np.float64), frame.mapping)[rows, columns], rtol=1e-5)


def test_inputs_are_live(tmp_path: Path) -> None:
    frame = make_frame(tmp_path / "frame", hills(40, 30))
    result = build_frame(bpy.context, frame, WHOLE)
    modifier = result.object.modifiers[0]
    assert get_input(modifier, "Far") == pytest.approx(40.0)
    for name, value in (("Near", 1.0), ("Far", 10.0), ("Field of View", math.radians(80.0))):
        set_input(modifier, name, value)
    found = evaluated_points(result)
    assert -found[:, 2].max() == pytest.approx(1.0, rel=1e-5)
    assert -found[:, 2].min() == pytest.approx(10.0, rel=1e-5)
    # The lens follows, so the picture still fits.
    assert nearest_texels(camera_pixels(result, frame, found))[2] < 0.01
    with pytest.raises(KeyError):
        set_input(modifier, "No such input", 1.0)


@pytest.mark.parametrize(
    "mapping",
    [ScaleShift(0.4, 0.05), ScaleShift(0.4, -0.1), ScaleShift(-0.4, 0.5), ScaleShift(0.0, 0.25), NearFar(0.5, 1000.0)],
)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-2.0, 37.5), (0.3, 0.3)])
def test_every_mapping_is_exact(tmp_path: Path, mapping: NearFar | ScaleShift, low: float, high: float) -> None:
    disparity = (low + (high - low) * hills(40, 30)).astype(np.float32)
    depth = lifting.depth(disparity.astype(np.float64), mapping)
    frame = make_frame(tmp_path / "frame", disparity, mapping=mapping)
    # Points: every pixel that has a distance, and no other.
    if not np.isfinite(depth).any():
        with pytest.raises((FrameError, BuildError)):
            build_frame(bpy.context, frame, POINTS)
        return
    result = build_frame(bpy.context, frame, POINTS)
    found = np.sort(-evaluated_points(result)[:, 2])
    assert len(found) == np.isfinite(depth).sum()
    expected = np.sort(depth[np.isfinite(depth)])
    usable = expected < 1e3
    np.testing.assert_allclose(found[usable], expected[usable], rtol=1e-3)
    if isinstance(mapping, ScaleShift) and low != high and mapping.scale:
        modifier = result.object.modifiers[0]
        assert get_input(modifier, "Near") == pytest.approx(expected[0], rel=1e-5)
        assert get_input(modifier, "Far") == pytest.approx(expected[-1], rel=1e-4)


def test_holes_are_holes(tmp_path: Path) -> None:
    disparity = hills(40, 30)
    disparity[10:20, 5:15] = np.nan
    disparity[3, 30] = np.inf
    disparity[4, 4] = -np.inf
    frame = make_frame(tmp_path / "frame", disparity)
    for options in (POINTS, WHOLE):
        result = build_frame(bpy.context, frame, options)
        found = evaluated_points(result)
        assert np.isfinite(found).all()
        rows, columns, offset = nearest_texels(camera_pixels(result, frame, found))
        assert offset < 0.01
        assert len(found) == np.isfinite(disparity).sum()
        assert np.isfinite(disparity[rows, columns]).all()


@pytest.mark.parametrize("holes", [False, True])
def test_tears_follow_the_rule(tmp_path: Path, holes: bool) -> None:
    disparity = (0.5 * hills(60, 44)).astype(np.float32)
    disparity[8:25, 20:40] += 0.5
    if holes:
        disparity[30:33, 10:14] = np.nan
        disparity[0, 59] = np.inf
    frame = make_frame(tmp_path / "frame", disparity)
    inverse = lifting.inverse_depth(disparity.astype(np.float64), frame.mapping)
    for tear in (0.03, 0.06, 0.3):
        result = build_frame(bpy.context, frame, BuildOptions(**PLAIN, tear=tear))
        torn = lifting.torn_faces(inverse, tear)
        assert 0.0 < result.torn_share < 0.2
        seen = np.isfinite(inverse)
        quads = seen[:-1, :-1] & seen[1:, :-1] & seen[:-1, 1:] & seen[1:, 1:]
        # Holes are not torn. float32 may decide an edge or two in another way.
        assert abs(result.torn_share * quads.sum() - (torn & quads).sum()) < 5
        assert result.sentence.endswith("% of the faces torn")


def test_gaps_are_filled_with_what_lies_behind(tmp_path: Path) -> None:
    disparity = np.full((40, 60), 0.1, np.float32)
    disparity[10:30, 20:40] = 0.9
    disparity[35, 5] = np.nan
    frame = make_frame(tmp_path / "frame", disparity)
    cut, filled = (build_frame(bpy.context, frame, BuildOptions(**PLAIN | {"torn": torn})) for torn in ("cut", "fill"))
    assert cut.torn_share == pytest.approx(filled.torn_share)
    exact, both = evaluated_points(cut), evaluated_points(filled)
    np.testing.assert_array_equal(both[: len(exact)], exact)
    strips = both[len(exact) :]
    assert len(strips) == 2 * 4 * 20
    np.testing.assert_allclose(-strips[:, 2], lifting.depth(np.array([0.1]), frame.mapping)[0], rtol=1e-5)
    assert nearest_texels(camera_pixels(filled, frame, both))[2] < 0.01


def test_uv_material_and_properties(tmp_path: Path) -> None:
    frame = make_frame(tmp_path / "frame", hills(20, 10))
    result = build_frame(bpy.context, frame, WHOLE)
    mesh = result.object.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    uv = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers["UVMap"].uv.foreach_get("vector", uv)
    corner = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corner)
    pixels = camera_pixels(result, frame, evaluated_points(result))[corner]
    np.testing.assert_allclose(uv.reshape(-1, 2), np.c_[pixels[:, 0] / 20, 1.0 - pixels[:, 1] / 10], atol=1e-4)
    normals = np.empty(3 * len(mesh.polygons), np.float32)
    mesh.polygons.foreach_get("normal", normals)
    assert (normals.reshape(-1, 3)[:, 2] > 0).all(), "faces look at the camera"
    assert result.object["prompt"] == "soft hills" and result.object["seed"] == 42 and result.object["frame"] == str(frame.folder)
    assert {item.name for item in result.collection.objects} == {"soft hills 42", "soft hills 42 Camera"}
    images = [get_input(result.object.modifiers[0], name) for name in ("Image", "Disparity")]
    assert all(image.packed_file for image in images)
    assert [image.colorspace_settings.name for image in images] == ["sRGB", "Non-Color"]


def test_upright_in_the_world(tmp_path: Path) -> None:
    result = build_frame(bpy.context, make_frame(tmp_path / "frame", hills(20, 10)), WHOLE)
    bpy.context.view_layer.update()
    axes = np.array(result.camera.matrix_world)[:3, :3]
    np.testing.assert_allclose(axes @ (0.0, 0.0, -1.0), (0.0, 1.0, 0.0), atol=1e-6)
    np.testing.assert_allclose(axes @ (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), atol=1e-6)


def test_a_second_frame_shares_the_group(tmp_path: Path) -> None:
    frame = make_frame(tmp_path / "frame", hills(20, 10))
    first, second = build_frame(bpy.context, frame), build_frame(bpy.context, frame)
    assert first.object.modifiers[0].node_group == second.object.modifiers[0].node_group
    assert first.collection != second.collection


def blocks() -> set:
    kinds = ("objects", "meshes", "cameras", "images", "materials", "node_groups", "collections", "worlds", "actions")
    return {(kind, block.name) for kind in kinds for block in getattr(bpy.data, kind)}


@pytest.mark.parametrize("name", ["image.png", "disparity.exr"])
def test_nothing_stays_of_a_failed_build(tmp_path: Path, name: str) -> None:
    frame = make_frame(tmp_path / "frame", hills(64, 48))
    path = frame.folder / name
    path.write_bytes(path.read_bytes()[:200])
    before = blocks()
    with pytest.raises(FrameError) as caught:
        build_frame(bpy.context, frame)
    assert "damaged" in str(caught.value) and str(caught.value).endswith(".")
    assert blocks() == before


def test_only_holes_is_a_sentence(tmp_path: Path) -> None:
    before = blocks()
    for mapping in (NearFar(2.0, 40.0), ScaleShift(1.0, 1.0)):
        frame = make_frame(tmp_path / "frame", np.full((6, 6), np.nan, np.float32), mapping=mapping)
        for geometry in ("mesh", "points"):
            with pytest.raises((BuildError, FrameError)):
                build_frame(bpy.context, frame, BuildOptions(geometry=geometry))
    assert blocks() == before and bpy.context.scene.camera is None


@pytest.mark.parametrize(
    "options",
    [
        BuildOptions(geometry="voxels"),
        BuildOptions(near=50.0),
        BuildOptions(far=math.nan),
        BuildOptions(horizontal_angle=180.0),
        BuildOptions(step=0),
        BuildOptions(torn="mend"),
        BuildOptions(sky="blue"),
        BuildOptions(gamma=0.0),
        BuildOptions(sky_cutoff=1.0),
        BuildOptions(backdrop=-1.0),
    ],
)
def test_bad_options_are_sentences(tmp_path: Path, options: BuildOptions) -> None:
    frame = make_frame(tmp_path / "frame", hills(20, 10))
    before = blocks()
    with pytest.raises(BuildError):
        build_frame(bpy.context, frame, options)
    assert blocks() == before


@pytest.mark.parametrize("projection", ["cylindrical", "equirectangular"])
@pytest.mark.parametrize("distance", ["radial", "horizontal"])
def test_a_part_of_a_panorama(tmp_path: Path, projection: str, distance: str) -> None:
    camera = Camera(projection, 120.0, 90.0)
    disparity = hills(48, 24)
    frame = make_frame(tmp_path / "frame", disparity, camera=camera, distance=distance)
    found = evaluated_points(build_frame(bpy.context, frame, WHOLE))
    expected = lifting.points(disparity.astype(np.float64), camera, distance, frame.mapping)
    np.testing.assert_allclose(found.reshape(-1, 24, 3), expected[::-1].swapaxes(0, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("geometry", ["mesh", "points"])
def test_the_preview_looks_like_the_image(tmp_path: Path, geometry: str) -> None:
    scene = bpy.context.scene
    scene.view_settings.view_transform = "Standard"
    frame = make_frame(tmp_path / "frame", hills(64, 32))
    build_frame(bpy.context, frame, BuildOptions(**PLAIN, geometry=geometry))
    engine = scene.render.engine
    render_preview(scene, tmp_path / "preview.png", 128)
    assert scene.render.engine == engine and scene.render.resolution_x == 1024
    preview = bpy.data.images.load(str(tmp_path / "preview.png"))
    assert tuple(preview.size) == (128, 64)
    pixels = np.empty(128 * 64 * 4, np.float32)
    preview.pixels.foreach_get(pixels)
    shown = pixels.reshape(64, 128, 4)[::-1, :, :3].reshape(32, 2, 64, 2, 3).mean(axis=(1, 3))
    difference = np.abs(shown - gradient(64, 32) / 255.0)[2:-2, 2:-2]
    assert difference.mean() < 0.02 and difference.max() < 0.15
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frame", "preview.png"]


def test_middlebury_motorcycle_is_metric(tmp_path: Path) -> None:
    """A measured stereo pair: calibrated camera, metric depth, real holes."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed here")
    left, _, disparity = data.stereo_motorcycle()
    focal, centre_x, centre_y, baseline, offset = 994.978, 311.193, 254.877, 0.193001, 31.086
    height, width = disparity.shape
    depth = focal * baseline / (disparity.astype(np.float64) + offset)
    frame = make_frame(
        tmp_path / "frame",
        disparity.astype(np.float32),
        rgb=left,
        camera=Camera("perspective", 2.0 * math.degrees(math.atan(width / (2.0 * focal))), None, (centre_x / width, centre_y / height)),
        mapping=ScaleShift(1.0 / (focal * baseline), offset / (focal * baseline)),
        prompt="motorcycle",
    )
    valid = np.isfinite(disparity)
    for options, least in ((BuildOptions(**PLAIN), 0.93), (POINTS, 1.0)):
        result = build_frame(bpy.context, frame, options)
        found = evaluated_points(result)
        rows, columns, offset_px = nearest_texels(camera_pixels(result, frame, found))
        assert offset_px < 0.5
        assert valid[rows, columns].all(), "holes are holes"
        assert len(set(zip(rows, columns, strict=True))) == len(found) >= least * valid.sum()
        np.testing.assert_allclose(-found[:, 2], depth[rows, columns], rtol=1e-3)
        # Straight from the calibration, without the camera that was made: x = (u - cx) Z / f.
        np.testing.assert_allclose(found[:, 0], (columns + 0.5 - centre_x) * depth[rows, columns] / focal, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found[:, 1], (centre_y - rows - 0.5) * depth[rows, columns] / focal, rtol=1e-3, atol=1e-3)
        print(f"motorcycle: {result.sentence}; landing off by at most {offset_px:.4f} px")


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    frame = make_frame(tmp_path / "frame", hills(20, 10))
    write_png(frame.image, gradient(21, 10))
    with pytest.raises(FrameError, match="20 x 10"):
        build_frame(bpy.context, frame)
