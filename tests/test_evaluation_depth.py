# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth in folders against cases calculated by hand: alignment, ranges, crops, edges, names, and what is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from frames import hills, make_frame
from hypothesis import given
from hypothesis import strategies as st
from jointdit import cli
from jointdit.errors import InputError
from jointdit.evaluation import edges
from jointdit.evaluation.depth import DATASETS, Score, abs_rel_and_delta1, align, compare_folders, fitting, kitti_part, mean, prepared, score, seen_columns
from jointdit.evaluation.edges import RATIOS, edge_f1, f1_at
from jointdit.evaluation.folders import maps_in, match, pictures_in, plain, prompts_in, read_depth
from jointdit.pictures import write_exr
from PIL import Image
from tiny import tiny_pipeline

from jointdit_blender.core.frame import NearFar, ScaleShift

OTHER = DATASETS["other"]
ALL = np.ones((4, 5), bool)


def whole(value: np.ndarray) -> np.ndarray:
    return np.ones(value.shape, bool)


def column(*parts: tuple[int, float]) -> np.ndarray:
    """(N, 1): each value so many times."""
    return np.concatenate([np.full((count, 1), value) for count, value in parts])


# Alignment and the two figures


@given(st.floats(0.01, 100), st.floats(-10, 10), st.sampled_from(["disparity", "depth"]))
def test_scale_and_shift_do_not_count(factor: float, offset: float, space: str) -> None:
    inverse = np.linspace(0.1, 1, 20).reshape(4, 5)
    known = inverse if space == "disparity" else 1 / inverse
    result = score(factor * known + offset, 1 / inverse, ALL, OTHER, space, space)
    assert result.abs_rel == pytest.approx(0, abs=1e-6) and result.delta1 == 1 and result.pixels == 20


def test_an_outlier_pulls_the_fit_in_disparity() -> None:
    # Two levels are fitted by the means of 1 / depth on them: 1, and (9 * 2 + 12) / 10 = 3, where nine are at 1/2 m and one at 1/12 m.
    depth, prediction = column((10, 1.0), (9, 1 / 2), (1, 1 / 12)), column((10, 0.0), (10, 1.0))
    np.testing.assert_allclose(align(prediction, depth, whole(depth)), column((10, 1.0), (10, 1 / 3)))
    result = score(prediction, depth, whole(depth), OTHER)
    # 1/3 for 1/2 is 1/3 wrong and 1.5 times too near; 1/3 for 1/12 is 3 wrong.
    assert result.abs_rel == pytest.approx((9 * (1 / 3) + 3) / 20) and result.delta1 == 0.5


def test_an_outlier_pulls_the_fit_in_depth() -> None:
    # The mean of nine at 2 m and one at 12 m is 3 m.
    depth, prediction = column((10, 1.0), (9, 2.0), (1, 12.0)), column((10, -5.0), (10, 7.0))
    result = score(prediction, depth, whole(depth), OTHER, "depth", "depth")
    assert result.abs_rel == pytest.approx((9 * (1 / 2) + 9 / 12) / 20) and result.delta1 == 0.5


def test_a_prediction_is_inverted_for_the_other_space() -> None:
    depth = 1 / np.linspace(0.1, 1, 20).reshape(4, 5)
    np.testing.assert_allclose(align(3 / depth, depth, ALL, "disparity", "depth"), depth)
    np.testing.assert_allclose(align(3 * depth, depth, ALL, "depth", "disparity"), depth)
    # Without the shift, which disparity may have and its inverse may not, the spaces differ.
    assert np.abs(align(3 / depth + 2, depth, ALL, "disparity", "depth") / depth - 1).mean() > 0.05
    # 0 is inverted as 0.001, not as infinity: 1 m and 1000 m.
    np.testing.assert_allclose(align(column((10, 0.0), (10, 1.0)), column((10, 1000.0), (10, 1.0)), np.ones((20, 1), bool), "disparity", "depth").max(), 1000)


