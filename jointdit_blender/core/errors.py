# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all errors that are meant for a person have in common."""


class JointDiTError(Exception):
    """Something cannot be done; `str(error)` is a sentence for a person: what happened, what to do next. `detail` is text for a bug report."""

    detail: str = ""
