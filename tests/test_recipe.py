# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded model's recipe as a whole, at a size that takes seconds: in pieces, from a finished model, and its mistakes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from jointdit.cli import main
from jointdit.errors import InputError
from jointdit.models import Model
from jointdit.training.recipe import STAGES, Bench, Recipe, run, tiny
from jointdit.weights.small_folders import load_packed
from small_model import VOCABULARY, small_bert

RECIPE = replace(tiny(), text_layers=2, text_length=16, pictures=8, scenes=8)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sentence encoder and the list of words."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "words.txt").write_text("\n".join(VOCABULARY[4:]))
    return small_bert(folder / "bert"), folder / "words.txt"


def bench(folder: Path, minutes: float | None = None) -> Bench:
    return replace(Bench.here(folder, minutes, "cpu"), processes=1)


@pytest.fixture(scope="module")
def finished(source: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in one piece."""
    folder = tmp_path_factory.mktemp("run")
    assert run(RECIPE, bench(folder), source=source[0], words=source[1])
    return folder


def test_a_run_leaves_a_pipeline_that_works(finished: Path) -> None:
    pipeline = Model("mine", finished / "pipeline").load()
    made = pipeline("a red cube", num_inference_steps=1, output_type="pt")
    assert made.images.shape == (1, 3, 128, 128) and torch.isfinite(made.images).all()
    notes = json.loads((finished / "recipe.json").read_text())
    assert notes["scenes"] == 8 and notes["torch"] == torch.__version__
    assert (finished / "joint-000004.png").is_file() and (finished / "journal/joint/curves.jsonl").is_file()


def test_stage_by_stage_is_the_same_as_in_one_piece(finished: Path, source: tuple[Path, Path], tmp_path: Path) -> None:
    """Bit for bit, as far as the packed weights."""
    for stage in STAGES:
        assert run(RECIPE, bench(tmp_path), (stage,), *source)
    for part in ("transformer", "text_encoder_2"):
        one, other = (load_packed(folder / "pipeline" / part) for folder in (finished, tmp_path))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_without_time_nothing_is_done(tmp_path: Path, source: tuple[Path, Path]) -> None:
    assert not run(RECIPE, bench(tmp_path, 0.0), source=source[0], words=source[1])
    assert not list(tmp_path.glob("*.done"))


def test_going_on_from_a_finished_model(finished: Path, tmp_path: Path) -> None:
    """A rate of zero leaves base and add-ons as they were; a real one changes both, and text encoder and autoencoder are taken over."""
    still = replace(RECIPE, base=replace(RECIPE.base, learning_rate=0.0), joint=replace(RECIPE.joint, learning_rate=0.0))
    assert run(still, bench(tmp_path / "still"), start=finished / "pipeline")
    before, after = (load_packed(folder / "pipeline/transformer") for folder in (finished, tmp_path / "still"))
    # Packing what was packed may move a number by a step of the scale's own rounding.
    assert all((before[name] - after[name]).abs().max() <= 2e-3 * before[name].abs().max() + 1e-6 for name in before)
    assert run(RECIPE, bench(tmp_path / "on"), start=finished / "pipeline")
    moved = load_packed(tmp_path / "on/pipeline/transformer")
    changed = {name for name in before if (before[name] - moved[name]).abs().max() > 1e-2 * before[name].abs().max() + 1e-5}
    assert any("to_joint" in name for name in changed) and any("attn.to_q" in name for name in changed)
    assert (tmp_path / "on/vae/config.json").read_text() == (finished / "pipeline/vae/config.json").read_text()


def test_a_model_of_another_size_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="other sizes"):
        run(replace(RECIPE, heads=3), bench(tmp_path), start=finished / "pipeline")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--text-encoder"),
        (["--text-encoder", "nowhere", "--words", "words.txt"], "no BERT model"),
        (["--start", "nowhere"], "not the folder"),
        (["--steps", "text=3"], "no number for a stage"),
        (["--batch", "base"], "no number for a stage"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("red\n")
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere/vocab.txt").write_text("[PAD]\nred\n")
    told = CliRunner().invoke(main, ["train", "embedded", "--folder", "run", "--device", "cpu", *arguments])
    assert told.exit_code in (1, 2) and sentence in told.output and "Traceback" not in told.output


def test_the_shipped_model_has_the_recipes_sizes() -> None:
    """So that it can be trained on."""
    from jointdit.models import EMBEDDED

    config, recipe = json.loads((EMBEDDED / "transformer/config.json").read_text()), Recipe()
    assert (config["num_layers"], config["num_single_layers"], config["num_attention_heads"]) == (recipe.layers, recipe.single_layers, recipe.heads)
    assert config["lora_rank"] == recipe.lora_rank and json.loads((EMBEDDED / "model_index.json").read_text())["native_size"] == recipe.size
