# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender program installs the extension from a static repository on this machine, and knows its command then."""

from __future__ import annotations

import functools
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import chroot


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A repository made with the tool of the Blender that shall use it, and shown on this machine only."""
    try:
        chroot.provide()
    except chroot.NoWindowError as reason:
        pytest.skip(f"BLENDER PROGRAM NOT TESTED: {reason}")
    folder = tmp_path / "repository"
    command = [sys.executable, str(chroot.REPOSITORY / "tools/repository.py"), "--tool", str(chroot.extension_tool()), "--output", str(folder)]
    subprocess.run(command, capture_output=True, check=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/index.json"
    server.shutdown()
    server.server_close()


def test_the_program_installs_it_from_a_repository(address: str, tmp_path: Path) -> None:
    def blender(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = chroot.enter(["blender", *arguments], [tmp_path], {"BLENDER_USER_RESOURCES": str(tmp_path / "user")})
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def extension(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = blender("--online-mode", "--command", "extension", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    extension("repo-remove", "blender_org")  # a test needs no network
    extension("repo-add", "--name", "JointDiT", "--url", address, "theirs")
    extension("sync")
    extension("install", "--enable", "theirs.jointdit")
    assert "jointdit [installed]" in extension("list").stdout
    usage = blender("--command", "jointdit", "scene", "--help")
    assert usage.returncode == 0 and "--prompt" in usage.stdout, usage.stderr
    extension("remove", "theirs.jointdit")
    assert blender("--command", "jointdit", "scene", "--help").returncode != 0
