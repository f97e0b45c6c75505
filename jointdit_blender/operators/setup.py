# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is missing to where it can be given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..preferences import PACKAGE

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class JOINTDIT_OT_set_up(bpy.types.Operator):
    """Open the preferences, where the Python of the image generator is chosen"""

    bl_idname = "jointdit.set_up"
    bl_label = "Set Up…"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        bpy.ops.preferences.addon_show(module=PACKAGE)
        return {"FINISHED"}
