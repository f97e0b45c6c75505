# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clean edges: what bled over the border of an object goes back to one side, and loose specks go away.

A depth map that an autoencoder decoded is soft for a few pixels at the border of an object. Those pixels hang in the air between the two
surfaces. Here every such ramp is cut at one place, where the picture changes its colour, so that tearing afterwards cuts one clean line.

Arrays are (height, width), row 0 at the top; `inverse` is 1/Z and NaN in holes. The places where something is to be done are few, so all but
the first look works on lists of pixels, as indices into the flattened picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .lifting import SLOPE_ALLOWANCE, tear_reach, torn_edges

RAMP_REACH = 5
"""How many pixels a step may bleed to each side of its steepest place. What is longer is a steep surface."""
TAIL = 0.1
"""A smaller jump than this share of the steepest one of the ramp, and small enough not to tear, belongs to the surface."""
STEADY = 0.3
FADING = 0.8
"""Jumps of less than `STEADY` of the steepest one are the tail of a blur only while each is less than `FADING` of the one before."""
SLOPE_PIXELS = 4
"""Over how many pixels the surface beside a ramp is measured, to be continued into it."""
PALE = 24.0
"""Contrast between two sides, in steps of 255, at which colour and depth count the same; with more the colour decides."""
MIXED = 0.3
"""A pixel whose colour is a mixture goes with the nearer side when it has this much less than half of its colour: specks of an object's colour
on what lies behind it show more than the other way around."""
PASSES = 3
"""Corners bleed in both directions: what the first pass copies there may itself have been soft."""
SPECK_PIXELS = 8
SPECK_SHARE = 2e-5
"""Loose parts below so many pixels, or below that share of the picture, are specks."""
MOST_SPECKS = 0.05
"""When specks would be more than this share of the picture, it is a noisy one, of which nothing is removed."""


@dataclass(frozen=True)
class Cleaned:
    """disparity (H, W) float32, NaN in holes and where a speck stood alone; how many pixels were snapped to a side, and how many were specks."""

    disparity: np.ndarray
    snapped: int
    specks: int


def clean_edges(disparity: np.ndarray, inverse: np.ndarray, rgb: np.ndarray, threshold: float = 0.06, wraps: bool = False) -> Cleaned:
    """Snap the pixels that bled over a step to the side that they belong to, then sink loose specks into what is around them.

    disparity (H, W), larger is nearer; inverse (H, W) is its 1/Z, NaN in holes; rgb (H, W, 3) uint8. A step is what `torn_edges` tears at
    `threshold`. With `wraps` the last column is the neighbour of the first. Every value of the result lies between values of the input
    within the reach of a ramp.
    """
    disparity, inverse, rgb = np.asarray(disparity, np.float32), np.asarray(inverse, np.float32), np.asarray(rgb)
    width = disparity.shape[1]
    # A full turn: each end continues with the other for as far as anything here looks.
    beyond = min(width, tear_reach(width) + 4 * RAMP_REACH) if wraps else 0
    around = [(0, 0), (beyond, beyond)]
    disparity = np.where(np.isfinite(inverse), disparity, np.float32(np.nan))
    values, depths = np.pad(disparity, around, "wrap"), np.pad(inverse, around, "wrap")
    picture = np.pad(rgb, [*around, (0, 0)], "wrap") if beyond else rgb
    snapped = _snap(values, depths, picture, threshold, (disparity.shape[0], width))
    inner = slice(beyond, beyond + width)
    values, depths = values[:, inner], depths[:, inner]
    specks = find_specks(depths, threshold, wraps)
    values = _sunk(values, specks, wraps)
    return Cleaned(values, int(np.count_nonzero(snapped[:, inner])), int(np.count_nonzero(specks)))


