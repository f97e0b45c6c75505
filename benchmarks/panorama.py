# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What panoramas cost: windows times steps, seconds with the embedded model, operations at full size. Prints a table in Markdown.

`python benchmarks/panorama.py [--steps N]`
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import torch
from diffusers import AutoencoderKL
from jointdit.cost import operations
from jointdit.models import Models
from jointdit.panorama.asked import VIEW_COUNTS
from jointdit.panorama.make import Recipe, depth_of_photograph, make_sphere, make_strip, make_wrapped, views_of
from jointdit.panorama.strip import WHOLE_SHARE
from jointdit.procedural.panorama import render_panorama
from torch.utils.flop_counter import FlopCounterMode

FULL_SIZE = {"num_attention_heads": 24, "attention_head_dim": 128, "num_layers": 19, "num_single_layers": 38, "lora_rank": 64}
TEXT_TOKENS = 512
PROMPT = "a red house and a tree on a green meadow under a blue sky"
TARGET_SECONDS = 60.0
"""For a sphere of the embedded model on two cores: as long as a person waits for a first result."""


def petaflops(width: int, height: int, windows: float, steps: int) -> float:
    """10^15 operations of so many windows at full size."""
    return windows * steps * operations(FULL_SIZE, width * height // 256, TEXT_TOKENS).total / 1e15


def whole_steps(steps: int) -> int:
    """In how many steps the whole strip is denoised too."""
    return sum(step < WHOLE_SHARE * steps for step in range(steps))


def autoencoder_teraflops(side: int) -> tuple[float, float]:
    """10^12 operations of FLUX's autoencoder for one picture: (encoding, decoding), counted on the meta device."""
    with torch.device("meta"):
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(128, 256, 512, 512),
            layers_per_block=2, latent_channels=16, use_quant_conv=False, use_post_quant_conv=False,
        )  # fmt: skip
        counted = []
        for work, shape in ((vae.encode, (1, 3, side, side)), (vae.decode, (1, 16, side // 8, side // 8))):
            with FlopCounterMode(display=False) as counter:
                work(torch.empty(shape))
            counted.append(counter.get_total_flops() / 1e12)
    return counted[0], counted[1]


def agreement_petaflops(side: int, views: int, steps: int, photograph: bool = False) -> float:
    """10^15 operations of the autoencoder while views agree: each step decodes every estimate and encodes it and what was agreed on."""
    encoding, decoding = autoencoder_teraflops(side)
    return views * steps * (1 if photograph else 2) * (decoding + 2 * encoding) / 1e3


def full_size_rows(steps: int) -> list[tuple[str, str, str, str]]:
    """(what, windows x steps, petaflops of the transformer, of the autoencoder while views agree) at full size."""
    rows = []
    for height in (512, 1024):
        windows, whole = 8, whole_steps(steps)
        total = petaflops(height, height, windows, steps) + petaflops(4 * height, height, 1, whole)
        rows.append((f"strip {4 * height} x {height}", f"{windows} x {steps} + whole x {whole}", f"{total:.1f}", "0"))
    for count in VIEW_COUNTS:
        agreed = agreement_petaflops(512, count, steps)
        rows.append((f"sphere 2048 x 1024, {count} views", f"{count} x {steps}", f"{petaflops(512, 512, count, steps):.1f}", f"{agreed:.1f}"))
    rows.append(("sphere 4096 x 2048, 18 views", f"18 x {steps}", f"{petaflops(1024, 1024, 18, steps):.1f}", f"{agreement_petaflops(1024, 18, steps):.1f}"))
    depth = petaflops(512, 512, 18, steps), agreement_petaflops(512, 18, steps, photograph=True)
    rows.append(("depth of a photograph, 18 views of 512", f"18 x {steps}", f"{depth[0]:.1f}", f"{depth[1]:.1f}"))
    whole = petaflops(2080, 1024, 1, steps) + depth[0]
    rows.append(("sphere 2048 x 1024 as one picture", f"1 x {steps}, and its depth", f"{whole:.1f}", f"{depth[1]:.1f}"))
    return rows


def seconds(work: Callable[[], object]) -> float:
    """The least of two runs, after one to warm up."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main() -> int:
    """Measure and print; returns 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    steps = parser.parse_args().steps
    models = Models()
    pipeline = models.pipeline(models.find("embedded"))
    guidance, views = pipeline.config.default_guidance, len(views_of(18, pipeline.config.largest_pitch))
    sphere = Recipe(512, 256, PROMPT, steps=steps, guidance=guidance, batch=8)
    strip = Recipe(512, 128, PROMPT, steps=steps, guidance=guidance, batch=8)
    photograph = render_panorama(0, 256).image
    rows = (
        ("single picture 128 x 128", f"1 x {steps}", lambda: pipeline(PROMPT, num_inference_steps=steps)),
        ("strip 512 x 128", f"8 x {steps} + whole x {whole_steps(steps)}", lambda: make_strip(pipeline, strip)),
        ("sphere 512 x 256", f"{views} x {steps}", lambda: make_sphere(pipeline, sphere)),
        ("depth of a photograph", f"{views} x {steps}", lambda: depth_of_photograph(pipeline, photograph, sphere)),
        ("sphere as one picture", f"1 x {steps}, and its depth", lambda: make_wrapped(pipeline, sphere)),
    )
    measured = [(what, windows, seconds(work)) for what, windows, work in rows]
    print(f"\ntorch {torch.__version__}, {os.cpu_count()} cores, the embedded model, the least of two runs\n")
    print("| what | windows x steps | s | times a single picture |\n|---|---|---|---|")
    for what, windows, time_ in measured:
        print(f"| {what} | {windows} | {time_:.2f} | {time_ / measured[0][2]:.1f} |")
    print(f"\nAt full size, counted for {steps} steps (10^15 operations):\n")
    print("| what | windows x steps | transformer | autoencoder while views agree |\n|---|---|---|---|")
    for row in full_size_rows(steps):
        print("| {} | {} | {} | {} |".format(*row))
    return 0 if measured[2][2] < TARGET_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
