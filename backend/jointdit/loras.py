# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' LoRAs for FLUX (styles, fewer steps), on both branches or on one of them, through diffusers and PEFT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers.loaders import FluxLoraLoaderMixin
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .errors import CheckpointError
from .wishes import Lora

if TYPE_CHECKING:
    from .pipeline import JointDiTPipeline


def load_loras(pipeline: JointDiTPipeline, loras: tuple[Lora, ...]) -> tuple[str, ...]:
    """Load LoRAs into a pipeline that has none yet and is not placed yet; returns what the person should know. Raises `CheckpointError` with a sentence."""
    if not loras:
        return ()
    remarks = []
    pipeline.transformer.unfuse_projections()  # LoRAs are made for separate layers
    for i, lora in enumerate(loras):
        if _load(pipeline, lora, f"lora_{i}"):
            remarks.append(f"The part of {lora.path.name} that changes a text encoder was left out.")
        if lora.branch != "both":
            _limit(pipeline.transformer, f"lora_{i}", lora.branch)
    pipeline.transformer.branches_differ = any(lora.branch != "both" for lora in loras)
    set_strengths(pipeline, loras)
    return tuple(remarks)


def set_strengths(pipeline: JointDiTPipeline, loras: tuple[Lora, ...]) -> None:
    """Set the strengths of the LoRAs that `load_loras` loaded, in the same order."""
    names = [f"lora_{i}" for i in range(len(loras))]
    pipeline.transformer.set_adapters(names, [lora.strength for lora in loras])


def _load(pipeline: JointDiTPipeline, lora: Lora, name: str) -> bool:
    """Read one file in any of the formats that diffusers knows and put its layers beside the model's; returns whether it also holds layers of text encoders."""
    try:
        tensors = load_file(lora.path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"The LoRA {lora.path} cannot be read ({error}). Choose a .safetensors file that is whole.") from error
    try:
        state, alphas, metadata = FluxLoraLoaderMixin.lora_state_dict(tensors, return_alphas=True, return_lora_metadata=True)
        if not any(key.startswith("transformer.") and "lora" in key for key in state):
            raise ValueError("it changes no layer of FLUX")
        pipeline.transformer.load_lora_adapter(state, network_alphas=alphas, adapter_name=name, metadata=metadata)
    except (ValueError, KeyError, RuntimeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{lora.path.name} is not a LoRA for this model ({reason}). Choose a LoRA that was made for FLUX.1-dev.") from error
    return any(key.startswith("text_encoder") for key in state)


def _limit(transformer: nn.Module, name: str, branch: str) -> None:
    """Let a loaded LoRA change one half of the batch alone: the other half's change is set to zero where it arises."""

    def keep_one_half(_module: nn.Module, _inputs: object, change: Tensor) -> Tensor:
        rgb, depth = change.chunk(2)
        return torch.cat([rgb, torch.zeros_like(depth)] if branch == "rgb" else [torch.zeros_like(rgb), depth])

    for layer in transformer.modules():
        if isinstance(layer, LoraLayer) and name in layer.lora_B:
            layer.lora_B[name].register_forward_hook(keep_one_half)
