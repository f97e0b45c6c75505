# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is being made, how far it is, and what went wrong."""

from __future__ import annotations

from typing import Any

import bpy

from .layout import UNIT, Sidebar, sentence, width, worded

PHASES = {
    "starting": "Starting",
    "waiting": "Waiting",
    "loading": "Loading the model",
    "encoding": "Reading the prompt",
    "sampling": "Sampling",
    "decoding": "Decoding",
    "writing": "Writing",
}
ICONS: dict[str, Any] = {"done": "CHECKMARK", "failed": "ERROR", "cancelled": "CANCEL"}
MOST_WAITING = 12
"""Waiting jobs that have a row of their own."""


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
        jobs, layout = context.window_manager.jointdit.jobs, self.layout
        last = max((number for number, job in enumerate(jobs) if job.finished), default=-1)
        waiting = 0
        for number, job in enumerate(jobs):
            waiting += job.state == "waiting"
            # What was said of earlier successes only takes room.
            if job.state != "waiting" or waiting <= MOST_WAITING:
                _row(layout, context, job, said=job.state != "done" or number == last)
        if waiting > MOST_WAITING:
            layout.label(text=worded("{count} more wait", count=waiting - MOST_WAITING), translate=False)
        finished = sum(job.finished for job in jobs)
        if len(jobs) - finished > 1:
            layout.operator("jointdit.cancel_all")
        if finished > 1:
            layout.operator("jointdit.clear_jobs")
        if finished == len(jobs):
            layout.operator("jointdit.free_memory")


def _row(layout: bpy.types.UILayout | None, context: bpy.types.Context, job: Any, said: bool) -> None:
    assert layout is not None
    column = layout.column(align=True)
    row = column.row(align=True)
    working = job.state in ("running", "cancelling")
    if working:
        row.progress(factor=job.factor, text=progress_text(job))
    elif job.state == "waiting":
        row.label(text=_named(job), icon="TIME", translate=False)
    else:
        row.label(text=_named(job), icon=ICONS.get(job.state, "NONE"), translate=False)
    if job.finished:
        row.operator("jointdit.clear_jobs", text="", icon="X", emboss=False).job = job.job_id
    else:
        row.operator("jointdit.cancel", text="", icon="X").job = job.job_id
    if working:
        sentence(column, context, _named(job))
    if job.preview:
        pictures = column.row(align=True)
        for icon in (job.preview, job.preview_depth):
            pictures.template_icon(icon, scale=max(2.0, width(context) / 2.0 / UNIT))
    if job.message and said:
        sentence(column, context, job.message, alert=job.state == "failed")
    if job.state in ("failed", "cancelled"):
        row = column.row(align=True)
        row.operator("jointdit.retry").job = job.job_id
        row.operator("jointdit.recall_job", text="Recall Settings").job = job.job_id
    if job.state == "failed":
        column.operator("jointdit.copy_report").job = job.job_id


def _named(job: Any) -> str:
    """Results of one prompt differ by their seeds."""
    return worded("Seed {seed}: {title}", seed=job.seed, title=job.title) if job.seed else str(job.title)


def progress_text(job: Any) -> str:
    """“Sampling 12/20 · 0:07, 0:05 left”."""
    if job.state == "cancelling":
        return worded("Stopping")
    name = worded("Starting again" if job.again and job.phase == "starting" else PHASES.get(job.phase, job.phase))
    steps = f" {job.step}/{job.total}" if job.total > 1 else ""
    left = worded(", {time} left", time=_clock(job.remaining)) if job.remaining >= 0.0 else ""
    return f"{name}{steps} · {_clock(job.elapsed)}{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


CLASSES = (JOINTDIT_PT_jobs,)
