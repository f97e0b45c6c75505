# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights files that users have -> the transformer, and back without the loss of a bit.

FLUX's original layout names fused layers (`double_blocks.0.img_attn.qkv`); diffusers splits them (`attn.to_q`, ...). One table says which original
module is which list of ours, rows stacked; it is read in both directions. The released JointDiT add-on file uses the original names too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import CheckpointError
from .transformer import JointDiTTransformer2DModel

# Where other programs put a prefix before FLUX's names.
KNOWN_PREFIXES = ("model.diffusion_model.", "diffusion_model.")

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
_SWAPPED = "norm_out.linear."  # FLUX orders (shift, scale), diffusers (scale, shift)


def _flux_table(layers: int, single_layers: int, guidance: bool) -> dict[str, list[str]]:
    """Original parameter name -> our parameter names whose rows it stacks."""
    modules = {original: ours for original, ours in _TOP.items() if guidance or not original.startswith("guidance_in")}
    parameters: dict[str, list[str]] = {}
    for count, original_prefix, our_prefix, linears, norms in (
        (layers, "double_blocks", "transformer_blocks", _DOUBLE, _DOUBLE_NORMS),
        (single_layers, "single_blocks", "single_transformer_blocks", _SINGLE, _SINGLE_NORMS),
    ):
        for i in range(count):
            modules |= {f"{original_prefix}.{i}.{o}": [f"{our_prefix}.{i}.{name}" for name in ours] for o, ours in linears.items()}
            parameters |= {f"{original_prefix}.{i}.{o}": [f"{our_prefix}.{i}.{name}"] for o, name in norms.items()}
    for original, ours in modules.items():
        for kind in ("weight", "bias"):
            parameters[f"{original}.{kind}"] = [f"{name}.{kind}" for name in ours]
    return parameters


def _addon_table(layers: int, single_layers: int) -> dict[str, str]:
    """Released add-on parameter name -> our parameter name."""
    names = {}
    for module in ("vector_in.in_layer", "vector_in.out_layer", "txt_in"):
        names[module] = f"depth_lora.{module.replace('.', '_')}"
    for count, original_prefix, our_prefix, modules in (
        (layers, "double_blocks", "transformer_blocks", [m for m in _DOUBLE if "mlp" not in m]),
        (single_layers, "single_blocks", "single_transformer_blocks", ["linear1", "modulation.lin"]),
    ):
        for i in range(count):
            names |= {f"{original_prefix}.{i}.{m}": f"{our_prefix}.{i}.depth_lora.{m.replace('.', '_')}" for m in modules}
    table = {}
    for original, ours in names.items():
        table[f"{original}.lora_A.weight"] = f"{ours}.down.weight"
        table[f"{original}.lora_B.weight"] = f"{ours}.up.weight"
    for kind in ("weight", "bias"):
        table |= {f"double_blocks.{i}.joint1.{kind}": f"transformer_blocks.{i}.attn.to_joint.{kind}" for i in range(layers)}
        table |= {f"single_blocks.{i}.joint2.{kind}": f"single_transformer_blocks.{i}.attn.to_joint.{kind}" for i in range(single_layers)}
    return table


