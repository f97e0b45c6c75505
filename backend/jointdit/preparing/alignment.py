# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""True disparity brought to the scale of an estimate, as the paper's synthetic fine-tuning does (supplement A)."""

from __future__ import annotations

import numpy as np

from ..errors import InputError


def align(truth: np.ndarray, valid: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """True disparity (H, W), shifted and scaled so that its mean and deviation on valid pixels are the estimate's; elsewhere the estimate. Float64.

    Raises `InputError` where nothing is valid, or truth or estimate is flat there, so that there is no scale.
    """
    if not valid.any():
        raise InputError("Its depth has no valid pixel in the part that is used.")
    known, guess = truth[valid].astype(np.float64), estimate[valid].astype(np.float64)
    spread, wanted = known.std(), guess.std()
    if spread <= np.finfo(np.float32).eps * abs(known).max() or wanted <= 0:
        raise InputError("Its depth, or the estimate of it, is flat where it is valid, so that they cannot be brought together.")
    aligned = estimate.astype(np.float64)
    aligned[valid] = (known - known.mean()) * (wanted / spread) + guess.mean()
    return aligned


def normalized(disparity: np.ndarray) -> np.ndarray:
    """(H, W) to [0, 1] by its least and greatest value. Raises `InputError` for a flat map."""
    low, high = float(disparity.min()), float(disparity.max())
    if not high > low:
        raise InputError("Its disparity is flat in the part that is used; near and far places are needed.")
    return (disparity.astype(np.float64) - low) / (high - low)
