# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of pictures through the libraries, with small networks whose scores are known in closed form. Nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from math import exp, log
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from frames import gradient, hills, make_frame
from jointdit import cli
from jointdit.errors import InputError
from jointdit.evaluation import images
from jointdit.evaluation.images import batches, clip_score, frechet_distance, inception_score, measure, read_prompts
from PIL import Image

# Pictures of one colour, and networks that look at its first two channels


def picture(red: int, green: int = 0, size: tuple[int, int] = (4, 4)) -> torch.Tensor:
    """(1, 3, H, W) uint8."""
    return torch.tensor([red, green, 7], dtype=torch.uint8)[None, :, None, None].expand(1, 3, *size)


class Colors(torch.nn.Module):
    """Red and green as two features."""

    num_features = 2

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        assert pictures.dtype == torch.uint8
        return pictures[:, :2].double().mean(dim=(2, 3))


class Classes(torch.nn.Module):
    """Sure that a picture is of the class that is its red."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return 60.0 * torch.nn.functional.one_hot(pictures[:, 0, 0, 0].long(), 5).float()


class Clip(torch.nn.Module):
    """Red and green are a picture's features, the word's two digits a prompt's; answers as transformers 5 does."""

    config = SimpleNamespace()

    def get_image_features(self, pixels: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(pooler_output=pixels)

    def get_text_features(self, tokens: torch.Tensor, attended: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(pooler_output=tokens.float())


def clip_processor(text: list[str] | None = None, images: list[torch.Tensor] | None = None, **_: Any) -> dict[str, torch.Tensor]:
    if images is not None:
        return {"pixel_values": torch.stack([one[:2, 0, 0].float() for one in images])}
    tokens = torch.tensor([[int(digit) for digit in word] for word in text])
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


def clip() -> tuple[Clip, Any]:
    return Clip(), clip_processor


# FID


def cross(red: int, green: int, along: tuple[int, int], across: tuple[int, int]) -> list[torch.Tensor]:
    """Four pictures around a colour: two along each of two directions."""
    return [picture(red + sign * step[0], green + sign * step[1]) for step in (along, across) for sign in (1, -1)]


def test_fid_of_gaussians_in_closed_form() -> None:
    # Of Gaussians with common axes FID is |mean - mean|^2 + sum of (deviation - deviation)^2. Four points at ±a, ±b on their axes have the variances
    # 2 a^2 / 3 and 2 b^2 / 3 (three for four, as samples have).
    real = cross(100, 100, (30, 0), (0, 12))
    assert frechet_distance(real, real, Colors()) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(cross(104, 103, (30, 0), (0, 12)), real, Colors()) == pytest.approx(25)
    assert frechet_distance(cross(104, 103, (60, 0), (0, 12)), real, Colors()) == pytest.approx(25 + 2 / 3 * 30**2)
    # The same with axes at 45 degrees, where red and green go together: the lengths of the steps are sqrt(2) times 30, 60 and 12.
    real = cross(100, 100, (30, 30), (12, -12))
    assert frechet_distance(cross(104, 103, (60, 60), (12, -12)), real, Colors()) == pytest.approx(25 + 2 / 3 * 2 * 30**2)


def test_fid_needs_two_of_each() -> None:
    with pytest.raises(InputError, match="at least two that can be read on each side"):
        frechet_distance([picture(1)], [picture(1), picture(2)], Colors())


# Inception score


def test_inception_score_of_sure_guesses() -> None:
    def score(classes: Iterable[int], splits: int = 1) -> tuple[float, float]:
        return inception_score([picture(one) for one in classes], Classes(), splits)

    # exp of the entropy of the classes: all alike 1, all different as many as there are.
    assert score([2] * 8) == (pytest.approx(1), 0)
    assert score([0, 1, 2, 3, 4] * 4) == (pytest.approx(5, rel=1e-5), 0)
    assert score([0, 0, 0, 1] * 4)[0] == pytest.approx(exp(-0.75 * log(0.75) - 0.25 * log(0.25)), rel=1e-5)
    # Parts of one picture each, also where there are fewer pictures than parts.
    assert score([0, 1, 2, 3, 4], 10) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    assert score([3], 10) == (pytest.approx(1), 0)


def test_inception_score_is_the_same_each_time_and_leaves_chance_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    first = inception_score([picture(one % 5) for one in range(20)], Classes(), 2)
    assert torch.equal(torch.rand(3), expected)
    assert inception_score([picture(one % 5) for one in range(20)], Classes(), 2) == first and first[0] < 5
    with pytest.raises(InputError, match="no picture"):
        inception_score([], Classes())


# CLIP score


def test_clip_score_is_a_hundred_cosines() -> None:
    pictures = [(picture(3, 4), ["34"]), (torch.cat([picture(3, 4), picture(4, 3)]), ["10", "01"])]
    assert clip_score(pictures, clip) == pytest.approx(100 * (1 + 0.6 + 0.6) / 3)
    with pytest.raises(InputError, match="--prompts FILE"):
        clip_score([], clip)


def test_clip_score_of_a_model_of_transformers() -> None:
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    common = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**common, "vocab_size": 20, "max_position_embeddings": 8, "bos_token_id": 18, "eos_token_id": 19}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config={**common, "image_size": 8, "patch_size": 4}, projection_dim=8)).eval()
    pixels, tokens = torch.rand(2, 3, 8, 8), torch.tensor([[18, 3, 4, 19], [18, 5, 6, 19]])

    def processor(text: list[str] | None = None, images: list[torch.Tensor] | None = None, **_: Any) -> dict[str, torch.Tensor]:
        return {"pixel_values": pixels} if images is not None else {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}

    with torch.no_grad():
        answer = model(input_ids=tokens, pixel_values=pixels, attention_mask=torch.ones_like(tokens))
    expected = 100 * float((answer.image_embeds * answer.text_embeds).sum(dim=-1).mean())  # both are of length 1
    assert expected > 1
    assert clip_score([(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), ["a", "b"])], lambda: (model, processor)) == pytest.approx(expected, abs=1e-4)


