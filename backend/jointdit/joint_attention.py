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
from diffusers.models.transformers.transformer_flux import FluxAttention
from torch import Tensor, nn

from .depth_lora import add_to_depth_half
from .packed import product_of_rows, rows_of, stacked

ADAPTIVE_FORMS = ("noise_fraction", "clean_fraction", "none")
ADAPTIVE_SLOPE = 3.0


def adaptive_weights(sigma_rgb: Tensor, sigma_depth: Tensor, form: str = "noise_fraction") -> Tensor:
    """How much each branch listens to the other.

    `sigma_rgb`, `sigma_depth`: (N,) noise levels in [0, 1], 1 = noise. Returns (2N,) weights in (0, 1], RGB samples first.

    - `noise_fraction`, as the released weights were trained and are run: w = sigmoid(3 (sigma / (sigma + sigma_other) - 1/2)).
    - `clean_fraction`, equation 6 of the paper with t = 1 - sigma: w = sigmoid(3 (t_other / (t + t_other) - 1/2)).
    - `none`, the paper's ablation without them: w = 1.

    A fraction 0 / 0 (both clean, or both pure noise in the second form) is 1/2: both branches listen alike.
    """
    if form == "none":
        return torch.ones_like(torch.cat([sigma_rgb, sigma_depth]))
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
        joint_weight: Tensor | tuple[float, float] | None = None,
        qkv_change: Tensor | None = None,
        encoder_qkv_change: Tensor | None = None,
        projected: bool = False,
    ) -> Tensor:
        """`hidden_states` (2N, L, d), `encoder_hidden_states` (2N, T, d) or None when the text is already part of the sequence.

        `joint_weight` are the adaptive weights, (2N, 1, 1), or the two branches' where they are the same for all pairs;
        `*_change` (N, L, 3d) what the depth LoRA adds to the depth samples' q, k, v; `projected` says that `hidden_states` are q, k, v already (2N, L, 3d).
        Returns the attention output before the output projection: (2N, T + L, d), text first.
        """
        query, key, value = attn.heads_of(hidden_states if projected else attn.image_qkv(hidden_states), qkv_change)
        query, key = attn.norm_q(query), attn.norm_k(key)
        if encoder_hidden_states is not None:
            encoder_query, encoder_key, encoder_value = attn.heads_of(attn.text_qkv(encoder_hidden_states), encoder_qkv_change)
            query = torch.cat([attn.norm_added_q(encoder_query), query], dim=1)
            key = torch.cat([attn.norm_added_k(encoder_key), key], dim=1)
            value = torch.cat([encoder_value, value], dim=1)
        if image_rotary_emb is not None:
            query = apply_rotary_emb(query, image_rotary_emb, sequence_dim=1)
            key = apply_rotary_emb(key, image_rotary_emb, sequence_dim=1)
        own = self.attend(query, key, value, attention_mask)
        other = self.attend(query, swap_halves(key), swap_halves(value), attention_mask)
        return add_joint(own, other, attn.to_joint, joint_weight)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention by the chosen kernel: (B, L, heads, head_dim) -> (B, L, d)."""
        out = dispatch_attention_fn(
            query, key, value, attn_mask=mask, backend=self._attention_backend, parallel_config=self._parallel_config
        )
        return out.flatten(2, 3).to(query.dtype)


def add_joint(own: Tensor, other: Tensor, to_joint: nn.Linear, weight: Tensor | tuple[float, float]) -> Tensor:
    """Self-attention output plus the weighted joint connection, all (2N, L, d).

    `other` is the attention to the other branch. Adaptive weights that are the same for all pairs are two numbers: they become the factor of the
    product itself, which is then added in place.
    """
    side_by_side = torch.cat(other.chunk(2), dim=-1)
    if isinstance(weight, Tensor):
        return own + weight * torch.cat(to_joint(side_by_side).chunk(2, dim=-1))
    if type(to_joint) is not nn.Linear or torch.is_grad_enabled():
        joint = to_joint(side_by_side).chunk(2, dim=-1)
        return torch.cat([torch.add(x, y, alpha=w) for x, y, w in zip(own.chunk(2), joint, weight, strict=True)])
    for half, start, w in zip(own.chunk(2), (0, own.shape[-1]), weight, strict=True):
        add_joint_to_one_branch(half, side_by_side, to_joint, start, w)
    return own


def add_joint_to_one_branch(own: Tensor, side_by_side: Tensor, to_joint: nn.Linear, start: int, weight: float) -> Tensor:
    """Add one branch's joint output in place: `own` (N, L, d), `side_by_side` (N, L, 2d), `start` the first of the branch's d rows in `to_joint`."""
    rows = slice(start, start + own.shape[-1])
    if type(to_joint) is not nn.Linear:
        return own.add_(product_of_rows(to_joint, side_by_side, rows.start, rows.stop), alpha=weight)
    own.add_(to_joint.bias[rows], alpha=weight)
    # A view, not a flattening: that might be a copy, and the joint connection would be lost.
    own.view(-1, own.shape[-1]).addmm_(side_by_side.flatten(0, 1), to_joint.weight[rows].T, alpha=weight)
    return own


class JointFluxAttention(FluxAttention):
    """FLUX's attention with the joint connection's linear layer; it starts at zero, as the paper initialises it."""

    _default_processor_cls = JointFluxAttnProcessor
    _available_processors = [JointFluxAttnProcessor]

    def __init__(self, **arguments) -> None:
        super().__init__(**arguments)
        self.to_joint = nn.Linear(2 * self.inner_dim, 2 * self.inner_dim)
        nn.init.zeros_(self.to_joint.weight)
        nn.init.zeros_(self.to_joint.bias)

    def image_qkv(self, x: Tensor) -> Tensor:
        """(B, L, d) -> q, k, v side by side (B, L, 3d); in a single-stream block text and image are one sequence."""
        return self.to_qkv(x) if self.fused_projections else torch.cat([self.to_q(x), self.to_k(x), self.to_v(x)], dim=-1)

    def text_qkv(self, x: Tensor) -> Tensor:
        """(B, T, d) -> q, k, v of the text side by side (B, T, 3d), in a double-stream block."""
        return self.to_added_qkv(x) if self.fused_projections else torch.cat([self.add_q_proj(x), self.add_k_proj(x), self.add_v_proj(x)], dim=-1)

    def heads_of(self, qkv: Tensor, change: Tensor | None) -> tuple[Tensor, ...]:
        """Add the depth LoRA's part (N, L, 3d) and split: (2N, L, 3d) -> three times (2N, L, heads, head_dim)."""
        if change is not None:
            qkv = add_to_depth_half(qkv, change)
        return tuple(x.unflatten(-1, (-1, self.head_dim)) for x in qkv.chunk(3, dim=-1))

    def fuse_projections(self) -> None:
        """One product for q, k, v. The split layers are given up, so that no weight is in memory twice; `unfuse_projections` brings them back."""
        if self.fused_projections:
            return
        self.to_qkv = _take(self, ("to_q", "to_k", "to_v"))
        if self.added_kv_proj_dim is not None:
            self.to_added_qkv = _take(self, ("add_q_proj", "add_k_proj", "add_v_proj"))
        self.fused_projections = True

    def unfuse_projections(self) -> None:
        """Separate layers again, as users' LoRAs name them; they are views of the fused weights."""
        if not self.fused_projections:
            return
        _give_back(self, "to_qkv", ("to_q", "to_k", "to_v"))
        if self.added_kv_proj_dim is not None:
            _give_back(self, "to_added_qkv", ("add_q_proj", "add_k_proj", "add_v_proj"))
        self.fused_projections = False


def _take(module: nn.Module, names: tuple[str, ...]) -> nn.Linear:
    """Remove linear layers from a module and return one that does the work of all."""
    whole = stacked([getattr(module, name) for name in names])
    for name in names:
        delattr(module, name)
    return whole


def _give_back(module: nn.Module, fused: str, names: tuple[str, ...]) -> None:
    """Replace a fused layer by parts of equal width."""
    whole = getattr(module, fused)
    width = whole.out_features // len(names)
    for i, name in enumerate(names):
        setattr(module, name, rows_of(whole, i * width, (i + 1) * width))
    delattr(module, fused)
