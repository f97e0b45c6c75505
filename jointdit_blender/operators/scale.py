# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""True size from one distance that is known: click two points on the frame and say how far apart they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy
import gpu
from bpy.props import FloatProperty, FloatVectorProperty
from bpy_extras import view3d_utils
from gpu_extras.batch import batch_for_shader
from mathutils import Vector

from .. import active
from ..scene.placing import PlacingError, scale_between
from .result import OfFrame

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

TASKS = ("Click the first of two points whose distance you know", "Click the second point")
KEYS = "  ·  Escape or right click: stop  ·  middle button and wheel: move the view"
NAVIGATION = ("MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE", "TRACKPADPAN", "TRACKPADZOOM", "NDOF_MOTION")
COLOR = (1.0, 0.6, 0.1, 1.0)


class JOINTDIT_OT_scale_by_points(OfFrame, bpy.types.Operator):
    """Click two points on the frame and give their real distance; the whole frame takes on its true size"""

    bl_idname = "jointdit.scale_by_points"
    bl_label = "Scale by Two Points"
    bl_options = {"REGISTER", "UNDO"}

    first: FloatVectorProperty(name="First Point", description="In the object's own space", subtype="XYZ", unit="LENGTH", options={"SKIP_SAVE"})
    second: FloatVectorProperty(name="Second Point", description="In the object's own space", subtype="XYZ", unit="LENGTH", options={"SKIP_SAVE"})
    distance: FloatProperty(
        name="Distance", description="How far the two points are from each other", default=1.0, min=1e-4, precision=3, subtype="DISTANCE", options={"SKIP_SAVE"}
    )

    @classmethod
    def obstacle(cls, _context: bpy.types.Context, relief: bpy.types.Object) -> str:
        """Rays meet no points."""
        return "" if active.output(relief) == "Mesh" else "Points cannot be clicked: set Output to Mesh first"

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """With both points: ask for the distance. Without: let them be clicked."""
        if self.properties.is_property_set("first") and self.properties.is_property_set("second"):
            return set(context.window_manager.invoke_props_dialog(self, title="Real Distance", confirm_text="Scale"))
        if context.area is None or context.area.type != "VIEW_3D":
            self.report({"ERROR"}, "Points are clicked in a 3D viewport: move the mouse over one.")
            return {"CANCELLED"}
        self._points: list[Vector] = []
        self._relief = self.frame(context)[0].name
        self._drawing: Any = bpy.types.SpaceView3D.draw_handler_add(self._draw_points, (), "WINDOW", "POST_VIEW")
        context.workspace.status_text_set(TASKS[0] + KEYS)
        context.window.cursor_modal_set("CROSSHAIR")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Called by Blender for every event until both points are known."""
        if event.type in ("ESC", "RIGHTMOUSE") or self._relief not in context.view_layer.objects:
            self.cancel(context)
            return {"CANCELLED"}
        if event.type in NAVIGATION:
            return {"PASS_THROUGH"}
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"RUNNING_MODAL"}
        found = _point_under(context, event, bpy.data.objects[self._relief])
        if found is None:
            context.workspace.status_text_set("There is no surface: click on the frame" + KEYS)
            return {"RUNNING_MODAL"}
        self._points.append(found)
        if len(self._points) == 1:
            context.workspace.status_text_set(TASKS[1] + KEYS)
            context.area.tag_redraw()
            return {"RUNNING_MODAL"}
        self.cancel(context)
        first, second = self._points
        length = (bpy.data.objects[self._relief].matrix_world.to_3x3() @ (second - first)).length
        bpy.ops.jointdit.scale_by_points("INVOKE_DEFAULT", first=first, second=second, distance=max(length, 1e-4))  # type: ignore[attr-defined]
        # This click changed nothing; the dialog is an operator of its own.
        return {"CANCELLED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Take back what the clicking has added to the window. Also called by Blender, when it ends the clicking or the dialog."""
        if getattr(self, "_drawing", None) is None:
            return
        bpy.types.SpaceView3D.draw_handler_remove(self._drawing, "WINDOW")
        self._drawing = None
        context.workspace.status_text_set(None)
        context.window.cursor_modal_restore()
        for area in context.window.screen.areas:
            area.tag_redraw()

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender: the dialog, and Adjust Last Operation."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        self.layout.prop(self, "distance")

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Scale the frame so that `first` and `second`, in its own space, are `distance` metres apart."""
        try:
            scale_between(self.frame(context)[0], Vector(self.first), Vector(self.second), self.distance)
        except PlacingError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _draw_points(self) -> None:
        """Called by Blender while a viewport is drawn: the first point."""
        relief = bpy.data.objects.get(self._relief)
        if not self._points or relief is None:
            return
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        shader.uniform_float("color", COLOR)
        gpu.state.point_size_set(9.0)
        batch_for_shader(shader, "POINTS", {"pos": [relief.matrix_world @ point for point in self._points]}).draw(shader)
        gpu.state.point_size_set(1.0)


def _point_under(context: bpy.types.Context, event: bpy.types.Event, relief: bpy.types.Object) -> Vector | None:
    """Where a ray through the mouse meets the frame, in the frame's own space."""
    area = context.area
    region = next((region for region in area.regions if region.type == "WINDOW"), None) if area else None
    if area is None or region is None or area.type != "VIEW_3D":
        return None
    view, mouse = area.spaces.active.region_3d, (event.mouse_x - region.x, event.mouse_y - region.y)
    origin = view3d_utils.region_2d_to_origin_3d(region, view, mouse)
    direction = view3d_utils.region_2d_to_vector_3d(region, view, mouse)
    return meets(context, relief, origin, direction)


def meets(context: bpy.types.Context, relief: bpy.types.Object, origin: Vector, direction: Vector) -> Vector | None:
    """Where a ray in the world's space first meets the frame as it is computed now, in the frame's own space."""
    into = relief.matrix_world.inverted()
    start = into @ origin
    hit, place, _, _ = relief.ray_cast(start, (into @ (origin + direction)) - start, depsgraph=context.evaluated_depsgraph_get())
    return place.copy() if hit else None


CLASSES = (JOINTDIT_OT_scale_by_points,)
