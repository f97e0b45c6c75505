# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that estimate disparity: those of transformers' "depth-estimation" pipeline, such as Depth Anything V2, and JointDiT itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import InputError
from ..models import Models
from ..wishes import Wish
from .disparities import Estimator

OURS = "jointdit"
METRIC = ("zoedepth", "depth_pro", "glpn", "prompt_depth_anything")
"""Kinds of models of transformers that give meters, which grow with distance; the others give disparity."""
NEAREST = 1e-3  # meters


def estimator(name: str, own_model: str, models: Models, device: torch.device, size: int) -> Estimator:
    """The depth model of a name: "jointdit" is `own_model`, then come names of `models` and pipeline folders, then names and folders for transformers.

    Raises `InputError`, `CheckpointError` where it cannot be loaded.
    """
    if is_ours(name, models):
        return _joint_estimator(own_model if name == OURS else name, models, device, size)
    return _transformers_estimator(name, device)


def is_ours(name: str, models: Models) -> bool:
    """Whether a name means a model of this program."""
    return name == OURS or name in models.names() or (Path(name) / "model_index.json").is_file()


@contextmanager
def loading(what: str, option: str) -> Iterator[None]:
    """What keeps a model of transformers from being loaded is an `InputError`."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")
        raise InputError(
            f"{what} cannot be loaded ({reason}). Check the name given with {option}, connect to the internet for the first time, or give a local folder."
        ) from error


def _transformers_estimator(name: str, device: torch.device) -> Estimator:
    with loading(f"The depth model {name}", "--depth-model"):
        from transformers import pipeline

        pipe = pipeline("depth-estimation", model=name, device=device)
    config = pipe.model.config
    metric = config.model_type in METRIC or getattr(config, "depth_estimation_type", "relative") == "metric"

    def estimate(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        with np.errstate(invalid="ignore"):  # of the grey picture that the pipeline makes, too, and that nobody uses
            answers: list[dict[str, Any]] = pipe([Image.fromarray(picture) for picture in pictures], batch_size=len(pictures))
        maps = [answer["predicted_depth"].squeeze().float().cpu().numpy().astype(np.float64) for answer in answers]
        return [1 / one.clip(NEAREST) for one in maps] if metric else maps

    return estimate


def _joint_estimator(name: str, models: Models, device: torch.device, size: int) -> Estimator:
    wish = Wish(size, size, plan="cpu" if device.type == "cpu" else "auto")
    pipeline = models.pipeline(models.find(name), wish)

    def estimate(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One after the other, each from the same noise, so that it does not matter which pictures come together."""
        found = []
        for picture in pictures:
            noise = torch.Generator().manual_seed(0)
            found.append(pipeline(image=Image.fromarray(picture), task="image_to_depth", generator=noise, output_type="np").disparity[0].astype(np.float64))
        return found

    return estimate
