# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Panorama jobs from request to frame folder, on a tiny random pipeline; bad input gets a sentence and leaves nothing behind."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jointdit import cli
from jointdit.cost import Sizes
from jointdit.errors import CancelledError, InputError
from jointdit.frame import write_frame
from jointdit.jobs import Job, Progress, generate
from jointdit.memory import GIB, Machine, Work, choose, pairs_at_once
from jointdit.models import Models
from jointdit.panorama.asked import panorama_size
from jointdit.panorama.run import in_metres
from jointdit.pictures import read_disparity
from PIL import Image
from tiny import tiny_pipeline

from jointdit_blender.core.frame import read_frame

SIZE = {"width": 128, "height": 64}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    path = tmp_path_factory.mktemp("model")
    tiny_pipeline().save_pretrained(path)
    return Models({"tiny": path})


def job(output: Path, **settings: Any) -> Job:
    """A panorama of two steps."""
    return Job(**{"task": "panorama", "output": output, "prompt": "a red cube", "steps": 2, "model": "tiny", **SIZE, **settings})


def silent(_: Progress) -> None:
    """Nobody listens."""


def front(folder: Path) -> Path:
    """A frame folder with a picture of noise at 1 to 5 metres."""
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 255, (24, 32, 3), np.uint8))
    disparity = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32)
    about = {"camera": {"projection": "perspective", "horizontal_angle": 50}, "distance": "planar", "mapping": {"near": 1.0, "far": 5.0}, "prompt": "x"}
    return write_frame(folder, "front", image, disparity, about)


def test_a_sphere_ends_in_an_equirectangular_frame(models: Models, tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = generate(job(tmp_path, near=1.5, far=20.0, parts={"up": "a sky"}, preview=True), models, seen.append)
    about = json.loads((result.frame / "frame.json").read_text())
    assert about["camera"] == {"projection": "equirectangular", "horizontal_angle": 360, "vertical_angle": 180} and about["distance"] == "radial"
    assert about["panorama"]["kind"] == "sphere" and about["panorama"]["views"] == 18 and about["panorama"]["parts"] == {"up": "a sky"}
    assert about["mapping"]["near"] == 1.5 and 1.5 < about["mapping"]["far"] <= 20
    disparity = read_disparity(result.frame / "disparity.exr")
    assert disparity.shape == (64, 128) and disparity.max() == 1 and disparity.min() == pytest.approx(0, abs=1e-6)
    assert np.ptp(disparity[0]) < 1e-5 and np.ptp(disparity[-1]) < 1e-5
    assert Image.open(result.frame / "image.png").size == (128, 64)
    frame = read_frame(result.frame)
    assert frame.camera.wraps and not frame.warnings
    assert list(dict.fromkeys(p.phase for p in seen)) == ["loading", "encoding", "sampling", "decoding", "writing"]
    steps = [p.step for p in seen if p.phase == "sampling"]
    assert steps == sorted(steps) and set(steps) == {0, 1, 2}
    assert sum(p.preview is not None for p in seen) == 2


def test_a_strip_ends_in_a_cylindrical_frame(models: Models, tmp_path: Path) -> None:
    result = generate(job(tmp_path, kind="strip", width=256, height=64), models, silent)
    frame = read_frame(result.frame)
    assert all("trained at 32 x 32" in warning for warning in frame.warnings)
    assert frame.distance == "horizontal" and frame.camera.wraps
    assert frame.camera.projection == "cylindrical"
    # Pixels are square on the horizon: as high as wide on a cylinder of radius 1.
    assert frame.camera.vertical_angle == pytest.approx(2 * math.degrees(math.atan(math.pi * 64 / 256)))
    disparity = read_disparity(result.frame / "disparity.exr")
    assert disparity.shape == (64, 256) and (disparity.min(), disparity.max()) == (0, 1)


def test_the_same_job_gives_the_same_panorama(models: Models, tmp_path: Path) -> None:
    for kind in ("sphere", "strip"):
        first, second = (generate(job(tmp_path, kind=kind, width=128, height=64, seed=5), models, silent) for _ in range(2))
        for name in ("image.png", "disparity.exr"):
            assert (first.frame / name).read_bytes() == (second.frame / name).read_bytes()
    other = generate(job(tmp_path, seed=6), models, silent)
    assert (other.frame / "image.png").read_bytes() != (generate(job(tmp_path, seed=5), models, silent).frame / "image.png").read_bytes()


def test_a_photograph_stays_and_gets_its_depth(models: Models, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 200, 3), np.uint8)).save(photo)
    result = generate(job(tmp_path, task="panorama_depth", prompt="", image=photo), models, silent)
    assert np.array_equal(np.asarray(Image.open(result.frame / "image.png")), np.asarray(Image.open(photo)))
    disparity = read_disparity(result.frame / "disparity.exr")
    assert disparity.shape == (100, 200) and np.isfinite(disparity).all()
    assert np.ptp(disparity[0]) == 0 and np.ptp(disparity[-1]) == 0  # also after it was enlarged
    steps = np.abs(disparity - np.roll(disparity, 1, axis=1)).mean(axis=0)
    assert steps[0] < 1.5 * steps.max()
    assert read_frame(result.frame).camera.projection == "equirectangular"
    assert any("worked on at 128 x 64" in warning for warning in result.warnings)


