# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A panorama job, from a pipeline in memory to a frame folder on disk."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from ..pictures import stretched
from .asked import DEFAULT_VIEWS
from .make import Preview, Recipe, Sphere, Watch, depth_of_photograph, make_sphere, make_strip, make_wrapped
from .sphere import View, around_poles
from .views import Known

if TYPE_CHECKING:
    from ..frame import Front
    from ..jobs import Job
    from ..pipeline import JointDiTPipeline

SAME = 1.0001
"""Far over near of a sphere that is equally far all around."""


@dataclass(frozen=True)
class Panorama:
    """A result: an image, its disparity (H, W) float32 in [0, 1], and the parts of its frame.json that are not those of any frame."""

    image: Image.Image
    disparity: np.ndarray
    about: dict[str, Any]


def make(
    job: Job,
    pipeline: JointDiTPipeline,
    known: Image.Image | Front | None,
    size: tuple[int, int],
    batch: int,
    device: torch.device | str,
    on_batch: Callable[[int], None],
    on_step: Callable[[int, Preview], None],
) -> Panorama:
    """Make what the job asks for, (width, height) pixels in size; `known` is its photograph or its front view.

    At most `batch` windows work at a time, and views are made to agree on `device`. The callbacks may raise to stop it.
    """
    width, height = size
    guidance = pipeline.config.default_guidance if job.guidance is None else job.guidance
    recipe = Recipe(width, height, job.prompt, dict(job.parts), job.steps, guidance, job.seed, job.views or DEFAULT_VIEWS, batch, device)
    watch = Watch(on_batch, on_step)
    if job.kind == "strip":
        strip = make_strip(pipeline, recipe, watch)
        vertical = 2 * math.degrees(math.atan(math.pi * height / width))  # square pixels on the horizon
        camera = {"projection": "cylindrical", "horizontal_angle": 360.0, "vertical_angle": vertical}
        about = {"camera": camera, "distance": "horizontal", "mapping": {"near": job.near, "far": job.far}, "panorama": {"kind": "strip"}}
        return Panorama(_picture(strip.image), stretched(strip.disparity.numpy()), about)
    if isinstance(known, Image.Image):
        sphere = depth_of_photograph(pipeline, _tensor(known), recipe, watch)
    elif job.route == "latents":
        sphere = make_wrapped(pipeline, recipe, watch)
    else:
        sphere = make_sphere(pipeline, recipe, watch, None if known is None else _known(known))
    return _of_sphere(job, sphere, known)


def _of_sphere(job: Job, sphere: Sphere, known: Image.Image | Front | None) -> Panorama:
    """The frame of a sphere; a photograph stays as it was, and its depth is fitted to it."""
    front = None if known is None or isinstance(known, Image.Image) else known
    near, far = (job.near, job.far) if front is None else (None, max(job.far, front.far if math.isfinite(front.far) else 0.0))
    disparity, near, far = in_metres(sphere.inverse, near, far)
    image = known if isinstance(known, Image.Image) else _picture(sphere.image)
    if image.size != disparity.shape[::-1]:
        disparity = _resized_around(disparity, image.size)
    panorama: dict[str, Any] = {"kind": "sphere", "views": len(sphere.views) - (front is not None), "disagreement": round(sphere.alignment.disagreement, 5)}
    panorama |= {"parts": dict(job.parts)} if job.parts else {}
    panorama |= {"front": str(job.front)} if job.front else {}
    panorama |= {"route": job.route} if job.route != "views" else {}
    camera = {"projection": "equirectangular", "horizontal_angle": 360.0, "vertical_angle": 180.0}
    about = {"camera": camera, "distance": "radial", "mapping": {"near": near, "far": far}, "panorama": panorama}
    return Panorama(image, disparity, about)


def in_metres(inverse: np.ndarray, near: float | None, far: float) -> tuple[np.ndarray, float, float]:
    """1/r (H, W) -> disparity (H, W) float32 in [0, 1], and near and far in metres, with 1/r = d / near + (1 - d) / far.

    Where `near` is given the nearest place is put there, and all distances are scaled with it; otherwise 1/r is in 1/metres already. What is farther
    than `far` is put there: distances in front of it stay in proportion.
    """
    nearest = float(inverse.max())
    if nearest <= 0:  # nothing but sky
        return np.zeros(inverse.shape, np.float32), near or far / SAME, max(far, (near or 0.0) * SAME)
    metres = inverse / (nearest * near) if near is not None else inverse
    near = near if near is not None else 1 / nearest
    far = max(min(far, 1 / max(float(metres.min()), 1e-12)), near * SAME)
    disparity = (np.maximum(metres, 1 / far) - 1 / far) / (1 / near - 1 / far)
    return disparity.astype(np.float32).clip(0, 1), near, far


def _resized_around(disparity: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, 2H) at another (width, height), without a seam and with one value for each pole."""
    beside = 4
    padded = around_poles(torch.from_numpy(disparity)[None], beside, beside)[0].numpy()
    inner = (beside, beside, padded.shape[1] - beside, padded.shape[0] - beside)
    resized = np.array(Image.fromarray(padded, "F").resize(size, Image.Resampling.BICUBIC, box=inner)).clip(0, 1)
    resized[[0, -1]] = resized[[0, -1]].mean(axis=1, keepdims=True)
    return resized


def _known(front: Front) -> Known:
    view = View(0.0, 0.0, front.horizontal_angle, front.principal_point)
    return Known(view, _tensor(front.image), torch.from_numpy(front.disparity), front.scale, front.shift)


def _tensor(image: Image.Image) -> torch.Tensor:
    """(3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / 255).permute(2, 0, 1)


def _picture(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((255 * image.permute(1, 2, 0)).round().byte().numpy())
