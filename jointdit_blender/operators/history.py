# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a result of the output folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from .. import api, gallery, session
from ..arriving import select_only
from ..building import BUILDS
from ..core.again import request_of
from ..core.errors import JointDiTError
from ..core.frame import FrameError
from ..core.history import Entry, delete, unused_seeds
from ..core.request import SIZE_RANGE, RequestError
from ..settings import SEED_MAX
from .generate import not_ready, start

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

NOTHING_CHOSEN = "Choose a result in History first"
VARIATIONS = 4


class OfResult:
    """An operator on a result: the one of that name, or the chosen one."""

    result: StringProperty(name="Result", description="The name of its folder; empty: the one that is chosen in History", options={"SKIP_SAVE", "HIDDEN"})

    def entry(self) -> Entry | None:
        """The result; tells the person when there is none."""
        found = gallery.current().find(self.result)
        if found is None:
            reason = f"There is no result “{self.result}”: refresh History." if self.result else f"{NOTHING_CHOSEN}."
            self.report({"ERROR"}, reason)  # type: ignore[attr-defined]  # it is an operator's
        return found


class JOINTDIT_OT_choose_result(OfResult, bpy.types.Operator):
    """Show what this result was made with, and what can be done with it"""

    bl_idname = "jointdit.choose_result"
    bl_label = "Choose Result"
    bl_options = {"INTERNAL"}

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """Called by Blender: the whole prompt, which may be cut off on the button."""
        item = context.window_manager.jointdit.results.get(properties.result)
        return f"{item.title}\n{item.facts}" if item else cls.__doc__ or ""

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender. The chosen one once more: it is put away."""
        state = context.window_manager.jointdit
        state.chosen = "" if state.chosen == self.result else self.result
        return {"FINISHED"}


class JOINTDIT_OT_refresh_history(bpy.types.Operator):
    """Look for results that were added to or removed from the folder of results"""

    bl_idname = "jointdit.refresh_history"
    bl_label = "Refresh History"
    bl_options = {"REGISTER"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        gallery.current().refresh(context)
        return {"FINISHED"}


class JOINTDIT_OT_show_more(bpy.types.Operator):
    """Show more results"""

    bl_idname = "jointdit.show_more"
    bl_label = "Show More"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        context.window_manager.jointdit.page += 1
        return {"FINISHED"}


class JOINTDIT_OT_build_result(OfResult, bpy.types.Operator):
    """Build this result in the scene, with the settings of the panel"""

    bl_idname = "jointdit.build_result"
    bl_label = "Build Result"
    bl_options = {"REGISTER", "UNDO"}

    build: EnumProperty(name="Build", description="What is built from it", items=(("PANEL", "As in Panel", "As the panel says"), *BUILDS))

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Go back to Object Mode first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        entry, settings = self.entry(), context.scene.jointdit
        if entry is None:
            return {"CANCELLED"}
        kept = settings.build
        try:
            if self.build != "PANEL":
                settings.build = self.build
            result = api.build(entry.frame.folder, settings.build_options(), context=context)
        except (JointDiTError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            settings.build = kept
        select_only(context, result.object)
        self.report({"INFO"}, " ".join([f"{result.sentence}.", *result.notes]))
        return {"FINISHED"}


class JOINTDIT_OT_recall_settings(OfResult, bpy.types.Operator):
    """Put the prompt, the seed and the other settings of this result into the panel"""

    bl_idname = "jointdit.recall_settings"
    bl_label = "Recall Settings"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        entry = self.entry()
        if entry is None:
            return {"CANCELLED"}
        settings = context.scene.jointdit
        try:
            settings.recall(request_of(entry.frame))
        except RequestError:
            settings.recall_view(entry.frame)
            self.report({"INFO"}, "This result was imported: only its distances and its field of view are known")
        return {"FINISHED"}


class JOINTDIT_OT_vary_result(OfResult, bpy.types.Operator):
    """Make the same with other seeds; they are kept in History"""

    bl_idname = "jointdit.vary_result"
    bl_label = "New Seeds"
    bl_options = {"REGISTER"}

    count: IntProperty(name="Results", description="How many are made", default=VARIATIONS, min=1, max=64, soft_max=8)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        entry = self.entry()
        if entry is None:
            return {"CANCELLED"}
        seeds = unused_seeds(gallery.current().entries, entry.frame, self.count, SEED_MAX)
        return _make(self, context, lambda _seed: [{"seed": seed} for seed in seeds], build=False)


class JOINTDIT_OT_resize_result(OfResult, bpy.types.Operator):
    """Make the same in another size, with the same seed"""

    bl_idname = "jointdit.resize_result"
    bl_label = "Other Size…"
    bl_options = {"REGISTER"}

    width: IntProperty(name="Width", description="Width of the image", default=512, min=SIZE_RANGE[0], max=SIZE_RANGE[1], step=16, subtype="PIXEL")
    height: IntProperty(name="Height", description="Height of the image", default=512, min=SIZE_RANGE[0], max=SIZE_RANGE[1], step=16, subtype="PIXEL")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Begin with twice the size that it has."""
        entry = self.entry()
        if entry is None:
            return {"CANCELLED"}
        self.width, self.height = (min(2 * side, SIZE_RANGE[1]) for side in (entry.frame.width, entry.frame.height))
        return set(context.window_manager.invoke_props_dialog(self, confirm_text="Generate"))

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        return _make(self, context, lambda seed: [{"seed": seed, "width": self.width, "height": self.height}], build=True)


