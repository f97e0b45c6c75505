# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's first minutes with the panel, played in Blender's window (see `acting`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from acting import PATIENCE, PROMPT, area, click, click_generate, facts, gaps, jobs, play, press, results, scroll, shot, sidebar, until, viewport


def story() -> Iterator[None]:
    yield from until("the window", lambda: bool(bpy.context.window_manager.windows), 20)
    area().spaces.active.show_region_ui = True
    yield
    sidebar().active_panel_category = "JointDiT"
    for _ in range(3):
        yield
    facts["sidebar"] = [sidebar().width, sidebar().height]
    yield from shot("empty")
    settings = bpy.context.scene.jointdit
    settings.prompt = PROMPT
    bpy.ops.ed.undo_push(message="Prompt")
    objects = len(bpy.data.objects)
    yield from shot("ready")
    gaps.clear()
    yield from click_generate()
    yield from until("the first step", lambda: jobs()[0].phase == "sampling" or jobs()[0].finished, PATIENCE)
    yield from shot("running")
    steps = set()

    def finished() -> bool:
        steps.add(jobs()[0].step)
        if not jobs()[0].finished:
            facts["longest_pause"] = round(max(gaps), 3)
        return jobs()[0].finished

    yield from until("the result", finished, PATIENCE)
    facts["steps_seen"], facts["building"] = len(steps), round(gaps[-1], 3)
    facts["job"] = [jobs()[0].state, jobs()[0].message]
    facts["objects"] = [item.name for item in results()]
    facts["view"] = area().spaces.active.region_3d.view_perspective
    yield from shot("done")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area()):
        bpy.ops.ed.undo()
    yield
    facts["after_undo"] = [len(results()), len(bpy.data.objects) - objects, bpy.context.scene.jointdit.prompt]
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area()):
        bpy.ops.ed.redo()
    yield
    facts["after_redo"] = len(results())
    if "STANDIN_STEP_SECONDS" in os.environ:
        yield from extend()
    yield from scroll(20)
    yield from shot("result")
    yield from point()
    yield from drop()
    yield from scroll(-20)
    if "STANDIN_STEP_SECONDS" in os.environ:
        yield from fail()


def extend() -> Iterator[None]:
    """Extend to Sphere by its dialog; the sphere and the hiding of what it extends are one step to undo."""
    before = len(jobs())
    with viewport():
        bpy.ops.jointdit.surround("INVOKE_DEFAULT")
    yield from shot("extend")
    yield from press("RET")
    yield from until("the sphere", lambda: len(jobs()) > before and jobs()[-1].finished, PATIENCE)
    facts["extended"] = [jobs()[-1].state, sorted(item.hide_viewport for item in results())]
    yield from shot("extended")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area()):
        bpy.ops.ed.undo()
    yield
    facts["extension_undone"] = [item.hide_viewport for item in results()]


def point() -> Iterator[None]:
    """Scale by Two Points with the mouse: two clicks, Enter in the dialog; and Escape instead of the second click."""
    region = next(region for region in area().regions if region.type == "WINDOW")
    x, y = region.x + region.width // 3, region.y + region.height // 2
    with viewport():
        facts["pointing"] = list(bpy.ops.jointdit.scale_by_points("INVOKE_DEFAULT"))
    yield from click(x, y)
    yield from shot("first point")
    yield from press("ESC")
    facts["after_escape"] = last_operator()
    with viewport():
        bpy.ops.jointdit.scale_by_points("INVOKE_DEFAULT")
    yield from click(x, y)
    yield from click(x + region.width // 6, y - 40)
    yield from shot("distance")
    yield from press("RET")
    yield
    facts["after_enter"] = last_operator()


def last_operator() -> str:
    """What Adjust Last Operation would show."""
    operators = bpy.context.window_manager.operators
    return operators[-1].bl_idname if operators else ""


def drop() -> Iterator[None]:
    """A frame.json and a pair of pictures on the viewport, as the window system gives them to Blender."""
    folder = Path(results()[0]["frame"])
    before = len(results())
    bpy.context.scene.jointdit.build = "POINTS"
    with viewport():
        bpy.ops.wm.drop_import_file("INVOKE_DEFAULT", directory=str(folder), files=[{"name": "frame.json"}])
    yield
    facts["dropped"] = len(results()) - before
    dropped = bpy.context.view_layer.objects.active.evaluated_get(bpy.context.evaluated_depsgraph_get())
    facts["dropped_points"] = bool(dropped.evaluated_geometry().pointcloud)
    yield from shot("dropped")


def fail() -> Iterator[None]:
    """A worker that dies, and a backend that is missing: what the panel shows."""
    settings = bpy.context.scene.jointdit
    settings.prompt, settings.task = "crash", "IMAGE"
    settings.image = str(Path(results()[0]["frame"]) / "image.png")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area()):
        bpy.ops.jointdit.generate()
    yield from until("the failure", lambda: all(job.finished for job in jobs()), PATIENCE)
    facts["failed"] = jobs()[-1].message
    bpy.context.window_manager.jointdit.missing = "There is no Python at “/opt/jointdit/bin/python” (from the preferences): choose another one."
    yield from shot("failed")


play(story())
