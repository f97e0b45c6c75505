# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that Blender is told at once, in order, and taken back in the opposite order."""

from __future__ import annotations

from typing import Any

import bpy

from . import gallery, menus, operators, panels, preferences, session, settings, thumbnails, upkeep

CLASSES = (*settings.CLASSES, *upkeep.CLASSES, *preferences.CLASSES, *operators.CLASSES, *panels.CLASSES, *menus.CLASSES)

_command: Any = None


def _run_command(arguments: list[str]) -> int:
    """`blender --command jointdit …`."""
    from . import headless  # only when it is used: it reads its own argument parser

    return headless.command(arguments)


def register() -> None:
    """May be repeated after `unregister`."""
    global _command
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    settings.register()
    upkeep.register()
    thumbnails.register()
    gallery.register()
    session.register()
    menus.register()
    _command = bpy.utils.register_cli_command("jointdit", _run_command)  # type: ignore[func-returns-value]
    if not bpy.app.background:
        # Blender withholds its context while it starts. Without a window nobody looks, and no timer runs.
        bpy.app.timers.register(_first_look, first_interval=0.0, persistent=True)


def unregister() -> None:
    """Leaves nothing behind."""
    global _command
    if bpy.app.timers.is_registered(_first_look):
        bpy.app.timers.unregister(_first_look)
    bpy.utils.unregister_cli_command(_command)
    _command = None
    menus.unregister()
    session.unregister()
    gallery.unregister()
    thumbnails.unregister()
    upkeep.unregister()
    settings.unregister()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)


def _first_look() -> None:
    preferences.look_for_backend(bpy.context)
    gallery.current().refresh(bpy.context)