# What goes wrong with libraries and downloads


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    monkeypatch.setattr("torchmetrics.image.inception._TORCH_FIDELITY_AVAILABLE", False)
    for call in (partial(frechet_distance, [], []), partial(inception_score, [])):
        with pytest.raises(InputError, match=r'need the extra "evaluate"\. Install it: pip install'):
            call()


def test_without_the_internet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(**_: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr("torchmetrics.image.fid.FrechetInceptionDistance", offline)
    with pytest.raises(InputError, match=r"The Inception network cannot be loaded \(.*not known.*connect to the internet once"):
        frechet_distance([], [])
    with pytest.raises(InputError, match=r"The CLIP model .* cannot be loaded \("):
        clip_score([], str(tmp_path))


def test_libraries_that_do_not_fit() -> None:
    with pytest.raises(InputError, match=r"do not fit together \(operator torchvision::nms does not exist\)"), images._importing():
        raise RuntimeError("operator torchvision::nms does not exist\nand more")


# Folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures `0` to `7` of two sizes, the red of each half of its number; and one that is none."""
    (tmp_path / "made").mkdir()
    for number in range(8):
        Image.new("RGB", (6 if number < 5 else 4, 4), (number // 2, 1, 0)).save(tmp_path / "made" / f"image_{number}.png")
    (tmp_path / "made/broken.png").write_bytes(b"no")
    return tmp_path


def test_pictures_of_one_size_go_together(folder: Path) -> None:
    reports: list[str] = []
    paths = {path.stem: path for path in sorted((folder / "made").iterdir())}
    made = list(batches(paths, reports.append, most=3))
    assert [[name[-1] for name in names] for names, _ in made] == [["0", "1", "2"], ["3", "4"], ["5", "6", "7"]]
    assert [tuple(pictures.shape) for _, pictures in made] == [(3, 3, 4, 6), (2, 3, 4, 6), (3, 3, 4, 4)]
    assert made[1][1][:, 0, 0, 0].tolist() == [1, 2] and made[1][1].dtype == torch.uint8
    assert len(reports) == 1 and reports[0].startswith("broken is left out: broken.png is not a picture")


def test_prompts(folder: Path) -> None:
    file = folder / "prompts.txt"
    file.write_text("a ball\n\n  a cube \n", encoding="utf-8")
    assert read_prompts(file, ["b", "a"]) == {"a": "a ball", "b": "a cube"}
    with pytest.raises(InputError, match="has 2 prompts, but there are 3 pictures"):
        read_prompts(file, ["a", "b", "c"])
    file = folder / "prompts.json"
    file.write_text(json.dumps({"image_0.png": "null", "sub/1.png": "one", "2": "two", "3.5": "x"}), encoding="utf-8")
    assert read_prompts(file, ["0", "sub/1", "2", "3.5"]) == {"0": "null", "sub/1": "one", "2": "two", "3.5": "x"}
    for text in ("[]", '{"a": 1}', "{"):
        file.write_text(text)
        with pytest.raises(InputError, match=r"prompts\.json"):
            read_prompts(file, ["a"])


def test_one_command_prints_the_scores(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "measure", partial(measure, features=Colors(), logits=Classes()))
    monkeypatch.setattr(images, "CLIP_MODEL", clip)
    (folder / "real").mkdir()
    for number in range(8):
        Image.new("RGB", (4, 4), (number // 2 + 3, 5, 0)).save(folder / "real" / f"{number}.jpg", quality=100, subsampling=0)
        Image.new("RGB", (4, 4), (number // 2 + 3, 5, 0)).save(folder / "real" / f"{number}.png")
    (folder / "prompts.json").write_text(json.dumps({str(number): "01" for number in range(2)}))

    def run(*words: object) -> Result:
        return CliRunner().invoke(cli.main, ["evaluate", "images", *map(str, words)])

    report = run(folder / "made", "--real", folder / "real", "--prompts", folder / "prompts.json", "--json", folder / "figures.json")
    assert report.exit_code == 0, report.output
    figures = json.loads((folder / "figures.json").read_text())
    # The same spread, 3 and 4 away; eight pictures in eight parts; the first two pictures are (0, 1).
    assert figures["fid"] == pytest.approx(25, abs=1e-3) and figures["inception"] == pytest.approx(1) and figures["clip"] == pytest.approx(100)
    assert "| made | 25.00 | 1.00 ± 0.00 | 100.00 | 8 | 8 |" in report.stdout
    assert report.stderr.count("broken is left out: broken.png is not a picture") == 1 and "depends on their number" in report.stderr
    assert "7 is left out of the CLIP score" in report.stderr
    alone = run(folder / "made")
    assert "| made | - | 1.00 ± 0.00 | - | 8 | 0 |" in alone.stdout and "CLIP" not in alone.stderr
    assert "There is no folder" in run(folder / "none").stderr


def test_frame_folders_bring_their_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    red = np.zeros_like(gradient(16, 16))
    red[..., 0] = 4
    for name, prompt in (("a", "10"), ("b", "34")):
        make_frame(tmp_path / name, hills(16, 16), rgb=red, prompt=prompt)
    monkeypatch.setattr(images, "measure", partial(measure, logits=Classes()))
    monkeypatch.setattr(images, "CLIP_MODEL", clip)
    report = CliRunner().invoke(cli.main, ["evaluate", "images", str(tmp_path)])
    assert report.exit_code == 0, report.output
    assert "| - | 1.00 ± 0.00 | 80.00 | 2 | 0 |" in report.stdout  # cosines 1 and 3/5
