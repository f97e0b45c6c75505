# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of the scene through its camera."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

import bpy

from .builder import BuildError

SAMPLES = 8


def render_preview(scene: bpy.types.Scene, path: Path, longest_side: int = 1024, inset: tuple[float, float] = (0.0, 0.0)) -> None:
    """Render `scene` through its camera to a PNG with Cycles on the CPU; its render settings are left as they were.

    `inset` are the fractions of the width and of the height that are left out on either side.
    An unlit frame needs few samples and no denoiser. Raises `BuildError` when there is no camera or the file cannot be written.
    """
    if scene.camera is None:
        raise BuildError("The preview needs a camera in the scene; add one or build a frame first.")
    render = scene.render
    factor = longest_side / max(render.resolution_x, render.resolution_y)
    width, height = (max(4, round(side * factor / (1.0 - 2.0 * cut))) for side, cut in ((render.resolution_x, inset[0]), (render.resolution_y, inset[1])))
    # Whole pixels, rounded inwards: a pixel that the surface covers by half is half empty.
    cut_x, cut_y = (math.ceil(cut * side) / side for side, cut in ((width, inset[0]), (height, inset[1])))
    handle, temporary = tempfile.mkstemp(suffix=".png")
    os.close(handle)
    settings = [
        (render, "filepath", temporary),
        (render, "engine", "CYCLES"),
        (render, "resolution_percentage", 100),
        (render, "resolution_x", width),
        (render, "resolution_y", height),
        (render, "use_border", True),
        (render, "use_crop_to_border", True),
        (render, "border_min_x", cut_x),
        (render, "border_max_x", 1.0 - cut_x),
        (render, "border_min_y", cut_y),
        (render, "border_max_y", 1.0 - cut_y),
        (render, "use_file_extension", False),
        (render, "use_compositing", False),
        (render, "use_sequencer", False),
        (scene.cycles, "device", "CPU"),
        (scene.cycles, "samples", SAMPLES),
        (scene.cycles, "use_denoising", False),
        (scene.cycles, "use_adaptive_sampling", False),
        (scene.cycles, "max_bounces", 0),
    ]
    if bpy.app.version >= (5, 0, 0):
        settings.append((render.image_settings, "media_type", "IMAGE"))
    settings += [(render.image_settings, "file_format", "PNG"), (render.image_settings, "color_mode", "RGB")]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in settings]
    try:
        for owner, name, value in settings:
            setattr(owner, name, value)
        bpy.ops.render.render(write_still=True, scene=scene.name)
        _publish(Path(temporary), path)
    except (OSError, RuntimeError) as error:
        raise BuildError(f"The preview {path} cannot be made: {error}") from error
    finally:
        # The other way round: the media type decides which file formats may be set.
        for owner, name, value in reversed(before):
            setattr(owner, name, value)
        Path(temporary).unlink(missing_ok=True)


def _publish(rendered: Path, path: Path) -> None:
    """Put the finished file in place at once, so that a half-written one is never seen."""
    data = rendered.read_bytes()
    if not data:
        raise OSError("Blender wrote no picture.")
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
