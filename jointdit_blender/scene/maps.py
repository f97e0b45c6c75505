# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was prepared in numpy as pictures of Blender: packed into the .blend, or files beside the frame's own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import bpy
import numpy as np

from ..core.frame import FrameError
from ..core.prepare import Prepared

DERIVED = "derived"
"""Folder in a frame folder for pictures that can be made again at any time."""


def maps_image(name: str, prepared: Prepared, folder: Path | None) -> bpy.types.Image:
    """The picture "Maps" of the group: clean disparity, disparity behind, sky, 1; four float channels, Non-Color.

    It is packed when `folder` is None, else a file in it. Raises `FrameError` when that cannot be written.
    """
    values = np.stack([prepared.clean, prepared.back, prepared.sky, np.ones_like(prepared.clean)], axis=-1, dtype=np.float32)
    height, width = prepared.clean.shape
    image = bpy.data.images.new(name, width, height, alpha=True, float_buffer=True, is_data=True)
    # Else the other channels would be multiplied by the fourth.
    image.alpha_mode = "CHANNEL_PACKED"
    return _stored(image, values, "OPEN_EXR", folder / DERIVED / "maps.exr" if folder else None)


def color_image(name: str, file_name: str, rgb: np.ndarray, folder: Path | None) -> bpy.types.Image:
    """A picture from (height, width, 3) uint8 in sRGB, stored as `maps_image` does."""
    height, width, _ = rgb.shape
    image = bpy.data.images.new(name, width, height, alpha=False)
    values = np.ones((height, width, 4), np.float32)
    np.divide(rgb, np.float32(255.0), out=values[..., :3], dtype=np.float32)
    return _stored(image, values, "PNG", folder / DERIVED / file_name if folder else None)


def _stored(image: bpy.types.Image, values: np.ndarray, file_format: str, path: Path | None) -> bpy.types.Image:
    try:
        # Blender counts rows from the bottom.
        cast(Any, image.pixels).foreach_set(np.ascontiguousarray(values[::-1]).ravel())
        image.update()
        if path is None:
            image.pack()
        else:
            # Named by what is in it: another build of the same frame must not change it.
            path = path.with_name(f"{path.stem}-{hashlib.sha256(values.tobytes()).hexdigest()[:12]}{path.suffix}")
            path.parent.mkdir(exist_ok=True)
            image.filepath_raw = str(path)
            image.file_format = file_format  # type: ignore[assignment]  # one of Blender's names
            image.save()
    except (OSError, RuntimeError) as error:
        bpy.data.images.remove(image)
        raise FrameError(f"{path} cannot be written ({' '.join(str(error).split())}); pack the pictures into the .blend instead.") from error
    return image
