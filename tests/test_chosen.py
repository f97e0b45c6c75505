# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files make a frame, and which of two pictures is the depth."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from frames import gradient, hills, make_frame, write_png

from jointdit_blender.core.chosen import Pair, chosen_frame
from jointdit_blender.core.frame import FrameError
from jointdit_blender.core.pictures import write_exr

COLOR, GRAY, DEEP_GRAY, DEEP_COLOR = (8, 2), (8, 0), (16, 0), (16, 2)


def png(path: Path, bits: int, colour_type: int) -> Path:
    """The header of a PNG; nothing else of it is read."""
    header = struct.pack(">IIBBBBB", 4, 4, bits, colour_type, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)))
    return path


@pytest.mark.parametrize("names", [[""], ["frame.json"], ["image.png"], ["disparity.exr"], ["disparity.exr", "frame.json", "image.png"]])
def test_a_frame_folder_is_meant_by_everything_in_it(tmp_path: Path, names: list[str]) -> None:
    folder = make_frame(tmp_path / "frame", hills(8, 6)).folder
    assert chosen_frame([folder / name for name in names]) == folder


def test_a_picture_of_another_folder_is_no_frame(tmp_path: Path) -> None:
    write_png(tmp_path / "image.png", gradient(8, 6))
    with pytest.raises(FrameError, match=r"image\.png is one picture"):
        chosen_frame([tmp_path / "image.png"])


@pytest.mark.parametrize(
    ("image", "depth"),
    [
        ("photo.jpg", "photo_depth.jpg"),
        ("left.png", "left-disparity.png"),
        ("display.exr", "disp0.png"),
        ("a.tif", "aDepthMap.tif"),
        ("hall.webp", "halldepth.webp"),
        ("photo.png", "photo.npy"),
        ("photo.jpg", "other.exr"),
        ("room_depth.png", "room_depth.exr"),
    ],
)
def test_the_name_or_the_kind_tells_the_depth(tmp_path: Path, image: str, depth: str) -> None:
    for name in (image, depth):
        (tmp_path / name).write_bytes(b"?")
    expected = Pair(tmp_path / image, tmp_path / depth)
    assert chosen_frame([tmp_path / image, tmp_path / depth]) == expected == chosen_frame([tmp_path / depth, tmp_path / image])


@pytest.mark.parametrize(("image", "depth"), [(COLOR, GRAY), (COLOR, DEEP_GRAY), (COLOR, DEEP_COLOR), (GRAY, DEEP_GRAY)])
def test_of_two_png_the_deeper_or_gray_one_is_the_depth(tmp_path: Path, image: tuple[int, int], depth: tuple[int, int]) -> None:
    first, second = png(tmp_path / "a.png", *depth), png(tmp_path / "b.png", *image)
    assert chosen_frame([first, second]) == Pair(second, first)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "Nothing is chosen"),
        (["a.png"], "one picture, and a frame needs two"),
        (["a.npy"], "one picture, and a frame needs two"),
        (["a.png", "b.png"], "cannot be told which of a.png and b.png"),
        (["a_depth.png", "b_depth.png"], "cannot be told"),
        (["a.png", "b.png", "c.exr"], "These are 3 pictures"),
        (["a.png", "notes.txt"], "notes.txt is no picture"),
        (["other.json"], "other.json is no picture and no frame.json"),
        (["one/frame.json", "two/frame.json"], "several frames"),
        (["one/frame.json", "a.png"], "several frames"),
    ],
)
def test_what_makes_no_frame_is_a_sentence(tmp_path: Path, names: list[str], words: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    with pytest.raises(FrameError, match=words) as caught:
        chosen_frame([tmp_path / name for name in names])
    assert str(caught.value).endswith((".", "name."))


def test_an_exr_beside_a_picture_in_truth(tmp_path: Path) -> None:
    write_png(tmp_path / "photo.png", gradient(8, 6))
    write_exr(tmp_path / "near.exr", np.ones((6, 8), np.float32))
    assert chosen_frame([tmp_path / "near.exr", tmp_path / "photo.png"]) == Pair(tmp_path / "photo.png", tmp_path / "near.exr")
