# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `jointdit doctor` says: findings about the machine, the models, and files that may become a model, each a sentence."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import inventory
from .errors import JointDiTError
from .inventory import Item
from .models import Models
from .weights.catalogue import describe, size_text
from .weights.library import USED

if TYPE_CHECKING:
    from .weights.pieces import Found, Piece

GIB = 2**30
LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "gguf", "peft", "numpy", "PIL", "OpenEXR", "psutil")
WANTED_MEMORY = 2 * GIB  # for the embedded model with torch loaded
REPAIRS = ("reinstall", "add-model", "download-model", "free-memory")
"""What can mend a finding: install the programs anew; say where a model's files are; fetch what a model lacks; close or unload what takes the memory."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `text` says what was found and, where it is not good, what to do.

    `repair` is one of `REPAIRS` where a program can offer to do it, and `model` the name of the model that it is about.
    """

    what: str
    good: bool
    text: str
    repair: str = ""
    model: str = ""

    def told(self) -> dict[str, Any]:
        """The `finding` line of docs/models.md."""
        return {"finding": self.what, "good": self.good, "text": self.text, "repair": self.repair, "model": self.model}


def examine(models: Models) -> Iterator[Finding]:
    """Look at programs, device, memory and every model; opens each model to see that it is whole, and says which memory plan it would get."""
    missing = [library for library in LIBRARIES if find_spec(library) is None]
    if missing:
        advice = 'install jointdit with its extra: pip install ".[runtime]"'
        yield Finding("programs", False, f"{', '.join(missing)} cannot be found in this Python; {advice}", "reinstall")
        return
    programs, device = models.programs(), models.device()
    yield Finding("programs", True, ", ".join(f"{name} {version}" for name, version in programs.items()))
    yield _device(device, programs["torch"])
    free = device["memory_free"] / GIB
    enough = device["memory_free"] >= WANTED_MEMORY
    text = "enough for the embedded model" if enough else f"only {free:.1f} GiB are free; close other programs first"
    yield Finding("memory", enough, text, "" if enough else "free-memory")
    try:
        names = models.names()
    except JointDiTError as error:
        yield Finding("list of models", False, str(error))
        names = ["embedded"]
    for name in names:
        yield _model(inventory.examine(models, inventory.look(models, name)), models)


def _device(device: dict[str, Any], torch_version: str) -> Finding:
    """The device; a card that lies idle because this torch cannot use it is a bad finding."""
    about = f"{device['name']} ({device['kind']}), {device['memory_total'] / GIB:.1f} GiB, {device['memory_free'] / GIB:.1f} GiB free"
    card = nvidia_card() if device["kind"] == "cpu" else ""
    if not card:
        return Finding("device", True, about)
    advice = "install the build of torch for its driver, or a newer driver"
    return Finding("device", False, f"{card} is there, but torch {torch_version} cannot use it, so everything runs on {about}; {advice}", "reinstall")


def nvidia_card() -> str:
    """The name of the first NVIDIA card that the driver knows, or nothing."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, errors="replace", timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().partition("\n")[0].strip() if done.returncode == 0 else ""


def _model(item: Item, models: Models) -> Finding:
    """A model that was opened, or why it could not be."""
    what = f"model {item.name}"
    if item.problem:
        return Finding(what, False, item.problem, item.repair, item.name)
    text = f"{size_text(item.size)}, {item.licence or 'licence not stated'}, revision {models.find(item.name).revision() or 'not known'}. {item.reason}"
    if item.name != "embedded" and item.seconds is not None:
        pictures = f"A picture of {item.side} x {item.side} in {inventory.STEPS} steps"
        text += f" {pictures} will take about {duration(item.seconds)} (estimated from a matrix product)."
    return Finding(what, True, text, "", item.name)


def duration(seconds: float) -> str:
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
        yield Finding(name, False, f"missing. {describe(name)}.", "download-model")


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
