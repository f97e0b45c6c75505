# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that were trained on people's choices between pictures of one prompt: a score for a picture and its prompt, more is better.

PickScore and its like are CLIP models, which transformers loads. ImageReward, which the paper uses, has a package of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image

from ..errors import InputError
from .images import reason

KNOWN = {"pickscore": "yuvalkirstain/PickScore_v1"}
"""Short names of CLIP models."""
IMAGE_REWARD = "imagereward"
IMAGE_REWARD_WEIGHTS = "ImageReward-v1.0"

Scorer = Callable[[Sequence[str], Sequence[Image.Image]], list[float]]
"""Scores of pictures, each for its own prompt."""


def scorer_of(name: str) -> Scorer:
    """The scorer "pickscore", "imagereward", or a CLIP model by name or folder. Raises `InputError` where it cannot be had."""
    return image_reward() if name == IMAGE_REWARD else clip_scorer(KNOWN.get(name, name))


def clip_scorer(name: str) -> Scorer:
    """Cosine of picture and prompt times the model's own scale, as PickScore defines it. Raises `InputError` where the model cannot be used."""
    from transformers import AutoConfig, CLIPModel, CLIPProcessor

    try:
        kind = AutoConfig.from_pretrained(name).model_type
        if kind != "clip":
            raise InputError(f"{name} is a model of the kind {kind}, but preference is scored by CLIP models. Choose PickScore, or another of its kind.")
        model, loaded = CLIPModel.from_pretrained(name, output_loading_info=True)
        processor = CLIPProcessor.from_pretrained(name)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The preference model {name} cannot be loaded ({reason(error)}). It is downloaded when it is first used: connect to the internet once, "
            "or give the folder that transformers saved it to."
        ) from error
    if loaded["missing_keys"]:
        raise InputError(f"The preference model {name} lacks {len(loaded['missing_keys'])} of its weights. Download it again.")
    device = _device()
    model = model.eval().to(device)
    longest = model.config.text_config.max_position_embeddings

    @torch.no_grad()
    def score(prompts: Sequence[str], pictures: Sequence[Image.Image]) -> list[float]:
        given = processor(text=list(prompts), images=list(pictures), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        return model(**given.to(device)).logits_per_image.diagonal().float().tolist()

    return score


def image_reward() -> Scorer:
    """ImageReward by its own package. Raises `InputError` where that is not installed, does not fit, or finds no weights."""
    package = _image_reward_package()
    try:
        model = package.load(IMAGE_REWARD_WEIGHTS, device=str(_device()))
    except (OSError, ValueError, RuntimeError, AttributeError, TypeError) as error:
        raise InputError(f"ImageReward cannot be loaded ({reason(error)}). {OTHER_ENVIRONMENT}") from error

    def score(prompts: Sequence[str], pictures: Sequence[Image.Image]) -> list[float]:
        with torch.no_grad():
            return [float(model.score(prompt, picture)) for prompt, picture in zip(prompts, pictures, strict=True)]

    return score


OTHER_ENVIRONMENT = (
    "Its package needs an older transformers than this program: let it score the pictures in an environment of its own, and give the scores with --scores "
    "(docs/evaluation.md has the lines for it), or choose --scorer pickscore."
)


def _image_reward_package() -> Any:
    try:
        import ImageReward
    except ModuleNotFoundError as error:
        raise InputError(f"ImageReward is not installed here ({reason(error)}). {OTHER_ENVIRONMENT}") from error
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise InputError(f"The package ImageReward does not work here ({reason(error)}). {OTHER_ENVIRONMENT}") from error
    return ImageReward


def _device() -> torch.device:
    from ..machine import best_device

    return best_device()
