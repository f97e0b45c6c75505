# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sky of a frame, found by farthest disparity and color; and colors extended from known pixels over unknown ones.

Three steps find the sky. Disparity, smoothed where the picture is smooth (guided filter: He, Sun, Tang, "Guided Image Filtering", ECCV 2010), gives
what is at the far end and touches the upper border. What no sky can be is refused: walls that lean, textures, colors of things. In a band
around the border of the rest, every pixel of the full picture goes to the side whose colors it has, because disparity is blurred there.

Pictures are (height, width, 3), row 0 at the top. `nearness` is disparity as 0 (farthest) to 1 (nearest), NaN in holes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame import Camera

WORKING = 256
"""The longer side, in pixels, at which the sky is searched; only its border is followed at full size."""
FLAT = 0.015
"""By how much the nearness of the upper border may exceed the least one."""
LEAN = 0.009
"""The same for averages over large windows, which noise does not move: a wall that leans, seen by a camera that looks down, comes closer than that."""
STEP = 0.004
"""How much nearer than the sky something must be to be told from it by disparity alone, without noise."""
FAINT = 5.0
"""How many times the limit of the sky's nearness something within the sky may reach that is no thing but unevenness."""
SMALLEST = 0.003
"""The least share of the picture that counts as a sky."""
TEXTURE = 0.07
"""What the 85th percentile of the differences between neighboring pixels (0 to 1) exceeds in textures: bricks, gravel, leaves; not in clouds."""
EDGE = 0.06
"""The difference between neighboring pixels (0 to 1) that ends a sky for good where what lies behind it has other colors."""
WHITE = 0.6
"""The darkest channel (0 to 1) from which on a color is that of clouds."""
CONTRAST = 0.08
"""How much nearer than the sky the nearest things must be, at least; else the disparity says nothing."""
TOLERANCE = 0.03
"""Standard deviation of a color (0 to 1) that says nothing yet."""
TRUST = 3.0
"""How much disparity counts against color near the border, in log-likelihood."""
BLUR = 6
"""Over how many pixels the disparity of an edge may be blurred."""


