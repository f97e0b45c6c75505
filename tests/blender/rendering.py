# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small renders with Cycles on the CPU, as numpy arrays."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix


def render(scene: bpy.types.Scene, path: Path, size: tuple[int, int], samples: int = 4, bounces: int = 0, pixel_filter: str = "BLACKMAN_HARRIS") -> np.ndarray:
    """What the scene's camera sees, under Standard, (height, width, 3) uint8, row 0 at the top; the PNG stays at `path`."""
    settings = scene.render
    settings.engine = "CYCLES"
    settings.filepath = str(path)
    settings.resolution_x, settings.resolution_y = size
    settings.resolution_percentage = 100
    settings.image_settings.file_format = "PNG"
    settings.image_settings.color_mode = "RGB"
    scene.view_settings.view_transform = "Standard"
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples = samples
    cycles.use_denoising = cycles.use_adaptive_sampling = False
    cycles.pixel_filter_type = pixel_filter
    cycles.max_bounces = cycles.diffuse_bounces = bounces
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return load(path)


def stored(path: Path) -> np.ndarray:
    """The numbers of a picture as Blender's own reader finds them, (height, width, channels) float32, row 0 at the top."""
    image = bpy.data.images.load(str(path), check_existing=False)
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, -1)[::-1]


def load(path: Path) -> np.ndarray:
    """The pixels of an 8-bit picture, (height, width, 3) uint8, row 0 at the top."""
    return np.round(stored(path)[..., :3] * 255.0).astype(np.uint8)


def add_camera(scene: bpy.types.Scene, matrix: Matrix, angle: float) -> bpy.types.Object:
    """A camera at `matrix` that sees `angle` radians of the longer side, made the scene's own."""
    data = bpy.data.cameras.new("Camera")
    data.angle = angle
    data.clip_end = 1e5
    camera = bpy.data.objects.new("Camera", data)
    camera.matrix_world = matrix
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera
