# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies behind the borders of objects: a second layer of depth and colour, so that a small move of the camera shows no hole.

Behind a nearer surface the farther one goes on as a plane would: at every place a plane is fitted to the farther pixels around, over a pyramid of
ever larger neighbourhoods, so that it goes on smoothly, close by as its own border does and farther in as its surroundings do (1/Z is linear on
planes). Its colours go on likewise, and take their texture from a mirror at the border.

The layer is smooth, so it is computed on cells of a few pixels. Arrays are (height, width), row 0 at the top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .lifting import torn_edges
from .pyramid import Cells, continued_colours, continued_planes, nearest_marked, softened

REACH_SHARE = 0.06
LEAST_REACH = 8
"""How far the layer goes behind an object: a share of the longer side, and at least so many pixels."""
OVERLAP = 3
"""How many pixels the layer shares with the farther surface. As many may carry a mixture of the colours of both sides."""
BAND = 12
"""How wide a border of the farther surface says how it goes on, in pixels."""
BORDER_WEIGHT = 0.1
"""The very border may still be soft: it counts less."""
TEXTURE = 8
"""What is smaller than this, in cells, is texture: mirrored, and not smoothly continued."""
SAME = 0.25
"""A texture is taken from what is as far away, up to this share."""


@dataclass(frozen=True)
class Behind:
    """disparity (H, W) float32, NaN where there is no layer; rgb (H, W, 3) uint8, the picture with what lies behind painted in."""

    disparity: np.ndarray
    rgb: np.ndarray


def behind(disparity: np.ndarray, inverse: np.ndarray, rgb: np.ndarray, threshold: float = 0.06, reach: int | None = None, wraps: bool = False) -> Behind:
    """The layer behind every surface that stands within `reach` pixels of a tear to something farther.

    disparity (H, W), larger is nearer; inverse (H, W) is its 1/Z, NaN in holes; rgb (H, W, 3) uint8. A tear is what `torn_edges` tears at
    `threshold`. With `wraps` the last column is the neighbour of the first. The layer is never nearer than the surface before it; beside
    that surface it is the farther surface itself for a few pixels. Small holes are covered as well.
    """
    disparity, inverse, rgb = np.asarray(disparity, np.float32), np.asarray(inverse, np.float32), np.asarray(rgb, np.uint8)
    width = disparity.shape[1]
    if reach is None:
        reach = max(LEAST_REACH, round(REACH_SHARE * max(disparity.shape)))
    beyond = min(width, 2 * reach + 2 * BAND) if wraps else 0
    around = [(0, 0), (beyond, beyond)]
    front = np.where(np.isfinite(inverse), disparity, np.float32(np.nan))
    front, inverse = np.pad(front, around, "wrap"), np.pad(inverse, around, "wrap")
    picture = np.pad(rgb, [*around, (0, 0)], "wrap")
    layer, picture = _behind(front, inverse, picture, threshold, reach)
    inner = slice(beyond, beyond + width)
    return Behind(np.ascontiguousarray(layer[:, inner]), np.ascontiguousarray(picture[:, inner]))


@dataclass(frozen=True)
class _Borders:
    """Where surfaces end before farther ones, (H, W) booleans each."""

    near: np.ndarray
    """The border of the nearer surface, `OVERLAP` pixels wide."""
    near_band: np.ndarray
    """The same, `BAND` pixels wide."""
    overlap: np.ndarray
    """The border of the farther surface, `OVERLAP` pixels wide."""
    ring: np.ndarray
    """The next pixels of it, whose colours are its own."""
    band: np.ndarray
    """All of its border, `BAND` pixels wide."""
    last: np.ndarray
    """The very last pixels of it."""


