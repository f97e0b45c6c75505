# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that people have: maps and pictures found by their names, matched, and read as depth or disparity.

A map or picture is a file, or a frame folder (docs/frame.md). Its name is its path in the folder: of a file without the ending, and without words such as
`depth_`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import InputError
from ..pictures import read_disparity

MAPS = (".exr", ".npy", ".png", ".tif", ".tiff")
"""Endings of maps. Of two maps of one name the earlier ending counts: the PNG beside an EXR is there to be looked at."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
MAP_WORDS = frozenset({"depth", "disparity", "pred", "prediction", "gt"})
PICTURE_WORDS = frozenset({"rgb", "image"})
AT_AN_END = re.compile(r"^({0})[_-](?=.)|(?<=.)[_-]({0})$".format("|".join(sorted(MAP_WORDS | PICTURE_WORDS))), re.IGNORECASE)
MASK = "_mask"
"""`x_mask` beside a map `x` is 0 where nothing was measured."""
LONGEST_LIST = 3


@dataclass(frozen=True)
class Pair:
    """A name, and what both folders hold of it: files or frame folders."""

    name: str
    first: Path
    second: Path


@dataclass(frozen=True)
class Matched:
    """Pairs by name, and the names that only one of two folders has."""

    pairs: tuple[Pair, ...]
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()


def maps_in(folder: Path) -> dict[str, Path]:
    """The maps of a folder and of the folders in it, by name. Raises `InputError` where there is none."""
    return _found(folder, MAPS, PICTURE_WORDS, "maps (frame folders, EXR, NPY or 16-bit PNG)")


def pictures_in(folder: Path) -> dict[str, Path]:
    """The picture files of a folder and of the folders in it, by name; of a frame folder its image. Raises `InputError` where there is none."""
    found = _found(folder, PICTURES, MAP_WORDS, "pictures (frame folders, PNG or JPEG)")
    return {name: path / "image.png" if path.is_dir() else path for name, path in found.items()}


def prompts_in(folder: Path) -> dict[str, str]:
    """The prompts of the frame folders in a folder, by name. Raises `InputError`."""
    prompts = {}
    for name, path in _found(folder, PICTURES, MAP_WORDS, "pictures").items():
        prompt = _description(path).get("prompt") if path.is_dir() else None
        if isinstance(prompt, str) and prompt.strip():
            prompts[name] = prompt
    return prompts


def match(first: Mapping[str, Path], second: Mapping[str, Path]) -> Matched:
    """What both have, in the order of names. Raises `InputError` where they share no name."""
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise InputError(
            f"No name is in both folders: one has {_listed(first)}, the other {_listed(second)}. "
            "Name each prediction as what it belongs to, such as kitchen.exr and kitchen.png."
        )
    return Matched(
        tuple(Pair(name, first[name], second[name]) for name in shared),
        tuple(sorted(first.keys() - second.keys())),
        tuple(sorted(second.keys() - first.keys())),
    )


def _listed(found: Mapping[str, Path]) -> str:
    names = sorted(found)
    return ", ".join(names[:LONGEST_LIST]) + (f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else "")


def _found(folder: Path, endings: tuple[str, ...], other_words: frozenset[str], what: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Check its path.")
    if _is_frame(folder):
        return {folder.name: folder}
    try:
        places = list(_walk(folder, endings))
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read ({error.strerror or error}). Check its permissions.") from error
    found: dict[str, tuple[tuple[bool, int], Path]] = {}
    for place, path in places:
        stem, words = (place.name, set()) if path.is_dir() else plain(place.stem)
        # A file whose name says that it is of the other kind counts only where there is nothing else of its name.
        rank = bool(words & other_words), -1 if path.is_dir() else endings.index(path.suffix.lower())
        name = (place.parent.relative_to(folder) / stem).as_posix()
        if (name not in found or rank < found[name][0]) and not (path.is_file() and stem.endswith(MASK)):
            found[name] = rank, path
    if not found:
        raise InputError(f"The folder {folder} holds no {what}. Choose another folder.")
    return {name: path for name, (_, path) in found.items()}


def _is_frame(folder: Path) -> bool:
    return (folder / "frame.json").is_file()


def _walk(folder: Path, endings: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """Files and frame folders, each after the path that names it: a frame folder alone in a folder is named by that, as `--output kitchen` makes it."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if _is_frame(path):
            yield path, path
        elif path.is_dir():
            inside = list(_walk(path, endings))
            alone = len(inside) == 1 and inside[0][1].is_dir() and inside[0][1].parent == path
            yield from [(path, inside[0][1])] if alone else inside
        elif path.suffix.lower() in endings:
            yield path, path


