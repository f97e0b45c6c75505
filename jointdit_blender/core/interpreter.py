# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python runs the backend, and how a process of it is started on each system."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .errors import JointDiTError

VARIABLE = "JOINTDIT_PYTHON"
ADVICE = "press Set Up… in the JointDiT tab of the sidebar, or name a Python that has the package jointdit in JOINTDIT_PYTHON"
RECORD = "installation.json"
"""What is written about an installation, in its folder."""
_LEADING_ASTRAY = ("PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
_OF_THE_PERSON = ("PYTHONPATH", "PYTHONSTARTUP")


class WorkerError(JointDiTError):
    """The backend cannot do what was asked; `str(error)` is a sentence, `detail` is text for a bug report."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.detail = detail


def find_interpreter(chosen: Path | str | None = None) -> Path:
    """The Python of the backend: the one chosen, else that of `JOINTDIT_PYTHON`, else this one if it has the package.

    Raises `WorkerError`. Whether the first two have the package is known only when they run.
    """
    for source, value in (("the preferences", chosen), (f"the variable {VARIABLE}", os.environ.get(VARIABLE))):
        if value and str(value).strip():
            path = Path(value).expanduser()
            if path.is_dir():
                raise WorkerError(f"“{path}” in {source} is a folder: choose the Python program in it.")
            if not path.is_file():
                raise WorkerError(f"There is no Python at “{path}” (from {source}): choose the one that has the package jointdit.")
            # Not resolved: a virtual environment is known by the name of the link through which its Python is called.
            return path.absolute()
    if sys.executable and importlib.util.find_spec("jointdit") is not None:
        return Path(sys.executable)
    raise WorkerError(f"The image generator is not set up: {ADVICE}.")


def start_worker(interpreter: Path) -> subprocess.Popen[bytes]:
    """Start `python -m jointdit.worker` with three pipes; raises `WorkerError`."""
    try:
        return subprocess.Popen(
            [str(interpreter), "-m", "jointdit.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=backend_environment(interpreter),
            **apart(),
        )
    except OSError as error:
        raise WorkerError(f"“{interpreter}” cannot be started ({error.strerror or error}): choose the Python that has jointdit.") from error


def backend_environment(program: Path | None = None) -> dict[str, str]:
    """The environment without what would turn another Python into Blender's.

    Where `program` is the Python of an installation of ours, also without the person's paths of modules, which are meant for other programs and may hold
    another torch; a Python that the person has chosen may need them.
    """
    dropped = (*_LEADING_ASTRAY, *(_OF_THE_PERSON if program is not None and is_installed(program) else ()))
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    # The current folder may hold a file called torch.py, and the log must not depend on the system's language.
    return environment | {"PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}


def interpreter_of(folder: Path) -> Path:
    """The Python of the installation in a folder, whether it is there or not."""
    return program_of(folder / "env", "python")


def program_of(environment: Path, name: str) -> Path:
    """Where a program of a virtual environment lies on this system."""
    return environment / "Scripts" / f"{name}.exe" if sys.platform == "win32" else environment / "bin" / name


def is_installed(program: Path) -> bool:
    """Whether a program is the Python of an installation that the add-on has made."""
    folder = program.parent.parent.parent
    return program == interpreter_of(folder) and (folder / RECORD).is_file()


def apart() -> dict[str, Any]:
    """A group of its own, so that Ctrl-C in Blender's terminal is Blender's alone; on Windows also no console window."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
