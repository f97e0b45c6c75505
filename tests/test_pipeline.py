# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline's promises, on tiny random weights: the tasks, seeds and batches, sizes, precision, diffusers' conventions, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jointdit.errors import InputError
from jointdit.latents import pack, pad_to_multiple, unpack
from jointdit.pipeline import JointDiTPipeline
from PIL import Image
from tiny import tiny_pipeline


@pytest.fixture(scope="module")
def pipeline() -> JointDiTPipeline:
    return tiny_pipeline()


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def run(pipeline: JointDiTPipeline, **arguments):
    return pipeline(**{"num_inference_steps": 2, "output_type": "np", **arguments})


def picture(height: int = 32, width: int = 32) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([x / width, y / height, 0.5 + 0 * x], axis=-1)


def test_shapes_and_ranges(pipeline: JointDiTPipeline) -> None:
    out = run(pipeline, prompt="a red cube", generator=seeded(0))
    assert out.images.shape == (1, 32, 32, 3) and out.disparity.shape == (1, 32, 32)
    assert out.disparity.dtype == np.float32
    assert all(a.min() >= 0 and a.max() <= 1 for a in (out.images, out.disparity))


def test_same_seed_same_result_on_any_batch_size(pipeline: JointDiTPipeline) -> None:
    prompts = ["a red cube", "a house", "the sea"]
    batch = run(pipeline, prompt=prompts, generator=seeded(5, 6, 7))
    for i, (prompt, seed) in enumerate(zip(prompts, (5, 6, 7), strict=True)):
        single = run(pipeline, prompt=prompt, generator=seeded(seed))
        np.testing.assert_allclose(single.images[0], batch.images[i], atol=1e-5)
        np.testing.assert_allclose(single.disparity[0], batch.disparity[i], atol=1e-5)
    again = run(pipeline, prompt="a red cube", generator=torch.Generator().manual_seed(5), num_images_per_prompt=2)
    np.testing.assert_allclose(again.images[0], batch.images[0], atol=1e-5)
    assert np.abs(again.images[0] - again.images[1]).max() > 1e-3
    assert np.abs(run(pipeline, prompt="a red cube", generator=seeded(8)).images[0] - batch.images[0]).max() > 1e-3


@pytest.mark.parametrize(("task", "given"), [("image_to_depth", "image"), ("depth_to_image", "disparity")])
def test_what_is_given_stays_clean(pipeline: JointDiTPipeline, task: str, given: str) -> None:
    """The known branch's latent is that of the picture at every step and at the end, however the velocities pull."""
    known = picture() if given == "image" else picture()[..., 0]
    encode = pipeline.encode_image if given == "image" else pipeline.encode_disparity
    tensor = torch.from_numpy(known)
    expected = pack(encode(tensor.movedim(-1, 0)[None] if given == "image" else tensor[None]).detach())
    seen = []
    out = run(
        pipeline, **{given: known}, task=task, output_type="latent", num_inference_steps=3, generator=seeded(0),
        callback_on_step_end=lambda pipe, step, t, tensors: seen.append((tensors["latents"], tensors["denoised"])) or {},
        callback_on_step_end_tensor_inputs=["latents", "denoised"],
    )  # fmt: skip
    half = 0 if given == "image" else 1
    assert len(seen) == 3
    for latents, denoised in seen:
        assert torch.equal(latents.chunk(2)[half], expected) and torch.equal(denoised.chunk(2)[half], expected)
        assert not torch.equal(latents.chunk(2)[1 - half], expected)
    assert torch.equal(pack((out.images, out.disparity)[half]), expected)


def test_tasks_are_told_from_what_is_given(pipeline: JointDiTPipeline) -> None:
    auto = run(pipeline, image=picture(), generator=seeded(1))
    named = run(pipeline, image=picture(), task="image_to_depth", generator=seeded(1))
    assert np.array_equal(auto.disparity, named.disparity)
    as_pil = run(pipeline, image=Image.fromarray((255 * picture()).round().astype(np.uint8)), generator=seeded(1))
    np.testing.assert_allclose(as_pil.disparity, auto.disparity, atol=0.02)


