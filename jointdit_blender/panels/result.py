# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The selected frame: its live inputs, and what can be done with it."""

from __future__ import annotations

from typing import Any

import bpy

from .. import active
from .layout import Sidebar, button_grid, property_column, sentence


class JOINTDIT_PT_result(Sidebar, bpy.types.Panel):
    """Distances, and the buttons that are used most."""

    bl_idname = "JOINTDIT_PT_result"
    bl_label = "Result"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return active.active_frame(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        relief, layout = active.active_frame(context), self.layout
        if relief is None or layout is None:
            return
        notes = relief.get(active.NOTES)
        if notes:
            sentence(layout, context, str(notes))
        _show_inputs(layout, relief, active.depth_inputs(relief))
        grid = button_grid(layout, context)
        grid.operator("jointdit.match_camera")
        grid.operator("jointdit.relight", depress=active.relit(relief))
        grid.operator("jointdit.bake", text="Bake…")
        grid.operator("jointdit.rebuild")
        layout.operator("jointdit.surround", text="Extend to Sphere…")


class _SubPanel(Sidebar):
    bl_parent_id = "JOINTDIT_PT_result"
    bl_options: Any = {"DEFAULT_CLOSED"}


class JOINTDIT_PT_result_surface(_SubPanel, bpy.types.Panel):
    """What is made of the distances: only the inputs that matter for the output."""

    bl_label = "Surface"

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        relief = active.active_frame(context)
        if relief is not None:
            _show_inputs(self.layout, relief, active.SURFACE_INPUTS[active.output(relief)])


class JOINTDIT_PT_result_placing(_SubPanel, bpy.types.Panel):
    """Where it stands."""

    bl_label = "Placing"

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        column = self.layout.column(align=True)
        column.operator("jointdit.fit_to_camera")
        column.operator("jointdit.align_ground")
        column.operator("jointdit.scale_by_points")


def _show_inputs(layout: bpy.types.UILayout | None, relief: bpy.types.Object, names: tuple[str, ...]) -> None:
    """Inputs of the frame's modifier, without a way into the modifier tab."""
    modifier = active.frame_modifier(relief)
    if modifier is None:
        return
    column = property_column(layout)
    for name, owner, path in active.shown_inputs(modifier, names):
        column.prop(owner, path, text=name)


CLASSES = (JOINTDIT_PT_result, JOINTDIT_PT_result_surface, JOINTDIT_PT_result_placing)
