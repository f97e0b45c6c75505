# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JointDiT for Blender: from a sentence to an image with depth, and from there to geometry in the scene.

Importing this package defines nothing but two functions: `jointdit_blender.core` and `python -m jointdit_blender` are used by Pythons without bpy.
"""


def register() -> None:
    """Called by Blender when the extension is enabled."""
    from . import registration  # needs bpy

    registration.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled: leaves no class, property, timer or process behind."""
    from . import registration  # needs bpy

    registration.unregister()
