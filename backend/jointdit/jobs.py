# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job, from what a person asks for to a frame folder on disk: used by the command line and by the worker alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TASKS = ("joint", "image_to_depth", "depth_to_image")


@dataclass(frozen=True)
class Job:
    """Everything that decides a result. Names, units and defaults are those of docs/protocol.md.

    `width` and `height` of None come from the picture given, else from the model. Angles are degrees, distances metres.
    """

    task: str
    output: Path
    prompt: str = ""
    image: Path | None = None
    disparity: Path | None = None
    width: int | None = None
    height: int | None = None
    seed: int = 0
    steps: int = 20
    guidance: float = 3.5
    model: str = "embedded"
    near: float = 2.0
    far: float = 40.0
    horizontal_angle: float = 55.0
    preview: bool = False

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Job:
        """Check the parameters of a `generate` request; raises `InputError` with a sentence."""
        raise NotImplementedError


@dataclass(frozen=True)
class Progress:
    """`phase` as in docs/protocol.md; `step` of `total` within the phase; `preview` is a PNG file or None."""

    phase: str
    step: int
    total: int
    preview: Path | None = None


@dataclass(frozen=True)
class Result:
    """The frame folder that was written, and sentences the person should read."""

    frame: Path
    warnings: tuple[str, ...]


class Models:
    """The models on this machine, and the pipelines that are in memory."""

    def describe(self) -> list[dict[str, Any]]:
        """The `model` objects of docs/protocol.md."""
        raise NotImplementedError

    def device(self) -> dict[str, Any]:
        """The `device` object of docs/protocol.md."""
        raise NotImplementedError

    def programs(self) -> dict[str, str]:
        """Versions of the programs that make the result."""
        raise NotImplementedError

    def unload(self) -> int:
        """Drop every loaded pipeline; returns the bytes of weights that were freed."""
        raise NotImplementedError


def generate(job: Job, models: Models, report: Callable[[Progress], None]) -> Result:
    """Run one job. `report` is called at every phase and step; it may raise `CancelledError` to stop the job.

    Raises `InputError`, `CheckpointError`, `OutputError` or another `JointDiTError`; nothing half-written stays behind.
    """
    raise NotImplementedError
