# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tensor of FLUX's and JointDiT's original layouts is which parameter of ours.

FLUX's original layout names fused layers (`double_blocks.0.img_attn.qkv`); diffusers splits them (`attn.to_q`, ...). One table says which original
parameter is which list of ours, rows stacked; a model with fused projections has one of its own for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import CheckpointError

_DOUBLE = {
    "img_mod.lin": ["norm1.linear"],
    "txt_mod.lin": ["norm1_context.linear"],
    "img_attn.qkv": ["attn.to_q", "attn.to_k", "attn.to_v"],
    "txt_attn.qkv": ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
    "img_attn.proj": ["attn.to_out.0"],
    "txt_attn.proj": ["attn.to_add_out"],
    "img_mlp.0": ["ff.net.0.proj"],
    "img_mlp.2": ["ff.net.2"],
    "txt_mlp.0": ["ff_context.net.0.proj"],
    "txt_mlp.2": ["ff_context.net.2"],
}
_DOUBLE_NORMS = {
    "img_attn.norm.query_norm.scale": "attn.norm_q.weight",
    "img_attn.norm.key_norm.scale": "attn.norm_k.weight",
    "txt_attn.norm.query_norm.scale": "attn.norm_added_q.weight",
    "txt_attn.norm.key_norm.scale": "attn.norm_added_k.weight",
}
_SINGLE = {
    "modulation.lin": ["norm.linear"],
    "linear1": ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"],
    "linear2": ["proj_out"],
}
_SINGLE_NORMS = {"norm.query_norm.scale": "attn.norm_q.weight", "norm.key_norm.scale": "attn.norm_k.weight"}
_FUSED = {"img_attn.qkv": "attn.to_qkv", "txt_attn.qkv": "attn.to_added_qkv", "linear1": "linear1"}
_TOP = {
    "img_in": ["x_embedder"],
    "txt_in": ["context_embedder"],
    "time_in.in_layer": ["time_text_embed.timestep_embedder.linear_1"],
    "time_in.out_layer": ["time_text_embed.timestep_embedder.linear_2"],
    "vector_in.in_layer": ["time_text_embed.text_embedder.linear_1"],
    "vector_in.out_layer": ["time_text_embed.text_embedder.linear_2"],
    "guidance_in.in_layer": ["time_text_embed.guidance_embedder.linear_1"],
    "guidance_in.out_layer": ["time_text_embed.guidance_embedder.linear_2"],
    "final_layer.linear": ["proj_out"],
    "final_layer.adaLN_modulation.1": ["norm_out.linear"],
}
SWAPPED = "norm_out.linear."  # FLUX orders (shift, scale), diffusers (scale, shift)


def flux_table(layers: int, single_layers: int, guidance: bool, fused: bool = False) -> dict[str, list[str]]:
    """Original parameter name -> our parameter names whose rows it stacks; one each where our projections are fused."""
    modules = {original: ours for original, ours in _TOP.items() if guidance or not original.startswith("guidance_in")}
    parameters: dict[str, list[str]] = {}
    for number, original_prefix, our_prefix, linears, norms in (
        (layers, "double_blocks", "transformer_blocks", _DOUBLE, _DOUBLE_NORMS),
        (single_layers, "single_blocks", "single_transformer_blocks", _SINGLE, _SINGLE_NORMS),
    ):
        for i in range(number):
            modules |= {f"{original_prefix}.{i}.{o}": [f"{our_prefix}.{i}.{name}" for name in ours] for o, ours in linears.items()}
            parameters |= {f"{original_prefix}.{i}.{o}": [f"{our_prefix}.{i}.{name}"] for o, name in norms.items()}
    for original, ours in modules.items():
        if fused and len(ours) > 1:
            ours = [f"{ours[0].split('.attn.')[0]}.{_FUSED[original.split('.', 2)[2]]}"]
        for kind in ("weight", "bias"):
            parameters[f"{original}.{kind}"] = [f"{name}.{kind}" for name in ours]
    return parameters


