# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model whose add-ons are trained: found by name, given new or earlier add-ons, and brought to its device with a frozen base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..checkpoints import read_addon_options
from ..errors import InputError
from ..joint_attention import ADAPTIVE_FORMS
from ..memory import Plan
from ..models import SMALL, Models, PiecesModel
from ..pipeline import JointDiTPipeline
from ..placement import Placement, Visitors
from .addons import RANK, addons_from, lay_down, make_trainable, new_addons
from .options import ADAPTIVE, MODEL, JointOptions


@dataclass(frozen=True)
class Trained:
    """A pipeline whose add-ons can be trained; `parameters` are they, by name. `small`: all of it works in float32."""

    pipeline: JointDiTPipeline
    parameters: dict[str, nn.Parameter]
    small: bool

    @property
    def about(self) -> dict[str, object]:
        """What the JSON beside exported add-ons must say."""
        form = self.pipeline.transformer.config.adaptive_form
        return {"depth_transform": self.pipeline.config.depth_transform, **({} if form == ADAPTIVE_FORMS[0] else {"adaptive_form": form})}


def load_base(name: str, start: str | None = None, models: Models | None = None) -> JointDiTPipeline:
    """The pipeline of a model by its name or folder, its weights still on the mapped files.

    A model of the library may lack the add-ons, unless it is to `start` from its own. Raises `CheckpointError`, `InputError` with a sentence."""
    model = (models or Models()).find(name)
    if start == MODEL or not isinstance(model, PiecesModel) or model.entry.missing() != ("addons",):
        return model.load()
    from ..assembly import assemble

    return assemble({piece: location.piece(piece) for piece, location in model.entry.pieces.items()}, without_addons=True)


def is_small(pipeline: JointDiTPipeline) -> bool:
    """Whether the model is so small that it works in float32 and on a processor."""
    base = sum(p.numel() for name, p in pipeline.transformer.named_parameters() if "depth_lora." not in name)
    return 2 * base < SMALL


def agree_on_depth(pipeline: JointDiTPipeline, options: JointOptions, depth_transform: str) -> None:
    """Let the model store depth as the training set does, where its add-ons are new; those of a file say how they do, and with which adaptive weights.

    Raises `InputError` where add-ons to start from were trained otherwise.
    """
    form = ADAPTIVE[options.adaptive_weights]
    if options.start is None:
        pipeline.register_to_config(depth_transform=depth_transform)
    else:
        about = None if options.start == MODEL else read_addon_options(Path(options.start))
        if about is not None:
            pipeline.register_to_config(depth_transform=about["depth_transform"])
        trained = pipeline.transformer.config.adaptive_form if about is None else about["adaptive_form"]
        if trained != form:
            said = next(name for name, other in ADAPTIVE.items() if other == trained)
            raise InputError(f"The add-ons to start from were trained with other adaptive weights. Say --adaptive-weights {said}.")
    pipeline.transformer.register_to_config(adaptive_form=form)


def give_addons(pipeline: JointDiTPipeline, options: JointOptions, device: torch.device) -> dict[str, nn.Parameter]:
    """Give a pipeline's transformer the add-ons to train, on `device`: new ones, or those to start from. The base is frozen and stays where it is.

    Raises `CheckpointError` for an add-on file that does not fit.
    """
    model = pipeline.transformer
    if options.start is None:
        rank = options.rank or (RANK if _has_no_data(model) else model.config.lora_rank)
        new_addons(model, rank, device, torch.Generator().manual_seed(options.seed))
    elif options.start != MODEL:
        addons_from(model, Path(options.start), device)
    return make_trainable(model, getattr(torch, options.addon_dtype))


def refuse_unable(pipeline: JointDiTPipeline, options: JointOptions, device: torch.device) -> None:
    """Raise `InputError` where a large model has no CUDA card, or shall work in float32."""
    if is_small(pipeline):
        return
    if device.type != "cuda":
        raise InputError(
            f"{pipeline.config.title} is too large to be trained here: it needs a card with CUDA, and this machine has none. "
            "Train on a machine that has one (jointdit train joint --estimate says what it takes), or train a small model."
        )
    if options.precision != "bfloat16":
        raise InputError(f"{pipeline.config.title} works in bfloat16. Leave --precision at bfloat16; float32 is for small models.")


def prepare_training(pipeline: JointDiTPipeline, options: JointOptions, device: torch.device) -> Trained:
    """Bring a pipeline to its device, the base frozen (in bfloat16 where it is large), with its add-ons as `give_addons` gives them.

    Text encoders and autoencoder of a large model stay in the machine's memory and come when they are needed. Raises `CheckpointError`.
    """
    small, model = is_small(pipeline), pipeline.transformer
    dtype = torch.float32 if small else torch.bfloat16
    parameters = give_addons(pipeline, options, device)
    lay_down(model, device, dtype)
    if small:
        for module in (pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2):
            lay_down(module.requires_grad_(False).eval(), device, torch.float32)
    pipeline.placement = Placement(Plan("full", 0, 0, encoders_stay=small, peak=0), device, dtype, Visitors(device))
    if options.gradient_checkpointing or (options.gradient_checkpointing is None and not small):
        model.enable_gradient_checkpointing()
    return Trained(pipeline, parameters, small)


def _has_no_data(model: nn.Module) -> bool:
    return any(p.is_meta for p in model.addon_parameters().values())
