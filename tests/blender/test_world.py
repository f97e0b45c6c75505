# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""World, far dome and floor: rendered in all directions and held against the closed form of an equirectangular picture."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from frames import write_png

bpy = pytest.importorskip("bpy")

from mathutils import Euler, Matrix  # noqa: E402
from rendering import add_camera, render  # noqa: E402

from jointdit_blender.scene.world import far_dome, floor, set_world  # noqa: E402

# How a camera at a frame's origin is turned, in the frame's space: ahead, right, behind, left, up, down.
TURNS = {
    "ahead": Matrix(),
    "right": Matrix.Rotation(-math.pi / 2.0, 4, "Y"),
    "behind": Matrix.Rotation(math.pi, 4, "Y"),
    "left": Matrix.Rotation(math.pi / 2.0, 4, "Y"),
    "up": Matrix.Rotation(math.pi / 2.0, 4, "X"),
    "down": Matrix.Rotation(-math.pi / 2.0, 4, "X"),
}
BUILT = Matrix.Rotation(math.pi / 2.0, 4, "X")
ODD = Matrix.Translation((3.0, -2.0, 1.0)) @ Euler((0.4, -0.8, 2.1)).to_matrix().to_4x4() @ Matrix.Scale(2.0, 4)
SIZE = 64


def smooth_color(direction: np.ndarray) -> np.ndarray:
    """A color for every direction in camera space, (..., 3) uint8: smooth over the whole sphere, with no symmetry."""
    x, y, z = np.moveaxis(direction, -1, 0)
    red = 0.5 + 0.25 * x + 0.15 * np.sin(5.0 * y + 3.0 * z)
    green = 0.5 + 0.25 * y + 0.15 * np.sin(5.0 * z + 3.0 * x)
    blue = 0.5 - 0.25 * z + 0.15 * np.sin(5.0 * x + 3.0 * y)
    return np.round(255.0 * np.stack([red, green, blue], axis=-1)).astype(np.uint8)


