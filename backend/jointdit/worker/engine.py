# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server needs of the model, and the real one. The server itself never imports torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from jointdit.jobs import Models


class ProgressNews(Protocol):
    """The shape of `jointdit.jobs.Progress`."""

    @property
    def phase(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def preview(self) -> Path | None: ...


class Finished(Protocol):
    """The shape of `jointdit.jobs.Result`."""

    @property
    def frame(self) -> Path: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


class Engine(Protocol):
    """Called from the server's main thread only."""

    def describe(self) -> dict[str, Any]:
        """`programs`, `device` and `models` of the answer to `initialize`."""
        ...

    def models(self) -> list[dict[str, Any]]:
        """The models on this machine."""
        ...

    def unload(self) -> int:
        """Free the weights in memory; returns their bytes."""
        ...

    def generate(self, params: dict[str, Any], report: Callable[[ProgressNews], None]) -> Finished:
        """Run one job; `report` may raise `CancelledError`."""
        ...


class JointDiTEngine:
    """The model itself. torch is imported at the first call, on the main thread, after the server has begun to listen."""

    def __init__(self) -> None:
        self._models: Models | None = None

    def _loaded(self) -> Models:
        if self._models is None:
            import torch  # noqa: F401 - first, because a Python without the extra “runtime” is best told by its name

            from jointdit.jobs import Models

            self._models = Models()
        return self._models

    def describe(self) -> dict[str, Any]:
        models = self._loaded()
        return {"programs": models.programs(), "device": models.device(), "models": models.describe()}

    def models(self) -> list[dict[str, Any]]:
        return self._loaded().describe()

    def unload(self) -> int:
        return self._loaded().unload()

    def generate(self, params: dict[str, Any], report: Callable[[ProgressNews], None]) -> Finished:
        from jointdit.jobs import Job, generate

        return generate(Job.from_params(params), self._loaded(), report)
