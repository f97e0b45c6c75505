# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do: each reads settings, calls core, scene or session, and reports."""

from .frame import JOINTDIT_OT_build_frame, draw_import
from .generate import JOINTDIT_OT_generate, JOINTDIT_OT_random_seed
from .jobs import JOINTDIT_OT_cancel, JOINTDIT_OT_clear_jobs, JOINTDIT_OT_copy_report
from .setup import JOINTDIT_OT_set_up

__all__ = ("CLASSES", "draw_import")

CLASSES = (
    JOINTDIT_OT_generate,
    JOINTDIT_OT_random_seed,
    JOINTDIT_OT_cancel,
    JOINTDIT_OT_copy_report,
    JOINTDIT_OT_clear_jobs,
    JOINTDIT_OT_build_frame,
    JOINTDIT_OT_set_up,
)
