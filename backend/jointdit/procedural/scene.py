# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene as plain numbers. World axes: x right, y up, z forward, metres; the camera stands at (0, height, 0)."""

import math
from dataclasses import dataclass, field
from typing import Any

from .palette import Colour, linear

Plane = tuple[float, float, float, float]  # nx, ny, nz, d: the inside is n . p <= d
Point = tuple[float, float, float]

SURFACE_FIELDS = (
    "scale_x", "scale_y", "scale_z", "centre_x", "centre_y", "centre_z", "taper", "normal_x", "normal_y", "normal_z",
    "red", "green", "blue", "red2", "green2", "blue2", "grain", "grain_size", "stripe", "water",
)  # fmt: skip


@dataclass(frozen=True)
class Material:
    """Colour mixed with a second one by noise (`grain` 0..1, features of `grain_size` metres) or by `stripe` metres high bands."""

    colour: Colour
    second: Colour | None = None
    grain: float = 0.0
    grain_size: float = 1.0
    stripe: float = 0.0
    water: float = 0.0

    def numbers(self) -> tuple[float, ...]:
        return (*linear(self.colour), *linear(self.second or self.colour), self.grain, self.grain_size, self.stripe, self.water)


@dataclass
class Scene:
    """One scene: what the renderer needs (geometry, surfaces, environment) and what the caption needs (kind, objects, ...).

    Surface normals are written as `scale * (p - centre) + (0, taper * radius, 0) + normal`, one row of SURFACE_FIELDS each.
    """

    seed: int
    kind: str  # "objects", "landscape", "studio", "room"
    camera_height: float = 1.7
    pitch: float = 0.0  # radians, positive looks up
    environment: dict[str, tuple[float, ...]] = field(default_factory=dict)
    surfaces: list[tuple[float, ...]] = field(default_factory=list)
    ellipsoids: list[tuple[float, ...]] = field(default_factory=list)  # centre xyz, radii xyz, surface
    hills: list[tuple[float, ...]] = field(default_factory=list)  # as ellipsoids, casting no shadow
    frusta: list[tuple[float, ...]] = field(default_factory=list)  # x, z, bottom, top, radius below, radius above, surface
    polyhedra: list[tuple[list[Plane], int]] = field(default_factory=list)  # planes, surface of the first plane
    curtains: list[tuple[float, ...]] = field(default_factory=list)  # see packing.CURTAIN_FIELDS
    footprints: list[Point] = field(default_factory=list)  # x, z, radius: contact shade on the floor
    about: dict[str, Any] = field(default_factory=dict)

    def surface(self, material: Material, scale: Point = (0, 0, 0), centre: Point = (0, 0, 0), taper: float = 0.0, normal: Point = (0, 0, 0)) -> int:
        """Add a surface and return its index."""
        self.surfaces.append((*scale, *centre, taper, *normal, *material.numbers()))
        return len(self.surfaces) - 1

    def ellipsoid(self, centre: Point, radii: Point, material: Material, hill: bool = False) -> None:
        """Add an axis-aligned ellipsoid."""
        surface = self.surface(material, scale=tuple(1 / r**2 for r in radii), centre=centre)
        (self.hills if hill else self.ellipsoids).append((*centre, *radii, surface))

    def frustum(self, x: float, z: float, bottom: float, top: float, below: float, above: float, material: Material) -> None:
        """Add an upright cylinder, cone or anything between, with both caps."""
        first = self.surface(material, scale=(1, 0, 1), centre=(x, 0, z), taper=(below - above) / (top - bottom))
        self.surface(material, normal=(0, 1, 0))
        self.surface(material, normal=(0, -1, 0))
        self.frusta.append((x, z, bottom, top, below, above, first))

    def polyhedron(self, planes: list[tuple[Plane, Material]], position: Point, yaw: float) -> None:
        """Add a convex solid given by planes in its own axes, turned by `yaw` radians about y and moved to `position`."""
        cos, sin = math.cos(yaw), math.sin(yaw)
        turned = []
        for (nx, ny, nz, d), _ in planes:
            length = math.sqrt(nx * nx + ny * ny + nz * nz)
            n = ((cos * nx + sin * nz) / length, ny / length, (cos * nz - sin * nx) / length)
            turned.append((*n, d / length + sum(a * b for a, b in zip(n, position, strict=True))))
        first = len(self.surfaces)
        for plane, (_, material) in zip(turned, planes, strict=True):
            self.surface(material, normal=plane[:3])
        self.polyhedra.append((turned, first))

    def box(self, half: Point, position: Point, yaw: float, material: Material) -> None:
        """Add a box with half sides `half` around `position`."""
        x, y, z = half
        planes = [(1, 0, 0, x), (-1, 0, 0, x), (0, 1, 0, y), (0, -1, 0, y), (0, 0, 1, z), (0, 0, -1, z)]
        self.polyhedron([(plane, material) for plane in planes], position, yaw)
