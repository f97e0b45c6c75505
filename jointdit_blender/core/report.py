# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `jointdit … --json` says, line by line: findings, models, pieces, progress, and a result or an error at the end (docs/models.md)."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(r"\bhf_[A-Za-z0-9_-]+")
_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `repair` says what mends it, "" where nothing of ours does; `model` is the one that it is about."""

    what: str
    good: bool
    text: str
    repair: str = ""
    model: str = ""


@dataclass(frozen=True)
class Piece:
    """One piece that a model needs: its size, and what of it is `missing`, in bytes. On `page` its licence is shown."""

    name: str
    title: str
    size: int
    missing: int
    licence: str
    gated: bool
    page: str


@dataclass(frozen=True)
class ModelState:
    """One model. `reason` and `seconds` are there once it was opened; `problem` is a sentence where it cannot be used, `repair` what mends it.

    `own` models stand in the person's list and can be removed from it.
    """

    name: str
    title: str
    licence: str = ""
    note: str = ""
    size: int = 0
    own: bool = False
    complete: bool = True
    missing: tuple[Piece, ...] = ()
    reason: str = ""
    seconds: float = 0.0
    side: int = 0
    steps: int = 0
    problem: str = ""
    repair: str = ""


@dataclass
class Report:
    """What was said so far. Lines that are no JSON objects, and objects of kinds that are not known, are passed over."""

    findings: list[Finding] = field(default_factory=list)
    models: dict[str, ModelState] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    done: int = 0
    total: int = 0
    file: str = ""
    result: dict[str, Any] | None = None
    error: str = ""

    def feed(self, line: str) -> None:
        """Take in one line; a model that is told again takes the place of what was said of it before."""
        try:
            said = json.loads(line)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        if "error" in said:
            self.error = _text(said["error"]) or "It failed without saying why."
        elif isinstance(said.get("result"), dict):
            self.result = said["result"]
        elif "finding" in said:
            self.findings.append(
                Finding(_text(said["finding"]), said.get("good") is True, _text(said.get("text")), _text(said.get("repair")), _text(said.get("model")))
            )
        elif "model" in said:
            model = _model(said)
            self.models[model.name] = model
        elif "piece" in said:
            self.pieces.append(_piece(said))
        elif "done" in said:
            self.done, self.total, self.file = _count(said["done"]), _count(said.get("total")), _text(said.get("file"))


def size_text(nbytes: float) -> str:
    """Bytes in units of 1000: “23.8 GB”, “335 MB”."""
    for unit, factor in _UNITS:
        if nbytes >= factor:
            amount = nbytes / factor
            return f"{amount:.1f} {unit}" if amount < 99.95 else f"{amount:.0f} {unit}"
    return f"{nbytes:.0f} bytes"


def time_text(seconds: float) -> str:
    """Seconds, minutes or hours, whichever a person would say."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return "a second" if seconds < 1.5 else f"{seconds:.0f} seconds"


def without_tokens(text: str) -> str:
    """A text for a report in which nobody finds an access token of a model hub."""
    return _TOKEN.sub("hf_…", text)


def _model(said: dict[str, Any]) -> ModelState:
    lacking = said.get("missing")
    return ModelState(
        name=_text(said["model"]),
        title=_text(said.get("title")) or _text(said["model"]),
        licence=_text(said.get("licence")),
        note=_text(said.get("note")),
        size=_count(said.get("size")),
        own=said.get("own") is True,
        complete=said.get("complete") is True,
        missing=tuple(_piece(piece) for piece in lacking if isinstance(piece, dict)) if isinstance(lacking, list) else (),
        reason=_text(said.get("reason")),
        seconds=_number(said.get("seconds")),
        side=_count(said.get("side")),
        steps=_count(said.get("steps")),
        problem=_text(said.get("problem")),
        repair=_text(said.get("repair")),
    )


def _piece(said: dict[str, Any]) -> Piece:
    size = _count(said.get("size"))
    missing = _count(said["missing"]) if "missing" in said else size
    title = _text(said.get("title")) or _text(said.get("piece"))
    return Piece(_text(said.get("piece")), title, size, missing, _text(said.get("licence")), said.get("gated") is True, _text(said.get("page")))


def _text(value: object) -> str:
    """A text that Blender can hold: half of a surrogate pair becomes a question mark."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def _number(value: object) -> float:
    """A number from 0 on; anything else is 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _count(value: object) -> int:
    return int(_number(value))
