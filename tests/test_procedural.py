# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural scenes: the same for the same seed, exact in depth, truthful in words."""

import math
import re

import numpy as np
import pytest
import torch
from jointdit.procedural import HORIZONTAL_ANGLE, render
from jointdit.procedural.captions import FEWEST_WORDS, MOST_WORDS, caption
from jointdit.procedural.casting import frustum, polyhedron
from jointdit.procedural.sampling import sample

SIZE = 64
SEEDS = list(range(24))
SHAPE_OF = {
    "ball": "ball", "sphere": "ball", "cube": "cube", "box": "cube", "block": "cube", "cone": "cone", "cylinder": "cylinder", "column": "column",
    "pillar": "column", "pyramid": "pyramid", "house": "house", "cottage": "house", "hut": "house", "tree": "tree", "tower": "tower",
    "lighthouse": "lighthouse", "rock": "rock", "boulder": "rock", "table": "table", "bed": "bed",
}  # fmt: skip
COLOURS = ["red", "green", "blue", "yellow", "orange", "purple", "white", "black", "pink", "brown", "grey", "gray"]
THING = re.compile(rf"\b({'|'.join(COLOURS)})(?: and white)?(?: striped)?(?: autumn| castle| round)? ({'|'.join(SHAPE_OF)})\b")
ROOF = re.compile(rf"\b({'|'.join(COLOURS)}) roof\b")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def batch(one_thread):
    return render(SEEDS, SIZE)


def rays(pitch: float, size: int) -> np.ndarray:
    """(size, size, 3) float64 world directions with planar depth 1, by rotating the camera's axes."""
    half = math.tan(math.radians(HORIZONTAL_ANGLE / 2))
    places = ((np.arange(size) + 0.5) / size - 0.5) * 2 * half
    right, up, forward = np.array([1, 0, 0]), np.array([0, math.cos(pitch), -math.sin(pitch)]), np.array([0, math.sin(pitch), math.cos(pitch)])
    return places[None, :, None] * right - places[:, None, None] * up + forward


def test_a_scene_depends_on_its_seed_alone(batch):
    for seed in (3, 5, 11):
        alone = render([seed], SIZE)
        assert torch.equal(alone.disparity[0], batch.disparity[seed])
        assert torch.equal(alone.depth[0], batch.depth[seed])
        assert (alone.image[0] - batch.image[seed]).abs().max() < 1e-5
        assert alone.captions[0] == batch.captions[seed] and alone.attributes[0] == batch.attributes[seed]
    assert torch.equal(render(SEEDS[:6], SIZE).image, render(SEEDS[:6], SIZE).image)


def test_different_seeds_differ(batch):
    flat = batch.image.flatten(1)
    apart = torch.cdist(flat, flat) + torch.eye(len(SEEDS)) * 1e9
    assert apart.min() > 1.0
    assert len(set(batch.captions)) > 0.9 * len(SEEDS)


def test_shapes_and_ranges(batch):
    count = len(SEEDS)
    assert batch.image.shape == (count, 3, SIZE, SIZE) and batch.image.dtype == torch.float32
    assert batch.disparity.shape == batch.depth.shape == batch.sky.shape == (count, 1, SIZE, SIZE)
    assert batch.sky.dtype == torch.bool and batch.disparity.dtype == torch.float32
    assert torch.isfinite(batch.image).all() and batch.image.min() >= 0 and batch.image.max() <= 1
    assert (batch.image.flatten(1).std(1) > 0.02).all()
    assert (batch.depth > 0).all()
    assert (batch.disparity.amin((1, 2, 3)) == 0).all() and (batch.disparity.amax((1, 2, 3)) == 1).all()


