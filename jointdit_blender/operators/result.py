# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a frame that is in the scene: look at it, place it, light it, bake it, build it anew, extend it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty

from .. import active, api, preferences, session
from ..arriving import look_through_camera, select_only
from ..building import BackdropSettings, GroundSettings
from ..core.frame import FrameError
from ..core.ground import GroundError
from ..core.request import RequestError
from ..scene.bake import BakeError
from ..scene.builder import BuildError
from ..scene.camera import match
from ..scene.ground import find_ground
from ..scene.material import relight
from ..scene.modifier import get_input
from ..scene.placing import PlacingError, align_ground, fit_to_camera
from ..scene.rebuild import rebuild
from ..scene.templates import TEMPLATES
from .generate import start

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

NO_FRAME = "Select a frame first: an object that JointDiT has built"
WRONG_MODE = "Go back to Object Mode first"
MISSING = "The frame's pictures are missing; put its folder back where it was."


def _pictured(relief: bpy.types.Object) -> bool:
    """Whether the frame's pictures are there: linked ones may have been moved."""
    modifier = active.frame_modifier(relief)
    pictures = [get_input(modifier, name) for name in ("Image", "Disparity")] if modifier else []
    return all(picture is not None and min(picture.size) > 0 for picture in pictures)


class OfFrame:
    """An operator on the active frame."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        relief = active.active_frame(context)
        obstacle = NO_FRAME if relief is None else WRONG_MODE if context.mode != "OBJECT" else cls.obstacle(context, relief)
        if obstacle:
            cls.poll_message_set(obstacle)  # type: ignore[attr-defined]  # it is an operator's
        return not obstacle

    @classmethod
    def obstacle(cls, _context: bpy.types.Context, _relief: bpy.types.Object) -> str:
        """What hinders the operator, as a sentence, or nothing."""
        return ""

    @staticmethod
    def frame(context: bpy.types.Context) -> tuple[bpy.types.Object, bpy.types.NodesModifier]:
        """The frame and its modifier; poll() has seen that there is one."""
        relief = active.active_frame(context)
        modifier = active.frame_modifier(relief)
        assert relief is not None and modifier is not None, "poll() has seen it"
        return relief, modifier


class JOINTDIT_OT_match_camera(OfFrame, bpy.types.Operator):
    """Look through the frame's own camera and give the render the picture's aspect"""

    bl_idname = "jointdit.match_camera"
    bl_label = "Match Camera"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def obstacle(cls, _context: bpy.types.Context, relief: bpy.types.Object) -> str:
        """A frame may have no camera."""
        return "" if active.own_camera(relief) else "This frame has no camera of its own: it was fitted to another one, or its camera is gone"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        relief, modifier = self.frame(context)
        if not _pictured(relief):
            self.report({"ERROR"}, MISSING)
            return {"CANCELLED"}
        camera, scene = active.own_camera(relief), context.scene
        assert camera is not None and scene is not None, "poll() has seen them"
        match(scene, camera, tuple(get_input(modifier, "Image").size))
        if context.window is not None:
            look_through_camera(context.window)
        return {"FINISHED"}


class JOINTDIT_OT_fit_to_camera(OfFrame, BackdropSettings, bpy.types.Operator):
    """Make the frame a backdrop that fills the view of the scene's camera"""

    bl_idname = "jointdit.fit_to_camera"
    bl_label = "Fit to Scene Camera"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context, relief: bpy.types.Object) -> str:
        """It takes a camera that does not hang on the frame itself."""
        if context.scene.camera is None:
            return "The scene has no camera: add one first"
        if context.scene.camera == active.own_camera(relief):
            return "The scene's camera is the frame's own: make another camera the active one first"
        return ""

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        if not _pictured(self.frame(context)[0]):
            self.report({"ERROR"}, MISSING)
            return {"CANCELLED"}
        focal_length = self.focal_length if self.use_focal_length else None
        try:
            notes = fit_to_camera(context, self.frame(context)[0], distance=self.distance, focal_length=focal_length, follow=self.follow)
        except PlacingError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for note in notes:
            self.report({"INFO"}, note)
        return {"FINISHED"}


