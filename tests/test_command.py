# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs beside Blender: what they say, how they end, and that nothing of them is left."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from jointdit_blender.core.command import Command
from jointdit_blender.core.interpreter import WorkerError


def python(program: str) -> Command:
    return Command([sys.executable, "-c", program])


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_lines_come_while_it_runs_and_the_log_has_both_outputs() -> None:
    command = python("import sys, time; print('one', flush=True); time.sleep(0.5); print('two'); print('why', file=sys.stderr)")
    heard: list[str] = []
    end = time.monotonic() + 30
    while "one" not in heard and time.monotonic() < end:
        heard += command.lines()
        time.sleep(0.01)
    assert heard == ["one"] and command.code is None
    assert command.wait(30) == 0 and command.ended
    assert command.lines() == ["two"]
    assert set(command.log().splitlines()) == {"one", "two", "why"}


def test_the_exit_code_is_told_and_what_is_no_text_does_no_harm() -> None:
    command = python("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.exit(3)")
    assert command.wait(30) == 3
    assert len(command.lines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="looks into /proc")
def test_stopping_ends_its_children_too() -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    program = f"import subprocess, sys; child = {child}; print(child.pid, flush=True); child.wait()"
    command = python(program)
    end = time.monotonic() + 30
    heard: list[str] = []
    while not heard and time.monotonic() < end:
        heard = command.lines()
        time.sleep(0.01)
    command.stop()
    assert command.code is not None
    end = time.monotonic() + 5
    while not gone(int(heard[0])) and time.monotonic() < end:
        time.sleep(0.01)
    assert gone(int(heard[0]))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_program_that_does_not_want_to_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jointdit_blender.core.command.PATIENCE", 0.3)
    command = python("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)")
    end = time.monotonic() + 30
    while not command.lines() and time.monotonic() < end:
        time.sleep(0.01)
    command.stop()
    assert command.code is not None and command.code < 0


def test_a_program_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="cannot be started"):
        Command([tmp_path / "nothing"])


def test_another_python_is_not_turned_into_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", os.sep + "nowhere")
    command = python("print('alive')")
    assert command.wait(30) == 0 and command.lines() == ["alive"]
