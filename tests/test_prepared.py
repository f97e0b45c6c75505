# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every exact saving against the plain forward pass: prepared modulations and text, fused products, folded weights, what is not wanted."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import tiny_files
import torch
from jointdit.checkpoints import addon_tensors, flux_tensors
from jointdit.cost import large_layers
from jointdit.joint_attention import JointFluxAttnProcessor
from jointdit.latents import image_position_ids
from jointdit.memory import Plan
from jointdit.packed import Fp8Linear, GgufLinear, Nf4Linear
from jointdit.placement import lent
from jointdit.prepared import Prepared, prepare, velocity
from jointdit.speed import compile_blocks, set_step_cache
from jointdit.transformer import JointDiTTransformer2DModel
from test_placement import wide_pipeline

TEXTS = ("encoder_hidden_states", "pooled_projections")
PAIRS, ROWS, COLUMNS, TEXT = 2, 3, 4, 5
# Noise levels (RGB, depth) of four steps: each task, and a schedule of training's kind where nothing is constant.
SCHEDULES = {
    "joint": [(1.0, 1.0), (0.7, 0.7), (0.4, 0.4), (0.1, 0.1)],
    "image_to_depth": [(0.0, 1.0), (0.0, 0.7), (0.0, 0.4), (0.0, 0.1)],
    "depth_to_image": [(1.0, 0.0), (0.7, 0.0), (0.4, 0.0), (0.1, 0.0)],
    "uneven": [(1.0, 0.5), (0.9, 0.2), (0.3, 0.6), (0.1, 0.1)],
}


def close(made: torch.Tensor, expected: torch.Tensor) -> bool:
    """Equal but for the rounding of float32, at the size of the numbers."""
    return bool((made - expected).abs().max() < 4e-6 * expected.abs().max())


@pytest.fixture
def model() -> JointDiTTransformer2DModel:
    return tiny_files.tiny_joint()


def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        "encoder_hidden_states": torch.randn(2 * PAIRS, TEXT, 32, generator=generator),
        "pooled_projections": torch.randn(2 * PAIRS, 32, generator=generator),
        "img_ids": image_position_ids(ROWS, COLUMNS),
        "txt_ids": torch.zeros(TEXT, 3),
        "guidance": torch.tensor([3.5, 2.0, 3.5, 2.0]),
    }


def latents() -> torch.Tensor:
    return torch.randn(2 * PAIRS, ROWS * COLUMNS, 64, generator=torch.Generator().manual_seed(4))


def levels(schedule: str) -> torch.Tensor:
    return torch.tensor(SCHEDULES[schedule]).repeat_interleave(PAIRS, dim=1)


@torch.no_grad()
def plain(model: JointDiTTransformer2DModel, schedule: str) -> torch.Tensor:
    """(steps, 2N, L, C) by the forward pass that training uses."""
    return torch.stack([model(hidden_states=latents(), timestep=sigma, **inputs()).sample for sigma in levels(schedule)])


def ready(model: JointDiTTransformer2DModel, schedule: str, wanted: str = "both") -> Prepared:
    return prepare(model, sigmas=levels(schedule), wanted=wanted, **inputs())


@torch.no_grad()
def steps(model: JointDiTTransformer2DModel, prepared: Prepared) -> torch.Tensor:
    return torch.stack([velocity(model, latents(), prepared, step) for step in range(4)])


# One wanted branch belongs to the tasks, whose weights are constant.
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("schedule", "wanted"), [(s, w) for s in SCHEDULES for w in ("both", "rgb", "depth") if w == "both" or s != "uneven"])
def test_a_prepared_schedule_equals_the_plain_pass(model: JointDiTTransformer2DModel, fused: bool, schedule: str, wanted: str) -> None:
    expected = plain(model, schedule)
    if fused:
        model.fuse_projections()
    half = {"both": slice(None), "rgb": slice(0, PAIRS), "depth": slice(PAIRS, None)}[wanted]
    made = steps(model, ready(model, schedule, wanted))
    assert made.shape == expected[:, half].shape
    assert close(made, expected[:, half])


