# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make dist/repository, a folder from which Blender can install the extension once any web server shows it.

    python tools/repository.py [--tool path/to/blender_ext.py] [--output dist/repository]

It holds the zip, index.json, which Blender reads, and index.html, from which a person drags the extension into Blender.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from build_extension import ROOT, build, find_tool


def make_repository(tool: Path, output: Path) -> Path:
    """Returns the path of index.json; what was in the folder is replaced. Raises CalledProcessError."""
    output.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, and complete before it takes it: a server may be showing the old one.
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".repository-") as temporary:
        folder = Path(temporary) / output.name
        build(tool, folder)
        subprocess.run([sys.executable, str(tool), "server-generate", "--repo-dir", str(folder), "--html"], check=True)
        if output.exists():
            shutil.rmtree(output)
        folder.rename(output)
    return output / "index.json"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", type=Path, help="path of Blender's blender_ext.py")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "repository", help="folder of the repository")
    arguments = parser.parse_args()
    if arguments.output.exists() and any(arguments.output.iterdir()) and not (arguments.output / "index.json").is_file():
        raise SystemExit(f"{arguments.output} holds something that is no repository; choose another folder.")
    try:
        print(make_repository(arguments.tool or find_tool(), arguments.output))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"Blender's extension tool refused: exit code {error.returncode}.") from error


if __name__ == "__main__":
    main()
