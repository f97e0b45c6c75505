# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a live frame to a plain mesh that can be edited, sculpted and exported: UV map, smooth normals, simple materials, no modifiers.

Without simplification it is the evaluated geometry itself, so Step is the grid step. Simplified, the surface is computed again from the
modifier's inputs by `core.patches`; strips in the cuts and the layer behind are simplified like the surface, and stay what they were.

Points become vertices without faces, the form in which points travel between programs; since Blender does not render those, a point cloud
with the look of the live one hangs on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import bpy
import numpy as np

from ..core.errors import JointDiTError
from ..core.frame import Camera
from ..core.lifting import Pinned
from ..core.patches import Recipe, Reduced, reduced
from .builder import PART_KEY
from .group import ANGLE_SLACK, COLOR_NAME, UV_NAME
from .live import MODIFIER_NAME
from .material import is_relit, plain_material
from .modifier import get_input

SLIP = 0.5
"""Pixels by which the picture may move on a simplified surface: nothing that is seen."""
RADIUS_NAME = "radius"


class BakeError(JointDiTError):
    """The frame cannot be baked; `str(error)` is a sentence for a person."""


@dataclass(frozen=True)
class Baked:
    """What was made. `before` counts the vertices (points) of the live object; `largest_error` is relative to the distance from the camera.

    `cloud` is the point cloud that hangs on baked points, else None.
    """

    object: bpy.types.Object
    vertices: int
    faces: int
    before: int
    largest_error: float = 0.0
    cloud: bpy.types.Object | None = None

    @property
    def sentence(self) -> str:
        """One sentence for the artist."""
        kind = "points" if self.cloud else "vertices"
        if self.vertices == self.before:
            return f"Baked {_count(self.vertices)} {kind}"
        share = f"{100.0 * self.vertices / self.before:.2g} %"
        return f"Baked {_count(self.vertices)} of {_count(self.before)} {kind} ({share}), greatest error {100.0 * self.largest_error:.2g} %"


def bake(context: bpy.types.Context, relief: bpy.types.Object, *, error: float | None = None, keep_live: bool = True) -> Baked:
    """Make a plain mesh object of a live frame, in its place and its collections.

    With `error` the surface has few vertices and lies nowhere farther from the live one than that, relative to the distance from the camera
    (0.001 = a thousandth). With `keep_live` the live object is hidden, else it is removed and what hung on it hangs on the new one.
    Raises `BakeError`; then nothing is changed.
    """
    if error is not None and not (math.isfinite(error) and error >= 0.0):
        raise BakeError(f"The error must be a number from 0, not {error:g}.")
    if relief.library is not None:
        raise BakeError(f"{relief.name} belongs to a linked file; bake it there, or make it local first.")
    hidden = relief.hide_viewport, relief.hide_get(view_layer=context.view_layer)
    try:
        baked = _bake(context, relief, error)
    except BakeError:
        relief.hide_viewport = hidden[0]
        if relief.name in context.view_layer.objects:
            relief.hide_set(hidden[1], view_layer=context.view_layer)
        raise
    if keep_live:
        relief.hide_viewport = relief.hide_render = True
    else:
        _replace(relief, baked.object)
    context.view_layer.update()
    return baked


def _bake(context: bpy.types.Context, relief: bpy.types.Object, error: float | None) -> Baked:
    evaluated = _evaluated(context, relief)
    modifier = cast(bpy.types.NodesModifier, evaluated.modifiers[MODIFIER_NAME])
    if get_input(modifier, "Output") == "Points":
        if error is not None:
            raise BakeError("Points have no faces to simplify; bake them as they are, or raise Step for fewer of them.")
        return _bake_points(context, relief, evaluated)
    others = [other.name for other in relief.modifiers if other.name != MODIFIER_NAME and other.show_viewport]
    if error is not None and others:
        raise BakeError(f"A simplified mesh knows nothing of other modifiers ({', '.join(others)}); bake without simplifying, or add them to the baked mesh.")
    return _bake_mesh(context, relief, evaluated, modifier, error)