def test_the_sky_is_infinitely_far_and_disparity_is_inverse_depth(batch):
    assert batch.sky.any() and torch.equal(batch.sky, batch.depth.isinf())
    assert (batch.disparity[batch.sky] == 0).all()
    inverse = 1 / batch.depth.double()
    low, high = inverse.amin((1, 2, 3), keepdim=True), inverse.amax((1, 2, 3), keepdim=True)
    assert ((inverse - low) / (high - low) - batch.disparity).abs().max() < 1e-6
    kinds = [about["kind"] for about in batch.attributes]
    assert not any(batch.sky[i].any() for i, kind in enumerate(kinds) if kind in ("room", "studio"))
    assert all(batch.sky[i].any() for i, kind in enumerate(kinds) if kind in ("objects", "landscape"))


def test_ground_and_balls_lie_where_closed_forms_put_them():
    def only_balls(seed):
        about = sample(seed).about
        return about.get("relief") == "none" and about["objects"] and all(thing["shape"] == "ball" for thing in about["objects"])

    seeds = [seed for seed in range(400) if only_balls(seed)][:6]
    assert len(seeds) >= 4
    depths = render(seeds, SIZE).depth.double().numpy()[:, 0]
    for seed, depth in zip(seeds, depths, strict=True):
        scene = sample(seed)
        d, eye = rays(scene.pitch, SIZE), np.array([0, scene.camera_height, 0])
        with np.errstate(all="ignore"):
            truth = np.where(d[..., 1] < 0, -eye[1] / d[..., 1], np.inf)
            on_ball = np.zeros(truth.shape, bool)
            for x, y, z, radius, *_ in scene.ellipsoids:
                to = np.array([x, y, z]) - eye
                closest = (d @ to) / (d**2).sum(-1)
                miss = np.linalg.norm(d * closest[..., None] - to, axis=-1)
                t = closest - np.sqrt(radius**2 - miss**2) / np.linalg.norm(d, axis=-1)
                hit = (miss < radius) & (t < truth)
                truth, on_ball = np.where(hit, t, truth), on_ball | hit
                points = eye + depth[hit][:, None] * d[hit]
                away = np.linalg.norm(points - np.array([x, y, z]), axis=-1)
                assert np.median(np.abs(away - radius)) < 1e-4 * radius * max(1, z)
        close = np.abs(1 / depth - 1 / truth) <= 1e-4 / truth
        assert on_ball.sum() > 20
        assert close[np.isfinite(truth)].mean() > 0.998  # the rest: rays that graze a silhouette
        assert np.array_equal(np.isinf(depth), np.isinf(truth))


def columns(values) -> list[torch.Tensor]:
    return [torch.tensor([[value]], dtype=torch.float64) for value in values]


def shots(count: int, rng: np.random.Generator):
    """Rays from around towards the solid near the origin, as tensors (1, count) and as arrays."""
    start = rng.normal(size=(count, 3)) * 1.0 + np.array([0, 1.0, -6])
    aim = rng.uniform(-1.6, 1.6, (count, 3)) + np.array([0, 1.0, 0])
    way = aim - start
    return start, way, tuple(torch.from_numpy(start[:, i])[None] for i in range(3)), tuple(torch.from_numpy(way[:, i])[None] for i in range(3))


def check_entry(t: np.ndarray, start: np.ndarray, way: np.ndarray, inside) -> None:
    """Just before t all points are outside, just behind inside; rays that miss have no point inside."""
    steps = np.linspace(0, 2, 4001)
    for i in range(len(t)):
        until = t[i] - 1e-6 if np.isfinite(t[i]) else 2.0
        before = start[i] + steps[steps < until, None] * way[i]
        assert not inside(before, -1e-6).any()
        if np.isfinite(t[i]):
            assert inside(start[i] + (t[i] + 1e-7) * way[i][None], 1e-5).all()
            assert not inside(start[i] + (t[i] - 1e-4) * way[i][None], -1e-6).all()


@pytest.mark.parametrize(("below", "above"), [(1.0, 0.0), (0.7, 0.7), (1.2, 0.4)])
def test_frusta_are_entered_at_their_boundary(below, above):
    start, way, origin, direction = shots(80, np.random.default_rng(1))
    t, _ = frustum(origin, direction, columns([0.1, -0.2, 0.3, 1.9, below, above]))

    def inside(p, slack):
        radius = below + (above - below) * (p[:, 1] - 0.3) / 1.6 + slack
        return (p[:, 1] > 0.3 - slack) & (p[:, 1] < 1.9 + slack) & (radius > 0) & (np.hypot(p[:, 0] - 0.1, p[:, 2] + 0.2) < radius)

    assert 10 < torch.isfinite(t).sum() < 80
    check_entry(t[0].numpy(), start, way, inside)


