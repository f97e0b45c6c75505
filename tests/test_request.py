# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person may ask for, and the sentences they read when they may not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from engine import standin
from hypothesis import given
from hypothesis import strategies as st

from jointdit_blender.core.request import DIRECTIONS, Request, RequestError

PICTURE = Path(__file__)
SPHERE = {"task": "panorama", "prompt": "a bay"}
STRIP = {**SPHERE, "kind": "strip"}


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
        ({"task": "panorama"}, "prompt is empty"),
        ({"task": "panorama_depth"}, "No photograph"),
        ({**SPHERE, "kind": "cube"}, "“cube”"),
        ({**SPHERE, "parts": {"behind": "a wood"}}, "“behind”"),
        ({**SPHERE, "parts": {"up": "x" * 100_001}}, "direction “up” has 100001"),
        ({**SPHERE, "views": 1}, "6, 14, 18, 26"),
        ({**SPHERE, "width": 512, "height": 512}, "choose 1024 x 512"),
        ({"task": "panorama_depth", "image": PICTURE, "width": 512, "height": 128}, "choose 256 x 128"),
        ({"task": "panorama_depth", "image": PICTURE, "views": 7}, "7 views"),
        ({**STRIP, "front": PICTURE}, "A strip has no view ahead"),
        ({**STRIP, "parts": {"up": "clouds"}}, "A strip has no directions"),
        ({**STRIP, "views": 18}, "A strip has no number of views"),
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


def test_a_panorama_says_what_it_is_made_of_and_no_angle(tmp_path: Path) -> None:
    front = standin.write_frame({"output": str(tmp_path / "frames")})
    parts = dict.fromkeys(DIRECTIONS, "") | {"up": "thick clouds"}
    job = Request(**SPHERE, parts=parts, front=front, views=26, image=PICTURE, disparity=PICTURE, width=512, height=256).to_job(tmp_path)
    told = {"task": "panorama", "prompt": "a bay", "kind": "sphere", "parts": {"up": "thick clouds"}, "front": str(front), "views": 26}
    assert told.items() <= job.items() and (job["width"], job["height"]) == (512, 256)
    assert job.keys().isdisjoint({"image", "disparity", "horizontal_angle"})
    plain = Request(**STRIP, width=512, height=128).to_job(tmp_path)
    assert plain["kind"] == "strip" and plain.keys().isdisjoint({"parts", "front", "views", "horizontal_angle"})
    assert Request(**SPHERE, parts=dict.fromkeys(DIRECTIONS, " ")).to_job(tmp_path).keys().isdisjoint({"parts", "front", "views"})


def test_a_photograph_all_around_needs_no_prompt(tmp_path: Path) -> None:
    job = Request(task="panorama_depth", image=PICTURE, views=14).to_job(tmp_path)
    assert (job["task"], job["image"], job["views"]) == ("panorama_depth", str(PICTURE), 14)
    assert job.keys().isdisjoint({"kind", "parts", "front", "horizontal_angle", "disparity"})


def test_only_a_perspective_frame_becomes_the_view_ahead(tmp_path: Path) -> None:
    sphere = standin.write_frame({"output": str(tmp_path / "frames"), "task": "panorama"})
    for front, words in ((tmp_path / "gone", "no frame folder"), (tmp_path, "holds no frame"), (sphere, "equirectangular: only a perspective one")):
        with pytest.raises(RequestError, match=words):
            Request(**SPHERE, front=front).to_job(tmp_path)


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ({"prompt": " a green\n hill"}, "a green hill"),
        ({"task": "image_to_depth", "image": PICTURE}, PICTURE.name),
        ({"task": "depth_to_image", "image": Path("a.png"), "disparity": PICTURE}, PICTURE.name),
        (SPHERE, "Sphere: a bay"),
        (STRIP, "Strip: a bay"),
        ({**SPHERE, "front": Path("frame")}, "Sphere around: a bay"),
        ({"task": "panorama_depth", "image": PICTURE}, f"Sphere: {PICTURE.name}"),
    ],
)
def test_a_title_tells_what_it_is(values: dict[str, Any], title: str) -> None:
    assert Request(**values).title == title


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
