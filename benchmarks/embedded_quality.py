# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the embedded model's card, on held-out scenes: `python benchmarks/embedded_quality.py` prints them as a table in Markdown."""

from __future__ import annotations

import numpy as np
import torch
from jointdit.evaluation.depth import aligned_error, depth_errors
from jointdit.models import Models
from jointdit.procedural import render
from jointdit.training.data import HELD_OUT

PROMPTS = ("a red cube", "a house on a green meadow", "a blue ball on the left", "a tower in the desert")


def generators(count: int) -> list[torch.Generator]:
    """Seeds 0 ... count - 1."""
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def median_error(estimates: np.ndarray, truths: np.ndarray) -> float:
    """Median over the pictures of `aligned_error`."""
    return float(np.median([aligned_error(e, t) for e, t in zip(estimates, truths, strict=True)]))


def main() -> None:
    """Measure and print."""
    models = Models()
    pipeline = models.pipeline(models.find("embedded"))

    def depth_of(images: torch.Tensor) -> np.ndarray:
        return pipeline(image=images, generator=generators(len(images)), output_type="np").disparity

    scenes = render(range(HELD_OUT, HELD_OUT + 32), 128)
    estimates, truths = depth_of(scenes.image), scenes.disparity[:, 0].numpy()
    depths, grounds = scenes.depth[:, 0].numpy(), ~scenes.sky[:, 0].numpy()
    relative, delta = np.mean([depth_errors(*maps) for maps in zip(estimates, depths, grounds, strict=True)], axis=0)
    made = pipeline(list(PROMPTS) * 4, generator=generators(16), output_type="pt")
    given = render(range(HELD_OUT + 100, HELD_OUT + 116), 128)
    painted = pipeline(given.captions, disparity=given.disparity[:, 0], generator=generators(16), output_type="pt").images
    rows = (
        ("depth of an unseen picture", f"{median_error(estimates, truths):.3f}", 32),
        ("with another picture's depth", f"{median_error(np.roll(estimates, 1, axis=0), truths):.3f}", 32),
        ("the same as depth outside the sky: AbsRel, delta1", f"{100 * relative:.1f} %, {100 * delta:.1f} %", 32),
        ("jointly made disparity against the estimate from its own picture", f"{median_error(depth_of(made.images), made.disparity.numpy()):.3f}", 16),
        ("image for an exact disparity, its depth estimated again", f"{median_error(depth_of(painted), given.disparity[:, 0].numpy()):.3f}", 16),
    )
    print("| what | measured | pictures |\n|---|---|---|")
    for row in rows:
        print("| {} | {} | {} |".format(*row))


if __name__ == "__main__":
    main()
