# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the frame of an object anew, in place: the object stays the same one, for everything that refers to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import bpy

from ..core.frame import read_frame
from .builder import OPTIONS_KEY, PROPERTIES, BuildResult, build_frame, kind_of, mark_of
from .group import INPUTS
from .live import MODIFIER_NAME
from .material import is_relit, relight
from .modifier import get_input, input_path, set_input
from .options import BuildError, BuildOptions
from .placing import BACKDROP_INPUTS, CONSTRAINT_NAME

LIVE_INPUTS = (
    *("Near", "Far", "Gamma", "Field of View", "Projection", "Output", "Step", "Tear", "Torn Faces", "Clean Edges", "Sky Cut-off", "Back Layer"),
    *("Point Size", "Principal X", "Principal Y"),
)
"""What an artist, a backdrop or an alignment may have changed since the frame was built."""


def rebuild(context: bpy.types.Context, relief: bpy.types.Object, options: BuildOptions | None = None) -> BuildResult:
    """Build the frame of `relief` anew from its folder.

    Without `options` its pictures, its materials and its sky are made again, and everything that was changed since stays: inputs, place, world,
    floor. With `options` it becomes what they say; its place stays unless they say where it should be. The object itself, its animation, its
    collections and what hangs on it or follows it stay in any case. Raises `BuildError` or `FrameError`; then nothing is changed.
    """
    modifier = relief.modifiers.get(MODIFIER_NAME)
    if relief.get("frame") is None or not isinstance(modifier, bpy.types.NodesModifier):
        raise BuildError(f"“{relief.name}” was not built from a frame; select the relief or the points of one.")
    if relief.library is not None or relief.override_library is not None:
        raise BuildError(f"“{relief.name}” belongs to a linked file; open that file to build it again.")
    built = BuildOptions.from_json(str(relief.get(OPTIONS_KEY, "{}")))
    if options is None:
        sky = "remove" if built.sky == "world" else built.sky
        chosen = replace(built, backdrop=None, ground=None, floor=False, environment=False, sky=sky, look_through=False)
    else:
        chosen = replace(options, look_through=False)
    result = build_frame(context, read_frame(Path(str(relief["frame"]))), chosen)
    new, temporary = result.object, result.collection
    _keep_relit(relief, new)
    _drop_parts(relief, floor=options is not None)
    if options is not None:
        _take_place(relief, new, chosen)
    _take_inputs(modifier, cast(bpy.types.NodesModifier, new.modifiers[MODIFIER_NAME]), LIVE_INPUTS if options is None else ())
    for name in PROPERTIES:
        if name in new.keys():  # noqa: SIM118 - an object is no dictionary
            relief[name] = new[name]
        elif name in relief.keys():  # noqa: SIM118
            del relief[name]
    if options is None:
        relief[OPTIONS_KEY] = built.to_json()
    homes = [collection for collection in relief.users_collection if collection != context.scene.collection] or [context.scene.collection]
    camera = _own_camera(relief)
    for part in set(temporary.objects) - {new}:
        if kind_of(part) == "camera" and (camera is not None or options is None):
            _remove(part)
            continue
        _follow(part, new, relief)
        homes[0].objects.link(part)
        temporary.objects.unlink(part)
        # The old one's name is free now.
        part.name = f"{relief.name} {kind_of(part).capitalize()}"
    bpy.data.collections.remove(temporary)
    _remove(new)
    context.view_layer.update()
    return replace(result, object=relief, collection=homes[0], camera=_own_camera(relief))


def _own_camera(relief: bpy.types.Object) -> bpy.types.Object | None:
    return next((child for child in relief.children if kind_of(child) == "camera"), None)


def _keep_relit(old: bpy.types.Object, new: bpy.types.Object) -> None:
    """The new materials are lit as the old ones are now; a material of the artist's own takes the place of the new one."""
    modifiers = [cast(bpy.types.NodesModifier, item.modifiers[MODIFIER_NAME]) for item in (old, new)]
    for name in ("Material", "Back Material"):
        try:
            before, after = (get_input(modifier, name) for modifier in modifiers)
        except KeyError:
            # An older group knows no layer behind.
            continue
        if before is None or after is None:
            continue
        try:
            relight(after, is_relit(before))
        except KeyError:
            set_input(modifiers[1], name, before)


def _drop_parts(relief: bpy.types.Object, *, floor: bool) -> None:
    """Remove what was built with the relief and is built anew. A copy of the relief has copies of them; its floor is shared."""
    parts = [child for child in relief.children if mark_of(child) == mark_of(relief) and kind_of(child) in ("sky", "dome")]
    alone = sum(mark_of(item) == mark_of(relief) and kind_of(item) == "relief" for item in bpy.data.objects) == 1
    if floor and alone:
        parts += [item for item in bpy.data.objects if mark_of(item) == mark_of(relief) and kind_of(item) == "floor"]
    for part in parts:
        _remove(part)


def _take_place(relief: bpy.types.Object, new: bpy.types.Object, options: BuildOptions) -> None:
    """The place that the options ask for; a frame that was a backdrop and is none any more stands where new frames stand."""
    followed = relief.constraints.get(CONSTRAINT_NAME)
    if not (options.backdrop or options.ground or options.floor or followed):
        return
    modifier = cast(bpy.types.NodesModifier, relief.modifiers[MODIFIER_NAME])
    for name in BACKDROP_INPUTS:
        relief.driver_remove(input_path(modifier, name))
    if followed is not None:
        relief.constraints.remove(followed)
    relief.parent, relief.parent_type = new.parent, new.parent_type
    relief.matrix_parent_inverse, relief.matrix_basis = new.matrix_parent_inverse, new.matrix_basis
    fresh = new.constraints.get(CONSTRAINT_NAME)
    if fresh is not None:
        relief.constraints.copy(fresh)
    for curve in list(new.animation_data.drivers) if new.animation_data else []:
        (relief.animation_data or relief.animation_data_create()).drivers.from_existing(src_driver=curve)
    _follow(relief, new, relief)


def _take_inputs(old: bpy.types.NodesModifier, new: bpy.types.NodesModifier, kept: tuple[str, ...]) -> None:
    """Give the old modifier the group of the new one and the values of its inputs, but for those that are `kept`."""
    same = old.node_group == new.node_group
    if not same:
        old.node_group = new.node_group
    for name in INPUTS:
        if not same or name not in kept:
            set_input(old, name, get_input(new, name))


def _follow(item: bpy.types.Object, new: bpy.types.Object, relief: bpy.types.Object) -> None:
    """Let what refers to the new relief refer to the one that stays."""
    if item.parent == new:
        item.parent = relief
    for block in (item, item.data):
        for curve in block.animation_data.drivers if block is not None and block.animation_data else ():
            for variable in curve.driver.variables:
                for target in variable.targets:
                    if target.id == new:
                        target.id = relief


def _remove(item: bpy.types.Object) -> None:
    """An object and its data, whose drivers would look for what is gone."""
    data = item.data
    bpy.data.objects.remove(item)
    if data is not None and data.users == 0:
        bpy.data.batch_remove([data])
