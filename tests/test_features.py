# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature view: components against closed forms, features against the plain model, and one command with a tiny pipeline."""

from __future__ import annotations

import json
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from frames import gradient, hills, make_frame
from jointdit import cli
from jointdit.errors import InputError
from jointdit.features import (
    BRANCHES,
    Pairs,
    as_table,
    block_features,
    choose_blocks,
    figures,
    look,
    noised,
    principal_axes,
    sampled,
    told,
)
from jointdit.features_sheet import rows_of, sheet, stretched_colors
from jointdit.latents import image_position_ids, pack
from jointdit.pipeline import JointDiTPipeline
from PIL import Image
from tiny import tiny_pipeline

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPTS = ["a red cube", "a house by the sea", "a green meadow"]


@pytest.fixture(scope="module")
def pipeline() -> JointDiTPipeline:
    return tiny_pipeline()


@pytest.fixture(scope="module")
def pairs(pipeline: JointDiTPipeline) -> Pairs:
    return sampled(pipeline, PROMPTS, range(3), 48, 32, steps=4, at_once=2)


# Principal components


def test_components_of_a_box() -> None:
    # Corners of a box with the half sides 3, 2 and 1 along three axes of five, far from the origin: variances 9, 4 and 1.
    axes = torch.zeros(3, 5, dtype=torch.float64)
    axes[0, :2] = torch.tensor([0.6, -0.8], dtype=torch.float64)
    axes[1, :2] = torch.tensor([0.8, 0.6], dtype=torch.float64)
    axes[2, 3] = -1
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    found = principal_axes(corners * torch.tensor([3.0, 2.0, 1.0]) @ axes + 100)
    assert found.mean.tolist() == pytest.approx([100] * 5)
    assert found.shares.tolist() == pytest.approx([9 / 14, 4 / 14, 1 / 14])
    # An axis points to where its largest entry is positive.
    assert found.directions.numpy() == pytest.approx((axes * torch.tensor([[-1.0], [1], [-1]])).numpy(), abs=1e-6)
    assert found.of(100 + 3 * axes[0] + 2 * axes[1]).tolist() == pytest.approx([-3, 2, 0], abs=1e-5)


def test_components_are_those_of_the_singular_values() -> None:
    features = torch.randn(20000, 7, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 8)
    found, centered = principal_axes(features), (features - features.mean(dim=0)).double()
    _, values, rows = torch.linalg.svd(centered, full_matrices=False)
    assert found.shares.tolist() == pytest.approx((values**2 / (values**2).sum())[:3].tolist(), rel=1e-6)
    assert (found.directions * rows[:3]).sum(dim=1).abs().tolist() == pytest.approx([1, 1, 1])
    same = principal_axes(torch.ones(4, 5))
    assert same.shares.tolist() == [0, 0, 0] and not same.of(torch.ones(2, 5)).any()


# What the model sees


def test_pairs_are_taken_at_the_nearest_step(pipeline: JointDiTPipeline, pairs: Pairs) -> None:
    seen = []

    def keep(pipeline: JointDiTPipeline, step: int, _: torch.Tensor, tensors: dict[str, torch.Tensor]) -> None:
        seen.append(tensors["latents"])

    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    made = pipeline(PROMPTS, height=32, width=48, num_inference_steps=4, generator=generators, output_type="pt", callback_on_step_end=keep)
    sigmas = pipeline.scheduler.sigmas.tolist()
    nearest = min(range(1, 4), key=lambda step: abs(sigmas[step] - 0.52))
    assert pairs.sigma == sigmas[nearest] and pairs.grid == (2, 3)
    # Made two and one at a time; the latents at a noise level are those that the step before it leaves.
    assert torch.allclose(pairs.latents.flatten(0, 1), seen[nearest - 1], atol=1e-5)
    assert torch.allclose(pairs.images, made.images, atol=1e-5) and torch.allclose(pairs.disparities, made.disparity, atol=1e-5)


def test_given_pairs_get_noise(pipeline: JointDiTPipeline) -> None:
    images, disparities = torch.rand(2, 3, 32, 48), torch.rand(2, 32, 48)
    found = noised(pipeline, PROMPTS[:2], images, disparities, (5, 6), 0.25)
    clean = torch.stack([pipeline.encode_image(images), pipeline.encode_disparity(disparities)])
    rest = (found.latents.flatten(0, 1) - 0.75 * pack(clean.flatten(0, 1))) / 0.25
    noise = torch.randn(2, 4, 4, 6, generator=torch.Generator().manual_seed(6))
    assert torch.allclose(rest.unflatten(0, (2, 2))[:, 1], pack(noise), atol=1e-5)
    assert found.sigma == 0.25 and found.grid == (2, 3) and torch.equal(found.disparities, disparities)


def test_sizes_and_steps_that_cannot_be_used(pipeline: JointDiTPipeline) -> None:
    with pytest.raises(InputError, match="multiples of 16 pixels; 40 x 32"):
        sampled(pipeline, PROMPTS, range(3), 40, 32)
    with pytest.raises(InputError, match="at least 2 steps"):
        sampled(pipeline, PROMPTS, range(3), 32, 32, steps=1)


