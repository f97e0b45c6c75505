# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground of a frame that is in the scene, as its live inputs are now."""

from __future__ import annotations

import math
from functools import partial
from typing import cast

import bpy
import numpy as np

from ..core.frame import Camera
from ..core.ground import GroundError, Plane, ground_plane
from ..core.lifting import Pinned, nearness, points
from .live import MODIFIER_NAME
from .modifier import get_input
from .pixels import read_pixels

SAMPLES = 256
"""Pixels of the longer side at which the ground is looked for."""


def find_ground(relief: bpy.types.Object) -> Plane:
    """The ground in the frame's own space, metres. Raises `GroundError` with a sentence when there is none."""
    value = partial(get_input, cast(bpy.types.NodesModifier, relief.modifiers[MODIFIER_NAME]))
    pinned = Pinned(value("Near"), value("Far"), value("Disparity at Near"), value("Disparity at Far"), value("Gamma"))
    projection, distance = value("Projection").lower(), value("Distance").lower()
    camera = Camera(
        projection=projection,
        horizontal_angle=math.degrees(value("Field of View")),
        vertical_angle=math.degrees(value("Vertical Angle")),
        principal_point=(value("Principal X"), value("Principal Y")),
    )
    if projection != "perspective" and distance == "planar":
        distance = "radial"
    picture = value("Disparity")
    if picture is None or min(picture.size) < 2:
        raise GroundError(f"The depth picture of {relief.name} is missing; find its frame folder again and rebuild it.")
    disparity = read_pixels(picture).astype(np.float64)
    if value("Sky Cut-off") > 0.0:
        disparity[nearness(disparity, pinned) <= value("Sky Cut-off")] = np.nan
    every = max(1, max(disparity.shape) // SAMPLES)
    return ground_plane(points(disparity, camera, distance, pinned)[::every, ::every])
