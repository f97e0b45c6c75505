# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs from request to frame folder, on a tiny random pipeline; what cannot be used gets a sentence and leaves nothing behind."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jointdit import cli
from jointdit.errors import CancelledError, CheckpointError, InputError, JointDiTError, OutputError
from jointdit.jobs import Job, Progress, generate, working_size
from jointdit.models import Models
from jointdit.pictures import read_disparity, write_exr
from PIL import Image
from tiny import tiny_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    tiny_pipeline().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def models(folder: Path) -> Models:
    return Models({"tiny": folder})


def silent(_: Progress) -> None:
    """Nobody listens."""


def photo(path: Path, width: int = 40, height: int = 30) -> Path:
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)).save(path)
    return path


def test_a_joint_job_ends_in_a_frame(models: Models, tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = generate(Job("joint", tmp_path, prompt="a red cube", seed=4, steps=3, model="tiny", near=1.5, far=9, horizontal_angle=40), models, seen.append)
    disparity = read_disparity(result.frame / "disparity.exr")
    assert (disparity.min(), disparity.max()) == (0, 1)  # the nearest pixel is at near, the farthest at far
    about = json.loads((result.frame / "frame.json").read_text())
    assert about["prompt"] == "a red cube" and about["task"] == "joint" and about["seed"] == 4 and about["steps"] == 3
    assert about["mapping"] == {"near": 1.5, "far": 9} and about["camera"] == {"projection": "perspective", "horizontal_angle": 40}
    assert len(about["revision"]) == 32 and about["programs"]["torch"] and about["timings"]["total"] > 0
    assert Image.open(result.frame / "image.png").size == (32, 32) == read_disparity(result.frame / "disparity.exr").shape
    assert [p.step for p in seen if p.phase == "sampling"] == [0, 1, 2, 3]
    order = list(dict.fromkeys(p.phase for p in seen))
    assert order == ["loading", "encoding", "sampling", "decoding", "writing"]


def test_same_job_same_picture(models: Models, tmp_path: Path) -> None:
    job = Job("joint", tmp_path, prompt="a house", seed=9, steps=2, model="tiny")
    first, second = generate(job, models, silent), generate(job, models, silent)
    assert first.frame != second.frame
    for name in ("image.png", "disparity.exr"):
        assert (first.frame / name).read_bytes() == (second.frame / name).read_bytes()


def test_depth_of_an_image_keeps_the_image(models: Models, tmp_path: Path) -> None:
    image = photo(tmp_path / "photo.png", 200, 150)
    result = generate(Job("image_to_depth", tmp_path / "out", image=image, steps=2, model="tiny"), models, silent)
    assert np.array_equal(np.asarray(Image.open(result.frame / "image.png")), np.asarray(Image.open(image)))
    assert read_disparity(result.frame / "disparity.exr").shape == (150, 200)
    assert any("worked on at 37 x 28" in w for w in result.warnings)


def test_an_image_for_a_disparity_keeps_the_disparity(models: Models, tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 30 * 34, dtype=np.float32).reshape(30, 34)
    write_exr(tmp_path / "d.exr", ramp)
    result = generate(Job("depth_to_image", tmp_path / "out", disparity=tmp_path / "d.exr", prompt="a cube", steps=2, model="tiny"), models, silent)
    assert np.array_equal(read_disparity(result.frame / "disparity.exr"), ramp)
    assert Image.open(result.frame / "image.png").size == (34, 30)


def test_previews_show_both_pictures_while_sampling(models: Models, tmp_path: Path) -> None:
    sizes = []

    def look(progress: Progress) -> None:
        if progress.preview is not None:
            preview = np.load(progress.preview)
            sizes.append((preview.shape, preview.dtype))
            # The half on the right is the disparity, which has no color.
            assert np.ptp(preview[:, 32:], axis=-1).max() == 0 < np.ptp(preview[:, :32], axis=-1).max()

    generate(Job("joint", tmp_path, prompt="x", steps=3, model="tiny", preview=True), models, look)
    assert sizes == [((32, 64, 3), np.uint8)] * 3


def test_a_preview_that_cannot_be_written_costs_no_job(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path | None] = []
    real, held = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        if target.suffix == ".npy" and not held:
            held.append(target)
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        return real(path, target)

    def look(progress: Progress) -> None:
        if progress.phase == "sampling" and progress.step:
            seen.append(progress.preview)

    job = Job("joint", tmp_path / "out", prompt="x", steps=3, model="tiny", preview=True)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        assert generate(job, models, look).frame.is_dir()
    assert [preview is None for preview in seen] == [True, False, False]
    seen.clear()
    with monkeypatch.context() as patch:
        # A folder for temporary files that is full, or not there.
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        assert generate(job, models, look).frame.is_dir()
    assert seen == [None] * 3


def test_a_folder_of_previews_that_cannot_be_removed_costs_no_job(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(path: object, **_more: object) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process", str(path))

    def look(progress: Progress) -> None:
        if progress.preview is not None:
            # As of now somebody reads the file; on Windows that forbids to remove it.
            monkeypatch.setattr(os, "unlink", unlink)

    def job(preview: bool) -> Job:
        return Job("joint", tmp_path, prompt="x", steps=2, model="tiny", preview=preview)

    assert generate(job(True), models, look).frame.is_dir()


def test_cancel_stops_within_a_step_and_leaves_nothing(models: Models, tmp_path: Path) -> None:
    steps = []

    def stop_at_two(progress: Progress) -> None:
        if progress.phase == "sampling":
            steps.append(progress.step)
            if progress.step == 2:
                raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        generate(Job("joint", tmp_path, prompt="x", steps=50, model="tiny"), models, stop_at_two)
    assert steps == [0, 1, 2] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("phase", ["loading", "encoding", "sampling", "decoding", "writing"])
def test_a_cancel_in_any_phase_leaves_nothing(models: Models, tmp_path: Path, phase: str) -> None:
    def stop(progress: Progress) -> None:
        if progress.phase == phase:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        generate(Job("joint", tmp_path, prompt="x", steps=1, model="tiny"), models, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_cancel_that_comes_too_late_loses_no_result(models: Models, tmp_path: Path) -> None:
    """Once the frame is on disk nothing is reported any more, so that nothing can raise."""
    before = []
    generate(Job("joint", tmp_path, prompt="x", steps=1, model="tiny"), models, lambda _: before.extend(tmp_path.iterdir()))
    assert before == []


def test_a_long_prompt_works_and_says_what_was_ignored(models: Models, tmp_path: Path) -> None:
    result = generate(Job("joint", tmp_path, prompt="a red cube on a hill " * 571, steps=1, model="tiny"), models, silent)
    assert any("longer than the model reads" in w for w in result.warnings)
    assert len(json.loads((result.frame / "frame.json").read_text())["prompt"]) > 11_900


GOOD = {"task": "joint", "output": "x", "prompt": "a"}


@pytest.mark.parametrize(
    "change",
    [
        {"task": "sideways"}, {"task": None}, {"output": None}, {"output": 3}, {"output": "a\0b"}, {"prompt": "   "}, {"prompt": 3}, {"width": 0},
        {"width": 10**9}, {"height": 3.5}, {"steps": 0}, {"steps": True}, {"seed": -1}, {"seed": 2**64}, {"near": 5, "far": 5}, {"near": float("nan")},
        {"far": float("inf")}, {"near": -1}, {"horizontal_angle": 180}, {"guidance": float("nan")}, {"task": "image_to_depth"}, {"task": "depth_to_image"},
        {"colour": "red"}, {"preview": "yes"},
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_used_get_a_sentence(change: dict) -> None:
    with pytest.raises(InputError) as caught:
        Job.from_params({**GOOD, **change})
    assert str(caught.value).endswith((".", "want to see."))


def test_broken_text_becomes_text(models: Models, tmp_path: Path) -> None:
    result = generate(Job("joint", tmp_path, prompt="half \ud83d of a sign", steps=1, model="tiny"), models, silent)
    assert json.loads((result.frame / "frame.json").read_text(encoding="utf-8"))["prompt"] == "half ? of a sign"


def test_a_model_may_be_a_relative_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert Models().find(folder.name).index["native_size"] == 32


def test_null_parameters_take_the_defaults() -> None:
    job = Job.from_params({**GOOD, "width": None, "seed": None, "guidance": None})
    assert (job.width, job.seed, job.guidance, job.output) == (None, 0, None, Path("x"))


@pytest.mark.parametrize("how", ["no image", "text as png", "1 x 1", "nan", "no model", "unwritable"])
def test_jobs_that_cannot_run_get_a_sentence_and_leave_nothing(models: Models, tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    (tmp_path / "text.png").write_text("hello")
    photo(tmp_path / "dot.png", 1, 1)
    np.save(tmp_path / "nan.npy", np.full((32, 32), np.nan, np.float32))
    (tmp_path / "file").write_text("")
    job = {
        "no image": lambda: Job("image_to_depth", out, image=tmp_path / "none.png", model="tiny"),
        "text as png": lambda: Job("image_to_depth", out, image=tmp_path / "text.png", model="tiny"),
        "1 x 1": lambda: Job("image_to_depth", out, image=tmp_path / "dot.png", model="tiny"),
        "nan": lambda: Job("depth_to_image", out, disparity=tmp_path / "nan.npy", model="tiny"),
        "no model": lambda: Job("joint", out, prompt="x", model="nothing"),
        "unwritable": lambda: Job("joint", tmp_path / "file" / "out", prompt="x", model="tiny"),
    }[how]()
    with pytest.raises((InputError, OutputError)) as caught:
        generate(job, models, silent)
    assert str(caught.value).endswith(".") and "Traceback" not in str(caught.value)
    assert not out.exists() or list(out.iterdir()) == []


@pytest.mark.parametrize("how", ["truncated", "missing", "misshapen", "no index"])
def test_a_damaged_model_gets_a_sentence(folder: Path, tmp_path: Path, how: str) -> None:
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    model = tmp_path / "model"
    shutil.copytree(folder, model)
    weights = model / "transformer" / "diffusion_pytorch_model.safetensors"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif how == "missing":
        weights.unlink()
    elif how == "misshapen":
        tensors = load_file(weights)
        tensors["x_embedder.weight"] = torch.zeros(3, 3)
        save_file(tensors, weights, {"format": "pt"})
    else:
        (model / "model_index.json").unlink()
    with pytest.raises(CheckpointError) as caught:
        generate(Job("joint", tmp_path / "out", prompt="x", steps=1, model=str(model)), Models(), silent)
    assert str(caught.value).endswith(".")


@given(st.integers(16, 4000), st.integers(16, 4000), st.sampled_from([128, 512, 1024]))
def test_working_sizes_keep_the_proportions(width: int, height: int, native: int) -> None:
    w, h = working_size(Job("image_to_depth", Path("x"), image=Path("y")), (width, height), native)
    if width * height <= native**2:
        assert (w, h) == (width, height)
    assert w * h <= max(1.6 * native**2, 32 * max(w, h))
    assert abs(w / h - width / height) <= 0.08 * width / height or min(w, h) <= 16


def test_unloading_gives_the_memory_back(folder: Path) -> None:
    models = Models({"tiny": folder})
    assert models.unload() == 0
    models.pipeline(models.find("tiny"))
    assert [m["loaded"] for m in models.describe() if m["name"] == "tiny"] == [True]
    assert models.unload() > 10_000
    assert [m["loaded"] for m in models.describe() if m["name"] == "tiny"] == [False]


def test_out_of_memory_gets_a_sentence(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr("jointdit.jobs._run", exhausted)
    with pytest.raises(JointDiTError, match="smaller size"):
        generate(Job("joint", tmp_path, prompt="x", model="tiny"), models, silent)


def test_command_line(folder: Path, tmp_path: Path) -> None:
    runner, common = CliRunner(), ["--output", str(tmp_path / "out"), "--model", str(folder), "--steps", "1"]
    done = runner.invoke(cli.main, ["generate", "a red cube", "--size", "48x32", "--seed", "3", *common])
    assert done.exit_code == 0, done.output
    frame = Path(done.stdout.strip().splitlines()[-1])
    assert Image.open(frame / "image.png").size == (48, 32)
    depth = runner.invoke(cli.main, ["depth", str(frame / "image.png"), *common])
    assert depth.exit_code == 0, depth.output
    image = runner.invoke(cli.main, ["image", str(frame / "disparity.exr"), "--prompt", "a cube", *common])
    assert image.exit_code == 0, image.output
    for arguments in (["depth", str(tmp_path / "none.png")], ["generate", "  "], ["generate", "x", "--near", "9", "--far", "3"]):
        failed = runner.invoke(cli.main, [*arguments, *common])
        last = failed.output.splitlines()[-1]
        assert failed.exit_code == 1 and last.startswith("Error: ") and last.endswith(".") and "Traceback" not in failed.output
    assert runner.invoke(cli.main, ["generate", "x", "--size", "big"]).exit_code == 2


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jointdit.doctor.find_spec", lambda name: None if name == "torch" else object())
    report = CliRunner().invoke(cli.main, ["doctor"])
    assert report.exit_code == 1 and "BAD" in report.output and "torch" in report.output and "runtime" in report.output


def test_doctor_finds_the_embedded_model_whole() -> None:
    report = CliRunner().invoke(cli.main, ["doctor"])
    assert report.exit_code == 0, report.output
    assert "model embedded" in report.output and "BAD" not in report.output
