# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit prepare` on small folders of real pictures, good and bad, with tiny models of the classes that people use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from filelock import FileLock
from frames import hills, make_frame
from jointdit import cli
from jointdit.errors import InputError
from jointdit.machine import device_named
from jointdit.models import Models
from jointdit.pictures import read_disparity
from jointdit.pipeline import JointDiTPipeline
from jointdit.preparing import captions, encoding, stages
from jointdit.preparing.bench import Bench
from jointdit.preparing.captions import captioner
from jointdit.preparing.depth_models import estimator
from jointdit.preparing.encoding import Encoders
from jointdit.preparing.journal import Journal
from jointdit.preparing.plan import Plan, Settings
from jointdit.preparing.run import prepare
from jointdit.preparing.sources import Source
from jointdit.training.prepared import PreparedSet
from PIL import Image
from tiny import tiny_pipeline
from tiny_transformers import tiny_blip, tiny_depth_model, tiny_llava

CPU = torch.device("cpu")
SIZE = 32

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models: `pipeline`, `depth`, `metric`, `llava`, `blip`."""
    folder = tmp_path_factory.mktemp("models")
    tiny_pipeline().save_pretrained(folder / "pipeline")
    tiny_depth_model(folder / "depth")
    tiny_depth_model(folder / "metric", "metric")
    tiny_llava(folder / "llava")
    tiny_blip(folder / "blip")
    return folder


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captioners of random weights never come to an end by themselves."""
    monkeypatch.setattr(captions, "LONGEST", 8)


def photograph(seed: int, width: int = 64, height: int = 64) -> Image.Image:
    """Squares of eight pixels in their own colors."""
    colors = np.random.default_rng(seed).integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    return Image.fromarray(colors.repeat(8, 0).repeat(8, 1)[:height, :width])


def raw_set(folder: Path) -> Path:
    """Good and bad pictures of every kind; seven are good where there is a captioner."""
    folder.mkdir()
    photograph(0, 96, 64).save(folder / "a.png")
    (folder / "a.txt").write_text("a wide picture", encoding="utf-8")
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:200])
    (folder / "text.jpg").write_text("no picture")
    photograph(1).convert("L").save(folder / "gray.png")
    photograph(2).convert("RGBA").save(folder / "glass.png")
    turned = Image.Exif()
    turned[0x112] = 6
    photograph(3, 96, 64).save(folder / "turned.jpg", exif=turned)
    photograph(4, 64, 24).save(folder / "small.png")
    photograph(5).save(folder / "empty.png")
    (folder / "empty.txt").touch()
    photograph(6).save(folder / "deep.webp")
    rows = np.arange(64.0)[:, None].repeat(64, 1)
    np.save(folder / "deep.depth.npy", np.where(rows < 20, np.inf, 80 - rows))
    photograph(7).save(folder / "known.png")
    np.save(folder / "known_disparity.npy", hills(32, 32))
    photograph(8).save(folder / "odd.png")
    (folder / "odd.disparity.exr").write_text("no map")
    make_frame(folder / "shots/one", hills(64, 48), prompt="soft hills")
    return folder


def settings(models: Path, raw: Path, target: Path, **changes: object) -> Settings:
    return Settings(
        **{
            "folder": raw, "output": target, "size": SIZE, "model": str(models / "pipeline"), "captioner": str(models / "llava"),
            "depth_model": str(models / "depth"), "shard_size": 3, "batch": 2, **changes,
        }
    )  # fmt: skip


def files_of(output: Path) -> dict[str, bytes]:
    """What makes a set, and the disparities that are kept beside it."""
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.suffix in (".safetensors", ".png", ".json")}


