# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is being made, how far it is, and what went wrong."""

from __future__ import annotations

import bpy

from ..settings import JOINTDIT_PG_job
from .layout import Sidebar, sentence

PHASES = {
    "starting": "Starting",
    "waiting": "Waiting",
    "loading": "Loading the model",
    "encoding": "Reading the prompt",
    "sampling": "Sampling",
    "decoding": "Decoding",
    "writing": "Writing",
}


class JOINTDIT_PT_jobs(Sidebar, bpy.types.Panel):
    """One row a job."""

    bl_idname = "JOINTDIT_PT_jobs"
    bl_label = "Jobs"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return bool(context.window_manager.jointdit.jobs)

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        jobs = context.window_manager.jointdit.jobs
        for job in jobs:
            column = self.layout.column(align=True)
            row = column.row(align=True)
            if job.state in ("running", "cancelling"):
                row.progress(factor=job.factor, text=_progress(job))
            else:
                row.label(text=job.title if job.state == "done" else f"{job.state.capitalize()}: {job.title}", translate=False)
            if job.finished:
                row.operator("jointdit.clear_jobs", text="", icon="X", emboss=False).job = job.job_id
            else:
                row.operator("jointdit.cancel", text="", icon="X").job = job.job_id
            if job.message:
                sentence(column, context, job.message, alert=job.state == "failed")
            if job.state == "failed":
                column.operator("jointdit.copy_report").job = job.job_id
        if sum(job.finished for job in jobs) > 1:
            self.layout.operator("jointdit.clear_jobs")


def _progress(job: JOINTDIT_PG_job) -> str:
    """“Sampling 12/20 · 0:07”."""
    if job.state == "cancelling":
        return "Stopping"
    name = PHASES.get(job.phase, job.phase)
    steps = f" {job.step}/{job.total}" if job.total > 1 else ""
    minutes, seconds = divmod(int(job.elapsed), 60)
    return f"{name}{steps} · {minutes}:{seconds:02}"
