# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked of a panorama: kinds, sizes, views, and what is seen in which direction. No torch: it is checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import InputError

KINDS = ("sphere", "strip")
DIRECTIONS = ("up", "down", "front", "right", "back", "left")
ROUTES = ("views", "latents")
"""How a sphere is painted: by perspective views that agree, or as one equirectangular picture (for models with a LoRA for panoramas)."""
VIEW_COUNTS = (6, 14, 18, 26)
DEFAULT_VIEWS = 18
LARGEST_DEFAULT_SIDE = 512
"""Pixels of a view or a window where nothing else is asked for; a model that was trained on smaller pictures gets its own size."""
INDOORS = {
    *("room", "kitchen", "bedroom", "bathroom", "hall", "hallway", "corridor", "interior", "inside", "indoor", "indoors", "cellar", "basement", "attic"),
    *("office", "library", "classroom", "studio", "workshop", "garage", "church", "cathedral", "cave", "museum", "restaurant", "cafe", "theater", "theatre"),
}
"""Words of a prompt that put a ceiling above instead of a sky."""


def check_asked(kind: str, route: str, views: int | None, parts: Mapping[str, str], front: object | None) -> None:
    """Refuse what does not go together, with a sentence (`InputError`)."""
    if kind not in KINDS:
        raise InputError(f"There is no panorama of the kind {kind!r}; choose {' or '.join(KINDS)}.")
    if route not in ROUTES:
        raise InputError(f"A sphere cannot be made by {route!r}; choose {' or '.join(ROUTES)}.")
    if views == 1:
        raise InputError("One view cannot show a whole sphere. Choose 6, 14, 18 or 26 views, or make a single picture.")
    if views is not None and views not in VIEW_COUNTS:
        raise InputError(f"A sphere is made of {', '.join(map(str, VIEW_COUNTS))} views, not of {views}.")
    for direction in parts:
        if direction not in DIRECTIONS:
            raise InputError(f"There is no direction {direction!r}; a part of the prompt can stand for {', '.join(DIRECTIONS)}.")
    if kind == "strip" and (parts or front or views):
        what = "directions of the prompt" if parts else "a front view" if front else "a number of views"
        raise InputError(f"A strip has no {what.removeprefix('a ')}; choose the kind sphere for it.")
    if route == "latents" and (parts or front or views):
        what = "directions of the prompt" if parts else "a front view" if front else "views"
        raise InputError(f"A sphere that is painted as one picture has no {what.removeprefix('a ')}; choose the route views for it.")


def panorama_size(kind: str, width: int | None, height: int | None, native: int) -> tuple[int, int]:
    """(width, height) of a panorama in pixels. Raises `InputError` with a sentence where a size does not tile.

    A sphere is twice as wide as high and made of views a quarter as wide; a strip is made of square windows as high as itself, half a window apart.
    """
    side = min(native, LARGEST_DEFAULT_SIDE)
    if kind == "sphere":
        width, height = width or 2 * (height or 2 * side), height or (width or 4 * side) // 2
        if width != 2 * height:
            wanted = _near(2 * height, 64, 128)
            raise InputError(f"A sphere is twice as wide as high; {width} x {height} pixels are not. Try {wanted} x {wanted // 2}.")
        if width % 64 or width < 128:
            raise InputError(f"The width of a sphere must be a multiple of 64 from 128 on, so that its views fit; {width} is not. Try {_near(width, 64, 128)}.")
        return width, height
    width, height = width or 4 * (height or side), height or (width or 4 * side) // 4
    if height % 32 or height < 64:
        raise InputError(f"The height of a strip must be a multiple of 32 from 64 on, so that its windows fit; {height} is not. Try {_near(height, 32, 64)}.")
    if width % (height // 2) or width < 2 * height:
        wanted = _near(width, height // 2, 2 * height)
        raise InputError(f"The width of a strip must be a multiple of half its height ({height // 2}), twice the height at least; try {wanted}, not {width}.")
    return width, height


def view_side(width: int) -> int:
    """The side of the views of a sphere so wide: one covers 90 degrees of it."""
    return width // 4


def _near(size: int, multiple: int, least: int) -> int:
    """The multiple that is nearest to a size."""
    return max(least, round(size / multiple) * multiple)


def default_parts(prompt: str) -> dict[str, str]:
    """What is above and below where nobody said it: sky and ground, or ceiling and floor where the prompt speaks of a room."""
    indoors = INDOORS & {word.strip(".,;:!?'\"()").lower() for word in prompt.split()}
    above, below = ("ceiling", "floor") if indoors else ("sky", "ground")
    return {"up": f"looking up at the {above}, {prompt}", "down": f"looking down at the {below}, {prompt}"}
