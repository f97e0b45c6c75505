# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender files with known geometry for `render-set`, and what it should make of them, in closed form."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix, Vector  # noqa: E402
from rendering import stored  # noqa: E402

from jointdit_blender.headless import command  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SIZE = 48
SLACK = 0.03
"""Pixels by which a ray may miss the middle: it goes through anywhere in a hundredth of a pixel, and a ball is made of triangles."""
SMALL = ("--size", str(SIZE), "--samples", "1", "--device", "cpu")


class Scene:
    """A file in the making."""

    def __init__(self) -> None:
        self.scene = bpy.context.scene
        self.scene.render.engine = "CYCLES"
        self.scene.cycles.samples = 1
        world = bpy.data.worlds.new("World")
        if bpy.app.version < (5, 0, 0):
            world.use_nodes = True
        world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.5, 0.6, 0.8, 1.0)
        self.scene.world = world

    def camera(self, place: tuple[float, float, float], target: tuple[float, float, float], angle: float = 60.0, name: str = "Camera") -> bpy.types.Object:
        camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        towards = Vector(target) - Vector(place)
        camera.matrix_world = Matrix.LocRotScale(Vector(place), towards.to_track_quat("-Z", "Y"), None)
        camera.data.angle = math.radians(angle)
        self.scene.collection.objects.link(camera)
        self.scene.camera = self.scene.camera or camera
        return camera

    def plane(self, size: float = 100.0, matrix: Matrix | None = None, name: str = "Ground") -> bpy.types.Object:
        bpy.ops.mesh.primitive_plane_add(size=size)
        return self._as(name, matrix)

    def ball(self, place: tuple[float, float, float], radius: float = 1.0, name: str = "Sphere", smoothness: int = 6) -> bpy.types.Object:
        bpy.ops.mesh.primitive_ico_sphere_add(radius=radius, subdivisions=smoothness)
        return self._as(name, Matrix.Translation(place))

    def box(self, place: tuple[float, float, float], size: tuple[float, float, float], name: str = "Cube") -> bpy.types.Object:
        bpy.ops.mesh.primitive_cube_add(size=1.0)
        return self._as(name, Matrix.LocRotScale(Vector(place), None, Vector(size)))

    def sun(self, elevation: float, azimuth: float = 0.0, strength: float = 3.0) -> bpy.types.Object:
        flat = math.cos(math.radians(elevation))
        towards = Vector((flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(math.radians(elevation))))
        sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
        sun.matrix_world = towards.to_track_quat("Z", "Y").to_matrix().to_4x4()
        sun.data.energy = strength
        self.scene.collection.objects.link(sun)
        return sun

    def _as(self, name: str, matrix: Matrix | None) -> bpy.types.Object:
        item = bpy.context.object
        item.name, item.matrix_world = name, matrix or Matrix()
        return item

    def save(self, path: Path) -> Path:
        bpy.ops.wm.save_as_mainfile(filepath=str(path))
        return path


def fog(density: float) -> bpy.types.Material:
    material = bpy.data.materials.new("Mist")
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    scatter, output = nodes.new("ShaderNodeVolumeScatter"), nodes.new("ShaderNodeOutputMaterial")
    scatter.inputs["Density"].default_value = density
    material.node_tree.links.new(scatter.outputs[0], output.inputs["Volume"])
    return material


def run(*words: object) -> int:
    return command(["render-set", *map(str, words)])


def abouts(out: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(out.glob("*.json"))}


def exr(path: Path) -> np.ndarray:
    """One channel as it is stored."""
    return stored(path)[..., 0]


def rays(about: dict[str, Any], aside: float = 0.0, down: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Where the camera is, and for every pixel's middle, or so far from it, the vector along its ray that is 1 deep, in the world; from the JSON alone."""
    (fx, _, cx), (_, fy, cy), _ = about["camera"]["intrinsics"]
    width, height = about["size"]
    x, y = np.meshgrid((np.arange(width) + 0.5 + aside - cx) / fx, (np.arange(height) + 0.5 + down - cy) / fy)
    matrix = np.array(about["camera"]["matrix"])
    return matrix[:3, 3], np.stack([x, -y, -np.ones_like(x)], axis=-1) @ matrix[:3, :3].T


def plane_depth(eye: np.ndarray, along: np.ndarray, point: np.ndarray, normal: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        depth = ((point - eye) @ normal) / (along @ normal)
    return np.where(depth > 0.0, depth, np.inf)


def ball_depth(eye: np.ndarray, along: np.ndarray, center: np.ndarray, radius: float) -> np.ndarray:
    a, b, c = (along**2).sum(-1), along @ (eye - center), ((eye - center) ** 2).sum() - radius**2
    root = b**2 - a * c
    return np.where(root > 0.0, (-b - np.sqrt(np.maximum(root, 0.0))) / a, np.inf)
