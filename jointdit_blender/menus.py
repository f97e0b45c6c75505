# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries in Blender's own menus, and presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bl_operators.presets import AddPresetBase

from .operators.elsewhere import JOINTDIT_OT_add_scene, JOINTDIT_OT_depth_of_image
from .operators.frame import JOINTDIT_OT_build_frame

OWNER = "settings = bpy.context.scene.jointdit"
"""What a preset's file begins with; the presets that come with the extension are such files, too (folder presets)."""
LOOK = ("style", "quality", "steps", "use_guidance", "guidance", "near", "far", "gamma", "build", "tear", "torn", "clean", "back_layer", "sky", "relit")
SIZE = ("use_size", "width", "height")

GROUPS: tuple[tuple[tuple[str, str | None], ...], ...] = (
    (("jointdit.generate_list", None), ("jointdit.add_scene", "JointDiT Scene…")),
    (("jointdit.match_camera", None), ("jointdit.fit_to_camera", None), ("jointdit.align_ground", None), ("jointdit.scale_by_points", None)),
    (("jointdit.relight", None), ("jointdit.bake", "Bake…"), ("jointdit.rebuild", None), ("jointdit.surround", "Extend to Sphere…")),
    (("jointdit.refresh_history", None), ("jointdit.cancel_all", None), ("jointdit.free_memory", None)),
    (("jointdit.set_up", None), ("jointdit.check_setup", None), ("jointdit.open_manual", None)),
)
"""What stands in the menu below Generate: operators, and what they are called where their own name does not do."""


class JOINTDIT_MT_presets(bpy.types.Menu):
    """Settings for a purpose"""

    bl_label = "Presets"
    preset_subdir = "jointdit"
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset  # type: ignore[assignment]


class JOINTDIT_MT_sizes(bpy.types.Menu):
    """Sizes of the image"""

    bl_label = "Sizes"
    preset_subdir = "jointdit_size"
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset  # type: ignore[assignment]


class JOINTDIT_OT_add_preset(AddPresetBase, bpy.types.Operator):  # type: ignore[misc]
    """Add or remove a preset of style, quality, distances and surface"""

    bl_idname = "jointdit.add_preset"
    bl_label = "Add Preset"
    preset_menu = "JOINTDIT_MT_presets"
    preset_defines = [OWNER]
    preset_values = [f"settings.{name}" for name in LOOK]
    preset_subdir = "jointdit"


class JOINTDIT_OT_add_size(AddPresetBase, bpy.types.Operator):  # type: ignore[misc]
    """Add or remove a preset of the image's size"""

    bl_idname = "jointdit.add_size"
    bl_label = "Add Size"
    preset_menu = "JOINTDIT_MT_sizes"
    preset_defines = [OWNER]
    preset_values = [f"settings.{name}" for name in SIZE]
    preset_subdir = "jointdit_size"


class JOINTDIT_MT_main(bpy.types.Menu):
    """Everything that JointDiT can do; so F3, which searches the menus, finds it too"""

    bl_label = "JointDiT"

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout = self.layout
        assert layout is not None
        # Dialogs open, and points are clicked in the viewport.
        layout.operator_context = "INVOKE_REGION_WIN"
        layout.operator("jointdit.generate")
        layout.operator_menu_enum("jointdit.generate_template", "template", text="Quick Start")
        for group in GROUPS:
            for name, text in group:
                layout.operator(name, text=text)
            if group is not GROUPS[-1]:
                layout.separator()


def _draw_object(menu: Any, _context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.menu("JOINTDIT_MT_main")


def _draw_import(menu: Any, _context: bpy.types.Context) -> None:
    menu.layout.operator(JOINTDIT_OT_build_frame.bl_idname, text="RGB-D Frame (frame.json, or picture and depth)")


def _draw_add(menu: Any, _context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.operator(JOINTDIT_OT_add_scene.bl_idname, text="JointDiT Scene…", icon="SCENE_DATA")


def _draw_image(menu: Any, _context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.operator(JOINTDIT_OT_depth_of_image.bl_idname)


ENTRIES = (
    ("TOPBAR_MT_file_import", _draw_import),
    ("VIEW3D_MT_add", _draw_add),
    ("VIEW3D_MT_object", _draw_object),
    ("IMAGE_MT_image", _draw_image),
)
CLASSES = (JOINTDIT_MT_main, JOINTDIT_MT_presets, JOINTDIT_MT_sizes, JOINTDIT_OT_add_preset, JOINTDIT_OT_add_size)


def register() -> None:
    """Add the entries and the presets that come with the extension."""
    for name, draw in ENTRIES:
        getattr(bpy.types, name).append(draw)
    bpy.utils.register_preset_path(str(_folder()))


def unregister() -> None:
    """Take both away."""
    bpy.utils.unregister_preset_path(str(_folder()))
    for name, draw in ENTRIES:
        getattr(bpy.types, name).remove(draw)


def _folder() -> Path:
    """The folder that holds the folder `presets`."""
    return Path(__file__).parent
