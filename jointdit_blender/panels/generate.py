# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks for, and the one large button."""

from __future__ import annotations

from typing import Any

import bpy

from .layout import Sidebar, choice, property_column, sentence, worded
from .presets import JOINTDIT_PT_presets, JOINTDIT_PT_sizes
from .upkeep import draw_progress


class JOINTDIT_PT_generate(Sidebar, bpy.types.Panel):
    """Task, prompt, seed, Generate."""

    bl_idname = "JOINTDIT_PT_generate"
    bl_label = "JointDiT"

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        JOINTDIT_PT_presets.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout, settings = self.layout, context.scene.jointdit
        missing, upkeep = context.window_manager.jointdit.missing, context.window_manager.jointdit_upkeep
        draw_progress(layout, context)
        if missing and (upkeep.quiet or not upkeep.running):
            box = layout.column()
            sentence(box, context, missing, alert=True)
            box.operator("jointdit.set_up")
            layout.separator()
        choice(layout, context, settings, "task")
        if settings.task == "TEXT":
            choice(layout, context, settings, "extent")
        elif settings.task == "IMAGE":
            choice(layout, context, settings, "photograph")
            layout.prop(settings, "image", text="", placeholder="Picture")
        elif settings.task == "DEPTH":
            layout.prop(settings, "disparity", text="", placeholder="Depth picture")
        if hasattr(layout, "textbox"):
            layout.textbox(settings, "prompt", initial_visible_lines=3, placeholder="Describe the picture")
        else:
            layout.prop(settings, "prompt", text="", placeholder="Describe the picture")
        # Without a label beside it: at the narrowest sidebar the words would be cut off.
        choice(layout, context, settings, "build")
        column = property_column(layout)
        if settings.task != "IMAGE":
            column.prop(settings, "style")
        column.prop(settings, "quality")
        if settings.quality == "CUSTOM":
            column.prop(settings, "steps")
        row = column.row(align=True)
        row.prop(settings, "seed")
        row.operator("jointdit.random_seed", text="", icon="FILE_REFRESH")
        layout.separator(factor=0.5)
        large = layout.row()
        large.scale_y = 1.6
        words = worded("Generate {count}", count=settings.count) if settings.count > 1 else worded("Generate")
        large.operator("jointdit.generate", text=words, translate=False)
        layout.operator_menu_enum("jointdit.generate_template", "template", text="Quick Start")


class _SubPanel(Sidebar):
    bl_parent_id = "JOINTDIT_PT_generate"
    bl_options: Any = {"DEFAULT_CLOSED"}


class JOINTDIT_PT_directions(_SubPanel, bpy.types.Panel):
    """What is seen where, instead of the prompt."""

    bl_label = "Directions"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        settings = context.scene.jointdit
        return bool(settings.task == "TEXT" and settings.panorama == "sphere")

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        column = property_column(self.layout).column(align=True)
        for name, usual in (("up", "Sky"), ("down", "Ground"), *((name, "As the prompt") for name in ("front", "right", "back", "left"))):
            column.prop(context.scene.jointdit, name, placeholder=usual)


class JOINTDIT_PT_image(_SubPanel, bpy.types.Panel):
    """Size and guidance."""

    bl_label = "Image"

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        JOINTDIT_PT_sizes.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout, settings = property_column(self.layout), context.scene.jointdit
        layout.prop(settings, "count")
        layout.prop(settings, "use_size")
        column = layout.column(align=True)
        column.active = settings.use_size
        if settings.panorama != "sphere":
            column.prop(settings, "width")
        column.prop(settings, "height")
        layout.prop(settings, "use_guidance")
        column = layout.column()
        column.active = settings.use_guidance
        column.prop(settings, "guidance")
        layout.operator("jointdit.generate_list")


class JOINTDIT_PT_depth(_SubPanel, bpy.types.Panel):
    """How disparity becomes metres, and what becomes of borders and of the sky."""

    bl_label = "Depth"

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout, settings = property_column(self.layout), context.scene.jointdit
        column = layout.column(align=True)
        for name in ("near", "far", "gamma"):
            column.prop(settings, name)
        if not settings.panorama:
            layout.prop(settings, "horizontal_angle")
        layout.prop(settings, "step")
        column = layout.column()
        column.active = settings.build != "POINTS"
        column.prop(settings, "tear")
        column.prop(settings, "torn")
        column.prop(settings, "back_layer")
        layout.prop(settings, "clean")
        layout.prop(settings, "sky")


class JOINTDIT_PT_placing(_SubPanel, bpy.types.Panel):
    """Where the result stands."""

    bl_label = "Placing"

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        settings = context.scene.jointdit
        choice(self.layout, context, settings, "placing")
        layout = property_column(self.layout)
        if settings.placing == "BACKDROP":
            layout.prop(settings, "distance")
            layout.prop(settings, "use_focal_length")
            column = layout.column()
            column.active = settings.use_focal_length
            column.prop(settings, "focal_length")
            layout.prop(settings, "follow")
            return
        layout.prop(settings, "use_ground")
        column = layout.column()
        column.active = settings.use_ground
        column.prop(settings, "camera_height")
        layout.prop(settings, "floor")


class JOINTDIT_PT_look(_SubPanel, bpy.types.Panel):
    """What light does, and where the pictures are kept."""

    bl_label = "Look"

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout, settings = property_column(self.layout), context.scene.jointdit
        for name in ("relit", "environment", "pack"):
            layout.prop(settings, name)


CLASSES = (
    JOINTDIT_PT_generate,
    JOINTDIT_PT_directions,
    JOINTDIT_PT_image,
    JOINTDIT_PT_depth,
    JOINTDIT_PT_placing,
    JOINTDIT_PT_look,
)
