# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the rows of a list to scenes that can be made: every row checked as the command line of `scene` would be, and a file of its own for each."""

from __future__ import annotations

import difflib
import re
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .arguments import EXPORTS, SOURCES, UsageError, complete, parse_scene, request, scene_words
from .core.batch import ListError, Row, name_problem, report, slug
from .core.batch_log import settings_hash
from .core.errors import JointDiTError

NAME = "name"
OUTPUTS = ("out", "render", "export", "output")
"""Words that name what is written: relative to the batch's folder."""
FOLDERS = ("frame", "around")
INPUTS = ("image", "photo", "panorama_photo", "depth", "disparity", "into", *FOLDERS)
"""Words that name what is read: relative to the list."""
SWITCHES = ("clean", "back_layer", "follow", "floor", "relit", "environment", "link")
SEVERAL = ("part", "export")
"""Words that may be repeated; a cell has “|” between them."""
PROGRAM = ("python", "json")
"""Options of `scene` that are no matter of a row."""
YES, NO = ("yes", "true", "on"), ("no", "false", "off")


@dataclass(frozen=True)
class Task:
    """A scene to be made. `settings` is a hash of all that is said about it, `inputs` are the files that it is made from."""

    number: int
    name: str
    arguments: Namespace
    settings: str
    inputs: tuple[Path, ...]

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The .blend and what is written beside it."""
        return tuple(path for path in (self.arguments.out, self.arguments.render, *self.arguments.export) if path is not None)


def plan(rows: Iterable[Row], defaults: Mapping[str, Any], folder: Path, out: Path) -> list[Task]:
    """The scenes of a list that lies in `folder`, written to `out`. `defaults` are options of `scene` that count where a row says nothing.

    `defaults` may also say `render`: True, and the kinds of `export` without a dot. Raises `ListError` with a sentence for every bad row.
    """
    rows = list(rows)
    planner = _Planner(rows, defaults, folder.absolute(), out.absolute())
    tasks: list[Task] = []
    bad: dict[str, list[Row]] = {}
    for row in rows:
        try:
            tasks.append(planner.task(row))
        except JointDiTError as error:
            bad.setdefault(str(error).removeprefix("argument --"), []).append(row)
    if bad:
        told = [f"{first.where}{f' and {len(more)} more' if more else ''}: {sentence}" for sentence, (first, *more) in bad.items()]
        raise report(told, "Nothing was started; mend the list and run the command again.")
    return tasks


class _Planner:
    """Knows which columns there are and which files have been given away."""

    def __init__(self, rows: list[Row], defaults: Mapping[str, Any], folder: Path, out: Path) -> None:
        self.folder, self.out = folder, out
        self.defaults = {name: value.absolute() if isinstance(value, Path) else value for name, value in defaults.items() if value is not None}
        self.columns = {*scene_words(), NAME} - set(PROGRAM)
        self.owners: dict[str, str] = {}
        # A name that somebody has chosen is no name for others, also if they come first.
        self.taken = {_key(_chosen_name(row.values)) for row in rows}

    def task(self, row: Row) -> Task:
        """Raises `JointDiTError`."""
        self._check_columns(row)
        told = {word: value for word, value in row.values.items() if word not in (NAME, "out", "render", "export")}
        given = _given(told)
        inherited = {word: value for word, value in self.defaults.items() if word not in SOURCES} if set(given) & set(SOURCES) else self.defaults
        options = {**inherited, **given}
        if not set(options) & set(SOURCES):
            raise UsageError(f"says nothing to make a scene of; fill in {', '.join(SOURCES[:-1])} or {SOURCES[-1]}.")
        name = self._name(row.values, options)
        blend = self.out / str(row.values.get("out") or f"{name}.blend")
        render, exports = self._render(row.values, blend), self._exports(row.values, blend)
        read = {word: self.folder / options[word] for word in INPUTS if options.get(word) is not None}
        arguments = complete({**options, **read, "out": blend, "render": render, "export": exports, "output": self.out / options.get("output", "frames")})
        for word, path in read.items():
            if not (path.is_dir() if word in FOLDERS else path.is_file()):
                raise ListError(f"{word}: there is no {'folder' if word in FOLDERS else 'file'} {path}.")
        request(arguments)
        made = [path for path in (blend, render, *exports) if path is not None]
        self._claim(made, row)
        settings = settings_hash({**options, "files": [_within(path, self.out) for path in made]})
        return Task(row.number, name, arguments, settings, tuple(path / "frame.json" if path.is_dir() else path for path in read.values()))

    def _check_columns(self, row: Row) -> None:
        for word in row.values:
            if word in PROGRAM:
                raise UsageError(f"“{word}” counts for all rows; give it on the command line.")
            if word not in self.columns:
                near = difflib.get_close_matches(word, sorted(self.columns), 1)
                advice = f"did you mean “{near[0]}”?" if near else f"columns are called {', '.join(sorted(self.columns))}."
                raise UsageError(f"there is no column “{word}”; {advice}")

    def _name(self, values: Mapping[str, Any], options: Mapping[str, Any]) -> str:
        """The name that the row gives, or one from what it is made of that nobody else has."""
        chosen = _chosen_name(values)
        if chosen:
            problem = name_problem(chosen)
            if problem:
                raise ListError(f"{NAME}: {problem}")
            return chosen
        source = next(word for word in SOURCES if options.get(word) is not None)
        title = slug(str(options[source]) if source == "prompt" else Path(options[source]).stem) or "scene"
        start = title if source in ("frame", "image") else f"{title}-{options.get('seed', 0)}"
        number = 1
        while _key(name := start if number == 1 else f"{start}-{number}") in self.taken:
            number += 1
        self.taken.add(_key(name))
        return name

    def _render(self, values: Mapping[str, Any], blend: Path) -> Path | None:
        value = values.get("render", self.defaults.get("render"))
        wanted = _truth(value)
        if value is None or wanted is False:
            return None
        return blend.with_suffix(".png") if wanted else self.out / str(value)

    def _exports(self, values: Mapping[str, Any], blend: Path) -> list[Path]:
        value = values.get("export", self.defaults.get("export"))
        if value is None or _truth(value) is False:
            return []
        items = [item if "." in item else f".{item}" for item in _texts("export", value)]
        return [blend.with_suffix(item.lower()) if item.lower() in EXPORTS else self.out / item for item in items]

    def _claim(self, paths: list[Path], row: Row) -> None:
        """Raises `ListError` when a file is another row's, or the same twice."""
        for path in paths:
            owner = self.owners.setdefault(_key(str(path)), row.where)
            if owner != row.where or paths.count(path) > 1:
                whose = f"is also written by {owner[0].lower()}{owner[1:]}" if owner != row.where else "is written twice"
                raise ListError(f"{path.name} {whose}; give each a name of its own.")


