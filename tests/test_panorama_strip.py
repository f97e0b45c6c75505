# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoising of strips and of wrapped spheres, against a plain reimplementation, with samplers whose velocities are known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from jointdit.latents import pack, unpack
from jointdit.panorama.strip import denoise_strip, window_weight
from jointdit.panorama.wrapped import denoise_wrapped, wrapped_position_ids
from tiny import tiny_pipeline
from torch import Tensor

STEPS = 5
SIGMAS = torch.tensor([1.0, 0.9, 0.7, 0.45, 0.2, 0.0])


class KnownSampler:
    """Velocity = `field` of the place in the window, and a share of the latents; it keeps what it was asked."""

    def __init__(self, share: float, field: bool) -> None:
        self.sigmas, self.task, self.share, self.field = SIGMAS, "joint", share, field
        self.asked: list[tuple[int, int, tuple[int, int]]] = []

    def rotary(self, ids: Tensor) -> Tensor:
        return ids

    def velocity(self, latents: Tensor, step: int, prompts: Sequence[int], rotary: Tensor | None = None) -> Tensor:
        tokens = latents.shape[1]
        rows = int(rotary[:, 1].max()) + 1 if rotary is not None else round(tokens**0.5)
        columns = tokens // rows
        self.asked.append((step, len(latents) // 2, (rows, columns)))
        maps = unpack(latents, rows, columns)
        place = torch.arange(2.0 * columns) * (columns if self.field else 0)
        return pack(self.share * maps + place)


def plain_strip(canvas: np.ndarray, share: float, field: bool, offsets: Sequence[int]) -> np.ndarray:
    """The same in float64, column by column, from the description in shared facts: windows of the height, half a window apart, ramps of 8 latents."""
    height, width = canvas.shape[-2:]
    ramp = min(8, height // 2)
    window = np.array([min(1.0, (min(x, height - 1 - x) + 0.5) / ramp) for x in range(height)])
    for step, offset in enumerate(offsets):
        total, weights = np.zeros_like(canvas), np.zeros(width)
        views = [(start + offset, height, window) for start in range(0, width, height // 2)]
        if step < 0.4 * STEPS:
            views.append((offset, width, np.full(width, 5.0)))
        for start, size, weight in views:
            for x in range(size):
                column = (start + x) % width
                velocity = share * canvas[..., column] + (x * (size // 2) if field else 0)
                total[..., column] += weight[x] * velocity
                weights[column] += weight[x]
        canvas = canvas + float(SIGMAS[step + 1] - SIGMAS[step]) * total / weights
    return canvas


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_a_strip_is_what_the_method_says(batch: int) -> None:
    canvas = torch.randn(2, 3, 8, 32, generator=torch.Generator().manual_seed(0))
    sampler = KnownSampler(0.7, field=True)
    generator = torch.Generator().manual_seed(5)
    made = denoise_strip(sampler, canvas, batch, generator)
    again = torch.Generator().manual_seed(5)
    offsets = [2 * int(torch.randint(16, (), generator=again)) for _ in range(STEPS)]
    assert max(offsets) >= 8  # farther than half a window
    # The fields of windows that are not at a border differ, so every weight and every offset counts.
    np.testing.assert_allclose(made.numpy(), plain_strip(canvas.double().numpy(), 0.7, True, offsets), atol=1e-4)
    wholes = [step for step, _, grid in sampler.asked if grid == (4, 16)]
    assert wholes == [0, 1]
    sizes = [count for step, count, grid in sampler.asked if grid == (4, 4) and step == 0]
    assert sum(sizes) == 8 and max(sizes) <= batch and max(sizes) - min(sizes) <= 1


def test_windows_that_agree_take_plain_steps() -> None:
    canvas = torch.randn(2, 3, 16, 64, generator=torch.Generator().manual_seed(0))
    made = denoise_strip(KnownSampler(0.5, field=False), canvas, 4, torch.Generator())
    factor = np.prod([1 + 0.5 * float(b - a) for a, b in pairwise(SIGMAS)])
    assert torch.allclose(made, factor * canvas, atol=1e-5)


def test_the_weight_of_a_window_ramps_over_eight_latents() -> None:
    weight = window_weight(64)
    assert torch.allclose(weight[:8], (torch.arange(8) + 0.5) / 8)
    assert (weight[8:56] == 1).all() and torch.equal(weight, weight.flip(0))
    assert window_weight(8).max() <= 1 and window_weight(8).min() > 0


def test_a_wrapped_sphere_takes_plain_steps_and_copies_positions() -> None:
    canvas = torch.randn(2, 3, 8, 16, generator=torch.Generator().manual_seed(0))
    made = denoise_wrapped(KnownSampler(0.5, field=False), canvas, torch.Generator())
    factor = np.prod([1 + 0.5 * float(b - a) for a, b in pairwise(SIGMAS)])
    assert torch.allclose(made, factor * canvas, atol=1e-5)
    ids = wrapped_position_ids(2, 4).view(2, 6, 3)
    assert ids[0, :, 2].tolist() == [3, 0, 1, 2, 3, 0] and ids[:, 0, 1].tolist() == [0, 1]


def test_the_padding_of_a_wrapped_sphere_shows_the_other_side() -> None:
    seen = []

    class Looking(KnownSampler):
        def velocity(self, latents: Tensor, step: int, prompts: Sequence[int], rotary: Tensor | None = None) -> Tensor:
            seen.append(unpack(latents, 4, 10))
            return torch.zeros_like(latents)

    canvas = torch.randn(2, 3, 8, 16, generator=torch.Generator().manual_seed(0))
    denoise_wrapped(Looking(0, False), canvas, torch.Generator().manual_seed(1))
    for maps in seen:
        assert torch.equal(maps[..., :2], maps[..., -4:-2]) and torch.equal(maps[..., -2:], maps[..., 2:4])
    assert len({tuple(maps[0, 0, 0].tolist()) for maps in seen}) > 1  # it turns


@torch.no_grad()
@pytest.mark.parametrize("embedded_guidance", [True, False])
def test_a_sampler_gives_pairs_in_any_order_with_any_prompts(embedded_guidance: bool) -> None:
    pipeline = tiny_pipeline(guidance_embeds=embedded_guidance)
    prompts = ["a red cube", "a house by the sea", "a green meadow"]
    text, unguided = pipeline.guided_text(prompts, "", 2.0)
    assert (unguided is None) == embedded_guidance
    latents = torch.randn(6, 4, 16, generator=torch.Generator().manual_seed(0))
    together = pipeline.sampler(text, (2, 2), 4, 2.0, "joint", unguided).velocity(latents, 1)
    sampler = pipeline.sampler(text, (2, 2), 4, 2.0, "joint", unguided)
    order = [2, 0, 0, 1]
    picked = torch.cat([half[order] for half in latents.chunk(2)])
    several = sampler.velocity(picked, 1, order)
    assert torch.allclose(several, torch.cat([half[order] for half in together.chunk(2)]), atol=1e-5)
    assert not torch.allclose(several[0], sampler.velocity(picked, 1, [0, 0, 0, 1])[0], atol=1e-4)
