# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything about a sampling run that does not depend on the latents, computed once: exact savings, no approximation.

FLUX's modulations depend on noise level, guidance and pooled text alone, so a schedule and a prompt decide them for all steps: 27 % of FLUX's weights
work once and need not be on the card afterwards. The same holds for the projected text, the rotary tables and the adaptive weights. Of the last block
only what the result needs is computed: no text tokens, and in a conditional task one branch alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .joint_attention import adaptive_weights
from .placement import lent
from .transformer import JointDiTTransformer2DModel, modulate, samples_of

WANTED = {"joint": "both", "image_to_depth": "depth", "depth_to_image": "rgb"}


@dataclass(frozen=True)
class Prepared:
    """A schedule and a prompt, ready for the blocks. S steps, N pairs; d is the model's inner width.

    `text` (2N, T, d); `rotary` two tables (T + L, head_dim); `modulations` of each block (S, 2N, 12 d or 3 d); `output_modulation` (S, 2N, 2 d);
    `joint_weights` (S, 2N, 1, 1), or two numbers where no step and no pair differs; `wanted` the branches whose velocity is used.
    """

    text: Tensor
    rotary: tuple[Tensor, Tensor]
    modulations: tuple[Tensor, ...]
    output_modulation: Tensor
    joint_weights: Tensor | tuple[float, float]
    wanted: str


@torch.no_grad()
def prepare(
    model: JointDiTTransformer2DModel,
    encoder_hidden_states: Tensor,
    pooled_projections: Tensor,
    sigmas: Tensor,
    img_ids: Tensor,
    txt_ids: Tensor,
    guidance: Tensor | None = None,
    wanted: str = "both",
) -> Prepared:
    """Compute what a run needs. Arguments as in the model's `forward`, with `sigmas` (S, 2N) of all steps and `wanted` "both", "rgb" or "depth".

    Modulation layers may be anywhere: each is brought to the inputs' device for its one product.
    """
    steps, dtype = len(sigmas), encoder_hidden_states.dtype
    # One large batch of pairs: the RGB samples of all steps first, then the depth samples of all steps.
    by_branch = torch.cat([half.flatten() for half in sigmas.chunk(2, dim=1)])
    every_step = lambda x: torch.cat([half.repeat(steps, *[1] * (x.ndim - 1)) for half in x.chunk(2)])  # noqa: E731
    temb = model.conditioning(by_branch, None if guidance is None else every_step(guidance), every_step(pooled_projections), dtype)
    modulations = []
    for block in (*model.transformer_blocks, *model.single_transformer_blocks):
        with lent(block.modulation_layers(), temb.device, dtype):
            modulations.append(_by_step(block.modulation(temb), steps))
    with lent([model.norm_out.linear], temb.device, dtype):
        output_modulation = _by_step(model.norm_out.linear(model.norm_out.silu(temb)), steps)
    weights = adaptive_weights(*(half.flatten() for half in sigmas.float().chunk(2, dim=1)), form=model.config.adaptive_form)
    return Prepared(
        text=model.embed_text(encoder_hidden_states),
        rotary=model.pos_embed(torch.cat([txt_ids, img_ids])),
        modulations=tuple(modulations),
        output_modulation=output_modulation,
        joint_weights=_constant_or_by_step(weights, steps, dtype),
        wanted=wanted,
    )


def velocity(
    model: JointDiTTransformer2DModel,
    hidden_states: Tensor,
    prepared: Prepared,
    step: int,
    visit: Callable[[nn.Module], AbstractContextManager[None]] = nullcontext,
) -> Tensor:
    """Velocities at one step of a prepared schedule: latents (2N, L, in_channels) -> (2N, L, out_channels), or (N, L, out_channels) of the wanted branch.

    `visit` surrounds the work of each block; it may bring the block's weights.
    """
    # A cache of steps needs all of every block's output, and a LoRA of one branch needs the halves of the batch; what is not wanted is left out at the end.
    whole = model.is_cache_enabled or model.branches_differ
    stream, text, weights = model.x_embedder(hidden_states), prepared.text, prepared.joint_weights
    kwargs = {"joint_weight": weights if isinstance(weights, tuple) else weights[step]}
    blocks = (*model.transformer_blocks, *model.single_transformer_blocks)
    with model.cache_context("joint") if model.is_cache_enabled else nullcontext():
        for block, modulation in zip(blocks, prepared.modulations, strict=True):
            options = {"wanted": prepared.wanted} if block is model.single_transformer_blocks[-1] and not whole else {}
            with visit(block):
                text, stream = block(
                    stream, text, image_rotary_emb=prepared.rotary, joint_attention_kwargs=kwargs, modulation=modulation[step], **options
                )
    samples = samples_of(prepared.wanted, len(hidden_states) // 2)
    scale, shift = prepared.output_modulation[step][samples].chunk(2, dim=1)
    return model.proj_out(modulate(model.norm_out.norm(stream[samples] if whole else stream), shift, scale))


def _by_step(x: Tensor, steps: int) -> Tensor:
    """(2 S N, w), the RGB samples of all steps first -> (S, 2N, w)."""
    return x.unflatten(0, (2, steps, -1)).transpose(0, 1).flatten(1, 2).contiguous()


def _constant_or_by_step(weights: Tensor, steps: int, dtype: torch.dtype) -> Tensor | tuple[float, float]:
    """Adaptive weights (2 S N,) as two numbers where each branch has one value throughout, else (S, 2N, 1, 1)."""
    rgb, depth = weights.chunk(2)
    if torch.all(rgb == rgb[0]) and torch.all(depth == depth[0]):
        return rgb[0].item(), depth[0].item()
    return _by_step(weights[:, None], steps)[..., None].to(dtype)
