# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The joint connection: each branch's queries attend to the other branch's keys and values.

JointDiT (ICCV 2025), section 3.2, after UniCon's joint cross-attention. The two cross-attention outputs are laid side by side, [rgb | depth],
mixed by one linear layer and added to each branch's own self-attention, weighted by how much cleaner the other branch is.
"""

from __future__ import annotations

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_flux import FluxAttention, _get_qkv_projections
from torch import Tensor, nn

from .depth_lora import add_to_depth_half

ADAPTIVE_FORMS = ("noise_fraction", "clean_fraction")
ADAPTIVE_SLOPE = 3.0


def adaptive_weights(sigma_rgb: Tensor, sigma_depth: Tensor, form: str = "noise_fraction") -> Tensor:
    """How much each branch listens to the other.

    `sigma_rgb`, `sigma_depth`: (N,) noise levels in [0, 1], 1 = noise. Returns (2N,) weights in (0, 1), RGB samples first.

    - `noise_fraction`, as the released weights were trained and are run: w = sigmoid(3 (sigma / (sigma + sigma_other) - 1/2)).
    - `clean_fraction`, equation 6 of the paper with t = 1 - sigma: w = sigmoid(3 (t_other / (t + t_other) - 1/2)).

    A fraction 0 / 0 (both clean, or both pure noise in the second form) is 1/2: both branches listen alike.
    """
    if form == "noise_fraction":
        own_rgb, own_depth = sigma_rgb, sigma_depth
    elif form == "clean_fraction":
        own_rgb, own_depth = 1 - sigma_depth, 1 - sigma_rgb  # the other branch's cleanness is this branch's numerator
    else:
        raise ValueError(f"Unknown form of adaptive weights {form!r}; use one of {', '.join(ADAPTIVE_FORMS)}.")
    total = own_rgb + own_depth
    fraction_rgb = torch.where(total > 0, own_rgb / total.where(total > 0, torch.ones_like(total)), torch.full_like(total, 0.5))
    fractions = torch.cat([fraction_rgb, 1 - fraction_rgb])
    return torch.sigmoid(ADAPTIVE_SLOPE * (fractions - 0.5))


def swap_halves(x: Tensor) -> Tensor:
    """(2N, ...) -> (2N, ...): the RGB samples take the depth samples' place and the other way round."""
    rgb, depth = x.chunk(2)
    return torch.cat([depth, rgb])


class JointFluxAttnProcessor:
    """Self-attention of both branches and the joint connection between them, for double-stream and single-stream blocks."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: JointFluxAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
        joint_weight: Tensor | None = None,
        qkv_change: Tensor | None = None,
        encoder_qkv_change: Tensor | None = None,
    ) -> Tensor:
        """`hidden_states` (2N, L, d), `encoder_hidden_states` (2N, T, d) or None when the text is already part of the sequence.

        `joint_weight` (2N, 1, 1) are the adaptive weights; `*_change` (N, L, 3d) what the depth LoRA adds to the depth samples' q, k, v.
        Returns the attention output before the output projection: (2N, T + L, d), text first.
        """
        query, key, value, *encoder_qkv = _get_qkv_projections(attn, hidden_states, encoder_hidden_states)
        query, key, value = _with_change(attn, (query, key, value), qkv_change)
        query, key = attn.norm_q(query), attn.norm_k(key)
        if encoder_hidden_states is not None:
            encoder_query, encoder_key, encoder_value = _with_change(attn, tuple(encoder_qkv), encoder_qkv_change)
            query = torch.cat([attn.norm_added_q(encoder_query), query], dim=1)
            key = torch.cat([attn.norm_added_k(encoder_key), key], dim=1)
            value = torch.cat([encoder_value, value], dim=1)
        if image_rotary_emb is not None:
            query = apply_rotary_emb(query, image_rotary_emb, sequence_dim=1)
            key = apply_rotary_emb(key, image_rotary_emb, sequence_dim=1)

        own = self._attend(query, key, value, attention_mask)
        other = self._attend(query, swap_halves(key), swap_halves(value), attention_mask)
        side_by_side = torch.cat(other.chunk(2), dim=-1)
        joint = torch.cat(attn.to_joint(side_by_side).chunk(2, dim=-1))
        return own + joint_weight * joint

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        out = dispatch_attention_fn(
            query, key, value, attn_mask=mask, backend=self._attention_backend, parallel_config=self._parallel_config
        )
        return out.flatten(2, 3).to(query.dtype)


def _with_change(attn: FluxAttention, qkv: tuple[Tensor, ...], change: Tensor | None) -> tuple[Tensor, ...]:
    """Add the depth LoRA's part and split the heads: three times (2N, L, d) -> (2N, L, heads, head_dim)."""
    if change is not None:
        qkv = tuple(add_to_depth_half(x, part) for x, part in zip(qkv, change.chunk(3, dim=-1), strict=True))
    return tuple(x.unflatten(-1, (-1, attn.head_dim)) for x in qkv)


class JointFluxAttention(FluxAttention):
    """FLUX's attention with the joint connection's linear layer; it starts at zero, as the paper initialises it."""

    _default_processor_cls = JointFluxAttnProcessor
    _available_processors = [JointFluxAttnProcessor]

    def __init__(self, **arguments) -> None:
        super().__init__(**arguments)
        self.to_joint = nn.Linear(2 * self.inner_dim, 2 * self.inner_dim)
        nn.init.zeros_(self.to_joint.weight)
        nn.init.zeros_(self.to_joint.bias)
