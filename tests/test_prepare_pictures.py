# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of one picture: the crop of pictures and maps, the alignment of true depth, and what lies beside a picture in its folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from frames import hills, make_frame
from jointdit.errors import InputError
from jointdit.pictures import write_exr
from jointdit.preparing.alignment import align, normalized
from jointdit.preparing.disparities import Known, read_known, resolve
from jointdit.preparing.images import crop_map, crop_picture, read_picture
from jointdit.preparing.sources import Source, caption_of, look_into
from PIL import Image

from jointdit_blender.core.frame import Camera

# Crops


def places(width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8: red is the column, green the row, both over the longer side."""
    red, green = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([red, green, 0 * red], axis=-1).astype(np.uint8)


def test_a_crop_is_the_middle_square() -> None:
    crop = crop_picture(Image.fromarray(places(120, 40)), 20).astype(float)
    # Pixels 40 to 80 of 120 columns, all 40 rows; two to a pixel.
    assert crop.shape == (20, 20, 3)
    assert np.abs(crop[10, 2:-2, 0] - (40 + 2 * np.arange(2, 18) + 0.5)).max() <= 1
    assert np.abs(crop[2:-2, 10, 1] - (2 * np.arange(2, 18) + 0.5)).max() <= 1


def test_a_crop_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(crop_picture(Image.fromarray(stripes), 16).astype(float)[:, 2:-2] - 127.5).max() < 8


@pytest.mark.parametrize(("width", "height", "size"), [(60, 40, 20), (40, 61, 17), (50, 50, 50), (37, 90, 13)])
def test_a_map_is_cut_as_its_picture(width: int, height: int, size: int) -> None:
    picture = places(width, height)
    values, valid = crop_map(picture[..., 0].astype(float), np.ones((height, width), bool), size)
    assert valid.all()
    # The same with every pixel cut into so many that they fall into whole places.
    side, pieces = min(width, height), np.arange(width).repeat(2 * size)
    left = (width - side) * size
    assert values[0] == pytest.approx(pieces[left : left + 2 * side * size].reshape(size, 2 * side).mean(axis=1), abs=1e-9)
    inner = slice(2, -2)
    assert np.abs(crop_picture(Image.fromarray(picture), size)[inner, inner, 0] - values[inner, inner]).max() <= 1


def test_a_coarser_map_gets_the_same_place_as_its_picture() -> None:
    values, _ = crop_map(np.arange(30.0)[None].repeat(10, 0), np.ones((10, 30), bool), 5)
    assert values[0] == pytest.approx(10 + 2 * np.arange(5) + 0.5)
    # Enlarged, it takes the nearest pixel: no value that it did not have.
    values, valid = crop_map(np.array([[0.0, 9.0], [4.0, 1.0]]), np.array([[True, False], [True, True]]), 4)
    assert values[:, 0].tolist() == [0, 0, 4, 4] and values[3].tolist() == [4, 4, 1, 1]
    assert valid.tolist() == [[True, True, False, False]] * 2 + [[True] * 4] * 2


def test_valid_and_invalid_pixels_never_mix() -> None:
    generator = np.random.default_rng(0)
    values, valid = generator.uniform(2, 3, (60, 84)), generator.random((60, 84)) < 0.6
    cut, known = crop_map(np.where(valid, values, np.nan), valid, 20)
    for row, column in generator.integers(0, 20, (50, 2)):
        block = slice(3 * row, 3 * row + 3), slice(12 + 3 * column, 12 + 3 * column + 3)
        inside = valid[block]
        assert known[row, column] == (inside.mean() >= 0.5)
        if inside.any():
            assert cut[row, column] == pytest.approx(values[block][inside].mean(), rel=1e-12)


# Pictures of every kind


def test_pictures_of_every_kind(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 16).round()[None].repeat(16, 0)
    deep = Image.fromarray((ramp * 257).astype(np.uint16))
    grey = Image.fromarray(ramp.astype(np.uint8))
    deep.save(tmp_path / "deep.png")
    deep.save(tmp_path / "deep.tif")
    grey.convert("CMYK").save(tmp_path / "print.tif")
    grey.quantize(64).save(tmp_path / "palette.png")
    Image.merge("LA", (grey, Image.new("L", grey.size, 255))).save(tmp_path / "alpha.png")
    linear = np.where(ramp / 255 <= 0.04045, ramp / 255 / 12.92, ((ramp / 255 + 0.055) / 1.055) ** 2.4).astype(np.float32)
    with OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, dict.fromkeys("RGB", linear)) as file:
        file.write(str(tmp_path / "light.exr"))
    for path in sorted(tmp_path.iterdir()):
        picture = np.asarray(read_picture(path), float)
        assert picture.shape == (16, 16, 3), path.name
        assert np.abs(picture - ramp[..., None]).max() <= 4, path.name
    Image.merge("LA", (grey, Image.new("L", grey.size, 0))).save(tmp_path / "clear.png")
    assert np.asarray(read_picture(tmp_path / "clear.png")).min() == 255


def test_pictures_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("Not at all")
    (tmp_path / "text.exr").write_text("Not at all")
    for name, reason in (("text.jpg", "is not a picture"), ("text.exr", "is not an EXR file"), ("gone.png", "There is no picture")):
        with pytest.raises(InputError, match=reason):
            read_picture(tmp_path / name)


# Alignment


def test_alignment_in_closed_form() -> None:
    generator = np.random.default_rng(1)
    truth, estimate = generator.uniform(0.1, 2, (40, 40)), generator.uniform(0, 1, (40, 40))
    valid = generator.random((40, 40)) < 0.7
    aligned = align(np.where(valid, truth, np.nan), valid, estimate)
    assert np.array_equal(aligned[~valid], estimate[~valid])
    assert aligned[valid].mean() == pytest.approx(estimate[valid].mean(), rel=1e-12)
    assert aligned[valid].std() == pytest.approx(estimate[valid].std(), rel=1e-12)
    # It is the truth up to a positive scale and a shift.
    assert np.corrcoef(aligned[valid], truth[valid])[0, 1] == pytest.approx(1, abs=1e-12)
    # By hand: truth 1, 3 has mean 2 and deviation 1; the estimate there, 10, 30, has 20 and 10. So 1 -> 10, 3 -> 30, and the third pixel keeps its 40.
    assert align(np.array([[1.0, 3.0, 7.0]]), np.array([[True, True, False]]), np.array([[30.0, 10.0, 40.0]])).tolist() == [[10.0, 30.0, 40.0]]


def test_alignment_without_a_scale() -> None:
    ramp, flat, everywhere = np.arange(4.0)[None], np.full((1, 4), 0.1), np.ones((1, 4), bool)
    for truth, estimate in ((flat, ramp), (ramp, flat)):
        with pytest.raises(InputError, match="flat"):
            align(truth, everywhere, np.where(everywhere, estimate, 0))
    with pytest.raises(InputError, match="no valid pixel"):
        align(ramp, ~everywhere, ramp)
    with pytest.raises(InputError, match="flat"):
        normalized(flat)


def test_what_lies_beside_decides_whether_a_model_is_asked(tmp_path: Path) -> None:
    ramp = 1 + np.arange(32.0)[:, None].repeat(32, 1)
    sky = ramp.copy()
    sky[24:] = np.inf
    for name, depth in (("ramp", ramp), ("sky", sky), ("holes", np.where(ramp > 24, 0, ramp)), ("nan", np.where(ramp > 24, np.nan, ramp))):
        write_exr(tmp_path / f"{name}.exr", depth)
    np.save(tmp_path / "disparity.npy", 1 / ramp)

    def known(depth: str | None, disparity: str | None = None, truth_only: bool = False) -> Known:
        paths = (tmp_path / f"{depth}.exr" if depth else None, tmp_path / f"{disparity}.npy" if disparity else None)
        return read_known(Source("x", tmp_path / "x.png", depth=paths[0], disparity=paths[1]), 32, 32, 16, truth_only)

    halves = (1 / ramp[::2] + 1 / ramp[1::2])[:, ::2] / 2
    expected = (halves - halves.min()) / (halves.max() - halves.min())
    for beside in (known("ramp"), known(None, "disparity"), known("ramp", truth_only=True)):
        assert not beside.needs_estimate
        assert np.abs(resolve(beside, None) - expected).max() < 1e-6
    # The sky is unknown, and takes the estimate; alone it is infinitely far.
    estimate = np.linspace(5, 1, 16)[:, None].repeat(16, 1)
    for name in ("sky", "holes", "nan"):
        beside = known(name)
        assert beside.needs_estimate and beside.valid is not None and beside.valid.mean() == pytest.approx(0.75)
        made = resolve(beside, estimate)
        by_hand = estimate.copy()
        by_hand[:12] = (halves[:12] - halves[:12].mean()) / halves[:12].std() * estimate[:12].std() + estimate[:12].mean()
        assert made == pytest.approx((by_hand - by_hand.min()) / (by_hand.max() - by_hand.min()), abs=1e-6)
    alone = resolve(known("sky", truth_only=True), None)
    assert alone[12:] == pytest.approx(0) and alone[:12] == pytest.approx(halves[:12] / halves.max(), abs=1e-6)
    # A disparity beside incomplete depth is the estimate.
    assert not known("sky", "disparity").needs_estimate
    for truth_only, name in ((True, "holes"), (True, None)):
        with pytest.raises(InputError, match="--ground-truth-only estimates nothing"):
            known(name, truth_only=truth_only)
    (tmp_path / "head.npy").write_bytes((tmp_path / "disparity.npy").read_bytes().replace(b"}", b"("))
    with pytest.raises(InputError, match=r"head\.npy is not a NumPy array file, or it is damaged"):
        known(None, "head")
    np.save(tmp_path / "wide.npy", np.ones((16, 32)))
    with pytest.raises(InputError, match="cannot belong to a picture of 32 x 32"):
        known(None, "wide")


# Folders


def test_what_a_folder_holds(tmp_path: Path) -> None:
    for name in (
        "b.PNG", "b.txt", "b.depth.exr", "b_disparity.png", "b_disparity.npy", "a.b.jpg", "a.b.disparity.exr", "b.jpg", "notes.md", ".hidden.png",
        "c.depth.npy", "deep/b.webp", "deep/b.txt", "out/x.png",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    make_frame(tmp_path / "deep/frame", hills(20, 20), prompt="soft \n hills")
    found = look_into(tmp_path, without=tmp_path / "out")
    assert [source.name for source in found.sources] == ["a.b", "b", "deep/b", "deep/frame"]
    first, second, third, frame = found.sources
    assert first.picture.name == "a.b.jpg" and first.disparity == tmp_path / "a.b.disparity.exr" and first.caption is None
    assert [path.name for path in second.files] == ["b.PNG", "b.txt", "b_disparity.npy", "b.depth.exr"]
    assert third.caption == tmp_path / "deep/b.txt" and third.depth is None
    assert frame.disparity == tmp_path / "deep/frame/disparity.exr" and caption_of(frame) == "soft hills"
    assert [(one.file, one.why) for one in found.left_out] == [
        ("b.jpg", "It has the same name as b.PNG, which is used."),
        ("c.depth.npy", "It is the depth of a picture c, which is not there."),
    ]
    (tmp_path / "out/x.png").unlink()
    with pytest.raises(InputError, match="holds no pictures"):
        look_into(tmp_path / "out")
    with pytest.raises(InputError, match="There is no folder"):
        look_into(tmp_path / "gone")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right that not everybody has there")
def test_links_lead_nowhere_twice(tmp_path: Path) -> None:
    (tmp_path / "raw/deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("raw/a.png", "raw/deep/b.png", "elsewhere/c.png"):
        (tmp_path / name).touch()
    for name, target in {"loop": ".", "deep/up": "..", "self": "self", "zdeep": "deep", "other": "../elsewhere"}.items():
        (tmp_path / "raw" / name).symlink_to({"deep/up": tmp_path / "raw", "other": tmp_path / "elsewhere"}.get(name, target), target_is_directory=True)
    found = look_into(tmp_path / "raw")
    assert [source.name for source in found.sources] == ["a", "deep/b", "other/c"]
    assert [one.file for one in found.left_out] == ["deep/up", "loop", "zdeep"] and "was looked into already" in found.left_out[0].why
    # The folder of the set is not looked into, by whatever way.
    (tmp_path / "raw/set").mkdir()
    (tmp_path / "raw/set/d.png").touch()
    (tmp_path / "raw/zset").symlink_to("set", target_is_directory=True)
    assert look_into(tmp_path / "raw", without=tmp_path / "raw/set").sources == found.sources


def test_a_picture_beside_a_frame_folder_of_its_name(tmp_path: Path) -> None:
    make_frame(tmp_path / "x", hills(20, 20), prompt="hills")
    (tmp_path / "x.png").touch()
    found = look_into(tmp_path)
    assert [(source.name, source.frame) for source in found.sources] == [("x", None)]
    assert [(one.file, one.why) for one in found.left_out] == [("x", "This frame folder has the same name as x.png, which is used.")]


def test_captions_beside(tmp_path: Path) -> None:
    source = Source("a", tmp_path / "a.png", caption=tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes("\ufeffa h\u00f6use\r\n on  a hill\n".encode())
    assert caption_of(source) == "a h\u00f6use on a hill"
    for content, reason in ((b" \n", "is empty"), (b"\xff\xfe\x00", "cannot be read as UTF-8")):
        (tmp_path / "a.txt").write_bytes(content)
        with pytest.raises(InputError, match=reason):
            caption_of(source)
    frame = make_frame(tmp_path / "round", hills(40, 20), camera=Camera("equirectangular", 360, 180), distance="radial")
    with pytest.raises(InputError, match="no perspective frame but equirectangular"):
        caption_of(Source("round", frame.folder / "image.png", frame=frame.folder))
    (frame.folder / "frame.json").write_text(json.dumps([]))
    with pytest.raises(InputError, match=r"frame\.json in round cannot be read"):
        caption_of(Source("round", frame.folder / "image.png", frame=frame.folder))
