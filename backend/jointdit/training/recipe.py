# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole recipe of the embedded model: autoencoder, text, base, joint stage, and the pipeline folder that comes out.

Every stage resumes where it stopped, so the recipe can be run in pieces (`jointdit train --minutes 10`, again and again).
"""

from __future__ import annotations

import json
import logging
import platform
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from PIL import Image
from transformers import CLIPTextModel, PreTrainedTokenizerFast, T5EncoderModel

from ..autoencoder import PatchAutoencoder
from ..pipeline import JointDiTPipeline
from ..procedural import HORIZONTAL_ANGLE, render
from ..transformer import JointDiTTransformer2DModel
from .autoencoder import train_autoencoder
from .data import HELD_OUT, Latents, encode, render_pictures
from .loop import Schedule
from .stages import TextSide, learn_tokenizer_of, new_base, new_text_side, train_base, train_joint
from .words import train_text

STAGES = ("autoencoder", "text", "base", "joint")
log = logging.getLogger(__name__)

LARGEST_PITCH = 20.0  # degrees; the scenes are seen by level cameras
SHEET_STEPS = 10  # a look while training must not cost much of it
SHEET_PROMPTS = (
    "a red cube", "a blue ball on the left", "a house on a green meadow", "snowy mountains at sunset", "a yellow cone in the desert",
    "a tree under a cloudy sky", "a calm sea at night", "a green sphere and a red box", "a white tower on a hill", "a room with a blue wall",
    "a purple pyramid on grey stone", "green hills under a clear blue sky",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """Sizes and schedules of a small JointDiT that learns from procedural scenes."""

    size: int = 128
    scenes: int = 16_000
    text_length: int = 32
    layers: int = 2
    single_layers: int = 4
    heads: int = 6
    head_dim: int = 32
    rope: tuple[int, int, int] = (8, 12, 12)
    lora_rank: int = 32
    input_lora_rank: int = 64
    guidance: float = 2.5
    autoencoder: Schedule = field(default=Schedule(steps=3000, batch=18, learning_rate=1e-3, warmup=50, weight_decay=0.0))
    text: Schedule = field(default=Schedule(steps=1000, batch=128, learning_rate=1.5e-3, warmup=50))
    base: Schedule = field(default=Schedule(steps=4200, batch=40, learning_rate=1e-3, warmup=200))
    joint: Schedule = field(default=Schedule(steps=1600, batch=28, learning_rate=1.5e-3, warmup=60, average=0.998))


def run(recipe: Recipe, folder: Path, stage: str, minutes: float | None = None) -> bool:
    """Run, or go on with, one stage in `folder`; the stages before it must be done. Returns whether the stage is finished."""
    torch.set_flush_denormal(True)  # tiny optimiser states would otherwise slow a processor down several times
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe) | {"machine": platform.processor(), "torch": torch.__version__}, indent=1))
    pictures = render_pictures(recipe.scenes, recipe.size, folder / f"pictures-{recipe.scenes}.pt")
    cache = folder / f"latents-{recipe.scenes}.pt"
    if stage == "autoencoder":
        cache.unlink(missing_ok=True)
        return train_autoencoder(folder, pictures, recipe.autoencoder, minutes)
    if stage == "text":
        return _text(recipe, folder, pictures.captions, minutes)
    vae = PatchAutoencoder.from_pretrained(folder / "vae").eval()
    latents = encode(vae, pictures, cache)
    if stage == "base":
        return _base(recipe, folder, vae, latents, minutes)
    return _joint(recipe, folder, vae, latents, minutes)


def _text(recipe: Recipe, folder: Path, captions: list[str], minutes: float | None) -> bool:
    torch.manual_seed(3)
    if not (folder / "tokenizer").is_dir():
        learn_tokenizer_of(captions, recipe.text_length).save_pretrained(folder / "tokenizer")
    text = new_text_side(PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer"), recipe.text_length)
    done = train_text(text, recipe.text, folder / "text.pt", minutes)
    _save_text(text, folder)
    return done


def _save_text(text: TextSide, folder: Path) -> None:
    text.clip.save_pretrained(folder / "text_encoder")
    text.t5.save_pretrained(folder / "text_encoder_2")


def _load_text(recipe: Recipe, folder: Path) -> TextSide:
    return TextSide(
        PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer"),
        CLIPTextModel.from_pretrained(folder / "text_encoder"),
        T5EncoderModel.from_pretrained(folder / "text_encoder_2"),
        recipe.text_length,
    )


def _base(recipe: Recipe, folder: Path, vae: PatchAutoencoder, latents: Latents, minutes: float | None) -> bool:
    torch.manual_seed(1)
    text = _load_text(recipe, folder)
    base = new_base(text, recipe.layers, recipe.single_layers, recipe.heads, recipe.head_dim, recipe.rope)
    log.info("base %.2f M, text %.2f M parameters", base.num_parameters() / 1e6, sum(p.numel() for m in (text.clip, text.t5) for p in m.parameters()) / 1e6)

    def look(step: int) -> None:
        joint = JointDiTTransformer2DModel.from_flux(base, lora_rank=1, vector_lora_ranks=(1, 1), text_lora_rank=1)
        sheet(assemble(recipe, vae, text, joint), folder / f"base-{step:06d}.png", joint_only=True)

    done = train_base(base, text, latents, recipe.base, folder / "base.pt", minutes, look)
    look(recipe.base.steps if done else -1)
    base.save_pretrained(folder / "base")
    _save_text(text, folder)
    return done


def _joint(recipe: Recipe, folder: Path, vae: PatchAutoencoder, latents: Latents, minutes: float | None) -> bool:
    torch.manual_seed(2)
    text = _load_text(recipe, folder)
    base = FluxTransformer2DModel.from_pretrained(folder / "base")
    ranks = {"lora_rank": recipe.lora_rank, "vector_lora_ranks": (recipe.input_lora_rank,) * 2, "text_lora_rank": recipe.input_lora_rank}
    model = JointDiTTransformer2DModel.from_flux(base, **ranks)
    log.info("add-ons %.2f M parameters", sum(p.numel() for p in model.addon_parameters().values()) / 1e6)

    def look(step: int) -> None:
        sheet(assemble(recipe, vae, text, model), folder / f"joint-{step:06d}.png")

    done = train_joint(model, text, latents, recipe.joint, folder / "joint.pt", minutes, look)
    pipeline = assemble(recipe, vae, text, model)
    sheet(pipeline, folder / "joint-last.png")
    export(pipeline, folder / "pipeline")
    return done


def assemble(recipe: Recipe, vae: PatchAutoencoder, text: TextSide, transformer: JointDiTTransformer2DModel) -> JointDiTPipeline:
    """The parts as one pipeline, of the same class as the full-size model's."""
    pipeline = JointDiTPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, base_image_seq_len=64, max_image_seq_len=1024),
        vae=vae, text_encoder=text.clip, tokenizer=text.tokenizer, text_encoder_2=text.t5, tokenizer_2=text.tokenizer, transformer=transformer,
        default_guidance=recipe.guidance, native_size=recipe.size, max_sequence_length=recipe.text_length, horizontal_angle=HORIZONTAL_ANGLE,
        largest_pitch=LARGEST_PITCH, title="Embedded model", licence="GPL-3.0-or-later",
        note="A small model that knows simple procedural scenes. It shows how everything works; FLUX.1-dev with the JointDiT add-ons gives real quality.",
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def export(pipeline: JointDiTPipeline, folder: Path) -> None:
    """Write the pipeline folder in half precision (it is computed in float32 all the same); replaces what is there."""
    if folder.exists():
        shutil.rmtree(folder)
    pipeline.to(torch.float16)
    pipeline.save_pretrained(folder)
    pipeline.to(torch.float32)


