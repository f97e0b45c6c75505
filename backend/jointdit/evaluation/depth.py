# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of depth that is known up to scale and shift. Fits are least squares, in float64.

`Dataset` and `score` are the protocol of Marigold ("Repurposing Diffusion-Based Image Generators for Monocular Depth Estimation"), which the paper's
table 1 follows: fit on the valid pixels, hold the result within the dataset's range, mean per picture, then over the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError
from ..pictures import checked_disparity, read_disparity
from .edges import edge_f1
from .folders import Matched, Pair, maps_in, match, read_depth, read_mask, read_prediction


def scale_and_shift(values: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """The scale and shift that bring values nearest to the target, in the least squares sense; both in one dimension."""
    columns = np.stack([values, np.ones_like(values)], axis=1).astype(np.float64)
    scale, shift = np.linalg.lstsq(columns, target.astype(np.float64), rcond=None)[0]
    return float(scale), float(shift)


def fit(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """scale * estimate + shift, nearest to the truth in the least squares sense; float64, shape of the estimate."""
    scale, shift = scale_and_shift(estimate.ravel(), truth.ravel())
    return scale * estimate.astype(np.float64) + shift


def abs_rel_and_delta1(predicted: np.ndarray, depth: np.ndarray) -> tuple[float, float]:
    """Mean of |predicted - depth| / depth, and the share of pixels that are less than 1.25 times too near or too far."""
    return float(np.mean(np.abs(predicted - depth) / depth)), float(np.mean(np.maximum(predicted / depth, depth / predicted) < 1.25))


def aligned_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square of truth minus the fitted estimate, over the deviation of the truth: 0 is perfect, 1 is no better than a constant."""
    truth = truth.astype(np.float64)
    return float((truth - fit(estimate, truth)).std() / truth.std())


def depth_errors(estimate: np.ndarray, depth: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """(AbsRel, delta1) of a disparity estimate against depth in metres, both (H, W), on the valid pixels.

    The estimate is fitted to 1 / depth and held at or in front of the farthest valid depth (and 1000 m), as in MoGe's protocol.
    """
    truth = depth[valid].astype(np.float64)
    inverse = fit(estimate[valid], 1 / truth).clip(min=max((1 / truth).min(), 1e-3))
    return abs_rel_and_delta1(1 / inverse, truth)


# Marigold's protocol

LEAST_DISPARITY = 1e-3
"""1 / metres; a fitted disparity is held above it, before it becomes depth."""
LEAST_DEPTH = 1e-6
FEWEST_PIXELS = 10
FEW = 3
"""So many reasons are told where there are only reasons."""
KITTI_SIZE = (352, 1216)


@dataclass(frozen=True)
class Dataset:
    """What counts of a dataset: depth in metres, the part of the picture, and how its files hold metres.

    crop: first and last (exclusive) row and column, as shares of the height and width; `crop_of` (height, width): the only size that the crop is for.
    """

    title: str
    nearest: float = 1e-5
    farthest: float = float("inf")
    png_step: float | None = None
    crop: tuple[float, float, float, float] | None = None
    crop_of: tuple[int, int] | None = None
    benchmark_crop: bool = False
    fit_side: int | None = None
    dense: bool = True
    """Whether neighbors were measured, too, as edges need it."""


DATASETS = {
    "nyuv2": Dataset("NYUv2", 1e-3, 10.0, 0.001, (45 / 480, 471 / 480, 41 / 640, 601 / 640), (480, 640)),
    "scannet": Dataset("ScanNet", 1e-3, 10.0, 0.001),
    "kitti": Dataset("KITTI", 1e-5, 80.0, 1 / 256, (0.3324324, 0.91351351, 0.0359477, 0.96405229), benchmark_crop=True, dense=False),
    "diode": Dataset("DIODE", 0.6, 350.0),
    "eth3d": Dataset("ETH3D", 1e-5, fit_side=1024, dense=False),
    "other": Dataset("other"),
}
"""Marigold's settings. `other` takes all depth that is finite and above 0."""


@dataclass(frozen=True)
class Score:
    """Of one picture: AbsRel, delta1 and edge F1 as shares, and how many pixels counted. No F1 where there are no edges."""

    abs_rel: float
    delta1: float
    edge_f1: float | None
    pixels: int


def prepared(depth: np.ndarray, mask: np.ndarray | None, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Depth in metres (H, W) as the dataset crops it, and which of its pixels count. Raises `InputError` where none does."""
    if mask is not None and mask.shape != depth.shape:
        raise InputError(f"Its mask has {mask.shape[1]} x {mask.shape[0]} pixels, not {depth.shape[1]} x {depth.shape[0]}.")
    with np.errstate(invalid="ignore"):
        valid = (depth > dataset.nearest) & (depth < dataset.farthest)
    valid &= True if mask is None else mask
    if dataset.crop_of not in (None, depth.shape):
        height, width = dataset.crop_of
        raise InputError(f"{dataset.title} has pictures of {width} x {height} pixels, but this one has {depth.shape[1]} x {depth.shape[0]}.")
    if dataset.benchmark_crop:
        depth, valid = kitti_part(depth), kitti_part(valid)
    if dataset.crop is not None:
        height, width = depth.shape
        top, bottom, left, right = (int(share * side + 1e-6) for share, side in zip(dataset.crop, (height, height, width, width), strict=True))
        inside = np.zeros_like(valid)
        inside[top:bottom, left:right] = True
        valid &= inside
    if np.count_nonzero(valid) < FEWEST_PIXELS:
        raise InputError(f"Of its true depth fewer than {FEWEST_PIXELS} pixels are within {dataset.nearest:g} m and {dataset.farthest:g} m.")
    return depth, valid


def kitti_part(field: np.ndarray) -> np.ndarray:
    """The part of KITTI's pictures that all methods use: 1216 columns in the middle of the lowest 352 rows. Raises `InputError` for a smaller one."""
    (height, width), (rows, columns) = field.shape, KITTI_SIZE
    if height < rows or width < columns:
        raise InputError(f"KITTI's pictures have at least {columns} x {rows} pixels, but this one has {width} x {height}.")
    left = (width - columns) // 2
    return field[height - rows :, left : left + columns]


def fitting(prediction: np.ndarray, size: tuple[int, int], dataset: Dataset) -> np.ndarray:
    """A prediction at the size (height, width) of the true depth as it is stored, or as it is cropped. The true depth is never resized."""
    if dataset.benchmark_crop:
        return prediction if prediction.shape == KITTI_SIZE else kitti_part(resized(prediction, size))
    return resized(prediction, size)


def resized(field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) at another (height, width), bilinear; unchanged where the size fits."""
    if field.shape == size:
        return field
    return np.asarray(Image.fromarray(field.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)).astype(np.float64)


def align(
    prediction: np.ndarray, depth: np.ndarray, valid: np.ndarray, holds: str = "disparity", space: str = "disparity", fit_side: int | None = None
) -> np.ndarray:
    """Depth in metres (H, W) of a prediction that holds "disparity" or "depth", fitted by scale and shift to the valid pixels in the same or the other space.

    The fit looks at some columns only where a side is longer than `fit_side`. Where prediction and space differ, the prediction is inverted first, held
    above 0.001.
    """
    if holds != space:
        prediction = 1 / np.maximum(prediction, LEAST_DISPARITY)
    seen = seen_columns(depth.shape, fit_side)
    known = valid[:, seen]
    target = 1 / depth[:, seen][known] if space == "disparity" else depth[:, seen][known]
    scale, shift = scale_and_shift(prediction[:, seen][known], target)
    fitted = scale * prediction + shift
    return 1 / np.maximum(fitted, LEAST_DISPARITY) if space == "disparity" else fitted


def seen_columns(shape: tuple[int, ...], side: int | None) -> np.ndarray:
    """The columns that a fit looks at. Marigold's program wants at most `side` pixels on the longer side, but leaves out columns only, not rows."""
    share = 1.0 if side is None else min(1.0, side / max(shape))
    return np.minimum((np.arange(int(shape[1] * share)) / share).astype(int), shape[1] - 1)


def score(prediction: np.ndarray, depth: np.ndarray, valid: np.ndarray, dataset: Dataset, holds: str = "disparity", space: str = "disparity") -> Score:
    """The figures of one picture; all arrays (H, W) of one size. Raises `InputError` where the prediction has holes among the valid pixels."""
    holes = np.count_nonzero(~np.isfinite(prediction[valid]))
    if holes:
        raise InputError(f"Its prediction holds {holes} values that are not finite (NaN or infinity). Predict it again.")
    prediction = np.where(np.isfinite(prediction), prediction, 0.0)
    predicted = align(prediction, depth, valid, holds, space, dataset.fit_side).clip(dataset.nearest, dataset.farthest).clip(LEAST_DEPTH)
    relative, right = abs_rel_and_delta1(predicted[valid], depth[valid])
    sharp = edge_f1(predicted, depth, valid) if dataset.dense else None
    return Score(relative, right, sharp, int(np.count_nonzero(valid)))


def mean(scores: Sequence[Score]) -> Score:
    """The means over pictures, each of which counts the same; of F1 over those that have one."""
    sharp = [one.edge_f1 for one in scores if one.edge_f1 is not None]
    return Score(
        float(np.mean([one.abs_rel for one in scores])),
        float(np.mean([one.delta1 for one in scores])),
        float(np.mean(sharp)) if sharp else None,
        sum(one.pixels for one in scores),
    )


# Folders

Watch = Callable[[Sequence[Pair]], Iterable[Pair]]
"""Goes through pairs, and shows how far it is."""


@dataclass(frozen=True)
class Compared:
    """The scores of pictures by name, and a sentence for each that could not be measured."""

    scores: dict[str, Score]
    left_out: dict[str, str]


Estimate = Callable[[Pair], tuple[np.ndarray, str]]
"""What is estimated of the first part of a pair, (H, W), and whether it holds "disparity" or "depth"."""


def compare_folders(predictions: Path, truth: Path, dataset: Dataset, holds: str = "disparity", space: str = "disparity", watch: Watch = iter) -> Compared:
    """Measure the maps of one folder against the true depth of another, by their names. Raises `InputError` where there is nothing to measure."""
    return compare_estimates(maps_in(predictions), truth, dataset, lambda pair: read_prediction(pair.first, holds), space, watch)


def compare_estimates(
    predicted: Mapping[str, Path], truth: Path, dataset: Dataset, estimate: Estimate, space: str = "disparity", watch: Watch = iter
) -> Compared:
    """As `compare_folders`, with what `estimate` makes of the files or pictures of these names."""

    def one(pair: Pair) -> Score:
        stored = read_depth(pair.second, dataset.png_step)
        depth, valid = prepared(stored, read_mask(pair.second), dataset)
        prediction, kind = estimate(pair)
        return score(fitting(prediction, stored.shape, dataset), depth, valid, dataset, kind, space)

    return _compare(match(predicted, maps_in(truth)), one, watch)


def compare_given(
    pictures: Mapping[str, Path], given: Path, estimate: Estimate, near: float, far: float, watch: Watch = iter
) -> Compared:
    """Measure how well pictures keep to the depth that they were made for: `estimate` finds the depth of a pair's picture again, and says what it holds.

    Raises `InputError` where there is nothing to measure.
    """

    def one(pair: Pair) -> Score:
        depth = given_depth(pair.second, near, far)
        valid = np.isfinite(depth)
        if np.count_nonzero(valid) < FEWEST_PIXELS:
            raise InputError(f"Its given depth has fewer than {FEWEST_PIXELS} finite pixels.")
        dataset = Dataset("given", float(depth[valid].min()), float(depth[valid].max()))
        estimated, holds = estimate(pair)
        return score(resized(estimated, depth.shape), depth, valid, dataset, holds)

    return _compare(match(pictures, maps_in(given)), one, watch)


def given_depth(path: Path, near: float, far: float) -> np.ndarray:
    """Depth in metres (H, W) of a frame folder by its own mapping, or of a disparity map as `jointdit image` reads it, between near and far."""
    if path.is_dir():
        return read_depth(path, None)
    disparity = checked_disparity(read_disparity(path), path.name).astype(np.float64)
    return 1 / (disparity / near + (1 - disparity) / far)


def _compare(matched: Matched, one: Callable[[Pair], Score], watch: Watch) -> Compared:
    left_out = dict.fromkeys(matched.only_first, "Only the first folder has it.")
    left_out |= dict.fromkeys(matched.only_second, "Only the second folder has it.")
    scores = {}
    for pair in watch(matched.pairs):
        try:
            scores[pair.name] = one(pair)
        except InputError as error:
            left_out[pair.name] = str(error)
    if not scores:
        raise InputError(f"No pair of maps can be measured. {' '.join(f'{pair.name}: {left_out[pair.name]}' for pair in matched.pairs[:FEW])}")
    return Compared(scores, left_out)


def as_table(title: str, compared: Compared) -> str:
    """The means as a row of Markdown, in percent as in the paper's tables."""
    whole = mean([*compared.scores.values()])
    sharp = "-" if whole.edge_f1 is None else f"{100 * whole.edge_f1:.1f}"
    return (
        "| dataset | AbsRel % | delta1 % | edge F1 % | pictures |\n|---|---|---|---|---|\n"
        f"| {title} | {100 * whole.abs_rel:.1f} | {100 * whole.delta1:.1f} | {sharp} | {len(compared.scores)} |"
    )


def as_json(protocol: Mapping[str, Any], compared: Compared) -> dict[str, Any]:
    """How it was measured, the means, each picture, and what was left out and why. Shares, not percent."""
    return {
        "protocol": dict(protocol),
        "mean": asdict(mean([*compared.scores.values()])),
        "pictures": {name: asdict(one) for name, one in compared.scores.items()},
        "left_out": compared.left_out,
    }
