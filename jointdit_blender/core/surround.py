# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An equirectangular picture of everything around the camera, from one frame.

Where the frame sees, its own pixels. Elsewhere the typical color of each elevation, so that sky stays above and ground below; beside the frame
the frame mirrored at its border and fading out: what is like its surroundings (clouds, grass) slowly, things soon; and around the back what both
sides differ by, smoothly. At the poles and at the back nothing depends on where one comes from, so that there is no seam.

Longitude and latitude are radians: longitude 0 is the frame's forward (-z of camera space) and grows to the right, latitude grows upwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame import Camera
from .sky import fill_unknown, push_pull

TEXTURE_FADE = np.radians(40.0)
THING_FADE = np.radians(6.0)
BLUR_FADE = np.radians(35.0)
"""Over which angle the mirrored frame fades out, for what is like its surroundings and for what is not; and the blurred frame."""
MIRRORED = 0.35
"""How much of the frame's height is mirrored at most, so that nothing stands on its head in the sky."""
SLOPE_FADE = np.radians(12.0)
STEEPEST = 16.0
"""Over which angle the change of color with elevation comes to rest above and below the frame, and how much it may still change (of 255)."""
LIKE, UNLIKE = 5.0, 14.0
"""Of a color (of 255): the least and the greatest spread of what belongs to its surroundings."""
SAME = 24.0
"""How far apart (of 255) two colors of one elevation may be to be of one kind."""
NARROW = np.radians(6.0)
"""Bands of elevations up to twice as wide are no ground and no sky, and are not drawn around the horizon."""
RIM = 0.1
"""The share of the frame over which what is shown in its place comes in, so that it fits what goes on beyond the border."""
COARSE = 8
"""Pixels of the result for one of the blurred frame."""
STRIDE = 4
"""Rows of the result for one that is looked at for the typical color of an elevation."""


