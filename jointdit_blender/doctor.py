# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look whether everything works, from Blender to the image generator: the command `doctor`."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import bpy

from . import api, preferences
from .core.command import Command
from .core.interpreter import ADVICE, VARIABLE, WorkerError, find_interpreter
from .core.worker import VERSION

INTERVAL = 0.1
"""Seconds between two looks at what it says."""


def examine(python: Path | None, say: Callable[[str], None]) -> bool:
    """Say what there is, a line each, and then what `jointdit doctor` says of the machine and its models; returns whether all is good.

    `python`: the interpreter of the command line, if one was given.
    """
    say(_line(True, "Blender", f"{bpy.app.version_string}, with Python {platform.python_version()} on {platform.platform(terse=True)}"))
    say(_line(True, "extension", f"JointDiT {VERSION}"))
    engine = preferences.engine(bpy.context)
    good = bool(python) or engine.state not in ("outdated", "unfinished")
    if not good:
        say(_line(False, "installation", engine.text))
    try:
        found = find_interpreter(api.interpreter(python))
        say(_line(True, "interpreter", f"{found}, {'chosen by --python' if python else _why(engine.state)}"))
        command = Command([found, "-m", "jointdit.cli", "doctor"])
    except WorkerError as error:
        say(_line(False, "image generator", str(error)))
        return False
    code = _follow(command, say)
    if code in (0, 1) and "No module named" not in command.log():
        # It starts, and has said itself what is wrong.
        return good and code == 0
    if "No module named jointdit" in command.log() or "No module named 'jointdit'" in command.log():
        sentence = f"{found} starts, but does not have the package jointdit: {ADVICE}."
    else:
        sentence = f"{found} does not start the image generator (exit code {code}): {command.log() or 'it said nothing'}"
    say(_line(False, "image generator", sentence))
    return False


def _follow(command: Command, say: Callable[[str], None]) -> int | None:
    """Pass on the lines of a command until it ends; its exit code. Whatever interrupts this ends the command."""
    try:
        while not command.ended:
            command.wait(INTERVAL)
            for line in command.lines():
                say(line)
    finally:
        command.stop()
    for line in command.lines():
        say(line)
    return command.code


def _why(state: str) -> str:
    """Why it is this interpreter, by the state of the engine."""
    if state == "chosen":
        return "chosen in the add-on's preferences"
    if state in ("installed", "outdated"):
        return "installed by the add-on"
    return f"named by the variable {VARIABLE}" if os.environ.get(VARIABLE, "").strip() else "the one that runs this program"


def _line(good: bool, what: str, text: str) -> str:
    """As `jointdit doctor` writes them."""
    return f"{'ok ' if good else 'BAD'}  {what}: {text}"