def _evaluated(context: bpy.types.Context, relief: bpy.types.Object) -> bpy.types.Object:
    """The frame as it is computed now. Raises `BakeError` when it is no live frame or cannot be computed."""
    modifier = relief.modifiers.get(MODIFIER_NAME)
    if not isinstance(modifier, bpy.types.NodesModifier) or modifier.node_group is None:
        raise BakeError(f"{relief.name} is not a live frame; choose an object that was built from one and not baked yet.")
    picture = get_input(modifier, "Disparity")
    if picture is None or (not picture.has_data and not len(picture.pixels)):
        raise BakeError(f"The disparity picture of {relief.name} is missing; build the frame again from its folder.")
    layer = context.view_layer
    if relief.name not in layer.objects:
        raise BakeError(f"{relief.name} is not in the current view layer; switch its collection on first.")
    # What is hidden is not computed.
    relief.hide_viewport = False
    relief.hide_set(False, view_layer=layer)
    layer.update()
    evaluated = relief.evaluated_get(context.evaluated_depsgraph_get())
    geometry = _geometry(evaluated)
    if not (geometry.mesh and geometry.mesh.vertices) and not (geometry.pointcloud and geometry.pointcloud.points):
        raise BakeError(f"Nothing of {relief.name} is left to bake; raise its tear threshold or lower its sky cut-off.")
    return evaluated


def _geometry(evaluated: bpy.types.Object) -> Any:
    """What an object is computed to be: a `mesh` and a `pointcloud`, None for what it does not have. They live as long as this is held."""
    geometry: Any = evaluated.evaluated_geometry()  # type: ignore[func-returns-value]  # the stubs do not know that it returns something
    return geometry


# Surface


def _bake_mesh(
    context: bpy.types.Context, relief: bpy.types.Object, evaluated: bpy.types.Object, modifier: bpy.types.NodesModifier, error: float | None
) -> Baked:
    name = f"{relief.name} Baked"
    geometry = _geometry(evaluated)
    before, largest = len(geometry.mesh.vertices), 0.0
    if error is None:
        mesh = bpy.data.meshes.new_from_object(evaluated, preserve_all_data_layers=True, depsgraph=context.evaluated_depsgraph_get())
        mesh.name = name
        materials, numbers = _used_materials(mesh)
    else:
        simple = _simplified(relief, modifier, error)
        largest = simple.largest_error
        mesh = _mesh(name, simple)
        materials = [_original(get_input(modifier, slot)) for slot in ("Material", "Back Material")]
        numbers = np.concatenate([np.full(len(patch.triangles), patch.behind, np.int32) for patch in simple.patches])
        materials = materials[: numbers.max() + 1]
    mesh.materials.clear()
    for material in materials:
        mesh.materials.append(_plain(material))
    # Only now: a mesh whose materials are cleared forgets which face had which.
    _fill(mesh.polygons, "material_index", numbers, np.int32)
    layer = mesh.uv_layers[UV_NAME]
    layer.active = layer.active_render = True
    mesh.shade_smooth()
    item = _twin(relief, name, mesh)
    return Baked(item, len(mesh.vertices), len(mesh.polygons), before, largest)


def _used_materials(mesh: bpy.types.Mesh) -> tuple[list[bpy.types.Material | None], np.ndarray]:
    """The materials that faces have, and the number of each face's; the live object has an empty slot before them."""
    numbers = np.empty(len(mesh.polygons), np.int32)
    cast(Any, mesh.polygons).foreach_get("material_index", numbers)
    used, places = np.unique(numbers, return_inverse=True)
    return [mesh.materials[number] for number in used], places


def _simplified(relief: bpy.types.Object, modifier: bpy.types.NodesModifier, error: float) -> Reduced:
    """The surface with few triangles; raises `BakeError` when nothing is left of it."""
    disparity = _pixels(_original(get_input(modifier, "Disparity")))[..., 0]
    picture = _original(get_input(modifier, "Maps"))
    maps = None if picture is None or min(picture.size) < 1 else _pixels(picture)
    if maps is not None and maps.shape[:2] != disparity.shape:
        raise BakeError(f"The prepared maps of {relief.name} are not of the size of its disparity; build the frame again.")
    result = reduced(_recipe(modifier), disparity, maps, error, SLIP)
    if not result.patches:
        raise BakeError(f"Nothing of {relief.name} is left to bake; raise its tear threshold or lower its sky cut-off.")
    return result


