# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All things by name: who builds them, how high they are, how wide they look."""

from collections.abc import Callable
from random import Random

from .buildings import bench, house, lighthouse, tower
from .furniture import bed, chair, lamp, shelf, sofa, table, wardrobe
from .plants import tree
from .scene import Scene
from .solids import Stand, ball, column, cone, cube, cylinder, pyramid, rock

BUILDERS: dict[str, Callable[[Scene, Stand, Random], float]] = {
    builder.__name__: builder
    for builder in (
        ball, cube, cone, cylinder, column, pyramid, rock, house, tower, lighthouse, bench, tree, table, bed, chair, wardrobe, shelf, sofa, lamp,
    )
}  # fmt: skip
HEIGHTS: dict[str, tuple[float, float]] = {  # metres
    "ball": (0.9, 3.0), "cube": (0.9, 3.0), "cone": (1.0, 3.5), "cylinder": (1.0, 3.2), "column": (2.5, 6.0), "pyramid": (1.2, 5.0),
    "house": (3.6, 7.0), "tree": (3.0, 8.0), "tower": (5.0, 13.0), "lighthouse": (6.0, 14.0), "rock": (0.8, 2.6), "bench": (0.85, 0.95),
    "table": (0.75, 0.85), "bed": (0.9, 1.0), "chair": (0.85, 1.0), "wardrobe": (1.8, 2.1), "shelf": (1.5, 2.0), "sofa": (0.78, 0.9),
    "lamp": (1.4, 1.7),
}  # fmt: skip
WIDTHS: dict[str, float] = {  # half width over height, as the camera sees it at most
    "ball": 0.5, "cube": 0.7, "cone": 0.46, "cylinder": 0.42, "column": 0.19, "pyramid": 0.9, "house": 0.75, "tree": 0.38,
    "tower": 0.24, "lighthouse": 0.17, "rock": 0.9, "bench": 1.0, "table": 1.1, "bed": 1.2, "chair": 0.36, "wardrobe": 0.36, "shelf": 0.32,
    "sofa": 1.25, "lamp": 0.15,
}  # fmt: skip
