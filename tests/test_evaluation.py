# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of depth against what they must give in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jointdit.evaluation.depth import aligned_error, depth_errors

DISPARITY = np.linspace(0, 1, 48).reshape(6, 8)


@given(st.floats(0.01, 100), st.floats(-10, 10))
def test_scale_and_shift_do_not_count(scale: float, shift: float) -> None:
    assert aligned_error(scale * DISPARITY + shift, DISPARITY) == pytest.approx(0, abs=1e-6)


def test_a_useless_estimate_has_error_one() -> None:
    even = np.where(np.arange(48).reshape(6, 8) % 2, 1.0, -1.0)
    symmetric = np.abs(DISPARITY - 0.5)  # uncorrelated with the ramp
    assert aligned_error(symmetric, DISPARITY) == pytest.approx(1, abs=1e-9)
    assert aligned_error(even, DISPARITY) > 0.99


def test_depth_errors_of_known_maps() -> None:
    depth = 1 / (0.1 + DISPARITY)
    valid = np.ones_like(depth, bool)
    assert depth_errors(3 * DISPARITY - 1, depth, valid) == pytest.approx((0, 1), abs=1e-9)
    # A hole may hold anything.
    holed = np.where(np.arange(48).reshape(6, 8) < 5, np.inf, depth)
    assert depth_errors(DISPARITY, holed, np.isfinite(holed)) == pytest.approx((0, 1), abs=1e-9)
    # Two depths, 1 m and 2 m, estimated as if they were one: the fit is 3/4, so 4/3 m everywhere: 1/3 and 1/3 wrong.
    two = np.where(np.arange(48).reshape(6, 8) % 2, 1.0, 2.0)
    relative, delta = depth_errors(np.zeros_like(two), two, valid)
    assert relative == pytest.approx(1 / 3, abs=1e-9) and delta == 0
