# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scale and shift of the disparities of overlapping views around one point, all found together from what the views share.

A view's disparity d says 1/z = s d + t with unknown s > 0 and t >= 0, z its planar depth. Along a direction at angle a from its axis the distance r from
the point is z / cos a, so that all views which see the direction must agree on 1/r = cos a (s d + t).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import cholesky, solve_triangular
from scipy.ndimage import correlate1d, uniform_filter1d
from scipy.optimize import nnls
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from .sphere import View, border_weight, even_directions, sample

RAMP = 0.2
"""Part of a view's half side, at its border, where it counts less: a picture's border is estimated with half of the context."""
SIDE = 128
"""Pixels that are enough of a view to fit two numbers; larger pictures are averaged down, which also takes noise away."""
FLOOR = 0.1
"""Of the mean inverse distance: disagreement is measured relative to the distance, but farther than ten times the mean distance as if it were there."""
TINY = 1e-6
"""Against a mean scale of 1; where all is sky, it is so far away."""
SKY = 0.05
"""Of the mean inverse distance; what is farther is not compared."""
BANDS, FEW = 24, 20
"""Heights above the horizon that are compared, each an equal part of the sphere; and pairs of places that are too few for a median."""
LOOSEST, TIGHTENING, TIGHTEST = 1.0, 0.6, 0.03
"""A relative disagreement that is no outlier: at first, with each iteration, and at least, since sampling alone makes some."""
MOST_NOISE = 0.03
"""Of the range of disparities; more than this is no noise."""
NOISE_MARGIN = 1.3
"""Noise in a window deviates so much more than usual before it counts as structure."""
LOST = 0.01
"""Part of its weight that a view has left when the others cannot be reconciled with it."""
LEAST_SCALE = 1e-3
"""Of the mean scale; a view cannot be flatter."""
GAUGE = 1e3
"""Weight of what is held, against 1 for the pull of the overlaps."""
RIDGE = 1e-6
"""Pull of each scale towards the mean, against 1 for the pull of the overlaps; it decides only where they say nothing."""


@dataclass(frozen=True)
class Alignment:
    """1/z = scales[i] * d + shifts[i] in view i, (N,) float64 each, scales > 0, shifts >= 0.

    `disagreement` is the mean relative difference of two views' 1/r where both see something nearer than the sky, NaN where that is nowhere.
    """

    scales: np.ndarray
    shifts: np.ndarray
    disagreement: float


