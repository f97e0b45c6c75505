# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The models on this machine: what there is, what it costs, and the pipeline that is in memory."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .errors import CheckpointError, InputError
from .memory import Machine, Plan, Work, choose, pairs_at_once
from .weights.library import Entry, Library
from .wishes import Wish

if TYPE_CHECKING:
    from .cost import Sizes
    from .pipeline import JointDiTPipeline

EMBEDDED = Path(__file__).parent / "embedded" / "pipeline"
HASHED_UP_TO = 200 * 2**20  # bytes; hashing a full-size model would take longer than loading it
SMALL = 2 * 2**30  # bytes; a model below works in float32 on the processor, for exactness
FULL_SIZE = {
    "title": "FLUX.1-dev + JointDiT",
    "licence": "FLUX.1-dev Non-Commercial License",
    "native_size": 1024,
    "note": "The full model: real quality. What it makes with FLUX.1-dev's weights falls under their licence.",
}


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
    def key(self) -> str:
        """Tells this model from others."""
        return str(self.folder)

    @property
    def weights(self) -> list[Path]:
        """The weights files, in a fixed order."""
        return sorted(self.folder.rglob("*.safetensors"))

    def revision(self) -> str | None:
        """The first half of the SHA-256 over the weights files, or None where they are too large to be read twice."""
        return _revision(self.weights)

    def load(self) -> JointDiTPipeline:
        """The pipeline in the machine's memory. Raises `CheckpointError` with a sentence."""
        import torch
        from safetensors import SafetensorError

        from .pipeline import JointDiTPipeline

        self.index  # noqa: B018  a clear sentence for a missing folder comes before the library's own
        try:
            small = sum(path.stat().st_size for path in self.weights) < SMALL
            dtype = torch.float32 if small else {"default": torch.bfloat16, "vae": torch.float32}
            pipeline = JointDiTPipeline.from_pretrained(self.folder, dtype=dtype, local_files_only=True)
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise CheckpointError(
                f"The model {self.name} in {self.folder} cannot be loaded: {_first_line(error)} It is damaged or incomplete: install it again."
            ) from error
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


@dataclass(frozen=True)
class PiecesModel:
    """A model of the person's library: pieces in files that may come from other programs."""

    entry: Entry

    @property
    def name(self) -> str:
        """The library's name."""
        return self.entry.name

    @property
    def index(self) -> dict[str, Any]:
        """What a `model_index.json` would say; raises `CheckpointError` where pieces are missing."""
        self._refuse_incomplete()
        return FULL_SIZE

    @property
    def key(self) -> str:
        """Tells this model from others."""
        return " ".join(f"{location.path}#{location.prefix}" for _, location in sorted(self.entry.pieces.items()))

    @property
    def weights(self) -> list[Path]:
        """The weights files, in a fixed order; a folder stands for the files in it."""
        paths = {location.path for location in self.entry.pieces.values()}
        return sorted(file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.suffix in (".safetensors", ".gguf", ".sft"))

    def revision(self) -> str | None:
        """As `Model.revision`."""
        return _revision(self.weights)

    def load(self) -> JointDiTPipeline:
        """The pipeline, its weights mapped from the files. Raises `CheckpointError` with a sentence."""
        from .assembly import assemble

        self._refuse_incomplete()
        return assemble({name: location.piece(name) for name, location in self.entry.pieces.items()})

    def _refuse_incomplete(self) -> None:
        if self.entry.missing():
            raise CheckpointError(
                f"The model {self.name} lacks {', '.join(self.entry.missing())}. `jointdit models list` says where to get them; then: jointdit models add PATH."
            )


AnyModel = Model | PiecesModel


@dataclass
class _Loaded:
    """The pipeline in memory, and what it was loaded for.

    `compiles` tells whether blocks are compiled where that is left to the program, `compiled` whether they are; `remarks` are for the person.
    """

    key: str
    wish: Wish
    sizes: Sizes
    machine: Machine
    bits_stored: float
    plan: Plan
    pipeline: JointDiTPipeline
    compiles: bool = False
    compiled: bool = False
    remarks: tuple[str, ...] = ()

    def serves(self, key: str, wish: Wish) -> bool:
        """Whether the pipeline can be used as it is. Raises `InputError` where pictures of the wished size fit in no way."""
        same = [(lora.path, lora.branch) for lora in self.wish.loras] == [(lora.path, lora.branch) for lora in wish.loras]
        compiling = {"on": True, "off": False, "auto": self.compiles}[wish.compile] == self.compiled
        planned = wish.plan in (self.wish.plan, self.plan.name) and wish.smaller_than in (None, self.wish.smaller_than)
        if self.key != key or not (same and compiling and planned):
            return False
        needed = choose(self.sizes, self.machine, Work(wish.width, wish.height, wish.steps), wish.plan, self.bits_stored, self.wish.smaller_than)
        return needed.name == self.plan.name and needed.visiting <= self.plan.visiting and needed.parked <= self.plan.parked


