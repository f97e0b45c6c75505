# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny models of FLUX's build, and writers of them in every form that users' files have.

The models' tensors come in the names of the single files that users have (`flux_parts`); `write` puts any such tensors into a file of a `form`;
`write_shards`, `write_everything` and `write_pipeline_folder` make the arrangements of several files or several parts. Sides are multiples of 32 where a
GGUF's blocks ask for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import gguf
import numpy as np
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from jointdit.checkpoints import addon_tensors, flux_tensors
from jointdit.transformer import JointDiTTransformer2DModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

Tensors = dict[str, Tensor]

# `axes_dims_rope` leaves no trace in weights: it is FLUX's split of this head.
FLUX = {
    "in_channels": 64, "num_layers": 2, "num_single_layers": 2, "attention_head_dim": 32, "num_attention_heads": 2, "joint_attention_dim": 32,
    "pooled_projection_dim": 32, "guidance_embeds": True, "axes_dims_rope": (4, 14, 14),
}  # fmt: skip
RANKS = {"lora_rank": 4, "vector_lora_ranks": (3, 5), "text_lora_rank": 6}

SAFETENSORS_FORMS = ("f32", "f16", "bf16", "fp8", "fp8_e5m2", "fp8_scaled", "fp8_scaled_new", "fp8_scaled_rows")
GGUF_FORMS = ("gguf_f16", "gguf_bf16", "q8_0", "q5_0", "q4_0", "q4_1")
FORMS = (*SAFETENSORS_FORMS, *GGUF_FORMS)
# How `stored_as` calls the large matrices of a form.
STORED_AS = {form: form.removeprefix("gguf_") for form in FORMS} | {
    "fp8": "f8_e4m3", "fp8_e5m2": "f8_e5m2", "fp8_scaled": "f8_e4m3", "fp8_scaled_new": "f8_e4m3", "fp8_scaled_rows": "f8_e4m3",
}  # fmt: skip
_DTYPES = {
    "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2,
}  # fmt: skip
_PREFIXES = {
    "flux": "model.diffusion_model.", "autoencoder": "vae.", "clip": "text_encoders.clip_l.transformer.", "t5": "text_encoders.t5xxl.transformer.",
}  # fmt: skip


def _randomised(model: nn.Module, seed: int) -> nn.Module:
    """Every parameter random, also those that start as 0 or 1, so that none can be confused with another."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def tiny_flux(**changes: object) -> FluxTransformer2DModel:
    """A FLUX as diffusers has it; `changes` to its arguments, such as guidance_embeds=False for a schnell."""
    return _randomised(FluxTransformer2DModel(**{**FLUX, **changes}), seed=1)


def tiny_joint(**changes: object) -> JointDiTTransformer2DModel:
    """`tiny_flux` with random add-ons."""
    joint = JointDiTTransformer2DModel.from_flux(tiny_flux(**changes), **RANKS)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in joint.addon_parameters().values():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return joint.eval()


def tiny_autoencoder(latent_channels: int = 16) -> AutoencoderKL:
    """Four levels of different widths, so that the order of the blocks shows."""
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(8, 16, 24, 32), layers_per_block=1,
        latent_channels=latent_channels, norm_num_groups=8, use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.3611, shift_factor=0.1159,
    )  # fmt: skip
    return _randomised(model, seed=3)


def tiny_clip(vocabulary: int = 96, positions: int = 8) -> CLIPTextModel:
    """Pooled width 32, as `tiny_flux` takes it. CLIP's own tokenizer needs a vocabulary of 49408 and 77 positions."""
    end = vocabulary - 1
    config = CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=1, max_position_embeddings=positions,
        projection_dim=32, bos_token_id=end - 1, eos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    return _randomised(CLIPTextModel(config), seed=4)


