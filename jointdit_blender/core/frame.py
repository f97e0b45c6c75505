# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, check and describe a frame folder (docs/frame.md). No bpy: plain Python."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import JointDiTError
from .pictures import PictureError, read_exr_header, read_png_header

FORMAT = "jointdit-frame"
VERSION = 1
IMAGE_NAME, DISPARITY_NAME, DESCRIPTION_NAME = "image.png", "disparity.exr", "frame.json"
PROJECTIONS = ("perspective", "cylindrical", "equirectangular")
DISTANCES = ("planar", "radial", "horizontal")
SMALLEST, LARGEST = 2, 16384
MOST_PIXELS = 2**26
"""67 million: Blender takes 16 bytes of memory for each, several times."""
KNOWN = {
    *("format", "version", "prompt", "task", "seed", "steps", "guidance", "model", "revision", "programs", "width", "height", "working_size"),
    *("memory_plan", "step_cache", "loras", "panorama"),
    *("camera", "distance", "mapping", "timings", "warnings"),
}
KNOWN_CAMERA = {"projection", "horizontal_angle", "vertical_angle", "principal_point"}


class FrameError(JointDiTError):
    """A frame folder cannot be used; `str(error)` is a sentence for a person: what happened, what to do."""


@dataclass(frozen=True)
class Camera:
    """How the image was projected. Angles in degrees; `principal_point` as fractions of width and height from the top left corner."""

    projection: str = "perspective"
    horizontal_angle: float = 55.0
    vertical_angle: float | None = None
    principal_point: tuple[float, float] = (0.5, 0.5)

    @property
    def wraps(self) -> bool:
        """Whether the right edge of the image is the left edge: a full turn."""
        return self.projection != "perspective" and self.horizontal_angle >= 360.0


@dataclass(frozen=True)
class NearFar:
    """1/Z = d / near + (1 - d) / far for disparity d; metres."""

    near: float
    far: float


@dataclass(frozen=True)
class ScaleShift:
    """1/Z = scale * d + shift for disparity d; 1 / metres."""

    scale: float
    shift: float


@dataclass(frozen=True)
class Frame:
    """One result on disk: a picture, its disparity, and what they mean. Sizes in pixels. `panorama` tells how one was made (docs/frame.md)."""

    folder: Path
    width: int
    height: int
    camera: Camera
    distance: str
    mapping: NearFar | ScaleShift
    prompt: str = ""
    seed: int | None = None
    task: str = "imported"
    steps: int | None = None
    guidance: float | None = None
    model: str | None = None
    warnings: tuple[str, ...] = ()
    panorama: dict[str, Any] = field(default_factory=dict)

    @property
    def image(self) -> Path:
        """The picture: 8-bit sRGB PNG."""
        return self.folder / IMAGE_NAME

    @property
    def disparity(self) -> Path:
        """The disparity: one float channel, OpenEXR."""
        return self.folder / DISPARITY_NAME


