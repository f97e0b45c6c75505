# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: the noise levels are the paper's, runs resume bit for bit, the autoencoder starts at the best linear code."""

from __future__ import annotations

import _thread
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from jointdit.autoencoder import PatchAutoencoder
from jointdit.errors import CheckpointError, TrainingError
from jointdit.procedural import render
from jointdit.procedural.render import draw
from jointdit.procedural.sampling import sample
from jointdit.training.flow import CLEAN_SHIFT, NOISY_SHIFT, add_noise, estimating_sigmas, shifted_logit_normal, unbalanced_sigmas, velocity_loss
from jointdit.training.loop import Average, Schedule, train
from jointdit.training.thinking import DEPTH_MAP, WORDINGS, thought_up, wordings
from torch import nn

KINDS = ({}, {"optimizer": "adafactor", "decay": "constant", "average": 0.0}, {"optimizer": "muon"}, {"accumulation": 3, "average": 0.9})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shift", [NOISY_SHIFT, CLEAN_SHIFT, 1.0])
def test_sigmas_have_the_papers_distribution(shift: float) -> None:
    """P(sigma < s) in closed form: sigma < s where u < s / (shift - (shift - 1) s), and u = sigmoid(N(0, 1))."""
    sigma = shifted_logit_normal(200_000, shift, generator())
    for s in (0.1, 0.3, 0.5, 0.8):
        u = s / (shift - (shift - 1) * s)
        expected = 0.5 * (1 + math.erf(math.log(u / (1 - u)) / math.sqrt(2)))
        assert (sigma < s).float().mean().item() == pytest.approx(expected, abs=0.005)


def test_unbalanced_sampling_has_its_three_cases() -> None:
    rgb, depth = unbalanced_sigmas(200_000, generator())
    shared, rgb_noisier = rgb == depth, rgb > depth
    assert shared.float().mean().item() == pytest.approx(0.5, abs=0.005)
    # Where the two differ they are independent draws of f and g, and each order comes equally often.
    f, g = shifted_logit_normal(200_000, NOISY_SHIFT, generator(1)), shifted_logit_normal(200_000, CLEAN_SHIFT, generator(2))
    assert rgb.mean().item() == pytest.approx((0.75 * f.mean() + 0.25 * g.mean()).item(), abs=0.005)
    assert depth.mean().item() == pytest.approx((0.75 * f.mean() + 0.25 * g.mean()).item(), abs=0.005)
    assert (rgb_noisier & ~shared).float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_half_of_what_an_estimator_learns_from_is_as_it_is_asked() -> None:
    """A clean picture, and depth that is all noise in three of ten, else from f. The other half is the joint stage's."""
    rgb, depth, estimated = estimating_sigmas(200_000, generator())
    assert estimated.float().mean().item() == pytest.approx(0.5, abs=0.005)
    assert torch.all(rgb[estimated] == 0) and not torch.any(rgb[~estimated] == 0)
    begun = depth[estimated] == 1
    assert begun.float().mean().item() == pytest.approx(0.3, abs=0.005)
    f = shifted_logit_normal(200_000, NOISY_SHIFT, generator(1))
    assert depth[estimated][~begun].mean().item() == pytest.approx(f.mean().item(), abs=0.005)
    assert (rgb == depth)[~estimated].float().mean().item() == pytest.approx(0.5, abs=0.005)


def test_noise_and_target_agree_with_the_sampler() -> None:
    """One Euler step from any sigma to 0 along the exact velocity gives the clean sample."""
    clean, noise, sigma = torch.randn(4, 3, 5), torch.randn(4, 3, 5), torch.tensor([0.0, 0.3, 0.7, 1.0])
    noisy = add_noise(clean, noise, sigma)
    assert torch.allclose(noisy - sigma.view(-1, 1, 1) * (noise - clean), clean, atol=1e-6)
    assert velocity_loss(noise - clean, clean, noise).item() == 0
    assert velocity_loss(noise - clean + 2, clean, noise).item() == pytest.approx(4)


