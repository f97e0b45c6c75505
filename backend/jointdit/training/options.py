# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of joint training is asked for. Defaults are the paper's (section 4 and supplement A) and the released program's."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import InputError

ADAPTIVE = {"released": "noise_fraction", "paper": "clean_fraction", "off": "none"}
"""Names of the adaptive weights for a person -> the transformer's own."""
TIMESTEPS = ("unbalanced", "independent")
OPTIMIZERS = ("adafactor", "adamw")
DECAYS = ("constant", "cosine")
DTYPES = ("float32", "bfloat16")
MODEL = "model"
"""As `start`: the model's own add-ons."""


@dataclass(frozen=True)
class JointOptions:
    """How add-ons are trained. What is here is the same in all pieces of a run; what only tells when to stop and what to keep is in `Keeping`.

    `rank`: of the LoRAs in the blocks; None for the model's own, or the released 64. `start`: an add-on file to go on from, or "model" for the model's own
    add-ons; None begins anew. `average`: decay of the running average of the weights, 0 for none. `precision` "bfloat16" rounds products (autocast);
    `addon_dtype` is how the add-ons are stored. `held_out`: so many pairs at the end of the set are never trained on; None for an eighth, 8 at most.
    """

    model: str = "embedded"
    steps: int = 75_000
    batch: int = 4
    accumulation: int = 1
    learning_rate: float = 1e-5
    warmup: int = 0
    decay: str = "constant"
    optimizer: str = "adafactor"
    weight_decay: float = 0.0
    clip: float = 1.0
    average: float = 0.0
    rank: int | None = None
    start: str | None = None
    adaptive_weights: str = "released"
    timesteps: str = "unbalanced"
    prompt_drop: float = 0.1
    addon_dtype: str = "float32"
    precision: str = "bfloat16"
    gradient_checkpointing: bool | None = None
    held_out: int | None = None
    seed: int = 0

    def check(self) -> None:
        """Raise `InputError` with a sentence for a value that cannot be used."""
        for what, value, choices in (
            ("--adaptive-weights", self.adaptive_weights, ADAPTIVE), ("--timesteps", self.timesteps, TIMESTEPS), ("--optimizer", self.optimizer, OPTIMIZERS),
            ("--decay", self.decay, DECAYS), ("--addon-dtype", self.addon_dtype, DTYPES), ("--precision", self.precision, DTYPES),
        ):  # fmt: skip
            if value not in choices:
                raise InputError(f"{what} cannot be {value!r}; choose one of {', '.join(choices)}.")
        for what, number in (("--steps", self.steps), ("--batch", self.batch), ("--accumulation", self.accumulation), ("--rank", self.rank)):
            if number is not None and number < 1:
                raise InputError(f"{what} must be at least 1, not {number}.")
        for what, number in (("--clip", self.clip), ("--weight-decay", self.weight_decay), ("--warmup", self.warmup)):
            if not 0 <= number < math.inf:
                raise InputError(f"{what} must be a number of at least 0, not {number}.")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"--seed must be between 0 and {2**63 - 1}, not {self.seed}.")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"--learning-rate must be above 0, not {self.learning_rate}; the paper's is 1e-5.")
        for what, share in (("--prompt-drop", self.prompt_drop), ("--average", self.average)):
            if not 0 <= share < 1:
                raise InputError(f"{what} must be at least 0 and below 1, not {share}.")
        if self.precision == "float32" and self.addon_dtype != "float32":
            raise InputError("--precision float32 computes with unrounded weights: leave --addon-dtype at float32.")
        if self.start is not None and self.rank is not None:
            raise InputError("--rank is for new add-ons; those that --start names have their rank already. Leave one of the two out.")

    def lasting(self) -> dict[str, Any]:
        """What must be the same when a run goes on: everything but the number of steps, which may grow where the learning rate does not depend on it."""
        values = asdict(self)
        if self.decay == "constant":
            del values["steps"]
        return values


@dataclass(frozen=True)
class Keeping:
    """When to stop, and what to leave behind. `minutes` None: until all steps are done. Every `every_minutes` a checkpoint, of which the last `keep` stay."""

    minutes: float | None = None
    every_minutes: float = 30.0
    keep: int = 3
    sample_steps: int = 20
    samples: int = 4

    def check(self) -> None:
        """Raise `InputError` with a sentence for a value that cannot be used."""
        if self.keep < 1:
            raise InputError(f"--keep must be at least 1, not {self.keep}: a run goes on from its last checkpoint.")
        if self.samples < 0 or self.sample_steps < 1:
            raise InputError("--samples cannot be negative, and --sample-steps must be at least 1.")
        if self.minutes is not None and not 0 <= self.minutes < math.inf:
            raise InputError(f"--minutes must be a number of at least 0, not {self.minutes}. Leave it out to train until all steps are done.")
        if not 0 < self.every_minutes < math.inf:
            raise InputError(f"--every-minutes must be a number above 0, not {self.every_minutes}.")
