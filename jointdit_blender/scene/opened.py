# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody's .blend file, opened to be rendered and never saved; and what it has lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..core.files import FileError, reason

NAMED = 3
"""So many lost things are named."""
_NOT_RENDERED = (bpy.types.Camera, bpy.types.Screen, bpy.types.WindowManager, bpy.types.WorkSpace)


def open_unsaved(path: Path) -> None:
    """Open a file without running its scripts. Raises `FileError`."""
    if not path.is_file():
        raise FileError(f"There is no file {path}; check its path.")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path.absolute()), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise FileError(f"{path} cannot be opened ({reason(error)}); open it in Blender to see what is wrong.") from error
    for item in bpy.data.objects:
        _keep_off_the_disk(item)


def lost() -> list[str]:
    """Libraries, textures and caches of the open file that are not there, in words; they would be missing or pink in a picture."""
    found = [f"the library {Path(library.filepath).name}" for library in bpy.data.libraries if not _is_there(library.filepath, library.parent)]
    found += [f"the {item.bl_rna.name.lower()} {item.name} of a library" for item in _all_ids() if item.is_missing]
    found += [f"the texture {Path(image.filepath).name}" for image in bpy.data.images if _is_lost(image)]
    found += [f"the cache {Path(cache.filepath).name}" for cache in bpy.data.cache_files if not _is_there(cache.filepath, cache.library)]
    return sorted(set(found))


def told(found: list[str]) -> str:
    """Lost things in a sentence."""
    names = ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
    return f"It has lost {names}; find them with File > External Data in Blender, or add --allow-missing."


def scenes(wanted: list[str]) -> list[bpy.types.Scene]:
    """The scenes of these names, or all that have a camera. Raises `FileError` where there is none."""
    own = [scene for scene in bpy.data.scenes if scene.library is None]
    unknown = [name for name in wanted if name not in {scene.name for scene in own}]
    if unknown:
        raise FileError(f"It has no scene “{unknown[0]}”; there {'is' if len(own) == 1 else 'are'} {', '.join(scene.name for scene in own)}.")
    found = [scene for scene in own if scene.name in wanted] if wanted else [scene for scene in own if any(item.type == "CAMERA" for item in scene.objects)]
    if not found:
        raise FileError("It has no scene with a camera; add a camera in Blender that looks at what the pictures shall show.")
    return found


def _all_ids() -> list[Any]:
    return [item for kind in (bpy.data.objects, bpy.data.materials, bpy.data.meshes, bpy.data.collections, bpy.data.worlds) for item in kind]


def _is_there(filepath: str, library: bpy.types.Library | None) -> bool:
    return Path(bpy.path.abspath(filepath, library=library)).is_file()


def _is_lost(image: bpy.types.Image) -> bool:
    """Whether a picture that takes part in a render is gone."""
    if image.source not in ("FILE", "SEQUENCE", "MOVIE", "TILED") or image.packed_file is not None or len(image.packed_files) or not image.users:
        return False
    users = bpy.data.user_map(subset={image}).get(image, set())
    if all(isinstance(user, _NOT_RENDERED) or (isinstance(user, bpy.types.Object) and user.type == "EMPTY") for user in users):
        return False
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    if image.source == "TILED":
        return not any(path.parent.glob(path.name.replace("<UDIM>", "[0-9][0-9][0-9][0-9]")))
    return not path.is_file()


def _keep_off_the_disk(item: bpy.types.Object) -> None:
    """Simulations that are not baked would write their caches beside the file as the frame changes."""
    holders: list[Any] = [*(system for system in item.particle_systems), *item.modifiers]
    if item.rigid_body is not None and bpy.context.scene is not None and bpy.context.scene.rigidbody_world is not None:
        holders.append(bpy.context.scene.rigidbody_world)
    for holder in holders:
        cache = getattr(holder, "point_cache", None)
        if cache is not None and cache.use_disk_cache and not cache.is_baked:
            cache.use_disk_cache = False
        domain = getattr(holder, "domain_settings", None)
        if domain is not None and domain.cache_type == "REPLAY":
            # Liquids and smoke have no cache but one on the disk; unbaked ones are left out.
            holder.show_viewport = holder.show_render = False
