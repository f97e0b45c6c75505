# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab in the sidebar. Drawing only: whatever is shown was computed before."""

from . import generate, history, jobs, presets, result

CLASSES = (*presets.CLASSES, *generate.CLASSES, *jobs.CLASSES, *result.CLASSES, *history.CLASSES)
