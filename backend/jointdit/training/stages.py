# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two stages of a small JointDiT: a FLUX-like base learnt from scratch on images, then the paper's stage on the frozen base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn

from ..latents import image_position_ids, pack
from ..prompt_encoder import PromptEncoder
from ..transformer import JointDiTTransformer2DModel
from .data import Latents
from .flow import add_noise, estimating_sigmas, shifted_logit_normal, unbalanced_sigmas, velocity_loss
from .joint import Batch, joint_loss
from .loop import Schedule, train
from .thinking import WORDINGS

PROMPT_DROP = 0.1
DEPTH_SHARE = 0.2  # of what the base sees: FLUX, too, has met depth maps among its images
BASE_SHIFT = 1.65  # exp(0.5): FLUX's schedule for pictures of few tokens
WORDLESS = 0.75  # share of estimates that are learned without the picture's caption
TEXT_RATE = 0.2  # the pretrained text layers learn so much slower than the rest


@dataclass(frozen=True)
class Work:
    """Where a stage works: its checkpoint, its device, how long at most, and what is told meanwhile.

    `compiled` compiles the blocks: slow first, then faster.
    """

    checkpoint: Path
    device: torch.device
    minutes: float | None = None
    compiled: bool = False
    on_checkpoint: Callable[[int], None] | None = None
    journal: Any = None

    def train(self, parameters: dict[str, nn.Parameter], loss: Callable[[int, torch.Generator], Tensor], schedule: Schedule, **options: Any) -> bool:
        """`loop.train` here."""
        return train(
            parameters, loss, schedule, self.checkpoint,
            minutes=self.minutes, on_checkpoint=self.on_checkpoint, device=self.device, journal=self.journal, **options,
        )  # fmt: skip


def new_base(text: PromptEncoder, layers: int, single_layers: int, heads: int, head_dim: int, rope: tuple[int, int, int]) -> FluxTransformer2DModel:
    """A small FLUX without guidance embedding; modulations and the output start at zero, so that training starts calm."""
    width = text.config.hidden_size
    model = FluxTransformer2DModel(
        in_channels=64, num_layers=layers, num_single_layers=single_layers, attention_head_dim=head_dim, num_attention_heads=heads,
        joint_attention_dim=width, pooled_projection_dim=width, guidance_embeds=False, axes_dims_rope=rope,
    )  # fmt: skip
    for name, parameter in model.named_parameters():
        if name.startswith("proj_out.") or "norm_out.linear" in name or ("norm" in name and ".linear." in name):
            nn.init.zeros_(parameter)
    return model


def captions_of(latents: Latents, chosen: Tensor, empty: Tensor, generator: torch.Generator, depth: Tensor | None = None) -> Tensor:
    """Token ids (n, T) of the chosen samples, each in one of its wordings; some are dropped, which leaves the empty prompt's (T,).

    Where `depth` (n,) is true the caption is that of the disparity.
    """
    count, device = len(chosen), generator.device
    wording = torch.randint(WORDINGS, (count,), generator=generator, device=device)
    wording = wording if depth is None else torch.where(depth, WORDINGS, wording)
    dropped = torch.rand(count, generator=generator, device=device) < PROMPT_DROP
    return torch.where(dropped[:, None], empty, latents.ids[chosen, wording])


def train_base(model: FluxTransformer2DModel, text: PromptEncoder, empty: Tensor, latents: Latents, schedule: Schedule, work: Work) -> bool:
    """Base stage: flow matching of single pictures, some of them disparities that are called so; the trainable layers of the text encoder learn with it.

    Returns whether it is finished.
    """
    ids = _position_ids(latents)
    parameters = {f"transformer.{n}": p for n, p in model.named_parameters()} | {f"text.{n}": p for n, p in text.named_parameters() if p.requires_grad}
    if work.compiled:
        _compile(model)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents.rgb), (schedule.batch,), generator=generator, device=work.device)
        depth = torch.rand(schedule.batch, generator=generator, device=work.device) < DEPTH_SHARE
        clean = pack(torch.where(depth[:, None, None, None], latents.depth[chosen], latents.rgb[chosen]).float())
        noise = torch.randn(clean.shape, generator=generator, device=work.device)
        sigma = shifted_logit_normal(schedule.batch, BASE_SHIFT, generator)
        with torch.autocast(work.device.type, torch.bfloat16):
            read = text(captions_of(latents, chosen, empty, generator, depth))
            noisy = add_noise(clean, noise, sigma)
            velocity = model(noisy, read.last_hidden_state, read.pooler_output, sigma, *ids, return_dict=False)[0]
        return velocity_loss(velocity, clean, noise)

    return work.train(parameters, loss, schedule, rates={"text.": TEXT_RATE})


