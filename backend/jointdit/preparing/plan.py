# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set is made with, and the notes of a half-made one: a stage that has begun keeps its options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..training.prepared import DESCRIPTION, write_whole
from . import DEPTH_MODEL
from .depth_models import OURS
from .sources import Source

WORK = "preparing"
STAGES = ("pictures", "captions", "disparities", "shards")
CAPTIONS = ("beside", "none")


@dataclass(frozen=True)
class Settings:
    """The options of `jointdit prepare`. `captions` is "beside" (files, then the captioner) or "none" (the empty prompt for all)."""

    folder: Path
    output: Path
    size: int = 512
    model: str = "embedded"
    captioner: str | None = None
    caption_prompt: str | None = None
    captions: str = "beside"
    depth_model: str = DEPTH_MODEL
    ground_truth_only: bool = False
    allow_enlarging: bool = False
    text_embeddings: bool = True
    shard_size: int = 256
    limit: int | None = None
    device: str = "auto"
    batch: int = 8

    def __post_init__(self) -> None:
        """Refuse what cannot be used (`InputError`)."""
        for name in ("size", "shard_size", "batch", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"The option --{name.replace('_', '-')} must be at least 1.")
        if self.size % 16 or self.size > 4096:
            raise InputError(f"The size must be a multiple of 16 and at most 4096 pixels; {self.size} was asked for.")
        if self.captions not in CAPTIONS:
            raise InputError(f"Captions can be {' or '.join(CAPTIONS)}, not {self.captions!r}.")
        if self.captions == "none" and self.captioner:
            raise InputError("--captions none asks for no captions, and --captioner for a model that writes them. Leave one of them out.")

    def of(self, stage: str) -> dict[str, Any]:
        """The options that decide what a stage makes. Device and batch are none of them: on other hardware the last bits differ anyway."""
        names = {
            "pictures": ("size", "allow_enlarging", "limit", "captions"),
            "captions": ("captioner", "caption_prompt"),
            "disparities": ("depth_model", "ground_truth_only"),
            "shards": ("model", "text_embeddings", "shard_size"),
        }[stage]
        options = {name: getattr(self, name) for name in names}
        return options | ({"depth_model": self.model} if options.get("depth_model") == OURS else {})


class Plan:
    """The notes of a set that is being made, `plan.json` in its work folder: the options of every stage that has begun, and the files it is made from."""

    def __init__(self, output: Path) -> None:
        """Raises `InputError` where the notes are damaged, or gone although the set is there."""
        self.folder = output / WORK
        self._path = self.folder / "plan.json"
        self._output = output
        try:
            self._notes: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8")) if self._path.is_file() else {}
            if not isinstance(self._notes, dict) or not all(isinstance(value, dict) for value in self._notes.values()):
                raise ValueError("it holds something else")
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{self._path} is damaged ({error}). Remove the folder {output}, or choose another --output.") from error
        if not self._notes and (output / DESCRIPTION).is_file():
            raise InputError(f"{output} holds a finished training set already. Choose another --output.")

    def refuse_changes(self, settings: Settings, sources: Sequence[Source]) -> None:
        """Raise `InputError` where options do not fit what is there already, or where the pictures have changed.

        As long as the pictures were only looked at, the notes are dropped instead.
        """
        if set(self._notes) <= {"pictures", "files"}:
            if self._notes != {"pictures": settings.of("pictures"), "files": files_of(settings.folder, sources)}:
                self._notes = {}
                self.file("pictures").unlink(missing_ok=True)
            return
        for stage in STAGES:
            for name, now in settings.of(stage).items():
                before = self._notes.get(stage, {}).get(name, now)
                if before != now:
                    option = name.replace("_", "-")
                    raise InputError(
                        f"The half-made set {self._output} was begun with {_told(option, before)}, and now it is {_told(option, now)}. "
                        "Give the same options again, or choose another --output."
                    )
        files = files_of(settings.folder, sources)
        before = self._notes.get("files", files)
        if before != files:
            changed = sorted({name for name in (*before, *files) if before.get(name) != files.get(name)})
            raise InputError(
                f"{len(changed)} files of {settings.folder} were changed, added or removed since the set {self._output} was begun, such as {changed[0]}. "
                "Put them back as they were, or choose another --output."
            )

    def file(self, stage: str) -> Path:
        """Where a stage notes what it finds."""
        return self.folder / f"{stage}.jsonl"

    def begin(self, stage: str, settings: Settings, **more: Any) -> None:
        """Note the options of a stage before its first result. Raises `OutputError`; `InputError` where `more` differs from what was noted before."""
        notes = {stage: settings.of(stage), **more}
        for name, value in more.items():
            if self._notes.get(name, value) != value:
                raise InputError(f"The {name} that made the first part of {self._output} is not what it was. Bring it back, or choose another --output.")
        if any(self._notes.get(name) != value for name, value in notes.items()):
            self._notes |= notes
            write_whole(self._path, [json.dumps(self._notes, indent=1).encode()])

    @property
    def made_by(self) -> Mapping[str, Any]:
        """The options of all stages."""
        return {name: value for stage in STAGES for name, value in self._notes.get(stage, {}).items()}


def files_of(folder: Path, sources: Sequence[Source]) -> dict[str, list[int]]:
    """Size and time of change of every file that matters. A file that is gone by now is left out."""
    paths = [path for source in sources for path in source.files]
    known = {}
    for path in paths:
        try:
            about = path.stat()
        except OSError:
            continue
        known[path.relative_to(folder).as_posix()] = [about.st_size, about.st_mtime_ns]
    return known


def _told(option: str, value: Any) -> str:
    if isinstance(value, bool) and option == "text-embeddings":
        return f"--{option}" if value else f"--no-{option}"
    if value is None or value is False:
        return f"no --{option}"
    return f"--{option}" if value is True else f"--{option} {value}"
