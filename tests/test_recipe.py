# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded model's recipe as a whole, at a size that takes seconds: in pieces, from a finished model, and its mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from jointdit.cli import main
from jointdit.errors import CheckpointError, InputError, OutputError
from jointdit.models import Model
from jointdit.training import FINISHING, STAGES, ablation, data, export, joint, recipe, stages
from jointdit.training.flow import add_noise
from jointdit.training.recipe import Bench, Recipe, run, tiny
from jointdit.weights.small_folders import load_packed
from small_model import VOCABULARY, small_bert, small_pipeline

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
    for part in ("transformer", "text_encoder_2", "vae"):
        one, other = (load_packed(folder / "pipeline" / part) for folder in (finished, tmp_path))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_without_time_nothing_is_done(tmp_path: Path, source: tuple[Path, Path]) -> None:
    assert not run(RECIPE, bench(tmp_path, 0.0), source=source[0], words=source[1])
    assert not list(tmp_path.glob("*.done"))


def test_going_on_from_a_finished_model(finished: Path, tmp_path: Path) -> None:
    """A rate of zero leaves base and add-ons as they were; a real one changes both, and text encoder and autoencoder are taken over."""
    still = replace(RECIPE, **{stage: replace(getattr(RECIPE, stage), learning_rate=0.0) for stage in ("base", "joint", "estimating")})
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


def test_a_new_transformer_works_with_the_parts_of_a_finished_model(finished: Path, tmp_path: Path) -> None:
    other = replace(RECIPE, heads=3)
    assert run(other, bench(tmp_path), ("text", "autoencoder", "base"), start=finished / "pipeline", whole=False)
    base = recipe.open_base(tmp_path)
    assert base.config.num_attention_heads == 3 and not (tmp_path / "start").exists()
    taken, theirs = (load_packed(folder) for folder in (tmp_path / "text", finished / "pipeline/text_encoder_2"))
    assert all(torch.equal(taken[name], theirs[name]) for name in theirs)


def test_a_finished_model_learns_other_words_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    longer = replace(RECIPE, reading=replace(RECIPE.reading, steps=6, learning_rate=1e-2))
    assert run(longer, bench(tmp_path), ("reading",), start=finished / "pipeline")
    for part in ("transformer", "vae"):
        assert _bytes(tmp_path / "pipeline" / part) == _bytes(finished / "pipeline" / part)
    before, after = (load_packed(folder / "pipeline/text_encoder_2") for folder in (finished, tmp_path))
    changed = {name for name in before if (before[name] - after[name]).abs().max() > 1e-2 * before[name].abs().max() + 1e-5}
    assert changed and all(name.startswith("encoder.layer.1.") for name in changed)


def test_a_finished_model_gets_another_decoder_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    longer = replace(RECIPE, decoder=replace(RECIPE.decoder, learning_rate=1e-2))
    assert run(longer, bench(tmp_path), ("decoder",), start=finished / "pipeline")
    for part in ("transformer", "text_encoder_2"):
        assert _bytes(tmp_path / "pipeline" / part) == _bytes(finished / "pipeline" / part)
    before, after = (load_packed(folder / "pipeline/vae") for folder in (finished, tmp_path))
    changed = {name for name in before if (before[name] - after[name]).abs().max() > 1e-2 * before[name].abs().max() + 1e-5}
    assert changed and all(name.startswith("picture") for name in changed)


def test_a_finished_model_learns_to_estimate_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    """Only the add-ons of the transformer change."""
    longer = replace(RECIPE, estimating=replace(RECIPE.estimating, learning_rate=1e-2, average=0.0))
    assert run(longer, bench(tmp_path), ("estimating",), start=finished / "pipeline")
    for part in ("text_encoder_2", "vae"):
        assert _bytes(tmp_path / "pipeline" / part) == _bytes(finished / "pipeline" / part)
    before, after = (load_packed(folder / "pipeline/transformer") for folder in (finished, tmp_path))
    changed = {name for name in before if (before[name] - after[name]).abs().max() > 1e-2 * before[name].abs().max() + 1e-5}
    assert any("to_joint" in name for name in changed) and all("to_joint" in name or "lora" in name for name in changed)


