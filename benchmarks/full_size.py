# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed, memory and error of the full-size model with random weights, no file needed: prints tables in Markdown.

`python benchmarks/full_size.py [--scale full|reduced] [--steps 20] [--compile]`

At full size it needs a CUDA card (48 GB for every row) and 64 GB of memory; elsewhere the same program runs a reduced model, whose ratios and errors
mean something and whose seconds do not.
"""

from __future__ import annotations

import argparse
import gc
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from diffusers.utils import logging
from jointdit.assembly import SCHEDULE
from jointdit.cost import decode_bytes, operations, prepared_bytes, sizes_of, work_bytes
from jointdit.errors import InputError
from jointdit.latents import image_position_ids, scheduler_shift
from jointdit.machine import best_device, this_machine
from jointdit.memory import GIB, MARGIN, Machine, Plan, Work, choose
from jointdit.models import EMBEDDED, Model
from jointdit.pipeline import JointDiTPipeline
from jointdit.speed import best_attention, compile_blocks, fp8_products, matrix_rate, set_step_cache, use_attention
from jointdit.transformer import JointDiTTransformer2DModel
from torch import Tensor, nn

MIB = 2**20
TARGETS = {(512, 512): (1.9, 1.2), (1024, 1024): (6.6, 4.8)}  # seconds for 20 steps on an H200: bfloat16, float8
TARGET_RATIO = 2.6  # to one-branch FLUX under the same settings
CAPS = {24: 23.5, 16: 15.5, 12: 11.5, 8: 7.5}  # card in GiB -> most GiB at 1024 x 1024


@dataclass(frozen=True)
class Scale:
    """A size of the model: the transformer's arguments, text tokens, the autoencoder's widths, and the pictures (width, height) that are made."""

    name: str
    transformer: dict[str, Any]
    text_tokens: int
    autoencoder: tuple[int, ...]
    pictures: tuple[tuple[int, int], ...]
    dtype: torch.dtype

    @property
    def blocks(self) -> int:
        """Number of blocks of both kinds."""
        return self.transformer.get("num_layers", 19) + self.transformer.get("num_single_layers", 38)


FULL = Scale("full size", {}, 512, (128, 256, 512, 512), ((512, 512), (1024, 1024), (2048, 512)), torch.bfloat16)
REDUCED = Scale(
    "reduced: 512 wide, 2 + 4 blocks",
    {
        "num_layers": 2, "num_single_layers": 4, "num_attention_heads": 4, "joint_attention_dim": 512, "pooled_projection_dim": 128,
        "lora_rank": 16, "vector_lora_ranks": (16, 16), "text_lora_rank": 16,
    },
    64, (32, 32, 64, 64), ((256, 256), (512, 512), (512, 128)), torch.float32,
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What one way of working took: seconds for all steps, peak bytes on the card (0 on the processor), and the latents that came out."""

    seconds: float
    peak: int
    latents: Tensor


def random_weights(module: nn.Module, device: torch.device, dtype: torch.dtype, home: torch.device | str = "cpu") -> nn.Module:
    """Materialise a module of the meta device at `home`: weights of the size that training gives; the random numbers come from `device`."""
    module.to(dtype).to_empty(device=home)  # in this order: at full size, float32 would take minutes and 57 GB
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
            else:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator, device=device, dtype=dtype).mul_(0.7 * fan_in**-0.5))
    return module.requires_grad_(False).eval()


def new_pipeline(scale: Scale, device: torch.device) -> JointDiTPipeline:
    """A pipeline with random weights; the text encoders are stand-ins, since the text is random too."""
    with torch.device("meta"):
        transformer = JointDiTTransformer2DModel(**scale.transformer)
        autoencoder = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=scale.autoencoder,
            layers_per_block=2, latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
        )  # fmt: skip
    pipeline = JointDiTPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULE), vae=random_weights(autoencoder, device, torch.float32), text_encoder=nn.Identity(),
        tokenizer=None, text_encoder_2=nn.Identity(), tokenizer_2=None, transformer=random_weights(transformer, device, scale.dtype),
        max_sequence_length=scale.text_tokens,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def text(scale: Scale, pipeline: JointDiTPipeline) -> tuple[Tensor, Tensor]:
    """Random token states and pooled vector."""
    config, generator = pipeline.transformer.config, torch.Generator().manual_seed(1)
    tokens = torch.randn(1, scale.text_tokens, config.joint_attention_dim, generator=generator)
    pooled = torch.randn(1, config.pooled_projection_dim, generator=generator)
    return tokens.to(scale.dtype), pooled.to(scale.dtype)


