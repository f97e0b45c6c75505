# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces of a FLUX.1-dev with JointDiT among a user's files: which there are, which is the best of each kind, which are missing.

Only headers are read, so a folder with hundreds of models takes seconds.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CheckpointError
from .catalogue import NEEDED
from .files import is_pickle
from .kinds import Kind, identify
from .source import TensorSource, model_files, models_in, open_source

_TOKENIZERS = ("tokenizer", "tokenizer_2")
# What stands before the parts of a checkpoint that holds everything.
_PARTS = ("model.diffusion_model.", "vae.", "text_encoders.clip_l.transformer.", "text_encoders.t5xxl.transformer.")
# From the most precise; what is not named is a GGUF's kind.
_PRECISIONS = {"bf16": 0, "f16": 1, "f32": 1, "f64": 1, "f8_e4m3": 2, "f8_e5m2": 3}
_GGUF_PRECISION = 4
_MANY_WORDS = 200_000  # the vocabularies of mT5 and UMT5 are built like T5's, but for all languages
_SD3_SCALING = 1.5305  # of Stable Diffusion 3's autoencoder, whose tensors have the same names and shapes as FLUX's


@dataclass(frozen=True)
class Piece:
    """One part of a model. `path` is a file, an index, or a folder of shards or of a tokenizer; `prefix` the part's in a checkpoint of everything.

    `stored_as` holds most of the bytes (bf16, f8_e4m3, q4_k, ...; empty for a tokenizer); `nbytes` are the bytes of the weights.
    """

    kind: Kind
    path: Path
    prefix: str
    stored_as: str
    nbytes: int

    def open(self) -> TensorSource:
        """The tensors. Raises `CheckpointError` where the files have changed, and for a tokenizer, which has none."""
        if self.kind.piece in _TOKENIZERS:
            raise CheckpointError(f"The folder {self.path} holds a tokenizer, which has no weights. Choose a folder with weights.")
        source = open_source(self.path)
        return source.subset(self.prefix) if self.prefix else source


@dataclass(frozen=True)
class Found:
    """What a search has found; `remarks` are sentences on files that were looked at and cannot be used."""

    pieces: tuple[Piece, ...]
    remarks: tuple[str, ...]

    def best(self, piece: str) -> Piece | None:
        """The one to use of several: the model that the add-ons were made for first, then the most precise, then the shortest path."""
        return min((found for found in self.pieces if found.kind.piece == piece), key=_preference, default=None)

    def missing(self) -> tuple[str, ...]:
        """The pieces that were not found, of those that no model works without."""
        there = {piece.kind.piece for piece in self.pieces}
        return tuple(piece for piece in NEEDED if piece not in there)


def _preference(piece: Piece) -> tuple[bool, int, int, int, str, str]:
    precision = _PRECISIONS.get(piece.stored_as, _GGUF_PRECISION)
    if piece.kind.piece == "autoencoder" and piece.stored_as == "f32":
        precision = -1  # decoded in float32, for depth without bands
    # Among the small encodings the larger keeps more: Q8 over Q4, fp8 with its sensitive layers in bf16 over fp8 throughout.
    size = -piece.nbytes if precision >= _PRECISIONS["f8_e4m3"] else 0
    return bool(piece.kind.note), precision, size, len(str(piece.path)), str(piece.path), piece.prefix


def find_pieces(paths: Iterable[Path]) -> Found:
    """Look at files, and at folders with all that is in them. Nothing is raised for what cannot be used: it gets a remark."""
    search = _Search()
    for path in paths:
        if path.is_dir():
            search.folder(path)
        else:
            search.model(path, path)
    return Found(tuple(search.pieces), tuple(search.remarks))


