# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rankings by a preference model: ranks and intervals worked out by hand, scores of CLIP models whose answers are known. Nothing is downloaded."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from frames import gradient, hills, make_frame
from jointdit import cli
from jointdit.errors import InputError
from jointdit.evaluation import preference, ranking
from jointdit.evaluation.preference import clip_scorer, scorer_of
from jointdit.evaluation.ranking import Scores, duel, rank, read_scores, titled
from jointdit.weights.tokenizers import clip_tokenizer
from PIL import Image
from transformers import BertConfig, CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor

# Ranks


def silent(sentence: str) -> None:
    raise AssertionError(sentence)


def scores(**methods: Sequence[float]) -> Scores:
    """By the numbers of the prompts."""
    return {method: {str(number): value for number, value in enumerate(values)} for method, values in methods.items()}


def test_ranks_by_hand() -> None:
    # Ranks on the four prompts: ours 1 1 2 3, theirs 2 3 1 2, base 3 2 3 1.
    ranked = rank(scores(ours=(3, 9, 0.5, -2), theirs=(2, 7, 0.9, -1), base=(1, 8, 0.1, 5)), silent)
    assert ranked.pictures == ("0", "1", "2", "3")
    assert ranked.shares == {"ours": (0.5, 0.25, 0.25), "theirs": (0.25, 0.5, 0.25), "base": (0.25, 0.25, 0.5)}
    assert ranked.mean_ranks == {"ours": 1.75, "theirs": 2.0, "base": 2.25}
    assert ranked.mean_scores == {"ours": pytest.approx(10.5 / 4), "theirs": pytest.approx(8.9 / 4), "base": pytest.approx(14.1 / 4)}
    assert [(one.first, one.second, one.wins, one.losses, one.ties) for one in ranked.duels] == [
        ("ours", "theirs", 2, 2, 0), ("ours", "base", 3, 1, 0), ("theirs", "base", 2, 2, 0),
    ]  # fmt: skip


def test_equal_scores_share_their_ranks() -> None:
    # On the first prompt a and b share the ranks 1 and 2; on the second all three share all ranks.
    ranked = rank(scores(a=(1, 4), b=(1, 4), c=(0, 4)), silent)
    third = 1 / 3
    assert ranked.shares["a"] == ranked.shares["b"] == pytest.approx(((0.5 + third) / 2, (0.5 + third) / 2, third / 2))
    assert ranked.shares["c"] == pytest.approx((third / 2, third / 2, (1 + third) / 2))
    assert [sum(column) for column in zip(*ranked.shares.values(), strict=True)] == pytest.approx([1, 1, 1])
    assert ranked.mean_ranks == {"a": 1.75, "b": 1.75, "c": 2.5}
    assert ranked.duels[0].ties == 2 and ranked.duels[0].rate is None
    assert "| a | b | - | - | 0 | 2 | - |" in ranking.as_table(ranked)


def test_a_bar_in_a_name_does_not_end_its_cell() -> None:
    lines = ranking.as_table(rank({"a|b": {"x": 2, "y": 1}, "c": {"x": 1, "y": 1}}, silent)).splitlines()
    assert lines[2].startswith(r"| a\|b |") and lines[-1].startswith(r"| a\|b | c |")
    assert all(line.replace(r"\|", "").count("|") == 6 for line in lines[:4])


def test_pairs_with_their_interval() -> None:
    one = duel("a", "b", torch.tensor([1.0] * 8 + [0] * 2 + [5] * 3).numpy(), torch.tensor([0.0] * 8 + [1] * 2 + [5] * 3).numpy())
    assert (one.wins, one.losses, one.ties, one.rate) == (8, 2, 3, 0.8)
    # Wilson's interval of 8 of 10, and the sign test: 2 (1 + 10 + 45) / 2^10.
    z, n, share = 1.959963984540054, 10, 0.8
    middle, half = (share + z**2 / (2 * n)) / (1 + z**2 / n), z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert (one.low, one.high) == (pytest.approx(middle - half), pytest.approx(middle + half))
    assert one.p == pytest.approx(112 / 1024)


