# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab in the sidebar. Drawing only: whatever is shown was computed before."""

from .generate import JOINTDIT_PT_depth, JOINTDIT_PT_directions, JOINTDIT_PT_generate, JOINTDIT_PT_image, JOINTDIT_PT_look, JOINTDIT_PT_placing
from .jobs import JOINTDIT_PT_jobs
from .result import JOINTDIT_PT_result, JOINTDIT_PT_result_placing, JOINTDIT_PT_result_surface

CLASSES = (
    JOINTDIT_PT_generate,
    JOINTDIT_PT_directions,
    JOINTDIT_PT_image,
    JOINTDIT_PT_depth,
    JOINTDIT_PT_placing,
    JOINTDIT_PT_look,
    JOINTDIT_PT_jobs,
    JOINTDIT_PT_result,
    JOINTDIT_PT_result_surface,
    JOINTDIT_PT_result_placing,
)
