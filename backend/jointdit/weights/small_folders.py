# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipeline folders of small models whose matrices are stored in 8 bits: half the size of half precision, and unpacked when they are opened.

Beside its `config.json` such a component has the file `packed.safetensors`: a matrix `name` as int8, with one scale a row under `name:scale`; everything
else in float16. A component that two roles share, a tokenizer too, is stored once, in the folder of the second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

PACKED = "packed.safetensors"
SCALE = ":scale"
SMALLEST = 4096  # numbers; smaller tensors gain nothing
STEPS = 127


def pack_matrix(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, ...) -> int8 of the same shape and a float16 scale a row; the largest number of a row becomes 127, unless float16 cannot hold the scale."""
    flat = weight.detach().float().flatten(1)
    scale = (flat.abs().amax(dim=1) / STEPS).clamp(min=1e-7).half()
    codes = (flat / scale.float()[:, None]).round().clamp(-STEPS, STEPS).to(torch.int8)
    return codes.view(weight.shape), scale


def unpack_matrix(codes: Tensor, scale: Tensor) -> Tensor:
    """The inverse of `pack_matrix`, up to rounding: float32."""
    return codes.float() * scale.float().view(-1, *[1] * (codes.ndim - 1))


def save_packed(module: nn.Module, folder: Path) -> None:
    """Write a module's weights to `folder`, replacing other weights there; its `config.json` is for the caller to write."""
    tensors = {}
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim > 1 and tensor.numel() >= SMALLEST:
            tensors[name], tensors[name + SCALE] = (t.contiguous().cpu() for t in pack_matrix(tensor))
        else:
            tensors[name] = (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
    save_file(tensors, folder / PACKED, metadata={"format": "pt"})


def load_packed(folder: Path) -> dict[str, Tensor]:
    """The state dict of a component that `save_packed` wrote, in float32."""
    stored = load_file(folder / PACKED)
    names = [name for name in stored if not name.endswith(SCALE)]
    return {
        name: unpack_matrix(stored[name], stored[name + SCALE])
        if name + SCALE in stored
        else stored[name].float()
        if stored[name].is_floating_point()
        else stored[name]
        for name in names
    }


def packed_components(folder: Path, classes: Mapping[str, Any]) -> dict[str, Any]:
    """The components of a pipeline folder that are packed or shared, by name, for `from_pretrained`; `classes` are those of the packed ones by the name in
    `model_index.json`.

    Raises RuntimeError or KeyError where weights and configuration do not belong together.
    """
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for name, kind in index.items():
        if isinstance(kind, list) and (folder / name / PACKED).is_file():
            found[name] = open_packed(folder / name, classes[kind[1]])
    if "tokenizer" in index and not (folder / "tokenizer").is_dir() and (folder / "tokenizer_2").is_dir():
        found["tokenizer_2"] = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer_2")
    shared = {f"{name}_2": name for name in index if f"{name}_2" in found and not (folder / name).is_dir()}
    return found | {first: found[second] for second, first in shared.items()}


def open_packed(folder: Path, kind: Any) -> Any:
    """The component of a class that `save_packed` wrote, in float32. Raises RuntimeError or KeyError as `packed_components`."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if hasattr(kind, "config_class"):  # transformers'
        module = kind(kind.config_class.from_dict(config))
    else:
        module = kind.from_config(config)
    module.load_state_dict(load_packed(folder))
    return module.eval()
