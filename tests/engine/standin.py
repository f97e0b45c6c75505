# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real server of `jointdit.worker` with an engine that sleeps for each step and writes a small, true frame folder.

`write_interpreter` makes a program that can be chosen as the backend's Python. The prompt chooses a behaviour:
"crash", "crash once" (a second process does the
same job well), "defect", "deaf" (never looks whether it is cancelled), "noise" (prints to standard output by every way there is).
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
STEP_SECONDS = float(os.environ.get("STANDIN_STEP_SECONDS", "0.01"))


class News(NamedTuple):
    """As `jointdit.jobs.Progress`."""

    phase: str
    step: int
    total: int
    preview: Path | None = None


class Finished(NamedTuple):
    """As `jointdit.jobs.Result`."""

    frame: Path
    warnings: tuple[str, ...]


class StandIn:
    """As `jointdit.worker.engine.JointDiTEngine`."""

    def describe(self) -> dict[str, Any]:
        device = {"kind": "cpu", "name": "stand-in", "memory_total": 0, "memory_free": 0}
        return {"programs": {"standin": "1"}, "device": device, "models": self.models()}

    def models(self) -> list[dict[str, Any]]:
        names = {"name": "standin", "title": "Stand-in", "licence": "GPL-3.0-or-later", "note": "Draws a hill."}
        return [names | {"size": 0, "native_width": 64, "native_height": 48, "loaded": True}]

    def unload(self) -> int:
        return 123

    def generate(self, params: dict[str, Any], report: Callable[[News], None]) -> Finished:
        from jointdit.errors import InputError, OutputError

        prompt, steps = params.get("prompt", ""), params.get("steps", 20)
        if params.get("task") not in ("joint", "image_to_depth", "depth_to_image", "panorama", "panorama_depth"):
            raise InputError("There is no such task.")
        report(News("loading", 0, 1))
        if prompt == "crash":
            print("the graphics driver has left the building", file=sys.stderr, flush=True)
            os._exit(3)
        if prompt == "crash once" and not (mark := Path(params["output"]) / "crashed").exists():
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
            os._exit(3)
        if prompt == "defect":
            raise ZeroDivisionError("one over nothing")
        if prompt == "full":
            raise OutputError("The disk is full: free some space.")
        if prompt == "noise":
            print("printed by Python")
            os.write(1, b"printed by C\n")
            os.system("echo printed by a child")
        for step in range(1, steps + 1):
            time.sleep(STEP_SECONDS)
            if prompt != "deaf":
                report(News("sampling", step, steps, write_preview(params, step / steps) if params.get("preview") else None))
        report(News("writing", 0, 1))
        return Finished(write_frame(params), ("The prompt is long: the model reads its first words.",) if len(prompt) > 1000 else ())


def write_preview(params: dict[str, Any], done: float) -> Path:
    """A picture that gets brighter, beside a disparity, 64 x 48 each, as the worker writes them."""
    shape = (48, 128, 3)
    rows = bytearray()
    for y in range(shape[0]):
        for x in range(shape[1]):
            rows += bytes((int(255 * done), x, 200 - 4 * y) if x < 64 else (int(255 * y / 48),) * 3)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path = Path(params["output"]) / ".preview.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(rows))
    part.replace(path)
    return path


