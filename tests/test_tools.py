# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's commands: what they say on a machine that lacks something, what they install and when, what they start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import environment  # noqa: E402
import scene  # noqa: E402


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would be run; all of them succeed, nothing happens."""
    seen: list[list[str]] = []

    def record(command: list[object], **_: object) -> subprocess.CompletedProcess[str]:
        seen.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 0, stdout="3.11")

    monkeypatch.setattr(subprocess, "run", record)
    return seen


def a_place(folder: Path) -> environment.Environment:
    return environment.Environment(folder / "venv", Path(sys.executable), ("--editable", ".[blender]"))


def make_python(place: environment.Environment) -> None:
    place.python.parent.mkdir(parents=True, exist_ok=True)
    place.python.touch()


def test_installs_once_and_again_when_the_project_asks_for_something_else(tmp_path: Path, commands: list, monkeypatch: pytest.MonkeyPatch) -> None:
    place = a_place(tmp_path)
    make_python(place)
    assert place.ready() == place.python
    installs = [c for c in commands if "install" in c]
    assert len(installs) == 1 and "--constraint" in installs[0] and ".[blender]" in installs[0]
    commands.clear()
    assert place.ready() == place.python
    assert commands == []  # quick the second time
    monkeypatch.setattr(environment.Environment, "fingerprint", lambda self: "changed")
    place.ready()
    assert any("install" in c for c in commands)


def test_a_failed_installation_is_tried_again_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = a_place(tmp_path)
    make_python(place)

    def run(command: list[object], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1 if "install" in command else 0)

    monkeypatch.setattr(subprocess, "run", run)
    for _ in range(2):
        with pytest.raises(environment.SetupError, match="run the command again"):
            place.ready()


def test_an_interrupted_environment_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bin/python exists, but pip does not."""
    place, seen = a_place(tmp_path), []
    make_python(place)

    def run(command: list[object], **_: object) -> subprocess.CompletedProcess[str]:
        seen.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 1 if "--version" in command else 0)

    monkeypatch.setattr(subprocess, "run", run)
    place.ready()
    assert any("venv" in c and "--clear" in c for c in seen)


def test_a_python_without_venv_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[object], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1 if "ensurepip" in str(command[-1]) else 0, stdout="3.11\n")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(environment.shutil, "which", lambda name: f"/bin/{name}" if name == "apt-get" else None)
    with pytest.raises(environment.SetupError, match=r"apt-get install .*python3\.11-venv"):
        a_place(tmp_path).ready()


def test_another_python_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    with pytest.raises(environment.SetupError, match=r"Python 3\.12.*python3\.11"):
        environment.blender_environment("blender")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Only Linux lacks libraries.")
def test_missing_libraries_are_named_with_their_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], commands: list) -> None:
    monkeypatch.setattr(environment, "_loads", lambda library: library not in ("libSM.so.6", "libXi.so.6"))
    monkeypatch.setattr(environment.shutil, "which", lambda name: f"/bin/{name}" if name == "apt-get" else None)
    assert scene.main(["a red cube"]) == 1
    said = capsys.readouterr().err
    assert "libSM.so.6" in said and "libXi.so.6" in said and "libX11" not in said
    assert "sudo apt-get install -y --no-install-recommends libxi6 libsm6" in said
    assert commands == []  # told before anything is downloaded


def test_the_persons_options_win(monkeypatch: pytest.MonkeyPatch, commands: list, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(scene, "check_libraries", lambda: None)
    monkeypatch.setattr(environment.Environment, "ready", lambda self: Path("python"))
    assert scene.main(["a red cube", "--out=mine.blend", "--seed", "3"]) == 0
    (command,) = commands
    assert command[:4] == ["python", "-m", "jointdit_blender", "scene"]
    from jointdit_blender.arguments import parse

    arguments = parse(command[3:])
    assert (arguments.prompt, arguments.out, arguments.render, arguments.seed) == ("a red cube", Path("mine.blend"), Path("preview.png"), 3)
    assert scene.main([]) == 2 and "Say what you want to see" in capsys.readouterr().err


def test_the_extension_needs_no_more_than_blender_has() -> None:
    """Nothing in the add-on imports what Blender does not bring: torch, Pillow, ..."""
    import ast

    allowed = {"bpy", "bpy_extras", "bl_operators", "bl_ui", "numpy", "mathutils", "gpu", "gpu_extras", *sys.stdlib_module_names}
    for path in (ROOT / "jointdit_blender").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert {name.split(".")[0] for name in names} <= allowed, path


@pytest.mark.timeout(300)
def test_a_wheel_holds_the_model_and_nothing_of_the_persons(tmp_path: Path) -> None:
    import shutil
    import zipfile

    copy = tmp_path / "project"
    ignored = shutil.ignore_patterns(".git", ".venv*", "__pycache__", "*.egg-info", "build", "dist", "docs")
    shutil.copytree(ROOT, copy, ignore=ignored)
    (copy / "jointdit-output" / "a").mkdir(parents=True)
    (copy / "jointdit-output" / "a" / "x.py").touch()
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, copy]
    subprocess.run([str(part) for part in pip], check=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert "jointdit_blender/scene/builder.py" in names and "jointdit/embedded/README.md" in names
    assert sum(name.startswith("jointdit/embedded/pipeline/") and name.endswith(".safetensors") for name in names) == 3
    assert not any(name.startswith(("jointdit-output", "tests", "runs")) for name in names)
