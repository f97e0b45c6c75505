# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs under memory plans: what happens when memory runs out or the compiler fails, what stays loaded and what is loaded anew."""

from __future__ import annotations

import json
import weakref
from pathlib import Path

import pytest
import torch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry
from jointdit import machine, memory
from jointdit.errors import InputError, JointDiTError
from jointdit.jobs import Job, Progress, generate
from jointdit.memory import GIB, Machine
from jointdit.models import Models
from jointdit.pipeline import JointDiTPipeline
from jointdit.sampler import Sampler
from jointdit.speed import set_step_cache
from jointdit.wishes import Lora, Wish
from test_jobs import silent
from test_placement import wide_pipeline
from tiny import tiny_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    wide_pipeline().save_pretrained(path)
    return path


@pytest.fixture
def models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """Models that believe to be on a card with plenty of memory; its arithmetic is the processor's."""
    monkeypatch.setattr(machine, "this_machine", lambda device: Machine("cuda", "a card", 80 * GIB, 79 * GIB, 64 * GIB))
    return Models({"wide": folder})


def job(output: Path, **changes: object) -> Job:
    return Job("joint", output, prompt="a red cube", seed=1, steps=2, model="wide", **changes)


def run_out_of_memory(monkeypatch: pytest.MonkeyPatch, times: int, kind: type[BaseException] = torch.OutOfMemoryError) -> list[str]:
    """Let the sampling fail in its first step, so many times; returns the list of plans under which it was tried."""
    tried: list[str] = []
    plain = Sampler.velocity

    def failing(self: Sampler, *arguments: object) -> torch.Tensor:
        tried.append(self._visit.__self__.placement.plan.name)
        if len(tried) <= times:
            raise kind("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return plain(self, *arguments)

    monkeypatch.setattr(Sampler, "velocity", failing)
    return tried


def test_the_plan_is_written_into_the_frame(models: Models, tmp_path: Path) -> None:
    for plan in ("auto", "exact", "fp8", "nf4", "cpu"):
        frame = generate(job(tmp_path, memory_plan=plan), models, silent).frame
        assert json.loads((frame / "frame.json").read_text())["memory_plan"] == ("full" if plan == "auto" else plan)


def test_out_of_memory_falls_back_once_and_says_so(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = generate(job(tmp_path / "a", memory_plan="exact"), models, silent)
    models.unload()
    tried = run_out_of_memory(monkeypatch, times=1)
    seen: list[Progress] = []
    result = generate(job(tmp_path / "b"), models, seen.append)
    assert tried == ["full", "exact", "exact"]
    assert result.warnings[0] == "The memory plan full ran out of memory; the next smaller one was used."
    assert (result.frame / "image.png").read_bytes() == (expected.frame / "image.png").read_bytes()  # nothing is lost: the same seed, the same picture
    assert json.loads((result.frame / "frame.json").read_text())["warnings"] == list(result.warnings)
    # The next job starts where this one ended, without another failure.
    again = generate(job(tmp_path / "b"), models, silent)
    assert tried[3:] == ["exact", "exact"] and not again.warnings


def test_out_of_memory_twice_is_a_sentence_and_leaves_nothing(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = run_out_of_memory(monkeypatch, times=99)
    with pytest.raises(JointDiTError, match="Choose a smaller size"):
        generate(job(tmp_path), models, silent)
    assert tried == ["full", "exact"] and list(tmp_path.iterdir()) == []
    assert models.plan is None  # the memory was given back


def test_the_failed_weights_are_gone_before_the_next_are_loaded(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_out_of_memory(monkeypatch, times=1)
    alive: list[weakref.ref] = []
    place = JointDiTPipeline.place

    def watched(self: JointDiTPipeline, *arguments: object) -> None:
        assert all(pipeline() is None for pipeline in alive)
        alive.append(weakref.ref(self))
        place(self, *arguments)

    monkeypatch.setattr(JointDiTPipeline, "place", watched)
    generate(job(tmp_path), models, silent)
    assert len(alive) == 2


def test_memory_may_run_out_while_loading(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, tried = JointDiTPipeline.place, []

    def failing(self: JointDiTPipeline, plan: memory.Plan, *arguments: object) -> None:
        tried.append(plan.name)
        if plan.name == "full":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        place(self, plan, *arguments)

    monkeypatch.setattr(JointDiTPipeline, "place", failing)
    assert "ran out of memory" in generate(job(tmp_path), models, silent).warnings[0]
    assert tried == ["full", "exact"]


def test_a_plan_that_was_asked_for_is_not_changed(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = run_out_of_memory(monkeypatch, times=99)
    with pytest.raises(JointDiTError, match="not enough memory"):
        generate(job(tmp_path, memory_plan="fp8"), models, silent)
    assert tried == ["fp8"]


def test_other_errors_are_not_taken_for_a_shortage(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Sampler, "velocity", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        generate(job(tmp_path), models, silent)


def test_a_compiler_that_fails_is_done_without(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import BackendCompilerFailed

    compiled: list[bool] = []
    monkeypatch.setattr("jointdit.speed.compile_blocks", lambda transformer: compiled.append(True))
    plain = Sampler.velocity

    def failing(self: Sampler, *arguments: object) -> torch.Tensor:
        if models.compiled:
            raise BackendCompilerFailed(lambda: None, RuntimeError("no compiler"), None)
        return plain(self, *arguments)

    monkeypatch.setattr(Sampler, "velocity", failing)
    result = generate(job(tmp_path, compile="on"), models, silent)
    assert compiled == [True] and "could not be compiled" in result.warnings[0]
    assert not generate(job(tmp_path), models, silent).warnings  # nor is it tried again
    assert compiled == [True]


def test_what_is_loaded_is_used_again_unless_something_decisive_changed(models: Models, folder: Path, tmp_path: Path) -> None:
    model = models.find("wide")
    first = models.pipeline(model, Wish(64, 64))
    assert models.pipeline(model, Wish(64, 64)) is first
    assert models.pipeline(model, Wish(256, 512)) is first  # larger pictures still fit the plan
    assert models.pipeline(model, Wish(64, 64, plan="full")) is first  # what auto had chosen
    second = models.pipeline(model, Wish(64, 64, plan="nf4"))
    assert second is not first and models.plan.name == "nf4"
    assert models.pipeline(model, Wish(64, 64, plan="nf4", compile="off")) is second  # nothing is compiled here anyway
    with pytest.raises(InputError, match="Choose a smaller size"):
        models.pipeline(model, Wish(8192 * 8, 8192 * 8))


def test_two_models_in_one_process_have_their_own_kernels(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jointdit.speed.best_attention", lambda device: "_native_math")
    monkeypatch.setattr("jointdit.models.SMALL", 0)
    large = models.pipeline(models.find("wide"), Wish(64, 64, plan="exact"))
    assert {block.attn.processor._attention_backend.value for block in large.transformer.transformer_blocks} == {"_native_math"}
    assert tiny_pipeline().transformer.transformer_blocks[0].attn.processor._attention_backend is None
    assert _AttentionBackendRegistry.get_active_backend()[0].value == "native"  # diffusers' choice for everybody else is untouched


def test_library_shortages_are_shortages(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, tried = Sampler.velocity, []

    def failing(self: Sampler, *arguments: object) -> torch.Tensor:
        tried.append(1)
        if len(tried) == 1:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
        return plain(self, *arguments)

    monkeypatch.setattr(Sampler, "velocity", failing)
    assert "ran out of memory" in generate(job(tmp_path), models, silent).warnings[0]


def test_a_part_of_a_lora_that_is_left_out_is_told(models: Models, tmp_path: Path) -> None:
    from test_loras import changes
    from tiny_files import write

    tensors = {f"transformer.{layer}.lora_{x}.weight": t for layer, pair in changes().items() for x, t in zip("AB", pair, strict=True)}
    tensors |= {f"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_{x}.weight": torch.ones(2, 2) for x in "AB"}
    result = generate(job(tmp_path, loras=(Lora(write(tensors, tmp_path / "style.safetensors", "f32")),)), models, silent)
    assert result.warnings == ("The part of style.safetensors that changes a text encoder was left out.",)
    assert json.loads((result.frame / "frame.json").read_text())["loras"][0]["branch"] == "both"


def test_strengths_do_not_load_anew(models: Models, tmp_path: Path) -> None:
    from test_loras import changes
    from tiny_files import write

    tensors = {f"transformer.{layer}.lora_{x}.weight": t for layer, pair in changes().items() for x, t in zip("AB", pair, strict=True)}
    file = write(tensors, tmp_path / "style.safetensors", "f32")
    model = models.find("wide")
    first = models.pipeline(model, Wish(64, 64, loras=(Lora(file, 0.5),)))
    assert models.pipeline(model, Wish(64, 64, loras=(Lora(file, 0.9),))) is first
    assert models.pipeline(model, Wish(64, 64)) is not first
    images = [
        (generate(job(tmp_path / "out", loras=loras), models, silent).frame / "image.png").read_bytes() for loras in ((), (Lora(file),), (Lora(file, 0.0),))
    ]
    assert images[0] == images[2] != images[1]


def test_loras_come_through_the_protocol(tmp_path: Path) -> None:
    params = {"task": "joint", "output": str(tmp_path), "prompt": "x", "loras": [{"path": "a.safetensors"}, {"path": "b", "strength": 0.5, "branch": "rgb"}]}
    assert Job.from_params(params).loras == (Lora(Path("a.safetensors")), Lora(Path("b"), 0.5, "rgb"))
    for bad in ("a", [1], [{"path": 3}], [{"path": "a", "strength": "much"}], [{"path": "a", "colour": 1}], [{"path": "a", "branch": "alpha"}]):
        with pytest.raises(InputError, match="LoRA"):
            Job.from_params(params | {"loras": bad})


@pytest.mark.parametrize("bad", [{"memory_plan": "tiny"}, {"compile": "maybe"}, {"step_cache": -1.0}, {"step_cache": float("nan")}])
def test_settings_of_a_job_are_checked(tmp_path: Path, bad: dict) -> None:
    with pytest.raises(InputError):
        job(tmp_path, **bad)


def test_the_step_cache_of_a_job_does_not_stay(models: Models, tmp_path: Path) -> None:
    exact = generate(job(tmp_path), models, silent)
    generate(job(tmp_path, step_cache=0.9), models, silent)
    assert models.pipeline(models.find("wide"), Wish(32, 32)).transformer.is_cache_enabled
    again = generate(job(tmp_path), models, silent)
    assert (again.frame / "disparity.exr").read_bytes() == (exact.frame / "disparity.exr").read_bytes()


def test_a_cached_run_starts_anew_after_one_that_was_stopped() -> None:
    pipeline = wide_pipeline()
    set_step_cache(pipeline.transformer, 1.0)

    def latents(prompt: str, stop: bool = False) -> torch.Tensor:
        def after_step(*_: object) -> dict:
            if stop:
                raise KeyboardInterrupt
            return {}

        seeded = {"generator": torch.Generator().manual_seed(1), "output_type": "latent", "num_inference_steps": 2}
        return pipeline(prompt, callback_on_step_end=after_step, **seeded).images

    expected = latents("a house")
    with pytest.raises(KeyboardInterrupt):
        latents("the sea", stop=True)
    assert torch.equal(latents("a house"), expected)


def test_every_plan_has_a_meaning() -> None:
    assert set(memory.MEANING) == set(memory.PLANS)
