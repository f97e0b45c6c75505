# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the objects of a frame: one collection with the live relief and what belongs to it, or nothing at all."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..core.frame import Camera, Frame, FrameError
from ..core.ground import GroundError
from ..core.lifting import Pinned, inverse_depth, nearness, pin, vertex_pixels
from ..core.prepare import Prepared, prepare
from ..core.surround import surroundings
from .camera import HORIZON, clip_to, follow_field_of_view, frame_camera, look_through, reach
from .ground import find_ground
from .live import MODIFIER_NAME, Live, follow, live_object
from .maps import color_image, maps_image
from .material import frame_material
from .modifier import get_input, set_input
from .options import BuildError, BuildOptions
from .pixels import load_picture, read_colors, read_pixels
from .placing import PlacingError, align_ground, fit_to_camera
from .sky import sky_sheet
from .world import far_dome, floor, set_world

__all__ = ("MODIFIER_NAME", "BuildError", "BuildOptions", "BuildResult", "build_frame", "frame_name", "kind_of", "mark_of")

PART_KEY, OPTIONS_KEY = "jointdit_part", "jointdit_options"
PROPERTIES = ("prompt", "seed", "frame", "task", "model", "notes", PART_KEY, OPTIONS_KEY)
"""The custom properties of a relief."""
FLOOR_CLEARANCE = 0.05
"""Metres."""
CAMERA_HEIGHT = 1.6
"""Metres from the floor to the eyes, where nothing else is said."""
AROUND_WIDTH = 2048
UPRIGHT = Matrix.Rotation(math.pi / 2.0, 4, "X")
"""The camera's axes become the world's: forward is +Y, up is +Z."""
KINDS = ("objects", "meshes", "cameras", "images", "materials", "node_groups", "collections", "worlds", "actions")


@dataclass(frozen=True)
class BuildResult:
    """What was made. `torn_share` is the part of the faces that was cut, 0 to 1, and 0 for points; holes and sky do not count.

    `camera` is the frame's own, None for a backdrop of the scene's camera. `notes` are sentences for the artist.
    """

    collection: bpy.types.Collection
    object: bpy.types.Object
    camera: bpy.types.Object | None
    geometry: str
    vertices: int
    torn_share: float
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """One sentence for the artist, without the notes."""
        count = f"{self.vertices:,}".replace(",", " ")
        if self.geometry == "points":
            return f"Built {count} points"
        return f"Built {count} vertices, {100.0 * self.torn_share:.1f} % of the faces torn"


@dataclass(frozen=True)
class _Source:
    """What is read from a frame folder before anything is built; arrays have row 0 at the top."""

    frame: Frame
    image: bpy.types.Image
    disparity: bpy.types.Image
    values: np.ndarray
    rgb: np.ndarray
    pinned: Pinned


def build_frame(context: bpy.types.Context, frame: Frame, options: BuildOptions | None = None, place: Matrix | None = None) -> BuildResult:
    """Build the frame in the context's scene, its camera at `place` or at the origin, looking along +Y.

    Raises `BuildError` or `FrameError`; then nothing of it stays in the file.
    """
    options = options or BuildOptions()
    options.check(frame)
    scene = context.scene
    if scene is None:
        raise BuildError("There is no scene to build in; open or add one.")
    if options.horizontal_angle is not None:
        frame = replace(frame, camera=replace(frame.camera, horizontal_angle=options.horizontal_angle))
    with _all_or_nothing():
        return _Build(context, scene, _read(frame, options), options, place or UPRIGHT).run()


def frame_name(frame: Frame) -> str:
    """A name for the outliner: the first words of the prompt and the seed."""
    words = " ".join(frame.prompt.split())
    if len(words) > 40:
        words = words[:40].rsplit(" ", 1)[0]
    title = words or "Frame"
    return title if frame.seed is None else f"{title} {frame.seed}"