def test_only_valid_pixels_are_fitted_and_counted() -> None:
    depth = 1 / np.linspace(0.1, 1, 20).reshape(4, 5)
    valid = ALL.copy()
    valid[0] = False
    spoiled = np.where(valid, 2 / depth, 1e6)
    result = score(spoiled, np.where(valid, depth, np.nan), valid, OTHER)
    assert (result.abs_rel, result.delta1, result.pixels) == (pytest.approx(0, abs=1e-9), 1, 15)
    assert score(np.where(valid, 2 / depth, np.nan), depth, valid, OTHER).abs_rel == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="holds 5 values that are not finite"):
        score(np.where(valid, 2 / depth, np.nan), depth, ALL, OTHER)


def test_the_fit_is_held_within_the_range() -> None:
    # Fitted to 1, 1 and 9 m, 0, 1 and 2 become -1/3, 11/3 and 23/3: slope ((1 - 11/3) (-1) + (9 - 11/3)) / 2 = 4. The first is held at 1/2.
    depth, prediction = column((5, 1.0), (5, 1.0), (5, 9.0)), column((5, 0.0), (5, 1.0), (5, 2.0))
    result = score(prediction, depth, whole(depth), replace(OTHER, nearest=0.5, farthest=100.0), "depth", "depth")
    assert result.abs_rel == pytest.approx((1 / 2 + 8 / 3 + (9 - 23 / 3) / 9) / 3)
    # Too far at 7 m: (9 - 7) / 9.
    result = score(prediction, depth, whole(depth), replace(OTHER, nearest=0.5, farthest=7.0), "depth", "depth")
    assert result.abs_rel == pytest.approx((1 / 2 + 8 / 3 + 2 / 9) / 3)
    # Whatever the range, a fit in disparity puts nothing farther than 1000 m.
    assert align(column((9, 0.0), (1, 100.0)), column((9, 1.0), (1, 1e9)), np.ones((10, 1), bool)).max() == pytest.approx(1000)


def test_delta_at_its_border() -> None:
    # 5/4 is not under 1.25, wherever the larger one stands.
    relative, delta = abs_rel_and_delta1(np.array([4.0, 5.0, 4.001, 4.999]), np.array([5.0, 4.0, 5.0, 4.0]))
    assert delta == 0.5 and relative == pytest.approx((0.2 + 0.25 + 0.999 / 5 + 0.999 / 4) / 4)


def test_every_picture_counts_the_same() -> None:
    total = mean([Score(0.1, 1.0, 0.5, 10), Score(0.3, 0.5, None, 1000)])
    assert (total.abs_rel, total.delta1, total.edge_f1, total.pixels) == (pytest.approx(0.2), 0.75, 0.5, 1010)
    assert mean([Score(0.1, 1.0, None, 10)]).edge_f1 is None


# Datasets


def test_what_counts_of_nyuv2() -> None:
    depth, valid = prepared(np.full((480, 640), 2.0), None, DATASETS["nyuv2"])
    assert depth.shape == (480, 640) and valid.sum() == 426 * 560  # rows 45 to 470, columns 41 to 600
    assert valid[45, 41] and valid[470, 600] and not (valid[44].any() or valid[471].any() or valid[:, 40].any() or valid[:, 601].any())
    with pytest.raises(InputError, match="has pictures of 640 x 480 pixels, but this one has 320 x 240"):
        prepared(np.full((240, 320), 2.0), None, DATASETS["nyuv2"])


