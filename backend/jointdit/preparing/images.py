# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and maps of any size -> squares of one size: the largest square in the middle, scaled so that its side fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
from PIL import Image

from ..errors import InputError
from ..pictures import read_image

RATIO = 0.01  # a map may differ by so much from the picture in its ratio of sides, or by one row: sizes are rounded
WHOLE = 0.5  # share of a pixel's place that must be valid for the pixel to be


def read_picture(path: Path) -> Image.Image:
    """An upright RGB picture, as `pictures.read_image`; of an EXR the scene's light, shown as sRGB. Raises `InputError` with a sentence."""
    if path.suffix.lower() != ".exr":
        return read_image(path)
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise InputError(f"{path.name} is not an EXR file, or it is damaged ({error}). Save it again.") from error
    names = ("R", "G", "B") if "R" in channels else ("Y",) * 3
    if any(name not in channels for name in names):
        raise InputError(f"{path.name} has the channels {', '.join(channels)}; a picture has R, G and B.")
    light = np.nan_to_num(np.stack([channels[name] for name in names], axis=-1).astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return Image.fromarray((255 * shown).round().astype(np.uint8))


def refuse_small(width: int, height: int, size: int) -> None:
    """Raise `InputError` for a picture whose short side is below the size: enlarged pictures teach blur."""
    if min(width, height) < size:
        raise InputError(f"It has {width} x {height} pixels, and its short side is below {size}. --allow-enlarging uses it all the same.")


def square(width: int, height: int) -> tuple[float, float, float, float]:
    """The largest square in the middle: left, top, right, bottom in pixels, which need not be whole."""
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def crop_picture(picture: Image.Image, size: int) -> np.ndarray:
    """The middle of a picture, (size, size, 3) uint8, antialiased."""
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=square(*picture.size)))


def refuse_other_shape(name: str, shape: tuple[int, ...], width: int, height: int) -> None:
    """Raise `InputError` where a map (rows, columns) cannot belong to a picture of width x height: it may be coarser, but not of another shape."""
    wanted = shape[1] * height / width  # rows
    if abs(shape[0] - wanted) > max(1, RATIO * wanted):
        raise InputError(f"{name} has {shape[1]} x {shape[0]} pixels and cannot belong to a picture of {width} x {height}. Give it the same shape, upright.")


def crop_map(values: np.ndarray, valid: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle of a map (H, W), as `crop_picture` cuts it: (size, size) float64, and where it is valid.

    A pixel is the mean of the valid ones in its place, none of the others; it is valid where these fill half of it. An enlarged map takes the nearest pixel.
    """
    left, top, right, bottom = square(values.shape[1], values.shape[0])
    (first, last, rows), (begin, end, columns) = _shares(values.shape[0], top, bottom, size), _shares(values.shape[1], left, right, size)
    inside, known = (part[first:last, begin:end].astype(np.float64) for part in (np.where(valid, values, 0.0), valid))
    share = rows @ known @ columns.T
    mean = np.divide(rows @ inside @ columns.T, share, out=np.zeros((size, size)), where=share > 0)
    return mean, share >= WHOLE - 1e-9


def _shares(length: int, begin: float, end: float, size: int) -> tuple[int, int, np.ndarray]:
    """The first and last + 1 pixel between two places of a row, and (size, last - first): the share that each has in each pixel of the crop."""
    first, last = int(np.floor(begin)), min(length, int(np.ceil(end)))
    edges, pixels = np.linspace(begin, end, size + 1), np.arange(first, last)
    if end - begin < size:
        nearest = ((edges[1:] + edges[:-1]) / 2).astype(int).clip(first, last - 1)
        return first, last, (nearest[:, None] == pixels).astype(np.float64)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return first, last, overlap.clip(0) / np.diff(edges)[:, None]
