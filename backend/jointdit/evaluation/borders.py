# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Artefacts that lie on a grid: an autoencoder that works in blocks shows their borders, and what it repeats around a picture shows at its edges."""

from __future__ import annotations

import numpy as np

OUTLINE = 8 / 255
"""A larger jump is an outline of something; it counts as this much, so that the smooth places, where borders show, weigh as well."""
LEAST = 1e-4


def jumps(fields: np.ndarray) -> list[np.ndarray]:
    """How much (N, C, H, W) jumps across each border between columns (N, W - 3) and rows (N, H - 3), beyond what it changes on both sides of it.

    The first is that between pixels 1 and 2. A ramp has none.
    """
    found = []
    for turned in (fields, fields.swapaxes(-1, -2)):
        steps = np.diff(turned.astype(np.float64), axis=-1)
        beyond = np.abs(steps[..., 1:-1] - (steps[..., :-2] + steps[..., 2:]) / 2)
        found.append(np.minimum(beyond, OUTLINE).mean(axis=(1, 2)))
    return found


def grid_ratio(fields: np.ndarray, period: int) -> np.ndarray:
    """Of each of (N, C, H, W): the jump at the borders of blocks of `period` pixels, over that elsewhere; 1 where there is no grid."""
    at, elsewhere = np.zeros(len(fields)), np.zeros(len(fields))
    for jump in jumps(fields):
        border = (np.arange(jump.shape[1]) + 2) % period == 0
        at += jump[:, border].mean(axis=1)
        elsewhere += jump[:, ~border].mean(axis=1)
    return (at + LEAST) / (elsewhere + LEAST)


def edge_ratio(fields: np.ndarray, within: int = 8) -> np.ndarray:
    """Of each of (N, C, H, W): the change from the outermost pixels to their neighbors, over that of the next `within` ones."""
    outermost, next_ones = np.zeros(len(fields)), np.zeros(len(fields))
    for turned in (fields, fields.swapaxes(-1, -2)):
        steps = np.minimum(np.abs(np.diff(turned.astype(np.float64), axis=-1)), OUTLINE).mean(axis=(1, 2))
        outermost += steps[:, [0, -1]].mean(axis=1)
        next_ones += np.concatenate([steps[:, 1 : 1 + within], steps[:, -1 - within : -1]], axis=1).mean(axis=1)
    return (outermost + LEAST) / (next_ones + LEAST)
