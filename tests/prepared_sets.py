# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny model in a folder and a tiny prepared set for it, for tests of the joint training."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from jointdit.models import Models
from jointdit.pipeline import JointDiTPipeline
from jointdit.training.prepared import describe_model, write_description, write_shard
from tiny import tiny_pipeline

CAPTIONS = ("a red cube on a green meadow", "a house by the sea")


def write_tiny_model(folder: Path, **options: object) -> JointDiTPipeline:
    """Save `tiny_pipeline` in a folder; returns it as the commands load it."""
    tiny_pipeline(**options).save_pretrained(folder)
    return Models().find(str(folder)).load()


@torch.no_grad()
def write_tiny_set(folder: Path, pipeline: JointDiTPipeline, count: int = 12, text: str = "precomputed", shards: int = 2, **changes: object) -> Path:
    """`count` pairs of smooth random pictures of 32 x 32 pixels, half of them in each shard; `changes` to what set.json says."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 4, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear")
    rgb, depth = pipeline.encode_image(smooth[:, :3]), pipeline.encode_disparity(smooth[:, 3])
    captions = [CAPTIONS[i % 2] for i in range(count)]
    tensors = {"rgb": rgb, "depth": depth}
    if text == "precomputed":
        encoded = [pipeline.encode_prompt([caption]) for caption in captions]
        tensors |= {"tokens": torch.cat([tokens for tokens, _ in encoded]), "pooled": torch.cat([pooled for _, pooled in encoded])}
        empty = pipeline.encode_prompt([" "])
        write_shard(folder / "empty.safetensors", {"tokens": empty[0].bfloat16(), "pooled": empty[1].bfloat16()})
    files, bounds = [], [count * i // shards for i in range(shards + 1)]
    for number, (first, past) in enumerate(pairwise(bounds)):
        part = {name: tensor[first:past].bfloat16() for name, tensor in tensors.items()}
        write_shard(folder / f"shard-{number:05}.safetensors", part, captions[first:past], [str(i) for i in range(first, past)])
        files.append({"file": f"shard-{number:05}.safetensors", "count": past - first})
    about = {"size": 32, "model": describe_model(pipeline, "tiny"), "depth_transform": "none", "text": text, "shards": files, "left_out": []}
    write_description(folder, about | changes)
    return folder