def test_a_sphere_around_a_frame_keeps_its_metres(models: Models, tmp_path: Path) -> None:
    result = generate(job(tmp_path, width=256, height=128, front=front(tmp_path)), models, silent)
    frame = read_frame(result.frame)
    disparity = read_disparity(result.frame / "disparity.exr").astype(np.float64)
    metres = 1 / (disparity / frame.mapping.near + (1 - disparity) / frame.mapping.far)
    # Straight ahead the given frame is in its middle: 1/z = 0.5 / 1 + 0.5 / 5.
    assert metres[63:65, 127:129].mean() == pytest.approx(1 / 0.6, rel=0.02)
    assert json.loads((result.frame / "frame.json").read_text())["panorama"]["front"].endswith("front")


def test_a_sphere_as_one_picture(models: Models, tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = generate(job(tmp_path, route="latents"), models, seen.append)
    about = json.loads((result.frame / "frame.json").read_text())
    assert about["panorama"]["route"] == "latents" and read_frame(result.frame).width == 128
    # Its depth comes afterwards, in as many steps again.
    assert {p.total for p in seen if p.phase == "sampling"} == {4}
    steps = [p.step for p in seen if p.phase == "sampling"]
    assert steps == sorted(steps) and set(steps) == {0, 1, 2, 3, 4}
    assert list(dict.fromkeys(p.phase for p in seen)) == ["loading", "encoding", "sampling", "decoding", "writing"]


def test_out_of_memory_is_tried_again_window_by_window(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []

    def short(*arguments: Any) -> Any:
        batches.append(arguments[4])
        if arguments[4] > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return made(*arguments)

    from jointdit.panorama import run

    made = run.make
    monkeypatch.setattr(run, "make", short)
    result = generate(job(tmp_path), models, silent)
    assert batches[0] > 1 and batches[1:] == [1] and read_frame(result.frame).width == 128
    assert not result.warnings


def test_what_has_no_effect_is_told(tmp_path: Path) -> None:
    result = generate(job(tmp_path, model="embedded", width=256, height=128, steps=1, parts={"up": "stars", "back": "a house"}), Models(), silent)
    assert len(result.warnings) == 1 and "up has no effect" in result.warnings[0]
    assert json.loads((result.frame / "frame.json").read_text())["panorama"]["views"] == 8


def test_cancelling_stops_within_a_step(models: Models, tmp_path: Path) -> None:
    for kind, size in (("sphere", SIZE), ("strip", {"width": 256, "height": 64})):
        reports = 0

        def stop(progress: Progress) -> None:
            nonlocal reports
            reports += progress.phase == "sampling"
            if reports == 2:  # the first is the start; the second comes while the first step goes on
                assert progress.step == 0
                raise CancelledError("stopped")

        with pytest.raises(CancelledError):
            generate(job(tmp_path, kind=kind, steps=50, **size), models, stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "cube"}, "sphere or strip"),
        ({"views": 1}, "One view"),
        ({"views": 7}, "6, 14, 18, 26"),
        ({"parts": {"above": "sky"}}, "'above'"),
        ({"kind": "strip", "parts": {"up": "sky"}}, "strip"),
        ({"kind": "strip", "front": Path("x")}, "strip"),
        ({"route": "latents", "views": 6}, "one picture"),
        ({"prompt": " "}, "prompt is empty"),
        ({"task": "panorama_depth"}, "photograph"),
        ({"width": 130, "height": 65}, "multiple of 64"),
        ({"width": 128, "height": 128}, "twice as wide"),
        ({"kind": "strip", "width": 256, "height": 50}, "multiple of 32"),
        ({"kind": "strip", "width": 200, "height": 64}, "half its height"),
        ({"front": Path("nowhere")}, "no frame folder"),
        ({"task": "joint", "width": 32, "height": 32, "front": Path("x")}, "single picture"),
        ({"task": "image_to_depth", "image": Path("x"), "views": 6}, "single picture"),
        ({"image": Path("x")}, "panorama_depth"),
    ],
)
def test_bad_input_gets_a_sentence(models: Models, tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        generate(job(tmp_path, **settings), models, silent)
    assert words in str(caught.value) and str(caught.value)[-1] in ".:"
    assert not list(tmp_path.iterdir())


def test_a_photograph_that_is_not_two_to_one_gets_a_sentence(models: Models, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (150, 100)).save(photo)
    with pytest.raises(InputError, match=r"photo\.png has 150 x 100 pixels.*twice as wide as high"):
        generate(job(tmp_path / "out", task="panorama_depth", image=photo, width=None, height=None), models, silent)


@pytest.mark.parametrize("how", ["equirectangular", "holes", "behind", "json", "angle"])
def test_a_front_view_that_cannot_be_used_gets_a_sentence(models: Models, tmp_path: Path, how: str) -> None:
    folder = front(tmp_path)
    text = (folder / "frame.json").read_text()
    if how == "holes":
        from jointdit.pictures import write_exr

        write_exr(folder / "disparity.exr", np.full((24, 32), np.nan, np.float32))
    changed = {"equirectangular": text.replace("perspective", "equirectangular"), "json": text[:50], "angle": text.replace("50", "500")}
    mapping = text.replace('"near": 1.0', '"scale": 1.0').replace('"far": 5.0', '"shift": -0.5')
    (folder / "frame.json").write_text({**changed, "behind": mapping}.get(how, text))
    with pytest.raises(InputError) as caught:
        generate(job(tmp_path / "out", front=folder), models, silent)
    assert str(caught.value).endswith(".") and not list((tmp_path / "out").iterdir())


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(["sphere", "strip"]))
def test_a_size_tiles_or_is_told_how_it_would(width: int, height: int, kind: str) -> None:
    try:
        w, h = panorama_size(kind, width, height, 512)
    except InputError as error:
        numbers = [int(word) for word in str(error).replace(",", " ").replace(".", " ").replace("(", " ").replace(")", " ").split() if word.isdigit()]
        assert numbers and str(error).endswith(".")
        return
    assert (w, h) == (width, height)
    assert (w == 2 * h and w % 64 == 0) if kind == "sphere" else (h % 32 == 0 and w % (h // 2) == 0 and w >= 2 * h)


def test_default_sizes_tile_for_every_model() -> None:
    for native in (32, 128, 256, 512, 1024):
        for kind in ("sphere", "strip"):
            if native == 32:  # smaller than anything that tiles
                continue
            width, height = panorama_size(kind, None, None, native)
            assert panorama_size(kind, width, height, native) == (width, height)
    assert panorama_size("sphere", None, None, 1024) == (2048, 1024) and panorama_size("strip", None, None, 512) == (2048, 512)
    assert panorama_size("sphere", 1024, None, 512) == (1024, 512) and panorama_size("strip", None, 256, 512) == (1024, 256)


def test_metres_keep_proportions_and_what_is_too_far_stays_at_far() -> None:
    inverse = np.array([[4.0, 2.0], [1.0, 0.01]])  # 1, 2, 4 and 400 times as far as the nearest
    disparity, near, far = in_metres(inverse, 3.0, 60.0)
    assert (near, far) == (3.0, 60.0)
    np.testing.assert_allclose(1 / (disparity / near + (1 - disparity) / far), [[3, 6], [12, 60]], rtol=1e-5)
    disparity, near, far = in_metres(inverse, None, 1000.0)
    assert (near, far) == (0.25, 100.0)
    for inverse, near in ((np.ones((2, 2)), 2.0), (np.zeros((2, 2)), 2.0), (np.zeros((2, 2)), None)):
        flat, near, far = in_metres(inverse, near, 40.0)
        assert 0 < near < far and np.isfinite(flat).all()


def test_windows_together_fit_the_memory() -> None:
    """With more memory more windows, never more than fit: the estimate of one picture and the work of the others stay below what is free."""
    sizes = Sizes((10**8,) * 20, 10**6, 10**7, 10**7, 3072, 512)
    before = 0
    for free in (5, 6, 8, 12, 24):
        machine = Machine("cuda", "card", free * GIB, free * GIB, 64 * GIB)
        plan = choose(sizes, machine, Work(512, 512))
        pairs = pairs_at_once(plan, sizes, machine, Work(512, 512))
        # 22 widths of both branches' 1024 + 512 tokens in 16 bits are in work for each.
        assert pairs_at_once(plan, sizes, machine, Work(512, 512), reserved=64 * GIB) == 0
        assert 1 <= pairs <= 16 and (pairs == 1 or plan.name != "full" or pairs * 22 * 2 * 1536 * 3072 * 2 < free * GIB)
        before = max(before, pairs)
    assert before == 16


def test_command_line(models: Models, tmp_path: Path) -> None:
    runner = CliRunner()
    common = ["--output", str(tmp_path / "out"), "--model", str(models.extra["tiny"]), "--steps", "1"]
    done = runner.invoke(cli.main, ["panorama", "a red cube", "--size", "128x64", "--part", "up=a sky", "--part", "Down=grass", "--views", "14", *common])
    assert done.exit_code == 0, done.output
    frame = Path(done.stdout.strip().splitlines()[-1])
    about = json.loads((frame / "frame.json").read_text())
    assert about["panorama"]["parts"] == {"up": "a sky", "down": "grass"} and about["panorama"]["views"] == 14
    photo = runner.invoke(cli.main, ["panorama", "--photo", str(frame / "image.png"), "--size", "128x64", *common])
    assert photo.exit_code == 0, photo.output
    strip = runner.invoke(cli.main, ["panorama", "a red cube", "--kind", "strip", "--size", "128x64", *common])
    assert strip.exit_code == 0, strip.output
    for arguments in (["panorama"], ["panorama", "x", "--photo", str(photo)], ["panorama", "x", "--part", "over=sky"], ["panorama", "x", "--views", "3"]):
        failed = runner.invoke(cli.main, [*arguments, *common])
        last = failed.output.splitlines()[-1]
        assert failed.exit_code == 1 and last.startswith("Error: ") and last.endswith("."), failed.output
    assert runner.invoke(cli.main, ["panorama", "x", "--part", "sky"]).exit_code == 2


def test_parameters_of_a_request_are_checked() -> None:
    made = Job.from_params({"task": "panorama", "output": "o", "prompt": "x", "parts": {"up": "sky"}, "views": 6, "front": "f"})
    assert made.parts == {"up": "sky"} and made.front == Path("f") and made.panorama
    for parts in ([], "up", {"up": 3}):
        with pytest.raises(InputError, match="parts"):
            Job.from_params({"task": "panorama", "output": "o", "prompt": "x", "parts": parts})
