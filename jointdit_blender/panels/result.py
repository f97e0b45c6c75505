# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The active object, if it is one of ours: its live inputs."""

from __future__ import annotations

import bpy

from ..scene.builder import MODIFIER_NAME
from ..scene.modifier import identifier
from .layout import Sidebar

SHOWN = ("Near", "Far", "Field of View", "Tear", "Step", "Points", "Point Size")


class JOINTDIT_PT_result(Sidebar, bpy.types.Panel):
    """The inputs of the frame's modifier, without a way into the modifier tab."""

    bl_idname = "JOINTDIT_PT_result"
    bl_label = "Result"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return _modifier(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        modifier = _modifier(context)
        if modifier is None:
            return
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        # Blender 5.2 has typed properties; before it, inputs are custom properties of the modifier.
        inputs = getattr(getattr(modifier, "properties", None), "inputs", None)
        column = layout.column()
        for name in SHOWN:
            key = identifier(modifier, name)
            if inputs is None:
                column.prop(modifier, f'["{key}"]', text=name)
            else:
                column.prop(getattr(inputs, key), "value", text=name)


def _modifier(context: bpy.types.Context) -> bpy.types.NodesModifier | None:
    """The modifier that makes the active object a frame of ours."""
    active = context.active_object
    modifier = active.modifiers.get(MODIFIER_NAME) if active else None
    return modifier if isinstance(modifier, bpy.types.NodesModifier) and modifier.node_group else None
