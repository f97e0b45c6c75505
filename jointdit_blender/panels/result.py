# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The active object, if it is one of ours: its live inputs."""

from __future__ import annotations

import bpy

from .. import session
from .layout import Sidebar


class JOINTDIT_PT_result(Sidebar, bpy.types.Panel):
    """The inputs of the frame's modifier, without a way into the modifier tab."""

    bl_idname = "JOINTDIT_PT_result"
    bl_label = "Result"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return session.frame_modifier(context.active_object) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        modifier = session.frame_modifier(context.active_object)
        if modifier is None:
            return
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column()
        for name, owner, path in session.shown_inputs(modifier):
            column.prop(owner, path, text=name)
