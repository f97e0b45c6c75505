# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many scenes in one go: real files, a real worker process with the stand-in, and for what happens to processes a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from frames import hills, make_frame

bpy = pytest.importorskip("bpy")

from engine import standin  # noqa: E402
from engine.patience import PATIENCE  # noqa: E402

from jointdit_blender import making  # noqa: E402
from jointdit_blender.headless import command  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--size", "32x24", "--steps", "2", "--step", "4", "--sky", "keep", "--torn", "keep", "--no-clean", "--no-back-layer")


PAGE = (ROOT / "docs/batch.md").read_text("utf-8")


class Batch:
    """A list, a folder for what is made of it, and a generator."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.program = standin.write_interpreter(folder)

    def words(self, *more: str) -> list[str]:
        return ["batch", str(self.folder / "list.csv"), "--out", str(self.out), "--python", str(self.program), *QUICK, *more]

    def write(self, text: str) -> None:
        (self.folder / "list.csv").write_text(text, encoding="utf-8")

    def run(self, *more: str) -> int:
        return command(self.words(*more))

    def log(self) -> list[dict[str, Any]]:
        path = self.out / "batch.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def statuses(self) -> list[tuple[int, str]]:
        return [(entry["row"], entry["status"]) for entry in self.log()]


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path)


def test_a_list_becomes_files_and_goes_on_after_a_failure(batch: Batch, capfd: pytest.CaptureFixture[str]) -> None:
    frame = make_frame(batch.folder / "frames of mine" / "hills", hills(32, 24)).folder
    (frame / "image.png").write_bytes(b"no picture")
    batch.write("prompt,seed,name,frame,export\na hill,1,first,,glb\n,,broken,frames of mine/hills,\nfull,,,,\na hill,2,,,\n")
    assert batch.run("--bake") == 1
    outputs = capfd.readouterr()
    assert outputs.out == f"4 rows: 2 done, 2 failed. Log: {batch.out / 'batch.jsonl'}\n"
    assert "row 3 of 4: full-0: failed. The disk is full: free some space." in outputs.err and "row 4 of 4: [" in outputs.err
    assert sorted(path.name for path in batch.out.iterdir()) == ["a-hill-2.blend", "batch.jsonl", "first.blend", "first.glb", "frames"]
    first, broken, full, last = batch.log()
    assert batch.statuses() == [(1, "done"), (2, "failed"), (3, "failed"), (4, "done")]
    assert first["outputs"] == [str(batch.out / "first.blend"), str(batch.out / "first.glb")] and Path(first["frame"]).parent == batch.out / "frames"
    assert first["message"].startswith("Built 48 vertices") and first["seconds"] > 0.0 and "image.png" in broken["message"] and full["frame"] is None
    # One process has made them all: the stand-in writes its number into the name.
    assert len({Path(entry["frame"]).name.split("-")[2] for entry in (first, last)}) == 1
    bpy.ops.wm.open_mainfile(filepath=str(batch.out / "a-hill-2.blend"))
    assert [item["seed"] for item in bpy.data.objects if "frame" in item and item.modifiers] == [2]


def test_the_same_command_goes_on(batch: Batch, capfd: pytest.CaptureFixture[str]) -> None:
    def again(*more: str) -> list[tuple[int, str]]:
        before = len(batch.log())
        batch.run(*more)
        return batch.statuses()[before:]

    batch.write("prompt,name,seed\na hill,a,1\nfull,b,\na hill,c,3\n")
    assert again() == [(1, "done"), (2, "failed"), (3, "done")]
    capfd.readouterr()
    assert again() == [(1, "skipped"), (2, "failed"), (3, "skipped")]
    outputs = capfd.readouterr()
    assert "3 rows: 2 done before, 1 failed" in outputs.out and outputs.err.count("--retry-failed tries it again") == 1
    again()
    assert capfd.readouterr().err.count("--retry-failed tries it again") == 1, "a second time says the same"
    # What is missing is made again; so is what is older than its settings.
    (batch.out / "a.blend").unlink()
    batch.write("prompt,name,seed\na hill,a,1\na hill,b,\na hill,c,4\n")
    assert again() == [(1, "done"), (2, "done"), (3, "done")]
    assert again() == [(1, "skipped"), (2, "skipped"), (3, "skipped")]
    # Changed back: what lies there is of other settings.
    batch.write("prompt,name,seed\na hill,a,1\nfull,b,\na hill,c,3\n")
    assert again() == [(1, "skipped"), (2, "failed"), (3, "done")]
    assert again("--retry-failed")[1] == (2, "failed") and "It failed before" not in batch.log()[-2]["message"]


def test_a_newer_input_makes_a_row_run_again(batch: Batch) -> None:
    frame = make_frame(batch.folder / "hills", hills(32, 24)).folder
    batch.write("frame\nhills\n")
    assert [batch.run(), batch.run()] == [0, 0]
    os.utime(frame / "frame.json", (time.time() + 60, time.time() + 60))
    assert batch.run() == 0
    assert batch.statuses() == [(1, "done"), (1, "skipped"), (1, "done")]


def test_fail_fast(batch: Batch, capfd: pytest.CaptureFixture[str]) -> None:
    batch.write("prompt\nfull\na hill\n")
    assert batch.run("--fail-fast") == 1
    assert "2 rows: 1 failed, 1 not started; run the same command again to go on." in capfd.readouterr().out
    assert batch.statuses() == [(1, "failed")]


def test_a_worker_that_dies_takes_one_row_with_it(batch: Batch) -> None:
    batch.write("prompt\ncrash\na hill\n")
    assert batch.run() == 1
    crash, hill = batch.log()
    assert (crash["status"], hill["status"]) == ("failed", "done") and "stopped unexpectedly" in crash["message"] and "driver" in crash["detail"]


def test_a_defect_takes_one_row_with_it(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_arguments: object) -> object:
        raise ZeroDivisionError("one over nothing")

    monkeypatch.setattr(making, "picture_size", defect)
    (batch.folder / "a.png").touch()
    batch.write("prompt,image,disparity,focal\n,a.png,a.png,30\na hill,,,\n")
    assert batch.run() == 1
    broken, hill = batch.log()
    assert hill["status"] == "done" and "one over nothing" in broken["message"] and "Traceback" in broken["detail"]


def test_a_bad_list_starts_nothing(batch: Batch, capfd: pytest.CaptureFixture[str]) -> None:
    batch.write("prompt,colour\na hill,red\n")
    assert batch.run() == 2
    outputs = capfd.readouterr()
    assert outputs.out == "" and "Row 1 (line 2 of list.csv): there is no column “colour”" in outputs.err
    assert not batch.out.exists()
    (batch.folder / "out").write_text("in the way")
    batch.write("prompt\na hill\n")
    assert batch.run() == 1 and "cannot be used as a log" in capfd.readouterr().err


def example(kind: str) -> str:
    """What stands in the page."""
    (block,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    return str(block)


def test_the_list_of_the_page(batch: Batch) -> None:
    batch.write(example("csv"))
    bpy.ops.wm.read_homefile(use_empty=True)
    assert batch.run() == 0
    assert sorted(path.name for path in batch.out.glob("*.*")) == [
        *("a-castle-on-a-hill-1.blend", "batch.jsonl", "shot-010.blend", "shot-010.png", "shot-020.blend", "shot-020.png"),
    ]
    assert json.loads((Path(batch.log()[1]["frame"]) / "frame.json").read_text())["mapping"]["far"] == 60.0


def test_the_page_tells_the_log_and_the_commands_as_they_are(batch: Batch) -> None:
    batch.write("prompt\na hill\n")
    batch.run()
    assert list(json.loads(example("json"))) == list(batch.log()[0])
    (object_line,) = re.findall(r"`(\{.*?\})`", PAGE)
    (batch.folder / "list.csv").with_suffix(".jsonl").write_text(object_line)
    assert command([word.replace("list.csv", "list.jsonl") for word in batch.words()]) == 0
    assert (batch.out / "shot-010.blend").is_file()


def heard(path: Path, text: str) -> bool:
    """Whether a process has said something, waiting for it."""
    end = time.monotonic() + 10.0 * PATIENCE
    while time.monotonic() < end:
        if path.exists() and text in path.read_text(errors="replace"):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_and_run_again(batch: Batch, way: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    batch.write("prompt,name\na hill,a\na hill,b\na hill,c\n")
    said, errors = batch.folder / "stdout", batch.folder / "stderr"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "STANDIN_STEP_SECONDS": "0.5"}
    with said.open("w") as out, errors.open("w") as err:
        process = subprocess.Popen([sys.executable, "-m", "jointdit_blender", *batch.words()], stdout=out, stderr=err, env=environment, cwd=ROOT)
    assert heard(errors, "row 2 of 3: [############............] sampling 1/2"), errors.read_text()
    process.send_signal(way)
    assert process.wait(10.0 * PATIENCE) == (130 if way is signal.SIGINT else -signal.SIGKILL)
    if way is signal.SIGINT:
        assert said.read_text() == (f"Stopped. 3 rows: 1 done, 2 not started; run the same command again to go on. Log: {batch.out / 'batch.jsonl'}\n")
        assert "Traceback" not in errors.read_text()
    assert batch.statuses() == [(1, "done")]
    assert batch.run() == 0
    assert batch.statuses() == [(1, "done"), (1, "skipped"), (2, "done"), (3, "done")]