def surroundings(rgb: np.ndarray, camera: Camera, width: int = 2048, known: np.ndarray | None = None, shown: np.ndarray | None = None) -> np.ndarray:
    """Everything around the camera, equirectangular, (width // 2, width, 3) uint8.

    The middle column is the frame's forward, the first row straight up, the last straight down. `rgb` is (height, width, 3) uint8; where
    `known` (height, width) bool is False, the frame's pixels are not used. `shown`, of the shape of `rgb`, takes their place inside the frame's borders.
    """
    place = _places(camera, rgb.shape[1] / rgb.shape[0], width)
    needed = place.texture > 0.0
    u, v = place.u[needed], place.v[needed]
    trust = np.ones(len(u), np.float32)
    if known is not None:
        if not known.any():
            return np.full((width // 2, width, 3), 128, np.uint8)
        rgb = fill_unknown(rgb, known, camera.wraps)
        trust = _sampled(known[..., None].astype(np.float32), u, v, camera.wraps)[:, 0]
    colors = np.zeros((*needed.shape, 3), np.float32)
    colors[needed] = _sampled(rgb, u, v, camera.wraps)
    trusted = np.zeros(needed.shape, np.float32)
    trusted[needed] = trust
    usable = place.inside & (trusted > 0.5)
    if not usable.any():
        return np.full((width // 2, width, 3), 128, np.uint8)
    whole = (colors + 0.5).astype(np.uint8) if usable.all() else _composed(colors, trusted, place, _typical(colors, usable, place))
    if shown is not None:
        u, v = place.u[usable], place.v[usable]
        inward = np.minimum(v, 1.0 - v) if camera.wraps else np.minimum(np.minimum(u, 1.0 - u), np.minimum(v, 1.0 - v))
        share = np.clip(inward / RIM, 0.0, 1.0)[:, None]
        whole[usable] = (colors[usable] + share * (_sampled(shown, u, v, camera.wraps) - colors[usable]) + 0.5).astype(np.uint8)
    return whole


@dataclass(frozen=True)
class _Places:
    """For each pixel of the result (h, w): the place in the frame, as fractions of its width and height, that it shows or mirrors; the row and
    the column (w,) of the result where that place is; whether it is not mirrored; how much is left there of textures, of things and of the blurred
    frame, 1 inside to 0. `side` (w,) is -1 at the left and 1 at the right border of the frame, 0 in its middle and at the back."""

    u: np.ndarray
    v: np.ndarray
    row: np.ndarray
    column: np.ndarray
    inside: np.ndarray
    texture: np.ndarray
    thing: np.ndarray
    blur: np.ndarray
    side: np.ndarray


def frame_coordinates(camera: Camera, aspect: float, longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a direction is in the frame, as fractions of its width and height from the top left: the inverse of `lifting.rays`.

    `aspect` is width / height. For a perspective frame longitudes must be less than a quarter turn from forward.
    """
    half = np.radians(camera.horizontal_angle) / 2.0
    if camera.projection == "perspective":
        focal = 0.5 / np.tan(half)
        u = camera.principal_point[0] + focal * np.tan(longitude)
        return u, camera.principal_point[1] - focal * aspect * np.tan(latitude) / np.cos(longitude)
    half_vertical = np.radians(camera.vertical_angle or 180.0) / 2.0
    u = 0.5 + 0.5 * longitude / half
    if camera.projection == "cylindrical":
        return u, 0.5 - 0.5 * np.tan(latitude) / np.tan(half_vertical) + 0.0 * longitude
    return u, 0.5 - 0.5 * latitude / half_vertical + 0.0 * longitude


def _sides(camera: Camera) -> tuple[float, float]:
    """The longitudes of the left and the right border."""
    half = np.radians(camera.horizontal_angle) / 2.0
    if camera.projection != "perspective":
        return -half, half
    scale = 2.0 * np.tan(half)
    return float(np.arctan(-camera.principal_point[0] * scale)), float(np.arctan((1.0 - camera.principal_point[0]) * scale))


def _top_and_bottom(camera: Camera, aspect: float, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The latitudes of the upper and the lower border at longitudes."""
    if camera.projection != "perspective":
        half = np.radians(camera.vertical_angle or 180.0) / 2.0
        return np.full_like(longitude, half), np.full_like(longitude, -half)
    scale = 2.0 * np.tan(np.radians(camera.horizontal_angle) / 2.0) / aspect * np.cos(longitude)
    return np.arctan(camera.principal_point[1] * scale), np.arctan((camera.principal_point[1] - 1.0) * scale)


def _places(camera: Camera, aspect: float, width: int) -> _Places:
    height = width // 2
    longitude = ((np.arange(width) + 0.5) / width * 2.0 - 1.0) * np.pi
    latitude = (0.5 - (np.arange(height) + 0.5) / height)[:, None] * np.pi
    left, right = _sides(camera)
    middle, reach = 0.5 * (left + right), 0.5 * (right - left)
    beside, mirrored, side = np.zeros(width), longitude, np.zeros(width)
    if not camera.wraps:
        # Both sides meet opposite to the frame's middle.
        offset = (longitude - middle + np.pi) % (2.0 * np.pi) - np.pi
        beside = np.maximum(np.abs(offset) - reach, 0.0)
        mirrored = middle + _folded(offset, -reach, reach)
        behind = np.cos(0.5 * np.pi * beside / max(np.pi - reach, 1e-6))
        side = np.where(beside > 0.0, np.sign(offset) * behind, np.sin(0.5 * np.pi * np.clip(offset / reach, -1.0, 1.0)))
    top, bottom = _top_and_bottom(camera, aspect, mirrored)
    beyond = np.maximum(np.maximum(latitude - top, bottom - latitude), 0.0)
    folded = _folded(latitude, bottom, top)
    u, v = frame_coordinates(camera, aspect, mirrored[None, :], folded)
    fades = []
    for fade, limit in ((TEXTURE_FADE, MIRRORED), (THING_FADE, MIRRORED), (BLUR_FADE, np.inf)):
        aside = beside / min(fade, max(0.9 * (np.pi - reach), 1e-6))
        pole = 0.9 * (0.5 * np.pi - np.where(latitude > 0.0, top, -bottom))
        above = np.maximum(np.minimum(np.minimum(fade, pole), limit * (top - bottom)), 1e-6)
        share = 1.0 - np.minimum(np.hypot(aside, beyond / above), 1.0)
        fades.append((share * share * (3.0 - 2.0 * share)).astype(np.float32))
    inside = (beside == 0.0) & (beyond == 0.0)
    u, v = (np.broadcast_to(part, (height, width)).astype(np.float32) for part in (u, v))
    row = np.clip((0.5 - folded / np.pi) * height, 0, height - 1).astype(np.int32)
    column = np.clip((mirrored / np.pi + 1.0) * 0.5 * width, 0, width - 1).astype(np.int32) % width
    texture, thing, blur = fades
    return _Places(u, v, row, column, inside, texture, thing, blur, side.astype(np.float32))


def _folded(values: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Values mirrored at both ends of an interval until they lie in it."""
    span = np.maximum(np.asarray(high) - low, 1e-9)
    return np.asarray(low + span * (1.0 - np.abs(1.0 - ((values - low) / span) % 2.0)))


def _sampled(picture: np.ndarray, u: np.ndarray, v: np.ndarray, wraps: bool) -> np.ndarray:
    """The picture (h, w, c) at fractions of its width and height, (n, c) float32: linear between pixel centres, which lie at + 1/2."""
    height, width, channels = picture.shape
    column, row = u * width - 0.5, np.clip(v * height - 0.5, 0.0, height - 1.0)
    if not wraps:
        column = np.clip(column, 0.0, width - 1.0)
    left, top = np.floor(column), np.floor(row)
    right_share, lower_share = (column - left)[:, None].astype(np.float32), (row - top)[:, None].astype(np.float32)
    left, top = left.astype(np.int64), top.astype(np.int64)
    right = (left + 1) % width if wraps else np.minimum(left + 1, width - 1)
    left %= width
    upper, lower = top * width, np.minimum(top + 1, height - 1) * width
    flat = picture.reshape(-1, channels)
    above = flat[upper + left] * (1.0 - right_share) + flat[upper + right] * right_share
    below = flat[lower + left] * (1.0 - right_share) + flat[lower + right] * right_share
    return np.asarray(above + (below - above) * lower_share, np.float32)


@dataclass(frozen=True)
class _Typical:
    """The typical color of each row (h, 3), how much it grows to the right side of the frame (h, 3), and the spread around it (h, 1)."""

    color: np.ndarray
    growth: np.ndarray
    spread: np.ndarray


def _typical(colors: np.ndarray, usable: np.ndarray, place: _Places) -> _Typical:
    """What the rows look like, continued to both poles."""
    height = len(usable)
    columns = np.flatnonzero(usable.any(axis=0))
    columns = columns[:: max(1, len(columns) // 128)]
    few, seen = colors[::STRIDE, columns], usable[::STRIDE, columns].astype(np.float32)
    count = seen.sum(axis=1)
    rows = np.flatnonzero(count > 0.2 * count.max()) if count.any() else np.zeros(0, int)
    if not len(rows):
        mean = np.broadcast_to(colors[usable].mean(axis=0), (height, 3))
        return _Typical(mean, np.zeros_like(mean), np.full((height, 1), LIKE, np.float32))
    few, side, at = few[rows], place.side[columns], rows * STRIDE
    # Columns at the sides count most: the row goes on from there.
    seen = seen[rows] * (0.2 + np.abs(side))
    middle, spread = _most_frequent(few, seen)
    narrow = max(1, round(NARROW * height / np.pi / STRIDE))
    color = _continued(_soft(_without_bands(middle, narrow), 2), at, height)
    left, right = (_shifted(middle, few, seen * (sign * side > 0.0), 2.0 * SAME)[0] for sign in (-1.0, 1.0))
    growth = _continued(_soft(_without_bands(0.5 * (right - left), narrow), 4), at, height, slope=False)
    latitude = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    growth *= (np.cos(latitude) ** 2)[:, None]
    wide = _continued(np.clip(_soft(spread, 4), LIKE, UNLIKE), at, height, slope=False)
    return _Typical(np.clip(color, 0.0, 255.0).astype(np.float32), growth.astype(np.float32), wide.astype(np.float32))


def _continued(values: np.ndarray, at: np.ndarray, height: int, slope: bool = True) -> np.ndarray:
    """Values (n, c) of some rows for all rows (height, c); with `slope` their change at both ends goes on and comes to rest."""
    everywhere = np.arange(height)
    result = np.stack([np.interp(everywhere, at, channel) for channel in values.T], axis=-1)
    if not slope:
        return result
    angle = np.pi / height
    inward = min(len(at) - 1, max(1, round(np.radians(6.0) / angle / STRIDE)))
    for end, inner, sign in ((0, inward, -1), (-1, -1 - inward, 1)):
        beyond = np.maximum(sign * (everywhere - at[end]), 0.0)[:, None] * angle
        change = (values[end] - values[inner]) / (max(inward, 1) * STRIDE * angle)
        result += np.clip(change * SLOPE_FADE, -STEEPEST, STEEPEST) * (1.0 - np.exp(-beyond / SLOPE_FADE))
    return result


def _without_bands(values: np.ndarray, radius: int) -> np.ndarray:
    """Medians over 2 radius + 1 rows of values (n, c), the ends repeated: steps stay, narrow bands go."""
    padded = np.pad(values, ((radius, radius), (0, 0)), mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=0), axis=-1))


def _most_frequent(colors: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of colors (h, w, 3) the middle (h, 3) of the most frequent kind, by mean shift, and its spread (h, 1)."""
    width = colors.shape[1]
    starts = colors[:, np.linspace(0, width - 1, min(width, 12)).astype(int)]
    # A row that has no pixel at a start begins at black, which has no weight around it unless black is a color of the row.
    near = np.exp(-0.5 * ((starts[:, :, None] - colors[:, None]) ** 2).sum(axis=-1) / SAME**2)
    near *= weight[:, None]
    # What goes on to both sides is ground, sky or wall; what is frequent on one side only may be a thing.
    one, other = near[..., : width // 2].sum(axis=-1), near[..., width // 2 :].sum(axis=-1)
    best = (np.sqrt(one * other) + 0.05 * (one + other)).argmax(axis=1)
    return _shifted(np.take_along_axis(starts, best[:, None, None], axis=1)[:, 0], colors, weight, SAME)


def _shifted(middle: np.ndarray, colors: np.ndarray, weight: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the mean shift (Comaniciu and Meer, 2002) of rows of colors (h, w, 3) goes from (h, 3), and the spread there (h, 1)."""
    start = middle
    for _ in range(4):
        alike = weight * np.exp(-0.5 * ((colors - middle[:, None]) ** 2).sum(axis=-1) / width**2)
        total = alike.sum(axis=1, keepdims=True)
        mean = (colors * alike[..., None]).sum(axis=1) / np.maximum(total, 1e-9)
        # Too little of a kind on one side says nothing of this side.
        middle = np.where(total > 0.05 * weight.shape[1], mean, start)
    spread = (np.abs(colors - middle[:, None]).max(axis=-1) * alike).sum(axis=1, keepdims=True) / np.maximum(total, 1e-9)
    return middle, spread


def _soft(values: np.ndarray, radius: int) -> np.ndarray:
    """Running means along the first axis, the ends repeated."""
    padded = np.concatenate([values[:1].repeat(radius, 0), values, values[-1:].repeat(radius, 0)])
    return np.asarray(sum(padded[shift : shift + len(values)] for shift in range(2 * radius + 1)) / (2 * radius + 1))


def _composed(colors: np.ndarray, trusted: np.ndarray, place: _Places, typical: _Typical) -> np.ndarray:
    """The result from the frame's colors, sampled and mirrored (h, w, 3), and how far they are known (h, w)."""
    height, width = trusted.shape
    own = place.inside & (trusted > 0.5)
    base = typical.color[:, None] + typical.growth[:, None] * place.side[:, None]
    blurred = _blurred(np.where(own[..., None], colors - base, np.float32(0.0)), own)
    rows, columns = np.nonzero((place.texture > 0.0) & ~own)
    row, column, known = place.row[rows, columns], place.column[columns], trusted[rows, columns]
    rest = colors[rows, columns] - base[row, column]
    detail = rest - blurred[row, column]
    # What is no thing but lies beside one differs from the blurred frame.
    size = np.maximum(np.abs(rest), np.abs(detail)).max(axis=-1) / (3.0 * typical.spread[row, 0])
    like = 1.0 / (1.0 + size**4)
    share = known * (place.texture[rows, columns] * like + place.thing[rows, columns] * (1.0 - like))
    result = blurred * place.blur[..., None]
    result[rows, columns] += detail * share[:, None]
    gap = place.inside & ~own
    if gap.any():
        window = tuple(slice(max(lines.min() - 1, 0), lines.max() + 2) for lines in np.nonzero(gap))
        # Next to the gap the frame itself is known, and so is what was made beside it.
        around = np.where(own[window][..., None], colors[window] - base[window], result[window])
        result[window] = push_pull(around, 1.0 - gap[window].astype(np.float32), wraps=bool(place.inside.all()))
        result *= _towards_poles(own)[:, None, None]
    result += base
    # A smooth gradient of 8 bits shows steps unless they are broken up.
    result += np.random.default_rng(0).random((height, width), np.float32)[..., None]
    finished: np.ndarray = np.clip(result, 0.0, 255.0).astype(np.uint8)
    finished[own] = np.clip(colors[own] + 0.5, 0.0, 255.0)
    return finished


def _towards_poles(own: np.ndarray) -> np.ndarray:
    """Factors (h,) that go from 1 to 0 at a pole that the frame (h, w) does not reach, so that one color is left there."""
    height = len(own)
    rows = np.flatnonzero(own.any(axis=1))
    row = np.arange(height)
    factor: np.ndarray = np.ones(height, np.float32)
    for away, reached in ((row, rows[0]), (height - 1 - row, height - 1 - rows[-1])):
        share = np.clip(away / max(min(reached, height / 4), 1), 0.0, 1.0) if reached else np.ones(height)
        factor *= (share * share * (3.0 - 2.0 * share)).astype(np.float32)
    return factor


def _blurred(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Known values (h, w, c), 0 elsewhere, averaged over blocks and continued everywhere, ever smoother with distance."""
    height, width, channels = values.shape
    padding = ((0, -height % COARSE), (0, -width % COARSE))
    blocks = np.pad(values, (*padding, (0, 0))).reshape(-(-height // COARSE), COARSE, -(-width // COARSE), COARSE, channels).sum(axis=(1, 3))
    count = np.pad(known, padding).reshape(blocks.shape[0], COARSE, blocks.shape[1], COARSE).sum(axis=(1, 3))
    means = blocks / np.maximum(count, 1)[..., None]
    return _enlarged(push_pull(means.astype(np.float32), np.minimum(count / (0.5 * COARSE**2), 1.0).astype(np.float32), wraps=True), height, width)


def _enlarged(coarse: np.ndarray, height: int, width: int) -> np.ndarray:
    """Blocks of COARSE x COARSE pixels as a picture (height, width, c) float32, linear between their middles, around the back too."""
    for axis, size in ((0, height), (1, width)):
        count = coarse.shape[axis]
        at = (np.arange(size) + 0.5) / COARSE - 0.5
        first = np.floor(at).astype(int)
        share = (at - first).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        before, after = (np.clip(first, 0, count - 1), np.clip(first + 1, 0, count - 1)) if axis == 0 else (first % count, (first + 1) % count)
        coarse = np.take(coarse, before, axis) * (1.0 - share) + np.take(coarse, after, axis) * share
    return coarse
