# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that the image generator is installed in: what lies where, what is written down about it, and the variables of programs that fill it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .errors import JointDiTError
from .files import staged
from .interpreter import RECORD, backend_environment, program_of

STEPS = ("tools", "environment", "packages", "check")
PARTS = ("tools", "env", "cache", "python")
"""The folders that an installation makes in its own: pip and uv, the environment, uv's cache, and a Python where one had to be fetched."""
_LONGEST_PATH = 259
_LONGEST_PACKAGE_PATH = 110
"""Characters of the longest path of a Python file in the packages: 101, and 112 in a part of diffusers that is not used. uv itself writes longer ones."""
_PIP_KEPT = {
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONFIG_FILE", "PIP_KEYRING_PROVIDER", "PIP_TRUSTED_HOST"),
    *("PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_RETRIES", "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"),
}
_UV_DROPPED = {
    *("UV_NO_CACHE", "UV_PYTHON", "UV_PYTHON_PREFERENCE", "UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_SYSTEM_PYTHON", "UV_TORCH_BACKEND"),
    *("UV_REQUIRE_HASHES", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY", "UV_ENV_FILE", "UV_VENV_RELOCATABLE"),
}


class InstallError(JointDiTError):
    """The image generator cannot be installed or removed; `str(error)` is a sentence for a person."""


@dataclass(frozen=True)
class Package:
    """The wheel of the image generator that the extension brings. `digest` tells its contents, however often it is built of the same."""

    path: Path
    version: str
    digest: str


@dataclass
class Record:
    """What is known of an installation: its wheel, the build of PyTorch, which steps are finished, and how uv is called.

    `card` is the card that uv chose the build for, `device` what PyTorch works on.
    """

    version: str = ""
    digest: str = ""
    backend: str = ""
    torch: str = ""
    device: str = ""
    card: str = ""
    steps: list[str] | None = None
    uv: list[str] | None = None

    @property
    def finished(self) -> tuple[str, ...]:
        """The finished steps, in order."""
        return tuple(step for step in STEPS if step in (self.steps or []))

    def forget(self, first: str) -> None:
        """From this step on nothing counts as finished."""
        self.steps = [step for step in self.finished if STEPS.index(step) < STEPS.index(first)]
        if "packages" not in self.steps:
            self.torch = self.device = ""

    def save(self, folder: Path) -> None:
        """Write it; a reader sees the old or the new one, never half. Raises `FileError`."""
        with staged(folder / RECORD) as work:
            work.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def read_record(folder: Path) -> Record | None:
    """What is written in a folder; None where nothing is. A record that cannot be read, or that holds anything else, is an empty one."""
    try:
        text = (folder / RECORD).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        return Record()
    try:
        told = json.loads(text)
    except ValueError:
        return Record()
    record = Record()
    for field in fields(Record) if isinstance(told, dict) else ():
        value = told.get(field.name)
        wanted = list if field.name in ("steps", "uv") else str
        if isinstance(value, wanted) and (wanted is str or all(isinstance(word, str) for word in value)):
            setattr(record, field.name, value)
    return record


def tool(folder: Path, name: str) -> Path:
    """A program of the environment that only serves to install."""
    return program_of(folder / "tools", name)


def read_package(place: Path) -> Package:
    """The wheel at `place`, or in the folder `place` or its folder “backend”. Raises `InstallError`."""
    found = [place] if place.is_file() else sorted(path for folder in (place, place / "backend") for path in folder.glob("jointdit-*.whl"))
    if not found:
        raise InstallError("This copy of the extension brings no image generator: install JointDiT from its ZIP file, or choose a Python that has jointdit.")
    wheel = found[-1]
    try:
        with zipfile.ZipFile(wheel) as archive:
            listing = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
            # The listing has a checksum of each file, so its own stands for all of them.
            digest = hashlib.sha256(archive.read(listing)).hexdigest()
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise InstallError(f"“{wheel.name}” is damaged: install the extension anew from its ZIP file.") from error
    return Package(wheel, wheel.name.split("-")[1], digest)


def variables(folder: Path) -> dict[str, str]:
    """The environment of pip and uv: the person's indexes, proxies and certificates stay; what would lead elsewhere goes; all is kept in `folder`."""
    kept = {
        name: value
        for name, value in backend_environment().items()
        if not (
            name.upper() in _UV_DROPPED
            or name.upper() in ("VIRTUAL_ENV", "CONDA_PREFIX")
            or (name.upper().startswith("PIP_") and name.upper() not in _PIP_KEPT)
            or (name.upper().startswith("PYTHON") and name.upper() not in ("PYTHONSAFEPATH", "PYTHONIOENCODING"))
        )
    }
    ours = {
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_PYTHON_INSTALL_DIR": str(folder / "python"),
        "UV_PYTHON_INSTALL_BIN": "0",
        "UV_PYTHON_INSTALL_REGISTRY": "0",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        "PIP_USER": "0",
        "PYTHONNOUSERSITE": "1",
    }
    # Half a minute without a byte, which is uv's limit, is not rare on a slow line with several large files at once.
    return {"UV_HTTP_TIMEOUT": "120"} | kept | ours


def path_problem(folder: Path, long_paths: bool) -> str:
    """Why Windows could not open files in this folder, as a sentence; "" where it could."""
    longest = len(str(folder)) + len("\\env\\Lib\\site-packages\\") + _LONGEST_PACKAGE_PATH
    if long_paths or longest <= _LONGEST_PATH:
        return ""
    return (
        f"The folder “{folder}” has a path that is {longest - _LONGEST_PATH} characters too long for Windows. "
        "Turn on long paths in Windows' settings for developers, or use a portable Blender in a short folder."
    )


def has_long_paths() -> bool:
    """Whether Windows is set to open files with longer paths than 259 characters; other systems are."""
    if sys.platform != "win32":
        return True
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return winreg.QueryValueEx(key, "LongPathsEnabled")[0] == 1
    except OSError:
        return False


def uninstall(folder: Path) -> None:
    """Remove what an installation has made in `folder`, and the folder where nothing else is in it; takes seconds. Raises `InstallError`.

    Programs of the installation must have been ended before.
    """
    if not folder.exists():
        return
    if read_record(folder) is None:
        raise InstallError(f"In “{folder}” there is no installation of the image generator: nothing was removed.")
    try:
        for part in PARTS:
            path = folder / part
            if path.is_symlink():
                path.unlink()
            elif path.exists():
                shutil.rmtree(long_form(str(path.absolute())) if sys.platform == "win32" else path)
        # The record goes last, so that after a failure the rest can be removed.
        (folder / RECORD).unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise InstallError(
            f"Not all of “{folder}” could be removed ({error.strerror or error}). Close other programs that use the image generator, then remove it again."
        ) from error


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder, as far as they can be read; files with several names count once for each."""
    total = 0
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # it was moved or removed while we looked
    return total


def long_form(path: str) -> str:
    """An absolute path of Windows, on a drive or a share, in the form that Windows takes at any length."""
    if path.startswith("\\\\?\\"):
        return path
    return f"\\\\?\\UNC\\{path[2:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"
