# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame that the person has selected, as the Result panel and its operators see it. Cheap enough for poll() and draw()."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from .scene.builder import MODIFIER_NAME
from .scene.material import is_relit
from .scene.modifier import get_input

DEPTH_INPUTS = ("Near", "Far", "Gamma", "Field of View")
SURFACE_INPUTS = {
    "Mesh": ("Output", "Step", "Clean Edges", "Sky Cut-off", "Tear", "Torn Faces", "Back Layer"),
    "Points": ("Output", "Step", "Clean Edges", "Sky Cut-off", "Point Size"),
}
"""What matters for each output."""
MATERIAL_INPUTS = ("Material", "Back Material")
NOTES = "notes"
"""The builder's custom property with what it had to say."""


def frame_modifier(item: bpy.types.Object | None) -> bpy.types.NodesModifier | None:
    """The modifier that makes an object a frame of ours."""
    modifier = item.modifiers.get(MODIFIER_NAME) if item else None
    # The sky of a frame has such a modifier too, but comes from no frame folder.
    return modifier if isinstance(modifier, bpy.types.NodesModifier) and modifier.node_group and item and "frame" in item else None


def active_frame(context: bpy.types.Context) -> bpy.types.Object | None:
    """The active object if it is a frame, else the frame that it hangs on: its camera, its sky."""
    item = context.active_object
    return next((candidate for candidate in (item, item.parent if item else None) if frame_modifier(candidate)), None)


def own_camera(relief: bpy.types.Object) -> bpy.types.Object | None:
    """The camera that was made with the frame; none when it was built as a backdrop or the person has deleted it."""
    return next((child for child in relief.children if child.type == "CAMERA"), None)


def output(relief: bpy.types.Object) -> str:
    """What it is made of now: Mesh or Points."""
    modifier = frame_modifier(relief)
    return str(get_input(modifier, "Output")) if modifier else "Mesh"


def surrounds(relief: bpy.types.Object) -> bool:
    """Whether it is a panorama: a picture that no lens makes."""
    modifier = frame_modifier(relief)
    return modifier is not None and get_input(modifier, "Projection") != "Perspective"


def depth_inputs(relief: bpy.types.Object) -> tuple[str, ...]:
    """The inputs that say how far away everything is. A full turn stays one: it has no field of view to choose."""
    return DEPTH_INPUTS[:-1] if surrounds(relief) else DEPTH_INPUTS


def materials(relief: bpy.types.Object) -> list[bpy.types.Material]:
    """The materials that the frame shows."""
    modifier = frame_modifier(relief)
    chosen = [get_input(modifier, name) for name in MATERIAL_INPUTS] if modifier else []
    return [material for material in chosen if material is not None]


def relit(relief: bpy.types.Object) -> bool:
    """Whether the scene's lights shine on the frame."""
    try:
        return any(is_relit(material) for material in materials(relief))
    except KeyError:
        # The person has put a material of their own on it.
        return False


def shown_inputs(modifier: bpy.types.NodesModifier, names: tuple[str, ...]) -> Iterator[tuple[str, Any, str]]:
    """Live inputs for the panel, each as its name and the owner and path of its property."""
    sockets = modifier.node_group.interface.items_tree
    identifiers = {item.name: str(item.identifier) for item in sockets if item.item_type == "SOCKET" and item.in_out == "INPUT"}
    # Blender 5.2 has typed properties; before it, inputs are custom properties of the modifier.
    inputs = getattr(getattr(modifier, "properties", None), "inputs", None)
    for name in names:
        key = identifiers.get(name)
        if key is not None:
            yield (name, modifier, f'["{key}"]') if inputs is None else (name, getattr(inputs, key), "value")
