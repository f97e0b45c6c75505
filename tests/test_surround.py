# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything around the camera from one frame: the projection against the rays of `lifting`, the extension by what it must not show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jointdit_blender.core.frame import Camera
from jointdit_blender.core.lifting import rays
from jointdit_blender.core.surround import frame_coordinates, surroundings

CAMERAS = {
    "perspective": Camera("perspective", 70.0),
    "shifted": Camera("perspective", 50.0, None, (0.3, 0.6)),
    "wide": Camera("perspective", 150.0),
    "cylinder": Camera("cylindrical", 360.0, 80.0),
    "part of a cylinder": Camera("cylindrical", 140.0, 60.0),
    "sphere": Camera("equirectangular", 360.0, 180.0),
    "part of a sphere": Camera("equirectangular", 200.0, 90.0),
    "strip": Camera("equirectangular", 360.0, 60.0),
}
PARTIAL = [name for name in CAMERAS if name != "sphere"]


def all_around(width: int) -> np.ndarray:
    """The direction of every pixel of the result, in closed form: (width // 2, width, 3), length 1."""
    height = width // 2
    longitude = (np.arange(width) + 0.5) / width * 2.0 * np.pi - np.pi
    latitude = (np.pi / 2.0 - (np.arange(height) + 0.5) / height * np.pi)[:, None]
    return np.stack(np.broadcast_arrays(np.cos(latitude) * np.sin(longitude), np.sin(latitude), -np.cos(latitude) * np.cos(longitude)), axis=-1)


def seen_by(camera: Camera, directions: np.ndarray, aspect: float, margin: float = 0.0) -> np.ndarray:
    """Which directions the camera sees, by vectors alone, at least `margin` inside its border (in units of half its width)."""
    x, y, z = np.moveaxis(directions, -1, 0)
    half = np.radians(camera.horizontal_angle) / 2.0
    if camera.projection == "perspective":
        with np.errstate(divide="ignore", invalid="ignore"):
            across, down = x / -z / np.tan(half), -y / -z / np.tan(half) * aspect
        center = 2.0 * np.asarray(camera.principal_point) - 1.0
        return (z < 0.0) & (np.abs(across + center[0]) < 1.0 - margin) & (np.abs(down + center[1]) < 1.0 - margin)
    around = np.abs(np.arctan2(x, -z)) / half
    half_vertical = np.radians(camera.vertical_angle or 0.0) / 2.0
    elevation = np.abs(np.arctan2(y, np.hypot(x, z)))
    upward = np.tan(elevation) / np.tan(half_vertical) if camera.projection == "cylindrical" else elevation / half_vertical
    return (camera.wraps | (around < 1.0 - margin)) & (upward < 1.0 - margin)


