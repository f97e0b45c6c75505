# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finishing touch to a small model: its text encoder learns to read what people say as what captions say.

It teaches itself: the states of a paraphrase's words become those that it gives the caption's. The transformer, which learned with these, stays as it is.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from ..procedural.captions import caption
from ..procedural.sampling import sample
from ..prompt_encoder import PromptEncoder
from .loop import Schedule
from .paraphrase import Part, paraphrase, said, told
from .stages import Work
from .thinking import DEPTH_MAP, roughen

AS_IT_IS = 0.3
"""The share of captions that are not paraphrased: they must be read as before."""
VARIANTS = 8
"""Wordings of a scene."""
FIRST_FREE = 1
"""The first layer that learns; the word table and the layers before it keep what the sentence encoder knew."""


@dataclass(frozen=True)
class Pair:
    """Token ids of a caption and of its paraphrase (T,), and for each place of the paraphrase the place of the caption whose state it shall have (T,)."""

    told: list[int]
    said: list[int]
    place: list[int]


def pair_of(tokenizer: PreTrainedTokenizerFast, parts: Sequence[Part], length: int) -> Pair | None:
    """The parts of a paraphrase as tokens; None where one side is longer than `length`.

    The k-th piece of what is said takes the place of the k-th of what is told, in proportion where there are more or fewer. Words that were added are read
    as the token that begins each prompt, which says nothing.
    """
    ours, theirs = (tokenizer(side(parts), return_offsets_mapping=True, verbose=False) for side in (told, said))
    if max(len(ours.input_ids), len(theirs.input_ids)) > length:
        return None
    pieces = [_by_part(ours.offset_mapping, [part.told for part in parts]), _by_part(theirs.offset_mapping, [part.said for part in parts])]
    place = [0] * len(theirs.input_ids)
    for own, other in zip(*pieces, strict=True):
        for count, index in enumerate(other):
            place[index] = own[min(len(own) - 1, count * len(own) // len(other))] if own else 0
    end = len(ours.input_ids) - 1
    place[-1] = end
    padding = [tokenizer.pad_token_id] * length
    place += [max(index, min(end + 1, length - 1)) for index in range(len(place), length)]  # what pads a prompt is read, too
    return Pair((ours.input_ids + padding)[:length], (theirs.input_ids + padding)[:length], place)


def _by_part(offsets: Sequence[tuple[int, int]], texts: Sequence[str]) -> list[list[int]]:
    """The places of the tokens of each part, but for those that begin and end a prompt."""
    found: list[list[int]] = [[] for _ in texts]
    ends, end = [], 0
    for text in texts:
        end += len(text)
        ends.append(end)
    for place, (start, stop) in enumerate(offsets):
        if stop > start:
            found[next(part for part, end in enumerate(ends) if start < end)].append(place)
    return found


def captions_of(scenes: range) -> list[str]:
    """All wordings of some scenes."""
    return [caption(scene, variant) for scene in map(sample, scenes) for variant in range(VARIANTS)]


def draw_pair(captions: Sequence[str], tokenizer: PreTrainedTokenizerFast, length: int, generator: random.Random) -> Pair:
    """One of the captions and a paraphrase of it; some are as they are, and some name a depth map."""
    while True:
        text = generator.choice(captions)
        if generator.random() < AS_IT_IS:
            text = roughen(text, generator) if generator.random() < 0.5 else text
            text = generator.choice((text, DEPTH_MAP + text, text, text))
            parts = [Part(text, text)]
        else:
            parts = paraphrase(text, generator)
        pair = pair_of(tokenizer, parts, length)
        if pair is not None:
            return pair


def reading_loss(student: PromptEncoder, teacher: PromptEncoder, pairs: Sequence[Pair]) -> Tensor:
    """Squared errors of the paraphrases' token states and pooled vectors, each over the mean square of the captions'."""
    device = student.device
    ours, theirs, place = (torch.tensor([getattr(pair, side) for pair in pairs], device=device) for side in ("told", "said", "place"))
    with torch.no_grad():
        wanted = teacher(ours)
        states = wanted.last_hidden_state.gather(1, place[..., None].expand(-1, -1, wanted.last_hidden_state.shape[-1])).float()
        pooled = wanted.pooler_output.float()
    read = student(theirs)
    errors = (read.last_hidden_state.float() - states).square().mean() / states.square().mean()
    return errors + (read.pooler_output.float() - pooled).square().mean() / pooled.square().mean()


def learn_reading(
    encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast, length: int, captions: Sequence[str], schedule: Schedule, work: Work
) -> bool:
    """Teach `encoder` other words, as itself reads the captions' when this begins. Returns whether it is finished."""
    teacher = copy.deepcopy(encoder).requires_grad_(False).eval()
    encoder.requires_grad_(False)
    layers: nn.ModuleList = encoder.encoder.layer
    layers[FIRST_FREE:].requires_grad_(True)
    parameters = {name: parameter for name, parameter in encoder.named_parameters() if parameter.requires_grad}

    def loss(step: int, generator: torch.Generator) -> Tensor:
        numbers = random.Random(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
        pairs = [draw_pair(captions, tokenizer, length, numbers) for _ in range(schedule.batch)]
        with torch.autocast(work.device.type, torch.bfloat16):
            return reading_loss(encoder, teacher, pairs)

    finished = work.train(parameters, loss, schedule)
    encoder.requires_grad_(False).eval()
    return finished
