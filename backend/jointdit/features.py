# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two branches look at: the feature view of the paper's figure 6.

Pictures are made jointly, and stopped half-way. There the image tokens that leave the double-stream blocks are taken, of both branches, every other feature
of them; their three principal components over all pictures become red, green and blue. Sigma is 1 for noise and 0 for clean; the paper's t is 1 - sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .errors import InputError
from .latents import image_position_ids, pack
from .pipeline import JointDiTPipeline
from .prepared import prepare, velocity
from .sampler import even_batches

SIGMA = 0.52
"""The paper looks at t = 0.48."""
SAMPLES = 50
BRANCHES = ("rgb", "depth")
CHANGES = {"joint": 0.0, "adaptive": 1.0}
"""What can be taken away, and the weight of the joint connection that is then left in both branches."""
AS_IS = "as it is"
FEW_BLOCKS = 4
"""So many blocks are looked at where nobody chooses."""

Tick = Callable[[int], None]
"""Told how many pictures have gone through the model once more."""


@dataclass(frozen=True)
class Pairs:
    """N pictures with their disparities, and what the model sees of them at one noise level.

    `latents` (2, N, L, C) packed, RGB first; `images` (N, 3, H, W) and `disparities` (N, H, W) in [0, 1], clean; `grid` the rows and columns of patches.
    All are on the processor.
    """

    prompts: tuple[str, ...]
    sigma: float
    grid: tuple[int, int]
    latents: Tensor
    images: Tensor
    disparities: Tensor


@dataclass(frozen=True)
class View:
    """The principal components of blocks' features.

    `maps` (V, K, 2, N, rows, columns, 3): of `variants`, the first being the model as it is, of `blocks`, and of both branches. All variants are seen along
    the same axes. `variance` (K, 2, 3) are the shares of the variance that the components have.
    """

    pairs: Pairs
    variants: tuple[str, ...]
    blocks: tuple[int, ...]
    maps: np.ndarray
    variance: np.ndarray


def check_size(pipeline: JointDiTPipeline, width: int, height: int) -> None:
    """Raises `InputError` for pictures that would have to be padded."""
    multiple = pipeline.size_multiple
    if width < multiple or height < multiple or width % multiple or height % multiple:
        raise InputError(f"Features are looked at in pictures whose sides are multiples of {multiple} pixels; {width} x {height} was asked for.")


def choose_blocks(pipeline: JointDiTPipeline, wanted: Sequence[int] | None = None) -> tuple[int, ...]:
    """The blocks of these numbers, from 0; without a wish a few from the first to the last. Raises `InputError` where there is no such block."""
    count = len(pipeline.transformer.transformer_blocks)
    if wanted is None:
        return tuple(sorted({round(place) for place in np.linspace(0, count - 1, min(count, FEW_BLOCKS))}))
    wrong = [number for number in wanted if not 0 <= number < count]
    if wrong or not wanted:
        raise InputError(f"This model has the double-stream blocks 0 to {count - 1}; choose among them.")
    return tuple(sorted(set(wanted)))


@torch.no_grad()
def sampled(
    pipeline: JointDiTPipeline, prompts: Sequence[str], seeds: Sequence[int], width: int, height: int,
    steps: int = 20, guidance: float | None = None, sigma: float = SIGMA, at_once: int = 4, tick: Tick = lambda count: None,
) -> Pairs:  # fmt: skip
    """Pairs that are generated jointly, one for each prompt and seed, as they were at the step of the schedule that is nearest to `sigma`.

    Raises `InputError` for sizes that cannot be used, or fewer than two steps.
    """
    check_size(pipeline, width, height)
    if steps < 2:
        raise InputError("With a single step there is nothing between noise and picture. Choose at least 2 steps.")
    made = []
    for first, past in even_batches(len(prompts), at_once):
        halfway: dict[str, Any] = {}

        def keep(pipeline: JointDiTPipeline, step: int, _: Tensor, tensors: dict[str, Tensor], batch: int = past - first, halfway=halfway) -> None:
            sigmas = pipeline.scheduler.sigmas[1:-1].cpu()  # the latents after a step are what the next one sees
            nearest = int((sigmas - sigma).abs().argmin())
            if step == nearest:
                halfway.update(latents=tensors["latents"].float().cpu(), sigma=float(sigmas[nearest]))
            tick(batch)

        generators = [torch.Generator(pipeline.device_at_work).manual_seed(seed) for seed in seeds[first:past]]
        images, disparities = pipeline(
            list(prompts[first:past]), height=height, width=width, num_inference_steps=steps, guidance_scale=guidance, generator=generators,
            output_type="pt", return_dict=False, callback_on_step_end=keep,
        )  # fmt: skip
        made.append((halfway["latents"].unflatten(0, (2, -1)), images.float().cpu(), disparities.float().cpu()))
    latents, images, disparities = (torch.cat(parts, dim=dim) for parts, dim in zip(zip(*made, strict=True), (1, 0, 0), strict=True))
    return Pairs(tuple(prompts), halfway["sigma"], _grid(pipeline, width, height), latents, images, disparities)