@dataclass(frozen=True)
class Shared:
    """What N views say along K directions: disparities, cosines of the angle from the axis, how far inside the picture (0 to 1), all (K, N) float64.

    Where a view sees nothing all are 0.
    """

    disparities: np.ndarray
    cosines: np.ndarray
    inside: np.ndarray

    def inverse(self, scales: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """1/r, (K, N)."""
        return self.cosines * (scales * self.disparities + shifts)


def solve(
    views: Sequence[View],
    disparities: Sequence[np.ndarray | Tensor],
    known: Mapping[int, tuple[float, float]] = {},
    points: int = 20000,
    start: Alignment | None = None,
    iterations: int = 10,
) -> Alignment:
    """Scales and shifts with which the views (N, each disparity (h, w) of its own size) agree best, by iteratively reweighted least squares.

    The mean scale is 1 unless `known` gives (scale, shift) of some views, in 1/metres: these stay, and everything comes out in 1/metres.
    Disagreement counts relative to the distance, outliers count little. A view that the others cannot tell about gets the mean scale; one that cannot be
    reconciled with the others is fitted to them and has no say. With a `start` from similar disparities two or three iterations are enough.
    """
    shared = overlaps(views, disparities, points)
    basis, is_scale = _unknowns(shared, known)
    held = basis.T @ _structure(shared)
    both = basis @ is_scale if start is None else np.concatenate([start.scales, start.shifts])
    trust, free = shared.inside, np.array([index not in known for index in range(len(views))])
    for iteration in range(iterations if free.any() else 0):
        tolerance = max(TIGHTEST, LOOSEST * TIGHTENING**iteration) if start is None else TIGHTEST
        form, trust = _disagreement(shared, shared.inverse(*np.split(both, 2)), trust, tolerance, free)
        unknowns = _least_squares(basis.T @ form @ basis, held, is_scale)
        both = basis @ (unknowns / unknowns[: free.sum()].mean())
    scales, shifts = _lost_fitted(shared, *np.split(both, 2), trust, free)
    if known:
        index, (scale, shift) = next(iter(known.items()))
        factor = (scale + shift) / (scales[index] + shifts[index])
        scales, shifts = scales * factor, shifts * factor
    else:
        scales, shifts = scales / scales.mean(), shifts / scales.mean()
    sees = shared.inside > 0
    relative, _, _ = _differences(shared.inverse(scales, shifts), sees, sees)
    return Alignment(scales, shifts, float(relative.mean()) if len(relative) else float("nan"))


def consistency(views: Sequence[View], disparities: Sequence[np.ndarray | Tensor], alignment: Alignment, points: int = 20000) -> tuple[float, float]:
    """Relative difference of two views' 1/r where both see: (both well inside their pictures, at least one near its border).

    Both are medians over the places of one height above the horizon, averaged over the heights where there are both kinds of places, as often as there are
    borders: depth differs in kind with height, and at the outlines of things, which views have rather in their middles, it differs with how a pixel cuts
    them. The sky does not count. NaN where there is no such overlap.
    """
    shared = overlaps(views, disparities, points)
    relative, rows, well = _differences(shared.inverse(alignment.scales, alignment.shifts), shared.inside > 0, shared.inside >= 1)
    # The directions go down from the zenith in bands of equal area.
    bands = rows * BANDS // points
    found = []
    for band in range(BANDS):
        inside, border = relative[(bands == band) & well], relative[(bands == band) & ~well]
        if min(len(inside), len(border)) >= FEW:
            found.append((np.median(inside), np.median(border), len(border)))
    if not found:
        return float("nan"), float("nan")
    inside, border, weights = np.array(found).T
    return float(np.average(inside, weights=weights)), float(np.average(border, weights=weights))


def overlaps(views: Sequence[View], disparities: Sequence[np.ndarray | Tensor], points: int) -> Shared:
    """What the views say along so many evenly spread directions, without most of the noise of pixels, which would make scales too small."""
    directions = even_directions(points, torch.zeros((), dtype=torch.float64))
    values, cosines, inside = (np.zeros((points, len(views))) for _ in range(3))
    for index, (view, disparity) in enumerate(zip(views, disparities, strict=True)):
        picture = as_array(disparity)
        places, cosine = view.project(directions, *picture.shape)
        weight = border_weight(places, RAMP)
        sees = (cosine > 0) & (weight > 0)
        shrink = max(1, min(picture.shape) // SIDE)
        small = adaptive_avg_pool2d(torch.from_numpy(picture)[None], tuple(side // shrink for side in picture.shape))[0].numpy()
        rows = sees.numpy()
        values[rows, index] = at_places(denoised(small, noise(small)), places[sees])
        cosines[rows, index] = cosine[sees].numpy()
        inside[rows, index] = weight[sees].numpy()
    return Shared(values, cosines, inside)


def as_array(disparity: np.ndarray | Tensor) -> np.ndarray:
    """The same as a float64 array."""
    return disparity.detach().to("cpu", torch.float64).numpy() if isinstance(disparity, Tensor) else np.ascontiguousarray(disparity, np.float64)


def at_places(picture: np.ndarray, places: Tensor) -> np.ndarray:
    """(h, w) at places (n, 2) as `View.project` gives them -> (n,), bilinear; n may be 0."""
    return sample(torch.from_numpy(picture)[None], places)[0].numpy() if len(places) else np.zeros(0)


def noise(picture: np.ndarray) -> float:
    """The standard deviation of independent noise in the pixels of (h, w); 0 on planes, whatever their slope, and robust against edges.

    By the second difference across of the second difference down (Immerkaer, Fast noise variance estimation, 1996), its median absolute value.
    Pixels at the ends of the range, where noise is cut off, do not count.
    """
    response = np.abs(np.diff(np.diff(picture, 2, axis=0), 2, axis=1))
    middle = picture[1:-1, 1:-1]
    counted = response[(middle > picture.min()) & (middle < picture.max())]
    # The kernel's norm is 6; 0.6745 deviations are the median absolute value of normal noise.
    return min(float(np.median(counted)) / (6 * 0.6745), MOST_NOISE * float(np.ptp(picture))) if counted.size else 0.0


def denoised(picture: np.ndarray, deviation: float, reach: int = 3) -> np.ndarray:
    """(h, w) without most of independent noise of that standard deviation, edges and whatever else stands out from the noise kept.

    Disparity is linear on every plane. Where a window around a pixel is a plane but for the noise, the pixel becomes its mean; otherwise as much of the
    deviation stays as the noise does not explain (Lee, Digital image enhancement and noise filtering by use of local statistics, 1980).
    """
    if deviation <= 0:
        return picture
    size, ramp = 2 * reach + 1, np.arange(-reach, reach + 1.0)
    padded = np.pad(picture, reach, mode="reflect", reflect_type="odd")  # goes on with its slope
    down, across = uniform_filter1d(padded, size, axis=0), uniform_filter1d(padded, size, axis=1)
    mean = uniform_filter1d(down, size, axis=1)
    spread = uniform_filter1d(uniform_filter1d(padded**2, size, axis=0), size, axis=1) - mean**2
    sloped = (correlate1d(down, ramp, axis=1) ** 2 + correlate1d(across, ramp, axis=0) ** 2) / (size * (ramp @ ramp))
    left = np.maximum(spread - sloped, np.finfo(np.float64).tiny)
    kept = np.maximum(1 - (NOISE_MARGIN * deviation) ** 2 / left, 0)
    return np.asarray((mean + kept * (padded - mean))[reach:-reach, reach:-reach])


def _disagreement(shared: Shared, inverse: np.ndarray, trust: np.ndarray, tolerance: float, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much the views disagree, as a form in N scales, then N shifts, (2 N, 2 N), from what 1/r (K, N) and `trust` (K, N) are now; and the new trust.

    It is the mean of (difference from the mean of a direction / that mean now)^2. Trust is the weight in all of these: small for outliers (Geman and McClure's
    weights), and for all of a view that is `free` and whose median is one: where only two views see, it decides between them.
    """
    mean = (trust * inverse).sum(axis=1) / np.maximum(trust.sum(axis=1), np.finfo(np.float64).tiny)
    floor = max(FLOOR * float(mean.mean()), TINY)
    scale = np.hypot(mean, floor)[:, None]
    relative, sees = np.abs(inverse - mean[:, None]) / scale, shared.inside > 0
    usual = float(np.median(relative[sees & (mean >= min(floor, mean.max()))[:, None]]))
    tolerance = max(tolerance, 3 * usual)
    usual_in = np.array([np.median(differences[seen]) if seen.any() else 0.0 for differences, seen in zip(relative.T, sees.T, strict=True)]) * free
    trust = shared.inside / (1 + (relative / tolerance) ** 2) ** 2 / (1 + (usual_in / tolerance) ** 2) ** 2
    columns = [shared.cosines * shared.disparities / scale, shared.cosines / scale]
    squares = np.block([[np.diag((trust * one * other).sum(axis=0)) for other in columns] for one in columns])
    means = np.concatenate([trust * column for column in columns], axis=1) / np.sqrt(np.maximum(trust.sum(axis=1), np.finfo(np.float64).tiny))[:, None]
    return (squares - means.T @ means) / trust.sum(), trust


def _structure(shared: Shared) -> np.ndarray:
    """(2 N,): the parts of the N scales in what is held while views are made to agree: how much their disparities vary; nothing of the shifts.

    Something must be held, since all of them at 0 agree. Were it the mean scale, a view without structure would take all of it and leave nothing to the
    others; were it the mean 1/r, growing shifts would: views far apart from each other agree when both are flat.
    """
    weights = shared.inside / np.maximum(shared.inside.sum(axis=0), TINY)
    mean = (weights * shared.disparities).sum(axis=0)
    deviations = np.sqrt((weights * (shared.disparities - mean) ** 2).sum(axis=0)) + TINY
    return np.concatenate([deviations / deviations.sum(), np.zeros_like(mean)])


def _unknowns(shared: Shared, known: Mapping[int, tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """What the unknowns (U,) are: (2 N, U), their effect on N scales, then N shifts; and (U,), 1 where they are scales, 0 where they are shifts.

    They are the scales of the views that are not known, their shifts, and one factor of all that is known. Were that factor held and everything else free,
    views that disagree would do so the less, the smaller all of them are.
    """
    count = shared.inside.shape[1]
    free = [index for index in range(count) if index not in known]
    basis = np.eye(2 * count)[:, free + [count + index for index in free]]
    is_scale = np.repeat([1.0, 0.0], len(free))
    if not known:
        return basis, is_scale
    fixed = np.zeros(2 * count)
    for index, values in known.items():
        fixed[[index, count + index]] = values
    # At a factor of 1 the nearest is at 1, as it is to begin with in views whose disparity is from 0 to 1.
    nearest = max(float(shared.inverse(*np.split(fixed, 2)).max()), TINY)
    return np.column_stack([basis, fixed / nearest]), np.append(is_scale, 1)


def _least_squares(form: np.ndarray, held: np.ndarray, is_scale: np.ndarray) -> np.ndarray:
    """(U,): the unknowns x that make the form (U, U) least where `held` (U,) @ x is 1, shifts are at least 0 and scales at least `LEAST_SCALE`."""
    least = LEAST_SCALE * is_scale
    # With the factor U'U of the form it is |U x|^2, as non-negative least squares wants it.
    root = cholesky(form + RIDGE * np.eye(len(form)))
    target = solve_triangular(root, RIDGE * is_scale, trans="T") - root @ least
    return np.asarray(least + nnls(np.vstack([root, GAUGE * held]), np.append(target, GAUGE * (1 - held @ least)))[0])


def _lost_fitted(shared: Shared, scales: np.ndarray, shifts: np.ndarray, trust: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales and shifts (N,) where each `free` view that lost nearly all trust (K, N) is fitted, alone, to what the others say."""
    inverse, scales, shifts = shared.inverse(scales, shifts), scales.copy(), shifts.copy()
    for index in np.flatnonzero(free & (trust.sum(axis=0) < LOST * shared.inside.sum(axis=0))):
        others = np.where(np.arange(len(scales)) == index, 0, trust)
        mean = (others * inverse).sum(axis=1) / np.maximum(others.sum(axis=1), np.finfo(np.float64).tiny)
        weight = np.sqrt(shared.inside[:, index] * (others.sum(axis=1) > 0)) / np.hypot(mean, max(FLOOR * float(mean.mean()), TINY))
        cosines = weight * shared.cosines[:, index]
        scale, shift = nnls(np.column_stack([cosines * shared.disparities[:, index], cosines]), weight * mean)[0]
        scales[index], shifts[index] = max(scale, LEAST_SCALE), shift
    return scales, shifts


def _differences(inverse: np.ndarray, sees: np.ndarray, well: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """|a - b| / ((a + b) / 2) of all pairs of views (P,) without the sky, the directions' indices (P,), and whether both are `well` (P,)."""
    sky = SKY * float(inverse[sees].mean()) if sees.any() else 0.0
    relative, rows, both = [np.zeros(0)], [np.zeros(0, int)], [np.zeros(0, bool)]
    for one in range(inverse.shape[1]):
        for other in range(one):
            middle = (inverse[:, one] + inverse[:, other]) / 2
            counted = np.flatnonzero(sees[:, one] & sees[:, other] & (middle > sky))
            relative.append(np.abs(inverse[counted, one] - inverse[counted, other]) / middle[counted])
            rows.append(counted)
            both.append(well[counted, one] & well[counted, other])
    return np.concatenate(relative), np.concatenate(rows), np.concatenate(both)