def panorama(folder: Path, width: int = 1024) -> bpy.types.Image:
    """The equirectangular picture of `smooth_color`: longitude grows to the right, the middle is -z."""
    longitude = ((np.arange(width) + 0.5) / width * 2.0 - 1.0)[None, :] * np.pi
    latitude = (0.5 - (np.arange(width // 2) + 0.5) / (width // 2))[:, None] * np.pi
    x, y, z = np.cos(latitude) * np.sin(longitude), np.sin(latitude), -np.cos(latitude) * np.cos(longitude)
    path = folder / "around.png"
    write_png(path, smooth_color(np.stack(np.broadcast_arrays(x, y, z), axis=-1)))
    return bpy.data.images.load(str(path))


def view_directions(turn: Matrix, angle: float) -> np.ndarray:
    """Unit directions of the pixels of a square view in the frame's space, (SIZE, SIZE, 3)."""
    side = ((np.arange(SIZE) + 0.5) / SIZE * 2.0 - 1.0) * math.tan(angle / 2.0)
    x, y = np.meshgrid(side, -side)
    rays = np.stack([x, y, np.full_like(x, -1.0)], axis=-1)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True) @ np.array(turn.to_3x3()).T


def look_around(folder: Path, frame: Matrix, angle: float = math.radians(90.0)) -> int:
    """The greatest difference of six views from the closed form, 0 to 255."""
    scene = bpy.context.scene
    worst = 0
    for name, turn in TURNS.items():
        add_camera(scene, frame.normalized() @ turn, angle)
        seen = render(scene, folder / f"{name}.png", (SIZE, SIZE))
        difference = np.abs(seen.astype(int) - smooth_color(view_directions(turn, angle)))
        worst = max(worst, int(difference.max()))
    return worst


@pytest.mark.parametrize("forward", [None, BUILT, ODD])
def test_the_world_is_turned_like_the_frame(tmp_path: Path, forward: Matrix | None) -> None:
    scene = bpy.context.scene
    before = scene.world = bpy.data.worlds.new("Mine")
    world = set_world(scene, "Around", panorama(tmp_path), forward)
    assert scene.world == world and world.name == "Around"
    assert bpy.data.worlds["Mine"] == before and before.users > 0, "the world before it would be saved"
    # Nothing is lit by it here.
    world.cycles.sampling_method = "NONE"
    assert look_around(tmp_path, forward or BUILT) <= 3


def test_the_world_lights_the_scene(tmp_path: Path) -> None:
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_uv_sphere_add(radius=1.0)
    write_png(tmp_path / "gray.png", np.full((8, 16, 3), 188, np.uint8))
    image = bpy.data.images.load(str(tmp_path / "gray.png"))
    add_camera(scene, Matrix.Translation((0.0, 0.0, 8.0)), math.radians(5.0))
    brightness = []
    for strength in (0.0, 0.5, 1.0):
        set_world(scene, "Around", image, None, strength)
        brightness.append(render(scene, tmp_path / "ball.png", (8, 8), samples=32, bounces=1).mean())
    # In an even light of linear 0.5 a surface of albedo 0.8 shows 0.4.
    linear = [0.8 * 0.5 * strength for strength in (0.0, 0.5, 1.0)]
    shown = [255.0 * (1.055 * value ** (1.0 / 2.4) - 0.055) if value else 0.0 for value in linear]
    np.testing.assert_allclose(brightness, shown, atol=4.0)


@pytest.mark.parametrize("frame", [BUILT, ODD])
def test_the_dome_has_no_seam_and_no_poles(tmp_path: Path, frame: Matrix) -> None:
    scene = bpy.context.scene
    dome = far_dome("Far", panorama(tmp_path), 500.0)
    dome.matrix_world = frame
    scene.collection.objects.link(dome)
    assert look_around(tmp_path, frame) <= 3
    # Close up, where a pinch or a seam would fill the view: both poles and the seam behind.
    for name in ("up", "down", "behind"):
        add_camera(scene, frame.normalized() @ TURNS[name], math.radians(4.0))
        seen = render(scene, tmp_path / f"{name} near.png", (SIZE, SIZE)).astype(int)
        assert np.abs(seen - smooth_color(view_directions(TURNS[name], math.radians(4.0)))).max() <= 3


def test_the_dome_is_closed_and_looks_inward(tmp_path: Path) -> None:
    mesh = far_dome("Far", panorama(tmp_path, 64), 20.0).data
    assert not mesh.validate(verbose=True)
    points = np.array([vertex.co for vertex in mesh.vertices])
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 20.0, rtol=1e-5)
    sides: dict[tuple[int, ...], int] = {}
    for face in mesh.polygons:
        for edge in face.edge_keys:
            sides[edge] = sides.get(edge, 0) + 1
    assert set(sides.values()) == {2}, "every edge is between two faces"
    assert len(mesh.vertices) - len(mesh.edges) + len(mesh.polygons) == 2, "in one piece, without holes"
    assert all(face.normal.dot(face.center) < -0.99 * face.center.length for face in mesh.polygons)
    assert all(face.use_smooth for face in mesh.polygons)
    # No face runs backwards through the whole picture.
    uv = np.array([corner.vector for corner in mesh.uv_layers["UVMap"].uv])
    for face in mesh.polygons:
        corners = uv[list(face.loop_indices)]
        assert np.ptp(corners[:, 0]) < 2.0 / 256
        # As the direction of the corner says; at the poles any u will do.
        for (u, v), index in zip(corners, face.vertices, strict=True):
            x, y, z = points[index] / 20.0
            assert v == pytest.approx(math.asin(min(1.0, max(-1.0, y))) / math.pi + 0.5, abs=2e-4)
            if abs(y) < 0.999999:
                turn = u - (math.atan2(x, -z) / (2.0 * math.pi) + 0.5)
                assert turn - round(turn) == pytest.approx(0.0, abs=1e-5)


def test_the_dome_casts_no_shadow(tmp_path: Path) -> None:
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_plane_add(size=2.0)
    light = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    light.data.energy = math.pi
    scene.collection.objects.link(light)
    write_png(tmp_path / "black.png", np.zeros((8, 16, 3), np.uint8))
    scene.collection.objects.link(far_dome("Far", bpy.data.images.load(str(tmp_path / "black.png")), 100.0))
    add_camera(scene, Matrix.Translation((0.0, 0.0, 4.0)), math.radians(10.0))
    assert render(scene, tmp_path / "lit.png", (8, 8), samples=8).min() > 200


def test_the_floor_shows_only_shadows(tmp_path: Path) -> None:
    scene = bpy.context.scene
    write_png(tmp_path / "gray.png", np.full((8, 16, 3), 188, np.uint8))
    set_world(scene, "Around", bpy.data.images.load(str(tmp_path / "gray.png")))
    plane = floor("Floor", 40.0)
    scene.collection.objects.link(plane)
    assert plane.is_shadow_catcher and plane.name == "Floor"
    assert all(tuple(face.normal) == (0.0, 0.0, 1.0) for face in plane.data.polygons)
    np.testing.assert_allclose(np.ptp(np.array([vertex.co for vertex in plane.data.vertices]), axis=0), (40.0, 40.0, 0.0))
    assert not plane.data.validate(verbose=True)
    light = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    light.data.energy = 20.0
    scene.collection.objects.link(light)
    bpy.ops.mesh.primitive_cube_add(size=1.0, location=(0.0, 0.0, 2.0))
    # From the side, below the cube: its shadow lies in the middle, and the rest of the floor is what is behind it.
    look = Matrix.Translation((0.0, -6.0, 1.4)) @ Matrix.Rotation(math.radians(77.0), 4, "X")
    add_camera(scene, look, math.radians(30.0))
    seen = render(scene, tmp_path / "floor.png", (SIZE, SIZE), samples=32, bounces=1).astype(int)
    gray = seen.max(axis=-1)
    assert np.abs(gray[-4:, :8] - 188).max() <= 8, "the floor itself is not seen"
    assert (gray[SIZE // 2 :] < 120).mean() > 0.02, "its shadow is"