def test_weights_are_folded_where_they_are_constant(model: JointDiTTransformer2DModel) -> None:
    for schedule, expected in (("joint", (0.5, 0.5)), ("image_to_depth", (0.1824, 0.8176)), ("depth_to_image", (0.8176, 0.1824))):
        assert ready(model, schedule).joint_weights == pytest.approx(expected, abs=1e-4)
    assert isinstance(ready(model, "uneven").joint_weights, torch.Tensor)


def test_fused_products_hold_no_weight_twice_and_come_apart_again(model: JointDiTTransformer2DModel) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count = sum(p.numel() for p in model.parameters())
    expected = plain(model, "joint")
    model.fuse_projections()
    assert sum(p.numel() for p in model.parameters()) == count
    assert not any(".to_q." in name for name, _ in model.named_parameters())
    assert close(plain(model, "joint"), expected)  # the plain pass works on fused layers too
    model.unfuse_projections()
    after = model.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    block = model.single_transformer_blocks[0]
    assert block.attn.to_q.weight.untyped_storage().data_ptr() == block.proj_mlp.weight.untyped_storage().data_ptr()


def test_a_fused_model_is_exported_bit_for_bit(model: JointDiTTransformer2DModel) -> None:
    flux, addons = flux_tensors(model), addon_tensors(model)
    flux, addons = ({name: t.clone() for name, t in tensors.items()} for tensors in (flux, addons))
    model.fuse_projections()
    for before, after in ((flux, flux_tensors(model)), (addons, addon_tensors(model))):
        assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_modulation_weights_are_needed_once(model: JointDiTTransformer2DModel) -> None:
    """After the preparation they may be anything: the steps do not touch them."""
    expected = plain(model, "joint")
    prepared = ready(model, "joint")
    layers = [layer for block in (*model.transformer_blocks, *model.single_transformer_blocks) for layer in block.modulation_layers()]
    with torch.no_grad():
        for layer in (*layers, model.norm_out.linear, model.context_embedder, model.time_text_embed):
            for parameter in layer.parameters():
                parameter.fill_(torch.nan)
    assert close(steps(model, prepared), expected)


def test_what_is_lent_returns(model: JointDiTTransformer2DModel) -> None:
    layer = model.transformer_blocks[0].norm1.linear
    home = layer.weight.data_ptr()
    with lent([layer], torch.device("cpu"), torch.bfloat16):
        assert layer.weight.dtype == torch.bfloat16 and layer.weight.data_ptr() != home
    assert layer.weight.dtype == torch.float32 and layer.weight.data_ptr() == home


