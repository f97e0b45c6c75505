# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directions, views and noise of a sphere, against the add-on's own geometry, closed forms and statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jointdit.panorama.agreement import cosines, looks, mean, unit_rays
from jointdit.panorama.asked import VIEW_COUNTS
from jointdit.panorama.fill import filled_distances, filled_picture, toned_to
from jointdit.panorama.noise import sphere_noise
from jointdit.panorama.sphere import (
    View,
    around_poles,
    border_weight,
    equirectangular_rays,
    even_directions,
    layout,
    sample,
    sample_equirectangular,
)  # fmt: skip
from torch import Tensor

from jointdit_blender.core.frame import Camera
from jointdit_blender.core.lifting import rays

LIKE = torch.zeros((), dtype=torch.float64)
ANGLES = st.floats(-180, 180)


def smooth(directions: Tensor) -> Tensor:
    """(3, ...) three smooth functions on the sphere, (..., 3) unit directions in."""
    x, y, z = directions.unbind(-1)
    return torch.stack([0.5 + 0.3 * x, 0.5 + 0.2 * y * z, 0.4 + 0.3 * (x * x - 0.5 * y)])


@given(yaw=ANGLES, pitch=st.floats(-90, 90), angle=st.floats(20, 120), x=st.floats(0.3, 0.7), y=st.floats(0.3, 0.7))
@settings(max_examples=40, deadline=None)
def test_a_views_rays_meet_its_own_pixels(yaw: float, pitch: float, angle: float, x: float, y: float) -> None:
    view = View(yaw, pitch, angle, (x, y))
    places, depth = view.project(view.rays(6, 9, LIKE), 6, 9)
    assert torch.allclose(depth, torch.ones_like(depth))
    columns, rows = (torch.arange(side, dtype=torch.float64) * 2 / side + 1 / side - 1 for side in (9, 6))
    assert torch.allclose(places[..., 0], columns.expand(6, 9), atol=1e-9)
    assert torch.allclose(places[..., 1], rows[:, None].expand(6, 9), atol=1e-9)


def test_rays_are_those_of_the_add_on() -> None:
    ahead = View(0.0, 0.0, 70.0, (0.4, 0.55)).rays(20, 30, LIKE).numpy()
    np.testing.assert_allclose(ahead, rays(Camera(horizontal_angle=70.0, principal_point=(0.4, 0.55)), 30, 20, "planar"), atol=1e-12)
    around = equirectangular_rays(16, 32, LIKE).numpy()
    np.testing.assert_allclose(around, rays(Camera("equirectangular", 360.0, 180.0), 32, 16, "radial"), atol=1e-12)


