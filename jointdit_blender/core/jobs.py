# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as the client sees it: what was asked, how far it is, how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .rpc import readable

NUMBER_LIMIT = 1_000_000
"""Of steps and seconds: a wild number from the worker must not overflow a property of Blender's."""

STEPS_OF_A_PACE = 2
"""The first step may take longer than all others: what is compiled or read is so then."""


class State(Enum):
    """The life of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(eq=False)
class Job:
    """Changed by its `Worker` only. `message` is a sentence once the job has failed, or was cancelled too late; `detail` is a bug report."""

    id: int
    params: dict[str, Any]
    state: State = State.WAITING
    phase: str = ""
    step: int = 0
    total: int = 0
    elapsed: float = 0.0
    phase_began: float = 0.0
    preview: str | None = None
    restarts: int = 0
    message: str = ""
    detail: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    news: dict[str, Any] = field(default_factory=dict)
    heard: float = field(default_factory=time.monotonic)

    def advance(self, params: dict[str, Any]) -> None:
        """Take the parameters of a `$/progress`; a value of a wrong kind is passed over."""
        self.news, self.heard = params, time.monotonic()
        before = self.phase
        self.phase = readable(_of(params, "phase", str, self.phase))
        self.step = int(_clamped(_of(params, "step", int, self.step)))
        self.total = int(_clamped(_of(params, "total", int, self.total)))
        self.elapsed = float(_clamped(_of(params, "elapsed", int | float, self.elapsed)))
        self.preview = _of(params, "preview", str, self.preview)
        if self.phase != before:
            self.phase_began = self.elapsed

    @property
    def taken(self) -> float:
        """Seconds since the job began: what was told last, and while it works the time since then."""
        return self.elapsed + (time.monotonic() - self.heard if self.state in (State.RUNNING, State.CANCELLING) else 0.0)

    @property
    def remaining(self) -> float | None:
        """Seconds that the phase will still take at the pace of its steps so far; None where that cannot be told yet."""
        if self.step < STEPS_OF_A_PACE or self.step >= self.total or self.elapsed <= self.phase_began:
            return None
        return (self.elapsed - self.phase_began) / self.step * (self.total - self.step)

    def begin_anew(self) -> None:
        """Wait again, as if nothing had happened yet."""
        self.state, self.phase, self.preview = State.WAITING, "", None
        self.step = self.total = 0
        self.elapsed = self.phase_began = 0.0
        self.restarts += 1

    def fail(self, message: str, detail: str = "") -> None:
        """End with a sentence. A job that was being cancelled has reached what the person wanted."""
        if self.state is State.CANCELLING:
            self.state = State.CANCELLED
        else:
            self.state, self.message, self.detail = State.FAILED, readable(message), readable(detail)


def _of(params: dict[str, Any], name: str, kind: Any, default: Any) -> Any:
    value = params.get(name)
    return value if isinstance(value, kind) else default


def _clamped(value: float) -> float:
    """Within 0 and the limit, with 0 for NaN: `max` keeps its first argument unless the second is greater."""
    return min(max(0, value), NUMBER_LIMIT)
