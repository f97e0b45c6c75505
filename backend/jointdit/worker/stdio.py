# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the real standard input and output for the protocol; everything else that prints goes to standard error."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO


def claim() -> tuple[BinaryIO, BinaryIO]:
    """Returns (requests, answers) as binary streams; the process's own descriptors 0 and 1 become harmless.

    It works on descriptors, not on `sys.stdout` alone, because C code prints past Python.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    _binary(requests.fileno())
    _binary(answers.fileno())
    sys.stdout.flush()
    os.dup2(2, 1)
    # A library that asks a question on the terminal gets end of file, and does not eat a request.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout = sys.stderr
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
    return requests, answers


def _binary(descriptor: int) -> None:
    """Windows opens pipes in text mode, where \\n grows and \\x1a ends the file."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(descriptor, os.O_BINARY)
