# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to a result from other places than the sidebar: the Add menu, a list of prompts, the Image Editor."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import EnumProperty, StringProperty

from .. import preferences, session
from ..building import BUILDS
from ..panels.layout import worded
from ..settings import PHOTOGRAPHS
from .generate import from_settings, not_ready, start

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

MOST_PROMPTS = 1000


class JOINTDIT_OT_add_scene(bpy.types.Operator):
    """Describe a place and get it as geometry with true depth"""

    bl_idname = "jointdit.add_scene"
    bl_label = "JointDiT Scene"
    # The settings change; the result is an undo step of its own when it arrives. Adjust Last Operation would start a job at each change: no REGISTER.
    bl_options = {"UNDO"}

    prompt: StringProperty(name="Prompt", description="Describe the picture that you want", options={"SKIP_SAVE"})
    build: EnumProperty(name="Build", description="What is built from the result", items=BUILDS, options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Begin with what the panel has."""
        settings = context.scene.jointdit
        self.prompt, self.build = self.prompt or settings.prompt, settings.build
        return set(context.window_manager.invoke_props_dialog(self, width=400, confirm_text="Generate"))

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender: the dialog."""
        layout = self.layout
        obstacle = not_ready(context)
        if obstacle:
            layout.label(text=obstacle, icon="ERROR")
        layout.prop(self, "prompt", text="", placeholder="Describe the picture")
        layout.row().prop(self, "build", expand=True)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        settings = context.scene.jointdit
        settings.task, settings.prompt, settings.build = "TEXT", self.prompt, self.build
        missing = not_ready(context) or settings.missing()
        if missing:
            self.report({"ERROR"}, f"{missing}.")
            return {"CANCELLED"}
        start(self, context, lambda: from_settings(context))
        return {"FINISHED"}


class JOINTDIT_OT_generate_list(bpy.types.Operator):
    """Make a result for each line of a text from the Text Editor; all are kept in History"""

    bl_idname = "jointdit.generate_list"
    bl_label = "Generate from List…"
    bl_options = {"REGISTER"}

    text: StringProperty(name="Text", description="The text with a prompt on each line; lines that begin with # are passed over", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        reason = "" if bpy.data.texts else "Write the prompts into a text first, one on each line: in the Text Editor, New"
        if context.scene.jointdit.task == "IMAGE":
            reason = "A list of prompts cannot be made of one picture: choose Text or Depth"
        reason = not_ready(context) or reason
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Ask which text."""
        self.text = self.text or bpy.data.texts[0].name
        return set(context.window_manager.invoke_props_dialog(self, confirm_text="Generate"))

    def draw(self, _context: bpy.types.Context) -> None:
        """Called by Blender: the dialog."""
        self.layout.prop_search(self, "text", bpy.data, "texts")
        count = len(self._prompts())
        self.layout.label(text=worded("{count} prompt", count=1) if count == 1 else worded("{count} prompts", count=count), translate=False)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        prompts = self._prompts()
        if not 0 < len(prompts) <= MOST_PROMPTS:
            reason = f"has {len(prompts)} prompts, and {MOST_PROMPTS} are the most" if prompts else "has no prompts: write one on each line"
            self.report({"ERROR"}, f"The text “{self.text}” {reason}.")
            return {"CANCELLED"}
        settings = context.scene.jointdit

        def orders() -> list[session.Order]:
            asked = [settings.request(preferences.model(context), prompt) for prompt in prompts]
            return [session.Order(request, settings.build_options(), build=False) for request in asked]

        return start(self, context, orders)

    def _prompts(self) -> list[str]:
        text = bpy.data.texts.get(self.text)
        lines: list[str] = [line.body.strip() for line in text.lines] if text else []
        return [line for line in lines if line and not line.startswith("#")]


class JOINTDIT_OT_depth_of_image(bpy.types.Operator):
    """Find the depth of the picture in this editor and build it in the scene"""

    bl_idname = "jointdit.depth_of_image"
    bl_label = "Depth from This Image"
    bl_options = {"UNDO"}

    photograph: EnumProperty(name="Extent", description="How much of the surroundings the picture shows", items=PHOTOGRAPHS)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        image = getattr(context, "edit_image", None)
        reason = "Open a picture in this editor first" if image is None else "" if _pictured(image) else "This picture has no pixels yet: render first"
        reason = not_ready(context) or reason
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Save what is seen as a file, since the image generator is another program; the panel then shows what was asked."""
        image, settings = context.edit_image, context.scene.jointdit
        assert image is not None, "poll() has seen it"
        try:
            path = _saved(context, image)
        except (OSError, RuntimeError) as error:
            self.report({"ERROR"}, f"The picture cannot be saved for the image generator ({str(error).strip()}): save it yourself and choose the file.")
            return {"CANCELLED"}
        settings.task, settings.image, settings.photograph = "IMAGE", str(path), self.photograph
        start(self, context, lambda: from_settings(context))
        return {"FINISHED"}


def _pictured(image: Any) -> bool:
    return bool(image.type == "RENDER_RESULT" or min(image.size) > 0)


def _saved(context: bpy.types.Context, image: Any) -> Path:
    """A PNG of the picture as it is seen, beside the results; a picture that is such a file already stays where it is. Raises OSError or RuntimeError."""
    source = Path(bpy.path.abspath(image.filepath_from_user())) if image.source == "FILE" and not image.packed_file else None
    if source and source.suffix.lower() in (".png", ".jpg", ".jpeg") and source.is_file() and not image.is_dirty:
        return source
    folder = preferences.output_folder(context) / ".pictures"
    folder.mkdir(exist_ok=True)
    path = folder / f"{re.sub(r'[^0-9A-Za-z-]+', '-', image.name).strip('-') or 'picture'}-{time.time_ns():x}.png"
    if image.type in ("RENDER_RESULT", "COMPOSITING"):
        assert context.scene is not None, "there is an editor in it"
        with _as_png(context.scene.render.image_settings):
            image.save_render(str(path), scene=context.scene)
        return path
    # Not a copy of the data-block: what was painted in it would not come along.
    kept = image.file_format
    try:
        image.file_format = "PNG"
        image.save(filepath=str(path), save_copy=True)
    finally:
        image.file_format = kept
    return path


@contextmanager
def _as_png(settings: Any) -> Iterator[None]:
    """What a render is saved as: PNG, whatever the scene's output is, which stays as it was."""
    names = [name for name in ("media_type", "file_format", "color_mode", "color_depth") if hasattr(settings, name)]
    kept = {name: getattr(settings, name) for name in names}
    try:
        for name, value in (("media_type", "IMAGE"), ("file_format", "PNG"), ("color_mode", "RGB"), ("color_depth", "8")):
            if name in kept:
                setattr(settings, name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(settings, name, value)


CLASSES = (JOINTDIT_OT_add_scene, JOINTDIT_OT_generate_list, JOINTDIT_OT_depth_of_image)