def test_what_one_method_lacks_is_left_out_and_told() -> None:
    told: list[str] = []
    ranked = rank({"a": {"x": 1, "y": 2, "z": 3}, "b": {"x": 2, "y": 1, "w": 5}}, told.append)
    assert ranked.pictures == ("x", "y") and ranked.mean_ranks == {"a": 1.5, "b": 1.5}
    assert told == ["w is left out: no score of it by a.", "z is left out: no score of it by b."]
    with pytest.raises(InputError, match="no score of one name by all methods"):
        rank({"a": {"x": 1}, "b": {"y": 1}}, told.append)


# CLIP models


def common(**more: int) -> dict[str, int]:
    return {"hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, **more}


def save_clip(folder: Path, change: Callable[[CLIPModel], None] = lambda model: None) -> CLIPModel:
    """A tiny CLIP with its processor in a folder; `change` is made to its random weights first."""
    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    text = common(vocab_size=len(tokenizer), max_position_embeddings=12, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=common(image_size=8, patch_size=4), projection_dim=4)).eval()
    with torch.no_grad():
        change(model)
    model.save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8}), tokenizer).save_pretrained(folder)
    return model


FIRST, SECOND = torch.tensor([1.0, -1, 1, -1]), torch.tensor([1.0, 1, -1, -1])
"""Orthogonal, and left alone by a layer norm."""


def of_known_angles(model: CLIPModel) -> None:
    """Layers that change nothing: a picture's feature is `FIRST` throughout, a prompt's turns away from it with the prompt's length."""
    for name, weight in model.named_parameters():
        weight.zero_() if "norm" not in name else weight.fill_("weight" in name)
    model.visual_projection.weight.copy_(torch.eye(4))
    model.text_projection.weight.copy_(torch.eye(4))
    model.vision_model.embeddings.class_embedding.copy_(FIRST)
    # The end of the text stands after the start and the words.
    places = model.text_model.embeddings.position_embedding.weight
    places[2], places[3], places[4] = FIRST, 0.6 * FIRST + 0.8 * SECOND, SECOND
    model.logit_scale.fill_(torch.tensor(100.0).log())


def pictures(*colors: str) -> list[Image.Image]:
    return [Image.new("RGB", (10 + 6 * number, 12), color) for number, color in enumerate(colors)]


def test_the_score_is_the_scaled_cosine(tmp_path: Path, one_thread: None) -> None:
    save_clip(tmp_path, of_known_angles)
    score = clip_scorer(str(tmp_path))
    # The shorter prompts are padded beside the longest one, which must make no difference.
    assert score(["cube", "red cube", "a red cube"], pictures("red", "green", "blue")) == pytest.approx([100, 60, 0], abs=1e-3)
    assert score(["red cube"], pictures("red")) == pytest.approx([60], abs=1e-3)


def test_each_picture_is_scored_for_its_own_prompt(tmp_path: Path, one_thread: None) -> None:
    model = save_clip(tmp_path)
    processor = CLIPProcessor.from_pretrained(tmp_path)
    shown, prompts = pictures("red", "teal"), ["a red cube", "a house by the sea"]
    with torch.no_grad():
        image = model.get_image_features(**processor(images=shown, return_tensors="pt")).pooler_output
        text = torch.cat([model.get_text_features(**processor(text=[one], return_tensors="pt")).pooler_output for one in prompts])
        expected = model.logit_scale.exp() * torch.nn.functional.cosine_similarity(image, text)
    assert clip_scorer(str(tmp_path))(prompts, shown) == pytest.approx(expected.tolist(), abs=1e-4)
    assert abs(float(expected[0] - expected[1])) > 1e-3  # neither alone would do
    # Longer than the model reads: cut off, no error.
    assert len(clip_scorer(str(tmp_path))(["a red cube " * 20], shown[:1])) == 1


