# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of scenes: how they are read and checked, and what the log remembers. No Blender is needed for that."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from jointdit_blender.arguments import complete, parse, parse_scene, scene_words
from jointdit_blender.core.batch import ListError, Row, name_problem, read_list, slug
from jointdit_blender.core.batch_log import Entry, Log, settings_hash
from jointdit_blender.rows import PROGRAM, SEVERAL, SWITCHES, Task, plan


def listed(folder: Path, text: str | bytes, name: str = "list.csv") -> list[Row]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_list(path)


def values(rows: list[Row]) -> list[dict[str, Any]]:
    return [row.values for row in rows]


# Reading


TABLES = {
    "comma": 'prompt,seed\n"a hill, at dusk",1\na tower,\n',
    "semicolon": 'prompt;seed\n"a hill, at dusk";1\na tower;\n',
    "semicolon, unquoted comma": "prompt;seed\na hill, at dusk;1\na tower;\n",
    "tab": "prompt\tseed\na hill, at dusk\t1\na tower\t\n",
    "windows": 'prompt,seed\r\n"a hill, at dusk",1\r\na tower,\r\n',
    "byte order mark": '\ufeffprompt,seed\n"a hill, at dusk",1\na tower,\n',
    "blank rows, blanks": '\n Prompt , SEED\n\n" a hill, at dusk ", 1\n,\n,,\na tower\n',
    "columns without a name": 'prompt,seed,\n"a hill, at dusk",1,\na tower,,\n',
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_as_programs_write_them(tmp_path: Path, kind: str) -> None:
    assert values(listed(tmp_path, TABLES[kind])) == [{"prompt": "a hill, at dusk", "seed": "1"}, {"prompt": "a tower"}]


def test_a_cell_may_have_lines_and_quotes_and_every_language(tmp_path: Path) -> None:
    (row, second) = listed(tmp_path, 'prompt,Sky Cut-off\n"a ""big"" hill\nwith señor 木",0.2\nb,\n')
    assert row.values == {"prompt": 'a "big" hill\nwith señor 木', "sky_cut_off": "0.2"}
    assert (row.where, second.where) == ("Row 1 (line 3 of list.csv)", "Row 2 (line 4 of list.csv)")


def test_json(tmp_path: Path) -> None:
    objects = [{"prompt": "a hill", "seed": 7, "floor": True, "far": 12.5, "steps": None, "part": {"up": "clouds"}}, {"prompt": "a\u2028tower", "name": ""}]
    expected = [{"prompt": "a hill", "seed": 7, "floor": True, "far": 12.5, "part": {"up": "clouds"}}, {"prompt": "a\u2028tower"}]
    lines = "\n\n".join(json.dumps(item, ensure_ascii=False) for item in objects)
    assert values(listed(tmp_path, lines, "list.jsonl")) == expected
    assert values(listed(tmp_path, json.dumps(objects), "list.json")) == expected


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("list.csv", "", "has no rows"),
        ("list.csv", "prompt,seed\n", "has no rows"),
        ("list.csv", "prompt,seed,seed\na,1,2", "two columns “seed”"),
        ("list.csv", "prompt,seed\na,1,2", "more cells than there are columns"),
        ("list.csv", "prompt,\na,1", "column without a name"),
        ("list.csv", 'prompt,seed\n"a,1\nb,2', "look at the quotes"),
        ("list.csv", "prompt\nse\xf1or".encode("latin-1"), "UTF-8"),
        ("list.csv", "prompt\na".encode("utf-16"), "UTF-8"),
        ("list.xlsx", "PK", "is no list"),
        ("list.jsonl", '{"prompt": "a"}\n{"prompt": }', "Line 2 of list.jsonl is not valid JSON"),
        ("list.jsonl", '["a"]', "is not an object"),
        ("list.jsonl", '{"far": NaN}', "not valid JSON"),
        ("list.jsonl", '{"Sky": "keep", "sky": "dome"}', "something twice"),
        ("list.json", '{"prompt": "a"}', "is not an array"),
        ("list.json", "[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_list_is_a_sentence(tmp_path: Path, name: str, text: str | bytes, says: str) -> None:
    with pytest.raises(ListError, match=says) as error:
        listed(tmp_path, text, name)
    assert str(error.value).endswith(".")


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="cannot be read"):
        read_list(tmp_path / "list.csv")


# Names


def test_slugs() -> None:
    assert slug("  A hill, at dusk! ") == "a-hill-at-dusk"
    assert slug("Straße am Fluß / 木の家") == "strasse-am-fluss-木の家"
    assert slug("../..\\con:*?") == "con" and slug("…") == ""
    assert len(slug("word " * 100)) <= 48 and not slug("word " * 100).endswith("-")


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a:b", "a?", "con", "NUL.x", "com1", "a.", "a ", ".hidden", "a\nb", "x" * 121])
def test_names_that_some_system_refuses(name: str) -> None:
    assert name_problem(name).endswith(".")


@pytest.mark.parametrize("name", ["shot 010", "shot_010-b", "木の家", "console", "v1.2"])
def test_names_that_all_take(name: str) -> None:
    assert name_problem(name) == ""


# Rows become what the command line would make of them


def planned(tmp_path: Path, *rows: dict[str, Any], **defaults: Any) -> list[Task]:
    numbered = [Row(number, f"Row {number}", row) for number, row in enumerate(rows, 1)]
    return plan(numbered, defaults, tmp_path, tmp_path / "out")


def one(tmp_path: Path, row: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    (task,) = planned(tmp_path, {"prompt": "a hill"} | row, **defaults)
    return vars(task.arguments)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"seed": "7", "size": "64x48", "steps": 5}, "--seed 7 --size 64x48 --steps 5"),
        ({"size": [64, 48], "near": 1, "far": 9.5}, "--size 64x48 --near 1 --far 9.5"),
        ({"clean": "no", "back_layer": False, "floor": "Yes", "relit": 1, "link": "0"}, "--no-clean --no-back-layer --floor --relit --no-link"),
        ({"bake": "yes"}, "--bake"),
        ({"bake": 1}, "--bake 1"),
        ({"bake": "0.5"}, "--bake 0.5"),
        ({"bake": "no"}, ""),
        ({"panorama": "sphere", "part": "up=clouds | down=a sea"}, "--panorama sphere --part up=clouds --part 'down=a sea'"),
        ({"panorama": "sphere", "part": {"up": "clouds", "down": "a sea"}}, "--panorama sphere --part up=clouds --part 'down=a sea'"),
        ({"template": "room", "geometry": "points"}, "--template room --geometry points"),
    ],
)
def test_a_row_says_the_same_as_the_command_line(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    out = str(tmp_path / "out" / "x.blend")
    expected = vars(parse(["scene", "--prompt", "a hill", "--out", out, "--output", str(tmp_path / "out" / "frames"), *shlex.split(words)]))
    expected.pop("command")
    assert one(tmp_path, {"name": "x"} | row) == expected


def test_every_option_of_scene_is_a_word_for_a_row() -> None:
    assert {*SWITCHES, *SEVERAL, *PROGRAM} <= set(scene_words())
    assert {"prompt", "frame", "photo", "sky_cutoff", "panorama_photo"} <= set(scene_words())
    assert parse_scene([]) == {}
    assert complete({"prompt": "a", "out": Path("a.blend")}).seed == 0


def test_a_prompt_may_look_like_an_option(tmp_path: Path) -> None:
    assert one(tmp_path, {"prompt": "--out x.blend = -5"})["prompt"] == "--out x.blend = -5"


def test_where_files_are_looked_for_and_put(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "a.npy"):
        (tmp_path / "pictures" / name).touch()
    row = {
        "image": "pictures/a.png",
        "depth": "pictures/a.npy",
        "principal_point": "3 4",
        "render": "yes",
        "export": "glb | .PLY | other.obj",
        "output": "made",
    }
    (task,) = planned(tmp_path, row)
    out = tmp_path / "out"
    assert task.name == "a" and task.outputs == tuple(out / name for name in ("a.blend", "a.png", "a.glb", "a.ply", "other.obj"))
    assert task.arguments.image == tmp_path / "pictures" / "a.png" and task.arguments.output == out / "made"
    assert task.arguments.principal_point == [3.0, 4.0]
    (task,) = planned(tmp_path, {"prompt": "a", "out": "sub/b.blend", "render": "preview.png"})
    assert (task.name, task.outputs) == ("b", (out / "sub" / "b.blend", out / "preview.png"))


def test_what_the_command_line_says_counts_where_the_row_says_nothing(tmp_path: Path) -> None:
    defaults = {"prompt": "a hill", "seed": 3, "floor": True, "render": True, "export": ["glb"], "bake": 0.5}
    first, second, third = planned(tmp_path, {"seed": 4}, {"prompt": "b", "floor": "no", "render": "no", "export": "no", "bake": "no"}, {"seed": 5}, **defaults)
    assert (first.arguments.prompt, first.arguments.seed, first.arguments.floor, first.arguments.bake) == ("a hill", 4, True, 0.5)
    assert [path.name for path in first.outputs] == ["a-hill-4.blend", "a-hill-4.png", "a-hill-4.glb"]
    assert (second.arguments.prompt, second.arguments.seed, second.arguments.floor, second.arguments.bake) == ("b", 3, False, None)
    assert [path.name for path in second.outputs] == ["b-3.blend"] and third.name == "a-hill-5"


def test_a_row_with_another_source_lets_go_of_the_default_one(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    (task,) = planned(tmp_path, {"photo": "photo.jpg"}, prompt="a hill")
    assert task.arguments.prompt is None and task.arguments.photo == tmp_path / "photo.jpg"


def test_no_two_rows_write_one_file(tmp_path: Path) -> None:
    rows = [{"prompt": "A hill"}, {"prompt": "a hill", "steps": 9}, {"prompt": "a  hill!"}, {"prompt": "b", "name": "a-hill-0-2"}]
    assert [task.name for task in planned(tmp_path, *rows)] == ["a-hill-0", "a-hill-0-3", "a-hill-0-4", "a-hill-0-2"]
    for second in ({"name": "One"}, {"out": "ONE.blend"}, {"export": "one.glb"}):
        with pytest.raises(ListError, match=r"(?i)^row 2: one\.\w+ is also written by row 1;"):
            planned(tmp_path, {"prompt": "a", "name": "one", "export": "glb"}, {"prompt": "b"} | second)
    with pytest.raises(ListError, match="is written twice"):
        planned(tmp_path, {"prompt": "a", "export": "glb | glb"})


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"promt": "a"}, "no column “promt”; did you mean “prompt”"),
        ({"seeed": 1}, "did you mean “seed”"),
        ({"zzz": 1}, "columns are called"),
        ({"python": "x"}, "give it on the command line"),
        ({"seed": "one"}, "seed: one is not a whole number"),
        ({"seed": -1}, "seed is -1"),
        ({"near": 9, "far": 2}, "do not fit"),
        ({"near": "1,5"}, "near: 1,5 is not a number"),
        ({"frame": "x"}, "not allowed with"),
        ({"panorama": "cube"}, "invalid choice"),
        ({"panorama": "sphere", "size": "64x48"}, "choose 96 x 48"),
        ({"floor": "maybe"}, "neither yes nor no"),
        ({"prompt": True}, "is nothing that it could be"),
        ({"steps": [1, 2]}, "is nothing that it could be"),
        ({"into": "gone.blend"}, "there is no file"),
        ({"panorama": "sphere", "around": "gone"}, "there is no folder"),
        ({"name": "a/b"}, "cannot be the name of a file"),
        ({"out": "a.txt"}, "must end in .blend"),
        ({"render": "a.jpg"}, "must end in .png"),
        ({"export": "stl"}, "must end in"),
        ({"prompt": ""}, "nothing to make a scene of"),
    ],
)
def test_a_bad_row_is_told_with_its_number(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    bad = {name: value for name, value in ({"prompt": "a hill"} | row).items() if value != ""}
    with pytest.raises(ListError) as error:
        planned(tmp_path, {"prompt": "good"}, bad)
    first, advice = str(error.value).splitlines()
    assert first.startswith("Row 2: ") and says in first and first.endswith((".", "?")) and "Nothing was started" in advice


def test_many_bad_rows_are_told_at_once_but_not_for_ever(tmp_path: Path) -> None:
    with pytest.raises(ListError) as error:
        planned(tmp_path, *({"prompt": "a", "seed": f"x{number}"} for number in range(30)))
    assert len(str(error.value).splitlines()) == 12 and "And 20 more." in str(error.value)
    with pytest.raises(ListError, match=r"^Row 1 and 29 more: there is no column"):
        planned(tmp_path, *({"promt": f"a {number}"} for number in range(30)))


# What makes a row run anew


def test_the_hash_is_of_all_that_is_said(tmp_path: Path) -> None:
    def settings(row: dict[str, Any], **defaults: Any) -> str:
        return planned(tmp_path, {"prompt": "a", "name": "x"} | row, **defaults)[0].settings

    plain = settings({})
    assert settings({"seed": 1}) == settings({}, seed=1) == settings({"seed": "1"})
    others = [settings({"seed": 1}), settings({"name": "y"}), settings({"render": "yes"}), settings({"prompt": "b"}), settings({"model": "m"})]
    assert len({plain, *others}) == 6
    elsewhere = plan([Row(9, "Row 9", {"name": "x", "prompt": "a"})], {}, tmp_path / "moved", tmp_path / "moved" / "out")
    assert elsewhere[0].settings == plain, "a folder may move"
    assert settings_hash({"a": 1, "b": Path("x") / "y"}) == settings_hash({"b": Path("x/y"), "a": 1})


def entry(output: str, status: str, settings: str = "s", **more: Any) -> Entry:
    return Entry(row=1, name="x", status=status, outputs=(output,), settings=settings, **more)


def test_the_log_remembers_how_rows_ended(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "log.jsonl"
    with Log(path) as log:
        log.add(entry("a", "done", message="señor\n木", warnings=("w",)))
        log.add(entry("b", "failed"))
        log.add(entry("a", "skipped"))
        log.add(entry("c", "done", settings="old"))
        log.add(entry("c", "failed", settings="new"))
    lines = path.read_bytes().splitlines()
    assert len(lines) == 5 and b"\r" not in path.read_bytes() and path.read_bytes().isascii()
    assert json.loads(lines[0]) | {"time": ""} == {
        **{"row": 1, "name": "x", "status": "done", "outputs": ["a"], "frame": None, "seconds": 0.0},
        **{"message": "señor\n木", "warnings": ["w"], "settings": "s", "detail": "", "time": ""},
    }
    with Log(path) as log:
        before = [log.before(*key) for key in (("a", "s"), ("b", "s"), ("c", "old"), ("c", "new"), ("a", "other"), ("d", "s"))]
    assert [found.status if found else None for found in before] == ["done", "failed", None, "failed", None, None]


def test_a_line_that_was_cut_off_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        log.add(entry("a", "done"))
    whole = path.read_bytes()
    path.write_bytes(whole + b'[1]\n{"row": 1}\nnull\n' + whole[:40])
    with Log(path) as log:
        assert log.before("a", "s")
        log.add(entry("b", "done"))
    assert json.loads(path.read_bytes().splitlines()[-1])["outputs"] == ["b"]
