# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a result back to what asks for it: the same once more, with another seed, in another size. No bpy: plain Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .frame import Frame, NearFar
from .request import DIRECTIONS, KINDS, TASKS, VIEWS, Request, RequestError

NEAR_FAR = NearFar(2.0, 40.0)
"""Where a result says by a scale and a shift how far away it is."""


def request_of(frame: Frame, **changes: Any) -> Request:
    """The request that makes this frame again, with changes. Raises `RequestError` where it was not made here, or the changes make no sense.

    A picture or a depth that it was made from is taken from the frame, where it lies in the frame's size.
    """
    if frame.task not in TASKS:
        raise RequestError("This result was imported, not generated: it can be built again, but not made again.")
    mapping = frame.mapping if isinstance(frame.mapping, NearFar) else NEAR_FAR
    values: dict[str, Any] = {
        "task": frame.task,
        "prompt": frame.prompt,
        "image": frame.image if frame.task in ("image_to_depth", "panorama_depth") else None,
        "disparity": frame.disparity if frame.task == "depth_to_image" else None,
        "width": frame.width,
        "height": frame.height,
        "seed": frame.seed or 0,
        "steps": frame.steps,
        "guidance": frame.guidance,
        "model": frame.model or "",
        "near": mapping.near,
        "far": mapping.far,
    }
    if frame.camera.projection == "perspective":
        values["horizontal_angle"] = frame.camera.horizontal_angle
    else:
        values |= _panorama(frame)
    return Request(**values | changes)


def _panorama(frame: Frame) -> dict[str, Any]:
    """What frame.json says of how a panorama was made; what makes no sense there is left out."""
    kind = "sphere" if frame.camera.projection == "equirectangular" else "strip"
    told = frame.panorama
    if told.get("kind") in KINDS:
        kind = told["kind"]
    if kind == "strip":
        return {"kind": kind}
    parts = told.get("parts")
    values: dict[str, Any] = {"kind": kind}
    if isinstance(parts, dict):
        values["parts"] = {name: text for name, text in parts.items() if name in DIRECTIONS and isinstance(text, str)}
    if isinstance(told.get("front"), str) and Path(told["front"]).is_dir():
        values["front"] = Path(told["front"])
    if told.get("views") in VIEWS:
        values["views"] = told["views"]
    return values