@pytest.mark.parametrize(
    ("view", "looks_along", "up"),
    [(View(), (0, 0, -1), (0, 1, 0)), (View(90.0), (1, 0, 0), (0, 1, 0)), (View(180.0), (0, 0, 1), (0, 1, 0)), (View(-90.0), (-1, 0, 0), (0, 1, 0)),
     (View(0, 90.0), (0, 1, 0), (0, 0, 1)), (View(0, -90.0), (0, -1, 0), (0, 0, -1)), (View(90.0, 90.0), (0, 1, 0), (-1, 0, 0))],
)  # fmt: skip
def test_where_views_look(view: View, looks_along: tuple[float, ...], up: tuple[float, ...]) -> None:
    right, above, back = view.axes(LIKE)
    assert torch.allclose(-back, torch.tensor(looks_along, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(above, torch.tensor(up, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(torch.linalg.cross(right, above), back, atol=1e-12)


@pytest.mark.parametrize("count", VIEW_COUNTS)
def test_a_layout_sees_everything_well_and_turns_into_itself(count: int) -> None:
    views = layout(count)
    assert len(views) == count
    assert {(0.0, 90.0), (0.0, -90.0)} <= {(view.yaw, view.pitch) for view in views}
    seen = looks(views, [(32, 32)] * count, even_directions(3000, LIKE))
    covered = torch.zeros(3000, dtype=torch.int64)
    for look in seen:
        covered[look.rays] += 1
    assert covered.min() >= (1 if count < 18 else 2)
    axes = {tuple(view.axes(LIKE)[2].mul(1e6).round().int().tolist()) for view in views}
    assert axes == {tuple(view.turned(90).axes(LIKE)[2].mul(1e6).round().int().tolist()) for view in views}


def test_even_directions_are_even() -> None:
    points = even_directions(5000, LIKE)
    assert torch.allclose(points.norm(dim=-1), torch.ones(5000, dtype=torch.float64))
    assert points.mean(0).abs().max() < 1e-3
    assert torch.allclose(points.T @ points / 5000, torch.eye(3, dtype=torch.float64) / 3, atol=1e-3)
    caps = (points @ torch.nn.functional.normalize(torch.randn(3, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=0)) > 0.9
    assert torch.allclose(caps.double().mean(0), torch.tensor(0.05, dtype=torch.float64), atol=2e-3)  # a cap's share is (1 - 0.9) / 2


def test_a_panorama_is_read_without_a_seam() -> None:
    panorama = smooth(equirectangular_rays(64, 128, LIKE))
    places = even_directions(4000, LIKE)
    assert (sample_equirectangular(panorama, 3 * places) - smooth(places)).abs().max() < 1e-3
    on_seam = torch.tensor([[1e-9, 0.1, 1.0], [-1e-9, 0.1, 1.0]], dtype=torch.float64)
    left, right = sample_equirectangular(panorama, on_seam).unbind(-1)
    assert torch.allclose(left, right, atol=1e-6)


def test_around_the_poles_goes_on_on_the_other_side() -> None:
    panorama = smooth(equirectangular_rays(32, 64, LIKE))
    padded = around_poles(panorama, 3, 2)
    assert padded.shape == (3, 36, 70)
    assert torch.equal(padded[:, 2:-2, 3:-3], panorama)
    assert torch.equal(padded[:, 2:-2, :3], panorama[..., -3:])
    assert torch.equal(padded[:, 1, 3:-3], panorama[:, 0].roll(32, -1))
    # Across the pole as smooth as before it: the function is smooth there.
    assert (padded[:, 1] - padded[:, 2]).abs().max() < 2 * (padded[:, 3] - padded[:, 2]).abs().max() + 1e-3


def test_views_of_one_thing_join_to_it() -> None:
    views = layout(18)
    pictures = [smooth(unit_rays(view, 48, 48, LIKE)).unflatten(1, (48, 48)) for view in views]
    around = equirectangular_rays(40, 80, LIKE).reshape(-1, 3)
    seen = looks(views, [(48, 48)] * 18, around)
    shares = torch.zeros(len(around), dtype=torch.float64)
    for look in seen:
        shares.index_add_(0, look.rays, look.share)
    assert torch.allclose(shares, torch.ones_like(shares))
    assert (mean(pictures, seen, len(around)) - smooth(around)).abs().max() < 1e-3


def test_a_known_picture_is_kept() -> None:
    views = [*layout(6), View(0, 0, 40.0)]
    pictures = [torch.zeros(1, 16, 16, dtype=torch.float64)] * 6 + [torch.ones(1, 24, 32, dtype=torch.float64)]
    sides = [(16, 16)] * 6 + [(24, 32)]
    inside = unit_rays(View(0, 0, 30.0), 10, 14, LIKE)
    assert mean(pictures, looks(views, sides, inside, known=1), len(inside)).min() > 0.999
    outside = unit_rays(View(90, 0, 40.0), 10, 10, LIKE)
    assert mean(pictures, looks(views, sides, outside, known=1), len(outside)).max() == 0


def test_cosines_are_planar_over_radial() -> None:
    view = View(30, 20, 80.0)
    directions = view.rays(5, 5, LIKE)
    assert torch.allclose(cosines(view, 5, 5, LIKE), -(directions / directions.norm(dim=-1, keepdim=True)) @ view.axes(LIKE)[2])


def test_noise_is_normal_and_independent_within_a_view_and_shared_between_views() -> None:
    views = layout(18)
    noise = sphere_noise(views, 400, 16, 16, torch.Generator().manual_seed(3))
    assert noise.shape == (18, 400, 16, 16)
    assert abs(float(noise.mean())) < 5e-3 and abs(float(noise.var()) - 1) < 1e-2
    variance = noise.square().mean(dim=(0, 1))
    assert (variance - 1).abs().max() < 0.06  # the corners as well as the middle: 18 x 400 samples of each pixel
    for axis in (-1, -2):
        neighbours = (noise * noise.roll(1, axis)).mean(dim=1)
        assert neighbours.mean().abs() < 3e-3
    # Half way to the view 45 degrees to the right both see the same: columns 11 and 4.
    ahead, aside = noise[0], noise[next(i for i, view in enumerate(views) if (view.yaw, view.pitch) == (45.0, 0.0))]
    shared = (ahead[:, 7:9, 10:13, None, None] * aside[:, None, None, 7:9, 3:6]).mean(0)
    assert float(shared.max()) > 0.3


def test_turned_noise_is_the_noise_of_turned_views() -> None:
    views = layout(18)
    still, turned = (sphere_noise(views, 4, 8, 8, torch.Generator().manual_seed(0), turn=turn) for turn in (0.0, 90.0))
    index = {(round(view.yaw) % 360, round(view.pitch)): i for i, view in enumerate(views)}
    for i, view in enumerate(views):
        if abs(view.pitch) < 80:  # a view of a pole turns around itself
            assert torch.allclose(turned[index[(round(view.yaw) + 90) % 360, round(view.pitch)]], still[i], atol=1e-5)


def test_weight_falls_smoothly_to_the_border() -> None:
    weight = border_weight(torch.stack([torch.linspace(-1.2, 1.2, 241), torch.zeros(241)], -1), 0.25)
    assert weight[:21].max() == 0 and weight[120] == 1
    assert weight.diff().abs().max() < 0.08


def test_sampling_at_pixel_centres_gives_the_pixels() -> None:
    picture = torch.rand(2, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    places, _ = View().project(View().rays(5, 7, LIKE), 5, 7)
    assert torch.allclose(sample(picture, places), picture, atol=1e-9)


def test_an_unseen_ground_goes_on_as_a_plane_and_a_sky_as_a_sky() -> None:
    rays_ = equirectangular_rays(64, 128, LIKE).numpy()
    truth = np.maximum(-rays_[..., 1], 0) / 1.7
    belt = np.abs(np.arcsin(rays_[..., 1])) < np.radians(40)
    filled = filled_distances(np.where(belt, truth, 9.0), belt)
    np.testing.assert_array_equal(filled[belt], truth[belt])
    np.testing.assert_allclose(filled, truth, atol=2e-3 / 1.7)


def test_an_unseen_part_of_a_picture_goes_on_smoothly() -> None:
    latitude = np.degrees(np.arcsin(equirectangular_rays(64, 128, LIKE).numpy()[..., 1]))
    belt = np.abs(latitude) < 40
    picture = np.stack([np.where(latitude > 0, 0.9, 0.2) + 0.05 * np.sin(np.arange(128) / 128 * 2 * np.pi)] * 3)
    filled = filled_picture(np.where(belt, picture, -5.0), belt)
    np.testing.assert_array_equal(filled[:, belt], picture[:, belt])
    assert np.ptp(filled[:, 0]) < 1e-6 and np.ptp(filled[:, -1]) < 1e-6
    assert abs(filled[0, 0].mean() - 0.9) < 0.01 and abs(filled[0, -1].mean() - 0.2) < 0.01
    jumps = np.abs(np.diff(filled[0], axis=0))
    border = np.flatnonzero(np.diff(belt[:, 0]))
    assert jumps[border].max() < 0.05


def test_surroundings_pass_over_into_a_known_picture() -> None:
    rays_ = equirectangular_rays(64, 128, LIKE).numpy()
    picture = 0.3 + 0.1 * rays_[None, ..., 1]
    inside = (np.abs(rays_[..., 0]) < 0.4) & (np.abs(rays_[..., 1]) < 0.4) & (rays_[..., 2] < 0)
    toned = toned_to(picture, picture + 0.2, inside, 0.3)
    np.testing.assert_array_equal(toned[0, inside], picture[0, inside] + 0.2)
    change = (toned - picture)[0]
    beside = (rays_[32, :, 0] > 0.42) & (rays_[32, :, 0] < 0.48) & (rays_[32, :, 2] < 0)
    assert (change[32, beside] > 0.12).all() and np.abs(change[:, :20]).max() < 0.01  # beside it near its tone, behind as before
    assert change.min() > -1e-6 and change.max() < 0.2 + 1e-6
    # A step larger than asked for stays a step.
    stepped = toned_to(picture, picture + 5.0, inside, 0.3, most=1.0)
    assert np.abs((stepped - picture)[0][~inside]).max() < 0.5