def _recipe(modifier: bpy.types.NodesModifier) -> Recipe:
    """The inputs of the group, in the terms of `core`."""
    value = partial(get_input, modifier)
    projection, distance = value("Projection").lower(), value("Distance").lower()
    angle, vertical = value("Field of View"), value("Vertical Angle")
    camera = Camera(
        projection,
        360.0 if angle > 2.0 * math.pi - ANGLE_SLACK else math.degrees(angle),
        180.0 if vertical > math.pi - ANGLE_SLACK else math.degrees(vertical),
        (value("Principal X"), value("Principal Y")),
    )
    return Recipe(
        camera=camera,
        distance="radial" if projection != "perspective" and distance == "planar" else distance,
        pinned=Pinned(value("Near"), value("Far"), value("Disparity at Near"), value("Disparity at Far"), value("Gamma")),
        tear=value("Tear"),
        torn=value("Torn Faces").lower(),
        sky_cutoff=value("Sky Cut-off"),
        clean=bool(value("Clean Edges")),
        back=bool(value("Back Layer")),
        step=value("Step"),
    )


def _mesh(name: str, simple: Reduced) -> bpy.types.Mesh:
    """A triangle mesh with a UV map, without materials."""
    starts = np.cumsum([0, *(len(patch.points) for patch in simple.patches)])
    corners = np.concatenate([patch.triangles + start for patch, start in zip(simple.patches, starts[:-1], strict=True)])
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(int(starts[-1]))
    mesh.loops.add(corners.size)
    mesh.polygons.add(len(corners))
    _fill(mesh.vertices, "co", np.concatenate([patch.points for patch in simple.patches]), np.float32)
    _fill(mesh.loops, "vertex_index", corners, np.int32)
    _fill(mesh.polygons, "loop_start", np.arange(0, corners.size, 3), np.int32)
    _fill(mesh.uv_layers.new(name=UV_NAME).uv, "vector", np.concatenate([patch.uv for patch in simple.patches]), np.float32)
    mesh.update(calc_edges=True)
    return mesh


# Points


def _bake_points(context: bpy.types.Context, relief: bpy.types.Object, evaluated: bpy.types.Object) -> Baked:
    name = f"{relief.name} Baked"
    geometry = _geometry(evaluated)
    cloud = geometry.pointcloud
    attributes = cloud.attributes
    values = {"position": _read(attributes["position"], "vector", 3), RADIUS_NAME: _read(attributes[RADIUS_NAME], "value", 1)}
    uv, color = _read(attributes[UV_NAME], "vector", 2), _read(attributes[COLOR_NAME], "color", 4)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(cloud.points))
    _fill(mesh.vertices, "co", values["position"], np.float32)
    _add(mesh, UV_NAME, "FLOAT2", "vector", uv)
    _add(mesh, COLOR_NAME, "FLOAT_COLOR", "color", color)
    mesh.color_attributes.active_color_name = COLOR_NAME
    mesh.color_attributes.render_color_index = 0
    materials = [_original(material) for material in cloud.materials if material]
    for material in materials:
        mesh.materials.append(_plain(material))
    mesh.update()
    item = _twin(relief, name, mesh)
    points = _point_cloud(context, item, values[RADIUS_NAME], materials)
    return Baked(item, len(mesh.vertices), 0, len(cloud.points), cloud=points)