def noise(width: int, height: int) -> Tensor:
    """Packed noise of both branches."""
    return torch.randn(2, width * height // 256, 64, generator=torch.Generator().manual_seed(2))


@contextmanager
def measured(device: torch.device) -> Iterator[Callable[[], tuple[float, int]]]:
    """Seconds and peak bytes of what happens inside."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    start, result = time.perf_counter(), []
    yield lambda: result[0]
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    result.append((time.perf_counter() - start, torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0))


def sample(pipeline: JointDiTPipeline, scale: Scale, width: int, height: int, steps: int, decode: bool = False, warm: bool = True) -> Run:
    """The pipeline's own sampler, once to warm up and once measured; `decode` also decodes both pictures, for the peak."""
    device = pipeline._execution_device
    read = tuple(part.to(device) for part in text(scale, pipeline))

    def work(count: int) -> Tensor:
        latents = pipeline.denoise(noise(width, height).to(device), read, (height // 16, width // 16), count, 3.5)
        if decode:
            pipeline.decode(latents, height, width)
        return latents

    with torch.no_grad():
        if warm:
            work(steps)
        with measured(device) as result:
            latents = work(steps)
    return Run(*result(), latents.float().cpu())


@torch.no_grad()
def plain(model: JointDiTTransformer2DModel, scale: Scale, pipeline: JointDiTPipeline, width: int, height: int, steps: int, device: torch.device) -> Run:
    """A plain two-branch program: everything computed in every step."""
    tokens, pooled = (x.to(device).repeat(2, *[1] * (x.ndim - 1)) for x in text(scale, pipeline))
    ids, text_ids = image_position_ids(height // 16, width // 16, device), torch.zeros(scale.text_tokens, 3, device=device)

    def change(x: Tensor, sigma: float) -> Tensor:
        level, guidance = torch.full((2,), sigma, device=device), torch.full((2,), 3.5, device=device)
        return model(x.to(scale.dtype), tokens, pooled, level, ids, text_ids, guidance, return_dict=False)[0]

    return euler(change, noise(width, height).to(device), schedule(pipeline, width, height, steps))


@torch.no_grad()
def stock_flux(scale: Scale, pipeline: JointDiTPipeline, width: int, height: int, steps: int, device: torch.device, compiled: bool) -> Run:
    """diffusers' FLUX for one image."""
    own = ("lora_rank", "vector_lora_ranks", "text_lora_rank")
    with torch.device("meta"):
        flux = FluxTransformer2DModel(
            guidance_embeds=True, **{"joint_attention_dim": 4096, "pooled_projection_dim": 768} | {k: v for k, v in scale.transformer.items() if k not in own}
        )
    flux = random_weights(flux, device, scale.dtype).to(device)
    if (attention := best_attention(device)) != "native":
        flux.set_attention_backend(attention)
    if compiled:
        flux.compile_repeated_blocks(fullgraph=True)
    tokens, pooled = (x.to(device) for x in text(scale, pipeline))
    ids, text_ids = image_position_ids(height // 16, width // 16, device), torch.zeros(scale.text_tokens, 3, device=device)

    def change(x: Tensor, sigma: float) -> Tensor:
        level, guidance = torch.full((1,), sigma, device=device), torch.full((1,), 3.5, device=device)
        return flux(x.to(scale.dtype), tokens, pooled, level, ids, text_ids, guidance, return_dict=False)[0]

    return euler(change, noise(width, height)[:1].to(device), schedule(pipeline, width, height, steps))


def euler(change: Callable[[Tensor, float], Tensor], start: Tensor, sigmas: list[float]) -> Run:
    """The Euler sum over noise levels, once to warm up and once measured; `change` gives the velocity at a level."""

    def work() -> Tensor:
        x = start
        for sigma, following in pairwise(sigmas):
            x = x + (following - sigma) * change(x, sigma).float()
        return x

    work()
    with measured(start.device) as result:
        latents = work()
    return Run(*result(), latents.cpu())


def schedule(pipeline: JointDiTPipeline, width: int, height: int, steps: int) -> list[float]:
    """The noise levels of the pipeline's own schedule, 0 at the end."""
    shift = scheduler_shift(width * height // 256, pipeline.scheduler.config)
    pipeline.scheduler.set_timesteps(sigmas=torch.linspace(1.0, 1 / steps, steps).tolist(), mu=shift)
    return pipeline.scheduler.sigmas.tolist()


def error(run: Run, exact: Run) -> str:
    """Root mean square of the difference of the final latents over their deviation: RGB, depth."""
    halves = zip(run.latents.chunk(2), exact.latents.chunk(2), strict=True)
    return " / ".join(f"{((a - b).square().mean().sqrt() / b.std()).item():.1e}" for a, b in halves)


def table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """One table in Markdown."""
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()


def note(row: list[str]) -> None:
    """Tell a row as soon as it is there: a run that is cut off has then not been for nothing."""
    print(" | ".join(row), file=sys.stderr, flush=True)


def free(device: torch.device) -> None:
    """Give back what the last model left."""
    gc.collect()
    torch.compiler.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def placed(scale: Scale, device: torch.device, plan: Plan, compiled: bool = False, products: bool = False) -> JointDiTPipeline:
    """A new pipeline laid out under a plan."""
    pipeline = new_pipeline(scale, device)
    pipeline.place(plan, device, scale.dtype, products)
    use_attention(pipeline.transformer, best_attention(device))
    if compiled:
        compile_blocks(pipeline.transformer)
    return pipeline


def gibibytes(nbytes: float) -> str:
    """Bytes as text; nothing is measured on the processor."""
    return "not measured" if not nbytes else f"{nbytes / GIB:.2f} GiB" if nbytes > GIB else f"{nbytes / MIB:.0f} MiB"


def pictures(scale: Scale, sizes: Sequence[tuple[int, int]], device: torch.device, steps: int, compiled: bool, rate: float) -> bool:
    """Seconds by size: stock FLUX, the plain program, ours; returns whether the targets that apply were met."""
    rows, met, base = [], True, new_pipeline(scale, device)
    for width, height in sizes:
        work = operations(base.transformer.config, width * height // 256, scale.text_tokens)
        flux = stock_flux(scale, base, width, height, steps, device, False)
        free(device)
        fluxes = {False: flux, True: stock_flux(scale, base, width, height, steps, device, True) if compiled else flux}
        free(device)
        model = base.transformer.to(device)
        slow = plain(model, scale, base, width, height, steps, device)
        base.transformer.to("cpu")
        free(device)
        variants: list[tuple[str, Plan, bool, bool]] = [("ours, exact", Plan("exact", 0, 0, False, 0), False, False)]
        if compiled:
            variants.append(("ours, exact, compiled", Plan("exact", 0, 0, False, 0), True, False))
            if fp8_products(device):
                variants.append(("ours, float8 products, compiled", Plan("fp8", 0, 0, False, 0), True, True))
        size = f"{width} x {height}"
        rows += [[size, name, f"{run.seconds:.2f}", "", share(amount, steps, run, rate), gibibytes(run.peak), ""] for name, run, amount in
                 (("stock diffusers FLUX, one image", flux, work.one_branch), ("plain two-branch program", slow, work.total))]  # fmt: skip
        rows[-1][3], rows[-2][3] = f"{slow.seconds / flux.seconds:.2f}", "1.00"
        note(rows[-2])
        note(rows[-1])
        for name, plan, is_compiled, products in variants:
            run = sample(placed(scale, device, plan, is_compiled, products), scale, width, height, steps)
            ratio = run.seconds / fluxes[is_compiled].seconds
            rows.append([size, name, f"{run.seconds:.2f}", f"{ratio:.2f}", share(work.total, steps, run, rate), gibibytes(run.peak), error(run, slow)])
            note(rows[-1])
            if scale is FULL and "H200" in this_machine(device).name and steps == 20 and (width, height) in TARGETS and is_compiled:
                met &= run.seconds < TARGETS[width, height][products] and (products or ratio <= TARGET_RATIO)
            free(device)
    header = ["picture", "program", f"s for {steps} steps", "times one-branch FLUX, same settings", "share of the matrix rate", "peak", "error, RGB / depth"]
    table(f"Pictures ({scale.name}, {device.type}, {str(scale.dtype).removeprefix('torch.')})", header, rows)
    return met


def share(amount: int, steps: int, run: Run, rate: float) -> str:
    """How much of the measured rate of matrix products a run reaches."""
    return f"{100 * amount * steps / run.seconds / rate:.0f} %"


def plans(scale: Scale, device: torch.device, steps: int, compiled: bool) -> None:
    """Every plan and option at one size: seconds, peak with decoding, error against the exact run."""
    width, height = scale.pictures[1]
    blocks = scale.blocks
    exact_plan = Plan("exact", 0, 0, False, 0)
    exact = sample(placed(scale, device, exact_plan), scale, width, height, steps, decode=True)
    free(device)
    rows = [["exact (reference)", f"{exact.seconds:.2f}", "1.00", gibibytes(exact.peak), ""]]
    variants: list[tuple[str, Plan, bool, bool, float]] = [
        ("full: modulations stay", Plan("full", 0, 0, True, 0), False, False, 0.0),
        ("exact, a fifth of the blocks visiting", Plan("exact", blocks // 5, 0, False, 0), False, False, 0.0),
        ("exact, all blocks visiting", Plan("exact", blocks, 0, False, 0), False, False, 0.0),
        ("fp8", Plan("fp8", 0, 0, False, 0), False, False, 0.0),
        ("nf4", Plan("nf4", 0, 0, False, 0), False, False, 0.0),
        ("nf4, half of the blocks visiting", Plan("nf4", blocks // 2, 0, False, 0), False, False, 0.0),
    ]
    variants.append(("exact, step cache 0.1 (approximation)", exact_plan, False, False, 0.1))
    if fp8_products(device):
        variants.append(("fp8, products in float8", Plan("fp8", 0, 0, False, 0), False, True, 0.0))
    if compiled:
        variants += [("exact, compiled", exact_plan, True, False, 0.0), ("nf4, compiled", Plan("nf4", 0, 0, False, 0), True, False, 0.0)]
    for name, plan, is_compiled, products, cache in variants:
        pipeline = placed(scale, device, plan, is_compiled, products)
        set_step_cache(pipeline.transformer, cache)
        run = sample(pipeline, scale, width, height, steps, decode=True)
        rows.append([name, f"{run.seconds:.2f}", f"{run.seconds / exact.seconds:.2f}", gibibytes(run.peak), error(run, exact)])
        note(rows[-1])
        del pipeline
        free(device)
    table(
        f"Plans at {width} x {height}, both pictures decoded ({scale.name}, {device.type})",
        ["plan", f"s for {steps} steps", "times exact", "peak", "error, RGB / depth"], rows,
    )  # fmt: skip


def caps(device: torch.device, steps: int, measure: bool) -> bool:
    """Which plan the full-size model gets on smaller cards at 1024 x 1024, and what it takes under an artificial cap; returns whether all stay below."""
    with torch.device("meta"):
        sizes = sizes_of(JointDiTTransformer2DModel(), 512, encoders=int(9.77e9), autoencoder=int(0.335e9), encoder_visit=int(0.95e9))
    rows, met = [], True
    total = this_machine(device).total
    for gib, most in CAPS.items():
        machine = Machine("cuda", f"{gib} GiB", gib * GIB, int(0.96 * gib * GIB), 64 * GIB, measure and fp8_products(device))
        plan = choose(sizes, machine, Work(1024, 1024, steps))
        peak, seconds = 0.0, "not measured"
        if measure:
            torch.cuda.set_per_process_memory_fraction(gib * GIB / total, torch.cuda.current_device())
            try:
                run = sample(placed(FULL, device, plan, products=machine.fp8_products), FULL, 1024, 1024, steps, decode=True, warm=False)
                peak, seconds = run.peak, f"{run.seconds:.1f}"
            except torch.OutOfMemoryError:
                peak, seconds = float("inf"), "OUT OF MEMORY"
            finally:
                torch.cuda.set_per_process_memory_fraction(1.0, torch.cuda.current_device())
                free(device)
            met &= peak < most * GIB
        rows.append([f"{gib} GiB", plan.title, f"{(plan.peak - MARGIN) / GIB:.2f} GiB", gibibytes(peak), f"{most} GiB", seconds])
        note(rows[-1])
    header = ["card", "plan", "estimated peak of tensors", "measured peak", "target", f"s for {steps} steps"]
    table("Small cards: the full-size model at 1024 x 1024", header, rows)
    return met


def step_cache(steps: int) -> None:
    """What the step cache does to the disparity of the embedded model: the only trained one here, so the only one whose depth can be judged."""
    device = best_device()
    things = ("house on a green hill", "tower by the sea", "ball in a room", "tree in snow")
    prompts = [f"a {colour} {thing}" for colour in ("red", "green") for thing in things]
    pipeline = Model("embedded", EMBEDDED).load().to(device)
    rows: list[list[str]] = []
    exact: tuple[float, Tensor] | None = None
    for threshold in (0.0, 0.1, 0.15, 0.2, 0.3):
        set_step_cache(pipeline.transformer, threshold)

        def work() -> Tensor:
            generators = [torch.Generator().manual_seed(i) for i in range(len(prompts))]
            return pipeline(prompts, num_inference_steps=steps, generator=generators, output_type="pt", guidance_scale=1.0).disparity.cpu()

        work()
        with measured(device) as result:
            disparity = work()
        seconds = result()[0]
        exact = exact or (seconds, disparity)
        # Depth of a scene from 2 to 40 m: 1 / Z = d / near + (1 - d) / far.
        depths = [1 / (d / 2 + (1 - d) / 40) for d in (disparity, exact[1])]
        relative = ((depths[0] - depths[1]).abs() / depths[1]).mean().item()
        rows.append([f"{threshold:g}" if threshold else "off", f"{seconds / exact[0]:.2f}", f"{100 * relative:.2f} %"])
    table(f"Step cache, embedded model, {steps} steps, {len(prompts)} prompts ({device.type})", ["threshold", "times exact", "change of depth, AbsRel"], rows)


def budget() -> None:
    """What full-size pictures take, counted: no hardware is involved."""
    with torch.device("meta"):
        model = JointDiTTransformer2DModel()
    sizes, rows = sizes_of(model, 512), []
    for width, height in FULL.pictures:
        tokens = width * height // 256
        work = operations(model.config, tokens, 512)
        rows.append(
            [
                f"{width} x {height}", f"{work.total / 1e12:.1f}", f"{work.total / work.one_branch:.2f}", gibibytes(work_bytes(sizes, tokens)),
                gibibytes(prepared_bytes(sizes, 20)), gibibytes(decode_bytes(width, height)),
            ]
        )  # fmt: skip
    header = ["picture", "TFLOP a step", "times one-branch FLUX", "work of a step", "prepared modulations, 20 steps", "decoding one picture"]
    table("Counted at full size (no hardware involved)", header, rows)


def main() -> int:
    """Measure and print; returns 1 where a target that applies to this machine is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=["full", "reduced"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="also measure compiled blocks")
    parser.add_argument("--size", action="append", type=lambda text: tuple(map(int, text.split("x"))), help="only these sizes, such as 1024x1024")
    parser.add_argument("--only", choices=["pictures", "plans", "caps", "cache"])
    arguments = parser.parse_args()
    device = best_device()
    able = device.type == "cuda" and this_machine(device).total > 40 * GIB
    scale = {"full": FULL, "reduced": REDUCED, None: FULL if able else REDUCED}[arguments.scale]
    if scale is FULL and device.type != "cuda":
        raise InputError("The full-size model needs a CUDA card here; run the reduced one.")
    logging.set_verbosity_error()
    rate = matrix_rate(device, scale.dtype, side=8192 if device.type == "cuda" else 2048)
    print(f"{this_machine(device).name}, torch {torch.__version__}, {platform.system()}, {rate / 1e12:.2f} TFLOP/s in matrix products")
    met = True
    if arguments.only in (None, "pictures"):
        met &= pictures(scale, arguments.size or scale.pictures, device, arguments.steps, arguments.compile, rate)
    if arguments.only in (None, "plans"):
        plans(scale, device, arguments.steps, arguments.compile)
    if arguments.only in (None, "caps"):
        met &= caps(device, arguments.steps, measure=scale is FULL)
    if arguments.only in (None, "cache"):
        step_cache(arguments.steps)
    budget()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
