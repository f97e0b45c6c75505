# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that sees a frame as the image was made."""

from __future__ import annotations

import math

import bpy

from ..core.frame import Frame
from .modifier import input_path

SENSOR_WIDTH = 36.0
SMALLEST_RENDER = 1024
HORIZON = 5.0
"""How many times farther than the frame's far distance its sky stands: parallax hardly moves it, and cameras still reach it."""


def frame_camera(name: str, frame: Frame) -> bpy.types.Object:
    """A camera object at the origin of the frame, looking along -z; not linked to a collection yet.

    Its clipping distances are left to `clip_to`.
    """
    data = bpy.data.cameras.new(name)
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = SENSOR_WIDTH
    if frame.camera.projection == "perspective":
        data.lens = SENSOR_WIDTH / (2.0 * math.tan(math.radians(frame.camera.horizontal_angle) / 2.0))
        x, y = frame.camera.principal_point
        data.shift_x = 0.5 - x
        # Blender counts shifts in widths of the image when the sensor fits horizontally.
        data.shift_y = (y - 0.5) * frame.height / frame.width
    else:
        _make_panoramic(data, frame)
    return bpy.data.objects.new(name, data)


def follow_field_of_view(camera: bpy.types.Object, modifier: bpy.types.NodesModifier) -> None:
    """Let the lens follow the modifier's field of view, so that the image fits whatever angle is tried."""
    curve = camera.data.driver_add("lens")
    variable = curve.driver.variables.new()
    variable.name = "angle"
    target = variable.targets[0]
    target.id = modifier.id_data
    target.data_path = input_path(modifier, "Field of View")
    # Blender computes simple expressions itself, without Python and so without "auto-run" permission.
    curve.driver.expression = f"{SENSOR_WIDTH} / (2 * tan(angle / 2))"


def clip_to(camera: bpy.types.Object, near: float, far: float) -> None:
    """Clip well outside of the frame's nearest and farthest distance in metres."""
    camera.data.clip_start = max(near * 0.1, 1e-4)
    camera.data.clip_end = max(far * 10.0, 100.0)


def reach(camera: bpy.types.Object, near: float, far: float) -> bool:
    """Widen the clipping distances, if need be, so that what is `near` to `far` metres away is seen; whether that was needed."""
    data = camera.data
    before = data.clip_start, data.clip_end
    # The corners of a frame are farther away than the middle, or nearer, as its distances are measured.
    data.clip_start = min(data.clip_start, max(near * 0.1, 1e-4))
    data.clip_end = max(data.clip_end, far * 1.5)
    return (data.clip_start, data.clip_end) != before


def render_size(width: int, height: int) -> tuple[int, int]:
    """The frame's size, multiplied until its longer side is no postage stamp."""
    factor = max(1, math.ceil(SMALLEST_RENDER / max(width, height)))
    return width * factor, height * factor


def look_through(scene: bpy.types.Scene, camera: bpy.types.Object, frame: Frame) -> None:
    """Make the camera of a frame the scene's own and give the render the image's aspect."""
    match(scene, camera, (frame.width, frame.height))


def match(scene: bpy.types.Scene, camera: bpy.types.Object, size: tuple[int, int]) -> None:
    """Make the camera of a frame the scene's own and give the render the aspect of an image of this size in pixels."""
    scene.camera = camera
    render = scene.render
    render.resolution_x, render.resolution_y = render_size(*size)
    render.resolution_percentage = 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    if camera.data.type == "PANO":
        # Only Cycles has panoramic cameras.
        scene.render.engine = "CYCLES"  # type: ignore[assignment]  # the stubs know only the built-in engine


def _make_panoramic(data: bpy.types.Camera, frame: Frame) -> None:
    data.type = "PANO"
    half = math.radians(frame.camera.horizontal_angle) / 2.0
    assert frame.camera.vertical_angle is not None, "reading a frame has checked that a panorama has both angles"
    half_vertical = math.radians(frame.camera.vertical_angle) / 2.0
    if frame.camera.projection == "equirectangular":
        data.panorama_type = "EQUIRECTANGULAR"
        data.longitude_min, data.longitude_max = -half, half
        data.latitude_min, data.latitude_max = -half_vertical, half_vertical
    else:
        data.panorama_type = "CENTRAL_CYLINDRICAL"
        data.central_cylindrical_radius = 1.0
        data.central_cylindrical_range_u_min, data.central_cylindrical_range_u_max = -half, half
        edge = math.tan(half_vertical)
        data.central_cylindrical_range_v_min, data.central_cylindrical_range_v_max = -edge, edge