def _chosen_name(values: Mapping[str, Any]) -> str:
    """The name that a row gives its files, or nothing."""
    return str(values.get(NAME) or Path(str(values.get("out", ""))).stem)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `scene` that a row gives; None for one that it takes back. Raises `UsageError`."""
    words = [token for word, value in values.items() for token in _tokens(word, value)]
    taken_back = {word: None for word, value in values.items() if word == "bake" and _truth(value) is False}
    return {**parse_scene(words), **taken_back}


def _tokens(word: str, value: Any) -> list[str]:
    """A cell as a person would type it on the command line."""
    option = word.replace("_", "-")
    wanted = _truth(value)
    if word in SWITCHES:
        if wanted is None:
            wanted = {"1": True, "0": False}.get(str(value))
        if wanted is None:
            raise UsageError(f"{word}: “{value}” is neither yes nor no.")
        return [f"--{option}" if wanted else f"--no-{option}"]
    if word == "bake" and wanted is not None:
        return ["--bake"] if wanted else []
    texts = _texts(word, value)
    if word == "principal_point":
        return [f"--{option}", *texts]
    return [f"--{option}={text}" for text in texts]


def _texts(word: str, value: Any) -> list[str]:
    """The texts that a value stands for: one, or several for a word that may be repeated. Raises `UsageError`."""
    if isinstance(value, dict) and word == "part":
        return [f"{_text(word, key)}={_text(word, text)}" for key, text in value.items()]
    if isinstance(value, list | tuple) and word == "size":
        return ["x".join(_text(word, side) for side in value)]
    if isinstance(value, list | tuple) and (word in SEVERAL or word == "principal_point"):
        return [_text(word, item) for item in value]
    text = _text(word, value)
    if word in SEVERAL:
        return [part.strip() for part in text.split("|") if part.strip()]
    return re.split(r"[\s,;]+", text) if word == "principal_point" else [text]


def _text(word: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{word}: {value} is nothing that it could be; write it as on the command line.")
    return str(value)


def _truth(value: Any) -> bool | None:
    """Whether a cell says yes or no; None: it says something else."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    return True if word in YES else False if word in NO else None


def _key(path: str) -> str:
    """Names that differ only in case are one file on some systems."""
    return path.casefold()


def _within(path: Path, folder: Path) -> str:
    """A path that stays the same when the folder moves."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