def config_from_tensors(
    flux: Mapping[str, Tensor], addons: Mapping[str, Tensor], axes_dims_rope: tuple[int, int, int] | None = None
) -> dict[str, object]:
    """Read the architecture from the tensors' shapes.

    The rotary axes leave no trace in the weights: FLUX's split (1/8, 7/16, 7/16 of the head) is taken unless they are given.
    Raises `CheckpointError` when the tensors are not those of a FLUX or of JointDiT add-ons.
    """
    try:
        hidden, channels = flux["img_in.weight"].shape
        head = flux["double_blocks.0.img_attn.norm.query_norm.scale"].shape[0]
        config = {
            "in_channels": channels,
            "num_layers": _count(flux, "double_blocks"),
            "num_single_layers": _count(flux, "single_blocks"),
            "attention_head_dim": head,
            "num_attention_heads": hidden // head,
            "joint_attention_dim": flux["txt_in.weight"].shape[1],
            "pooled_projection_dim": flux["vector_in.in_layer.weight"].shape[1],
            "guidance_embeds": "guidance_in.in_layer.weight" in flux,
            "axes_dims_rope": axes_dims_rope or (head // 8, head * 7 // 16, head * 7 // 16),
        }
    except KeyError as error:
        raise CheckpointError(f"This is not a FLUX transformer: the tensor {error} is missing. Choose a file such as flux1-dev.safetensors.") from error
    try:
        config |= {
            "lora_rank": addons["double_blocks.0.img_attn.qkv.lora_A.weight"].shape[0],
            "vector_lora_ranks": tuple(addons[f"vector_in.{layer}.lora_A.weight"].shape[0] for layer in ("in_layer", "out_layer")),
            "text_lora_rank": addons["txt_in.lora_A.weight"].shape[0],
        }
    except KeyError as error:
        raise CheckpointError(f"This is not a JointDiT add-on file: the tensor {error} is missing. Choose jointdit.safetensors.") from error
    return config


def _count(tensors: Iterable[str], prefix: str) -> int:
    return 1 + max((int(name.split(".")[1]) for name in tensors if name.startswith(prefix + ".")), default=-1)


def build_transformer(
    flux: Mapping[str, Tensor], addons: Mapping[str, Tensor], axes_dims_rope: tuple[int, int, int] | None = None, **options
) -> JointDiTTransformer2DModel:
    """Tensors in the released layouts -> the model, in the tensors' own dtype and on their device (the meta device included).

    `options` override the model's arguments (`adaptive_form`). Raises `CheckpointError` naming what is missing, left over or misshapen.
    """
    config = config_from_tensors(flux, addons, axes_dims_rope) | options
    with torch.device("meta"):
        model = JointDiTTransformer2DModel(**config)
    shapes = {name: parameter.shape for name, parameter in model.state_dict().items()}
    state = _from_flux(flux, _flux_table(config["num_layers"], config["num_single_layers"], config["guidance_embeds"]), shapes)
    addon_table = _addon_table(config["num_layers"], config["num_single_layers"])
    _refuse_differences("JointDiT add-on file", addon_table.keys(), addons.keys())
    for original, ours in addon_table.items():
        _refuse_shape(original, addons[original].shape, shapes[ours])
        state[ours] = addons[original]
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval()


def _from_flux(flux: Mapping[str, Tensor], table: Mapping[str, list[str]], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    _refuse_differences("FLUX file", table.keys(), flux.keys())
    state = {}
    for original, ours in table.items():
        rows = [shapes[name][0] for name in ours]
        _refuse_shape(original, flux[original].shape, torch.Size((sum(rows), *shapes[ours[0]][1:])))
        for name, part in zip(ours, flux[original].split(rows), strict=True):
            state[name] = _swap_halves(part) if name.startswith(_SWAPPED) else part
    return state


def _swap_halves(x: Tensor) -> Tensor:
    first, second = x.chunk(2)
    return torch.cat([second, first])


def _refuse_differences(what: str, expected: Iterable[str], found: Iterable[str]) -> None:
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing:
        raise CheckpointError(
            f"The {what} lacks {len(missing)} tensors, the first is {missing[0]}. It may be damaged or belong to another model: get it again."
        )
    if extra:
        raise CheckpointError(f"The {what} holds {len(extra)} tensors that JointDiT does not know, the first is {extra[0]}. It belongs to another model.")


def _refuse_shape(name: str, found: torch.Size, expected: torch.Size) -> None:
    if found != expected:
        raise CheckpointError(
            f"The tensor {name} has the shape {tuple(found)}, but {tuple(expected)} is needed. The files belong to different models: choose a matching pair."
        )


def flux_tensors(model: JointDiTTransformer2DModel) -> dict[str, Tensor]:
    """The base model in FLUX's original names: the inverse of `build_transformer`, bit for bit."""
    state = model.state_dict()
    table = _flux_table(model.config.num_layers, model.config.num_single_layers, model.config.guidance_embeds)
    parts = {
        original: [_swap_halves(state[name]) if name.startswith(_SWAPPED) else state[name] for name in ours] for original, ours in table.items()
    }
    return {original: torch.cat(tensors) for original, tensors in parts.items()}


def addon_tensors(model: JointDiTTransformer2DModel) -> dict[str, Tensor]:
    """The add-ons in the released names."""
    state = model.state_dict()
    return {original: state[ours] for original, ours in _addon_table(model.config.num_layers, model.config.num_single_layers).items()}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, other programs' name prefix removed. Raises `CheckpointError` with a sentence."""
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}. Check the path of the model.")
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            prefix = next((p for p in KNOWN_PREFIXES if names and all(name.startswith(p) for name in names)), "")
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"The weights file {path} cannot be read ({error}). It is damaged or was not downloaded completely: get it again."
        ) from error


def load_transformer(flux: Path, addons: Path, axes_dims_rope: tuple[int, int, int] | None = None, **options) -> JointDiTTransformer2DModel:
    """Two safetensors files in the released layouts -> the model. Raises `CheckpointError` with a sentence."""
    return build_transformer(read_tensors(flux), read_tensors(addons), axes_dims_rope, **options)


def save_transformer(model: JointDiTTransformer2DModel, flux: Path | None, addons: Path | None) -> None:
    """Write the released layouts; None leaves that file out."""
    for path, tensors in ((flux, flux_tensors), (addons, addon_tensors)):
        if path is not None:
            save_file({name: tensor.contiguous() for name, tensor in tensors(model).items()}, path)


def read_addon_options(addons: Path) -> dict[str, object]:
    """The JSON beside an add-on file (same stem), or the released defaults where there is none.

    Raises `CheckpointError` for options that this program cannot run.
    """
    options: dict[str, object] = {"is_txt_ids_training": False, "is_attnmask_training": False, "depth_transform": "none"}
    path = addons.with_suffix(".json")
    if path.is_file():
        try:
            options |= json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"The file {path} beside the add-on weights is not valid JSON ({error}). Get it again or remove it.") from error
    if options["is_txt_ids_training"] or options["is_attnmask_training"]:
        raise CheckpointError(f"{path} asks for trained text positions or a text mask, which no released JointDiT uses. Get the released file.")
    if options["depth_transform"] not in ("none", "inverse"):
        raise CheckpointError(f"{path} names an unknown depth_transform {options['depth_transform']!r}; it must be none or inverse.")
    return options
