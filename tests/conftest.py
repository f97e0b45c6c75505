# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No test sees or changes the models of the person who runs it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

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
