# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One training loop for everything that is trained: schedule, optimizer, averaging of weights, checkpoints that resume exactly, a journal."""

from __future__ import annotations

import math
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import CheckpointError, OutputError, TrainingError

SCALARS_EVERY = 100  # steps; reading a loss halts a card
EARLY = (1, 10)  # steps of a run after which the loss is looked at besides: what is wrong from the start shall not cost minutes


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: linear warm-up, then a cosine down to zero at `steps`, or a constant rate.

    `batch` samples are worked on at once, `accumulation` times a step. `average` is the decay of the running average of the weights, 0 for none.
    `optimizer`: see `optimizers_of`.
    """

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 300
    weight_decay: float = 0.01
    average: float = 0.999
    clip: float = 1.0
    accumulation: int = 1
    optimizer: str = "adamw"
    decay: str = "cosine"

    def rate(self, step: int) -> float:
        """Learning rate of one step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.decay == "constant":
            return self.learning_rate
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Journal(Protocol):
    """Where curves and pictures of a run go."""

    def resume(self, step: int) -> float:
        """Take back what was noted after `step` steps; returns the seconds that these took."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """Note a number."""

    def image(self, name: str, picture: Tensor, step: int) -> None:
        """Note a picture (3, H, W) in [0, 1]."""


class Ranks(Protocol):
    """The processes that train together."""

    rank: int
    count: int

    def reduce(self, gradients: Sequence[Tensor]) -> None:
        """Replace each gradient by its mean over the processes."""

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""


class Average:
    """Exponential running average of parameters; young averages forget faster so that the start does not weigh on them.

    Averages of bfloat16 parameters are float32: most of their small steps would be rounded away.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.values = {name: p.detach().to(torch.promote_types(p.dtype, torch.float32), copy=True) for name, p in parameters.items()} if decay else {}

    @torch.no_grad()
    def update(self, parameters: Mapping[str, nn.Parameter], step: int) -> None:
        """Move towards the parameters after step number `step`."""
        if self.values:
            decay = min(self.decay, (1 + step) / (10 + step))
            if all(p.dtype == self.values[name].dtype for name, p in parameters.items()):
                torch._foreach_lerp_(list(self.values.values()), [p.detach() for p in parameters.values()], 1 - decay)
                return
            for name, p in parameters.items():  # one by one: wide copies of all together would need much memory
                self.values[name].lerp_(p.detach().to(self.values[name].dtype), 1 - decay)

    @torch.no_grad()
    def copy_to(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Put the averages, rounded as the parameters are, into the model; nothing happens where none are kept."""
        for name, value in self.values.items():
            parameters[name].copy_(value)

    @contextmanager
    def in_place(self, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
        """Within the block the averages are in the model."""
        kept = {name: parameters[name].detach().clone() for name in self.values}
        self.copy_to(parameters)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    parameters[name].copy_(value)


def train(
    parameters: Mapping[str, nn.Parameter],
    loss: Callable[[int, torch.Generator], Tensor],
    schedule: Schedule,
    checkpoint: Path,
    *,
    seed: int = 0,
    minutes: float | None = None,
    every_minutes: float = 5.0,
    on_checkpoint: Callable[[int], None] | None = None,
    device: torch.device | str = "cpu",
    journal: Journal | None = None,
    ranks: Ranks | None = None,
    rates: Mapping[str, float] | None = None,
) -> bool:
    """Minimise `loss(step, generator)` over the named parameters; the generator draws on `device`.

    Starts where `checkpoint` stopped, if it exists, bit for bit (where the device's arithmetic repeats itself, which a processor's does): weights, optimizer,
    average and generator are in it. Stops after `minutes` at the latest; Ctrl+C lets the step end, leaves a checkpoint and raises KeyboardInterrupt.
    At the end the averaged weights are in the model. Returns whether all the steps are done. `on_checkpoint(step)` is called with averaged weights in place.
    `rates` multiplies the learning rate of parameters whose names begin with its keys. Of several `ranks` the first writes; their generators are in one
    state, and `loss` takes its rank's part of what they draw. Raises `OutputError` where the checkpoint cannot be written, `CheckpointError` where it is
    damaged or of another run, and `TrainingError` where the loss or a weight is no number any more; no such state is ever written.
    """
    rank = 0 if ranks is None else ranks.rank
    run = _Run(parameters, schedule, checkpoint, device, seed, rates or {})
    start = run.resume()
    worked = journal.resume(start) if journal is not None and rank == 0 else 0.0
    agree = ranks.any if ranks is not None and ranks.count > 1 else bool
    began = saved = time.monotonic()
    bar = tqdm(range(start, schedule.steps), initial=start, total=schedule.steps, mininterval=5, desc=checkpoint.stem, disable=rank > 0)
    done, total, counted = start, torch.zeros((), device=device), 0
    with _patient() as interrupted, _training_attention(device), _flushing():
        try:
            for step in bar:
                total += run.step(step, loss, ranks)
                done = step + 1
                counted += 1
                now = time.monotonic()
                due = rank == 0 and now - saved > 60 * every_minutes
                stop = interrupted.is_set() or (minutes is not None and now - began > 60 * minutes)
                looked_at = due or done - start in EARLY or done % SCALARS_EVERY == 0 or done == schedule.steps
                # Clocks differ, and so do losses: all processes must stop after the same step.
                stop = agree(stop or (looked_at and not run.sound(total)))
                if stop and agree(not run.sound(total)):
                    run.whole = False  # the last checkpoint is better than this state
                    raise TrainingError(
                        f"The loss became no number (NaN) before step {done} of {checkpoint.stem}; nothing was saved since. "
                        "Look for pictures with NaN in the training set, or lower the learning rate, and run it again."
                    )
                if done % SCALARS_EVERY == 0 or done == schedule.steps:
                    mean = total.item() / counted
                    total, counted = torch.zeros_like(total), 0
                    bar.set_postfix(loss=f"{mean:.4f}", refresh=False)
                    if journal is not None and rank == 0:
                        journal.scalar("loss", mean, done)
                        journal.scalar("rate", schedule.rate(step), done)
                        journal.scalar("seconds", worked + now - began, done)
                if due:
                    run.save(done)
                    saved = time.monotonic()
                    if on_checkpoint is not None:
                        with run.average.in_place(parameters):
                            on_checkpoint(done)
                if stop:
                    break
        finally:
            if rank == 0 and run.whole and run.sound(total):
                run.save(done)
        if interrupted.is_set():
            raise KeyboardInterrupt
    run.average.copy_to(parameters)
    return done >= schedule.steps


@contextmanager
def _flushing() -> Iterator[None]:
    """Within the block tiny numbers are zeros: those of an optimizer would otherwise slow a processor down several times."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def _training_attention(device: torch.device | str) -> Iterator[None]:
    """Within the block attention is of a kind whose backward pass is sound and quick.

    cuDNN's fails, or gives NaN, in training of these models (seen with PyTorch 2.11 on an H200). On a processor the fused kernel's backward pass takes as
    long as all the rest of a step (PyTorch 2.13, bfloat16), so that plain products are faster, and as fast again where bfloat16 is not made float32 for them.
    """
    kernels = torch.backends.cuda
    before = kernels.cudnn_sdp_enabled(), kernels.flash_sdp_enabled(), kernels.fp16_bf16_reduction_math_sdp_allowed()
    processor = torch.device(device).type == "cpu"
    kernels.enable_cudnn_sdp(False)
    kernels.enable_flash_sdp(before[1] and not processor)
    kernels.allow_fp16_bf16_reduction_math_sdp(before[2] or processor)
    try:
        yield
    finally:
        kernels.enable_cudnn_sdp(before[0])
        kernels.enable_flash_sdp(before[1])
        kernels.allow_fp16_bf16_reduction_math_sdp(before[2])


@contextmanager
def _patient() -> Iterator[threading.Event]:
    """Within the block Ctrl+C sets the event and nothing more, so that a step can end; a second one interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT) or signal.SIG_DFL  # None where it was not set from Python
    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


class _Run:
    """Optimizer, average and generator of one run, and their file. `whole`: no step is half done."""

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], schedule: Schedule, file: Path, device: torch.device | str, seed: int, rates: Mapping[str, float]
    ) -> None:
        self.parameters, self.schedule, self.file = parameters, schedule, file
        self.optimizers = optimizers_of(schedule, parameters, rates, device)
        self.average = Average(parameters, schedule.average)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.whole = True

    def step(self, step: int, loss: Callable[[int, torch.Generator], Tensor], ranks: Ranks | None) -> Tensor:
        """One step of the optimizer; returns the loss, still on the device."""
        self.whole = False
        parts = []
        for _ in range(self.schedule.accumulation):
            value = loss(step, self.generator) / self.schedule.accumulation
            value.backward()
            parts.append(value.detach())
        if ranks is not None and ranks.count > 1:
            ranks.reduce([p.grad for p in self.parameters.values() if p.grad is not None])
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.schedule.clip)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["factor"] * self.schedule.rate(step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.average.update(self.parameters, step)
        self.whole = True
        return torch.stack(parts).sum()

    def sound(self, total: Tensor) -> bool:
        """Whether a sum of losses and all parameters are numbers; a gradient can be none where the loss is one."""
        return bool(torch.isfinite(total)) and all(bool(torch.isfinite(p).all()) for p in self.parameters.values())

    def save(self, step: int) -> None:
        """Write the state after `step` steps; the file is whole at any moment. Raises `OutputError`."""
        state = {
            "step": step,
            "parameters": {name: p.detach() for name, p in self.parameters.items()},
            "average": self.average.values,
            "generator": self.generator.get_state(),
        } | {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        temporary = self.file.with_name(self.file.name + ".tmp")
        try:
            torch.save(state, temporary)
            temporary.replace(self.file)
        except (OSError, RuntimeError) as error:  # torch's own writer says RuntimeError where a disk is full
            raise OutputError(f"The checkpoint {self.file} cannot be written ({error}). Make room; the one before it is still whole.") from error

    @torch.no_grad()
    def resume(self) -> int:
        """Take over the file's state, if there is one; returns the number of steps done. Raises `CheckpointError`."""
        if not self.file.is_file():
            return 0
        try:
            state = torch.load(self.file, map_location="cpu", weights_only=True)
            stored = state["parameters"]
            if {name: p.shape for name, p in stored.items()} != {name: p.shape for name, p in self.parameters.items()}:
                raise ValueError("its parameters are others")
            for name, p in self.parameters.items():
                p.copy_(stored[name])
            for name, value in state["average"].items():
                self.average.values[name].copy_(value)
            for name, optimizer in self.optimizers.items():
                _resume_optimizer(optimizer, state[name])
            self.generator.set_state(state["generator"])
            return int(state["step"])
        except torch.cuda.OutOfMemoryError:  # says nothing about the file
            raise
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"{self.file} is no whole checkpoint of this training: it is cut off, or of another one. Remove it, or resume an earlier one."
            ) from error


