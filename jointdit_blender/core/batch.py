# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of scenes: rows from a table or from JSON, and names for their files. No bpy: plain Python."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import JointDiTError

KINDS = (".csv", ".jsonl", ".json")
DELIMITERS = ",;\t"
SLUG_LENGTH = 48
SHOWN = 10
"""Sentences about bad rows that a person reads at once."""
_UNUSABLE = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^\s|^\.', re.ASCII)
_RESERVED = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


class ListError(JointDiTError):
    """A list cannot be worked through; `str(error)` is a sentence, or some, one a line."""


@dataclass(frozen=True)
class Row:
    """What one row says. `number` counts from 1, `where` names it for a person; of what is empty there is nothing in `values`."""

    number: int
    where: str
    values: dict[str, Any]


def read_list(path: Path) -> list[Row]:
    """The rows of a .csv (comma, semicolon or tab; the first row names the columns), .jsonl (one object a line) or .json file (an array of objects).

    Words are compared without regard to case, and blanks, dashes and underscores are one: "Sky Cutoff" is "sky_cutoff". Raises `ListError`.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ListError(f"{path.name} is no list; give a file that ends in {', '.join(KINDS)}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ListError(f"{path.name} is not a text file in UTF-8; save it again, in a spreadsheet as “CSV UTF-8”.") from error
    except OSError as error:
        raise ListError(f"The list {path} cannot be read ({error.strerror or error}); choose another file.") from error
    found = {".csv": _table, ".jsonl": _lines, ".json": _array}[kind](text, path.name)
    rows = [Row(number, f"Row {number}{place}", values) for number, (place, values) in enumerate(found, 1)]
    if not rows:
        raise ListError(f"{path.name} has no rows; write one for each scene.")
    return rows


def _table(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    head = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    words: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            place = f" (line {reader.line_num} of {name})"
            if not words:
                words = _heading(cells, name)
                continue
            if any(cell.strip() for cell in cells[len(words) :]):
                raise ListError(f"The row{place} has more cells than there are columns; put cells that hold the delimiter “{delimiter}” in quotes.")
            pairs = {word: cell.strip() for word, cell in zip(words, cells, strict=False) if cell.strip()}
            if "" in pairs:
                raise ListError(f"The row{place} has “{pairs['']}” in a column without a name; name the column in the first row.")
            yield place, pairs
    except csv.Error as error:
        raise ListError(f"{name} is no table in line {reader.line_num} ({error}); look at the quotes there.") from error


def _heading(cells: list[str], name: str) -> list[str]:
    words = [word_of(cell) for cell in cells]
    twice = next((word for word in words if word and words.count(word) > 1), None)
    if twice:
        raise ListError(f"{name} has two columns “{twice}”; remove one.")
    return words


def _lines(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    # Not splitlines: JSON may have other separators within a string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f" (line {number} of {name})"
            yield place, _values(_json(line, f"Line {number} of {name}"), place)


def _array(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    content = _json(text, name)
    if not isinstance(content, list):
        raise ListError(f"{name} is not an array; put the rows between [ and ], or name the file .jsonl and put one object on each line.")
    for number, item in enumerate(content, 1):
        place = f" (number {number} of {name})"
        yield place, _values(item, place)


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ListError(f"{where} is not valid JSON ({error}); mend it.") from error


def _no_constant(name: str) -> float:
    """Refuse NaN and Infinity, which Python would take for JSON."""
    raise ValueError(f"{name} is no number")


def _values(item: Any, place: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise ListError(f'The row{place} is not an object; write it as {{"prompt": "a hill", "seed": 7}}.')
    values = {word_of(key): value.strip() if isinstance(value, str) else value for key, value in item.items()}
    if len(values) < len(item):
        raise ListError(f"The row{place} says something twice; remove one.")
    return {word: value for word, value in values.items() if value is not None and value != ""}


def word_of(text: str) -> str:
    """A column's name as an option's name: "Sky Cutoff" -> "sky_cutoff"."""
    return re.sub(r"[\s_-]+", "_", text.strip().lower()).strip("_")


def slug(text: str) -> str:
    """A text as the name of a file: "A hill, at dusk" -> "a-hill-at-dusk"; letters of all languages stay."""
    letters = unicodedata.normalize("NFC", text).casefold()
    return re.sub(r"[\W_]+", "-", letters).strip("-")[:SLUG_LENGTH].strip("-")


def name_problem(name: str) -> str:
    """Why no file can have this name on every system, as a sentence, or nothing."""
    if _UNUSABLE.search(name) or _RESERVED.match(name) or len(name) > 120:
        return f"“{name[:120]}” cannot be the name of a file; use letters, digits and dashes, and at most 120 of them."
    return ""


def report(sentences: list[str], advice: str) -> ListError:
    """One error for many bad rows."""
    shown = sentences[:SHOWN] + ([f"And {len(sentences) - SHOWN} more."] if len(sentences) > SHOWN else [])
    return ListError("\n".join([*shown, advice]))
