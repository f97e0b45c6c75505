# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operators of setup and models share, and the buttons beside an errand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from .. import upkeep

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

DIALOG_WIDTH = 420
"""Pixels at the default scale."""


def busy() -> str:
    """Why nothing else can begin now, for a poll message."""
    errand = upkeep.current().errand
    return f"Wait until this is done: {errand.phase}" if errand else ""


def refuse(operator: bpy.types.Operator, obstacle: str) -> set[OperatorReturnItems]:
    """For an execute: Blender does not poll again when a file browser or a dialog is confirmed, and much may have begun meanwhile."""
    operator.report({"ERROR"}, f"{obstacle}.")
    return {"CANCELLED"}


def settle(operator: bpy.types.Operator) -> set[OperatorReturnItems]:
    """In a window the timer sees to the errand; without one wait for it and report how it ended."""
    current = upkeep.current()
    if not bpy.app.background:
        return {"FINISHED"}
    current.finish()
    outcome = current.outcome
    if outcome is not None and outcome.failed:
        operator.report({"ERROR"}, outcome.message)
        return {"CANCELLED"}
    if outcome is not None:
        operator.report({"INFO"}, outcome.message)
    return {"FINISHED"}


def operator_of(name: str) -> Any:
    """The function that calls an operator of ours."""
    module, _, function = name.partition(".")
    return getattr(getattr(bpy.ops, module), function)


def once_more(context: bpy.types.Context, operator: str, **properties: Any) -> upkeep.Then:
    """Calls an operator again in the same window, now that all is known that its dialog shows."""
    windows = list(context.window_manager.windows)
    index = windows.index(context.window) if context.window in windows else 0

    def invoke() -> None:
        windows = list(bpy.context.window_manager.windows)
        if windows:
            with bpy.context.temp_override(window=windows[min(index, len(windows) - 1)]):
                call = operator_of(operator)
                if call.poll():
                    call("INVOKE_DEFAULT", ready=True, **properties)

    return invoke


class JOINTDIT_OT_stop_errand(bpy.types.Operator):
    """Stop it; what has arrived is kept, and the next try goes on from there"""

    bl_idname = "jointdit.stop_errand"
    bl_label = "Stop"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        upkeep.current().cancel()
        return {"FINISHED"}


class JOINTDIT_OT_dismiss_outcome(bpy.types.Operator):
    """Remove this message"""

    bl_idname = "jointdit.dismiss_outcome"
    bl_label = "Dismiss"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        upkeep.current().dismiss()
        return {"FINISHED"}


class JOINTDIT_OT_copy_outcome(bpy.types.Operator):
    """Copy what went wrong, with the last lines of the log, to send it to the developers"""

    bl_idname = "jointdit.copy_outcome"
    bl_label = "Copy Report"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        outcome = upkeep.current().outcome
        if outcome is None:
            self.report({"WARNING"}, "There is nothing to report any more")
            return {"CANCELLED"}
        context.window_manager.clipboard = f"Blender {bpy.app.version_string}\n{outcome.report}"
        self.report({"INFO"}, "The report is on the clipboard")
        return {"FINISHED"}


CLASSES = (
    JOINTDIT_OT_stop_errand,
    JOINTDIT_OT_dismiss_outcome,
    JOINTDIT_OT_copy_outcome,
)
