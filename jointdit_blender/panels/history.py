# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every result in the output folder, also those of other files and of the command line."""

from __future__ import annotations

from typing import Any

import bpy

from ..core.history import PAGE
from .layout import LETTER, UNIT, Sidebar, button_grid, sentence, width, worded

CELL = 86.0
"""Pixels at the default scale that a thumbnail takes."""


class JOINTDIT_PT_history(Sidebar, bpy.types.Panel):
    """Thumbnails with a search."""

    bl_idname = "JOINTDIT_PT_history"
    bl_label = "History"

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        self.layout.operator("jointdit.refresh_history", text="", icon="FILE_REFRESH", emboss=False)

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout, state = self.layout, context.window_manager.jointdit
        if state.problem:
            sentence(layout, context, state.problem, alert=True)
        if not state.all_results:
            sentence(layout, context, "Every result is kept and will be listed here.")
            return
        layout.prop(state, "search", text="", icon="VIEWZOOM", placeholder="Search")
        if not state.found:
            sentence(layout, context, "No result has these words.")
        columns = max(1, int(width(context) / CELL))
        grid = layout.grid_flow(columns=columns, even_columns=True, even_rows=True, row_major=True)
        for item in state.results:
            _cell(grid, item, state.chosen, width(context) / columns)
        if state.found > len(state.results):
            left = state.found - len(state.results)
            layout.operator("jointdit.show_more", text=worded("Show {count} More of {all}", count=min(left, PAGE), all=state.found), translate=False)
        chosen = state.results.get(state.chosen)
        if chosen is not None:
            _details(layout, context, chosen)


def _cell(layout: bpy.types.UILayout, item: Any, chosen: str, across: float) -> None:
    """A thumbnail and its words below, which choose it."""
    column = layout.column(align=True)
    column.template_icon(item.icon, scale=max(2.0, min(across, 220.0) / UNIT - 0.6))
    letters = max(4, int(across / LETTER) - 3)
    words = item.title if len(item.title) <= letters else item.title[: letters - 1].rstrip() + "…"
    column.operator("jointdit.choose_result", text=words, translate=False, depress=item.name == chosen).result = item.name


def _details(layout: bpy.types.UILayout | None, context: bpy.types.Context, item: Any) -> None:
    """What the chosen result was made with, and what can be done with it."""
    assert layout is not None
    layout.separator()
    sentence(layout, context, item.title)
    sentence(layout, context, item.facts)
    layout.operator("jointdit.build_result", text="Build").build = "PANEL"
    row = layout.row(align=True)
    for name, text in (("RELIEF", "Relief"), ("POINTS", "Points"), ("DOME", "Dome")):
        row.operator("jointdit.build_result", text=text).build = name
    grid = button_grid(layout, context)
    grid.operator("jointdit.recall_settings")
    grid.operator("jointdit.vary_result")
    grid.operator("jointdit.resize_result")
    grid.operator("jointdit.open_result")
    layout.operator("jointdit.delete_result", text="Delete…", icon="TRASH")


CLASSES = (JOINTDIT_PT_history,)
