# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the preferences, and the progress of an errand wherever it is shown."""

from __future__ import annotations

import sys
from typing import Any

import bpy

from .layout import ALWAYS, lines, property_column, width

SIDE_BY_SIDE = 420
"""Pixels from which a finding's name stands beside its text."""
REPAIRS = {
    "install": ("jointdit.install", "Install…"),
    "reinstall": ("jointdit.install", "Reinstall…"),
    "add-model": ("jointdit.add_model", "Add Files or Folder…"),
    "download-model": ("jointdit.download_model", "Download…"),
    "free-memory": ("jointdit.free_memory", "Free Memory"),
}
"""The operator that mends a finding, and what its button says."""
INSTALL = {"outdated": "Update…", "unfinished": "Go On…", "installed": "Reinstall…"}


def draw_progress(layout: bpy.types.UILayout | None, context: bpy.types.Context) -> None:
    """What the errand at work is doing, with a button that stops it; then how it ended. Nothing while there is neither."""
    _draw_progress(layout, context, width(context), everything=False)


def draw_preferences(layout: bpy.types.UILayout | None, context: bpy.types.Context, preferences: Any, offline: str) -> None:
    """Preferences > Add-ons > JointDiT. `offline` says why nothing may be downloaded, if so."""
    assert layout is not None, ALWAYS
    pixels = width(context)
    _draw_engine(layout, context, preferences, pixels)
    if offline:
        lines(layout, f"{offline}. Until then nothing can be installed or downloaded.", pixels)
    _draw_findings(layout, context, pixels)
    _draw_models(layout, context, preferences, pixels)
    _heading(layout, "Results")
    column = property_column(layout)
    column.prop(preferences, "output", text="Folder", placeholder="Automatic")
    _heading(layout, "Give Back the GPU")
    column = property_column(layout)
    column.prop(preferences, "unload_after", text="Minutes Idle")
    column.prop(preferences, "unload_for_render")
    layout.separator(type="LINE")
    row = layout.row()
    row.alignment = "LEFT"
    row.operator("jointdit.open_manual", icon="HELP")


def _heading(layout: bpy.types.UILayout, text: str) -> None:
    layout.separator(type="LINE")
    layout.label(text=text)


def _draw_engine(layout: bpy.types.UILayout, context: bpy.types.Context, preferences: Any, pixels: float) -> None:
    upkeep = context.window_manager.jointdit_upkeep
    layout.label(text="Image Generator")
    lines(layout, upkeep.engine_text, pixels, alert=upkeep.engine in ("missing", "unfinished", "outdated"))
    _draw_progress(layout, context, pixels, everything=True)
    if not upkeep.running or upkeep.quiet:
        row = _buttons(layout, pixels)
        if upkeep.retry != "jointdit.install":
            row.operator("jointdit.install", text=INSTALL.get(upkeep.engine, "Install…"))
        row.operator("jointdit.check_setup")
        if upkeep.engine in ("installed", "outdated", "unfinished"):
            row.operator("jointdit.uninstall", text="Remove…")
    column = property_column(layout)
    if sys.platform != "darwin":
        column.prop(preferences, "build")
    column.prop(preferences, "interpreter", text="Python", placeholder="Automatic")


def _draw_progress(layout: bpy.types.UILayout | None, context: bpy.types.Context, pixels: float, *, everything: bool) -> None:
    assert layout is not None, ALWAYS
    upkeep = context.window_manager.jointdit_upkeep
    if upkeep.running and (everything or not upkeep.quiet):
        lines(layout, upkeep.phase, pixels)
        row = layout.row(align=True)
        row.progress(factor=upkeep.factor, text=upkeep.progress)
        if not upkeep.quiet:
            row.operator("jointdit.stop_errand", text="", icon="X")
    if not upkeep.message:
        return
    row = layout.row()
    lines(row, upkeep.message, pixels - 30, alert=upkeep.failed)
    row.operator("jointdit.dismiss_outcome", text="", icon="X", emboss=False)
    if upkeep.outcome == "check" and not everything:
        layout.operator("preferences.addon_show", text="Show in Preferences").module = (__package__ or "").removesuffix(".panels")
    if upkeep.failed:
        row = _buttons(layout, pixels)
        row.operator("jointdit.copy_outcome")
        if upkeep.retry:
            again = row.operator(upkeep.retry, text="Try Again")
            if upkeep.retry_model:
                again.name = upkeep.retry_model


