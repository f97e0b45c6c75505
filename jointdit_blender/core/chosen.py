# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person means by the files that they drop or choose: a frame folder, or a picture and its depth. No bpy: plain Python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .frame import DESCRIPTION_NAME, DISPARITY_NAME, IMAGE_NAME, FrameError
from .pictures import PictureError, read_png_header

DEPTH_WORD = re.compile(r"(?<![a-z])(depth|disparity|disp)(map)?s?(?![a-z])|depth(map)?s?$")
"""In “photo_depth”, “disp0”, “left-disparity”, “roomdepth”, but not in “display”."""
PICTURES = (".exr", ".npy", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".hdr", ".bmp")
FLOAT, SIXTEEN_BITS, GRAY, COLOR = 3, 2, 1, 0
"""How likely a kind of picture is the depth of another one."""


@dataclass(frozen=True)
class Pair:
    """Two pictures of one size: what it looks like, and how near it is."""

    image: Path
    depth: Path


def chosen_frame(paths: Sequence[Path]) -> Path | Pair:
    """The frame folder, or the picture and its depth, that the chosen paths stand for.

    A frame folder is meant by itself, by its frame.json and by its pictures. Of two pictures the one with a word for depth in its name is the
    depth; else the one that is a float picture, has 16 bits, or is gray, in this order. Raises `FrameError` with a sentence.
    """
    if not paths:
        raise FrameError(f"Nothing is chosen: choose the {DESCRIPTION_NAME} of a frame folder, or a picture and its depth.")
    folders = {_folder(path) for path in paths}
    if len(folders) == 1 and (folder := folders.pop()) is not None:
        return folder
    if any(path.name == DESCRIPTION_NAME or path.is_dir() for path in paths):
        raise FrameError("These files belong to several frames: choose one of them at a time.")
    strange = next((path for path in paths if path.suffix.lower() not in PICTURES), None)
    if strange is not None:
        raise FrameError(f"{strange.name} is no picture and no {DESCRIPTION_NAME}: choose a frame folder, or a picture and its depth.")
    if len(paths) == 1:
        raise FrameError(f"{paths[0].name} is one picture, and a frame needs two: choose the picture and its depth together.")
    if len(paths) > 2:
        raise FrameError(f"These are {len(paths)} pictures, and a frame needs two: choose one picture and its depth.")
    return _pair(*paths)


def _folder(path: Path) -> Path | None:
    """The frame folder that a path stands for; None for anything else."""
    if path.is_dir():
        return path
    if path.name == DESCRIPTION_NAME or (path.name in (IMAGE_NAME, DISPARITY_NAME) and path.with_name(DESCRIPTION_NAME).is_file()):
        return path.parent
    return None


def _pair(first: Path, second: Path) -> Pair:
    for tell in (_named_depth, _likeness):
        votes = tell(first), tell(second)
        if votes[0] != votes[1]:
            return Pair(second, first) if votes[0] > votes[1] else Pair(first, second)
    raise FrameError(f"It cannot be told which of {first.name} and {second.name} is the depth: put the word “depth” into its name.")


def _named_depth(path: Path) -> bool:
    # A capital letter begins a word: “roomDepth”.
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", path.stem).lower()
    return DEPTH_WORD.search(words) is not None


def _likeness(path: Path) -> int:
    kind = path.suffix.lower()
    if kind in (".exr", ".npy", ".hdr"):
        return FLOAT
    try:
        header = read_png_header(path)
    except (OSError, PictureError):
        return COLOR
    if header.bits == 16:
        return SIXTEEN_BITS
    return GRAY if header.colour_type in (0, 4) else COLOR
