# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long frames take to become meshes, points and domes, a slider to show, and a mesh to be baked: prints tables in Markdown.

Run it with a Python that has bpy: `python benchmarks/scene_build.py [--sizes 512 1024 2048] [--runs N]`. Every line is measured in a process of
its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from frames import gradient, hills, make_frame  # noqa: E402

from jointdit_blender.core import lifting  # noqa: E402
from jointdit_blender.core.frame import Camera, Frame, read_frame  # noqa: E402
from jointdit_blender.scene.bake import bake  # noqa: E402
from jointdit_blender.scene.builder import BuildOptions, build_frame  # noqa: E402
from jointdit_blender.scene.group import frame_group  # noqa: E402
from jointdit_blender.scene.modifier import set_input  # noqa: E402
from jointdit_blender.scene.pixels import load_picture, read_pixels  # noqa: E402

PLAIN = {"clean": False, "back_layer": False, "sky": "keep", "torn": "cut"}
"""Nothing but the live geometry: what the targets are set for."""
CASES = {
    "node group, once a file": {},
    "files to mesh": PLAIN,
    "files to mesh, clean edges, layer behind, sky": {},
    "files to points": PLAIN | {"geometry": "points"},
    "files to dome": PLAIN | {"geometry": "dome"},
    "slider, mesh": PLAIN,
    "slider, mesh with layer behind": {},
    "slider, points": PLAIN | {"geometry": "points"},
    "slider, dome": PLAIN | {"geometry": "dome"},
    "bake": PLAIN,
    "bake, error 0.5 %": PLAIN,
    "from_pydata": {},
    "loop over pixels": {},
}
TARGETS = {("files to mesh", 1024): 0.4, ("slider, mesh", 1024): 0.1, ("slider, mesh", 2048): 0.4, ("slider, points", 1024): 0.1}


def blocky(width: int, height: int) -> np.ndarray:
    """Hills with boxes before them, so that there is something to tear; (height, width) float32 from 0 to 1."""
    values = 0.6 * hills(width, height)
    generator = np.random.default_rng(0)
    for _ in range(30):
        side = height // 8
        x, y = int(generator.integers(0, width - side)), int(generator.integers(0, height - side))
        values[y : y + side, x : x + side] += 0.2
    return np.clip(values, 0.0, 1.0)


def from_pydata(folder: Path) -> None:
    """What a simple add-on does: Python lists of vertices and faces, and `from_pydata`."""
    frame = read_frame(folder)
    disparity = read_pixels(load_picture(frame.disparity)).astype(np.float64)
    points = lifting.points(disparity, frame.camera, frame.distance, frame.mapping).reshape(-1, 3)
    torn = lifting.torn_faces(lifting.inverse_depth(disparity, frame.mapping), 0.06)
    rows, columns = np.nonzero(~torn)
    first = rows * frame.width + columns
    faces = np.stack([first, first + frame.width, first + frame.width + 1, first + 1], axis=1)
    _link(points.tolist(), faces.tolist())


def loop_over_pixels(folder: Path) -> None:
    """What the simplest add-ons do: a loop in Python over every pixel."""
    frame = read_frame(folder)
    disparity = read_pixels(load_picture(frame.disparity)).tolist()
    rays = lifting.rays(frame.camera, frame.width, frame.height, frame.distance).tolist()
    near, far = vars(frame.mapping).values()
    depth = [[1.0 / (d / near + (1.0 - d) / far) for d in row] for row in disparity]
    vertices, faces = [], []
    for row in range(frame.height):
        for column in range(frame.width):
            x, y, z = rays[row][column]
            distance = depth[row][column]
            vertices.append((x * distance, y * distance, z * distance))
            if row and column:
                corners = (depth[row - 1][column - 1], depth[row][column - 1], distance, depth[row - 1][column])
                if max(corners) - min(corners) <= 0.06 * min(corners):
                    index = row * frame.width + column
                    faces.append((index - frame.width - 1, index - 1, index, index - frame.width))
    _link(vertices, faces)