def test_what_counts_of_kitti() -> None:
    places = np.arange(375)[:, None] * 10_000 + np.arange(1242)[None]
    part = kitti_part(places)
    assert part.shape == (352, 1216) and part[0, 0] == 23 * 10_000 + 13 and part[-1, -1] == 374 * 10_000 + 1228
    _, valid = prepared(np.full((375, 1242), 2.0), None, DATASETS["kitti"])
    # 0.3324324 * 352 = 117.02 to 0.91351351 * 352 = 321.56; 0.0359477 * 1216 = 43.7 to 0.96405229 * 1216 = 1172.3
    assert valid.sum() == (321 - 117) * (1172 - 43) and valid[117, 43] and valid[320, 1171]
    with pytest.raises(InputError, match="at least 1216 x 352"):
        prepared(np.full((351, 1242), 2.0), None, DATASETS["kitti"])


def test_predictions_of_kitti_are_of_the_whole_picture_or_of_the_part() -> None:
    kitti, size = DATASETS["kitti"], (375, 1242)
    everything = np.arange(375 * 1242, dtype=float).reshape(size)
    np.testing.assert_array_equal(fitting(everything, size, kitti), kitti_part(everything))
    part = np.ones((352, 1216))
    assert fitting(part, size, kitti) is part
    half = np.repeat(np.linspace(0, 1, 621)[None], 187, axis=0)  # resized, then cropped as the true depth is
    assert fitting(half, size, kitti)[0, 0] == pytest.approx((13 + 0.5 - 1) / 1240, abs=1e-3)


@pytest.mark.parametrize(("name", "nearest", "farthest"), [("nyuv2", 1e-3, 10), ("scannet", 1e-3, 10), ("kitti", 1e-5, 80), ("diode", 0.6, 350)])
def test_ranges_end_before_their_limits(name: str, nearest: float, farthest: float) -> None:
    shape = {"nyuv2": (480, 640), "kitti": (352, 1216)}.get(name, (40, 40))
    depth = np.full(shape, 5.0)
    row = shape[0] // 2
    before = prepared(depth, None, DATASETS[name])[1].sum()
    depth[row, 100 % shape[1] : 100 % shape[1] + 6] = [nearest, farthest, np.nan, np.inf, 0, -1]
    depth[row, 100 % shape[1] + 6 : 100 % shape[1] + 8] = [nearest * 1.01, farthest * 0.99]
    assert prepared(depth, None, DATASETS[name])[1].sum() == before - 6
    with pytest.raises(InputError, match="fewer than 10 pixels"):
        prepared(np.full(shape, farthest + 1.0), None, DATASETS[name])


def test_eth3d_has_no_far_limit_and_is_fitted_on_a_smaller_picture() -> None:
    assert prepared(np.full((4, 5), 1e6), None, DATASETS["eth3d"])[1].all()
    columns = seen_columns((4032, 6048), DATASETS["eth3d"].fit_side)
    by_torch = torch.nn.Upsample(scale_factor=1024 / 6048, mode="nearest")(torch.arange(6048, dtype=torch.float64)[None, None]).flatten().numpy()
    assert columns.shape == by_torch.shape and np.mean(columns == by_torch) > 0.99  # torch calculates in float32
    assert np.array_equal(seen_columns((30, 40), 1024), np.arange(40)) and np.array_equal(seen_columns((30, 40), None), np.arange(40))
    # Every second column is seen; the rest may be what it wants.
    prediction = np.linspace(0.1, 1, 36).reshape(6, 6)
    depth = np.full((6, 6), 77.0)
    depth[:, ::2] = 1 / (2 * prediction[:, ::2] + 0.1)
    np.testing.assert_allclose(align(prediction, depth, whole(depth), fit_side=3), 1 / (2 * prediction + 0.1))


# Edges


def steps(*columns: float) -> np.ndarray:
    """Depth of six equal rows."""
    return np.tile(np.array(columns), (6, 1))


STEP = steps(1, 1, 1, 2, 2, 2, 2)


def f1(estimate: np.ndarray, depth: np.ndarray) -> float | None:
    return edge_f1(estimate, depth, whole(depth))


