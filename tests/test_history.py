# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results in a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jointdit_blender.core import history
from jointdit_blender.core.frame import FrameError
from jointdit_blender.core.history import delete, scan, search


def result(folder: Path, name: str, age: int = 0, **content: object) -> Path:
    """A frame folder as far as the history looks; `age` in seconds."""
    place = folder / name
    place.mkdir(parents=True)
    base = {"format": "jointdit-frame", "version": 1, "prompt": "a hill", "task": "joint", "seed": 1, "steps": 20, "width": 64, "height": 48}
    rest = {"camera": {"projection": "perspective", "horizontal_angle": 55}, "distance": "planar", "mapping": {"near": 2, "far": 40}}
    (place / "frame.json").write_text(json.dumps(base | rest | content), encoding="utf-8")
    os.utime(place / "frame.json", (1_000_000 - age, 1_000_000 - age))
    return place


def test_the_newest_is_first_and_what_is_no_result_is_left_out(tmp_path: Path) -> None:
    result(tmp_path, "old", age=100)
    result(tmp_path, "new", age=1)
    result(tmp_path, ".half")
    result(tmp_path, "broken")
    (tmp_path / "broken" / "frame.json").write_text("{", encoding="utf-8")
    result(tmp_path, "binary")
    (tmp_path / "binary" / "frame.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").touch()
    assert [entry.name for entry in scan(tmp_path)] == ["new", "old"]
    assert scan(tmp_path / "nowhere") == []


def test_only_what_has_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [result(tmp_path, name, age) for age, name in enumerate(("a", "b", "c"))]
    entries = scan(tmp_path)
    read: list[Path] = []
    parse = history.parse_description
    monkeypatch.setattr(history, "parse_description", lambda text, folder: read.append(folder) or parse(text, folder))
    assert scan(tmp_path, entries) == entries and not read
    text = (places[1] / "frame.json").read_text(encoding="utf-8").replace("a hill", "a lake")
    (places[1] / "frame.json").write_text(text, encoding="utf-8")
    assert [entry.title for entry in scan(tmp_path, entries)] == ["a lake", "a hill", "a hill"] and read == [places[1]]


def test_every_word_must_be_found(tmp_path: Path) -> None:
    result(tmp_path, "1", age=1, prompt="A red House\non a hill", seed=77)
    result(tmp_path, "2", age=2, prompt="a red boat", model="flux")
    result(tmp_path, "3", age=3, prompt="", task="image_to_depth")
    entries = scan(tmp_path)

    def found(text: str) -> list[str]:
        return [entry.name for entry in search(entries, text)]

    assert found("") == ["1", "2", "3"]
    assert found("RED") == ["1", "2"]
    assert found("house red") == ["1"]
    assert found("seed 77") == ["1"]
    assert found("flux") == ["2"]
    assert found("picture") == ["3"]
    assert found("red depth") == []
    assert entries[0].title == "A red House on a hill" and entries[2].title == "Depth of a picture"
    assert entries[1].facts == "Text · 64 x 48 · seed 1 · 20 steps · flux"


def test_deleting_takes_the_folder_and_nothing_else(tmp_path: Path) -> None:
    place, other = result(tmp_path, "a"), result(tmp_path, "b")
    delete(place)
    assert [item.name for item in tmp_path.iterdir()] == [other.name]


def test_seeds_that_are_there_already_are_not_used_again(tmp_path: Path) -> None:
    for number, seed in enumerate((5, 6, 8)):
        result(tmp_path, str(number), seed=seed)
    result(tmp_path, "other", seed=7, prompt="a lake")
    entries = scan(tmp_path)
    like = next(entry.frame for entry in entries if entry.frame.seed == 5)
    assert history.unused_seeds(entries, like, 3, most=100) == [7, 9, 10]
    assert history.unused_seeds(entries, like, 4, most=9) == [7, 9, 0, 1]


def test_derived_pictures_are_deleted_too_and_nothing_else_in_their_folder(tmp_path: Path) -> None:
    place = result(tmp_path, "a")
    (place / "derived").mkdir()
    (place / "derived" / "maps-0123456789ab.exr").touch()
    (place / "derived" / "mine.txt").touch()
    with pytest.raises(FrameError, match="also holds derived"):
        delete(place)
    (place / "derived" / "mine.txt").unlink()
    delete(place)
    assert not place.exists()


@pytest.mark.parametrize("strange", ["notes.txt", "sub"])
def test_what_is_not_ours_is_never_deleted(tmp_path: Path, strange: str) -> None:
    place = result(tmp_path, "a")
    if strange == "sub":
        (place / strange).mkdir()
    else:
        (place / strange).touch()
    with pytest.raises(FrameError, match=f"also holds {strange}"):
        delete(place)
    assert (place / "frame.json").is_file() and (place / strange).exists()
    with pytest.raises(FrameError, match="no frame folder"):
        delete(tmp_path)


def test_a_folder_that_cannot_be_deleted_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = result(tmp_path, "a")

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(history.shutil, "rmtree", refuse)
    with pytest.raises(FrameError, match="Permission denied"):
        delete(place)
    assert [entry.name for entry in scan(tmp_path)] == ["a"]
