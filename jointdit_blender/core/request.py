# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks for, checked before anything starts. Errors are sentences for that person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import JointDiTError
from .frame import FrameError, read_frame
from .rpc import readable

TASKS = ("joint", "image_to_depth", "depth_to_image", "panorama", "panorama_depth")
KINDS = ("sphere", "strip")
"""Of panoramas: everything around, or a band along the horizon."""
DIRECTIONS = ("up", "down", "front", "right", "back", "left")
VIEWS = (6, 14, 18, 26)
SIZE_RANGE = (16, 4096)
STEPS_RANGE = (1, 1000)
GUIDANCE_RANGE = (0.0, 100.0)
SEED_RANGE = (0, 2**32 - 1)
PROMPT_LIMIT = 100_000
"""Characters. The model reads far less and says so in a warning; this only keeps a pasted book out of the pipe."""


class RequestError(JointDiTError, ValueError):
    """What was asked for cannot be done; `str(error)` is shown as it is."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One result to be made. Distances are metres, the angle is degrees; None and "" mean the model's own default.

    For the task "panorama": `kind`, and for a sphere `parts` (direction: what is seen there instead of the prompt), `front` (the frame folder
    of a perspective picture that becomes the view ahead) and the number of `views` that it is made of. The task "panorama_depth" finds the depth
    of `image`, an equirectangular photograph. A panorama has no angle, and width and height are those of the whole of it.

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
    kind: str = "sphere"
    parts: Mapping[str, str] = field(default_factory=dict)
    front: Path | None = None
    views: int | None = None

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Raises `RequestError` with a sentence that says what to change."""
        if self.task not in TASKS:
            raise RequestError(f"There is no task “{self.task}”: choose one of {', '.join(TASKS)}.")
        if self.task in ("joint", "panorama") and not self.prompt.strip():
            raise RequestError("The prompt is empty: describe the picture that you want.")
        if len(self.prompt) > PROMPT_LIMIT:
            raise RequestError(f"The prompt has {len(self.prompt)} characters: shorten it to {PROMPT_LIMIT} at most.")
        if self.task == "image_to_depth" and self.image is None:
            raise RequestError("No image is chosen: choose the picture whose depth you want.")
        if self.task == "panorama_depth" and self.image is None:
            raise RequestError("No photograph is chosen: choose the one of 360 degrees whose depth you want.")
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
        if self.panorama:
            self._validate_panorama()

    def _validate_panorama(self) -> None:
        if self.kind not in KINDS:
            raise RequestError(f"There is no panorama of the kind “{self.kind}”: choose {' or '.join(KINDS)}.")
        for direction, text in self.parts.items():
            if direction not in DIRECTIONS:
                raise RequestError(f"There is no direction “{direction}”: choose one of {', '.join(DIRECTIONS)}.")
            if len(text) > PROMPT_LIMIT:
                raise RequestError(f"The text for the direction “{direction}” has {len(text)} characters: shorten it to {PROMPT_LIMIT} at most.")
        if self.views is not None and self.views not in VIEWS:
            raise RequestError(f"A sphere cannot be made of {self.views} views: choose one of {', '.join(map(str, VIEWS))}.")
        for name, value in (("view ahead that is given", self.front), ("directions of its own", self.parts), ("number of views", self.views)):
            if value and not self.sphere:
                raise RequestError(f"A strip has no {name}: leave it out, or choose a sphere.")
        if self.sphere and self.width is not None and self.height is not None and self.width != 2 * self.height:
            raise RequestError(f"A sphere is twice as wide as high, and {self.width} x {self.height} pixels are not: choose {2 * self.height} x {self.height}.")

    @property
    def panorama(self) -> bool:
        """Whether a full turn is asked for."""
        return self.task in ("panorama", "panorama_depth")

    @property
    def sphere(self) -> bool:
        """Whether everything around is asked for."""
        return self.task == "panorama_depth" or (self.panorama and self.kind == "sphere")

    @property
    def title(self) -> str:
        """What a list calls it: what is special about it, and the first words of its prompt or the name of its picture."""
        picture = self.image if self.task in ("image_to_depth", "panorama_depth") else self.disparity
        words = " ".join(self.prompt.split()) or (picture.name if picture else "")
        special = "" if not self.panorama else "Strip: " if not self.sphere else "Sphere around: " if self.front else "Sphere: "
        return readable((special + words)[:200])

    def to_job(self, output: Path) -> dict[str, Any]:
        """The parameters of a `generate` request whose frame folder is made in `output`.

        Only what the task uses is sent. Raises `RequestError` when a picture or a frame is missing.
        """
        picture = {"image_to_depth": self.image, "panorama_depth": self.image, "depth_to_image": self.disparity}.get(self.task)
        if picture is not None and not picture.is_file():
            raise RequestError(f"There is no file “{picture}”: choose the picture again.")
        job: dict[str, Any] = {
            "task": self.task,
            "prompt": readable(self.prompt),
            "image": _absolute(picture) if self.task != "depth_to_image" else None,
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
            "horizontal_angle": None if self.panorama else self.horizontal_angle,
            "views": self.views if self.panorama else None,
            "preview": self.preview,
        }
        if self.task == "panorama":
            job |= {"kind": self.kind, "parts": self._told_parts(), "front": self._front()}
        return {name: value for name, value in job.items() if value is not None}

    def _told_parts(self) -> dict[str, str] | None:
        """What was said about directions; None if nothing was."""
        return {direction: readable(text) for direction, text in self.parts.items() if text.strip()} or None

    def _front(self) -> str | None:
        """The folder of the view ahead; raises `RequestError` when it cannot be one."""
        if self.front is None:
            return None
        try:
            projection = read_frame(self.front).camera.projection
        except FrameError as error:
            raise RequestError(str(error)) from error
        if projection != "perspective":
            raise RequestError(f"The frame {self.front} is {projection}: only a perspective one can become the view ahead of a sphere.")
        return _absolute(self.front)


def _within(name: str, value: float | None, bounds: tuple[float, float], unit: str = "") -> None:
    """Raises `RequestError` when a value lies outside its bounds (inclusive) or is not a number."""
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise RequestError(f"The {name} is {value:g}: it must lie between {bounds[0]:g} and {bounds[1]:.0f}{' ' + unit if unit else ''}.")


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
