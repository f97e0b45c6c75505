# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a frame of 1024 x 1024 pixels takes to become a mesh, and a slider to show: prints a table in Markdown.

Run it with a Python that has bpy: `python benchmarks/scene_build.py [--size N] [--runs N]`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from frames import gradient, hills, make_frame  # noqa: E402

from jointdit_blender.core import lifting  # noqa: E402
from jointdit_blender.core.frame import Frame, read_frame  # noqa: E402
from jointdit_blender.scene.builder import BuildOptions, build_frame  # noqa: E402
from jointdit_blender.scene.modifier import set_input  # noqa: E402
from jointdit_blender.scene.pixels import load_picture, read_pixels  # noqa: E402

TARGETS = {"build": 0.4, "slider": 0.1}


def blocky(size: int) -> np.ndarray:
    """Hills with boxes before them, so that there is something to tear; (size, size) float32 from 0 to 1."""
    values = 0.6 * hills(size, size)
    generator = np.random.default_rng(0)
    for _ in range(30):
        side = size // 8
        x, y = generator.integers(0, size - side, 2).tolist()
        values[y : y + side, x : x + side] += 0.2
    return np.clip(values, 0.0, 1.0)


def naive_build(folder: Path) -> None:
    """What a simple add-on does: Python lists of vertices and faces, and `from_pydata`."""
    frame = read_frame(folder)
    disparity = read_pixels(load_picture(frame.disparity)).astype(np.float64)
    points = lifting.points(disparity, frame.camera, frame.distance, frame.mapping).reshape(-1, 3)
    torn = lifting.torn_faces(lifting.inverse_depth(disparity, frame.mapping), 0.06)
    rows, columns = np.nonzero(~torn)
    first = rows * frame.width + columns
    faces = np.stack([first, first + frame.width, first + frame.width + 1, first + 1], axis=1)
    mesh = bpy.data.meshes.new("naive")
    mesh.from_pydata(points.tolist(), [], faces.tolist())
    item = bpy.data.objects.new("naive", mesh)
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()


class Times(NamedTuple):
    """Seconds of every run on the clock, and of all cores together: the latter tell the same on a busy machine."""

    wall: list[float]
    cores: list[float]


def seconds(work: Callable[[], object], runs: int, prepare: Callable[[], object] = lambda: None) -> Times:
    """Times of `runs` runs."""
    times = Times([], [])
    for _ in range(runs):
        prepare()
        start, start_cores = time.perf_counter(), time.process_time()
        work()
        times.wall.append(time.perf_counter() - start)
        times.cores.append(time.process_time() - start_cores)
    return times


def slider_seconds(frame: Frame, options: BuildOptions, runs: int) -> Times:
    """Times from a new value of Far to the evaluated geometry."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    modifier = build_frame(bpy.context, frame, options).object.modifiers[0]
    distances = iter(np.linspace(30.0, 60.0, runs + 1).tolist())

    def slide() -> None:
        set_input(modifier, "Far", next(distances))
        bpy.context.view_layer.update()

    return seconds(slide, runs)


def main() -> int:
    """Measure and print; returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    size, runs = arguments.size, arguments.runs
    with tempfile.TemporaryDirectory() as folder:
        frame = make_frame(Path(folder) / "frame", blocky(size), rgb=gradient(size, size))

        def clear() -> None:
            bpy.ops.wm.read_factory_settings(use_empty=True)

        rows = []
        for geometry in ("mesh", "points"):
            options = BuildOptions(geometry=geometry)
            # `build_frame` ends with the evaluated geometry: it counts its vertices.
            built = seconds(lambda o=options: build_frame(bpy.context, read_frame(frame.folder), o), runs, clear)
            rows.append((f"files to {geometry}", built, "build"))
            rows.append((f"slider, {geometry}", slider_seconds(frame, options, 2 * runs), "slider"))
        clear()
        naive = seconds(lambda: naive_build(frame.folder), 2, clear)
    version, numpy = bpy.app.version_string, np.__version__
    print(f"\nBlender {version}, numpy {numpy}, {size} x {size} pixels\n")
    print("| what | median s | least s | least s of all cores | target s | met |\n|---|---|---|---|---|---|")
    met = {name: min(times.wall) < TARGETS[target] for name, times, target in rows}
    for name, (wall, cores), target in rows:
        figures = f"{statistics.median(wall):.3f} | {min(wall):.3f} | {min(cores):.3f} | {TARGETS[target]}"
        print(f"| {name} | {figures} | {'yes' if met[name] else 'NO'} |")
    print(f"| from_pydata, naive | {statistics.median(naive.wall):.3f} | {min(naive.wall):.3f} | {min(naive.cores):.3f} | | |")
    print(f"\nfrom_pydata takes {min(naive.wall) / min(rows[0][1].wall):.1f} times as long as the live mesh.")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
