# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all stages share: the options, the notes, the device, the pictures in their crop, and those that are left out."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from ..models import Models
from .images import crop_picture, read_picture
from .plan import Plan, Settings
from .sources import Source

Item = TypeVar("Item")
Report = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """One run of `jointdit prepare`. `left_out` grows: names of pictures, and why each is not used."""

    settings: Settings
    models: Models
    device: torch.device
    plan: Plan
    report: Report
    left_out: dict[str, str] = field(default_factory=dict)

    def leave_out(self, source: Source, why: str) -> None:
        """Go on without a picture, and say so."""
        self.left_out[source.name] = why
        self.report(f"{self.file_of(source)} is left out. {why}")

    def file_of(self, source: Source) -> str:
        """The picture's path in the folder."""
        return source.picture.relative_to(self.settings.folder).as_posix()

    def kept(self, sources: Sequence[Source]) -> list[Source]:
        """Those that are not left out so far."""
        return [source for source in sources if source.name not in self.left_out]

    def groups(self, sources: Sequence[Source]) -> list[Sequence[Source]]:
        """As many pictures as a model gets at once. They are the same in every run, since a model's last bits depend on what comes together."""
        return [sources[start : start + self.settings.batch] for start in range(0, len(sources), self.settings.batch)]

    def picture(self, source: Source) -> np.ndarray:
        """A picture's crop, (size, size, 3) uint8. Raises `InputError`."""
        return crop_picture(read_picture(source.picture), self.settings.size)

    def disparity_file(self, source: Source) -> Path:
        """Where the disparity of a picture is kept. Names that differ in case alone are told apart: P1 and p1 would be one file on Windows and macOS."""
        capitals = source.name != source.name.casefold()
        mark = f"-{hashlib.sha256(source.name.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}" if capitals else ""
        return self.plan.folder / "disparities" / f"{source.name}{mark}.png"

    def watch(self, items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
        """The items, with a progress bar on standard error."""
        return iter(tqdm(items, desc=what, total=total, leave=False, file=sys.stderr))
