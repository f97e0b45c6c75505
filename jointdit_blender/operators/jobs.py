# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons in a job's row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy
from bpy.props import IntProperty

from .. import session

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class JOINTDIT_OT_cancel(bpy.types.Operator):
    """Stop this job"""

    bl_idname = "jointdit.cancel"
    bl_label = "Cancel Job"
    bl_options = {"INTERNAL"}

    job: IntProperty(name="Job", description="Its number in the list", options={"SKIP_SAVE"})

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        session.current().cancel(self.job)
        return {"FINISHED"}


class JOINTDIT_OT_copy_report(bpy.types.Operator):
    """Copy what went wrong, with the last lines of the log, to send it to the developers"""

    bl_idname = "jointdit.copy_report"
    bl_label = "Copy Report"
    bl_options = {"INTERNAL"}

    job: IntProperty(name="Job", description="Its number in the list", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        run = session.current().find(self.job)
        if run is None:
            self.report({"WARNING"}, "The job is no longer in the list")
            return {"CANCELLED"}
        context.window_manager.clipboard = run.report()
        self.report({"INFO"}, "The report is on the clipboard")
        return {"FINISHED"}


class JOINTDIT_OT_clear_jobs(bpy.types.Operator):
    """Remove finished jobs from the list; objects and files stay"""

    bl_idname = "jointdit.clear_jobs"
    bl_label = "Clear Finished Jobs"
    bl_options = {"INTERNAL"}

    job: IntProperty(name="Job", description="Only this one; 0: all that are finished", options={"SKIP_SAVE"})

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        session.current().clear(self.job or None)
        return {"FINISHED"}
