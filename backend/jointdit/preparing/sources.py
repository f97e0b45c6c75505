# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a folder of pictures holds: each picture with its caption, disparity and depth, found by names; or frame folders (docs/frame.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".exr")
"""Endings of pictures. Of two pictures of one name the earlier ending counts."""
MAPS = {"disparity": (".npy", ".exr", ".png"), "depth": (".exr", ".npy")}
"""Endings of maps beside a picture, the one that counts first."""
MAP = re.compile(r"^(?P<name>.+)[._](?P<kind>disparity|depth)$", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A picture and what lies beside it. `name` is its path in the folder, without the ending; the others are files, or None.

    Of a frame folder `frame` is set, and its caption stands in its frame.json.
    """

    name: str
    picture: Path
    caption: Path | None = None
    disparity: Path | None = None
    depth: Path | None = None
    frame: Path | None = None

    @property
    def files(self) -> list[Path]:
        """Everything that decides what becomes of the picture."""
        frame = self.frame / "frame.json" if self.frame else None
        return [path for path in (self.picture, self.caption, self.disparity, self.depth, frame) if path is not None]


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used, and why, in a sentence."""

    file: str
    why: str


@dataclass(frozen=True)
class Folder:
    """The pictures of a folder in the order of their names, and the files that are of no use."""

    sources: tuple[Source, ...]
    left_out: tuple[LeftOut, ...]


def look_into(folder: Path, without: Path | None = None) -> Folder:
    """Find the pictures of a folder and of the folders in it; what is in the folder `without` is not looked at. Raises `InputError`."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Check its path.")
    if without and without.is_dir() and without.samefile(folder):
        raise InputError(f"The training set cannot lie in {folder} itself, among the pictures. Choose another --output, such as a folder in it.")
    files: dict[tuple[str, str], list[Path]] = {}
    sources: dict[str, Source] = {}
    again: list[Path] = []
    try:
        for path in _walk(folder, without.resolve() if without else None, set(), again):
            if path.is_dir():
                name = path.relative_to(folder).as_posix() if path != folder else folder.name
                sources[name] = Source(name, path / "image.png", disparity=path / "disparity.exr", frame=path)
            else:
                stem, kind = _kind(path)
                if kind:
                    files.setdefault(((path.parent.relative_to(folder) / stem).as_posix(), kind), []).append(path)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read ({error.strerror or error}). Check its permissions.") from error
    left_out = [LeftOut(path.relative_to(folder).as_posix(), "It leads to a folder that was looked into already.") for path in again]
    for (name, kind), paths in files.items():
        if kind != "picture":
            continue
        first, *others = sorted(paths, key=lambda path: (PICTURES.index(path.suffix.lower()), path.name))
        left_out += [LeftOut(path.relative_to(folder).as_posix(), f"It has the same name as {first.name}, which is used.") for path in others]
        if name in sources:
            left_out.append(LeftOut(name, f"This frame folder has the same name as {first.name}, which is used."))
        beside = {what: _first(files.get((name, what), []), what) for what in ("caption", *MAPS)}
        sources[name] = Source(name, first, **beside)
    for (name, kind), paths in files.items():
        if kind in MAPS and name not in sources:
            left_out += [LeftOut(path.relative_to(folder).as_posix(), f"It is the {kind} of a picture {name}, which is not there.") for path in paths]
    if not sources:
        raise InputError(f"The folder {folder} holds no pictures (PNG, JPEG, WebP, TIFF, EXR or frame folders). Choose another folder.")
    return Folder(tuple(sources[name] for name in sorted(sources)), tuple(sorted(left_out, key=lambda one: one.file)))


def _walk(folder: Path, without: Path | None, known: set[Path], again: list[Path]) -> Iterator[Path]:
    """Files and frame folders in a fixed order; what begins with a dot is hidden. A link to one of the `known` folders is added to `again` instead."""
    known.add(folder.resolve())
    if (folder / "frame.json").is_file():
        yield folder
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            place = path.resolve()
            if place in known:
                again.append(path)
            elif place != without:
                yield from _walk(path, without, known, again)
        elif path.is_file():
            yield path


def _kind(path: Path) -> tuple[str, str]:
    """The name of the picture that a file belongs to, and what the file is; "" for a file of no known kind."""
    ending = path.suffix.lower()
    found = MAP.match(path.stem)
    if found and ending in (*PICTURES, ".npy"):
        return found["name"], found["kind"].lower()
    return path.stem, "caption" if ending == ".txt" else "picture" if ending in PICTURES else ""


def _first(paths: list[Path], kind: str) -> Path | None:
    """The file that counts; one of a kind that cannot be used comes last, so that its reader can say so."""
    endings = MAPS.get(kind, ())
    return min(paths, key=lambda path: (endings.index(path.suffix.lower()) if path.suffix.lower() in endings else len(endings), path.name), default=None)


def describe_frame(frame: Path) -> dict[str, Any]:
    """The frame.json of a frame folder. Raises `InputError` where it cannot be read or is no perspective view."""
    try:
        about = json.loads((frame / "frame.json").read_text(encoding="utf-8"))
        projection = about["camera"]["projection"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"The frame.json in {frame.name} cannot be read ({error}). Make the frame again.") from error
    if projection != "perspective":
        raise InputError(f"{frame.name} is no perspective frame but {projection}; only ordinary views are learned from.")
    return about


def caption_of(source: Source) -> str | None:
    """The caption that lies beside a picture, on one line; None where there is none. Raises `InputError` for a file that is empty or no text."""
    if source.frame:
        prompt = describe_frame(source.frame).get("prompt")
        return one_line(prompt) or None if isinstance(prompt, str) else None
    if source.caption is None:
        return None
    try:
        text = one_line(source.caption.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"The caption {source.caption.name} cannot be read as UTF-8 text ({error}). Save it again.") from error
    if not text:
        raise InputError(f"The caption {source.caption.name} is empty. Write one, or remove the file.")
    return text


def one_line(text: str) -> str:
    """A text without line breaks and superfluous space, and without half a surrogate pair, which is no text for a tokenizer."""
    return " ".join(text.encode("utf-8", "replace").decode().split())
