# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live geometry-nodes group by itself, held against closed forms in numpy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from frames import hills

bpy = pytest.importorskip("bpy")

from ready import ready_group  # noqa: E402

from jointdit_blender.core import lifting  # noqa: E402
from jointdit_blender.core.frame import Camera, NearFar, ScaleShift  # noqa: E402
from jointdit_blender.core.lifting import Pinned  # noqa: E402
from jointdit_blender.scene.group import PANELS, frame_group  # noqa: E402
from jointdit_blender.scene.modifier import get_input, input_path, set_input  # noqa: E402

FULL_TURNS = [Camera("cylindrical", 360.0, 70.0), Camera("equirectangular", 360.0, 90.0), Camera("equirectangular", 360.0, 180.0)]
CAMERAS = [
    Camera("perspective", 55.0),
    Camera("perspective", 100.0, None, (0.4, 0.7)),
    Camera("cylindrical", 200.0, 70.0),
    Camera("equirectangular", 120.0, 80.0),
    *FULL_TURNS,
]
DISTANCES = {"perspective": ("planar", "radial", "horizontal"), "cylindrical": ("radial", "horizontal"), "equirectangular": ("radial", "horizontal")}
VIEWS = [(camera, distance) for camera in CAMERAS for distance in DISTANCES[camera.projection]]


def picture(*channels: np.ndarray) -> Any:
    """A float image of these channels, (height, width) each, row 0 at the top; the others are 1."""
    height, width = channels[0].shape
    pixels = np.ones((height, width, 4), np.float32)
    for number, channel in enumerate(channels):
        pixels[..., number] = channel[::-1]
    image = bpy.data.images.new("picture", width, height, alpha=True, float_buffer=True, is_data=True)
    image.alpha_mode = "CHANNEL_PACKED"
    image.pixels.foreach_set(pixels.ravel())
    return image


def make_relief(disparity: np.ndarray, camera: Camera = CAMERAS[0], distance: str = "planar", **inputs: Any) -> Any:
    """An object with the group; inputs by their names with _ for spaces."""
    relief = bpy.data.objects.new("relief", bpy.data.meshes.new("relief"))
    bpy.context.scene.collection.objects.link(relief)
    modifier = relief.modifiers.new("JointDiT Frame", "NODES")
    modifier.node_group = ready_group()
    values = {
        "Disparity": picture(disparity),
        "Field of View": math.radians(camera.horizontal_angle),
        "Vertical Angle": math.radians(camera.vertical_angle or 180.0),
        "Projection": camera.projection.capitalize(),
        "Distance": distance.capitalize(),
        "Principal X": camera.principal_point[0],
        "Principal Y": camera.principal_point[1],
    }
    values |= {name.replace("_", " "): value for name, value in inputs.items()}
    for name, value in values.items():
        set_input(modifier, name, value)
    return relief


def change(relief: Any, **inputs: Any) -> None:
    for name, value in inputs.items():
        set_input(relief.modifiers[0], name.replace("_", " "), value)


def pin(relief: Any, pinned: Pinned) -> None:
    change(relief, Near=pinned.near, Far=pinned.far, Gamma=pinned.gamma, Disparity_at_Near=pinned.at_near, Disparity_at_Far=pinned.at_far)


def values(data: Any, name: str, size: int, kind: type = np.float32) -> np.ndarray:
    found = np.empty(len(data) * size, kind)
    data.foreach_get(name, found)
    return found.reshape(len(data), size) if size > 1 else found


def mesh_of(relief: Any) -> Any:
    return relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).data


def cloud_of(relief: Any) -> dict[str, np.ndarray]:
    """The attributes of the points."""
    geometry = relief.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    attributes = geometry.pointcloud.attributes
    kinds = {"position": ("vector", 3), "UVMap": ("vector", 2), "Color": ("color", 4), "radius": ("value", 1)}
    return {name: values(attributes[name].data, *kind).astype(np.float64) for name, kind in kinds.items()}


