# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are not the worker, chosen by MISFIT: what a person may pick by mistake, and workers that have gone wrong."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Behave badly."""
    kind = os.environ["MISFIT"]
    if kind == "rubbish":
        print("Welcome to the shell!", flush=True)
        time.sleep(60)
    elif kind == "binary":
        while True:
            os.write(1, os.urandom(65536))
    elif kind == "deaf":
        time.sleep(60)
    elif kind == "bare":
        # A real Python that lacks the package: it does not look where packages are installed.
        sys.exit(subprocess.call([sys.executable, "-I", "-S", *sys.argv[1:]]))
    elif kind == "torchless":
        # A Python that has jointdit, but not what its extra “runtime” brings.
        sys.modules["torch"] = None  # type: ignore[assignment]
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "backend"))
        runpy.run_module("jointdit.worker", run_name="__main__")
    elif kind == "dies":
        sys.exit("ImportError: libcudart.so.99 is missing")
    elif kind == "old":
        print('{"jsonrpc": "2.0", "id": 0, "result": {"protocol": 99}}', flush=True)
        time.sleep(60)


if __name__ == "__main__":
    main()
