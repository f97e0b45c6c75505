# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures in panels: of what is being made, and of results. They are Blender's previews, which belong to no file and survive loading one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

LARGEST = 512
"""Pixels of a side; a worker that sends more is cut down, since it is drawn as large as a thumb."""


class Thumbnails:
    """One collection of Blender's previews and what is in it."""

    def __init__(self) -> None:
        self._previews: Any = bpy.utils.previews.new()
        self._seen: dict[int, tuple[str, int]] = {}

    def close(self) -> None:
        """Give everything back to Blender."""
        bpy.utils.previews.remove(self._previews)

    def live(self, job: int, path: str | None, step: int) -> dict[str, int]:
        """The icons of a job's picture and depth, 0 where there is none yet, from the file that was announced with this step."""
        if path is not None and self._seen.get(job) != (path, step):
            # What cannot be read now is soon followed by the next one.
            with suppress(OSError, ValueError, EOFError):
                both = np.load(path, allow_pickle=False)
                self._show(job, both)
                self._seen[job] = (path, step)
        names = {"preview": _name(job, "image"), "preview_depth": _name(job, "depth")}
        return {key: self._previews[name].icon_id if name in self._previews else 0 for key, name in names.items()}

    def forget(self, running: Iterable[int]) -> None:
        """Drop the live pictures of all jobs but these."""
        for job in set(self._seen) - set(running):
            del self._seen[job]
            for part in ("image", "depth"):
                if _name(job, part) in self._previews:
                    del self._previews[_name(job, part)]

    def result(self, picture: Path, changed: int) -> int:
        """The icon of a result's picture, which Blender reads when it first draws it."""
        name = f"{picture}|{changed}"
        if name not in self._previews:
            self._previews.load(name, str(picture), "IMAGE")
        return int(self._previews[name].icon_id)

    def _show(self, job: int, both: np.ndarray) -> None:
        """Raises ValueError for what is no picture beside its depth."""
        if both.dtype != np.uint8 or both.ndim != 3 or both.shape[2] != 3 or both.shape[1] < 2:
            raise ValueError("a preview is a picture beside its depth, in bytes")
        half = both.shape[1] // 2
        for part, pixels in (("image", both[:, :half]), ("depth", both[:, half : 2 * half])):
            name = _name(job, part)
            preview = self._previews[name] if name in self._previews else self._previews.new(name)
            small = pixels[:: -(-pixels.shape[0] // LARGEST), :: -(-pixels.shape[1] // LARGEST)]
            height, width = small.shape[:2]
            rgba = np.full((height, width, 4), 255, np.uint8)
            rgba[:, :, :3] = small[::-1]  # Blender counts rows from below
            preview.image_size = (width, height)
            preview.image_pixels.foreach_set(np.ascontiguousarray(rgba).view("<i4").ravel().astype(np.int32))


def _name(job: int, part: str) -> str:
    return f"job {job} {part}"


_thumbnails: Thumbnails | None = None


def current() -> Thumbnails:
    """The pictures; they exist while the extension is registered."""
    if _thumbnails is None:
        raise RuntimeError("JointDiT is not registered")
    return _thumbnails


def register() -> None:
    """Begin without a picture."""
    global _thumbnails
    _thumbnails = Thumbnails()


def unregister() -> None:
    """Leaves no preview behind: Blender would complain at its end."""
    global _thumbnails
    if _thumbnails is not None:
        _thumbnails.close()
        _thumbnails = None
