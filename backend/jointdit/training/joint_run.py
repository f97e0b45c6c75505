# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of joint training, from the names of a set and a model to the add-ons: `jointdit train joint`."""

from __future__ import annotations

import logging
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from ..autoencoder import PatchAutoencoder
from ..errors import OutputError
from ..frame import check_output
from ..machine import best_device
from ..models import Model, Models
from ..pipeline import JointDiTPipeline
from . import loop
from .addons import export_addons
from .base import Trained, agree_on_depth, give_addons, is_small, load_base, prepare_training, refuse_unable
from .estimate import Need, need, refuse_too_large
from .export import export
from .joint import Drawing, held_out_batch, joint_loss
from .journal import Journal
from .kept import RunFolder, refuse_foreign, step_of
from .options import JointOptions, Keeping
from .prepared import PreparedSet
from .ranks import Ranks, ranks_here
from .sampling import as_image, at_rest, sheet
from .sources import SetPairs, refuse_unfit, split

log = logging.getLogger(__name__)
MEASURED_AT_ONCE = 4


@dataclass(frozen=True)
class Outcome:
    """Where the run stands: whether all steps are done, how many are, and the add-ons of the last."""

    finished: bool
    step: int
    addons: Path


def estimate(set_folder: Path, options: JointOptions, models: Models | None = None) -> Need:
    """What training would take on a card. Raises as `run` does, but needs no card."""
    options.check()
    source = PreparedSet.open(set_folder)
    pipeline = load_base(options.model, options.start, models)
    agree_on_depth(pipeline, options, source.depth_transform)
    refuse_unfit(source, pipeline)
    give_addons(pipeline, options, torch.device("meta"))
    return _need(source, pipeline, options)


def run(
    set_folder: Path, folder: Path, options: JointOptions, keeping: Keeping, resume: str | None = None, models: Models | None = None
) -> Outcome | None:
    """Train add-ons on a prepared set, or go on with the run that is in `folder`: bit for bit where the device's arithmetic repeats itself.

    `resume` names a checkpoint to go on from; without it the run goes on from its last one. Ctrl+C leaves a checkpoint and raises KeyboardInterrupt.
    Of several processes only the first has an outcome. Raises `InputError`, `CheckpointError`, `OutputError` with a sentence.
    """
    options.check()
    keeping.check()
    check_output(folder.absolute())
    ranks = ranks_here()
    try:
        return _run(set_folder, folder, options, keeping, resume, models, ranks)
    finally:
        if ranks is not None:
            ranks.close()


def _run(
    set_folder: Path, folder: Path, options: JointOptions, keeping: Keeping, resume: str | None, models: Models | None, ranks: Ranks | None
) -> Outcome | None:
    first = ranks is None or ranks.first
    source = PreparedSet.open(set_folder)
    length, shown = split(source, options.held_out)
    device = best_device() if ranks is None else ranks.device
    pipeline = load_base(options.model, options.start, models)
    agree_on_depth(pipeline, options, source.depth_transform)
    refuse_unable(pipeline, options, device)
    refuse_unfit(source, pipeline)
    kept = RunFolder(folder, keeping.keep)
    if first:
        kept.resume(resume)
        kept.remember(options.lasting(), {"set": source.description["model"], "pairs": len(source)}, kept.last.is_file())
    if ranks is not None:
        ranks.wait()
    trained = prepare_training(pipeline, options, device)
    if device.type == "cuda":
        refuse_too_large(_need(source, pipeline, options), torch.cuda.get_device_name(device), torch.cuda.get_device_properties(device).total_memory)
    if kept.last.is_file():
        refuse_foreign(kept.last, trained.parameters)
        if first:
            kept.drop_after(step_of(kept.last))
    if first:
        if options.addon_dtype == "bfloat16" and options.learning_rate < 1e-4:
            log.info("Note: in bfloat16 steps as short as %g are mostly rounded away. Use --addon-dtype float32 where there is memory.", options.learning_rate)
        log.info("%d pairs, %d held out; add-ons of %.2f M parameters on %s", length, len(source) - length, _millions(trained), device)

    pairs = SetPairs(source, pipeline, length)
    look = _Look(trained, pairs, shown, kept, keeping, Journal(folder) if first else None, getattr(torch, options.precision))
    try:
        done = _train(trained, pairs, kept, options, keeping, ranks, look)
        if look.journal is None:
            return None
        step = step_of(kept.last)
        look.finish(step)
    finally:
        if look.journal is not None:
            look.journal.close()
    if trained.small and isinstance((models or Models()).find(options.model), Model):
        _save_pipeline(trained, folder / "pipeline")
    return Outcome(done, step, folder / "jointdit.safetensors")