# Features


def plain_features(pipeline: JointDiTPipeline, pairs: Pairs) -> torch.Tensor:
    """What leaves block 0 in the model's own forward pass, which does without the shortcuts of `prepared`: (2, N, L, d)."""
    heard = []
    hook = pipeline.transformer.transformer_blocks[0].register_forward_hook(lambda block, given, made: heard.append(made[1]))
    with torch.no_grad():
        tokens, pooled = pipeline.encode_prompt(pairs.prompts)
        count = 2 * len(pairs.prompts)
        pipeline.transformer(
            pairs.latents.flatten(0, 1), tokens.repeat(2, 1, 1), pooled.repeat(2, 1), torch.full((count,), pairs.sigma),
            image_position_ids(*pairs.grid), torch.zeros(tokens.shape[1], 3), torch.full((count,), 3.5),
        )  # fmt: skip
    hook.remove()
    return heard[0].unflatten(0, (2, -1))


def test_features_are_the_even_ones_of_what_leaves_a_block(pipeline: JointDiTPipeline, pairs: Pairs) -> None:
    found = block_features(pipeline, pairs, (0,), at_once=2)[0]
    expected = plain_features(pipeline, pairs)
    assert found.shape == (2, 3, 6, 16) and torch.allclose(found, expected[..., [*range(0, 32, 2)]], atol=1e-5)
    assert not pipeline.transformer.transformer_blocks[0]._forward_hooks
    other = block_features(pipeline, pairs, (0,), guidance=1.0)[0]
    assert not torch.allclose(found, other, atol=1e-4)


def test_without_the_joint_connection(pairs: Pairs) -> None:
    cut = tiny_pipeline()
    without = block_features(cut, pairs, (0,), joint_weight=0.0)[0]
    joined = block_features(cut, pairs, (0,))[0]
    for name, parameter in cut.transformer.named_parameters():
        if ".to_joint." in name:
            parameter.data.zero_()
    assert torch.allclose(without, plain_features(cut, pairs)[..., ::2], atol=1e-5)
    assert not torch.allclose(without, joined, atol=1e-3)
    # Both branches have as much noise, so that the adaptive weights are 1/2 in both.
    assert torch.allclose(block_features(tiny_pipeline(), pairs, (0,), joint_weight=0.5)[0], joined, atol=1e-5)


def test_blocks_are_chosen(pipeline: JointDiTPipeline) -> None:
    deep = tiny_pipeline()
    deep.transformer.transformer_blocks.extend([deep.transformer.transformer_blocks[0]] * 18)
    assert choose_blocks(deep) == (0, 6, 12, 18) and choose_blocks(deep, [7, 3, 7]) == (3, 7)
    assert choose_blocks(pipeline) == (0,)
    for wrong in ([1], [-1], []):
        with pytest.raises(InputError, match="double-stream blocks 0 to 0"):
            choose_blocks(pipeline, wrong)


# The view


def test_a_view_with_what_is_taken_away(pipeline: JointDiTPipeline, pairs: Pairs) -> None:
    view = look(pipeline, pairs, (0,), ("joint", "adaptive"))
    assert view.maps.shape == (3, 1, 2, 3, 2, 3, 3) and view.variants == ("as it is", "without joint", "without adaptive")
    for weight, maps in zip((None, 0.0, 1.0), view.maps, strict=True):
        features = block_features(pipeline, pairs, (0,), weight)[0]
        for branch in range(2):
            axes = principal_axes(block_features(pipeline, pairs, (0,))[0][branch].flatten(0, 1))
            assert maps[0, branch].reshape(3, 6, 3) == pytest.approx(axes.of(features[branch]).numpy(), abs=1e-4)
            assert view.variance[0, branch] == pytest.approx(axes.shares.numpy())
    rows = {(row["variant"], row["branch"]): row for row in figures(view)["features"]}
    assert len(rows) == 6 and rows["as it is", "rgb"]["moved"] == 0 and rows["without joint", "rgb"]["moved"] > 0.005
    moved = view.maps[1, 0, 0] - view.maps[0, 0, 0]
    assert rows["without joint", "rgb"]["moved"] == pytest.approx(sqrt((moved**2).mean() / (view.maps[0, 0, 0] ** 2).mean()), rel=1e-4)
    assert as_table(view).count("\n") == 7 and "| without adaptive | 0 | depth |" in as_table(view)


def test_what_components_tell_of_a_picture() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 3))
    # Patches of 2 x 2 pixels whose means are a sum of components; what varies within a patch does not count.
    patches = torch.from_numpy(0.5 * maps[..., 0] - 2 * maps[..., 2] + 7).float()
    within = torch.tensor([[1.0, -1], [-1, 1]]).repeat(3, 4)
    assert told(maps, patches.repeat_interleave(2, 1).repeat_interleave(2, 2) + within) == pytest.approx(1)
    # Of one component and something else of as much variance that no component knows: the squared correlation, worked out by numpy.
    maps = np.zeros((1, 2, 2, 3))
    maps[0, ..., 0] = [[-1, -1], [1, 1]]
    assert told(maps, torch.tensor([[[-2.0, 0], [0, 2]]])) == pytest.approx(0.5)
    assert told(maps, torch.tensor([[[-1.0, 1], [-1, 1]]])) == pytest.approx(0, abs=1e-9)
    assert told(maps, torch.ones(1, 2, 2)) == 0


