# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's training method: the loss is equation 4, the noise levels and dropped prompts are those of the paper, only the add-ons learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from jointdit.joint_attention import adaptive_weights
from jointdit.latents import image_position_ids, pack
from jointdit.pipeline import JointDiTPipeline
from jointdit.training import loop
from jointdit.training.addons import make_trainable, new_addons
from jointdit.training.joint import Batch, Drawing, held_out_batch, joint_loss
from jointdit.training.sampling import ROWS, at_rest, sheet
from tiny import tiny_pipeline
from torch import Tensor, nn

pytestmark = pytest.mark.usefixtures("one_thread")


class ManyPairs:
    """A source of samples that tells by their values which they are: pair i has latents i and -i, text i + 1 throughout; the empty prompt is 0."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: list[int]) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        value = torch.tensor(indices, dtype=torch.float32)
        return value.view(-1, 1, 1, 1).expand(-1, 1, 2, 2), -value.view(-1, 1, 1, 1).expand(-1, 1, 2, 2), (value.view(-1, 1, 1) + 1, value.view(-1, 1) + 1)

    def empty(self) -> tuple[Tensor, Tensor]:
        return torch.zeros(1, 1, 1), torch.zeros(1, 1)


class Recorder(nn.Module):
    """In the transformer's place: notes what it is given, and answers with its noisy latents."""

    dtype = torch.float64

    def __init__(self, guidance_embeds: bool = True) -> None:
        super().__init__()
        self.config = SimpleNamespace(guidance_embeds=guidance_embeds)

    def forward(self, *inputs: Tensor, guidance: Tensor | None, return_dict: bool) -> tuple[Tensor]:
        self.inputs, self.guidance = inputs, guidance
        return (inputs[0],)


def batch_of(pipeline: JointDiTPipeline, count: int, seed: int = 0) -> Batch:
    """Random pairs of 4 x 4 patches, as wide as a pipeline wants them."""
    config, g = pipeline.transformer.config, torch.Generator().manual_seed(seed)
    text = torch.randn(count, 8, config.joint_attention_dim, generator=g), torch.randn(count, config.pooled_projection_dim, generator=g)
    clean, noise = (torch.randn(2 * count, 16, config.in_channels, generator=g) for _ in range(2))
    return Batch(clean, noise, torch.rand(2 * count, generator=g), text, (4, 4))


def part_of(batch: Batch, pairs: slice, count: int) -> Batch:
    """Some pairs of a batch of `count`."""
    rows = torch.arange(2 * count).view(2, count)[:, pairs].flatten()
    return Batch(batch.clean[rows], batch.noise[rows], batch.sigma[rows], tuple(part[pairs] for part in batch.text), batch.grid)


# Equation 4


def test_loss_by_hand() -> None:
    """One pair, one token, two channels. z = (1 - sigma) clean + sigma noise is 1.5, 0.5 for RGB and 2, -1 for depth; the model answers z, the truth is
    noise - clean: 2, -2 and 0, 2. Squares of the differences: 1/4, 25/4, 4, 9; their mean is 39/8."""
    clean = torch.tensor([[[1.0, 1.0]], [[2.0, -2.0]]], dtype=torch.float64)
    noise = torch.tensor([[[3.0, -1.0]], [[2.0, 0.0]]], dtype=torch.float64)
    model = Recorder()
    text = torch.full((1, 3, 2), 5.0), torch.full((1, 2), 7.0)
    value = joint_loss(model, Batch(clean, noise, torch.tensor([0.25, 0.5], dtype=torch.float64), text, (1, 1)))
    assert value.item() == 39 / 8
    depth_alone = torch.tensor([False, True])
    batch = Batch(clean, noise, torch.tensor([0.25, 0.5], dtype=torch.float64), text, (1, 1))
    assert joint_loss(model, batch, counted=depth_alone).item() == 13 / 2
    _, tokens, pooled, sigma, image_ids, text_ids = model.inputs
    assert sigma.tolist() == [0.25, 0.5] and model.guidance.tolist() == [1, 1]
    assert tokens.shape == (2, 3, 2) and pooled.shape == (2, 2) and tokens.unique().tolist() == [5] and pooled.unique().tolist() == [7]
    assert image_ids.tolist() == [[0, 0, 0]] and text_ids.tolist() == [[0, 0, 0]] * 3


def test_a_model_that_embeds_no_guidance_gets_none() -> None:
    model = Recorder(guidance_embeds=False)
    joint_loss(model, Batch(torch.zeros(2, 1, 2), torch.ones(2, 1, 2), torch.ones(2), (torch.zeros(1, 1, 1), torch.zeros(1, 1)), (1, 1)))
    assert model.guidance is None