class _Build:
    """One run of `build_frame`; every method is a step of it."""

    def __init__(self, context: bpy.types.Context, scene: bpy.types.Scene, source: _Source, options: BuildOptions, place: Matrix) -> None:
        self.context, self.scene, self.source, self.options, self.place = context, scene, source, options, place
        self.name = frame_name(source.frame)
        self.folder = None if options.pack else source.frame.folder
        self.notes: list[str] = []
        self.sphere = _is_sphere(source.frame.camera)
        # The parts of one build know each other by it.
        self.mark = uuid.uuid4().hex

    def run(self) -> BuildResult:
        prepared = self._prepare()
        relief = self._relief(prepared)
        collection = bpy.data.collections.new(self.name)
        collection.objects.link(relief.object)
        self.scene.collection.children.link(collection)
        vertices, torn_share = self._measure(relief, prepared)
        self._describe(relief.object)
        camera = None if self.options.backdrop is not None and self.scene.camera is not None else self._camera(relief)
        around = self._around(prepared)
        parts = {"camera": camera, "sky": self._sky(relief, prepared), "dome": self._dome(relief, prepared, around)}
        for kind, part in parts.items():
            if part is not None:
                part.parent = relief.object
                self._add(collection, part, kind)
        self._place(relief, camera)
        eye = camera or self.scene.camera
        if eye is not None and (parts["sky"] or parts["dome"]):
            reach(eye, get_input(relief.modifier, "Near"), HORIZON * get_input(relief.modifier, "Far"))
        if self.options.floor:
            self._add_floor(collection, relief)
        if camera is not None and self.options.look_through:
            look_through(self.scene, camera, self.source.frame)
        if around is not None and (self._lit or self.options.sky == "world"):
            self._light(relief.object, around)
        if self.notes:
            relief.object["notes"] = " ".join(self.notes)
        return BuildResult(collection, relief.object, camera, self.options.geometry, vertices, torn_share, tuple(self.notes))

    def _add(self, collection: bpy.types.Collection, part: bpy.types.Object, kind: str) -> None:
        part[PART_KEY] = f"{self.mark} {kind}"
        collection.objects.link(part)

    @property
    def _lit(self) -> bool:
        """Whether the picture becomes the world; a floor that catches shadows shows the world through it, and nothing else."""
        return self.options.environment or self.options.floor

    @property
    def _closed(self) -> bool:
        """Whether something is to be seen in every direction, also from beside the camera."""
        return self.options.geometry == "dome"

    @property
    def _sky_on_dome(self) -> bool:
        """Whether the sky alone goes on a dome; a sphere has all of it and takes a sheet, and so does what a camera carries along."""
        return self.options.sky == "dome" and self.options.backdrop is None and not self.sphere

    def _prepare(self) -> Prepared:
        source, options = self.source, self.options
        prepared = prepare(
            source.values,
            source.rgb,
            source.pinned,
            source.frame.camera,
            clean=options.clean,
            back_layer=options.back_layer and options.geometry != "points",
            sky=options.sky != "keep",
            cutoff=options.sky_cutoff,
        )
        finite = source.values[np.isfinite(source.values)]
        if finite.size and finite.min() == finite.max():
            self.notes.append("The disparity is the same everywhere, so everything stands at one distance.")
        if options.sky in ("remove", "dome", "world") and prepared.cutoff == 0.0 and not self._open_sky(prepared).any():
            self.notes.append("No sky was found; raise the sky cut-off to remove what is far.")
        return prepared

    def _relief(self, prepared: Prepared) -> Live:
        source, options = self.source, self.options
        frame, pinned, camera = source.frame, source.pinned, source.frame.camera
        values: dict[str, Any] = {
            "Near": pinned.near,
            "Far": pinned.far,
            "Gamma": pinned.gamma,
            "Field of View": math.radians(camera.horizontal_angle),
            "Vertical Angle": math.radians(camera.vertical_angle or 180.0),
            "Projection": camera.projection.capitalize(),
            "Distance": frame.distance.capitalize(),
            "Output": "Points" if options.geometry == "points" else "Mesh",
            "Step": options.step,
            "Tear": options.tear,
            "Torn Faces": "Cut",
            "Clean Edges": options.clean,
            "Sky Cut-off": prepared.cutoff,
            "Back Layer": False,
            "Point Size": options.point_size,
            "Disparity": source.disparity,
            "Maps": maps_image(f"{self.name} Maps", prepared, self.folder),
            "Image": source.image,
            "Material": frame_material(self.name, source.image, options.relit, camera.wraps),
            "Disparity at Near": pinned.at_near,
            "Disparity at Far": pinned.at_far,
            "Principal X": camera.principal_point[0],
            "Principal Y": camera.principal_point[1],
        }
        if prepared.back_rgb is not None:
            behind = color_image(f"{self.name} Behind", "behind.png", prepared.back_rgb, self.folder)
            values["Back Material"] = frame_material(f"{self.name} Behind", behind, options.relit, camera.wraps)
        relief = live_object(self.name, values)
        relief.object.matrix_world = self.place
        relief.object[PART_KEY] = f"{self.mark} relief"
        return relief

    def _measure(self, relief: Live, prepared: Prepared) -> tuple[int, float]:
        """Vertices or points of the frame, and the share of its faces that is torn. Gives the modifier its last inputs; raises `BuildError`."""
        vertices, faces = self._counts(relief.object)
        whole = self._whole_faces(prepared) if faces else 0
        # Only now, so that strips and what is behind are not counted as parts of the surface.
        set_input(relief.modifier, "Torn Faces", self.options.torn.capitalize())
        set_input(relief.modifier, "Back Layer", prepared.back_rgb is not None)
        if vertices == 0 and self._counts(relief.object)[0] == 0:
            reason = "every pixel is a hole, sky or torn; raise the tear threshold, keep the sky, or choose a smaller step"
            raise BuildError(f"Nothing is left of the frame {self.source.frame.folder}: {reason}.")
        return vertices, max(0.0, 1.0 - faces / whole) if whole else 0.0

    def _counts(self, relief: bpy.types.Object) -> tuple[int, int]:
        """Vertices or points, and faces, of the frame as it is computed now."""
        evaluated = relief.evaluated_get(self.context.evaluated_depsgraph_get())
        # The stubs know neither that it returns something nor the class of it.
        geometry: Any = evaluated.evaluated_geometry()  # type: ignore[func-returns-value]
        if self.options.geometry == "points":
            return (len(geometry.pointcloud.points) if geometry.pointcloud else 0), 0
        return (len(geometry.mesh.vertices), len(geometry.mesh.polygons)) if geometry.mesh else (0, 0)

    def _whole_faces(self, prepared: Prepared) -> int:
        """Faces of the grid that neither a hole nor the sky takes away."""
        camera, (height, width) = self.source.frame.camera, prepared.clean.shape
        seen = np.isfinite(inverse_depth(self._solid(prepared), self.source.pinned))
        rows = vertex_pixels(height, self.options.step, False)
        seen = seen[np.ix_(rows, vertex_pixels(width, self.options.step, camera.wraps))]
        columns = np.concatenate([seen, seen[:, :1]], axis=1) if camera.wraps else seen
        quads = int((columns[:-1, :-1] & columns[1:, :-1] & columns[:-1, 1:] & columns[1:, 1:]).sum())
        fans = sum(int((row[:-1] & row[1:]).sum()) for row in (columns[0], columns[-1])) if self.sphere else 0
        return quads + fans

    def _solid(self, prepared: Prepared) -> np.ndarray:
        """The disparity that the relief has, NaN in holes and where the sky was."""
        gone = prepared.sky & (nearness(prepared.clean, self.source.pinned) <= prepared.cutoff) if prepared.cutoff else False
        return np.where(gone, np.float32(np.nan), prepared.clean)

    def _camera(self, relief: Live) -> bpy.types.Object:
        if self.options.backdrop is not None:
            self.notes.append("The scene had no camera to put a backdrop behind, so the frame brought its own.")
        camera = frame_camera(f"{self.name} Camera", self.source.frame)
        clip_to(camera, self.source.pinned.near, HORIZON * self.source.pinned.far)
        if self.source.frame.camera.projection == "perspective":
            follow_field_of_view(camera, relief.modifier)
        return camera

    def _open_sky(self, prepared: Prepared) -> np.ndarray:
        """Where the relief is open because there is sky, (height, width) booleans: removed, or a hole in the first place."""
        removed = np.isfinite(prepared.clean) & ~np.isfinite(self._solid(prepared))
        return np.asarray(removed | (prepared.found & ~np.isfinite(prepared.clean)))

    def _sky(self, relief: Live, prepared: Prepared) -> bpy.types.Object | None:
        """The sheet: for an automatic sky, and for one that no dome carries."""
        if self.options.sky not in ("auto", "dome") or self._closed or self._sky_on_dome:
            return None
        sky = self._open_sky(prepared)
        if not sky.any():
            return None
        return sky_sheet(f"{self.name} Sky", relief, self.source.rgb, sky, self.folder, wraps=self.source.frame.camera.wraps)

    def _around(self, prepared: Prepared) -> bpy.types.Image | None:
        """The equirectangular picture for a dome or a world, where one is wished."""
        options, source = self.options, self.source
        everything = self._lit or (self._closed and not self.sphere)
        sky = self._open_sky(prepared)
        if not everything and not ((options.sky == "world" or self._sky_on_dome) and sky.any()):
            return None
        if everything and self.sphere:
            return source.image
        # What a floor shows is the picture itself.
        shown = self._backdrop(prepared) if self._closed and not options.floor else None
        picture = surroundings(source.rgb, source.frame.camera, AROUND_WIDTH, None if everything else sky, shown)
        return color_image(f"{self.name} Surroundings", "surroundings.png", picture, self.folder)

    def _backdrop(self, prepared: Prepared) -> np.ndarray:
        """The picture that is seen beside things from aside: not the same things once more, but what lies behind; where the relief is open, itself."""
        if prepared.back_rgb is None:
            return self.source.rgb
        return np.where(np.isfinite(self._solid(prepared))[..., None], prepared.back_rgb, self.source.rgb)

    def _dome(self, relief: Live, prepared: Prepared, around: bpy.types.Image | None) -> bpy.types.Object | None:
        """What closes a dome where the frame ends and behind its things, or carries the sky; its size follows the frame's."""
        if self._closed and self.sphere:
            around = color_image(f"{self.name} Surroundings", "surroundings.png", self._backdrop(prepared), self.folder)
        if around is None or not (self._closed or self._sky_on_dome):
            return None
        dome = far_dome(f"{self.name} Dome", around, 1.0)
        for axis in range(3):
            follow(dome, "scale", axis, relief, "Far", HORIZON)
        return dome

    def _place(self, relief: Live, camera: bpy.types.Object | None) -> None:
        options = self.options
        height = options.ground or (CAMERA_HEIGHT if options.floor else None)
        try:
            if options.backdrop is not None and camera is None:
                self.notes += fit_to_camera(
                    self.context, relief.object, distance=options.backdrop, focal_length=options.focal_length, follow=options.follow
                )
            elif height is not None:
                align_ground(self.context, relief.object, find_ground(relief.object), height)
        except PlacingError as error:
            raise BuildError(str(error)) from error
        except GroundError as error:
            self.notes.append(str(error))
            relief.object.location.z = height or 0.0

    def _light(self, relief: bpy.types.Object, around: bpy.types.Image) -> None:
        """Make a world of the picture; one of an earlier build makes room for it."""
        before = self.scene.world
        self.context.view_layer.update()
        set_world(self.scene, self.name, around, relief.matrix_world)[PART_KEY] = self.mark
        if before is not None and before.get(PART_KEY) is not None:
            bpy.data.worlds.remove(before)

    def _add_floor(self, collection: bpy.types.Collection, relief: Live) -> None:
        """A floor at z = 0, just above the picture's ground, whose unevenness would else come through it."""
        relief.object.location.z -= FLOOR_CLEARANCE
        if not self.options.relit:
            # A picture takes no light from the floor that shows the same picture.
            for item in (relief.object, *relief.object.children):
                item.visible_shadow = item.visible_diffuse = False
        self._add(collection, floor(f"{self.name} Floor", 4.0 * float(get_input(relief.modifier, "Far"))), "floor")

    def _describe(self, relief: bpy.types.Object) -> None:
        """Where the object comes from, as custom properties that stay in the .blend."""
        frame = self.source.frame
        relief["prompt"] = frame.prompt
        relief["frame"] = str(frame.folder)
        relief["task"] = frame.task
        if frame.seed is not None:
            # A custom property is a 32-bit number; larger seeds are kept as text.
            relief["seed"] = frame.seed if abs(frame.seed) < 2**31 else str(frame.seed)
        if frame.model is not None:
            relief["model"] = frame.model
        relief[OPTIONS_KEY] = self.options.to_json()


