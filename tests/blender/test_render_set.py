# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`render-set` on files with known geometry: depth against closed forms, cameras, light, captions, and what it does to files: nothing."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix, Vector  # noqa: E402
from rendering import load  # noqa: E402

from jointdit_blender.core.daylight import Light  # noqa: E402
from jointdit_blender.core.viewpoints import View  # noqa: E402
from jointdit_blender.headless import command  # noqa: E402
from jointdit_blender.scene.capture import Lens, Look, Studio  # noqa: E402
from jointdit_blender.scene.relight import find_sun, relit  # noqa: E402
from jointdit_blender.scene.survey import Survey, show_what_renders  # noqa: E402

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
    """One channel as it is stored, by Blender's own reader."""
    image = bpy.data.images.load(str(path), check_existing=False)
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, -1)[::-1, :, 0]


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


# Depth


def test_depth_is_exact_at_the_middles_of_pixels(tmp_path: Path) -> None:
    made = Scene()
    tilted = Matrix.Translation((0.0, 2.0, -0.5)) @ Matrix.Rotation(math.radians(25.0), 4, "X")
    made.plane(5.0, tilted, "Board")
    made.ball((0.4, -1.0, 0.7), 0.8, smoothness=7)
    camera = made.camera((1.0, -7.0, 2.0), (0.0, 0.0, 0.3))
    # All that would make the picture, and not the depth, another one.
    camera.data.dof.use_dof, camera.data.dof.aperture_fstop, camera.data.dof.focus_distance = True, 0.1, 1.0
    camera.data.shift_x, camera.data.shift_y = 0.1, -0.05
    render = made.scene.render
    render.resolution_x, render.resolution_y, render.pixel_aspect_y = 640, 360, 1.2
    render.use_border = render.use_crop_to_border = render.use_motion_blur = render.film_transparent = render.use_stamp = True
    render.border_max_x, made.scene.unit_settings.scale_length = 0.3, 0.1
    # What cameras do not see, or what is fog, has no depth.
    made.box((0.0, -3.0, 0.5), (9.0, 0.1, 9.0), "Card").visible_camera = False
    made.box((0.0, 0.0, 0.0), (30.0, 30.0, 30.0), "Mist").data.materials.append(fog(0.2))
    out = tmp_path / "set"
    assert run(made.save(tmp_path / "known.blend"), "--out", out, *SMALL, "--size", "60x40") == 0
    ((name, about),) = abouts(out).items()
    assert name == "known-scene-camera-f0001-l00"
    depth = exr(out / f"{name}.depth.exr")
    assert depth.shape == (40, 60)

    def truth(aside: float, down: float) -> np.ndarray:
        """At so many pixels from the middles. The scene's unit is 10 cm, so all lengths are a tenth."""
        eye, along = rays(about, aside, down)
        turned = np.array(tilted.to_3x3())
        board = plane_depth(eye, along, np.array([0.0, 0.2, -0.05]), turned[:, 2])
        inside = (np.where(np.isinf(board), 1e3, board)[..., None] * along + eye - [0.0, 0.2, -0.05]) @ turned
        board[~(np.abs(inside[..., :2]).max(-1) < 0.25)] = np.inf
        return np.minimum(board, ball_depth(eye, along, np.array([0.04, -0.1, 0.07]), 0.08))

    expected = truth(0.0, 0.0)
    sky = np.isinf(expected)
    assert 0.2 < sky.mean() < 0.9
    with np.errstate(invalid="ignore"):
        around = np.stack([truth(*place) for place in ((-SLACK, -SLACK), (SLACK, -SLACK), (-SLACK, SLACK), (SLACK, SLACK))])
        edge = ~(np.abs(around / expected - 1.0) < 0.02).all(0) & ~(sky & np.isinf(around).all(0))
        right = (np.abs(depth / expected - 1.0) < 1e-3) | (sky & np.isinf(depth))
    assert edge.mean() < 0.02 and right[~edge].all(), "only a pixel whose middle is on an edge may differ"
    both = ~sky & ~np.isinf(depth)
    assert np.median(np.abs(depth[both] / expected[both] - 1.0)) < 1e-4
    disparity = exr(out / f"{name}_disparity.exr")
    assert (disparity[np.isinf(depth)] == 0.0).all() and disparity.max() == 1.0
    assert disparity[both] == pytest.approx(depth[both].min() / depth[both], abs=1e-5)
    assert about["mapping"] == {"near": pytest.approx(float(depth[both].min())), "far": None} and about["sky"] == pytest.approx(np.isinf(depth).mean())
    assert about["distance"] == "planar" and load(out / f"{name}.png").shape == (40, 60, 3)


