# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One weights file, .safetensors or .gguf: its header is read at once, its data are memory-mapped and read when asked for.

The contents decide what a file is, never its name. Pickles are refused unread.
"""

from __future__ import annotations

import errno
import json
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from diffusers.quantizers.gguf.utils import SUPPORTED_GGUF_QUANT_TYPES, GGUFParameter
from torch import Tensor

from ..errors import CheckpointError
from .gguf_header import read_gguf_header

DENSE = {
    "f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f8_e4m3": torch.float8_e4m3fn, "f8_e5m2": torch.float8_e5m2,
}  # fmt: skip
# No weight can be one of these here; small helpers (position ids, markers) are, and are left out.
WHOLE_NUMBERS = {
    "i8": torch.int8, "u8": torch.uint8, "i16": torch.int16, "u16": torch.uint16, "i32": torch.int32, "u32": torch.uint32, "i64": torch.int64,
    "u64": torch.uint64, "bool": torch.bool,
}  # fmt: skip
QUANTISED = {kind.name.lower(): kind for kind in SUPPORTED_GGUF_QUANT_TYPES if kind.name.lower() not in DENSE}
_LONGEST_HEADER = 100 * 2**20  # bytes; the limit of the safetensors format itself


@dataclass(frozen=True)
class Entry:
    """Where and how one tensor is stored: `shape` of the tensor, `stored_as` a key of DENSE or QUANTISED, `offset` and `nbytes` in the file."""

    shape: tuple[int, ...]
    stored_as: str
    offset: int
    nbytes: int


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """The tensors of one file: `entries` are those that can be weights, `architecture` is a GGUF's own word for its model, `metadata` asks its header.

    The file is open only while something is read. Each tensor that was read keeps its own part of the file mapped for as long as it lives.
    """

    path: Path
    entries: Mapping[str, Entry]
    architecture: str | None
    metadata: Callable[[str], object | None]

    def read(self, name: str) -> Tensor:
        """The tensor as it is stored, on the mapped file: dense, or a `GGUFParameter` of bytes. Raises `CheckpointError` where the file has changed."""
        entry = self.entries[name]
        if entry.nbytes == 0:
            return torch.empty(entry.shape, dtype=DENSE.get(entry.stored_as, torch.float32))
        try:
            # Copy-on-write, as torch wants memory that may be written: what is only read stays the system's to drop. One mapping for the whole file
            # would be refused where the file is larger than the memory. Windows sets all of it aside as if it would be written, so there it is read-only.
            mode = "r" if sys.platform == "win32" else "c"
            stored = np.memmap(self.path, dtype=np.uint8, mode=mode, offset=entry.offset, shape=(entry.nbytes,))
        except MemoryError as error:
            raise CheckpointError(_no_memory(self.path)) from error
        except (OSError, ValueError) as error:
            if getattr(error, "winerror", None) == 1455 or getattr(error, "errno", None) == errno.ENOMEM:
                raise CheckpointError(_no_memory(self.path)) from error
            raise CheckpointError(f"The weights file {self.path} has changed since it was opened ({error}). Check that it is there and complete.") from error
        if entry.stored_as in QUANTISED:
            kind = QUANTISED[entry.stored_as]
            block, size = gguf.GGML_QUANT_SIZES[kind]
            return GGUFParameter(_tensor(stored).reshape(*entry.shape[:-1], entry.shape[-1] // block * size), quant_type=kind)
        dtype = DENSE[entry.stored_as]
        numbers = stored.copy() if entry.offset % dtype.itemsize else stored  # not every processor reads numbers across the boundaries of words
        return _tensor(numbers).view(dtype).reshape(entry.shape)


def _tensor(stored: np.ndarray) -> torch.Tensor:
    """Bytes as a tensor that shares their memory; torch need not warn that read-only weights must not be written."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(stored)


def _no_memory(path: Path) -> str:
    return f"There is not enough memory to look at the weights file {path}. Close other programs, or let the system have a larger page file."


