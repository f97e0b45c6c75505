# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a frame where an artist needs it: as a backdrop of a camera, on the ground, in true size.

A frame's own space is camera space: x right, y up, -z forward, metres, its camera at the origin. A larger frame is made by larger distances,
never by scaling the object: the picture as its camera sees it stays the same.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal, cast

import bpy
from mathutils import Matrix, Quaternion, Vector

from ..core.errors import JointDiTError
from .camera import HORIZON, reach
from .group import VERSION_KEY
from .modifier import get_input, input_path, set_input

if TYPE_CHECKING:
    from ..core.ground import Plane

OVERSCAN = 3
"""Pixels of the render by which a backdrop is larger than the view: the filter of a pixel at the rim sees a little beyond it."""
NEAREST, FARTHEST = 1e-5, 1e8
"""Metres that a frame's distances may have: beyond them float32 positions mean nothing."""
CONSTRAINT_NAME = "JointDiT Size"
BACKDROP_INPUTS = ("Field of View", "Principal X", "Principal Y")


class PlacingError(JointDiTError):
    """The frame cannot be put there; `str(error)` is a sentence for a person."""


def fit_to_camera(
    context: bpy.types.Context, relief: bpy.types.Object, *, distance: float, focal_length: float | None = None, follow: bool = True
) -> tuple[str, ...]:
    """Make the frame a backdrop of the scene's camera: its picture fills the view, centred, at any aspect, its near distance `distance` metres away.

    With `follow` the frame hangs on the camera, and its field of view follows the camera's lens, sensor and shift and the render's aspect, all of
    them also when they are animated. Else it stays as it is now. `focal_length` in millimetres is given to the camera first.
    Returns sentences about what was changed besides. Raises `PlacingError`; then nothing is changed.
    """
    modifier = frame_modifier(relief)
    if get_input(modifier, "Projection") != "Perspective":
        raise PlacingError("A panorama surrounds the camera, so it cannot be its backdrop; use it as a dome or choose a perspective frame.")
    camera = _perspective_camera(context.scene, relief)
    if not (math.isfinite(distance) and distance > 0.0):
        raise PlacingError(f"The distance of a backdrop must be above 0 m, not {distance:g}.")
    if focal_length is not None and not (math.isfinite(focal_length) and focal_length >= 1.0):
        raise PlacingError(f"The focal length must be at least 1 mm, not {focal_length:g}.")
    scale_depth(relief, distance / float(get_input(modifier, "Near")))

    if focal_length is not None:
        _lens(camera).lens = focal_length
    context.view_layer.update()
    location, rotation, _ = camera.matrix_world.decompose()
    relief.parent = camera if follow else None
    relief.parent_type = "OBJECT"
    relief.matrix_parent_inverse = Matrix()
    relief.matrix_basis = Matrix() if follow else Matrix.LocRotScale(location, rotation, None)
    _keep_size(relief, follow)
    _fill_view(context.scene, _lens(camera), relief, modifier, follow)
    context.view_layer.update()

    if reach(camera, float(get_input(modifier, "Near")), _farthest(relief, float(get_input(modifier, "Far")))):
        return (f"The clipping distances of {camera.name} were widened, so that it sees all of the frame.",)
    return ()


def align_ground(context: bpy.types.Context, relief: bpy.types.Object, plane: Plane, camera_height: float) -> None:
    """Level the frame: its ground plane becomes z = 0 of the world, and its camera, which hangs on it, stands `camera_height` metres above.

    The direction in which the camera looks, seen from above, and its place over the ground stay. What it sees stays too: the frame is turned and
    moved as a whole, and its distances are scaled. `plane` is in the frame's space, at its present distances. Raises `PlacingError`.
    """
    normal, height = Vector([float(value) for value in plane.normal]), float(plane.height)
    if not (math.isfinite(height) and height > 0.0 and math.isfinite(normal.length_squared) and normal.length > 0.0):
        raise PlacingError("The ground must lie below the camera; choose another frame, or level it by hand.")
    if not (math.isfinite(camera_height) and camera_height > 0.0):
        raise PlacingError(f"The height of the camera must be above 0 m, not {camera_height:g}.")
    if relief.parent is not None and relief.parent.type == "CAMERA":
        raise PlacingError("The frame is a backdrop that follows a camera; clear its parent before you level its ground.")
    scale_depth(relief, camera_height / height)
    context.view_layer.update()
    location, rotation, _ = relief.matrix_world.decompose()
    turn = _upright(normal, _heading(rotation))
    relief.matrix_world = Matrix.LocRotScale(Vector((location.x, location.y, camera_height)), turn, None)
    context.view_layer.update()