def test_edges_are_counted() -> None:
    # Six rows with one step each, seen with the left one in front.
    assert edges.edges(STEP, whole(STEP), 1.25).sum() == 6 and edges.edges(STEP, whole(STEP), 2.0).sum() == 0


def test_edge_f1_of_shifted_edges() -> None:
    assert f1(STEP, STEP) == 1 and f1(7 * STEP, STEP) == 1 and f1(7 * STEP.T, STEP.T) == 1
    assert f1(steps(1, 1, 2, 2, 2, 2, 2), STEP) == 0  # one pixel off
    assert f1(steps(2, 2, 2, 1, 1, 1, 1), STEP) == 0  # the other one in front
    assert f1(steps(1, 1, 1, 1, 1, 1, 1), STEP) == 0
    # Two edges, one of which is off: precision and recall are 1/2. One of two missing: 1 and 1/2.
    two = steps(1, 1, 2, 2, 2, 4, 4)
    assert f1(steps(1, 1, 2, 2, 4, 4, 4), two) == pytest.approx(0.5)
    assert f1(steps(1, 1, 2, 2, 2, 2, 2), two) == pytest.approx(2 / 3)
    # A soft edge is two, of which one is right.
    assert f1(steps(1, 1, 1, sqrt(2), 2, 2, 2), STEP) == pytest.approx(2 / 3)


def test_edge_f1_weighs_its_ratios() -> None:
    np.testing.assert_allclose(RATIOS[[0, 1, -1]], [1.05, 1.05 + 0.2 / 9, 1.25])
    # An edge of 1.12 is one at 1.05, 1.072, 1.094 and 1.117; the estimate's of 1.08 at the first two only.
    expected = RATIOS[:2].sum() / RATIOS[:4].sum()
    assert f1(steps(1, 1, 1.08, 1.08), steps(1, 1, 1.12, 1.12)) == pytest.approx(expected)


def test_edges_beside_holes_do_not_count() -> None:
    valid = whole(STEP)
    valid[:, 3] = False
    assert edge_f1(STEP, STEP, valid) is None and f1(steps(1, 1, 1), steps(3, 3, 3)) is None
    valid[0, 3] = True
    assert f1_at(STEP, STEP, valid, 1.25) == 1 and edges.edges(STEP, valid, 1.25).sum() == 1


# Names


def test_names_without_their_kind() -> None:
    assert plain("rgb_0001") == ("0001", {"rgb"}) and plain("kitchen_depth") == ("kitchen", {"depth"})
    assert plain("pred-kitchen_Depth") == ("kitchen", {"pred", "depth"})
    assert plain("depth") == ("depth", set()) and plain("indepth_x") == ("indepth_x", set())