def positions(data: Any) -> np.ndarray:
    return values(data.attributes["position"].data, "vector", 3).astype(np.float64)


def in_image(found: np.ndarray, rows: int, columns: int, closed: bool) -> np.ndarray:
    """The vertices of a whole mesh as (rows, columns, 3), row 0 at the top; of a closed one without its poles."""
    if closed:
        return found[len(found) - rows * columns - (len(found) > rows * columns + 1) :][: rows * columns].reshape(rows, columns, 3)
    return found.reshape(columns, rows, 3)[:, ::-1].swapaxes(0, 1)


def seen_pixels(shape: tuple[int, int], step: int, wraps: bool) -> tuple[np.ndarray, np.ndarray]:
    return np.ix_(lifting.vertex_pixels(shape[0], step), lifting.vertex_pixels(shape[1], step, wraps))


@pytest.mark.parametrize(("camera", "distance"), VIEWS)
def test_positions_agree_with_numpy(camera: Camera, distance: str) -> None:
    disparity = hills(45, 26)
    relief = make_relief(disparity, camera, distance, Torn_Faces="Keep")
    for gamma, step in itertools.product((1.0, 1.7), (1, 3, 7, 1000)):
        pinned = Pinned(1.5, 60.0, 1.1, -0.2, gamma)
        pin(relief, pinned)
        expected = lifting.points(disparity.astype(np.float64), camera, distance, pinned)
        far = np.linalg.norm(expected, axis=-1, keepdims=True)
        change(relief, Step=step, Output="Mesh")
        wanted = seen_pixels(disparity.shape, step, camera.wraps)
        rows, columns = wanted[0].size, wanted[1].size
        poles = camera.wraps and camera.vertical_angle == 180.0
        found = positions(mesh_of(relief))
        assert len(found) == rows * columns + 2 * poles
        found = found[1:-1].reshape(rows, columns, 3) if poles else in_image(found, rows, columns, camera.wraps)
        assert (np.abs(found - expected[wanted]) < 1e-4 * far[wanted]).all()
        change(relief, Output="Points")
        cloud = cloud_of(relief)["position"].reshape(rows, columns, 3)
        assert (np.abs(cloud - expected[wanted]) < 1e-4 * far[wanted]).all()


def test_planar_distance_of_a_panorama_counts_as_radial() -> None:
    relief = make_relief(hills(20, 10), CAMERAS[3], "radial")
    before = positions(mesh_of(relief))
    change(relief, Distance="Planar")
    np.testing.assert_array_equal(positions(mesh_of(relief)), before)


@pytest.mark.parametrize("mapping", [ScaleShift(0.4, 0.05), ScaleShift(0.4, -0.1), ScaleShift(-0.4, 0.5), ScaleShift(0.0, 0.25), NearFar(0.5, 1000.0)])
def test_every_mapping_can_be_pinned(mapping: NearFar | ScaleShift) -> None:
    relief = make_relief(hills(30, 20), Output="Points")
    for low, high in ((0.0, 1.0), (-2.0, 37.5), (0.3, 0.3)):
        disparity = (low + (high - low) * hills(30, 20)).astype(np.float32)
        expected = np.sort(lifting.depth(disparity.astype(np.float64), mapping).ravel())
        expected = expected[np.isfinite(expected)]
        if not len(expected):
            with pytest.raises(ValueError, match=r"usable distance.*\.$"):
                lifting.pin(mapping, disparity)
            continue
        change(relief, Disparity=picture(disparity))
        pin(relief, lifting.pin(mapping, disparity))
        found = np.sort(-cloud_of(relief)["position"][:, 2])
        assert len(found) == len(expected)
        usable = expected < 1e3
        np.testing.assert_allclose(found[usable], expected[usable], rtol=1e-3)


