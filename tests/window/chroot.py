# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender with a window: Debian sid's, in a folder of its own, made once and kept.

The folder is that of JOINTDIT_BLENDER_ROOT, else in the user's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = "blender,python3-numpy,python3-cattr,python3-requests,libgl1-mesa-dri,libegl1,libgl1,libglx-mesa0"


class NoWindowError(Exception):
    """Why there can be no window on this machine."""


def root() -> Path:
    """Where the folder is, whether or not it has been made."""
    chosen = os.environ.get("JOINTDIT_BLENDER_ROOT")
    if chosen:
        return Path(chosen)
    return Path.home() / ".cache/jointdit/blender-root"


def provide() -> Path:
    """The folder with Blender in it, made if need be (about a minute). Raises `NoWindowError`."""
    folder = root()
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoWindowError("only root on Linux can enter another system's folder")
    for program in ("Xvfb", "unshare", "chroot"):
        if shutil.which(program) is None:
            raise NoWindowError(f"the program {program} is missing (Debian: xvfb, util-linux, coreutils)")
    if (folder / "usr/bin/blender").exists():
        return folder
    if shutil.which("mmdebstrap") is None:
        raise NoWindowError(f"there is no Blender in {folder}, and no mmdebstrap to put one there")
    if folder.exists() and any(folder.iterdir()):
        raise NoWindowError(f"{folder} holds something without a Blender; remove it by hand")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A mirror that is a snapshot has a Release file whose time is over; its signature is checked all the same.
    options = ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Check-Valid-Until "false"', "--dpkgopt=force-unsafe-io"]
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--mode=root", *options, f"--include={PACKAGES}", "sid", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        raise NoWindowError(f"Debian sid's Blender could not be installed: {made.stderr.strip()[-500:]}")
    return folder


def extension_tool() -> Path:
    """Blender's blender_ext.py."""
    return next((root() / "usr/share/blender").rglob("bl_pkg/cli/blender_ext.py"))


def enter(command: list[str], shared: list[Path], environment: dict[str, str]) -> list[str]:
    """The command line that runs a command inside, where the shared folders lie at the same paths as outside.

    All mounts are private to that command and end with it.
    """
    folder = root()
    lines = ["set -e", f"mount -t proc proc {folder}/proc", f"mount --rbind /dev {folder}/dev"]
    for path in shared:
        lines += [f'mkdir -p "{folder}{path}"', f'mount --bind "{path}" "{folder}{path}"']
    variables = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp", **environment}
    assignments = [f"{name}={value}" for name, value in variables.items()]
    lines.append(f'exec chroot "{folder}" env -i "$@"')
    return ["unshare", "--mount", "--propagation", "private", "bash", "-c", "\n".join(lines), "enter", *assignments, *command]


def python_folders() -> list[Path]:
    """What this Python needs inside: its installation and its virtual environment."""
    return sorted({Path(sys.base_prefix), Path(sys.prefix)})
