# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the project's own Python environments, once; standard library only, because this runs before anything is installed."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# What Blender's Python module loads from the system, and the packages that have it: Debian and Ubuntu, Fedora.
LIBRARIES = {
    "libX11.so.6": ("libx11-6", "libX11"),
    "libXrender.so.1": ("libxrender1", "libXrender"),
    "libXfixes.so.3": ("libxfixes3", "libXfixes"),
    "libXi.so.6": ("libxi6", "libXi"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
    "libSM.so.6": ("libsm6", "libSM"),
    "libGL.so.1": ("libgl1", "libglvnd-glx"),
    "libEGL.so.1": ("libegl1", "libglvnd-egl"),
}


class SetupError(Exception):
    """The machine lacks something; the message says what, and the command that installs it."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment in the project's folder and what is installed in it."""

    folder: Path
    base: Path
    requirements: tuple[str, ...]
    download: str = "1 GB, or several where torch comes with CUDA"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def fingerprint(self) -> str:
        """Changes whenever something must be installed anew."""
        parts = [sys.platform, str(self.base), *((ROOT / f).read_text(encoding="utf-8") for f in ("pyproject.toml", "constraints.txt"))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def ready(self) -> Path:
        """Make or complete the environment; returns its interpreter. Quick when nothing changed. Raises `SetupError`."""
        # One marker for each set of requirements: the tests' set does not undo the scene's.
        marker = self.folder / f"ready-{hashlib.sha256(repr(self.requirements).encode()).hexdigest()[:8]}"
        if marker.is_file() and marker.read_text() == self.fingerprint() and self.python.is_file():
            return self.python
        marker.unlink(missing_ok=True)
        print(f"Preparing {self.folder.name} (once; this downloads {self.download}) …", flush=True)
        if not self._has_pip():
            self._create()
        pip = [self.python, "-m", "pip", "install", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt", *self.requirements]
        if subprocess.run(pip, cwd=ROOT).returncode != 0:
            raise SetupError("The packages could not be installed; the lines above say why. Check the network and the free space, then run the command again.")
        marker.write_text(self.fingerprint())
        return self.python

    def _has_pip(self) -> bool:
        """Whether the environment is there and whole; one whose making was interrupted is not."""
        return self.python.is_file() and subprocess.run([self.python, "-m", "pip", "--version"], capture_output=True).returncode == 0

    def _create(self) -> None:
        # The environment must belong to the wanted Python, which need not be the one that runs this.
        if subprocess.run([self.base, "-c", "import ensurepip, venv"], capture_output=True).returncode != 0:
            version = subprocess.run([self.base, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True).stdout.strip()
            raise SetupError(f"Python {version} lacks its venv module. Install it with: {_install_command([f'python{version}-venv'], ['python3-libs'])}")
        if subprocess.run([self.base, "-m", "venv", "--clear", self.folder]).returncode != 0:
            raise SetupError(f"No environment could be made in {self.folder}. Check that the folder is writable and the disk is not full.")


def blender_environment(extras: str) -> Environment:
    """The main environment: the project with `extras`, Blender 4.5 LTS as a Python module among them. Raises `SetupError` for another Python than 3.11."""
    if sys.version_info[:2] != (3, 11):
        found = ".".join(map(str, sys.version_info[:2]))
        hint = _install_command(["python3.11", "python3.11-venv"], ["python3.11"])
        raise SetupError(f"This is Python {found}, but Blender 4.5 as a Python module needs Python 3.11. Run the command with python3.11; to get it: {hint}")
    return Environment(ROOT / ".venv", Path(sys.executable), ("--editable", f".[{extras}]"))


def check_libraries() -> None:
    """Raise `SetupError` that names the missing system libraries and the command that installs them. Nothing to check outside Linux."""
    if not sys.platform.startswith("linux"):
        return
    missing = [name for name in LIBRARIES if not _loads(name)]
    if missing:
        debian, fedora = zip(*(LIBRARIES[name] for name in missing), strict=True)
        raise SetupError(f"Blender needs system libraries that are missing: {', '.join(missing)}. Install them with: {_install_command(debian, fedora)}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _install_command(debian: list[str] | tuple[str, ...], fedora: list[str] | tuple[str, ...]) -> str:
    if shutil.which("dnf") and not shutil.which("apt-get"):
        return f"sudo dnf install -y {' '.join(fedora)}"
    return f"sudo apt-get install -y --no-install-recommends {' '.join(debian)}"


def find_python(version: str) -> Path | None:
    """An interpreter of another version, from the search path or from pyenv; None where there is none that runs."""
    candidates = [shutil.which(f"python{version}")]
    if shutil.which("pyenv"):
        root = Path(subprocess.run(["pyenv", "root"], capture_output=True, text=True).stdout.strip())
        candidates += map(str, root.glob(f"versions/{version}.*/bin/python{version}"))
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return Path(candidate)
    return None
