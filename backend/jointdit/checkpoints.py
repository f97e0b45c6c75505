# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tensors in the released layouts -> the transformer as diffusers has it, and back without the loss of a bit.

For training and for export. A pipeline for making pictures is put together from users' files by `assembly`, without a copy of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .errors import CheckpointError
from .joint_attention import ADAPTIVE_FORMS
from .layout import SWAPPED, addon_table, config_from_shapes, flux_table, refuse_differences, refuse_shape
from .transformer import JointDiTTransformer2DModel
from .weights.source import open_source

# What the JSON beside an add-on file may say; `adaptive_form` is ours, for add-ons of an ablation.
ADDON_OPTIONS: Mapping[str, object] = {
    "is_txt_ids_training": False, "is_attnmask_training": False, "depth_transform": "none", "adaptive_form": ADAPTIVE_FORMS[0],
}  # fmt: skip


def build_transformer(
    flux: Mapping[str, Tensor], addons: Mapping[str, Tensor], axes_dims_rope: tuple[int, int, int] | None = None, **options
) -> JointDiTTransformer2DModel:
    """Tensors in the released layouts -> the model, in the tensors' own dtype and on their device (the meta device included).

    `options` override the model's arguments (`adaptive_form`). Raises `CheckpointError` naming what is missing, left over or misshapen.
    """
    config = config_from_shapes(_shapes(flux), _shapes(addons), axes_dims_rope) | options
    with torch.device("meta"):
        model = JointDiTTransformer2DModel(**config)
    shapes = {name: parameter.shape for name, parameter in model.state_dict().items()}
    state = _from_flux(flux, flux_table(config["num_layers"], config["num_single_layers"], config["guidance_embeds"]), shapes)
    addons_table = addon_table(config["num_layers"], config["num_single_layers"])
    refuse_differences("JointDiT add-on file", addons_table.keys(), addons.keys())
    for original, ours in addons_table.items():
        refuse_shape(original, addons[original].shape, shapes[ours])
        state[ours] = addons[original]
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval()


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _from_flux(flux: Mapping[str, Tensor], table: Mapping[str, list[str]], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    refuse_differences("FLUX file", table.keys(), flux.keys())
    state = {}
    for original, ours in table.items():
        rows = [shapes[name][0] for name in ours]
        refuse_shape(original, flux[original].shape, (sum(rows), *shapes[ours[0]][1:]))
        for name, part in zip(ours, flux[original].split(rows), strict=True):
            state[name] = _swap_halves(part) if name.startswith(SWAPPED) else part
    return state


def _swap_halves(x: Tensor) -> Tensor:
    first, second = x.chunk(2)
    return torch.cat([second, first])


def flux_tensors(model: JointDiTTransformer2DModel) -> dict[str, Tensor]:
    """The base model in FLUX's original names: the inverse of `build_transformer`, bit for bit."""
    state = model.state_dict()
    table = flux_table(model.config.num_layers, model.config.num_single_layers, model.config.guidance_embeds, model.fused)
    parts = {
        original: [_swap_halves(state[name]) if name.startswith(SWAPPED) else state[name] for name in ours] for original, ours in table.items()
    }
    return {original: torch.cat(tensors) for original, tensors in parts.items()}


def addon_tensors(model: JointDiTTransformer2DModel) -> dict[str, Tensor]:
    """The add-ons in the released names."""
    state = model.state_dict()
    return {original: state[ours] for original, ours in addon_table(model.config.num_layers, model.config.num_single_layers).items()}


def load_transformer(flux: Path, addons: Path, axes_dims_rope: tuple[int, int, int] | None = None, **options) -> JointDiTTransformer2DModel:
    """Two safetensors files in the released layouts -> the model. Raises `CheckpointError` with a sentence."""
    return build_transformer(open_source(flux), open_source(addons), axes_dims_rope, **options)


def save_transformer(model: JointDiTTransformer2DModel, flux: Path | None, addons: Path | None) -> None:
    """Write the released layouts; None leaves that file out."""
    for path, tensors in ((flux, flux_tensors), (addons, addon_tensors)):
        if path is not None:
            save_file({name: tensor.contiguous() for name, tensor in tensors(model).items()}, path)


def read_addon_options(addons: Path) -> dict[str, object]:
    """The JSON beside an add-on file (same stem), or the released defaults where there is none.

    Raises `CheckpointError` for options that this program cannot run.
    """
    options = dict(ADDON_OPTIONS)
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
    if options["adaptive_form"] not in ADAPTIVE_FORMS:
        raise CheckpointError(f"{path} names an unknown adaptive_form {options['adaptive_form']!r}; it must be one of {', '.join(ADAPTIVE_FORMS)}.")
    return options