def _link(vertices: list, faces: list) -> None:
    mesh = bpy.data.meshes.new("naive")
    mesh.from_pydata(vertices, [], faces)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("naive", mesh))
    bpy.context.view_layer.update()


def work(case: str, frame: Frame, runs: int) -> Iterator[Callable[[], object]]:
    """What is to be timed, once for every run; what comes before is not."""
    options = BuildOptions(**CASES[case])
    context = bpy.context
    if case.startswith("slider"):
        modifier = build_frame(context, frame, options).object.modifiers[0]
        context.view_layer.update()
        for far in np.linspace(30.0, 60.0, 2 * runs).tolist():
            yield lambda far=far: (set_input(modifier, "Far", far), context.view_layer.update())
        return
    for _ in range(runs):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        if case.startswith("node group"):
            yield frame_group
            continue
        # A file has one group for all its frames; what it costs has a line of its own.
        frame_group()
        if case.startswith("files"):
            yield lambda: (build_frame(bpy.context, read_frame(frame.folder), options), bpy.context.view_layer.update())
        elif case.startswith("bake"):
            relief = build_frame(bpy.context, frame, options).object
            yield lambda relief=relief: bake(bpy.context, relief, error=0.005 if "error" in case else None)
        else:
            yield lambda: {"from_pydata": from_pydata, "loop over pixels": loop_over_pixels}[case](frame.folder)


def measure(case: str, size: int, runs: int) -> dict[str, float]:
    """Seconds on the clock and of all cores together, which tell the same on a busy machine, and the peak of memory in megabytes."""
    dome = "dome" in case
    camera = Camera("equirectangular", 360.0, 180.0) if dome else Camera()
    height = size // 2 if dome else size
    with tempfile.TemporaryDirectory() as folder:
        disparity, rgb = blocky(size, height), gradient(size, height)
        frame = make_frame(Path(folder) / "frame", disparity, rgb=rgb, camera=camera, distance="radial" if dome else "planar")
        bpy.ops.wm.read_factory_settings(use_empty=True)
        before, wall, cores = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [], []
        for task in work(case, frame, runs):
            start, start_cores = time.perf_counter(), time.process_time()
            task()
            wall.append(time.perf_counter() - start)
            cores.append(time.process_time() - start_cores)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024.0
    return {"median": statistics.median(wall), "least": min(wall), "cores": min(cores), "peak": peak}


def main() -> int:
    """Measure and print; returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print("\n" + json.dumps(measure(arguments.case, arguments.sizes[0], arguments.runs)))
        return 0
    met = True
    for size in arguments.sizes:
        print(f"\nBlender {bpy.app.version_string}, numpy {np.__version__}, {size} x {size} pixels (domes {size} x {size // 2})\n")
        print("| what | median s | least s | least s of all cores | peak MB | target s | met |\n|---|---|---|---|---|---|---|")
        least = {}
        for case in CASES:
            runs = 1 if case in ("from_pydata", "loop over pixels") else arguments.runs
            command = [sys.executable, __file__, "--case", case, "--sizes", str(size), "--runs", str(runs)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found = json.loads(next(line for line in reversed(output.splitlines()) if line.startswith("{")))
            least[case], target = found["least"], TARGETS.get((case, size))
            verdict = "" if target is None else "yes" if found["least"] < target else "NO"
            met = met and verdict != "NO"
            figures = f"{found['median']:.3f} | {found['least']:.3f} | {found['cores']:.3f} | {found['peak']:.0f} | {target or ''}"
            print(f"| {case} | {figures} | {verdict} |", flush=True)
        for naive in ("from_pydata", "loop over pixels"):
            print(f"\n{naive} takes {least[naive] / least['files to mesh']:.1f} times as long as the live mesh.", flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
