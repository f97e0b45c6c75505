# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharpness of depth: the edge F1 of Depth Pro ("Sharp Monocular Metric Depth in Less Than a Second", section 3.2).

An edge lies between two neighbors of which one is `ratio` times as far as the other. It is found where the estimate has an edge between the same two
pixels, with the same one in front: an edge that is a pixel off counts as missed. Only ratios of depth count, so the scale does not matter.
"""

from __future__ import annotations

import numpy as np

RATIOS = np.linspace(1.05, 1.25, 10)
"""What counts as an edge; larger ratios weigh more, in proportion."""


def edge_f1(estimate: np.ndarray, depth: np.ndarray, valid: np.ndarray) -> float | None:
    """F1 of the edges of an estimate in [0, 1], mean over `RATIOS`; arrays (H, W), depth above 0 where valid.

    Ratios at which neither has an edge are left out; None where that is all of them.
    """
    scores = [(ratio, score) for ratio in RATIOS if (score := f1_at(estimate, depth, valid, ratio)) is not None]
    return float(np.average([score for _, score in scores], weights=[ratio for ratio, _ in scores])) if scores else None


def f1_at(estimate: np.ndarray, depth: np.ndarray, valid: np.ndarray, ratio: float) -> float | None:
    """F1 of the edges at one ratio, over all pairs of neighbors that are both valid; None where neither has an edge."""
    made, true = edges(estimate, valid, ratio), edges(depth, valid, ratio)
    both, total = np.count_nonzero(made & true), np.count_nonzero(made) + np.count_nonzero(true)
    return 2 * both / total if total else None  # 2 P R / (P + R), with P = both / made and R = both / true


def edges(depth: np.ndarray, valid: np.ndarray, ratio: float) -> np.ndarray:
    """Whether there is an edge, of every pair of neighbors and twice: with the one in front, and with the other. One dimension."""
    found = []
    for axis in (0, 1):
        count = depth.shape[axis] - 1
        first, second = (np.take(depth, np.arange(start, start + count), axis) for start in (0, 1))
        seen = np.take(valid, np.arange(count), axis) & np.take(valid, np.arange(1, count + 1), axis)
        found += [(seen & (second > ratio * first)).ravel(), (seen & (first > ratio * second)).ravel()]
    return np.concatenate(found)