def test_loss_of_the_transformer_in_double_precision() -> None:
    pipeline = tiny_pipeline()
    model, batch = pipeline.transformer.double(), batch_of(pipeline, 3)
    batch = Batch(batch.clean.double(), batch.noise.double(), batch.sigma.double(), tuple(part.double() for part in batch.text), batch.grid)
    total, count = 0.0, 0
    with torch.no_grad():
        for pair in range(3):  # pair by pair: no pair may see another
            rows = [pair, pair + 3]
            noisy = torch.stack([batch.clean[r] + batch.sigma[r] * (batch.noise[r] - batch.clean[r]) for r in rows])
            tokens, pooled = (part[[pair, pair]] for part in batch.text)
            velocity = model(noisy, tokens, pooled, batch.sigma[rows], image_position_ids(4, 4), torch.zeros(8, 3), torch.ones(2), return_dict=False)[0]
            error = velocity - (batch.noise[rows] - batch.clean[rows])
            total, count = total + error.square().sum().item(), count + error.numel()
        assert joint_loss(model, batch).item() == pytest.approx(total / count, rel=1e-6)


# What a step draws


def test_unbalanced_noise_levels_and_dropped_prompts() -> None:
    """Shares by the paper: half of the pairs with one level; the rest with independent levels of f and g, each order equally often; a tenth without prompt."""
    count = 40_000
    batch = Drawing(ManyPairs(7), count)(torch.Generator().manual_seed(0))
    rgb, depth = batch.sigma.chunk(2)
    shared = rgb == depth
    assert shared.float().mean().item() == pytest.approx(0.5, abs=0.01)

    def below(s: float, shift: float) -> float:
        u = s / (shift - (shift - 1) * s)
        return 0.5 * (1 + math.erf(math.log(u / (1 - u)) / math.sqrt(2)))

    for s in (0.1, 0.3, 0.5, 0.8):
        f, g = below(s, 3.1582), below(s, 0.25)
        assert (rgb[shared] < s).float().mean().item() == pytest.approx(f, abs=0.012)
        for branch in (rgb, depth):
            assert (branch[~shared] < s).float().mean().item() == pytest.approx((f + g) / 2, abs=0.012)
        # Both low at once: f and g are independent draws.
        assert ((rgb < s) & (depth < s))[~shared].float().mean().item() == pytest.approx(f * g, abs=0.012)
    dropped = batch.text[0].flatten() == 0
    assert dropped.float().mean().item() == pytest.approx(0.1, abs=0.006)
    assert torch.equal(dropped, batch.text[1].flatten() == 0), "tokens and pooled vector are dropped together"


def test_independent_noise_levels_are_the_ablation() -> None:
    batch = Drawing(ManyPairs(7), 40_000, timesteps="independent")(torch.Generator().manual_seed(0))
    rgb, depth = batch.sigma.chunk(2)
    median = 3.1582 / 4.1582  # u = 1/2
    for branch in (rgb, depth):
        assert (branch < median).float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert ((rgb < median) & (depth < median)).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert not torch.any(rgb == depth)


def test_pairs_stay_pairs() -> None:
    """Image, disparity and prompt of a pair come together, each pair equally often, and all of it depends on the generator's state alone."""
    draw = Drawing(ManyPairs(5), 4000)
    generator = torch.Generator().manual_seed(1)
    state = generator.get_state()
    batch = draw(generator)
    rgb, depth = batch.clean[:, 0, 0].chunk(2)
    assert torch.equal(rgb, -depth) and batch.clean.shape == (8000, 1, 4)
    kept = batch.text[0].flatten() > 0
    assert torch.equal(batch.text[0].flatten()[kept], rgb[kept] + 1)
    assert torch.bincount(rgb.int(), minlength=5).tolist() == pytest.approx([800] * 5, abs=120)
    assert batch.noise.std().item() == pytest.approx(1, abs=0.02) and abs(torch.corrcoef(batch.noise[:, 0].view(2, -1))[0, 1].item()) < 0.05
    generator.set_state(state)
    again = draw(generator)
    assert torch.equal(batch.noise, again.noise) and torch.equal(batch.sigma, again.sigma) and torch.equal(batch.text[0], again.text[0])


