# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs of a geometry-nodes modifier by name, in every supported version of Blender."""

from __future__ import annotations

from typing import Any

import bpy


def identifier(modifier: bpy.types.NodesModifier, name: str) -> str:
    """The identifier of the input that is called `name`; raises KeyError when there is none."""
    for item in modifier.node_group.interface.items_tree:
        if item.item_type == "SOCKET" and item.in_out == "INPUT" and item.name == name:
            return str(item.identifier)
    raise KeyError(name)


def get_input(modifier: bpy.types.NodesModifier, name: str) -> Any:
    """The value of an input: a number, a bool or a data-block. Angles are radians."""
    key = identifier(modifier, name)
    inputs = _typed_inputs(modifier)
    return modifier[key] if inputs is None else getattr(inputs, key).value


def set_input(modifier: bpy.types.NodesModifier, name: str, value: Any) -> None:
    """Set an input and have the object computed anew."""
    key = identifier(modifier, name)
    inputs = _typed_inputs(modifier)
    if inputs is None:
        modifier[key] = value
    else:
        getattr(inputs, key).value = value
    modifier.id_data.update_tag()


def input_path(modifier: bpy.types.NodesModifier, name: str) -> str:
    """The path of an input from its object, for drivers and keyframes."""
    key = identifier(modifier, name)
    if _typed_inputs(modifier) is None:
        return f'modifiers["{bpy.utils.escape_identifier(modifier.name)}"]["{key}"]'
    return f'modifiers["{bpy.utils.escape_identifier(modifier.name)}"].properties.inputs.{key}.value'


def _typed_inputs(modifier: bpy.types.NodesModifier) -> Any | None:
    """Blender 5.2 has typed properties; before it, inputs are custom properties of the modifier."""
    properties = getattr(modifier, "properties", None)
    return getattr(properties, "inputs", None)
