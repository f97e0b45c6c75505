# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A result becomes an object of the scene that asked for it, with one undo step. Called from a timer, where Blender has no context."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from . import active, api
from .core.errors import JointDiTError
from .scene.builder import BuildOptions, kind_of
from .scene.extending import extend
from .scene.modifier import get_input


@dataclass(frozen=True)
class Arrival:
    """What became of a result: the object's name, or nothing; and the sentences for the person."""

    object_name: str
    message: str


def obstacle(scene_name: str) -> str:
    """Why now is not the moment to add an object, as a sentence, or nothing."""
    if bpy.app.is_job_running("RENDER"):  # type: ignore[func-returns-value]
        return "The result is placed when the render is done"
    for window in bpy.context.window_manager.windows:
        if any(operator.bl_idname.startswith("TRANSFORM_OT_") for operator in window.modal_operators):
            return "The result is placed when you have finished moving"
        item = window.view_layer.objects.active
        if window.scene.name == scene_name and item is not None and item.mode != "OBJECT":
            # Adding an object now would not be an undo step of its own.
            return "The result is placed when you are back in Object Mode"
    return ""


def place(folder: Path, scene_name: str, options: BuildOptions, extended: str, warnings: list[str]) -> Arrival:
    """Build the frame in the scene of that name; `extended` names the object whose place it takes, if it does."""
    scene = bpy.data.scenes.get(scene_name)
    if scene is None:
        return Arrival("", f"The scene “{scene_name}” is gone: choose the result in History and build it. It is kept in {folder}.")
    window = next((window for window in bpy.context.window_manager.windows if window.scene == scene), None)
    with _inside(scene, window):
        first = not any("frame" in item and item.type == "MESH" for item in scene.objects)
        taken = bpy.data.objects.get(extended) if extended else None
        try:
            frame = api.load(folder)
            if taken is not None and active.frame_modifier(taken):
                result = extend(bpy.context, taken, frame, options)
                warnings = [*warnings, f"It stands in the place of “{extended}”, which is hidden."]
            else:
                result = api.build(frame, options)
        except (JointDiTError, OSError) as error:
            return Arrival("", str(error))
        select_only(bpy.context, result.object)
        # Later results leave the view alone.
        if first and window is not None:
            look_through_camera(window)
            hidden = hide_around(scene, active.own_camera(result.object), _near(result.object))
            if hidden:
                warnings = [*warnings, f"{_listed(hidden)} stood before its camera and {'is' if len(hidden) == 1 else 'are'} hidden now."]
    sentences = [f"{result.sentence}.", *warnings]
    if first and window is not None and _colorless(window):
        sentences.append("Choose Material Preview in the header to see its colors.")
    if scene.view_settings.view_transform != "Standard":
        sentences.append("For the picture's own colors set Render > Color Management > View Transform to Standard.")
    if not bpy.app.background:
        with _inside(scene, window):
            bpy.ops.ed.undo_push(message=f"JointDiT: {result.object.name}"[:60])
    return Arrival(result.object.name, " ".join(sentences))


def select_only(context: bpy.types.Context, chosen: bpy.types.Object) -> None:
    """Make an object the active and only selected one."""
    layer = context.view_layer
    # Objects that were just removed are still in its list.
    layer.update()
    for item in layer.objects:
        item.select_set(item == chosen)
    layer.objects.active = chosen


def look_through_camera(window: bpy.types.Window) -> None:
    """Show the scene in every viewport of the window as its camera sees it."""
    for area in window.screen.areas:
        if area.type == "VIEW_3D":
            area.spaces.active.region_3d.view_perspective = "CAMERA"


def hide_around(scene: bpy.types.Scene, camera: bpy.types.Object | None, near: float) -> list[str]:
    """Hide what the camera is inside of and what lies altogether nearer than the picture, as the cube of a new file: one would see nothing but that.

    A room or a landscape around the camera reaches farther and stays. `near` is the distance of the nearest pixel. Returns the names.
    """
    if camera is None:
        return []
    place = camera.matrix_world.translation
    hidden = []
    for item in scene.objects:
        if item.type != "MESH" or kind_of(item) or item.get("frame") or not item.visible_get() or not item.matrix_world.determinant():
            continue
        corners, local = np.array(item.bound_box), np.array(item.matrix_world.inverted() @ place)
        farthest = max((item.matrix_world @ Vector(corner) - place).length for corner in corners)
        if farthest < near and (corners.min(axis=0) < local).all() and (local < corners.max(axis=0)).all():
            item.hide_set(True)
            item.hide_render = True
            hidden.append(item.name)
    return hidden


def _near(relief: bpy.types.Object) -> float:
    """The distance of the nearest pixel in the scene."""
    modifier = active.frame_modifier(relief)
    return float(get_input(modifier, "Near")) * relief.matrix_world.median_scale if modifier else 0.0


def _listed(names: list[str]) -> str:
    return " and ".join(f"“{name}”" for name in names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _inside(scene: bpy.types.Scene, window: bpy.types.Window | None) -> AbstractContextManager[Any]:
    """The context of a window that shows the scene, else of the scene alone. In a timer there is neither."""
    if bpy.app.background and bpy.context.scene == scene:
        return nullcontext()
    if window is not None:
        return bpy.context.temp_override(window=window)
    return bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0])


def _colorless(window: bpy.types.Window) -> bool:
    """Whether every view of the window shows plain gray surfaces."""
    shadings = [area.spaces.active.shading for area in window.screen.areas if area.type == "VIEW_3D"]
    return all(shading.type in ("WIREFRAME", "SOLID") and shading.color_type != "TEXTURE" for shading in shadings)
