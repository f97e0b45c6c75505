# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do: each reads settings, calls core, scene or session, and reports."""

from .frame import JOINTDIT_FH_frame, JOINTDIT_FH_pictures, JOINTDIT_OT_build_frame, draw_import
from .generate import JOINTDIT_OT_generate, JOINTDIT_OT_generate_template, JOINTDIT_OT_random_seed
from .jobs import JOINTDIT_OT_cancel, JOINTDIT_OT_clear_jobs, JOINTDIT_OT_copy_report
from .result import (
    JOINTDIT_OT_align_ground,
    JOINTDIT_OT_bake,
    JOINTDIT_OT_fit_to_camera,
    JOINTDIT_OT_match_camera,
    JOINTDIT_OT_rebuild,
    JOINTDIT_OT_relight,
    JOINTDIT_OT_surround,
)
from .scale import JOINTDIT_OT_scale_by_points
from .setup import JOINTDIT_OT_set_up

__all__ = ("CLASSES", "draw_import")

CLASSES = (
    JOINTDIT_OT_generate,
    JOINTDIT_OT_generate_template,
    JOINTDIT_OT_random_seed,
    JOINTDIT_OT_cancel,
    JOINTDIT_OT_copy_report,
    JOINTDIT_OT_clear_jobs,
    JOINTDIT_OT_build_frame,
    JOINTDIT_FH_frame,
    JOINTDIT_FH_pictures,
    JOINTDIT_OT_match_camera,
    JOINTDIT_OT_fit_to_camera,
    JOINTDIT_OT_align_ground,
    JOINTDIT_OT_scale_by_points,
    JOINTDIT_OT_relight,
    JOINTDIT_OT_bake,
    JOINTDIT_OT_rebuild,
    JOINTDIT_OT_surround,
    JOINTDIT_OT_set_up,
)
