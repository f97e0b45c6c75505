# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models: which is used, and how others come here and go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty

from .. import preferences, upkeep
from ..core.interpreter import WorkerError
from ..core.report import size_text
from ..panels.layout import lines, worded
from .upkeep import DIALOG_WIDTH, busy, once_more, refuse, settle

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

FULL = "flux"
"""What a model is called if nobody gives it another name."""
FILES = "*.safetensors;*.sft;*.gguf;*.json"
NAME = "Letters, digits, dots and dashes; the name of a model in the list completes it"


def obstacle(context: bpy.types.Context) -> str:
    """Why the backend cannot be asked for anything now."""
    missing = context.window_manager.jointdit_upkeep.engine in ("missing", "unfinished")
    return busy() or ("Install the image generator first" if missing else "")


def download_obstacle(context: bpy.types.Context) -> str:
    """Why nothing can be downloaded now."""
    return obstacle(context) or preferences.offline()


class JOINTDIT_OT_list_models(bpy.types.Operator):
    """Look again which models there are, and how they would lie in memory now"""

    bl_idname = "jointdit.list_models"
    bl_label = "Refresh"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if obstacle(context):
            cls.poll_message_set(obstacle(context))
        return not obstacle(context)

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        upkeep.current().list_models()
        return settle(self)


