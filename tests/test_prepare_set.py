# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prepared training set on disk: what is written is read, in any order and in any process; what is wrong with it is said in a sentence."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from jointdit.errors import InputError, OutputError
from jointdit.training import prepared
from jointdit.training.prepared import PreparedSet, describe_model, fingerprint, write_description, write_shard
from safetensors.torch import load_file
from tiny import tiny_pipeline

LATENTS = torch.randn(7, 4, 2, 2, generator=torch.Generator().manual_seed(0)).bfloat16()
TOKENS, POOLED = LATENTS.flatten(2), LATENTS.flatten(1)


def write(folder: Path, stored: bool = True, sizes: tuple[int, ...] = (3, 3, 1), **changes: object) -> Path:
    """A set of seven pairs: depth is minus rgb."""
    start = 0
    for number, count in enumerate(sizes):
        some = slice(start, start + count)
        tensors = {"rgb": LATENTS[some], "depth": -LATENTS[some]} | ({"tokens": TOKENS[some], "pooled": POOLED[some]} if stored else {})
        numbers = range(start, start + count)
        write_shard(folder / f"shard-{number:05}.safetensors", tensors, [f"caption {i} \u00e4" for i in numbers], [f"{i}.png" for i in numbers])
        start += count
    if stored:
        write_shard(folder / "empty.safetensors", {"tokens": TOKENS[:1] + 1, "pooled": POOLED[:1] + 1})
    shards = [{"file": f"shard-{number:05}.safetensors", "count": count} for number, count in enumerate(sizes)]
    about = {"size": 16, "model": {}, "depth_transform": "none", "text": "precomputed" if stored else "captions", "shards": shards, "left_out": []}
    write_description(folder, about | changes)
    return folder


def test_pairs_come_in_the_order_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "OPEN_SHARDS", 2)
    opened = PreparedSet.open(write(tmp_path))
    assert len(opened) == 7 and opened.size == 16 and opened.depth_transform == "none" and opened.precomputed
    for order in ([6, 0, 4, 4], list(range(7)), torch.tensor([2, 3])):
        samples = opened.batch(order)
        assert torch.equal(samples.rgb, LATENTS[order]) and torch.equal(samples.depth, -LATENTS[order])
        assert torch.equal(samples.tokens, TOKENS[order]) and torch.equal(samples.pooled, POOLED[order])
        assert samples.captions == [f"caption {i} \u00e4" for i in order] and samples.names == [f"{i}.png" for i in order]
    assert torch.equal(opened.empty()[0], TOKENS[:1] + 1) and torch.equal(opened.empty()[1], POOLED[:1] + 1)
    assert torch.equal(pickle.loads(pickle.dumps(opened)).batch([5]).rgb, LATENTS[5:6])
    for index in (7, -1):
        with pytest.raises(IndexError):
            opened.batch([index])


def test_a_set_of_captions_alone(tmp_path: Path) -> None:
    opened = PreparedSet.open(write(tmp_path, stored=False))
    samples = opened.batch([6, 1])
    assert samples.tokens is None and samples.pooled is None and samples.captions == ["caption 6 \u00e4", "caption 1 \u00e4"] and not opened.precomputed
    with pytest.raises(InputError, match="holds captions, not text embeddings"):
        opened.empty()


def test_files_are_what_the_library_reads_and_always_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a")
    tensors = load_file(tmp_path / "a/shard-00001.safetensors")
    assert torch.equal(tensors["depth"], -LATENTS[3:6]) and tensors["tokens"].dtype == torch.bfloat16
    # Another process has another seed for the order of what is in dictionaries.
    program = (
        "import sys; from pathlib import Path; from safetensors.torch import load_file; from jointdit.training.prepared import write_shard\n"
        "captions = [f'caption {i} \u00e4' for i in range(3, 6)]\n"
        "write_shard(Path(sys.argv[2]), load_file(sys.argv[1]), captions, [f'{i}.png' for i in range(3, 6)])"
    )
    again = tmp_path / "b.safetensors"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a/shard-00001.safetensors"), str(again)], check=True)
    assert again.read_bytes() == (tmp_path / "a/shard-00001.safetensors").read_bytes()
    assert not list(tmp_path.rglob(".writing-*"))


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    def refused(folder: Path, reason: str) -> None:
        with pytest.raises(InputError, match=reason):
            PreparedSet.open(folder)

    refused(tmp_path, "is no finished training set")
    for name, change, reason in (
        ("newer", {"version": 2}, "has the version 2"),
        ("elsewhere", {"shards": [{"file": "../x.safetensors", "count": 1}]}, "does not describe one"),
        ("odd", {"text": "spoken"}, "does not describe one"),
        ("none", {"shards": []}, "holds no pictures"),
        ("gone", {"shards": [{"file": "shard-00009.safetensors", "count": 1}]}, "is missing or damaged"),
        ("count", {"shards": [{"file": "shard-00000.safetensors", "count": 4}]}, "is not what set.json says: 4 pairs with rgb, depth, tokens, pooled"),
    ):
        refused(write(tmp_path / name, **change), reason)
    broken = write(tmp_path / "broken")
    shard = broken / "shard-00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-8])
    refused(broken, "is missing or damaged")
    (broken / "set.json").write_text("{")
    refused(broken, "is damaged")
    mixed = write(tmp_path / "mixed")
    write_shard(mixed / shard.name, {"rgb": LATENTS[:3, :2], "depth": LATENTS[:3, :2], "tokens": TOKENS[:3], "pooled": POOLED[:3]}, ["a"] * 3, ["b"] * 3)
    refused(mixed, "do not fit together")
    with pytest.raises(OutputError, match="cannot be written"):
        write_shard(broken / "set.json/x.safetensors", {"rgb": LATENTS})


def test_the_model_that_made_a_set_is_known_again(tmp_path: Path) -> None:
    pipeline = tiny_pipeline()
    about = describe_model(pipeline, "tiny")
    assert about["latent_channels"] == 4 and about["reduction"] == 8 and about["text_length"] == 8 and about["name"] == "tiny"
    PreparedSet.open(write(tmp_path / "a", model=about)).refuse_other_model(pipeline)
    before = fingerprint(pipeline.vae)
    assert fingerprint(pipeline.vae.to(torch.bfloat16)) == before
    with torch.no_grad():
        pipeline.vae.decoder.conv_in.weight.mul_(1.1)
        pipeline.text_encoder_2.shared.weight.mul_(1.1)
    assert fingerprint(pipeline.vae) != before
    with pytest.raises(InputError, match=r"another model \(tiny\): the autoencoder, the second text encoder differ"):
        PreparedSet.open(tmp_path / "a").refuse_other_model(pipeline)
    # Where the text is not stored it does not matter what reads it.
    with pytest.raises(InputError, match="the autoencoder differ"):
        PreparedSet.open(write(tmp_path / "b", stored=False, model=about)).refuse_other_model(pipeline)
    with pytest.raises(InputError, match="the depth transform differ"):
        PreparedSet.open(write(tmp_path / "c", model=describe_model(pipeline), depth_transform="inverse")).refuse_other_model(pipeline)
    assert json.loads((tmp_path / "c/set.json").read_text())["version"] == 1