def _behind(front: np.ndarray, inverse: np.ndarray, rgb: np.ndarray, threshold: float, reach: int) -> tuple[np.ndarray, np.ndarray]:
    gaps = _small_holes(np.isnan(front), max(2, reach // 3))
    front, depths = (_closed(values, gaps) for values in (front, inverse))
    # A gap gets a patch that overlaps what is around it.
    layer = np.where(_widened(gaps, OVERLAP) if gaps.any() else gaps, front, np.float32(np.nan))
    borders = _find_borders(depths, threshold)
    if not borders.last.any():
        return layer, rgb
    cells = Cells((front.shape[0], front.shape[1]), int(np.clip(reach // 15, 1, 8)))

    seeds = np.flatnonzero(borders.band & ~gaps)
    if not seeds.size:
        return layer, rgb
    weights = np.where(borders.last.ravel()[seeds], BORDER_WEIGHT, 1.0)
    planes = continued_planes(cells, seeds, weights, np.stack([front.ravel()[seeds], depths.ravel()[seeds]], axis=1))
    zone = cells.pixels(cells.grown(cells.any(borders.near | borders.last), reach))
    own, own_depth = front.ravel()[zone], depths.ravel()[zone]
    # Nothing goes on beyond the farthest of all.
    back, back_depth = (np.maximum(values, np.nanmin(all_values)) for values, all_values in zip(cells.sample(planes, zone).T, (front, depths), strict=True))
    nearer = own_depth > (1.0 + threshold / 2.0) * back_depth
    beside = borders.overlap.ravel()[zone]
    # On which side of the border it is: of that whose band is closer, as exactly as cells tell.
    deeper = _distance(cells, borders.band, zone) - _distance(cells, borders.near_band, zone)
    covered = ((nearer & (deeper > -cells.side)) | borders.near.ravel()[zone]) & ~beside
    layer.ravel()[zone[beside]] = own[beside]
    guessed = covered | (gaps.ravel()[zone] & np.isfinite(own))
    layer.ravel()[zone[guessed]] = np.minimum(back, own)[guessed]

    usable = np.zeros(front.shape, bool)
    usable.ravel()[zone] = np.isfinite(own) & ~nearer & ~covered & ~beside & (deeper < 0.0)
    painted = covered | beside
    return layer, _painted(rgb, depths, cells, borders.ring, usable, zone[painted], back_depth[painted])


def _distance(cells: Cells, mask: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """About how many pixels each of the pixels is away from the nearest one of the mask, which has some."""
    nearest = nearest_marked(cells, np.flatnonzero(mask))
    if nearest is None:
        return np.full(len(pixels), np.inf, np.float32)
    rows, columns = np.divmod(pixels, cells.shape[1])
    place = nearest.reshape(-1, 2)[cells.of(pixels)]
    return np.asarray(np.hypot(place[:, 0] - rows, place[:, 1] - columns))


def _painted(rgb: np.ndarray, depths: np.ndarray, cells: Cells, ring: np.ndarray, usable: np.ndarray, pixels: np.ndarray, back: np.ndarray) -> np.ndarray:
    """The picture with `pixels` painted over: the smoothly continued colours of the usable ones, with the texture that a mirror shows."""
    colours = rgb.reshape(-1, 3)
    sources = np.flatnonzero(usable)
    if not sources.size:
        return rgb
    known = colours[sources]
    paint = cells.sample(continued_colours(cells, sources, known, 0.0), pixels)
    places, seen = _mirrored(cells, np.flatnonzero(ring & usable), pixels)
    seen &= usable.ravel()[places]
    seen &= np.abs(depths.ravel()[places] - back) <= SAME * back
    # Where the mirror goes blind the texture fades.
    counts = softened(cells.sums(pixels, np.ones(len(pixels)), seen))
    share = np.clip(2.0 * counts[..., 1:] / np.maximum(counts[..., :1], 1.0) - 1.0, 0.0, 1.0).astype(np.float32)
    pixels_seen, places = pixels[seen], places[seen]
    coarse = continued_colours(cells, sources, known, TEXTURE * cells.side)
    textured = colours[places] + cells.sample(coarse, pixels_seen) - cells.sample(coarse, places)
    paint[seen] += cells.sample(share, pixels_seen) * (textured - paint[seen])
    result = rgb.copy()
    result.reshape(-1, 3)[pixels] = np.clip(np.rint(paint), 0, 255)
    return result


def _mirrored(cells: Cells, ring: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel is when mirrored at the nearest pixels of the ring, and whether that is within the picture."""
    height, width = cells.shape
    nearest = nearest_marked(cells, ring)
    if nearest is None:
        return np.zeros_like(pixels), np.zeros(pixels.shape, bool)
    foot, own = cells.sample(nearest, pixels), nearest.reshape(-1, 2)[cells.of(pixels)]
    # Between two places far apart there is none.
    foot = np.where(np.abs(foot - own).max(axis=1, keepdims=True) > cells.side, own, foot)
    rows, columns = np.divmod(pixels, width)
    at = np.rint(2.0 * foot - np.stack([rows, columns], axis=1)).astype(np.int64)
    inside = ((at >= 0) & (at < (height, width))).all(axis=1)
    return np.where(inside, at[:, 0] * width + at[:, 1], 0), inside


def _find_borders(depths: np.ndarray, threshold: float) -> _Borders:
    horizontal, vertical = torn_edges(depths, threshold)
    near, far = np.zeros(depths.shape, bool), np.zeros(depths.shape, bool)
    for torn, low, high in (
        (horizontal, np.s_[:, :-1], np.s_[:, 1:]),
        (vertical, np.s_[:-1], np.s_[1:]),
    ):
        rising, falling = torn & (depths[high] > depths[low]), torn & (depths[high] < depths[low])
        near[high] |= rising
        far[low] |= rising
        near[low] |= falling
        far[high] |= falling
    last = far & ~near
    near_band, band, results = near, last, []
    for step in range(1, BAND):
        if step in (OVERLAP, OVERLAP + 2):
            results.append((near_band, band))
        # Both sides at a time, so that neither goes around the end of a tear, where they touch.
        taken = near_band | band
        near_grown, grown = (_one_farther(part, horizontal, vertical) & ~taken for part in (near_band, band))
        near_band, band = near_band | (near_grown & ~grown), band | (grown & ~near_grown)
    (near_border, overlap), (_, ring) = results
    return _Borders(near_border, near_band, overlap, ring & ~overlap, band, last)


def _one_farther(mask: np.ndarray, horizontal: np.ndarray, vertical: np.ndarray) -> np.ndarray:
    """The mask and the neighbours of its pixels over edges that are not torn."""
    grown = mask.copy()
    grown[:, 1:] |= mask[:, :-1] & ~horizontal
    grown[:, :-1] |= mask[:, 1:] & ~horizontal
    grown[1:] |= mask[:-1] & ~vertical
    grown[:-1] |= mask[1:] & ~vertical
    return grown


def _small_holes(holes: np.ndarray, radius: int) -> np.ndarray:
    """Those of the holes into which no square of side 2 radius + 1 fits."""
    if not holes.any():
        return holes
    # Beyond the border it goes on as it is there.
    padded = np.pad(holes, radius, mode="edge").astype(np.int32)
    wide = _window_sums(padded, 2 * radius + 1) == (2 * radius + 1) ** 2
    covered = _window_sums(np.pad(wide, 2 * radius).astype(np.int32), 2 * radius + 1) > 0
    return np.asarray(holes & ~covered[radius:-radius, radius:-radius])


def _window_sums(values: np.ndarray, size: int) -> np.ndarray:
    """Sums over all windows of size x size that lie within, (H - size + 1, W - size + 1)."""
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.int32)
    np.cumsum(np.cumsum(values, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
    return np.asarray(sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size])


def _widened(mask: np.ndarray, pixels: int) -> np.ndarray:
    """The mask and all pixels within a square around each of it."""
    padded = np.pad(mask, pixels).astype(np.int32)
    return _window_sums(np.pad(padded, pixels), 2 * pixels + 1)[pixels:-pixels, pixels:-pixels] > 0


def _closed(values: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Gaps get the farther one of the values to the left and to the right of them: what a nearer surface hides is as far as what it is beside."""
    if not gaps.any():
        return values
    columns = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    left = np.maximum.accumulate(np.where(gaps, 0, columns), axis=1)
    right = np.minimum.accumulate(np.where(gaps, values.shape[1] - 1, columns)[:, ::-1], axis=1)[:, ::-1]
    rows, at = np.nonzero(gaps)
    closed = values.copy()
    closed[rows, at] = np.fmin(values[rows, left[rows, at]], values[rows, right[rows, at]])
    return closed
