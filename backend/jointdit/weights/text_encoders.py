# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""FLUX's two text encoders from the files that users have: CLIP-L and T5-XXL, as single files of any program or as diffusers' folders.

The architecture is read from the tensors' shapes. A file may put any prefix before the names and hold more than the encoder (a vision tower, a decoder,
a whole checkpoint): the part that is needed is found by a name that only it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from ..errors import CheckpointError
from .filling import count, fill, side
from .source import TensorSource

CLIP = "CLIP-L text encoder"
T5 = "T5 text encoder"

_CLIP_MARK = "embeddings.token_embedding.weight"
_CLIP_HEAD = 64  # CLIP's heads all have this width; tiny ones have one head

_T5_MARK = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"
_GGUF_MARK = "enc.blk.0.attn_rel_b.weight"
# Ours inside a block of the encoder -> llama.cpp's inside `enc.blk.N`.
_GGUF_BLOCK = {
    "layer.0.SelfAttention.q": "attn_q",
    "layer.0.SelfAttention.k": "attn_k",
    "layer.0.SelfAttention.v": "attn_v",
    "layer.0.SelfAttention.o": "attn_o",
    "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b",
    "layer.0.layer_norm": "attn_norm",
    "layer.1.DenseReluDense.wi": "ffn_up",
    "layer.1.DenseReluDense.wi_0": "ffn_gate",
    "layer.1.DenseReluDense.wi_1": "ffn_up",
    "layer.1.DenseReluDense.wo": "ffn_down",
    "layer.1.layer_norm": "ffn_norm",
}


def load_clip(source: TensorSource, dtype: torch.dtype | None) -> CLIPTextModel:
    """CLIP's text encoder as `dtype` on the CPU (None: as stored), for evaluation.

    Its pooled output is the state at the first end-of-text token, the vocabulary's last one.

    Raises `CheckpointError` where the file holds no such encoder or a damaged one.
    """
    prefix = _prefix(source, _CLIP_MARK)
    if prefix is None:
        raise CheckpointError(
            f"{source.title} holds no {CLIP} in a known layout: no tensor is named {_CLIP_MARK}. Choose clip_l.safetensors, or diffusers' folder text_encoder."
        )
    vocabulary = side(source, prefix + _CLIP_MARK, 0, CLIP)
    hidden = side(source, prefix + _CLIP_MARK, 1, CLIP)
    if hidden > _CLIP_HEAD and hidden % _CLIP_HEAD:
        raise CheckpointError(f"{source.title} is {hidden} wide, which no CLIP text encoder is. Choose clip_l.safetensors.")
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=side(source, f"{prefix}encoder.layers.0.mlp.fc1.weight", 0, CLIP),
        projection_dim=hidden,
        num_hidden_layers=count(source, f"{prefix}encoder.layers."),
        num_attention_heads=max(1, hidden // _CLIP_HEAD),
        max_position_embeddings=side(source, f"{prefix}embeddings.position_embedding.weight", 0, CLIP),
        hidden_act="quick_gelu",
        # FLUX's config says 2 here, which transformers reads as "the highest id of the text"; the true id finds the same token.
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )
    with torch.device("meta"):
        model = CLIPTextModel(config)
    fill(model, source, {name: prefix + name for name in model.state_dict()}, dtype, CLIP)
    # No file holds this buffer, so nothing has replaced the one without memory.
    model.embeddings.position_ids = torch.arange(config.max_position_embeddings)[None]
    return model


def load_t5(source: TensorSource, dtype: torch.dtype | None) -> T5EncoderModel:
    """The encoder of a T5 as `dtype` on the CPU, for evaluation. None keeps what is stored, for a model that is moved before it works.

    Raises `CheckpointError` where the file holds no T5 or a damaged one, `ValueError` for float16: T5-XXL's activations leave its range.
    """
    if dtype == torch.float16:
        raise ValueError("T5 overflows in float16: use bfloat16 or float32.")
    names = _t5_names(source)
    first = "encoder.block.0.layer.{}.weight".format
    bias = names.of(first("0.SelfAttention.relative_attention_bias"))
    if names.of("encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight") in source:
        raise CheckpointError(f"{source.title} is a UMT5, whose positions differ from T5's. Choose FLUX's T5, such as t5xxl_fp16.safetensors.")
    heads = side(source, bias, 1, T5)
    gated = names.of(first("1.DenseReluDense.wi")) not in source or names.of(first("1.DenseReluDense.wi_0")) in source
    config = T5Config(
        vocab_size=side(source, names.embedding, 0, T5),
        d_model=side(source, names.embedding, 1, T5),
        d_kv=side(source, names.of(first("0.SelfAttention.q")), 0, T5) // heads,
        d_ff=side(source, names.of(first("1.DenseReluDense.wo")), 1, T5),
        num_layers=count(source, names.blocks),
        num_heads=heads,
        relative_attention_num_buckets=side(source, bias, 0, T5),
        feed_forward_proj="gated-gelu" if gated else "relu",
        is_encoder_decoder=False,
        use_cache=False,
    )
    with torch.device("meta"):
        model = T5EncoderModel(config)
    fill(model, source, {name: names.of(name) for name in model.state_dict()}, dtype, T5)
    # Both names got the same memory; moved to a GPU as two parameters, they would take it twice.
    model.encoder.embed_tokens.weight = model.shared.weight
    return model


@dataclass(frozen=True)
class _T5Names:
    """Where a file keeps T5's tensors: the prefix of its numbered blocks, what a block's modules are called (nothing: as ours), and the other two tensors."""

    blocks: str
    modules: Mapping[str, str]
    embedding: str
    last_norm: str

    def of(self, name: str) -> str:
        """Our parameter's name in the file."""
        if name in ("shared.weight", "encoder.embed_tokens.weight"):
            return self.embedding
        if name == "encoder.final_layer_norm.weight":
            return self.last_norm
        number, module = name.removeprefix("encoder.block.").removesuffix(".weight").split(".", 1)
        return f"{self.blocks}{number}.{self.modules.get(module, module)}.weight"


def _t5_names(source: TensorSource) -> _T5Names:
    """The layout of a T5 file, told by its names. Raises `CheckpointError` where it holds no encoder of a T5."""
    if _GGUF_MARK in source:
        return _T5Names("enc.blk.", _GGUF_BLOCK, "token_embd.weight", "enc.output_norm.weight")
    prefix = _prefix(source, _T5_MARK, not_after="decoder.")
    if prefix is None:
        raise CheckpointError(
            f"{source.title} holds no encoder of a T5 in a known layout: no tensor is named {_T5_MARK}. It is another model, or one that only writes text. "
            "Choose a file such as t5xxl_fp16.safetensors or a GGUF of T5-XXL's encoder, or diffusers' folder text_encoder_2."
        )
    candidates = (f"{prefix.removesuffix('encoder.')}shared.weight", f"{prefix}embed_tokens.weight")
    embedding = next((name for name in candidates if name in source), candidates[0])
    return _T5Names(f"{prefix}block.", {}, embedding, f"{prefix}final_layer_norm.weight")


def _prefix(source: TensorSource, mark: str, not_after: str = "") -> str | None:
    """What stands before `mark` in the file's names, the shortest where several do; None where no name ends so."""
    prefixes = (name.removesuffix(mark) for name in source if name == mark or name.endswith("." + mark))
    return min((prefix for prefix in prefixes if not (not_after and prefix.endswith(not_after))), key=len, default=None)
