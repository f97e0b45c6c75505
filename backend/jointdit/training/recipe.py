# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole recipe of the embedded model: text encoder, autoencoder, base, joint stage, finishing touches, and the pipeline folder that comes out.

Every stage resumes where it stopped, so the recipe can be run in pieces (`jointdit train embedded --minutes 10`, again and again). What a stage leaves behind
is stored as it is shipped, in 8 bits: the next stage learns on what people get.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from diffusers import FluxTransformer2DModel
from torch import nn
from transformers import PreTrainedTokenizerFast

from ..autoencoder import PatchAutoencoder
from ..errors import InputError
from ..machine import device_named
from ..prompt_encoder import PromptEncoder
from ..transformer import JointDiTTransformer2DModel
from ..weights.small_folders import PACKED, load_packed, open_packed
from . import FINISHING, STAGES
from .autoencoder import polish_decoder, train_autoencoder
from .data import Latents, render_latents, render_pictures
from .export import assemble, export, pack
from .journal import Journal
from .loop import Schedule
from .reading import captions_of, learn_reading
from .sheets import sheet
from .stages import Work, new_base, train_base, train_estimating, train_joint
from .text import freeze, smaller_encoder, tokenizer_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Sizes and schedules of a small JointDiT that learns from procedural scenes."""

    size: int = 256
    pictures: int = 10_240
    scenes: int = 131_072
    captions: int = 4096
    text_length: int = 40
    text_layers: int = 5
    layers: int = 2
    single_layers: int = 6
    heads: int = 5
    head_dim: int = 64
    rope: tuple[int, int, int] = (16, 24, 24)
    lora_rank: int = 32
    input_lora_rank: int = 64
    guidance: float = 5.0
    autoencoder: Schedule = field(default=Schedule(steps=5500, batch=64, learning_rate=1e-3, warmup=100, weight_decay=0.0))
    base: Schedule = field(default=Schedule(steps=13_000, batch=512, learning_rate=1e-3, warmup=300, optimizer="muon"))
    joint: Schedule = field(default=Schedule(steps=2400, batch=256, learning_rate=1e-3, warmup=100))
    estimating: Schedule = field(default=Schedule(steps=800, batch=256, learning_rate=4e-4, warmup=50, average=0.995))
    reading: Schedule = field(default=Schedule(steps=4000, batch=64, learning_rate=3e-4, warmup=100, average=0.995))
    decoder: Schedule = field(default=Schedule(steps=3000, batch=64, learning_rate=5e-4, warmup=100, weight_decay=0.0, average=0.995))


@dataclass
class Bench:
    """Where a recipe is worked on: its folder, the device, the processes that think up scenes, and when to stop."""

    folder: Path
    device: torch.device
    processes: int
    compiled: bool
    deadline: float | None = None

    @classmethod
    def here(cls, folder: Path, minutes: float | None = None, device: str | None = None, compiled: bool | None = None) -> Bench:
        """This machine's. Blocks are compiled on a card, unless `compiled` tells otherwise."""
        chosen = device_named(device)
        deadline = None if minutes is None else time.monotonic() + 60 * minutes
        return cls(folder, chosen, max(1, (os.cpu_count() or 2) - (chosen.type == "cuda")), chosen.type == "cuda" if compiled is None else compiled, deadline)

    @property
    def minutes_left(self) -> float | None:
        """Until the deadline, if there is one."""
        return None if self.deadline is None else max(0.0, (self.deadline - time.monotonic()) / 60)

    def work(self, name: str, look: Callable[[int], None] | None) -> Work:
        """A stage here."""
        return Work(self.folder / f"{name}.pt", self.device, self.minutes_left, self.compiled, look, Journal(self.folder / "journal" / name))


