# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line of progress on a terminal, plain lines in a log."""

from __future__ import annotations

from typing import Any, TextIO

WIDTH = 24


class ProgressLine:
    """Shows the params of `$/progress` notifications; use it as a context manager so that the line is ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._shown = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._in_place and self._shown:
            self._stream.write("\n")
            self._stream.flush()

    def show(self, progress: dict[str, Any]) -> None:
        """Draw the bar anew; a message without usable numbers shows its phase alone."""
        text = self._text(progress)
        if text == self._shown:
            return
        if self._in_place:
            self._stream.write("\r" + text.ljust(len(self._shown)))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
        self._shown = text

    @staticmethod
    def _text(progress: dict[str, Any]) -> str:
        phase, step, total = str(progress.get("phase", "")), progress.get("step"), progress.get("total")
        if not (isinstance(step, int) and isinstance(total, int) and total > 0):
            return phase
        done = max(0, min(WIDTH, WIDTH * step // total))
        return f"[{'#' * done}{'.' * (WIDTH - done)}] {phase} {step}/{total}"
