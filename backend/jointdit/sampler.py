# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Velocities of pictures at the steps of one noise schedule: what single frames, strips and spheres all ask of the model.

Everything that does not depend on the pictures is computed once. Sigma is 1 for noise and 0 for clean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from .latents import image_position_ids
from .prepared import WANTED, Prepared, prepare, velocity
from .transformer import JointDiTTransformer2DModel

HELD = {"joint": (1.0, 1.0), "image_to_depth": (0.0, 1.0), "depth_to_image": (1.0, 0.0)}
"""Shares of the schedule's noise level in the RGB and the depth branch of each task."""

GUIDED_DEPTH = 0.25
"""How much of classifier-free guidance the depth of a joint pair gets. With all of it (guidance 4) disparities of the embedded model differed by 12.9 % from
those of their own pictures, with none by 7.5 %, but then things stand out little from what is behind them; with a quarter (of 5) by 10.0 %."""


class Sampler:
    """The model with its prompts and its noise schedule.

    `sigmas` (S + 1,) go from 1 to 0. `text` are token states (N, T, D) and pooled vectors (N, P) of N prompts, `unguided` the same for
    classifier-free guidance of strength `guidance`; a model that embeds its guidance gets `guidance` as it is. `grid`: rows and columns of patches.
    The depth of a joint pair is guided `GUIDED_DEPTH` times as much, and the depth of a known picture not at all: it belongs to this picture, not to what
    the prompt would rather have.
    """

    def __init__(
        self,
        model: JointDiTTransformer2DModel,
        text: tuple[Tensor, Tensor],
        unguided: tuple[Tensor, Tensor] | None,
        sigmas: Tensor,
        guidance: float,
        grid: tuple[int, int],
        task: str = "joint",
        visit: Callable[[nn.Module], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.model, self.sigmas, self.task = model, sigmas, task
        unguided = None if task == "image_to_depth" else unguided
        self._visit, self._guidance = visit, guidance if unguided else None
        tokens, pooled = (torch.cat(pair) for pair in zip(text, unguided, strict=True)) if unguided else text
        self._prompts, self._text_tokens = len(text[0]), tokens.shape[1]
        levels = sigmas[:-1, None].cpu() * torch.tensor(HELD[task]).repeat_interleave(len(tokens))
        guidances = torch.full((2 * len(tokens),), guidance, device=tokens.device) if model.config.guidance_embeds else None
        self._prepared = prepare(
            model, tokens.repeat(2, 1, 1), pooled.repeat(2, 1), levels.to(tokens.device), image_position_ids(*grid, tokens.device),
            torch.zeros(self._text_tokens, 3, device=tokens.device), guidances, WANTED[task],
        )  # fmt: skip
        if model.is_cache_enabled:
            model._reset_stateful_cache()  # a run that was stopped may have left steps of another picture

    def rotary(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The tables for patches at other places than the grid's: ids (L, 3) of (0, row, column)."""
        return self.model.pos_embed(torch.cat([torch.zeros(self._text_tokens, 3, device=ids.device), ids]))

    def velocity(
        self, latents: Tensor, step: int, prompts: Sequence[int] | None = None, rotary: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Velocity (2N, L, C) in float32 of packed latents (2N, L, C) at one step, RGB first; zero for a branch that is held.

        `prompts` tells which prompt each of the N pairs has; without it there is one for each, in order. `rotary` as from `rotary`.
        """
        prepared = self._prepared if rotary is None else replace(self._prepared, rotary=rotary)
        if prompts is not None:
            prepared, step = _picked(prepared, step, self._samples(prompts)), 0
        branches = latents.chunk(2) if self._guidance is None else [branch.repeat(2, 1, 1) for branch in latents.chunk(2)]
        made = velocity(self.model, torch.cat(branches).to(self.model.dtype), prepared, step, self._visit).float()
        parts = made.chunk(2 if prepared.wanted == "both" else 1)
        if self._guidance is not None:
            strengths = [self._guidance, 1 + GUIDED_DEPTH * (self._guidance - 1)]  # RGB first: where one branch is wanted here, it is RGB
            pairs = [part.chunk(2) for part in parts]
            parts = [free + strength * (guided - free) for (guided, free), strength in zip(pairs, strengths, strict=False)]
        held = torch.zeros_like(parts[0])
        return torch.cat({"both": parts, "rgb": [*parts, held], "depth": [held, *parts]}[prepared.wanted])

    def _samples(self, prompts: Sequence[int]) -> list[int]:
        """Where the samples of these prompts are among the prepared ones: of the RGB branch (guided, unguided), then of the depth branch."""
        starts = range(0, 2 * self._prompts * (1 if self._guidance is None else 2), self._prompts)
        return [start + prompt for start in starts for prompt in prompts]


def _picked(prepared: Prepared, step: int, samples: list[int]) -> Prepared:
    """One step of some samples, which may come several times."""
    weights = prepared.joint_weights
    return replace(
        prepared,
        text=prepared.text[samples],
        modulations=tuple(modulation[step : step + 1, samples] for modulation in prepared.modulations),
        output_modulation=prepared.output_modulation[step : step + 1, samples],
        joint_weights=weights if isinstance(weights, tuple) else weights[step : step + 1, samples],
    )


def even_batches(count: int, most: int) -> list[tuple[int, int]]:
    """(first, past) of batches of at most so many, as even as they can be: compiled blocks are made for each size that comes."""
    number = -(-count // most)
    return [(count * index // number, count * (index + 1) // number) for index in range(number)]
