# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame folder from an image and a disparity that were made elsewhere."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import bpy
import numpy as np

from ..core.frame import DISPARITY_NAME, IMAGE_NAME, SMALLEST, Camera, Frame, FrameError, NearFar, ScaleShift, read_frame, write_description
from ..core.pictures import PictureError, read_png_header, write_exr
from .pixels import load_picture, read_pixels

SKY_METERS = 1e9
"""Blender's depth pass has 1e10 where there is nothing."""


@dataclass(frozen=True)
class ImportOptions:
    """What the files themselves do not say.

    `values`: what the depth picture holds, "nearness" (near is large), "meters" (far is large), or "auto": meters where something is farther than
    any scene, as the empty sky in Blender's own depth pass. Meters need no mapping. With a `ScaleShift` mapping the disparity is taken as it is: it is metric.
    """

    camera: Camera = field(default_factory=Camera)
    mapping: NearFar | ScaleShift = field(default_factory=lambda: NearFar(2.0, 40.0))
    distance: str = "planar"
    prompt: str = ""
    values: str = "auto"


def import_frame(image: Path, disparity: Path, output: Path, options: ImportOptions | None = None) -> Frame:
    """Make a frame folder in `output` from an image and its disparity or depth (EXR, 16-bit PNG, NPY: whatever Blender reads).

    The first channel of the depth picture counts; values that are not finite are holes. With a `NearFar` mapping they are
    stretched to span 0 to 1 where they do not, and the frame's warnings say so. Raises `FrameError` with a sentence; the folder appears
    complete or not at all.
    """
    options = options or ImportOptions()
    for path in (image, disparity):
        if not path.is_file():
            raise FrameError(f"There is no file {path}; choose another picture.")
    values, warnings = _read_disparity(disparity)
    if options.values == "meters" or (options.values == "auto" and bool((values[np.isfinite(values)] >= SKY_METERS).any())):
        if options.values == "auto":
            warnings.append(f"{disparity.name} was read as distances in meters, because its sky is farther than any scene.")
        values, options = _from_meters(values, disparity.name), replace(options, mapping=ScaleShift(1.0, 0.0))
    elif isinstance(options.mapping, NearFar):
        values, warning = _spanning(values)
        warnings += warning
    try:
        output.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".frame-", dir=output))
    except OSError as error:
        raise FrameError(f"No frame can be written in {output}: {error.strerror or error}; choose another folder.") from error
    try:
        width, height = _write_image(image, work / IMAGE_NAME)
        if values.shape != (height, width):
            raise FrameError(
                f"{disparity.name} is {values.shape[1]} x {values.shape[0]} pixels, but {image.name} is {width} x {height}; they must have one size."
            )
        write_exr(work / DISPARITY_NAME, values)
        frame = Frame(
            folder=work,
            width=width,
            height=height,
            camera=options.camera,
            distance=options.distance,
            mapping=options.mapping,
            prompt=options.prompt or image.stem,
            warnings=tuple(warnings),
        )
        write_description(frame)
        read_frame(work)
        # mkdtemp makes a folder for its owner only.
        work.chmod(0o755)
        return replace(frame, folder=_rename(work, output, image.stem))
    except OSError as error:
        raise FrameError(f"The frame cannot be written in {output}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _read_disparity(path: Path) -> tuple[np.ndarray, list[str]]:
    """(height, width) float32 and sentences about what was lost."""
    warnings = []
    if path.suffix.lower() == ".npy":
        values = _read_npy(path)
    else:
        picture = load_picture(path)
        try:
            if not picture.is_float:
                warnings.append(f"{path.name} has 8 bits, so the depth has steps; a 16-bit PNG or an EXR is smoother.")
            picture.colorspace_settings.name = "Non-Color"
            values = read_pixels(picture)
        finally:
            bpy.data.images.remove(picture)
    height, width = values.shape
    if width < SMALLEST or height < SMALLEST:
        raise FrameError(f"{path.name} is {width} x {height} pixels; a surface needs at least {SMALLEST} x {SMALLEST}.")
    if not np.isfinite(values).any():
        raise FrameError(f"{path.name} has no finite value: every pixel is a hole.")
    return values, warnings


def _read_npy(path: Path) -> np.ndarray:
    try:
        # No pickles: an array of objects could run code.
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FrameError(f"{path} cannot be read as a NumPy array of numbers: {error}.") from error
    if not isinstance(values, np.ndarray):
        raise FrameError(f"{path.name} is an archive of arrays; save one array as NPY.")
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise FrameError(f"{path.name} must hold one number a pixel (height x width), not {values.dtype} of shape {values.shape}.")
    # Beyond float32 a number is a hole.
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def _from_meters(values: np.ndarray, name: str) -> np.ndarray:
    """1/Z of distances in meters; the empty sky and what is not in front of the camera are holes."""
    seen = (values > 0.0) & (values < SKY_METERS)
    if not seen.any():
        raise FrameError(f"{name} has no distance in meters between 0 and the sky; import it as nearness or choose another picture.")
    return np.asarray(1.0 / np.where(seen, values, np.nan), dtype=np.float32)


def _spanning(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Disparity whose finite values span 0 to 1, and a sentence if that needed a change."""
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = float(finite.min()), float(finite.max())
    if low == 0.0 and high == 1.0:
        return values, []
    if low == high:
        return np.where(np.isfinite(values), np.float32(1.0), values), ["The disparity is flat: everything stands at the near distance."]
    stretched = ((values.astype(np.float64) - low) / (high - low)).astype(np.float32)
    return stretched, [f"The disparity went from {low:g} to {high:g} and was stretched to 0 to 1, so that near and far are its ends."]


def _write_image(source: Path, target: Path) -> tuple[int, int]:
    """An 8-bit PNG is copied as it is; everything else goes through Blender."""
    try:
        header = read_png_header(source)
        plain = header.bits == 8
    except PictureError:
        plain = False
    picture = load_picture(source)
    try:
        width, height = picture.size
        if plain:
            shutil.copyfile(source, target)
        else:
            picture.file_format = "PNG"
            picture.save(filepath=str(target))
    except RuntimeError as error:
        raise FrameError(f"{source} cannot be converted to PNG: {error}.") from error
    finally:
        bpy.data.images.remove(picture)
    return width, height


def _rename(work: Path, output: Path, stem: str) -> Path:
    """Give the finished folder a name that is not taken."""
    name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)[:60] or "frame"
    number = 1
    while True:
        target = output / (name if number == 1 else f"{name}-{number}")
        # Renaming onto an empty folder would succeed on some systems.
        if not target.exists():
            return work.rename(target)
        number += 1