def sheet(pipeline: JointDiTPipeline, path: Path, joint_only: bool = False) -> None:
    """A picture to look at: prompts -> images and disparities; under them held-out scenes, their estimated disparity, and images for their disparity.

    `joint_only` leaves out what a base without trained add-ons cannot do.
    """
    size = pipeline.config.native_size
    training = pipeline.transformer.training
    pipeline.transformer.eval()
    generators = [torch.Generator().manual_seed(i) for i in range(len(SHEET_PROMPTS))]
    joint = pipeline(prompt=list(SHEET_PROMPTS), generator=generators, output_type="pt", num_inference_steps=SHEET_STEPS)
    rows = [joint.images, joint.disparity[:, None].expand(-1, 3, -1, -1)]
    if not joint_only:
        rows += _conditional_rows(pipeline, generators)
    picture = torch.stack(rows).permute(0, 3, 1, 4, 2).reshape(len(rows) * size, -1, 3)
    Image.fromarray((255 * picture.clamp(0, 1)).round().byte().numpy().astype(np.uint8)).save(path)
    pipeline.transformer.train(training)


def _conditional_rows(pipeline: JointDiTPipeline, generators: list[torch.Generator]) -> list[torch.Tensor]:
    """Held-out scenes, their exact and their estimated disparity, and an image for the exact one: each (N, 3, H, W)."""
    size = pipeline.config.native_size
    scenes = render(range(HELD_OUT, HELD_OUT + len(SHEET_PROMPTS)), size)
    depth = pipeline(image=scenes.image, generator=generators, output_type="pt", num_inference_steps=SHEET_STEPS)
    image = pipeline(prompt=scenes.captions, disparity=scenes.disparity[:, 0], generator=generators, output_type="pt", num_inference_steps=SHEET_STEPS)
    grey = [x[:, None].expand(-1, 3, -1, -1) for x in (scenes.disparity[:, 0], depth.disparity)]
    return [scenes.image, *grey, image.images]
