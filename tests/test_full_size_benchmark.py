# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of the full-size model runs at a tiny size, and its tables say what they should."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

CPU = torch.device("cpu")


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look themselves up, and others may need it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return program("full_size")


@pytest.fixture(scope="module")
def tiny(benchmark: ModuleType) -> object:
    model = {"num_layers": 1, "num_single_layers": 2, "num_attention_heads": 1, "joint_attention_dim": 64, "pooled_projection_dim": 32,
             "lora_rank": 2, "vector_lora_ranks": (2, 2), "text_lora_rank": 2}  # fmt: skip
    return benchmark.Scale("tiny", model, 8, (32, 32, 32, 32), ((64, 64), (64, 96)), torch.float32)


def errors_of(table: str) -> dict[str, float]:
    """Name of a row -> the larger of the two errors in its last column."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")]
    return {" ".join(row[:2]) if " x " in row[0] else row[0]: max(map(float, row[-1].split(" / "))) for row in rows if re.search(r"e[-+]\d", row[-1])}


def test_pictures(benchmark: ModuleType, tiny: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.pictures(tiny, tiny.pictures, CPU, 2, False, 1e11)
    printed = capsys.readouterr().out
    assert printed.count("stock diffusers FLUX") == printed.count("plain two-branch program") == 2
    errors = errors_of(printed)
    assert len(errors) == 2 and all(error < 1e-5 for error in errors.values())  # our program is the plain one


def test_plans(benchmark: ModuleType, tiny: object, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.plans(tiny, CPU, 2, False)
    errors = errors_of(capsys.readouterr().out)
    for exact in ("full: modulations stay", "exact, all blocks visiting"):
        assert errors[exact] < 1e-5
    assert 1e-5 < errors["fp8"] < errors["nf4"] < 0.2


def test_small_cards(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.caps(CPU, 20, measure=False)
    rows = [line for line in capsys.readouterr().out.splitlines() if re.match(r"\| \d+ GiB", line)]
    for row in rows:
        estimate, target = (float(cell.split()[0]) for cell in (row.split("|")[3], row.split("|")[5]))
        assert estimate < target and "not measured" in row
    assert len(rows) == 4


def test_training_steps(benchmark: ModuleType, tiny: object) -> None:
    """Every row of the benchmark of training is timed, and set beside what the estimate says of it."""
    training = program("training")
    for options in training.ROWS.values():
        first, later, peak, expected = training.steps_of(tiny, options, 64, 3, CPU)
        assert first > 0 and later > 0 and peak == 0  # nothing is measured on the processor
        assert expected.addons == expected.gradients > 0 and (expected.optimizer == 2 * expected.addons) == (options.optimizer == "adamw")
