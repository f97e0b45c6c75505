# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the graphics card's memory is to be given back: after a while without work, and before Cycles needs the card.

The worker's process is ended then, because only that frees all of it; the next job starts another one.
"""

from __future__ import annotations

import bpy

from . import preferences

MINUTES = 10
"""What holds while there are no preferences."""


def patience(context: bpy.types.Context) -> float:
    """Seconds that a worker may have nothing to do before it is ended."""
    chosen = preferences.preferences(context)
    minutes = chosen.unload_after if chosen else MINUTES
    return 60.0 * minutes if minutes else float("inf")


def wanted_for_render(context: bpy.types.Context, scene: bpy.types.Scene) -> bool:
    """Whether a render of the scene needs the graphics card's memory, and the person wants it to have all: Cycles on another device than the processor."""
    chosen = preferences.preferences(context)
    if chosen is not None and not chosen.unload_for_render:
        return False
    engine: str = scene.render.engine
    if engine != "CYCLES" or getattr(scene.cycles, "device", "CPU") != "GPU":
        return False
    cycles = context.preferences.addons.get("cycles")
    return cycles is not None and cycles.preferences.compute_device_type != "NONE"
