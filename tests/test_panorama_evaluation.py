# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of panoramas, against cases that are calculated by hand, and the solved depth of procedural spheres."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from jointdit import cli
from jointdit.evaluation.panorama import Measure, as_table, log_distance, pole_spread, pooled, seam_jump, solved_depth, turn_change


def turned(field: np.ndarray) -> list[np.ndarray]:
    """The same scene turned by quarters, as a maker without any seam makes it."""
    return [np.roll(field, quarter * field.shape[-1] // 4, -1) for quarter in range(4)]


def test_the_jump_at_the_seam() -> None:
    ramp = np.broadcast_to(np.arange(8.0), (2, 3, 8))  # a jump of 7 at the seam, of 1 elsewhere, however it is turned
    assert seam_jump([ramp] * 4) == (7.0, 1.0)
    # A step of the scene is at the seam of one, inside the others: no seam at all.
    step = np.zeros((1, 3, 8))
    step[..., :4] = 5
    assert seam_jump(turned(step)) == (2.5, 2.5)
    # It is only there where the seam is, in all of them.
    seam = np.broadcast_to(np.array([3.0, 2, 2, 1, 1, 0, 0, 0]), (1, 3, 8))
    at_seam, inside = seam_jump([seam] * 4)
    assert at_seam == 3 and inside == pytest.approx((0 + 0 + 0) / 3)


def test_the_spread_at_the_poles() -> None:
    field = np.zeros((1, 4, 4))
    field[0, 0] = [1, 3, 1, 3]  # 1 away from its mean
    field[0, 1], field[0, 2], field[0, 3] = 4, 6, 6
    # Rows differ by 2 on average, then by 2, then by 0.
    assert pole_spread(field) == (0.5, 2.0)


def test_an_outline_is_no_seam() -> None:
    field = np.zeros((1, 5, 8))
    field[:, :2, 0] = 9  # in two of five rows
    assert seam_jump([field] * 4) == (0.0, 0.0)
    field[:, :3, 0] = 9
    assert seam_jump([field] * 4)[0] == 9


def test_the_change_under_half_a_turn() -> None:
    field = np.arange(32.0)[None, None] % 5
    assert turn_change(turned(field)) == (0, 0)
    # Two columns on each side of each panorama's own seam are something else.
    wrong = turned(field)
    for one in wrong[:2]:
        one[..., [0, 1, 30, 31]] += 0.5
    assert turn_change(wrong) == (0.25, 0.0)  # of the seams of the other two nothing shows
    # A change that has nothing to do with the seam counts in both, wherever it stands.
    other = turned(field)
    other[2] = other[2] + np.roll(np.linspace(0, 1, 32), 3)
    other[3] = np.roll(other[2], 8, -1)
    value, interior = turn_change(other)
    assert value == pytest.approx(interior) and value > 0


def test_far_places_count_as_far() -> None:
    np.testing.assert_allclose(log_distance(np.array([[1.0, 0.5], [0.0, 1e-9]]))[0], np.log([[1, 2], [100, 100]]))


def test_ratios_and_means() -> None:
    first, second = Measure("x", 2.0, 1.0), Measure("x", 4.0, 3.0)
    (mean,) = pooled([[first], [second]])
    assert (mean.value, mean.interior, mean.ratio) == (3.0, 2.0, 1.5)
    # Without the first the ratio is 4 / 3, without the second 2: they are 1 / 3 from their mean, times the root of 2 - 1.
    assert mean.error == pytest.approx(1 / 3)
    assert "| 1.50 ± 0.33 |" in as_table([mean], [])
    assert pooled([[first]])[0].error is None
    faint = Measure("x", 0.001, 0.0005, least=0.002)
    assert faint.met and "| yes, invisible |" in as_table([faint], []) and pooled([[faint], [faint]])[0].met
    assert "| within error |" in as_table([Measure("x", 1.2, 1.0, error=0.15)], []) and not Measure("x", 1.2, 1.0, error=0.15).met
    assert Measure("x", 0.0, 0.0).ratio == 1 and Measure("x", 1.0, 0.0).ratio == float("inf")
    assert "| x | 2.0000 | 1.0000 | 2.00 | 1.1 | NO |" in as_table([first], [])


@pytest.mark.parametrize(("noise", "most"), [(0.0, 0.005), (0.01, 0.02)])
def test_depth_of_spheres_with_exact_views_is_found(noise: float, most: float) -> None:
    """The requirement: under 2 % with noise, on outdoor and indoor panoramas."""
    found = solved_depth([1, 2], noise)
    assert found.relative_error < most and found.delta1 > 0.97


def test_one_command_prints_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jointdit.evaluation.panorama.PROMPTS", ("a red cube",))
    report = CliRunner().invoke(cli.main, ["evaluate", "panorama", "--steps", "2", "--scenes", "1", "--json", str(tmp_path / "figures.json")])
    assert report.exit_code == 0, report.output
    for words in ("sphere: picture, jump across the seam", "strip: depth", "photograph: depth, AbsRel between views", "exact disparities"):
        assert words in report.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["measures"]) == 15 and len(figures["solved"]) == 3 and all(np.isfinite(m["value"]) for m in figures["measures"])
    assert CliRunner().invoke(cli.main, ["evaluate", "panorama", "--model", "none"]).exit_code == 1
