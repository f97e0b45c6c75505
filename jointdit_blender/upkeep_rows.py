# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preferences show of the image generator and its models: properties of the running session, filled when something changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy
from bpy.props import BoolProperty, CollectionProperty, FloatProperty, StringProperty

from .core.report import Finding, ModelState, size_text, time_text

Row = Mapping[str, Any]


class JOINTDIT_PG_finding(bpy.types.PropertyGroup):
    """One row of the check's report."""

    what: StringProperty()
    good: BoolProperty()
    text: StringProperty()
    repair: StringProperty()
    model: StringProperty()


class JOINTDIT_PG_model(bpy.types.PropertyGroup):
    """One row of the list of models; its `name` is the model's."""

    title: StringProperty()
    about: StringProperty()
    detail: StringProperty()
    note: StringProperty()
    lacking: StringProperty()
    problem: StringProperty()
    repair: StringProperty()
    own: BoolProperty()


class JOINTDIT_PG_upkeep(bpy.types.PropertyGroup):
    """The errand at work, the outcome of the last one, and what is known of the image generator."""

    running: BoolProperty()
    kind: StringProperty()
    obstacle: StringProperty()  # why nothing may be generated now, as a sentence without its period
    quiet: BoolProperty()
    phase: StringProperty()
    progress: StringProperty()
    factor: FloatProperty()
    outcome: StringProperty()
    message: StringProperty()
    failed: BoolProperty()
    retry: StringProperty()
    retry_model: StringProperty()
    findings: CollectionProperty(type=JOINTDIT_PG_finding)
    models: CollectionProperty(type=JOINTDIT_PG_model)
    engine: StringProperty()
    engine_text: StringProperty()


CLASSES: Sequence[type] = (JOINTDIT_PG_finding, JOINTDIT_PG_model, JOINTDIT_PG_upkeep)


def finding_row(finding: Finding) -> Row:
    """What a row shows of a finding."""
    return {"what": finding.what.capitalize(), "good": finding.good, "text": finding.text, "repair": finding.repair, "model": finding.model}


def model_row(model: ModelState) -> Row:
    """What a row shows of a model."""
    size = size_text(model.size) if model.size else ""
    time = f" {model.side} x {model.side} in {model.steps} steps: about {time_text(model.seconds)}." if model.seconds and model.side else ""
    lacking = ", ".join(f"{piece.title} ({size_text(piece.size)})" for piece in model.missing)
    return {
        "name": model.name,
        "title": model.title,
        "about": " · ".join(filter(None, (size, model.licence))),
        "detail": f"{model.reason}{time}" if model.reason else "",
        "note": model.note,
        "lacking": lacking,
        "problem": "" if lacking else model.problem,
        "repair": model.repair,
        "own": model.own,
    }


def fill(collection: Any, rows: Sequence[Row]) -> None:
    """Make a collection hold these rows."""
    while len(collection) > len(rows):
        collection.remove(len(collection) - 1)
    while len(collection) < len(rows):
        collection.add()
    for item, row in zip(collection, rows, strict=True):
        for name, value in row.items():
            setattr(item, name, value)
