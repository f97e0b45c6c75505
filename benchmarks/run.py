# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All the benchmarks, one table after the other: `.venv/bin/python benchmarks/run.py`. Nothing else should run on the machine meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PARTS = ("scene_build.py", "generation.py", "panorama.py")


def main() -> int:
    """Run every part in a process of its own, with a user folder of its own for Blender."""
    folder = Path(__file__).resolve().parent
    failed = 0
    with tempfile.TemporaryDirectory(prefix="jointdit-benchmark-") as resources:
        for part in PARTS:
            failed |= subprocess.run([sys.executable, folder / part], env={**os.environ, "BLENDER_USER_RESOURCES": resources}).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