def test_the_picture_is_the_middle_of_the_cameras_own(tmp_path: Path) -> None:
    """A square out of 16:9 is as high as the whole was."""
    made = Scene()
    made.plane()
    made.camera((0.0, -5.0, 2.0), (0.0, 0.0, 0.0), angle=90.0)
    made.scene.render.resolution_x, made.scene.render.resolution_y = 1600, 900
    assert run(made.save(tmp_path / "a.blend"), "--out", tmp_path / "set", *SMALL) == 0
    (about,) = abouts(tmp_path / "set").values()
    assert about["camera"]["vertical_angle"] == about["camera"]["horizontal_angle"] == pytest.approx(2.0 * math.degrees(math.atan(9 / 16)), abs=1e-3)


def test_what_is_transparent_by_half_or_more_is_looked_through(tmp_path: Path) -> None:
    made = Scene()
    made.plane(matrix=Matrix.Translation((0.0, 9.0, 0.0)) @ Matrix.Rotation(math.radians(70.0), 4, "X"), name="Wall")
    made.camera((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), angle=40.0)
    for place, alpha in ((-0.4, 0.2), (0.4, 0.8)):
        leaf = made.box((place, 3.0, 0.0), (0.4, 0.01, 9.0), "Leaf")
        material = bpy.data.materials.new("Leaf")
        if bpy.app.version < (5, 0, 0):
            material.use_nodes = True
        material.node_tree.nodes["Principled BSDF"].inputs["Alpha"].default_value = alpha
        leaf.data.materials.append(material)
    assert run(made.save(tmp_path / "a.blend"), "--out", tmp_path / "set", *SMALL) == 0
    depth = exr(next((tmp_path / "set").glob("*.depth.exr")))
    # At the leaves' distance the view is 1.228 m wide: they fill a tenth to four tenths of it, and 0.67 to 0.99.
    assert (depth[:, round(SIZE * 0.11) : round(SIZE * 0.39)] > 7.0).mean() > 0.995
    assert depth[:, round(SIZE * 0.69) : round(SIZE * 0.9)] == pytest.approx(2.995, rel=1e-3)


# Cameras


def room_and_yard(path: Path) -> Path:
    """Balls on a ground, one of them large and in the middle, and a closed wall around all."""
    made = Scene()
    made.plane(60.0)
    made.ball((0.0, 0.0, 1.0), 1.0, "Fountain", 4)
    for number in range(6):
        angle = number * math.pi / 3.0
        made.ball((4.0 * math.cos(angle), 4.0 * math.sin(angle), 0.8), 0.8, "Statue", 4)
    made.box((0.0, 0.0, 2.0), (18.0, 18.0, 8.0), "Wall")
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.data.energy, lamp.location.z = 2000.0, 5.0
    made.scene.collection.objects.link(lamp)
    made.camera((7.0, -3.0, 1.7), (0.0, 0.0, 1.0))
    return made.save(path)