def test_an_estimate_is_learned_as_it_is_asked(finished: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The picture clean, its velocity not counted, mostly no prompt; the joint pairs beside it count with both branches."""
    seen: list[tuple[torch.Tensor, ...]] = []

    def note(model: object, batch: joint.Batch, precision: torch.dtype, counted: torch.Tensor) -> torch.Tensor:
        seen.append((*batch.sigma.chunk(2), counted, batch.text[1]))
        return next(iter(model.addon_parameters().values())).sum() * 0

    monkeypatch.setattr(stages, "joint_loss", note)
    wide = replace(RECIPE, estimating=replace(RECIPE.estimating, steps=1, batch=400))
    assert run(wide, bench(tmp_path), ("estimating",), start=finished / "pipeline")
    ((rgb, depth, counted, pooled),) = seen
    estimated = rgb == 0
    assert 150 < estimated.sum() < 250 and torch.equal(counted, torch.cat([~estimated, torch.ones(400, dtype=torch.bool)]))
    assert (depth[estimated] == 1).any() and (depth[~estimated] < 1).all()
    empty = (pooled[estimated, None] == pooled[None, estimated]).all(-1).sum(0).max()  # the most frequent prompt
    assert empty > 0.65 * estimated.sum()


@pytest.mark.parametrize(("stage", "part"), [("estimating", "transformer"), ("reading", "text_encoder_2"), ("decoder", "vae")])
def test_a_finishing_touch_goes_on_exactly(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, part: str) -> None:
    """Stopped after a step it leaves the model as it was; the same command again makes of it what one piece makes."""
    assert run(RECIPE, bench(tmp_path / "whole"), (stage,), start=finished / "pipeline")
    with monkeypatch.context() as short:
        short.setattr(Bench, "minutes_left", property(lambda self: 1e-9))
        assert not run(RECIPE, bench(tmp_path / "parts"), (stage,), start=finished / "pipeline")
    assert _bytes(tmp_path / "parts/pipeline" / part) == _bytes(finished / "pipeline" / part)
    assert run(RECIPE, bench(tmp_path / "parts"), (stage,), start=finished / "pipeline")
    assert _bytes(tmp_path / "parts/pipeline" / part) == _bytes(tmp_path / "whole/pipeline" / part)


def test_finishing_touches_are_made_anew_on_a_new_joint_stage(finished: Path, tmp_path: Path) -> None:
    start = finished / "pipeline"
    assert run(RECIPE, bench(tmp_path), ("reading",), start=start)
    assert run(RECIPE, bench(tmp_path), ("base", "joint"), start=start)
    assert not (tmp_path / "reading.done").exists() and not (tmp_path / "reading.pt").exists()
    untaught = load_packed(tmp_path / "pipeline/text_encoder_2")
    assert run(RECIPE, bench(tmp_path), ("reading",), start=start)
    taught = load_packed(tmp_path / "pipeline/text_encoder_2")
    assert any(not torch.equal(untaught[name], taught[name]) for name in taught)


def test_a_folder_does_not_change_what_it_starts_from(finished: Path, tmp_path: Path) -> None:
    assert run(RECIPE, bench(tmp_path), ("reading",), start=finished / "pipeline")
    with pytest.raises(InputError, match="another training"):
        run(RECIPE, bench(tmp_path), ("base",), start=finished / "pipeline", whole=False)
    with pytest.raises(InputError, match="other sizes"):
        run(replace(RECIPE, text_length=12), bench(tmp_path / "other"), ("reading",), start=finished / "pipeline")


def test_a_component_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = small_pipeline().vae
    export.pack(layer, tmp_path / "vae")
    before = _bytes(tmp_path / "vae")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(export, "save_packed", fail)
    with pytest.raises(OutputError, match="Make room"):
        export.pack(layer, tmp_path / "vae")
    assert _bytes(tmp_path / "vae") == before and "_name_or_path" not in (tmp_path / "vae/config.json").read_text()


@pytest.mark.parametrize("stage", FINISHING)
def test_finishing_touches_need_a_model(tmp_path: Path, stage: str) -> None:
    with pytest.raises(InputError, match="no finished model"):
        run(RECIPE, bench(tmp_path), (stage,))


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--text-encoder"),
        (["--text-encoder", "nowhere", "--words", "words.txt"], "no BERT model"),
        (["--device", "abacus"], "no device abacus"),
        (["--start", "nowhere"], "is not the folder"),
        (["--parts-of", "nowhere"], "is not the folder"),
        (["--parts-of", "nowhere", "--start", "nowhere"], "give one of them"),
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


def test_a_start_into_another_training_is_refused(finished: Path, tmp_path: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in finished.rglob("*"))
    with pytest.raises(InputError, match="another training"):
        run(RECIPE, bench(finished), start=finished / "pipeline")
    assert sorted(path.stat().st_mtime_ns for path in finished.rglob("*")) == before
    (tmp_path / "plain/transformer").mkdir(parents=True)
    with pytest.raises(InputError, match="a training of this recipe left"):
        run(RECIPE, bench(tmp_path / "new"), start=tmp_path / "plain")


def test_other_numbers_are_refused_once_a_stage_has_begun(finished: Path) -> None:
    with pytest.raises(InputError, match=r"joint"):
        run(replace(RECIPE, joint=replace(RECIPE.joint, steps=5)), bench(finished))
    with pytest.raises(InputError, match=r"scenes"):
        run(replace(RECIPE, scenes=9), bench(finished))
    assert run(RECIPE, bench(finished))


def test_rendering_stops_in_time_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are there are not made again; together they are what one piece makes."""
    monkeypatch.setattr(data, "PART", 4)
    asked: list[range] = []

    def made(seeds: range) -> Iterator[dict[str, torch.Tensor]]:
        asked.append(seeds)
        for seed in range(seeds.start, seeds.stop, 2):
            yield {"a": torch.arange(seed, min(seed + 2, seeds.stop)), "b": torch.arange(seed, min(seed + 2, seeds.stop)) ** 2}

    cpu = torch.device("cpu")
    assert data.in_parts(tmp_path, 11, made, 0.0, cpu) is None and data.in_parts(tmp_path, 11, made, 0.0, cpu) is None
    whole = data.in_parts(tmp_path, 11, made, None, cpu)
    assert [seeds.start for seeds in asked] == [0, 4, 8]
    assert torch.equal(whole["a"], torch.arange(11)) and torch.equal(whole["b"], torch.arange(11) ** 2)
    assert torch.equal(data.in_parts(tmp_path, 11, made, None, cpu)["a"], torch.arange(11)) and len(asked) == 3
    (tmp_path / "00000004.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="Remove the folder"):
        data.in_parts(tmp_path, 11, made, None, cpu)


def test_ablation_trains_and_measures_each_variant_once(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = ablation.VARIANTS[:2]
    rows = ablation.run(RECIPE, bench(finished), 1, 2, 2, two)
    assert [(row["variant"], row["seed"]) for row in rows] == [(v.name, seed) for seed in range(2) for v in two]
    monkeypatch.setattr(ablation, "trained", None)  # nothing is trained again
    assert ablation.run(RECIPE, bench(finished), 1, 2, 2, two) == rows
    assert ablation.run(RECIPE, bench(finished, 0.0), 9, 2, 2, two) == []  # other numbers are other rows
    with pytest.raises(InputError, match="other numbers \\(size\\)"):
        ablation.run(replace(RECIPE, size=64), bench(finished), 1, 2, 2, two)
    old = json.loads((finished / "ablation.json").read_text())
    for row in old:
        del row["figures"]["joint: its disparity and that of its picture: AbsRel, to 80 m"]  # as if measured before there was this figure
    (finished / "older").mkdir()
    for name in ("base.done", "recipe.json"):
        (finished / "older" / name).write_bytes((finished / name).read_bytes())
    (finished / "older/ablation.json").write_text(json.dumps(old))
    monkeypatch.setattr(ablation, "parts", lambda *_: None)  # nothing can be trained
    assert ablation.run(RECIPE, bench(finished / "older"), 1, 2, 2, two) == []
    lines = ablation.table(rows).splitlines()
    assert len(lines) == 4 and lines[2].startswith("| neither |") and lines[2].endswith("| 2 |")
    values = [row["figures"]["image to depth: AbsRel, to 80 m"] for row in rows[::2]]
    mean, spread = sum(values) / 2, abs(values[0] - values[1]) / 2**0.5
    assert f"| {mean:.1f} ± {spread:.1f} |" in lines[2]
    (finished / "ablation.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        ablation.run(RECIPE, bench(finished), 1, 1, 1, two)
    (finished / "ablation.json").unlink()


def test_variants_of_a_seed_see_the_same_noise(monkeypatch: pytest.MonkeyPatch, finished: Path) -> None:
    """However their noise levels are drawn."""
    seen: dict[str, list[torch.Tensor]] = {}
    for variant in ablation.VARIANTS[:2]:
        seen[variant.name] = []
        monkeypatch.setattr(joint, "add_noise", lambda clean, noise, sigma, name=variant.name: seen[name].append(noise) or add_noise(clean, noise, sigma))
        found = recipe.parts(RECIPE, bench(finished), "text-trained")
        ablation.trained(RECIPE, bench(finished), found, variant, replace(RECIPE.joint, steps=2), 0)
    one, other = seen.values()
    assert len(one) == 2 and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_shipped_model_has_the_recipes_sizes() -> None:
    """So that it can be trained on."""
    from jointdit.models import EMBEDDED

    config, asked = json.loads((EMBEDDED / "transformer/config.json").read_text()), Recipe()
    assert (config["num_layers"], config["num_single_layers"], config["num_attention_heads"]) == (asked.layers, asked.single_layers, asked.heads)
    assert config["lora_rank"] == asked.lora_rank and json.loads((EMBEDDED / "model_index.json").read_text())["native_size"] == asked.size
