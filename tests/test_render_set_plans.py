# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `render-set` decides without Blender: camera paths, light, captions, the files of a pair, and the words of both command lines."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from frames import gradient, write_png
from hypothesis import given
from hypothesis import strategies as st

from jointdit_blender.arguments import UsageError, parse
from jointdit_blender.core import daylight
from jointdit_blender.core.captions import TemplateError, caption, clean, listed, view_words
from jointdit_blender.core.daylight import Light, tint, variants, words
from jointdit_blender.core.files import FileError
from jointdit_blender.core.pairs import Pair, disparity, read_layer, unique_slugs
from jointdit_blender.core.viewpoints import PATHS, TRIES, looking, path

EYE, TARGET = (6.0, -8.0, 3.0), (0.0, 0.0, 1.0)


# Camera paths


@pytest.mark.parametrize("kind", PATHS)
def test_the_same_seed_gives_the_same_cameras(kind: str) -> None:
    first = path(kind, EYE, TARGET, 5, (35.0, 75.0), "7")
    assert first == path(kind, EYE, TARGET, 5, (35.0, 75.0), "7") != path(kind, EYE, TARGET, 5, (35.0, 75.0), "8")
    assert len(first) == 5 and all(len(tries) == TRIES == len(set(tries)) for tries in first)
    assert all(35.0 <= view.fov <= 75.0 for tries in first for view in tries)
    assert all(len({view.fov for view in tries}) == 1 for tries in first), "a blocked place is tried again with the same lens"


def test_an_orbit_goes_once_around_at_the_cameras_distance() -> None:
    firsts = [tries[0] for tries in path("orbit", EYE, TARGET, 8, (50.0, 50.0), "1")]
    assert firsts[0].position == pytest.approx(EYE)
    assert all(view.target == TARGET and view.distance == pytest.approx(math.dist(EYE, TARGET)) for view in firsts)
    angles = np.degrees([math.atan2(view.position[1], view.position[0]) for view in firsts])
    assert np.diff(np.unwrap(angles, period=360.0)) == pytest.approx([45.0] * 7)
    assert all(view.position[2] == pytest.approx(EYE[2]) for view in firsts)


def test_a_dolly_leads_from_behind_the_camera_towards_the_target() -> None:
    firsts = [tries[0] for tries in path("dolly", EYE, TARGET, 6, (50.0, 50.0), "1")]
    shares = [1.0 - view.distance / math.dist(EYE, TARGET) for view in firsts]
    assert shares == pytest.approx(np.linspace(-0.3, 0.55, 6))
    for view in firsts:
        assert np.cross(np.subtract(view.position, TARGET), np.subtract(EYE, TARGET)) == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)


@given(st.tuples(*[st.floats(-50.0, 50.0)] * 3), st.tuples(*[st.floats(-50.0, 50.0)] * 3))
def test_a_camera_looks_at_its_target_upright(eye: tuple[float, float, float], target: tuple[float, float, float]) -> None:
    if math.dist(eye, target) < 0.1:
        return
    views = [tries[3] for kind in PATHS for tries in path(kind, eye, target, 3, (50.0, 50.0), "5")]
    for view in views:
        matrix = looking(view)
        assert matrix[:3, :3] @ matrix[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9) and np.linalg.det(matrix) == pytest.approx(1.0)
        seen = np.linalg.inv(matrix) @ (*view.target, 1.0)
        assert seen[:3] == pytest.approx([0.0, 0.0, -view.distance], abs=1e-6)
        assert matrix[2, 0] == pytest.approx(0.0, abs=1e-9) and matrix[2, 1] >= 0.0, "the horizon is level, and up is up"


# Light