def _resume_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """As PyTorch's `load_state_dict`, which rounds the state to the parameters' dtype: Adafactor's is float32 also for bfloat16."""
    optimizer.load_state_dict(state)
    places = [place for group in state["param_groups"] for place in group["params"]]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for place, parameter in zip(places, parameters, strict=True):
        for name, value in state["state"].get(place, {}).items():
            now = optimizer.state[parameter][name]
            if isinstance(value, Tensor) and now.dtype != value.dtype:
                optimizer.state[parameter][name] = value.to(now.device)


def optimizers_of(
    schedule: Schedule, parameters: Mapping[str, nn.Parameter], rates: Mapping[str, float], device: torch.device | str
) -> dict[str, torch.optim.Optimizer]:
    """The optimizers that share the parameters, by their names in a checkpoint; each group has the `factor` of its learning rate.

    "adamw"; "adafactor" (arXiv 1804.04235), which keeps a row and a column of second moments instead of a matrix; or "muon" (Jordan et al. 2024, with the
    length of steps of arXiv 2502.16982), which makes the steps of matrices orthogonal: it is for the matrices within blocks, and AdamW has the rest.

    Adafactor is that of transformers, because the learning rate shall be the length of a step. PyTorch's multiplies it by the size of the parameter, 1/1000 at
    least: what starts at zero, as LoRAs and joint layers do, would hardly move at the paper's 1e-5.
    """
    orthogonal = {name for name, p in parameters.items() if schedule.optimizer == "muon" and _within_block(name, p)}
    groups = _by_factor({name: p for name, p in parameters.items() if name not in orthogonal}, rates)
    common = {"lr": schedule.learning_rate, "weight_decay": schedule.weight_decay}
    if schedule.optimizer == "adafactor":
        from transformers.optimization import Adafactor

        return {"optimizer": Adafactor(groups, **common, scale_parameter=False, relative_step=False, warmup_init=False)}
    found: dict[str, torch.optim.Optimizer] = {}
    if groups:
        found["optimizer"] = torch.optim.AdamW(groups, **common, betas=(0.9, 0.99), fused=torch.device(device).type == "cuda")
    if orthogonal:
        groups = _by_factor({name: parameters[name] for name in parameters if name in orthogonal}, rates)
        found["muon"] = torch.optim.Muon(groups, **common, adjust_lr_fn="match_rms_adamw")
    return found


def _within_block(name: str, parameter: nn.Parameter) -> bool:
    """Whether it is a matrix of a transformer's block."""
    return parameter.ndim == 2 and "blocks." in name


def _by_factor(parameters: Mapping[str, nn.Parameter], rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Parameter groups, one for each `factor` of the learning rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        factor = next((factor for prefix, factor in rates.items() if name.startswith(prefix)), 1.0)
        groups.setdefault(factor, []).append(parameter)
    return [{"params": groups[factor], "factor": factor} for factor in sorted(groups)]
