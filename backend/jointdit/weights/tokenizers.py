# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""FLUX's two tokenizers. Their data is part of this package (`tokenizer_data/`): whoever has the weights as single files needs nothing else.

Both vocabularies are fixed since FLUX was trained, so a folder that the user has can only hold the same ones. It is checked, not used: a wrong tokenizer
would make pictures of something else without any error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ..errors import CheckpointError

SHIPPED = Path(__file__).parent / "tokenizer_data"
T5_PIECES = 32000  # what sentencepiece learnt; tokenizer.json adds 100 <extra_id_N> that no prompt holds


def clip_tokenizer(folder: Path | None = None) -> PreTrainedTokenizerBase:
    """CLIP-L's tokenizer: 49408 ids, texts of at most 77, padded with <|endoftext|> (49407).

    A `folder` must hold the same one, as `tokenizer.json` or `vocab.json`. Raises `CheckpointError` where it holds none, another or a damaged one.
    """
    tokenizer = _shipped("clip")
    if folder is not None:
        path = _first(folder, "CLIP", "tokenizer.json", "vocab.json")
        vocabulary = _json(path)
        if path.name == "tokenizer.json":
            vocabulary = _vocabulary(path, vocabulary)
        _refuse_other(path, "CLIP", vocabulary == tokenizer.get_vocab())
    return tokenizer


def t5_tokenizer(folder: Path | None = None) -> PreTrainedTokenizerBase:
    """T5's tokenizer: 32100 ids, texts of at most 512, ended by </s> (1) and padded with <pad> (0).

    A `folder` must hold the same one, as `tokenizer.json` or `spiece.model`. Raises `CheckpointError` where it holds none, another or a damaged one.
    """
    tokenizer = _shipped("t5")
    if folder is not None:
        path = _first(folder, "T5", "tokenizer.json", "spiece.model")
        if path.name == "tokenizer.json":
            vocabulary = _vocabulary(path, _json(path))
            pieces = [entry[0] if isinstance(entry, list) and entry else None for entry in vocabulary] if isinstance(vocabulary, list) else []
        else:
            pieces = _sentencepieces(path)
        _refuse_other(path, "T5", pieces[:T5_PIECES] == tokenizer.convert_ids_to_tokens(list(range(T5_PIECES))))
    return tokenizer


def _shipped(name: str) -> PreTrainedTokenizerBase:
    return PreTrainedTokenizerFast.from_pretrained(SHIPPED / name, local_files_only=True)


def _first(folder: Path, name: str, *files: str) -> Path:
    for file in files:
        if (folder / file).is_file():
            return folder / file
    raise CheckpointError(f"The folder {folder} holds no tokenizer of {name}: neither {' nor '.join(files)}. {_WAY_OUT}")


_WAY_OUT = "Choose another folder or none: JointDiT brings the tokenizers along."


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The tokenizer {path} cannot be read ({error}). {_WAY_OUT}") from error


def _vocabulary(path: Path, tokenizer: object) -> object:
    """The vocabulary inside a `tokenizer.json`: piece -> id for CLIP, [piece, score] in the order of the ids for T5."""
    model = tokenizer.get("model") if isinstance(tokenizer, dict) else None
    if not isinstance(model, dict) or "vocab" not in model:
        raise CheckpointError(f"The tokenizer {path} holds no vocabulary. {_WAY_OUT}")
    return model["vocab"]


def _refuse_other(path: Path, name: str, same: bool) -> None:
    if not same:
        raise CheckpointError(f"The tokenizer {path} is not the one of FLUX's {name}: its vocabulary is another. {_WAY_OUT}")


def _sentencepieces(path: Path) -> list[str]:
    """The pieces of a sentencepiece model in the order of their ids: field 1 of its protocol buffer is a piece, whose field 1 is the text."""
    try:
        return [text.decode() for number, piece in _fields(path.read_bytes()) if number == 1 for inner, text in _fields(piece) if inner == 1]
    except (OSError, ValueError, IndexError) as error:
        raise CheckpointError(f"The tokenizer {path} is no sentencepiece model, or a damaged one ({error}). {_WAY_OUT}") from error


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The number and content of a protocol buffer's fields that have a length; numbers are skipped. Raises ValueError or IndexError where it is damaged."""
    position = 0

    def variable_length() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        tag = variable_length()
        kind = tag & 7
        if kind == 0:
            variable_length()
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        elif kind == 2:
            length = variable_length()
            position += length
            if position > len(message):
                raise ValueError("it ends too early")
            yield tag >> 3, message[position - length : position]
        else:
            raise ValueError("it is no protocol buffer")
