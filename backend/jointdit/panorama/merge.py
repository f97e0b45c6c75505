# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Aligned views become one map of distances all around, without seams: slopes mostly of one view at each place, heights of all views together.

As when pictures are stitched in the gradient domain (Pérez et al., Poisson image editing, 2003), in the logarithm of distance, so that views that differ by a
factor have equal slopes. Where distance is too far to be known but for noise, the logarithm of noise would say nothing: there it is 1/r itself that is merged.
Both are asinh(1/r / knee), which is a logarithm well above the knee and linear below; neither the sky, 1/r = 0, nor what is hardly nearer is special.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.fft import irfft, rfft
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

from .solve import Alignment, as_array, at_places, denoised, noise
from .sphere import View, border_weight, equirectangular_rays

RAMP = 0.2
"""Part of a view's half side, at its border, over which it fades."""
FEATHER = 0.05
"""The same for a view that is to be kept; farther inside it is kept exactly."""
KEPT = 1e6
"""Weight of a view that is to be kept, against 1 for the others."""
SHARPNESS = 8
"""Power of the cosine of the angle from the axis in the weight of a view's slopes. At most places the slopes are of one view:
the mean of steps that are not quite at one place would be several smaller steps."""
AGREEMENT = 0.02
"""A difference between views, in the logarithm of distance, that is never an outlier."""
KNEE = 0.2
"""Of the mean inverse distance: five times as far as usual, differences begin to be measured in 1/r instead of its logarithm."""
REACH = 0.1
"""Radians over which slopes count more than heights: so far away from a seam it is made up for."""
STEP = 0.05
"""A difference between neighbouring pixels from which on it is a step: what does not fit is left there instead of spread around."""
TOLERANCE, ITERATIONS = 1e-4, 200
"""Residual, relative, at which the solver of the linear system stops, and iterations after which it stops anyway."""


@dataclass(frozen=True)
class Seen:
    """What a view sees of a panorama, n pixels of it, (n,) each.

    Flat indices of the pixels; heights, which are 1/r at first and then asinh(1/r / knee); weights; cosines of the angle from the view's axis;
    and where the view is to be kept exactly.
    """

    pixels: np.ndarray
    heights: np.ndarray
    weights: np.ndarray
    cosines: np.ndarray
    certain: np.ndarray


def merge(views: Sequence[View], disparities: Sequence[np.ndarray | Tensor], alignment: Alignment, height: int, keep: Collection[int] = ()) -> np.ndarray:
    """(height, 2 height) float64: 1/r >= 0 of an equirectangular panorama, in the units of the alignment. The top and the bottom row are one value each.

    Disparities are (h, w), each of its own size. Views whose index is in `keep` are kept as they are, but for a feather at their border;
    in the others independent noise of pixels is taken away, and at a place where several differ, the majority counts.
    Raises ValueError when the views see nothing.
    """
    shape = (height, 2 * height)
    directions = equirectangular_rays(*shape, torch.zeros((), dtype=torch.float64)).reshape(-1, 3)
    seen = [
        _seen(view, as_array(disparity), scale, shift, directions, index in keep)
        for index, (view, disparity, scale, shift) in enumerate(zip(views, disparities, alignment.scales, alignment.shifts, strict=True))
    ]
    inverse, total = _mean(seen, shape)
    if not total.any():
        raise ValueError("the views see nothing of the panorama")
    knee = max(KNEE * float(inverse[total > 0].mean()), np.finfo(np.float64).tiny)
    seen = _agreeing([replace(view, heights=np.arcsinh(view.heights / knee)) for view in seen], shape)
    # The mean of 1/r, not of its logarithm: noise has mean 0 in it.
    inverse, _ = _mean([replace(view, heights=np.sinh(view.heights)) for view in seen], shape)
    certain = np.zeros(shape, bool)
    for view in seen:
        certain.ravel()[view.pixels[view.certain]] = True
    heights = integrate(*_slopes(seen, shape), np.arcsinh(inverse), total > 0, certain)
    return np.maximum(np.sinh(heights) * knee, 0)


def _seen(view: View, picture: np.ndarray, scale: float, shift: float, directions: Tensor, kept: bool) -> Seen:
    """What the view sees along directions (H W, 3), with 1/r for heights."""
    places, cosines = view.project(directions, *picture.shape)
    weights = border_weight(places, FEATHER if kept else RAMP)
    pixels = torch.nonzero((cosines > 0) & (weights > 0))[:, 0]
    clean = picture if kept else denoised(picture, noise(picture))
    cosines, weights = cosines[pixels].numpy(), weights[pixels].numpy()
    inverse = cosines * (scale * at_places(clean, places[pixels]) + shift)
    return Seen(pixels.numpy(), inverse, weights * KEPT if kept else weights, cosines, (weights >= 1) & kept)


