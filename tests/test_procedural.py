# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural scenes: the same for the same seed, exact in depth, truthful in words."""

import math
import pickle

import numpy as np
import pytest
import torch
from jointdit.procedural import HORIZONTAL_ANGLE, draw, prepare, render
from jointdit.procedural.casting import box, frustum, polyhedron
from jointdit.procedural.packing import pack
from jointdit.procedural.render import assembled, look, tile_plane
from jointdit.procedural.sampling import sample

SIZE = 64
SEEDS = list(range(24))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def batch(one_thread):
    return render(SEEDS, SIZE)


def rays(pitch: float, size: int, angle: float) -> np.ndarray:
    """(size, size, 3) float64 world directions with planar depth 1, by rotating the camera's axes."""
    half = math.tan(math.radians(angle / 2))
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
    outdoors = [i for i, kind in enumerate(kinds) if kind in ("objects", "landscape")]
    assert all(batch.sky[i].any() for i in outdoors if batch.attributes[i]["camera"] != "bird's-eye") and len(outdoors) > 10


def bare(scene) -> bool:
    """Only balls stand on flat ground."""
    return scene.kind == "objects" and bool(scene.ellipsoids) and not (scene.boxes or scene.frusta or scene.polyhedra or scene.hills or scene.curtains)


@pytest.mark.parametrize("lens", ["normal", "wide", "telephoto"])
def test_ground_and_balls_lie_where_closed_forms_put_them(lens):
    def only_balls(scene):
        about = scene.about
        return bare(scene) and about["lens"] == lens and not about["bushes"] and all(thing["shape"] == "ball" for thing in about["objects"])

    seeds = [seed for seed in range(2000) if only_balls(sample(seed))][:4]
    assert len(seeds) >= 2
    batch = render(seeds, SIZE)
    depths = batch.depth.double().numpy()[:, 0]
    for seed, depth, angle in zip(seeds, depths, batch.horizontal_angle, strict=True):
        scene = sample(seed)
        assert (75 <= angle <= 85, 30 <= angle <= 38, angle == HORIZONTAL_ANGLE) == tuple(lens == name for name in ("wide", "telephoto", "normal"))
        d, eye = rays(scene.pitch, SIZE, angle), np.array([0, scene.camera_height, 0])
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


def test_tiles_leave_out_nothing_that_is_seen_or_throws_shadow():
    """Rays that may meet everything in the scene find the same distance and colour."""
    for seed in range(40):
        scene, x_y = sample(seed), tile_plane(SIZE, torch.device("cpu"))
        tiled, whole = (pack([scene], tiled=tiled).on(torch.device("cpu")) for tiled in (True, False))
        light, depth, key = look(tiled, *x_y)
        light_2, depth_2, key_2 = look(whole, *(axis.reshape(1, -1) for axis in x_y))
        assert torch.equal(depth.reshape(-1), depth_2.reshape(-1)) and torch.equal(key.reshape(-1), key_2.reshape(-1)), seed
        for one, other in zip(light, light_2, strict=True):
            assert (one.expand_as(depth).reshape(-1) - other.expand_as(depth_2).reshape(-1)).abs().max() < 1e-4, seed


def test_tiles_make_a_picture():
    x, y = (assembled(axis, 32) for axis in tile_plane(32, torch.device("cpu")))
    places = (torch.arange(32) + 0.5) / 16 - 1
    assert torch.allclose(x[0], places.expand(32, 32)) and torch.allclose(y[0], -places[:, None].expand(32, 32))


def test_prepared_scenes_cross_processes_and_are_drawn_at_any_size(batch):
    prepared = pickle.loads(pickle.dumps(prepare(SEEDS)))
    drawn = draw(prepared, SIZE)
    assert torch.equal(drawn.image, batch.image) and torch.equal(drawn.depth, batch.depth)
    assert drawn.captions == batch.captions and drawn.horizontal_angle == batch.horizontal_angle
    assert draw(prepared, 32).image.shape == (len(SEEDS), 3, 32, 32)
    with pytest.raises(ValueError, match="multiple of 8"):
        draw(prepared, 60)


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


def test_boxes_are_entered_at_their_boundary():
    yaw, middle, half = 0.6, np.array([0.1, 0.9, -0.2]), np.array([0.8, 0.9, 0.5])
    start, way, origin, direction = shots(80, np.random.default_rng(4))
    t, face = box(origin, direction, columns([*middle, *half, math.cos(yaw), -math.sin(yaw)]))
    own = np.array([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]])  # its axes, one a row
    assert 10 < torch.isfinite(t).sum() < 80
    check_entry(t[0].numpy(), start, way, lambda p, slack: (np.abs((p - middle) @ own.T) < half + slack).all(1))
    hit = torch.isfinite(t[0]).numpy()
    places = (start[hit] + t[0].numpy()[hit, None] * way[hit] - middle) @ own.T
    number = face[0].long().numpy()[hit]
    axis, sign = number // 2, 1 - 2 * (number % 2)
    assert np.abs(places[np.arange(len(axis)), axis] - sign * half[axis]).max() < 1e-9


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


def seen_at(scene, x: float, y: float, z: float) -> tuple[float, float]:
    """Where a point is in the picture, right and up, -1 to 1."""
    half = math.tan(math.radians(scene.angle / 2))
    cos, sin = math.cos(scene.pitch), math.sin(scene.pitch)
    high = y - scene.camera_height
    deep = z * cos + high * sin
    return x / deep / half, (high * cos - z * sin) / deep / half


def test_sides_are_where_the_words_say():
    counted = 0
    for seed in range(300):
        scene = sample(seed)
        if scene.kind not in ("objects", "studio") or scene.about.get("group"):
            continue
        first = len(scene.footprints) - len(scene.about["objects"])
        for thing, (x, z, _) in zip(scene.about["objects"], scene.footprints[first:], strict=True):
            where = seen_at(scene, x, 1.0, z)[0]
            assert {"left": where < -0.2, "centre": abs(where) < 0.25, "right": where > 0.2}[thing["side"]], (seed, thing, where)
            counted += 1
    assert counted > 150


def test_a_ball_shows_its_colour_where_it_stands():
    strongest = {"red": 0, "green": 1, "blue": 2}
    found = []
    for seed in range(1500):
        scene = sample(seed)
        things = scene.about["objects"]
        one = scene.about["style"] == "photographic" and len(things) == 1 and things[0]["shape"] == "ball" and things[0]["colour"] in strongest
        if one and (scene.kind == "studio" or bare(scene)) and scene.about.get("sky") not in ("fog", "sunset"):
            found.append((seed, scene, strongest[things[0]["colour"]]))
    assert len(found) >= 6
    images = render([seed for seed, _, _ in found[:10]], SIZE).image
    for (seed, scene, channel), image in zip(found[:10], images, strict=True):
        across, up = seen_at(scene, *scene.ellipsoids[-1][:3])
        column, row = int((across + 1) / 2 * SIZE), int((1 - up) / 2 * SIZE)
        assert image[:, row, column].argmax() == channel, (seed, image[:, row, column])


def test_a_ray_straight_at_the_light_of_a_sky_without_a_sun_is_a_colour() -> None:
    """These seeds have a pixel whose ray points at the light to the last bit; it was 0 / 0 once."""
    batch = render([284, 1763, 3708, 4364], 256)
    assert torch.isfinite(batch.image).all() and torch.isfinite(batch.disparity).all()
