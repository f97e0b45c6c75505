# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit train joint` as a whole: runs that are cut off resume bit for bit, several processes train one model, and what comes out is a JointDiT."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from jointdit.checkpoints import flux_tensors, load_transformer
from jointdit.cli import main
from jointdit.errors import CheckpointError, InputError, OutputError
from jointdit.models import Models
from jointdit.pipeline import JointDiTPipeline
from jointdit.train_cli import train_group
from jointdit.training import base
from jointdit.training.base import Trained, load_base, prepare_training
from jointdit.training.estimate import Need, refuse_too_large
from jointdit.training.joint import held_out_batch, joint_loss
from jointdit.training.joint_run import Outcome, _save_pipeline, estimate, run
from jointdit.training.journal import CURVES, Journal, read_curves
from jointdit.training.kept import RunFolder
from jointdit.training.options import JointOptions, Keeping
from jointdit.training.prepared import PreparedSet
from jointdit.training.sampling import at_rest, sheet
from jointdit.training.sources import SetPairs
from jointdit.weights.library import Library
from jointdit.weights.pieces import find_pieces
from prepared_sets import write_tiny_model, write_tiny_set
from safetensors.torch import load_file, save_file
from tiny_files import flux_parts, write

pytestmark = pytest.mark.usefixtures("one_thread")
ALWAYS = 1e-9  # minutes: a checkpoint after every step
BACKEND = Path(__file__).resolve().parents[1] / "backend"


@dataclass(frozen=True)
class Place:
    """A tiny model and a set for it."""

    model: Path
    pipeline: JointDiTPipeline
    set: Path

    def options(self, **changes: object) -> JointOptions:
        return JointOptions(**{"model": str(self.model), "steps": 6, "batch": 2, "learning_rate": 1e-2, "rank": 2, **changes})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("joint")
    pipeline = write_tiny_model(folder / "model")
    return Place(folder / "model", pipeline, write_tiny_set(folder / "set", pipeline))


def trained(place: Place, folder: Path, resume: str | None = None, **changes: object) -> Outcome:
    """A run without sheets; `minutes`, `every_minutes` and `keep` are for `Keeping`, the rest for `JointOptions`."""
    keeping = {name: changes.pop(name) for name in ("minutes", "every_minutes", "keep", "samples") if name in changes}
    return run(place.set, folder, place.options(**changes), Keeping(**{"samples": 0, "sample_steps": 1, **keeping}), resume)


def state_of(folder: Path, name: str = "joint.pt") -> dict:
    return torch.load(folder / name, weights_only=True)