def fresh() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def squares(model: nn.Module, schedule: Schedule, stop_at: int | None = None):
    """A loss of random inputs, which presses Ctrl+C at one step."""

    def loss(step: int, g: torch.Generator) -> torch.Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        return model(torch.randn(schedule.batch, 3, generator=g)).square().sum(1).mean()

    return loss


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_and_resumed_is_the_same_as_straight_through(tmp_path: Path, kind: dict) -> None:
    """Once out of time, once by Ctrl+C: bit for bit."""
    schedule = Schedule(steps=30, batch=4, learning_rate=1e-2, warmup=5, **kind)

    def parameters(model: nn.Linear) -> dict[str, nn.Parameter]:
        return {f"blocks.{name}": p for name, p in model.named_parameters()}  # where "muon" takes matrices

    straight = fresh()
    assert train(parameters(straight), squares(straight, schedule), schedule, tmp_path / "straight.pt")
    first = fresh()
    assert not train(parameters(first), squares(first, schedule), schedule, tmp_path / "pieces.pt", minutes=0)
    second = fresh()
    with pytest.raises(KeyboardInterrupt):
        train(parameters(second), squares(second, schedule, stop_at=17), schedule, tmp_path / "pieces.pt")
    third = fresh()
    assert train(parameters(third), squares(third, schedule), schedule, tmp_path / "pieces.pt")
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), third.parameters(), strict=True))
    assert not torch.equal(straight.weight, fresh().weight) and not list(tmp_path.glob("*.tmp"))