def read_frame(folder: Path | str) -> Frame:
    """Read and check a frame folder; raises `FrameError` with a sentence when it cannot be used."""
    # What is built from it must find it from anywhere.
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise FrameError(f"There is no frame folder at {folder}; choose the folder that holds {DESCRIPTION_NAME}.")
    try:
        missing = [name for name in (DESCRIPTION_NAME, IMAGE_NAME, DISPARITY_NAME) if not (folder / name).is_file()]
        if len(missing) == 3:
            raise FrameError(f"{folder} holds no frame: it has none of {IMAGE_NAME}, {DISPARITY_NAME} and {DESCRIPTION_NAME}.")
        if missing:
            raise FrameError(f"{_join(missing)} is missing from the frame folder {folder}; copy the whole folder or generate it again.")
        text = (folder / DESCRIPTION_NAME).read_text(encoding="utf-8")
        frame = parse_description(text, folder)
        _check_pictures(frame)
    except OSError as error:
        raise FrameError(f"The frame folder {folder} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise FrameError(f"{folder / DESCRIPTION_NAME} is not a text file in UTF-8; generate the frame again.") from error
    return frame


def parse_description(text: str, folder: Path) -> Frame:
    """The frame that the text of a `frame.json` in `folder` describes; the pictures are not looked at. Raises `FrameError`."""
    where = str(folder / DESCRIPTION_NAME)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"{where} is not valid JSON ({error}); generate the frame again or mend the file.") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise FrameError(f'{where} does not describe a frame: its "format" is not "{FORMAT}".')
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FrameError(f'{where} has no usable "version"; it must be {VERSION}.')
    if version > VERSION:
        raise FrameError(f"{where} has version {version}, and this extension reads up to version {VERSION}; update the extension.")
    fields = _Fields(data, where)
    camera, distance = _read_camera(fields.section("camera")), fields.choice("distance", DISTANCES)
    if distance == "planar" and camera.projection != "perspective":
        raise FrameError(f"{where}: a {camera.projection} image has no planar distance; use radial or horizontal.")
    width, height = fields.pixels("width"), fields.pixels("height")
    if width * height > MOST_PIXELS:
        raise FrameError(f"{where}: {width} x {height} pixels are too many; make the pictures smaller, to {MOST_PIXELS // 10**6} million pixels at most.")
    return Frame(
        folder=folder,
        width=width,
        height=height,
        camera=camera,
        distance=distance,
        mapping=_read_mapping(fields.section("mapping")),
        prompt=_optional(data.get("prompt"), str, ""),
        seed=_optional(data.get("seed"), int, None),
        task=_optional(data.get("task"), str, "imported"),
        steps=_optional(data.get("steps"), int, None),
        guidance=_optional(data.get("guidance"), (int, float), None),
        model=_optional(data.get("model"), str, None),
        warnings=(*(str(item) for item in _optional(data.get("warnings"), list, [])), *_unknown(data)),
        panorama=_optional(data.get("panorama"), dict, {}),
    )


def describe(frame: Frame) -> str:
    """The text of `frame.json` for this frame."""
    camera: dict[str, Any] = {"projection": frame.camera.projection, "horizontal_angle": frame.camera.horizontal_angle}
    if frame.camera.projection == "perspective":
        camera["principal_point"] = list(frame.camera.principal_point)
    else:
        camera["vertical_angle"] = frame.camera.vertical_angle
    data = {
        "format": FORMAT,
        "version": VERSION,
        "prompt": frame.prompt,
        "task": frame.task,
        "seed": frame.seed,
        "steps": frame.steps,
        "guidance": frame.guidance,
        "model": frame.model,
        "width": frame.width,
        "height": frame.height,
        "camera": camera,
        "distance": frame.distance,
        "mapping": vars(frame.mapping),
        "warnings": list(frame.warnings),
    }
    if frame.panorama:
        data["panorama"] = frame.panorama
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_description(frame: Frame) -> None:
    """Write `frame.json` into the frame's folder, after the same checks that reading makes. Raises `FrameError` or `OSError`."""
    try:
        text = describe(frame)
    except ValueError as error:
        raise FrameError("The frame's numbers must be finite; check the angle, near and far, or scale and shift.") from error
    parse_description(text, frame.folder)
    (frame.folder / DESCRIPTION_NAME).write_text(text, encoding="utf-8")


def _check_pictures(frame: Frame) -> None:
    for path, read_header in ((frame.image, read_png_header), (frame.disparity, read_exr_header)):
        try:
            header = read_header(path)
        except PictureError as error:
            raise FrameError(f"{path} is {error}; generate the frame again or replace the file.") from error
        if (header.width, header.height) != (frame.width, frame.height):
            raise FrameError(
                f"{path.name} is {header.width} x {header.height} pixels, but {DESCRIPTION_NAME} says {frame.width} x {frame.height}; "
                f"all files in {frame.folder} must have one size."
            )


def _read_camera(fields: _Fields) -> Camera:
    projection = fields.choice("projection", PROJECTIONS)
    if projection == "perspective":
        angle = fields.number("horizontal_angle", above=0.0, below=180.0)
        return Camera(projection, angle, None, fields.point("principal_point", (0.5, 0.5)))
    horizontal = fields.number("horizontal_angle", above=0.0, to=360.0)
    if projection == "cylindrical":
        return Camera(projection, horizontal, fields.number("vertical_angle", above=0.0, below=180.0))
    return Camera(projection, horizontal, fields.number("vertical_angle", above=0.0, to=180.0))


