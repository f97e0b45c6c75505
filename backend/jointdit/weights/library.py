# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's own models: which files make up which, remembered in one JSON file. The weights stay where they are."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, InputError, OutputError
from .catalogue import NEEDED, describe

if TYPE_CHECKING:
    from .pieces import Found, Piece

USED = (*NEEDED, "tokenizer", "tokenizer_2")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED = ("embedded",)


def home_folder() -> Path:
    """Where this program keeps what belongs to the person: the folder JOINTDIT_HOME, or the user's data folder of the system."""
    from platformdirs import user_data_path

    home = os.environ.get("JOINTDIT_HOME")
    return Path(home).expanduser() if home else user_data_path("jointdit", appauthor=False)


@dataclass(frozen=True)
class Location:
    """Where one piece of a model is: a file or folder, and the prefix of its part in a checkpoint of everything."""

    path: Path
    prefix: str = ""

    def piece(self, name: str) -> Piece:
        """The piece as it is there now. Raises `CheckpointError` where it is gone or is something else by now."""
        from .pieces import find_pieces  # brings torch, which a look at the list does not need

        if not self.path.exists():
            raise CheckpointError(f"{self.path} is not there any more. Put it back, or add its new place: jointdit models add PATH.")
        found = find_pieces([self.path])
        pieces = [piece for piece in found.pieces if piece.kind.piece == name and piece.prefix == self.prefix]
        if not pieces:
            changed = f"{self.path} does not hold what it held when it was added. Add the model anew: jointdit models add PATH."
            raise CheckpointError(" ".join(found.remarks) or changed)
        return pieces[0]


@dataclass(frozen=True)
class Entry:
    """One model: a name and where its pieces are, by `weights.pieces`' names."""

    name: str
    pieces: dict[str, Location]

    def missing(self) -> tuple[str, ...]:
        """What the model lacks to work."""
        return tuple(name for name in NEEDED if name not in self.pieces)


class Library:
    """The models in a JSON file; every change is written at once, and the file is replaced as a whole."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file or home_folder() / "models.json"

    def entries(self) -> list[Entry]:
        """All models, by name. Raises `CheckpointError` where the file is damaged."""
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            return [
                Entry(name, {piece: Location(Path(where["path"]), where.get("prefix", "")) for piece, where in pieces.items()})
                for name, pieces in sorted(content["models"].items())
            ]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"The list of models, {self.file}, cannot be read ({error!r}). Mend it, or remove it and add the models anew.") from error

    def add(self, name: str, found: Found) -> Entry:
        """Put what was found under a name; pieces that are known already stay unless there are new ones. Raises `InputError`, `OutputError`."""
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise InputError(f"A model cannot be called {name!r}. Use letters, digits, dots and dashes, and not {' or '.join(RESERVED)}.")
        entries = {entry.name: entry for entry in self.entries()}
        before = entries.get(name, Entry(name, {}))
        new = {piece.kind.piece: Location(piece.path.absolute(), piece.prefix) for piece in map(found.best, USED) if piece is not None}
        if not new:
            raise InputError("Nothing was found that belongs to FLUX.1-dev or JointDiT. " + " ".join(found.remarks[:3]))
        entries[name] = replace(before, pieces=before.pieces | new)
        self._write(entries.values())
        return entries[name]

    def remove(self, name: str) -> None:
        """Forget a model; its files stay. Raises `InputError` where there is none."""
        entries = {entry.name: entry for entry in self.entries()}
        if name not in entries:
            raise InputError(f"There is no model {name!r} to remove. Known are: {', '.join(entries) or 'none'}.")
        del entries[name]
        self._write(entries.values())

    def _write(self, entries: Iterable[Entry]) -> None:
        def place(location: Location) -> dict[str, Any]:
            return {"path": str(location.path), **({"prefix": location.prefix} if location.prefix else {})}

        models = {entry.name: {piece: place(where) for piece, where in entry.pieces.items()} for entry in entries}
        beside = self.file.with_suffix(".new")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps({"models": models}, indent=2), encoding="utf-8")
            beside.replace(self.file)
        except OSError as error:
            raise OutputError(f"The list of models, {self.file}, cannot be written ({error}). Check the folder's permissions and the free space.") from error


def how_to_complete(missing: Iterable[str]) -> list[str]:
    """One sentence for each missing piece: what it is, where it is to be had, how large, under which licence."""
    return [f"{describe(piece)}." for piece in missing]
