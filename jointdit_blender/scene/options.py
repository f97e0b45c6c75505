# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a frame becomes objects: the one dataclass that panels, scripts and the command line fill in."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields

from ..core.errors import JointDiTError
from ..core.frame import Frame

GEOMETRIES = ("mesh", "points", "dome")
TORN = ("cut", "fill", "keep")
SKIES = ("auto", "keep", "remove", "dome", "world")
# More vertices than this take minutes and most of a computer's memory.
MOST_VERTICES = 2**24


class BuildError(JointDiTError):
    """The objects cannot be made; `str(error)` is a sentence for a person."""


@dataclass(frozen=True)
class BuildOptions:
    """How a frame becomes objects. None means: as the frame says. Metres, degrees, millimetres of focal length.

    `geometry`: a surface, a point cloud, or a surface that is closed all around the camera.
    `tear` is the relative jump in depth at which the surface is cut, and `torn` what becomes of the cut faces: left out, moved back to what lies
    behind ("fill"), or kept. `clean` moves mixed pixels at borders to one side and removes loose specks; `back_layer` continues behind things what
    stands behind them.
    `sky`: kept in the relief, removed from it, put on a far sheet ("dome") or on the world; "auto" means a far sheet where a sky is found.
    `sky_cutoff` is the share of disparity up to which pixels are sky; None: found.
    `look_through` makes the frame's own camera the scene's and gives the render the image's aspect.
    `backdrop` fits the frame to the scene's camera instead, its nearest pixel so many metres away; `follow` lets it move with the camera.
    `ground` levels the ground and puts the camera so many metres above it; `floor` adds a plane that catches shadows (in Cycles) and, because
    one sees the world through it, an `environment`.
    `environment` lights the scene with the picture.
    """

    geometry: str = "mesh"
    near: float | None = None
    far: float | None = None
    gamma: float = 1.0
    horizontal_angle: float | None = None
    tear: float = 0.06
    torn: str = "fill"
    clean: bool = True
    back_layer: bool = True
    sky: str = "auto"
    sky_cutoff: float | None = None
    step: int = 1
    point_size: float = 1.0
    relit: bool = False
    pack: bool = True
    look_through: bool = True
    backdrop: float | None = None
    focal_length: float | None = None
    follow: bool = True
    ground: float | None = None
    floor: bool = False
    environment: bool = False

    def to_json(self) -> str:
        """For a custom property of the object."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> BuildOptions:
        """The options that an object was built with; what an older or newer version does not know is left at its default."""
        try:
            data = json.loads(text)
        except ValueError:
            data = {}
        known = {field.name for field in fields(BuildOptions)}
        return BuildOptions(**{name: value for name, value in data.items() if name in known} if isinstance(data, dict) else {})

    def check(self, frame: Frame) -> None:
        """Raises `BuildError` with a sentence when the options make no sense for the frame."""
        for name, value, choices in (("geometry", self.geometry, GEOMETRIES), ("torn faces", self.torn, TORN), ("the sky", self.sky, SKIES)):
            if value not in choices:
                raise BuildError(f"The choice for {name} must be one of {', '.join(choices)}, not {value}.")
        positive = {
            "near": self.near,
            "far": self.far,
            "gamma": self.gamma,
            "the field of view": self.horizontal_angle,
            "the distance of the backdrop": self.backdrop,
            "the focal length": self.focal_length,
            "the height of the camera": self.ground,
            "the size of points": self.point_size,
        }
        for name, number in positive.items():
            if number is not None and not (math.isfinite(number) and number > 0.0):
                raise BuildError(f"The value for {name} must be a number above 0, not {number:g}.")
        if self.sky_cutoff is not None and not 0.0 <= self.sky_cutoff < 1.0:
            raise BuildError(f"The sky's cut-off must be at least 0 and below 1, not {self.sky_cutoff:g}.")
        perspective = frame.camera.projection == "perspective"
        limit = 180.0 if perspective else 360.0
        if self.horizontal_angle is not None and (self.horizontal_angle > limit or (perspective and self.horizontal_angle == limit)):
            raise BuildError(f"The field of view must be {'below' if perspective else 'at most'} {limit:g} degrees, not {self.horizontal_angle:g}.")
        if self.step < 1 or not self.tear >= 0.0:
            raise BuildError("The step must be at least 1 pixel and the tear threshold at least 0.")
        if self.backdrop is not None and not perspective:
            raise BuildError(f"A backdrop is made from a perspective frame; this one is {frame.camera.projection}: build it as a dome.")
        if vertices(frame, self.step) > MOST_VERTICES:
            step = next(step for step in range(self.step, max(frame.width, frame.height)) if vertices(frame, step) <= MOST_VERTICES)
            size = f"{frame.width} x {frame.height}"
            raise BuildError(f"A frame of {size} pixels has too many for a vertex each; choose a step of {step} pixels or more.")


def vertices(frame: Frame, step: int) -> int:
    """How many vertices or points the frame has with one every `step` pixels."""
    return -(-frame.width // step) * -(-frame.height // step)