def test_maps_and_pictures_of_one_folder(tmp_path: Path) -> None:
    for name in ("rgb_1.png", "depth_1.png", "sub/x.png", "sub/x_depth.npy", "sub/x_depth_mask.npy", "2.npy", "2.exr", ".hidden.exr", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert {name: path.name for name, path in maps_in(tmp_path).items()} == {"1": "depth_1.png", "2": "2.exr", "sub/x": "x_depth.npy"}
    assert {name: path.name for name, path in pictures_in(tmp_path).items()} == {"1": "rgb_1.png", "sub/x": "x.png"}


def test_frame_folders_and_their_names(tmp_path: Path) -> None:
    make_frame(tmp_path / "image-of-hills-1", hills(12, 8), prompt="image of hills")
    make_frame(tmp_path / "kitchen/frame-0", hills(12, 8), prompt=" ")  # `--output kitchen`
    make_frame(tmp_path / "several/one", hills(12, 8))
    make_frame(tmp_path / "several/two", hills(12, 8))
    names = {"image-of-hills-1", "kitchen", "several/one", "several/two"}
    assert set(maps_in(tmp_path)) == set(pictures_in(tmp_path)) == names
    assert pictures_in(tmp_path)["kitchen"] == tmp_path / "kitchen/frame-0/image.png"
    assert prompts_in(tmp_path) == {"image-of-hills-1": "image of hills", "several/one": "soft hills", "several/two": "soft hills"}
    assert list(maps_in(tmp_path / "kitchen/frame-0")) == ["frame-0"]


def test_what_only_one_folder_has(tmp_path: Path) -> None:
    matched = match({"a": tmp_path, "b": tmp_path}, {"b": tmp_path, "c": tmp_path})
    assert ([pair.name for pair in matched.pairs], matched.only_first, matched.only_second) == (["b"], ("a",), ("c",))
    with pytest.raises(InputError, match=r"one has a, b, c and 1 more, the other x\."):
        match(dict.fromkeys("abcd", tmp_path), {"x": tmp_path})
    with pytest.raises(InputError, match="There is no folder"):
        maps_in(tmp_path / "none")
    with pytest.raises(InputError, match="holds no maps"):
        maps_in(tmp_path)


# Files


def write_png16(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values.astype(np.uint16)).save(path)


def test_depth_of_files(tmp_path: Path) -> None:
    metres = np.array([[0.0, 1.234, 65.535], [0.001, 2.0, 3.0]])
    write_png16(tmp_path / "a.png", metres * 1000)
    np.testing.assert_allclose(read_depth(tmp_path / "a.png", 0.001), metres, rtol=1e-12)
    with pytest.raises(InputError, match="--png-step"):
        read_depth(tmp_path / "a.png", None)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match="8 bits"):
        read_depth(tmp_path / "b.png", 0.001)
    write_exr(tmp_path / "c.exr", metres)
    np.save(tmp_path / "d.npy", metres)
    for name in ("c.exr", "d.npy"):
        np.testing.assert_allclose(read_depth(tmp_path / name, None), metres, rtol=1e-6)


def test_depth_of_frame_folders(tmp_path: Path) -> None:
    disparity = np.array([[0.0, 0.5, 1.0], [np.nan, 0.25, 0.75]], np.float32)
    make_frame(tmp_path / "a", disparity, mapping=NearFar(2.0, 10.0))
    np.testing.assert_allclose(read_depth(tmp_path / "a", None), [[10, 1 / 0.3, 2], [np.nan, 1 / 0.2, 1 / 0.4]], rtol=1e-6)
    make_frame(tmp_path / "b", disparity, mapping=ScaleShift(0.5, 0.0))
    np.testing.assert_allclose(read_depth(tmp_path / "b", None)[0], [np.inf, 4, 2])
    (tmp_path / "b/frame.json").write_text('{"mapping": {"near": 0}}')
    with pytest.raises(InputError, match="how disparity becomes metres"):
        read_depth(tmp_path / "b", None)
    (tmp_path / "b/frame.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        read_depth(tmp_path / "b", None)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and true depth of `exact`, `half` (a smaller prediction) and `masked`; and several that cannot be measured."""
    predictions, truth = tmp_path / "predictions", tmp_path / "truth"
    predictions.mkdir()
    truth.mkdir()
    inverse = hills(24, 16).astype(np.float64) * 0.4 + 0.1
    np.save(truth / "exact_depth.npy", 1 / inverse)
    make_frame(predictions / "exact/frame-0", hills(24, 16))
    write_exr(truth / "half.exr", np.full((16, 24), 4.0))
    write_png16(predictions / "half.png", np.full((8, 12), 1000))
    np.save(truth / "masked.npy", np.where(np.arange(24) < 12, 1 / inverse, 1000.0))
    np.save(truth / "masked_mask.npy", np.tile(np.arange(24) < 12, (16, 1)).astype(np.uint8))
    write_exr(predictions / "pred_masked.exr", 3 * inverse - 1)
    (truth / "damaged.npy").write_bytes(b"no")
    np.save(predictions / "damaged.npy", inverse)
    np.save(truth / "holes.npy", 1 / inverse)
    np.save(predictions / "holes.npy", np.full((16, 24), np.nan))
    np.save(truth / "alone.npy", 1 / inverse)
    np.save(predictions / "lonely.npy", inverse)
    return predictions, truth


def test_folders_are_compared(folders: tuple[Path, Path]) -> None:
    compared = compare_folders(*folders, OTHER)
    assert set(compared.scores) == {"exact", "half", "masked"}
    for one in compared.scores.values():
        assert one.abs_rel == pytest.approx(0, abs=1e-4) and one.delta1 == 1
    assert compared.scores["masked"].pixels == 16 * 12 and compared.scores["exact"].pixels == compared.scores["half"].pixels == 16 * 24
    assert set(compared.left_out) == {"damaged", "holes", "alone", "lonely"}
    assert "damaged" in compared.left_out["damaged"] and "384 values that are not finite" in compared.left_out["holes"]
    assert list(compared.scores) == sorted(compared.scores)
    assert compared.left_out["lonely"].startswith("Only the first") and compared.left_out["alone"].startswith("Only the second")


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.main, ["evaluate", *map(str, words)])