def test_models_that_cannot_score(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The preference model .* cannot be loaded \(.*connect to the internet once"):
        clip_scorer(str(tmp_path))
    BertConfig().save_pretrained(tmp_path / "bert")
    with pytest.raises(InputError, match="of the kind bert, but preference is scored by CLIP models"):
        clip_scorer(str(tmp_path / "bert"))
    from safetensors.torch import load_file, save_file

    save_clip(tmp_path / "half")
    weights = {name: tensor for name, tensor in load_file(tmp_path / "half/model.safetensors").items() if "visual_projection" not in name}
    save_file(weights, tmp_path / "half/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="lacks 1 of its weights"):
        clip_scorer(str(tmp_path / "half"))


# ImageReward, whose package has its own ideas of what else is installed


def package(folder: Path, text: str) -> None:
    (folder / "ImageReward").mkdir()
    (folder / "ImageReward/__init__.py").write_text(text)
    importlib.invalidate_caches()


@pytest.fixture
def nothing_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delitem(sys.modules, "ImageReward", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_image_reward_by_its_package(nothing_imported: Path) -> None:
    package(
        nothing_imported,
        "class Model:\n    def score(self, prompt, image):\n        return len(prompt) + image.width\n"
        "def load(name, device):\n    assert name == 'ImageReward-v1.0'\n    return Model()\n",
    )
    assert scorer_of("imagereward")(["a", "abc"], pictures("red", "blue")) == [11, 19]


def test_without_a_package_that_works(nothing_imported: Path) -> None:
    with pytest.raises(InputError, match=r"ImageReward is not installed here .* --scores"):
        scorer_of("imagereward")
    package(nothing_imported, "raise ImportError(\"cannot import name 'apply_chunking_to_forward' from 'transformers.modeling_utils'\")\n")
    with pytest.raises(InputError, match=r"does not work here \(cannot import name 'apply_chunking_to_forward'.* older transformers .* --scores"):
        scorer_of("imagereward")


# Folders


def test_methods_are_called_by_what_tells_them_apart(tmp_path: Path) -> None:
    for name in ("ours/out", "theirs/out", "base"):
        (tmp_path / name).mkdir(parents=True)
    assert list(titled([tmp_path / "ours/out", tmp_path / "base"])) == ["out", "base"]
    assert list(titled([tmp_path / "ours/out", tmp_path / "theirs/out"])) == ["ours/out", "theirs/out"]
    with pytest.raises(InputError, match="at least two folders"):
        titled([tmp_path / "base"])
    with pytest.raises(InputError, match="same folder was given twice"):
        titled([tmp_path / "base", tmp_path / "ours/../base"])


def redness(prompts: Sequence[str], images: Sequence[Image.Image]) -> list[float]:
    """A picture's red, doubled for prompts that say so."""
    return [image.getpixel((0, 0))[0] * (2.0 if "very" in prompt else 1.0) for prompt, image in zip(prompts, images, strict=True)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two methods with four pictures each; one of theirs is damaged, and each has one that the other has not."""
    monkeypatch.setattr(preference, "scorer_of", lambda name: redness)
    for method, reds in {"ours": (10, 20, 30, 40), "theirs": (9, 20, 31, 10)}.items():
        (tmp_path / method).mkdir()
        for number, red in enumerate(reds):
            Image.new("RGB", (4, 4), (red, 0, 0)).save(tmp_path / method / f"image_{number}.png")
    (tmp_path / "theirs/image_3.png").write_bytes(b"no")
    (tmp_path / "ours/image_3.png").rename(tmp_path / "ours/3.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "ours/extra.png")
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.main, ["evaluate", "ranking", *map(str, words)])


def test_one_command_ranks_folders(folder: Path) -> None:
    prompts = folder / "prompts.json"
    prompts.write_text(json.dumps({"0": "red", "1": "red", "2": "very red", "3": "red"}))
    report = run(folder / "ours", folder / "theirs", "--prompts", prompts, "--json", folder / "figures.json")
    assert report.exit_code == 0, report.output
    # 10 over 9, 20 like 20, 60 under 62.
    assert "| 3 prompts | rank 1 % | rank 2 % | mean rank | mean score |" in report.stdout
    assert "| ours | 50.00 | 50.00 | 1.50 | 30.000 |" in report.stdout and "| theirs | 50.00 | 50.00 | 1.50 | 30.333 |" in report.stdout
    assert "| ours | theirs | 50.0 | 9.5 to 90.5 | 2 | 1 | 1 |" in report.stdout
    assert "extra is left out: no picture of it by theirs." in report.stderr
    assert "3 by theirs cannot be scored. image_3.png is not a picture" in report.stderr and "3 is left out: no score of it by theirs." in report.stderr
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["scorer"] == "pickscore" and figures["prompts"] == 3 and len(figures["left_out"]) == 3
    assert figures["scores"]["2"] == {"ours": 60, "theirs": 62} and figures["pairs"][0]["ties"] == 1
    assert figures["methods"]["ours"] == {"rank_shares": [0.5, 0.5], "mean_rank": 1.5, "mean_score": 30}
    # The scores as another program would give them lead to the same table.
    own = {method: {name: both[method] for name, both in figures["scores"].items()} for method in ("ours", "theirs")}
    (folder / "scores.json").write_text(json.dumps(own))
    assert run("--scores", folder / "scores.json").stdout == report.stdout


def test_frame_folders_bring_their_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preference, "scorer_of", lambda name: redness)
    for method, red in (("a", 5), ("b", 4)):
        rgb = gradient(16, 16)
        rgb[..., 0] = red
        make_frame(tmp_path / method / "one", hills(16, 16), rgb=rgb, prompt="red")
        make_frame(tmp_path / method / "two", hills(16, 16), rgb=rgb, prompt=f"red {method}")
        make_frame(tmp_path / method / "three", hills(16, 16), rgb=rgb, prompt=" ")
    report = run(tmp_path / "a", tmp_path / "b")
    assert report.exit_code == 0, report.output
    assert "| 1 prompt |" in report.stdout and "| a | 100.00 | 0.00 | 1.00 | 5.000 |" in report.stdout
    assert "two is left out: its frame folders were made from different prompts." in report.stderr
    assert "three is left out: it has no prompt." in report.stderr


def test_what_cannot_be_ranked_is_a_sentence(folder: Path) -> None:
    assert "Give either the folders of the methods, or scores" in run().stderr
    assert "at least two folders" in run(folder / "ours").stderr
    assert "Give the prompts with --prompts FILE" in run(folder / "ours", folder / "theirs").stderr
    assert "There is no folder" in run(folder / "ours", folder / "nowhere").stderr
    (folder / "other").mkdir()
    Image.new("RGB", (4, 4)).save(folder / "other/kitchen.png")
    assert "There is no picture of one name by all methods" in run(folder / "ours", folder / "other").stderr


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1, "b": {}}', '{"a": {"x": "1"}, "b": {}}', '{"a": {"x": NaN}, "b": {"x": 1}}', '{"a": {"x": 1}}'])
def test_scores_that_make_no_sense(tmp_path: Path, content: str) -> None:
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(InputError, match=r"scores\.json"):
        read_scores(tmp_path / "scores.json")


def test_a_score_that_is_no_number_counts_for_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(prompts: Sequence[str], images: Sequence[Image.Image]) -> list[Any]:
        return [float("nan") if value == 10 else value for value in redness(prompts, images)]

    monkeypatch.setattr(preference, "scorer_of", lambda name: broken)
    (folder / "prompts.txt").write_text("red\n" * 5)
    report = run(folder / "ours", folder / "theirs", "--prompts", folder / "prompts.txt")
    assert "| 2 prompts |" in report.stdout and "0 by ours cannot be scored. The model gives no finite number." in report.stderr