class JOINTDIT_OT_align_ground(OfFrame, GroundSettings, bpy.types.Operator):
    """Find the ground in the depth, make it level, put it at height 0, and give everything its true size"""

    bl_idname = "jointdit.align_ground"
    bl_label = "Align Ground"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def obstacle(cls, _context: bpy.types.Context, relief: bpy.types.Object) -> str:
        """What hangs on a camera cannot stand on the ground."""
        return "The frame follows a camera: clear its parent first" if relief.parent and relief.parent.type == "CAMERA" else ""

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        relief, _ = self.frame(context)
        try:
            align_ground(context, relief, find_ground(relief), self.camera_height)
        except (GroundError, PlacingError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class JOINTDIT_OT_relight(OfFrame, bpy.types.Operator):
    """Switch between the picture as it is and a surface that the scene's lights shine on"""

    bl_idname = "jointdit.relight"
    bl_label = "Relit"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        relief, _ = self.frame(context)
        on = not active.relit(relief)
        foreign, materials = [], active.materials(relief)
        for material in materials:
            try:
                relight(material, on)
            except KeyError:
                foreign.append(material.name)
        if not foreign:
            return {"FINISHED"}
        alone = len(foreign) == len(materials)
        self.report({"ERROR" if alone else "WARNING"}, f"{', '.join(foreign)} is not one of JointDiT's materials; it has to be lit by hand.")
        return {"CANCELLED"} if alone else {"FINISHED"}


class JOINTDIT_OT_bake(OfFrame, bpy.types.Operator):
    """Make a plain mesh of the frame, for editing, sculpting and export"""

    bl_idname = "jointdit.bake"
    bl_label = "Bake"
    bl_options = {"REGISTER", "UNDO"}

    simplify: BoolProperty(name="Simplify", description="Use large faces where the surface is flat; otherwise every vertex is kept")
    error: FloatProperty(
        name="Error",
        description="Greatest deviation of the simple surface, in percent of the distance from the camera",
        default=0.2,
        min=0.001,
        max=50.0,
        soft_max=5.0,
        precision=3,
        subtype="PERCENTAGE",
    )
    keep_live: BoolProperty(name="Keep Live Object", description="Keep the live frame, hidden, to adjust it later", default=True)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Ask first: baking a large frame takes seconds."""
        return set(context.window_manager.invoke_props_dialog(self))

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "simplify")
        column = layout.column()
        column.active = self.simplify
        column.prop(self, "error")
        layout.prop(self, "keep_live")

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        relief, _ = self.frame(context)
        try:
            baked = api.bake(relief, error=self.error / 100.0 if self.simplify else None, keep_live=self.keep_live, context=context)
        except BakeError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        select_only(context, baked.object)
        self.report({"INFO"}, baked.sentence)
        return {"FINISHED"}


class JOINTDIT_OT_rebuild(OfFrame, bpy.types.Operator):
    """Build the frame anew from its folder; the new one takes the place of the old one"""

    bl_idname = "jointdit.rebuild"
    bl_label = "Rebuild"
    bl_options = {"REGISTER", "UNDO"}

    use_settings: BoolProperty(
        name="With the Settings of the Panel",
        description="Build it as the panel says now, at the distances of its frame; otherwise as it was built",
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        relief, _ = self.frame(context)
        try:
            result = rebuild(context, relief, context.scene.jointdit.build_options() if self.use_settings else None)
        except (BuildError, FrameError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        select_only(context, result.object)
        self.report({"INFO"}, " ".join([f"{result.sentence}.", *result.notes]))
        return {"FINISHED"}


class JOINTDIT_OT_surround(OfFrame, bpy.types.Operator):
    """Generate everything around the frame, whose picture stays as it is ahead, and build it as a dome in the frame's place"""

    bl_idname = "jointdit.surround"
    bl_label = "Extend to Sphere"
    # No UNDO: the result is an undo step of its own when it arrives.
    bl_options = {"REGISTER"}

    prompt: StringProperty(name="Prompt", description="What is seen all around; empty: what the frame was made from", options={"SKIP_SAVE"})

    @classmethod
    def obstacle(cls, _context: bpy.types.Context, relief: bpy.types.Object) -> str:
        """A panorama shows everything already."""
        return "This frame is a panorama: only the picture of an ordinary camera can be extended" if active.surrounds(relief) else ""

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Ask for the prompt first: what is around may be something else."""
        self.prompt = self.prompt or _prompt(self.frame(context)[0])
        return set(context.window_manager.invoke_props_dialog(self, width=400, confirm_text="Generate"))

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender: the dialog."""
        self.layout.prop(self, "prompt", text="", placeholder="Describe what is around")

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Queue the job, by the panel's seed and quality."""
        relief, settings = self.frame(context)[0], context.scene.jointdit
        try:
            request = settings.request_around(Path(str(relief["frame"])), self.prompt or _prompt(relief), preferences.model(context))
        except RequestError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        # The scene keeps its camera.
        options = replace(TEMPLATES["DOME"], look_through=False, pack=settings.pack)
        return start(self, context, lambda: [session.Order(request, options, relief.name)])


def _prompt(relief: bpy.types.Object) -> str:
    """What the frame was made from."""
    return str(relief.get("prompt") or "")


CLASSES = (
    JOINTDIT_OT_match_camera,
    JOINTDIT_OT_fit_to_camera,
    JOINTDIT_OT_align_ground,
    JOINTDIT_OT_relight,
    JOINTDIT_OT_bake,
    JOINTDIT_OT_rebuild,
    JOINTDIT_OT_surround,
)
