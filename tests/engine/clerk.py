# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for `python -m jointdit.cli … --json`: says what a test has written down for a command, and keeps what it was asked.

The folder CLERK has a file for each command (`doctor`, `models-list`, `models-download-plan` …). Its lines are said as they are, but for “wait SECONDS”,
“complain TEXT” (on standard error) and “exit CODE”. `write_interpreter` of `engine.standin` makes a program of it that can be chosen as the backend's Python.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def asked(folder: Path) -> list[dict[str, Any]]:
    """What it was asked so far: the `words` of each command, and the `token` in its environment."""
    file = folder / "asked"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def write(folder: Path, command: str, *lines: object) -> None:
    """Have it answer a command; what is no text becomes JSON."""
    folder.mkdir(exist_ok=True)
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    (folder / command).write_text(text, encoding="utf-8")


def main() -> None:
    """Answer one command."""
    folder, words = Path(os.environ["CLERK"]), sys.argv[3:]
    with (folder / "asked").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"words": words, "token": os.environ.get("HF_TOKEN", ""), "pid": os.getpid()}) + "\n")
    name = "-".join(words[: 2 if words[0] == "models" else 1]) + ("-plan" if "--plan" in words else "")
    for line in (folder / name).read_text(encoding="utf-8").splitlines():
        verb, _, rest = line.partition(" ")
        if verb == "wait":
            time.sleep(float(rest))
        elif verb == "complain":
            print(rest, file=sys.stderr, flush=True)
        elif verb == "exit":
            sys.exit(int(rest))
        else:
            print(line, flush=True)


if __name__ == "__main__":
    main()
