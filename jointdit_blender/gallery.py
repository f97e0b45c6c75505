# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results in the output folder as the History panel shows them. The folder is read beside the main thread, so that a slow disk stops nobody."""

from __future__ import annotations

import threading
from pathlib import Path

import bpy

from . import preferences, thumbnails
from .core.history import PAGE, Entry, scan, search
from .windows import redraw

INTERVAL = 0.1
"""Seconds between two looks at whether the folder has been read."""


class Reading:
    """One look at a folder, in a thread of its own."""

    def __init__(self, folder: Path, known: list[Entry]) -> None:
        self.entries: list[Entry] = []
        self.problem = ""
        self._thread = threading.Thread(target=self._read, args=(folder, known), name="jointdit history", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether `entries`, or a `problem` as a sentence, are there."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Block until it is done."""
        self._thread.join()

    def _read(self, folder: Path, known: list[Entry]) -> None:
        try:
            self.entries = scan(folder, known)
        except OSError as error:
            self.problem = f"The folder of results, {folder}, cannot be read ({error.strerror or error}): choose another one in the preferences."


class Gallery:
    """All results, and which of them are shown."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.found: list[Entry] = []
        self.problem = ""
        self._reading: Reading | None = None
        self._again = False

    def refresh(self, context: bpy.types.Context) -> None:
        """Read the folder anew; what was found is shown when a timer comes to it, or at once where no timer runs."""
        if self._reading is not None:
            self._again = True  # what has just changed may have been missed
            return
        try:
            folder = preferences.output_folder(context)
        except OSError as error:
            self.entries, self.problem = [], f"The folder of results cannot be made ({error.strerror or error}): choose another one in the preferences."
            self.show()
            return
        self._reading = Reading(folder, self.entries)
        if bpy.app.background:
            self._reading.wait()
            self.advance()
        elif not bpy.app.timers.is_registered(_tick):
            bpy.app.timers.register(_tick, first_interval=INTERVAL, persistent=True)

    def advance(self) -> bool:
        """Take in what was read; returns whether there is more to wait for."""
        if self._reading is None or not self._reading.done:
            return self._reading is not None
        self.entries, self.problem, self._reading = self._reading.entries, self._reading.problem, None
        self.show()
        if self._again:
            self._again = False
            self.refresh(bpy.context)
        return self._reading is not None

    def find(self, name: str) -> Entry | None:
        """The result of that name, or the chosen one for an empty name."""
        name = name or bpy.context.window_manager.jointdit.chosen
        return next((entry for entry in self.entries if entry.name == name), None)

    def show(self) -> None:
        """Copy what fits the search to the window manager."""
        state = bpy.context.window_manager.jointdit
        self.found = search(self.entries, state.search)
        state.results.clear()
        for entry in self.found[: state.page * PAGE]:
            item = state.results.add()
            item.name, item.title, item.facts = entry.name, entry.title, entry.facts
            item.icon = thumbnails.current().result(entry.frame.image, entry.changed)
        state.found, state.all_results, state.problem = len(self.found), len(self.entries), self.problem
        if state.chosen and not any(entry.name == state.chosen for entry in self.entries):
            state.chosen = ""
        redraw()


_gallery: Gallery | None = None


def current() -> Gallery:
    """The results; they exist while the extension is registered."""
    if _gallery is None:
        raise RuntimeError("JointDiT is not registered")
    return _gallery


def _tick() -> float | None:
    return INTERVAL if _gallery is not None and _gallery.advance() else None


def register() -> None:
    """Begin without a result; nothing is read yet."""
    global _gallery
    _gallery = Gallery()


def unregister() -> None:
    """Leaves no timer behind."""
    global _gallery
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _gallery = None