def painted(directions: np.ndarray) -> np.ndarray:
    """A smooth color for every direction, uint8: what a camera in the middle of a painted sphere sees."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.rint(128.0 + 100.0 * unit).astype(np.uint8)


def photograph(camera: Camera, width: int = 160, height: int = 120) -> np.ndarray:
    return painted(rays(camera, width, height, "radial"))


@pytest.mark.parametrize("name", CAMERAS)
def test_coordinates_are_the_inverse_of_the_rays(name: str) -> None:
    camera, width, height = CAMERAS[name], 24, 18
    x, y, z = np.moveaxis(rays(camera, width, height, "radial"), -1, 0)
    u, v = frame_coordinates(camera, width / height, np.arctan2(x, -z), np.arctan2(y, np.hypot(x, z)))
    np.testing.assert_allclose(u * width - 0.5, np.broadcast_to(np.arange(width), (height, width)), atol=1e-9)
    np.testing.assert_allclose(v * height - 0.5, np.broadcast_to(np.arange(height)[:, None], (height, width)), atol=1e-9)


@pytest.mark.parametrize("name", CAMERAS)
def test_what_the_frame_sees_is_where_it_belongs(name: str) -> None:
    camera = CAMERAS[name]
    result, directions = surroundings(photograph(camera, 320, 240), camera, 256), all_around(256)
    inside = seen_by(camera, directions, 320 / 240, 0.02)
    assert inside.mean() > 0.02
    error = np.abs(result.astype(int) - painted(directions).astype(int))
    assert error[inside].max() <= (2 if name != "wide" else 4)


def test_a_whole_sphere_is_itself() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    np.testing.assert_array_equal(surroundings(picture, CAMERAS["sphere"], 64), picture)


def test_orientation() -> None:
    picture = np.full((60, 80, 3), 90, np.uint8)
    picture[:30, 40:] = (255, 0, 0)
    result = surroundings(picture, Camera("perspective", 60.0), 360)
    assert tuple(result[85, 190]) == (255, 0, 0), "up and to the right of forward"
    assert tuple(result[85, 170]) == tuple(result[95, 190]) == (90, 90, 90)


@pytest.mark.parametrize("name", PARTIAL)
def test_no_seam_at_the_back_and_one_color_at_the_poles(name: str) -> None:
    camera = CAMERAS[name]
    picture = photograph(camera).astype(int)
    if not camera.wraps:  # else the noise would be at the back too
        picture += np.random.default_rng(1).integers(-20, 21, (120, 160, 1))
    result = surroundings(picture.astype(np.uint8), camera, 256).astype(int)
    assert np.abs(result[:, 0] - result[:, -1]).max() <= 6
    for row in (result[0], result[-1]):
        assert np.ptp(row, axis=0).max() <= 4


def test_one_color_at_a_pole_that_is_not_known() -> None:
    camera = CAMERAS["sphere"]
    known = np.zeros((120, 160), bool)
    known[:50] = True
    result = surroundings(photograph(camera), camera, 256, known).astype(int)
    assert np.ptp(result[-1], axis=0).max() <= 4 and np.abs(result[:, 0] - result[:, -1]).max() <= 6


@pytest.mark.parametrize("name", PARTIAL)
def test_no_edge_where_the_frame_ends(name: str) -> None:
    camera = CAMERAS[name]
    result = surroundings(photograph(camera), camera, 512).astype(int)
    steps = max(np.abs(np.diff(result, axis=0)).max(), np.abs(np.diff(result, axis=1)).max())
    assert steps <= 14, "the picture itself changes by less than 2 from pixel to pixel"


def landscape() -> np.ndarray:
    """Blue sky, green ground, clouds, and a red thing at the left border."""
    random = np.random.default_rng(2)
    picture = np.empty((120, 160, 3), np.uint8)
    picture[:60], picture[60:] = (90, 140, 220), (60, 120, 40)
    picture = np.clip(picture + random.integers(-8, 9, (120, 160, 1)), 0, 255).astype(np.uint8)
    picture[45:90, 5:25] = (200, 20, 20)
    return picture


def test_sky_stays_above_and_ground_below() -> None:
    result = surroundings(landscape(), Camera("perspective", 60.0), 512).astype(int)
    _, green, blue = np.moveaxis(result, -1, 0)
    assert (blue[:110] > green[:110]).mean() > 0.99 and (green[146:] > blue[146:]).mean() > 0.99
    back = np.roll(result, 256, axis=1)[:, 128:384]
    np.testing.assert_allclose(back[:120].mean(axis=(0, 1)), (90, 140, 220), atol=12)
    np.testing.assert_allclose(back[136:].mean(axis=(0, 1)), (60, 120, 40), atol=12)
    assert np.ptp(back, axis=1).max() < 40, "nothing is drawn around the back as a band or a thing"


def test_only_what_is_known_is_used() -> None:
    picture = np.full((120, 160, 3), (90, 140, 220), np.uint8)
    known = np.zeros((120, 160), bool)
    known[:70] = True
    picture[~known] = (255, 0, 0)
    known[20:60, 50:80] = False
    picture[20:60, 50:80] = (255, 0, 255)
    result = surroundings(picture, Camera("perspective", 80.0), 256, known)
    # Linear interpolation at the border of what is known sees half a pixel of the rest.
    assert (np.abs(result.astype(int) - (90, 140, 220)).max(axis=-1) <= 2).mean() > 0.98
    np.testing.assert_allclose(result[[0, -1]].reshape(-1, 3), np.tile((90, 140, 220), (512, 1)), atol=2)


def test_nothing_known_is_grey() -> None:
    result = surroundings(landscape(), Camera(), 64, np.zeros((120, 160), bool))
    assert (result == 128).all()


@settings(max_examples=40, deadline=None)
@given(
    camera=st.one_of(
        st.builds(Camera, st.just("perspective"), st.floats(5.0, 170.0), st.none(), st.tuples(st.floats(-1.0, 2.0), st.floats(-1.0, 2.0))),
        st.builds(Camera, st.just("cylindrical"), st.floats(10.0, 360.0), st.floats(5.0, 170.0)),
        st.builds(Camera, st.just("equirectangular"), st.floats(10.0, 360.0), st.floats(5.0, 180.0)),
    ),
    color=st.tuples(*[st.integers(0, 255)] * 3),
    size=st.tuples(st.integers(2, 40), st.integers(2, 40)),
)
def test_one_color_stays_one_color(camera: Camera, color: tuple[int, int, int], size: tuple[int, int]) -> None:
    result = surroundings(np.full((*size, 3), color, np.uint8), camera, 96)
    assert result.shape == (48, 96, 3) and result.dtype == np.uint8
    grey = (result == 128).all()  # so little that not one pixel of the result is inside
    assert grey or np.abs(result.astype(int) - color).max() <= 1


@pytest.mark.parametrize("name", ["perspective", "cylinder"])
def test_another_picture_may_be_shown_within_the_borders(name: str) -> None:
    camera, width = CAMERAS[name], 256
    rgb = photograph(camera)
    plain, other = surroundings(rgb, camera, width), surroundings(rgb, camera, width, shown=255 - rgb)
    directions = all_around(width)
    inside, deep = (seen_by(camera, directions, rgb.shape[1] / rgb.shape[0], margin) for margin in (0.0, 0.25))
    np.testing.assert_array_equal(other[~inside], plain[~inside])
    assert np.abs(other[deep].astype(int) - (255 - plain[deep].astype(int))).max() <= 2
    step = np.abs(np.diff(other.astype(int) - plain, axis=0)).max()
    assert step < 70, "it comes in smoothly, so that no border is seen"
