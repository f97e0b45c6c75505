# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disparity of a picture: what lies beside it, as far as that goes, and an estimate for the rest; always in [0, 1], 1 = nearest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import InputError
from ..pictures import read_disparity
from .alignment import align, normalized
from .images import crop_map, refuse_other_shape
from .sources import MAPS, Source

Estimator = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
"""Pictures (size, size, 3) uint8 -> disparities (size, size) of any scale, nearest highest."""

DEPTH_SCALE = 65535


@dataclass(frozen=True)
class Known:
    """What lies beside a picture, in its crop: true disparity of any scale with where it is valid, and an estimate; each may be missing."""

    truth: np.ndarray | None = None
    valid: np.ndarray | None = None
    estimate: np.ndarray | None = None

    @property
    def whole(self) -> bool:
        """Whether the truth is known everywhere."""
        return self.valid is not None and bool(self.valid.all())

    @property
    def needs_estimate(self) -> bool:
        """Whether a model is needed. Where the truth is whole its scale does not matter, since the result is normalized."""
        return not self.whole and self.estimate is None


def read_known(source: Source, width: int, height: int, size: int, truth_only: bool) -> Known:
    """What lies beside a picture of width x height. With `truth_only` an infinite depth is the sky, of disparity 0; else it is unknown.

    Raises `InputError` for maps that are damaged or of another shape, and with `truth_only` where something would have to be estimated.
    """
    maps: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for kind, path in (("depth", source.depth), ("disparity", source.disparity)):
        if path is None:
            continue
        if path.suffix.lower() not in MAPS[kind]:
            raise InputError(f"{path.name} cannot hold {kind}. Save it as {' or '.join(ending[1:].upper() for ending in MAPS[kind])}.")
        values = read_disparity(path).astype(np.float64)
        refuse_other_shape(path.name, values.shape, width, height)
        maps[kind] = crop_map(*(_inverse(values, truth_only) if kind == "depth" else (values, np.isfinite(values))), size)
    truth, valid = maps.get("depth") or maps.get("disparity") or (None, None)
    estimate = maps["disparity"][0] if "depth" in maps and "disparity" in maps and maps["disparity"][1].all() else None
    known = Known(truth, valid, estimate)
    if truth_only and not known.whole:
        what = "It has neither depth nor disparity" if valid is None else f"{100 * (1 - valid.mean()):.1f} % of its depth is not known"
        raise InputError(f"{what}, and --ground-truth-only estimates nothing.")
    return known


def _inverse(depth: np.ndarray, sky: bool) -> tuple[np.ndarray, np.ndarray]:
    """Depth in meters -> 1 / depth, and where it is valid."""
    far = np.isposinf(depth)
    valid = (np.isfinite(depth) & (depth > 0)) | (far & sky)
    return np.divide(1.0, depth, out=np.zeros_like(depth), where=valid & ~far), valid


def resolve(known: Known, estimate: np.ndarray | None) -> np.ndarray:
    """(size, size) float64 in [0, 1]. The estimate is used where there is none beside the picture. Raises `InputError` for what has no relief."""
    if known.truth is not None and known.whole:
        return normalized(known.truth)
    guess = known.estimate if known.estimate is not None else estimate
    if guess is None:
        raise ValueError("an estimate is needed")
    if not np.isfinite(guess).all():
        raise InputError("The depth model gives values that are not numbers. Choose another one with --depth-model, or another --device.")
    return normalized(guess if known.truth is None or known.valid is None else align(known.truth, known.valid, guess))


def pack_disparity(disparity: np.ndarray) -> Image.Image:
    """(H, W) in [0, 1] -> a 16-bit grey picture, finer than latents in bfloat16 can tell."""
    return Image.fromarray(np.rint(disparity * DEPTH_SCALE).astype(np.uint16))
