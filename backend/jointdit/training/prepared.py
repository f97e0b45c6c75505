# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prepared training set on disk: latents, text and captions in shards of safetensors, described by one JSON file. Written once, then read mapped.

    set.json                    what made the set, its shards, and what was left out and why
    shard-00000.safetensors     rgb, depth (N, C, h, w); tokens (N, T, D) and pooled (N, P) where text is precomputed; all bfloat16
    empty.safetensors           tokens (1, T, D) and pooled (1, P) of the empty prompt, where text is precomputed

A shard's metadata are its `captions` and `names`, JSON lists. Everything is written under another name first and renamed when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import InputError, OutputError

if TYPE_CHECKING:
    from ..pipeline import JointDiTPipeline

VERSION = 1
DESCRIPTION, EMPTY = "set.json", "empty.safetensors"
EMPTY_PROMPT = " "  # as in the released program
BRANCHES, TEXT = ("rgb", "depth"), ("tokens", "pooled")
OPEN_SHARDS = 64  # so many stay mapped; systems limit how many files a program may have open
TYPES = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}
FINGERPRINT = 64  # values of each tensor that tell one model from another


@dataclass(frozen=True)
class Samples:
    """Some pairs: latents (n, C, h, w), text tokens (n, T, D) and pooled vectors (n, P) where they are precomputed, captions and names; bfloat16."""

    rgb: Tensor
    depth: Tensor
    tokens: Tensor | None
    pooled: Tensor | None
    captions: list[str]
    names: list[str]


@dataclass(frozen=True)
class _Shard:
    """One open file; its tensors are read from the mapped file row by row."""

    tensors: dict[str, Any]
    captions: list[str]
    names: list[str]


@dataclass
class PreparedSet:
    """A finished training set. Made by `open`; what is read stays on the disk until it is asked for, so a set may be larger than the memory."""

    folder: Path
    description: dict[str, Any]
    _starts: list[int] = field(repr=False)
    _open: OrderedDict[int, _Shard] = field(default_factory=OrderedDict, repr=False)

    @classmethod
    def open(cls, folder: Path | str) -> PreparedSet:
        """The set in a folder. Raises `InputError` where it is missing, not finished, damaged, or of a newer version."""
        folder = Path(folder)
        description = _read_description(folder)
        counts = [int(shard["count"]) for shard in description["shards"]]
        opened = cls(folder, description, [0, *accumulate(counts)])
        if not len(opened):
            raise InputError(f"The training set {folder} holds no pictures. Prepare it anew.")
        shapes = {opened._look(number, count) for number, count in enumerate(counts)}
        if len(shapes) > 1:
            raise InputError(f"The shards of the training set {folder} do not fit together: they were made by different models. Prepare it anew.")
        return opened

    def __len__(self) -> int:
        return self._starts[-1]

    def __getstate__(self) -> dict[str, Any]:
        """Mapped files stay in the process that opened them; another one opens its own."""
        return {**self.__dict__, "_open": OrderedDict()}

    @property
    def size(self) -> int:
        """Pixels of a side of the square pictures."""
        return int(self.description["size"])

    @property
    def depth_transform(self) -> str:
        """What the depth latents hold: "none" for disparity, "inverse" for 1 - disparity."""
        return str(self.description["depth_transform"])

    @property
    def precomputed(self) -> bool:
        """Whether the text is there as tokens; else there are captions alone."""
        return self.description["text"] == "precomputed"

    def batch(self, indices: Sequence[int]) -> Samples:
        """The pairs of these indices, in their order; an index may come twice. Raises `InputError` where a shard cannot be read, `IndexError`."""
        places = [self._place(int(index)) for index in indices]
        names = (*BRANCHES, *TEXT) if self.precomputed else BRANCHES
        shards = [(self._shard(number), row) for number, row in places]
        read = {name: torch.stack([shard.tensors[name][row] for shard, row in shards]) for name in names}
        captions, files = ([getattr(shard, what)[row] for shard, row in shards] for what in ("captions", "names"))
        return Samples(read["rgb"], read["depth"], read.get("tokens"), read.get("pooled"), captions, files)

    def empty(self) -> tuple[Tensor, Tensor]:
        """Tokens (1, T, D) and pooled vector (1, P) of the empty prompt. Raises `InputError` where they are missing or the set holds captions alone."""
        if not self.precomputed:
            raise InputError(f"The training set {self.folder} holds captions, not text embeddings. Encode {EMPTY_PROMPT!r} with its model instead.")
        with _reading(self.folder / EMPTY) as file:
            return file.get_tensor("tokens"), file.get_tensor("pooled")

    def refuse_other_model(self, pipeline: JointDiTPipeline) -> None:
        """Raise `InputError` where a pipeline has another autoencoder, other text encoders or another depth transform than what made the set."""
        made_by, given = self.description["model"], describe_model(pipeline)
        names = {"vae": "autoencoder", "latent_channels": "latent channels", "reduction": "reduction of the autoencoder"}
        if self.precomputed:
            names |= {"text_encoder": "first text encoder", "text_encoder_2": "second text encoder", "text_length": "length of the text"}
        differ = [what for key, what in names.items() if made_by.get(key) != given[key]]
        if self.depth_transform != pipeline.config.depth_transform:
            differ.append("depth transform")
        if differ:
            raise InputError(
                f"The training set {self.folder} was prepared with another model ({made_by.get('name', 'unknown')}): the {', the '.join(differ)} differ. "
                "Train that model, or prepare the set anew with this one."
            )

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"there is no pair {index} in a set of {len(self)}")
        number = bisect_right(self._starts, index) - 1
        return number, index - self._starts[number]

    def _shard(self, number: int) -> _Shard:
        if number not in self._open:
            with _reading(self.folder / self.description["shards"][number]["file"]) as file:
                about = {key: json.loads(text) for key, text in file.metadata().items() if key in ("captions", "names")}
                self._open[number] = _Shard({name: file.get_slice(name) for name in file.keys()}, **about)  # noqa: SIM118  it is no mapping
        self._open.move_to_end(number)
        while len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return self._open[number]

    def _look(self, number: int, count: int) -> tuple[tuple[int, ...], ...]:
        """The shapes of one sample in a shard, from its header alone. Raises `InputError` where they are not what the description says."""
        file = self.folder / self.description["shards"][number]["file"]
        wanted = (*BRANCHES, *TEXT) if self.precomputed else BRANCHES
        with _reading(file) as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
            lists = {key: len(json.loads((opened.metadata() or {}).get(key, "[]"))) for key in ("captions", "names")}
        if set(wanted) - set(shapes) or any(shapes[name][0] != count for name in wanted) or set(lists.values()) != {count}:
            raise InputError(f"The shard {file} is not what set.json says: {count} pairs with {', '.join(wanted)}. Remove it and prepare the set again.")
        return tuple(shapes[name][1:] for name in wanted)


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """A safetensors file, mapped; what is wrong with it is an `InputError`."""
    try:
        yield safe_open(path, "pt")
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path} of the training set is missing or damaged ({error}). Prepare the set again; what is whole is kept.") from error


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        version = description["version"]
        shards = [(str(shard["file"]), int(shard["count"])) for shard in description["shards"]]
        sound = isinstance(description["model"], dict) and description["text"] in ("precomputed", "captions") and int(description["size"]) > 0
        sound = sound and description["depth_transform"] in ("none", "inverse") and all(Path(file).name == file and n > 0 for file, n in shards)
    except FileNotFoundError as error:
        raise InputError(f"{folder} is no finished training set: it has no {DESCRIPTION}. Run jointdit prepare to its end, or check the path.") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"The description of the training set, {path}, is damaged ({error}). Prepare the set again; what is whole is kept.") from error
    if version != VERSION:
        raise InputError(f"The training set {folder} has the version {version}; this program reads version {VERSION}. Update it, or prepare the set anew.")
    if not sound:
        raise InputError(f"The description of the training set, {path}, does not describe one. Prepare the set again; what is whole is kept.")
    return description


