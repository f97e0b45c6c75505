# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The curves of a run: one JSON object a line, which anything reads, and event files for TensorBoard where that is installed."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from torch import Tensor

from ..errors import OutputError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVES = "curves.jsonl"
log = logging.getLogger(__name__)


class Journal:
    """Writes numbers and pictures of a run into its folder.

    A run that goes on from an earlier checkpoint writes its steps again: `resume` takes back what was written after its step. Without it the first entry of
    a journal takes back what was written at its step and later.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: TextIO | None = None
        self._events: SummaryWriter | None = None
        self._measured: set[tuple[object, int]] = set()

    def resume(self, step: int) -> float:
        """Take back what was written after `step` steps, where a run goes on; returns the seconds that it has worked. Raises `OutputError`."""
        path = self._folder / CURVES
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            points = [point for point in read_curves(path) if point["step"] <= step]
            temporary = path.with_suffix(".tmp")
            temporary.write_text("".join(json.dumps(point) + "\n" for point in points), encoding="utf-8")
            temporary.replace(path)
            self._lines = path.open("a", encoding="utf-8")
        except OSError as error:
            raise self._full(error) from error
        self._events = _events(self._folder, step + 1)
        self._measured = {(point["name"], step) for point in points if point["step"] == step}
        return next((float(point["value"] or 0.0) for point in reversed(points) if point["name"] == "seconds"), 0.0)

    def scalar(self, name: str, value: float, step: int) -> None:
        """One point of a curve; one that was there when the run went on stays. Raises `OutputError` where the folder cannot be written."""
        self._begin(step)
        if (name, step) in self._measured:
            return
        try:
            # JSON knows no infinity.
            self._lines.write(json.dumps({"step": step, "name": name, "value": value if math.isfinite(value) else None}) + "\n")
            self._lines.flush()
        except OSError as error:
            raise self._full(error) from error
        if self._events is not None:
            self._events.add_scalar(name, value, step)

    def image(self, name: str, picture: Tensor, step: int) -> None:
        """A picture (3, H, W) in [0, 1]; only TensorBoard has a place for it."""
        self._begin(step)
        if self._events is not None:
            self._events.add_image(name, picture, step)

    def close(self) -> None:
        """Write what is still to be written."""
        if self._lines is not None:
            self._lines.close()
        if self._events is not None:
            self._events.close()
        self._lines = self._events = None

    def _begin(self, step: int) -> None:
        """Open the files at the first entry."""
        if self._lines is None:
            self.resume(step - 1)

    def _full(self, error: OSError) -> OutputError:
        return OutputError(f"The curves cannot be written to {self._folder} ({error.strerror or error}). Make room, or choose another folder.")


def read_curves(path: Path) -> list[dict[str, float | str | None]]:
    """The points {"step", "name", "value"} of a `curves.jsonl`; a last line that was cut off is left out. Empty where there is no file."""
    if not path.is_file():
        return []
    points = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            point = json.loads(line)
        except ValueError:
            continue
        if isinstance(point, dict) and {"step", "name", "value"} <= set(point):
            points.append(point)
    return points


def _events(folder: Path, step: int) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("TensorBoard is not installed: the curves are in %s only. It comes with the extra `train`.", CURVES)
        return None
    return SummaryWriter(str(folder), purge_step=step, flush_secs=15)