def test_a_folder_becomes_a_set(models: Path, tmp_path: Path) -> None:
    raw, notes = raw_set(tmp_path / "raw"), []
    summary = prepare(settings(models, raw, tmp_path / "set"), Models(), notes.append)
    opened = PreparedSet.open(tmp_path / "set")
    samples = opened.batch(range(len(opened)))
    assert samples.names == ["a.png", "deep.webp", "glass.png", "gray.png", "known.png", "shots/one/image.png", "turned.jpg"]
    assert summary.kept == 7 and [shard["count"] for shard in opened.description["shards"]] == [3, 3, 1]
    left_out = {one["file"]: one["why"] for one in opened.description["left_out"]}
    for file, reason in {
        "broken.png": "is damaged and cannot be read", "text.jpg": "is not a picture, whatever its name says", "empty.png": "The caption empty.txt is empty",
        "small.png": "its short side is below 32", "odd.png": "odd.disparity.exr is not an EXR file",
    }.items():  # fmt: skip
        assert reason in left_out.pop(file) and any(note.startswith(f"{file} is left out. ") for note in notes)
    assert not left_out and notes[5:] == ["7 of 7 captions are longer than the model reads; their ends are not used."]

    # The latents are those of the pipeline for the crops, written down here in another way.
    pipeline = JointDiTPipeline.from_pretrained(models / "pipeline")
    wide = photograph(0, 96, 64).resize((48, SIZE), Image.Resampling.LANCZOS).crop((8, 0, 40, SIZE))
    turned = Image.open(raw / "turned.jpg").transpose(Image.Transpose.ROTATE_270).resize((SIZE, 48), Image.Resampling.LANCZOS).crop((0, 8, SIZE, 40))
    for name, picture in {"a.png": wide, "turned.jpg": turned}.items():
        with torch.no_grad():
            expected = pipeline.encode_image(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255)[0]
        row = samples.names.index(name)
        assert torch.allclose(samples.rgb[row].float(), expected, atol=0.01 * expected.abs().max().item())
    with torch.no_grad():
        expected = pipeline.encode_disparity(torch.from_numpy(hills(32, 32))[None])[0]
    assert torch.allclose(samples.depth[4].float(), expected, atol=0.01 * expected.abs().max().item())
    # Text: what lies beside, the frame's prompt, and the captioner's words; bfloat16 of the pipeline's.
    assert samples.captions[0] == "a wide picture" and samples.captions[5] == "soft hills"
    words = captioner(str(models / "llava"), None, CPU)([np.array(photograph(1).convert("L").convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS))])
    assert samples.captions[3] == words[0]
    with torch.no_grad():
        tokens, pooled = pipeline.encode_prompt([samples.captions[0], " "])
    assert samples.tokens is not None and samples.pooled is not None
    assert torch.allclose(samples.tokens[0].float(), tokens[0], atol=0.02) and torch.allclose(opened.empty()[1].float(), pooled[1:], atol=0.02)
    opened.refuse_other_model(pipeline)
    # The sky of deep.webp is the estimate's, the rest true: 1 / depth up to scale and shift.
    kept = read_disparity(tmp_path / "set/preparing/disparities/deep.png")
    truth = (1 / (80 - np.arange(64.0))).reshape(SIZE, 2).mean(axis=1)[10:]
    assert np.corrcoef(kept[10:, 5], truth)[0, 1] > 1 - 1e-6 and kept.min() == 0 and kept.max() == 1
    guess = estimator(str(models / "depth"), "", Models(), CPU, SIZE)([np.array(photograph(6).resize((SIZE, SIZE), Image.Resampling.LANCZOS))])[0]
    assert np.corrcoef(kept[:10].ravel(), guess[:10].ravel())[0, 1] > 0.99

    # The same command again has nothing to do, and says the same; another option is refused.
    before = files_of(tmp_path / "set")
    assert prepare(settings(models, raw, tmp_path / "set"), Models()) == summary and files_of(tmp_path / "set") == before
    for changes, told in (
        ({"size": 48}, "with --size 32, and now it is --size 48"),
        ({"captioner": None}, "now it is no --captioner"),
        ({"shard_size": 4}, "--shard-size 3, and now it is --shard-size 4"),
        ({"text_embeddings": False}, "with --text-embeddings, and now it is --no-text-embeddings"),
        ({"ground_truth_only": True}, "with no --ground-truth-only, and now it is --ground-truth-only"),
    ):
        with pytest.raises(InputError, match=told):
            prepare(settings(models, raw, tmp_path / "set", **changes), Models())
    (raw / "new.png").write_bytes((raw / "a.png").read_bytes())
    with pytest.raises(InputError, match=r"1 files of .* were changed, added or removed .* such as new\.png"):
        prepare(settings(models, raw, tmp_path / "set"), Models())


