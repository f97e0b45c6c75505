# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person may ask for, and the sentences they read when they may not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jointdit_blender.core.request import Request, RequestError

PICTURE = Path(__file__)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "prompt is empty"),
        ({"prompt": " \n\t"}, "prompt is empty"),
        ({"task": "paint", "prompt": "x"}, "“paint”"),
        ({"task": "image_to_depth"}, "No image"),
        ({"task": "depth_to_image", "prompt": "x"}, "No depth picture"),
        ({"prompt": "x" * 100_001}, "100001 characters"),
        ({"prompt": "x", "width": 512}, "both or neither"),
        ({"prompt": "x", "width": 512, "height": 8}, "height is 8"),
        ({"prompt": "x", "width": 100_000, "height": 512}, "width is 100000"),
        ({"prompt": "x", "steps": 0}, "number of steps is 0"),
        ({"prompt": "x", "guidance": math.nan}, "guidance is nan"),
        ({"prompt": "x", "guidance": -1.0}, "guidance is -1"),
        ({"prompt": "x", "seed": -1}, "seed is -1"),
        ({"prompt": "x", "near": 5.0, "far": 5.0}, "near must be above 0 and below far"),
        ({"prompt": "x", "near": 0.0}, "near must be above 0"),
        ({"prompt": "x", "far": math.inf}, "near must be above 0"),
        ({"prompt": "x", "near": math.nan}, "near must be above 0"),
        ({"prompt": "x", "horizontal_angle": 180.0}, "180 degrees"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(values: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError) as caught:
        Request(**values)
    assert words in str(caught.value) and str(caught.value).endswith(".")


def test_a_picture_that_is_gone_is_refused_when_the_job_leaves(tmp_path: Path) -> None:
    request = Request(task="image_to_depth", image=tmp_path / "gone.png")
    with pytest.raises(RequestError, match=r"no file .*gone\.png"):
        request.to_job(tmp_path)


def test_only_what_the_task_uses_is_sent(tmp_path: Path) -> None:
    both = {"prompt": "a hill", "image": PICTURE, "disparity": PICTURE}
    assert Request(**both).to_job(tmp_path).keys().isdisjoint({"image", "disparity", "width", "steps", "model"})
    assert Request(task="image_to_depth", **both).to_job(tmp_path).get("image") == str(PICTURE)
    job = Request(task="depth_to_image", **both).to_job(tmp_path)
    assert job["disparity"] == str(PICTURE) and "image" not in job


def test_paths_are_absolute_because_the_worker_may_stand_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").touch()
    job = Request(task="image_to_depth", image=Path("a.png")).to_job(Path("out"))
    assert (job["image"], job["output"]) == (str(tmp_path / "a.png"), str(tmp_path / "out"))


def test_a_prompt_of_twelve_thousand_characters_is_passed_on_whole(tmp_path: Path) -> None:
    prompt = "a very long story " * 667
    assert Request(prompt=prompt).to_job(tmp_path)["prompt"] == prompt and len(prompt) > 12_000


def test_half_a_surrogate_pair_in_a_prompt_becomes_a_question_mark(tmp_path: Path) -> None:
    prompt = Request(prompt="half \ud83d and 🏠").to_job(tmp_path)["prompt"]
    assert prompt == "half ? and 🏠" and prompt.encode("utf-8")


@given(prompt=st.text(min_size=1).filter(str.strip), seed=st.integers(0, 2**32 - 1), near=st.floats(0.01, 10), factor=st.floats(1.1, 100))
def test_every_accepted_request_is_json_with_its_values(prompt: str, seed: int, near: float, factor: float) -> None:
    job = Request(prompt=prompt, seed=seed, near=near, far=near * factor).to_job(Path("/out"))
    back = json.loads(json.dumps(job, allow_nan=False))
    assert (back["prompt"], back["seed"], back["near"], back["far"]) == (prompt, seed, near, near * factor)
