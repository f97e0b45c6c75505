# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All the tests, on a machine where nothing is prepared: `python3.11 tools/test.py`. Further options go to pytest.

Style and types; then plain Python and real processes, and at the same time Blender 4.5 LTS with a real window, where one can be made, Blender 5.2 LTS,
where a Python 3.13 is found, and panoramas.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import IO

from environment import ROOT, Environment, SetupError, blender_environment, check_libraries, find_python

NOTHING_CHOSEN = 5  # pytest's exit code, where -k or -m chose none of a part's tests
# Blender 5.2 is tested as artists run it: without torch in its Python.
NEWER_BLENDER = ("bpy==5.2.3", "pytest", "pytest-timeout", "hypothesis", "pillow>=11", "setuptools>=77")


@dataclass(frozen=True)
class Part:
    """Some of the tests: a title and a command. `chosen`: the person chose among them, which may leave none."""

    title: str
    command: list[object]
    chosen: bool = False


def run(part: Part, output: IO[str] | None = None) -> bool:
    """Run a part with a user folder of its own for Blender; what it says goes to `output`. Returns whether it passed."""
    print(f"\n== {part.title}", file=output, flush=True)
    with tempfile.TemporaryDirectory(prefix="jointdit-test-") as resources:
        environment = {**os.environ, "BLENDER_USER_RESOURCES": resources, "PYTHONFAULTHANDLER": "1"}
        command = [str(word) for word in part.command]
        code = subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=None if output is None else subprocess.STDOUT).returncode
    passed = code == 0 or (part.chosen and code == NOTHING_CHOSEN)
    if not passed:
        print(f"== FAILED: {part.title}", file=output, flush=True)
    return passed


def run_beside(shown: Part, others: Sequence[Part]) -> bool:
    """Run `shown` before the eyes of the person and the others at the same time, two parts at once. What was not seen is shown afterwards."""
    if "OMP_NUM_THREADS" not in os.environ and (os.cpu_count() or 1) < 8:
        os.environ["OMP_NUM_THREADS"] = "1"  # torch's threads that wait for a core that is taken make everything many times slower
    left = deque(others)

    def taken() -> Part | None:
        """A part that nobody has begun yet."""
        try:
            return left.popleft()
        except IndexError:
            return None

    def rest(output: IO[str] | None) -> list[bool]:
        return [run(part, output) for part in iter(taken, None)]

    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said, ThreadPoolExecutor(1) as beside:
        there = beside.submit(rest, said)
        try:
            passed = [run(shown), *rest(None), *there.result()]
        except KeyboardInterrupt:
            left.clear()
            raise
        finally:
            wait([there])
            said.seek(0)
            print(said.read().encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding), flush=True)
    return all(passed)


def main(options: list[str]) -> int:
    """`options` go to every pytest; files or folders among them are tested instead of everything. Returns the exit code."""
    try:
        check_libraries()
        python = blender_environment("blender,dev").ready()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    if any((ROOT / option.partition("::")[0]).exists() for option in options):
        return 0 if run(Part("What you asked for", [python, "-m", "pytest", *options])) else 1
    first = [run(Part("Style", [python, "-m", "ruff", "check", "."])), run(Part("Types", [python, "-m", "mypy", "jointdit_blender"]))]
    with_blender = [Part("Blender 4.5 LTS, window", [python, "-m", "pytest", "tests/blender", "tests/window", *options], bool(options))]
    newer = find_python("3.13")
    try:
        if newer is None:
            raise SetupError("no Python 3.13 was found")
        newest = Environment(ROOT / ".venv-5.2", newer, NEWER_BLENDER).ready()
        with_blender.append(Part("Blender 5.2 LTS", [newest, "-m", "pytest", "tests/blender", *options], bool(options)))
    except SetupError as reason:
        print(f"\n== SKIPPED: Blender 5.2 LTS: {reason}", flush=True)
    panoramas = [str(file.relative_to(ROOT)) for file in sorted((ROOT / "tests").glob("test_panorama*.py"))]
    beside = with_blender + [Part(file, [python, "-m", "pytest", file, *options], bool(options)) for file in panoramas]
    ignored = [f"--ignore={path}" for path in ("tests/blender", "tests/window", *panoramas)]
    plain = Part("Plain Python, processes", [python, "-m", "pytest", "tests", *ignored, "--durations=12", *options], bool(options))
    return 0 if run_beside(plain, beside) and all(first) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