def stepped(width: int, height: int) -> np.ndarray:
    """Hills with a box in front, a soft border, holes, and a jump where a full turn ends."""
    disparity = (0.5 * hills(width, height)).astype(np.float32)
    disparity[height // 5 : height // 2, width // 3 : width // 2] += 0.5
    disparity[:, :3] += 0.3
    disparity[height // 3 : height // 3 + 3, width // 6 : width // 5] = np.nan
    disparity[0, -1] = np.inf
    return disparity


@pytest.mark.parametrize("camera", [CAMERAS[0], *FULL_TURNS])
@pytest.mark.parametrize("step", [1, 2, 5, 30])
def test_torn_faces_agree_with_numpy(camera: Camera, step: int) -> None:
    disparity = stepped(96, 70)
    mapping = NearFar(2.0, 40.0)
    wanted = seen_pixels(disparity.shape, step, camera.wraps)
    inverse = lifting.inverse_depth(disparity.astype(np.float64), mapping)[wanted]
    relief = make_relief(disparity, camera, "radial", Step=step)
    solid = ~lifting.torn_faces(inverse, 1e9, camera.wraps, step)
    fans = 0
    if camera.wraps and camera.vertical_angle == 180.0:
        fans = sum(int((np.isfinite(row) & np.isfinite(np.roll(row, -1))).sum()) for row in (inverse[0], inverse[-1]))
    for tear in (0.03, 0.06, 0.3):
        torn = lifting.torn_faces(inverse, tear, camera.wraps, step)
        assert torn.mean() < 0.9 and (torn.any() or step == 30)
        change(relief, Tear=tear, Torn_Faces="Cut")
        # Single precision may decide a face in another way.
        assert abs(len(mesh_of(relief).polygons) - fans - (~torn).sum()) <= 2
        change(relief, Torn_Faces="Fill")
        assert len(mesh_of(relief).polygons) - fans == solid.sum()
    change(relief, Torn_Faces="Keep")
    assert len(mesh_of(relief).polygons) - fans == solid.sum()


@pytest.mark.parametrize("camera", [CAMERAS[0], Camera("equirectangular", 360.0, 180.0)])
def test_a_slanted_floor_to_the_horizon_is_whole(camera: Camera) -> None:
    # The plane 1.6 m below the camera, and a wall at 60 m: 1/Z is no straight line over the image of a panorama.
    height, width = 128, 96 if camera.projection == "perspective" else 256
    distance = "planar" if camera.projection == "perspective" else "radial"
    rays = lifting.rays(camera, width, height, distance)
    inverse = np.maximum(-rays[..., 1] / 1.6, 1.0 / 60.0)
    relief = make_relief(inverse.astype(np.float32), camera, distance)
    pin(relief, Pinned(1.0, 1e8, 1.0, 0.0))
    jumps = np.abs(np.diff(inverse, axis=0)) / np.minimum(inverse[1:], inverse[:-1])
    assert jumps.max() > 0.06, "too flat to show anything"
    fans = 2 * width if camera.wraps else 0
    assert len(mesh_of(relief).polygons) == (height - 1) * (width if camera.wraps else width - 1) + fans
    # The same without a sky above it: to a hole there is no slope, the other side's counts.
    inverse[: height // 2 + 4] = np.nan
    change(relief, Disparity=picture(inverse.astype(np.float32)))
    assert len(mesh_of(relief).polygons) == (height // 2 - 5) * (width if camera.wraps else width - 1) + fans // 2


def edge_uses(mesh: Any) -> np.ndarray:
    """How many faces use every edge."""
    return np.bincount(values(mesh.loops, "edge_index", 1, np.int32), minlength=len(mesh.edges))


@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("distance", ["radial", "horizontal"])
def test_a_whole_sphere_is_closed(step: int, distance: str) -> None:
    camera = FULL_TURNS[-1]
    disparity = (0.2 + 0.1 * hills(64, 32)).astype(np.float32)
    disparity[0, :7] = np.nan
    relief = make_relief(disparity, camera, distance, Torn_Faces="Fill", Tear=1e6, Step=step)
    mesh = mesh_of(relief)
    assert (edge_uses(mesh) == 1).any(), "the hole at the pole has a border"
    disparity[0, :7] = disparity[0, 7]
    change(relief, Disparity=picture(disparity))
    mesh = mesh_of(relief)
    found = positions(mesh)
    assert (edge_uses(mesh) == 2).all()
    assert len(mesh.vertices) - len(mesh.edges) + len(mesh.polygons) == 2, "a sphere by Euler"
    normals, centres = values(mesh.polygons, "normal", 3), values(mesh.polygons, "center", 3)
    assert ((normals * centres).sum(axis=1) < 0).all(), "faces look at the camera"
    # The poles are on the axis, at the mean 1/Z of their row.
    rows, columns = seen_pixels(disparity.shape, step, True)
    inverse = lifting.inverse_depth(disparity.astype(np.float64), NearFar(2.0, 40.0))[rows, columns]
    for pole, row, sign in ((found[0], 0, 1.0), (found[-1], -1, -1.0)):
        z = 1.0 / inverse[row].mean()
        np.testing.assert_allclose(pole[[0, 2]], 0.0, atol=1e-3)
        latitude = math.pi / 2.0 * (1.0 - (2.0 * rows.ravel()[0] + 1.0) / 32)
        expected = z if distance == "radial" else z * math.tan(latitude) / math.sin(latitude)
        # Rows of a coarse mesh need not be centred.
        assert pole[1] == pytest.approx(sign * expected, rel=1e-4 if distance == "radial" or step == 1 else 0.5)


@pytest.mark.parametrize("camera", FULL_TURNS)
def test_a_turn_ends_where_it_begins(camera: Camera) -> None:
    """Welded also where image and depth do not agree at the ends, and open above and below when the image does not reach the poles."""
    relief = make_relief(hills(40, 20), camera, "radial", Torn_Faces="Keep")
    mesh = mesh_of(relief)
    uses = edge_uses(mesh)
    assert (uses == 1).sum() == (0 if camera.vertical_angle == 180.0 else 2 * 40)
    assert len(np.unique(positions(mesh).round(6), axis=0)) == len(mesh.vertices)
    normals, centres = values(mesh.polygons, "normal", 3), values(mesh.polygons, "center", 3)
    assert ((normals * centres).sum(axis=1) < 0).all(), "faces look at the camera"


@pytest.mark.parametrize(("camera", "step"), [(CAMERAS[0], 1), (CAMERAS[0], 4), *itertools.product(FULL_TURNS, (1, 7))])
def test_uv_is_where_the_ray_goes_through_the_image(camera: Camera, step: int) -> None:
    width, height = 50, 30
    relief = make_relief(np.full((height, width), 0.5, np.float32), camera, "radial", Step=step)
    mesh = mesh_of(relief)
    corner = values(mesh.loops, "vertex_index", 1, np.int32)
    place = positions(mesh)[corner]
    uv = values(mesh.uv_layers["UVMap"].uv, "vector", 2).astype(np.float64)
    faces = np.repeat(np.arange(len(mesh.polygons)), values(mesh.polygons, "loop_total", 1, np.int32))
    spread = np.array([np.ptp(uv[faces == face], axis=0) for face in range(len(mesh.polygons))])
    reach = np.array([1.0 / width, 1.0 / height]) * step * 1.001
    assert (spread <= reach).all(), "no face jumps across the image"
    if camera.projection == "perspective":
        size = 2.0 * math.tan(math.radians(55.0) / 2.0)
        expected = np.c_[-place[:, 0] / place[:, 2] / size + 0.5, -place[:, 1] / place[:, 2] / size * width / height + 0.5]
        np.testing.assert_allclose(uv, expected, atol=1e-5)
        return
    at_pole = np.hypot(place[:, 0], place[:, 2]) < 1e-3 * np.linalg.norm(place, axis=1)
    assert at_pole.any() == (camera.vertical_angle == 180.0)
    angle = np.arctan2(place[:, 0], -place[:, 2]) / (2.0 * math.pi) + 0.5
    turn = np.abs((uv[:, 0] - angle + 0.5) % 1.0 - 0.5)
    assert turn[~at_pole].max() < 1e-5
    elevation = np.arctan2(place[:, 1], np.hypot(place[:, 0], place[:, 2]))
    half = math.radians(camera.vertical_angle) / 2.0
    up = np.tan(elevation) / math.tan(half) if camera.projection == "cylindrical" else elevation / half
    np.testing.assert_allclose(uv[~at_pole, 1], ((up + 1.0) / 2.0)[~at_pole], atol=1e-5)
    rows = lifting.vertex_pixels(height, step)
    assert set(np.round(uv[at_pole, 1] * height, 3)) <= {height - rows[0] - 0.5, height - rows[-1] - 0.5}
    assert uv[:, 0].max() > 1.0 > uv[:, 0].min() > 0.0


def test_gaps_are_filled_with_what_lies_behind() -> None:
    disparity = np.full((40, 60), 0.1, np.float32)
    disparity[10:30, 20:40] = 0.9
    disparity[35, 5] = np.nan
    relief = make_relief(disparity)
    exact = positions(mesh_of(relief))
    change(relief, Torn_Faces="Fill")
    both = positions(mesh_of(relief))
    np.testing.assert_array_equal(both[: len(exact)], exact)
    strips = both[len(exact) :]
    assert len(strips) == 2 * 4 * 20
    np.testing.assert_allclose(-strips[:, 2], lifting.depth(np.array([0.1]), NearFar(2.0, 40.0))[0], rtol=1e-5)


def test_gaps_are_filled_around_the_turn() -> None:
    disparity = np.full((20, 40), 0.1, np.float32)
    disparity[:, :10] = 0.9
    relief = make_relief(disparity, FULL_TURNS[1], "radial")
    count = len(mesh_of(relief).vertices)
    change(relief, Torn_Faces="Fill")
    strips = positions(mesh_of(relief))[count:]
    assert len(strips) == 2 * 2 * 20
    np.testing.assert_allclose(np.linalg.norm(strips, axis=1), lifting.depth(np.array([0.1]), NearFar(2.0, 40.0))[0], rtol=1e-5)


@pytest.mark.parametrize("camera", [CAMERAS[0], FULL_TURNS[-1]])
def test_maps(camera: Camera) -> None:
    distance = "planar" if camera.projection == "perspective" else "radial"
    disparity = (0.2 + 0.5 * hills(40, 24)).astype(np.float32)
    disparity[:6] = 0.05
    cleaned = disparity + np.float32(0.1)
    cleaned[12, 13] = np.nan
    sky = np.zeros_like(disparity)
    sky[:3] = 1.0
    behind = np.full_like(disparity, np.nan)
    behind[10:20, 5:15] = 0.15
    behind[10:20, 15:20] = 0.9
    behind[15:20, 22] = 0.3
    relief = make_relief(disparity, camera, distance, Output="Points", Clean_Edges=True, Back_Layer=True)
    plain = cloud_of(relief)["position"]
    assert len(plain) == disparity.size, "without maps nothing is cleaned"
    change(relief, Maps=picture(cleaned, behind, sky, np.full_like(sky, 0.25)))
    found = cloud_of(relief)["position"]
    expected = lifting.points(cleaned.astype(np.float64), camera, distance, NearFar(2.0, 40.0)).reshape(-1, 3)
    np.testing.assert_allclose(found, expected[np.isfinite(expected[:, 0])], rtol=1e-4, atol=1e-4)
    for clean, cut_off, left in ((False, 0.05, -3 * 40), (False, 0.04, 0), (True, 0.1500001, -1 - 3 * 40), (True, 0.1, -1)):
        change(relief, **{"Clean_Edges": clean, "Sky_Cut-off": cut_off})
        assert len(cloud_of(relief)["position"]) == disparity.size + left
    change(relief, **{"Maps": None, "Sky_Cut-off": 0.05})
    assert len(cloud_of(relief)["position"]) == disparity.size - 6 * 40, "without maps sky may be everywhere"

    materials = [bpy.data.materials.new(name) for name in ("front", "back")]
    change(relief, Output="Mesh", Maps=picture(cleaned, behind, sky), **{"Sky_Cut-off": 0.0, "Clean_Edges": False})
    change(relief, Material=materials[0], Back_Material=materials[1], Torn_Faces="Fill")
    mesh = mesh_of(relief)
    numbers = values(mesh.polygons, "material_index", 1, np.int32)
    assert {mesh.materials[number].name for number in set(numbers)} == {"front", "back"}
    layer = numbers == list(mesh.materials).index(materials[1])
    assert layer.sum() == 9 * 9 + 9 * 4, "the jump inside is torn, a line of single pixels has no face"
    centres = values(mesh.polygons, "center", 3)[layer]
    far, near = lifting.depth(np.array([0.15, 0.9]), NearFar(2.0, 40.0)) * 1.002
    depth = -centres[:, 2] if distance == "planar" else np.linalg.norm(centres, axis=1)
    assert (np.abs(depth[:, None] / [far, near] - 1.0).min(axis=1) < (1e-4 if distance == "planar" else 0.03)).all()
    # UVs and edges of the layer are those of the picture too.
    uv = values(mesh.uv_layers["UVMap"].uv, "vector", 2)
    assert 5.0 / 40.0 < uv[np.repeat(layer, values(mesh.polygons, "loop_total", 1, np.int32)), 0].min() < 6.0 / 40.0


def test_surfaces_are_smooth_and_face_the_camera() -> None:
    relief = make_relief(hills(20, 10))
    mesh = mesh_of(relief)
    assert (values(mesh.polygons, "normal", 3)[:, 2] > 0).all()
    assert values(mesh.polygons, "use_smooth", 1, bool).all()
    assert {item.name for item in mesh.attributes if not item.name.startswith(".")} <= {"position", "UVMap", "material_index"}


def test_points_have_color_place_and_size() -> None:
    relief = make_relief(np.full((6, 10), 0.5, np.float32), Camera("perspective", 60.0), Output="Points", Step=2, Point_Size=0.5)
    red, green = np.meshgrid(np.linspace(0.0, 1.0, 10), np.linspace(0.0, 1.0, 6))
    change(relief, Image=picture(red.astype(np.float32), green.astype(np.float32)))
    cloud = cloud_of(relief)
    wanted = seen_pixels((6, 10), 2, False)
    np.testing.assert_allclose(cloud["Color"][:, :2], np.c_[red[wanted].ravel(), green[wanted].ravel()], atol=1e-6)
    uv = cloud["UVMap"]
    np.testing.assert_allclose(uv[:, 0].reshape(3, 5)[0], (wanted[1].ravel() + 0.5) / 10, atol=1e-6)
    np.testing.assert_allclose(uv[:, 1].reshape(3, 5)[:, 0], 1.0 - (wanted[0].ravel() + 0.5) / 6, atol=1e-6)
    z = lifting.depth(np.array([0.5]), NearFar(2.0, 40.0))[0]
    pixel = 2.0 * z * math.tan(math.radians(30.0)) / 10
    np.testing.assert_allclose(cloud["radius"], 0.5 * 2 * pixel * math.sqrt(0.5), rtol=1e-5)


def test_odd_pictures_make_no_error() -> None:
    relief = make_relief(hills(2, 2), Torn_Faces="Keep")
    assert len(mesh_of(relief).polygons) == 1
    for shape in ((2, 9), (9, 2), (2, 3)):
        for camera in (CAMERAS[0], FULL_TURNS[-1]):
            relief = make_relief(np.full(shape, 0.5, np.float32), camera, "radial", Step=4)
            assert len(mesh_of(relief).polygons) >= 1
    change(relief, Disparity=None)
    assert not len(mesh_of(relief).polygons)
    relief = make_relief(np.full((5, 5), np.nan, np.float32), FULL_TURNS[-1], "radial")
    for torn in ("Cut", "Fill", "Keep"):
        change(relief, Torn_Faces=torn)
        assert not len(mesh_of(relief).vertices)


def test_one_group_with_its_inputs_in_panels() -> None:
    group = frame_group()
    assert frame_group() == group and group.name == "JointDiT Frame"
    items = list(group.interface.items_tree)
    panels = {item.name: item for item in items if item.item_type == "PANEL"}
    assert list(panels) == ["Depth", "Surface", "Data"]
    assert [panel.default_closed for panel in panels.values()] == [False, False, True]
    for panel in PANELS:
        assert [item.name for item in panels[panel.name].interface_items] == [declared.name for declared in panel.inputs]
    group.name = "mine"
    assert frame_group() != group


def test_menus_have_names() -> None:
    relief = make_relief(hills(8, 8))
    modifier = relief.modifiers[0]
    for name, items in (
        ("Projection", ("Perspective", "Cylindrical", "Equirectangular")),
        ("Output", ("Mesh", "Points")),
        ("Torn Faces", ("Cut", "Fill", "Keep")),
        ("Distance", ("Planar", "Radial", "Horizontal")),
    ):
        for item in items:
            set_input(modifier, name, item)
            assert get_input(modifier, name) == item
        with pytest.raises(ValueError, match=items[0]):
            set_input(modifier, name, "Nonsense")
    with pytest.raises(KeyError):
        set_input(modifier, "No such input", 1.0)
    with pytest.raises(KeyError):
        get_input(modifier, "No such input")


def test_a_new_modifier_has_the_defaults() -> None:
    relief = bpy.data.objects.new("relief", bpy.data.meshes.new("relief"))
    modifier = relief.modifiers.new("JointDiT Frame", "NODES")
    modifier.node_group = frame_group()
    for declared in (declared for panel in PANELS for declared in panel.inputs):
        if declared.items:
            assert get_input(modifier, declared.name) == declared.items[0]
        elif declared.default is not None:
            assert get_input(modifier, declared.name) == pytest.approx(declared.default)


def test_inputs_are_animatable() -> None:
    scene = bpy.context.scene
    relief = make_relief(np.full((8, 8), 1.0, np.float32))
    modifier = relief.modifiers[0]
    for frame, near in ((1, 2.0), (11, 4.0)):
        change(relief, Near=near)
        relief.keyframe_insert(input_path(modifier, "Near"), frame=frame)
    for frame, output in ((1, "Mesh"), (11, "Points")):
        change(relief, Output=output)
        relief.keyframe_insert(input_path(modifier, "Output"), frame=frame)
    driver = relief.driver_add(input_path(modifier, "Gamma")).driver
    driver.expression = "0.5 + frame / 10"
    relief["step"] = 3
    driver = relief.driver_add(input_path(modifier, "Step")).driver
    variable = driver.variables.new()
    variable.name, variable.targets[0].id, variable.targets[0].data_path = "step", relief, '["step"]'
    driver.expression = "step"
    for frame, near in ((1, 2.0), (11, 4.0)):
        scene.frame_set(frame)
        found = positions(mesh_of(relief)) if frame == 1 else cloud_of(relief)["position"]
        assert len(found) == 3 * 3
        np.testing.assert_allclose(-found[:, 2], near, rtol=1e-5)
        assert get_input(modifier, "Output") == ("Mesh" if frame == 1 else "Points")
    change(relief, Disparity=picture(np.full((8, 8), 0.5, np.float32)), Near=2.0)
    scene.frame_set(6)
    expected = lifting.depth(np.array([0.5]), Pinned(3.0, 40.0, gamma=1.1))[0]
    np.testing.assert_allclose(-positions(mesh_of(relief))[:, 2], expected, rtol=1e-4)


def test_a_saved_file_keeps_its_group(tmp_path: Any) -> None:
    make_relief(hills(8, 8), FULL_TURNS[0], "radial", Torn_Faces="Keep")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    modifier = bpy.data.objects["relief"].modifiers[0]
    assert [get_input(modifier, name) for name in ("Torn Faces", "Projection", "Distance")] == ["Keep", "Cylindrical", "Radial"]
    assert frame_group() == modifier.node_group and len(bpy.data.node_groups) == 1
