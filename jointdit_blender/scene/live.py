# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that are computed by the live group, and inputs of one that follow inputs of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import bpy

from .group import frame_group
from .modifier import input_path, set_input

MODIFIER_NAME = "JointDiT Frame"


@dataclass(frozen=True)
class Live:
    """An object with the group as its modifier, and the values that its inputs were given."""

    object: bpy.types.Object
    modifier: bpy.types.NodesModifier
    values: dict[str, Any]


def live_object(name: str, values: dict[str, Any]) -> Live:
    """A new object that the group computes from `values`, by the names of its inputs; not linked to a collection yet."""
    item = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    modifier = cast(bpy.types.NodesModifier, item.modifiers.new(MODIFIER_NAME, "NODES"))
    modifier.node_group = frame_group()
    for input_name, value in values.items():
        set_input(modifier, input_name, value)
    return Live(item, modifier, values)


def follow(follower: bpy.types.Object, path: str, index: int, leader: Live, leading: str, factor: float = 1.0) -> None:
    """Let a property of an object be `factor` times an input of a live one, also when that is animated; `index` -1 for a single number."""
    curve = follower.driver_add(path, index)
    variable = curve.driver.variables.new()
    variable.name = "value"
    target = variable.targets[0]
    target.id = leader.object
    target.data_path = input_path(leader.modifier, leading)
    # Blender computes simple expressions itself, without Python and so without "auto-run" permission.
    curve.driver.expression = f"value * {factor}"
