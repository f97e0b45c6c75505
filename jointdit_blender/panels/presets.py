# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What opens behind the preset icons in the heads of panels."""

from __future__ import annotations

import bpy
from bl_ui.utils import PresetPanel


class JOINTDIT_PT_presets(PresetPanel, bpy.types.Panel):
    """Behind the icon in the head of the panel."""

    bl_label = "Presets"
    preset_subdir = "jointdit"
    preset_operator = "script.execute_preset"
    preset_add_operator = "jointdit.add_preset"


class JOINTDIT_PT_sizes(PresetPanel, bpy.types.Panel):
    """Behind the icon in the head of the sub-panel."""

    bl_label = "Sizes"
    preset_subdir = "jointdit_size"
    preset_operator = "script.execute_preset"
    preset_add_operator = "jointdit.add_size"


CLASSES = (JOINTDIT_PT_presets, JOINTDIT_PT_sizes)