def describe_model(pipeline: JointDiTPipeline, name: str = "") -> dict[str, Any]:
    """What makes latents and text embeddings what they are: the `model` of set.json. Equal for equal weights, wherever they lie on the disk."""
    about = {"name": name} if name else {}
    modules = ("vae", "text_encoder", "text_encoder_2")
    return {
        **about,
        **{module: fingerprint(getattr(pipeline, module)) for module in modules},
        "latent_channels": int(pipeline.vae.config.latent_channels),
        "reduction": int(pipeline.vae_scale_factor),
        "text_length": int(pipeline.config.max_sequence_length),
    }


def fingerprint(module: torch.nn.Module) -> str:
    """Tells a module's weights from others: a hash over names, shapes and some values of every tensor. T5 need not be read as a whole for it.

    The values are rounded to bfloat16, so that a model in float32 and the same one laid out in bfloat16 are alike.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().flatten()
        values = values[:: max(1, len(values) // FINGERPRINT)].to("cpu", torch.bfloat16)
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(values.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]


# Writing


def write_shard(path: Path, tensors: Mapping[str, Tensor], captions: Sequence[str] = (), names: Sequence[str] = ()) -> None:
    """A shard, or without captions the empty prompt. The same content gives the same bytes. Raises `OutputError`."""
    about = {"captions": json.dumps(list(captions)), "names": json.dumps(list(names))} if captions else {}
    write_whole(path, _serialized({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, about))


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """`set.json`, the last file of a set: where it is, the set is finished. Raises `OutputError`."""
    write_whole(folder / DESCRIPTION, [(json.dumps({"version": VERSION, **description}, indent=1) + "\n").encode()])


def write_whole(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """A file that is there as a whole or not at all, also after a power failure. Raises `OutputError` with a sentence."""
    beside = path.with_name(f".writing-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}). Free some space or choose another folder.") from error


def _serialized(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file. The library's own writer puts the metadata into another order each time, so that no two files would be alike."""
    header: dict[str, Any] = {"__metadata__": dict(sorted(about.items()))} if about else {}
    end = 0
    for name, tensor in sorted(tensors.items()):
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for _, tensor in sorted(tensors.items()):
        yield tensor.view(torch.uint8).numpy().data
