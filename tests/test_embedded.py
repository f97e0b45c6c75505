# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded model as it is shipped: its pictures follow the prompt, its disparity follows its pictures, nothing about it needs a network.

Measured in pixels, by colour and by the exact disparity of held-out scenes; only what whole captions ask for is judged by the probe.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from jointdit.evaluation.asked import asked
from jointdit.evaluation.borders import grid_ratio
from jointdit.evaluation.depth import aligned_error
from jointdit.evaluation.embedded import Asking, found_figure
from jointdit.evaluation.probe import WEIGHTS, Probe
from jointdit.models import EMBEDDED, Models
from jointdit.pipeline import JointDiTPipeline
from jointdit.procedural import render, synonyms, words
from jointdit.training.data import HELD_OUT

SEEDS = range(2)
STEPS = 6  # fewer than a person would take: it is tested, not admired


@pytest.fixture(scope="module")
def pipeline() -> JointDiTPipeline:
    models = Models()
    return models.pipeline(models.find("embedded"))


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


@cache
def images(prompt: str) -> np.ndarray:
    """(seeds, H, W, 3) in [0, 1]."""
    models = Models()
    pipe = models.pipeline(models.find("embedded"))
    return pipe([prompt] * len(SEEDS), generator=generators(len(SEEDS)), num_inference_steps=STEPS, output_type="np").images


def share(pictures: np.ndarray, colour: str) -> float:
    """Share of the pixels that plainly have a colour."""
    r, g, b = np.moveaxis(pictures, -1, 0)
    plain = {
        "red": (r > 0.3) & (r > 1.8 * g) & (r > 1.8 * b),
        "green": (g > 0.2) & (g > 1.25 * r) & (g > 1.25 * b),
        "blue": (b > 0.25) & (b > 1.8 * r) & (b > 1.4 * g) & (g > 0.8 * r),
        "yellow": (r > 0.4) & (g > 0.35) & (b < 0.6 * g) & (r < 1.6 * g),
        "purple": (r > 0.2) & (b > 0.2) & (g < 0.75 * r) & (g < 0.6 * b),
    }
    return float(plain[colour].mean())


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow", "purple"])
def test_colours_of_solids_follow_the_prompt(colour: str) -> None:
    """The colour asked for covers more of the picture than it does when each other colour is asked for."""
    asked = share(images(f"a {colour} cube on a white background"), colour)
    others = [share(images(f"a {other} cube on a white background"), colour) for other in ("red", "green", "blue", "yellow", "purple") if other != colour]
    assert asked > 0.03 and asked > 2 * max(others)


def test_a_word_that_no_caption_has_is_painted() -> None:
    pictures = images("a navy cube on a white background")
    assert share(pictures, "blue") > 2 * max(share(pictures, other) for other in ("red", "green", "yellow", "purple"))


def read_as(pipeline: JointDiTPipeline, sentence: str, words: dict[str, str], classes: list[str]) -> float:
    """The share of words whose token states, in the sentence, are nearest to those of the name of their class, among `classes`."""

    def states(some: list[str]) -> torch.Tensor:
        before = sentence.index("{}")
        texts = [sentence.format(word) for word in some]
        read = pipeline.tokenizer_2(texts, padding=True, return_offsets_mapping=True, return_tensors="pt")
        starts, ends = read.offset_mapping.unbind(-1)
        own = (starts >= before) & (ends <= before + torch.tensor([len(word) for word in some])[:, None]) & (ends > starts)
        with torch.no_grad():
            found = pipeline.text_encoder_2(read.input_ids).last_hidden_state
        return (found * own[..., None]).sum(1) / own.sum(1)[:, None]

    nearest = torch.cdist(states(list(words)), states(classes)).argmin(dim=1)
    return float(np.mean([classes[index] == name for index, name in zip(nearest.tolist(), words.values(), strict=True)]))


@pytest.mark.parametrize(
    ("sentence", "table"),
    [("a {} ball on the grass", synonyms.COLOURS), ("a red {} in the desert", synonyms.NOUNS)],
    ids=["colors", "things"],
)
def test_other_words_are_read_as_those_of_captions(pipeline: JointDiTPipeline, sentence: str, table: dict[str, tuple[str, ...]]) -> None:
    """Maroon as red, a teepee as a cone: what the stage `reading` taught the text encoder."""
    told = {name: words.COLOURS.get(name, words.NOUNS.get(name, ("",)))[0] for name in table}
    taught = {word: told[name] for name, phrases in table.items() for word in phrases}
    assert read_as(pipeline, sentence, taught, list(told.values())) > 0.85


def test_captions_of_unseen_scenes_are_painted(pipeline: JointDiTPipeline) -> None:
    """Shapes, colors, sides, grounds and skies of several things at once, found by the probe far more often than in the next prompt's picture."""
    probe, first = Probe.load(), HELD_OUT + 2000
    scenes = render(range(first, first + 12), 256)
    wishes = [asked(caption, about) for caption, about in zip(scenes.captions, scenes.attributes, strict=True)]
    made = pipeline(scenes.captions, generator=generators(12), num_inference_steps=STEPS, output_type="pt").images
    asking = Asking(wishes, probe.read(made)).of(probe.sure)
    found, chance = (found_figure("", some) for some in (asking, asking.swapped))
    assert found.count > 40 and found.value > 70 and chance.value < 30


