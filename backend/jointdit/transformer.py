# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JointDiT transformer: FLUX run on an RGB branch and a depth branch as one batch, joined in every block.

Noise levels are given as sigma: 1 = noise, 0 = clean (the paper's t is 1 - sigma). The output is the velocity, noise - clean.
Module names of the base are those of diffusers' `FluxTransformer2DModel`, so whatever loads, quantises or offloads FLUX works here too.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import ModelMixin  # noqa: F401  from_pretrained of a pipeline looks for this base class, by its name, in the module of ours
from diffusers.configuration_utils import register_to_config
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.transformers.transformer_flux import FluxSingleTransformerBlock, FluxTransformer2DModel, FluxTransformerBlock
from torch import Tensor, nn

from .depth_lora import LORA_SCALE, DepthLora, add_to_depth_half, depth_half
from .joint_attention import JointFluxAttention, JointFluxAttnProcessor, adaptive_weights, add_joint, add_joint_to_one_branch, swap_halves
from .packed import product_of_rows, rows_of, stacked

# What the depth LoRA adapts in each kind of block, in FLUX's own names (dots become underscores in module names).
DOUBLE_BLOCK_LORAS = ("img_mod_lin", "img_attn_qkv", "img_attn_proj", "txt_mod_lin", "txt_attn_qkv", "txt_attn_proj")
SINGLE_BLOCK_LORAS = ("linear1", "modulation_lin")


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (B, L, d), shift and scale (B, d)."""
    return x * (1 + scale[:, None]) + shift[:, None]


def modulation_of(linear: nn.Linear, lora: DepthLora, signal: Tensor) -> Tensor:
    """What a modulation layer and its depth LoRA make of the activated conditioning (2N, d): (2N, width)."""
    return add_to_depth_half(linear(signal), lora(depth_half(signal)))


def samples_of(wanted: str, pairs: int) -> slice:
    """Where the samples of "both" branches, of "rgb" or of "depth" stand in a batch of so many pairs."""
    return {"both": slice(0, 2 * pairs), "rgb": slice(0, pairs), "depth": slice(pairs, 2 * pairs)}[wanted]


class JointFluxTransformerBlock(FluxTransformerBlock):
    """Double-stream block: text and image have their own weights and attend together; the depth half has its LoRAs."""

    def __init__(self, dim: int, num_attention_heads: int, attention_head_dim: int, lora_rank: int) -> None:
        super().__init__(dim, num_attention_heads, attention_head_dim)
        self.attn = JointFluxAttention(
            query_dim=dim, added_kv_proj_dim=dim, dim_head=attention_head_dim, heads=num_attention_heads, out_dim=dim,
            context_pre_only=False, bias=True, processor=JointFluxAttnProcessor(), eps=1e-6,
        )  # fmt: skip
        widths = {"mod_lin": 6 * dim, "attn_qkv": 3 * dim, "attn_proj": dim}
        self.depth_lora = nn.ModuleDict(
            {name: DepthLora(dim, widths[name.split("_", 1)[1]], lora_rank) for name in DOUBLE_BLOCK_LORAS}
        )

    def modulation(self, temb: Tensor) -> Tensor:
        """Shifts, scales and gates for a conditioning (2N, d): (2N, 12 d), the image's first."""
        signal, lora = self.norm1.silu(temb), self.depth_lora
        pair = modulation_of(self.norm1.linear, lora["img_mod_lin"], signal), modulation_of(self.norm1_context.linear, lora["txt_mod_lin"], signal)
        return torch.cat(pair, dim=1)

    def modulation_layers(self) -> list[nn.Module]:
        """The layers that work in `modulation` alone."""
        return [self.norm1.linear, self.norm1_context.linear, self.depth_lora["img_mod_lin"], self.depth_lora["txt_mod_lin"]]

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        temb: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
        joint_attention_kwargs: dict[str, Any] | None = None,
        modulation: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Image tokens (2N, L, d), text tokens (2N, T, d) -> (text, image), as in diffusers.

        The conditioning is `temb` (2N, d), or what `modulation` made of it, (2N, 12 d).
        """
        text, lora = encoder_hidden_states, self.depth_lora
        image_mod, text_mod = (part.chunk(6, dim=1) for part in (self.modulation(temb) if modulation is None else modulation).chunk(2, dim=1))
        image_in = modulate(self.norm1.norm(hidden_states), image_mod[0], image_mod[1])
        text_in = modulate(self.norm1_context.norm(text), text_mod[0], text_mod[1])

        attended = self.attn(
            hidden_states=image_in,
            encoder_hidden_states=text_in,
            image_rotary_emb=image_rotary_emb,
            qkv_change=lora["img_attn_qkv"](depth_half(image_in)),
            encoder_qkv_change=lora["txt_attn_qkv"](depth_half(text_in)),
            **(joint_attention_kwargs or {}),
        )
        text_out, image_out = attended.split([text.shape[1], hidden_states.shape[1]], dim=1)
        image_out = add_to_depth_half(self.attn.to_out[0](image_out), lora["img_attn_proj"](depth_half(image_out)))
        text_out = add_to_depth_half(self.attn.to_add_out(text_out), lora["txt_attn_proj"](depth_half(text_out)))

        hidden_states = _feed_forward(hidden_states, image_out, image_mod, self.norm2, self.ff)
        text = _feed_forward(text, text_out, text_mod, self.norm2_context, self.ff_context)
        return text, hidden_states

    def fuse_projections(self) -> None:
        """One layer for q, k, v, of image and of text."""
        self.attn.fuse_projections()

    def unfuse_projections(self) -> None:
        """The inverse of `fuse_projections`."""
        self.attn.unfuse_projections()


def _feed_forward(stream: Tensor, attended: Tensor, modulation: tuple[Tensor, ...], norm: nn.Module, feed_forward: nn.Module) -> Tensor:
    """Add the gated attention output and the gated feed-forward output to one stream (2N, L, d)."""
    _, _, gate_attention, shift, scale, gate = modulation
    stream = stream + gate_attention[:, None] * attended
    return stream + gate[:, None] * feed_forward(modulate(norm(stream), shift, scale))


class JointFluxSingleTransformerBlock(FluxSingleTransformerBlock):
    """Single-stream block: text and image are one sequence; attention and feed-forward run side by side."""

    def __init__(self, dim: int, num_attention_heads: int, attention_head_dim: int, lora_rank: int) -> None:
        super().__init__(dim, num_attention_heads, attention_head_dim)
        self.attn = JointFluxAttention(
            query_dim=dim, dim_head=attention_head_dim, heads=num_attention_heads, out_dim=dim, bias=True,
            processor=JointFluxAttnProcessor(), eps=1e-6, pre_only=True,
        )  # fmt: skip
        widths = {"linear1": 3 * dim + self.mlp_hidden_dim, "modulation_lin": 3 * dim}
        self.depth_lora = nn.ModuleDict({name: DepthLora(dim, widths[name], lora_rank) for name in SINGLE_BLOCK_LORAS})
        self.dim = dim
        self.fused_projections = False

    def modulation(self, temb: Tensor) -> Tensor:
        """Shift, scale and gate for a conditioning (2N, d): (2N, 3 d)."""
        return modulation_of(self.norm.linear, self.depth_lora["modulation_lin"], self.norm.silu(temb))

    def modulation_layers(self) -> list[nn.Module]:
        """The layers that work in `modulation` alone."""
        return [self.norm.linear, self.depth_lora["modulation_lin"]]

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        temb: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
        joint_attention_kwargs: dict[str, Any] | None = None,
        modulation: Tensor | None = None,
        wanted: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Shapes as in `JointFluxTransformerBlock.forward`; `modulation` is (2N, 3 d).

        `wanted` is for the last block, whose text is thrown away: then only the image tokens of "both" branches, or of "rgb" or "depth" alone, are computed,
        and the first of the two returned is the text as it came in.
        """
        text_tokens = encoder_hidden_states.shape[1]
        stream = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        shift, scale, gate = (self.modulation(temb) if modulation is None else modulation).chunk(3, dim=1)
        x = modulate(self.norm.norm(stream), shift, scale)
        if wanted is not None:
            return encoder_hidden_states, self._image_alone(hidden_states, x, gate, image_rotary_emb, wanted, **(joint_attention_kwargs or {}))

        qkv, mlp = self._project(x).split([3 * self.dim, self.mlp_hidden_dim], dim=-1)
        attended = self.attn(hidden_states=qkv, image_rotary_emb=image_rotary_emb, projected=True, **(joint_attention_kwargs or {}))
        joined = torch.cat([attended, self.act_mlp(mlp)], dim=2)
        del x, qkv, mlp, attended  # half of what this block holds, and no longer needed when the last product takes as much again
        stream = stream + gate[:, None] * self.proj_out(joined)
        return stream[:, :text_tokens], stream[:, text_tokens:]

    def _project(self, x: Tensor) -> Tensor:
        """q, k, v and the input of the feed-forward part, side by side: (2N, L, d) -> (2N, L, 3 d + mlp).

        FLUX fuses them into one layer, so the released LoRA has one A for the four of them.
        """
        projected = self.linear1(x) if self.fused_projections else torch.cat([self.attn.image_qkv(x), self.proj_mlp(x)], dim=-1)
        return add_to_depth_half(projected, self.depth_lora["linear1"](depth_half(x)))

    def _image_alone(
        self, hidden_states: Tensor, x: Tensor, gate: Tensor, rotary: tuple[Tensor, Tensor] | None, wanted: str,
        joint_weight: Tensor | tuple[float, float],
    ) -> Tensor:  # fmt: skip
        """The new image tokens of the wanted branches from the modulated stream `x` (2N, T + L, d): (2N or N, L, d).

        Keys and values are needed of all tokens; queries of the image tokens only; the feed-forward part and the output of the wanted samples only.
        The joint connection mixes both branches' cross-attention, so both are queried even where one is wanted.
        """
        attn, d, tokens, pairs = self.attn, self.dim, hidden_states.shape[1], len(x) // 2
        samples = samples_of(wanted, pairs)
        image = x[:, -tokens:]
        lora = self.depth_lora["linear1"]
        key_value = add_to_depth_half(self._rows(x, d, 3 * d), product_of_rows(lora.up, LORA_SCALE * lora.down(depth_half(x)), d, 3 * d))
        change = LORA_SCALE * lora.down(depth_half(image))
        query = add_to_depth_half(self._rows(image, 0, d), product_of_rows(lora.up, change, 0, d))
        mlp = self._rows(image[samples], 3 * d, 3 * d + self.mlp_hidden_dim)
        if wanted != "rgb":
            mlp[-pairs:] += product_of_rows(lora.up, change, 3 * d, 3 * d + self.mlp_hidden_dim)

        key, value = (part.unflatten(-1, (-1, attn.head_dim)) for part in key_value.chunk(2, dim=-1))
        query, key = attn.norm_q(query.unflatten(-1, (-1, attn.head_dim))), attn.norm_k(key)
        if rotary is not None:
            query = apply_rotary_emb(query, tuple(table[-tokens:] for table in rotary), sequence_dim=1)
            key = apply_rotary_emb(key, rotary, sequence_dim=1)
        attend = attn.processor.attend
        own = attend(query[samples], key[samples], value[samples])
        other = attend(query, swap_halves(key), swap_halves(value))
        if wanted == "both":
            attended = add_joint(own, other, attn.to_joint, joint_weight)
        else:
            start, weight = (0, joint_weight[0]) if wanted == "rgb" else (d, joint_weight[1])
            attended = add_joint_to_one_branch(own, torch.cat(other.chunk(2), dim=-1), attn.to_joint, start, weight)
        del image, key_value, query, key, value, own, other, change  # as in `forward`
        joined = torch.cat([attended, self.act_mlp(mlp)], dim=2)
        del attended, mlp
        return hidden_states[samples] + gate[samples][:, None] * self.proj_out(joined)

    def _rows(self, x: Tensor, start: int, stop: int) -> Tensor:
        """The part `start` to `stop` of what `_project` gives, without the LoRA."""
        if self.fused_projections:
            return product_of_rows(self.linear1, x, start, stop)
        layers = (self.attn.to_q, self.attn.to_k, self.attn.to_v, self.proj_mlp)
        starts = (0, self.dim, 2 * self.dim, 3 * self.dim)
        return torch.cat([layer(x) for layer, first in zip(layers, starts, strict=True) if start <= first < stop], dim=-1)

    def fuse_projections(self) -> None:
        """One layer for q, k, v and the feed-forward input; the split layers are given up."""
        if not self.fused_projections:
            self.linear1 = stacked([self.attn.to_q, self.attn.to_k, self.attn.to_v, self.proj_mlp])
            del self.attn.to_q, self.attn.to_k, self.attn.to_v, self.proj_mlp
            self.fused_projections = True

    def unfuse_projections(self) -> None:
        """The inverse of `fuse_projections`; the split layers are views of the fused weights."""
        if self.fused_projections:
            d = self.dim
            self.attn.to_q, self.attn.to_k, self.attn.to_v = (rows_of(self.linear1, i * d, (i + 1) * d) for i in range(3))
            self.proj_mlp = rows_of(self.linear1, 3 * d, 3 * d + self.mlp_hidden_dim)
            del self.linear1
            self.fused_projections = False


class JointDiTTransformer2DModel(FluxTransformer2DModel):
    """FLUX with depth LoRAs, joint connections and adaptive weights (JointDiT, ICCV 2025).

    Arguments beyond FLUX's own: `lora_rank` in the blocks, `vector_lora_ranks` of the two layers that embed the pooled text,
    `text_lora_rank` of the layer that embeds the text tokens, `adaptive_form` as in `adaptive_weights`.
    """

    _no_split_modules = ["JointFluxTransformerBlock", "JointFluxSingleTransformerBlock"]
    _repeated_blocks = ["JointFluxTransformerBlock", "JointFluxSingleTransformerBlock"]

    @register_to_config
    def __init__(
        self,
        patch_size: int = 1,
        in_channels: int = 64,
        out_channels: int | None = None,
        num_layers: int = 19,
        num_single_layers: int = 38,
        attention_head_dim: int = 128,
        num_attention_heads: int = 24,
        joint_attention_dim: int = 4096,
        pooled_projection_dim: int = 768,
        guidance_embeds: bool = True,
        axes_dims_rope: tuple[int, int, int] = (16, 56, 56),
        lora_rank: int = 64,
        vector_lora_ranks: tuple[int, int] = (512, 1024),
        text_lora_rank: int = 1024,
        adaptive_form: str = "noise_fraction",
    ) -> None:
        # The stock constructor makes everything but the blocks; ours take the blocks' places.
        super().__init__(
            patch_size, in_channels, out_channels, 0, 0, attention_head_dim, num_attention_heads, joint_attention_dim,
            pooled_projection_dim, guidance_embeds, axes_dims_rope,
        )  # fmt: skip
        self.register_to_config(num_layers=num_layers, num_single_layers=num_single_layers)
        # Set where a user's LoRA changes one branch alone: the batch must then always hold both.
        self.branches_differ = False
        block = (self.inner_dim, num_attention_heads, attention_head_dim, lora_rank)
        self.transformer_blocks = nn.ModuleList(JointFluxTransformerBlock(*block) for _ in range(num_layers))
        self.single_transformer_blocks = nn.ModuleList(JointFluxSingleTransformerBlock(*block) for _ in range(num_single_layers))
        self.depth_lora = nn.ModuleDict(
            {
                "vector_in_in_layer": DepthLora(pooled_projection_dim, self.inner_dim, vector_lora_ranks[0]),
                "vector_in_out_layer": DepthLora(self.inner_dim, self.inner_dim, vector_lora_ranks[1]),
                "txt_in": DepthLora(joint_attention_dim, self.inner_dim, text_lora_rank),
            }
        )

    @classmethod
    def from_flux(cls, flux: FluxTransformer2DModel, **options) -> JointDiTTransformer2DModel:
        """A JointDiT around a loaded FLUX: shares its tensors (no copy); the add-ons are new and change nothing yet.

        `options` are this class's own arguments (`lora_rank`, ...).
        """
        names = ("patch_size", "in_channels", "out_channels", "num_layers", "num_single_layers", "attention_head_dim", "num_attention_heads",
                 "joint_attention_dim", "pooled_projection_dim", "guidance_embeds", "axes_dims_rope")  # fmt: skip
        model = cls(**{name: flux.config[name] for name in names}, **options).to(flux.device, flux.dtype)
        model.load_state_dict(flux.state_dict(), strict=False, assign=True)
        return model

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which the model works; layers of blocks may be stored in another."""
        return self.x_embedder.weight.dtype

    def addon_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that JointDiT adds to FLUX, by name: LoRAs and joint layers. These alone are trained."""
        return {name: p for name, p in self.named_parameters() if ".to_joint." in name or "depth_lora." in name}

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        pooled_projections: Tensor,
        timestep: Tensor,
        img_ids: Tensor,
        txt_ids: Tensor,
        guidance: Tensor | None = None,
        joint_attention_kwargs: dict[str, Tensor] | None = None,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """Velocities of both branches.

        `hidden_states` (2N, L, in_channels) packed latents, RGB samples first; `encoder_hidden_states` (2N, T, joint_attention_dim) and
        `pooled_projections` (2N, pooled_projection_dim) text; `timestep` (2N,) sigma of each sample in [0, 1]; `img_ids` (L, 3), `txt_ids` (T, 3);
        `guidance` (2N,) or None. Returns (2N, L, out_channels).
        """
        stream = self.x_embedder(hidden_states)
        temb = self.conditioning(timestep, guidance, pooled_projections, stream.dtype)
        text = self.embed_text(encoder_hidden_states)
        rotary = self.pos_embed(torch.cat([txt_ids, img_ids]))
        weights = adaptive_weights(*timestep.float().chunk(2), form=self.config.adaptive_form)
        kwargs = {**(joint_attention_kwargs or {}), "joint_weight": weights.to(stream.dtype)[:, None, None]}

        for block in (*self.transformer_blocks, *self.single_transformer_blocks):
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                text, stream = self._gradient_checkpointing_func(block, stream, text, temb, rotary, kwargs)
            else:
                text, stream = block(stream, text, temb, image_rotary_emb=rotary, joint_attention_kwargs=kwargs)

        velocity = self.proj_out(self.norm_out(stream, temb))
        return Transformer2DModelOutput(sample=velocity) if return_dict else (velocity,)

    def embed_text(self, tokens: Tensor) -> Tensor:
        """Text tokens (2N, T, joint_attention_dim) -> (2N, T, inner_dim)."""
        return add_to_depth_half(self.context_embedder(tokens), self.depth_lora["txt_in"](depth_half(tokens)))

    @property
    def fused(self) -> bool:
        """Whether the projections are fused."""
        return self.single_transformer_blocks[0].fused_projections

    def fuse_projections(self) -> None:
        """One product for q, k, v (and the feed-forward input of single-stream blocks), as FLUX's own layout has it. No weight is in memory twice.

        Raises ValueError where LoRAs were loaded into the separate layers.
        """
        if getattr(self, "_hf_peft_config_loaded", False):
            raise ValueError("The projections cannot be fused while LoRAs are loaded: unload them first.")
        for block in (*self.transformer_blocks, *self.single_transformer_blocks):
            block.fuse_projections()

    def unfuse_projections(self) -> None:
        """Separate layers again, as diffusers and users' LoRAs name them; they are views of the fused weights."""
        for block in (*self.transformer_blocks, *self.single_transformer_blocks):
            block.unfuse_projections()

    def conditioning(self, sigma: Tensor, guidance: Tensor | None, pooled: Tensor, dtype: torch.dtype) -> Tensor:
        """Embedding of noise level, guidance and pooled text: (2N, inner_dim). FLUX embeds 1000 times sigma and guidance."""
        embed = self.time_text_embed
        conditioning = embed.timestep_embedder(embed.time_proj(sigma.to(dtype) * 1000).to(pooled.dtype))
        if self.config.guidance_embeds:
            conditioning = conditioning + embed.guidance_embedder(embed.time_proj(guidance.to(dtype) * 1000).to(pooled.dtype))
        text = embed.text_embedder
        x = text.act_1(add_to_depth_half(text.linear_1(pooled), self.depth_lora["vector_in_in_layer"](depth_half(pooled))))
        return conditioning + add_to_depth_half(text.linear_2(x), self.depth_lora["vector_in_out_layer"](depth_half(x)))


for _block in (JointFluxTransformerBlock, JointFluxSingleTransformerBlock):
    # diffusers' caches look blocks up by their exact class.
    TransformerBlockRegistry.register(_block, TransformerBlockMetadata(return_hidden_states_index=1, return_encoder_hidden_states_index=0))
