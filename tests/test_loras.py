# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' LoRAs: they change what they should by the right amount, on both branches or on one, over every storage of the base weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_files
import torch
from jointdit.errors import CheckpointError, InputError
from jointdit.loras import load_loras, set_strengths
from jointdit.memory import Plan
from jointdit.pipeline import JointDiTPipeline
from jointdit.wishes import Lora
from test_placement import CPU, latents_of, wide_pipeline

# One layer of each kind of place that a LoRA may change, in the names of diffusers' files: our model's own names.
LAYERS = {
    "transformer_blocks.1.attn.to_q": (64, 64), "transformer_blocks.0.ff.net.0.proj": (64, 256), "transformer_blocks.2.norm1.linear": (64, 384),
    "single_transformer_blocks.0.attn.to_v": (64, 64), "single_transformer_blocks.2.proj_mlp": (64, 256), "single_transformer_blocks.2.proj_out": (320, 64),
}  # fmt: skip
RANK = 3


def changes() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Layer -> (A, B)."""
    generator = torch.Generator().manual_seed(9)
    return {
        layer: (0.3 * torch.randn(RANK, inside, generator=generator), 0.3 * torch.randn(outside, RANK, generator=generator))
        for layer, (inside, outside) in LAYERS.items()
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tensors = {}
    for layer, (a, b) in changes().items():
        tensors |= {f"transformer.{layer}.lora_A.weight": a, f"transformer.{layer}.lora_B.weight": b}
    return tiny_files.write(tensors, tmp_path / "style.safetensors", "f32")


def with_merged(strength: float) -> JointDiTPipeline:
    """The independent truth for both branches: the change added to the weights."""
    pipeline = wide_pipeline()
    with torch.no_grad():
        for layer, (a, b) in changes().items():
            pipeline.transformer.get_submodule(layer).weight += strength * b @ a
    return pipeline


def with_loras(*loras: Lora, plan: str = "exact", visiting: int = 0) -> JointDiTPipeline:
    pipeline = wide_pipeline()
    load_loras(pipeline, loras)
    pipeline.place(Plan(plan, visiting, 0, False, 0), CPU, torch.float32)
    return pipeline


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("visiting", [0, 6])
def test_a_lora_is_its_change_of_the_weights(file: Path, visiting: int) -> None:
    plain = latents_of(wide_pipeline())
    expected = latents_of(with_merged(0.7))
    assert relative(expected, plain) > 0.01
    assert relative(latents_of(with_loras(Lora(file, 0.7), visiting=visiting)), expected) < 1e-4


def test_strengths_can_change_later_and_zero_is_none(file: Path) -> None:
    pipeline = with_loras(Lora(file, 0.7))
    set_strengths(pipeline, (Lora(file, 0.0),))
    assert relative(latents_of(pipeline), latents_of(wide_pipeline())) < 1e-5
    set_strengths(pipeline, (Lora(file, 1.5),))
    assert relative(latents_of(pipeline), latents_of(with_merged(1.5))) < 1e-4


def test_two_loras_add_up(file: Path) -> None:
    assert relative(latents_of(with_loras(Lora(file, 0.4), Lora(file, 0.3))), latents_of(with_merged(0.7))) < 1e-4


@pytest.mark.parametrize(("branch", "untouched"), [("rgb", 1), ("depth", 0)])
def test_a_lora_of_one_branch_leaves_the_other_alone(file: Path, branch: str, untouched: int) -> None:
    """Without the joint connection the branches do not see each other: the other one must come out as it was."""

    def parted(pipeline: JointDiTPipeline) -> np.ndarray:
        with torch.no_grad():
            for block in (*pipeline.transformer.transformer_blocks, *pipeline.transformer.single_transformer_blocks):
                block.attn.to_joint.weight.zero_()
                block.attn.to_joint.bias.zero_()
        return latents_of(pipeline)

    plain, both, one = (parted(p) for p in (wide_pipeline(), with_merged(1.0), with_loras(Lora(file, 1.0, branch))))
    halves = [x.reshape(2, -1) for x in (plain, both, one)]
    changed = 1 - untouched
    assert relative(halves[2][untouched], halves[0][untouched]) < 1e-5
    assert relative(halves[2][changed], halves[1][changed]) < 1e-4
    assert relative(halves[2][changed], halves[0][changed]) > 0.01


def test_a_lora_of_one_branch_in_a_conditional_task(file: Path) -> None:
    image = np.full((32, 32, 3), 0.5, np.float32)

    def disparity_of(pipeline: JointDiTPipeline) -> np.ndarray:
        return pipeline(image=image, num_inference_steps=2, generator=torch.Generator().manual_seed(1), output_type="latent").disparity.numpy()

    plain, rgb, depth = (disparity_of(p) for p in (wide_pipeline(), with_loras(Lora(file, 1.0, "rgb")), with_loras(Lora(file, 1.0, "depth"))))
    assert relative(depth, plain) > 0.01
    assert 0 < relative(rgb, plain) < relative(depth, plain)  # through the joint connection alone


@pytest.mark.parametrize("plan", ["fp8", "nf4"])
def test_a_lora_works_over_packed_weights(file: Path, plan: str) -> None:
    packed = wide_pipeline()
    packed.place(Plan(plan, 0, 0, False, 0), CPU, torch.float32)
    without, with_it, expected = (latents_of(p) for p in (packed, with_loras(Lora(file, 0.7), plan=plan), with_merged(0.7)))
    assert relative(with_it, expected) < relative(without, expected)


def test_bad_files_get_a_sentence(file: Path, tmp_path: Path) -> None:

    def of_one_layer(layer: str, width: int) -> Path:
        pair = {f"transformer.{layer}.lora_A.weight": torch.ones(2, width), f"transformer.{layer}.lora_B.weight": torch.ones(width, 2)}
        return tiny_files.write(pair, tmp_path / f"{layer}.safetensors")

    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(file.read_bytes()[:-100])
    base = tiny_files.write(tiny_files.flux_parts()["flux"], tmp_path / "flux.safetensors")
    for path in (of_one_layer("some_block.to_q", 64), of_one_layer("transformer_blocks.0.attn.to_q", 999), cut, base, tmp_path / "nothing.safetensors"):
        with pytest.raises(CheckpointError, match="LoRA"):
            load_loras(wide_pipeline(), (Lora(path),))


def test_strength_and_branch_are_checked(file: Path) -> None:
    with pytest.raises(InputError, match="both, rgb, depth"):
        Lora(file, 1.0, "alpha")
    with pytest.raises(InputError, match="between -10 and 10"):
        Lora(file, float("nan"))


@pytest.mark.parametrize("plan", ["fp8", "nf4"])
def test_a_lora_on_a_file_that_is_packed_already_keeps_its_precision(file: Path, plan: str) -> None:
    pipeline = wide_pipeline()
    pipeline.place(Plan(plan, 0, 0, False, 0), CPU, torch.float32)
    without = latents_of(pipeline)
    load_loras(pipeline, (Lora(file, 0.7),))
    tensors = {name: p for name, p in pipeline.transformer.named_parameters() if "lora_0" in name}
    assert len(tensors) == 2 * len(LAYERS) and {p.dtype for p in tensors.values()} == {torch.float32}
    pipeline.place(Plan("stored", 0, 0, False, 0), CPU, torch.float32)
    assert relative(latents_of(pipeline), latents_of(with_loras(Lora(file, 0.7), plan=plan))) < 1e-4
    assert relative(latents_of(pipeline), without) > 0.01
