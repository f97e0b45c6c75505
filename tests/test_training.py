# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: the noise levels are the paper's, runs resume bit for bit, the autoencoder starts at the best linear code."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from jointdit.autoencoder import PatchAutoencoder
from jointdit.procedural import render
from jointdit.training.flow import CLEAN_SHIFT, NOISY_SHIFT, add_noise, shifted_logit_normal, unbalanced_sigmas, velocity_loss
from jointdit.training.loop import Schedule, train
from jointdit.training.text import learn_tokenizer
from torch import nn


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


def test_noise_and_target_agree_with_the_sampler() -> None:
    """One Euler step from any sigma to 0 along the exact velocity gives the clean sample."""
    clean, noise, sigma = torch.randn(4, 3, 5), torch.randn(4, 3, 5), torch.tensor([0.0, 0.3, 0.7, 1.0])
    noisy = add_noise(clean, noise, sigma)
    assert torch.allclose(noisy - sigma.view(-1, 1, 1) * (noise - clean), clean, atol=1e-6)
    assert velocity_loss(noise - clean, clean, noise).item() == 0
    assert velocity_loss(noise - clean + 2, clean, noise).item() == pytest.approx(4)


def test_stopped_and_resumed_is_the_same_as_straight_through(tmp_path: Path) -> None:
    schedule = Schedule(steps=30, batch=4, learning_rate=1e-2, warmup=5)

    def fresh() -> nn.Linear:
        torch.manual_seed(0)
        return nn.Linear(3, 2)

    def loss_of(model: nn.Module, stop_at: int | None = None):
        def loss(step: int, g: torch.Generator) -> torch.Tensor:
            if step == stop_at:
                raise KeyboardInterrupt
            return model(torch.randn(schedule.batch, 3, generator=g)).square().sum()

        return loss

    straight = fresh()
    assert train(dict(straight.named_parameters()), loss_of(straight), schedule, tmp_path / "straight.pt")
    first = fresh()
    finished = train(dict(first.named_parameters()), loss_of(first), schedule, tmp_path / "pieces.pt", minutes=0)
    assert not finished
    pieces = fresh()
    assert train(dict(pieces.named_parameters()), loss_of(pieces), schedule, tmp_path / "pieces.pt")
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), pieces.parameters(), strict=True))


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    schedule = Schedule(steps=1000, batch=1, learning_rate=1.0, warmup=100)
    assert schedule.rate(0) == pytest.approx(0.01)
    assert schedule.rate(99) == pytest.approx(1.0)
    assert schedule.rate(550) == pytest.approx(0.5)
    assert schedule.rate(1000) == pytest.approx(0)


def test_tokenizer_knows_no_unknown_text() -> None:
    tokenizer = learn_tokenizer(["a red cube", "a blue ball"], length=8, vocabulary=300)
    for text in ("a red cube", "日本語 🏔", "Ünïcode"):
        ids = tokenizer(text).input_ids
        assert ids[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text.lower()


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