def test_one_command_prints_a_table_and_writes_figures(folders: tuple[Path, Path], tmp_path: Path) -> None:
    report = run("depth", *folders, "--json", tmp_path / "new/figures.json")
    assert report.exit_code == 0, report.output
    assert "| other | 0.0 | 100.0 | " in report.stdout and "| 3 |" in report.stdout
    assert "holes is left out. Its prediction holds 384 values" in report.stderr
    figures = json.loads((tmp_path / "new/figures.json").read_text())
    assert figures["protocol"]["alignment"] == "disparity" and figures["protocol"]["dataset"]["farthest"] is None
    assert figures["mean"]["delta1"] == 1 and set(figures["pictures"]) == {"exact", "half", "masked"} and len(figures["left_out"]) == 4


def test_the_command_by_hand(tmp_path: Path) -> None:
    # Nine at 2 m and one at 22 m are fitted by 4 m, until a range leaves the outlier out.
    for name in ("p", "t"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "t/a.npy", np.tile(column((10, 1.0), (9, 2.0), (1, 22.0)), (1, 2)))
    np.save(tmp_path / "p/a.npy", np.tile(column((10, 5.0), (10, 7.0)), (1, 2)))
    words = ("depth", tmp_path / "p", tmp_path / "t", "--predicted", "depth")
    assert "| other | 49.1 | 50.0 |" in run(*words).stdout  # (9 * 1 + 18 / 22) / 20
    assert "| other | 0.0 | 100.0 |" in run(*words, "--farthest", 10).stdout
    assert "| ScanNet | 0.0 | 100.0 |" in run(*words, "--dataset", "scannet").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--dataset", "none"], "There is no dataset 'none'"),
        (["--dataset", "nyuv2"], "has pictures of 640 x 480"),
        (["--nearest", "5", "--farthest", "2"], "must be smaller"),
        (["--farthest", "0.001"], "fewer than 10 pixels"),
    ],
)
def test_wrong_wishes_end_in_a_sentence(folders: tuple[Path, Path], words: list[str], sentence: str) -> None:
    report = run("depth", *folders, *words)
    assert report.exit_code == 1 and sentence in report.stderr and "Traceback" not in report.output