def _read_mapping(fields: _Fields) -> NearFar | ScaleShift:
    if "near" in fields.data or "far" in fields.data:
        near, far = fields.number("near", above=0.0), fields.number("far", above=0.0)
        if near >= far:
            raise FrameError(f"{fields.where}: near ({near:g} m) must be smaller than far ({far:g} m).")
        return NearFar(near, far)
    scale, shift = fields.number("scale"), fields.number("shift")
    if scale == 0.0 and shift <= 0.0:
        raise FrameError(f"{fields.where}: scale 0 needs a shift above 0, else every distance is infinite.")
    return ScaleShift(scale, shift)


@dataclass(frozen=True)
class _Fields:
    """A JSON object whose values are checked as they are taken; `where` starts every sentence about it."""

    data: dict[str, Any]
    where: str

    def section(self, name: str) -> _Fields:
        value = self.data.get(name)
        if not isinstance(value, dict):
            raise FrameError(f'{self.where} has no "{name}"; generate the frame again or add it as docs/frame.md describes.')
        return _Fields(value, f"{self.where}, {name}")

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.data.get(name)
        if not isinstance(value, str) or value not in choices:
            raise FrameError(f"{self.where}: {name} must be one of {', '.join(choices)}, not {_show(value)}.")
        return value

    def pixels(self, name: str) -> int:
        value = self.data.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not SMALLEST <= value <= LARGEST:
            raise FrameError(f"{self.where}: {name} must be a whole number of pixels from {SMALLEST} to {LARGEST}, not {_show(value)}.")
        return value

    def number(self, name: str, *, above: float | None = None, below: float | None = None, to: float | None = None) -> float:
        value = self.data.get(name)
        # A JSON integer may be too large for a float.
        if not isinstance(value, (int, float)) or isinstance(value, bool) or abs(value) > 1e30 or not math.isfinite(value):
            raise FrameError(f"{self.where}: {name} must be a number, not {_show(value)}.")
        if above is not None and not value > above:
            raise FrameError(f"{self.where}: {name} must be above {above:g}, not {value:g}.")
        if below is not None and not value < below:
            raise FrameError(f"{self.where}: {name} must be below {below:g}, not {value:g}.")
        if to is not None and not value <= to:
            raise FrameError(f"{self.where}: {name} must be at most {to:g}, not {value:g}.")
        return float(value)

    def point(self, name: str, default: tuple[float, float]) -> tuple[float, float]:
        value = self.data.get(name)
        if value is None:
            return default
        if not isinstance(value, list) or len(value) != 2:
            raise FrameError(f"{self.where}: {name} must be two numbers, not {_show(value)}.")
        pair = _Fields({f"{name} x": value[0], f"{name} y": value[1]}, self.where)
        limits = {"above": -10.0, "below": 11.0}
        return pair.number(f"{name} x", **limits), pair.number(f"{name} y", **limits)


def _unknown(data: dict[str, Any]) -> list[str]:
    """A sentence about fields that mean nothing here: a slip of the pen, or a newer program."""
    names = sorted(set(data) - KNOWN) + [f"camera.{name}" for name in sorted(set(data["camera"]) - KNOWN_CAMERA)]
    if not names:
        return []
    shown = ", ".join(_show(name) for name in names[:5]) + (", …" if len(names) > 5 else "")
    return [f"{DESCRIPTION_NAME} has fields that are not known here and were passed over: {shown}."]


def _optional(value: Any, kind: type | tuple[type, ...], default: Any) -> Any:
    """What is not required and not of its type counts as absent."""
    if not isinstance(value, kind) or isinstance(value, bool):
        return default
    # Half of a character pair, which JSON can name, is no text.
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def _show(value: Any) -> str:
    if value is None:
        return "missing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


def _join(names: list[str]) -> str:
    return " and ".join(names)