def _read(frame: Frame, options: BuildOptions) -> _Source:
    image, disparity = _load(frame.image, frame), _load(frame.disparity, frame)
    disparity.colorspace_settings.name = "Non-Color"
    disparity.alpha_mode = "NONE"
    values = read_pixels(disparity)
    try:
        pinned = pin(frame.mapping, values)
    except ValueError as error:
        raise FrameError(f"{frame.disparity}: {error}") from error
    near = pinned.near if options.near is None else options.near
    far = pinned.far if options.far is None else options.far
    if near > far or (near == far and pinned.near != pinned.far):
        raise BuildError(f"Near ({near:g} m) must be smaller than far ({far:g} m).")
    colors = read_colors(image)
    if options.pack:
        image.pack()
        disparity.pack()
    return _Source(frame, image, disparity, values, colors, replace(pinned, near=near, far=far, gamma=options.gamma))


def _load(path: Path, frame: Frame) -> bpy.types.Image:
    """A picture of the frame's size, all its pixels read."""
    image = load_picture(path)
    if tuple(image.size) != (frame.width, frame.height):
        width, height = image.size
        raise FrameError(f"{path} is {width} x {height} pixels, not {frame.width} x {frame.height} as its frame says; generate it again.")
    return image


def _is_sphere(camera: Camera) -> bool:
    return camera.wraps and camera.projection == "equirectangular" and (camera.vertical_angle or 0.0) >= 180.0


def mark_of(item: bpy.types.Object) -> str:
    """What the parts of one build have in common; nothing for other objects."""
    return str(item.get(PART_KEY) or "").partition(" ")[0]


def kind_of(item: bpy.types.Object) -> str:
    """Which part of a build an object is: relief, camera, sky, dome or floor; nothing for other objects."""
    return str(item.get(PART_KEY) or "").partition(" ")[2]


def _blocks() -> set[bpy.types.ID]:
    return {block for kind in KINDS for block in getattr(bpy.data, kind)}


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """Take everything out of the file again that was added to it, if the work fails."""
    before = _blocks()
    done = False
    try:
        yield
        done = True
    finally:
        if not done:
            bpy.data.batch_remove(_blocks() - before)
