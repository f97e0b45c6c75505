# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job can ask of the way a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import InputError

COMPILING = ("auto", "on", "off")
BRANCHES = ("both", "rgb", "depth")


@dataclass(frozen=True)
class Lora:
    """A LoRA file, its strength, and the branch that it changes: "both", "rgb" or "depth"."""

    path: Path
    strength: float = 1.0
    branch: str = "both"

    def __post_init__(self) -> None:
        if self.branch not in BRANCHES:
            raise InputError(f"A LoRA cannot change the branch {self.branch!r}; choose {', '.join(BRANCHES)}.")
        if not -10 <= self.strength <= 10:
            raise InputError(f"The strength of a LoRA must lie between -10 and 10; {self.strength:g} was asked for.")


@dataclass(frozen=True)
class Wish:
    """What decides how a model is loaded, besides its files: the size of pictures in pixels and the steps they take, the memory plan, LoRAs, compiling.

    `smaller_than` rules out a plan, and all that need more memory, after it has run out of it.
    """

    width: int = 512
    height: int = 512
    steps: int = 20
    plan: str = "auto"
    loras: tuple[Lora, ...] = ()
    compile: str = "auto"
    smaller_than: str | None = None
