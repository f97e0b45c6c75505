# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is computed once for a frame before it becomes live geometry: clean edges, the layer behind, the sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .behind import behind
from .edges import clean_edges
from .frame import Camera
from .lifting import Pinned, inverse_depth, nearness
from .sky import find_sky, sky_cutoff

EDGE = 0.06
"""Relative jump in depth that counts as a border of an object while preparing."""


@dataclass(frozen=True)
class Prepared:
    """Pictures beside the disparity, (height, width), row 0 at the top.

    `clean` and `back` are disparities, NaN where there is nothing; `back_rgb` is the picture with what lies behind painted in, uint8, or None
    when there is no layer behind. `sky` is where the live cut-off may take effect (everywhere, if no sky was found), `found` where a sky was
    found, holes included; `cutoff` is the normalized disparity up to which it reaches, 0 without a sky.
    """

    clean: np.ndarray
    back: np.ndarray
    back_rgb: np.ndarray | None
    sky: np.ndarray
    found: np.ndarray
    cutoff: float
    snapped: int = 0
    specks: int = 0


def prepare(
    disparity: np.ndarray, rgb: np.ndarray, pinned: Pinned, camera: Camera, *, clean: bool, back_layer: bool, sky: bool, cutoff: float | None = None
) -> Prepared:
    """Compute what is asked for; the rest is neutral. `disparity` (height, width) float32, `rgb` (height, width, 3) uint8.

    With `sky` the sky is looked for; a `cutoff` that is given takes the place of the found one, and where no sky is found it goes by disparity alone.
    """
    snapped = specks = 0
    cleaned = disparity
    if clean:
        result = clean_edges(disparity, inverse_depth(disparity, pinned), rgb, EDGE, camera.wraps)
        cleaned, snapped, specks = result.disparity, result.snapped, result.specks
    mask = np.zeros(disparity.shape, bool)
    if sky:
        near = nearness(cleaned, pinned)
        mask = find_sky(near, rgb, camera)
        if cutoff is None:
            # A sky that is infinitely far away is a hole, and what is not lies at its border.
            cutoff = sky_cutoff(mask, np.where(mask & np.isnan(near), np.float32(0.0), near))
    found = mask
    if not mask.any():
        mask = np.ones_like(mask)
    back, back_rgb = np.full(disparity.shape, np.nan, np.float32), None
    if back_layer:
        # Behind a thing such a sky goes on, and not the ground.
        whole = np.where(found & np.isnan(cleaned), np.float32(pinned.at_far), cleaned)
        layer = behind(whole, inverse_depth(whole, pinned), rgb, EDGE, None, camera.wraps)
        if np.isfinite(layer.disparity).any():
            back, back_rgb = layer.disparity, layer.rgb
            if sky and cutoff:
                # Where the sky goes on behind a thing there is nothing: the sky has a sheet of its own.
                back = np.where(nearness(back, pinned) <= cutoff, np.float32(np.nan), back)
    return Prepared(cleaned, back, back_rgb, mask, found, float(cutoff or 0.0) if sky else 0.0, snapped, specks)