def write_frame(params: dict[str, Any]) -> Path:
    """A hill before a sky, or all around a valley below a sky, as a complete frame folder."""
    around = str(params.get("task", "")).startswith("panorama")
    width, height = params.get("width", 64), params.get("height", 32 if around else 48)
    seed = params.get("seed", 0)
    disparity = _valley(width, height) if around else _hill(width, height)
    pixels = bytearray()
    for y in range(height):
        pixels.append(0)
        for x in range(width):
            red = int(127.5 - 127.5 * math.cos(2.0 * math.pi * (x + 0.5) / width)) if around else 255 * x // width
            pixels += bytes((red, int(255 * disparity[y][x]), (200 - 150 * y // height + seed) % 256))
    output = Path(params["output"])
    output.mkdir(parents=True, exist_ok=True)
    folder = output / f"standin-{seed}-{os.getpid()}-{time.monotonic_ns()}"
    partial = folder.with_name("." + folder.name)
    partial.mkdir()
    (partial / "image.png").write_bytes(_png(width, height, bytes(pixels)))
    (partial / "disparity.exr").write_bytes(_exr(width, height, disparity))
    given = {name: params.get(name) for name in ("prompt", "task", "seed", "steps", "guidance")}
    mapping = {"near": params.get("near", 2.0), "far": params.get("far", 40.0)}
    size = {"format": "jointdit-frame", "version": 1, "width": width, "height": height}
    content = given | size | (_panorama(params) if around else _picture(params)) | {"mapping": mapping}
    (partial / "frame.json").write_text(json.dumps(content), encoding="utf-8")
    partial.rename(folder)
    return folder


def _hill(width: int, height: int) -> list[list[float]]:
    disparity = [[max(0.0, (y / height - 0.3) / 0.7) for _ in range(width)] for y in range(height)]
    disparity[0][0], disparity[-1][-1] = 0.0, 1.0
    return disparity


def _valley(width: int, height: int) -> list[list[float]]:
    """Nearest below and higher on one side, smooth also where the turn ends."""
    turn = [math.cos(2.0 * math.pi * (x + 0.5) / width) for x in range(width)]
    rise = [math.sin(math.pi * (y + 0.5) / height) for y in range(height)]
    return [[0.9 * ((y + 0.5) / height) ** 2 + 0.05 * rise[y] * (1.0 - turn[x]) for x in range(width)] for y in range(height)]


def _picture(params: dict[str, Any]) -> dict[str, Any]:
    return {"camera": {"projection": "perspective", "horizontal_angle": params.get("horizontal_angle", 55.0)}, "distance": "planar"}


def _panorama(params: dict[str, Any]) -> dict[str, Any]:
    kind = params.get("kind", "sphere")
    told = {name: params[name] for name in ("parts", "front", "views") if name in params}
    projection, angle, distance = ("equirectangular", 180.0, "radial") if kind == "sphere" else ("cylindrical", 76.3, "horizontal")
    camera = {"projection": projection, "horizontal_angle": 360.0, "vertical_angle": angle}
    return {"camera": camera, "distance": distance, "panorama": {"kind": kind, **told}}


def _png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _exr(width: int, height: int, rows: list[list[float]]) -> bytes:
    """An uncompressed scan-line OpenEXR file with one float channel Y."""

    def attribute(name: str, kind: str, data: bytes) -> bytes:
        return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(data)) + data

    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    header = struct.pack("<II", 20000630, 2) + b"".join(
        (
            attribute("channels", "chlist", b"Y\0" + struct.pack("<IIII", 2, 0, 1, 1) + b"\0"),
            attribute("compression", "compression", b"\0"),
            attribute("dataWindow", "box2i", window),
            attribute("displayWindow", "box2i", window),
            attribute("lineOrder", "lineOrder", b"\0"),
            attribute("pixelAspectRatio", "float", struct.pack("<f", 1.0)),
            attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0.0, 0.0)),
            attribute("screenWindowWidth", "float", struct.pack("<f", 1.0)),
            b"\0",
        )
    )
    size = 8 + 4 * width
    offsets = b"".join(struct.pack("<Q", len(header) + 8 * height + y * size) for y in range(height))
    lines = b"".join(struct.pack(f"<iI{width}f", y, 4 * width, *row) for y, row in enumerate(rows))
    return header + offsets + lines


def write_interpreter(folder: Path, *, script: Path | None = None, python: str = sys.executable) -> Path:
    """A program that takes Python's arguments and runs `script` (this one) instead of `-m jointdit.worker`."""
    script = script or Path(__file__).resolve()
    if sys.platform == "win32":
        program = folder / f"{script.stem}.cmd"
        program.write_text(f'@"{python}" "{script}" %*\r\n', encoding="utf-8")
    else:
        program = folder / script.stem
        program.write_text(f'#!/bin/sh\nexec "{python}" "{script}" "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    return program


def main() -> None:
    """Serve as `python -m jointdit.worker` does."""
    sys.path.insert(0, str(ROOT / "backend"))
    from jointdit.worker.server import Server
    from jointdit.worker.stdio import claim

    requests, answers = claim()
    os._exit(Server(StandIn(), requests, answers, grace=2.0).run())


if __name__ == "__main__":
    main()
