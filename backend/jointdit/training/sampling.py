# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sheets to look at while a model trains: the three tasks on the same pairs with the same noise each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..latents import pack, unpack
from ..pipeline import JointDiTPipeline
from ..placement import lent
from .joint import Text

ROWS = ("image", "disparity", "joint image", "joint disparity", "image to depth", "depth to image")
"""What a sheet shows, from above: the pair itself, then what the model makes of its prompt, of its image, and of its disparity."""


@contextmanager
def at_rest(pipeline: JointDiTPipeline) -> Iterator[None]:
    """While a model that is trained makes pictures: the add-ons in the base model's dtype, as they will be exported, and no gradients."""
    model = pipeline.transformer
    training = model.training
    model.eval()
    addons = [module for name, module in model.named_modules() if name.endswith((".to_joint", ".down", ".up"))]
    try:
        with torch.no_grad(), lent(addons, model.x_embedder.weight.device, model.dtype):
            yield
    finally:
        model.train(training)


def sheet(
    pipeline: JointDiTPipeline, rgb: Tensor, depth: Tensor, text: Text, empty: Text, steps: int = 20, seed: int = 0, guidance: float | None = None
) -> Tensor:
    """A picture (3, 6 H, n W) in [0, 1], its rows as in `ROWS`, of n pairs with clean latents (n, C, h, w) and their text; `at_rest` is around it.

    Pair i has the noise of the seed `seed` + i. Depth is found with the empty prompt, as the paper does.
    """
    model, device = pipeline.transformer, pipeline.device_at_work
    count, (rows, columns) = len(rgb), (rgb.shape[-2] // 2, rgb.shape[-1] // 2)
    guidance = pipeline.config.default_guidance if guidance is None else guidance
    text, empty = (tuple(part.to(device, model.dtype) for part in parts) for parts in (text, empty))
    nothing = tuple(part.expand(count, *part.shape[1:]) for part in empty)
    unguided = None if model.config.guidance_embeds or guidance <= 1 else nothing
    pairs = [torch.randn((2, *rgb.shape[1:]), generator=torch.Generator().manual_seed(seed + i)) for i in range(count)]
    noise = pack(torch.stack(pairs, dim=1).flatten(0, 1)).to(device)
    known = {"image_to_depth": pack(rgb.float()).to(device), "depth_to_image": pack(depth.float()).to(device)}

    def made(task: str) -> tuple[Tensor, Tensor]:
        prompt, against = (nothing, None) if task == "image_to_depth" else (text, unguided)
        latents = pipeline.denoise(noise, prompt, (rows, columns), steps, guidance, task, known.get(task), against)
        images, depths = unpack(latents, rows, columns).chunk(2)
        return images, depths

    joint = made("joint")
    latents = [(rgb, 0), (depth, 1), (joint[0], 0), (joint[1], 1), (made("image_to_depth")[1], 1), (made("depth_to_image")[0], 0)]
    shown = []
    for what, is_depth in latents:
        pictures = pipeline.decode_image(what.to(device).float()).cpu()
        shown.append(pipeline.disparity_of(pictures)[:, None].expand(-1, 3, -1, -1) if is_depth else pictures)
    grid = torch.stack(shown)  # (rows, n, 3, H, W)
    return grid.permute(2, 0, 3, 1, 4).reshape(3, grid.shape[0] * grid.shape[3], -1).float()


def as_image(picture: Tensor) -> Image.Image:
    """(3, H, W) in [0, 1] -> a PIL image."""
    return Image.fromarray((255 * picture.clamp(0, 1)).round().byte().movedim(0, -1).cpu().numpy().astype(np.uint8))
