# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands where in somebody's scene, found by rays: what a camera looks at, whether a viewpoint can be reached, how much of it sees the sun."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import bpy
from mathutils import Matrix, Vector

from ..core.viewpoints import View, looking
from .seethrough import is_fog
from .units import meters

GRID = 9
"""Rays across a view."""
NEAR_SHARE, NEAR = 0.35, 1.5
"""A thing in the middle of the view stands in the way if it is nearer than this share of the way to the target; anywhere in it, if it is also nearer than
so many meters: the ground before a camera that looks far away is no obstacle."""
BLOCKED, EMPTY = 0.3, 0.1
"""Shares of a view: that near things may fill, and that something must fill."""
CLEARANCE, ENOUGH = 0.05, 0.3
"""What must be free around a camera: a share of the way to the target, and the meters that are enough however far that is."""
PASSED = 32
"""Things that cameras do not see, passed by one ray at most."""
AROUND = tuple(Vector((x, y, z)).normalized() for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0))


def show_what_renders(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> None:
    """Let rays meet what a render shows, and nothing else: Blender casts them against what the viewport shows."""
    pending = [layer.layer_collection]
    while pending:
        shown = pending.pop()
        pending += shown.children
        _set(shown, "hide_viewport", False)
        _set(shown.collection, "hide_viewport", shown.collection.hide_render)
    for item in scene.objects:
        _set(item, "hide_viewport", item.hide_render)
        if item.name in layer.objects and item.hide_get(view_layer=layer):
            item.hide_set(False, view_layer=layer)
        for modifier in item.modifiers:
            _set(modifier, "show_viewport", modifier.show_render)
    layer.update()


def _set(owner: bpy.types.bpy_struct, name: str, value: bool) -> None:
    """Setting what is so already would have everything computed anew."""
    if getattr(owner, name) != value:
        setattr(owner, name, value)


class Survey:
    """One scene at one time; made anew after its frame has changed."""

    def __init__(self, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
        self._scene, self._depsgraph = scene, depsgraph
        self._unseen = {item.as_pointer() for item in bpy.data.objects if not _is_seen(item)}

    def cast(self, origin: Vector, direction: Vector, distance: float = 1e6) -> Vector | None:
        """Where a ray first meets something that cameras see."""
        start, left = origin.copy(), distance
        for _ in range(PASSED):
            hit, place, _, _, item, _ = self._scene.ray_cast(self._depsgraph, start, direction, distance=left)
            if not hit:
                return None
            if item is None or item.original.as_pointer() not in self._unseen:
                return place
            # On from a little behind it; the step is one that float32 can tell apart there.
            step = max(1e-4, 1e-5 * max(abs(place.x), abs(place.y), abs(place.z)))
            left -= (place - start).length + step
            start = place + direction * step
            if left <= 0.0:
                return None
        return None

    def target(self, camera: Matrix, half_width: float, half_height: float) -> Vector | None:
        """What a camera looks at: what its middle ray meets, else the ray nearest to the middle that meets anything; None in the void.

        The half sizes are those of the view at distance 1.
        """
        spots = sorted(_spots(half_width, half_height), key=lambda spot: spot.x**2 + spot.y**2)
        for spot in spots:
            place = self.cast(camera.translation, (camera.to_3x3() @ spot).normalized())
            if place is not None:
                return place
        return None

    def seen(self, camera: Matrix, half_width: float, half_height: float) -> list[Vector | None]:
        """What a grid of rays over a view meets."""
        turned = camera.to_3x3()
        return [self.cast(camera.translation, (turned @ spot).normalized()) for spot in _spots(half_width, half_height)]

    def is_free(self, start: Vector, end: Vector) -> bool:
        """Whether nothing stands between two places."""
        way = end - start
        return way.length < 1e-6 or self.cast(start, way.normalized(), way.length) is None

    def choose(self, tries: Iterable[View], reached: Sequence[Vector], aspect: float, clip_start: float) -> View | None:
        """The first view that is good: it can be reached in a straight line from a place where a camera was, so it is in no solid and behind no wall;
        nothing touches the camera, little stands in its way, and it does not look into the void.
        """
        return next((view for view in tries if self._is_good(view, reached, aspect, clip_start)), None)

    def _is_good(self, view: View, reached: Sequence[Vector], aspect: float, clip_start: float) -> bool:
        place = Vector(view.position)
        if not any(self.is_free(before, place) for before in reversed(reached)):
            return False
        clearance = max(2.0 * clip_start, min(CLEARANCE * view.distance, ENOUGH / meters(self._scene)))
        if any(self.cast(place, direction, clearance) is not None for direction in AROUND):
            return False
        half = math.tan(math.radians(view.fov) / 2.0)
        camera = Matrix(looking(view).tolist())
        hits = self.seen(camera, half, half / aspect)
        way = NEAR_SHARE * view.distance
        near = sum(hit is not None and (hit - place).length < min(way, NEAR / meters(self._scene)) for hit in hits)
        middle = hits[len(hits) // 2]
        barred = middle is not None and (middle - place).length < way
        return not barred and near <= BLOCKED * len(hits) and sum(hit is not None for hit in hits) >= EMPTY * len(hits)

    def lit(self, places: Sequence[Vector | None], eye: Vector, towards_sun: Vector) -> float:
        """The share of places (None: the void) at which nothing stands between them and the sun."""
        met = [place for place in places if place is not None]
        # From a little before the surface, towards the eye that saw it.
        starts = [place + (eye - place) * 1e-3 for place in met]
        return sum(self.cast(start, towards_sun) is None for start in starts) / len(met) if met else 0.0


def _spots(half_width: float, half_height: float) -> list[Vector]:
    """Directions in camera space over a view, row by row; the middle one is straight ahead."""
    steps = [2.0 * (number + 0.5) / GRID - 1.0 for number in range(GRID)]
    return [Vector((x * half_width, y * half_height, -1.0)) for y in steps for x in steps]


def _is_seen(item: bpy.types.Object) -> bool:
    """Whether cameras see an object: it may be hidden from them, or be nothing but fog."""
    return not item.hide_render and item.visible_camera and not is_fog(item)
