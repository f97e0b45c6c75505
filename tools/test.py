# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All the tests, on a machine where nothing is prepared: `python3.11 tools/test.py`. Further options go to pytest.

Style, types, plain Python, Blender 4.5 LTS, real processes; then Blender 5.2 LTS, where a Python 3.13 is found, and a real window, where one can be made.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from environment import ROOT, Environment, SetupError, blender_environment, check_libraries, find_python

# Blender 5.2 is tested as artists run it: without torch in its Python.
NEWER_BLENDER = ("bpy==5.2.3", "pytest", "pytest-timeout", "hypothesis", "pillow>=11", "setuptools>=77")


def run(title: str, command: list[object]) -> bool:
    """Run one part of the tests with a user folder of its own for Blender; returns whether it passed."""
    print(f"\n== {title}", flush=True)
    with tempfile.TemporaryDirectory(prefix="jointdit-test-") as resources:
        environment = {**os.environ, "BLENDER_USER_RESOURCES": resources, "PYTHONFAULTHANDLER": "1"}
        passed = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment).returncode == 0
    if not passed:
        print(f"== FAILED: {title}", flush=True)
    return passed


def main(options: list[str]) -> int:
    """`options` go to every pytest. Returns the exit code."""
    try:
        check_libraries()
        python = blender_environment("blender,dev").ready()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    results = [
        run("Style", [python, "-m", "ruff", "check", "."]),
        run("Types", [python, "-m", "mypy", "jointdit_blender"]),
        run("Plain Python, Blender 4.5 LTS, processes, window", [python, "-m", "pytest", *options]),
    ]
    newer = find_python("3.13")
    try:
        if newer is None:
            raise SetupError("no Python 3.13 was found")
        results.append(run("Blender 5.2 LTS", [Environment(ROOT / ".venv-5.2", newer, NEWER_BLENDER).ready(), "-m", "pytest", "tests/blender", *options]))
    except SetupError as reason:
        print(f"\n== SKIPPED: Blender 5.2 LTS: {reason}", flush=True)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