def open_file(path: Path) -> WeightsFile:
    """Read the header of a file. Raises `CheckpointError` with a sentence for everything that is no complete weights file."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no file {path}. Check the path of the model.") from error
    except OSError as error:
        raise CheckpointError(f"The file {path} cannot be read ({error}). Check its permissions and its disk.") from error
    if start[:4] == b"GGUF":
        return _open_gguf(path, size)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER:
        return _open_safetensors(path, size)
    raise CheckpointError(_what_else(path, start))


def is_pickle(start: bytes) -> bool:
    """Whether a file that starts like this is a pickle, or a zip archive of pickles as torch writes it."""
    return start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"))


def _what_else(path: Path, start: bytes) -> str:
    """The sentence on a file that is neither safetensors nor GGUF."""
    if not start:
        return f"The file {path} is empty. Its download did not begin or was stopped: get it again."
    if is_pickle(start) or path.suffix.lower() in (".ckpt", ".pt", ".pth"):
        return f"The file {path} is a pickle, which can run any program when it is opened, so it stays closed. Get the same model as .safetensors or .gguf."
    if start.startswith(b"version https://git-lfs"):
        return f"The file {path} only points to the weights, which Git LFS has not fetched. Run `git lfs pull` in its folder, or download the file itself."
    if all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in start):
        return (
            f"The file {path} is a text, not weights: a web page or a message was saved under this name. "
            "Download it again; FLUX.1-dev can be had after logging in and accepting its licence."
        )
    return f"The file {path} is damaged or is no weights file. Get it again, as .safetensors or .gguf."


def _damaged(path: Path, reason: object) -> CheckpointError:
    return CheckpointError(f"The weights file {path} cannot be read ({reason}). It is damaged or was not downloaded completely: get it again.")


def _refuse_cut_off(path: Path, size: int, needed: int) -> None:
    if size < needed:
        raise CheckpointError(
            f"The weights file {path} is cut off: it has {size:,} bytes of {needed:,}. Its download was not completed, or the disk is full: get it again."
        )


def _open_safetensors(path: Path, size: int) -> WeightsFile:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        _refuse_cut_off(path, size, 8 + length)
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            metadata: dict[str, str] = dict(header.pop("__metadata__", {}))
            entries = {}
            for name, stored in header.items():
                begin, end = stored["data_offsets"]
                if not all(isinstance(number, int) and number >= 0 for number in (*stored["shape"], begin, end - begin)):
                    raise ValueError(f"{name} has an impossible shape or place")
                entries[name] = Entry(tuple(stored["shape"]), stored["dtype"].lower(), 8 + length + begin, end - begin)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _damaged(path, f"its header makes no sense: {error!r}") from error
    _refuse_cut_off(path, size, max((e.offset + e.nbytes for e in entries.values()), default=0))
    weights = _weights_among(path, entries)
    for name, entry in weights.items():
        if entry.nbytes != math.prod(entry.shape) * DENSE[entry.stored_as].itemsize:
            raise _damaged(path, f"the size of {name} does not fit its shape")
    return WeightsFile(path, weights, None, metadata.get)


def _open_gguf(path: Path, size: int) -> WeightsFile:
    try:
        header = read_gguf_header(path)
    except (EOFError, ValueError, OSError) as error:
        raise _damaged(path, error) from error
    entries = {name: Entry(tensor.shape, tensor.kind.name.lower(), tensor.offset, tensor.nbytes) for name, tensor in header.tensors.items()}
    _refuse_cut_off(path, size, max((e.offset + e.nbytes for e in entries.values()), default=0))
    architecture = header.fields.get("general.architecture")

    def metadata(key: str) -> object | None:
        return read_gguf_header(path).fields.get(key)  # read anew: vocabularies need not stay in memory

    return WeightsFile(path, _weights_among(path, entries), None if architecture is None else str(architecture), metadata)


def _weights_among(path: Path, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries that can be weights. Raises `CheckpointError` where a weight is stored as something that JointDiT cannot compute with."""
    weights = {}
    for name, entry in entries.items():
        if entry.stored_as in DENSE or entry.stored_as in QUANTISED:
            weights[name] = entry
        elif entry.stored_as not in WHOLE_NUMBERS:
            raise CheckpointError(
                f"The weights file {path} stores {name} as {entry.stored_as}, which JointDiT cannot read. "
                "Get the model as bf16, fp8 or a GGUF of the common kinds (Q8_0, Q6_K, Q5_K, Q4_K, ...)."
            )
        elif name.endswith("weight") and len(entry.shape) > 1:
            kind = str(WHOLE_NUMBERS[entry.stored_as]).removeprefix("torch.")
            raise CheckpointError(
                f"The weights file {path} holds {kind} numbers which only the program that packed them can unpack (the first is {name}). "
                "Get the model as bf16, fp8 or GGUF."
            )
    return weights