def scale_depth(relief: bpy.types.Object, factor: float) -> None:
    """Multiply all distances of the frame; its picture stays. Its own camera is made to reach them. Raises `PlacingError`."""
    modifier = frame_modifier(relief)
    near, far = (float(get_input(modifier, name)) * factor for name in ("Near", "Far"))
    if not (factor > 0.0 and near >= NEAREST and far <= FARTHEST):
        raise PlacingError(f"Scaling by {factor:g} would put the frame at {near:g} to {far:g} m; choose a distance of a usual size.")
    set_input(modifier, "Near", near)
    set_input(modifier, "Far", far)
    for child in relief.children:
        if child.type == "CAMERA":
            reach(child, near, _farthest(relief, far))


def _farthest(relief: bpy.types.Object, far: float) -> float:
    """Metres to the farthest thing that hangs on the frame: its sky, if it has one."""
    return far * HORIZON if any(child.type == "MESH" for child in relief.children) else far


def scale_between(relief: bpy.types.Object, first: Vector, second: Vector, metres: float) -> float:
    """Scale the frame so that two points of it, in the object's own space, are `metres` apart in the world; the factor. Raises `PlacingError`."""
    between = relief.matrix_world.to_3x3() @ (second - first)
    if not math.isfinite(between.length):
        raise PlacingError("Both points must lie on the frame; pick them again.")
    if between.length < 1e-9:
        raise PlacingError("The two points are one; pick two that are some way apart.")
    if not (math.isfinite(metres) and metres > 0.0):
        raise PlacingError(f"The distance between the points must be above 0 m, not {metres:g}.")
    factor = metres / between.length
    scale_depth(relief, factor)
    return factor


def frame_modifier(relief: bpy.types.Object) -> bpy.types.NodesModifier:
    """The modifier that makes an object a frame. Raises `PlacingError` when it is none."""
    for modifier in relief.modifiers:
        if isinstance(modifier, bpy.types.NodesModifier) and modifier.node_group is not None and modifier.node_group.get(VERSION_KEY):
            return modifier
    raise PlacingError(f"{relief.name} is not a live frame; choose an object that was built from one and not baked.")


def _perspective_camera(scene: bpy.types.Scene | None, relief: bpy.types.Object) -> bpy.types.Object:
    """The camera of the scene, which can have the frame as a backdrop."""
    camera = scene.camera if scene else None
    if camera is None or camera.type != "CAMERA":
        raise PlacingError("The scene has no camera to fit the frame to; add one and make it the active camera.")
    if _lens(camera).type != "PERSP":
        raise PlacingError(f"{camera.name} is not a perspective camera; a backdrop needs one: change its type or choose another camera.")
    above: bpy.types.Object | None = camera
    while above is not None:
        if above == relief:
            raise PlacingError(f"{camera.name} hangs on the frame itself; make another camera the scene's active camera first.")
        above = above.parent
    return camera


def _lens(camera: bpy.types.Object) -> bpy.types.Camera:
    return cast(bpy.types.Camera, camera.data)


def _keep_size(relief: bpy.types.Object, on: bool) -> None:
    """Keep the frame in metres: a camera that is scaled, to be seen better in the viewport, does not scale its picture."""
    constraint = relief.constraints.get(CONSTRAINT_NAME)
    if constraint is not None:
        relief.constraints.remove(constraint)
    if on:
        limit = cast(bpy.types.LimitScaleConstraint, relief.constraints.new("LIMIT_SCALE"))
        limit.name = CONSTRAINT_NAME
        for axis in "xyz":
            for end in ("min", "max"):
                setattr(limit, f"use_{end}_{axis}", True)
                setattr(limit, f"{end}_{axis}", 1.0)


def _fill_view(scene: bpy.types.Scene | None, camera: bpy.types.Camera, relief: bpy.types.Object, modifier: bpy.types.NodesModifier, follow: bool) -> None:
    """Let the frame's field of view and principal point, which centres the picture in a shifted view, follow the camera; or set them once."""
    assert scene is not None, "it has a camera"
    paths = [input_path(modifier, name) for name in BACKDROP_INPUTS]
    for path in paths:
        relief.driver_remove(path)
    if follow:
        width, height = get_input(modifier, "Disparity").size
        for path, expression in zip(paths, _expressions(width, height), strict=True):
            _drive(relief, path, expression, scene, camera, input_path(modifier, "Step"))
        return
    for name, value in zip(BACKDROP_INPUTS, _covering(scene, camera, modifier), strict=True):
        set_input(modifier, name, value)


