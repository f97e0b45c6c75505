# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be wished of a result, in the words of the Python API and of the command line, and the request that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

from .request import Request


class Wishes(TypedDict, total=False):
    """What is absent or None is the model's own default.

    `task`: one of `core.request.TASKS`, only needed where it does not follow from what is given.
    `seed`: the same seed and settings make the same picture. `size`: pixels, one number for a square or (width, height). `steps`, `guidance`, `model`.
    `near`, `far`: distances of the nearest and the farthest pixel in metres. `horizontal_angle`: field of view in degrees.
    `panorama`: "sphere" (everything around) or "strip" (a band along the horizon). Of a sphere, `parts`: what is seen "up", "down", "front",
    "right", "back" or "left" instead of the prompt; `around`: the folder of a frame that becomes the view ahead; `views`: of how many it is made.
    """

    task: str | None
    seed: int | None
    size: int | tuple[int, int] | None
    steps: int | None
    guidance: float | None
    model: str | None
    near: float | None
    far: float | None
    horizontal_angle: float | None
    panorama: str | None
    parts: Mapping[str, str] | None
    around: Path | str | None
    views: int | None


def request(prompt: str = "", *, image: Path | str | None = None, disparity: Path | str | None = None, **wishes: Unpack[Wishes]) -> Request:
    """The request that these wishes make. `image`: a picture whose depth is wanted; `disparity`: one of closeness that the image shall follow.

    Raises `RequestError` with a sentence when it makes no sense, and TypeError when there is no such wish.
    """
    unknown = set(wishes) - set(Wishes.__annotations__)
    if unknown:
        raise TypeError(f"there is no wish {', '.join(sorted(unknown))}; there are {', '.join(Wishes.__annotations__)}")
    given: dict[str, Any] = {name: value for name, value in wishes.items() if value is not None}
    size = given.pop("size", (None, None))
    given["width"], given["height"] = (size, size) if isinstance(size, int) else size
    for name, path in (("image", image), ("disparity", disparity), ("front", given.pop("around", None))):
        if path is not None:
            given[name] = Path(path)
    if "panorama" in given:
        given["kind"] = given.pop("panorama")
    given.setdefault("task", _task(given))
    return Request(prompt=prompt, **given)


def _task(given: Mapping[str, Any]) -> str:
    """What is asked for, by what is given."""
    if "kind" in given:
        return "panorama"
    if "disparity" in given:
        return "depth_to_image"
    return "image_to_depth" if "image" in given else "joint"
