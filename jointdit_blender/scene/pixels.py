# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures on disk to Blender's images and to numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import bpy
import numpy as np

from ..core.frame import FrameError


def load_picture(path: Path) -> bpy.types.Image:
    """A new image data-block with all its pixels; raises `FrameError` when the file is damaged or no picture."""
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise FrameError(f"{path} cannot be read; check that the file may be opened.") from error
    # Blender reads the file only now, and tells of damage by an image without pixels.
    if min(image.size) < 1 or not len(_values(image)):
        bpy.data.images.remove(image)
        raise FrameError(f"{path} cannot be read as a picture; the file is damaged or of a kind that Blender does not know.")
    return image


def read_pixels(image: bpy.types.Image) -> np.ndarray:
    """The first channel of a loaded picture, (height, width) float32, row 0 at the top."""
    width, height = image.size
    pixels = np.empty(width * height * image.channels, dtype=np.float32)
    _values(image).foreach_get(pixels)
    return pixels.reshape(height, width, image.channels)[::-1, :, 0]


def read_colors(image: bpy.types.Image) -> np.ndarray:
    """The colors of a loaded picture as it is stored, (height, width, 3) uint8, row 0 at the top; gray becomes three equal channels."""
    width, height = image.size
    pixels = np.empty(width * height * image.channels, dtype=np.float32)
    _values(image).foreach_get(pixels)
    channels = pixels.reshape(height, width, image.channels)[::-1]
    channels = channels[..., :3] if image.channels >= 3 else np.repeat(channels[..., :1], 3, axis=-1)
    return np.asarray(np.rint(np.clip(channels, 0.0, 1.0) * 255.0), dtype=np.uint8)


def _values(image: bpy.types.Image) -> Any:
    """All numbers of a picture; the stubs take the array for one number."""
    return cast(Any, image.pixels)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture on disk; raises `FrameError`."""
    image = load_picture(path)
    width, height = image.size
    bpy.data.images.remove(image)
    return width, height