class JOINTDIT_OT_open_result(OfResult, bpy.types.Operator):
    """Open the folder with the picture, the depth and the description"""

    bl_idname = "jointdit.open_result"
    bl_label = "Open Folder"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        entry = self.entry()
        if entry is None:
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(entry.frame.folder))
        return {"FINISHED"}


class JOINTDIT_OT_delete_result(OfResult, bpy.types.Operator):
    """Delete the folder of this result; objects in the scene stay, but pictures that are not packed are lost"""

    bl_idname = "jointdit.delete_result"
    bl_label = "Delete Result"
    bl_options = {"INTERNAL"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Ask first: it cannot be undone."""
        entry = self.entry()
        if entry is None:
            return {"CANCELLED"}
        words = f"“{entry.title[:60]}” is deleted from the disk. This cannot be undone."
        manager: Any = context.window_manager  # the stubs say that it returns nothing
        return set(manager.invoke_confirm(self, event, title="Delete Result?", message=words, confirm_text="Delete", icon="WARNING"))

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        entry = self.entry()
        if entry is None:
            return {"CANCELLED"}
        try:
            delete(entry.frame.folder)
        except (FrameError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        gallery.current().refresh(context)
        return {"FINISHED"}


def _make(operator: OfResult, context: bpy.types.Context, changes: Callable[[int], list[dict[str, int]]], build: bool) -> set[OperatorReturnItems]:
    """Queue a result again, once for each of the changes, which are told its seed."""
    entry, settings = operator.entry(), context.scene.jointdit
    if entry is None:
        return {"CANCELLED"}
    obstacle = not_ready(context)
    if obstacle:
        operator.report({"ERROR"}, f"{obstacle}.")  # type: ignore[attr-defined]  # it is an operator's
        return {"CANCELLED"}

    def orders() -> list[session.Order]:
        requests = [request_of(entry.frame, preview=not bpy.app.background, **change) for change in changes(entry.frame.seed or 0)]
        return [session.Order(request, settings.build_options(), build=build) for request in requests]

    return start(operator, context, orders)  # type: ignore[arg-type]  # it is an operator, too


CLASSES = (
    JOINTDIT_OT_choose_result,
    JOINTDIT_OT_refresh_history,
    JOINTDIT_OT_show_more,
    JOINTDIT_OT_build_result,
    JOINTDIT_OT_recall_settings,
    JOINTDIT_OT_vary_result,
    JOINTDIT_OT_resize_result,
    JOINTDIT_OT_open_result,
    JOINTDIT_OT_delete_result,
)