def addon_table(layers: int, single_layers: int) -> dict[str, str]:
    """Released add-on parameter name -> our parameter name."""
    names = {}
    for module in ("vector_in.in_layer", "vector_in.out_layer", "txt_in"):
        names[module] = f"depth_lora.{module.replace('.', '_')}"
    for number, original_prefix, our_prefix, modules in (
        (layers, "double_blocks", "transformer_blocks", [m for m in _DOUBLE if "mlp" not in m]),
        (single_layers, "single_blocks", "single_transformer_blocks", ["linear1", "modulation.lin"]),
    ):
        for i in range(number):
            names |= {f"{original_prefix}.{i}.{m}": f"{our_prefix}.{i}.depth_lora.{m.replace('.', '_')}" for m in modules}
    table = {}
    for original, ours in names.items():
        table[f"{original}.lora_A.weight"] = f"{ours}.down.weight"
        table[f"{original}.lora_B.weight"] = f"{ours}.up.weight"
    for kind in ("weight", "bias"):
        table |= {f"double_blocks.{i}.joint1.{kind}": f"transformer_blocks.{i}.attn.to_joint.{kind}" for i in range(layers)}
        table |= {f"single_blocks.{i}.joint2.{kind}": f"single_transformer_blocks.{i}.attn.to_joint.{kind}" for i in range(single_layers)}
    return table


def count(names: Iterable[str], prefix: str) -> int:
    """Number of blocks among parameter names: one more than the largest index after `prefix`."""
    return 1 + max((int(name.split(".")[1]) for name in names if name.startswith(prefix + ".")), default=-1)


def config_from_shapes(
    flux: Mapping[str, tuple[int, ...]], addons: Mapping[str, tuple[int, ...]], axes_dims_rope: tuple[int, int, int] | None = None
) -> dict[str, Any]:
    """Read the architecture from the shapes of the tensors of FLUX's and JointDiT's original layouts.

    The rotary axes leave no trace in the weights: FLUX's split (1/8, 7/16, 7/16 of the head) is taken unless they are given.
    Raises `CheckpointError` when the tensors are not those of a FLUX or of JointDiT add-ons.
    """
    try:
        hidden, channels = flux["img_in.weight"]
        head = flux["double_blocks.0.img_attn.norm.query_norm.scale"][0]
        config = {
            "in_channels": channels,
            "num_layers": count(flux, "double_blocks"),
            "num_single_layers": count(flux, "single_blocks"),
            "attention_head_dim": head,
            "num_attention_heads": hidden // head,
            "joint_attention_dim": flux["txt_in.weight"][1],
            "pooled_projection_dim": flux["vector_in.in_layer.weight"][1],
            "guidance_embeds": "guidance_in.in_layer.weight" in flux,
            "axes_dims_rope": axes_dims_rope or (head // 8, head * 7 // 16, head * 7 // 16),
        }
    except KeyError as error:
        raise CheckpointError(f"This is not a FLUX transformer: the tensor {error} is missing. Choose a file such as flux1-dev.safetensors.") from error
    try:
        config |= {
            "lora_rank": addons["double_blocks.0.img_attn.qkv.lora_A.weight"][0],
            "vector_lora_ranks": tuple(addons[f"vector_in.{layer}.lora_A.weight"][0] for layer in ("in_layer", "out_layer")),
            "text_lora_rank": addons["txt_in.lora_A.weight"][0],
        }
    except KeyError as error:
        raise CheckpointError(f"This is not a JointDiT add-on file: the tensor {error} is missing. Choose jointdit.safetensors.") from error
    return config


def refuse_differences(what: str, expected: Iterable[str], found: Iterable[str]) -> None:
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing:
        raise CheckpointError(
            f"The {what} lacks {len(missing)} tensors, the first is {missing[0]}. It may be damaged or belong to another model: get it again."
        )
    if extra:
        raise CheckpointError(f"The {what} holds {len(extra)} tensors that JointDiT does not know, the first is {extra[0]}. It belongs to another model.")


def refuse_shape(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise CheckpointError(
            f"The tensor {name} has the shape {tuple(found)}, but {tuple(expected)} is needed. The files belong to different models: choose a matching pair."
        )