def test_processes_share_one_batch() -> None:
    """Three processes with two pairs each work on the six pairs of one process, with the same noise."""
    whole = Drawing(ManyPairs(50), 6)(torch.Generator().manual_seed(2))
    for rank in range(3):
        part = Drawing(ManyPairs(50), 2, rank=rank, count=3)(torch.Generator().manual_seed(2))
        expected = part_of(whole, slice(2 * rank, 2 * rank + 2), 6)
        assert all(torch.equal(getattr(part, name), getattr(expected, name)) for name in ("clean", "noise", "sigma"))
        assert torch.equal(part.text[0], expected.text[0])


def test_held_out_pairs_are_measured_with_the_same_noise() -> None:
    first, second = (held_out_batch(ManyPairs(9), [7, 8], torch.device("cpu")) for _ in range(2))
    assert torch.equal(first.noise, second.noise) and first.clean[:, 0, 0].tolist() == [7, 8, -7, -8] and first.text[1].flatten().tolist() == [8, 9]


# What learns


@pytest.fixture
def trained() -> Iterator[tuple[JointDiTPipeline, dict[str, nn.Parameter]]]:
    pipeline = tiny_pipeline()
    yield pipeline, make_trainable(pipeline.transformer, torch.float32)


def gradients(pipeline: JointDiTPipeline, parameters: dict[str, nn.Parameter], batch: Batch) -> dict[str, Tensor]:
    for parameter in parameters.values():
        parameter.grad = None
    joint_loss(pipeline.transformer, batch).backward()
    return {name: p.grad.clone() for name, p in parameters.items()}


def test_every_addon_learns_and_nothing_else(trained: tuple[JointDiTPipeline, dict[str, nn.Parameter]]) -> None:
    pipeline, parameters = trained
    found = gradients(pipeline, parameters, batch_of(pipeline, 2))
    # The text tokens of the last block go nowhere, but its keys and values are seen: every add-on has a part in the result.
    assert [name for name, grad in found.items() if not grad.abs().max() > 0] == []
    others = {name: p for name, p in pipeline.transformer.named_parameters() if name not in parameters}
    assert others and not any(p.requires_grad or p.grad is not None for p in others.values())


