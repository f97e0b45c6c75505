# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is, told from the names and shapes of its tensors: never from a file's name, and without reading data."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .source import TensorSource

UNKNOWN = "a model that JointDiT does not know"


@dataclass(frozen=True)
class Kind:
    """`piece`: flux, addons, autoencoder, clip, t5, lora or other (a folder may also be a tokenizer or tokenizer_2).

    `layout` names the tensors' names where there are several ways: original, diffusers or llama.cpp; otherwise it is empty (text encoders with
    the names of Hugging Face's transformers). `note` is a clause: for `other` what it is, else what is to be known of this one, or empty.
    """

    piece: str
    layout: str = ""
    note: str = ""


# Models of other programs: a tensor that only they have, and what they are. The first that fits counts, so parts stand before wholes.
_OTHERS = (
    ("controlnet_blocks.0.weight", "a ControlNet for FLUX or one of its kin"),
    ("input_hint_block.0.weight", "a ControlNet"),
    ("zero_convs.0.0.weight", "a ControlNet for Stable Diffusion"),
    ("controlnet_down_blocks.0.weight", "a ControlNet for Stable Diffusion"),
    ("redux_up.weight", "FLUX.1-Redux, which turns pictures into prompts"),
    ("double_stream_modulation_img.lin.weight", "FLUX.2"),
    ("double_stream_modulation_img.linear.weight", "FLUX.2"),
    ("distilled_guidance_layer.in_proj.weight", "Chroma"),
    ("double_blocks.0.img_attn_qkv.weight", "HunyuanVideo"),
    ("joint_blocks.0.context_block.attn.qkv.weight", "Stable Diffusion 3"),
    ("transformer_blocks.0.img_mlp.net.0.proj.weight", "Qwen-Image"),
    ("cap_embedder.0.weight", "Z-Image or Lumina"),
    ("patch_embedding.weight", "a video model such as Wan"),
    ("label_emb.0.0.weight", "a UNet of Stable Diffusion XL"),
    ("add_embedding.linear_1.weight", "a UNet of Stable Diffusion XL"),
    ("input_blocks.0.0.weight", "a UNet of Stable Diffusion"),
    ("down_blocks.0.resnets.0.conv1.weight", "a UNet of Stable Diffusion"),
    ("text_model.head.weight", "a SigLIP"),
    ("transformer.resblocks.0.attn.in_proj_weight", "a CLIP-G text encoder in OpenCLIP's layout"),
    ("model.layers.0.self_attn.q_proj.weight", "a language model"),
    ("blk.0.attn_q.weight", "a language model"),
    ("blk.0.attn_qkv.weight", "a language model"),
)

_ORIGINAL_FLUX = (
    "img_in.weight", "txt_in.weight", "vector_in.in_layer.weight", "double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight",
    "final_layer.linear.weight",
)  # fmt: skip
_DIFFUSERS_FLUX = (
    "x_embedder.weight", "context_embedder.weight", "time_text_embed.text_embedder.linear_1.weight", "transformer_blocks.0.attn.add_q_proj.weight",
    "single_transformer_blocks.0.proj_mlp.weight", "proj_out.weight",
)  # fmt: skip
_LORA = re.compile(r"[._](lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up|lokr_w\d\w*|hada_w\d_\w|proj_lora\d?|qkv_lora\d?)\b")
_FLUX_LORA = re.compile(r"(double_blocks|single_blocks|transformer_blocks)[._]\d+[._]")
_FOREIGN_LORA = re.compile(r"(down|up|input|output|mid|middle)_blocks?[._]|img_attn_qkv|img_mlp[._]net|joint_blocks|attn2|to_qkv_mlp_proj")
_LATENT_CHANNELS = {4: "the autoencoder of Stable Diffusion (4 latent channels; FLUX's has 16)", 32: "the autoencoder of FLUX.2 (32 latent channels)"}
# Text encoders of the same build that other models use are told apart by a size of theirs.
_CLIP_G_WIDTH = 1280
_BYT5_WIDTH = 1472
_MANY_LANGUAGES = 200_000  # words: more than this is the vocabulary of mT5 or UMT5


def identify(source: TensorSource) -> Kind:
    """What the model is. Widths, depths and numbers of heads are free, so tiny models of the same build are recognised too."""
    if any(re.match(r"(double|single)_blocks\.\d+\.joint[12]\.", name) for name in source):
        return Kind("addons", "original")
    if any(_LORA.search(name) for name in source):
        return _lora(source)
    for mark, name in _OTHERS:
        if mark in source:
            return Kind("other", "", name)
    return _flux(source) or _autoencoder(source) or _clip(source) or _t5(source) or Kind("other", "", UNKNOWN)


