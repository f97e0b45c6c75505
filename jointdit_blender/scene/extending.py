# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A panorama that continues the picture of a frame takes that frame's place."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import bpy
import numpy as np

from ..core.frame import Frame, FrameError, read_frame
from ..core.lifting import inverse_depth
from .builder import BuildResult, build_frame, kind_of, mark_of
from .modifier import get_input
from .options import BuildOptions
from .placing import PlacingError, frame_modifier, scale_depth


def extend(context: bpy.types.Context, relief: bpy.types.Object, frame: Frame, options: BuildOptions) -> BuildResult:
    """Build a frame that was made around that of `relief`, where it stands and in its size, and hide it. Raises as `build_frame` does."""
    context.view_layer.update()
    result = build_frame(context, frame, options, place=relief.matrix_world)
    with suppress(PlacingError):
        # What is enlarged beyond all measure keeps the size of its folder.
        scale_depth(result.object, _enlarged(relief))
    for part in (relief, *relief.children):
        if part == relief or (kind_of(part) in ("sky", "dome") and mark_of(part) == mark_of(relief)):
            part.hide_viewport = part.hide_render = True
    return result


def _enlarged(relief: bpy.types.Object) -> float:
    """How many times farther away everything in a frame is than its folder says; 1 if that is gone."""
    modifier = frame_modifier(relief)
    try:
        mapping = read_frame(Path(str(relief["frame"]))).mapping
    except FrameError:
        return 1.0
    return float(get_input(modifier, "Near") * inverse_depth(np.array(get_input(modifier, "Disparity at Near")), mapping))