def test_colors_use_the_whole_range() -> None:
    maps = np.zeros((1, 3, 3))
    maps[0, :, 0], maps[0, :, 1] = [-5, 0, 5], [1, 2, 5]
    assert stretched_colors(maps)[0].tolist() == [[0, 0, 0], [128, 64, 0], [255, 255, 0]]


def test_the_sheet_has_a_row_for_everything(pipeline: JointDiTPipeline, pairs: Pairs) -> None:
    view = look(pipeline, pairs, (0,), ("joint",))
    rows = rows_of(view, 2)
    features = ["block 0, rgb", "block 0, rgb\nwithout joint", "block 0, depth", "block 0, depth\nwithout joint"]
    assert [label for label, _ in rows] == ["picture", "disparity", *features]
    assert all(len(pictures) == 2 for _, pictures in rows)
    assert np.abs(np.asarray(rows[1][1][1])[..., 2] / 255.0 - pairs.disparities[1].numpy()).max() < 1 / 255
    assert np.array_equal(np.asarray(rows[5][1][1]), stretched_colors(view.maps[1, 0, 1, 1]))
    page = sheet(view, 2)
    left, top = 150 + 164, 5 * (107 + 4)  # the second column of the last row; pictures are 160 x 107
    assert page.size == (150 + 2 * 164, 6 * 111)
    assert page.getpixel((left + 2, top + 2)) == tuple(stretched_colors(view.maps[1, 0, 1, 1])[0, 0])


# The command


@pytest.fixture(scope="module")
def model(pipeline: JointDiTPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    pipeline.save_pretrained(folder)
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.main, ["features", *map(str, words)])


def test_one_command_shows_generated_pairs(model: Path, pipeline: JointDiTPipeline, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("a house by the sea\n\n", encoding="utf-8")
    report = run("a red cube", "--prompts-file", tmp_path / "more.txt", "--samples", 3, "--steps", 3, "--seed", 7, "--without", "joint", "--model", model,
                 "--output", tmp_path / "out")  # fmt: skip
    assert report.exit_code == 0, report.output
    about, maps = json.loads((tmp_path / "out/features.json").read_text()), np.load(tmp_path / "out/features.npy")
    assert about["prompts"] == ["a red cube", "a house by the sea", "a red cube"] and about["blocks"] == [0]
    assert list(maps.shape) == about["maps"]["shape"] == [2, 1, 2, 3, 2, 2, 3] and about["maps"]["branches"] == list(BRANCHES)
    again = look(pipeline, sampled(pipeline, about["prompts"], (7, 8, 9), 32, 32, 3), (0,), ("joint",))
    assert maps == pytest.approx(again.maps, abs=1e-4) and about["sigma"] == again.pairs.sigma
    assert Image.open(tmp_path / "out/features.png").size == (150 + 3 * 164, 6 * 164)
    assert as_table(again).splitlines()[0] in report.stdout


def test_one_command_shows_frames(model: Path, tmp_path: Path) -> None:
    for number in range(3):
        make_frame(tmp_path / f"frames/{number}", hills(32, 16), rgb=gradient(32, 16), prompt=f"picture {number}")
    report = run("--frames", tmp_path / "frames", "--samples", 2, "--sigma", 0.3, "--blocks", "all", "--model", model, "--output", tmp_path / "out")
    assert report.exit_code == 0, report.output
    about = json.loads((tmp_path / "out/features.json").read_text())
    assert about["prompts"] == ["picture 0", "picture 1"] and about["sigma"] == 0.3 and about["grid"] == [1, 2] and about["variants"] == ["as it is"]
    make_frame(tmp_path / "frames/3", hills(16, 16))
    assert "not all of one size" in run("--frames", tmp_path / "frames", "--model", model, "--output", tmp_path / "out").stderr


def test_what_cannot_be_shown_is_a_sentence(model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert "Give either prompts, or frame folders" in run("--output", tmp_path / "out").stderr
    assert "Give either prompts, or frame folders" in run("a cube", "--frames", tmp_path, "--output", tmp_path / "out").stderr
    for blocks in ("one", "0,1"):
        assert "blocks" in (report := run("a cube", "--blocks", blocks, "--model", model, "--output", tmp_path / "out")).stderr and report.exit_code == 1
    (tmp_path / "empty.txt").write_text("\n")
    assert "There is no prompt" in run("--prompts-file", tmp_path / "empty.txt", "--output", tmp_path / "out").stderr
    (tmp_path / "file").write_text("")
    assert "Choose another output folder" in run("a cube", "--output", tmp_path / "file/out").stderr
    assert [*(tmp_path / "out").iterdir()] == []
