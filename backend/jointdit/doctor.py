# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `jointdit doctor` says: findings about the machine, the models, and files that may become a model, each a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import JointDiTError
from .models import EMBEDDED, AnyModel, Models, outlook
from .weights.catalogue import describe, size_text
from .weights.library import USED
from .wishes import Wish

if TYPE_CHECKING:
    from .weights.pieces import Found, Piece

GIB = 2**30
LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "gguf", "peft", "numpy", "PIL", "OpenEXR", "psutil")
WANTED_MEMORY = 2 * GIB  # for the embedded model with torch loaded


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `text` says what was found and, where it is not good, what to do."""

    what: str
    good: bool
    text: str


def examine(models: Models) -> Iterator[Finding]:
    """Look at programs, device, memory and every model; opens each model to see that it is whole, and says which memory plan it would get."""
    missing = [library for library in LIBRARIES if find_spec(library) is None]
    if missing:
        yield Finding("programs", False, f"{', '.join(missing)} cannot be found in this Python; install jointdit with its extra: pip install \".[runtime]\"")
        return
    yield Finding("programs", True, ", ".join(f"{name} {version}" for name, version in models.programs().items()))
    device = models.device()
    free = device["memory_free"] / GIB
    yield Finding("device", True, f"{device['name']} ({device['kind']}), {device['memory_total'] / GIB:.1f} GiB, {free:.1f} GiB free")
    enough = device["memory_free"] >= WANTED_MEMORY
    yield Finding("memory", enough, "enough for the embedded model" if enough else f"only {free:.1f} GiB are free; close other programs first")
    try:
        names = models.names()
    except JointDiTError as error:
        yield Finding("list of models", False, str(error))
        names = ["embedded"]
    for name in names:
        try:
            yield _model(name, models.find(name))
        except JointDiTError as error:
            yield Finding(f"model {name}", False, str(error))


def _model(name: str, model: AnyModel) -> Finding:
    """Open a model. Raises a `JointDiTError` where it is not whole or does not fit."""
    native = model.index.get("native_size") or 1024
    expected = outlook(model, Wish(native, native))
    size = sum(path.stat().st_size for path in model.weights)
    text = f"{size_text(size)}, {model.index.get('licence') or 'licence not stated'}, revision {model.revision() or 'not known'}. {expected.plan.reason}"
    if model.weights and not str(model.weights[0]).startswith(str(EMBEDDED)):
        text += f" A picture of {native} x {native} in 20 steps will take about {_duration(expected.seconds)} (estimated from a matrix product)."
    return Finding(f"model {name}", True, text)


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever a person would say."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def examine_files(paths: Sequence[Path]) -> Iterator[Finding]:
    """Say what files and folders hold of a FLUX.1-dev with JointDiT, what cannot be used, and what is missing and to be had where."""
    from .weights.pieces import find_pieces

    found = find_pieces(paths)
    yield from report_on(found)
    for name in found.missing():
        yield Finding(name, False, f"missing. {describe(name)}.")


def report_on(found: Found) -> Iterator[Finding]:
    """A finding for each piece and each remark."""
    for piece in sorted(found.pieces, key=lambda piece: (USED.index(piece.kind.piece) if piece.kind.piece in USED else len(USED), str(piece.path))):
        yield Finding(piece.kind.piece, True, _piece(piece, found))
    for remark in found.remarks:
        yield Finding("remark", True, remark)


def _piece(piece: Piece, found: Found) -> str:
    """What a piece is and how it is stored."""
    where = f"{piece.path}, {piece.prefix}*" if piece.prefix else str(piece.path)
    about = [size_text(piece.nbytes)]
    about += [f"stored as {piece.stored_as}"] if piece.stored_as else []
    about += [f"{piece.kind.layout} layout"] if piece.kind.layout else []
    about += [piece.kind.note] if piece.kind.note else []
    about += ["not used, there is a better one"] if piece.kind.piece in USED and found.best(piece.kind.piece) != piece else []
    return f"{where} ({', '.join(about)})"