def test_own_model_other_captioner_and_captions_alone(models: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in range(3):
        photograph(number, 40, 48).save(raw / f"{number}.png")
    photograph(3, 16, 16).save(raw / "3.png")
    own = {"depth_model": "jointdit", "captioner": str(models / "blip"), "text_embeddings": False, "allow_enlarging": True, "limit": 4}
    prepare(settings(models, raw, tmp_path / "set", **own), Models())
    opened = PreparedSet.open(tmp_path / "set")
    assert len(opened) == 4 and not opened.precomputed and not (tmp_path / "set/empty.safetensors").exists()
    assert all(set(caption.split()) <= {"a", "red", "cube", "on", "the", "hill"} and caption for caption in opened.batch(range(4)).captions)
    crop = photograph(1, 40, 48).resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=(0, 4, 40, 44))
    pipeline = JointDiTPipeline.from_pretrained(models / "pipeline")
    guess = pipeline(image=crop, task="image_to_depth", generator=torch.Generator().manual_seed(0), output_type="np").disparity[0]
    kept = read_disparity(tmp_path / "set/preparing/disparities/1.png")
    assert np.abs(kept - (guess - guess.min()) / (guess.max() - guess.min())).max() < 1e-4
    # The model that stands for "jointdit" is remembered, too.
    with pytest.raises(InputError, match=r"was begun with --depth-model .*pipeline, and now it is --depth-model embedded"):
        prepare(settings(models, raw, tmp_path / "set", **own, model="embedded"), Models())


def test_models_that_give_meters(models: Path) -> None:
    """A metric model's answer is turned round: what is nearest is highest."""
    from transformers import pipeline

    picture = photograph(0, SIZE, SIZE)
    meters = pipeline("depth-estimation", model=str(models / "metric"))(picture)["predicted_depth"].numpy()
    assert meters.std() > 1e-4
    assert estimator(str(models / "metric"), "", Models(), CPU, SIZE)([np.asarray(picture)])[0] == pytest.approx(1 / meters, rel=1e-5)