def train_joint(
    model: JointDiTTransformer2DModel, text: PromptEncoder, empty: Tensor, latents: Latents, schedule: Schedule, work: Work,
    sigmas: Callable[[int, torch.Generator], tuple[Tensor, Tensor]] = unbalanced_sigmas, seed: int = 0,
) -> bool:  # fmt: skip
    """Joint stage, the paper's method: the base is frozen; depth LoRAs and joint layers learn joint conditional flow matching (equation 4)
    with unbalanced timestep sampling, or with other `sigmas`. Returns whether it is finished."""

    def loss(step: int, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents.rgb), (schedule.batch,), generator=generator, device=work.device)
        clean = _pairs(latents, chosen)
        noise = torch.randn(clean.shape, generator=generator, device=work.device)
        sigma = torch.cat(sigmas(schedule.batch, generator))
        read = _read(text, captions_of(latents, chosen, empty, generator))
        return joint_loss(model, Batch(clean, noise, sigma, read, _grid(latents)), torch.bfloat16)

    return work.train(_only_addons(model, work), loss, schedule, seed=seed)


def train_estimating(
    model: JointDiTTransformer2DModel, text: PromptEncoder, empty: Tensor, latents: Latents, schedule: Schedule, work: Work
) -> bool:  # fmt: skip
    """A finishing touch: the joint stage goes on with many samples as an estimate of depth meets them, which are rare in it: the picture quite clean,
    the depth all noise, no prompt. In these the velocity of the picture does not count: its noise cannot be known. Returns whether it is finished."""

    def loss(step: int, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents.rgb), (schedule.batch,), generator=generator, device=work.device)
        clean = _pairs(latents, chosen)
        noise = torch.randn(clean.shape, generator=generator, device=work.device)
        rgb, depth, estimated = estimating_sigmas(schedule.batch, generator)
        wordless = estimated & (torch.rand(schedule.batch, generator=generator, device=work.device) < WORDLESS)
        read = _read(text, torch.where(wordless[:, None], empty, captions_of(latents, chosen, empty, generator)))
        counted = torch.cat([~estimated, torch.ones_like(estimated)])
        return joint_loss(model, Batch(clean, noise, torch.cat([rgb, depth]), read, _grid(latents)), torch.bfloat16, counted)

    return work.train(_only_addons(model, work), loss, schedule)


def _only_addons(model: JointDiTTransformer2DModel, work: Work) -> dict[str, nn.Parameter]:
    """The parameters of the add-ons, which alone shall learn."""
    model.requires_grad_(False)
    parameters = model.addon_parameters()
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    if work.compiled:
        _compile(model)
    return parameters


def _pairs(latents: Latents, chosen: Tensor) -> Tensor:
    """Packed clean latents (2n, L, C) of the chosen samples, the pictures first."""
    return pack(torch.cat([latents.rgb[chosen], latents.depth[chosen]]).float())


def _read(text: PromptEncoder, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Token states and pooled vectors of token ids (n, T)."""
    with torch.no_grad(), torch.autocast(ids.device.type, torch.bfloat16):
        read = text(ids)
    return read.last_hidden_state, read.pooler_output


def _grid(latents: Latents) -> tuple[int, int]:
    """Rows and columns of patches."""
    return latents.rgb.shape[-2] // 2, latents.rgb.shape[-1] // 2


def _position_ids(latents: Latents) -> tuple[Tensor, Tensor]:
    """Ids of the patches and of the text."""
    return image_position_ids(*_grid(latents), latents.rgb.device), torch.zeros(latents.ids.shape[-1], 3, device=latents.rgb.device)


def _compile(model: nn.Module) -> None:
    model.compile_repeated_blocks(fullgraph=True)
