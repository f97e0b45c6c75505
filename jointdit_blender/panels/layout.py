# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things that the panels share."""

from __future__ import annotations

import textwrap
from typing import Any

import bpy


class Sidebar:
    """Where our panels stand. Any: the type checker's Panel wants a literal of its own."""

    bl_space_type: Any = "VIEW_3D"
    bl_region_type: Any = "UI"
    bl_category = "JointDiT"


def sentence(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, *, alert: bool = False) -> None:
    """A text as wide as the sidebar, over several lines. Blender does not wrap labels."""
    column = layout.column(align=True)
    column.alert = alert
    column.scale_y = 0.8
    # About 6 pixels a letter at the default scale; the margins and the tabs take some 56.
    width = (context.region.width / context.preferences.system.ui_scale - 56) / 6.2
    for line in textwrap.wrap(text, max(int(width), 16)):
        column.label(text=line, translate=False)
