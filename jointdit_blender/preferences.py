# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to the machine: the backend's Python, the model, the folder of results."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .core.interpreter import WorkerError, find_interpreter

PACKAGE = __package__ or ""


def _changed(_preferences: bpy.types.AddonPreferences, context: bpy.types.Context) -> None:
    look_for_backend(context)


class JOINTDIT_AP_preferences(bpy.types.AddonPreferences):
    """Preferences > Add-ons > JointDiT."""

    bl_idname = PACKAGE

    interpreter: StringProperty(
        name="Python",
        description="The Python program that has the package jointdit; empty: the one that the variable JOINTDIT_PYTHON names",
        subtype="FILE_PATH",
        update=_changed,
    )
    model: StringProperty(name="Model", description="Name of the model; empty: the one that comes with the package jointdit")
    output: StringProperty(
        name="Results", description="Folder in which every result is kept; empty: the extension's own folder", subtype="DIR_PATH"
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "interpreter")
        missing = context.window_manager.jointdit.missing
        if missing:
            layout.label(text=missing, icon="ERROR")
        layout.prop(self, "model", placeholder="embedded")
        layout.prop(self, "output", placeholder="Extension Folder")


CLASSES = (JOINTDIT_AP_preferences,)


def preferences(context: bpy.types.Context) -> JOINTDIT_AP_preferences | None:
    """None when the package was registered by a script, without being an enabled add-on."""
    addon = context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def interpreter(context: bpy.types.Context) -> str:
    """The Python that was chosen, or ""."""
    chosen = preferences(context)
    return bpy.path.abspath(chosen.interpreter) if chosen and chosen.interpreter else ""


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
    if PACKAGE.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(PACKAGE, path="frames", create=True))
    # Registered by a script from a checkout: there is no extension whose folder it could be.
    return Path(bpy.utils.user_resource("DATAFILES", path="jointdit/frames", create=True))


def look_for_backend(context: bpy.types.Context) -> None:
    """Write into the session what is missing, once, so that drawing a panel need not look at the disk."""
    try:
        find_interpreter(interpreter(context))
    except WorkerError as error:
        missing = str(error)
    else:
        missing = ""
    context.window_manager.jointdit.missing = missing
