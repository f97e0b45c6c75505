# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last stage: pictures, disparities and captions -> shards of latents and text embeddings, and the description of the set."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from torch import Tensor, cat
from tqdm import tqdm

from ..errors import InputError
from ..pictures import read_disparity
from ..training.prepared import EMPTY, PreparedSet, write_description, write_shard
from .bench import Bench
from .encoding import Encoders
from .sources import LeftOut, Source


def encode(bench: Bench, sources: Sequence[Source], captions: Mapping[str, str], left_out: Sequence[LeftOut]) -> None:
    """Write the shards that are not there yet, then set.json. Raises `InputError`, `CheckpointError`, `OutputError`."""
    settings, output = bench.settings, bench.settings.output
    encoders = Encoders(settings.model, bench.models, bench.device)
    if settings.size % encoders.multiple:
        raise InputError(f"The model {settings.model} takes sizes that are multiples of {encoders.multiple}, not {settings.size}. Choose another --size.")
    bench.plan.begin("shards", settings, model=encoders.about)
    if settings.text_embeddings and not (output / EMPTY).is_file():
        write_shard(output / EMPTY, encoders.empty())
    shards = []
    with tqdm(desc="latents", total=len(sources), leave=False, file=sys.stderr) as bar:
        for number, start in enumerate(range(0, len(sources), settings.shard_size)):
            some = sources[start : start + settings.shard_size]
            file = output / f"shard-{number:05}.safetensors"
            if not file.is_file():
                words = [captions[source.name] for source in some]
                tensors = _encoded(bench, encoders, some, words, bar)
                write_shard(file, tensors, words, [bench.file_of(source) for source in some])
            bar.update(start + len(some) - bar.n)
            shards.append({"file": file.name, "count": len(some)})
    description = {
        "size": settings.size,
        "model": encoders.about,
        "depth_transform": encoders.depth_transform,
        "text": "precomputed" if settings.text_embeddings else "captions",
        "shards": shards,
        "left_out": [vars(one) for one in left_out],
        "prepared_with": dict(bench.plan.made_by),
    }
    write_description(output, description)
    PreparedSet.open(output)
    cut = sum(encoders.too_long(captions[source.name]) for source in sources)
    if cut:
        bench.report(f"{cut} of {len(sources)} captions are longer than the model reads; their ends are not used.")


def _encoded(bench: Bench, encoders: Encoders, sources: Sequence[Source], captions: Sequence[str], bar: tqdm[None]) -> dict[str, Tensor]:
    parts = []
    for source in sources:  # the autoencoder takes one after the other in any case
        parts.append(encoders.latents([bench.picture(source)], [read_disparity(bench.disparity_file(source))]))
        bar.update()
    tensors = {name: cat([part[name] for part in parts]) for name in parts[0]}
    return tensors | (encoders.text(captions, bench.settings.batch) if bench.settings.text_embeddings else {})
