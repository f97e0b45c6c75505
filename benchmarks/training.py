# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed and memory of a step of joint training around the full-size model with random weights, no file needed: prints a table in Markdown.

`python benchmarks/training.py [--scale full|reduced] [--steps 6] [--size 512] [--row "float32, Adafactor"]`

At full size it needs a CUDA card and little of the machine's memory. What it takes is put beside what `jointdit train joint --estimate` says.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from full_size import FULL, REDUCED, Scale, free, gibibytes, random_weights, table
from jointdit.errors import InputError
from jointdit.machine import best_device, this_machine
from jointdit.memory import MARGIN
from jointdit.training import loop
from jointdit.training.addons import lay_down, make_trainable, new_addons
from jointdit.training.estimate import Need, need
from jointdit.training.flow import unbalanced_sigmas
from jointdit.training.joint import Batch, joint_loss
from jointdit.training.options import JointOptions
from jointdit.transformer import JointDiTTransformer2DModel

ROWS = {
    "float32, Adafactor": JointOptions(),
    "bfloat16, Adafactor": JointOptions(addon_dtype="bfloat16"),
    "float32, AdamW": JointOptions(optimizer="adamw"),
}
"""Add-ons as they are stored, and the optimizer; the first is the paper's."""


def prepared(scale: Scale, options: JointOptions, device: torch.device) -> JointDiTTransformer2DModel:
    """The model as `jointdit train joint` lays it down, with new add-ons."""
    with torch.device("meta"):
        model = JointDiTTransformer2DModel(**scale.transformer)
    random_weights(model, device, scale.dtype, home=device)
    new_addons(model, scale.transformer.get("lora_rank", 64), device, torch.Generator().manual_seed(0))
    make_trainable(model, getattr(torch, options.addon_dtype))
    lay_down(model, device, scale.dtype)
    model.enable_gradient_checkpointing()
    return model


def batch(scale: Scale, model: JointDiTTransformer2DModel, options: JointOptions, size: int, generator: torch.Generator) -> Batch:
    """Random latents and text."""

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device=generator.device)

    pairs, side = options.batch, size // 16
    sigma = torch.cat(unbalanced_sigmas(pairs, generator))
    text = random(pairs, scale.text_tokens, model.config.joint_attention_dim), random(pairs, model.config.pooled_projection_dim)
    return Batch(random(2 * pairs, side * side, 64), random(2 * pairs, side * side, 64), sigma, text, (side, side))


def steps_of(scale: Scale, options: JointOptions, size: int, steps: int, device: torch.device) -> tuple[float, float, int, Need]:
    """Seconds of the first and of a later step, peak bytes on the card (0 on the processor), and what was expected; `steps` are at least 3."""
    model = prepared(scale, options, device)
    began: list[float] = []

    def loss(_step: int, generator: torch.Generator) -> torch.Tensor:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began.append(time.perf_counter())
        return joint_loss(model, batch(scale, model, options, size, generator), getattr(torch, options.precision))

    schedule = loop.Schedule(steps, options.batch, options.learning_rate, warmup=0, average=0.0, optimizer=options.optimizer, decay="constant")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with tempfile.TemporaryDirectory() as folder:
        loop.train(model.addon_parameters(), loss, schedule, Path(folder) / "training.pt", device=device)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    seconds = [later - earlier for earlier, later in pairwise(began)]
    return seconds[0], median(seconds[1:]), peak, need(model, options, (size // 16) ** 2 + scale.text_tokens, small=scale.dtype == torch.float32)


def main() -> int:
    """Measure and print; returns 1 where a step takes more memory than was expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=["full", "reduced"])
    parser.add_argument("--steps", type=int, default=6, help="at least 3")
    parser.add_argument("--size", type=int, default=512, help="side of the square pictures")
    parser.add_argument("--row", action="append", choices=[*ROWS], help="only this row")
    arguments = parser.parse_args()
    device = best_device()
    scale = {"full": FULL, "reduced": REDUCED, None: FULL if device.type == "cuda" else REDUCED}[arguments.scale]
    if scale is FULL and device.type != "cuda":
        raise InputError("The full-size model needs a CUDA card here; run the reduced one.")
    print(f"{this_machine(device).name}, torch {torch.__version__}")
    rows, met = [], True
    for name in arguments.row or ROWS:
        options = replace(ROWS[name], gradient_checkpointing=True)
        first, later, peak, expected = steps_of(scale, options, arguments.size, arguments.steps, device)
        tensors = expected.total - MARGIN
        met &= peak <= tensors
        rows.append([name, str(options.batch), f"{later:.2f}", f"{options.batch / later:.2f}", f"{first:.1f}", gibibytes(peak), gibibytes(tensors)])
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
        free(device)
    header = ["add-ons, optimizer", "pairs", "s a step", "pairs/s", "first step, s", "measured peak", "estimated peak of tensors"]
    table(f"Joint training at {arguments.size} x {arguments.size} ({scale.name}, {device.type}), gradient checkpointing", header, rows)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
