# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the manual into dist/manual, on a machine where nothing is prepared: `python3.11 tools/manual.py`. Open index.html there.

    python tools/manual.py [--output dist/manual]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from environment import ROOT, Environment, SetupError


def builder() -> Path:
    """A Python with MkDocs: this one, or an environment that is made for it. Raises `SetupError`."""
    if importlib.util.find_spec("mkdocs") and importlib.util.find_spec("material"):
        return Path(sys.executable)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    return Environment(ROOT / ".venv-docs", Path(sys.executable), tuple(extras["docs"]), "20 MB").ready()


def run(python: Path, config: Path, output: Path) -> None:
    """Have MkDocs build a site; raises SystemExit with what it says."""
    # Not quiet: MkDocs does not count warnings that it does not print, and strict would mean nothing.
    command = [python, "-m", "mkdocs", "build", "--strict", "--config-file", config, "--site-dir", output]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        raise SystemExit("The manual could not be built; the lines above say why.")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "manual", help="folder of the manual; what is in it is replaced")
    output = parser.parse_args().output.absolute()
    if output.exists() and any(output.iterdir()) and not (output / "search/search_index.json").is_file():
        raise SystemExit(f"{output} holds something that is no manual; choose another folder.")
    try:
        python = builder()
    except SetupError as error:
        raise SystemExit(str(error)) from error
    run(python, ROOT / "mkdocs.yml", output)
    print(output / "index.html")


if __name__ == "__main__":
    main()
