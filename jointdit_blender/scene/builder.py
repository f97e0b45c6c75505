# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the objects of a frame: one collection with the live relief and its camera, or nothing at all."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import bpy
import numpy as np

from ..core.frame import Frame, FrameError, NearFar
from .camera import clip_to, follow_field_of_view, frame_camera, look_through
from .group import frame_group
from .material import frame_material
from .modifier import set_input
from .pixels import load_picture, read_pixels

MODIFIER_NAME = "JointDiT Frame"
GEOMETRIES = ("mesh", "points")
# Beyond this the sky counts as a hole: float32 positions mean nothing there.
FARTHEST = 1e5

Block = TypeVar("Block", bound=bpy.types.ID)


class BuildError(Exception):
    """The objects cannot be made; `str(error)` is a sentence for a person."""


@dataclass(frozen=True)
class BuildOptions:
    """How a frame becomes objects. None means: as the frame says. Metres, degrees.

    `tear` is the relative jump in depth at which the surface is cut, `step` the number of pixels between vertices.
    `fill_gaps` closes the cuts, as seen from the camera, with strips at the distance of what lies behind; their depth is not the frame's.
    `look_through` makes the new camera the scene's own and sets the render resolution to the image's aspect.
    """

    geometry: str = "mesh"
    near: float | None = None
    far: float | None = None
    horizontal_angle: float | None = None
    tear: float = 0.06
    fill_gaps: bool = False
    step: int = 1
    point_size: float = 1.0
    pack: bool = True
    look_through: bool = True


@dataclass(frozen=True)
class BuildResult:
    """What was made. `torn_share` is the part of all faces that was left out, 0 to 1, and 0 for points."""

    collection: bpy.types.Collection
    object: bpy.types.Object
    camera: bpy.types.Object
    geometry: str
    vertices: int
    torn_share: float

    @property
    def sentence(self) -> str:
        """One sentence for the artist."""
        count = f"{self.vertices:,}".replace(",", " ")
        if self.geometry == "points":
            return f"Built {count} points"
        return f"Built {count} vertices, {100.0 * self.torn_share:.1f} % of the faces torn"


@dataclass(frozen=True)
class Mapping:
    """1/Z of a frame as the group computes it: distances `near`, `far` in metres at the disparities `at_near`, `at_far`."""

    near: float
    far: float
    at_near: float = 1.0
    at_far: float = 0.0


def build_frame(context: bpy.types.Context, frame: Frame, options: BuildOptions | None = None) -> BuildResult:
    """Build the frame in the context's scene. Raises `BuildError` or `FrameError`; then nothing of it stays in the file."""
    options = options or BuildOptions()
    _check(options, frame)
    scene = context.scene
    if scene is None:
        raise BuildError("There is no scene to build in; open or add one.")
    with ExitStack() as undo:
        image = _load(frame.image, frame, undo)
        disparity = _load(frame.disparity, frame, undo)
        disparity.colorspace_settings.name = "Non-Color"
        disparity.alpha_mode = "NONE"
        mapping = _mapping(frame, disparity, options)
        if options.pack:
            image.pack()
            disparity.pack()

        name = frame_name(frame)
        collection = _keep(bpy.data.collections.new(name), undo)
        material = _keep(frame_material(name, image), undo)
        mesh = _keep(bpy.data.meshes.new(name), undo)
        relief = _keep(bpy.data.objects.new(name, mesh), undo)
        camera = frame_camera(f"{name} Camera", frame)
        _keep(cast(bpy.types.Camera, camera.data), undo)
        _keep(camera, undo)

        groups = set(bpy.data.node_groups)
        group = frame_group(frame.camera, frame.distance)
        if group not in groups:
            _keep(group, undo)
        modifier = cast(bpy.types.NodesModifier, relief.modifiers.new(MODIFIER_NAME, "NODES"))
        modifier.node_group = group
        angle = options.horizontal_angle or frame.camera.horizontal_angle
        values = {
            "Near": mapping.near,
            "Far": mapping.far,
            "Field of View": math.radians(angle),
            "Vertical Angle": math.radians(frame.camera.vertical_angle or 180.0),
            "Tear": options.tear,
            "Step": options.step,
            "Points": options.geometry == "points",
            "Point Size": options.point_size,
            "Disparity": disparity,
            "Image": image,
            "Material": material,
            "Disparity at Near": mapping.at_near,
            "Disparity at Far": mapping.at_far,
            "Principal X": frame.camera.principal_point[0],
            "Principal Y": frame.camera.principal_point[1],
        }
        for input_name, value in values.items():
            set_input(modifier, input_name, value)

        # The camera's axes become the world's: forward is +Y, up is +Z. The camera hangs on the relief, free to be moved.
        relief.rotation_euler = (math.pi / 2.0, 0.0, 0.0)
        camera.parent = relief
        clip_to(camera, mapping.near, mapping.far)
        if frame.camera.projection == "perspective":
            follow_field_of_view(camera, modifier)
        _describe(relief, frame)
        for item in (relief, camera):
            collection.objects.link(item)
        scene.collection.children.link(collection)
        vertices, torn_share = _measure(context, relief, frame, options)
        if vertices == 0:
            raise BuildError(f"Nothing is left of the frame {frame.folder}: every pixel is a hole or torn; raise the tear threshold.")
        # Only now, so that the strips are not counted as parts of the surface.
        set_input(modifier, "Fill Gaps", options.fill_gaps)
        if options.look_through:
            look_through(scene, camera, frame)
        undo.pop_all()
    return BuildResult(collection, relief, camera, options.geometry, vertices, torn_share)


