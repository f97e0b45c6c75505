# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab in the sidebar. Drawing only: whatever is shown was computed before."""

from .generate import JOINTDIT_PT_depth, JOINTDIT_PT_generate, JOINTDIT_PT_image
from .jobs import JOINTDIT_PT_jobs
from .result import JOINTDIT_PT_result

CLASSES = (JOINTDIT_PT_generate, JOINTDIT_PT_image, JOINTDIT_PT_depth, JOINTDIT_PT_jobs, JOINTDIT_PT_result)