class JOINTDIT_OT_use_model(bpy.types.Operator):
    """Use this model for the next results"""

    bl_idname = "jointdit.use_model"
    bl_label = "Use"
    bl_options = {"INTERNAL"}

    name: StringProperty(name="Model", description="Its name in the list", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return preferences.preferences(context) is not None

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        preferences.choose(context, model="" if self.name == preferences.EMBEDDED else self.name)
        return {"FINISHED"}


class JOINTDIT_OT_add_model(bpy.types.Operator):
    """Find the pieces of a model in files that you have, or in a folder with all that is in it; nothing is copied"""

    bl_idname = "jointdit.add_model"
    bl_label = "Add Files or Folder"
    bl_options = {"INTERNAL"}

    name: StringProperty(name="Name", description=NAME, default=FULL, options={"SKIP_SAVE"})
    directory: StringProperty(name="Folder", description="The folder that is shown", subtype="DIR_PATH", options={"SKIP_SAVE"})
    files: CollectionProperty(
        name="Files", description="Those that are chosen; none: the whole folder", type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE"}
    )
    filter_glob: StringProperty(default=FILES, options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if obstacle(context):
            cls.poll_message_set(obstacle(context))
        return not obstacle(context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Called by Blender."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout = self.layout
        assert layout is not None
        layout.prop(self, "name")
        lines(layout, "Choose files, or none to search the whole folder. Pieces are found by what is in them, whatever they are called.", 190)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        if obstacle(context):
            return refuse(self, obstacle(context))
        folder = Path(bpy.path.abspath(self.directory))
        paths = [folder / file.name for file in self.files if file.name] or [folder]
        gone = next((path for path in paths if not path.exists()), None)
        if not self.directory or gone is not None:
            self.report({"ERROR"}, f"There is no “{gone}”: choose another file or folder." if gone else "Choose a folder or files first.")
            return {"CANCELLED"}
        try:
            upkeep.current().add_model([str(path) for path in paths], self.name.strip())
        except WorkerError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return settle(self)


class JOINTDIT_OT_remove_model(bpy.types.Operator):
    """Remove this model from the list; its files stay where they are"""

    bl_idname = "jointdit.remove_model"
    bl_label = "Remove from List"
    bl_options = {"INTERNAL"}

    name: StringProperty(name="Model", description="Its name in the list", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if obstacle(context):
            cls.poll_message_set(obstacle(context))
        return not obstacle(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Called by Blender."""
        message = "Its files stay where they are."
        return context.window_manager.invoke_confirm(self, event, title=f"Remove “{self.name}” from the List?", message=message, confirm_text="Remove")

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        if obstacle(context):
            return refuse(self, obstacle(context))
        try:
            upkeep.current().remove_model(self.name)
        except WorkerError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        chosen = preferences.preferences(context)
        if chosen is not None and chosen.model == self.name:
            preferences.choose(context, model="")
        return settle(self)


class JOINTDIT_OT_download_model(bpy.types.Operator):
    """Fetch what a full model needs, after showing its size and its license"""

    bl_idname = "jointdit.download_model"
    bl_label = "Download Model"
    # Neither REGISTER nor a saved property: the token shall stand in no log and in no file.
    bl_options = {"INTERNAL"}

    name: StringProperty(name="Name", description=NAME, default=FULL, options={"SKIP_SAVE"})
    folder: StringProperty(name="Folder", description="Where the files go; empty: the user's data folder", subtype="DIR_PATH", options={"SKIP_SAVE"})
    accepted: BoolProperty(name="I have read and accept the license", description="Needed for files under a license of their own", options={"SKIP_SAVE"})
    token: StringProperty(
        name="Access Token",
        description="From your account on the model hub, for files whose license had to be accepted there. It is used for this download and kept nowhere; "
        "leave it empty if you are logged in on this machine",
        subtype="PASSWORD",
        options={"SKIP_SAVE"},
    )
    ready: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        reason = download_obstacle(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Called by Blender."""
        if not self.ready:
            return self._plan(once_more(context, "jointdit.download_model", name=self.name))
        plan = upkeep.current().download_plan
        self.folder = plan.folder if plan else ""
        return context.window_manager.invoke_props_dialog(self, width=DIALOG_WIDTH, title=f"Download the Model “{self.name}”", confirm_text="Download")

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        plan, layout = upkeep.current().download_plan, self.layout
        assert layout is not None
        if plan is None:
            return
        column = layout.column(align=True)
        for piece in plan.pieces:
            row = column.split(factor=0.68)
            row.label(text=piece.title, translate=False)
            row.label(text=size_text(piece.missing) if piece.missing else "Already here", translate=piece.missing == 0)
        room = f"About {size_text(plan.missing)} are fetched; {size_text(plan.free)} are free on the disk."
        lines(layout, room, DIALOG_WIDTH, alert=plan.missing > plan.free)
        layout.prop(self, "folder")
        for piece in plan.pieces:
            if not piece.gated:
                row = layout.split(factor=0.5)
                row.label(text=worded("License of {name}", name=piece.title), translate=False)
                row.operator("wm.url_open", text=piece.licence[:1].upper() + piece.licence[1:], icon="URL").url = piece.page
        if plan.restricted:
            self._draw_license(layout, plan)

    def _draw_license(self, layout: bpy.types.UILayout, plan: upkeep.DownloadPlan) -> None:
        first = plan.restricted[0]
        layout.separator(type="LINE")
        what = "everything else" if len(plan.restricted) < len(plan.pieces) else "this"
        text = f"The {first.licence} applies to {what}, and says what you may do with the pictures. Log in on its page, read and accept it there."
        lines(layout, text, DIALOG_WIDTH)
        layout.operator("wm.url_open", text="Open the License's Page", icon="URL").url = first.page
        layout.prop(self, "accepted", text=worded("I have read and accept the {license}", license=first.licence), translate=False)
        layout.prop(self, "token")

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        token, self.token = self.token.strip(), ""
        if download_obstacle(context):
            return refuse(self, download_obstacle(context))
        current = upkeep.current()
        if not self.ready:
            # A script has called: the plan is not made yet.
            self._plan(lambda: None)
            current.finish()
        plan = current.download_plan
        if plan is None or plan.model != self.name:
            return settle(self)
        if plan.restricted and not self.accepted:
            self.report({"ERROR"}, f"Read the {plan.restricted[0].licence} and tick that you accept it.")
            return {"CANCELLED"}
        try:
            current.download(plan, bpy.path.abspath(self.folder) or plan.folder, token)
        except WorkerError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return settle(self)

    def _plan(self, then: upkeep.Then) -> set[OperatorReturnItems]:
        current = upkeep.current()
        current.download_plan = None
        model = current.models.get(self.name)
        try:
            current.plan_download(self.name, [piece.name for piece in model.missing] if model else [], then)
        except WorkerError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (
    JOINTDIT_OT_list_models,
    JOINTDIT_OT_use_model,
    JOINTDIT_OT_add_model,
    JOINTDIT_OT_remove_model,
    JOINTDIT_OT_download_model,
)
