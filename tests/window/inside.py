# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in Blender's window (`blender --python`): use the panel as a person does, with the mouse. Reports by files.

Arguments after --: a folder to talk in, the prompt, and the seconds that the result may take. A step is a generator that yields until it
is done; a screenshot is asked for by SHOT-name and there when name.png is.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import bpy

FOLDER, PROMPT, PATIENCE = Path(sys.argv[-3]), sys.argv[-2], float(sys.argv[-1])
facts: dict[str, object] = {"blender": bpy.app.version_string, "python": sys.version.split()[0]}


def area() -> bpy.types.Area:
    return next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")


def sidebar() -> bpy.types.Region:
    return next(region for region in area().regions if region.type == "UI")


def shot(name: str) -> Iterator[None]:
    """Have the screen photographed from outside."""
    area().tag_redraw()
    for _ in range(4):
        yield
    (FOLDER / f"SHOT-{name}").touch()
    end = time.monotonic() + 20
    while not (FOLDER / f"{name}.png").exists() and time.monotonic() < end:
        yield


def until(what: str, condition: object, seconds: float) -> Iterator[None]:
    """Wait in small steps; raises when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds:g} seconds")
        yield


def click(x: int, y: int) -> Iterator[None]:
    """Press and release the left mouse button; two moves first, since the first one only wakes the button up."""
    window = bpy.context.window_manager.windows[0]
    for dx in (3, 0):
        window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x + dx, y=y)
        yield
    window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    yield
    window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=x, y=y)
    yield


def jobs() -> list[bpy.types.PropertyGroup]:
    return list(bpy.context.window_manager.jointdit.jobs)


def results() -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if "frame" in item]


def click_generate() -> Iterator[None]:
    """Click where the large button is. A layout tells nobody where its buttons are: a try or two from its lower edge upwards."""
    region = sidebar()
    x, top = region.x + region.width // 2, region.y + region.height
    for y in range(top - 228, top - 200, 8):
        yield from click(x, y)
        for _ in range(3):
            yield
        if jobs():
            facts["generate_from_top"] = top - y
            return
    raise TimeoutError("no click in the panel started a job")


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
        yield from fail()


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


gaps: list[float] = []
last = time.monotonic()
playing = story()


def tick() -> float | None:
    """One step of the story; its end is the end of Blender."""
    global last
    gaps.append(time.monotonic() - last)
    last = time.monotonic()
    goes_on = False
    try:
        next(playing)
        goes_on = True
        return 0.15
    except StopIteration:
        facts["ended"] = "well"
    finally:
        if not goes_on:
            leave()
    return None


def leave() -> None:
    """Write down what was seen and end Blender, whatever happened: a timer that raises would leave an open window behind."""
    if "ended" not in facts:
        facts["error"] = traceback.format_exc()
    (FOLDER / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    bpy.ops.preferences.addon_disable(module="bl_ext.user_default.jointdit")  # stops the worker: os._exit asks nobody
    os._exit(0 if "ended" in facts else 1)


bpy.app.timers.register(tick, first_interval=2.0, persistent=True)
