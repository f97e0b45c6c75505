# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things that the panels share."""

from __future__ import annotations

import textwrap
from typing import Any

import bpy

ALWAYS = "Blender draws a panel with a layout"


NARROW = 140
"""Pixels at the default scale in which two buttons side by side would be cut off."""
LETTER, MARGINS = 6.2, 12.0
"""About how wide a letter is, and what a button has besides."""
UNIT = 20.0
"""Pixels at the default scale of a thumbnail of scale 1."""


class Sidebar:
    """Where our panels stand. Any: the type checker's Panel wants a literal of its own."""

    bl_space_type: Any = "VIEW_3D"
    bl_region_type: Any = "UI"
    bl_category = "JointDiT"


def sentence(layout: bpy.types.UILayout | None, context: bpy.types.Context, text: str, *, alert: bool = False) -> None:
    """A text as wide as the sidebar, over several lines."""
    lines(layout, text, width(context), alert=alert)


def lines(layout: bpy.types.UILayout | None, text: str, pixels: float, *, alert: bool = False) -> None:
    """A text, in the person's language if it is known there, over several lines of so many pixels at the default scale. Blender does not wrap labels."""
    assert layout is not None, ALWAYS
    column = layout.column(align=True)
    column.alert = alert
    column.scale_y = 0.8
    for line in textwrap.wrap(worded(text), max(int(pixels / LETTER), 16)):
        column.label(text=line, translate=False)


def worded(text: str, **values: object) -> str:
    """A text in the person's language, with values in their places in braces: translators see the words, not the numbers."""
    translated = str(bpy.app.translations.pgettext_iface(text))  # type: ignore[func-returns-value]  # the stubs say that it returns nothing
    return translated.format(**values) if values else translated


def property_column(layout: bpy.types.UILayout | None) -> bpy.types.UILayout:
    """A column of properties, each with its name on the left; none of ours can be animated."""
    assert layout is not None, ALWAYS
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    return column


def choice(layout: bpy.types.UILayout | None, context: bpy.types.Context, owner: Any, name: str) -> None:
    """A choice between a few words: side by side where there is room, else as a menu."""
    assert layout is not None, ALWAYS
    words = [item.name for item in owner.bl_rna.properties[name].enum_items]
    if width(context) < len(words) * (LETTER * max(map(len, words)) + MARGINS):
        layout.prop(owner, name, text="")
    else:
        layout.row().prop(owner, name, expand=True)


def button_grid(layout: bpy.types.UILayout, context: bpy.types.Context) -> bpy.types.UILayout:
    """Buttons in two columns, or in one where there is no room for two."""
    return layout.grid_flow(columns=1 if width(context) < NARROW else 2, even_columns=True, align=True, row_major=True)


def width(context: bpy.types.Context) -> float:
    """Pixels between the margins of the sidebar, at the default scale: the margins and the tabs take some 56."""
    return float(context.region.width / context.preferences.system.ui_scale - 56)
