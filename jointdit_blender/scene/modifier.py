# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs of a geometry-nodes modifier by name, in every supported version of Blender."""

from __future__ import annotations

from typing import Any, cast

import bpy


def identifier(modifier: bpy.types.NodesModifier, name: str) -> str:
    """The identifier of the input that is called `name`; raises KeyError when there is none."""
    return str(_socket(modifier, name).identifier)


def get_input(modifier: bpy.types.NodesModifier, name: str) -> Any:
    """The value of an input: a number, a bool, a data-block, or the name of a menu's item. Angles are radians."""
    socket = _socket(modifier, name)
    inputs = _typed_inputs(modifier)
    if inputs is not None:
        return getattr(inputs, socket.identifier).value
    value = modifier[socket.identifier]
    if socket.socket_type != "NodeSocketMenu":
        return value
    return next(item for item, number in _menu_items(modifier, socket.identifier).items() if number == value)


def set_input(modifier: bpy.types.NodesModifier, name: str, value: Any) -> None:
    """Set an input, a menu by the name of its item, and have the object computed anew.

    Raises KeyError when there is no such input, ValueError when a menu has no such item.
    """
    socket = _socket(modifier, name)
    inputs = _typed_inputs(modifier)
    if socket.socket_type == "NodeSocketMenu":
        items = _menu_items(modifier, socket.identifier)
        if value not in items:
            raise ValueError(f"{name} is one of {', '.join(items)}, not {value}")
        value = value if inputs is not None else items[value]
    if inputs is None:
        modifier[socket.identifier] = value
    else:
        getattr(inputs, socket.identifier).value = value
    modifier.id_data.update_tag()


def input_path(modifier: bpy.types.NodesModifier, name: str) -> str:
    """The path of an input from its object, for drivers and keyframes."""
    key = identifier(modifier, name)
    if _typed_inputs(modifier) is None:
        return f'modifiers["{bpy.utils.escape_identifier(modifier.name)}"]["{key}"]'
    return f'modifiers["{bpy.utils.escape_identifier(modifier.name)}"].properties.inputs.{key}.value'


def _socket(modifier: bpy.types.NodesModifier, name: str) -> Any:
    for item in modifier.node_group.interface.items_tree:
        if item.item_type == "SOCKET" and item.in_out == "INPUT" and item.name == name:
            return item
    raise KeyError(name)


def _menu_items(modifier: bpy.types.NodesModifier, key: str) -> dict[str, int]:
    """The items of a menu and the numbers that stand for them: a custom property holds the number, a typed one the name."""
    inputs = _typed_inputs(modifier)
    if inputs is None:
        # The stubs do not know that it returns something.
        items = cast(Any, modifier).id_properties_ui(key).as_dict()["items"]
        return {name: number for _, name, _, _, number in items}
    return {item.name: item.value for item in getattr(inputs, key).bl_rna.properties["value"].enum_items}


def _typed_inputs(modifier: bpy.types.NodesModifier) -> Any | None:
    """Blender 5.2 has typed properties; before it, inputs are custom properties of the modifier."""
    properties = getattr(modifier, "properties", None)
    return getattr(properties, "inputs", None)