def _draw_findings(layout: bpy.types.UILayout, context: bpy.types.Context, pixels: float) -> None:
    """One row for each finding of the check; a bad one has a button that mends it."""
    findings = context.window_manager.jointdit_upkeep.findings
    if not findings:
        return
    _heading(layout, "Check")
    for finding in findings:
        beside = pixels >= SIDE_BY_SIDE
        row = layout.split(factor=0.25) if beside else layout.column(align=True)
        row.label(text=finding.what, icon="CHECKMARK" if finding.good else "ERROR", translate=False)
        column = row.column()
        text = finding.text if finding.good else f"To mend: {finding.text}"
        lines(column, text, 0.75 * pixels if beside else pixels, alert=not finding.good)
        _draw_repair(column, finding.repair if not finding.good else "", finding.model)


def _draw_repair(layout: bpy.types.UILayout, repair: str, model: str) -> None:
    if repair not in REPAIRS:
        return
    operator, text = REPAIRS[repair]
    row = layout.row()
    row.alignment = "LEFT"
    button = row.operator(operator, text=text)
    if model and repair in ("add-model", "download-model"):
        button.name = model


def _draw_models(layout: bpy.types.UILayout, context: bpy.types.Context, preferences: Any, pixels: float) -> None:
    """One row for each model, the one in use marked; then how others come here."""
    models = context.window_manager.jointdit_upkeep.models
    _heading(layout, "Models")
    used = preferences.model.strip() or "embedded"
    for model in models:
        column = layout.column(align=True)
        row = column.row(align=True)
        _draw_use(row, model, model.name == used)
        if model.own:
            row.operator("jointdit.remove_model", text="", icon="X").name = model.name
        for text in (model.about, model.detail):
            lines(column, text, pixels)
        if model.own and model.note:
            lines(column, model.note, pixels)
        if model.lacking:
            lines(column, f"Lacks: {model.lacking}.", pixels, alert=True)
        if model.problem:
            lines(column, model.problem, pixels, alert=True)
        if model.lacking:
            row = _buttons(column, pixels)
            row.operator("jointdit.add_model", text="Add Files or Folder…").name = model.name
            row.operator("jointdit.download_model", text="Download…").name = model.name
        elif model.problem:
            _draw_repair(column, model.repair, model.name)
        layout.separator(factor=0.5)
    row = _buttons(layout, pixels)
    row.operator("jointdit.add_model", text="Add Files or Folder…")
    row.operator("jointdit.download_model", text="Download…")
    row.operator("jointdit.list_models")
    property_column(layout).prop(preferences, "model", text="Model", placeholder="embedded")


def _draw_use(row: bpy.types.UILayout, model: Any, used: bool) -> None:
    """The model's title, which is a button that chooses it, and whether it is chosen."""
    title = f"{model.title} ({model.name})" if model.own else model.title
    row = row.row()
    row.alignment = "LEFT"
    row.operator("jointdit.use_model", text=title, icon="RADIOBUT_ON" if used else "RADIOBUT_OFF", emboss=False).name = model.name
    if used:
        row.label(text="In Use")


def _buttons(layout: bpy.types.UILayout, pixels: float) -> bpy.types.UILayout:
    """A place for up to three buttons: side by side, or below each other where they would be cut off."""
    return layout.row() if pixels >= 320 else layout.column()