def test_text_is_not_attended_from_in_the_last_block(model: JointDiTTransformer2DModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads the last block's text tokens, so they ask no queries; and a branch that is thrown away attends only for the joint connection."""
    queried: list[tuple[int, int]] = []
    attend = JointFluxAttnProcessor.attend

    def watched(self: JointFluxAttnProcessor, query: torch.Tensor, *rest: torch.Tensor | None) -> torch.Tensor:
        queried.append((query.shape[0], query.shape[1]))
        return attend(self, query, *rest)

    monkeypatch.setattr(JointFluxAttnProcessor, "attend", watched)
    with torch.no_grad():
        velocity(model, latents(), ready(model, "image_to_depth", "depth"), 0)
    assert queried[-2:] == [(PAIRS, ROWS * COLUMNS), (2 * PAIRS, ROWS * COLUMNS)]
    assert queried[:2] == [(2 * PAIRS, TEXT + ROWS * COLUMNS)] * 2


def test_the_step_cache_is_off_unless_asked_for_and_then_approximates(model: JointDiTTransformer2DModel) -> None:
    expected = plain(model, "image_to_depth")
    prepared = ready(model, "image_to_depth", "depth")
    set_step_cache(model, 1e-9)  # nothing counts as unchanged: exact
    assert close(steps(model, prepared), expected[:, PAIRS:])
    set_step_cache(model, 1.0)  # everything does: the first step's residual is used again
    made = steps(model, prepared)
    assert close(made[0], expected[0, PAIRS:])
    assert (made[3] - expected[3, PAIRS:]).abs().max() > 1e-3
    set_step_cache(model, 0)
    assert close(steps(model, prepared), expected[:, PAIRS:])


@pytest.mark.parametrize("wanted", ["both", "depth"])
@pytest.mark.parametrize("storage", ["plain", "fp8", "fp8 products", "nf4", "gguf"])
def test_compiled_blocks_give_the_same(model: JointDiTTransformer2DModel, wanted: str, storage: str) -> None:
    """The blocks' graphs are whole (fullgraph) over every storage of the weights, by a backend that runs them as they are traced."""
    model.fuse_projections()
    if storage == "fp8 products":
        model.bfloat16()  # before packing, which keeps bytes
    for block in (*model.transformer_blocks, *model.single_transformer_blocks):
        for name, layer in large_layers(block):
            block.set_submodule(name, packed(layer, storage))
    prepared = prepare(model, sigmas=levels("image_to_depth"), wanted=wanted, **{k: v.to(model.dtype) if k in TEXTS else v for k, v in inputs().items()})

    def run() -> torch.Tensor:
        with torch.no_grad():
            return torch.stack([velocity(model, latents().to(model.dtype), prepared, step) for step in range(4)]).float()

    expected = run()
    model.compile_repeated_blocks(fullgraph=True, backend="aot_eager")
    made = run()
    torch.compiler.reset()
    if storage == "fp8 products":
        assert (made - expected).abs().max() < 0.1 * expected.abs().max()
    else:
        assert close(made, expected)


def packed(layer: torch.nn.Linear, storage: str) -> torch.nn.Linear:
    """A layer in a storage."""
    if storage == "gguf":
        kind = gguf.GGMLQuantizationType.Q8_0
        return GgufLinear(layer.in_features, layer.out_features, torch.from_numpy(gguf.quants.quantize(layer.weight.numpy(force=True), kind)), layer.bias, kind)
    return {"plain": lambda x: x, "fp8": Fp8Linear.pack, "fp8 products": lambda x: Fp8Linear.pack(x, True), "nf4": Nf4Linear.pack}[storage](layer)


def test_one_process_compiles_every_task_and_size_and_rests_while_steps_are_cached() -> None:
    pipeline = wide_pipeline()
    pipeline.place(Plan("exact", 0, 0, False, 0), torch.device("cpu"), torch.float32)
    grey = np.full((48, 48, 3), 0.5, np.float32)
    known = {"joint": {}, "image_to_depth": {"image": grey}, "depth_to_image": {"disparity": grey[..., 0]}}

    def run(task: str, side: int) -> np.ndarray:
        seeded = {"generator": torch.Generator().manual_seed(1), "output_type": "latent", **known[task]}
        out = pipeline("a red cube", task=task, height=side, width=side, num_inference_steps=2, **seeded)
        return np.concatenate([out.images.numpy(), out.disparity.numpy()])

    runs = [(task, side) for side in (32, 48, 64) for task in known]
    expected = [run(*each) for each in runs]
    compile_blocks(pipeline.transformer, backend="aot_eager")
    try:
        for each, plain_result in zip(runs, expected, strict=True):
            np.testing.assert_allclose(run(*each), plain_result, atol=2e-5 * np.abs(plain_result).max())
        set_step_cache(pipeline.transformer, 1e-9)
        np.testing.assert_allclose(run(*runs[0]), expected[0], atol=2e-5 * np.abs(expected[0]).max())
        set_step_cache(pipeline.transformer, 0)
        assert all(block._compiled_call_impl is not None for block in pipeline.transformer.transformer_blocks)
        np.testing.assert_allclose(run(*runs[0]), expected[0], atol=2e-5 * np.abs(expected[0]).max())
    finally:
        torch.compiler.reset()
