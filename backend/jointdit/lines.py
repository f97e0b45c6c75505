# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands say to a program instead of a person: one JSON object a line on standard output (docs/models.md lists them)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from .errors import JointDiTError


def say(**content: Any) -> None:
    """Print one object, at once and in ASCII, so that no system's language can spoil it."""
    click.echo(json.dumps(content))


def json_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option `--json` as its argument `as_json`.

    A `JointDiTError` ends it with exit code 1 and its sentence: on standard error, or with `--json` as a line {"error": sentence}.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print JSON lines, for programs.")
    @wraps(command)
    def wrapped(*arguments: Any, as_json: bool, **options: Any) -> None:
        try:
            command(*arguments, as_json=as_json, **options)
        except JointDiTError as error:
            if not as_json:
                raise click.ClickException(str(error)) from error
            say(error=str(error))
            sys.exit(1)

    return wrapped