def same(first: object, second: object) -> bool:
    """Whether two checkpoints, or parts of them, are equal bit for bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


def start(place: Place, folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """The command itself in a process of its own; the options are those of `Place.options`."""
    command = [
        sys.executable, "-m", "jointdit", "train", "joint", str(place.set), "--model", str(place.model), "--folder", str(folder), "--batch", "2",
        "--learning-rate", "0.01", "--rank", "2", "--samples", "0", *words,
    ]  # fmt: skip
    known = {**os.environ, "PYTHONPATH": str(BACKEND), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(command, env=known, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(found: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 180) -> None:
    """Wait for something that a process does."""
    end = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.01)


# What changes, and what comes out


def test_only_the_addons_change_and_the_loss_falls(place: Place, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in flux_tensors(place.pipeline.transformer).items()}
    outcome = trained(place, tmp_path, steps=150, batch=4, learning_rate=3e-3, precision="float32", every_minutes=1000)
    assert outcome == Outcome(True, 150, tmp_path / "jointdit.safetensors")
    after = Models().find(str(tmp_path / "pipeline")).load()
    base_after = flux_tensors(after.transformer)
    assert base_after.keys() == before.keys() and all(torch.equal(before[name], base_after[name]) for name in before)
    source = PreparedSet.open(place.set)
    fixed = held_out_batch(SetPairs(source, after, len(source)), list(range(8)), torch.device("cpu"))
    fresh = load_base(str(place.model))
    for parameter in fresh.transformer.addon_parameters().values():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        begun, ended = joint_loss(fresh.transformer, fixed).item(), joint_loss(after.transformer, fixed).item()
    assert ended < 0.8 * begun


def test_exported_addons_load_as_the_released_ones(place: Place, tmp_path: Path) -> None:
    """Through the loader for users' files, beside the base in FLUX's own layout; the velocities are those of the trained weights rounded to bfloat16."""
    trained(place, tmp_path, rank=3, every_minutes=1000)
    save_file({name: tensor.contiguous() for name, tensor in flux_tensors(place.pipeline.transformer).items()}, tmp_path / "flux.safetensors")
    model = load_transformer(tmp_path / "flux.safetensors", tmp_path / "jointdit.safetensors", (4, 6, 6)).float()
    assert {tensor.dtype for tensor in load_file(tmp_path / "jointdit.safetensors").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "jointdit.json").read_text()) == {"is_txt_ids_training": False, "is_attnmask_training": False, "depth_transform": "none"}
    other = Models().find(str(tmp_path / "pipeline")).load().transformer
    with torch.no_grad():
        for parameter in other.addon_parameters().values():
            parameter.copy_(parameter.bfloat16())
        source = PreparedSet.open(place.set)
        fixed = held_out_batch(SetPairs(source, place.pipeline, len(source)), [0, 1], torch.device("cpu"))
        assert joint_loss(model, fixed).item() == pytest.approx(joint_loss(other, fixed).item(), rel=1e-6)
    assert model.config.lora_rank == 3
    # They are a start for more training, of their own rank.
    outcome = trained(place, tmp_path / "more", start=str(tmp_path / "jointdit.safetensors"), rank=None, steps=1, learning_rate=1e-9)
    for name, tensor in load_file(outcome.addons).items():
        assert torch.allclose(tensor, load_file(tmp_path / "jointdit.safetensors")[name], rtol=0, atol=1e-6), name


def test_an_ablation_is_run_as_it_was_trained(place: Place, tmp_path: Path) -> None:
    outcome = trained(place, tmp_path, adaptive_weights="off", timesteps="independent", steps=2)
    assert json.loads(outcome.addons.with_suffix(".json").read_text())["adaptive_form"] == "none"
    assert Models().find(str(tmp_path / "pipeline")).load().transformer.config.adaptive_form == "none"
    with pytest.raises(InputError, match="--adaptive-weights off"):
        trained(place, tmp_path / "more", start=str(outcome.addons), rank=None)


def test_curves_and_sheets_can_be_read(place: Place, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained(place, tmp_path, steps=2, samples=1, every_minutes=ALWAYS)
    points = read_curves(tmp_path / CURVES)
    # At each of the two steps the held-out pair was measured, and the last step closes the mean of the loss.
    assert [(p["name"], p["step"]) for p in points if "loss" in p["name"]] == [("held_out_loss", 1), ("loss", 2), ("held_out_loss", 2)]
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0}).Reload()
    assert [event.step for event in events.Images("samples")] == [1, 2]
    (loss,) = (p["value"] for p in points if p["name"] == "loss")
    assert events.Scalars("loss")[0].value == pytest.approx(loss, rel=1e-6) and 0 < loss < 10
    assert (tmp_path / "samples-00000002.png").is_file()


def test_a_journal_takes_back_what_is_written_again(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    for step in range(5):
        first.scalar("loss", step, step)
    first.close()
    with (tmp_path / CURVES).open("a") as file:
        file.write('{"step": 5, "na')  # cut off
    second = Journal(tmp_path)
    second.scalar("loss", 30.0, 3)
    second.scalar("loss", float("inf"), 4)
    second.close()
    assert [(p["step"], p["value"]) for p in read_curves(tmp_path / CURVES)] == [(0, 0), (1, 1), (2, 2), (3, 30), (4, None)]


def test_a_finished_run_that_is_run_again_keeps_its_curves(place: Place, tmp_path: Path) -> None:
    trained(place, tmp_path, steps=2)
    before = read_curves(tmp_path / CURVES)
    assert {point["name"] for point in before} == {"loss", "rate", "seconds", "held_out_loss"} and {point["step"] for point in before} == {2}
    trained(place, tmp_path, steps=2)
    assert read_curves(tmp_path / CURVES) == before


def test_seconds_go_on_where_a_run_goes_on(place: Place, tmp_path: Path) -> None:
    trained(place, tmp_path, steps=2)
    lines = [json.loads(line) for line in (tmp_path / CURVES).read_text().splitlines()]
    (tmp_path / CURVES).write_text("".join(json.dumps(line | ({"value": 5000.0} if line["name"] == "seconds" else {})) + "\n" for line in lines))
    trained(place, tmp_path, steps=3)
    seconds = [point["value"] for point in read_curves(tmp_path / CURVES) if point["name"] == "seconds"]
    assert len(seconds) == 2 and seconds[0] == 5000 and 5000 < seconds[1] < 5300


def test_a_run_that_goes_back_gives_up_what_was_kept_later(place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    trained(place, tmp_path, steps=6, every_minutes=ALWAYS, keep=4, samples=1)
    # Refused, it takes nothing away.
    with pytest.raises(InputError, match="begun with other options"):
        trained(place, tmp_path, resume=str(tmp_path / "checkpoint-00000003.pt"), seed=1)
    assert (tmp_path / "checkpoint-00000006.pt").is_file()
    assert not trained(place, tmp_path, resume=str(tmp_path / "checkpoint-00000003.pt"), steps=6, minutes=0, keep=1).finished
    names = {path.name for path in tmp_path.iterdir()}
    assert {name for name in names if name.startswith("checkpoint-")} == {"checkpoint-00000004.pt"}
    assert {name for name in names if name.startswith("jointdit-")} == {"jointdit-00000004.safetensors", "jointdit-00000004.json"}
    assert not {"samples-00000005.png", "samples-00000006.png"} & names
    assert "goes on from step 3" in caplog.text and "checkpoint-00000006.pt" in caplog.text


def test_addons_that_cannot_get_their_name_are_a_sentence(tmp_path: Path) -> None:
    kept = RunFolder(tmp_path, 1)
    kept.addons(3).write_bytes(b"")
    kept.addons(3).with_suffix(".json").write_text("{}")
    (tmp_path / "jointdit.safetensors" / "in the way").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"cannot be written to .*jointdit\.safetensors.*Make room, or choose another folder"):
        kept.finish(3)


def test_the_embedded_model_trained_further_is_as_small_as_it_is_shipped(tmp_path: Path) -> None:
    shipped = Models().find("embedded")
    pipeline = shipped.load()
    _save_pipeline(Trained(pipeline, {}, True), tmp_path / "pipeline")
    written = Models().find(str(tmp_path / "pipeline"))
    size = [sum(path.stat().st_size for path in model.folder.rglob("*") if path.is_file()) for model in (shipped, written)]
    assert 0.9 * size[0] < size[1] < 1.05 * size[0]
    again = written.load()
    assert again.text_encoder is again.text_encoder_2
    first, second = pipeline.transformer.state_dict(), again.transformer.state_dict()
    assert all(torch.allclose(first[name].float(), second[name].float(), rtol=0, atol=first[name].float().abs().max().item() / 100) for name in first)


# Cut off, and gone on


@pytest.fixture(scope="module")
def straight(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 120 steps in one piece, with a running average."""
    folder = tmp_path_factory.mktemp("straight")
    assert trained(place, folder, steps=120, average=0.9, every_minutes=1000).finished
    return folder