def test_convex_solids_are_entered_at_their_boundary():
    rng = np.random.default_rng(2)
    normals = rng.normal(size=(9, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    normals[:6] = np.concatenate((np.eye(3), -np.eye(3)))
    limits = normals @ np.array([0, 1.0, 0]) + rng.uniform(0.6, 1.0, 9)
    start, way, origin, direction = shots(80, rng)
    planes = torch.from_numpy(np.concatenate((normals, limits[:, None]), 1))[None]
    t, face = polyhedron(origin, direction, planes)
    assert 10 < torch.isfinite(t).sum() < 80
    check_entry(t[0].numpy(), start, way, lambda p, slack: (p @ normals.T < limits + slack).all(1))
    hit = torch.isfinite(t[0]).numpy()
    points, faces = start[hit] + t[0].numpy()[hit, None] * way[hit], face[0].long().numpy()[hit]
    assert np.abs((points * normals[faces]).sum(1) - limits[faces]).max() < 1e-9


def test_captions_are_true():
    seen, words_seen = 0, set()
    for seed in range(2000):
        scene = sample(seed)
        text = caption(scene).lower().rstrip(".")
        assert FEWEST_WORDS <= len(text.split()) <= MOST_WORDS
        words_seen.add(text)
        things = {(thing["colour"], thing["shape"]) for thing in scene.about["objects"]}
        said = {(colour.replace("gray", "grey"), SHAPE_OF[noun]) for colour, noun in THING.findall(text)}
        assert said <= things, text
        roofs = {thing["roof"] for thing in scene.about["objects"] if "roof" in thing}
        assert {roof.replace("gray", "grey") for roof in ROOF.findall(text)} <= roofs, text
        if scene.about["objects"] and not {"rock"} & {shape for _, shape in things}:
            assert said, text
            seen += 1
        if re.search(r"at night|stars|starry|moon", text):
            assert scene.about["sky"] == "night"
        if re.search(r"sunset|dusk|evening", text):
            assert scene.about["sky"] == "sunset"
    assert seen > 1000 and len(words_seen) > 1600


def test_sides_are_where_the_words_say():
    counted = 0
    for seed in range(200):
        scene = sample(seed)
        for thing, (x, z, _) in zip(scene.about["objects"], scene.footprints, strict=True):
            where = x / z / math.tan(math.radians(HORIZONTAL_ANGLE / 2))
            assert {"left": where < -0.15, "centre": abs(where) < 0.2, "right": where > 0.15}[thing["side"]], (seed, thing, where)
            counted += 1
    assert counted > 150


def test_a_ball_shows_its_colour_where_it_stands():
    strongest = {"red": 0, "green": 1, "blue": 2}
    half = math.tan(math.radians(HORIZONTAL_ANGLE / 2))
    found = []
    for seed in range(1500):
        scene = sample(seed)
        things = scene.about["objects"]
        if scene.kind in ("studio", "objects") and len(things) == 1 and things[0]["shape"] == "ball" and things[0]["colour"] in strongest:
            found.append((seed, scene, strongest[things[0]["colour"]]))
    assert len(found) >= 6
    images = render([seed for seed, _, _ in found[:10]], SIZE).image
    for (seed, scene, channel), image in zip(found[:10], images, strict=True):
        x, y, z = scene.ellipsoids[0][:3]
        cos, sin = math.cos(scene.pitch), math.sin(scene.pitch)
        high = y - scene.camera_height
        deep, up = z * cos + high * sin, high * cos - z * sin
        column, row = int((x / deep / half + 1) / 2 * SIZE), int((1 - up / deep / half) / 2 * SIZE)
        assert image[:, row, column].argmax() == channel, (seed, image[:, row, column])
