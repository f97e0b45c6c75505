# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `jointdit doctor --json` tells a program: findings, each with what mends it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_files
from click.testing import CliRunner
from jointdit import doctor, inventory, machine, models
from jointdit.cli import main
from jointdit.models import Models
from jointdit.weights.library import Library
from jointdit.weights.pieces import find_pieces

GIB = 2**30


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JOINTDIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(doctor, "nvidia_card", lambda: "")
    return tmp_path / "home"


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The device that is found; a test may change it."""
    about = {"kind": "cpu", "name": "a processor", "memory_total": 16 * GIB, "memory_free": 8 * GIB}
    monkeypatch.setattr(Models, "device", lambda _models: about)
    return about


def told(*arguments: object) -> tuple[dict[str, dict[str, Any]], bool, int]:
    """The findings by name, whether all is good, and the exit code."""
    done = CliRunner().invoke(main, ["doctor", *map(str, arguments), "--json"])
    *lines, last = map(json.loads, done.stdout.splitlines())
    assert all(set(line) == {"finding", "good", "text", "repair", "model"} for line in lines)
    assert all(line["repair"] in ("", *doctor.REPAIRS) for line in lines)
    return {line["finding"]: line for line in lines}, last["result"]["healthy"], done.exit_code


def test_a_good_machine_has_nothing_to_mend(device: dict[str, Any]) -> None:
    findings, healthy, code = told()
    assert healthy and code == 0 and set(findings) == {"programs", "device", "memory", "model embedded"}
    assert not any(finding["repair"] for finding in findings.values()) and findings["model embedded"]["model"] == "embedded"


def test_what_is_bad_says_what_mends_it(device: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = tiny_files.flux_parts()["flux"]
    tiny_files.write(tensors, tmp_path / "a.safetensors")
    Library().add("mine", find_pieces([tmp_path]))
    device["memory_free"] = GIB
    monkeypatch.setattr(doctor, "nvidia_card", lambda: "NVIDIA GeForce RTX 4090")
    monkeypatch.setattr(models, "EMBEDDED", tmp_path / "nothing")
    monkeypatch.setattr(inventory, "EMBEDDED", tmp_path / "nothing")
    findings, healthy, code = told()
    repairs = {name: finding["repair"] for name, finding in findings.items() if not finding["good"]}
    assert repairs == {"device": "reinstall", "memory": "free-memory", "model mine": "download-model", "model embedded": "reinstall"}
    assert not healthy and code == 1
    assert "RTX 4090" in findings["device"]["text"] and "cannot use it" in findings["device"]["text"]
    assert findings["model mine"]["text"].startswith("It lacks JointDiT's add-ons, FLUX.1-dev's autoencoder")


def test_a_card_that_works_is_not_asked_for_a_second_time(device: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    device["kind"] = "cuda"
    monkeypatch.setattr(doctor, "nvidia_card", lambda: pytest.fail("asked"))
    monkeypatch.setattr(Models, "names", lambda _models: [])
    assert [finding.good for finding in doctor.examine(Models())] == [True, True, True]


def test_files_that_went_away_are_to_be_added_again(device: dict[str, Any], tmp_path: Path) -> None:
    for part, tensors in tiny_files.flux_parts().items():
        tiny_files.write(tensors, tmp_path / "files" / f"{part}.safetensors")
    Library().add("mine", find_pieces([tmp_path / "files"]))
    (tmp_path / "files" / "clip.safetensors").rename(tmp_path / "clip.safetensors")
    findings, healthy, _ = told()
    assert not healthy and findings["model mine"]["repair"] == "add-model" and "not there any more" in findings["model mine"]["text"]


def test_a_model_that_does_not_fit_now_wants_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    full = replace(machine.this_machine(machine.best_device()), kind="cuda", free=2**20, fp8_products=False)
    monkeypatch.setattr("jointdit.machine.this_machine", lambda _device: full)
    known = Models()
    examined = inventory.examine(known, inventory.look(known, "embedded"))
    assert examined.repair == "free-memory" and "GiB free" in examined.problem and not examined.plan


def test_missing_programs_are_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "gguf" else object())
    findings, healthy, code = told()
    assert findings["programs"]["repair"] == "reinstall" and "gguf" in findings["programs"]["text"] and (healthy, code) == (False, 1)


def test_what_a_folder_lacks_can_be_downloaded(tmp_path: Path) -> None:
    tiny_files.write(tiny_files.flux_parts()["flux"], tmp_path / "a.safetensors")
    findings, healthy, _ = told(tmp_path)
    assert findings["flux"]["good"] and findings["t5"]["repair"] == "download-model" and not healthy


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "name"),
    [("echo 'NVIDIA H100'; echo another", "NVIDIA H100"), ("echo 'has failed because it could not communicate'; exit 9", ""), ("exit 0", "")],
)
def test_the_driver_is_asked_for_the_card(script: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert doctor.nvidia_card() == name