def test_depth_by_a_model(tmp_path: Path, one_thread: None) -> None:
    tiny_pipeline().save_pretrained(tmp_path / "model")
    (tmp_path / "truth").mkdir()
    for number, size in enumerate([(48, 32), (32, 48)]):
        rgb = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), np.uint8)
        Image.fromarray(rgb).save(tmp_path / "truth" / f"rgb_{number}.png")
        np.save(tmp_path / "truth" / f"depth_{number}.npy", 1 + hills(*size))
        # The longer side becomes 32.
        smaller = "x".join(str(round(side * 32 / 48)) for side in size)
        words = ("--size", smaller, "--steps", 1, "--model", tmp_path / "model", "--output", tmp_path / f"made/{number}")
        report = CliRunner().invoke(cli.main, ["depth", str(tmp_path / "truth" / f"rgb_{number}.png"), *map(str, words)])
        assert report.exit_code == 0, report.output
    words = ("--model", tmp_path / "model", "--steps", 1, "--side", 32, "--json", tmp_path / "figures.json")
    report = run("depth", tmp_path / "truth", tmp_path / "truth", *words)
    assert report.exit_code == 0, report.output
    assert report.stdout == run("depth", tmp_path / "made", tmp_path / "truth", "--json", tmp_path / "same.json").stdout
    figures, same = (json.loads((tmp_path / name).read_text()) for name in ("figures.json", "same.json"))
    errors = [[one["mean"][name] for name in ("abs_rel", "delta1")] for one in (figures, same)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-5) and figures["mean"]["pixels"] == 2 * 48 * 32 and figures["mean"]["abs_rel"] > 0.01
    assert (figures["protocol"]["model"], figures["protocol"]["side"]) == (str(tmp_path / "model"), 32)
    assert "leave out --predicted, or --model" in run("depth", tmp_path / "made", tmp_path / "truth", "--model", "embedded", "--predicted", "depth").stderr


# Pictures for a given depth


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """Two frames that were made for a disparity, and the disparities as files."""
    for name, disparity in (("a", hills(24, 16)), ("b", 1 - hills(24, 16))):
        make_frame(tmp_path / "made" / name, disparity, mapping=NearFar(2.0, 40.0))
        (tmp_path / "given").mkdir(exist_ok=True)
        write_exr(tmp_path / "given" / f"{name}.exr", 7 * disparity)  # stretched to [0, 1], as the model gets it
    return tmp_path


def test_consistency_of_precomputed_estimates(painted: Path) -> None:
    (painted / "estimates").mkdir()
    np.save(painted / "estimates/a.npy", 5 * hills(24, 16) + 1)
    report = run("consistency", painted / "made", painted / "given", "--predictions", painted / "estimates", "--json", painted / "figures.json")
    assert report.exit_code == 0, report.output
    assert "| given depth | 0.0 | 100.0 | " in report.stdout and "b is left out. Nothing was estimated from it." in report.stderr
    assert json.loads((painted / "figures.json").read_text())["protocol"]["estimates"] == "precomputed"


def test_consistency_by_hand(tmp_path: Path) -> None:
    # Between 2 m and 4 m, 1 and 0 are 2 m and 4 m. An estimate without relief is the mean of 1/2 and 1/4 everywhere: 8/3 m, 1/3 wrong at both.
    for name in ("made", "given", "estimates"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (8, 4)).save(tmp_path / "made/a.png")
    np.save(tmp_path / "given/a.npy", np.tile([0.0, 1.0], (4, 4)))
    np.save(tmp_path / "estimates/a.npy", np.ones((2, 4)))
    words = ("consistency", tmp_path / "made", tmp_path / "given", "--predictions", tmp_path / "estimates", "--near", 2)
    assert "| given depth | 33.3 | 0.0 |" in run(*words, "--far", 4).stdout
    assert "must be above 0 and smaller" in run(*words, "--far", 2).stderr


def test_consistency_by_the_model(painted: Path, one_thread: None) -> None:
    report = run("consistency", painted / "made", painted / "made", "--steps", 1, "--json", painted / "figures.json")
    assert report.exit_code == 0, report.output
    figures = json.loads((painted / "figures.json").read_text())
    assert figures["protocol"]["estimates"] == "embedded" and set(figures["pictures"]) == {"a", "b"} and figures["mean"]["abs_rel"] > 0
    report = run("consistency", painted / "made", painted / "made", "--model", "none")
    assert report.exit_code == 1 and report.stderr.count("\n") == 1
