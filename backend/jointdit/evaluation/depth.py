# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of a disparity that is known up to scale and shift. Fits are least squares in disparity, in float64."""

from __future__ import annotations

import numpy as np


def fit(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """scale * estimate + shift, nearest to the truth in the least squares sense; float64, shape of the estimate."""
    columns = np.stack([estimate.ravel(), np.ones(estimate.size)], axis=1).astype(np.float64)
    scale, shift = np.linalg.lstsq(columns, truth.ravel().astype(np.float64), rcond=None)[0]
    return scale * estimate.astype(np.float64) + shift


def aligned_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square of truth minus the fitted estimate, over the deviation of the truth: 0 is perfect, 1 is no better than a constant."""
    truth = truth.astype(np.float64)
    return float((truth - fit(estimate, truth)).std() / truth.std())


def depth_errors(estimate: np.ndarray, depth: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """(AbsRel, delta1) of a disparity estimate against depth in metres, both (H, W), on the valid pixels.

    The estimate is fitted to 1 / depth and held at or in front of the farthest valid depth (and 1000 m), as in MoGe's protocol.
    """
    truth = depth[valid].astype(np.float64)
    inverse = fit(estimate[valid], 1 / truth).clip(min=max((1 / truth).min(), 1e-3))
    predicted = 1 / inverse
    return float(np.mean(np.abs(predicted - truth) / truth)), float(np.mean(np.maximum(predicted / truth, truth / predicted) < 1.25))
