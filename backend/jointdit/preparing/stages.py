# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages before encoding: look at the pictures, caption them, find their disparity.

A stage notes what it finds at once, loads its model when the first picture needs it, and drops it at its end: no two models are in memory. Its options can
be changed until it has found something.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..training.prepared import EMPTY_PROMPT, write_whole
from .bench import Bench
from .captions import captioner
from .depth_models import estimator
from .disparities import Known, pack_disparity, read_known, resolve
from .images import read_picture, refuse_small
from .journal import Journal
from .plan import files_of
from .sources import Source, caption_of, describe_frame

Sights = Mapping[str, dict[str, Any]]


def look(bench: Bench, sources: Sequence[Source]) -> Sights:
    """Width, height and caption (None where there is none) of every picture that can be read and is large enough, by name."""
    journal = Journal(bench.plan.file("pictures"))
    bench.plan.begin("pictures", bench.settings, files=files_of(bench.settings.folder, sources))
    sights = {}
    for source in bench.watch(sources, "pictures", len(sources)):
        if source.name not in journal:
            journal.add([{"name": source.name, **_sight(bench, source)}])
        sights[source.name] = journal[source.name]
        if "why" in sights[source.name]:
            bench.leave_out(source, sights[source.name]["why"])
    return sights


def _sight(bench: Bench, source: Source) -> dict[str, Any]:
    settings = bench.settings
    try:
        if source.frame:
            describe_frame(source.frame)
        width, height = read_picture(source.picture).size
        if not settings.allow_enlarging:
            refuse_small(width, height, settings.size)
        return {"width": width, "height": height, "caption": EMPTY_PROMPT if settings.captions == "none" else caption_of(source)}
    except InputError as error:
        return {"why": str(error)}


def caption(bench: Bench, sources: Sequence[Source], sights: Sights) -> dict[str, str]:
    """The captions of the pictures by name: those that lie beside them, and the captioner's. Raises `InputError` where there are neither."""
    settings, journal = bench.settings, Journal(bench.plan.file("captions"))
    captions = {source.name: sights[source.name]["caption"] for source in sources}
    without = [source for source in sources if captions[source.name] is None]
    if without and not settings.captioner:
        if len(without) == len(sources):
            raise InputError(
                f"The pictures of {settings.folder} have no captions. Write each beside its picture as NAME.txt, let a model write them with "
                "--captioner MODEL, such as llava-hf/llava-1.5-7b-hf, or train without captions with --captions none."
            )
        for source in without:
            bench.leave_out(source, "It has no caption. Write one beside it, in a text file of the same name, or let a model do it with --captioner.")
        without = []
    groups, describe = bench.groups(without), None
    for group in bench.watch(groups, "captions", len(groups)):
        if any(source.name not in journal for source in group):
            describe = describe or captioner(str(settings.captioner), settings.caption_prompt, bench.device)
            answers = describe([bench.picture(source) for source in group])
            bench.plan.begin("captions", settings)
            journal.add([{"name": source.name, "caption": answer} for source, answer in zip(group, answers, strict=True)])
        for source in group:
            captions[source.name] = journal[source.name]["caption"]
            if not captions[source.name]:
                bench.leave_out(source, "The captioner has nothing to say about it. Write a caption beside it, or choose another captioner.")
    bench.plan.begin("captions", settings)
    if describe:
        del describe
        bench.models.unload()
    return captions


def measure(bench: Bench, sources: Sequence[Source], sights: Sights) -> None:
    """The disparity of every picture, kept as a 16-bit picture in the work folder."""
    settings, journal = bench.settings, Journal(bench.plan.file("disparities"))
    groups, estimate = bench.groups(sources), None
    for group in bench.watch(groups, "disparities", len(groups)):
        if any(source.name not in journal for source in group):
            lines: dict[str, dict[str, Any]] = {}
            known = _beside(bench, group, sights, lines)
            wanted = [source for source, beside in known.items() if beside.needs_estimate]
            guesses: dict[Source, np.ndarray] = {}
            if wanted:
                estimate = estimate or estimator(settings.depth_model, settings.model, bench.models, bench.device, settings.size)
                guesses = dict(zip(wanted, estimate([bench.picture(source) for source in wanted]), strict=True))
            bench.plan.begin("disparities", settings)
            for source, beside in known.items():
                lines[source.name] = _keep(bench, source, beside, guesses.get(source))
            journal.add([{"name": source.name, **lines[source.name]} for source in group])
        for source in group:
            if "why" in journal[source.name]:
                bench.leave_out(source, journal[source.name]["why"])
    if estimate:
        del estimate
        bench.models.unload()


def _beside(bench: Bench, group: Sequence[Source], sights: Sights, lines: dict[str, dict[str, Any]]) -> dict[Source, Known]:
    """What lies beside the pictures of a group; of a picture whose maps cannot be used `lines` gets the reason."""
    known = {}
    for source in group:
        sight = sights[source.name]
        try:
            known[source] = read_known(source, sight["width"], sight["height"], bench.settings.size, bench.settings.ground_truth_only)
        except InputError as error:
            lines[source.name] = {"why": str(error)}
    return known


def _keep(bench: Bench, source: Source, known: Known, guess: np.ndarray | None) -> dict[str, Any]:
    try:
        disparity = resolve(known, guess)
    except InputError as error:
        return {"why": str(error)}
    content = io.BytesIO()
    pack_disparity(disparity).save(content, "PNG")
    write_whole(bench.disparity_file(source), [content.getvalue()])
    return {"estimated": guess is not None}
