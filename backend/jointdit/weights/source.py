# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The named tensors of one model, wherever they are stored: a safetensors file, a folder of shards, a GGUF, in any precision.

Scaled fp8 files keep beside `X.weight` its scale and helpers under names of their own; those are hidden, and `scale` gives the scale.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import gguf
import torch
from diffusers.quantizers.gguf.utils import dequantize_functions
from torch import Tensor

from ..errors import CheckpointError
from .files import WeightsFile, open_file

# Other programs put one of these before every name of a model.
KNOWN_PREFIXES = (
    "model.diffusion_model.", "diffusion_model.", "text_encoders.clip_l.transformer.", "text_encoders.t5xxl.transformer.", "transformer.", "vae.",
)  # fmt: skip
_SCALES = ("scale_weight", "weight_scale")
_HELPERS = (*_SCALES, "scale_input", "input_scale", "scaled_fp8", "comfy_quant")
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.safetensors")

# Of a name: the file that holds the tensor, and its name there.
Places = Mapping[str, tuple[WeightsFile, str]]


class TensorSource(Mapping[str, Tensor]):
    """The named tensors of one model in one or several files.

    Names, shapes and dtypes are known at once from the headers; data are read when asked for, memory-mapped, never all at once, and not kept:
    asking twice reads twice. `title` names the file or folder in sentences, `files` hold the data, `architecture` is a GGUF's own word for its model.
    Files are open only while something is read, so there is nothing to close.
    """

    def __init__(self, title: str, places: Places, scales: Places) -> None:
        self.title = title
        self._places = places
        self._scales = scales
        self._files = tuple(dict.fromkeys(file for file, _ in places.values()))
        self.files = tuple(file.path for file in self._files)
        self.architecture = next((file.architecture for file in self._files if file.architecture), None)

    def __getitem__(self, name: str) -> Tensor:
        """As stored: a dense tensor, float8 included, or diffusers' `GGUFParameter` (bytes, with `quant_type`). Raises KeyError, `CheckpointError`."""
        file, stored_name = self._places[name]
        return file.read(stored_name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places  # Mapping's own would read the tensor

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of the tensor; of quantised data, that of the dequantised tensor."""
        file, stored_name = self._places[name]
        return file.entries[stored_name].shape

    def stored_as(self, name: str) -> str:
        """How the numbers are stored: bf16, f16, f32, f64, f8_e4m3, f8_e5m2, or a GGUF's kind such as q4_k, q8_0."""
        file, stored_name = self._places[name]
        return file.entries[stored_name].stored_as

    def scale(self, name: str) -> Tensor | None:
        """What the stored weight is to be multiplied by, float32: a scalar, or one number per row, shape (rows, 1, ...); None where there is none."""
        if name not in self._scales:
            return None
        file, stored_name = self._scales[name]
        scale, shape = file.read(stored_name).float(), self.shape(name)
        return scale.reshape(()) if scale.numel() == 1 else scale.reshape(shape[0], *[1] * (len(shape) - 1))

    def dense(self, name: str, dtype: torch.dtype) -> Tensor:
        """An ordinary tensor of `dtype`: dequantised or scaled in float32 and rounded once. Unchanged data may still lie on the mapped file."""
        stored, scale = self[name], self.scale(name)
        kind = getattr(stored, "quant_type", None)
        if kind is not None:
            block, size = gguf.GGML_QUANT_SIZES[kind]
            blocks = stored.as_tensor().reshape(-1, size)
            stored = dequantize_functions[kind](blocks, block, size, torch.float32).reshape(self.shape(name))
        return (stored if scale is None else stored.float() * scale).to(dtype)

    def wide_dtype(self, name: str) -> torch.dtype:
        """The dtype of `dense` that needs no copy: the stored one, or bfloat16 where the stored one is packed into 8 bits or fewer."""
        return {"f16": torch.float16, "f32": torch.float32, "f64": torch.float32}.get(self.stored_as(name), torch.bfloat16)

    def stored_bytes(self, name: str) -> int:
        """Bytes that one tensor takes in its file."""
        file, stored_name = self._places[name]
        return file.entries[stored_name].nbytes

    def nbytes(self) -> int:
        """Bytes that the tensors take in their files."""
        return sum(map(self.stored_bytes, self))

    def metadata(self, key: str) -> object | None:
        """What the files' headers say under a key (a GGUF's fields, safetensors' strings), or None."""
        return next((value for value in (file.metadata(key) for file in self._files) if value is not None), None)

    def subset(self, prefix: str, title: str | None = None) -> TensorSource:
        """The tensors whose names start with `prefix`, without it; the files are shared, nothing is read."""

        def below(places: Places) -> dict[str, tuple[WeightsFile, str]]:
            return {name.removeprefix(prefix): place for name, place in places.items() if name.startswith(prefix)}

        return TensorSource(title or self.title, below(self._places), below(self._scales))


def open_source(path: Path) -> TensorSource:
    """A .safetensors or .gguf file, a folder of shards, its index, or any one shard -> the model's tensors.

    A prefix that other programs put before every name is removed. Raises `CheckpointError` with a sentence.
    """
    if not path.is_dir():
        return _source(path.name, model_files(path))
    models = models_in(path)
    if not models:
        raise CheckpointError(f"The folder {path} holds no .safetensors or .gguf file. Choose the folder or file of the model's weights.")
    if len(models) > 1:
        # Folders on model hubs hold the same model in several variants; the one without a variant's mark is the model itself.
        models = [model for model in models if model.name.split(".safetensors")[0] in ("model", "diffusion_pytorch_model")] or models
    if len(models) > 1:
        names = ", ".join(model.name for model in models[:3])
        raise CheckpointError(f"The folder {path} holds {len(models)} models ({names}{', ...' if len(models) > 3 else ''}). Choose one of the files.")
    return _source(path.name, model_files(models[0]))


def models_in(folder: Path) -> list[Path]:
    """What `open_source` can be given in a folder: an index for its shards, the first of shards without an index, or a file. Sorted by name.

    Only names and indexes are read. An index that cannot be read stands for itself: opening it says why.
    """
    indexes = sorted(folder.glob("*.safetensors.index*.json"))
    claimed: set[str] = set()
    for index in indexes:
        try:
            claimed |= set(_weight_map(index).values())
        except CheckpointError:
            continue
    found: dict[str, Path] = {index.name: index for index in indexes}
    for file in sorted(folder.iterdir()):
        if file.name in claimed or file.suffix.lower() not in (".safetensors", ".sft", ".gguf") or file.is_dir():
            continue
        shard = _SHARD.fullmatch(file.name)
        found.setdefault(f"{shard['stem']} of {shard['count']}" if shard else file.name, file)
    return sorted(found.values())


def model_files(path: Path) -> list[Path]:
    """The files of the model that an index, a shard or a single file belongs to. Raises `CheckpointError` naming a shard that is missing."""
    shard = _SHARD.fullmatch(path.name)
    if path.suffix.lower() == ".json":
        files = [path.parent / name for name in sorted(set(_weight_map(path).values()))]
    elif shard:
        count = int(shard["count"])
        files = [path.parent / f"{shard['stem']}-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
    else:
        return [path]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise CheckpointError(
            f"The model in {path.parent} is not complete: {len(missing)} of {len(files)} shards are missing, the first is {missing[0]}. Get the missing files."
        )
    return files


def _weight_map(index: Path) -> dict[str, str]:
    """Name of a tensor -> name of its shard, as the index says. Raises `CheckpointError`."""
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        if not weight_map:
            raise ValueError("it names no shard")
        return {str(name): str(shard) for name, shard in weight_map.items()}
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no file {index}. Check the path of the model.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"The index {index} cannot be used ({error!r}). It is damaged, or does not belong to a model in shards: get it again.") from error


def _source(title: str, paths: list[Path]) -> TensorSource:
    places: dict[str, tuple[WeightsFile, str]] = {}
    for file in map(open_file, paths):
        for name in file.entries:
            if name in places:
                raise CheckpointError(
                    f"{places[name][0].path} and {file.path} both hold the tensor {name}: they are shards of different models. Get them again."
                )
            places[name] = (file, name)
    helpers = {name: place for name, place in places.items() if name.rpartition(".")[2] in _HELPERS}
    weights = {name: place for name, place in places.items() if name not in helpers}
    scales = {}
    for name, place in helpers.items():
        module, _, kind = name.rpartition(".")
        weight = f"{module}.weight" if module else "weight"
        if kind in _SCALES and weight in weights:
            scales[weight] = place
            _refuse_block_scales(weight, weights[weight], place)
    if not weights:
        raise CheckpointError(f"{paths[0]} holds no weights. It is damaged or belongs to another kind of model: choose another file.")
    # LoRAs need the word "transformer" in front: it tells them from those of the text encoders.
    prefixes = [p for p in KNOWN_PREFIXES if p != "transformer." or not any("lora" in name for name in weights)]
    prefix = next((p for p in prefixes if all(name.startswith(p) for name in weights)), "")
    return TensorSource(title, weights, scales).subset(prefix)


def _refuse_block_scales(weight: str, weight_place: tuple[WeightsFile, str], scale_place: tuple[WeightsFile, str]) -> None:
    """One scale for a weight or for each of its rows is understood, a scale for each small block is not."""
    (file, _), (scale_file, scale_name) = weight_place, scale_place
    shape, scale_shape = file.entries[weight].shape, scale_file.entries[scale_name].shape
    if any(n != 1 for n in scale_shape) and (scale_shape[0] != shape[0] or any(n != 1 for n in scale_shape[1:])):
        raise CheckpointError(
            f"The weights file {file.path} scales {weight} in blocks ({scale_shape} scales for {shape} numbers), which JointDiT cannot read. "
            "Get the model as bf16, ordinary fp8 or GGUF."
        )