def _point_cloud(context: bpy.types.Context, item: bpy.types.Object, radius: np.ndarray, materials: list[bpy.types.Material]) -> bpy.types.Object:
    """A point cloud of the vertices of a mesh object, hanging on it."""
    # Blender 4.5 can make point clouds only of meshes, and only by this operator.
    mesh = cast(bpy.types.Mesh, item.data).copy()
    _add(mesh, RADIUS_NAME, "FLOAT", "value", radius)
    cloud = bpy.data.objects.new(f"{item.name} Cloud", mesh)
    context.scene.collection.objects.link(cloud)
    override: dict[str, Any] = {"object": cloud, "active_object": cloud, "selected_objects": [cloud], "selected_editable_objects": [cloud]}
    with context.temp_override(**override):
        bpy.ops.object.convert(target="POINTCLOUD", keep_original=False)
    context.scene.collection.objects.unlink(cloud)
    for collection in item.users_collection:
        collection.objects.link(cloud)
    data = cast(Any, cloud.data)
    data.name = cloud.name
    data.materials.clear()
    for material in materials:
        data.materials.append(material)
    cloud.parent = item
    return cloud


# Materials, objects, numbers


def _plain(material: bpy.types.Material | None) -> bpy.types.Material | None:
    """The same look in the terms that exporters understand; a material that is not ours stays as it is."""
    if material is None or material.node_tree is None:
        return material
    try:
        relit = is_relit(material)
    except KeyError:
        return material
    for node in material.node_tree.nodes:
        if isinstance(node, bpy.types.ShaderNodeTexImage) and node.image:
            return plain_material(f"{material.name} Baked", node.image, relit, wraps=node.extension == "REPEAT")
    return material


def _twin(relief: bpy.types.Object, name: str, mesh: bpy.types.Mesh) -> bpy.types.Object:
    """An object like the live one (transform, parent, constraints, custom properties, collections) that shows `mesh`."""
    item = relief.copy()
    item.name = name
    item.data = mesh
    item.modifiers.clear()
    item.hide_viewport = item.hide_render = False
    if item.animation_data:
        if item.animation_data.action is not None:
            # A copy of an object shares its keys; moving the one must not move the other.
            item.animation_data.action = item.animation_data.action.copy()
        for curve in list(item.animation_data.drivers):
            if curve.data_path.startswith("modifiers["):
                item.animation_data.drivers.remove(curve)
    if item.get(PART_KEY) is not None:
        # Else it would go when the frame is built anew.
        del item[PART_KEY]
    for collection in relief.users_collection:
        collection.objects.link(item)
    return item


def _replace(relief: bpy.types.Object, item: bpy.types.Object) -> None:
    """Take the live object away; its children hang on `item`, and what followed its inputs keeps its value."""
    for child in relief.children:
        inverse = child.matrix_parent_inverse.copy()
        child.parent = item
        child.matrix_parent_inverse = inverse
    for block in (*bpy.data.objects, *bpy.data.cameras):
        if block.animation_data is None:
            continue
        for curve in list(block.animation_data.drivers):
            if any(target.id == relief for variable in curve.driver.variables for target in variable.targets):
                block.animation_data.drivers.remove(curve)
    data = relief.data
    bpy.data.objects.remove(relief)
    if data is not None and data.users == 0:
        bpy.data.batch_remove([data])


def _original(block: Any) -> Any:
    """The data-block itself, where an evaluated object names its copy."""
    return None if block is None else block.original


def _pixels(image: bpy.types.Image) -> np.ndarray:
    """All channels of a picture, (height, width, channels) float32, row 0 at the top."""
    width, height = image.size
    values = np.empty(width * height * image.channels, np.float32)
    cast(Any, image.pixels).foreach_get(values)
    return values.reshape(height, width, image.channels)[::-1]


def _fill(collection: Any, name: str, values: np.ndarray, kind: type) -> None:
    collection.foreach_set(name, np.ascontiguousarray(values, kind).ravel())


def _add(mesh: bpy.types.Mesh, name: str, kind: Literal["FLOAT", "FLOAT2", "FLOAT_COLOR"], part: str, values: np.ndarray) -> None:
    """An attribute of the vertices; `part` is what Blender calls its numbers."""
    attribute: Any = mesh.attributes.new(name, kind, "POINT")
    _fill(attribute.data, part, values, np.float32)


def _read(attribute: Any, name: str, size: int) -> np.ndarray:
    values = np.empty(len(attribute.data) * size, np.float32)
    attribute.data.foreach_get(name, values)
    return values.reshape(-1, size)


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")
