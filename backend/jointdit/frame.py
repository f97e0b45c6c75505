# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a frame folder (docs/frame.md): under a temporary name first, so that nobody ever reads half of one."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .errors import OutputError
from .pictures import write_exr

FORMAT, VERSION = "jointdit-frame", 1


def check_output(folder: Path) -> None:
    """Make the output folder and try to write into it, before any long work. Raises `OutputError` with a sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"Nothing can be written to the folder {folder} ({error.strerror or error}). Choose another output folder.") from error


def folder_name(prompt: str, seed: int) -> str:
    """A short name that a person recognises and every file system accepts: the first words of the prompt and the seed."""
    words = "-".join(re.findall(r"[a-z0-9]+", prompt.lower()))[:48].strip("-")
    return f"{words or 'frame'}-{seed}"


def write_frame(output: Path, name: str, image: Image.Image, disparity: np.ndarray, about: Mapping[str, Any]) -> Path:
    """Write `image.png`, `disparity.exr` (float32 (H, W)) and `frame.json` (`about`, completed) into a new folder of `output`.

    Returns the folder: `name`, or `name-2`, ... where that exists; older results are never touched. Raises `OutputError` and leaves nothing behind.
    """
    check_output(output)
    if image.size != disparity.shape[::-1]:
        raise ValueError(f"image {image.size} and disparity {disparity.shape[::-1]} differ in size")
    document = {"format": FORMAT, "version": VERSION, **about, "width": image.width, "height": image.height}
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=output))
    try:
        image.save(temporary / "image.png")
        write_exr(temporary / "disparity.exr", disparity)
        (temporary / "frame.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.chmod(0o755)  # mkdtemp makes folders that only their owner may read
        return _rename_to_free(temporary, output / name)
    except OSError as error:
        raise OutputError(f"The result cannot be written to {output} ({error.strerror or error}). Free some space or choose another folder.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename_to_free(temporary: Path, wanted: Path) -> Path:
    for number in range(1, 100_000):
        target = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if target.exists():
            continue
        try:
            temporary.rename(target)
        except OSError:
            if not target.exists():  # not taken by somebody else a moment ago, but a real failure
                raise
        else:
            return target
    raise OutputError(f"The folder {wanted.parent} holds too many results of the name {wanted.name}. Choose another output folder.")
