# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks for, and the one large button."""

from __future__ import annotations

from typing import Any

import bpy

from .layout import Sidebar, sentence


class JOINTDIT_PT_generate(Sidebar, bpy.types.Panel):
    """Task, prompt, seed, Generate."""

    bl_idname = "JOINTDIT_PT_generate"
    bl_label = "JointDiT"

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout, settings = self.layout, context.scene.jointdit
        missing = context.window_manager.jointdit.missing
        if missing:
            box = layout.column()
            sentence(box, context, missing, alert=True)
            box.operator("jointdit.set_up")
            layout.separator()
        layout.row().prop(settings, "task", expand=True)
        if settings.task == "IMAGE":
            layout.prop(settings, "image", text="", placeholder="Picture")
        elif settings.task == "DEPTH":
            layout.prop(settings, "disparity", text="", placeholder="Depth picture")
        if hasattr(layout, "textbox"):
            layout.textbox(settings, "prompt", initial_visible_lines=3, placeholder="Describe the picture")
        else:
            layout.prop(settings, "prompt", text="", placeholder="Describe the picture")
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.row().prop(settings, "build", expand=True)
        column.prop(settings, "quality")
        if settings.quality == "CUSTOM":
            column.prop(settings, "steps")
        row = column.row(align=True)
        row.prop(settings, "seed")
        row.operator("jointdit.random_seed", text="", icon="FILE_REFRESH")
        layout.separator(factor=0.5)
        large = layout.row()
        large.scale_y = 1.6
        large.operator("jointdit.generate")


class _SubPanel(Sidebar):
    bl_parent_id = "JOINTDIT_PT_generate"
    bl_options: Any = {"DEFAULT_CLOSED"}


class JOINTDIT_PT_image(_SubPanel, bpy.types.Panel):
    """Size and guidance."""

    bl_label = "Image"

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout, settings = self.layout, context.scene.jointdit
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "use_size")
        column = layout.column(align=True)
        column.active = settings.use_size
        column.prop(settings, "width")
        column.prop(settings, "height")
        layout.prop(settings, "use_guidance")
        column = layout.column()
        column.active = settings.use_guidance
        column.prop(settings, "guidance")


class JOINTDIT_PT_depth(_SubPanel, bpy.types.Panel):
    """How disparity becomes metres."""

    bl_label = "Depth"

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout, settings = self.layout, context.scene.jointdit
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column(align=True)
        column.prop(settings, "near")
        column.prop(settings, "far")
        layout.prop(settings, "horizontal_angle")
        layout.prop(settings, "tear")
