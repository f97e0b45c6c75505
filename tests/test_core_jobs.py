# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job knows of its progress."""

from __future__ import annotations

from typing import Any

import pytest

from jointdit_blender.core.jobs import Job, State


def heard(*news: dict[str, Any]) -> Job:
    job = Job(1, {})
    for one in news:
        job.advance(one)
    return job


def sampling(step: int, elapsed: float, total: int = 20) -> dict[str, Any]:
    return {"phase": "sampling", "step": step, "total": total, "elapsed": elapsed}


def test_the_pace_of_a_phase_tells_what_remains() -> None:
    loading = {"phase": "loading", "step": 0, "total": 1, "elapsed": 0.0}
    # Half a minute of loading says nothing about the pace of sampling, which is 2 seconds a step.
    job = heard(loading, sampling(0, 30.0), sampling(5, 40.0))
    assert job.remaining == pytest.approx(30.0)
    job.advance(sampling(19, 68.0))
    assert job.remaining == pytest.approx(2.0)


@pytest.mark.parametrize("news", [(), (sampling(0, 3.0),), (sampling(0, 3.0), sampling(1, 9.0)), (sampling(0, 3.0), sampling(20, 43.0))])
def test_nothing_is_guessed(news: tuple[dict[str, Any], ...]) -> None:
    assert heard(*news).remaining is None


def test_a_preview_stays_until_the_next_one() -> None:
    job = heard(sampling(1, 1.0) | {"preview": "a.npy"}, sampling(2, 2.0))
    assert job.preview == "a.npy"


def test_a_job_that_begins_anew_has_no_past() -> None:
    job = heard(sampling(0, 1.0), sampling(5, 9.0) | {"preview": "a.npy"})
    job.state = State.RUNNING
    job.begin_anew()
    assert (job.state, job.phase, job.step, job.elapsed, job.preview, job.remaining, job.restarts) == (State.WAITING, "", 0, 0.0, None, None, 1)