@torch.no_grad()
def noised(
    pipeline: JointDiTPipeline, prompts: Sequence[str], images: Tensor, disparities: Tensor, seeds: Sequence[int], sigma: float = SIGMA
) -> Pairs:
    """Given pairs with noise up to `sigma`: `images` (N, 3, H, W), `disparities` (N, H, W) in [0, 1]. Raises `InputError` for sizes that cannot be used."""
    height, width = images.shape[-2:]
    check_size(pipeline, width, height)
    clean = torch.stack([pipeline.encode_image(images), pipeline.encode_disparity(disparities)]).float().cpu()
    noise = torch.stack([torch.randn(2, *clean.shape[2:], generator=torch.Generator().manual_seed(seed)) for seed in seeds], dim=1)
    latents = pack(((1 - sigma) * clean + sigma * noise).flatten(0, 1)).unflatten(0, (2, -1))
    return Pairs(tuple(prompts), sigma, _grid(pipeline, width, height), latents, images.float().cpu(), disparities.float().cpu())


def _grid(pipeline: JointDiTPipeline, width: int, height: int) -> tuple[int, int]:
    return height // pipeline.size_multiple, width // pipeline.size_multiple


@torch.no_grad()
def block_features(
    pipeline: JointDiTPipeline, pairs: Pairs, blocks: Sequence[int], joint_weight: float | None = None, guidance: float | None = None,
    at_once: int = 4, tick: Tick = lambda count: None,
) -> dict[int, Tensor]:  # fmt: skip
    """The features with even numbers of the image tokens that leave each block: (2, N, L, d / 2) on the processor, in the dtype of the model's work.

    Rotary positions turn each feature together with its neighbor, so that every other one is enough. `joint_weight` takes the place of the adaptive weights.
    """
    model = pipeline.transformer
    guidance = pipeline.config.default_guidance if guidance is None else guidance
    visit = nullcontext if pipeline.placement is None else pipeline.placement.visit
    found: dict[int, list[Tensor]] = {number: [] for number in blocks}
    for first, past in even_batches(len(pairs.prompts), at_once):
        latents = pairs.latents[:, first:past].flatten(0, 1).to(pipeline.device_at_work, model.dtype)
        tokens, pooled = pipeline.encode_prompt(pairs.prompts[first:past])
        device, count = tokens.device, len(latents)
        prepared = prepare(
            model, tokens.repeat(2, 1, 1), pooled.repeat(2, 1), torch.full((1, count), pairs.sigma, device=device),
            image_position_ids(*pairs.grid, device), torch.zeros(tokens.shape[1], 3, device=device),
            torch.full((count,), guidance, device=device) if model.config.guidance_embeds else None,
        )  # fmt: skip
        if joint_weight is not None:
            prepared = replace(prepared, joint_weights=(joint_weight, joint_weight))
        with _listening({number: model.transformer_blocks[number] for number in blocks}) as heard:
            velocity(model, latents, prepared, 0, visit)
        for number in blocks:
            found[number].append(heard[number][..., ::2].unflatten(0, (2, -1)).cpu())
        tick(past - first)
    return {number: torch.cat(parts, dim=1) for number, parts in found.items()}


@contextmanager
def _listening(blocks: dict[int, nn.Module]) -> Iterator[dict[int, Tensor]]:
    """While blocks work: the image tokens that leave each of them, by its number."""
    heard: dict[int, Tensor] = {}

    def hear(number: int) -> Callable[..., None]:
        return lambda block, given, made: heard.update({number: made[1]})

    with ExitStack() as stack:
        for number, block in blocks.items():
            stack.callback(block.register_forward_hook(hear(number)).remove)
        yield heard


@dataclass(frozen=True)
class Axes:
    """Principal axes (3, d) of features around their mean (d,), and the shares (3,) of the variance along them; float64."""

    mean: Tensor
    directions: Tensor
    shares: Tensor

    def of(self, features: Tensor) -> Tensor:
        """(..., d) -> (..., 3)."""
        return (features.double() - self.mean) @ self.directions.T


