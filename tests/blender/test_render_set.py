# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`render-set` on files with known geometry: depth against closed forms, cameras, and light."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix, Vector  # noqa: E402
from rendering import load  # noqa: E402
from sets import SIZE, SLACK, SMALL, Scene, abouts, ball_depth, exr, fog, plane_depth, rays, run  # noqa: E402

from jointdit_blender.core.daylight import Light  # noqa: E402
from jointdit_blender.core.viewpoints import View  # noqa: E402
from jointdit_blender.scene.capture import Lens, Look, Studio  # noqa: E402
from jointdit_blender.scene.relight import find_sun, relit  # noqa: E402
from jointdit_blender.scene.survey import Survey, show_what_renders  # noqa: E402

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