def frame_name(frame: Frame) -> str:
    """A name for the outliner: the first words of the prompt and the seed."""
    words = " ".join(frame.prompt.split())
    if len(words) > 40:
        words = words[:40].rsplit(" ", 1)[0]
    title = words or "Frame"
    return title if frame.seed is None else f"{title} {frame.seed}"


def _check(options: BuildOptions, frame: Frame) -> None:
    if options.geometry not in GEOMETRIES:
        raise BuildError(f"Geometry must be one of {', '.join(GEOMETRIES)}, not {options.geometry}.")
    for name, value in (("near", options.near), ("far", options.far), ("the field of view", options.horizontal_angle)):
        if value is not None and not (math.isfinite(value) and value > 0.0):
            raise BuildError(f"The value for {name} must be a number above 0, not {value:g}.")
    limit = 180.0 if frame.camera.projection == "perspective" else 360.0
    if options.horizontal_angle is not None and options.horizontal_angle >= limit and not frame.camera.wraps:
        raise BuildError(f"The field of view must be below {limit:g} degrees, not {options.horizontal_angle:g}.")
    if options.step < 1 or not options.tear >= 0.0:
        raise BuildError("The step must be at least 1 pixel and the tear threshold at least 0.")


def _mapping(frame: Frame, disparity: bpy.types.Image, options: BuildOptions) -> Mapping:
    """The frame's mapping in the form of the group; exact, whatever range the disparity has.

    A mapping by scale and shift is pinned at the nearest and the farthest pixel, so that near and far are true distances.
    """
    if isinstance(frame.mapping, NearFar):
        mapping = Mapping(frame.mapping.near, frame.mapping.far)
    else:
        values = read_pixels(disparity).astype(np.float64)
        inverse = frame.mapping.scale * values + frame.mapping.shift
        seen = np.isfinite(inverse) & (inverse > 1.0 / FARTHEST)
        if not seen.any():
            raise FrameError(f"{frame.disparity} has no pixel at a usable distance; check scale and shift in frame.json.")
        values, inverse = values[seen], inverse[seen]
        nearest, farthest = int(inverse.argmax()), int(inverse.argmin())
        near, far = 1.0 / float(inverse[nearest]), 1.0 / float(inverse[farthest])
        at_near, at_far = float(values[nearest]), float(values[farthest])
        # A flat wall: any other disparity may stand for the same distance.
        mapping = Mapping(near, far, at_near, at_far if at_far != at_near else at_near - 1.0)
    near = mapping.near if options.near is None else options.near
    far = mapping.far if options.far is None else options.far
    if near > far or (near == far and mapping.near != mapping.far):
        raise BuildError(f"Near ({near:g} m) must be smaller than far ({far:g} m).")
    return Mapping(near, far, mapping.at_near, mapping.at_far)


def _load(path: Path, frame: Frame, undo: ExitStack) -> bpy.types.Image:
    """A picture of the frame's size, all its pixels read."""
    image = _keep(load_picture(path), undo)
    if tuple(image.size) != (frame.width, frame.height):
        width, height = image.size
        raise FrameError(f"{path} is {width} x {height} pixels, not {frame.width} x {frame.height} as its frame says; generate it again.")
    return image


def _keep(block: Block, undo: ExitStack) -> Block:
    """Remember to remove a new data-block if the build fails."""
    undo.callback(bpy.data.batch_remove, [block])
    return block


def _describe(relief: bpy.types.Object, frame: Frame) -> None:
    """Where the object comes from, as custom properties that stay in the .blend."""
    relief["prompt"] = frame.prompt
    relief["frame"] = str(frame.folder)
    relief["task"] = frame.task
    if frame.seed is not None:
        # A custom property is a 32-bit number; larger seeds are kept as text.
        relief["seed"] = frame.seed if abs(frame.seed) < 2**31 else str(frame.seed)
    if frame.model is not None:
        relief["model"] = frame.model


def _measure(context: bpy.types.Context, relief: bpy.types.Object, frame: Frame, options: BuildOptions) -> tuple[int, float]:
    """Vertices or points of the evaluated frame, and the share of faces that was torn."""
    evaluated = relief.evaluated_get(context.evaluated_depsgraph_get())
    # The stubs know neither that it returns something nor the class of it.
    geometry: Any = evaluated.evaluated_geometry()  # type: ignore[func-returns-value]
    if options.geometry == "points":
        return (len(geometry.pointcloud.points) if geometry.pointcloud else 0), 0.0
    if geometry.mesh is None:
        return 0, 0.0
    columns = (frame.width - 1) // min(options.step, frame.width - 1)
    rows = (frame.height - 1) // min(options.step, frame.height - 1)
    if frame.camera.wraps:
        columns += 1
    return len(geometry.mesh.vertices), 1.0 - len(geometry.mesh.polygons) / (columns * rows)
