# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A prepared set as the joint stage reads it: with the text of every pair, precomputed or encoded by the model's own encoders."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import InputError
from ..pipeline import JointDiTPipeline
from .joint import Text
from .prepared import EMPTY_PROMPT, PreparedSet


@dataclass
class SetPairs:
    """The first `length` pairs of a set. The text encoders of `pipeline` are used only where the set holds captions instead of text embeddings."""

    source: PreparedSet
    pipeline: JointDiTPipeline
    length: int
    _empty: Text | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return self.length

    def batch(self, indices: list[int]) -> tuple[Tensor, Tensor, Text]:
        """As `joint.Pairs`; an index may also be beyond `length`: those pairs are held out."""
        samples = self.source.batch(indices)
        text = self._encoded(samples.captions) if samples.tokens is None or samples.pooled is None else (samples.tokens, samples.pooled)
        return samples.rgb, samples.depth, text

    def empty(self) -> Text:
        """As `joint.Pairs`."""
        if self._empty is None:
            self._empty = self.source.empty() if self.source.precomputed else self._encoded([EMPTY_PROMPT])
        return self._empty

    @torch.no_grad()
    def _encoded(self, captions: list[str]) -> Text:
        return self.pipeline.encode_prompt([caption or EMPTY_PROMPT for caption in captions])


def refuse_unfit(source: PreparedSet, pipeline: JointDiTPipeline) -> None:
    """Raise `InputError` where a set cannot train a model: another autoencoder made its latents, or another text encoder its text."""
    source.refuse_other_model(pipeline)
    samples, config = source.batch([0]), pipeline.transformer.config
    channels, height, width = samples.rgb.shape[1:]
    if 4 * channels != config.in_channels:
        raise InputError(
            f"The training set {source.folder} has latents of {channels} channels, but the transformer takes {config.in_channels // 4}. "
            "Prepare the set anew with the model that you want to train."
        )
    if height % 2 or width % 2:
        raise InputError(
            f"The training set {source.folder} has pictures of {source.size} pixels, which is no multiple of {pipeline.size_multiple}. Prepare it anew."
        )
    if samples.tokens is None or samples.pooled is None:
        return
    found, wanted = (samples.tokens.shape[2], samples.pooled.shape[1]), (config.joint_attention_dim, config.pooled_projection_dim)
    if found != wanted:
        raise InputError(
            f"The text of the training set {source.folder} is {found[0]} and {found[1]} numbers wide, but the transformer takes {wanted[0]} and {wanted[1]}. "
            "Prepare the set anew with the model that you want to train."
        )


def split(source: PreparedSet, held_out: int | None) -> tuple[int, list[int]]:
    """How many pairs to train on, and the indices of those to look at: the last of the set, which are never trained on.

    `held_out` None takes an eighth of the set, 8 at most; where that is none, the first pair is looked at. Raises `InputError` where nothing would be left.
    """
    count = min(8, len(source) // 8) if held_out is None else held_out
    if not 0 <= count < len(source):
        raise InputError(f"--held-out {count} leaves nothing to train on: the set has {len(source)} pairs.")
    length = len(source) - count
    return length, list(range(length, len(source))) or [0]
