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
from typing import Any

import bpy

FOLDER, PROMPT, PATIENCE = Path(sys.argv[-3]), sys.argv[-2], float(sys.argv[-1])
# It would cover what is to be seen.
bpy.context.preferences.view.show_splash = False
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


def narrow(pixels: int) -> Iterator[None]:
    """Drag the border of the sidebar until it is so many pixels wide."""
    window, region = bpy.context.window_manager.windows[0], sidebar()
    x, y = region.x, region.y + region.height // 3
    to = region.x + region.width - pixels
    for dx in (-3, 0):
        window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x + dx, y=y)
        yield
    window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    yield
    for step in (0.3, 0.6, 1.0, 1.0):
        window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=round(x + step * (to - x)), y=y)
        yield
    window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=to, y=y)
    yield


def press(key: str) -> Iterator[None]:
    """Press and release a key."""
    window, region = bpy.context.window_manager.windows[0], sidebar()
    for value in ("PRESS", "RELEASE"):
        window.event_simulate(type=key, value=value, x=region.x // 2, y=region.y + region.height // 2)
        yield


def scroll(notches: int) -> Iterator[None]:
    """Turn the wheel over the sidebar: towards its end, or with a number below 0 towards its top."""
    window, region = bpy.context.window_manager.windows[0], sidebar()
    place = {"x": region.x + region.width // 3, "y": region.y + region.height // 2}
    for dx in (3, 0):
        window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=place["x"] + dx, y=place["y"])
        yield
    for _ in range(abs(notches)):
        window.event_simulate(type="WHEELDOWNMOUSE" if notches > 0 else "WHEELUPMOUSE", value="PRESS", **place)
        yield


def viewport() -> Any:
    """The context of an operator that is called while the mouse is over the viewport."""
    region = next(region for region in area().regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area(), region=region)


def jobs() -> list[bpy.types.PropertyGroup]:
    return list(bpy.context.window_manager.jointdit.jobs)


def results() -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if "frame" in item]


def click_generate() -> Iterator[None]:
    """Click where the large button is. A layout tells nobody where its buttons are: a try or two from its lower edge upwards."""
    region = sidebar()
    x, top = region.x + region.width // 2, region.y + region.height
    for y in range(top - 254, top - 222, 8):
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
        yield from extend()
    yield from scroll(20)
    yield from shot("result")
    yield from point()
    yield from drop()
    yield from scroll(-20)
    for width in (220, 160):
        yield from narrow(width)
        yield from shot(f"narrow-{width}")
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
