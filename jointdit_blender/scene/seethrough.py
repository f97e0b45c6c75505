# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rays for depth go through: fog, and surfaces that are more transparent than not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import bpy


def is_fog(item: bpy.types.Object) -> bool:
    """Whether an object has no surface: it is nothing but a volume."""
    if item.type == "VOLUME":
        return True
    materials = [slot.material for slot in item.material_slots if slot.material is not None]
    return bool(materials) and all(_is_only_volume(material) for material in materials)


def lets_through() -> bool:
    """Whether any material of the file may be partly transparent; Cycles chooses by chance then whether a ray goes on."""
    trees: list[Any] = [material.node_tree for material in bpy.data.materials if material.node_tree is not None]
    trees += [group for group in bpy.data.node_groups if group.type == "SHADER"]
    return any(_is_transparent(node) for tree in trees for node in tree.nodes)


@contextmanager
def without_fog(scene: bpy.types.Scene) -> Iterator[None]:
    """Meanwhile no volume stops a ray. Raises nothing."""
    with ExitStack() as stack:
        for item in [item for item in bpy.data.objects if is_fog(item) and not item.hide_render]:
            stack.callback(setattr, item, "hide_render", False)
            item.hide_render = True
        trees = [material.node_tree for material in bpy.data.materials] + [scene.world.node_tree if scene.world is not None else None]
        for tree in trees:
            for socket in _volumes(tree) if tree is not None else ():
                for link in list(socket.links):
                    stack.callback(partial(tree.links.new, link.from_socket, socket))
                    tree.links.remove(link)
        yield


def _volumes(tree: Any) -> list[Any]:
    """The sockets that make fog."""
    return [node.inputs["Volume"] for node in tree.nodes if node.type in ("OUTPUT_MATERIAL", "OUTPUT_WORLD") and node.inputs["Volume"].is_linked]


def _is_only_volume(material: bpy.types.Material) -> bool:
    if material.node_tree is None:
        return False
    outputs = [node for node in material.node_tree.nodes if node.type == "OUTPUT_MATERIAL"]
    return any(node.inputs["Volume"].is_linked for node in outputs) and not any(node.inputs["Surface"].is_linked for node in outputs)


def _is_transparent(node: Any) -> bool:
    if node.type == "BSDF_TRANSPARENT":
        return True
    alpha = node.inputs.get("Alpha") if node.type == "BSDF_PRINCIPLED" else None
    return alpha is not None and (alpha.is_linked or alpha.default_value < 1.0)
