# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and disparities on disk: read with a sentence for everything that can be wrong with them, written without loss."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError

import numpy as np
import OpenEXR
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import InputError

# What other programs call the channel of a one-channel map.
CHANNELS = ("Y", "V", "Z", "R", "Depth.V", "depth.V")


def read_image(path: Path) -> Image.Image:
    """An RGB picture of any format that Pillow reads, turned upright. Raises `InputError` with a sentence."""
    if not path.is_file():
        raise InputError(f"There is no picture {path}. Check its path.")
    try:
        with Image.open(path) as image:
            image.load()
            return _upright(image)
    except UnidentifiedImageError as error:
        raise InputError(f"{path.name} is not a picture, whatever its name says. Choose a PNG, JPEG or another picture file.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path.name} is too large to be opened safely. Scale it down first.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path.name} is damaged and cannot be read ({error}). Save or download it again.") from error


def _upright(image: Image.Image) -> Image.Image:
    """Camera rotation applied; transparency laid over white, as viewers show it."""
    image = _eight_bits(ImageOps.exif_transpose(image))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture of 16 bits, or of floats up to 1, in 8 bits; Pillow itself would only cut off what is above 255."""
    if not image.mode.startswith(("I", "F")):
        return image
    share = np.nan_to_num(np.asarray(image, np.float32)) / (1 if image.mode == "F" else 65535)
    return Image.fromarray((255 * share.clip(0, 1)).round().astype(np.uint8))


def read_disparity(path: Path) -> np.ndarray:
    """Float32 (H, W) of an EXR, a 16-bit (or 8-bit) PNG, or an NPY file, as stored; PNG is scaled to [0, 1]. Raises `InputError` with a sentence."""
    if not path.is_file():
        raise InputError(f"There is no disparity {path}. Check its path.")
    reader = {".exr": _read_exr, ".npy": _read_npy}.get(path.suffix.lower(), _read_grey)
    disparity = reader(path)
    if disparity.ndim != 2 or 0 in disparity.shape:
        raise InputError(f"{path.name} is not one map: it has the shape {disparity.shape}, but (height, width) is needed.")
    return np.ascontiguousarray(disparity, np.float32)


def _read_exr(path: Path) -> np.ndarray:
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise InputError(f"{path.name} is not an EXR file, or it is damaged ({error}). Save it again.") from error
    name = next((c for c in CHANNELS if c in channels), None)
    if name is None:
        raise InputError(f"{path.name} has the channels {', '.join(channels)}; a disparity is one of {', '.join(CHANNELS)}.")
    return channels[name]


def _read_npy(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, TokenError, MemoryError) as error:  # its head is read as Python, and may ask for any size
        raise InputError(f"{path.name} is not a NumPy array file, or it is damaged ({error}). Save it again.") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path.name} is an archive of arrays; save one array as NPY.")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path.name} holds {array.dtype} values; a disparity needs plain numbers.")
    return np.squeeze(array).astype(np.float32)


def _read_grey(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode in ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"):
                image = _grey_of_colours(image, path.name)
            array = np.asarray(image)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{path.name} is not a picture, whatever its name says. Choose an EXR, a 16-bit PNG or an NPY file.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path.name} is damaged and cannot be read ({error}). Save it again.") from error
    grey = array[..., 0] if array.ndim == 3 else array
    full_scale = 1.0 if grey.dtype.kind == "f" or grey.dtype == bool else 255.0 if grey.dtype == np.uint8 else 65535.0
    return grey.astype(np.float32) / full_scale


def _grey_of_colours(image: Image.Image, name: str) -> Image.Image:
    """A grey picture that was saved with three channels; raises `InputError` for a coloured one, whose colours would mean nothing."""
    colours = np.asarray(image.convert("RGB"), np.int16)
    if np.abs(colours - colours[..., :1]).max() > 2:
        raise InputError(f"{name} is a coloured picture. A disparity is grey: nearest white, farthest black.")
    return image.convert("L")


def checked_disparity(disparity: np.ndarray, name: str) -> np.ndarray:
    """(H, W) without holes and scaled to [0, 1], as the model needs it; raises `InputError` for NaN, infinity or a map without any relief."""
    if not np.isfinite(disparity).all():
        holes = int((~np.isfinite(disparity)).sum())
        raise InputError(f"{name} holds {holes} values that are not finite (NaN or infinity). Fill the holes first.")
    low, high = float(disparity.min()), float(disparity.max())
    if high - low <= 0:
        raise InputError(f"{name} is flat: every pixel has the value {low:g}. A disparity needs near and far places.")
    return stretched(disparity)


def stretched(disparity: np.ndarray) -> np.ndarray:
    """(H, W) min-max normalised to [0, 1]; a flat map stays as it is."""
    low, high = disparity.min(), disparity.max()
    return (disparity - low) / (high - low) if high > low else disparity


def write_exr(path: Path, disparity: np.ndarray) -> None:
    """One float32 channel `Y`, losslessly compressed."""
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Y": np.ascontiguousarray(disparity, np.float32)}) as file:
        file.write(str(path))