def plain(stem: str) -> tuple[str, set[str]]:
    """A name without the words at its ends that only say what kind of file it is, and these words: `rgb_0001` -> `0001`, {rgb}."""
    words = set()
    while found := AT_AN_END.search(stem):
        words.add(found[0].strip("_-").lower())
        stem = stem[: found.start()] + stem[found.end() :]
    return stem, words


def read_prediction(path: Path, holds: str) -> tuple[np.ndarray, str]:
    """(H, W) float64, and whether it is "disparity" or "depth": as `holds` says, but 1 / metres of a frame folder. Raises `InputError`."""
    if path.is_dir():
        return inverse_depth(path), "disparity"
    return read_disparity(path).astype(np.float64), holds


def inverse_depth(folder: Path) -> np.ndarray:
    """1 / metres (H, W) of a frame folder, float64, as stored: NaN in holes. Raises `InputError`."""
    mapping = _description(folder).get("mapping")
    try:
        if "near" in mapping:
            near, far = float(mapping["near"]), float(mapping["far"])
            scale, shift = 1 / near - 1 / far, 1 / far
        else:
            scale, shift = float(mapping["scale"]), float(mapping["shift"])
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise InputError(f"The frame.json in {folder} does not say how disparity becomes metres. Make the frame again.") from error
    return scale * read_disparity(folder / "disparity.exr").astype(np.float64) + shift


def _description(folder: Path) -> dict[str, object]:
    try:
        about = json.loads((folder / "frame.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"The frame.json in {folder} cannot be read ({error}). Choose another frame, or make it again.") from error
    if not isinstance(about, dict):
        raise InputError(f"The frame.json in {folder} does not describe a frame. Choose another frame, or make it again.")
    return about


def read_depth(path: Path, step: float | None) -> np.ndarray:
    """Depth in metres (H, W), float64: NaN or infinite where there is none. `step` is metres per step of a 16-bit picture. Raises `InputError`."""
    if path.is_dir():
        inverse = inverse_depth(path)
        return np.divide(1.0, inverse, out=np.where(np.isnan(inverse), np.nan, np.inf), where=inverse > 0)
    if path.suffix.lower() in (".exr", ".npy"):
        return read_disparity(path).astype(np.float64)
    if step is None:
        raise InputError(f"{path.name} holds whole numbers. Say with --png-step how many metres one step is, such as 0.001.")
    if not _is_deep(path):
        raise InputError(f"{path.name} has 8 bits; depth in metres needs a 16-bit picture, EXR or NPY.")
    return np.rint(read_disparity(path).astype(np.float64) * 65535) * step


def _is_deep(path: Path) -> bool:
    """Whether a picture holds 16-bit numbers. What is no picture at all is left to its reader, which says what is wrong."""
    try:
        with Image.open(path) as image:
            return image.mode.startswith("I")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        return True


def read_mask(path: Path) -> np.ndarray | None:
    """True where something was measured, (H, W), of the mask beside a map; None where there is no mask. Raises `InputError`."""
    if path.is_dir():
        return None
    for ending in (path.suffix, *MAPS):
        mask = path.with_name(path.stem + MASK + ending)
        if mask.is_file():
            return read_disparity(mask) > 0
    return None
