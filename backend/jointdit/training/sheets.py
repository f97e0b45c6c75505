# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures to look at while a small model learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..pipeline import JointDiTPipeline
from ..procedural import render
from .data import HELD_OUT

STEPS = 12  # a look while training must not cost much of it
PROMPTS = (
    "a red cube", "a blue ball on the left", "a house on a green meadow", "snowy mountains at sunset", "a yellow cone in the desert",
    "a tree under a cloudy sky", "a calm sea at night", "a green sphere and a red box", "a white tower on a hill", "a room with a blue wall",
    "a purple pyramid on grey stone", "green hills under a clear blue sky",
)  # fmt: skip


@torch.compiler.set_stance("force_eager")  # training's compiled blocks would be compiled anew for these sizes
def sheet(pipeline: JointDiTPipeline, path: Path, joint_only: bool = False) -> None:
    """Prompts -> images and disparities; under them held-out scenes, their estimated disparity, and images for their disparity.

    `joint_only` leaves out what a base without trained add-ons cannot do.
    """
    size, device = pipeline.config.native_size, pipeline.transformer.device
    training = pipeline.transformer.training
    pipeline.transformer.eval()
    pipeline.vae.to(device)
    generators = [torch.Generator().manual_seed(i) for i in range(len(PROMPTS))]
    joint = pipeline(prompt=list(PROMPTS), generator=generators, output_type="pt", num_inference_steps=STEPS)
    rows = [joint.images, joint.disparity[:, None].expand(-1, 3, -1, -1)]
    if not joint_only:
        rows += _conditional_rows(pipeline, generators, device)
    picture = torch.stack([row.cpu() for row in rows]).permute(0, 3, 1, 4, 2).reshape(len(rows) * size, -1, 3)
    Image.fromarray((255 * picture.clamp(0, 1)).round().byte().numpy().astype(np.uint8)).save(path)
    pipeline.transformer.train(training)


def _conditional_rows(pipeline: JointDiTPipeline, generators: list[torch.Generator], device: torch.device) -> list[torch.Tensor]:
    """Held-out scenes, their exact and their estimated disparity, and an image for the exact one: each (N, 3, H, W)."""
    size = pipeline.config.native_size
    scenes = render(range(HELD_OUT, HELD_OUT + len(PROMPTS)), size, device)
    depth = pipeline(image=scenes.image, generator=generators, output_type="pt", num_inference_steps=STEPS)
    image = pipeline(prompt=scenes.captions, disparity=scenes.disparity[:, 0], generator=generators, output_type="pt", num_inference_steps=STEPS)
    grey = [x[:, None].expand(-1, 3, -1, -1) for x in (scenes.disparity[:, 0], depth.disparity)]
    return [scenes.image, *grey, image.images]
