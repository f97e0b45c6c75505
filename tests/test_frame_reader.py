# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading frame folders: good ones, and every sentence for a bad one."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from frames import hills, make_frame, write_png

from jointdit_blender.core.frame import Camera, FrameError, NearFar, ScaleShift, describe, parse_description, read_frame
from jointdit_blender.core.pictures import PictureError, read_exr_header, read_png_header, write_exr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_frame(tmp_path / "frame", hills(12, 8)).folder


def change(folder: Path, **values) -> None:
    path = folder / "frame.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_reads_what_was_written(folder: Path) -> None:
    frame = read_frame(folder)
    assert (frame.width, frame.height, frame.seed, frame.prompt, frame.task) == (12, 8, 42, "soft hills", "joint")
    assert frame.camera == Camera("perspective", 55.0, None, (0.5, 0.5))
    assert frame.mapping == NearFar(2.0, 40.0)
    assert read_frame(str(folder)) == frame
    assert parse_description(describe(frame), folder) == frame


def test_only_the_required_keys(folder: Path) -> None:
    path = folder / "frame.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    required = ("format", "version", "width", "height", "camera", "distance", "mapping")
    path.write_text(json.dumps({name: data[name] for name in required} | {"unknown": [1], "seed": None}), encoding="utf-8")
    frame = read_frame(folder)
    assert frame.seed is None and frame.prompt == "" and frame.warnings == ('frame.json has fields that are not known here and were passed over: "unknown".',)


def test_scale_and_shift_and_panoramas(folder: Path) -> None:
    change(folder, mapping={"scale": 0.2, "shift": -0.01}, distance="horizontal")
    change(folder, camera={"projection": "cylindrical", "horizontal_angle": 360, "vertical_angle": 90})
    frame = read_frame(folder)
    assert frame.mapping == ScaleShift(0.2, -0.01)
    assert frame.camera.wraps


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": "other"}, "does not describe a frame"),
        ({"version": 2}, "update the extension"),
        ({"version": "1"}, '"version"'),
        ({"version": True}, '"version"'),
        ({"width": 0}, "width must be a whole number"),
        ({"width": 1}, "from 2"),
        ({"height": 8.5}, "height must be a whole number"),
        ({"width": 10**30}, "width"),
        ({"camera": None}, 'no "camera"'),
        ({"camera": {"projection": "fisheye"}}, "projection must be one of"),
        ({"camera": {"projection": ["perspective"]}}, "projection must be one of"),
        ({"camera": {"projection": "perspective"}}, "horizontal_angle must be a number, not missing"),
        ({"camera": {"projection": "perspective", "horizontal_angle": 180}}, "below 180"),
        ({"camera": {"projection": "perspective", "horizontal_angle": float("nan")}}, "horizontal_angle must be a number"),
        ({"camera": {"projection": "perspective", "horizontal_angle": True}}, "horizontal_angle must be a number"),
        ({"camera": {"projection": "perspective", "horizontal_angle": 50, "principal_point": [0.5]}}, "two numbers"),
        ({"camera": {"projection": "perspective", "horizontal_angle": 50, "principal_point": [0.5, 1e9]}}, "principal_point y"),
        ({"camera": {"projection": "cylindrical", "horizontal_angle": 361, "vertical_angle": 90}}, "at most 360"),
        ({"camera": {"projection": "cylindrical", "horizontal_angle": 360, "vertical_angle": 90}}, "no planar distance"),
        ({"distance": "z"}, "distance must be one of planar"),
        ({"mapping": {}}, "scale must be a number, not missing"),
        ({"mapping": {"near": 2}}, "far must be a number, not missing"),
        ({"mapping": {"near": 40, "far": 2}}, "near (40 m) must be smaller than far (2 m)"),
        ({"mapping": {"near": 2, "far": 2}}, "must be smaller"),
        ({"mapping": {"near": -1, "far": 2}}, "above 0"),
        ({"mapping": {"near": 1, "far": float("inf")}}, "far must be a number"),
        ({"mapping": {"near": 1, "far": 10**400}}, "far must be a number"),
        ({"mapping": {"scale": 0, "shift": 0}}, "infinite"),
    ],
)
def test_bad_descriptions(folder: Path, values: dict, words: str) -> None:
    change(folder, **values)
    with pytest.raises(FrameError) as caught:
        read_frame(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"frame"', "[" * 100_000])
def test_broken_json(folder: Path, text: str) -> None:
    (folder / "frame.json").write_text(text, encoding="utf-8")
    with pytest.raises(FrameError, match=r"not valid JSON|does not describe a frame"):
        read_frame(folder)


def test_no_text(folder: Path) -> None:
    (folder / "frame.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FrameError, match="UTF-8"):
        read_frame(folder)


def test_missing_folder_and_files(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(FrameError, match="There is no frame folder"):
        read_frame(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FrameError, match="holds no frame"):
        read_frame(tmp_path / "empty")
    (folder / "disparity.exr").unlink()
    with pytest.raises(FrameError, match=r"disparity\.exr is missing"):
        read_frame(folder)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("image.png", b"I am a text file", "not a PNG picture"),
        ("image.png", b"", "empty"),
        ("image.png", b"\x89PNG\r\n\x1a\n123", "damaged PNG"),
        ("disparity.exr", b"text", "not an OpenEXR picture"),
        ("disparity.exr", b"", "empty"),
        ("disparity.exr", struct.pack("<II", 20000630, 2) + b"channels\0chlist\0", "damaged OpenEXR"),
        ("disparity.exr", struct.pack("<II", 20000630, 2 | 0x800), "deep OpenEXR"),
    ],
)
def test_files_that_are_something_else(folder: Path, name: str, data: bytes, words: str) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(FrameError, match=words):
        read_frame(folder)


def test_sizes_that_differ(folder: Path) -> None:
    write_exr(folder / "disparity.exr", hills(12, 9))
    with pytest.raises(FrameError, match=r"disparity\.exr is 12 x 9 pixels, but frame\.json says 12 x 8"):
        read_frame(folder)
    write_png(folder / "image.png", np.zeros((8, 11, 3), np.uint8))
    with pytest.raises(FrameError, match=r"image\.png is 11 x 8"):
        read_frame(folder)


def test_too_many_pixels(folder: Path) -> None:
    path = folder / "frame.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"width": 16384, "height": 8192}))
    with pytest.raises(FrameError, match="67 million pixels at most"):
        read_frame(folder)


def test_unknown_fields_are_passed_over_and_named(folder: Path) -> None:
    assert read_frame(folder).warnings == ()
    change(folder, focal=50, camera={"projection": "perspective", "horizontal_angle": 50.0, "lens": 28})
    (warning,) = read_frame(folder).warnings
    assert '"focal", "camera.lens"' in warning and warning.endswith(".")


def test_headers(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.zeros((3, 5, 3), np.uint8))
    assert read_png_header(tmp_path / "a.png") == (5, 3, 8, 2)
    write_exr(tmp_path / "a.exr", np.zeros((3, 5)), channel="V")
    assert read_exr_header(tmp_path / "a.exr") == (5, 3, ("V",))
    with pytest.raises(PictureError):
        read_exr_header(tmp_path / "a.png")


def test_every_cut_of_an_exr_header_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "whole.exr"
    write_exr(path, np.zeros((2, 2)))
    data = path.read_bytes()
    for length in range(1, 300):
        path.write_bytes(data[:length])
        with suppress(PictureError):
            assert read_exr_header(path).width == 2
