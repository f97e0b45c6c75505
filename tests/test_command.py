# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs beside Blender: what they say, how they end, and that nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jointdit_blender.core.command import PATIENCE, Command
from jointdit_blender.core.errand import BackendCommand
from jointdit_blender.core.interpreter import RECORD, WorkerError, backend_environment, interpreter_of, start_worker


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


def made_by_installer(folder: Path) -> Path:
    """This Python as that of an installation in the folder."""
    program = interpreter_of(folder)
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    (folder / RECORD).write_text("{}")
    return program


@pytest.mark.skipif(sys.platform == "win32", reason="links to a program")
def test_the_persons_modules_reach_a_python_of_theirs_and_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = tmp_path / "studio"
    studio.mkdir()
    (studio / "studio_module.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(studio))
    monkeypatch.setenv("PYTHONSTARTUP", str(studio / "studio_module.py"))
    ours = made_by_installer(tmp_path / "ours")
    words = ["-c", "import importlib.util, os; print(importlib.util.find_spec('studio_module') is None, 'PYTHONSTARTUP' in os.environ)"]
    for program, told in ((ours, "True False"), (Path(sys.executable), "False True")):
        command = Command([program, *words])
        assert command.wait(30) == 0 and command.lines() == [told]
    assert "PYTHONPATH" in backend_environment() and "PYTHONPATH" not in backend_environment(ours)
    (tmp_path / "ours" / RECORD).unlink()
    assert "PYTHONPATH" in backend_environment(ours), "a folder that is only called so is not ours"


@pytest.mark.skipif(sys.platform == "win32", reason="links to a program")
def test_the_worker_and_errands_of_an_installation_do_not_see_the_persons_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = tmp_path / "studio/jointdit"
    studio.mkdir(parents=True)
    (studio / "__init__.py").touch()
    for module in ("worker", "cli"):
        (studio / f"{module}.py").write_text("print('this is the studio', flush=True)")
    monkeypatch.setenv("PYTHONPATH", str(studio.parent))
    for program, seen in ((made_by_installer(tmp_path / "ours"), False), (Path(sys.executable), True)):
        assert (b"the studio" in start_worker(program).communicate(timeout=30)[0]) == seen
        errand = BackendCommand(program, ["doctor"], "Asking")
        errand.start()
        end = time.monotonic() + 30
        while not errand.finished and time.monotonic() < end:
            errand.poll()
            time.sleep(0.01)
        assert ("the studio" in errand.report()) == seen


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does this by itself")
@pytest.mark.parametrize("error", [OSError(6, "The handle is invalid"), SystemError("returned a result with an exception set")])
@pytest.mark.parametrize("tool", [True, False])
def test_on_windows_what_cannot_be_asked_is_ended_at_once(monkeypatch: pytest.MonkeyPatch, error: Exception, tool: bool) -> None:
    command = python("import time; time.sleep(60)")
    ran: list[list[str]] = []

    def no_signal(*_: object) -> None:
        raise error

    def run(words: list[str], **_more: object) -> None:
        ran.append(words)
        if not tool:
            raise FileNotFoundError(2, "taskkill")
        os.kill(int(words[-1]), signal.SIGKILL)

    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        windows.setattr(signal, "CTRL_BREAK_EVENT", 1, raising=False)
        for flag in ("CREATE_NO_WINDOW", "CREATE_NEW_PROCESS_GROUP"):
            windows.setattr(subprocess, flag, 0, raising=False)
        windows.setattr(command._child, "send_signal", no_signal)
        windows.setattr(subprocess, "run", run)
        # Without its tool, what Python has ends the program itself.
        windows.setattr(command._child, "kill", lambda: os.kill(command._child.pid, signal.SIGKILL))
        begin = time.monotonic()
        command.stop()
    assert command.code is not None and time.monotonic() - begin < PATIENCE
    assert ran == [["taskkill", "/F", "/T", "/PID", str(command._child.pid)]]
