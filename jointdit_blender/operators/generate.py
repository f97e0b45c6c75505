# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a job, and the dice beside its seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import EnumProperty

from .. import preferences, session
from ..core.frame import FrameError
from ..core.request import RequestError
from ..core.worker import State
from ..scene.pixels import picture_size
from ..scene.templates import TEMPLATES
from ..settings import SEED_MAX, TEMPLATE_ITEMS, JOINTDIT_PG_settings

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

class JOINTDIT_OT_generate(bpy.types.Operator):
    """Make the picture and its depth and build them in the scene"""

    bl_idname = "jointdit.generate"
    bl_label = "Generate"
    # No UNDO: starting a job changes nothing; the result is an undo step of its own when it arrives.
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        missing = not_ready(context) or context.scene.jointdit.missing()
        if missing:
            cls.poll_message_set(missing)
        return not missing

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        return start(self, context, partial(from_settings, context))


class JOINTDIT_OT_generate_template(bpy.types.Operator):
    """Choose the settings for a common purpose and generate"""

    bl_idname = "jointdit.generate_template"
    bl_label = "Generate from Template"
    # The settings change, so that is a step of its own; without REGISTER, because Adjust Last Operation would start a job at each change.
    bl_options = {"UNDO"}

    template: EnumProperty(name="Template", description="What the result is for", items=TEMPLATE_ITEMS, options={"SKIP_SAVE"})

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """Called by Blender."""
        return next(text for name, _, text in TEMPLATE_ITEMS if name == properties.template)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        missing = not_ready(context) or context.scene.jointdit.nothing_given()
        if missing:
            cls.poll_message_set(missing)
        return not missing

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        settings = context.scene.jointdit
        settings.adopt(TEMPLATES[self.template])
        _adopt_extent(settings, self.template)
        start(self, context, partial(from_settings, context))
        # Even when it could not start: the settings have changed.
        return {"FINISHED"}


def _adopt_extent(settings: JOINTDIT_PG_settings, template: str) -> None:
    """Everything around for a dome, where it can be had; a backdrop takes none of it, and what a photograph shows the person knows best."""
    if settings.task == "TEXT":
        settings.extent = "SPHERE" if template == "DOME" else "PICTURE"
    if settings.task == "IMAGE" and template in ("DOME", "BACKDROP"):
        settings.photograph = "SPHERE" if template == "DOME" and _twice_as_wide(settings.image) else "PICTURE"


def _twice_as_wide(picture: str) -> bool:
    """Whether a picture has the shape of one of 360 x 180 degrees; one that cannot be read has none."""
    try:
        width, height = picture_size(Path(bpy.path.abspath(picture)))
    except FrameError:
        return False
    return width == 2 * height


def start(operator: bpy.types.Operator, context: bpy.types.Context, orders: Callable[[], Sequence[session.Order]]) -> set[OperatorReturnItems]:
    """Queue jobs; in the background also wait for them, since no timer would. `orders` may raise `RequestError`."""
    current = session.current()
    try:
        runs = current.start(context, orders())
    except (RequestError, OSError) as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    if not bpy.app.background:
        session.watch()
        return {"FINISHED"}
    for run in runs:
        current.finish(run)
        if run.job.state is not State.CANCELLED:
            operator.report({"ERROR" if run.failed else "INFO"}, run.message)
    return {"FINISHED"} if any(run.job.state is State.DONE for run in runs) else {"CANCELLED"}


def not_ready(context: bpy.types.Context) -> str:
    """Why nothing can be made on this machine now, as a sentence without its period, or nothing. Cheap enough for poll()."""
    manager = context.window_manager
    missing = manager.jointdit_upkeep.obstacle or manager.jointdit.missing.rstrip(".")
    return f"{missing}: see the JointDiT tab" if missing else ""


def from_settings(context: bpy.types.Context) -> list[session.Order]:
    """What the panel asks for; raises `RequestError`. Only the first of several is built: they would stand in one another."""
    settings = context.scene.jointdit
    requests = settings.requests(preferences.model(context))
    return [session.Order(request, settings.build_options(), build=number == 0) for number, request in enumerate(requests)]


class JOINTDIT_OT_random_seed(bpy.types.Operator):
    """Choose another seed by chance"""

    bl_idname = "jointdit.random_seed"
    bl_label = "Random Seed"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        context.scene.jointdit.seed = random.randint(0, SEED_MAX)
        return {"FINISHED"}


CLASSES = (JOINTDIT_OT_generate, JOINTDIT_OT_generate_template, JOINTDIT_OT_random_seed)
