# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own files, for programs without a window."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..core.files import FileError, check_there, reason, staged


def open_file(path: Path | None = None) -> None:
    """Leave the open file for an empty one, or for that at `path`, whose scripts are not run. Raises `FileError`."""
    if path is None:
        # The preferences stay as they are: this may run inside somebody's Blender, out of an extension.
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        # An unlit picture should look like itself; the default view transform is made for light.
        bpy.context.scene.view_settings.view_transform = "Standard"
        return
    check_there(path)
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path.absolute()), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise FileError(f"{path} cannot be opened ({reason(error)}); choose another file.") from error


def save_file(path: Path) -> None:
    """Write a copy of the open file to `path`, complete or not at all. Raises `FileError`."""
    with staged(path) as work:
        bpy.ops.wm.save_as_mainfile(filepath=str(work), check_existing=False, copy=True)