def test_light_varies_within_sane_ranges_and_keeps_the_scenes_own_first() -> None:
    lights = variants(9, sun=True, seed="3")
    assert lights == variants(9, sun=True, seed="3") != variants(9, sun=True, seed="4")
    assert lights[0] == Light() and [light.number for light in lights] == list(range(9))
    assert {light.mood for light in lights[1:5]} == {light.mood for light in lights[5:]} == {"noon", "afternoon", "sunset", "overcast"}
    for light in lights[1:]:
        assert light.sun_elevation is not None and 3.0 <= light.sun_elevation <= 72.0 and abs(light.exposure) <= 0.3
        assert 0.1 <= light.sun_strength <= 1.2 and 0.45 <= light.world_strength <= 1.7 and light.lamp_strength == 1.0
    indoors = variants(5, sun=False, seed="3")
    assert all(light.sun_elevation is None and 0.35 <= light.lamp_strength <= 1.9 for light in indoors[1:])


def test_tints_are_those_of_hot_bodies() -> None:
    # CIE 1931: illuminant A (2856 K) has x = 0.44758, y = 0.40745; white here is 6500 K.
    red, green, blue = tint(2856.0)
    assert tint(daylight.NEUTRAL) == pytest.approx((1.0, 1.0, 1.0))
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    white = np.array(daylight._black_body(daylight.NEUTRAL))
    x, y, z = to_xyz @ (np.array([red, green, blue]) * white)
    assert (x / (x + y + z), y / (x + y + z)) == (pytest.approx(0.44758, abs=2e-3), pytest.approx(0.40745, abs=2e-3))
    assert red > 1.0 > blue and tint(10000.0)[2] > 1.0 > tint(10000.0)[0]
    assert 0.2126 * red + 0.7152 * green + 0.0722 * blue == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("light", "elevation", "lit", "warmth", "says"),
    [
        (Light(), None, 0.0, 1.0, ""),
        (Light(), 40.0, 0.5, 1.0, "in sunlight"),
        (Light(), 60.0, 0.5, 1.0, "under a high sun"),
        (Light(), 40.0, 0.01, 1.0, ""),
        (Light(), -5.0, 0.5, 1.0, ""),
        (Light(), 5.0, 0.5, 1.0, "under a low sun"),
        (Light(), 5.0, 0.5, 2.0, "at sunset"),
        (Light(2, "sunset", 5.0, sun_kelvin=3000.0), 5.0, 0.5, 1.0, "at sunset"),
        (Light(2, "sunset", 5.0, sun_kelvin=3000.0), 5.0, 0.0, 1.0, ""),
        (Light(3, "overcast", 50.0, sun_strength=0.2), 50.0, 0.5, 1.0, "in soft light"),
        (Light(1, "warm", kelvin=3000.0), None, 0.0, 1.0, "in warm light"),
        (Light(1, "dim"), None, 0.0, 1.0, "in dim light"),
    ],
)
def test_light_in_words(light: Light, elevation: float | None, lit: float, warmth: float, says: str) -> None:
    assert words(light, elevation, lit, warmth) == says


# Captions


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Cube.001", "cube"),
        ("SM_OldTree_LOD0.003", "old tree"),
        ("GEO-kitchen_chair_L", "kitchen chair"),
        ("Rock12", "rock"),
        ("Wall_Back.002", "wall"),
        ("HDRIDome", "hdri dome"),
        ("Street Lamp", "street lamp"),
        ("Plane.004", ""),
        ("Collection 2", ""),
        ("_", ""),
        ("Фонарь.001", "фонарь"),
    ],
)
def test_names_become_words(name: str, word: str) -> None:
    assert clean(name) == word


def test_things_are_listed_by_what_they_fill_together() -> None:
    things = [("house", 0.3), ("rock", 0.2), ("", 0.2), ("rock", 0.15), ("grass", 0.1), ("apple tree", 0.05), ("berry", 0.02)]
    assert listed(things) == "a rock, a house, grass and an apple tree"
    assert listed([("leaf", 0.006), ("leaf", 0.006), ("ant", 0.002)]) == "a leaf"
    assert listed([("curtains", 0.2), ("compass", 0.1)]) == "curtains and a compass" and listed([("", 1.0)]) == ""