def find_sky(nearness: np.ndarray, rgb: np.ndarray, camera: Camera) -> np.ndarray:
    """Which pixels are sky, (height, width) bool; all False where there is none. `rgb` is uint8, of the size of `nearness`."""
    nothing = np.zeros(nearness.shape, bool)
    finite = np.isfinite(nearness)
    if min(nearness.shape) < 8 or not finite.any():
        return nothing
    factor = max(1, round(max(nearness.shape) / WORKING))
    # A hole may be where the sky is infinitely far away; its color will tell.
    near = np.where(finite, nearness, nearness[finite].min()).astype(np.float32)
    small = _reduced(near[..., None], factor)[..., 0]
    color = _reduced(rgb, factor) / np.float32(255.0)
    radius = max(2, max(small.shape) // 64)
    smooth = _guided(color, small, radius)
    noise = _noise(small, smooth)
    cut = _cut(smooth, noise)
    if cut is None:
        return nothing
    # Smoothing bridges gaps that are narrower than its window; where there is little noise, the plain numbers show them.
    at_far_end = (smooth <= cut) | (small <= cut - 3.0 * noise)
    far = _connected(at_far_end, _upper_border(small.shape), camera.wraps)
    at_far_end &= ~_strange(far, color, camera.wraps)
    far &= at_far_end
    if not _plausible(far, color, small):
        return nothing
    far |= _more(at_far_end & ~far, far, color, camera.wraps)
    far |= ~far & ~_grounded(~far, camera.wraps) & (smooth <= FAINT * cut)
    sides = _sides(far, small, color, cut, max(2, -(-BLUR // factor)), radius)
    found = _without_specks(_follow(sides, near, rgb, factor))
    return _connected(found, _enlarged(sides.sky, factor, found.shape) | _upper_border(found.shape), camera.wraps)


def sky_cutoff(mask: np.ndarray, nearness: np.ndarray) -> float:
    """The nearness up to which the sky reaches, with a small margin, for (height, width) arrays; 0 when there is no sky.

    Never so large that it reaches into the nearest three quarters of what is not sky.
    """
    inside = nearness[mask & np.isfinite(nearness)]
    if not inside.size:
        return 0.0
    outside = nearness[~mask & np.isfinite(nearness)]
    highest = float(np.percentile(inside, 99.5))
    reach = highest + max(1e-3, 0.1 * highest)
    if outside.size:
        reach = min(reach, max(float(np.percentile(outside, 25.0)), 1e-3))
    return float(min(reach, 0.25))


def fill_unknown(rgb: np.ndarray, known: np.ndarray, wraps: bool = False) -> np.ndarray:
    """The known pixels as they are, the others filled smoothly from them: (height, width, 3) uint8.

    `known` is (height, width) bool; with `wraps` the right border is next to the left one. Nothing known gives mid grey.
    Push-pull (Gortler et al., "The Lumigraph", 1996): averages of known pixels on ever coarser grids, interpolated back.
    """
    if not known.any():
        return np.full_like(rgb, 128)
    filled = push_pull(rgb.astype(np.float32), known.astype(np.float32), wraps)
    return np.where(known[..., None], rgb, np.clip(filled + 0.5, 0.0, 255.0).astype(np.uint8))


def push_pull(values: np.ndarray, weight: np.ndarray, wraps: bool = False) -> np.ndarray:
    """(height, width, channels) float32 values, those of weight below 1 (height, width) mixed with what surrounds them at coarser grids."""
    height, width, _ = values.shape
    if max(height, width) <= 2 or float(weight.min()) >= 1.0:
        total = max(float(weight.sum()), 1e-12)
        mean = (values * weight[..., None]).sum(axis=(0, 1)) / total
        return np.asarray(mean + (values - mean) * weight[..., None])
    weighted = np.concatenate([values * weight[..., None], weight[..., None]], axis=-1)
    coarse = _halved(_halved(weighted, wraps=False).swapaxes(0, 1), wraps).swapaxes(0, 1)
    amount = coarse[..., -1:]
    below = push_pull(coarse[..., :-1] / np.maximum(amount, 1e-12), np.minimum(1.0, 2.0 * amount[..., 0]), wraps)
    pulled = _doubled(_doubled(below, height, wraps=False).swapaxes(0, 1), width, wraps).swapaxes(0, 1)
    return np.asarray(pulled + (values - pulled) * weight[..., None])


@dataclass(frozen=True)
class _Sides:
    """The border of the sky at the working size: (h, w) masks and (h, w, 3) colors extended from either side, and their variances (h, w)."""

    sky: np.ndarray
    band: np.ndarray
    sky_color: np.ndarray
    sky_variance: np.ndarray
    other_color: np.ndarray
    other_variance: np.ndarray
    half: np.ndarray


def _upper_rows(values: np.ndarray) -> np.ndarray:
    return values[: max(2, len(values) // 32)]


def _noise(near: np.ndarray, smooth: np.ndarray) -> float:
    """The standard deviation of plain from smoothed nearness (h, w) along the upper border."""
    return 1.4826 * float(np.median(np.abs(_upper_rows(near) - _upper_rows(smooth))))


def _cut(smooth: np.ndarray, noise: float) -> float | None:
    """The smoothed nearness (h, w) that separates the sky from the rest, None when the upper border is not at the far end."""
    top = _upper_rows(smooth)
    at_far_end = top[top <= float(np.percentile(smooth, 1.0)) + FLAT + noise]
    if at_far_end.size < 0.03 * top.size:
        return None
    level = float(np.median(at_far_end))
    around = top[top <= level + 5.0 * STEP]
    return level + max(STEP, 3.0 * 1.4826 * float(np.median(np.abs(around - level))))


def _plausible(far: np.ndarray, color: np.ndarray, near: np.ndarray) -> bool:
    """Whether the far end (h, w) may be a sky by its size, its depth (h, w), its texture and its colors (h, w, 3)."""
    inner = far & ~_grown(~far, 1)
    if float(far.mean()) < SMALLEST or not inner.any():
        return False
    if float(np.percentile(near, 99.0)) - float(np.median(near[far])) < CONTRAST or _lean(far, near) > LEAN:
        return False
    if float(np.percentile(np.maximum(_change(color, 0), _change(color, 1))[inner], 85.0)) > TEXTURE * _coarseness(far):
        return False
    red, green, blue = (float(value) for value in np.median(color[inner], axis=0))
    if green > max(red, blue) + 0.04 or (red > blue + 0.15 and max(red, green) < 0.6):
        return False  # leaves and lawns; wood, brick and earth: a sky as warm as these glows
    seen_from_above = float(far[-1].mean()) > 0.5
    return not seen_from_above or blue > red + 0.04


def _strange(far: np.ndarray, color: np.ndarray, wraps: bool) -> np.ndarray:
    """What stands at the foot of the far end behind a sharp edge in color and has not the colors above: mountains too far for the disparity."""
    edge = np.maximum(_change(color, 0, 2), _change(color, 1, 2)) > EDGE * _coarseness(far)
    open_sky = _connected(far & ~edge, _upper_border(far.shape), wraps)
    if not open_sky.any():
        return open_sky
    # White is left to the clouds.
    unlike = far & ~open_sky & ~_among(color, color[open_sky]) & (color.min(axis=-1) < WHITE)
    strange = _connected(unlike, _grown(_grounded(~far, wraps), 2), wraps)
    # Between clouds that fill the upper border the sky itself may have other colors.
    return strange if float(strange.sum()) < 0.4 * float(far.sum()) else np.zeros_like(strange)


def _grounded(rest: np.ndarray, wraps: bool) -> np.ndarray:
    """The parts of what is not at the far end that reach the lower border or a side: no specks within the sky."""
    border = np.zeros_like(rest)
    border[-1] = True
    border[:, [0, -1]] = True
    return _connected(rest, border, wraps)


def _among(color: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Which colors (h, w, 3) occur, about, among others (n, 3)."""
    shades = 16
    known = np.zeros((shades + 2,) * 3, bool)
    known[tuple((palette.T * (shades - 1e-3)).astype(int) + 1)] = True
    for axis in range(3):
        known |= np.roll(known, 1, axis) | np.roll(known, -1, axis)
    return np.asarray(known[tuple(np.moveaxis((color * (shades - 1e-3)).astype(int) + 1, -1, 0))])


def _alike(color: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Which colors (h, w, 3) lie within three standard deviations of what is seen around."""
    return np.asarray(((color - seen[..., :3]) ** 2).sum(axis=-1) < 9.0 * (_variance(seen) + TOLERANCE**2))


def _more(rest: np.ndarray, sky: np.ndarray, color: np.ndarray, wraps: bool) -> np.ndarray:
    """Parts of the far end that things cut off from the upper border: those open to a side, and those with colors of the sky around; (h, w) masks."""
    if not rest.any():
        return rest
    seen = push_pull(_with_square(color), sky.astype(np.float32), wraps)
    seeds = _alike(color, seen) & ~_grown(~rest, 1)
    seeds[:, [0, -1]] = True
    return _connected(rest, seeds, wraps)


def _lean(far: np.ndarray, near: np.ndarray) -> float:
    """By how much the far end (h, w) comes nearer from its farthest place to the upper border, averaged over large windows."""
    radius = max(2, max(far.shape) // 12)
    share = _box(far[..., None].astype(np.float32), radius)[..., 0]
    mean = _box((near * far)[..., None], radius)[..., 0] / np.maximum(share, 1e-6)
    usable = far & (share > 0.3)
    top = _upper_rows(usable)
    if not top.any():
        return 0.0
    return float(np.median(mean[: len(top)][top]) - np.percentile(mean[usable], 1.0))


def _coarseness(picture: np.ndarray) -> float:
    """How much more a cloud changes from pixel to pixel than at the working size."""
    return float(max(1.0, WORKING / max(picture.shape)) ** 0.75)


def _change(color: np.ndarray, axis: int, over: int = 1) -> np.ndarray:
    """The greatest channel's difference over so many pixels around each, along an axis, (h, w); the border is repeated."""
    padding = [(0, 0)] * 3
    padding[axis] = (over - over // 2, over // 2)
    padded = np.pad(color, padding, mode="edge")
    size = color.shape[axis]
    later, earlier = (np.take(padded, range(first, first + size), axis) for first in (over, 0))
    return np.asarray(np.abs(later - earlier).max(axis=-1))


def _sides(far: np.ndarray, near: np.ndarray, color: np.ndarray, cut: float, reach: int, radius: int) -> _Sides:
    """What is surely sky, what is undecided, and how both sides look there. Blur raises the sky's nearness, so that the band lies mostly outside."""
    sky = ~_grown(~far, 2)
    level = float(np.median(near[far]))
    height = near - level
    highest = _highest(height, reach)
    core = ~far & (height >= 0.8 * highest) & (height > 2.0 * (cut - level))
    band = ~sky & (_grown(far, reach) | (_grown(far, 2 * reach + radius) & ~core))
    core |= ~sky & ~band
    seen = _with_square(color)
    inner, outer = push_pull(seen, sky.astype(np.float32)), push_pull(seen, core.astype(np.float32))
    # Behind a step the surface goes on at its height; a slope would go on rising, and explains by itself what is near the sky's level.
    step = np.maximum(2.0 * highest - _highest(height, 2 * reach), cut - level)
    return _Sides(sky, band, inner[..., :3], _variance(inner), outer[..., :3], _variance(outer), level + 0.5 * step)


def _with_square(color: np.ndarray) -> np.ndarray:
    return np.concatenate([color, (color * color).sum(axis=-1, keepdims=True)], axis=-1)


def _variance(seen: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(seen[..., 3] - (seen[..., :3] ** 2).sum(axis=-1), 0.0))


def _follow(sides: _Sides, near: np.ndarray, rgb: np.ndarray, factor: int) -> np.ndarray:
    """The sky at full size, (height, width): the band's pixels go to the side whose colors they have."""
    found = _enlarged(sides.sky, factor, near.shape)
    rows, columns = np.nonzero(_enlarged(sides.band, factor, near.shape))
    if not len(rows):
        return found
    at = rows // factor, columns // factor
    own = rgb[rows, columns] / np.float32(255.0)
    half = sides.half[at]
    lowest = float(np.median(near[found])) if found.any() else 0.0
    doubt = np.clip((near[rows, columns] - lowest) / np.maximum(2.0 * (half - lowest), 1e-6), 0.0, 4.0)
    sky = _misfit(own, sides.sky_color[at], sides.sky_variance[at])
    other = _misfit(own, sides.other_color[at], sides.other_variance[at])
    found[rows, columns] = sky + TRUST * (2.0 * doubt - 1.0) < other
    return found


def _enlarged(mask: np.ndarray, factor: int, shape: tuple[int, ...]) -> np.ndarray:
    """Each pixel of a mask repeated factor x factor times, cut to a shape."""
    return np.asarray(mask.repeat(factor, axis=0).repeat(factor, axis=1)[: shape[0], : shape[1]])


def _misfit(own: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Twice the negative logarithm of the probability of colors (n, 3) in a normal distribution."""
    spread = variance / 3.0 + TOLERANCE**2
    return np.asarray(((own - mean) ** 2).sum(axis=-1) / spread + 3.0 * np.log(spread))


def _reduced(picture: np.ndarray, factor: int) -> np.ndarray:
    """Averages of blocks of factor x factor pixels, float32; the border is repeated to fill the last blocks."""
    height, width, channels = picture.shape
    rows, columns = -(-height // factor), -(-width // factor)
    padded = np.pad(picture, ((0, rows * factor - height), (0, columns * factor - width), (0, 0)), mode="edge")
    return np.asarray(padded.reshape(rows, factor, columns, factor, channels).mean(axis=(1, 3), dtype=np.float32))


def _guided(guide: np.ndarray, values: np.ndarray, radius: int, tolerance: float = 1e-3) -> np.ndarray:
    """Values (h, w) as a linear function of the colors (h, w, 3) around each pixel: smooth but for edges that the picture has too."""
    mean = _box(guide, radius)
    mean_values = _box(values[..., None], radius)
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    products = _box(np.stack([guide[..., i] * guide[..., j] for i, j in pairs], axis=-1), radius)
    matrix = np.empty((*values.shape, 3, 3), np.float32)
    for number, (i, j) in enumerate(pairs):
        matrix[..., i, j] = matrix[..., j, i] = products[..., number] - mean[..., i] * mean[..., j] + (tolerance if i == j else 0.0)
    covariance = _box(guide * values[..., None], radius) - mean * mean_values
    slope = np.linalg.solve(matrix, covariance[..., None])[..., 0]
    offset = mean_values[..., 0] - (slope * mean).sum(axis=-1)
    return np.asarray((_box(slope, radius) * guide).sum(axis=-1) + _box(offset[..., None], radius)[..., 0])


def _box(picture: np.ndarray, radius: int) -> np.ndarray:
    """Means over windows of 2 radius + 1 pixels, (h, w, c) float32, the border repeated."""
    size = 2 * radius + 1
    for axis in (0, 1):
        padding = [(0, 0)] * 3
        padding[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(picture, padding, mode="edge"), axis=axis, dtype=np.float64)
        picture = (np.take(total, range(size, total.shape[axis]), axis) - np.take(total, range(total.shape[axis] - size), axis)) / size
    return picture.astype(np.float32)


def _grown(mask: np.ndarray, radius: int) -> np.ndarray:
    """A (h, w) mask and everything within `radius` pixels, in a square."""
    return _highest(mask, radius)


def _highest(values: np.ndarray, radius: int) -> np.ndarray:
    """The greatest of the values (h, w) within `radius` pixels, in a square."""
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (radius, radius)
        padded = np.pad(values, padding, mode="edge")
        size = values.shape[axis]
        values = np.maximum.reduce([np.take(padded, range(shift, shift + size), axis) for shift in range(2 * radius + 1)])
    return values


def _upper_border(shape: tuple[int, ...]) -> np.ndarray:
    border = np.zeros(shape, bool)
    border[0] = True
    return border


def _connected(mask: np.ndarray, seeds: np.ndarray, wraps: bool) -> np.ndarray:
    """The parts of a (h, w) mask that hold a pixel of `seeds`, corners connected; with `wraps` also around the back."""
    height, width = mask.shape
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    row, start = np.nonzero(edges == 1)
    end = np.nonzero(edges == -1)[1]
    stride = width + 2
    below = (row + 1) * stride
    # The runs of the next row that begin before this run's end and end after its start, both widened by a corner.
    first = np.searchsorted(row * stride + end, below + start, "left")
    counts = np.maximum(np.searchsorted(row * stride + start, below + end, "right") - first, 0)
    upper = np.repeat(np.arange(len(row)), counts)
    lower = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    if wraps:
        left, right = np.nonzero(start == 0)[0], np.nonzero(end == width)[0]
        for step in (-1, 0, 1):
            _, of_left, of_right = np.intersect1d(row[left] + step, row[right], return_indices=True)
            upper, lower = np.append(upper, left[of_left]), np.append(lower, right[of_right])
    before = np.pad(np.cumsum(seeds, axis=1), ((0, 0), (1, 0)))
    reached = before[row, end] > before[row, start]
    count = -1
    while count != (count := int(reached.sum())):
        reached[lower[reached[upper]]] = True
        reached[upper[reached[lower]]] = True
    kept = np.zeros((height, width + 1), np.int8)
    kept[row[reached], start[reached]] += 1
    kept[row[reached], end[reached]] -= 1
    return np.asarray(np.cumsum(kept, axis=1, dtype=np.int8)[:, :width] > 0)


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """A (h, w) mask whose single pixels, those with at most one of the eight neighbors alike, have joined their surroundings."""
    padded = np.pad(mask.astype(np.int8), 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] - mask
    return np.asarray(np.where(mask, around > 1, around > 6))


def _halved(values: np.ndarray, wraps: bool) -> np.ndarray:
    """Every second of the weighted means 1 3 3 1 along the first axis."""
    size = len(values)
    ends = (values[-1:], values[:1]) if wraps else (values[:1], values[-1:])
    padded = np.concatenate([ends[0], values, ends[1], ends[1]])
    last = 2 * ((size + 1) // 2)
    outer = padded[0:last:2] + padded[3 : last + 3 : 2]
    inner = padded[1 : last + 1 : 2] + padded[2 : last + 2 : 2]
    return np.asarray(0.125 * outer + 0.375 * inner)


def _doubled(values: np.ndarray, size: int, wraps: bool) -> np.ndarray:
    """Linear interpolation to twice as many, cut to `size`, along the first axis."""
    ends = (values[-1:], values[:1]) if wraps else (values[:1], values[-1:])
    before, after = np.concatenate([ends[0], values[:-1]]), np.concatenate([values[1:], ends[1]])
    result = np.empty((2 * len(values), *values.shape[1:]), values.dtype)
    result[0::2] = 0.75 * values + 0.25 * before
    result[1::2] = 0.75 * values + 0.25 * after
    return result[:size]