def test_killed_and_resumed_is_the_same_run(place: Place, straight: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of checkpoints at every step; then a later piece from a kept checkpoint, not even the last."""
    process = start(place, tmp_path, "--steps", "120", "--average", "0.9", "--every-minutes", str(ALWAYS), "--keep", "2")
    until(lambda: any(path.name >= "checkpoint-00000004.pt" for path in tmp_path.glob("checkpoint-*.pt")), process)
    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()
    kept = sorted(tmp_path.glob("checkpoint-*.pt"))
    assert 4 <= state_of(tmp_path)["step"] < 120 and len(kept) <= 3
    outcome = trained(place, tmp_path, resume=str(kept[0]), steps=120, average=0.9, every_minutes=1000)
    assert outcome.finished and same(state_of(tmp_path), state_of(straight))
    assert (tmp_path / "jointdit.safetensors").read_bytes() == (straight / "jointdit.safetensors").read_bytes()


def test_interrupted_it_leaves_a_checkpoint_and_ends_with_130(place: Place, straight: Path, tmp_path: Path) -> None:
    process = start(place, tmp_path, "--steps", "400000", "--average", "0.9", "--every-minutes", "0.002")
    until(lambda: (tmp_path / "joint.pt").exists(), process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Stopped. Run the command again to go on" in said and "Traceback" not in said
    steps = state_of(tmp_path)["step"]
    if steps < 120:
        trained(place, tmp_path, steps=120, average=0.9, every_minutes=1000)
        assert same(state_of(tmp_path), state_of(straight))
    else:
        trained(place, tmp_path / "other", steps=steps, average=0.9, every_minutes=1000)
        assert same(state_of(tmp_path), state_of(tmp_path / "other"))


@pytest.mark.parametrize("stage", ["joint", "embedded", "ablation"])
def test_every_training_ends_with_130_after_an_interrupt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stage: str) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_group.commands[stage], "callback", lambda **_: interrupted())
    result = CliRunner().invoke(main, ["train", stage, *([str(tmp_path)] if stage == "joint" else [])])
    assert result.exit_code == 130 and result.stderr.startswith("Stopped. Run the command again to go on") and len(result.stderr.splitlines()) == 1


def test_pieces_keep_the_last_checkpoints(place: Place, tmp_path: Path) -> None:
    assert not trained(place, tmp_path, minutes=0).finished
    outcome = trained(place, tmp_path, every_minutes=ALWAYS, keep=2)
    assert outcome.finished and outcome.step == 6
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-00000005.pt", "checkpoint-00000006.pt"]
    assert sorted(path.name for path in tmp_path.glob("jointdit-*.safetensors")) == ["jointdit-00000005.safetensors", "jointdit-00000006.safetensors"]
    before = state_of(tmp_path)
    # Back to step 5, and to the end again.
    trained(place, tmp_path, resume=str(tmp_path / "checkpoint-00000005.pt"))
    assert same(before, state_of(tmp_path))
    # A finished run grows where the learning rate does not depend on its length.
    assert trained(place, tmp_path, steps=8, resume="last").step == 8


# Several processes


def test_two_processes_train_what_one_with_twice_the_batch_does(place: Place, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = ("--steps", "3", "--optimizer", "adamw", "--precision", "float32", "--batch", "1")
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [start(place, tmp_path / "two", *words, **group, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]
    trained(place, tmp_path / "one", steps=3, optimizer="adamw", precision="float32", batch=2)
    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    one, two = state_of(tmp_path / "one"), state_of(tmp_path / "two")
    assert torch.equal(one["generator"], two["generator"])
    for a, b in zip(one["optimizer"]["state"].values(), two["optimizer"]["state"].values(), strict=True):
        assert torch.allclose(a["exp_avg"], b["exp_avg"], atol=1e-6, rtol=1e-3)
    moved = max((a - b).abs().max().item() for a, b in zip(one["parameters"].values(), two["parameters"].values(), strict=True))
    assert moved < 1e-3  # three steps of 1e-2


# What cannot be


def test_sets_and_checkpoints_of_another_model_are_refused(place: Place, tmp_path: Path) -> None:
    other = write_tiny_set(tmp_path / "set", place.pipeline, count=4, model={**PreparedSet.open(place.set).description["model"], "vae": "0" * 32})
    with pytest.raises(InputError, match="autoencoder differ"):
        run(other, tmp_path / "run", place.options(), Keeping())
    trained(place, tmp_path / "run", steps=1)
    both = {"seed": 1, "average": 0.5}
    for changes, said in (({"rank": 1}, "rank was 2, now 1"), ({"batch": 3}, "batch was 2, now 3"), (both, "average was 0.0, now 0.5; seed was 0, now 1")):
        with pytest.raises(InputError, match=said):
            trained(place, tmp_path / "run", **changes)
    with pytest.raises(CheckpointError, match="another model or another rank"):
        trained(place, tmp_path / "new", resume=str(tmp_path / "run" / "joint.pt"), rank=1)
    with pytest.raises(InputError, match="holds no run to resume"):
        trained(place, tmp_path / "nothing", resume="last")
    with pytest.raises(InputError, match=r"Kept in .* are: checkpoint-00000001.pt"):
        trained(place, tmp_path / "run", resume=str(tmp_path / "gone.pt"))
    (tmp_path / "broken.pt").write_bytes(b"PK broken")
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        trained(place, tmp_path / "run", resume=str(tmp_path / "broken.pt"))


@pytest.mark.parametrize(("field", "changes", "said"), [
    ("text", {"joint_attention_dim": 20}, "24 and 12 numbers wide, but the transformer takes 20 and 12"),
    ("channels", {"in_channels": 32}, "latents of 4 channels, but the transformer takes 8"),
])  # fmt: skip
def test_a_transformer_of_other_widths_is_refused(place: Place, field: str, changes: dict, said: str) -> None:
    """The set fits the autoencoder and the encoders of a pipeline, but its transformer does not."""
    from jointdit.training.sources import refuse_unfit

    pipeline = load_base(str(place.model))
    pipeline.transformer.register_to_config(**changes)
    with pytest.raises(InputError, match=said):
        refuse_unfit(PreparedSet.open(place.set), pipeline)


def test_options_that_cannot_be_are_sentences(place: Place, tmp_path: Path) -> None:
    runner = CliRunner()
    asked = ["train", "joint", str(place.set), "--model", str(place.model), "--folder", str(tmp_path)]
    for words, said in (
        (["--rank", "0"], "--rank must be at least 1"),
        (["--rank", "4", "--start", "model"], "Leave one of the two out"),
        (["--prompt-drop", "1"], "--prompt-drop must be at least 0 and below 1"),
        (["--held-out", "12"], "leaves nothing to train on: the set has 12 pairs"),
        (["--keep", "0"], "--keep must be at least 1"),
        (["--clip", "-1"], "--clip must be a number of at least 0"),
        (["--weight-decay", "nan"], "--weight-decay must be a number of at least 0"),
        (["--warmup", "-1"], "--warmup must be a number of at least 0"),
        (["--seed", "-1"], "--seed must be between 0 and"),
        (["--seed", str(2**63)], "--seed must be between 0 and"),
        (["--rank", "33"], "--rank can be 32 at most, the width of this model's layers"),
        (["--minutes", "-1"], "--minutes must be a number of at least 0"),
        (["--minutes", "inf"], "--minutes must be a number of at least 0"),
        (["--every-minutes", "0"], "--every-minutes must be a number above 0"),
        (["--precision", "float32", "--addon-dtype", "bfloat16"], "leave --addon-dtype at float32"),
        (["--start", str(tmp_path / "gone.safetensors")], "gone.safetensors"),
        (["--model", "gone"], "There is no model 'gone' here"),
    ):
        result = runner.invoke(main, [*asked, *words])
        assert result.exit_code == 1 and said in result.stderr and "Error: " in result.stderr, (words, result.stderr, result.exception)


def test_a_large_model_needs_a_card(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "SMALL", 1)
    with pytest.raises(InputError, match="needs a card with CUDA, and this machine has none"):
        trained(place, tmp_path)
    needed = estimate(place.set, place.options())
    averaged = {kind: estimate(place.set, place.options(average=0.9, addon_dtype=kind)) for kind in ("float32", "bfloat16")}
    # The averages are float32 however the add-ons are stored, and a copy of these is put aside: 4 + 4 and 4 + 2 bytes.
    assert averaged["float32"].average * 6 == averaged["bfloat16"].average * 8 == needed.addons // 4 * 48
    assert needed.total > needed.base > 0  # which needs none
    with pytest.raises(InputError, match=r"The card has 24 GiB, and this training takes about \d+ GiB"):
        refuse_too_large(Need(22 * 2**30, 5 * 2**30, 5 * 2**30, 0, 0, 0, 2**30), "The card", 24 * 2**30)


def test_a_large_model_is_trained_in_bfloat16_around_float32_addons(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a card does with a large model, on the processor: nearly the gradients of float32, and sheets of the add-ons as they are exported."""
    pairs = SetPairs(PreparedSet.open(place.set), place.pipeline, 12)
    fixed = held_out_batch(pairs, [0, 1, 2, 3], torch.device("cpu"))
    found = []
    for largest, precision in ((2**40, torch.float32), (1, torch.bfloat16)):
        monkeypatch.setattr(base, "SMALL", largest)
        trained = prepare_training(load_base(str(place.model)), place.options(start="model", rank=None), torch.device("cpu"))
        joint_loss(trained.pipeline.transformer, fixed, precision).backward()
        found.append(torch.cat([p.grad.flatten() for p in trained.parameters.values()]))
    model = trained.pipeline.transformer
    assert not trained.small and model.is_gradient_checkpointing and {p.dtype for p in trained.parameters.values()} == {torch.float32}
    assert {p.dtype for name, p in model.named_parameters() if name not in trained.parameters} == {torch.bfloat16}
    assert torch.nn.functional.cosine_similarity(*found, dim=0) > 0.995
    rgb, depth, text = pairs.batch([0])
    with at_rest(trained.pipeline):
        assert {p.dtype for p in trained.parameters.values()} == {torch.bfloat16}
        picture = sheet(trained.pipeline, rgb, depth, text, pairs.empty(), steps=2)
    assert picture.isfinite().all() and {p.dtype for p in trained.parameters.values()} == {torch.float32}


def test_captions_alone_are_encoded_by_the_model(place: Place, tmp_path: Path) -> None:
    """The same samples as with precomputed text, but for the rounding of the stored text."""
    captions = write_tiny_set(tmp_path / "set", place.pipeline, text="captions")
    pairs = [SetPairs(PreparedSet.open(folder), place.pipeline, 12) for folder in (place.set, captions)]
    (tokens, pooled), (own_tokens, own_pooled) = (source.batch([0, 5])[2] for source in pairs)
    assert torch.allclose(tokens.float(), own_tokens, atol=0.02) and torch.allclose(pooled.float(), own_pooled, atol=0.02)
    assert torch.allclose(pairs[0].empty()[0].float(), pairs[1].empty()[0], atol=0.02)
    assert run(captions, tmp_path / "run", place.options(steps=1), Keeping(samples=0)).finished


def test_a_flux_without_addons_can_be_trained(tmp_path: Path) -> None:
    """The base alone, in FLUX's own layout and in 8 bits, as people have it; afterwards its files and the new add-ons are a whole model."""
    parts = {**flux_parts()}
    addons = parts.pop("addons")
    files = tmp_path / "files"
    for name, tensors in parts.items():
        write(tensors, files / f"{name}.safetensors", "fp8_scaled" if name == "flux" else "bf16")
    library = Library(tmp_path / "models.json")
    library.add("mine", find_pieces([files]))
    models = Models(library=library)
    with pytest.raises(CheckpointError, match="lacks addons"):
        models.find("mine").load()
    pipeline = load_base("mine", models=models)
    assert all(p.is_meta for p in pipeline.transformer.addon_parameters().values())
    options = JointOptions(model="mine", rank=2, steps=2, batch=1, learning_rate=1e-3)
    source = _set_of_random_latents(tmp_path / "set", pipeline)
    outcome = run(source, tmp_path / "run", options, Keeping(samples=0), models=models)
    assert outcome.finished and load_file(outcome.addons).keys() == addons.keys()
    whole = JointDiTPipeline.from_files(files, outcome.addons)
    assert whole.transformer.config.lora_rank == 2


def _set_of_random_latents(folder: Path, pipeline: JointDiTPipeline) -> Path:
    """Two pairs of 2 x 2 patches for a model whose prompts cannot be read."""
    from jointdit.training.prepared import describe_model, write_description, write_shard

    config = pipeline.transformer.config
    shapes = {"rgb": (16, 4, 4), "depth": (16, 4, 4), "tokens": (8, config.joint_attention_dim), "pooled": (config.pooled_projection_dim,)}
    tensors = {name: torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)).bfloat16() for name, shape in shapes.items()}
    write_shard(folder / "shard-00000.safetensors", tensors, ["a", "b", "c"], ["a", "b", "c"])
    write_shard(folder / "empty.safetensors", {name: tensors[name][:1] for name in ("tokens", "pooled")})
    about = {"size": 32, "model": describe_model(pipeline), "depth_transform": "none", "text": "precomputed", "left_out": []}
    write_description(folder, {**about, "shards": [{"file": "shard-00000.safetensors", "count": 3}]})
    return folder
