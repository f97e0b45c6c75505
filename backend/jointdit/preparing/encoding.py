# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Latents and text embeddings by the autoencoder and the text encoders of a model, without its transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..machine import this_machine, working_dtype
from ..memory import GIB, Plan
from ..models import SMALL, Models
from ..pipeline import JointDiTPipeline
from ..placement import Placement, Visitors, tensors_of
from ..training.prepared import BRANCHES, EMPTY_PROMPT, TEXT, describe_model

ROOM = 2 * GIB  # for what happens between the layers, with pictures of up to 1024 pixels one after the other


class Encoders:
    """The parts of a model that make a training set. `about` is the `model` of set.json, `depth_transform` the model's own."""

    def __init__(self, name: str, models: Models, device: torch.device) -> None:
        """Raises `InputError`, `CheckpointError` where the model cannot be loaded."""
        self._pipeline = models.find(name).load()
        self.about: dict[str, Any] = describe_model(self._pipeline, name)
        self.depth_transform: str = self._pipeline.config.depth_transform
        _lay_down(self._pipeline, device)

    @torch.no_grad()
    def latents(self, pictures: Sequence[np.ndarray], disparities: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Pictures (S, S, 3) uint8 and disparities (S, S) in [0, 1] -> `rgb` and `depth` (N, C, h, w) in bfloat16. S is a multiple of the reduction."""
        rgb = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        depth = torch.from_numpy(np.stack(disparities)).float()
        made = self._pipeline.encode_image(rgb), self._pipeline.encode_disparity(depth)
        return {name: latents.to("cpu", torch.bfloat16) for name, latents in zip(BRANCHES, made, strict=True)}

    @torch.no_grad()
    def text(self, captions: Sequence[str], batch: int) -> dict[str, Tensor]:
        """`tokens` (N, T, D) and `pooled` (N, P) in bfloat16. What was encoded before makes no difference, not even in the last bit."""
        self._pipeline.forget_prompts()
        parts = []
        for start in range(0, len(captions), batch):
            parts.append([one.to("cpu", torch.bfloat16) for one in self._pipeline.encode_prompt(captions[start : start + batch])])
        return {name: torch.cat([part[i] for part in parts]) for i, name in enumerate(TEXT)}

    def too_long(self, caption: str) -> bool:
        """Whether a caption has more words than the model reads."""
        return self._pipeline.unread_words(caption)

    def empty(self) -> dict[str, Tensor]:
        """`tokens` and `pooled` of the empty prompt."""
        return self.text([EMPTY_PROMPT], 1)

    @property
    def multiple(self) -> int:
        """Sides of pictures must be multiples of this many pixels."""
        return self._pipeline.size_multiple


def _lay_down(pipeline: JointDiTPipeline, device: torch.device) -> None:
    """Bring autoencoder and text encoders to the device, to stay where they fit; else they visit it, T5 layer by layer. The transformer is dropped."""
    parts = list(dict.fromkeys((pipeline.text_encoder, pipeline.text_encoder_2, pipeline.vae)))
    dtype = working_dtype(device, small=2 * sum(p.numel() for p in pipeline.transformer.parameters()) < SMALL)
    pipeline.transformer.to("meta")
    needed = sum(tensor.numel() * max(2, tensor.element_size()) for part in parts for _, tensor in tensors_of(part))
    stay = _fits(needed, device)
    pipeline.placement = Placement(Plan("exact", 0, 0, stay, needed), device, dtype, Visitors(device))
    for part in parts if stay else ():
        for wide, tensor in tensors_of(part):
            tensor.data = tensor.data.to(device, (torch.float32 if part is pipeline.vae else dtype) if wide else None)


def _fits(needed: int, device: torch.device) -> bool:
    return device.type == "cpu" or needed + ROOM < this_machine(device).free
