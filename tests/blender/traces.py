# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that an extension can leave behind in Blender, written down so that two moments can be compared."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

Traces = dict[str, list[str]]


class Recorder:
    """Remembers what Blender gives no list of: timers and commands. Its methods stand in for Blender's while it is `watching`."""

    def __init__(self) -> None:
        self.timers: dict[int, Callable[..., Any]] = {}
        self.commands: dict[int, str] = {}
        self._register_timer = bpy.app.timers.register
        self._register_command = bpy.utils.register_cli_command
        self._unregister_command = bpy.utils.unregister_cli_command

    def watching(self) -> list[tuple[Any, str, Callable[..., Any]]]:
        """What has to be set where, for a `monkeypatch` or a plain loop of setattr."""
        return [
            (bpy.app.timers, "register", self.register_timer),
            (bpy.utils, "register_cli_command", self.register_command),
            (bpy.utils, "unregister_cli_command", self.unregister_command),
        ]

    def register_timer(self, function: Callable[..., Any], **options: Any) -> None:
        self.timers[id(function)] = function
        self._register_timer(function, **options)

    def register_command(self, name: str, function: Callable[..., Any]) -> Any:
        handle = self._register_command(name, function)
        self.commands[id(handle)] = name
        return handle

    def unregister_command(self, handle: Any) -> None:
        self._unregister_command(handle)
        self.commands.pop(id(handle), None)  # Blender's own were there before

    def traces(self) -> Traces:
        """The timers that would still be called, and the commands that are still there."""
        waiting = [function for function in self.timers.values() if bpy.app.timers.is_registered(function)]
        return {"timers": _names(waiting), "commands": sorted(self.commands.values())}


def traces() -> Traces:
    """What there is now, by kind; each entry is a name."""
    return {
        "handlers": _handlers(),
        "types": sorted(dir(bpy.types)),
        "operators": sorted(f"{module}.{name}" for module in dir(bpy.ops) for name in dir(getattr(bpy.ops, module))),
        "properties": _properties(),
        "draw functions": _draw_functions(),
        "shortcuts": _shortcuts(),
        "preset folders": sorted(bpy.utils.preset_paths("")),
        "previews": _preview_collections(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "processes": _children(),
        "search path": list(sys.path),
        "importers": [repr(finder) for finder in sys.meta_path],
        "environment": sorted(f"{name}={value}" for name, value in os.environ.items()),
    }


def difference(before: Traces, after: Traces) -> Traces:
    """Of each kind what is new or gone; empty if nothing is."""
    changes = {}
    for kind in before:
        gone, new = (Counter(one[kind]) - Counter(other[kind]) for one, other in ((before, after), (after, before)))
        if before[kind] != after[kind]:
            changes[kind] = sorted((gone + new).elements()) or ["another order"]
    return changes


def _names(functions: list[Callable[..., Any]]) -> list[str]:
    return sorted(f"{function.__module__}.{getattr(function, '__qualname__', function)}" for function in functions)


def _handlers() -> list[str]:
    lists = {name: getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)}
    return [f"{name}: {function}" for name, functions in lists.items() if isinstance(functions, list) for function in _names(functions)]


def _properties() -> list[str]:
    """Those of every type of Blender's: Scene.jointdit, WindowManager.jointdit …"""
    kinds = {name: getattr(bpy.types, name) for name in dir(bpy.types)}
    return [f"{name}.{key}" for name, kind in kinds.items() if hasattr(kind, "bl_rna") for key in kind.bl_rna.properties.keys()]  # noqa: SIM118 - no dict


def _draw_functions() -> list[str]:
    """What is drawn in menus, panels and headers before or after what they draw themselves."""
    kinds = [kind for base in (bpy.types.Menu, bpy.types.Panel, bpy.types.Header) for kind in base.__subclasses__()]
    drawn = [(kind.__name__, name) for kind in kinds for name in _names(getattr(getattr(kind, "draw", None), "_draw_funcs", []))]
    return sorted(f"{kind}: {name}" for kind, name in drawn if not name.endswith(f"{kind}.draw"))


def _shortcuts() -> list[str]:
    addon = bpy.context.window_manager.keyconfigs.addon
    return sorted(f"{keymap.name}: {item.idname}" for keymap in addon.keymaps for item in keymap.keymap_items) if addon else []


def _preview_collections() -> list[str]:
    """How many of bpy.utils.previews are open; nothing imports that module but who uses it."""
    previews = sys.modules.get("bpy.utils.previews")
    return ["a collection"] * len(previews._uuid_open) if previews else []


def _children() -> list[str]:
    """The processes that this one has started and not seen the end of; where there is no /proc, none."""
    return sorted(pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split())
