# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has become of the rows of a batch: JSON lines that programs read, and by which the same command goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .files import FileError

DONE, FAILED, SKIPPED = "done", "failed", "skipped"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the log. Paths are absolute; `settings` is a hash of all that the row and the command line say, `detail` text for a bug report."""

    row: int
    name: str
    status: str
    outputs: tuple[str, ...]
    frame: str | None = None
    seconds: float = 0.0
    message: str = ""
    warnings: tuple[str, ...] = ()
    settings: str = ""
    detail: str = ""
    time: str = ""


class Log:
    """Appends entries to a file. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Opens the file and reads what it says so far; a line that was cut off when a program was killed is passed over. Raises `FileError`."""
        self._last: dict[str, Entry] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open("a+", encoding="utf-8", newline="\n")
            self._file.seek(0)
            text = self._file.read()
            if text and not text.endswith("\n"):
                self._file.write("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"{path} cannot be used as a log ({error}); choose another file with --log.") from error
        for line in text.split("\n"):
            entry = _entry(line)
            if entry is not None and entry.status != SKIPPED and entry.outputs:
                self._last[entry.outputs[0]] = entry

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def before(self, output: str, settings: str) -> Entry | None:
        """How the row that writes `output` ended when it was last run, if it had these settings."""
        entry = self._last.get(output)
        return entry if entry is not None and entry.settings == settings else None

    def add(self, entry: Entry) -> None:
        """Append an entry with the time, at once on disk. Raises `FileError`."""
        told = asdict(replace(entry, time=datetime.now(UTC).isoformat(timespec="seconds")))
        try:
            self._file.write(json.dumps(told) + "\n")
            self._file.flush()
        except OSError as error:
            raise FileError(f"The log cannot be written ({error.strerror or error}); free some space and run the command again.") from error


def _entry(line: str) -> Entry | None:
    """A line that is no entry is none."""
    try:
        data = json.loads(line)
        known = {name: data[name] for name in (field.name for field in fields(Entry)) if name in data}
        return Entry(**{**known, "outputs": tuple(known["outputs"]), "warnings": tuple(known.get("warnings", ()))})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def settings_hash(values: Mapping[str, Any]) -> str:
    """The same for the same values, in whatever order and on every machine."""
    text = json.dumps(values, sort_keys=True, default=lambda value: value.as_posix() if isinstance(value, Path) else str(value))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