def _mean(seen: Sequence[Seen], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean of heights, 0 where no view sees, and the sum of weights; (H, W) each."""
    total, weighted = np.zeros(shape), np.zeros(shape)
    for view in seen:
        total.ravel()[view.pixels] += view.weights
        weighted.ravel()[view.pixels] += view.weights * view.heights
    return weighted / np.maximum(total, np.finfo(np.float64).tiny), total


def _agreeing(seen: Sequence[Seen], shape: tuple[int, int], iterations: int = 2) -> list[Seen]:
    """The same with less weight where a view is far from the mean of all, and all over a view that mostly is; measured by how far they usually are."""

    def share(far: np.ndarray | float) -> np.ndarray | float:
        return 1 / (1 + (far / usual) ** 2) ** 2

    agreeing = list(seen)
    for _ in range(iterations):
        mean = _mean(agreeing, shape)[0].ravel()
        away = [np.abs(view.heights - mean[view.pixels]) for view in seen]
        usual = max(AGREEMENT, 3 * float(np.median(np.concatenate(away))))
        agreeing = [replace(view, weights=view.weights * share(far) * share(float(np.median(far)))) for view, far in zip(seen, away, strict=True)]
    return agreeing


def _slopes(seen: Sequence[Seen], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean differences of heights to the right neighbour (H, W), around the seam, and to the lower one (H - 1, W); 0 where no view sees both."""
    across, down = np.zeros(shape), np.zeros((shape[0] - 1, shape[1]))
    across_total, down_total = np.full_like(across, np.finfo(np.float64).tiny), np.full_like(down, np.finfo(np.float64).tiny)
    for view in seen:
        heights, weights = np.zeros(shape), np.zeros(shape)
        heights.ravel()[view.pixels] = view.heights
        weights.ravel()[view.pixels] = view.weights * view.cosines**SHARPNESS
        both = weights * np.roll(weights, -1, axis=1)
        across += both * (np.roll(heights, -1, axis=1) - heights)
        across_total += both
        both = weights[1:] * weights[:-1]
        down += both * np.diff(heights, axis=0)
        down_total += both
    return across / across_total, down / down_total


def integrate(
    across: np.ndarray, down: np.ndarray, heights: np.ndarray, known: np.ndarray, certain: np.ndarray, reach: float = REACH
) -> np.ndarray:
    """(H, W): what is nearest to slopes (H, W) and (H - 1, W) and, weakly, to heights (H, W) where `known`; `certain` heights stay.

    Minimises the integral over the sphere of |gradient - slopes|^2 + |result - heights|^2 / reach^2, each pole row being one unknown.
    """
    rows, columns = heights.shape
    latitudes = (0.5 - (np.arange(rows) + 0.5) / rows) * np.pi
    # A pixel is cos(latitude) as wide as high. The poles have nothing to the right of them.
    even_across = 1 / np.cos(latitudes)[:, None]
    even_across[[0, -1]] = 0
    even_down = np.cos((latitudes[1:] + latitudes[:-1]) / 2)[:, None]
    stiff_across, stiff_down = even_across / (1 + (across / STEP) ** 2), even_down / (1 + (down / STEP) ** 2)
    even_pull = np.cos(latitudes) * (np.pi / rows / reach) ** 2
    pull = even_pull[:, None] * known
    certain, start = certain.copy(), heights.copy()
    for pole in (0, -1):
        if certain[pole].any():
            start[pole] = heights[pole, certain[pole]].mean()
            certain[pole] = True
        else:
            start[pole] = heights[pole].mean()

    def free(field: np.ndarray) -> np.ndarray:
        """The part of a field that may change."""
        field = np.where(certain, 0, field)
        field[[0, -1]] = field[[0, -1]].mean(axis=1, keepdims=True)
        return field

    def gradient(field: np.ndarray, across: np.ndarray | float, down: np.ndarray | float, heights: np.ndarray | float) -> np.ndarray:
        """Half of the derivative of what is minimised."""
        flow_across = stiff_across * (np.roll(field, -1, axis=1) - field - across)
        flow_down = stiff_down * (np.diff(field, axis=0) - down)
        out = pull * (field - heights) + np.roll(flow_across, 1, axis=1) - flow_across
        out[1:] += flow_down
        out[:-1] -= flow_down
        return free(out)

    # With nothing known at all the rough system would have no solution, though what is certain gives this one its own.
    rough = _solver(even_across[:, 0], even_down[:, 0], np.maximum(pull.mean(axis=1), even_pull / 100), columns)
    matrix = LinearOperator((heights.size,) * 2, lambda flat: gradient(flat.reshape(heights.shape), 0, 0, 0).ravel(), dtype=np.float64)
    inverse = LinearOperator((heights.size,) * 2, lambda flat: free(rough(flat.reshape(heights.shape))).ravel(), dtype=np.float64)
    change, _ = cg(matrix, -gradient(start, across, down, heights).ravel(), rtol=TOLERANCE, maxiter=ITERATIONS, M=inverse)
    return start + change.reshape(heights.shape)


def _solver(stiff_across: np.ndarray, stiff_down: np.ndarray, pull: np.ndarray, columns: int) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of the system where stiffness (H,), (H - 1,) and pull (H,) are the same all along each row: exact then, else a good preconditioner.

    Waves along the rows do not mix, so that each is a tridiagonal system down the columns; all are eliminated together (the Thomas algorithm).
    The pole rows, one value each, take part in the wave of length infinity only.
    """
    rows = len(pull)
    waves = 2 - 2 * np.cos(2 * np.pi * np.arange(columns // 2 + 1) / columns)
    diagonal = pull[:, None] + stiff_across[:, None] * waves
    diagonal[1:] += stiff_down[:, None]
    diagonal[:-1] += stiff_down[:, None]
    factors = np.repeat(-stiff_down[:, None], len(waves), axis=1)
    factors[[0, -1], 1:] = 0
    for row in range(rows - 1):
        link = factors[row].copy()
        factors[row] /= diagonal[row]
        diagonal[row + 1] -= factors[row] * link
    diagonal[[0, -1], 1:] = np.inf

    def solve(field: np.ndarray) -> np.ndarray:
        spectrum = rfft(field, axis=1)
        for row in range(rows - 1):
            spectrum[row + 1] -= factors[row] * spectrum[row]
        spectrum /= diagonal
        for row in range(rows - 2, -1, -1):
            spectrum[row] -= factors[row] * spectrum[row + 1]
        return np.asarray(irfft(spectrum, columns, axis=1))

    return solve