def test_what_is_not_known_is_left_out_of_a_caption() -> None:
    known = {"objects": "a chair", "light": "", "camera": "from above", "collection": "kitchen"}
    assert caption("{objects}, {light}, {camera}", known) == "a chair, from above"
    assert caption("a {collection} of {objects}, {light}", known) == "a kitchen of a chair"
    assert caption("in our style, {light} light", known) == "in our style"
    for wrong in ("{thing}", "{objects", "{0}"):
        with pytest.raises(TemplateError):
            caption(wrong, known)


def test_views_in_words() -> None:
    assert [view_words(-45.0, 50.0), view_words(30.0, 80.0), view_words(0.0, 50.0)] == ["from above", "from below, wide angle", ""]


# The files of a pair


def test_disparity_is_the_inverse_between_nearest_and_farthest() -> None:
    depth = np.array([[2.0, 4.0], [8.0, 3.0]], np.float32)
    near, far = 1 / 2, 1 / 8
    assert disparity(depth) == pytest.approx((1 / depth - far) / (near - far))
    depth[1, 0] = np.inf
    assert disparity(depth) == pytest.approx(np.array([[1.0, 0.5], [0.0, 2 / 3]]))
    assert not disparity(np.full((2, 2), 3.0, np.float32)).any()


def test_a_pair_is_complete_or_not_there(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "yard-l00")
    pair.workplace.mkdir()
    depth = np.array([[1.0, np.inf], [2.5, 4.0]], np.float32)
    image = pair.workplace / "rendered.png"
    write_png(image, gradient(2, 2))
    pair.write(image, depth, "a yard", {"settings": "abc"})
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(path.name for path in pair.files)
    assert pair.is_complete("abc", 0.0) and not pair.is_complete("abd", 0.0), "other settings make it again"
    assert not pair.is_complete("abc", pair.files[-1].stat().st_mtime + 5.0), "so does a file that was saved since"
    pair.files[0].unlink()
    assert not pair.is_complete("abc", 0.0)
    (tmp_path / "yard-l00.json").write_text("[", "utf-8")
    assert not pair.is_complete("abc", 0.0)
    with pytest.raises(FileError, match="cannot be written"):
        pair.write(pair.workplace / "gone.png", depth, "", {})


def test_the_backend_reads_what_is_written(tmp_path: Path) -> None:
    pictures = pytest.importorskip("jointdit.pictures")
    pair = Pair(tmp_path, "a")
    pair.workplace.mkdir()
    write_png(pair.workplace / "a.png", gradient(3, 2))
    depth = np.array([[1.0, 2.0, np.inf], [0.1, 7.5, 1e4]], np.float32)
    pair.write(pair.workplace / "a.png", depth, "ein Weg\u2026", {})
    assert np.array_equal(pictures.read_disparity(tmp_path / "a.depth.exr"), depth)
    assert pictures.read_disparity(tmp_path / "a_disparity.exr") == pytest.approx(disparity(depth))
    assert (tmp_path / "a.txt").read_text("utf-8") == "ein Weg\u2026\n"


def test_a_render_without_plain_depth_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"v/1\x01" + bytes(200)):
        (tmp_path / "a.exr").write_bytes(content)
        with pytest.raises(FileError, match="cannot be read"):
            read_layer(tmp_path / "a.exr", ("Depth.Z",))


def test_files_of_the_same_name_differ() -> None:
    assert unique_slugs(["Yard", "yard", "Küche (final)", "庭", "村"])[:3] == ["yard", "yard-2", "kuche-final"]
    assert len(set(unique_slugs(["庭", "村", "庭"]))) == 3


# The words of the command