def start_from(pipeline: Path, folder: Path, whole: bool = True) -> None:
    """Let a new run in `folder` begin with what a finished one left: its text encoder and autoencoder stay, its transformer is trained on.

    Not `whole`: the transformer is left out, and a new one, of any size, learns to work with the rest.
    """
    note = folder / "started.json"
    asked = {"from": str(pipeline.resolve()), "whole": whole}
    begun = [path for pattern in ("*.done", "*.pt") for path in folder.glob(pattern)]
    if note.is_file() and json.loads(note.read_text()) == asked:
        return
    if begun or note.is_file():
        raise InputError(f"{folder} holds another training already. Give a new folder (--folder) for the one that starts from {pipeline}.")
    if not all((pipeline / part / PACKED).is_file() for part in ("transformer", "vae")):
        raise InputError(f"{pipeline} is not the folder of a pipeline that a training of this recipe left. Give its folder `pipeline`.")
    parts = {"text_encoder_2": "text", "tokenizer_2": "tokenizer", "vae": "vae"} | ({"transformer": "start"} if whole else {})
    for theirs, ours in parts.items():
        try:
            shutil.copytree(pipeline / theirs, folder / ours, dirs_exist_ok=True)
        except OSError as error:
            raise InputError(f"{pipeline} is not the folder of a small model's pipeline: it has no {theirs}. Give the folder that a training left.") from error
    if whole:  # what a run of the last stages alone goes on with
        shutil.copytree(pipeline, folder / "pipeline", dirs_exist_ok=True)
    note.write_text(json.dumps(asked))


def run(
    recipe: Recipe, bench: Bench, stages: tuple[str, ...] = STAGES, source: Path | None = None, words: Path | None = None, start: Path | None = None,
    whole: bool = True,
) -> bool:  # fmt: skip
    """Run, or go on with, the stages in order, until the deadline. Returns whether all of them are finished; what is finished is not done again.

    `source` is the folder of the sentence encoder and `words` a list of words, one a line; both are needed where the text stage is not done yet. `start` is
    the pipeline folder of a finished run, which is trained on; if not `whole`, all but its transformer, which may have other sizes then. Raises `InputError`
    where one of them is not there.
    """
    folder = bench.folder
    folder.mkdir(parents=True, exist_ok=True)
    refuse_changes(recipe, folder)
    made_by = {"machine": _machine(bench.device), "torch": torch.__version__}
    if start is not None:
        start_from(start, folder, whole)
        for stage in ("text", "autoencoder"):
            (folder / f"{stage}.done").touch()
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe) | made_by, indent=1))
    for stage in stages:
        done = folder / f"{stage}.done"
        if not done.is_file():
            if bench.minutes_left == 0:
                return False
            began = time.monotonic()
            finished = _STAGES[stage](recipe, bench, source, words)
            log.info("%s: %.0f s, %s", stage, time.monotonic() - began, "finished" if finished else "not finished yet")
            if not finished:
                return False
            done.touch()
    return True


def refuse_changes(recipe: Recipe, folder: Path) -> None:
    """A stage that has begun keeps its numbers, and all of a run its sizes. Raises `InputError` that names what is different."""
    begun = {stage for stage in STAGES if (folder / f"{stage}.pt").is_file() or (folder / f"{stage}.done").is_file()}
    if begun:
        refuse_other_sizes(recipe, folder, begun)


def refuse_other_sizes(recipe: Recipe, folder: Path, stages: Collection[str] = ()) -> None:
    """Raises `InputError` that names what of a recipe, its `stages` included, is not as `folder` was trained with."""
    file = folder / "recipe.json"
    if not file.is_file():
        return
    before, now = json.loads(file.read_text()), json.loads(json.dumps(asdict(recipe)))
    different = [name for name in now if (name in stages or name not in STAGES) and name in before and before[name] != now[name]]
    if different:
        raise InputError(
            f"The training in {folder} was begun with other numbers ({', '.join(different)}). "
            "Give the same ones (--recipe, --scenes, --steps, ...), or a new folder (--folder)."
        )


