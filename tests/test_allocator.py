# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segments grow where they can, before torch is there, and a user's own setting wins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from jointdit.allocator import SETTING, let_segments_grow


@pytest.mark.parametrize(("system", "own", "expected"), [
    ("linux", None, "expandable_segments:True"), ("linux", "backend:cudaMallocAsync", "backend:cudaMallocAsync"), ("win32", None, None), ("darwin", None, None),
])  # fmt: skip
def test_the_setting(monkeypatch: pytest.MonkeyPatch, system: str, own: str | None, expected: str | None) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.delenv(SETTING, raising=False)
    if own:
        monkeypatch.setenv(SETTING, own)
    let_segments_grow()
    assert os.environ.get(SETTING) == expected


def test_the_command_and_the_worker_set_it_before_torch_is_imported() -> None:
    """Torch reads it once."""
    program = (
        "import os, sys; import jointdit.allocator as a; real = a.let_segments_grow; seen = [];\n"
        "a.let_segments_grow = lambda: (seen.append('torch' in sys.modules), real());\n"
        "import jointdit.cli, jointdit.worker.__main__ as worker\n"
        "jointdit.cli.main(['models', 'list', '--help'], standalone_mode=False)\n"
        "worker.claim = lambda: (None, None); worker.os._exit = lambda code: None\n"
        "worker.Server = lambda *parts: type('S', (), {'run': lambda self: 0})()\n"
        "worker.main(); print(seen)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[False, False]"