def _sunk(values: np.ndarray, specks: np.ndarray, wraps: bool) -> np.ndarray:
    """Specks at the distance of the most similar neighbor that is none, from their rims inwards; NaN where they touch nothing but holes."""
    height, width = values.shape
    values, rest = values.copy(), specks.copy()
    while (places := np.flatnonzero(rest)).size:
        row, column = places // width, places % width
        sides = [(row + down, column + right) for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        around = np.full((4, places.size), np.inf, np.float32)
        for side, (at_row, at_column) in zip(around, sides, strict=True):
            inside = (at_row >= 0) & (at_row < height) & (wraps | ((at_column >= 0) & (at_column < width)))
            at = at_row[inside], at_column[inside] % width
            side[inside] = np.where(rest[at] | ~np.isfinite(values[at]), np.float32(np.inf), values[at])
        best = np.abs(around - values.flat[places]).argmin(axis=0)
        found = np.take_along_axis(around, best[None], axis=0)[0]
        touched = np.isfinite(found)
        if not touched.any():
            break
        values.flat[places[touched]] = found[touched]
        rest.flat[places[touched]] = False
    values[rest] = np.nan
    return values


def find_specks(inverse: np.ndarray, threshold: float, wraps: bool = False) -> np.ndarray:
    """Pixels of parts that hang together with fewer than max(8, 0.002 %) pixels, (H, W) booleans. The largest part is never a speck."""
    limit = min(max(SPECK_PIXELS, round(SPECK_SHARE * inverse.size)), inverse.size // 16)
    labels, sizes = components(np.isfinite(inverse), *torn_edges(inverse, threshold, wraps), wraps)
    small = sizes < limit
    if not small.any():
        return np.zeros(inverse.shape, bool)
    small[np.argmax(sizes)] = False
    if sizes[small].sum() > MOST_SPECKS * inverse.size:
        return np.zeros(inverse.shape, bool)
    return np.asarray(np.append(small, False)[labels])


def components(solid: np.ndarray, horizontal: np.ndarray, vertical: np.ndarray, wraps: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Parts that hang together over edges that are not torn: labels (H, W) int, -1 where not solid, and the size in pixels of each.

    solid (H, W); horizontal (H, W - 1), or (H, W) with the edge from the last column to the first when it `wraps`; vertical (H - 1, W);
    an edge to a pixel that is not solid has to be torn. Rows are split into runs, and runs that touch are united
    by hooking the larger number to the smaller one and pointer jumping (after Shiloach and Vishkin 1982).
    """
    height, width = solid.shape
    starts = solid.copy()
    starts[:, 1:] &= horizontal[:, : width - 1]
    runs = (np.cumsum(starts, dtype=np.int32) - 1).reshape(height, width)
    count = int(runs[-1, -1]) + 1
    # One pair for each stretch over which the same two runs touch.
    touches = ~vertical
    touches[:, 1:] &= vertical[:, :-1] | starts[:-1, 1:] | starts[1:, 1:]
    upper = np.flatnonzero(touches)
    flat = runs.ravel()
    first, second = flat[upper], flat[upper + width]
    if wraps:
        rows = np.flatnonzero(~horizontal[:, width - 1])
        first, second = np.append(first, runs[rows, 0]), np.append(second, runs[rows, -1])
    parents = _united(count, first, second)
    roots, names = np.unique(parents, return_inverse=True)
    names = np.append(names.astype(np.int32), np.int32(-1))
    labels = np.where(solid, names[runs], np.int32(-1)) if count else np.full(solid.shape, -1, np.int32)
    return labels, np.bincount(labels[solid], minlength=len(roots))


def _united(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The smallest member of the set of each of `count` things, when first[i] and second[i] are in the same set."""
    parents = np.arange(count, dtype=np.int32)
    while first.size:
        lower, upper = np.minimum(first, second), np.maximum(first, second)
        np.minimum.at(parents, upper, lower)
        while True:
            above = parents[parents]
            if np.array_equal(above, parents):
                break
            parents = above
        first, second = parents[lower], parents[upper]
        apart = first != second
        first, second = first[apart], second[apart]
    return parents


@dataclass(frozen=True)
class _Ramps:
    """Soft steps along one axis: the last pixel of the surface before each, in steps of `stride`, and how many pixels hang in between."""

    start: np.ndarray
    between: np.ndarray
    stride: int
    before: np.ndarray
    """How many pixels lie before `start` on its line."""
    after: np.ndarray
    """How many pixels lie from `start` to the end of its line."""
    steepest: np.ndarray
    """The greatest jump in 1/Z between two neighbours."""

    def at(self, offset: np.ndarray | int) -> np.ndarray:
        """Indices of the pixels so far from the start, at most at the end of the line."""
        return np.asarray(self.start + np.clip(offset, -self.before, self.after) * self.stride)


def _snap(disparity: np.ndarray, inverse: np.ndarray, rgb: np.ndarray, threshold: float, size: tuple[int, int]) -> np.ndarray:
    """Snap in place, in disparity and inverse alike. Returns which pixels changed."""
    changed = np.zeros(disparity.shape, bool)
    reaches = [tear_reach(pixels) for pixels in size]
    values, depths, colours = disparity.ravel(), inverse.ravel(), rgb.reshape(-1, 3)
    for _ in range(PASSES):
        both = [_find_ramps(inverse, axis, threshold, reaches[axis]) for axis in (0, 1)]
        found = [_decide(ramps, values, depths, colours, threshold) for ramps in both if ramps.start.size]
        if not found:
            break
        pixels, new_values, new_depths, steepness = (np.concatenate(parts) for parts in zip(*found, strict=True))
        # A pixel in a ramp of each axis obeys the steeper one, which crosses the border more squarely: of equal indices the last counts.
        order = np.argsort(steepness, kind="stable")
        values[pixels[order]] = new_values[order]
        depths[pixels[order]] = new_depths[order]
        changed.ravel()[pixels] = True
    return changed


def _find_ramps(inverse: np.ndarray, axis: int, threshold: float, reach: int) -> _Ramps:
    """Soft steps along an axis: a torn edge, steepest of its ramp, with pixels to one or both sides that go on in the same direction."""
    height, width = inverse.shape
    length, stride = (height, width) if axis == 0 else (width, 1)
    low, high = (inverse[:-1], inverse[1:]) if axis == 0 else (inverse[:, :-1], inverse[:, 1:])
    rows, columns = np.nonzero(np.abs(high - low) > threshold * np.minimum(low, high))
    flat, start, position = inverse.ravel(), rows * width + columns, (rows if axis == 0 else columns)

    def at(chosen: np.ndarray, offset: np.ndarray | int) -> np.ndarray:
        place = position[chosen] + offset
        return np.asarray(flat[start[chosen] + (np.clip(place, 0, length - 1) - position[chosen]) * stride])

    everywhere = np.arange(start.size)
    here, there = at(everywhere, 0), at(everywhere, 1)
    steeper = np.maximum(np.abs(here - at(everywhere, -reach)), np.abs(at(everywhere, 1 + reach) - there)) * (SLOPE_ALLOWANCE / reach)
    steeper = np.where(np.isfinite(steeper), steeper, 0.0)
    torn = np.flatnonzero(np.abs(there - here) - steeper > threshold * np.minimum(here, there))
    jump = np.abs(there - here)[torn]
    sign = np.sign(there - here)[torn]
    tail = TAIL * (jump - steeper[torn])
    steepest = np.ones(torn.size, bool)
    reached, ends = [], []
    for side in (-1, 1):
        going, count = np.ones(torn.size, bool), np.zeros(torn.size, np.int64)
        begin = (side + 1) // 2
        inner, before_that = at(torn, begin), jump
        slope = _slope_beyond(at, torn, begin, side, reach)
        for step in range(1, RAMP_REACH + 2):
            outer = at(torn, begin + side * step)
            size = sign * side * (outer - inner)
            going &= size - slope > np.minimum(tail, threshold * np.minimum(inner, outer))
            # The tail of a blur fades; what stays small without fading, from the edge before on, is a slope.
            steady = going & (size < STEADY * jump) & (size > FADING * before_that)
            going &= ~steady
            count -= steady & (count > 0)
            # Of two edges of the same size the first is the steepest.
            steepest &= ~(going & ((size > jump) | ((size == jump) & (side < 0))))
            count += going
            inner, before_that = outer, size
        reached.append(count)
        last, beyond = (at(torn, begin + side * (count + more)) for more in (0, 1))
        ends.append(sign * side * (beyond - last) > 0.0)
    before, after = reached
    soft = steepest & (before + after > 0) & (np.maximum(before, after) <= RAMP_REACH)
    # The last pixel still bends towards the other side: it is made anew as well.
    before, after, torn = (before + ends[0])[soft], (after + ends[1])[soft], torn[soft]
    place = position[torn] - before
    return _Ramps(start[torn] - before * stride, before + after, stride, place, length - 1 - place, jump[soft])


def _slope_beyond(at: Callable[[np.ndarray, np.ndarray | int], np.ndarray], torn: np.ndarray, begin: int, side: int, reach: int) -> np.ndarray:
    """How steep the surface is on one side, beyond the ramp: near by or farther on, whichever is less, as another step may lie there."""
    clear = RAMP_REACH + 1
    foot = at(torn, begin + side * clear)
    slopes = (np.abs(at(torn, begin + side * (clear + pixels)) - foot) / pixels for pixels in (SLOPE_PIXELS, max(reach, 2 * SLOPE_PIXELS)))
    slope = np.fmin(*slopes) * SLOPE_ALLOWANCE
    return np.where(np.isfinite(slope), slope, np.float32(0.0))


def _decide(
    ramps: _Ramps, values: np.ndarray, depths: np.ndarray, colours: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut each ramp at one place. Returns pixels, their disparity and 1/Z, and the steepest jump of the ramp that each belongs to."""
    steps = np.arange(1, 2 * RAMP_REACH + 3)[None, :]
    inside = steps <= ramps.between[:, None]
    end = ramps.between + 1
    pixels = np.stack([ramps.at(np.minimum(step, ramps.between)) for step in steps[0]], axis=1)
    low, high = depths[ramps.at(0)][:, None], depths[ramps.at(end)][:, None]
    by_depth = (depths[pixels] - low) / (high - low)
    by_colour, trust = _by_colour(ramps, pixels, depths, colours, threshold)
    # How far a pixel is from the first side to the second; the cut lies where the fewest pixels are on the wrong side of the middle.
    share = by_depth + trust * (by_colour - by_depth)
    middle = 0.5 + MIXED * trust * np.where(low > high, 1.0, -1.0)
    cost = np.cumsum(np.where(inside, share - middle, 1.0), axis=1)
    cut = np.where(cost.min(axis=1) < 0.0, cost.argmin(axis=1) + 1, 0)[:, None]
    first = steps <= cut
    result = []
    for numbers in (values, depths):
        before = _continued(ramps, numbers, depths, np.zeros_like(end), -1, steps, threshold)
        behind = _continued(ramps, numbers, depths, end, 1, end[:, None] - steps, threshold)
        edge, other = numbers[ramps.at(0)][:, None], numbers[ramps.at(end)][:, None]
        result.append(np.clip(np.where(first, before, behind), np.minimum(edge, other), np.maximum(edge, other))[inside])
    return pixels[inside], result[0], result[1], np.broadcast_to(ramps.steepest[:, None], inside.shape)[inside]


def _continued(ramps: _Ramps, numbers: np.ndarray, depths: np.ndarray, end: np.ndarray, outward: int, distance: np.ndarray, threshold: float) -> np.ndarray:
    """The surface at one end of each ramp, continued by its slope where it is whole, (ramps, pixels)."""
    edge, farther = ramps.at(end), ramps.at(end + outward * SLOPE_PIXELS)
    change = np.abs(depths[edge] - depths[farther])
    whole = change <= 2.0 * threshold * np.minimum(depths[edge], depths[farther])
    slope = np.where(whole, numbers[edge] - numbers[farther], np.float32(0.0)) / SLOPE_PIXELS
    return np.asarray(numbers[edge][:, None] + slope[:, None] * distance, np.float32)


def _by_colour(ramps: _Ramps, pixels: np.ndarray, depths: np.ndarray, colours: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """How far (0 to 1) the colour of each pixel is from the first side's to the second's, and how much that tells (0 to 1)."""
    end = ramps.between + 1
    first, second = (_side_colour(ramps, depths, colours, at, outward, threshold) for at, outward in ((np.zeros_like(end), -1), (end, 1)))
    across = (second - first)[:, None, :]
    own = colours[pixels].astype(np.float32) - first[:, None, :]
    contrast = np.maximum(np.sum(across * across, axis=2), np.float32(1e-6))
    share = np.sum(own * across, axis=2) / contrast
    off = own - share[..., None] * across
    trust = contrast / (contrast + PALE**2 + np.sum(off * off, axis=2))
    return np.clip(share, 0.0, 1.0), trust


def _side_colour(ramps: _Ramps, depths: np.ndarray, colours: np.ndarray, at: np.ndarray, outward: int, threshold: float) -> np.ndarray:
    """The colour of a side, (ramps, 3) float32: its pixel at the ramp, and the next one where that is the same surface."""
    edge, next_one = ramps.at(at), ramps.at(at + outward)
    same = np.abs(depths[edge] - depths[next_one]) <= threshold * np.minimum(depths[edge], depths[next_one])
    return np.asarray((colours[edge].astype(np.float32) + colours[np.where(same, next_one, edge)]) / 2.0)
