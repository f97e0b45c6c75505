# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks of a frame: the picture itself, and the picture as a surface in the light of the scene."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from frames import gradient, hills, make_frame, write_png

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402
from rendering import add_camera, render  # noqa: E402

from jointdit_blender.scene.builder import BuildOptions, build_frame  # noqa: E402
from jointdit_blender.scene.material import frame_material, is_relit, plain_material, relight, surface_group  # noqa: E402
from jointdit_blender.scene.modifier import get_input  # noqa: E402

KINDS = (frame_material, plain_material)
SIZE = (48, 32)


def blocks(width: int, height: int) -> np.ndarray:
    """Squares of 4 x 4 pixels in every color."""
    colors = np.random.default_rng(5).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return colors.repeat(4, axis=0).repeat(4, axis=1)


def write_rgba(path: Path, rgb: np.ndarray, alpha: int) -> None:
    """An 8-bit PNG with an alpha channel, not multiplied into the colors."""
    height, width, _ = rgb.shape
    rows = np.zeros((height, 1 + 4 * width), np.uint8)
    rows[:, 1:] = np.concatenate([rgb, np.full((height, width, 1), alpha, np.uint8)], axis=-1).reshape(height, -1)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    body = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))


def card(material: bpy.types.Material, turns: float = 0.0) -> bpy.types.Object:
    """A rectangle of 2 x 1 metres at the origin that faces up, with the whole picture on it, u shifted by so many turns."""
    mesh = bpy.data.meshes.new("Card")
    mesh.from_pydata([(-1.0, -0.5, 0.0), (1.0, -0.5, 0.0), (1.0, 0.5, 0.0), (-1.0, 0.5, 0.0)], [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new(name="UVMap")
    for corner, uv in zip(layer.uv, ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), strict=True):
        corner.vector = (uv[0] + turns, uv[1])
    mesh.materials.append(material)
    item = bpy.data.objects.new("Card", mesh)
    bpy.context.scene.collection.objects.link(item)
    # Just the card from above.
    add_camera(bpy.context.scene, Matrix.Translation((0.0, 0.0, 5.0)), 2.0 * math.atan(1.0 / 5.0))
    return item


def picture(path: Path, rgb: np.ndarray) -> bpy.types.Image:
    write_png(path, rgb)
    return bpy.data.images.load(str(path), check_existing=False)


@pytest.mark.parametrize("geometry", ["mesh", "points"])
@pytest.mark.parametrize("make", [gradient, blocks])
def test_unlit_the_render_is_the_picture(tmp_path: Path, geometry: str, make: Callable[[int, int], np.ndarray]) -> None:
    # Points are balls in one color each, so that a smooth picture gets small steps: these must be below the tolerance.
    size = (4 * SIZE[0], 4 * SIZE[1]) if make is gradient else SIZE
    rgb = make(*size)
    frame = make_frame(tmp_path / "frame", hills(*size), rgb=rgb)
    result = build_frame(bpy.context, frame, BuildOptions(geometry=geometry, torn="keep", clean=False, back_layer=False, sky="keep"))
    scene = bpy.context.scene
    # What unlit means: a lamp changes nothing.
    add_sun()
    inside = np.zeros(size[::-1], bool)
    inside[2:-2, 2:-2] = True
    pixel_filter = "BLACKMAN_HARRIS"
    if make is blocks:
        # A pixel sees a little of its neighbours: inside of every square it finds one color.
        inside = np.isin(np.arange(size[1]) % 4, (1, 2))[:, None] & np.isin(np.arange(size[0]) % 4, (1, 2))
        pixel_filter = "BOX"
    difference = np.abs(render(scene, tmp_path / "seen.png", size, samples=16, pixel_filter=pixel_filter).astype(int) - rgb)
    assert difference[inside].max() <= 2
    relight(get_input(result.object.modifiers[0], "Material"), True)
    lit = render(scene, tmp_path / "lit.png", size, samples=16).astype(int)
    assert np.abs(lit - rgb)[inside].mean() > 5


@pytest.mark.parametrize("make", KINDS)
def test_relit_it_is_a_matte_surface(tmp_path: Path, make: Callable[..., bpy.types.Material]) -> None:
    """By Lambert's law: under a sun of irradiance pi a matte surface shows its color times the cosine."""
    scene = bpy.context.scene
    image = picture(tmp_path / "picture.png", np.full((8, 16, 3), (188, 100, 20), np.uint8))
    material = make("Look", image, True)
    card(material)
    sun = add_sun()
    assert is_relit(material)
    shown = []
    for degrees in (0.0, 60.0):
        sun.rotation_euler = (0.0, math.radians(degrees), 0.0)
        shown.append(linear(render(scene, tmp_path / "lit.png", (16, 8), samples=64)[2:-2, 2:-2]).mean(axis=(0, 1)))
    color = linear(np.array([188, 100, 20], np.uint8))
    np.testing.assert_allclose(shown[0], color, rtol=0.03, atol=2e-3)
    np.testing.assert_allclose(shown[1], 0.5 * color, rtol=0.03, atol=2e-3)


@pytest.mark.parametrize("make", KINDS)
def test_the_look_can_be_switched(tmp_path: Path, make: Callable[..., bpy.types.Material]) -> None:
    scene = bpy.context.scene
    rgb = np.full((8, 16, 3), (188, 100, 20), np.uint8)
    image = picture(tmp_path / "picture.png", rgb)
    material = make("Look", image)
    card(material)
    # Without any lamp an unlit material shows the picture and a relit one is black.
    for on in (False, True, True, False):
        relight(material, on)
        assert is_relit(material) == on
        seen = render(scene, tmp_path / "look.png", (16, 8))[2:-2, 2:-2]
        assert np.abs(seen.astype(int) - (0 if on else rgb[0, 0])).max() <= 2


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("packed", [False, True])
def test_transparency_does_not_darken(tmp_path: Path, make: Callable[..., bpy.types.Material], packed: bool) -> None:
    rgb = np.full((8, 16, 3), (200, 100, 50), np.uint8)
    write_rgba(tmp_path / "picture.png", rgb, 64)
    image = bpy.data.images.load(str(tmp_path / "picture.png"))
    if packed:
        image.pack()
    card(make("Look", image))
    seen = render(bpy.context.scene, tmp_path / "look.png", (16, 8))[2:-2, 2:-2]
    assert np.abs(seen.astype(int) - rgb[0, 0]).max() <= 2


def test_a_closed_picture_runs_on_at_the_sides_but_not_at_the_poles(tmp_path: Path) -> None:
    rgb = np.full((8, 16, 3), 128, np.uint8)
    rgb[0], rgb[-1] = 255, 0
    rgb[:, 8:, 0] = 40
    image = picture(tmp_path / "picture.png", rgb)
    # Turned by a half, u runs from 0.5 to 1.5.
    card(frame_material("Look", image, wraps=True), turns=0.5)
    seen = render(bpy.context.scene, tmp_path / "look.png", (64, 32), samples=64)
    np.testing.assert_allclose(seen[16, 4:28].astype(int).mean(axis=0), (40, 128, 128), atol=2)
    np.testing.assert_allclose(seen[16, 36:60].astype(int).mean(axis=0), (128, 128, 128), atol=2)
    # The upper and the lower rim are pure: without care they would be mixed half and half.
    assert seen[1, 2:-2, 1].min() >= 250 and seen[-2, 2:-2, 1].max() <= 5


@pytest.mark.parametrize("make", KINDS)
def test_the_picture_lights_the_scene(tmp_path: Path, make: Callable[..., bpy.types.Material]) -> None:
    """As a screen would: nearly all that a surface close before it sees is its light."""
    scene = bpy.context.scene
    screen = card(make("Look", picture(tmp_path / "picture.png", np.full((8, 16, 3), 188, np.uint8))))
    screen.scale = (1000.0, 1000.0, 1.0)
    screen.location.z = 10.0
    bpy.ops.mesh.primitive_plane_add(size=4.0)
    seen = linear(render(scene, tmp_path / "lit.png", (16, 8), samples=64, bounces=1)[2:-2, 2:-2])
    # Blender's gray without a material reflects 0.8 of it.
    np.testing.assert_allclose(seen.mean(axis=(0, 1)), 0.8 * linear(np.array([188], np.uint8))[0], rtol=0.03)


def test_all_frames_share_one_group(tmp_path: Path) -> None:
    image = picture(tmp_path / "picture.png", gradient(16, 8))
    materials = [frame_material("Look", image, relit, wraps) for relit in (False, True) for wraps in (False, True)]
    groups = [group for group in bpy.data.node_groups if group.bl_idname == "ShaderNodeTree"]
    assert groups == [surface_group()] and groups[0].users == len(materials)
    assert [is_relit(material) for material in materials] == [False, False, True, True]
    sockets = {item.name for item in groups[0].interface.items_tree if item.in_out == "INPUT"}
    assert sockets == {"Color", "Relight", "Roughness"}
    # An older one is left to what uses it.
    groups[0]["jointdit_version"] = 0
    assert surface_group() != groups[0] and surface_group() == surface_group()
    other = bpy.data.materials.new("Mine")
    with pytest.raises(KeyError):
        is_relit(other)
    with pytest.raises(KeyError):
        relight(other, True)


def test_solid_view_and_exporters_find_the_picture(tmp_path: Path) -> None:
    image = picture(tmp_path / "picture.png", gradient(16, 8))
    for make in KINDS:
        active = make("Look", image).node_tree.nodes.active
        assert active.type == "TEX_IMAGE" and active.image == image


def add_sun() -> bpy.types.Object:
    """A sun from straight above with an irradiance of pi."""
    light = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    light.data.energy = math.pi
    light.data.angle = 0.0
    bpy.context.scene.collection.objects.link(light)
    return light


def linear(shown: np.ndarray) -> np.ndarray:
    """Light from sRGB of 8 bits."""
    value = shown / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
