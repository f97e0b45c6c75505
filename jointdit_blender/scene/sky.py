# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sky of a frame on a sheet far behind it."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np

from ..core.sky import fill_unknown
from .camera import HORIZON
from .live import Live, follow, live_object
from .maps import color_image
from .material import frame_material
from .modifier import input_path

CELLS = 64
"""Faces along the longer side of the sheet: it is smooth."""


def sky_sheet(title: str, relief: Live, rgb: np.ndarray, sky: np.ndarray, folder: Path | None, *, wraps: bool) -> bpy.types.Object:
    """A part of a sphere behind a frame that shows its sky, continued behind everything else; it follows the frame's live inputs.

    `rgb` is the picture, (height, width, 3) uint8, `sky` where its sky is. The frame's camera sees every pixel of the sky where it was.
    """
    image = color_image(title, "sky.png", fill_unknown(rgb, sky, wraps), folder)
    values = relief.values | {
        "Output": "Mesh",
        "Distance": "Radial",
        "Torn Faces": "Keep",
        "Clean Edges": False,
        "Sky Cut-off": 0.0,
        "Gamma": 1.0,
        "Step": _step(*sky.shape),
        # Any picture without holes: near and far are one distance.
        "Disparity": image,
        "Image": image,
        "Material": frame_material(title, image, False, wraps),
    }
    sheet = live_object(title, {key: value for key, value in values.items() if key not in ("Maps", "Back Material")})
    for distance in ("Near", "Far"):
        follow(sheet.object, input_path(sheet.modifier, distance), -1, relief, "Far", HORIZON)
    for name in ("Field of View", "Principal X", "Principal Y", "Vertical Angle"):
        follow(sheet.object, input_path(sheet.modifier, name), -1, relief, name)
    sheet.object.visible_shadow = False
    return sheet.object


def _step(height: int, width: int) -> int:
    """The largest step, up to that of `CELLS` faces, whose vertices reach from the first to the last pixel: else the sheet would end inside the picture."""
    whole = math.gcd(height - 1, width - 1)
    return max(step for step in range(1, max(1, max(height, width) // CELLS) + 1) if whole % step == 0)