def test_gradient_checkpointing_changes_no_gradient(trained: tuple[JointDiTPipeline, dict[str, nn.Parameter]]) -> None:
    pipeline, parameters = trained
    batch = batch_of(pipeline, 2)
    plain = gradients(pipeline, parameters, batch)
    calls = []
    pipeline.transformer.transformer_blocks[0].register_forward_pre_hook(lambda *_: calls.append(1))
    pipeline.transformer.enable_gradient_checkpointing()
    again = gradients(pipeline, parameters, batch)
    assert len(calls) == 2, "the block runs again on the way back"
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def test_accumulated_batches_are_one_larger_batch(tmp_path: Path) -> None:
    """AdamW's first moment after one step is a tenth of the gradient."""
    moments = []
    for accumulation in (1, 2):
        pipeline = tiny_pipeline()
        parameters = make_trainable(pipeline.transformer, torch.float32)
        whole = batch_of(pipeline, 4)
        parts = iter([whole] if accumulation == 1 else [part_of(whole, slice(0, 2), 4), part_of(whole, slice(2, 4), 4)])
        schedule = loop.Schedule(1, 4 // accumulation, 1e-3, accumulation=accumulation, clip=math.inf)
        file = tmp_path / f"{accumulation}.pt"
        model = pipeline.transformer
        assert loop.train(parameters, lambda step, generator, m=model, p=parts: joint_loss(m, next(p)), schedule, file)
        moments.append([state["exp_avg"] for state in torch.load(file, weights_only=True)["optimizer"]["state"].values()])
    largest = max(m.abs().max().item() for m in moments[0])
    assert largest > 0 and all(torch.allclose(a, b, atol=1e-6 * largest, rtol=1e-4) for a, b in zip(*moments, strict=True))


def test_adafactor_takes_steps_of_the_learning_rate(tmp_path: Path) -> None:
    """Also from zero: what starts there would not learn at 1e-5 if steps were relative to the weights."""
    weight = nn.Parameter(torch.zeros(16, 8))
    schedule = loop.Schedule(1, 1, 1e-5, warmup=0, optimizer="adafactor", decay="constant", weight_decay=0.0)
    target = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    loop.train({"weight": weight}, lambda step, generator: (weight - target).square().sum(), schedule, tmp_path / "run.pt")
    assert weight.detach().square().mean().sqrt().item() == pytest.approx(1e-5, rel=0.3)


def test_bfloat16_addons_resume_with_the_optimizers_own_precision(tmp_path: Path) -> None:
    def steps(count: int, weight: nn.Parameter, file: Path, minutes: float | None = None) -> None:
        def loss(step: int, generator: torch.Generator) -> Tensor:
            return (weight.float() - torch.randn(weight.shape, generator=generator)).square().sum()

        schedule = loop.Schedule(count, 1, 3e-2, warmup=0, optimizer="adafactor", decay="constant")
        loop.train({"weight": weight}, loss, schedule, file, minutes=minutes)

    straight, pieces, again = (nn.Parameter(torch.ones(6, 5, dtype=torch.bfloat16)) for _ in range(3))
    steps(40, straight, tmp_path / "straight.pt")
    steps(40, pieces, tmp_path / "pieces.pt", minutes=0)
    steps(40, again, tmp_path / "pieces.pt")
    assert torch.equal(straight, again) and not torch.equal(straight, pieces)


def test_new_addons_change_nothing_and_have_the_asked_ranks() -> None:
    pipeline = tiny_pipeline()
    model, batch = pipeline.transformer, batch_of(pipeline, 1)
    new_addons(model, 1, torch.device("cpu"), torch.Generator().manual_seed(0))
    other = tiny_pipeline().transformer
    for parameter in other.addon_parameters().values():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        assert torch.equal(joint_loss(model, batch), joint_loss(other, batch))
    # Rank 1: 8 and 16 for the input stage, but no more than the narrower side of a layer, 12 pooled numbers or 24 of a token.
    assert (model.config.lora_rank, model.config.vector_lora_ranks, model.config.text_lora_rank) == (1, (8, 16), 16)
    new_addons(model, 4, torch.device("cpu"), torch.Generator().manual_seed(0))
    assert (model.config.lora_rank, model.config.vector_lora_ranks, model.config.text_lora_rank) == (4, (12, 32), 24)


def test_without_adaptive_weights_the_joint_connection_counts_in_full() -> None:
    assert adaptive_weights(torch.tensor([0.0, 0.3]), torch.tensor([0.0, 1.0]), form="none").tolist() == [1, 1, 1, 1]
    # Half the joint layers under weight 1 are what whole ones are under 1/2, the weight of two clean branches.
    pipelines = [tiny_pipeline(), tiny_pipeline()]
    pipelines[0].transformer.register_to_config(adaptive_form="none")
    with torch.no_grad():
        for name, p in pipelines[0].transformer.named_parameters():
            if ".to_joint." in name:
                p.mul_(0.5)
        batch = batch_of(pipelines[0], 2)
        clean = Batch(batch.clean, batch.noise, torch.zeros(4), batch.text, batch.grid)
        assert joint_loss(pipelines[0].transformer, clean).item() == pytest.approx(joint_loss(pipelines[1].transformer, clean).item(), rel=1e-5)


# Sheets


def test_a_sheet_shows_the_pairs_and_the_three_tasks() -> None:
    pipeline = tiny_pipeline()
    parameters = make_trainable(pipeline.transformer, torch.float32)
    before = {name: p.detach().clone() for name, p in parameters.items()}
    g = torch.Generator().manual_seed(0)
    image, disparity = torch.rand(2, 3, 32, 32, generator=g), torch.rand(2, 32, 32, generator=g)
    with torch.no_grad():
        rgb, depth = pipeline.encode_image(image), pipeline.encode_disparity(disparity)
        text, empty = pipeline.encode_prompt(["a", "b"]), pipeline.encode_prompt([" "])
    with at_rest(pipeline):
        picture, again = (sheet(pipeline, rgb, depth, text, empty, steps=2) for _ in range(2))
    assert picture.shape == (3, len(ROWS) * 32, 2 * 32) and torch.equal(picture, again) and picture.min() >= 0 and picture.max() <= 1
    rows = picture.view(3, len(ROWS), 32, 2, 32).permute(1, 3, 0, 2, 4)
    with torch.no_grad():
        assert torch.allclose(rows[0], pipeline.decode_image(rgb), atol=1e-6) and torch.allclose(rows[1, :, 0], pipeline.decode_disparity(depth), atol=1e-6)
        made = pipeline([" ", " "], image=image, num_inference_steps=2, output_type="pt", generator=[torch.Generator().manual_seed(i) for i in range(2)])
    assert torch.allclose(rows[4, :, 0], made.disparity, atol=1e-5), "the depth of an image is what the pipeline finds"
    assert all(torch.equal(before[name], p) and p.requires_grad for name, p in parameters.items())


def test_packing_is_the_pipelines() -> None:
    """The training sees tokens in the order in which the pipeline samples them."""
    latents = torch.arange(16.0).view(1, 1, 4, 4)
    assert pack(latents)[0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
