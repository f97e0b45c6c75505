# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what is on disk: an earlier result, a frame that another program wrote, or a picture and its depth; chosen or dropped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import CollectionProperty, EnumProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from .. import api, preferences
from ..arriving import select_only
from ..building import BuildSettings
from ..core.chosen import PICTURES, Pair, chosen_frame
from ..core.errors import JointDiTError
from ..core.frame import Camera, Frame, NearFar
from ..scene.imported import ImportOptions, import_frame

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

VALUES = (
    ("AUTO", "Automatic", "Meters where the sky is farther than any scene, as in Blender's depth pass; else nearness"),
    ("NEARNESS", "Nearness", "Near is white: disparity, as most depth estimators give it"),
    ("METERS", "Meters", "Distances in meters, far is large"),
)
SHOWN = ("values", "build", "step", "tear", "torn", "clean", "back_layer", "sky", "relit", "pack")
TAB = "JointDiT"


class JOINTDIT_OT_build_frame(BuildSettings, bpy.types.Operator, ImportHelper):  # type: ignore[misc]
    """Build a frame folder, or a picture and its depth, in the scene"""

    bl_idname = "jointdit.build_frame"
    bl_label = "Import RGB-D Frame"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".json"
    filepath: StringProperty(name="Frame", description="A frame folder, or the frame.json in it", subtype="FILE_PATH", options={"SKIP_SAVE"})
    directory: StringProperty(name="Folder", description="Where the files are", subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    values: EnumProperty(name="Depth Picture", description="What the values of a depth picture mean", items=VALUES)
    filter_glob: StringProperty(default=";".join(f"*{kind}" for kind in (".json", *PICTURES)), options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Go back to Object Mode first")
            return False
        return True

    def invoke(  # type: ignore[override]  # the stubs say that it returns nothing
        self, context: bpy.types.Context, _event: bpy.types.Event
    ) -> set[OperatorReturnItems]:
        """Begin with the settings of the panel; open the file browser unless files were dropped."""
        for name in self.names():
            setattr(self, name, getattr(context.scene.jointdit, name))
        if self.files:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """`filepath` is a frame folder or its frame.json; or `files` in `directory` are that, or a picture and its depth."""
        try:
            frame = self._frame(context)
            result = api.build(frame, self.build_options(), context=context)
        except (JointDiTError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        # Adjust Last Operation builds again; it must not make the frame folder again.
        self.files.clear()
        self.filepath = str(frame.folder)
        select_only(context, result.object)
        self.report({"INFO"}, " ".join([f"{result.sentence}.", *result.notes, *frame.warnings]))
        return {"FINISHED"}

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender: beside the file browser, and in Adjust Last Operation."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in SHOWN:
            layout.prop(self, name)

    def _frame(self, context: bpy.types.Context) -> Frame:
        folder = Path(bpy.path.abspath(self.directory))
        chosen = chosen_frame([folder / item.name for item in self.files if item.name] or [Path(bpy.path.abspath(self.filepath))])
        if not isinstance(chosen, Pair):
            return api.load(chosen)
        settings = context.scene.jointdit
        options = ImportOptions(Camera(horizontal_angle=settings.degrees), NearFar(settings.near, settings.far), values=self.values.lower())
        return import_frame(chosen.image, chosen.depth, preferences.output_folder(context), options)


class JOINTDIT_FH_frame(bpy.types.FileHandler):
    """Frames dropped on a 3D viewport. Ordinary pictures stay with Blender's own handlers: these files nobody else takes."""

    bl_idname = "JOINTDIT_FH_frame"
    bl_label = "JointDiT Frame"
    bl_import_operator = JOINTDIT_OT_build_frame.bl_idname
    bl_file_extensions = ".json;.npy"

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return _over_viewport(context) and not _tab_open(context)


class JOINTDIT_FH_pictures(bpy.types.FileHandler):
    """Also pictures, but only beside the open JointDiT tab: Blender tells a handler nothing of the dropped files but that their kind fits."""

    bl_idname = "JOINTDIT_FH_pictures"
    bl_label = "JointDiT Frame"
    bl_import_operator = JOINTDIT_OT_build_frame.bl_idname
    bl_file_extensions = ";".join((".json", *PICTURES))

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return _over_viewport(context) and _tab_open(context)


def _over_viewport(context: bpy.types.Context) -> bool:
    return context.area is not None and context.area.type == "VIEW_3D" and context.mode == "OBJECT"


def _tab_open(context: bpy.types.Context) -> bool:
    """Whether the sidebar beside the viewport shows our tab. A hidden sidebar is one pixel wide."""
    return any(region.type == "UI" and region.width > 1 and region.active_panel_category == TAB for region in context.area.regions)


CLASSES = (JOINTDIT_OT_build_frame, JOINTDIT_FH_frame, JOINTDIT_FH_pictures)
