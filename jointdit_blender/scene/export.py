# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain mesh as a file for other programs, by Blender's own exporters."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import bpy

from ..core.errors import JointDiTError

# The stubs take an operator for something that returns nothing.
OPS: Any = bpy.ops


class ExportError(JointDiTError):
    """The file cannot be written; `str(error)` is a sentence for a person."""


def export(context: bpy.types.Context, item: bpy.types.Object, path: Path) -> None:
    """Write one object, with its texture where the format has one, to GLB, PLY, USD, USDC or OBJ by the ending of `path`.

    The object must be in the context's view layer. Textures lie in the file (GLB) or beside it (USD, OBJ). Raises `ExportError`.
    """
    write = EXPORTERS.get(path.suffix.lower())
    if write is None:
        raise ExportError(f"{path.name} has no known ending; choose one of {', '.join(EXPORTERS)}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only(context, item), _pictures_beside(item, path) if path.suffix.lower() == ".obj" else nullcontext():
            result = write(str(path))
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).removeprefix("Error: ").split())
        raise ExportError(f"{path} cannot be written ({reason}); choose another place or another kind of file.") from error
    if result != {"FINISHED"} or not path.is_file():
        raise ExportError(f"{path} could not be written; Blender's exporter has given up.")


def _glb(path: str) -> set[str]:
    # Points are vertices without faces.
    return set(OPS.export_scene.gltf(filepath=path, export_format="GLB", use_selection=True, use_mesh_vertices=True, export_vertex_color="ACTIVE"))


def _ply(path: str) -> set[str]:
    return set(OPS.wm.ply_export(filepath=path, export_selected_objects=True, export_uv=True, export_normals=True, export_colors="SRGB"))


def _usd(path: str) -> set[str]:
    return set(OPS.wm.usd_export(filepath=path, selected_objects_only=True, export_textures_mode="NEW", generate_preview_surface=True))


def _obj(path: str) -> set[str]:
    return set(OPS.wm.obj_export(filepath=path, export_selected_objects=True, path_mode="STRIP"))


EXPORTERS: dict[str, Callable[[str], set[str]]] = {".glb": _glb, ".ply": _ply, ".usd": _usd, ".usdc": _usd, ".obj": _obj}


@contextmanager
def _only(context: bpy.types.Context, item: bpy.types.Object) -> Iterator[None]:
    """Only this object is selected meanwhile: that is what exporters go by."""
    layer = context.view_layer
    layer.update()
    active, selected = layer.objects.active, [other for other in layer.objects if other.select_get()]
    try:
        for other in layer.objects:
            other.select_set(other == item)
        layer.objects.active = item
        yield
    finally:
        for other in layer.objects:
            other.select_set(other in selected)
        layer.objects.active = active


@contextmanager
def _pictures_beside(item: bpy.types.Object, path: Path) -> Iterator[None]:
    """Meanwhile the textures of the object are files beside `path`, which stay: the OBJ exporter forgets pictures that are packed."""
    images = {
        node.image
        for slot in item.material_slots
        if slot.material and slot.material.node_tree
        for node in slot.material.node_tree.nodes
        if isinstance(node, bpy.types.ShaderNodeTexImage) and node.image
    }
    before = [(image, image.filepath_raw) for image in images]
    try:
        for image, old in before:
            name = Path(bpy.path.basename(old)).name or f"{bpy.path.clean_name(image.name)}.png"
            copy = path.with_name(f"{path.stem}_{name}")
            if image.packed_file:
                copy.write_bytes(image.packed_file.data)
            else:
                shutil.copyfile(bpy.path.abspath(old), copy)
            image.filepath_raw = str(copy)
        yield
    finally:
        for image, old in before:
            image.filepath_raw = old
