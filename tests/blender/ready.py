# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live group for tests that are about something else: written once by the real code, then read from a file, a hundred times faster."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import bpy

from jointdit_blender.scene.group import GROUP_NAME, GROUP_VERSION, VERSION_KEY, frame_group


@cache
def _file() -> Path:
    """A .blend with the group alone, as `frame_group` makes it."""
    path = Path(tempfile.mkdtemp(prefix="jointdit-group-")) / "group.blend"
    group = frame_group()
    bpy.data.libraries.write(str(path), {group})
    bpy.data.node_groups.remove(group)
    return path


def ready_group() -> Any:
    """What `frame_group` returns."""
    if not any(group.name.startswith(GROUP_NAME) and group.get(VERSION_KEY) == GROUP_VERSION for group in bpy.data.node_groups):
        path = _file()
        with bpy.data.libraries.load(str(path)) as (there, wanted):
            wanted.node_groups = there.node_groups
        for library in [library for library in bpy.data.libraries if library.filepath == str(path)]:
            bpy.data.libraries.remove(library)  # the group is the file's own; nothing shall tell that it was read
    return frame_group()
