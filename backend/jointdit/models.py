# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The models on this machine: what there is, what it costs, and the pipelines that are in memory."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .errors import CheckpointError, InputError

if TYPE_CHECKING:
    import torch

    from .pipeline import JointDiTPipeline

EMBEDDED = Path(__file__).parent / "embedded" / "pipeline"
HASHED_UP_TO = 200 * 2**20  # bytes; hashing a full-size model would take longer than loading it


@dataclass(frozen=True)
class Model:
    """A pipeline folder and what its `model_index.json` says of it."""

    name: str
    folder: Path

    @cached_property
    def index(self) -> dict[str, Any]:
        """The pipeline's own description; raises `CheckpointError` where there is none."""
        path = self.folder / "model_index.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CheckpointError(f"The model {self.name} is not there: {path} cannot be read. Check its path, or install it again.") from error
        except ValueError as error:
            raise CheckpointError(f"The description of the model {self.name}, {path}, is damaged. Install the model again.") from error

    @property
    def weights(self) -> list[Path]:
        """The weights files, in a fixed order."""
        return sorted(self.folder.rglob("*.safetensors"))

    def revision(self) -> str | None:
        """The first half of the SHA-256 over the weights files, or None where they are too large to be read twice."""
        if sum(path.stat().st_size for path in self.weights) > HASHED_UP_TO:
            return None
        digest = hashlib.sha256()
        for path in self.weights:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:32]


@dataclass
class Models:
    """Every model that can be asked for by name, and at most one pipeline in memory.

    `extra` adds pipeline folders by name to the embedded model; a job may also name a folder directly.
    """

    extra: dict[str, Path] = field(default_factory=dict)
    _loaded: tuple[str, JointDiTPipeline] | None = field(default=None, init=False, repr=False)

    def find(self, name: str) -> Model:
        """The model of a name, or in a folder. Raises `InputError` with a sentence."""
        folders = {"embedded": EMBEDDED, **self.extra}
        if name in folders:
            return Model(name, folders[name])
        if name and Path(name).is_dir():
            return Model(name, Path(name))
        raise InputError(f"There is no model {name!r} here. Known are: {', '.join(folders)}; a folder of a pipeline works as well.")

    def describe(self) -> list[dict[str, Any]]:
        """The `model` objects of docs/protocol.md; a model whose description cannot be read is left out."""
        found = []
        for name in ("embedded", *self.extra):
            model = self.find(name)
            try:
                index = model.index
            except CheckpointError:
                continue
            found.append(
                {
                    "name": name,
                    "title": index.get("title", name),
                    "licence": index.get("licence", ""),
                    "size": sum(path.stat().st_size for path in model.weights),
                    "native_width": index.get("native_size"),
                    "native_height": index.get("native_size"),
                    "loaded": self._loaded is not None and self._loaded[0] == str(model.folder),
                    "note": index.get("note", ""),
                }
            )
        return found

    def pipeline(self, model: Model) -> JointDiTPipeline:
        """The pipeline of a model, from memory or from disk. Raises `CheckpointError` with a sentence."""
        key = str(model.folder)
        if self._loaded is None or self._loaded[0] != key:
            self.unload()
            self._loaded = (key, _load(model))
        return self._loaded[1]

    def unload(self) -> int:
        """Drop the loaded pipeline; returns the bytes of weights that were freed."""
        if self._loaded is None:
            return 0
        import torch

        modules = [m for m in self._loaded[1].components.values() if isinstance(m, torch.nn.Module)]
        freed = sum(p.numel() * p.element_size() for m in modules for p in m.parameters())
        self._loaded = None
        del modules
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return freed

    def device(self) -> dict[str, Any]:
        """The `device` object of docs/protocol.md."""
        import psutil
        import torch

        device = best_device()
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            return {"kind": "cuda", "name": torch.cuda.get_device_name(device), "memory_total": total, "memory_free": free}
        memory = psutil.virtual_memory()
        name = platform.processor() or platform.machine()
        return {"kind": device.type, "name": name, "memory_total": memory.total, "memory_free": memory.available}

    def programs(self) -> dict[str, str]:
        """Versions of the programs that make the result."""
        import diffusers
        import torch

        return {"jointdit": __version__, "python": platform.python_version(), "torch": torch.__version__, "diffusers": diffusers.__version__}


def best_device() -> torch.device:
    """CUDA where there is one, else Apple's GPU, else the processor."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _load(model: Model) -> JointDiTPipeline:
    import torch
    from safetensors import SafetensorError

    from .pipeline import JointDiTPipeline

    model.index  # noqa: B018  a clear sentence for a missing folder comes before the library's own
    device = best_device()
    # The autoencoder stays exact: a bfloat16 one would round the disparity to steps.
    dtype = {"default": torch.bfloat16, "vae": torch.float32} if device.type == "cuda" else torch.float32
    try:
        pipeline = JointDiTPipeline.from_pretrained(model.folder, dtype=dtype, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise CheckpointError(
            f"The model {model.name} in {model.folder} cannot be loaded: {_first_line(error)} It is damaged or incomplete: install it again."
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _first_line(error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return text if text.endswith(".") else text + "."
