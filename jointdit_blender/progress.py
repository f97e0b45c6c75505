# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line of progress on a terminal, plain lines in a log."""

from __future__ import annotations

from typing import Any, TextIO

from .core.jobs import Job

WIDTH = 24


class ProgressLine:
    """Shows the params of `$/progress` notifications after a title; use it as a context manager so that the line is ended."""

    def __init__(self, stream: TextIO, title: str = "") -> None:
        self._stream = stream
        self._title = f"{title}: " if title else ""
        self._in_place = stream.isatty()
        self._shown = ""
        self._news: tuple[Any, ...] = ()
        # It knows how to read progress, and how long the rest takes.
        self._job = Job(0, {})

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._in_place and self._shown:
            self._stream.write("\n")
            self._stream.flush()

    def show(self, progress: dict[str, Any]) -> None:
        """Draw the bar anew when a step was made; a message without usable numbers shows its phase alone."""
        news = progress.get("phase"), progress.get("step"), progress.get("total")
        if news == self._news:
            return
        self._news = news
        self._job.advance(progress)
        text = self._title + self._text(*news)
        if self._in_place:
            self._stream.write("\r" + text.ljust(len(self._shown)))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
        self._shown = text

    def _text(self, phase: Any, step: Any, total: Any) -> str:
        if not (isinstance(step, int) and isinstance(total, int) and total > 0):
            return str(phase or "")
        done = max(0, min(WIDTH, WIDTH * step // total))
        left = self._job.remaining
        rest = "" if left is None else f", {clock(left)} left"
        return f"[{'#' * done}{'.' * (WIDTH - done)}] {phase or ''} {step}/{total}{rest}"


def clock(seconds: float) -> str:
    """Seconds as people read them on a clock: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