def _machine(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()


def _text(recipe: Recipe, bench: Bench, source: Path | None, words: Path | None) -> bool:
    if source is None or words is None:
        raise InputError("The first stage needs the folder of all-MiniLM-L6-v2 (--text-encoder) and a list of words (--words): see docs/training.md.")
    try:
        dictionary = words.read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise InputError(f"The list of words {words} cannot be read ({error}). Give a text file with a word in each line.") from error
    encoder, pieces = smaller_encoder(source, dictionary, recipe.text_layers, recipe.text_length)
    pack(encoder, bench.folder / "text")
    tokenizer_of(pieces, recipe.text_length).save_pretrained(bench.folder / "tokenizer")
    return True


def _autoencoder(recipe: Recipe, bench: Bench, *_: object) -> bool:
    folder = bench.folder / f"pictures-{recipe.pictures}"
    pictures = render_pictures(folder, recipe.pictures, recipe.size, bench.device, bench.processes, bench.deadline)
    if pictures is None:
        return False
    work = bench.work("autoencoder", None)
    return train_autoencoder(bench.folder, pictures, recipe.autoencoder, bench.device, work.minutes, journal=work.journal)


@dataclass(frozen=True)
class Parts:
    """What the later stages find in the run's folder."""

    vae: PatchAutoencoder
    tokenizer: PreTrainedTokenizerFast
    text: PromptEncoder
    latents: Latents
    empty: torch.Tensor


def parts(recipe: Recipe, bench: Bench, text: str) -> Parts | None:
    """Load the autoencoder and the text encoder `text` of a run, and its latents, which are made where they are not there yet.

    None where the deadline came first. Raises `InputError` where the stages before are missing.
    """
    if not (bench.folder / "vae").is_dir() or not (bench.folder / text).is_dir():
        raise InputError(f"{bench.folder} holds no training that has come so far. Run `jointdit train embedded` with this folder first.")
    vae = open_packed(bench.folder / "vae", PatchAutoencoder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(bench.folder / "tokenizer")

    def tokens(prompts: list[str]) -> torch.Tensor:
        return tokenizer(prompts, padding="max_length", max_length=recipe.text_length, truncation=True, return_tensors="pt").input_ids

    folder = bench.folder / f"latents-{recipe.scenes}"
    latents = render_latents(vae, tokens, folder, recipe.scenes, recipe.size, bench.device, bench.processes, bench.deadline)
    if latents is None:
        return None
    return Parts(vae, tokenizer, freeze(open_packed(bench.folder / text, PromptEncoder)).to(bench.device), latents, tokens([" "])[0].to(bench.device))


def _base(recipe: Recipe, bench: Bench, *_: object) -> bool:
    found = parts(recipe, bench, "text")
    if found is None:
        return False
    torch.manual_seed(1)
    base = new_base(found.text, recipe.layers, recipe.single_layers, recipe.heads, recipe.head_dim, recipe.rope).to(bench.device)
    _begin_with(bench.folder, base, base.state_dict())
    log.info("base %.2f M parameters", base.num_parameters() / 1e6)

    def look(step: int) -> None:
        joint = JointDiTTransformer2DModel.from_flux(base, lora_rank=1, vector_lora_ranks=(1, 1), text_lora_rank=1)
        sheet(assemble(recipe, found.vae, found.tokenizer, found.text, joint), bench.folder / f"base-{step:06d}.png", joint_only=True)

    done = train_base(base, found.text, found.empty, found.latents, recipe.base, bench.work("base", look))
    pack(base, bench.folder / "base")
    pack(found.text, bench.folder / "text-trained")
    look(recipe.base.steps)
    return done


def _begin_with(folder: Path, model: nn.Module, wanted: Mapping[str, torch.Tensor]) -> None:
    """Give the wanted weights of a model those that its run starts from, if it starts from any. Raises `InputError` where their shapes differ."""
    if (folder / "start").is_dir():
        stored = load_packed(folder / "start")
        missing = [name for name, own in wanted.items() if name not in stored or stored[name].shape != own.shape]
        if missing:
            raise InputError(f"The model to start from has other sizes than this recipe ({missing[0]}, for one). Start without it.")
        model.load_state_dict({name: stored[name] for name in wanted}, strict=False)


def open_base(folder: Path) -> FluxTransformer2DModel:
    """The base that a run left in `folder`."""
    return open_packed(folder / "base", FluxTransformer2DModel)


def new_joint(base: FluxTransformer2DModel, recipe: Recipe, **options: object) -> JointDiTTransformer2DModel:
    """A JointDiT around a base, with add-ons that change nothing yet."""
    ranks = {"lora_rank": recipe.lora_rank, "vector_lora_ranks": (recipe.input_lora_rank,) * 2, "text_lora_rank": recipe.input_lora_rank}
    return JointDiTTransformer2DModel.from_flux(base, **ranks | options)


def _joint(recipe: Recipe, bench: Bench, *_: object) -> bool:
    found = parts(recipe, bench, "text-trained")
    if found is None:
        return False
    torch.manual_seed(2)
    model = new_joint(open_base(bench.folder).to(bench.device), recipe)
    _begin_with(bench.folder, model, model.addon_parameters())
    log.info("add-ons %.2f M parameters", sum(p.numel() for p in model.addon_parameters().values()) / 1e6)

    def look(step: int) -> None:
        sheet(assemble(recipe, found.vae, found.tokenizer, found.text, model), bench.folder / f"joint-{step:06d}.png")

    done = train_joint(model, found.text, found.empty, found.latents, recipe.joint, bench.work("joint", look))
    for stage in FINISHING:  # they belong to the pipeline that is replaced
        (bench.folder / f"{stage}.done").unlink(missing_ok=True)
        (bench.folder / f"{stage}.pt").unlink(missing_ok=True)
    export(assemble(recipe, found.vae, found.tokenizer, found.text, model), bench.folder / "pipeline")
    look(recipe.joint.steps)
    return done


def _estimating(recipe: Recipe, bench: Bench, *_: object) -> bool:
    folder = _finished(recipe, bench)
    found = parts(recipe, bench, "text")
    if found is None:
        return False
    model = open_packed(folder / "transformer", JointDiTTransformer2DModel).to(bench.device)
    text = freeze(open_packed(folder / "text_encoder_2", PromptEncoder)).to(bench.device)
    done = train_estimating(model, text, found.empty, found.latents, recipe.estimating, bench.work("estimating", None))
    if done:
        pack(model, folder / "transformer")
    return done


def _reading(recipe: Recipe, bench: Bench, *_: object) -> bool:
    folder = _finished(recipe, bench)
    encoder = open_packed(folder / "text_encoder_2", PromptEncoder).to(bench.device)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer_2")
    done = learn_reading(encoder, tokenizer, recipe.text_length, captions_of(range(recipe.captions)), recipe.reading, bench.work("reading", None))
    if done:  # only now: what it learns from is the encoder as it was
        pack(encoder, folder / "text_encoder_2")
    return done


def _decoder(recipe: Recipe, bench: Bench, *_: object) -> bool:
    folder = _finished(recipe, bench)
    pictures = render_pictures(bench.folder / f"pictures-{recipe.pictures}", recipe.pictures, recipe.size, bench.device, bench.processes, bench.deadline)
    if pictures is None:
        return False
    vae = open_packed(folder / "vae", PatchAutoencoder)
    work = bench.work("decoder", None)
    done = polish_decoder(vae, pictures, recipe.decoder, bench.device, work.checkpoint, minutes=work.minutes, journal=work.journal)
    if done:
        pack(vae, folder / "vae")
    return done


_STAGES = dict(zip(STAGES, (_text, _autoencoder, _base, _joint, _estimating, _reading, _decoder), strict=True))


def _finished(recipe: Recipe, bench: Bench) -> Path:
    """The folder of the pipeline that the joint stage has finished, or that the run starts from. Raises `InputError` where there is none of these sizes."""
    folder, started = bench.folder / "pipeline", not (bench.folder / "base.pt").is_file() and (bench.folder / "started.json").is_file()
    if not folder.is_dir() or not (started or (bench.folder / "joint.done").is_file()):
        raise InputError(f"{bench.folder} holds no finished model that could be made better. Train the stages before first, or --start from one.")
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    if (index.get("native_size"), index.get("max_sequence_length")) != (recipe.size, recipe.text_length):
        raise InputError("The model to start from has other sizes than this recipe. Give the --recipe that it was trained with.")
    return folder


def small() -> Recipe:
    """For comparisons on a processor: pictures of 128 x 128, a transformer of 2.4 M weights. With the parts of another model its base takes 45 minutes."""
    return Recipe(
        size=128, scenes=16_384, text_length=32, layers=2, single_layers=4, heads=4, head_dim=32, rope=(8, 12, 12),
        autoencoder=replace(Recipe().autoencoder, steps=1000), reading=replace(Recipe().reading, steps=500), decoder=replace(Recipe().decoder, steps=500),
        base=replace(Recipe().base, steps=3000, batch=64), joint=replace(Recipe().joint, steps=250, batch=64, learning_rate=4e-3, warmup=30),
        estimating=replace(Recipe().estimating, steps=100, batch=64),
    )  # fmt: skip


def recipe_named(name: str) -> Recipe:
    """One of `RECIPES`."""
    return {"embedded": Recipe, "small": small}[name]()


def tiny() -> Recipe:
    """A recipe that runs in seconds: for tests of the whole."""
    short = {"steps": 4, "batch": 4, "warmup": 1}
    return Recipe(
        size=128, pictures=64, scenes=64, captions=8, layers=1, single_layers=2, heads=2, head_dim=32, rope=(8, 12, 12), lora_rank=4, input_lora_rank=4,
        autoencoder=replace(Recipe().autoencoder, **short), base=replace(Recipe().base, **short), joint=replace(Recipe().joint, **short),
        estimating=replace(Recipe().estimating, **short), reading=replace(Recipe().reading, **short), decoder=replace(Recipe().decoder, **short),
    )  # fmt: skip
