# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Panoramas of procedural scenes: exact in distance all around, without a seam, closed indoors."""

import math
from dataclasses import replace

import pytest
import torch
from jointdit.panorama.sphere import View, equirectangular_rays
from jointdit.procedural import HORIZONTAL_ANGLE
from jointdit.procedural import panorama as under_test
from jointdit.procedural.packing import pack
from jointdit.procedural.panorama import look_around, radial_distance, render_panorama
from jointdit.procedural.render import look
from jointdit.procedural.sampling import sample
from jointdit.procedural.sky import stars
from jointdit.procedural.tracing import SKY, nearest, steps

SIZE = 64
OUTDOORS, MOUNTAINS, LANDSCAPE, NIGHT, SUNSET, ROOM, STUDIO = 0, 28, 65, 4, 26, 2, 17
SEEDS = (OUTDOORS, MOUNTAINS, LANDSCAPE, NIGHT, SUNSET, ROOM, STUDIO)
LIKE = torch.empty(())
CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def panoramas(one_thread):
    return {seed: render_panorama(seed, SIZE) for seed in SEEDS}


def same(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Whether distances are equal but for rounding; the sky is as far as the sky."""
    return (a == b) | ((a - b).abs() <= 1e-4 * b)


def ground(height: float, directions: torch.Tensor) -> torch.Tensor:
    """Distance of an endless plane `height` below along unit directions."""
    return torch.where(directions[..., 1] < 0, -height / directions[..., 1], float("inf"))


def test_shapes_and_ranges(panoramas):
    for seed, panorama in panoramas.items():
        assert panorama.image.shape == (3, SIZE, 2 * SIZE) and panorama.image.dtype == torch.float32
        assert panorama.image.isfinite().all() and panorama.image.min() >= 0 and panorama.image.max() <= 1 and panorama.image.std() > 0.02
        assert panorama.distance.shape == panorama.sky.shape == (SIZE, 2 * SIZE) and panorama.distance.dtype == torch.float32
        assert (panorama.distance > 0).all() and torch.equal(panorama.sky, panorama.distance.isinf())
        assert panorama.attributes["kind"] == sample(seed).kind and len(panorama.caption.split()) >= 2
        assert panorama.attributes["around"][0] == sample(seed).about["objects"]


def test_a_panorama_depends_on_its_seed_alone(panoramas):
    for seed in (OUTDOORS, ROOM):
        again = render_panorama(seed, SIZE)
        assert torch.equal(again.image, panoramas[seed].image) and torch.equal(again.distance, panoramas[seed].distance)
        assert again.attributes == panoramas[seed].attributes and again.caption == panoramas[seed].caption


def test_a_bare_plain_is_a_plane_under_the_sky():
    def bare(seed):
        about = sample(seed).about
        things = any(about.get(name) for name in ("trees", "rocks", "bushes", "barrier"))
        return about["kind"] == "landscape" and about["relief"] == "none" and not things

    seed = next(seed for seed in range(400) if bare(seed))
    d = equirectangular_rays(SIZE, 2 * SIZE, LIKE)
    truth = ground(sample(seed).camera_height, d)
    distance = radial_distance(seed, 3 * d.double())
    assert torch.equal(distance.isinf(), d[..., 1] > 0)
    assert ((distance - truth)[SIZE // 2 :].abs() / truth[SIZE // 2 :]).max() < 1e-6


def test_nothing_outdoors_lies_below_the_ground(panoramas):
    d = equirectangular_rays(SIZE, 2 * SIZE, LIKE)
    for seed in (OUTDOORS, MOUNTAINS, LANDSCAPE, NIGHT, SUNSET):
        truth, distance = ground(sample(seed).camera_height, d), panoramas[seed].distance
        assert (distance <= truth * 1.00001).all()
        assert same(distance, truth)[-SIZE // 4 :].float().mean() > 0.8  # at the feet there is mostly ground
        assert panoramas[seed].sky[: SIZE // 8].all()


@pytest.mark.parametrize("seed", SEEDS)
def test_each_side_is_the_scene_that_stands_there(seed):
    """Ahead the scene of the seed, elsewhere its other sides, as the renderer of single pictures sees them; only another side's thing may be nearer."""
    scene = sample(seed)
    centres = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    y, x = (axis.reshape(1, -1) for axis in torch.meshgrid(-centres, centres, indexing="ij"))
    half = math.tan(math.radians(HORIZONTAL_ANGLE) / 2)
    turns = (0, 2) if seed == ROOM else (0, 1, 2, 3)
    for turn in turns:
        side = replace(under_test.other_side(scene, turn) if turn else scene, pitch=0.0)
        packed = pack([side], tiled=False).on(CPU)
        _, depth, _ = look(packed, x, y)
        directions = View(90.0 * turn, 0, HORIZONTAL_ANGLE).rays(SIZE, SIZE, LIKE)
        planar = radial_distance(seed, directions).reshape(1, -1) / directions.norm(dim=-1).reshape(1, -1)
        agree = same(planar, depth)
        assert (agree | (planar < depth)).float().mean() > 0.998  # the rest: rays that graze a silhouette
        zero = torch.zeros(1, 1)
        hits = nearest(packed, steps(packed.seen), (zero, packed.camera[:, :1], zero), (half * x, half * y, torch.ones_like(x)))
        things = (hits.surface > (4 if "room" in scene.environment else 0)) & (depth < 60)
        assert things.sum() > 10 or seed == LANDSCAPE
        assert agree[things | ((hits.surface != SKY) & (depth < 20))].float().mean() > 0.995


@pytest.mark.parametrize("seed", [OUTDOORS, MOUNTAINS, NIGHT, SUNSET])
def test_things_stand_on_all_four_sides(seed, panoramas):
    assert len(panoramas[seed].attributes["around"]) == 4 and all(panoramas[seed].attributes["around"])
    for turn in range(4):
        directions = View(90.0 * turn, 0, HORIZONTAL_ANGLE).rays(SIZE, SIZE, LIKE)
        distance = radial_distance(seed, directions)
        plain = ground(sample(seed).camera_height, directions / directions.norm(dim=-1, keepdim=True))
        assert ((distance < 0.95 * plain) & (distance < 70)).sum() > 20


def test_a_room_is_closed_and_its_walls_are_where_closed_forms_put_them(panoramas):
    scene = sample(ROOM)
    half, back, ceiling = scene.environment["room"]
    d = equirectangular_rays(SIZE, 2 * SIZE, LIKE).double()
    far = torch.tensor([half, 0.0, back]).double()
    heights = torch.where(d[..., 1] > 0, ceiling - scene.camera_height, scene.camera_height)
    faces = torch.stack([far[0] / d[..., 0].abs(), heights / d[..., 1].abs(), far[2] / d[..., 2].abs()])
    truth, face = faces.min(0)
    distance = panoramas[ROOM].distance
    assert not panoramas[ROOM].sky.any()
    on_wall = (distance - truth).abs() < 1e-5 * truth
    assert (on_wall | (distance < truth)).all() and on_wall.float().mean() > 0.9
    for axis in range(3):
        for sign in (-1, 1):
            assert (on_wall & (face == axis) & (d[..., axis] * sign > 0)).sum() > 20


def test_a_rooms_second_view_gives_only_the_wall_behind():
    here = under_test.world(ROOM, CPU)
    (ray,) = under_test.rays(equirectangular_rays(SIZE, 2 * SIZE, LIKE))
    hits, first = under_test.meet(here, ray)
    assert (hits[1].surface[0, first == 1] == 3).all() and (first == 1).sum() > 50


@pytest.mark.parametrize("seed", [OUTDOORS, ROOM, STUDIO])
def test_all_views_are_lit_from_one_place(seed):
    here = under_test.world(seed, CPU)
    name = "light" if seed == OUTDOORS else "lamp"
    for turn, view in zip(here.turns, here.views, strict=True):
        assert under_test.turned(tuple(view.environment[name][0].tolist()), turn) == tuple(here.views[0].environment[name][0].tolist())


def test_turns_go_to_the_right_as_views_do():
    for turn in range(4):
        x, y, z = under_test.turned((0.0, 0.0, 1.0), turn)
        right, _, back = View(90.0 * turn).axes(LIKE)
        assert torch.allclose(torch.tensor([x, y, -z]), -back, atol=1e-6)
        x, y, z = under_test.turned((1.0, 0.0, 0.0), turn)
        assert torch.allclose(torch.tensor([x, y, -z]), right, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_there_is_no_seam(seed, panoramas):
    image = panoramas[seed].image
    steps = (image - image.roll(1, -1)).abs().mean((0, 1))  # steps[0] leads over the seam
    assert steps[0] <= steps[1:].quantile(0.95)
    near = torch.tensor([math.pi - 1e-4, -math.pi + 1e-4])
    for latitude in torch.linspace(-1.4, 1.4, 16):
        pair = torch.stack([latitude.cos() * near.sin(), latitude.sin().expand(2), -latitude.cos() * near.cos()], -1)
        colour, distance = look_around(seed, pair)
        assert (colour[0] - colour[1]).abs().max() < 0.02
        assert torch.equal(*distance) or (distance[0] - distance[1]).abs() < 0.01 * distance[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_poles_are_one_place(seed):
    around = torch.linspace(0, 2 * math.pi, 33)
    for up in (-1.0, 1.0):
        ring = torch.stack([1e-3 * around.sin(), torch.full_like(around, up), 1e-3 * around.cos()], -1)
        colour, distance = look_around(seed, ring)
        assert (colour.amax(0) - colour.amin(0)).max() < 0.03
        assert distance.isinf().all() or distance.max() - distance.min() < 1e-3 * distance.min()


def test_stars_are_those_of_the_picture_ahead_and_lie_on_no_edge():
    plane = torch.linspace(-0.9, 0.9, 50)
    x, y = under_test.star_plane((plane[None], plane.flip(0)[None], torch.ones(1, 50)))
    assert torch.allclose(x[0], plane) and torch.allclose(y[0], plane.flip(0))
    salt = torch.zeros(1, 1)
    edge = torch.linspace(0.02, 0.98, 200)
    for ray in ((torch.ones(200), edge, torch.ones(200)), (edge, torch.ones(200), torch.ones(200)), (-torch.ones(200), torch.ones(200), edge)):
        place = under_test.star_plane(tuple(axis[None] for axis in ray))
        assert stars(*place, salt).max() < 1e-3
