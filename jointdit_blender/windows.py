# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have what is shown drawn anew."""

from __future__ import annotations

import bpy

SHOWING = {"VIEW_3D": "UI", "PREFERENCES": "WINDOW"}
"""Editors in which something of ours is shown, and the region that shows it. The viewport beside it is not drawn anew: a large scene takes long."""


def redraw() -> None:
    """Draw all panels of ours anew, after what they show has changed."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                if region.type == SHOWING.get(area.type):
                    region.tag_redraw()
