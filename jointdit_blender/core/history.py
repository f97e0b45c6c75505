# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results in a folder: found, searched and deleted. No bpy: plain Python."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .frame import DESCRIPTION_NAME, DISPARITY_NAME, IMAGE_NAME, Frame, FrameError, parse_description

OURS = {DESCRIPTION_NAME, IMAGE_NAME, DISPARITY_NAME, "thumbs.db", "desktop.ini", ".ds_store"}
"""What may lie in a frame folder; the last three are made by file managers."""
DERIVED, DERIVED_NAMES = "derived", ("maps-", "behind-", "sky-")
"""The folder in it, and the beginnings of the files there, that are made when its pictures stay files (scene.maps)."""
PAGE = 6
"""How many results a list shows at first, and how many more at a time."""
KINDS = {
    "joint": "Text",
    "image_to_depth": "Depth of a picture",
    "depth_to_image": "Painted onto a depth",
    "panorama": "Panorama",
    "panorama_depth": "Depth of a photograph",
    "imported": "Imported",
}


@dataclass(frozen=True)
class Entry:
    """One result. `changed` is the time (nanoseconds) of its frame.json; its pictures have not been looked at."""

    frame: Frame
    changed: int

    @property
    def name(self) -> str:
        """What it is known by: the name of its folder."""
        return self.frame.folder.name

    @property
    def title(self) -> str:
        """What a list calls it."""
        return " ".join(self.frame.prompt.split()) or KINDS.get(self.frame.task, self.frame.task)

    @property
    def facts(self) -> str:
        """What it is, in a few words: “Text · 512 x 512 · seed 7 · 20 steps · embedded”."""
        frame = self.frame
        words = [KINDS.get(frame.task, frame.task), f"{frame.width} x {frame.height}"]
        words += [f"seed {frame.seed}"] if frame.seed is not None else []
        words += [f"{frame.steps} steps"] if frame.steps is not None else []
        return " · ".join(words + ([frame.model] if frame.model else []))

    def matches(self, words: Sequence[str]) -> bool:
        """Whether all of these casefolded words are in its title or its facts."""
        text = f"{self.title} {self.facts}".casefold()
        return all(word in text for word in words)


def scan(folder: Path, known: Iterable[Entry] = ()) -> list[Entry]:
    """The results in a folder, the newest first. Half-written and broken ones are left out; those in `known` that have not changed are not read again.

    A folder that is not there has no results; raises OSError when it cannot be read.
    """
    before = {(entry.frame.folder, entry.changed): entry for entry in known}
    found = []
    if not folder.is_dir():
        return []
    for place in folder.absolute().iterdir():
        if place.name.startswith("."):
            continue
        description = place / DESCRIPTION_NAME
        try:
            changed = description.stat().st_mtime_ns
            entry = before.get((place, changed)) or Entry(parse_description(description.read_text(encoding="utf-8"), place), changed)
        except (OSError, UnicodeDecodeError, FrameError):
            continue
        found.append(entry)
    return sorted(found, key=lambda entry: (-entry.changed, entry.name))


def unused_seeds(entries: Sequence[Entry], like: Frame, count: int, most: int) -> list[int]:
    """The next seeds, up to `most` and then from 0, with which there is no result of the same prompt, task, model and size yet."""
    def kind(frame: Frame) -> tuple[object, ...]:
        return frame.prompt, frame.task, frame.model, frame.width, frame.height

    used = {entry.frame.seed for entry in entries if kind(entry.frame) == kind(like)} | {like.seed}
    found: list[int] = []
    seed = like.seed or 0
    while len(found) < count:
        seed = seed + 1 if seed < most else 0
        if seed not in used:
            found.append(seed)
            used.add(seed)
    return found


def search(entries: Sequence[Entry], text: str) -> list[Entry]:
    """The entries in which every word of the text is found, in whatever case."""
    words = text.casefold().split()
    return [entry for entry in entries if entry.matches(words)]


def _ours(item: Path) -> bool:
    """Whether a file or folder in a frame folder was made by us or by a file manager."""
    if item.name == DERIVED and item.is_dir() and not item.is_symlink():
        return all(inner.is_file() and (inner.name.startswith(DERIVED_NAMES) or _ours(inner)) for inner in item.iterdir())
    return item.name.casefold() in OURS and not item.is_dir()


def delete(folder: Path) -> None:
    """Delete a frame folder. Raises `FrameError` when it holds anything else, or cannot be deleted: then as much as possible of it is left."""
    if not (folder / DESCRIPTION_NAME).is_file():
        raise FrameError(f"{folder} is no frame folder; it was left alone.")
    strange = sorted(item.name for item in folder.iterdir() if not _ours(item))
    if strange:
        raise FrameError(f"{folder} also holds {', '.join(strange[:3])}: move that elsewhere, or delete the folder yourself.")
    # Out of the way first: a folder that is deleted halfway would be a broken result.
    doomed = folder.with_name(f".deleted-{folder.name}")
    try:
        folder.rename(doomed)
    except OSError as error:
        raise FrameError(f"{folder} cannot be deleted ({error.strerror or error}): close the programs that use it.") from error
    try:
        shutil.rmtree(doomed)
    except OSError as error:
        doomed.rename(folder)
        raise FrameError(f"{folder} cannot be deleted ({error.strerror or error}): close the programs that use it.") from error
