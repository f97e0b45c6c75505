# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `jointdit doctor` says: findings about the machine and the models, each a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from .errors import JointDiTError
from .models import Models

GIB = 2**30
LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "numpy", "PIL", "OpenEXR", "psutil")
WANTED_MEMORY = 2 * GIB  # for the embedded model with torch loaded


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `text` says what was found and, where it is not good, what to do."""

    what: str
    good: bool
    text: str


def examine(models: Models) -> Iterator[Finding]:
    """Look at programs, device, memory and every model; loads each model to see that it is whole."""
    missing = [library for library in LIBRARIES if find_spec(library) is None]
    if missing:
        yield Finding("programs", False, f"{', '.join(missing)} cannot be found in this Python; install jointdit with its extra: pip install \".[runtime]\"")
        return
    yield Finding("programs", True, ", ".join(f"{name} {version}" for name, version in models.programs().items()))
    device = models.device()
    free = device["memory_free"] / GIB
    yield Finding("device", True, f"{device['name']} ({device['kind']}), {device['memory_total'] / GIB:.1f} GiB, {free:.1f} GiB free")
    enough = device["memory_free"] >= WANTED_MEMORY
    yield Finding("memory", enough, "enough for the embedded model" if enough else f"only {free:.1f} GiB are free; close other programs first")
    for description in models.describe() or [{"name": "embedded"}]:
        name = description["name"]
        try:
            model = models.find(name)
            models.pipeline(model)
        except JointDiTError as error:
            yield Finding(f"model {name}", False, str(error))
        else:
            size = sum(path.stat().st_size for path in model.weights) / 2**20
            yield Finding(f"model {name}", True, f"{size:.1f} MiB, {description.get('licence') or 'licence not stated'}, revision {model.revision()}")
