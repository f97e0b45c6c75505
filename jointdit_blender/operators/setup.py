# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is missing to a working image generator: install, choose, check, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .. import preferences, session, upkeep
from ..core import installer
from ..core.interpreter import WorkerError, find_interpreter
from ..panels.layout import lines
from .upkeep import DIALOG_WIDTH, busy, once_more, operator_of, refuse, settle

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

WAYS = (
    ("INSTALL", "Install", "Install the image generator into a folder of its own"),
    ("EXISTING", "Use an Existing Python", "Choose a Python on this machine that has the package jointdit"),
)
READY = {"HIDDEN", "SKIP_SAVE"}


def install_obstacle() -> str:
    """Why nothing can be installed now, as a sentence without its period; nothing if it can. Cheap enough for poll()."""
    if preferences.package() is None:
        return "This copy of the add-on comes without the image generator's package: choose a Python that has it"
    return preferences.offline() or at_work()


def at_work() -> str:
    """Why the image generator must stay as it is."""
    return "Wait until the jobs are done: the image generator is at work" if session.current().busy else ""


def in_use() -> str:
    """Why the image generator can be neither exchanged nor removed now."""
    return busy() or at_work()


def draw_plan(layout: bpy.types.UILayout) -> None:
    """What an installation takes, or why there can be none."""
    plan, obstacle = upkeep.current().plan, install_obstacle()
    column = layout.column(align=True)
    if obstacle:
        lines(column, f"{obstacle}.", DIALOG_WIDTH, alert=True)
    elif plan is not None:
        lines(column, plan.sentence, DIALOG_WIDTH)


def install(operator: bpy.types.Operator, context: bpy.types.Context) -> set[OperatorReturnItems]:
    """Install as planned; where nothing is planned yet, as it comes: then a script has called."""
    obstacle = busy() or install_obstacle()
    if obstacle:
        return refuse(operator, obstacle)
    current, package = upkeep.current(), preferences.package()
    assert package is not None, "install_obstacle has looked"
    try:
        plan = current.plan or installer.plan_installation(preferences.backend_folder(), package, preferences.build(context))
    except installer.InstallError as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    # On Windows the files of a running program cannot be replaced.
    session.current().worker.release(wait=True)
    current.install(plan)
    return settle(operator)


class JOINTDIT_OT_install(bpy.types.Operator):
    """Install the image generator into a folder of its own; Blender's Python stays as it is"""

    bl_idname = "jointdit.install"
    bl_label = "Install Image Generator"
    bl_options = {"INTERNAL"}

    ready: BoolProperty(options=READY)

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Called by Blender."""
        obstacle = busy() or install_obstacle()
        if obstacle:
            cls.poll_message_set(obstacle)
        return not obstacle

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Called by Blender."""
        if not self.ready:
            upkeep.current().plan_installation(once_more(context, "jointdit.install"))
            return {"FINISHED"}
        return context.window_manager.invoke_props_dialog(self, width=DIALOG_WIDTH, title="Install Image Generator", confirm_text="Install")

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        assert self.layout is not None
        draw_plan(self.layout)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        return install(self, context)


class JOINTDIT_OT_set_up(bpy.types.Operator):
    """Install the image generator, or choose a Python that has it"""

    bl_idname = "jointdit.set_up"
    bl_label = "Set Up…"

    way: EnumProperty(name="Way", description="Where the image generator comes from", items=WAYS, options={"SKIP_SAVE"})
    ready: BoolProperty(options=READY)

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if busy():
            cls.poll_message_set(busy())
        return not busy()

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Called by Blender."""
        if install_obstacle():
            self.way = "EXISTING"
        elif not self.ready:
            upkeep.current().plan_installation(once_more(context, "jointdit.set_up"))
            return {"FINISHED"}
        return context.window_manager.invoke_props_dialog(self, width=DIALOG_WIDTH, title="Set Up the Image Generator", confirm_text="Continue")

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout = self.layout
        assert layout is not None
        layout.row().prop(self, "way", expand=True)
        if self.way == "INSTALL":
            draw_plan(layout)
            return
        if install_obstacle():
            lines(layout, f"Nothing can be installed now. {install_obstacle()}.", DIALOG_WIDTH)
        lines(layout, "Next, choose the Python program in which the package jointdit is installed. The add-on's manual says how to install it.", DIALOG_WIDTH)
        layout.operator("jointdit.open_manual", icon="HELP").page = "install"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        if self.way == "EXISTING":
            if not bpy.app.background:
                operator_of("jointdit.choose_python")("INVOKE_DEFAULT")
            return {"FINISHED"}
        return install(self, context)


class JOINTDIT_OT_choose_python(bpy.types.Operator):
    """Choose the Python program that has the package jointdit, and check it"""

    bl_idname = "jointdit.choose_python"
    bl_label = "Choose Python"
    bl_options = {"INTERNAL"}

    filepath: StringProperty(name="Python", description="The Python program", subtype="FILE_PATH", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        obstacle = in_use() or ("" if preferences.preferences(context) else "The add-on is not enabled, so it keeps no preferences")
        if obstacle:
            cls.poll_message_set(obstacle)
        return not obstacle

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Called by Blender."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        if in_use():
            return refuse(self, in_use())
        try:
            chosen = find_interpreter(self.filepath)
        except WorkerError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        preferences.choose(context, interpreter=str(chosen))
        upkeep.current().check()
        return settle(self)


class JOINTDIT_OT_uninstall(bpy.types.Operator):
    """Remove the image generator that this add-on installed; models and results are kept"""

    bl_idname = "jointdit.uninstall"
    bl_label = "Remove Image Generator"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Called by Blender."""
        obstacle = in_use() or ("" if preferences.backend_folder().is_dir() else "This add-on has installed nothing")
        if obstacle:
            cls.poll_message_set(obstacle)
        return not obstacle

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Called by Blender."""
        message = "Its programs are deleted. Models and results are kept."
        return context.window_manager.invoke_confirm(self, event, title="Remove the Image Generator?", message=message, confirm_text="Remove")

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        if in_use():
            return refuse(self, in_use())
        session.current().worker.release(wait=True)
        upkeep.current().uninstall()
        return settle(self)


class JOINTDIT_OT_check_setup(bpy.types.Operator):
    """Look at the image generator, the graphics card, the memory and every model, and say what is missing"""

    bl_idname = "jointdit.check_setup"
    bl_label = "Check Setup"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Called by Blender."""
        if busy():
            cls.poll_message_set(busy())
        return not busy()

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        upkeep.current().check()
        return settle(self)


CLASSES = (
    JOINTDIT_OT_install,
    JOINTDIT_OT_set_up,
    JOINTDIT_OT_choose_python,
    JOINTDIT_OT_uninstall,
    JOINTDIT_OT_check_setup,
)