@pytest.mark.parametrize("kind", ["orbit", "random"])
def test_no_camera_is_in_a_solid_or_behind_a_wall(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "set"
    file = room_and_yard(tmp_path / "yard.blend")
    assert run(file, "--out", out, *SMALL, "--path", kind, "--count", "8", "--no-own", "--seed", "5") == 0
    found = abouts(out)
    assert len(found) >= 7
    for about in found.values():
        eye = np.array(about["camera"]["matrix"])[:3, 3]
        assert 0.0 < eye[2] < 6.0 and np.abs(eye[:2]).max() < 9.0
        balls = [(0.0, 0.0, 1.0, 1.0)] + [(4.0 * math.cos(k * math.pi / 3), 4.0 * math.sin(k * math.pi / 3), 0.8, 0.8) for k in range(6)]
        assert all(math.dist(eye, ball[:3]) > ball[3] + 0.02 for ball in balls)
        assert 35.0 <= about["camera"]["horizontal_angle"] <= 75.0 and about["camera"]["path"] == kind
        depth = exr(out / f"{next(name for name, other in found.items() if other is about)}.depth.exr")
        assert (depth < 0.2).mean() < 0.3, "no view is filled by what stands before the camera"
    again = tmp_path / "again"
    assert run(file, "--out", again, *SMALL, "--path", kind, "--count", "8", "--no-own", "--seed", "5") == 0
    assert {name: about["camera"] for name, about in abouts(again).items()} == {name: about["camera"] for name, about in found.items()}
    assert run(file, "--out", again, *SMALL, "--path", kind, "--count", "3", "--no-own", "--seed", "6") == 0
    fovs = [about["camera"]["horizontal_angle"] for about in abouts(again).values()]
    assert fovs[:3] != [about["camera"]["horizontal_angle"] for about in found.values()][:3]


def survey(made: Scene) -> Survey:
    bpy.context.view_layer.update()
    show_what_renders(made.scene, bpy.context.view_layer)
    return Survey(made.scene, bpy.context.evaluated_depsgraph_get())


def test_rays_meet_what_a_render_shows(tmp_path: Path) -> None:
    made = Scene()
    made.box((0.0, 2.0, 0.0), (9.0, 0.1, 9.0), "Card").visible_camera = False
    made.box((0.0, 4.0, 0.0), (9.0, 0.1, 9.0), "Cutter").hide_render = True
    made.box((0.0, 6.0, 0.0), (9.0, 2.0, 9.0), "Mist").data.materials.append(fog(0.1))
    wall = made.box((0.0, 8.05, 0.0), (9.0, 0.1, 9.0), "Wall")
    wall.hide_viewport = True
    wall.hide_set(True)
    camera = made.camera((0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    looked_at = survey(made).target(camera.matrix_world, 0.5, 0.5)
    assert tuple(looked_at) == pytest.approx((0.0, 8.0, 0.0), abs=1e-4)
    wall.hide_render = True
    assert survey(made).target(camera.matrix_world, 0.5, 0.5) is None


def test_a_place_must_be_reached_from_where_a_camera_was(tmp_path: Path) -> None:
    made = Scene()
    made.plane(200.0)
    made.ball((0.0, 0.0, 1.0), 1.0, "Fountain", 4)
    made.ball((-14.0, 0.0, 2.0), 5.0, "Dome", 4)
    made.box((0.0, 20.0, 5.0), (60.0, 0.2, 30.0), "Wall")
    there, eye = survey(made), Vector((6.0, 0.0, 2.0))
    good, behind = View((0.0, -7.0, 2.0), (0.0, 0.0, 1.0), 50.0), View((0.0, 60.0, 2.0), (0.0, 0.0, 1.0), 50.0)
    inside, above = View((-14.0, 0.0, 2.0), (0.0, 0.0, 1.0), 50.0), View((0.0, 0.0, 90.0), (0.0, 0.0, 200.0), 50.0)
    touching, barred = View((1.1, 0.0, 1.0), (-5.0, 0.0, 1.0), 50.0), View((5.0, 0.0, 1.0), (-30.0, 0.0, 1.0), 50.0)
    for bad in (behind, inside, above, touching, barred):
        assert there.choose([bad, good], [eye], 1.0, 0.1) == good and there.choose([bad], [eye], 1.0, 0.1) is None
    assert there.choose([behind], [eye, Vector((0.0, 50.0, 30.0))], 1.0, 0.1) == behind, "from where another camera was, it can be reached"


def test_frames_of_the_timeline_and_other_cameras(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Scene()
    made.plane()
    made.ball((0.0, 0.0, 1.0), 1.0, smoothness=2)
    camera = made.camera((0.0, -4.0, 1.0), (0.0, 0.0, 1.0))
    for frame, y in ((1, -4.0), (11, -9.0)):
        camera.location.y = y
        camera.keyframe_insert("location", frame=frame)
    other = made.camera((9.0, 0.0, 2.0), (0.0, 0.0, 1.0), name="Other")
    made.camera((3.0, 3.0, 3.0), (0.0, 0.0, 1.0), name="Map").data.type = "ORTHO"
    # A cut to another camera in the timeline.
    marker = made.scene.timeline_markers.new("cut", frame=1)
    marker.camera = other
    file = made.save(tmp_path / "walk.blend")
    assert run(file, "--out", tmp_path / "set", *SMALL, "--frames", "1,11", "--camera", "Camera") == 0
    found = abouts(tmp_path / "set")
    assert list(found) == ["walk-scene-camera-f0001-l00", "walk-scene-camera-f0011-l00"]
    for (name, about), y in zip(found.items(), (-4.0, -9.0), strict=True):
        assert np.array(about["camera"]["matrix"])[:3, 3] == pytest.approx([0.0, y, 1.0], abs=1e-5)
        assert exr(tmp_path / "set" / f"{name}.depth.exr")[SIZE // 2, SIZE // 2] == pytest.approx(-y - 1.0, rel=0.03)
    capfd.readouterr()
    assert run(file, "--out", tmp_path / "all", *SMALL) == 0
    assert len(abouts(tmp_path / "all")) == 2 and "“Map” is no perspective camera" in capfd.readouterr().err


# Light


def test_light_changes_the_picture_and_not_the_depth(tmp_path: Path) -> None:
    made = Scene()
    made.plane()
    made.ball((0.0, 0.0, 1.0), 1.0, smoothness=3)
    made.camera((0.0, -6.0, 2.0), (0.0, 0.0, 0.8))
    sun = made.sun(55.0)
    # An animated sun does not spring back.
    sun.keyframe_insert("rotation_euler", frame=1)
    out = tmp_path / "set"
    assert run(made.save(tmp_path / "lit.blend"), "--out", out, *SMALL, "--samples", "4", "--lights", "5", "--engine", "cycles") == 0
    found = abouts(out)
    assert [about["light"]["mood"] == "own" for about in found.values()] == [True, False, False, False, False]
    depths, pictures = [exr(out / f"{name}.depth.exr") for name in found], [load(out / f"{name}.png").astype(float) for name in found]
    assert all(np.array_equal(depth, depths[0]) for depth in depths)
    differences = [np.abs(first - second).mean() for i, first in enumerate(pictures) for second in pictures[:i]]
    assert min(differences) > 3.0 and all(20.0 < picture.mean() < 240.0 for picture in pictures)
    by_mood = {about["light"]["mood"]: (picture, about["caption"]) for about, picture in zip(found.values(), pictures, strict=True)}
    warmth = {mood: picture[SIZE // 2 :, :, 0].mean() / picture[SIZE // 2 :, :, 2].mean() for mood, (picture, _) in by_mood.items()}
    assert warmth["sunset"] > warmth["noon"] > warmth["overcast"]
    assert "at sunset" in by_mood["sunset"][1] and "in soft light" in by_mood["overcast"][1] and "under a high sun" in by_mood["own"][1]


def test_the_scenes_own_light_comes_back() -> None:
    made = Scene()
    sun = made.sun(30.0, 0.4)
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.data.energy, lamp.data.color = 50.0, (0.5, 1.0, 0.25)
    made.scene.collection.objects.link(lamp)
    bpy.context.view_layer.update()
    world, objects = made.scene.world, set(bpy.data.objects)
    before = find_sun(made.scene)
    with relit(made.scene, Light(1, "sunset", 5.0, 90.0, 3000.0, 0.5, 6500.0, 2.0, 0.5, 0.25)):
        there = find_sun(made.scene)
        assert there.elevation == pytest.approx(5.0, abs=1e-3) and sun.hide_render and there.warmth > 2.0
        flat = Vector(before.towards.xy), Vector(there.towards.xy)
        assert math.degrees(flat[0].angle_signed(flat[1])) == pytest.approx(-90.0, abs=1e-3), "against the clock as seen from above"
        assert lamp.data.energy == 100.0 and made.scene.world != world and made.scene.view_settings.exposure == 0.25
    after = find_sun(made.scene)
    assert after.towards == before.towards and not sun.hide_render and set(bpy.data.objects) == objects
    assert lamp.data.energy == 50.0 and tuple(lamp.data.color) == (0.5, 1.0, 0.25)
    assert made.scene.world == world and len(bpy.data.worlds) == 1 and made.scene.view_settings.exposure == 0.0


def seen_from_the_middle(made: Scene, path: Path, azimuth: float, elevation: float = 0.0) -> np.ndarray:
    """What there is in one direction, 40 degrees wide, as it is stored."""
    away = Vector((math.cos(azimuth) * math.cos(elevation), math.sin(azimuth) * math.cos(elevation), math.sin(elevation)))
    with Studio(made.scene, bpy.context.view_layer, Look((SIZE, SIZE), "cycles", 1, "cpu")) as studio:
        studio.place(away.to_track_quat("-Z", "Y").to_matrix().to_4x4(), Lens.of_angle(40.0, 1.0), (0.1, 100.0))
        studio.picture(path, 0)
    return load(path).astype(float)


def test_the_world_turns_with_the_sun(tmp_path: Path) -> None:
    made = Scene()
    image = bpy.data.images.new("sky", 64, 32, float_buffer=True)
    columns = np.ones((32, 64, 4), np.float32)
    columns[..., :3] = np.random.default_rng(1).random((1, 8, 3)).repeat(8, axis=1)
    image.pixels.foreach_set(columns.ravel())
    tree = made.scene.world.node_tree
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    tree.links.new(texture.outputs["Color"], tree.nodes["Background"].inputs["Color"])
    own = seen_from_the_middle(made, tmp_path / "a.png", 0.3)
    with relit(made.scene, Light(1, turn=70.0)):
        moved = seen_from_the_middle(made, tmp_path / "b.png", 0.3 + math.radians(70.0))
        still = seen_from_the_middle(made, tmp_path / "c.png", 0.3)
    assert np.abs(moved - own).mean() < 1.0 < 10.0 < np.abs(still - own).mean()


def test_the_sun_of_a_sky_is_where_it_is_thought_to_be(tmp_path: Path) -> None:
    made = Scene()
    tree = made.scene.world.node_tree
    sky = tree.nodes.new("ShaderNodeTexSky")
    tree.links.new(sky.outputs["Color"], tree.nodes["Background"].inputs["Color"])
    sky.sun_size, sky.sun_elevation, sky.sun_rotation = math.radians(4.0), math.radians(20.0), math.radians(50.0)
    made.scene.view_settings.exposure = -12.0
    for light in (Light(), Light(1, "noon", 55.0, turn=100.0)):
        with relit(made.scene, light):
            towards = find_sun(made.scene).towards
            picture = seen_from_the_middle(made, tmp_path / "sun.png", math.atan2(towards.y, towards.x), math.asin(towards.z))
        bright = np.argwhere(picture.sum(-1) > 0.8 * picture.sum(-1).max())
        assert 4 <= len(bright) < 100 and bright.mean(0) == pytest.approx([SIZE / 2.0 - 0.5] * 2, abs=1.0)
    assert find_sun(made.scene).elevation == pytest.approx(20.0)


# Captions


def test_captions_say_what_is_seen(tmp_path: Path) -> None:
    made = Scene()
    made.plane(name="Lawn")
    made.ball((0.0, 0.0, 0.5), 1.0, "Sphere.001", 3)
    made.box((2.5, 1.0, 1.0), (1.5, 1.5, 2.0), "Cube.002")
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.subdivide(number_cuts=2, smoothness=0.7)
    bpy.ops.object.mode_set(mode="OBJECT")
    made.box((0.0, 30.0, -20.0), (1.0, 1.0, 1.0), "Buried")
    made.box((-2.5, 1.0, 0.5), (1.0, 1.0, 1.0), "Marker").hide_render = True
    made.camera((0.0, -5.0, 7.0), (0.0, 0.0, 0.5), angle=70.0)
    made.scene.render.resolution_x = made.scene.render.resolution_y
    words = (made.save(tmp_path / "garden.blend"), *SMALL)
    assert run(*words, "--out", tmp_path / "a") == 0
    # A cube that was made into something else is no cube.
    assert (tmp_path / "a" / "garden-scene-camera-f0001-l00.txt").read_text() == "a lawn and a sphere, from above, wide angle\n"
    words = (made_again(tmp_path / "garden.blend", "Cube.002", "small house"), *SMALL)
    assert run(*words, "--out", tmp_path / "b", "--caption", "{file} with {objects}, {light}, {camera}, in our style") == 0
    assert next((tmp_path / "b").glob("*.txt")).read_text() == "garden with a lawn, a small house and a sphere, from above, wide angle, in our style\n"
    words = (made_again(tmp_path / "garden.blend", "Camera", "Anna's garden, {camera}"), *SMALL)
    assert run(*words, "--out", tmp_path / "c") == 0
    assert next((tmp_path / "c").glob("*.txt")).read_text() == "Anna's garden, from above, wide angle\n"


def made_again(path: Path, name: str, caption: str) -> Path:
    """The file with a custom property "caption" on one of its objects."""
    bpy.ops.wm.open_mainfile(filepath=str(path))
    bpy.data.objects[name]["caption"] = caption
    bpy.ops.wm.save_mainfile()
    return path


# Files


def simple(path: Path) -> Path:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    made = Scene()
    made.plane()
    made.ball((0.0, 0.0, 1.0), 1.0, smoothness=2)
    made.camera((0.0, -6.0, 2.0), (0.0, 0.0, 0.8))
    return made.save(path)


def test_files_are_never_changed_and_nothing_else_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "show"
    folder.mkdir()
    file = simple(folder / "Shot 010.blend")
    bpy.context.scene.render.filepath = "//frames/"
    script = bpy.data.texts.new("script.py")
    script.from_string(f"open({str(folder / 'ran')!r}, 'w').close()")
    script.use_module = True
    bpy.ops.wm.save_mainfile()
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert run(file, "--out", tmp_path / "{set} #1", *SMALL, "--lights", "2", "--path", "dolly", "--count", "2") == 0
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["show", "{set} #1"]
    names = sorted(path.name for path in (tmp_path / "{set} #1").iterdir())
    assert len(names) == 6 * 5 and all(name.startswith("shot-010-scene-camera-") for name in names)


def test_what_is_broken_is_told_and_the_rest_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = simple(tmp_path / "good.blend")
    torn = tmp_path / "torn.blend"
    torn.write_bytes(good.read_bytes()[:3000])
    text = tmp_path / "text.blend"
    text.write_text("no blend")
    bare = tmp_path / "bare.blend"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(bare))
    pink, part = tmp_path / "pink.blend", tmp_path / "part.blend"
    simple(pink)
    ground = bpy.data.objects["Ground"]
    ground.data.materials.append(bpy.data.materials.new("Painted"))
    if bpy.app.version < (5, 0, 0):
        ground.data.materials[0].use_nodes = True
    image = bpy.data.images.new("wood", 8, 8)
    image.filepath_raw, image.file_format = str(tmp_path / "wood.png"), "PNG"
    image.save()
    ground.data.materials[0].node_tree.nodes.new("ShaderNodeTexImage").image = bpy.data.images.load(str(tmp_path / "wood.png"))
    bpy.ops.wm.save_as_mainfile(filepath=str(pink))
    (tmp_path / "wood.png").unlink()
    library = simple(tmp_path / "library.blend")
    simple(part)
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.objects = ["Sphere"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    bpy.ops.wm.save_as_mainfile(filepath=str(part))
    library.unlink()
    files = (tmp_path / "none.blend", text, torn, bare, pink, part, good)
    capfd.readouterr()
    assert run(*files, "--out", tmp_path / "set", *SMALL, "--json") == 1
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["status"] for line in lines] == ["failed"] * 6 + ["done", "failed"] and lines[-1] | {"message": ""} == {
        "status": "failed", "exit": 1, "made": 1, "before": 0, "failed": 6, "message": ""
    }  # fmt: skip
    says = ("There is no file", "cannot be opened", "", "no scene with a camera", "the texture wood.png", "the library library.blend")
    for line, words in zip(lines, says, strict=False):
        assert words in line["message"] and line["message"].endswith(".") and "Traceback" not in line["message"]
    assert [name.split("-")[0] for name in abouts(tmp_path / "set")] == ["good"] and "Traceback" not in err
    assert run(pink, "--out", tmp_path / "set", *SMALL, "--allow-missing") == 0


def test_what_shows_nothing_is_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Scene()
    made.plane(9.0, Matrix.Translation((0.0, 5.0, 0.0)) @ Matrix.Rotation(math.pi / 2.0, 4, "X"), "Wall")
    made.camera((0.0, 2.0, 0.0), (0.0, 1.0, 9.0), name="Up")
    made.camera((0.0, 2.0, 0.0), (0.0, 5.0, 0.0), name="Ahead")
    assert run(made.save(tmp_path / "a.blend"), "--out", tmp_path / "set", *SMALL) == 0
    out, err = capfd.readouterr()
    assert "0 pictures made" in out and err.count("nothing but sky, or one flat wall") == 2 and list((tmp_path / "set").iterdir()) == []


def start(words: list[str], user: Path) -> subprocess.Popen[str]:
    """The program as a process, which Ctrl-C reaches as it would on a terminal."""
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(user), "PYTHONPATH": str(ROOT)}
    code = "import runpy, signal; signal.signal(2, signal.default_int_handler); runpy.run_module('jointdit_blender', run_name='__main__')"
    return subprocess.Popen([sys.executable, "-c", code, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def wait_for(out: Path, number: int, child: subprocess.Popen[str]) -> None:
    """Until so many pictures are there."""
    deadline = time.monotonic() + 60.0
    while len(list(out.glob("*.json"))) < number and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def test_a_run_that_was_killed_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file, out = simple(tmp_path / "long.blend"), tmp_path / "set"
    words = ["render-set", str(file), "--out", str(out), *SMALL, "--path", "orbit", "--count", "6", "--lights", "2"]
    child = start(words, tmp_path / "user")
    try:
        wait_for(out, 4, child)
    finally:
        child.kill()
        child.communicate()
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}
    assert 4 <= len(done) < 14
    assert command(words) == 0
    assert f"{14 - len(done)} pictures made, {len(done)} made before" in capfd.readouterr().out
    assert {name: (out / name).stat().st_mtime_ns for name in done} == done and len(abouts(out)) == 14
    assert not (out / ".unfinished").exists() and len(list(out.iterdir())) == 14 * 5
    # Other settings, or a file that was saved since, make them anew.
    assert command([*words, "--samples", "2", "--no-own"]) == 0
    assert "12 pictures made." in capfd.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C there without a console of its own")
def test_ctrl_c_ends_after_the_picture_at_hand(tmp_path: Path) -> None:
    out = tmp_path / "set"
    child = start(["render-set", str(simple(tmp_path / "long.blend")), "--out", str(out), *SMALL, "--path", "orbit", "--count", "60"], tmp_path / "user")
    try:
        wait_for(out, 2, child)
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=60.0)
    finally:
        child.kill()
    number = len(list(out.glob("*.json")))
    assert child.returncode == 130 and said.startswith("Stopped. ") and f": {number} pictures made; run the same command again" in said
    assert 2 <= number < 61 and len(list(out.iterdir())) == 5 * number, "complete pairs, and nothing else"


def test_the_backends_command_uses_the_module_where_there_is_no_program(tmp_path: Path) -> None:
    pytest.importorskip("click")
    pytest.importorskip("jointdit.cli")
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "backend")))
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": paths, "BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    words = ["render-set", simple(tmp_path / "a.blend"), "--out", tmp_path / "set", *SMALL]
    command = [sys.executable, "-c", "from jointdit.cli import main; main()", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120.0)
    assert (done.returncode, done.stdout) == (0, "1 file: 1 picture made.\n"), done.stderr
    assert list(abouts(tmp_path / "set")) == ["a-scene-camera-f0001-l00"]
