# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a GGUF file: what it says of itself, and where its tensors are.

The reader of the package gguf takes seconds for a vocabulary, since it makes arrays of every word; a folder with language models would take minutes.
All numbers are little-endian.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import gguf

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)


@dataclass(frozen=True)
class GGUFTensor:
    """`shape` in torch's order, the fastest side last; `offset` from the start of the file and `nbytes` there."""

    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    offset: int
    nbytes: int


@dataclass(frozen=True)
class GGUFHeader:
    """`fields` are the metadata, lists included; `tensors` by name."""

    fields: dict[str, object]
    tensors: dict[str, GGUFTensor]


def read_gguf_header(path: Path) -> GGUFHeader:
    """Raises `EOFError` where the file ends within the header, `ValueError` where it makes no sense, OSError."""
    with path.open("rb", buffering=2**20) as file:
        reader = _Reader(file, path.stat().st_size)
        if reader.take(4) != b"GGUF":
            raise ValueError("it does not begin as a GGUF")
        version = reader.number("I")
        if version not in _VERSIONS:
            raise ValueError(f"its version is {version:#x}; 2 and 3 are known, written for little-endian processors")
        tensor_count, field_count = reader.number("Q"), reader.number("Q")
        fields = {}
        for _ in range(field_count):
            key = reader.string()
            fields[key] = reader.value(reader.number("I"))
        found = [reader.tensor() for _ in range(tensor_count)]
        alignment = fields.get("general.alignment", gguf.GGUF_DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"its alignment is {alignment}")
        start = -(-file.tell() // alignment) * alignment
    return GGUFHeader(fields, {name: GGUFTensor(t.shape, t.kind, start + t.offset, t.nbytes) for name, t in found})


@dataclass
class _Reader:
    file: BinaryIO
    size: int

    def take(self, count: int) -> bytes:
        # A damaged count may ask for more than the memory has.
        data = self.file.read(count) if count <= self.size else b""
        if len(data) != count:
            raise EOFError("it ends within its header")
        return data

    def number(self, code: str) -> int:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def string(self) -> str:
        return self.take(self.number("Q")).decode("utf-8")

    def value(self, kind: int) -> object:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            raise ValueError(f"it has a field of the unknown type {kind}")
        item, count = self.number("I"), self.number("Q")
        if item in _SCALARS:
            code = f"<{count}{_SCALARS[item]}" if count <= self.size else "<"
            return list(struct.unpack(code, self.take(struct.calcsize(code))))
        if item != _STRING:
            raise ValueError(f"it has a list of the unknown type {item}")
        return [self.string() for _ in range(count)]

    def tensor(self) -> tuple[str, GGUFTensor]:
        """The name, and the tensor with its offset from the start of the data."""
        name = self.string()
        shape = tuple(reversed([self.number("Q") for _ in range(self.number("I"))]))
        kind, offset = gguf.GGMLQuantizationType(self.number("I")), self.number("Q")
        block, size = gguf.GGML_QUANT_SIZES[kind]
        if block > 1 and (not shape or shape[-1] % block):
            raise ValueError(f"the rows of {name} are no whole blocks")
        return name, GGUFTensor(shape, kind, offset, math.prod(shape) // block * size)
