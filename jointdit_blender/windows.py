# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have what is shown drawn anew."""

from __future__ import annotations

import bpy

SHOWING = ("VIEW_3D", "PREFERENCES")
"""Editors in which something of ours is shown."""


def redraw() -> None:
    """Draw all panels of ours anew, after what they show has changed."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in SHOWING:
                area.tag_redraw()
