# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground plane: planes in closed form seen by tilted cameras, with things, noise and holes; rendered scenes whose camera is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jointdit.procedural import render
from jointdit.procedural.sampling import sample

from jointdit_blender.core.frame import Camera
from jointdit_blender.core.ground import GroundError, ground_plane
from jointdit_blender.core.lifting import rays

SIZE = 96
RAYS = rays(Camera("perspective", 70.0), SIZE, SIZE, "planar")


def up_of(pitch: float, roll: float) -> np.ndarray:
    """The world's up in the space of a camera that looks `pitch` degrees up and is turned by `roll` degrees."""
    pitch, roll = np.radians(pitch), np.radians(roll)
    return np.array([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), -np.sin(pitch)])


def distance_of_plane(normal: np.ndarray, height: float, directions: np.ndarray = RAYS) -> np.ndarray:
    """How far along each ray the plane is; inf where the ray does not meet it."""
    with np.errstate(divide="ignore"):
        distance = -height / (directions @ normal)
    return np.where(distance > 0.0, distance, np.inf)


def seen(*distances: np.ndarray, far: float = np.inf) -> np.ndarray:
    """Points of the nearest of surfaces; holes where all are farther than `far` or at infinity."""
    nearest = np.minimum.reduce(distances)
    return RAYS * np.where((nearest < far) & np.isfinite(nearest), nearest, np.nan)[..., None]


def angle_between(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))


def wall(distance: float) -> np.ndarray:
    return distance_of_plane(np.array([0.0, 0.0, 1.0]), distance)


@settings(max_examples=40, deadline=None)
@given(pitch=st.floats(-30.0, 8.0), roll=st.floats(-20.0, 20.0), height=st.floats(0.1, 30.0))
def test_a_plane_is_found_exactly(pitch: float, roll: float, height: float) -> None:
    up = up_of(pitch, roll)
    plane = ground_plane(seen(distance_of_plane(up, height)))
    assert angle_between(plane.normal, up) < 1e-4
    assert plane.height == pytest.approx(height, rel=1e-5)
    assert plane.share > 0.95 and np.linalg.norm(plane.normal) == pytest.approx(1.0)


@settings(max_examples=20, deadline=None)
@given(pitch=st.floats(-25.0, 5.0), scale=st.floats(0.01, 100.0))
def test_the_height_follows_the_scale(pitch: float, scale: float) -> None:
    points = seen(distance_of_plane(up_of(pitch, 3.0), 1.7), wall(9.0))
    first, second = ground_plane(points), ground_plane(points * scale)
    assert second.height == pytest.approx(first.height * scale, rel=1e-6)
    np.testing.assert_allclose(second.normal, first.normal, atol=1e-6)


@pytest.mark.parametrize("pitch", [-20.0, -5.0])
def test_walls_things_and_noise_do_not_move_it(pitch: float) -> None:
    random = np.random.default_rng(3)
    up = up_of(pitch, 4.0)
    distance = np.minimum(distance_of_plane(up, 1.6), wall(12.0))
    distance[40:80, 20:45] = np.minimum(distance[40:80, 20:45], 3.0)
    distance = 1.0 / (1.0 / distance + random.normal(0.0, 0.003, distance.shape))
    distance[random.random(distance.shape) < 0.1] = np.nan
    plane = ground_plane(RAYS * distance[..., None])
    assert angle_between(plane.normal, up) < 0.5
    assert plane.height == pytest.approx(1.6, rel=0.02)
    assert 0.1 < plane.share < 0.9


def test_the_same_points_give_the_same_plane() -> None:
    points = seen(distance_of_plane(up_of(-10.0, 0.0), 1.5), wall(6.0))
    first, second = ground_plane(points), ground_plane(points.copy())
    np.testing.assert_array_equal(first.normal, second.normal)
    assert first.height == second.height and first.share == second.share


def test_a_table_is_not_the_ground() -> None:
    up = up_of(-25.0, 0.0)
    table = distance_of_plane(up, 0.6)
    table[(RAYS @ up > -0.25) | (np.abs(RAYS[..., 0]) > 0.55)] = np.inf
    points = seen(table, distance_of_plane(up, 1.4), wall(5.0))
    assert np.isfinite(table).mean() > 0.3, "the table must be large for this to say something"
    plane = ground_plane(points)
    assert plane.height == pytest.approx(1.4, rel=1e-3) and angle_between(plane.normal, up) < 0.1


def test_the_foot_of_the_stairs_is_the_ground() -> None:
    up = up_of(-20.0, 0.0)
    treads = []
    for number in range(4):
        distance = distance_of_plane(up, 1.6 - 0.2 * number)
        ahead = -(RAYS * np.where(np.isfinite(distance), distance, 0.0)[..., None])[..., 2]
        distance[(ahead < 3.0 + 0.4 * number) | (ahead > 3.4 + 0.4 * number)] = np.inf
        treads.append(distance)
    floor = distance_of_plane(up, 1.6)
    floor[floor > 6.0] = np.inf
    plane = ground_plane(seen(floor, *treads[1:]))
    assert plane.height == pytest.approx(1.6, rel=0.01) and angle_between(plane.normal, up) < 1.0


def test_up_may_be_another_axis() -> None:
    points = seen(distance_of_plane(up_of(-10.0, 0.0), 1.5))
    turned = points[..., [1, 0, 2]] * [1.0, -1.0, 1.0]
    plane = ground_plane(turned, up=(1.0, 0.0, 0.0))
    assert plane.height == pytest.approx(1.5, rel=1e-4) and plane.normal[0] > 0.9


def ceiling() -> np.ndarray:
    return seen(distance_of_plane(np.array([0.0, -1.0, 0.0]), 1.0), far=40.0)


def sky() -> np.ndarray:
    return RAYS * 200.0


@pytest.mark.parametrize(
    ("points", "word"),
    [
        (seen(wall(3.0)), "faces up"),
        (ceiling(), "faces up"),
        (sky(), "faces up"),
        (np.full((40, 40, 3), np.nan), "too few"),
        (seen(wall(3.0))[:4, :4], "too few"),
        (RAYS * np.random.default_rng(0).uniform(1.0, 50.0, (SIZE, SIZE, 1)), "No ground"),
    ],
    ids=["wall", "ceiling", "sky", "holes", "small", "noise"],
)
def test_no_ground_is_a_sentence(points: np.ndarray, word: str) -> None:
    with pytest.raises(GroundError, match=word) as error:
        ground_plane(points)
    assert str(error.value).endswith(".")


def test_rendered_scenes_with_a_known_camera() -> None:
    seeds = list(range(40))
    depth = render(seeds, SIZE).depth[:, 0].double().numpy()
    random = np.random.default_rng(0)
    tilts, heights = [], []
    for seed, distance in zip(seeds, depth, strict=True):
        scene = sample(seed)
        directions = rays(Camera("perspective", scene.angle), SIZE, SIZE, "planar")
        with np.errstate(divide="ignore"):
            inverse = 1.0 / distance
            inverse += random.normal(0.0, 0.005 * inverse.max(), inverse.shape)
            distance = np.where(inverse > 1.0 / 300.0, 1.0 / inverse, np.nan)
        plane = ground_plane(directions * distance[..., None])
        tilts.append(angle_between(plane.normal, up_of(np.degrees(scene.pitch), 0.0)))
        heights.append(abs(plane.height / scene.camera_height - 1.0))
    assert max(tilts) < 1.0 and max(heights) < 0.03
    assert np.median(tilts) < 0.2 and np.median(heights) < 0.005
