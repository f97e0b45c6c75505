# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of what is being made, as files for whoever watches (docs/protocol.md)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@contextmanager
def preview_folder(wanted: bool) -> Iterator[Path | None]:
    """A folder for previews as long as the block runs; None where none are wanted or no folder can be made."""
    try:
        # On Windows a file that somebody still reads cannot be removed.
        folder = tempfile.TemporaryDirectory(prefix="jointdit-preview-", ignore_cleanup_errors=True) if wanted else None
    except OSError:
        folder = None
    with folder or nullcontext() as name:
        yield None if name is None else Path(name)


def save_preview(image: torch.Tensor, disparity: torch.Tensor, path: Path) -> Path | None:
    """Image beside disparity as one NPY file, uint8 (H, 2 W, 3), from (1, 3, H, W) and (1, H, W).

    Returns the path, or None where it cannot be written: a full disk, or on Windows somebody who reads the file, costs a preview and never a job.
    """
    import numpy as np
    import torch

    both = torch.cat([image[0], disparity[0].expand(3, -1, -1)], dim=-1).permute(1, 2, 0)
    pixels = (255 * both).round().cpu().numpy().astype(np.uint8)
    part = path.with_suffix(".part.npy")
    try:
        np.save(part, pixels)
        part.replace(path)
    except OSError:
        return None
    return path