def _train(trained: Trained, pairs: SetPairs, kept: RunFolder, options: JointOptions, keeping: Keeping, ranks: Ranks | None, look: _Look) -> bool:
    place = {} if ranks is None else {"rank": ranks.rank, "count": ranks.count}
    draw = Drawing(pairs, options.batch, options.timesteps, options.prompt_drop, **place)
    precision = getattr(torch, options.precision)
    schedule = loop.Schedule(
        steps=options.steps, batch=options.batch, learning_rate=options.learning_rate, warmup=options.warmup, weight_decay=options.weight_decay,
        average=options.average, clip=options.clip or math.inf, accumulation=options.accumulation, optimizer=options.optimizer, decay=options.decay,
    )  # fmt: skip

    def loss(_step: int, generator: torch.Generator) -> Tensor:
        return joint_loss(trained.pipeline.transformer, draw(generator), precision)

    return loop.train(
        trained.parameters, loss, schedule, kept.last, seed=options.seed, minutes=keeping.minutes, every_minutes=keeping.every_minutes, on_checkpoint=look,
        device=trained.pipeline.device_at_work, journal=look.journal, ranks=ranks,
    )  # fmt: skip


class _Look:
    """What happens at a checkpoint, with the weights in place that will be used: it is kept, exported, measured and shown."""

    def __init__(
        self, trained: Trained, pairs: SetPairs, shown: list[int], kept: RunFolder, keeping: Keeping, journal: Journal | None, precision: torch.dtype
    ) -> None:
        self.journal = journal
        self._trained, self._pairs, self._shown, self._kept, self._keeping, self._precision = trained, pairs, shown, kept, keeping, precision
        self._at: int | None = None

    def __call__(self, step: int) -> None:
        """Look at the model after `step` steps."""
        self._at = step
        self._kept.keep(step)
        export_addons(self._trained.pipeline.transformer, self._kept.addons(step), self._trained.about)
        self._measure(step)
        self._show(step)

    def finish(self, step: int) -> None:
        """Look at what came out, unless the last checkpoint was that, and give the add-ons their final name."""
        if self._at != step:
            self(step)
        self._kept.finish(step)

    def _measure(self, step: int) -> None:
        """The error on pairs that are not trained on, always with the same noise."""
        device, model = self._trained.pipeline.device_at_work, self._trained.pipeline.transformer
        batches = [self._shown[i : i + MEASURED_AT_ONCE] for i in range(0, len(self._shown), MEASURED_AT_ONCE)]
        with torch.no_grad():
            losses = [joint_loss(model, held_out_batch(self._pairs, part, device, seed=i), self._precision).item() for i, part in enumerate(batches)]
        if self.journal is not None:
            mean = sum(value * len(part) for value, part in zip(losses, batches, strict=True)) / len(self._shown)
            self.journal.scalar("held_out_loss", mean, step)

    def _show(self, step: int) -> None:
        chosen = self._shown[: self._keeping.samples]
        if not chosen:
            return
        rgb, depth, text = self._pairs.batch(chosen)
        with at_rest(self._trained.pipeline):
            picture = sheet(self._trained.pipeline, rgb, depth, text, self._pairs.empty(), self._keeping.sample_steps)
        try:
            as_image(picture).save(self._kept.sheet(step))
        except OSError as error:
            raise OutputError(f"The sheet {self._kept.sheet(step)} cannot be written ({error.strerror or error}). Make room in its folder.") from error
        if self.journal is not None:
            self.journal.image("samples", picture, step)


def _need(source: PreparedSet, pipeline: JointDiTPipeline, options: JointOptions) -> Need:
    samples, length = source.batch([0]), pipeline.config.max_sequence_length
    tokens = samples.rgb.shape[-2] * samples.rgb.shape[-1] // 4 + (length if samples.tokens is None else samples.tokens.shape[1])
    return need(pipeline.transformer, options, tokens, is_small(pipeline))


def _save_pipeline(trained: Trained, folder: Path) -> None:
    """A small model as a pipeline folder, which stands wherever a model is named; replaces what is there. One like the embedded model is stored as that is."""
    pipeline, beside = trained.pipeline, folder.with_name(folder.name + ".tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if pipeline.text_encoder is pipeline.text_encoder_2 and isinstance(pipeline.vae, PatchAutoencoder):
            export(pipeline, beside)
        else:
            pipeline.save_pretrained(beside)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"The pipeline cannot be written to {folder} ({error}). Make room, or choose another folder.") from error


def _millions(trained: Trained) -> float:
    return sum(p.numel() for p in trained.parameters.values()) / 1e6
