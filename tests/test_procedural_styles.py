# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Styles of procedural pictures change what they look like, never where things are; what is painted on the ground is where it should be."""

import math
from functools import lru_cache
from itertools import islice

import numpy as np
import pytest
import torch
from jointdit.procedural import render
from jointdit.procedural.packing import pack
from jointdit.procedural.render import look
from jointdit.procedural.sampling import sample
from jointdit.procedural.styles import outlines
from jointdit.procedural.tiles import GRID, TILES

SIZE = 96


pytestmark = pytest.mark.usefixtures("one_thread")


@lru_cache
def known(seed: int) -> dict:
    """What a scene tells of itself."""
    return sample(seed).about


def some(condition, count: int = 4) -> list[int]:
    """The first seeds whose scenes meet a condition on what is known about them."""
    found = list(islice((seed for seed in range(4000) if condition(known(seed))), count))
    assert len(found) == count
    return found


def test_styles_keep_the_geometry():
    """The depth is that of the same scene drawn as a photograph, ray by ray."""
    for seed in some(lambda about: about["style"] == "line") + some(lambda about: about["style"] == "flat"):
        scene = sample(seed)
        styled = render([seed], 32)
        scene.environment["flat"] = (0.0,)
        centres = (torch.arange(32) + 0.5) / 16 - 1
        y, x = torch.meshgrid(-centres, centres, indexing="ij")
        _, depth, _ = look(pack([scene], tiled=False).on(torch.device("cpu")), x.reshape(1, -1), y.reshape(1, -1))
        assert torch.equal(styled.depth.reshape(-1), depth.reshape(-1))


def test_line_drawings_are_dark_lines_on_pale_paper():
    batch = render(some(lambda about: about["style"] == "line" and not about["coloured"] and about["kind"] == "objects"), SIZE)
    grey = batch.image.mean(1)
    assert ((grey > 0.9).float().mean((1, 2)) > 0.6).all()
    assert ((grey < 0.4).float().mean((1, 2)) > 0.002).all()
    colourful = batch.image.amax(1) - batch.image.amin(1)
    assert colourful.max() < 0.12


def test_lines_lie_where_the_key_changes():
    key = torch.zeros(1, 12, 12)
    key[:, 6:] = 8.0
    ink = outlines(key)
    assert (ink[0, 6] > 0.8).all() and (ink[0, :4] == 0).all() and (ink[0, 9:] == 0).all()


def test_flat_shading_is_flat():
    def share(style):
        """Of all pairs of neighbours, those of exactly one colour."""
        image = render(some(lambda about: about["style"] == style and about["kind"] == "objects" and about["ground"] == "grass"), SIZE).image
        return (image[:, :, 1:] == image[:, :, :-1]).all(1).float().mean()

    flat, photographic = share("flat"), share("photographic")
    assert flat > 0.6 and flat > 2 * photographic, (flat, photographic)


def test_a_road_is_where_its_line_is():
    for seed in some(lambda about: about.get("road") == "asphalt" and about["kind"] == "landscape" and about["sky"] == "clear", 3):
        scene = sample(seed)
        start, slope, swing, wave, half, _ = scene.environment["road"]
        packed = pack([scene], tiled=False).on(torch.device("cpu"))
        points, on_road = [], []
        for z in np.linspace(6, 14, 20):
            middle = start + slope * z + swing * math.sin(wave * z)
            for away in (0.5, 2.0):
                points.append((middle + away * half * math.sqrt(1 + slope * slope), z))
                on_road.append(away < 1)
        cos, sin, high = math.cos(scene.pitch), math.sin(scene.pitch), scene.camera_height
        depth = [z * cos - high * sin for _, z in points]
        x = torch.tensor([[x / d / scene.half for (x, _), d in zip(points, depth, strict=True)]], dtype=torch.float32)
        y = torch.tensor([[(-high * cos - z * sin) / d / scene.half for (_, z), d in zip(points, depth, strict=True)]], dtype=torch.float32)
        _, found, key = look(packed, x, y)
        ground = (found[0] - torch.tensor(depth, dtype=torch.float32)).abs() < 0.01  # nothing stands before it
        assert ground.sum() > 20
        assert torch.equal((key[0] % 8 >= 4)[ground], torch.tensor(on_road)[ground])


def test_water_lies_beyond_the_shore_and_is_bluer_than_the_beach():
    def day_at_the_sea(about):
        return about.get("shore") == "sea" and (about["style"], about["sky"], about["camera"]) == ("photographic", "clear", "eye level")

    for seed in some(day_at_the_sea, 3):
        scene = sample(seed)
        batch = render([seed], SIZE)
        start, slope, swing, _, _ = scene.environment["shore"]
        centres = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1) * scene.half
        cos, sin = math.cos(scene.pitch), math.sin(scene.pitch)
        down = -centres[:, None] * cos + sin + 0 * centres
        with np.errstate(all="ignore"):
            t = np.where(down < 0, -scene.camera_height / down, np.nan)
        flat = np.abs(batch.depth[0, 0].numpy() - t) < 1e-3 * t
        out = t * (cos + centres[:, None] * sin) - start - slope * t * centres[None]
        image = batch.image[0].numpy()
        bluer = image[2] - image[0]
        sea, beach = bluer[flat & (out > 3 + 1.5 * swing)], bluer[flat & (out < -2 - 1.5 * swing)]
        assert len(sea) > 30 and len(beach) > 100
        assert np.median(sea) > np.median(beach) + 0.1


def test_no_style_or_camera_depends_on_the_batch():
    seeds = some(lambda about: about["style"] == "line", 2) + some(lambda about: about["style"] == "flat", 2) + some(lambda about: about["lens"] == "wide", 2)
    together = render(seeds, GRID * 8)
    assert GRID * GRID == TILES
    for i, seed in enumerate(seeds):
        alone = render([seed], GRID * 8)
        assert torch.equal(alone.disparity[0], together.disparity[i]) and (alone.image[0] - together.image[i]).abs().max() < 1e-5
