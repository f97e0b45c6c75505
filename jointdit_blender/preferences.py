# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to the machine: the backend's Python, the model, the folder of results, when the GPU is given back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty

from .core import installer
from .core.interpreter import VARIABLE, WorkerError, find_interpreter

PACKAGE = __package__ or ""
EMBEDDED = "embedded"
"""The name of the model that comes with the backend."""

BUILDS = (
    ("auto", "Automatic", "The build for the graphics card and its driver; without a card that for the processor"),
    ("cpu", "Processor", "Small, and works everywhere, but takes much longer than a graphics card"),
    ("cu130", "CUDA 13.0", "For NVIDIA cards from 2018 on, with a new driver"),
    ("cu128", "CUDA 12.8", "For NVIDIA cards from 2017 on"),
    ("cu126", "CUDA 12.6", "For older NVIDIA cards"),
    ("index", "As the Package Index Has It", "Whatever build the package index of this machine has, such as that of a company or a studio"),
)
"""Builds of PyTorch, by the installer's names."""


def _changed(_preferences: bpy.types.AddonPreferences, context: bpy.types.Context) -> None:
    from . import upkeep  # it reads these preferences

    look_for_backend(context)
    upkeep.current().listed = False


def _folder_changed(_preferences: bpy.types.AddonPreferences, context: bpy.types.Context) -> None:
    from . import gallery  # it reads these preferences

    gallery.current().refresh(context)


class JOINTDIT_AP_preferences(bpy.types.AddonPreferences):
    """Preferences > Add-ons > JointDiT."""

    bl_idname = PACKAGE

    interpreter: StringProperty(
        name="Python",
        description="A Python program that has the package jointdit; empty: the one that this add-on installed, else that of the variable JOINTDIT_PYTHON",
        subtype="FILE_PATH",
        update=_changed,
    )
    build: EnumProperty(name="PyTorch", description="The build of PyTorch that is installed with the image generator", items=BUILDS)
    model: StringProperty(name="Model", description="Name of the model, or the folder of a pipeline; empty: the one that comes with the image generator")
    output: StringProperty(
        name="Results",
        description="Folder in which every result is kept; empty: a folder in Blender's data files, which stays when the add-on goes",
        subtype="DIR_PATH",
        update=_folder_changed,
    )
    unload_after: IntProperty(
        name="When Idle",
        description="Minutes without a job after which the image generator gives back the memory of the GPU; 0: never",
        default=10,
        min=0,
        soft_max=120,
    )
    unload_for_render: BoolProperty(
        name="Before a Render",
        description="Give back the memory of the GPU before Cycles renders on it; the next job then loads the model again",
        default=True,
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        from . import upkeep  # both read these preferences
        from .panels.upkeep import draw_preferences

        upkeep.look_at_models_once()
        draw_preferences(self.layout, context, self, offline())


CLASSES = (JOINTDIT_AP_preferences,)


@dataclass(frozen=True)
class Engine:
    """Where the image generator is: `state` is one of "chosen", "installed", "outdated", "found", "unfinished", "missing"; `text` a sentence."""

    state: str
    text: str

    @property
    def missing(self) -> str:
        """What keeps a person from using it, or should be mended first."""
        return self.text if self.state in ("outdated", "unfinished", "missing") else ""


def preferences(context: bpy.types.Context) -> JOINTDIT_AP_preferences | None:
    """None when the package was registered by a script, without being an enabled add-on."""
    addon = context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def choose(context: bpy.types.Context, **values: Any) -> None:
    """Set preferences as a person would: Blender saves them at its end if it does so with those of the person. Without preferences nothing happens."""
    chosen = preferences(context)
    for name, value in values.items():
        if chosen is not None and getattr(chosen, name) != value:
            setattr(chosen, name, value)
            # Blender sets this for its own buttons only.
            context.preferences.is_dirty = True


def interpreter(context: bpy.types.Context) -> str:
    """The Python that was chosen, else that of the environment that was installed, or ""."""
    chosen = _chosen(context)
    if chosen:
        return chosen
    found = installer.installed(backend_folder())
    return str(installer.interpreter_of(backend_folder())) if found is not None and found.complete else ""


def build(context: bpy.types.Context) -> str:
    """The build of PyTorch that is to be installed."""
    chosen = preferences(context)
    return chosen.build if chosen else BUILDS[0][0]


def model(context: bpy.types.Context) -> str:
    """The model that was chosen, or "" for the default."""
    chosen = preferences(context)
    return chosen.model.strip() if chosen else ""


def output_folder(context: bpy.types.Context) -> Path:
    """The folder for results, made if need be; raises OSError."""
    chosen = preferences(context)
    if chosen and chosen.output:
        folder = Path(bpy.path.abspath(chosen.output))
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    # Not in the extension's own folder: Blender deletes that when the extension is uninstalled.
    folder = _data_folder("frames")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def backend_folder() -> Path:
    """Where the backend's own environment is, or would be."""
    return _own_folder("backend")


def package() -> Path | None:
    """The backend's package, which is part of the extension; None in a checkout."""
    return next(iter(sorted((Path(__file__).parent / "backend").glob("jointdit-*.whl"))), None)


def offline() -> str:
    """Why nothing may be downloaded, and how to allow it; nothing if it may."""
    if bpy.app.online_access:
        return ""
    if bpy.app.online_access_override:
        return "Blender was started in offline mode: start it without --offline-mode"
    return "Blender may not go online: turn on Allow Online Access in Preferences > System > Network"


def look_for_backend(context: bpy.types.Context) -> None:
    """Write into the session what is missing, once, so that drawing a panel need not look at the disk."""
    found = engine(context)
    context.window_manager.jointdit.missing = found.missing
    shown = context.window_manager.jointdit_upkeep
    shown.engine, shown.engine_text = found.state, found.text


def engine(context: bpy.types.Context) -> Engine:
    """Where the image generator is, by a look at the disk."""
    chosen, own = _chosen(context), installer.installed(backend_folder(), package())
    try:
        if chosen:
            return Engine("chosen", f"A Python of your own: {find_interpreter(chosen)}.")
        if own is not None and own.complete:
            if own.outdated:
                return Engine("outdated", f"The image generator is of version {own.version}, and this add-on brings another one: update it.")
            return Engine("installed", f"Installed: image generator {own.version} with torch {own.torch}.")
        return Engine("found", f"A Python that is set up already: {find_interpreter()}.")
    except WorkerError as error:
        if chosen or os.environ.get(VARIABLE):
            return Engine("missing", str(error))
        if own is not None:
            return Engine("unfinished", "The installation of the image generator was not finished: go on with it.")
        return Engine("missing", "The image generator is not installed yet.")


def _chosen(context: bpy.types.Context) -> str:
    chosen = preferences(context)
    return bpy.path.abspath(chosen.interpreter) if chosen and chosen.interpreter else ""


def _own_folder(name: str) -> Path:
    """A folder that Blender deletes together with the extension."""
    if PACKAGE.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(PACKAGE, path=name))
    # Registered by a script from a checkout: there is no extension whose folder it could be.
    return _data_folder(name)


def _data_folder(name: str) -> Path:
    """A folder among Blender's data files, whatever becomes of the extension."""
    return Path(bpy.utils.user_resource("DATAFILES", path=f"jointdit/{name}"))
