# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No test sees or changes the models of the person who runs it; and what several tests of the worker need."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["JOINTDIT_HOME"] = tempfile.mkdtemp(prefix="jointdit-home-")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch works in one thread: threads that wait for each other on a busy machine make small pictures many times slower."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Makes the parameters of a `generate` request whose result goes to the folder `out`."""
    return lambda prompt="a hill", **more: {"task": "joint", "prompt": prompt, "output": str(tmp_path / "out"), "steps": 3, **more}
