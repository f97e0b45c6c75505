# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors whose message is a sentence for the person who reads it: what happened, what to do next."""


class JointDiTError(Exception):
    """Something a person can understand and mend; `str(error)` is shown as it is."""


class InputError(JointDiTError):
    """What was asked for cannot be used: a bad size, a missing or damaged picture, a wrong value."""


class CheckpointError(JointDiTError):
    """A weights file is missing, damaged or belongs to another model."""


class OutputError(JointDiTError):
    """The result cannot be written where it was asked for."""


class TrainingError(JointDiTError):
    """A training cannot go on as it is."""


class CancelledError(JointDiTError):
    """The person stopped the job."""
