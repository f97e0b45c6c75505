# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons in a job's row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy
from bpy.props import IntProperty

from .. import session
from .generate import start

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class OfJob:
    """An operator on a row of the Jobs panel."""

    job: IntProperty(name="Job", description="Its number in the list", options={"SKIP_SAVE"})

    def run(self) -> session.Run | None:
        """The job's run; tells the person when it is no longer there."""
        found = session.current().find(self.job)
        if found is None:
            self.report({"WARNING"}, "The job is no longer in the list")  # type: ignore[attr-defined]  # it is an operator's
        return found


class JOINTDIT_OT_cancel(OfJob, bpy.types.Operator):
    """Stop this job"""

    bl_idname = "jointdit.cancel"
    bl_label = "Cancel Job"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        session.current().cancel(self.job)
        return {"FINISHED"}


class JOINTDIT_OT_cancel_all(bpy.types.Operator):
    """Stop the running job and all that wait"""

    bl_idname = "jointdit.cancel_all"
    bl_label = "Cancel All Jobs"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if not session.current().busy:
            cls.poll_message_set("Nothing is being made")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        session.current().cancel()
        return {"FINISHED"}


class JOINTDIT_OT_retry(OfJob, bpy.types.Operator):
    """Run this job again with the settings that it had"""

    bl_idname = "jointdit.retry"
    bl_label = "Try Again"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        run = self.run()
        if run is None:
            return {"CANCELLED"}
        if not run.closed:
            self.report({"WARNING"}, "The job has not ended yet")
            return {"CANCELLED"}
        done = start(self, context, lambda: [run.order])
        if done == {"FINISHED"}:
            session.current().clear(self.job)
        return done


class JOINTDIT_OT_recall_job(OfJob, bpy.types.Operator):
    """Put the prompt, the seed and the other settings of this job into the panel"""

    bl_idname = "jointdit.recall_job"
    bl_label = "Recall Settings of Job"
    bl_options = {"INTERNAL", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        run = self.run()
        if run is None:
            return {"CANCELLED"}
        settings = context.scene.jointdit
        settings.adopt(run.order.options)
        settings.recall(run.order.request)
        return {"FINISHED"}


class JOINTDIT_OT_free_memory(bpy.types.Operator):
    """Give the memory of the graphics card back to Blender; the next result loads the model again"""

    bl_idname = "jointdit.free_memory"
    bl_label = "Free Memory"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Called by Blender."""
        worker = session.current().worker
        reason = "Something is being made: cancel it first, or wait" if worker.busy else "" if worker.pid else "The image generator holds no memory now"
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        session.current().worker.release()
        self.report({"INFO"}, "The memory of the image generator is free again")
        return {"FINISHED"}


class JOINTDIT_OT_copy_report(OfJob, bpy.types.Operator):
    """Copy what went wrong, with the last lines of the log, to send it to the developers"""

    bl_idname = "jointdit.copy_report"
    bl_label = "Copy Report"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        run = self.run()
        if run is None:
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


CLASSES = (
    JOINTDIT_OT_cancel,
    JOINTDIT_OT_cancel_all,
    JOINTDIT_OT_retry,
    JOINTDIT_OT_recall_job,
    JOINTDIT_OT_free_memory,
    JOINTDIT_OT_copy_report,
    JOINTDIT_OT_clear_jobs,
)
