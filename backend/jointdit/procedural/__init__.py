# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural RGB-D scenes with captions: `render(seeds)` gives a `Batch`, the same for the same seeds."""

from .render import Batch, Prepared, draw, prepare, render
from .rewording import HELD_OUT_WORDS, reworded
from .sampling import HORIZONTAL_ANGLE

__all__ = ["HELD_OUT_WORDS", "HORIZONTAL_ANGLE", "Batch", "Prepared", "draw", "prepare", "render", "reworded"]
