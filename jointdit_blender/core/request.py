# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks for, checked before anything starts. Errors are sentences for that person."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .rpc import readable

TASKS = ("joint", "image_to_depth", "depth_to_image")
SIZE_RANGE = (16, 4096)
STEPS_RANGE = (1, 1000)
GUIDANCE_RANGE = (0.0, 100.0)
SEED_RANGE = (0, 2**32 - 1)
PROMPT_LIMIT = 100_000
"""Characters. The model reads far less and says so in a warning; this only keeps a pasted book out of the pipe."""


class RequestError(ValueError):
    """What was asked for cannot be done; `str(error)` is shown as it is."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One result to be made. Distances are metres, the angle is degrees; None and "" mean the model's own default.

    The constructor raises `RequestError`; whether files exist is looked at by `to_job`, just before the job leaves.
    """

    task: str = "joint"
    prompt: str = ""
    image: Path | None = None
    disparity: Path | None = None
    width: int | None = None
    height: int | None = None
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    model: str = ""
    near: float = 2.0
    far: float = 40.0
    horizontal_angle: float = 55.0
    preview: bool = False

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Raises `RequestError` with a sentence that says what to change."""
        if self.task not in TASKS:
            raise RequestError(f"There is no task “{self.task}”: choose one of {', '.join(TASKS)}.")
        if self.task == "joint" and not self.prompt.strip():
            raise RequestError("The prompt is empty: describe the picture that you want.")
        if len(self.prompt) > PROMPT_LIMIT:
            raise RequestError(f"The prompt has {len(self.prompt)} characters: shorten it to {PROMPT_LIMIT} at most.")
        if self.task == "image_to_depth" and self.image is None:
            raise RequestError("No image is chosen: choose the picture whose depth you want.")
        if self.task == "depth_to_image" and self.disparity is None:
            raise RequestError("No depth picture is chosen: choose the one that the image should follow.")
        if (self.width is None) != (self.height is None):
            raise RequestError("Only one of width and height is given: give both or neither.")
        for name, size in (("width", self.width), ("height", self.height)):
            _within(name, size, SIZE_RANGE, "pixels")
        _within("number of steps", self.steps, STEPS_RANGE)
        _within("guidance", self.guidance, GUIDANCE_RANGE)
        _within("seed", self.seed, SEED_RANGE)
        if not 0.0 < self.near < self.far < math.inf:
            raise RequestError(f"Near ({self.near:g} m) and far ({self.far:g} m) do not fit: near must be above 0 and below far.")
        if not 0.0 < self.horizontal_angle < 180.0:
            raise RequestError(f"The field of view is {self.horizontal_angle:g} degrees: it must lie between 0 and 180.")

    def to_job(self, output: Path) -> dict[str, Any]:
        """The parameters of a `generate` request whose frame folder is made in `output`.

        Only what the task uses is sent. Raises `RequestError` when a picture is missing.
        """
        picture = {"image_to_depth": self.image, "depth_to_image": self.disparity}.get(self.task)
        if picture is not None and not picture.is_file():
            raise RequestError(f"There is no file “{picture}”: choose the picture again.")
        job = {
            "task": self.task,
            "prompt": readable(self.prompt),
            "image": _absolute(picture) if self.task == "image_to_depth" else None,
            "disparity": _absolute(picture) if self.task == "depth_to_image" else None,
            "width": self.width,
            "height": self.height,
            "seed": self.seed,
            "steps": self.steps,
            "guidance": self.guidance,
            "model": self.model or None,
            "output": _absolute(output),
            "near": self.near,
            "far": self.far,
            "horizontal_angle": self.horizontal_angle,
            "preview": self.preview,
        }
        return {name: value for name, value in job.items() if value is not None}


def _within(name: str, value: float | None, bounds: tuple[float, float], unit: str = "") -> None:
    """Raises `RequestError` when a value lies outside its bounds (inclusive) or is not a number."""
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise RequestError(f"The {name} is {value:g}: it must lie between {bounds[0]:g} and {bounds[1]:.0f}{' ' + unit if unit else ''}.")


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
