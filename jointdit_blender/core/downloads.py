# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far uv is with its downloads: what it says of them, and what has arrived on the disk."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .environment import size_of

_LINE = re.compile(r"^\s*(Downloading|Downloaded) (\S+)(?: \(download\))?(?: \(([\d.]+) ?([KMGT]?i?B)\))?\s*$", re.MULTILINE)
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_PAUSE = 20
"""How many times as long as it takes to look is waited until the next look."""


@dataclass(frozen=True)
class Downloads:
    """The larger files that uv fetches: bytes of those that have arrived, bytes of all, and the names of those that are on their way, largest first."""

    done: int = 0
    total: int = 0
    loading: tuple[str, ...] = ()


def read_downloads(log: str) -> Downloads:
    """What uv's output says. It tells a file's size when it begins and that it has arrived, and nothing in between."""
    sizes: dict[str, int] = {}
    arrived: set[str] = set()
    for word, name, amount, unit in _LINE.findall(log):
        if word == "Downloaded":
            arrived.add(name)
        elif unit in _UNITS:
            sizes[name] = int(float(amount) * _UNITS[unit])
    loading = sorted(sizes.keys() - arrived, key=lambda name: -sizes[name])
    return Downloads(sum(size for name, size in sizes.items() if name in arrived), sum(sizes.values()), tuple(loading))


class Growth:
    """How many bytes have come into a folder since this was made, looked at now and then in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.nbytes = 0
        self._folder = folder
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="jointdit growth", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _watch(self) -> None:
        before: int | None = None
        pause = 0.0
        while not self._over.wait(pause):
            begin = time.monotonic()
            size = size_of(self._folder)
            before = size if before is None else before
            self.nbytes = max(size - before, self.nbytes)
            # Thousands of files take a while to look at, and Blender's own thread wants its turn.
            pause = max(1.0, (time.monotonic() - begin) * _PAUSE)