def tiny_t5(vocabulary: int = 96) -> T5EncoderModel:
    """T5 version 1.1 (gated), width 32, as `tiny_flux` takes it. T5's own tokenizer needs a vocabulary of 32128."""
    config = T5Config(vocab_size=vocabulary, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu")
    return _randomised(T5EncoderModel(config), seed=5)


def autoencoder_original(state: Mapping[str, Tensor], levels: int = 4) -> Tensors:
    """diffusers' autoencoder in the names and shapes of ae.safetensors: attention as 1 x 1 convolutions, the decoder's levels counted from the finest."""
    parts = (
        (r"mid_block\.resnets\.0", "mid.block_1"), (r"mid_block\.resnets\.1", "mid.block_2"), (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
        (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"), (r"mid_block\.attentions\.0\.to_", "mid.attn_1."),
        (r"down_blocks\.(\d)\.resnets", r"down.\1.block"), (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d)\.resnets", r"up.\1.block"), (r"up_blocks\.(\d)\.upsamplers\.0", r"up.\1.upsample"), ("conv_shortcut", "nin_shortcut"),
        ("conv_norm_out", "norm_out"),
    )  # fmt: skip
    tensors = {}
    for name, tensor in state.items():
        for pattern, replacement in parts:
            name = re.sub(pattern, replacement, name)
        name = re.sub(r"decoder\.up\.(\d)", lambda level: f"decoder.up.{levels - 1 - int(level[1])}", name)
        is_attention = ".attn_1." in name and ".norm." not in name and name.endswith("weight")
        tensors[name] = tensor[:, :, None, None] if is_attention else tensor
    return tensors


def t5_llama_cpp(state: Mapping[str, Tensor]) -> Tensors:
    """transformers' T5 encoder in the names of llama.cpp, as the GGUFs of T5-XXL have them."""
    parts = {
        "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b", "layer.0.SelfAttention.": "attn_", "layer.0.layer_norm": "attn_norm",
        "layer.1.DenseReluDense.wi_0": "ffn_gate", "layer.1.DenseReluDense.wi_1": "ffn_up", "layer.1.DenseReluDense.wo": "ffn_down",
        "layer.1.layer_norm": "ffn_norm", "encoder.block.": "enc.blk.", "encoder.final_layer_norm": "enc.output_norm", "shared.": "token_embd.",
    }  # fmt: skip
    tensors = {}
    for name, tensor in state.items():
        if name == "encoder.embed_tokens.weight":
            continue  # the same tensor as shared.weight
        for ours, theirs in parts.items():
            name = name.replace(ours, theirs)
        tensors[name] = tensor
    return tensors


@cache
def flux_parts(readable: bool = False) -> dict[str, Tensors]:
    """float32 tensors of flux, addons, autoencoder, clip and t5, in the names of flux1-dev, jointdit, ae, clip_l and t5xxl.safetensors. Do not change them.

    `readable`: with the vocabularies of the true tokenizers, so that prompts can be read.
    """
    joint = tiny_joint()
    t5_model, clip_model = (tiny_t5(32128), tiny_clip(49408, 77)) if readable else (tiny_t5(), tiny_clip())
    t5 = {name: tensor for name, tensor in t5_model.state_dict().items() if name != "encoder.embed_tokens.weight"}
    clip = {f"text_model.{name}": tensor for name, tensor in clip_model.state_dict().items()}
    parts = {
        "flux": flux_tensors(joint), "addons": addon_tensors(joint), "autoencoder": autoencoder_original(tiny_autoencoder().state_dict()), "clip": clip,
        "t5": t5,
    }  # fmt: skip
    return {part: {name: tensor.detach().clone() for name, tensor in tensors.items()} for part, tensors in parts.items()}


def encode(tensors: Mapping[str, Tensor], form: str) -> Tensors:
    """Tensors as a safetensors file of a form in SAFETENSORS_FORMS holds them, the helpers of scaled fp8 included.

    Plain fp8 rounds everything; scaled fp8 rounds matrices and keeps the rest as bf16, as ComfyUI's files do.
    """
    if form in _DTYPES:
        return {name: tensor.to(_DTYPES[form]).contiguous() for name, tensor in tensors.items()}
    stored: Tensors = {}
    if form == "fp8_scaled":
        stored["scaled_fp8"] = torch.empty(0, dtype=torch.float8_e4m3fn)
    for name, tensor in tensors.items():
        if not (name.endswith(".weight") and tensor.ndim == 2):
            stored[name] = tensor.to(torch.bfloat16).contiguous()
            continue
        module = name.removesuffix("weight")
        largest = tensor.abs().amax(dim=1, keepdim=True) if form == "fp8_scaled_rows" else tensor.abs().max()
        scale = largest / 448
        stored[name] = (tensor / scale).to(torch.float8_e4m3fn)
        if form == "fp8_scaled":
            stored[f"{module}scale_weight"], stored[f"{module}scale_input"] = scale[None], torch.ones(1)
        else:
            stored[f"{module}weight_scale"], stored[f"{module}input_scale"] = scale, torch.ones(())
            stored[f"{module}comfy_quant"] = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
    return stored


def write(tensors: Mapping[str, Tensor], path: Path, form: str = "bf16", prefix: str = "", architecture: str = "flux") -> Path:
    """One file in any of FORMS, with `prefix` before every name; returns `path`. `architecture` is for a GGUF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if form in SAFETENSORS_FORMS:
        save_file({prefix + name: tensor for name, tensor in encode(tensors, form).items()}, path)
        return path
    kind = gguf.GGMLQuantizationType[form.removeprefix("gguf_").upper()]
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    writer = gguf.GGUFWriter(path, architecture)
    for name, tensor in tensors.items():
        # Vectors stay float32, and so do matrices whose rows are no whole blocks.
        suits = tensor.ndim > 1 and tensor.shape[-1] % block == 0
        used = kind if suits else gguf.GGMLQuantizationType.F32
        writer.add_tensor(prefix + name, gguf.quants.quantize(tensor.numpy().astype(np.float32), used), raw_dtype=used)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_shards(tensors: Mapping[str, Tensor], folder: Path, stem: str = "model", form: str = "bf16", count: int = 3, index: bool = True) -> Path:
    """A folder of `count` safetensors shards, with or without an index; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = encode(tensors, form)
    files = [f"{stem}-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    weight_map = {name: files[i * count // len(stored)] for i, name in enumerate(stored)}
    for file in files:
        save_file({name: stored[name] for name in stored if weight_map[name] == file}, folder / file)
    if index:
        (folder / f"{stem}.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), encoding="utf-8")
    return folder


def write_everything(path: Path, form: str = "bf16") -> Path:
    """A checkpoint of everything but the add-ons, as ComfyUI has them."""
    stored = {prefix + name: tensor for part, prefix in _PREFIXES.items() for name, tensor in encode(flux_parts()[part], form).items()}
    for encoder in ("clip_l", "t5xxl"):
        stored[f"text_encoders.{encoder}.logit_scale"] = torch.ones(())  # such files have it, and nobody uses it
    save_file(stored, path)
    return path


def write_clip_tokenizer(folder: Path) -> Path:
    """vocab.json and merges.txt, as CLIP's tokenizer has them."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["a</w>", "b</w>", "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder


def write_t5_tokenizer(folder: Path, spiece: bool = False) -> Path:
    """tokenizer.json with a Unigram model, or SentencePiece's own file, as T5's tokenizer has them."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = ["<pad>", "</s>", "<unk>", "▁", "▁a", "b"]
    if spiece:
        entries = [b"\n" + bytes([len(piece.encode())]) + piece.encode() + b"\x15\x00\x00\x00\x00" for piece in pieces]
        (folder / "spiece.model").write_bytes(b"".join(b"\n" + bytes([len(entry)]) + entry for entry in entries))
    else:
        tokenizer = {"version": "1.0", "added_tokens": [], "model": {"type": "Unigram", "unk_id": 2, "vocab": [[piece, 0.0] for piece in pieces]}}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


def write_pipeline_folder(folder: Path) -> Path:
    """FLUX.1-dev as diffusers has it, transformer and T5 in shards; the same values as `flux_parts`."""
    tiny_flux().to(torch.bfloat16).save_pretrained(folder / "transformer", max_shard_size="100KB")
    tiny_autoencoder().to(torch.bfloat16).save_pretrained(folder / "vae")
    tiny_clip().to(torch.bfloat16).save_pretrained(folder / "text_encoder")
    tiny_t5().to(torch.bfloat16).save_pretrained(folder / "text_encoder_2", max_shard_size="30KB")
    write_clip_tokenizer(folder / "tokenizer")
    write_t5_tokenizer(folder / "tokenizer_2")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}), encoding="utf-8")
    return folder