def test_the_words_are_understood() -> None:
    words = "a.blend b.blend --out set --frames 1,10-20:5,-3 --path orbit --fov 40..60 --size 640x480 --lights 3 --no-own"
    given = parse(["render-set", *words.split()])
    assert given.files == [Path("a.blend"), Path("b.blend")] and given.frames == (1, 10, 15, 20, -3)
    assert (given.fov, given.size, given.lights, given.own, given.count) == ((40.0, 60.0), (640, 480), 3, False, 16)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "--out"),
        ("--out s --frames 5-1", "ends before it begins"),
        ("--out s --frames a", "no list of frames"),
        ("--out s --path orbit --fov 3..200", "no range"),
        ("--out s --size 8", "no size"),
        ("--out s --path spiral", "invalid choice"),
        ("--out s --count 4", "need --path"),
        ("--out s --no-own", "nothing to render"),
        ("--out s --caption {house}", "no field {house}"),
        ("--out s --first 3", "only 1 files"),
    ],
)
def test_words_that_make_no_sense(words: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("{", r"\{")):
        parse(["render-set", "a.blend", *words.split()])


# The backend's command, with a stand-in for Blender

STAND_IN = """
import json, os, sys
words = sys.argv[sys.argv.index("render-set") + 1:]
with open({record!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
first = int(words[-1].removeprefix("--first="))
files = [word for word in words if word.endswith(".blend")]
print("Blender 5.2.2 (hash)")
made = 0
for number in range(first, len(files) + 1):
    if "crash" in files[number - 1]:
        os.abort()
    print(json.dumps(dict(file=files[number - 1], number=number, status="done", made=3, before=1, message="3 pictures made.", notes=[])), flush=True)
print(json.dumps(dict(status="done", exit=0, made=3, before=1, failed=0, message="")))
"""


@pytest.fixture
def blender(tmp_path: Path) -> Path:
    if sys.platform == "win32":
        pytest.skip("a script is no program on Windows")
    program = tmp_path / "blender"
    program.write_text(f"#!{sys.executable}\n" + STAND_IN.format(record=str(tmp_path / "calls")), "utf-8")
    program.chmod(0o755)
    return program


def backend(*words: object, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PATH": path} if path else {})}
    command = [sys.executable, "-m", "jointdit.cli", "render-set", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def test_the_backend_starts_blender_and_passes_the_words_on(tmp_path: Path, blender: Path) -> None:
    words = ["a.blend", "b.blend", "--out", tmp_path / "set", "--path", "orbit", "--no-own", "--frames", "-3,4", "--scene", "A", "--scene", "B"]
    for done in (backend(*words, "--blender", blender), backend(*words, path=f"{tmp_path}:{os.environ['PATH']}")):
        assert (done.returncode, done.stdout) == (0, "2 files: 6 pictures made, 2 made before.\n"), done.stderr
    for call in map(json.loads, (tmp_path / "calls").read_text().splitlines()):
        assert call[:4] == ["--background", "--factory-startup", "--python-exit-code", "1"]
        given = parse(call[call.index("render-set") :])
        assert given.files == [Path("a.blend").absolute(), Path("b.blend").absolute()] and given.out == tmp_path / "set"
        assert (given.path, given.own, given.frames, given.scene, given.json, given.lights) == ("orbit", False, (-3, 4), ["A", "B"], True, 1)


def test_a_file_that_crashes_blender_does_not_stop_the_others(tmp_path: Path, blender: Path) -> None:
    done = backend("a.blend", "crash.blend", "c.blend", "--out", tmp_path, "--blender", blender, "--json")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line.get("number"), line["status"]) for line in lines] == [(1, "done"), (2, "failed"), (3, "done"), (None, "failed")]
    assert "crashed" in lines[1]["message"] and (lines[-1]["made"], lines[-1]["failed"]) == (6, 1)
    last = backend("a.blend", "crash.blend", "--out", tmp_path, "--blender", blender)
    assert last.returncode == 1 and last.stdout == "2 files, 1 failed: 3 pictures made, 1 made before.\n"


def test_where_there_is_no_blender_a_sentence_says_so(tmp_path: Path) -> None:
    done = backend("a.blend", "--out", tmp_path, "--blender", tmp_path / "none")
    assert done.returncode == 1 and "There is no Blender at" in done.stderr and "Traceback" not in done.stderr