def _lora(source: TensorSource) -> Kind:
    if any(_FOREIGN_LORA.search(name) for name in source) or not any(_FLUX_LORA.search(name) for name in source):
        return Kind("other", "", "a LoRA for another model than FLUX.1")
    for name in source:
        # FLUX.1's single blocks feed 3 + 4 widths from one layer, FLUX.2's 3 + 6.
        if re.search(r"single_blocks[._]\d+[._]linear1\.(lora_B|lora_up)\.weight$", name):
            down = name.replace("lora_B", "lora_A").replace("lora_up", "lora_down")
            if down in source and source.shape(name)[0] == 9 * source.shape(down)[1]:
                return Kind("other", "", "a LoRA for FLUX.2")
    return Kind("lora", "diffusers" if any("transformer_blocks" in name for name in source) else "original")


def _flux(source: TensorSource) -> Kind | None:
    if all(name in source for name in _ORIGINAL_FLUX):
        layout, guidance, first, last = "original", "guidance_in.in_layer.weight", "img_in.weight", "final_layer.linear.weight"
    elif all(name in source for name in _DIFFUSERS_FLUX):
        layout, guidance, first, last = "diffusers", "time_text_embed.guidance_embedder.linear_1.weight", "x_embedder.weight", "proj_out.weight"
    elif "transformer_blocks.0.attn.add_q_proj.weight" in source and "pos_embed.proj.weight" in source:
        return Kind("other", "", "Stable Diffusion 3")
    else:
        return None
    if any(".to_joint." in name for name in source):
        return Kind("other", "", "a whole JointDiT transformer, which is used by choosing the folder of its pipeline")
    taken, given = source.shape(first)[1], source.shape(last)[0]
    if taken != given:
        return Kind("flux", layout, f"FLUX.1 Fill, Depth or Canny ({taken} channels in, {given} out), for which the JointDiT add-ons were not made")
    if guidance not in source:
        return Kind("flux", layout, "FLUX.1-schnell, for which the JointDiT add-ons were not made")
    return Kind("flux", layout)


def _autoencoder(source: TensorSource) -> Kind | None:
    if "encoder.down.0.block.0.conv1.weight" in source:
        layout = "original"
    elif "encoder.down_blocks.0.resnets.0.conv1.weight" in source:
        layout = "diffusers"
    else:
        return None
    if "encoder.conv_out.weight" not in source or "decoder.conv_in.weight" not in source:
        return None
    shape = source.shape("decoder.conv_in.weight")
    if len(shape) != 4:
        return Kind("other", "", "the autoencoder of a video model")
    channels = shape[1]
    # The encoder gives a mean and a variance for each channel.
    if channels == 16 and source.shape("encoder.conv_out.weight")[0] == 32:
        return Kind("autoencoder", layout)
    return Kind("other", "", _LATENT_CHANNELS.get(channels, f"an autoencoder with {channels} latent channels, where FLUX's has 16"))


def _clip(source: TensorSource) -> Kind | None:
    # transformers 5 writes the names without "text_model.".
    prefix = next((p for p in ("text_model.", "") if f"{p}embeddings.token_embedding.weight" in source), None)
    if prefix is None and any(name.startswith(("vision_model.", "visual.")) for name in source):
        return Kind("other", "", "an image encoder (CLIP vision or SigLIP)")
    if prefix is None or f"{prefix}encoder.layers.0.self_attn.q_proj.weight" not in source:
        return None
    if source.shape(f"{prefix}embeddings.token_embedding.weight")[-1] == _CLIP_G_WIDTH:
        return Kind("other", "", "the text encoder CLIP-G, where FLUX uses CLIP-L")
    return Kind("clip", "", "a whole CLIP, of which the text half is used" if "visual_projection.weight" in source else "")


def _t5(source: TensorSource) -> Kind | None:
    if "enc.blk.0.attn_q.weight" in source:
        layout, block, bias, gate = "llama.cpp", "enc.blk", "attn_rel_b.weight", "ffn_gate.weight"
        words = ("token_embd.weight",)
    elif "encoder.block.0.layer.0.SelfAttention.q.weight" in source:
        layout, block, bias, gate = "", "encoder.block", "layer.0.SelfAttention.relative_attention_bias.weight", "layer.1.DenseReluDense.wi_0.weight"
        words = ("shared.weight", "encoder.embed_tokens.weight")
    else:
        return None
    embedding = next((name for name in words if name in source), None)
    if embedding is None:
        return None
    vocabulary, width = source.shape(embedding)
    if width == _BYT5_WIDTH:
        return Kind("other", "", "the text encoder ByT5, where FLUX uses T5-XXL")
    if f"{block}.1.{bias}" in source or vocabulary > _MANY_LANGUAGES:
        return Kind("other", "", "the text encoder UMT5 or mT5, where FLUX uses T5-XXL")
    if f"{block}.0.{gate}" not in source:
        return Kind("t5", layout, "a T5 of the first version, where FLUX uses version 1.1")
    return Kind("t5", layout, "a whole T5, of which the encoder is used" if any(name.startswith(("decoder.", "dec.")) for name in source) else "")