@pytest.mark.parametrize("size", [(32, 32), (40, 56), (33, 47), (17, 100)])
def test_any_size_comes_back_as_it_was_asked(pipeline: JointDiTPipeline, size: tuple[int, int]) -> None:
    height, width = size
    known = picture(height, width)
    for arguments in ({"prompt": "a cube", "height": height, "width": width}, {"image": known}, {"disparity": known[..., 0]}):
        out = run(pipeline, **arguments)
        assert out.images.shape[1:3] == size and out.disparity.shape[1:] == size


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([8, 16, 32]))
def test_padding_is_undone_by_cropping(height: int, width: int, multiple: int) -> None:
    padding = pad_to_multiple(height, width, multiple)
    x = torch.arange(height * width).view(1, height, width)
    padded = padding.apply(x)
    assert padded.shape[1] % multiple == 0 and padded.shape[2] % multiple == 0
    assert padded.shape[1] - height < multiple and padded.shape[2] - width < multiple
    assert torch.equal(padding.crop(padded), x)


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))
def test_packing_is_undone(channels: int, rows: int, columns: int) -> None:
    x = torch.randn(2, channels, 2 * rows, 2 * columns)
    tokens = pack(x)
    assert tokens.shape == (2, rows * columns, 4 * channels)
    assert torch.equal(unpack(tokens, rows, columns), x)
    assert torch.equal(tokens[:, 0].view(2, channels, 2, 2), x[:, :, :2, :2])  # the first token is the top left patch


def test_inverse_depth_is_turned_round_both_ways() -> None:
    plain, inverse = tiny_pipeline(), tiny_pipeline(depth_transform="inverse")
    d = torch.from_numpy(picture()[..., 0])[None]
    with torch.no_grad():
        assert torch.equal(plain.encode_disparity(1 - d), inverse.encode_disparity(d))
        z = plain.encode_disparity(d)
        np.testing.assert_allclose(plain.decode_disparity(z).numpy(), 1 - inverse.decode_disparity(z).numpy(), atol=1e-6)


def test_disparity_is_decoded_in_float32_even_from_a_bfloat16_autoencoder() -> None:
    pipe = tiny_pipeline()
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    pipe.vae.to(torch.bfloat16)
    with torch.no_grad():
        disparity = pipe.decode_disparity(z)
        expected = pipe.vae.to(torch.float32).decode(z / 0.7 + 0.1).sample
    expected = (expected.clamp(-1, 1) + 1).mean(1) / 2
    assert disparity.dtype == torch.float32
    assert torch.allclose(disparity, expected, atol=1e-6)
    inner = disparity[(disparity > 0.5) & (disparity < 1)]
    assert len(inner.unique()) > 0.9 * len(inner)  # no staircase of bfloat16


def test_euler_sum_is_float32_with_a_bfloat16_transformer() -> None:
    pipe = tiny_pipeline()
    pipe.transformer.to(torch.bfloat16)
    kept = {}
    run(pipe, prompt="x", generator=seeded(0), callback_on_step_end=lambda p, i, t, tensors: kept.update(tensors))
    assert kept["latents"].dtype == torch.float32
    assert not torch.equal(kept["latents"], kept["latents"].bfloat16().float())


def test_schedule_is_fluxs(pipeline: JointDiTPipeline) -> None:
    run(pipeline, prompt="x", height=256, width=256, num_inference_steps=5)  # 256 tokens: mu = 0.5
    s = np.linspace(1, 0, 6)[:-1]
    expected = np.exp(0.5) / (np.exp(0.5) + 1 / s - 1)
    np.testing.assert_allclose(pipeline.scheduler.sigmas.numpy(), [*expected, 0], atol=1e-6)


