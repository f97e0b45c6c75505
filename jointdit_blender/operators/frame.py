# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a frame folder that is on disk: an earlier result, or one that another program wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import EnumProperty, FloatProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from .. import session
from ..core.frame import FrameError, read_frame
from ..scene.builder import BuildError, BuildOptions, build_frame
from ..settings import BUILDS

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class JOINTDIT_OT_build_frame(bpy.types.Operator, ImportHelper):  # type: ignore[misc]
    """Build the picture and depth of a frame folder in the scene"""

    bl_idname = "jointdit.build_frame"
    bl_label = "Import RGB-D Frame"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".json"
    filepath: StringProperty(name="Frame", description="A frame folder, or the frame.json in it", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})
    build: EnumProperty(name="Build", description="What is built from the frame", items=BUILDS)
    tear: FloatProperty(name="Tear", description="Jump in depth, relative to the distance, at which the surface is cut", default=0.06, min=0.0)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Go back to Object Mode first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """`filepath` is a frame folder or the frame.json in it."""
        chosen = Path(bpy.path.abspath(self.filepath))
        options = BuildOptions(geometry=session.GEOMETRIES[self.build], tear=self.tear, fill_gaps=True)
        try:
            result = build_frame(context, read_frame(chosen if chosen.is_dir() else chosen.parent), options)
        except (BuildError, FrameError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        session.choose(context, result)
        self.report({"INFO"}, result.sentence)
        return {"FINISHED"}


def draw_import(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in File > Import."""
    menu.layout.operator(JOINTDIT_OT_build_frame.bl_idname, text="RGB-D Frame (frame.json)")
