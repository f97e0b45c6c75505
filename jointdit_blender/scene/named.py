# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words for the objects of somebody's scene, as far as their names are true."""

from __future__ import annotations

from typing import cast

import bpy
import numpy as np

from ..core.captions import clean

ROUND = 0.03
"""By how much the radius of a ball may differ."""


def object_word(item: bpy.types.Object) -> str:
    """The object's property “caption”, else its clean name; empty where that says nothing: a house may still be called Cube, as when it was begun."""
    own = item.get("caption")
    if own:
        return str(own).strip()
    word = clean(item.name)
    solid = SOLIDS.get(word)
    if solid is None:
        return word
    if item.type != "MESH":
        return ""
    name, is_one = solid
    return name if is_one(_vertices(cast(bpy.types.Mesh, item.data))) else ""


def _vertices(mesh: bpy.types.Mesh) -> np.ndarray:
    values = np.empty(3 * len(mesh.vertices), np.float32)
    cast(bpy.types.bpy_prop_collection, mesh.vertices).foreach_get("co", values)
    return values.reshape(-1, 3)


def _is_box(places: np.ndarray) -> bool:
    """Whether all vertices are corners."""
    middle, half = _middle(places)
    return bool(np.allclose(np.abs(places - middle), half, rtol=ROUND, atol=ROUND * half.max()))


def _is_ball(places: np.ndarray) -> bool:
    middle, _ = _middle(places)
    radii = np.linalg.norm(places - middle, axis=1)
    return len(places) >= 12 and bool(radii.max() - radii.min() <= ROUND * radii.max())


def _is_turned(places: np.ndarray) -> bool:
    """Whether all vertices lie on one end or the other: a cylinder or a cone, and no bottle."""
    middle, half = _middle(places)
    return bool(np.allclose(np.abs(places[:, 2] - middle[2]), half[2], rtol=ROUND))


def _middle(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the box around them, and its half size."""
    low, high = places.min(0), places.max(0)
    return (low + high) / 2.0, (high - low) / 2.0


SOLIDS = {
    "cube": ("cube", _is_box),
    "sphere": ("sphere", _is_ball),
    "uv sphere": ("sphere", _is_ball),
    "icosphere": ("sphere", _is_ball),
    "ico sphere": ("sphere", _is_ball),
    "cylinder": ("cylinder", _is_turned),
    "cone": ("cone", _is_turned),
}
"""What Blender calls new solids: the word for one, and whether it is still one."""