@dataclass
class _Search:
    """A walk through files and folders. `seen` are real paths, so links neither lead in circles nor make a file count twice."""

    pieces: list[Piece] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def _is_new(self, path: Path) -> bool:
        real = os.path.realpath(path)
        is_new = real not in self.seen
        self.seen.add(real)
        return is_new

    def folder(self, folder: Path) -> None:
        if not self._is_new(folder):
            return
        try:
            entries = sorted(folder.iterdir())
            models = models_in(folder)
            folders = [entry for entry in entries if entry.is_dir()]
        except OSError as error:
            self.remarks.append(f"The folder {folder} cannot be read ({error}); it is left out.")
            return
        self._tokenizer(folder)
        for model in models:
            self.model(model, folder if len(models) == 1 else model)
        for entry in entries:
            if entry in folders:
                self.folder(entry)
            elif entry.suffix.lower() in (".ckpt", ".pt", ".pth", ".bin"):
                self._pickle(entry)

    def model(self, model: Path, shards: Path) -> None:
        """A file, index or shard that `open_source` understands; `shards` is the piece's path if it consists of several files."""
        if not self._is_new(model):
            return
        try:
            files = model_files(model)
            self._parts(open_source(model), shards if len(files) > 1 else files[0])
        except CheckpointError as error:
            self.remarks.append(str(error))

    def _parts(self, source: TensorSource, path: Path) -> None:
        parts = [(prefix, source.subset(prefix)) for prefix in _PARTS if any(name.startswith(prefix) for name in source)] or [("", source)]
        for prefix, part in parts:
            kind = identify(part)
            if kind.piece == "autoencoder" and kind.layout == "diffusers" and _scaling_beside(path) == _SD3_SCALING:
                kind = Kind("other", "", "the autoencoder of Stable Diffusion 3")
            if kind.piece != "other":
                self.pieces.append(Piece(kind, path, prefix, _mostly(part), part.nbytes()))
                continue
            self.remarks.append(f"{path} is {kind.note}; it is left out." if prefix in ("", _PARTS[0]) else f"In {path}, {prefix}* is {kind.note}.")
            if prefix == _PARTS[0]:
                return  # what comes with another model may look like ours and yet belong to it, as Stable Diffusion 3's autoencoder does

    def _tokenizer(self, folder: Path) -> None:
        try:
            piece = _tokenizer_in(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.remarks.append(f"The tokenizer in {folder} cannot be read ({error!r}). Get its files again, or remove them.")
            return
        if piece:
            nbytes = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
            self.pieces.append(Piece(Kind(piece), folder, "", "", nbytes))

    def _pickle(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                start = file.read(4)
        except OSError as error:
            self.remarks.append(f"The file {path} cannot be read ({error}); it is left out.")
            return
        if is_pickle(start) and self._is_new(path):
            self.remarks.append(f"The file {path} is a pickle, which can run any program when it is opened, so it stays closed. Get a .safetensors instead.")


def _mostly(source: TensorSource) -> str:
    """How most of the bytes are stored."""
    nbytes: Counter[str] = Counter()
    for name in source:
        nbytes[source.stored_as(name)] += source.stored_bytes(name)
    return nbytes.most_common(1)[0][0]


def _scaling_beside(weights: Path) -> float | None:
    """`scaling_factor` in the config.json beside diffusers' weights, where there is one."""
    try:
        config = json.loads(((weights if weights.is_dir() else weights.parent) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config.get("scaling_factor") if isinstance(config, dict) else None


def _tokenizer_in(folder: Path) -> str | None:
    """`tokenizer` for CLIP's words in a folder, `tokenizer_2` for T5's, else None. Raises OSError and the errors of malformed JSON."""
    whole, words, merges, sentence_pieces = (folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt", "spiece.model"))
    if whole.is_file():
        tokenizer = json.loads(whole.read_text(encoding="utf-8"))
        vocabulary = tokenizer["model"]["vocab"]
        # Unigram models list [piece, score], the others map words to numbers.
        known = {entry[0] for entry in vocabulary} if isinstance(vocabulary, list) else set(vocabulary)
        known |= {token["content"] for token in tokenizer.get("added_tokens", [])}
        return _whose(known) if len(known) < _MANY_WORDS else None
    if words.is_file() and merges.is_file():
        return _whose(set(json.loads(words.read_text(encoding="utf-8"))))
    if sentence_pieces.is_file():
        data = sentence_pieces.read_bytes()
        # In this format a piece follows the byte 10 and its length.
        return _whose({mark for mark in ("</s>", "<s>", "▁") if b"\n" + bytes([len(mark.encode())]) + mark.encode() in data})
    return None


def _whose(words: set[str]) -> str | None:
    if "<|startoftext|>" in words:
        return "tokenizer"
    # Llama and XLM-R mark the spaces alike, but have a sign for the start of a text, which T5 lacks.
    if "</s>" in words and "<s>" not in words and any(word.startswith("▁") for word in words):
        return "tokenizer_2"
    return None
