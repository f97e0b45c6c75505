# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a story in Blender's window is played (`blender --python story.py -- FOLDER PROMPT SECONDS`): mouse, keys, screenshots, facts. Reports by files.

A step of a story is a generator that yields until it is done. A screenshot is asked for by SHOT-name and there when name.png is.
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
GENERATE = 262
"""Pixels from the top of the sidebar to the middle of the large button, for the task Text."""
facts: dict[str, object] = {"blender": bpy.app.version_string, "python": sys.version.split()[0]}


def area() -> bpy.types.Area:
    return next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")


def sidebar() -> bpy.types.Region:
    return next(region for region in area().regions if region.type == "UI")


def shot(name: str) -> Iterator[None]:
    """Have the screen photographed from outside, with the viewport drawn anew."""
    area().tag_redraw()
    for _ in range(4):
        yield
    yield from photograph(name)


def photograph(name: str) -> Iterator[None]:
    """Have the screen photographed from outside as it is."""
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


def move(x: int, y: int) -> Iterator[None]:
    """Move the mouse."""
    for dx in (3, 0):
        bpy.context.window_manager.windows[0].event_simulate(type="MOUSEMOVE", value="NOTHING", x=x + dx, y=y)
        yield


def click(x: int, y: int) -> Iterator[None]:
    """Press and release the left mouse button; two moves first, since the first one only wakes the button up."""
    window = bpy.context.window_manager.windows[0]
    yield from move(x, y)
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
    """Click where the large button is. A layout tells nobody where its buttons are: a try in its middle, and two beside that."""
    region, before = sidebar(), len(jobs())
    x, top = region.x + region.width // 2, region.y + region.height
    for below in (GENERATE, GENERATE - 10, GENERATE + 10):
        yield from click(x, top - below)
        for _ in range(3):
            yield
        if len(jobs()) > before:
            facts["generate_from_top"] = below
            return
    raise TimeoutError("no click in the panel started a job")


gaps: list[float] = []
last = time.monotonic()
playing: Iterator[None] = iter(())


def play(story: Iterator[None]) -> None:
    """Play a story once Blender has a window; its end is the end of Blender."""
    global playing
    playing = story
    bpy.app.timers.register(tick, first_interval=2.0, persistent=True)


def tick() -> float | None:
    """One step of the story."""
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

