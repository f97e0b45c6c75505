# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a live frame to a plain mesh, held against the live one by Blender's own tools, and read back through its exporters and importers."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from frames import hills, make_frame

bpy = pytest.importorskip("bpy")

from mathutils import Vector  # noqa: E402
from mathutils.bvhtree import BVHTree  # noqa: E402
from rendering import render  # noqa: E402

from jointdit_blender.core.frame import Camera  # noqa: E402
from jointdit_blender.scene.bake import Baked, BakeError, bake  # noqa: E402
from jointdit_blender.scene.builder import BuildOptions, build_frame  # noqa: E402
from jointdit_blender.scene.export import export  # noqa: E402
from jointdit_blender.scene.modifier import get_input, set_input  # noqa: E402

PLAIN = BuildOptions(torn="cut", clean=False, back_layer=False, sky="keep")
SPHERE = Camera("equirectangular", 360.0, 180.0)


def scenery(width: int, height: int, closed: bool = False) -> np.ndarray:
    """Disparity of soft hills with a box in front of them; it goes around a panorama without a jump. (height, width) float32."""
    x, y = np.meshgrid(np.arange(width) / width, np.linspace(0.0, 1.0, height))
    values = 0.35 + 0.1 * np.sin(2.0 * np.pi * x) * np.sin(np.pi * y) + 0.1 * np.cos(3.0 * y) if closed else 0.5 * hills(width, height)
    values[height // 3 : height // 3 * 2, width // 3 : width // 2] = 1.0
    return np.asarray(values, np.float32)


def picture(width: int, height: int) -> np.ndarray:
    """Soft colors that go around a panorama without a jump, (height, width, 3) uint8."""
    x, y = np.meshgrid(np.arange(width) / width, np.linspace(0.0, 1.0, height))
    channels = 0.5 + 0.3 * np.sin(2.0 * np.pi * x), 0.2 + 0.6 * y, 0.5 + 0.3 * np.cos(4.0 * np.pi * x)
    return np.asarray(255.0 * np.stack(channels, axis=-1), np.uint8)


def live(folder: Path, size: tuple[int, int] = (64, 48), options: BuildOptions = PLAIN, camera: Camera | None = None) -> bpy.types.Object:
    closed = camera is not None and camera.wraps
    distance = "radial" if camera is not None and camera.projection != "perspective" else "planar"
    frame = make_frame(folder / "frame", scenery(*size, closed), rgb=picture(*size), camera=camera, distance=distance)
    return build_frame(bpy.context, frame, options).object


def evaluated(item: bpy.types.Object) -> bpy.types.Object:
    return item.evaluated_get(bpy.context.evaluated_depsgraph_get())


def numbers(collection: object, name: str, size: int, kind: type = np.float32) -> np.ndarray:
    values = np.empty(len(collection) * size, kind)
    collection.foreach_get(name, values)
    return values.reshape(-1, size)


def places(item: bpy.types.Object, world: bool = False) -> np.ndarray:
    """Vertices of an object as it is computed, (n, 3)."""
    matrix = np.array(evaluated(item).matrix_world) if world else np.eye(4)
    geometry = evaluated(item).evaluated_geometry()
    values = numbers(geometry.mesh.vertices, "co", 3).astype(np.float64)
    return values @ matrix[:3, :3].T + matrix[:3, 3]


def tree(item: bpy.types.Object) -> BVHTree:
    return BVHTree.FromObject(item, bpy.context.evaluated_depsgraph_get())


def check_closed(mesh: bpy.types.Mesh) -> None:
    """Every edge has two faces, and the whole is one sphere that looks at its middle."""
    edges = Counter(tuple(sorted(key)) for polygon in mesh.polygons for key in polygon.edge_keys)
    assert set(edges.values()) == {2}
    assert len(mesh.vertices) - len(edges) + len(mesh.polygons) == 2
    inward = [polygon.normal.dot(polygon.center) < 0.0 for polygon in mesh.polygons]
    assert all(inward)


@pytest.mark.parametrize("camera", [None, Camera("cylindrical", 200.0, 60.0), SPHERE])
@pytest.mark.parametrize("step", [1, 3])
def test_the_same_mesh_without_its_modifier(tmp_path: Path, camera: Camera | None, step: int) -> None:
    relief = live(tmp_path, options=replace(PLAIN, step=step), camera=camera)
    relief.location = (1.0, 2.0, 3.0)
    relief["note"] = "mine"
    bpy.context.view_layer.update()
    geometry = evaluated(relief).evaluated_geometry()
    before = geometry.mesh.copy()
    collections = list(relief.users_collection)
    baked = bake(bpy.context, relief)
    mesh = baked.object.data
    assert not baked.object.modifiers and baked.largest_error == 0.0
    assert baked.vertices == baked.before == len(mesh.vertices) == len(before.vertices) and baked.faces == len(mesh.polygons) == len(before.polygons)
    np.testing.assert_array_equal(numbers(mesh.vertices, "co", 3), numbers(before.vertices, "co", 3))
    np.testing.assert_array_equal(numbers(mesh.loops, "vertex_index", 1, np.int32), numbers(before.loops, "vertex_index", 1, np.int32))
    np.testing.assert_array_equal(numbers(mesh.uv_layers["UVMap"].uv, "vector", 2), numbers(before.uv_layers["UVMap"].uv, "vector", 2))
    assert mesh.uv_layers.active.name == "UVMap" and mesh.uv_layers["UVMap"].active_render
    assert all(polygon.use_smooth for polygon in mesh.polygons)
    assert baked.object.matrix_world == relief.matrix_world and list(baked.object.users_collection) == collections
    assert baked.object["note"] == "mine" and baked.object["prompt"] == "soft hills" and baked.object["seed"] == 42
    assert relief.hide_viewport and relief.hide_render and not baked.object.hide_viewport and not baked.object.hide_render
    assert {node.type for node in mesh.materials[0].node_tree.nodes} == {"BSDF_PRINCIPLED", "TEX_IMAGE", "UVMAP", "OUTPUT_MATERIAL"}
    assert baked.sentence.startswith("Baked ") and baked.sentence.endswith(" vertices")


def test_it_needs_no_disparity(tmp_path: Path) -> None:
    relief = live(tmp_path)
    disparity = get_input(relief.modifiers[0], "Disparity")
    baked = bake(bpy.context, relief, keep_live=False)
    before = places(baked.object)
    bpy.data.images.remove(disparity)
    np.testing.assert_array_equal(places(baked.object), before)
    assert not any(item.modifiers for item in bpy.data.objects)


@pytest.mark.parametrize("torn", ["cut", "fill", "keep"])
@pytest.mark.parametrize(("step", "error"), [(1, 0.002), (1, 0.03), (2, 0.01)])
def test_simplified_within_the_error(tmp_path: Path, torn: str, step: int, error: float) -> None:
    """By Blender's own search for the nearest point: no live vertex is farther from the baked surface than promised."""
    options = replace(PLAIN, torn=torn, step=step, back_layer=True)
    check_simplified(live(tmp_path, (96, 64), options), error)


@pytest.mark.parametrize(
    "camera", [Camera("perspective", 90.0, None, (0.3, 0.6)), Camera("cylindrical", 150.0, 60.0), Camera("cylindrical", 360.0, 60.0), SPHERE]
)
@pytest.mark.parametrize("options", [PLAIN, replace(PLAIN, torn="keep", step=3), BuildOptions(gamma=1.4)])
def test_simplified_in_every_projection(tmp_path: Path, camera: Camera, options: BuildOptions) -> None:
    check_simplified(live(tmp_path, (96, 64), options, camera), 0.01)


def check_simplified(relief: bpy.types.Object, error: float) -> None:
    exact = places(relief)
    baked = bake(bpy.context, relief, error=error)
    assert baked.before == len(exact) and baked.vertices == len(baked.object.data.vertices) < 0.8 * len(exact)
    assert 0.0 < baked.largest_error <= error * 1.0001
    surface = tree(baked.object)
    distances = np.array([surface.find_nearest(Vector(place))[3] for place in exact])
    worst = (distances / np.linalg.norm(exact, axis=1)).max()
    assert worst <= baked.largest_error + 1e-5
    # And the other way around: it has no vertex that the live one has not.
    kept = places(baked.object)
    nearest = np.array([np.abs(exact - place).max(axis=1).min() for place in kept])
    assert (nearest <= 1e-4 * np.linalg.norm(kept, axis=1)).all()
    assert (numbers(baked.object.data.polygons, "area", 1) > 0.0).all()
    assert "greatest error" in baked.sentence and f"of {baked.before:,}".replace(",", " ") in baked.sentence


def uv_reprojection(item: bpy.types.Object, size: tuple[int, int], camera: Camera) -> float:
    """By how many pixels the UV of any corner differs from where its vertex is in the picture, by the formula of the projection."""
    mesh = item.data
    corners = numbers(mesh.loops, "vertex_index", 1, np.int32)[:, 0]
    x, y, z = numbers(mesh.vertices, "co", 3)[corners].T.astype(np.float64)
    if camera.projection == "perspective":
        scale = 2.0 * math.tan(math.radians(camera.horizontal_angle) / 2.0)
        u, v = 0.5 + x / -z / scale, 0.5 + y / -z / scale * size[0] / size[1]
    else:
        u = 0.5 + np.arctan2(x, -z) / math.radians(camera.horizontal_angle)
        v = 0.5 + np.arctan2(y, np.hypot(x, z)) / math.radians(camera.vertical_angle)
    uv = numbers(mesh.uv_layers["UVMap"].uv, "vector", 2)
    off_u, off_v = uv[:, 0] - u, uv[:, 1] - v
    pole = np.hypot(x, z) < 1e-5
    off_u, off_v = np.where(pole, 0.0, off_u - np.round(off_u)), np.where(pole, 0.0, off_v)
    return float(max(np.abs(off_u * size[0]).max(), np.abs(off_v * size[1]).max()))


@pytest.mark.parametrize("camera", [Camera(), SPHERE])
@pytest.mark.parametrize("error", [None, 0.02])
def test_the_picture_is_where_it_was(tmp_path: Path, camera: Camera, error: float | None) -> None:
    baked = bake(bpy.context, live(tmp_path, camera=camera), error=error)
    assert uv_reprojection(baked.object, (64, 48), camera) < 0.01
    uv = numbers(baked.object.data.uv_layers["UVMap"].uv, "vector", 2).reshape(-1, 3, 2) if error else None
    if uv is not None:
        assert np.ptp(uv[..., 0], axis=1).max() <= 0.5, "no face runs across the picture"


@pytest.mark.parametrize("error", [None, 0.005, 0.1])
@pytest.mark.parametrize("size", [(64, 32), (50, 33)])
def test_a_dome_stays_closed(tmp_path: Path, error: float | None, size: tuple[int, int]) -> None:
    baked = bake(bpy.context, live(tmp_path, size, replace(PLAIN, torn="keep"), SPHERE), error=error)
    check_closed(baked.object.data)


@pytest.mark.parametrize("distance", ["radial", "horizontal"])
def test_a_torn_dome_keeps_its_poles(tmp_path: Path, distance: str) -> None:
    disparity = scenery(64, 32, closed=True)
    disparity[:2, 10:20] = 1.0
    disparity[0, 30] = np.nan
    frame = make_frame(tmp_path / "frame", disparity, camera=SPHERE, distance=distance)
    relief = build_frame(bpy.context, frame, PLAIN).object
    exact = places(relief)
    baked = bake(bpy.context, relief, error=0.01)
    found = places(baked.object)
    for sign in (1.0, -1.0):
        pole, other = (values[(np.abs(values[:, [0, 2]]) < 1e-5).all(axis=1) & (sign * values[:, 1] > 0.0)] for values in (exact, found))
        np.testing.assert_allclose(other, pole, rtol=1e-5, atol=1e-5)
        assert len(pole) == 1
    surface = tree(baked.object)
    distances = np.array([surface.find_nearest(Vector(place))[3] for place in exact])
    assert (distances / np.linalg.norm(exact, axis=1)).max() <= baked.largest_error + 1e-5
    # A sample of directions sees the same surface, holes included.
    bpy.context.view_layer.update()
    relief.hide_viewport = False
    original = tree(relief)
    rng = np.random.default_rng(0)
    hits = [[item.ray_cast(Vector(), Vector(ray))[3] for item in (original, surface)] for ray in rng.standard_normal((500, 3))]
    assert sum((one is None) != (other is None) for one, other in hits) <= 5
    both = np.array([pair for pair in hits if None not in pair])
    assert len(both) > 400 and np.median(np.abs(both[:, 0] / both[:, 1] - 1.0)) < 0.01


def test_points(tmp_path: Path) -> None:
    relief = live(tmp_path, options=replace(PLAIN, geometry="points", step=2))
    geometry = evaluated(relief).evaluated_geometry()
    cloud = geometry.pointcloud
    expected = {name: numbers(cloud.attributes[name].data, part, size) for name, part, size in (("position", "vector", 3), ("Color", "color", 4))}
    baked = bake(bpy.context, relief)
    mesh = baked.object.data
    assert baked.vertices == baked.before == len(mesh.vertices) == 32 * 24 and not mesh.polygons and baked.faces == 0
    np.testing.assert_array_equal(numbers(mesh.vertices, "co", 3), expected["position"])
    np.testing.assert_allclose(numbers(mesh.color_attributes["Color"].data, "color", 4), expected["Color"], atol=1e-6)
    assert mesh.color_attributes.active_color.name == "Color" and mesh.attributes["UVMap"].domain == "POINT"
    assert baked.sentence == "Baked 768 points"
    real = baked.cloud.data
    assert real.rna_type.identifier == "PointCloud" and len(real.points) == 768 and baked.cloud.parent == baked.object
    assert not baked.cloud.modifiers and {"UVMap", "Color", "radius"} <= set(real.attributes.keys())
    assert set(baked.cloud.users_collection) == set(relief.users_collection)


def test_without_the_live_object(tmp_path: Path) -> None:
    relief = live(tmp_path)
    camera = next(child for child in relief.children if child.type == "CAMERA")
    bpy.context.view_layer.update()
    lens, matrix, name = camera.data.lens, camera.matrix_world.copy(), relief.name
    baked = bake(bpy.context, relief, keep_live=False)
    assert name not in bpy.data.objects and camera.parent == baked.object
    bpy.context.view_layer.update()
    assert camera.data.lens == lens and camera.matrix_world == matrix and not camera.data.animation_data.drivers
    assert not any(item.modifiers for item in bpy.data.objects)


def test_a_hidden_frame_can_be_baked_again(tmp_path: Path) -> None:
    relief = live(tmp_path)
    first, second = bake(bpy.context, relief), bake(bpy.context, relief)
    assert first.vertices == second.vertices and relief.hide_viewport and first.object != second.object


def test_a_backdrop_stays_on_its_camera(tmp_path: Path) -> None:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("View", bpy.data.cameras.new("View"))
    camera.location, camera.rotation_euler = (3.0, 1.0, 2.0), (1.2, 0.1, 0.7)
    scene.collection.objects.link(camera)
    scene.camera = camera
    relief = live(tmp_path, options=replace(PLAIN, backdrop=5.0))
    bpy.context.view_layer.update()
    before = places(relief, world=True)
    for error in (None, 0.01):
        baked = bake(bpy.context, relief, error=error)
        assert baked.object.parent == camera
        found = places(baked.object, world=True)
        if error is None:
            np.testing.assert_allclose(found, before, atol=1e-5)
        else:
            np.testing.assert_allclose(found.min(axis=0), before.min(axis=0), atol=0.05)
            np.testing.assert_allclose(found.max(axis=0), before.max(axis=0), atol=0.05)


def test_errors_are_sentences_and_change_nothing(tmp_path: Path) -> None:
    relief = live(tmp_path)
    objects = set(bpy.data.objects)

    def refused(item: bpy.types.Object, words: str, **options: float) -> None:
        with pytest.raises(BakeError, match=words) as caught:
            bake(bpy.context, item, **options)
        assert str(caught.value).endswith(".") and set(bpy.data.objects) == objects and not item.hide_render

    for wrong in (-0.1, math.nan):
        refused(relief, "number from 0", error=wrong)
    refused(next(child for child in relief.children), "not a live frame")
    modifier = relief.modifiers[0]
    set_input(modifier, "Output", "Points")
    refused(relief, "no faces", error=0.1)
    set_input(modifier, "Output", "Mesh")
    set_input(modifier, "Sky Cut-off", 1.0)
    set_input(modifier, "Maps", None)
    for error in (None, 0.1):
        refused(relief, "Nothing of .* is left", error=error)
    set_input(modifier, "Sky Cut-off", 0.0)
    set_input(modifier, "Disparity", None)
    refused(relief, "missing")


# Looks


@pytest.mark.parametrize("error", [None, 0.003])
@pytest.mark.parametrize("relit", [False, True])
@pytest.mark.parametrize("camera", [None, SPHERE])
def test_it_looks_the_same(tmp_path: Path, error: float | None, relit: bool, camera: Camera | None) -> None:
    relief = live(tmp_path, (96, 64), replace(PLAIN, torn="fill", relit=relit), camera)
    scene = bpy.context.scene
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.location, lamp.data.energy = (1.0, 0.0, 0.5), 3000.0
    scene.collection.objects.link(lamp)
    assert scene.camera is not None
    before = render(scene, tmp_path / "live.png", (96, 64), samples=16)
    baked = bake(bpy.context, relief, error=error)
    assert error is None or baked.vertices < 0.8 * baked.before
    after = render(scene, tmp_path / "baked.png", (96, 64), samples=16)
    difference = np.abs(before.astype(float) - after).mean()
    print(f"mean difference {difference:.3f} of 255, {baked.sentence}")
    assert before.std() > 10.0 and difference < 1.0


@pytest.mark.parametrize("error", [None, 0.003])
def test_what_lies_behind_looks_the_same(tmp_path: Path, error: float | None) -> None:
    """From aside, where the layer behind is seen: it has a picture of its own."""
    relief = live(tmp_path, (96, 64), replace(PLAIN, torn="fill", back_layer=True))
    behind = get_input(relief.modifiers[0], "Back Material")
    image = next(node.image for node in behind.node_tree.nodes if node.type == "TEX_IMAGE")
    # A color that the picture has nowhere.
    image.pixels.foreach_set(np.tile(np.float32([1.0, 0.0, 0.0, 1.0]), 96 * 64))
    image.pack()
    scene = bpy.context.scene
    scene.camera.location = (1.0, 0.0, 0.0)
    before = render(scene, tmp_path / "live.png", (96, 64), samples=16)
    baked = bake(bpy.context, relief, error=error)
    after = render(scene, tmp_path / "baked.png", (96, 64), samples=16)
    red = [(shot[..., 0] > 250) & (shot[..., 1] < 5) for shot in (before, after)]
    assert 30 < red[0].sum() < 2000 and abs(int(red[0].sum()) - int(red[1].sum())) < 0.03 * red[0].sum() + 3
    assert np.abs(before.astype(float) - after).mean() < 1.0
    assert len(baked.object.data.materials) == 2


def test_baked_points_look_the_same(tmp_path: Path) -> None:
    relief = live(tmp_path, options=replace(PLAIN, geometry="points"))
    scene = bpy.context.scene
    before = render(scene, tmp_path / "live.png", (64, 48))
    bake(bpy.context, relief)
    after = render(scene, tmp_path / "baked.png", (64, 48))
    assert before.std() > 10.0 and np.abs(before.astype(float) - after).mean() < 1.0


# To other programs and back


def imported(path: Path) -> bpy.types.Object:
    """The file's mesh, in an empty scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    operators = {
        ".glb": bpy.ops.import_scene.gltf,
        ".ply": bpy.ops.wm.ply_import,
        ".usdc": bpy.ops.wm.usd_import,
        ".obj": bpy.ops.wm.obj_import,
    }
    assert operators[path.suffix](filepath=str(path)) == {"FINISHED"}
    bpy.context.view_layer.update()
    meshes = [item for item in bpy.data.objects if item.type == "MESH"]
    assert len(meshes) == 1, "one object, and no hidden one with it"
    return meshes[0]


def distinct(values: np.ndarray) -> np.ndarray:
    return np.unique(np.round(values, 4), axis=0)


def texture(item: bpy.types.Object, relit: bool) -> bpy.types.Image:
    """The picture that is the base color of an object, or its light."""
    tree = item.data.materials[0].node_tree
    surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    lit, dark = (surface.inputs[name] for name in (("Base Color", "Emission Color") if relit else ("Emission Color", "Base Color")))
    if relit:
        assert not dark.is_linked
    else:
        assert surface.inputs["Emission Strength"].default_value == 1.0 and max(dark.default_value[:3]) < 0.01
    todo, seen = [lit.links[0].from_node], []
    while todo:
        node = todo.pop()
        seen.append(node)
        todo += [link.from_node for socket in node.inputs for link in socket.links]
    return next(node.image for node in seen if node.type == "TEX_IMAGE")


@pytest.mark.parametrize("ending", [".glb", ".ply", ".usdc", ".obj"])
@pytest.mark.parametrize(("camera", "error", "relit"), [(None, None, False), (None, 0.01, True), (SPHERE, None, False), (SPHERE, 0.01, False)])
def test_to_other_programs_and_back(tmp_path: Path, ending: str, camera: Camera | None, error: float | None, relit: bool) -> None:
    relief = live(tmp_path, options=replace(PLAIN, relit=relit), camera=camera)
    relief.location = (0.5, -2.0, 1.0)
    baked = bake(bpy.context, relief, error=error)
    before = places(baked.object, world=True)
    triangles = sum(len(polygon.vertices) - 2 for polygon in baked.object.data.polygons)
    path, count = tmp_path / f"result{ending}", baked.vertices
    if ending in (".glb", ".ply"):
        # A vertex where the picture begins and ends, or a pole, has several UVs: these formats have a vertex for each.
        corners = numbers(baked.object.data.loops, "vertex_index", 1, np.int32)
        pairs = np.c_[corners, numbers(baked.object.data.uv_layers["UVMap"].uv, "vector", 2)]
        assert (len(np.unique(pairs, axis=0)) == count) == (camera is None)
        count = len(np.unique(pairs, axis=0))
    export(bpy.context, baked.object, path)
    item = imported(path)
    after = places(item, world=True)
    assert len(after) == count
    np.testing.assert_allclose(after.min(axis=0), before.min(axis=0), atol=2e-4)
    np.testing.assert_allclose(after.max(axis=0), before.max(axis=0), atol=2e-4)
    assert len(distinct(after)) == pytest.approx(len(distinct(before)), rel=0.002)
    far = [np.abs(before - place).max(axis=1).min() for place in after[::7]]
    assert max(far) < 1e-3, "every vertex is where it was, up stays up"
    assert sum(len(polygon.vertices) - 2 for polygon in item.data.polygons) == triangles
    uv = item.data.uv_layers.active
    assert uv is not None and np.isfinite(numbers(uv.uv, "vector", 2)).all()
    if ending != ".ply":
        image = texture(item, relit)
        assert tuple(image.size) == (64, 48) and len(image.pixels)
        values = np.array(image.pixels[:], np.float32).reshape(48, 64, -1)[::-1, :, :3]
        np.testing.assert_allclose(values, picture(64, 48) / 255.0, atol=0.01)


@pytest.mark.parametrize("ending", [".glb", ".ply", ".usdc", ".obj"])
def test_points_to_other_programs_and_back(tmp_path: Path, ending: str) -> None:
    relief = live(tmp_path, options=replace(PLAIN, geometry="points"))
    baked: Baked = bake(bpy.context, relief)
    before, count = places(baked.object, world=True), baked.vertices
    colors = numbers(baked.object.data.color_attributes["Color"].data, "color", 4)
    path = tmp_path / f"result{ending}"
    export(bpy.context, baked.object, path)
    item = imported(path)
    after = places(item, world=True)
    assert len(after) == count == 64 * 48
    order = [np.lexsort(np.round(values, 3).T) for values in (before, after)]
    np.testing.assert_allclose(np.sort(after, axis=0), np.sort(before, axis=0), atol=2e-4)
    if ending == ".ply":
        found = numbers(item.data.color_attributes[0].data, "color", 4)
        np.testing.assert_allclose(found[order[1]], colors[order[0]], atol=0.02)
