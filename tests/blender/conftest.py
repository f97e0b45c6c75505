# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests inside Blender as a Python module (the `bpy` wheel); skipped visibly where there is none."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
for folder in (TESTS, TESTS.parent, Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# Before bpy is imported: nothing of the person's own Blender may be read or changed.
os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="jointdit-blender-"))

try:
    import bpy
except ModuleNotFoundError:
    bpy = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if bpy is not None:
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="there is no bpy in this Python"))


@pytest.fixture(autouse=True)
def empty_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts with an empty file and factory settings; what is built in it gets its node group ready-made."""
    if bpy is None:
        return
    bpy.ops.wm.read_factory_settings(use_empty=True)
    from ready import ready_group

    from jointdit_blender.scene import live

    monkeypatch.setattr(live, "frame_group", ready_group)


ENDED = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[ENDED] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End at once: after everything is reported, Blender 4.5 and torch in one process may wait for each other for ever while they clean up."""
    if bpy is not None and ENDED in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[ENDED])
