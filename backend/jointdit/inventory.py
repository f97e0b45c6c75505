# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every model on this machine, also one that cannot be used: what it is, what it lacks, how it would lie in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .errors import CheckpointError, InputError, JointDiTError
from .models import EMBEDDED, FULL_SIZE, AnyModel, Models, PiecesModel, outlook
from .weights.catalogue import find_offer
from .wishes import Wish

STEPS = 20
"""Sampling steps of the picture whose time is estimated."""


@dataclass(frozen=True)
class Item:
    """One model. `size` in bytes of the weights that are there; `missing` are the catalogue's names of the pieces that it lacks.

    Known only once it was opened: `plan`, the name of its memory plan, and `reason`, the sentence on it; `seconds`, the estimated time of a picture of
    `side` x `side` pixels in `STEPS` steps. `problem` is a sentence where it cannot be used, and `repair` what mends that (see `doctor.REPAIRS`).
    """

    name: str
    title: str
    licence: str = ""
    note: str = ""
    size: int = 0
    side: int = 1024
    own: bool = True
    missing: tuple[str, ...] = ()
    plan: str = ""
    reason: str = ""
    seconds: float | None = None
    problem: str = ""
    repair: str = ""

    def told(self) -> dict[str, Any]:
        """The `model` line of docs/models.md."""
        plan = {"plan": self.plan, "reason": self.reason, "seconds": self.seconds, "side": self.side, "steps": STEPS}
        state = {"complete": not self.missing, "missing": [piece_told(name) for name in self.missing], "problem": self.problem, "repair": self.repair}
        about = {"title": self.title, "licence": self.licence, "note": self.note, "size": self.size, "own": self.own}
        return {"model": self.name, **about, **state, **plan}


def piece_told(name: str) -> dict[str, Any]:
    """What a program needs to know of a piece of the catalogue."""
    offer = find_offer(name)
    return {"piece": name, "title": offer.title, "size": offer.nbytes, "licence": offer.licence, "gated": offer.gated, "page": offer.page}


def look(models: Models, name: str) -> Item:
    """What a model's description and its files' sizes say, in a moment; raises nothing for a model that cannot be used."""
    try:
        model = models.find(name)
    except JointDiTError as error:
        return Item(name, name, problem=str(error))
    own, pieces = isinstance(model, PiecesModel), model.entry.missing() if isinstance(model, PiecesModel) else ()
    index: dict[str, Any] = FULL_SIZE if own else {}
    problem = f"It lacks {', '.join(find_offer(piece).title for piece in pieces)}: add their files, or download them." if pieces else ""
    try:
        index = model.index
    except CheckpointError as error:
        problem = problem or str(error)
    return Item(
        name,
        title=index.get("title", name),
        licence=index.get("licence") or "",
        note=index.get("note") or "",
        size=sum(path.stat().st_size for path in model.weights if path.is_file()),
        side=index.get("native_size") or 1024,
        own=own,
        missing=pieces,
        problem=problem,
        repair=_mending(model) if problem else "",
    )


def examine(models: Models, item: Item) -> Item:
    """The same model opened: its memory plan and time, or why there is none. Takes seconds, the first time also those of loading torch."""
    if item.problem:
        return item
    model = models.find(item.name)
    try:
        expected = outlook(model, Wish(item.side, item.side), STEPS)
    except InputError as error:
        return replace(item, problem=str(error), repair="free-memory")
    except CheckpointError as error:
        return replace(item, problem=str(error), repair=_mending(model))
    return replace(item, plan=expected.plan.name, reason=expected.plan.reason, seconds=expected.seconds)


def _mending(model: AnyModel) -> str:
    """What mends a model whose files are not whole."""
    if isinstance(model, PiecesModel):
        return "download-model" if model.entry.missing() else "add-model"
    return "reinstall" if model.folder == EMBEDDED else ""
