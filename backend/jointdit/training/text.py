# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small model's own text side: a pretrained sentence encoder made smaller."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from ..errors import InputError
from ..prompt_encoder import PromptEncoder

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
FREE_LAYERS = 2  # the last layers, which learn with the base


def kept_pieces(vocabulary: Collection[str], dictionary: Collection[str]) -> list[str]:
    """The word pieces of BERT's vocabulary that a picture may be about: special ones, single signs, ends of words, and the words of a dictionary."""
    dictionary = set(dictionary)

    def keep(piece: str) -> bool:
        if piece in SPECIAL:
            return True
        inner = piece.removeprefix("##")
        if not inner.isascii() or piece.startswith("[unused"):
            return False
        return len(inner) == 1 or (inner.isalpha() and (piece.startswith("##") or piece in dictionary))

    return [piece for piece in vocabulary if keep(piece)]


def tokenizer_of(pieces: list[str], length: int) -> PreTrainedTokenizerFast:
    """BERT's uncased tokenizer with these word pieces; a word that is no piece is read in parts."""
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    ids = [(sign, pieces.index(sign)) for sign in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=length
    )


def smaller_encoder(folder: Path, dictionary: Collection[str], layers: int, length: int) -> tuple[PromptEncoder, list[str]]:
    """The first `layers` layers of a BERT in `folder` (config.json, model.safetensors, vocab.txt), and the word pieces that it is left with.

    Its last `FREE_LAYERS` layers are trainable, the rest is frozen. Raises `InputError` where there is no such model.
    """
    try:
        whole = BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False)
        vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"There is no BERT model in {folder} ({error}). Give the folder of all-MiniLM-L6-v2: see docs/training.md.") from error
    pieces = kept_pieces(vocabulary, dictionary)
    if not {*SPECIAL} <= {*pieces}:
        raise InputError(f"The word pieces in {folder / 'vocab.txt'} are not BERT's. Give the folder of all-MiniLM-L6-v2: see docs/training.md.")
    config = whole.config.to_dict() | {
        "vocab_size": len(pieces), "num_hidden_layers": layers, "max_position_embeddings": length, "pad_token_id": pieces.index("[PAD]"),
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    }  # fmt: skip
    encoder = PromptEncoder(BertConfig(**config))
    rows = torch.tensor([vocabulary.index(piece) for piece in pieces])
    state = {name: tensor for name, tensor in whole.state_dict().items() if name in encoder.state_dict()}
    state["embeddings.word_embeddings.weight"] = state["embeddings.word_embeddings.weight"][rows]
    state["embeddings.position_embeddings.weight"] = state["embeddings.position_embeddings.weight"][:length]
    encoder.load_state_dict(state)
    return freeze(encoder), pieces


def freeze(encoder: PromptEncoder) -> PromptEncoder:
    """Freeze all but the last layers; no dropout anywhere."""
    encoder.requires_grad_(False)
    last: nn.ModuleList = encoder.encoder.layer
    last[len(last) - FREE_LAYERS :].requires_grad_(True)
    return encoder.eval()