def test_grounds_and_skies_follow_the_prompt() -> None:
    def lower(prompt: str) -> np.ndarray:
        return images(prompt)[:, 176:].mean(axis=(0, 1, 2))

    def upper(prompt: str) -> np.ndarray:
        return images(prompt)[:, :80].mean(axis=(0, 1, 2))

    meadow, desert, snow = (lower(f"{ground} under a clear blue sky") for ground in ("a green meadow", "a sandy desert", "a snowy plain"))
    assert meadow[1] > 1.2 * meadow[0] and meadow[1] > 1.2 * meadow[2]
    assert desert[0] > desert[1] > 1.2 * desert[2]
    assert snow.min() > 0.6
    clear, night, sunset = upper("a green meadow under a clear blue sky"), upper("a green meadow at night"), upper("a green meadow at sunset")
    assert clear[2] > 1.15 * clear[0]
    assert night.mean() < 0.4 * clear.mean()
    assert sunset[0] > sunset[2] > night.mean()


def aligned_errors(estimates: np.ndarray, truths: np.ndarray) -> float:
    """The median over pictures of `aligned_error`."""
    return float(np.median([aligned_error(estimate, truth) for estimate, truth in zip(estimates, truths, strict=True)]))


def test_depth_of_unseen_pictures(pipeline: JointDiTPipeline) -> None:
    scenes = render(range(HELD_OUT, HELD_OUT + 6), 256)
    truth = scenes.disparity[:, 0].numpy()
    estimate = pipeline(image=scenes.image, generator=generators(6), num_inference_steps=STEPS, output_type="np").disparity
    assert aligned_errors(estimate, truth) < 0.12
    assert aligned_errors(estimate, truth) < 0.3 * aligned_errors(np.roll(estimate, 1, axis=0), truth)  # it is this picture's depth, not a common floor


def test_joint_disparity_belongs_to_its_picture(pipeline: JointDiTPipeline) -> None:
    """The disparity made with a picture agrees with the disparity estimated from that picture afterwards."""
    prompts = ["a red cube", "a house on a green meadow", "a blue ball on the left", "a tower in the desert", "a chair in a room", "a lighthouse by the sea"]
    made = pipeline(prompts, generator=generators(6), num_inference_steps=STEPS, output_type="np")
    images = torch.from_numpy(made.images).movedim(-1, 1)
    again = pipeline(image=images, generator=generators(6), num_inference_steps=STEPS, output_type="np").disparity
    assert aligned_errors(again, made.disparity) < 0.17


def test_an_image_follows_its_disparity(pipeline: JointDiTPipeline) -> None:
    scenes = render(range(HELD_OUT + 100, HELD_OUT + 106), 256)
    truth = scenes.disparity[:, 0]
    painted = pipeline(scenes.captions, disparity=truth, generator=generators(6), num_inference_steps=STEPS, output_type="pt").images
    again = pipeline(image=painted, generator=generators(6), num_inference_steps=STEPS, output_type="np").disparity
    assert aligned_errors(again, truth.numpy()) < 0.18


def test_errors_of_latents_show_no_blocks(pipeline: JointDiTPipeline) -> None:
    """What a transformer leaves of noise is not painted as jumps every 8 or 16 pixels: the stage `decoder` taught that (before it they were 1.5 times)."""
    scenes = render(range(HELD_OUT + 500, HELD_OUT + 508), 256)
    vae, noise = pipeline.vae, torch.Generator().manual_seed(1)
    for x in (scenes.image, scenes.disparity.expand(-1, 3, -1, -1)):
        with torch.no_grad():
            latents = vae.encode(2 * x - 1).latent_dist.mode()
            y = (vae.decode(latents + 0.1 / vae.config.scaling_factor * torch.randn(latents.shape, generator=noise)).sample + 1) / 2
        assert (y - x).square().mean().sqrt() < 0.016
        for period in (8, 16):
            assert grid_ratio(y.numpy(), period).mean() < 1.3 * grid_ratio(x.numpy(), period).mean()


def test_same_seed_same_picture_other_seed_another(pipeline: JointDiTPipeline) -> None:
    one, same, other = (
        pipeline("a red house on a green hill", generator=torch.Generator().manual_seed(s), num_inference_steps=4, output_type="np") for s in (1, 1, 2)
    )
    assert np.array_equal(one.images, same.images) and np.array_equal(one.disparity, same.disparity)
    assert np.abs(one.images - other.images).mean() > 0.02


def test_it_is_small_and_says_what_it_is() -> None:
    files = [path for folder in (EMBEDDED.parent, WEIGHTS) for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 48e6
    card = (EMBEDDED.parent / "README.md").read_text(encoding="utf-8")
    for word in ("FLUX.1-dev", "256 x 256", "jointdit train", "GPL-3.0-or-later", "held-out"):
        assert word in card
    about = Models().describe()[0]
    assert about["name"] == "embedded" and about["native_width"] == 256 and "FLUX" in about["note"]
