# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are written: whether they can be, and never half."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import JointDiTError


class FileError(JointDiTError):
    """A file cannot be opened or written; `str(error)` is a sentence for a person."""


def check_writable(path: Path) -> None:
    """Make the folder of a file and see that it takes files: hours of computing must not end at a read-only disk. Raises `FileError`."""
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder; give the name of a file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FileError(f"Nothing can be written in {path.parent} ({error.strerror or error}); choose another folder.") from error


def check_there(path: Path) -> None:
    """See that there is a file to build into. Raises `FileError`."""
    if not path.is_file():
        raise FileError(f"There is no file {path} to build into; choose another one.")


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; the file is put in place when the block has ended, and removed when it fails. Raises `FileError`.

    What an operator of Blender's says by a RuntimeError counts as the reason why it cannot be written.
    """
    work = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield work
        work.replace(path)
    except (OSError, RuntimeError) as error:
        raise FileError(f"{path} cannot be saved ({reason(error)}); choose another place.") from error
    finally:
        work.unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """What an operator of Blender's says, in one line."""
    return " ".join(str(error).removeprefix("Error: ").split())
