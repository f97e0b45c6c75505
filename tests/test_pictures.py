# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and frame folders on disk: exact when good, a sentence when bad, never half a result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from jointdit.errors import InputError, OutputError
from jointdit.frame import check_output, folder_name, write_frame
from jointdit.pictures import checked_disparity, read_disparity, read_image, write_exr
from PIL import Image

RAMP = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


def test_exr_keeps_every_bit(tmp_path: Path) -> None:
    odd = np.array([[1 / 3, np.nan, np.inf], [1e-30, -5.5, 0.1]], np.float32)
    write_exr(tmp_path / "d.exr", odd)
    assert np.array_equal(read_disparity(tmp_path / "d.exr").view(np.uint32), odd.view(np.uint32))


def test_every_way_to_give_a_disparity(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", RAMP)
    np.save(tmp_path / "d3.npy", RAMP[..., None].astype(np.float64))
    Image.fromarray((RAMP * 65535).round().astype(np.uint16)).save(tmp_path / "d16.png")
    Image.fromarray((RAMP * 255).round().astype(np.uint8)).save(tmp_path / "d8.png")
    Image.open(tmp_path / "d8.png").convert("RGB").save(tmp_path / "d24.png")
    Image.open(tmp_path / "d8.png").convert("P").save(tmp_path / "palette.png")
    with OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, {"R": RAMP, "G": RAMP, "B": RAMP}) as file:
        file.write(str(tmp_path / "rgb.exr"))
    exact = ("d.npy", "d3.npy", "rgb.exr")
    rounded = {"d16.png": 1 / 65535, "d8.png": 1 / 255, "d24.png": 1 / 255, "palette.png": 1 / 255}
    for name, tolerance in (dict.fromkeys(exact, 0) | rounded).items():
        np.testing.assert_allclose(read_disparity(tmp_path / name), RAMP, atol=tolerance)


def test_transparency_lies_over_white_and_photos_stand_upright(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (20, 40)


def bad_files(folder: Path) -> dict[str, Path]:
    good = folder / "good.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(good)
    write_exr(folder / "good.exr", RAMP)
    files = {
        "missing": folder / "nothing.png",
        "text": folder / "text.png",
        "truncated": folder / "truncated.png",
        "exr text": folder / "text.exr",
        "exr truncated": folder / "truncated.exr",
        "npy text": folder / "text.npy",
        "npy pickle": folder / "pickle.npy",
        "npy archive": folder / "archive.npy",
        "coloured": folder / "coloured.png",
    }
    for name in ("text", "exr text", "npy text"):
        files[name].write_text("this is a text")
    files["truncated"].write_bytes(good.read_bytes()[:500])
    files["exr truncated"].write_bytes((folder / "good.exr").read_bytes()[:200])
    with files["npy archive"].open("wb") as file:
        np.savez(file, a=RAMP, b=RAMP)
    Image.fromarray(np.stack([RAMP, 1 - RAMP, RAMP], -1).astype(np.uint8) * 255).save(files["coloured"])
    np.save(files["npy pickle"], np.array([{}], dtype=object), allow_pickle=True)
    return files


@pytest.mark.parametrize("which", ["missing", "text", "truncated", "exr text", "exr truncated", "npy text", "npy pickle", "npy archive", "coloured"])
def test_bad_files_get_a_sentence(tmp_path: Path, which: str) -> None:
    path = bad_files(tmp_path)[which]
    readers = [read_disparity] if path.suffix in (".exr", ".npy") or which == "coloured" else [read_image, read_disparity]
    for reader in readers:
        with pytest.raises(InputError) as caught:
            reader(path)
        assert path.name in str(caught.value) and str(caught.value).endswith(".")


def test_a_map_for_the_model_is_checked_and_scaled() -> None:
    assert np.array_equal(checked_disparity(RAMP, "x"), RAMP)
    np.testing.assert_allclose(checked_disparity(10 + 50 * RAMP, "x"), RAMP, atol=1e-6)
    for bad in (np.full((3, 3), 0.5, np.float32), np.where(RAMP > 0.5, np.nan, RAMP), np.where(RAMP > 0.5, np.inf, RAMP)):
        with pytest.raises(InputError):
            checked_disparity(bad, "x")


def test_a_frame_is_written_whole_and_never_over_another(tmp_path: Path) -> None:
    image = Image.fromarray((255 * np.stack([RAMP] * 3, -1)).astype(np.uint8))
    first = write_frame(tmp_path, "a-cube-1", image, RAMP, {"prompt": "ein Würfel"})
    second = write_frame(tmp_path, "a-cube-1", image, 1 - RAMP, {"prompt": "other"})
    assert (first.name, second.name) == ("a-cube-1", "a-cube-1-2")
    assert sorted(p.name for p in first.iterdir()) == ["disparity.exr", "frame.json", "image.png"]
    about = json.loads((first / "frame.json").read_text(encoding="utf-8"))
    assert (about["format"], about["version"], about["width"], about["height"], about["prompt"]) == ("jointdit-frame", 1, 4, 3, "ein Würfel")
    assert np.array_equal(read_disparity(first / "disparity.exr"), RAMP)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-cube-1", "a-cube-1-2"]


def test_failing_to_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jointdit.frame.write_exr", full)
    with pytest.raises(OutputError, match="No space left"):
        write_frame(tmp_path, "x", Image.new("RGB", (4, 3)), RAMP, {})
    assert list(tmp_path.iterdir()) == []


def test_an_unusable_output_folder_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="another output folder"):
        check_output(tmp_path / "file" / "folder")


@pytest.mark.parametrize(("prompt", "name"), [("A red house, on a HILL!", "a-red-house-on-a-hill-7"), ("家/..\\", "frame-7"), ("x" * 900, "x" * 48 + "-7")])
def test_folder_names_suit_every_file_system(prompt: str, name: str) -> None:
    assert folder_name(prompt, 7) == name
