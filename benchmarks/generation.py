# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds that the embedded model takes for a picture, and what the worker process adds to them: prints a table in Markdown.

`python benchmarks/generation.py [--runs N] [--steps N]`
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from jointdit.jobs import Job, generate
from jointdit.models import Models

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jointdit_blender.core.worker import WorkerClient

PROMPT = "a red house on a green hill"
TARGET_GENERATION, TARGET_OVERHEAD, TARGET_SCENE = 10.0, 0.05, 60.0
ROOT = Path(__file__).resolve().parents[1]


def scene_seconds() -> float:
    """From the prompt to scene.blend and preview.png, all processes started anew, as the README's first command does."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jointdit_blender", "scene", "--out", "scene.blend", "--render", "preview.png", "--prompt", PROMPT]
        start = time.perf_counter()
        subprocess.run([*command, "--python", sys.executable], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> int:
    """Measure and print; returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    direct, through = [], []
    with tempfile.TemporaryDirectory() as folder, WorkerClient(sys.executable) as client:
        models, output = Models(), Path(folder)
        job = {"task": "joint", "prompt": PROMPT, "output": folder, "steps": arguments.steps, "model": "embedded", "seed": 1}

        def direct_run() -> None:
            generate(Job("joint", output, prompt=PROMPT, steps=arguments.steps, seed=1), models, lambda _: None)

        def worker_run() -> None:
            client.run(job, lambda _: None)

        # Once each to load; then in turn, so that both see the same machine.
        for work, times in [(direct_run, []), (worker_run, [])] + [(direct_run, direct), (worker_run, through)] * arguments.runs:
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    generation, overhead = statistics.median(direct), statistics.median(through) - statistics.median(direct)
    print(f"\ntorch {torch.__version__}, {os.cpu_count()} cores, {arguments.steps} steps, median of {arguments.runs}\n")
    print("| what | median s | least s | target s | met |\n|---|---|---|---|---|")
    scene = scene_seconds()
    met = generation < TARGET_GENERATION, overhead < TARGET_OVERHEAD, scene < TARGET_SCENE
    words = ["yes" if good else "NO" for good in met]
    print(f"| embedded generation | {generation:.3f} | {min(direct):.3f} | {TARGET_GENERATION} | {words[0]} |")
    print(f"| the same through the worker | {statistics.median(through):.3f} | {min(through):.3f} | | |")
    print(f"| worker overhead | {overhead:.3f} | {min(through) - min(direct):.3f} | {TARGET_OVERHEAD} | {words[1]} |")
    print(f"| prompt to scene.blend and preview.png | {scene:.1f} | | {TARGET_SCENE} | {words[2]} |")
    print(f"\nThrough the worker takes {statistics.median(through) / generation:.2f} times as long as directly.")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
