# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small model's own text side: a tokenizer learnt from captions, and prompts roughened so that free sentences do not throw it."""

from __future__ import annotations

import random
import string
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD, END = "<pad>", "</s>"

# Words that people write around what they want; the small model learns that they change nothing.
FILLERS = (
    "beautiful", "detailed", "highly detailed", "cinematic", "epic", "nice", "very", "really", "simple", "realistic", "4k", "8k", "masterpiece",
    "please", "i want", "show me", "give me", "make", "with", "there is", "a view of", "scene of", "an image of", "in the style of", "lovely", "old",
    "ancient", "modern", "fantasy", "dramatic", "peaceful", "quiet", "wide shot", "backdrop", "background", "concept art", "illustration", "artstation",
)  # fmt: skip


def learn_tokenizer(captions: Iterable[str], length: int, vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    """Byte-level BPE learnt from captions (no text is ever unknown), ending each prompt with `</s>` and padding with `<pad>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, model_max_length=length)


def roughen(caption: str, generator: random.Random) -> str:
    """A caption as a person may type it: now and then filler words, an unknown word, capitals, punctuation."""
    if generator.random() < 0.25:
        words = caption.split(" ")
        for _ in range(generator.randint(1, 3)):
            unknown = "".join(generator.choices(string.ascii_lowercase, k=generator.randint(3, 8)))
            filler = generator.choice(FILLERS) if generator.random() < 0.8 else unknown
            words.insert(generator.choice((0, len(words), generator.randint(0, len(words)))), filler)
        caption = " ".join(words)
    if generator.random() < 0.1:
        caption = caption.capitalize()
    if generator.random() < 0.1:
        caption = caption.rstrip(".") + "."
    return caption
