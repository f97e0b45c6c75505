# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a run: its options, its checkpoints, and what was exported at each."""

from __future__ import annotations

import json
import logging
import os
import pickle
import platform
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import __version__
from ..errors import CheckpointError, InputError, OutputError

LAST = "joint.pt"
"""The state to go on from."""
LATEST = "last"
"""As `resume`: the run must be there already."""
_CHECKPOINT = re.compile(r"checkpoint-(\d{8})\.pt")
_OF_A_STEP = re.compile(r"(?:checkpoint|jointdit|samples)-(\d{8})\.(?:pt|safetensors|json|png)")
log = logging.getLogger(__name__)


class RunFolder:
    """Checkpoints are `checkpoint-STEP.pt`, add-ons `jointdit-STEP.safetensors` with their JSON, of the last `keep` steps at which there was one."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self._keep = folder, keep
        self.last = folder / LAST

    def addons(self, step: int) -> Path:
        """Where the add-ons of a step go."""
        return self.folder / f"jointdit-{step:08}.safetensors"

    def sheet(self, step: int) -> Path:
        """Where the sheet of a step goes."""
        return self.folder / f"samples-{step:08}.png"

    def steps(self) -> list[int]:
        """The steps whose checkpoints are kept, the earliest first."""
        return sorted(int(found[1]) for found in (_CHECKPOINT.fullmatch(path.name) for path in self.folder.glob("checkpoint-*.pt")) if found)

    def keep(self, step: int) -> None:
        """Let the state that was written last stay as the checkpoint of a step, and drop the oldest ones with their add-ons. Raises `OutputError`."""
        try:
            _same_file(self.last, self._checkpoint(step))
            for old in self.steps()[: -self._keep]:
                for path in (self._checkpoint(old), self.addons(old), self.addons(old).with_suffix(".json")):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"The checkpoint cannot be kept in {self.folder} ({error.strerror or error}). Make room, or choose another folder.") from error

    def drop_after(self, step: int) -> None:
        """Remove what was kept at later steps: a run that goes on from an earlier one gives them up, and they would pass for its newest.

        Raises `OutputError`.
        """
        named = [(_OF_A_STEP.fullmatch(path.name), path) for path in sorted(self.folder.iterdir())]
        later = [path for found, path in named if found and int(found[1]) > step]
        if not later:
            return
        log.info("Note: the run goes on from step %d. What it had kept of later steps is removed: %s", step, ", ".join(path.name for path in later))
        try:
            for path in later:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{path} cannot be removed ({error.strerror or error}). Remove it, or choose another folder.") from error

    def finish(self, step: int) -> Path:
        """Let the add-ons of a step be those of the run: jointdit.safetensors and its JSON. Raises `OutputError`."""
        final = self.folder / "jointdit.safetensors"
        try:
            for path in (self.addons(step).with_suffix(".json"), self.addons(step)):
                _same_file(path, final.with_suffix(path.suffix))
        except OSError as error:
            raise OutputError(f"The add-ons cannot be written to {final} ({error.strerror or error}). Make room, or choose another folder.") from error
        return final

    def resume(self, wanted: str | None) -> None:
        """Put the checkpoint that is wanted in the place of the last one: a file, or "last", which must be there; None goes on where there is one.

        Raises `InputError`.
        """
        if wanted is None:
            return
        if wanted == LATEST:
            if not self.last.is_file():
                raise InputError(f"{self.folder} holds no run to resume: there is no {LAST} in it. Leave out --resume to begin one.")
            return
        path = Path(wanted)
        if not path.is_file():
            kept = ", ".join(self._checkpoint(step).name for step in self.steps()) or "none"
            raise InputError(f"The checkpoint {path} is not there. Kept in {self.folder} are: {kept}; or write --resume last.")
        if path.resolve() != self.last.resolve():
            step_of(path)
            try:
                _same_file(path, self.last)
            except OSError as error:
                raise OutputError(f"{path} cannot be copied to {self.last} ({error.strerror or error}). Make room, or choose another folder.") from error

    def remember(self, lasting: Mapping[str, Any], about: Mapping[str, Any], resumes: bool) -> None:
        """Write the options of a run, or where it goes on compare them with those of its beginning. Raises `InputError` where they differ."""
        path = self.folder / "run.json"
        if resumes and path.is_file():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))["options"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise InputError(f"{path} cannot be read ({error}). Choose another folder for a new run.") from error
            plain = json.loads(json.dumps(lasting))
            differ = [name for name in sorted({*before, *plain} - {"steps"}) if before.get(name) != plain.get(name)]
            if differ:
                said = "; ".join(f"{name.replace('_', '-')} was {before.get(name)}, now {plain.get(name)}" for name in differ)
                raise InputError(f"The run in {self.folder} was begun with other options: {said}. Give the same ones, or choose another folder.")
            return
        machine = {"machine": platform.machine(), "system": platform.platform(), "jointdit": __version__, "torch": torch.__version__}
        try:
            path.write_text(json.dumps({"options": dict(lasting), **about, **machine}, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror or error}). Choose another folder.") from error

    def _checkpoint(self, step: int) -> Path:
        return self.folder / f"checkpoint-{step:08}.pt"


def step_of(path: Path) -> int:
    """The number of steps that a checkpoint has behind it. Raises `CheckpointError` where it is none."""
    return int(_read(path)["step"])


def refuse_foreign(path: Path, parameters: Mapping[str, nn.Parameter]) -> None:
    """Raise `CheckpointError` where a checkpoint is of another model or another rank."""
    stored = _read(path)["parameters"]
    same = stored.keys() == parameters.keys() and all(stored[name].shape == p.shape for name, p in parameters.items())
    if not same:
        raise CheckpointError(f"The checkpoint {path} belongs to another model or another rank. Give the options of its own run, or choose another folder.")


def _read(path: Path) -> dict[str, Any]:
    """A checkpoint, its tensors mapped and not read."""
    try:
        state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        if not {"step", "parameters", "optimizer"} <= state.keys():
            raise ValueError("it holds something else")
    except (OSError, ValueError, RuntimeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} is no whole checkpoint of a training run. Choose an earlier one with --resume.") from error
    return state


def _same_file(source: Path, target: Path) -> None:
    """Let `target` be what `source` is now, as a second name where the disk can do that; it appears as a whole."""
    temporary = target.with_name(target.name + ".tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
    temporary.unlink(missing_ok=True)  # two names of one file: the system leaves both
