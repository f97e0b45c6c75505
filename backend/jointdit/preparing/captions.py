# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions by a model of transformers' "image-text-to-text" pipeline: one that chats, such as LLaVA, or one that only describes, such as BLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from .depth_models import loading
from .sources import one_line

Captioner = Callable[[Sequence[np.ndarray]], list[str]]
"""Pictures (size, size, 3) uint8 -> a caption each, which may be empty."""

QUESTION = "Describe this picture in one or two plain sentences. Begin with what it shows."
LONGEST = 160  # tokens


def captioner(name: str, prompt: str | None, device: torch.device) -> Captioner:
    """The captioner of a name or folder. `prompt` is asked of a chat model (a default if None); another model goes on from it. Raises `InputError`."""
    with loading(f"The captioner {name}", "--captioner"):
        from transformers import pipeline

        pipe = pipeline("image-text-to-text", model=name, device=device)
    chats = getattr(pipe.processor, "chat_template", None) is not None

    def describe(pictures: Sequence[np.ndarray]) -> list[str]:
        # The likeliest words, whatever the model's own settings are: the same picture gets the same caption again. The pipeline changes what it is given.
        how = {"generate_kwargs": {"do_sample": False, "max_new_tokens": LONGEST}}
        images = [Image.fromarray(picture) for picture in pictures]
        if chats:
            talks = [_talk(image, prompt or QUESTION) for image in images]
            answers = pipe(text=talks, batch_size=len(talks), return_full_text=False, **how)
        else:
            answers = pipe(images=images, text=[prompt or ""] * len(images), **how)
        return [plain(answer) for answer in answers]

    return describe


def _talk(image: Image.Image, question: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": question}]}]


def plain(answer: Any) -> str:
    """The text of a pipeline's answer, on one line."""
    while isinstance(answer, list):
        answer = answer[0] if answer else {}
    text = answer.get("generated_text", "") if isinstance(answer, dict) else answer
    return one_line(str(text))
