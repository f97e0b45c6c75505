# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of pictures, read without a picture library, and a writer of one-channel float32 EXR files.

Blender's Python has neither PIL nor OpenEXR. Blender itself reads the pixels; what is here says what is wrong with a file
before Blender is asked, and writes disparity exactly (float32, not-a-number included).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

EXR_MAGIC = 20000630
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EXR_DEEP = 0x800
_HEADER_LIMIT = 1 << 20


class PictureError(ValueError):
    """The file is not what its name says; `str(error)` finishes the sentence "NAME is ..."."""


class PngHeader(NamedTuple):
    """Size in pixels, bits of a channel, and PNG's colour type (0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA)."""

    width: int
    height: int
    bits: int
    colour_type: int


class ExrHeader(NamedTuple):
    """Size in pixels of the data window, and the names of the channels."""

    width: int
    height: int
    channels: tuple[str, ...]


def read_png_header(path: Path) -> PngHeader:
    """Signature and IHDR of a PNG file. Raises `PictureError` when it is another kind of file, `OSError` when it cannot be read."""
    with path.open("rb") as file:
        start = file.read(29)
    if not start:
        raise PictureError("empty")
    if not start.startswith(PNG_SIGNATURE):
        raise PictureError("not a PNG picture")
    if len(start) < 29 or start[12:16] != b"IHDR":
        raise PictureError("a damaged PNG picture")
    width, height, bits, colour_type = struct.unpack_from(">IIBB", start, 16)
    if not width or not height:
        raise PictureError("a damaged PNG picture")
    return PngHeader(width, height, bits, colour_type)


def read_exr_header(path: Path) -> ExrHeader:
    """Data window and channels of an OpenEXR file (of its first part). Raises `PictureError` or `OSError`."""
    with path.open("rb") as file:
        data = file.read(_HEADER_LIMIT)
    if not data:
        raise PictureError("empty")
    if len(data) < 8 or struct.unpack_from("<I", data)[0] != EXR_MAGIC:
        raise PictureError("not an OpenEXR picture")
    if struct.unpack_from("<I", data, 4)[0] & _EXR_DEEP:
        raise PictureError("a deep OpenEXR picture, which holds no plain pixels")
    try:
        attributes = _exr_attributes(data, 8)
        left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
        channels = _exr_channels(attributes["channels"])
    except (KeyError, IndexError, ValueError, struct.error) as error:
        raise PictureError("a damaged OpenEXR picture") from error
    if right < left or bottom < top or not channels:
        raise PictureError("a damaged OpenEXR picture")
    return ExrHeader(right - left + 1, bottom - top + 1, channels)


def write_exr(path: Path, values: np.ndarray, *, channel: str = "Y") -> None:
    """Write (height, width) numbers as one float32 channel, uncompressed scan lines; every float32 comes back bit for bit.

    Raises `OSError` when the file cannot be written.
    """
    height, width = values.shape
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    pixel_type_float = 2
    channel_list = _text(channel) + struct.pack("<iB3xii", pixel_type_float, 0, 1, 1) + b"\0"
    header = b"".join(
        [
            struct.pack("<II", EXR_MAGIC, 2),
            _attribute("channels", "chlist", channel_list),
            _attribute("compression", "compression", b"\0"),
            _attribute("dataWindow", "box2i", box),
            _attribute("displayWindow", "box2i", box),
            _attribute("lineOrder", "lineOrder", b"\0"),
            _attribute("pixelAspectRatio", "float", struct.pack("<f", 1.0)),
            _attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0.0, 0.0)),
            _attribute("screenWindowWidth", "float", struct.pack("<f", 1.0)),
            b"\0",
        ]
    )
    row_bytes = 4 * width
    first = len(header) + 8 * height
    offsets = struct.pack(f"<{height}Q", *(first + row * (8 + row_bytes) for row in range(height)))
    rows = values.astype("<f4")
    with path.open("wb") as file:
        file.write(header + offsets)
        for row in range(height):
            file.write(struct.pack("<iI", row, row_bytes) + rows[row].tobytes())


def _text(value: str) -> bytes:
    return value.encode("ascii") + b"\0"


def _attribute(name: str, kind: str, value: bytes) -> bytes:
    return _text(name) + _text(kind) + struct.pack("<I", len(value)) + value


def _read_text(data: bytes, start: int) -> tuple[str, int]:
    end = data.index(b"\0", start)
    return data[start:end].decode("latin-1"), end + 1


def _exr_attributes(data: bytes, position: int) -> dict[str, bytes]:
    attributes = {}
    while data[position]:
        name, position = _read_text(data, position)
        _, position = _read_text(data, position)
        (size,) = struct.unpack_from("<I", data, position)
        attributes[name] = data[position + 4 : position + 4 + size]
        position += 4 + size
    return attributes


def _exr_channels(data: bytes) -> tuple[str, ...]:
    names, position = [], 0
    while data[position]:
        name, position = _read_text(data, position)
        names.append(name)
        position += 16
    return tuple(names)
