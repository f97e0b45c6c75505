# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit models` and `jointdit doctor` on folders of tiny files, and a picture from such a model, as a person would do it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_files
from click.testing import CliRunner, Result
from hub import Hub
from huggingface_hub import close_session, constants
from jointdit import models_cli
from jointdit.cli import main
from jointdit.errors import CheckpointError, InputError
from jointdit.models import Models, PiecesModel
from jointdit.weights.catalogue import FLUX, NEEDED, OFFERS
from jointdit.weights.download import DownloadProgress
from jointdit.weights.library import Library
from jointdit.weights.pieces import find_pieces
from jointdit.wishes import Lora


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JOINTDIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def jointdit(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def told(*arguments: object) -> list[dict[str, Any]]:
    """What a command says to a program."""
    return [json.loads(line) for line in jointdit(*arguments, "--json").stdout.splitlines()]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Another program's folder: names that say nothing, T5 in llama.cpp's names, FLUX twice."""
    parts, folder = tiny_files.flux_parts(readable=True), tmp_path / "models of another program"
    tiny_files.write(parts["flux"], folder / "unet" / "a.safetensors", "fp8_scaled")
    tiny_files.write(parts["flux"], folder / "unet" / "b.gguf", "q8_0")
    tiny_files.write(parts["addons"], folder / "loras" / "c.safetensors", "bf16")
    tiny_files.write(parts["autoencoder"], folder / "vae" / "d.safetensors", "f32")
    tiny_files.write(parts["clip"], folder / "clip" / "e.safetensors", "f16")
    tiny_files.write(tiny_files.t5_llama_cpp(parts["t5"]), folder / "clip" / "f.gguf", "q8_0", architecture="t5encoder")
    return folder


def test_doctor_reports_a_folder(files: Path) -> None:
    report = jointdit("doctor", files)
    lines = report.stdout.splitlines()
    assert report.exit_code == 0 and len(lines) == 6
    for start, *words in (
        ("ok   flux", "a.safetensors", "f8_e4m3", "original layout"),
        ("ok   flux", "b.gguf", "q8_0", "not used"),
        ("ok   addons", "c.safetensors", "bf16"),
        ("ok   autoencoder", "d.safetensors", "f32"),
        ("ok   clip", "e.safetensors", "f16"),
        ("ok   t5", "f.gguf", "q8_0", "llama.cpp layout"),
    ):
        assert any(line.startswith(start) and all(word in line for word in words) for line in lines), (start, words, lines)


@pytest.mark.parametrize("form", tiny_files.FORMS)
def test_doctor_names_every_format(form: str, tmp_path: Path) -> None:
    for part, tensors in tiny_files.flux_parts().items():
        tiny_files.write(tensors, tmp_path / f"{part}.whatever.{'gguf' if form in tiny_files.GGUF_FORMS else 'safetensors'}", form)
    report = jointdit("doctor", tmp_path)
    assert report.exit_code == 0, report.output
    flux = next(line for line in report.stdout.splitlines() if line.startswith("ok   flux"))
    assert f"stored as {tiny_files.STORED_AS[form]}" in flux


def test_doctor_says_what_is_missing_and_what_cannot_be_used(files: Path) -> None:
    (files / "vae" / "d.safetensors").unlink()
    (files / "vae" / "old.ckpt").write_bytes(b"PK\x03\x04 and so on")
    report = jointdit("doctor", files)
    assert report.exit_code == 1
    missing = next(line for line in report.stdout.splitlines() if line.startswith("BAD  autoencoder"))
    assert "missing" in missing and "ae.safetensors" in missing and "MB" in missing and "licence" in missing.lower()
    assert "old.ckpt" in report.stdout


def test_add_list_generate_remove(files: Path, tmp_path: Path, home: Path) -> None:
    added = jointdit("models", "add", files)
    assert added.exit_code == 0 and "The model flux is complete" in added.stdout
    assert json.loads((home / "models.json").read_text())["models"]["flux"]["flux"]["path"].endswith("a.safetensors")
    assert "flux: FLUX.1-dev + JointDiT" in jointdit("models", "list").stdout
    made = jointdit("generate", "a red house", "--model", "flux", "--size", 64, "--steps", 2, "--output", tmp_path / "out")
    assert made.exit_code == 0, made.output
    about = json.loads((Path(made.stdout.strip()) / "frame.json").read_text())
    assert about["model"] == "flux" and len(about["revision"]) == 32 and about["memory_plan"] == "cpu"
    described = [model for model in Models().describe() if model["name"] == "flux"]
    assert described and described[0]["native_width"] == 1024 and "Non-Commercial" in described[0]["licence"] and described[0]["size"] > 1e6
    healthy = jointdit("doctor")
    assert healthy.exit_code == 0 and "model flux: " in healthy.stdout and "in 20 steps will take about" in healthy.stdout
    assert jointdit("models", "remove", "flux").exit_code == 0
    assert "flux" not in jointdit("models", "list").stdout and (files / "unet" / "a.safetensors").is_file()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A tiny model on a hub of this machine, in the files that the real one has; this machine is logged in with a good token."""
    parts, source = tiny_files.flux_parts(readable=True), tmp_path / "source"
    tiny_files.write(parts["flux"], source / "flux1-dev.safetensors")
    tiny_files.write(parts["addons"], source / "jointdit.safetensors")
    (source / "jointdit.json").write_text('{"depth_transform": "inverse"}')
    tiny_files.write(parts["autoencoder"], source / "ae.safetensors", "f32")
    tiny_files.write(parts["clip"], source / "text_encoder" / "model.safetensors")
    tiny_files.write_shards(parts["t5"], source / "text_encoder_2", count=2)
    for folder in ("text_encoder", "text_encoder_2"):
        (source / folder / "config.json").write_text("{}")
    files = {(offer.repository, name): (source / name).read_bytes() for offer in OFFERS if offer.piece in NEEDED for name in offer.files}
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    close_session()
    with Hub(files, gated={FLUX}, tokens={"hf_good"}, accepted={"hf_good"}) as running:
        yield running
    close_session()


def test_from_a_hub_to_a_picture(hub: Hub, tmp_path: Path) -> None:
    """Download, add, generate."""
    fetched = jointdit("models", "download", "--endpoint", hub.endpoint, "--yes")
    assert fetched.exit_code == 0, fetched.output
    added = jointdit("models", "add", fetched.stdout.splitlines()[-2])
    assert "The model flux is complete" in added.stdout, added.output
    made = jointdit("generate", "a red house", "--model", "flux", "--size", 64, "--steps", 1, "--output", tmp_path / "out")
    assert made.exit_code == 0, made.output
    assert Models().find("flux").load().config.depth_transform == "inverse"


def test_a_program_downloads_and_adds_in_one_go(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    planned = told("models", "download", "--plan", "--folder", folder)
    assert [piece["piece"] for piece in planned[:-1]] == list(NEEDED) and not hub.log, "a plan asks no server"
    gated = next(piece for piece in planned if piece.get("piece") == "flux")
    assert gated["gated"] and gated["missing"] == gated["size"] > 2e10 and "Non-Commercial" in gated["licence"] and gated["page"].startswith("https://")
    total = planned[-1]["result"]
    assert (total["missing"], total["folder"]) == (sum(piece["size"] for piece in planned[:-1]), str(folder)) and total["free"] > 0
    *news, last = told("models", "download", "--yes", "--folder", folder, "--endpoint", hub.endpoint, "--add", "mine")
    assert last["result"] == {"folder": str(folder), "model": "mine", "missing": []}
    size = sum(len(data) for data in hub.files.values())
    assert news[-1]["done"] == news[-1]["total"] == size and all(set(line) == {"done", "total", "file"} for line in news)
    assert Library().entries()[0].missing() == ()
    after = told("models", "download", "--plan", "--folder", folder)
    assert after[-1]["result"]["missing"] == 0


def test_news_of_a_download_are_few(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = [100.0]
    monkeypatch.setattr(models_cli.time, "monotonic", lambda: clock[0])
    report = models_cli._news()
    for done in range(1, 1001):
        clock[0] += 0.01
        report(DownloadProgress("a", done, 1000))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert 38 <= len(lines) <= 42 and lines[-1]["done"] == 1000, "ten seconds, four a second"


def test_half_a_file_counts_in_a_plan(tmp_path: Path) -> None:
    (tmp_path / "ae.safetensors.0123.part").write_bytes(bytes(1000))
    piece, total = told("models", "download", "--plan", "--folder", tmp_path, "--piece", "autoencoder")
    assert piece["missing"] == piece["size"] - 1000 == total["result"]["missing"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("models", "remove", "nobody"), "There is no model 'nobody'"),
        (("models", "download"), "say --yes"),
        (("models", "download", "--yes", "--endpoint", "nowhere"), "is no address of a hub"),
    ],
)
def test_an_error_is_a_line_and_an_exit_code(words: tuple[str, ...], sentence: str) -> None:
    result = jointdit(*words, "--json")
    (line,) = result.stdout.splitlines()
    assert result.exit_code == 1 and sentence in json.loads(line)["error"]


def test_a_program_is_told_of_every_model(files: Path) -> None:
    found = told("models", "add", files / "unet", "--name", "mine")
    assert [line["finding"] for line in found[:-1]] == ["flux", "flux"] and not found[-1]["result"]["complete"]
    assert [piece["piece"] for piece in found[-1]["result"]["missing"]] == ["addons", "autoencoder", "clip", "t5"]
    told("models", "add", files)
    *lines, last = told("models", "list")
    assert last == {"result": {"models": 3}} and [line["model"] for line in lines] == 2 * ["embedded", "flux", "mine"]
    before, after = {line["model"]: line for line in lines[:3]}, {line["model"]: line for line in lines[3:]}
    assert all(not line["reason"] for line in before.values())
    assert after["flux"]["plan"] == "cpu" and "GiB" in after["flux"]["reason"] and after["flux"]["seconds"] > 0 and after["flux"]["side"] == 1024
    assert before["flux"]["size"] > 1e6 and "Non-Commercial" in before["flux"]["licence"] and after["flux"]["complete"]
    assert not after["embedded"]["own"] and after["mine"]["own"] and not after["mine"]["complete"] and after["mine"]["repair"] == "download-model"
    assert {piece["piece"]: piece["gated"] for piece in after["mine"]["missing"]}["addons"] is False
    assert told("models", "remove", "mine") == [{"result": {"model": "mine"}}]


def test_a_model_is_completed_piece_by_piece(files: Path) -> None:
    first = jointdit("models", "add", files / "unet", "--name", "mine")
    assert first.exit_code == 0 and "Missing: " in first.stdout and "models download" in first.stdout
    assert "mine lacks: " in jointdit("models", "list").stdout
    refused = jointdit("generate", "x", "--model", "mine")
    assert refused.exit_code == 1 and "lacks addons, autoencoder, clip, t5" in refused.stderr
    assert jointdit("doctor").exit_code == 1
    rest = jointdit("models", "add", files / "loras", files / "vae", files / "clip", "--name", "mine")
    assert "The model mine is complete" in rest.stdout


def test_files_that_move_or_change_are_noticed(files: Path) -> None:
    jointdit("models", "add", files)
    (files / "vae" / "d.safetensors").rename(files / "vae" / "moved.safetensors")
    with pytest.raises(CheckpointError, match="is not there any more"):
        Models().find("flux").load()
    tiny_files.write(tiny_files.flux_parts()["flux"], files / "vae" / "d.safetensors")
    with pytest.raises(CheckpointError, match="does not hold what it held"):
        Models().find("flux").load()
    assert jointdit("doctor").exit_code == 1  # a sentence, not a traceback


@pytest.mark.parametrize("name", ["embedded", "", "a/b", "-x", "x" * 80])
def test_names_that_cannot_be(files: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be called"):
        Library().add(name, find_pieces([files]))


def test_nothing_found_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_text("no weights")
    refused = jointdit("models", "add", tmp_path)
    assert refused.exit_code == 1 and "Nothing was found" in refused.stderr and "x.safetensors" in refused.stderr
    assert not Library().file.exists()


def test_a_damaged_list_is_said_and_kept(home: Path) -> None:
    home.mkdir()
    (home / "models.json").write_text("{")
    for command in (("models", "list"), ("generate", "x", "--model", "mine"), ("models", "remove", "x")):
        result = jointdit(*command)
        assert result.exit_code == 1 and "cannot be read" in result.output, result.output
    assert "list of models" in jointdit("doctor").stdout
    assert (home / "models.json").read_text() == "{"
    assert [model["name"] for model in Models().describe()] == ["embedded"]
    assert jointdit("generate", "a red house", "--steps", 1, "--output", home / "out").exit_code == 0  # the embedded model needs no list


def test_loras_on_the_command_line() -> None:
    from jointdit.cli import LoraFile

    convert = LoraFile().convert
    assert convert("a.safetensors", None, None) == Lora(Path("a.safetensors"))
    assert convert("a.safetensors:0.8", None, None) == Lora(Path("a.safetensors"), 0.8)
    assert convert("a.safetensors:-1:depth", None, None) == Lora(Path("a.safetensors"), -1.0, "depth")
    assert convert("a.safetensors:rgb", None, None) == Lora(Path("a.safetensors"), 1.0, "rgb")
    assert convert("C:\\loras\\a.safetensors:.5", None, None) == Lora(Path("C:\\loras\\a.safetensors"), 0.5)
    assert convert("C:\\loras\\a.safetensors", None, None) == Lora(Path("C:\\loras\\a.safetensors"))
    refused = jointdit("generate", "x", "--lora", "a.safetensors:99")
    assert refused.exit_code == 2 and "between -10 and 10" in refused.output


def test_an_entry_finds_its_weights(files: Path) -> None:
    entry = Library().add("mine", find_pieces([files]))
    assert {path.name for path in PiecesModel(entry).weights} == {"a.safetensors", "c.safetensors", "d.safetensors", "e.safetensors", "f.gguf"}