def test_classifier_free_guidance_where_guidance_is_not_embedded() -> None:
    pipe = tiny_pipeline(guidance_embeds=False)
    kept = {}

    def latents_of(guidance: float, prompt: str, **known: object) -> torch.Tensor:
        keep = lambda p, i, t, tensors: kept.update(tensors)  # noqa: E731
        run(pipe, prompt=prompt, guidance_scale=guidance, num_inference_steps=1, generator=seeded(0), callback_on_step_end=keep, **known)
        return kept["latents"]

    free, plain, guided = latents_of(1.0, ""), latents_of(1.0, "a red cube"), latents_of(3.0, "a red cube")
    assert torch.allclose(guided[0], free[0] + 3.0 * (plain[0] - free[0]), atol=1e-4)  # one Euler step is linear in the velocity
    assert (plain - free).abs().amax((1, 2)).min() > 1e-4
    assert torch.allclose(guided[1], free[1] + 1.5 * (plain[1] - free[1]), atol=1e-4)  # depth belongs to the picture more than to the prompt: 1 + (3 - 1) / 4
    photograph = np.random.default_rng(0).random((32, 32, 3), np.float32)
    one, other = (latents_of(guidance, "a red cube", image=photograph) for guidance in (1.0, 3.0))
    assert torch.allclose(one, other, atol=1e-5)
    disparity = photograph[..., 0]
    one, other = (latents_of(guidance, "a red cube", disparity=disparity) for guidance in (1.0, 3.0))
    assert (one - other).abs().max() > 1e-4


def test_callback_may_change_the_latents(pipeline: JointDiTPipeline) -> None:
    zeroed = run(pipeline, prompt="x", output_type="latent", callback_on_step_end=lambda p, i, t, tensors: {"latents": torch.zeros_like(tensors["latents"])})
    assert zeroed.images.abs().max() == 0 and zeroed.disparity.abs().max() == 0


def test_save_and_load(pipeline: JointDiTPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    again = JointDiTPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    assert again.config.native_size == 32
    a, b = (run(p, prompt="a house by the sea", generator=seeded(3)) for p in (pipeline, again))
    np.testing.assert_allclose(a.images, b.images, atol=1e-6)
    np.testing.assert_allclose(a.disparity, b.disparity, atol=1e-6)


def test_several_pictures_for_each_of_several_images(pipeline: JointDiTPipeline) -> None:
    two = torch.from_numpy(np.stack([picture(), picture()[::-1].copy()])).movedim(-1, 1)
    out = run(pipeline, image=two, num_images_per_prompt=2, generator=seeded(1, 2, 1, 2))
    again = run(pipeline, image=two[1:], generator=seeded(2))
    assert out.disparity.shape == (4, 32, 32)
    np.testing.assert_allclose(out.disparity[3], again.disparity[0], atol=1e-5)


def test_free_prompts_never_fail(pipeline: JointDiTPipeline) -> None:
    for prompt in ("", "x" * 12_000, "ein grünes Häuschen 家 🏠", "half \ud83d", "\n\t", "a red cube " * 1000):
        assert np.isfinite(run(pipeline, prompt=prompt, num_inference_steps=1).disparity).all()
    assert pipeline.unread_words("a red cube " * 1000) and not pipeline.unread_words("a")


@pytest.mark.parametrize(
    "arguments",
    [
        {"prompt": "x", "task": "sideways"},
        {"prompt": "x", "task": "image_to_depth"},
        {"prompt": "x", "task": "depth_to_image"},
        {"image": picture(), "disparity": picture()[..., 0]},
        {"image": picture(1, 1)},
        {"image": picture()[..., :2]},
        {"image": picture()[..., 0]},
        {"image": picture() * 255},
        {"disparity": np.full((32, 32), np.nan, np.float32)},
        {"disparity": np.zeros((2, 2, 32, 32), np.float32)},
        {"prompt": "x", "height": 8, "width": 32},
        {"prompt": "x", "num_inference_steps": 0},
        {"prompt": ["x", "y"], "generator": seeded(1)},
        {"image": [Image.new("RGB", (32, 32)), Image.new("RGB", (48, 32))]},
    ],
)
def test_bad_input_gets_a_sentence(pipeline: JointDiTPipeline, arguments: dict) -> None:
    with pytest.raises(InputError) as caught:
        run(pipeline, **arguments)
    assert str(caught.value).endswith(".")
