# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Views that are denoised together: alone one is plain sampling, together they come to one sphere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from jointdit.latents import pack, unpack
from jointdit.models import Models
from jointdit.panorama.agreement import unit_rays
from jointdit.panorama.asked import default_parts
from jointdit.panorama.make import Recipe, depth_of_photograph, make_sphere, make_strip, make_wrapped, prompts_of, views_of
from jointdit.panorama.solve import consistency
from jointdit.panorama.sphere import View, equirectangular_rays, layout, sample_equirectangular
from jointdit.panorama.views import AT_ONCE, Agreement, Known, denoise_views
from jointdit.pipeline import JointDiTPipeline
from tiny import tiny_pipeline


@pytest.fixture(scope="module")
def tiny() -> JointDiTPipeline:
    return tiny_pipeline()


@pytest.fixture(scope="module")
def embedded() -> JointDiTPipeline:
    models = Models()
    return models.pipeline(models.find("embedded"))


@torch.no_grad()
@pytest.mark.parametrize("task", ["joint", "image_to_depth"])
def test_one_view_alone_is_plain_sampling(embedded: JointDiTPipeline, task: str) -> None:
    noise = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    if task == "image_to_depth":
        noise[:1] = embedded.encode_image(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    text, unguided = embedded.guided_text(["a red cube"], "", 2.0)
    condition = pack(noise[:1]) if task == "image_to_depth" else None
    plain = unpack(embedded.denoise(pack(noise), text, (4, 4), 6, 2.0, task, condition, unguided), 4, 4)
    sampler = embedded.sampler(text, (4, 4), 6, 2.0, task, unguided)
    agree = Agreement(embedded, [View()], 64, images=torch.zeros(1, 3, 64, 64) if task == "image_to_depth" else None)
    together = denoise_views(sampler, noise, [0], agree, 1)
    assert torch.allclose(together, plain, atol=1e-4)


@torch.no_grad()
def test_batches_do_not_matter(tiny: JointDiTPipeline) -> None:
    views = layout(6)
    text, unguided = tiny.guided_text(["a red cube", "a house"], "", 2.0)
    noise = torch.randn(12, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    prompts = [0, 1, 0, 1, 1, 0]
    results = []
    for batch in (1, 4, 6):
        calls: list[int] = []
        agree = Agreement(tiny, views, 32)
        results.append(denoise_views(tiny.sampler(text, (2, 2), 3, 2.0, "joint", unguided), noise, prompts, agree, batch, calls.append))
        # Each batch of a step, and each part that the autoencoder sees of both modalities: decoded, and encoded as it was and as agreed.
        assert calls == [step for step in range(3) for _ in range(-(-6 // batch) + 6 * -(-6 // AT_ONCE))]
    assert torch.allclose(results[0], results[1], atol=1e-4) and torch.allclose(results[0], results[2], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.3, 0.7), (0.45, 0.55)])
def test_clean_estimates_that_agree_already_stay(embedded: JointDiTPipeline, low: float, high: float) -> None:
    """Views of one smooth world with exact disparities are left as they are, whatever their contrast and whatever the autoencoder loses."""
    views = [view for view in layout(18) if view.pitch == 0]
    rays = [unit_rays(view, 64, 64, torch.zeros(())) for view in views]
    images = torch.stack([(0.5 + 0.3 * ray.T).unflatten(1, (64, 64)) for ray in rays])
    # A round room with its axis aside of the camera: 1/r is smooth, 1/z = (1/r) / cos.
    inverse = [(0.3 + 0.1 * ray[:, 0]).reshape(64, 64) / (1 / view.rays(64, 64, torch.zeros(())).norm(dim=-1)) for view, ray in zip(views, rays, strict=True)]
    disparities = torch.stack([low + (high - low) * (one - one.min()) / (one.max() - one.min()) for one in inverse])
    clean = torch.cat([embedded.encode_image(images), embedded.encode_disparity(disparities)])
    agreed = Agreement(embedded, views, 64)(clean)
    change = (agreed - clean).chunk(2)
    assert change[0].abs().max() < 0.05 * clean.chunk(2)[0].abs().max()
    flat = embedded.encode_disparity(torch.full((1, 64, 64), (low + high) / 2))
    assert change[1].abs().mean() < 0.1 * (clean.chunk(2)[1] - flat).abs().mean()
    disagreeing = torch.cat([clean[:8].flip(0), clean[8:]])
    assert (Agreement(embedded, views, 64)(disagreeing) - disagreeing)[:8].abs().mean() > 3 * change[0].abs().mean()


def test_a_sphere_of_the_embedded_model_agrees_with_itself(embedded: JointDiTPipeline) -> None:
    sphere = make_sphere(embedded, Recipe(1024, 512, "a red house on a green meadow", steps=8, guidance=2.5, seed=2, batch=8))
    assert sphere.image.shape == (3, 512, 1024) and sphere.inverse.shape == (512, 1024)
    assert sphere.inverse.min() >= 0 and np.isfinite(sphere.inverse).all()
    inside, border = consistency(sphere.views, sphere.disparities, sphere.alignment)
    assert inside < 0.05 and border < 0.1
    for values in (sphere.image.numpy(), np.log(np.maximum(sphere.inverse, sphere.inverse.max() / 100))[None]):
        steps = np.abs(values - np.roll(values, 1, axis=-1)).mean(axis=(0, 1))
        # The seam is in the middle of a view, between two patches of the model; so are these.
        assert steps[0] < 1.5 * steps[128::128].max()
        assert np.ptp(values[:, 0], axis=-1).max() < 1e-6 and np.ptp(values[:, -1], axis=-1).max() < 1e-6
    # The ground is below: near, and no sky there; nothing is left out.
    assert sphere.inverse[-64:].mean() > 3 * sphere.inverse[:64].mean()


def test_turned_noise_makes_the_turned_sphere(tiny: JointDiTPipeline) -> None:
    recipe = Recipe(128, 64, "a red cube", {"up": "the sky", "down": "a meadow"}, steps=3, batch=5, views=18)
    tiny.register_to_config(largest_pitch=20.0)  # the view of a pole would see its noise upside down
    sphere = make_sphere(tiny, recipe)
    turned = make_sphere(tiny, replace(recipe, turn=180.0))
    assert torch.allclose(turned.image.roll(64, -1), sphere.image, atol=2e-3)
    assert not torch.allclose(turned.image, sphere.image, atol=2e-2)


def test_around_a_front_view_that_stays(embedded: JointDiTPipeline) -> None:
    generator = torch.Generator().manual_seed(4)
    made = embedded("a blue ball on a green meadow", generator=generator, num_inference_steps=8, output_type="pt")
    front = Known(View(0, 0, 55.0), made.images[0], made.disparity[0], 1 / 2 - 1 / 30, 1 / 30)
    sphere = make_sphere(embedded, Recipe(512, 256, "a blue ball on a green meadow", steps=6, guidance=2.5, batch=8), front=front)
    inside = unit_rays(View(0, 0, 44.0), 60, 60, torch.zeros(()))
    shown = sample_equirectangular(sphere.image, inside)
    places, depth = front.view.project(inside, *front.image.shape[-2:])
    given = torch.nn.functional.grid_sample(front.image[None], places[None, None], align_corners=False)[0, :, 0]
    assert (shown - given).abs().mean() < 0.02  # read twice, at a coarser density
    disparity = torch.nn.functional.grid_sample(front.disparity[None, None], places[None, None], align_corners=False)[0, 0, 0]
    inverse = depth * (front.scale * disparity + front.shift)
    shown_inverse = sample_equirectangular(torch.from_numpy(sphere.inverse)[None].float(), inside)[0]
    relative = ((shown_inverse - inverse) / inverse).abs()
    assert relative.median() < 0.01 and relative.quantile(0.9) < 0.1


def test_a_tall_front_view_stays_up_to_its_border(tiny: JointDiTPipeline) -> None:
    """The tiny model looks level here: what is above its belt is filled, but not inside the given picture."""
    tiny.register_to_config(largest_pitch=20.0)
    white = Known(View(0, 0, 50.0), torch.ones(3, 64, 32), torch.full((64, 32), 0.5), 0.2, 0.1)  # 86 degrees high, everywhere 5 metres deep
    sphere = make_sphere(tiny, Recipe(256, 128, "a tower", steps=2, batch=8), front=white)
    inside = unit_rays(View(0, 0, 40.0), 40, 20, torch.zeros(()))  # 72 degrees high
    assert sample_equirectangular(sphere.image, inside).min() > 0.99
    distance = 1 / sample_equirectangular(torch.from_numpy(sphere.inverse)[None].float(), inside)[0]
    # Planar 5 metres.
    expected = 5 / white.view.project(inside, 64, 32)[1]
    assert ((distance - expected) / expected).abs().median() < 0.01
    # Beside it the colours pass over into white: no frame around a window.
    beside = [float(sample_equirectangular(sphere.image, unit_rays(View(yaw, 0, 1.0), 1, 1, torch.zeros(()))).mean()) for yaw in (26, 60, 180)]
    assert beside[0] > 0.9 > beside[1] > beside[2]


def test_depth_of_a_photograph_is_that_of_its_views(embedded: JointDiTPipeline) -> None:
    rays = equirectangular_rays(256, 512, torch.zeros(()))
    photograph = torch.where(rays[..., 1] > 0, torch.tensor([0.4, 0.6, 0.9])[:, None, None], torch.tensor([0.3, 0.6, 0.2])[:, None, None])
    sphere = depth_of_photograph(embedded, photograph, Recipe(512, 256, steps=6, guidance=2.5, batch=8))
    assert torch.equal(sphere.image, photograph)
    # A meadow under a sky: near below, far above.
    assert np.median(sphere.inverse[-80:]) > 3 * np.median(sphere.inverse[:120])
    inside, border = consistency(sphere.views, sphere.disparities, sphere.alignment)
    assert inside < 0.05 and border < 0.1


def test_strips_and_wrapped_spheres_have_no_seam(embedded: JointDiTPipeline) -> None:
    strip = make_strip(embedded, Recipe(512, 128, "a green meadow under a blue sky", steps=6, guidance=2.5, batch=8))
    assert strip.image.shape == (3, 128, 512) and strip.disparity.shape == (128, 512)
    wrapped = make_wrapped(embedded, Recipe(512, 256, "a green meadow under a blue sky", steps=6, guidance=2.5, batch=8))
    for picture in (strip.image, strip.disparity[None], wrapped.image):
        steps = (picture - picture.roll(1, -1)).abs().mean(dim=(0, 1))
        # The embedded autoencoder shows its patches of 8 pixels: the seam lies between two of them. Without a LoRA it knows no wrapped pictures.
        assert steps[0] < (2.5 if picture is wrapped.image else 1.5) * steps[[-24, -16, -8, 8, 16, 24]].max()
    again = make_strip(embedded, Recipe(512, 128, "a green meadow under a blue sky", steps=6, guidance=2.5, batch=3))
    assert torch.allclose(strip.image, again.image, atol=1e-3)


def test_prompts_follow_directions() -> None:
    views = layout(26)
    texts, which = prompts_of(views, "a market", {"up": "blue sky", "right": "a church", "down": "cobbles"})
    seen = {(view.yaw, round(view.pitch)): texts[index] for view, index in zip(views, which, strict=True)}
    assert seen[0, 0] == seen[-90, 0] == seen[180, 0] == "a market" and seen[90, 0] == "a church"
    assert seen[0, 90] == "blue sky" and seen[0, -90] == "cobbles"
    assert seen[90, 45] == "blue sky, a market" and seen[-45, -35] == "cobbles, a market"  # the horizon is in these, too
    assert sorted(set(which)) == list(range(len(texts)))
    assert "sky" in default_parts("a village")["up"] and "floor" in default_parts("A cosy kitchen, morning")["down"]


def test_a_model_that_knows_level_pictures_is_asked_for_those(embedded: JointDiTPipeline) -> None:
    assert embedded.config.largest_pitch == 20
    for count in (6, 14, 18, 26):
        views = views_of(count, 20.0)
        assert views and all(view.pitch == 0 for view in views)
        assert sum(view.angle for view in views) > 1.2 * 360
        assert len(views_of(count, 90.0)) == count
