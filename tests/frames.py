# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame folders made with numpy and the standard library: no backend, no Blender."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from jointdit_blender.core.frame import DISPARITY_NAME, IMAGE_NAME, Camera, Frame, NearFar, ScaleShift, write_description
from jointdit_blender.core.pictures import write_exr


def write_png(path: Path, rgb: np.ndarray) -> None:
    """(height, width, 3) uint8."""
    height, width, _ = rgb.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = rgb.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    body = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))


def gradient(width: int, height: int) -> np.ndarray:
    """A picture in which every place has its own color: red grows to the right, green downwards."""
    rgb = np.full((height, width, 3), 64, np.uint8)
    rgb[..., 0] = np.linspace(0, 255, width)[None, :]
    rgb[..., 1] = np.linspace(0, 255, height)[:, None]
    return rgb


def hills(width: int, height: int) -> np.ndarray:
    """Smooth disparity that spans exactly 0 to 1, not symmetric in any direction; (height, width) float32."""
    x, y = np.meshgrid(np.linspace(0.0, 1.0, width), np.linspace(0.0, 1.0, height))
    values = y + 0.2 * np.sin(3.0 * x + y) + 0.1 * x
    values = (values - values.min()) / (values.max() - values.min())
    return values.astype(np.float32)


def make_frame(
    folder: Path,
    disparity: np.ndarray,
    *,
    rgb: np.ndarray | None = None,
    camera: Camera | None = None,
    distance: str = "planar",
    mapping: NearFar | ScaleShift | None = None,
    prompt: str = "soft hills",
) -> Frame:
    """Write a whole frame folder; the disparity is (height, width)."""
    height, width = disparity.shape
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / IMAGE_NAME, gradient(width, height) if rgb is None else rgb)
    write_exr(folder / DISPARITY_NAME, disparity)
    frame = Frame(
        folder=folder,
        width=width,
        height=height,
        camera=camera or Camera(),
        distance=distance,
        mapping=mapping or NearFar(2.0, 40.0),
        prompt=prompt,
        seed=42,
        task="joint",
    )
    write_description(frame)
    return frame
