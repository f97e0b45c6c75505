# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From trained parts to a pipeline, and to the folder that is shipped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedTokenizerFast

from ..assembly import SCHEDULE
from ..autoencoder import PatchAutoencoder
from ..errors import OutputError
from ..pipeline import JointDiTPipeline
from ..procedural import HORIZONTAL_ANGLE
from ..prompt_encoder import PromptEncoder
from ..transformer import JointDiTTransformer2DModel
from ..weights.small_folders import save_packed

if TYPE_CHECKING:
    from .recipe import Recipe

LARGEST_PITCH = 20.0  # degrees; few scenes are seen by steeper cameras


def assemble(
    recipe: Recipe, vae: PatchAutoencoder, tokenizer: PreTrainedTokenizerFast, text: PromptEncoder, transformer: JointDiTTransformer2DModel
) -> JointDiTPipeline:
    """The parts as one pipeline, of the same class as the full-size model's."""
    pipeline = JointDiTPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULE),
        vae=vae, text_encoder=text, tokenizer=tokenizer, text_encoder_2=text, tokenizer_2=tokenizer, transformer=transformer,
        default_guidance=recipe.guidance, native_size=recipe.size, max_sequence_length=recipe.text_length, horizontal_angle=HORIZONTAL_ANGLE,
        largest_pitch=LARGEST_PITCH, title="Embedded model", licence="GPL-3.0-or-later",
        note="A small model that knows simple procedural scenes. It shows how everything works; FLUX.1-dev with the JointDiT add-ons gives real quality.",
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def pack(module: nn.Module, folder: Path) -> None:
    """A component with its configuration, its matrices in 8 bits; replaces what is there, once all is written. Raises `OutputError`."""
    beside = folder.with_name(folder.name + ".new")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        if hasattr(module, "save_config"):  # diffusers'
            module.save_config(beside)
            config = json.loads((beside / module.config_name).read_text(encoding="utf-8"))
            config.pop("_name_or_path", None)  # where it came from, on some machine
            (beside / module.config_name).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        else:
            module.config.save_pretrained(beside)
        save_packed(module, beside)
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{folder} cannot be written ({error}). Make room, close what uses it, and run the same command again.") from error


def export(pipeline: JointDiTPipeline, folder: Path) -> None:
    """Write the pipeline folder, matrices in 8 bits, the text encoder and its tokenizer once for both roles; replaces what is there."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    pipeline.scheduler.save_pretrained(folder / "scheduler")
    pipeline.tokenizer_2.save_pretrained(folder / "tokenizer_2")
    pack(pipeline.text_encoder_2, folder / "text_encoder_2")
    pack(pipeline.transformer, folder / "transformer")
    pack(pipeline.vae, folder / "vae")
    pipeline.save_config(folder)
