# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-ons of JointDiT as what is trained: made new, taken from a file, made trainable beside a frozen base, and written in the released layout."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from ..checkpoints import addon_tensors, read_addon_options
from ..depth_lora import DepthLora
from ..errors import InputError, OutputError
from ..layout import addon_table, refuse_differences, refuse_shape
from ..packed import tensors_of
from ..transformer import JointDiTTransformer2DModel
from ..weights.source import open_source

RANK = 64  # of the released add-ons
# The released input stage has 8 and 16 times the blocks' rank: 512, 1024, 1024 for 64.
VECTOR_RANKS = (8, 16)
TEXT_RANK = 16


def new_addons(model: JointDiTTransformer2DModel, rank: int, device: torch.device, generator: torch.Generator) -> None:
    """Replace a model's add-ons by new ones in float32 on `device`, which change nothing yet: LoRAs whose `up`, and joint layers, are zero.

    `rank` is that of the LoRAs in the blocks; the input stage's are 8 and 16 times as large, as released, but no larger than their layers, where more adds
    nothing. `generator` is the processor's, so that a seed means the same on every device. Raises `InputError` for a rank above the width of the blocks.
    """
    if rank > model.inner_dim:
        raise InputError(f"--rank can be {model.inner_dim} at most, the width of this model's layers, not {rank}: more adds nothing.")
    inputs = _input_ranks(model, rank)
    for name, module in list(model.named_modules()):
        if isinstance(module, DepthLora):
            model.set_submodule(name, _new_lora(module, inputs.get(name, rank), device, generator))
        elif name.endswith(".to_joint"):
            model.set_submodule(name, _new_joint(module, device))
    model.register_to_config(
        lora_rank=rank,
        vector_lora_ranks=(inputs["depth_lora.vector_in_in_layer"], inputs["depth_lora.vector_in_out_layer"]),
        text_lora_rank=inputs["depth_lora.txt_in"],
    )


def _input_ranks(model: JointDiTTransformer2DModel, rank: int) -> dict[str, int]:
    """The ranks of the input stage's LoRAs by module name."""
    times = dict(zip(("vector_in_in_layer", "vector_in_out_layer", "txt_in"), (*VECTOR_RANKS, TEXT_RANK), strict=True))
    widths = {name: min(model.depth_lora[name].down.in_features, model.depth_lora[name].up.out_features) for name in times}
    return {f"depth_lora.{name}": min(times[name] * rank, widths[name]) for name in times}


def _new_lora(old: DepthLora, rank: int, device: torch.device, generator: torch.Generator) -> DepthLora:
    with torch.device("meta"):
        lora = DepthLora(old.down.in_features, old.up.out_features, rank)
    # As torch starts a linear layer: uniform within 1 / sqrt(inputs).
    bound = 1 / math.sqrt(lora.down.in_features)
    down = (2 * torch.rand(lora.down.weight.shape, generator=generator) - 1) * bound
    lora.down.weight = nn.Parameter(down.to(device))
    lora.up.weight = nn.Parameter(torch.zeros(lora.up.weight.shape, device=device))
    return lora


def _new_joint(old: nn.Linear, device: torch.device) -> nn.Linear:
    joint = nn.Linear(old.in_features, old.out_features, device="meta")
    joint.weight = nn.Parameter(torch.zeros(joint.weight.shape, device=device))
    joint.bias = nn.Parameter(torch.zeros(joint.bias.shape, device=device))
    return joint


def addons_from(model: JointDiTTransformer2DModel, path: Path, device: torch.device) -> None:
    """Replace a model's add-ons by those of a file in the released layout, in float32 on `device`; their ranks may be others.

    Raises `CheckpointError` where the file is damaged or belongs to another model.
    """
    read_addon_options(path)
    source = open_source(path)
    table = addon_table(model.config.num_layers, model.config.num_single_layers)
    refuse_differences("JointDiT add-on file", table, source)
    new_addons(model, 1, torch.device("meta"), torch.Generator())
    ranks = {}
    for theirs, ours in table.items():
        tensor = source.dense(theirs, torch.float32)
        parent, kind = ours.rsplit(".", 1)
        module = model.get_submodule(parent)
        if parent.endswith((".down", ".up")):
            rank = source.shape(theirs)[0 if parent.endswith(".down") else 1]
            refuse_shape(theirs, tuple(tensor.shape), _at_rank(module, rank, parent.endswith(".down")))
            ranks[ours] = rank
        else:
            refuse_shape(theirs, tuple(tensor.shape), tuple(getattr(module, kind).shape))
        setattr(module, kind, nn.Parameter(tensor.to(device, copy=True)))
    _set_features(model)
    model.register_to_config(
        lora_rank=ranks["transformer_blocks.0.depth_lora.img_attn_qkv.down.weight"],
        vector_lora_ranks=tuple(ranks[f"depth_lora.vector_in_{layer}.down.weight"] for layer in ("in_layer", "out_layer")),
        text_lora_rank=ranks["depth_lora.txt_in.down.weight"],
    )


def _at_rank(linear: nn.Module, rank: int, down: bool) -> tuple[int, int]:
    return (rank, linear.in_features) if down else (linear.out_features, rank)


def _set_features(model: nn.Module) -> None:
    """Let the layers of LoRAs say the widths that their weights have."""
    for module in model.modules():
        if isinstance(module, DepthLora):
            for linear in (module.down, module.up):
                linear.out_features, linear.in_features = linear.weight.shape


def make_trainable(model: JointDiTTransformer2DModel, dtype: torch.dtype) -> dict[str, nn.Parameter]:
    """Freeze the base and make the add-ons trainable in `dtype`; returns them by name."""
    model.requires_grad_(False)
    addons = model.addon_parameters()
    for parameter in addons.values():
        parameter.data = parameter.data.to(dtype, copy=True)  # what is mapped from a file cannot be written
        parameter.requires_grad_(True)
    return addons


def lay_down(module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Bring a module that may be mapped from files to a device: what is not trained in `dtype`, but packed weights as they are."""
    for wide, tensor in tensors_of(module):
        tensor.data = tensor.data.to(device, dtype if wide and not tensor.requires_grad else None)


def export_addons(model: JointDiTTransformer2DModel, path: Path, about: dict[str, object]) -> None:
    """Write the add-ons in the released layout, bfloat16, with the JSON of the same stem beside them: the released options, and `about`.

    The file appears under its name when it is whole. Raises `OutputError` where it cannot be written.
    """
    tensors = {name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in addon_tensors(model).items()}
    options = {"is_txt_ids_training": False, "is_attnmask_training": False, "depth_transform": "none"} | about
    temporary, beside = path.with_suffix(".tmp"), path.with_suffix(".json.tmp")
    try:
        save_file(tensors, temporary, metadata={"format": "pt"})
        beside.write_text(json.dumps(options, indent=1) + "\n", encoding="utf-8")
        shutil.copymode(beside, temporary)  # safetensors writes what its owner alone may read
        beside.replace(path.with_suffix(".json"))
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"The add-ons cannot be written to {path} ({error}). Make room, or choose another folder.") from error
