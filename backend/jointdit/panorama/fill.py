# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a panorama goes on where nobody looked, and around a picture that was there before.

A model that knows level pictures only paints a belt, which goes on smoothly to the poles.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, maximum_filter, minimum_filter

from .merge import integrate
from .sphere import equirectangular_rays

MIXED = 3
"""Pixels around a known picture where the views hold some of it."""
BAND = np.radians(12)
"""Height of the ring beside an unseen cap that tells how it goes on."""


def filled_picture(picture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(C, H, 2H) with its unseen pixels as smooth as possible (harmonic on the sphere); `seen` (H, 2H) bool."""
    flat = np.zeros(seen.shape), np.zeros((seen.shape[0] - 1, seen.shape[1]))
    return np.stack([integrate(*flat, _started(channel, seen), np.zeros_like(seen), seen) for channel in picture.astype(np.float64)])


def filled_distances(inverse: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(H, 2H) of 1/r: each unseen cap goes on as the plane that fits best what lies beside it, and smoothly from the rest to the plane.

    On a plane 1/r is linear in the direction, so that a level ground or a ceiling comes out exactly, and a sky stays a sky.
    """
    import torch

    height = len(inverse)
    rays = equirectangular_rays(height, 2 * height, torch.zeros((), dtype=torch.float64)).numpy()
    plane = np.zeros_like(inverse)
    upper = np.arange(height)[:, None] < height // 2
    latitude = np.arcsin(rays[..., 1])
    for half in (upper, ~upper):
        cap = half & ~seen
        if not cap.any():
            continue
        band = half & seen & (np.abs(latitude) > np.abs(latitude[cap]).min() - BAND)
        normal = np.linalg.lstsq(rays[band], inverse[band], rcond=None)[0]
        plane[np.broadcast_to(half, plane.shape)] = (rays @ normal)[np.broadcast_to(half, plane.shape)]
    flat = np.zeros(seen.shape), np.zeros((height - 1, 2 * height))
    rest = integrate(*flat, _started(inverse - plane, seen), np.zeros_like(seen), seen)
    filled = np.where(seen, inverse, np.maximum(rest + plane, 0))
    filled[[0, -1]] = filled[[0, -1]].mean(axis=1, keepdims=True)  # a pole is one place
    return filled


def toned_to(picture: np.ndarray, known: np.ndarray, inside: np.ndarray, reach: float, most: float = np.inf) -> np.ndarray:
    """(C, H, 2H) with what is known inside (H, 2H), and values around that pass over into its own within about `reach` radians.

    The surroundings keep their slopes (Pérez et al., Poisson image editing, 2003); across the border values go on as they are, unless they jump by more
    than `most` there.
    """
    # Just outside the border the views have already mixed both.
    border = binary_dilation(inside, iterations=MIXED)
    toned = []
    for channel, own in zip(picture.astype(np.float64), known.astype(np.float64), strict=True):
        whole = np.where(inside, own, channel)
        free = ~border | (maximum_filter(whole, 2 * MIXED + 1) - minimum_filter(whole, 2 * MIXED + 1) > most)
        across, down = np.roll(whole, -1, axis=1) - whole, np.diff(whole, axis=0)
        across *= free & np.roll(free, -1, axis=1)
        down *= free[1:] & free[:-1]
        toned.append(integrate(across, down, whole, ~inside, inside, reach))
    return np.where(inside, known, np.stack(toned))


def _started(field: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The field with the mean of what is seen where nothing is."""
    return np.where(seen, field, field[seen].mean())
