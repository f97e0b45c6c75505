# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the first start to a finished backdrop, played in Blender's window (see `acting`): the pictures of the README and of the manual.

The image generator is the real one, with the embedded model; its Python is named by TOUR_PYTHON and chosen in the preferences on the way.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from acting import PATIENCE, area, click_generate, facts, jobs, move, narrow, photograph, play, press, results, scroll, shot, sidebar, until, viewport

PROMPTS = {
    "a tree on a green meadow": 0,
    "snowy mountains at sunset": 1,
    "a red house on a green meadow under a blue sky": 5,
}
"""Each with its seed."""


def addon() -> Any:
    return bpy.context.preferences.addons["bl_ext.user_default.jointdit"].preferences


def state() -> Any:
    return bpy.context.window_manager.jointdit


def tour() -> Iterator[None]:
    yield from until("the window", lambda: bool(bpy.context.window_manager.windows), 20)
    area().spaces.active.show_region_ui = True
    yield
    sidebar().active_panel_category = "JointDiT"
    yield from until("the look at the machine", lambda: bool(state().missing), 20)
    facts["missing"] = state().missing
    yield from shot("first-run")
    bpy.context.preferences.system.use_online_access = True  # so that the dialog offers what it offers to most people; nothing is fetched
    yield from move(560, 420)
    with viewport():
        bpy.ops.jointdit.set_up("INVOKE_DEFAULT")
    for _ in range(20):
        yield  # the machine is looked at
    yield from shot("set-up")
    yield from press("ESC")
    addon().interpreter = os.environ["TOUR_PYTHON"]
    yield from until("the setup", lambda: not state().missing, 20)
    yield from make()
    yield from look()
    yield from history()
    yield from preferences()
    for width in (220, 160):
        yield from narrow(width)
        yield from shot(f"narrow-{width}")
    yield from light()


def make() -> Iterator[None]:
    """Three results by clicks on Generate; while the first is made, the two others wait."""
    settings = bpy.context.scene.jointdit
    for number, (prompt, seed) in enumerate(PROMPTS.items()):
        settings.prompt, settings.seed = prompt, seed
        yield
        yield from click_generate()
        if number == 0:
            yield from until("a preview", lambda: jobs()[0].finished or (jobs()[0].preview > 0 and jobs()[0].step > 5), PATIENCE)
            facts["previewed"] = [jobs()[0].preview > 0, jobs()[0].preview_depth > 0]
            yield from shot("generating")
    yield from until("the results", lambda: all(job.finished for job in jobs()), PATIENCE)
    facts["states"] = [job.state for job in jobs()]
    facts["messages"] = [job.message for job in jobs()]


def look() -> Iterator[None]:
    """The first result alone, as it is seen in Material Preview."""
    for relief in results()[1:]:
        for part in (relief, *relief.children):
            part.hide_set(True)
    first = results()[0]
    bpy.context.view_layer.objects.active = first
    first.select_set(True)
    bpy.context.scene.camera = next(child for child in first.children if child.type == "CAMERA")
    bpy.context.scene.view_settings.view_transform = "Standard"
    area().spaces.active.shading.type = "MATERIAL"
    area().spaces.active.overlay.show_overlays = False
    yield from settle(8.0)
    yield from shot("result")
    yield from scroll(12)
    yield from shot("result-panel")


def light() -> Iterator[None]:
    """The other theme that comes with Blender, with an alert and a failed job to read."""
    theme = next(Path(folder) / "Blender_Light.xml" for folder in bpy.utils.preset_paths("interface_theme"))
    bpy.ops.script.execute_preset(filepath=str(theme), menu_idname="USERPREF_MT_interface_theme_presets")
    yield from narrow(290)
    settings = bpy.context.scene.jointdit
    settings.task, settings.image = "IMAGE", str(Path(results()[0]["frame"]) / "frame.json")  # no picture
    with viewport():
        bpy.ops.jointdit.generate()
    yield from until("the failure", lambda: all(job.finished for job in jobs()), PATIENCE)
    facts["failure"] = jobs()[-1].message
    state().missing = "The image generator is not installed yet."
    yield from shot("light")


def settle(seconds: float) -> Iterator[None]:
    """Let the viewport draw: without a graphics card its shaders take long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        area().tag_redraw()
        yield


def history() -> Iterator[None]:
    yield from until("the history", lambda: len(state().results) == len(PROMPTS), PATIENCE)
    facts["history"] = [item.title for item in state().results]
    bpy.ops.jointdit.clear_jobs()
    with viewport():
        bpy.ops.jointdit.choose_result(result=state().results[-1].name)
    yield from scroll(40)
    for _ in range(20):
        yield  # thumbnails are read while they are drawn
    yield from shot("history")
    yield from scroll(-60)


def preferences() -> Iterator[None]:
    """In the place of the viewport, since there is no window manager that could show a second window well."""
    bpy.context.preferences.active_section = "ADDONS"
    bpy.ops.preferences.addon_expand(module="bl_ext.user_default.jointdit")
    bpy.context.window_manager.addon_search = "JointDiT"
    place = area()
    place.type = "PREFERENCES"
    yield from move(1000, 85)  # where it brings up no tooltip
    for _ in range(20):
        yield
    yield from until("the list of models", lambda: not bpy.context.window_manager.jointdit_upkeep.running, PATIENCE)
    place.tag_redraw()
    for _ in range(4):
        yield
    yield from photograph("preferences")
    place.type = "VIEW_3D"
    yield
    place.spaces.active.show_region_ui = True
    yield
    sidebar().active_panel_category = "JointDiT"
    yield


play(tour())