def principal_axes(features: Tensor) -> Axes:
    """Of features (M, d), d at least 3. The sign of an axis is such that its largest entry is positive, so that colors do not depend on the machine."""
    mean = features.mean(dim=0, dtype=torch.float64)
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for part in features.split(2**14):  # in float64 only piece by piece
        centered = part.double() - mean
        covariance += centered.T @ centered
    values, vectors = torch.linalg.eigh(covariance)
    directions = vectors[:, -3:].T.flip(0)
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    shares = values[-3:].flip(0).clamp_min(0) / values.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return Axes(mean, directions * largest.sign(), shares)


def look(
    pipeline: JointDiTPipeline, pairs: Pairs, blocks: Sequence[int], without: Sequence[str] = (), guidance: float | None = None,
    at_once: int = 4, tick: Tick = lambda count: None,
) -> View:  # fmt: skip
    """The components of blocks' features; `without` "joint" also with the joint connection taken away, "adaptive" with weight 1 instead of the adaptive ones.

    The axes are found with the model as it is, over all pairs, for each block and branch on its own.
    """
    blocks = tuple(blocks)
    axes: dict[tuple[int, int], Axes] = {}
    variants = []
    for weight in (None, *(CHANGES[name] for name in without)):
        features = block_features(pipeline, pairs, blocks, weight, guidance, at_once, tick)
        for number in blocks if weight is None else ():
            for branch, seen in enumerate(features[number]):
                axes[number, branch] = principal_axes(seen.flatten(0, 1))
        seen = [torch.stack([axes[number, branch].of(one) for one in features[number][branch]]) for number in blocks for branch in range(2)]
        variants.append(torch.stack(seen).unflatten(-2, pairs.grid).unflatten(0, (len(blocks), 2)).float())
    variance = np.array([[axes[number, branch].shares.tolist() for branch in range(2)] for number in blocks])
    return View(pairs, (AS_IS, *(f"without {name}" for name in without)), blocks, torch.stack(variants).numpy(), variance)


def told(maps: np.ndarray, pictures: Tensor) -> float:
    """How much of pictures (N, H, W) three components (N, rows, columns, 3) tell: the share of the variance that a linear fit explains, 0 to 1.

    The pictures are averaged over the patches. 0 where they are flat.
    """
    seen = torch.nn.functional.adaptive_avg_pool2d(pictures[:, None], maps.shape[1:3]).double().numpy().ravel()
    table = np.column_stack([maps.reshape(-1, 3).astype(np.float64), np.ones(seen.size)])
    rest = seen - table @ np.linalg.lstsq(table, seen, rcond=None)[0]
    spread = ((seen - seen.mean()) ** 2).sum()
    return float(1 - (rest**2).sum() / spread) if spread > 1e-12 * seen.size else 0.0


def figures(view: View) -> dict[str, Any]:
    """What the view shows, in numbers, for each variant, block and branch.

    `variance` of the three components, what they tell of disparity and of brightness, and how far a variant has moved them: root mean square, relative to
    their spread.
    """
    brightness = view.pairs.images.mean(dim=1)
    rows = []
    for v, variant in enumerate(view.variants):
        for k, block in enumerate(view.blocks):
            for b, branch in enumerate(BRANCHES):
                maps, plain = view.maps[v, k, b].astype(np.float64), view.maps[0, k, b].astype(np.float64)
                spread = np.sqrt((plain**2).mean())  # components have no mean
                rows.append(
                    {
                        "variant": variant,
                        "block": block,
                        "branch": branch,
                        "variance": view.variance[k, b].tolist(),
                        "disparity_told": told(maps, view.pairs.disparities),
                        "brightness_told": told(maps, brightness),
                        "moved": float(np.sqrt(((maps - plain) ** 2).mean()) / spread) if spread else 0.0,
                    }
                )
    return {"sigma": view.pairs.sigma, "samples": len(view.pairs.prompts), "grid": view.pairs.grid, "features": rows}


def as_table(view: View) -> str:
    """The figures as Markdown."""
    rows = [
        f"| {row['variant']} | {row['block']} | {row['branch']} | {100 * sum(row['variance']):.0f} | {100 * row['disparity_told']:.0f} "
        f"| {100 * row['brightness_told']:.0f} | {100 * row['moved']:.0f} |"
        for row in figures(view)["features"]
    ]
    return "\n".join(["| model | block | branch | variance % | disparity % | brightness % | moved % |", "|---|---|---|---|---|---|---|", *rows])
