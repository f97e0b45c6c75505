# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature view as one picture: a column for each pair, rows with a label."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .features import BRANCHES, View

SIDE = 160
"""Pixels of the longer side of a picture on the sheet."""
GAP, LABEL, TEXT = 4, 150, 14


def stretched_colors(maps: np.ndarray) -> np.ndarray:
    """Components (rows, columns, 3) of one picture as uint8 colors, each over its whole range; a flat one is black."""
    low, high = maps.min(axis=(0, 1)), maps.max(axis=(0, 1))
    return np.rint(255 * (maps - low) / np.where(high > low, high - low, 1)).astype(np.uint8)


def rows_of(view: View, shown: int) -> list[tuple[str, list[Image.Image]]]:
    """The sheet's rows of pictures with their labels: picture, disparity, and the features of each block, branch by branch and variant by variant."""
    shown = min(shown, len(view.pairs.prompts))
    images = [Image.fromarray(np.rint(255 * x.permute(1, 2, 0).numpy()).astype(np.uint8)) for x in view.pairs.images[:shown]]
    disparities = [Image.fromarray(np.rint(255 * x.numpy()).astype(np.uint8)).convert("RGB") for x in view.pairs.disparities[:shown]]
    rows = [("picture", images), ("disparity", disparities)]
    for k, block in enumerate(view.blocks):
        for b, branch in enumerate(BRANCHES):
            for v, variant in enumerate(view.variants):
                colors = [Image.fromarray(stretched_colors(one)) for one in view.maps[v, k, b, :shown]]
                rows.append((f"block {block}, {branch}" + (f"\n{variant}" if v else ""), colors))
    return rows


def sheet(view: View, shown: int) -> Image.Image:
    """The first pairs of a view, side by side."""
    rows = rows_of(view, shown)
    width, height = _small(rows[0][1][0].size)
    page = Image.new("RGB", (LABEL + len(rows[0][1]) * (width + GAP), len(rows) * (height + GAP)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    for i, (label, pictures) in enumerate(rows):
        top = i * (height + GAP)
        draw.multiline_text((GAP, top + GAP), label, "black", font)
        for j, picture in enumerate(pictures):
            how = Image.Resampling.LANCZOS if i < 2 else Image.Resampling.NEAREST  # patches stay what they are
            page.paste(picture.resize((width, height), how), (LABEL + j * (width + GAP), top))
    return page


def _small(size: tuple[int, int]) -> tuple[int, int]:
    """A size with the longer side `SIDE`."""
    return max(1, round(SIDE * size[0] / max(size))), max(1, round(SIDE * size[1] / max(size)))
