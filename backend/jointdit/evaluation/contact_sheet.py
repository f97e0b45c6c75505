# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures at one look, each beside its disparity."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError, OutputError

GAP = 4
"""Pixels of white between the pairs."""


def contact_sheet(images: Tensor, disparities: np.ndarray, columns: int = 8) -> Image.Image:
    """Images (N, 3, H, W) and disparities (N, H, W), both in [0, 1], as pairs in rows."""
    count, _, height, width = images.shape
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    sheet = torch.ones(3, rows * (height + GAP) - GAP, columns * (2 * width + GAP) - GAP)
    for number, (image, disparity) in enumerate(zip(images, disparities, strict=True)):
        top, left = number // columns * (height + GAP), number % columns * (2 * width + GAP)
        sheet[:, top : top + height, left : left + width] = image
        sheet[:, top : top + height, left + width : left + 2 * width] = torch.from_numpy(disparity)
    return Image.fromarray((255 * sheet.clamp(0, 1)).round().byte().permute(1, 2, 0).numpy())


def check_sheet(path: Path) -> None:
    """Before any long work: that a sheet of this name can be written. Raises `InputError`."""
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise InputError(f"The sheet {path.name} has no ending of a picture that can be written. Give the name of a PNG file, such as sheet.png.")


def save_sheet(path: Path, images: Tensor, disparities: np.ndarray) -> None:
    """Write the sheet as a picture file. Raises `OutputError` with a sentence."""
    try:
        contact_sheet(images, disparities).save(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"The sheet cannot be written to {path} ({error}). Give the name of a PNG file in a folder that is yours.") from error