@dataclass
class Models:
    """Every model that can be asked for by name, and at most one pipeline in memory.

    `extra` adds pipeline folders by name to the embedded model and the person's library; a job may also name a folder directly.
    `plan` is the memory plan of the pipeline that is in memory or was tried last; after `compiler_failed` nothing is compiled any more.
    """

    extra: dict[str, Path] = field(default_factory=dict)
    library: Library = field(default_factory=Library)
    plan: Plan | None = field(default=None, init=False)
    compiler_failed: bool = field(default=False, init=False)
    _loaded: _Loaded | None = field(default=None, init=False, repr=False)

    def find(self, name: str) -> AnyModel:
        """The model of a name, or in a folder. Raises `InputError` with a sentence."""
        folders = {"embedded": EMBEDDED, **self.extra}
        if name in folders:
            return Model(name, folders[name])
        entries = {entry.name: entry for entry in self.library.entries()}
        if name in entries:
            return PiecesModel(entries[name])
        if name and Path(name).is_dir():
            return Model(name, Path(name))
        raise InputError(f"There is no model {name!r} here. Known are: {', '.join((*folders, *entries))}; a folder of a pipeline works as well.")

    def names(self) -> list[str]:
        """Names of all models, the embedded one first."""
        return ["embedded", *self.extra, *(entry.name for entry in self.library.entries() if entry.name not in self.extra)]

    def describe(self) -> list[dict[str, Any]]:
        """The `model` objects of docs/protocol.md; a model whose description cannot be read is left out."""
        try:
            names = self.names()
        except CheckpointError:  # a damaged list of models must not take the embedded one along
            names = ["embedded", *self.extra]
        found = []
        for name in names:
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
                    "size": sum(path.stat().st_size for path in model.weights if path.is_file()),
                    "native_width": index.get("native_size"),
                    "native_height": index.get("native_size"),
                    "loaded": self._loaded is not None and self._loaded.key == model.key,
                    "note": index.get("note", ""),
                }
            )
        return found

    def pipeline(self, model: AnyModel, wish: Wish | None = None) -> JointDiTPipeline:
        """The pipeline of a model, from memory or from disk, laid out for what is wished. Raises `CheckpointError`, `InputError` with a sentence."""
        wish = wish or Wish()
        wish = replace(wish, compile="off") if self.compiler_failed else wish
        if self._loaded is None or not self._loaded.serves(model.key, wish):
            if self.plan is not None:
                self.unload()
            loaded = _open(model, wish)
            self.plan = loaded.plan
            _lay_out(loaded)
            self._loaded = loaded
        elif wish.loras:
            from .loras import set_strengths

            set_strengths(self._loaded.pipeline, wish.loras)
        return self._loaded.pipeline

    def pairs_at_once(self, width: int, height: int, steps: int, reserved: int = 0) -> int:
        """How many pictures of a size the pipeline in memory may denoise together beside reserved bytes; 0 where these are too many.

        With classifier-free guidance each picture counts twice.
        """
        loaded = self._loaded
        if loaded is None:
            return 1
        pairs = pairs_at_once(loaded.plan, loaded.sizes, loaded.machine, Work(width, height, steps), loaded.bits_stored, reserved)
        return pairs if loaded.pipeline.transformer.config.guidance_embeds else -(-pairs // 2)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on the pipeline in memory that the person should read."""
        return () if self._loaded is None else self._loaded.remarks

    @property
    def compiled(self) -> bool:
        """Whether the blocks of the pipeline in memory are compiled."""
        return self._loaded is not None and self._loaded.compiled

    def unload(self) -> int:
        """Drop the loaded pipeline, and what else of a model is in memory; returns the bytes of weights that were freed."""
        import torch

        from .machine import release_memory

        freed = 0
        if self._loaded is not None:
            modules = [m for m in self._loaded.pipeline.components.values() if isinstance(m, torch.nn.Module)]
            freed = sum(t.numel() * t.element_size() for m in modules for t in (*m.parameters(), *m.buffers()))
            del modules
        if self.compiled:
            torch.compiler.reset()  # compiled code holds on to the weights that it was made for
        self._loaded = self.plan = None
        release_memory()
        return freed

    def device(self) -> dict[str, Any]:
        """The `device` object of docs/protocol.md."""
        from .machine import best_device, this_machine

        machine = this_machine(best_device())
        return {"kind": machine.kind, "name": machine.name, "memory_total": machine.total, "memory_free": machine.free}

    def programs(self) -> dict[str, str]:
        """Versions of the programs that make the result."""
        import diffusers
        import torch

        return {"jointdit": __version__, "python": platform.python_version(), "torch": torch.__version__, "diffusers": diffusers.__version__}


@dataclass(frozen=True)
class Outlook:
    """What a model would take here: the memory plan, and the estimated seconds of a picture (without loading and text)."""

    plan: Plan
    seconds: float


def outlook(model: AnyModel, wish: Wish, steps: int = 20) -> Outlook:
    """Open a model without laying it out. Raises `CheckpointError`, `InputError` with a sentence; measures this machine for a moment."""
    import torch

    from .cost import operations
    from .machine import best_device, working_dtype
    from .speed import SHARE_OF_MATRIX_RATE, matrix_rate

    opened = _open(model, wish)
    pipeline, device = opened.pipeline, torch.device("cpu") if opened.plan.name == "cpu" else best_device()
    tokens = wish.width * wish.height // pipeline.size_multiple**2
    work = operations(pipeline.transformer.config, tokens, pipeline.config.max_sequence_length).total * steps
    rate = matrix_rate(device, working_dtype(device, small=2 * opened.sizes.transformer < SMALL))
    return Outlook(opened.plan, work / (SHARE_OF_MATRIX_RATE * rate))


def _open(model: AnyModel, wish: Wish) -> _Loaded:
    """Read a model's headers and choose its memory plan; the weights are still on the mapped files."""
    from .cost import bits_of_blocks
    from .machine import best_device, this_machine

    machine, pipeline = this_machine(best_device()), model.load()
    transformer, sizes = pipeline.transformer, _sizes(pipeline)
    bits_stored = bits_of_blocks((*transformer.transformer_blocks, *transformer.single_transformer_blocks))
    plan = choose(sizes, machine, Work(wish.width, wish.height, wish.steps), wish.plan, bits_stored, wish.smaller_than)
    return _Loaded(model.key, wish, sizes, machine, bits_stored, plan, pipeline)


def _lay_out(loaded: _Loaded) -> None:
    """Bring an opened model to its device as its plan says, with LoRAs, kernels and compiled blocks."""
    import torch

    from .loras import load_loras
    from .machine import best_device, working_dtype
    from .speed import best_attention, compile_blocks, may_compile, use_attention

    plan, wish, pipeline = loaded.plan, loaded.wish, loaded.pipeline
    device = torch.device("cpu") if plan.name == "cpu" else best_device()
    small = 2 * loaded.sizes.transformer < SMALL
    loaded.remarks = load_loras(pipeline, wish.loras)
    pipeline.place(plan, device, working_dtype(device, small), loaded.machine.fp8_products and device.type == "cuda")
    use_attention(pipeline.transformer, "native" if small else best_attention(device))  # small models have heads that not every kernel takes
    loaded.compiles = not small and may_compile(device, plan)
    loaded.compiled = {"on": True, "off": False, "auto": loaded.compiles}[wish.compile]
    if loaded.compiled:
        compile_blocks(pipeline.transformer)


def _sizes(pipeline: JointDiTPipeline) -> Sizes:
    """What a memory plan counts with, of a pipeline that is not placed yet."""
    from .cost import sizes_of
    from .placement import visit_bytes

    encoders = tuple(dict.fromkeys((pipeline.text_encoder, pipeline.text_encoder_2)))  # one module may have both roles
    whole = [sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers())) for module in encoders]
    autoencoder = 4 * sum(p.numel() for p in pipeline.vae.parameters())  # it works in float32, however it is stored
    # Activations of 512 tokens are small beside a layer.
    visit = sum(map(visit_bytes, encoders)) * 5 // 4
    return sizes_of(pipeline.transformer, pipeline.config.max_sequence_length, sum(whole), autoencoder, visit)


def _revision(weights: list[Path]) -> str | None:
    """The first half of the SHA-256 over files, or None where they are too large or not there any more."""
    if not all(path.is_file() for path in weights):
        return None
    if sum(path.stat().st_size for path in weights) > HASHED_UP_TO:
        return None
    digest = hashlib.sha256()
    for path in weights:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _first_line(error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return text if text.endswith(".") else text + "."
