# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a unit of somebody's scene is."""

from __future__ import annotations

import bpy


def meters(scene: bpy.types.Scene) -> float:
    """Meters of a unit; a scene that measures in nothing counts as one in meters."""
    unit = scene.unit_settings
    return 1.0 if unit.system == "NONE" else unit.scale_length