def test_encoders_that_do_not_fit_the_card_visit_it(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, disparities, words = [np.asarray(photograph(0, SIZE, SIZE))], [hills(SIZE, SIZE)], ["a red cube", "a hill", "a red cube"]
    stay = Encoders(str(models / "pipeline"), Models(), CPU)
    monkeypatch.setattr(encoding, "_fits", lambda *_: False)
    visit = Encoders(str(models / "pipeline"), Models(), CPU)
    for one, other in ((stay.latents(pictures, disparities), visit.latents(pictures, disparities)), (stay.text(words, 2), visit.text(words, 2))):
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(stay.text(words, 2)["tokens"][0], stay.text(words, 2)["tokens"][2])


def test_running_out_of_memory_is_said(models: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Encoders, "latents", full)
    with pytest.raises(InputError, match=r"The memory ran out.*smaller --batch"):
        prepare(settings(models, plain, tmp_path / "set", captioner=None, captions="none"), Models())


# With no captions, no models, nothing to use


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Two pictures with their disparities and nothing else."""
    (tmp_path / "plain").mkdir()
    for name in "ab":
        photograph(ord(name)).save(tmp_path / f"plain/{name}.png")
        np.save(tmp_path / f"plain/{name}.disparity.npy", hills(64, 64))
    return tmp_path / "plain"


def command(*words: object) -> Result:
    return CliRunner().invoke(cli.main, ["prepare", *map(str, words)])


def test_without_captions_the_command_says_what_to_do(models: Path, plain: Path, tmp_path: Path) -> None:
    words = plain, "--output", tmp_path / "set", "--size", SIZE, "--model", models / "pipeline"
    report = command(*words)
    assert report.exit_code == 1 and "Traceback" not in report.output
    assert "have no captions. Write each beside its picture as NAME.txt, let a model write them with --captioner MODEL" in report.stderr
    # What is asked for then is not refused, although the set was begun.
    (plain / "a.txt").write_text("a", encoding="utf-8")
    report = command(*words[:2], tmp_path / "other", *words[3:])
    assert report.exit_code == 0, report.output
    assert report.stdout == f"The training set {tmp_path / 'other'} holds 1 picture, 1 left out.\n"
    assert "Note: b.png is left out. It has no caption." in report.stderr
    (plain / "a.txt").unlink()  # a change of the files, too, is none as long as they were only looked at
    report = command(*words, "--captioner", models / "gone")
    assert report.exit_code == 1 and "The captioner" in report.stderr and "cannot be loaded" in report.stderr and "--captioner" in report.stderr
    report = command(*words, "--captioner", models / "blip")
    assert report.exit_code == 0 and report.stdout.startswith(f"The training set {tmp_path / 'set'} holds 2 pictures.")
    report = command(*words[:2], tmp_path / "silent", *words[3:], "--captions", "none")
    assert report.exit_code == 0
    silent = PreparedSet.open(tmp_path / "silent")
    samples = silent.batch([0, 1])
    assert samples.captions == [" ", " "] and samples.tokens is not None and torch.equal(samples.tokens[1], silent.empty()[0][0])


def test_what_cannot_be_done_is_said(models: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(reason: str, **changes: object) -> None:
        with pytest.raises(InputError, match=reason):
            prepare(settings(models, plain, tmp_path / "set", **changes), Models())

    refused("multiple of 16", size=40)
    refused("--batch must be at least 1", batch=0)
    refused("Leave one of them out", captions="none")
    with pytest.raises(InputError, match="There is no folder"):
        prepare(settings(models, tmp_path / "gone", tmp_path / "set"), Models())
    refused("There is no model 'gone'", model="gone")
    if not torch.cuda.is_available():
        refused("There is no device cuda here", device="cuda")
    refused("None of the 2 pictures .* can be used. The first one: It has 64 x 64 pixels", size=128)
    with pytest.raises(InputError, match=r"cannot lie in .*plain itself"):
        prepare(settings(models, plain, plain / ".." / "plain"), Models())
    (tmp_path / "set").mkdir(exist_ok=True)
    with FileLock(tmp_path / "set/.preparing.lock"):
        refused("Another program is preparing")
    (tmp_path / "done").mkdir()
    (tmp_path / "done/set.json").write_text("{}")
    with pytest.raises(InputError, match="holds a finished training set already"):
        prepare(settings(models, plain, tmp_path / "done"), Models())
    for path in plain.glob("*.npy"):
        path.unlink()
    refused("The depth model .*gone cannot be loaded", depth_model=str(models / "gone"))
    monkeypatch.setattr(stages, "captioner", lambda *_: lambda pictures: ["", "something"])
    prepare(settings(models, plain, tmp_path / "y"), Models())
    made = PreparedSet.open(tmp_path / "y")
    assert made.batch([0]).captions == ["something"] and "nothing to say" in made.description["left_out"][0]["why"]


@pytest.mark.parametrize("content", ["[1]", '{"shards": 3}', "3", "null", "{"])
def test_notes_of_another_shape_are_damaged(tmp_path: Path, content: str) -> None:
    (tmp_path / "preparing").mkdir()
    (tmp_path / "preparing/plan.json").write_text(content)
    with pytest.raises(InputError, match=r"plan\.json is damaged .* choose another --output"):
        Plan(tmp_path)


def test_disparities_of_names_that_differ_in_case_are_two_files(models: Path, tmp_path: Path) -> None:
    bench = Bench(settings(models, tmp_path, tmp_path / "set"), Models(), CPU, Plan(tmp_path / "set"), print)
    names = "p1", "P1", "a/p1", "A/p1", "a/P1"
    files = [bench.disparity_file(Source(name, tmp_path / f"{name}.png")) for name in names]
    assert len({os.fspath(file).casefold() for file in files}) == len(names)
    assert files[0].name == "p1.png" and files[1].name.startswith("P1-")


def test_devices_by_their_names() -> None:
    assert device_named("cpu") == CPU and device_named("auto") == device_named(None)
    for name in ("foo", "", "meta", "cuda:99", "cuda:300", "cuda:-1", "CPU"):
        with pytest.raises(InputError, match=f"There is no device {name} here. Choose --device auto"):
            device_named(name)


# Ended at any moment


DRIVER = """
import os, signal, sys
from pathlib import Path
from jointdit.models import Models
from jointdit.preparing import captions
from jointdit.preparing.plan import Settings
from jointdit.preparing.run import prepare
import diffusers, transformers, jointdit.pipeline
from transformers import DepthAnythingForDepthEstimation, DPTImageProcessorPil, LlavaForConditionalGeneration, LlavaProcessor, pipeline

captions.LONGEST = 8

def child(output, events):
    left = [events]
    def watch(event, arguments):
        writes = event == "os.rename" or event == "open" and not isinstance(arguments[0], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes and str(output) in os.fsdecode(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    if events:
        sys.addaudithook(watch)
    prepare(Settings(output=output, **SETTINGS), Models())

def run(output, events):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            child(output, events)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

print("straight", run(Path(sys.argv[1]) / "straight", 0), flush=True)
for events in map(int, sys.argv[2:]):
    codes = []
    while not codes or codes[-1] != 0 and len(codes) < 60:
        codes.append(run(Path(sys.argv[1]) / f"pieces-{events}", events))
    print(events, *codes, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks, so that the libraries are loaded once")
def test_killed_again_and_again_it_makes_the_same_set(models: Path, tmp_path: Path) -> None:
    """Each piece is a process of its own that SIGKILL ends before the n-th time it opens or renames a file of the set."""
    raw = raw_set(tmp_path / "raw")
    chosen = settings(models, raw, tmp_path)
    plain = {name: Path(value) if isinstance(value, Path) else value for name, value in vars(chosen).items() if name != "output"}
    program = "from pathlib import *\nimport torch\ntorch.set_num_threads(1)\n" + DRIVER.replace("SETTINGS", repr(plain))
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path), "17"], capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines and lines[0] == ["straight", "0"], done.stderr
    for events, *codes in lines[1:]:
        assert codes[-1] == "0" and len(codes) > 2 and set(codes[:-1]) == {"-9"}, (events, codes, done.stderr[-2000:])
        made, expected = files_of(tmp_path / f"pieces-{events}"), files_of(tmp_path / "straight")
        assert set(made) == set(expected)
        assert [name for name in expected if made[name] != expected[name]] == []
    assert len(lines) == 2 and "shard-00002.safetensors" in files_of(tmp_path / "straight")


def test_a_line_that_was_not_finished_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "work/x.jsonl")
    journal.add([{"name": "a", "why": "\u00e4"}, {"name": "b"}])
    with (tmp_path / "work/x.jsonl").open("ab") as file:
        file.write(b'{"name": "c", "wh')
    again = Journal(tmp_path / "work/x.jsonl")
    assert "c" not in again and again["a"]["why"] == "\u00e4"
    again.add([{"name": "c", "why": "x"}])
    assert [json.loads(line)["name"] for line in (tmp_path / "work/x.jsonl").read_text().splitlines()] == ["a", "b", "c"]
    (tmp_path / "work/x.jsonl").write_bytes(b"{}\n")
    with pytest.raises(InputError, match="is damaged"):
        Journal(tmp_path / "work/x.jsonl")