def test_muon_steps_of_matrices_in_blocks_are_orthogonal(tmp_path: Path) -> None:
    """All singular values about alike, and as long as AdamW's steps; embeddings and vectors are AdamW's, whose first step has signs alone."""
    torch.manual_seed(0)
    shapes = {"blocks.0.attn.to_q.weight": (24, 8), "blocks.0.attn.to_q.bias": (24,), "x_embedder.weight": (24, 8)}
    weights = {name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    targets = {name: torch.randn(shape) for name, shape in shapes.items()}
    schedule = Schedule(1, 1, 1e-2, warmup=0, weight_decay=0.0, optimizer="muon", average=0.0, clip=math.inf)
    train(weights, lambda *_: sum((weights[name] - targets[name]).square().sum() for name in shapes), schedule, tmp_path / "run.pt")
    for name, weight in weights.items():
        step = weight.detach()
        if name == "blocks.0.attn.to_q.weight":
            lengths = torch.linalg.svdvals(step) / (0.2 * 24**0.5 * schedule.learning_rate)  # arXiv 2502.16982, equation 4
            assert lengths.min() > 0.6 and lengths.max() < 1.3
        else:
            assert torch.allclose(step, targets[name].sign() * schedule.learning_rate, rtol=1e-3)


@pytest.mark.parametrize("bad", [0, 7, 150])
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(tmp_path: Path, bad: int) -> None:
    model = fresh()
    schedule = Schedule(steps=400, batch=4, learning_rate=1e-3, warmup=0)
    train(dict(model.named_parameters()), squares(model, schedule), replace(schedule, steps=1), tmp_path / "nan.pt")
    before = (tmp_path / "nan.pt").read_bytes()

    def loss(step: int, g: torch.Generator) -> torch.Tensor:
        return squares(model, schedule)(step, g) * (float("nan") if step == 1 + bad else 1.0)

    with pytest.raises(TrainingError, match="no number"):
        train(dict(model.named_parameters()), loss, schedule, tmp_path / "nan.pt")
    assert (tmp_path / "nan.pt").read_bytes() == before


class NoGradient(torch.autograd.Function):
    """A number whose derivative is none."""

    @staticmethod
    def forward(_context: object, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(_context: object, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * float("nan")


@pytest.mark.parametrize("bad", ["loss", "gradient"])
@pytest.mark.parametrize("way", ["minutes", "interrupt", "due"])
def test_weights_that_are_no_numbers_are_never_saved(tmp_path: Path, bad: str, way: str) -> None:
    """Step 4 of a piece goes wrong, where nobody looks at the loss otherwise, and then the piece is over."""
    model, file = fresh(), tmp_path / "nan.pt"
    schedule = Schedule(steps=400, batch=4, learning_rate=1e-3, warmup=0)
    train(dict(model.named_parameters()), squares(model, schedule), replace(schedule, steps=1), file)
    before = file.read_bytes()
    seconds = 0.4

    def loss(step: int, g: torch.Generator) -> torch.Tensor:
        value = squares(model, schedule)(step, g)
        if step < 4:
            return value
        if way == "interrupt":
            _thread.interrupt_main()
        else:
            time.sleep(1.5 * seconds)
        return value * float("nan") if bad == "loss" else NoGradient.apply(value)

    times = {"minutes": {"minutes": seconds / 60}, "interrupt": {}, "due": {"every_minutes": seconds / 60}}[way]
    with pytest.raises((TrainingError, KeyboardInterrupt)) as raised:
        train(dict(model.named_parameters()), loss, schedule, file, **times)
    assert "before step 5 of nan; nothing was saved" in str(raised.value)
    assert file.read_bytes() == before


class Pair:
    """Two processes, of which this is the first; the other one's answers are given."""

    rank, count = 0, 2

    def __init__(self, others: list[bool]) -> None:
        self.others = iter(others)

    def reduce(self, gradients: object) -> None:
        """All have the same."""

    def any(self, flag: bool) -> bool:
        return flag | next(self.others)


def test_all_processes_stop_where_one_has_no_number(tmp_path: Path) -> None:
    model, schedule = fresh(), Schedule(steps=400, batch=4, learning_rate=1e-3, warmup=0)
    with pytest.raises(TrainingError, match="before step 3"):
        train(dict(model.named_parameters()), squares(model, schedule), schedule, tmp_path / "two.pt", ranks=Pair([False, False, True, True]))
    assert not (tmp_path / "two.pt").exists()
    assert not train(dict(model.named_parameters()), squares(model, schedule), schedule, tmp_path / "two.pt", ranks=Pair([False, True, False]))
    assert torch.load(tmp_path / "two.pt", weights_only=True)["step"] == 2


@pytest.mark.parametrize("how", ["cut off", "other shapes", "something else"])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_a_sentence(tmp_path: Path, how: str) -> None:
    schedule, file = Schedule(steps=1, batch=4, learning_rate=1e-3, warmup=0), tmp_path / "x.pt"
    model = fresh() if how != "other shapes" else nn.Linear(3, 1)
    train(dict(model.named_parameters()), squares(model, schedule), schedule, file)
    if how == "cut off":
        file.write_bytes(file.read_bytes()[:-700])
    if how == "something else":
        torch.save([1, 2], file)
    with pytest.raises(CheckpointError, match=r"x\.pt is no whole checkpoint of this training.*Remove it, or resume an earlier one"):
        train(dict(fresh().named_parameters()), squares(fresh(), schedule), schedule, file)


def test_averages_of_bfloat16_weights_are_not_rounded(tmp_path: Path) -> None:
    """The weight goes from 1 to 2 at once, and its average follows by thousandths, each less than half the last digit of a bfloat16."""
    weight, decay = nn.Parameter(torch.ones(3, dtype=torch.bfloat16)), 0.999
    average = Average({"w": weight}, decay)
    weight.data.fill_(2)
    for _ in range(40):
        average.update({"w": weight}, 10_000)
    assert average.values["w"].dtype == torch.float32
    assert torch.allclose(average.values["w"], torch.full((3,), 2 - decay**40), atol=1e-6)
    with average.in_place({"w": weight}):
        assert weight.dtype == torch.bfloat16 and torch.equal(weight, torch.full((3,), 2 - decay**40).bfloat16())
    assert torch.equal(weight, torch.full_like(weight, 2))


def test_averages_of_bfloat16_weights_resume_exactly(tmp_path: Path) -> None:
    schedule = Schedule(steps=20, batch=4, learning_rate=3e-2, warmup=0, average=0.9)
    wide = {"straight": fresh().bfloat16(), "first": fresh().bfloat16(), "second": fresh().bfloat16()}

    def piece(name: str, file: str, minutes: float | None = None) -> None:
        model = wide[name]
        loss = lambda step, g: model(torch.randn(4, 3, generator=g).bfloat16()).square().mean()  # noqa: E731
        train(dict(model.named_parameters()), loss, schedule, tmp_path / file, minutes=minutes)

    piece("straight", "a.pt")
    piece("first", "b.pt", minutes=0)
    piece("second", "b.pt")
    a, b = (torch.load(tmp_path / name, weights_only=True)["average"] for name in ("a.pt", "b.pt"))
    assert all(torch.equal(a[name], b[name]) and a[name].dtype == torch.float32 for name in a)


def test_scenes_thought_up_elsewhere_are_all_there_in_order() -> None:
    """More chunks than wait at once; each is what this process makes of its seeds."""
    chunks = list(thought_up(range(35), 4, 2))
    assert [len(chunk.words) for chunk in chunks] == [4] * 8 + [3]
    words = [scene for chunk in chunks for scene in chunk.words]
    assert words == [wordings(seed, sample(seed)) for seed in range(35)]
    assert all(len(scene) == WORDINGS + 1 and scene[-1] == DEPTH_MAP + scene[0] for scene in words)
    assert torch.equal(draw(chunks[2].prepared, 16).image, render(range(8, 12), 16).image)


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    """Two batches of four give the step of one batch of eight, in float64."""
    whole, parts = fresh().double(), fresh().double()
    data = torch.randn(8, 3, dtype=torch.float64, generator=generator(5))
    one = Schedule(steps=1, batch=8, learning_rate=1e-2, warmup=0, average=0.0)
    calls = iter((data[:4], data[4:]))
    train(dict(whole.named_parameters()), lambda step, g: whole(data).square().sum(1).mean(), one, tmp_path / "a.pt")
    two = Schedule(steps=1, batch=4, learning_rate=1e-2, warmup=0, average=0.0, accumulation=2)
    train(dict(parts.named_parameters()), lambda step, g: parts(next(calls)).square().sum(1).mean(), two, tmp_path / "b.pt")
    assert torch.allclose(whole.weight, parts.weight, atol=1e-12)


def test_some_parameters_learn_slower(tmp_path: Path) -> None:
    """The first step of Adam is the learning rate in each coordinate, whatever the gradient."""
    model = nn.ModuleDict({"slow": fresh(), "quick": fresh()})
    schedule = Schedule(steps=1, batch=4, learning_rate=1e-2, warmup=0, average=0.0, weight_decay=0.0)

    def loss(step: int, g: torch.Generator) -> torch.Tensor:
        x = torch.randn(4, 3, generator=g)
        return sum(part(x).square().sum() for part in model.values())

    train(dict(model.named_parameters()), loss, schedule, tmp_path / "c.pt", rates={"slow.": 0.2})
    moved = {name: (part.weight - fresh().weight).abs().mean().item() for name, part in model.items()}
    assert moved["quick"] == pytest.approx(1e-2, rel=1e-3) and moved["slow"] == pytest.approx(2e-3, rel=1e-3)


def test_the_average_is_in_the_model_at_the_end_and_while_looking(tmp_path: Path) -> None:
    """Against the recursion, by hand."""
    model, seen = fresh(), []
    schedule = Schedule(steps=12, batch=4, learning_rate=1e-1, warmup=0, average=0.7)
    expected = model.weight.detach().clone()

    def loss(step: int, g: torch.Generator) -> torch.Tensor:
        if step > 0:
            decay = min(0.7, step / (9 + step))
            expected.mul_(decay).add_((1 - decay) * model.weight.detach())
        return model(torch.randn(4, 3, generator=g)).square().sum()

    look = lambda step: seen.append((step, model.weight.detach().clone()))  # noqa: E731
    train(dict(model.named_parameters()), loss, schedule, tmp_path / "d.pt", every_minutes=0, on_checkpoint=look)
    assert [step for step, _ in seen] == list(range(1, 13)) and torch.equal(seen[-1][1], model.weight)
    raw = torch.load(tmp_path / "d.pt", weights_only=True)["parameters"]["weight"]
    expected.mul_(12 / 21 if 12 / 21 < 0.7 else 0.7).add_((1 - min(0.7, 12 / 21)) * raw)
    assert torch.allclose(model.weight, expected, atol=1e-6) and not torch.equal(model.weight, raw)


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    schedule = Schedule(steps=1000, batch=1, learning_rate=1.0, warmup=100)
    assert schedule.rate(0) == pytest.approx(0.01)
    assert schedule.rate(99) == pytest.approx(1.0)
    assert schedule.rate(550) == pytest.approx(0.5)
    assert schedule.rate(1000) == pytest.approx(0)


def test_autoencoder_starts_at_the_best_linear_code() -> None:
    """Before any training its error is that of the 16 first principal components, computed here by an SVD in float64."""
    scenes = render(range(4), 64)
    x = 2 * scenes.image - 1
    patches = torch.nn.functional.pixel_unshuffle(x, 8).movedim(1, -1).reshape(-1, 192)
    vae = PatchAutoencoder()
    vae.start_from(patches)
    with torch.no_grad():
        z = vae.encode(x).latent_dist.mode()
        y = vae.decode(z).sample
    assert z.shape == (4, 16, 8, 8)
    centred = (patches - patches.mean(0)).double()
    residual = torch.linalg.svdvals(centred)[16:].square().sum() / x.numel()
    assert (y - x).square().mean().item() == pytest.approx(residual.item(), rel=1e-3)
    assert z.square().mean().item() == pytest.approx(1, rel=0.05)


def test_training_leaves_arithmetic_as_it_was(tmp_path: Path) -> None:
    """Subnormal numbers are flushed to zero only while it trains, and the fused kernels of attention are back afterwards."""
    kernels = torch.backends.cuda
    settings = lambda: (kernels.cudnn_sdp_enabled(), kernels.flash_sdp_enabled(), kernels.fp16_bf16_reduction_math_sdp_allowed())  # noqa: E731
    model, before = fresh(), settings()
    schedule = Schedule(steps=1, batch=4, learning_rate=1e-3, warmup=0)
    flushed: list[float] = []

    def loss(step: int, g: torch.Generator) -> torch.Tensor:
        flushed.append((torch.tensor([1e-40]) * 1.0).item())
        assert settings() == (False, False, True)
        return squares(model, schedule)(step, g)

    train(dict(model.named_parameters()), loss, schedule, tmp_path / "e.pt")
    assert flushed == [0.0] and (torch.tensor([1e-40]) * 1.0).item() > 0
    assert settings() == before
