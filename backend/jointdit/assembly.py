# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of a model, wherever they lie and in whatever format -> a pipeline whose weights are still on the mapped files."""

from __future__ import annotations

from collections.abc import Mapping

from diffusers import FlowMatchEulerDiscreteScheduler

from .checkpoints import ADDON_OPTIONS, read_addon_options
from .errors import CheckpointError
from .pipeline import JointDiTPipeline
from .weights.autoencoder_files import load_autoencoder
from .weights.catalogue import NEEDED, describe
from .weights.pieces import Piece
from .weights.text_encoders import load_clip, load_t5
from .weights.tokenizers import clip_tokenizer, t5_tokenizer
from .weights.transformer_files import load_transformer

# FLUX.1-dev's schedule: uniform in the shifted noise level, the shift growing with the number of image tokens.
SCHEDULE = {
    "num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": True,
    "base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096,
}  # fmt: skip


def assemble(
    pieces: Mapping[str, Piece], axes_dims_rope: tuple[int, int, int] | None = None, text_length: int = 512, without_addons: bool = False
) -> JointDiTPipeline:
    """A pipeline of FLUX's pieces and JointDiT's add-ons, by `weights.pieces`' names; tokenizers that are not given are the shipped ones.

    `text_length` are the word pieces that T5 reads. `without_addons` takes the base alone, for training: the add-ons have no data then.
    Raises `CheckpointError` with a sentence where a piece is missing, damaged, or of another model.
    """
    missing = [name for name in NEEDED if name not in pieces and not (without_addons and name == "addons")]
    if missing:
        raise CheckpointError(f"The model is not complete. Missing: {'; '.join(describe(name) for name in missing)}.")
    addons = None if without_addons else pieces["addons"]
    options = ADDON_OPTIONS if addons is None else read_addon_options(addons.path)
    source = None if addons is None else addons.open()
    transformer = load_transformer(pieces["flux"].open(), source, axes_dims_rope, adaptive_form=options["adaptive_form"])
    clip = load_clip(pieces["clip"].open(), None)
    t5 = load_t5(pieces["t5"].open(), None)
    _refuse_strangers(transformer.config, clip.config.hidden_size, t5.config.d_model)
    folder = {name: pieces[name].path if name in pieces else None for name in ("tokenizer", "tokenizer_2")}
    pipeline = JointDiTPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULE),
        vae=load_autoencoder(pieces["autoencoder"].open()),
        text_encoder=clip,
        tokenizer=clip_tokenizer(folder["tokenizer"]),
        text_encoder_2=t5,
        tokenizer_2=t5_tokenizer(folder["tokenizer_2"]),
        transformer=transformer,
        depth_transform=options["depth_transform"],
        max_sequence_length=text_length,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _refuse_strangers(config: Mapping[str, int], clip_width: int, t5_width: int) -> None:
    """The text encoders must be as wide as the transformer expects."""
    for what, found, expected in (("CLIP", clip_width, config["pooled_projection_dim"]), ("T5", t5_width, config["joint_attention_dim"])):
        if found != expected:
            raise CheckpointError(
                f"This {what} text encoder is {found} wide, but the FLUX transformer expects {expected}: it belongs to another model. Add a matching one."
            )
