# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of each picture, one JSON object a line, written as it becomes known: whatever ends the program, the lines before stay."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError


class Journal:
    """The lines of a file by their `name`. A last line that was not finished is dropped; a later line of a name replaces an earlier one."""

    def __init__(self, path: Path) -> None:
        """Raises `InputError` where the file cannot be read or is damaged."""
        self._path = path
        try:
            content = path.read_bytes() if path.is_file() else b""
            whole = content[: content.rfind(b"\n") + 1]
            lines = [json.loads(line) for line in whole.splitlines()]
            self._known = {line["name"]: line for line in lines}
            if len(whole) < len(content):
                os.truncate(path, len(whole))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged ({error}). Remove it; what it holds is found out again.") from error

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._known[name]

    def add(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write lines, each with its `name`. Raises `OutputError`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written ({error.strerror or error}). Free some space and run the command again.") from error
        self._known |= {line["name"]: dict(line) for line in lines}
