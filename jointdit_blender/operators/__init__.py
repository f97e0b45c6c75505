# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do: each reads settings, calls core, scene or session, and reports."""

from . import elsewhere, frame, generate, history, jobs, manual, models, result, scale, setup, upkeep

CLASSES = (
    *generate.CLASSES,
    *jobs.CLASSES,
    *history.CLASSES,
    *elsewhere.CLASSES,
    *frame.CLASSES,
    *result.CLASSES,
    *scale.CLASSES,
    *setup.CLASSES,
    *models.CLASSES,
    *upkeep.CLASSES,
    *manual.CLASSES,
)