def _expressions(width: int, height: int) -> tuple[str, str, str]:
    """Field of view and principal point of a picture of so many pixels that just fills the view of a camera, of the variables in `_drive`.

    Blender's rule: the focal length refers to the width of the view or to its height, whichever the sensor fit says, and the sensor's height
    counts only with the vertical fit. Shifts are counted in that side. The surface ends at the centres of the outermost vertices, which
    lie within half a step of the picture's rim.
    """
    side = "(x*p if s==1 else y*q if s==2 else max(x*p,y*q))"
    rim = "floor(n/2)*2"
    # The side of the view that the width of the picture covers.
    covered = f"max((x+{OVERSCAN})*p/max({width - 1}-{rim},1),(y+{OVERSCAN})*q/max({height - 1}-{rim},1))"
    return (
        f"2*atan((h if s==2 else w)/f/2*{width}*{covered}/{side})",
        f"0.5-a*{side}/{width}/{covered}",
        f"0.5+b*{side}/{height}/{covered}",
    )


def _drive(relief: bpy.types.Object, path: str, expression: str, scene: bpy.types.Scene, camera: bpy.types.Camera, step: str) -> None:
    """Compute an input of the frame from the camera and the render. Blender computes simple expressions without Python and so without permission."""
    driver = relief.driver_add(path).driver
    sources: dict[str, tuple[Literal["CAMERA", "SCENE", "OBJECT"], bpy.types.ID, str]] = {
        "f": ("CAMERA", camera, "lens"),
        "w": ("CAMERA", camera, "sensor_width"),
        "h": ("CAMERA", camera, "sensor_height"),
        "s": ("CAMERA", camera, "sensor_fit"),
        "a": ("CAMERA", camera, "shift_x"),
        "b": ("CAMERA", camera, "shift_y"),
        "x": ("SCENE", scene, "render.resolution_x"),
        "y": ("SCENE", scene, "render.resolution_y"),
        "p": ("SCENE", scene, "render.pixel_aspect_x"),
        "q": ("SCENE", scene, "render.pixel_aspect_y"),
        "n": ("OBJECT", relief, step),
    }
    for name in sorted(set(re.findall(r"\b[a-z]\b", expression))):
        variable = driver.variables.new()
        variable.name = name
        target = variable.targets[0]
        target.id_type, target.id, target.data_path = sources[name]
    driver.expression = expression


def _covering(scene: bpy.types.Scene, camera: bpy.types.Camera, modifier: bpy.types.NodesModifier) -> tuple[float, float, float]:
    """What `_expressions` computes, once, from the view as Blender knows it."""
    corners = [(corner.x / -corner.z, corner.y / -corner.z) for corner in camera.view_frame(scene=scene)]
    (left, right), (bottom, top) = ((min(values), max(values)) for values in zip(*corners, strict=True))
    width, height = get_input(modifier, "Disparity").size
    rim = 1 + get_input(modifier, "Step") // 2 * 2
    wide, tall = (1.0 + OVERSCAN / pixels for pixels in (scene.render.resolution_x, scene.render.resolution_y))
    pixel = max((right - left) * wide / max(width - rim, 1), (top - bottom) * tall / max(height - rim, 1))
    principal_x, principal_y = 0.5 - (left + right) / 2.0 / (width * pixel), 0.5 + (bottom + top) / 2.0 / (height * pixel)
    return 2.0 * math.atan(width * pixel / 2.0), principal_x, principal_y


def _heading(rotation: Quaternion) -> Vector:
    """Where the camera of a frame that is turned so looks in the world, seen from above; a level vector."""
    forward, top = rotation @ Vector((0.0, 0.0, -1.0)), rotation @ Vector((0.0, 1.0, 0.0))
    ahead = Vector((forward.x, forward.y, 0.0))
    if ahead.length > 1e-3:
        return ahead
    # Straight down or up: where the top, or the bottom, of the picture is.
    return Vector((top.x, top.y, 0.0)) * (-1.0 if forward.z > 0.0 else 1.0)


def _upright(normal: Vector, heading: Vector) -> Quaternion:
    """The rotation of a frame that turns the vector `normal` of its space to the world's z, and its view to the level vector `heading`."""
    up = Vector((0.0, 0.0, 1.0))
    level = normal.rotation_difference(up)
    ahead = _heading(level)
    return Quaternion(up, math.atan2(heading.y, heading.x) - math.atan2(ahead.y, ahead.x)) @ level
