# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture and its exact depth as files of a training set (docs/render-set.md): complete or not there, and recognized when they are there."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .files import FileError
from .pictures import PictureError, read_exr_header, write_exr

VERSION = 1
LONGEST = 32
"""Letters of a part of a file's name: on Windows a whole path has room for 260."""
WORKPLACE = ".unfinished"
"""Folder within the set for files that are being made: readers of sets pass over names that begin with a dot."""
SKY = 1e9
"""Cycles writes 1e10 where nothing is seen."""
DEPTH, OBJECT = ("Depth.Z",), ("IndexOB.X", "Object Index.X")
"""How the layers of a render end, in this and that version of Blender."""


def slug(text: str) -> str:
    """A name as part of a file's name on every system."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    found = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST].strip("-")
    # Names in other scripts leave nothing; they still have to differ.
    return found or hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]


def unique_slugs(names: list[str]) -> list[str]:
    """The slugs of names, with a number where one was there before."""
    given: list[str] = []
    for name in names:
        base = candidate = slug(name)
        number = 1
        while candidate in given:
            number += 1
            candidate = f"{base}-{number}"
        given.append(candidate)
    return given


def disparity(depth: np.ndarray) -> np.ndarray:
    """Planar distances, inf in the sky -> 1/Z, 0 in the sky, scaled so that the nearest is 1 and the farthest 0; float32. Flat depth becomes zeros."""
    inverse = np.divide(1.0, depth, dtype=np.float64)
    low, high = inverse.min(), inverse.max()
    return ((inverse - low) / (high - low) if high > low else np.zeros_like(inverse)).astype(np.float32)


def read_layer(path: Path, endings: tuple[str, ...]) -> np.ndarray:
    """One layer of an uncompressed 32-bit EXR that Blender has rendered, (height, width) float32. Raises `FileError`."""
    try:
        header = read_exr_header(path)
        found = [number for number, name in enumerate(header.channels) if name.endswith(endings)]
        line = np.dtype([("row", "<i4"), ("bytes", "<u4"), ("values", "<f4", (len(header.channels), header.width))])
        # Without compression the lines lie at the end of the file, each after its number and its length.
        lines = np.frombuffer(path.read_bytes()[-header.height * line.itemsize :], line)
        whole = np.array_equal(lines["row"], np.arange(header.height)) and bool((lines["bytes"] == line.itemsize - 8).all())
    except (OSError, PictureError, ValueError) as error:
        raise FileError(f"The depth that Blender has rendered cannot be read ({error}); free some space and run the command again.") from error
    if not found or not whole:
        raise FileError("Blender has rendered no plain depth layer; please send a report with the version of your Blender.")
    return np.array(lines["values"][:, found[0]])


def read_depth(path: Path, scale: float) -> np.ndarray:
    """The depth of a render in meters, inf where nothing is seen; `scale`: meters of a unit. Raises `FileError`."""
    values = read_layer(path, DEPTH)
    return np.where(values < SKY, values * np.float32(scale), np.float32(np.inf))


@dataclass(frozen=True)
class Pair:
    """The files of one picture in the folder of a set."""

    folder: Path
    name: str

    @property
    def image(self) -> Path:
        """What is seen."""
        return self.folder / f"{self.name}.png"

    @property
    def workplace(self) -> Path:
        """Where its files are made; on the same disk, so that they can be put in place at once."""
        return self.folder / WORKPLACE

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them; the last one is put in place last, so where it is, all are."""
        endings = (".png", ".txt", ".depth.exr", "_disparity.exr", ".json")
        return tuple(self.folder / f"{self.name}{ending}" for ending in endings)

    def is_complete(self, settings: str, since: float) -> bool:
        """Whether it is there, made with these settings from a file not changed after `since` (seconds since 1970)."""
        about = self.files[-1]
        try:
            told = json.loads(about.read_text("utf-8"))
            newer = about.stat().st_mtime >= since
        except (OSError, ValueError, RecursionError):
            return False
        return newer and isinstance(told, dict) and told.get("settings") == settings and all(path.is_file() for path in self.files)

    def write(self, image: Path, depth: np.ndarray, caption: str, about: dict[str, Any]) -> None:
        """Put a rendered picture, moved from `image`, and all that belongs to it in place. Raises `FileError`."""
        made = [self.workplace / path.name for path in self.files]
        try:
            # No name stands for a half-new pair: what was there before goes first.
            self.files[-1].unlink(missing_ok=True)
            image.replace(made[0])
            made[1].write_text(caption + "\n", "utf-8", newline="\n")
            write_exr(made[2], depth)
            write_exr(made[3], disparity(depth))
            made[4].write_text(json.dumps(about, indent=1) + "\n", "utf-8", newline="\n")
            for work, path in zip(made, self.files, strict=True):
                work.replace(path)
        except OSError as error:
            raise FileError(f"{self.image} cannot be written ({error.strerror or error}); free some space or choose another folder.") from error
