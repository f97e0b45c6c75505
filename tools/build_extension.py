# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build, validate and write dist/jointdit-VERSION.zip with Blender's own extension tool. Needs a Python that has the bpy wheel, or --tool.

The image generator goes with it as a wheel in the folder “backend”. It is not one of the manifest's wheels: Blender's own Python never gets it; the
installer (jointdit_blender/core/installer.py) puts it into an environment of its own.

The manual goes with it in the folder “docs”: as a site where this Python has MkDocs (the extra “docs”), else its text.

    python tools/build_extension.py [--tool path/to/blender_ext.py] [--output dist]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import manual
from environment import ROOT

MANUAL = ("*.html", "*.css", "images/*.png", "pictures/*.png")
"""What is taken of the built manual."""
PROJECT = ("pyproject.toml", "README.md", "LICENSE")
LITTER = ("__pycache__", "*.pyc", "*.egg-info", ".*")
SETUPTOOLS = 77
"""The first that knows the licence fields of our pyproject.toml."""


def find_tool() -> Path:
    """Blender's blender_ext.py in the bpy wheel of this Python. bpy itself is not imported."""
    wheel = importlib.util.find_spec("bpy")
    folders = [Path(place) for place in (wheel.submodule_search_locations or [])] if wheel else []
    for folder in folders:
        for tool in folder.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"):
            return tool
    raise SystemExit("This Python has no bpy wheel: install bpy, or name blender_ext.py with --tool.")


def stage(folder: Path) -> None:
    """Lay out the extension: the manifest and the license beside the contents of jointdit_blender."""
    shutil.copytree(ROOT / "jointdit_blender", folder, ignore=shutil.ignore_patterns(*LITTER))
    for name in ("blender_manifest.toml", "LICENSE"):
        shutil.copy2(ROOT / name, folder)


def add_manual(folder: Path) -> None:
    """Put the manual into `folder`, so that it can be read offline: as a site where this Python has MkDocs, else its text. Raises SystemExit."""
    folder.mkdir()
    if not (importlib.util.find_spec("mkdocs") and importlib.util.find_spec("pymdownx")):
        for page in sorted((ROOT / "docs").glob("*.md")):
            shutil.copy2(page, folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        site = Path(temporary)
        manual.run(Path(sys.executable), ROOT / "tools/manual_offline.yml", site)
        (site / "404.html").unlink(missing_ok=True)
        for file in (file for pattern in MANUAL for file in site.glob(pattern)):
            target = folder / file.relative_to(site)
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(file, target)


def make_wheel(folder: Path) -> Path:
    """Build the wheel of the image generator into `folder`; raises CalledProcessError.

    It is built from a copy that has nothing but the package, so that it holds nothing else and the work tree stays as it is.
    """
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary)
        for name in PROJECT:
            shutil.copy2(ROOT / name, project)
        shutil.copytree(ROOT / "backend/jointdit", project / "backend/jointdit", ignore=shutil.ignore_patterns(*LITTER))
        run = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", str(folder)]
        run += ["--no-build-isolation"] if has_setuptools() else []
        # One date for all files: the same contents give the same wheel.
        subprocess.run([*run, str(project)], check=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"})
    return next(folder.glob("jointdit-*-py3-none-any.whl"))


def has_setuptools() -> bool:
    """Whether this Python can build the wheel without fetching a setuptools for it."""
    try:
        return int(importlib.metadata.version("setuptools").split(".")[0]) >= SETUPTOOLS
    except importlib.metadata.PackageNotFoundError:
        return False


def build(tool: Path, output: Path) -> Path:
    """Returns the zip, built and validated; raises CalledProcessError."""
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    output.mkdir(parents=True, exist_ok=True)
    archive = output / f"{manifest['id']}-{manifest['version']}.zip"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / manifest["id"]
        stage(folder)
        add_manual(folder / "docs")
        make_wheel(folder / "backend")
        run = [sys.executable, str(tool)]
        subprocess.run([*run, "build", "--source-dir", str(folder), "--output-filepath", str(archive)], check=True)
    subprocess.run([*run, "validate", str(archive)], check=True)
    return archive


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", type=Path, help="path of Blender's blender_ext.py")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the zip")
    arguments = parser.parse_args()
    try:
        print(build(arguments.tool or find_tool(), arguments.output))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"“{' '.join(error.cmd[:4])} …” failed: exit code {error.returncode}.") from error


if __name__ == "__main__":
    main()
