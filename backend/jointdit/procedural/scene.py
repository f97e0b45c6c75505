# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene as plain numbers. World axes: x right, y up, z forward, metres; the camera stands at (0, height, 0)."""

import math
from dataclasses import dataclass, field
from typing import Any

from .palette import Colour

Plane = tuple[float, float, float, float]  # nx, ny, nz, d: the inside is n . p <= d
Point = tuple[float, float, float]

HORIZONTAL_ANGLE: float = 55.0  # degrees, of most pictures
MATERIAL_FIELDS = ("red", "green", "blue", "red2", "green2", "blue2", "grain", "grain_size", "stripe", "water", "glow", "brick")
SURFACE_FIELDS = ("scale_x", "scale_y", "scale_z", "centre_x", "centre_y", "centre_z", "taper", "normal_x", "normal_y", "normal_z", *MATERIAL_FIELDS)


@dataclass(frozen=True)
class Material:
    """Colour mixed with a second one by noise (`grain` 0..1, features of `grain_size` metres) or by `stripe` metres high bands.

    `glow` (0..1) is the share of the colour that needs no light; `brick` the height of courses of bricks or stones, with joints of the second colour.
    """

    colour: Colour
    second: Colour | None = None
    grain: float = 0.0
    grain_size: float = 1.0
    stripe: float = 0.0
    water: float = 0.0
    glow: float = 0.0
    brick: float = 0.0

    def numbers(self) -> tuple[float, ...]:
        """MATERIAL_FIELDS, colours still in sRGB."""
        return (*self.colour, *(self.second or self.colour), self.grain, self.grain_size, self.stripe, self.water, self.glow, self.brick)


@dataclass
class Scene:
    """One scene: what the renderer needs (geometry, surfaces, environment) and what the caption needs (kind, objects, ...).

    Surface normals are written as `scale * (p - centre) + (0, taper * radius, 0) + normal`, one row of SURFACE_FIELDS each. The six sides of a box
    share one material and get their surfaces when scenes are packed.
    """

    seed: int
    kind: str  # "objects", "landscape", "studio", "room"
    camera_height: float = 1.7
    pitch: float = 0.0  # radians, positive looks up
    angle: float = HORIZONTAL_ANGLE  # degrees, of the picture's width
    fill: float = -1.0  # of a line drawing, how much of its colour stays; below 0: no line drawing
    warm: float = 0.0  # of a line drawing, how yellow the paper is
    free: float = math.inf  # metres: how far away things may stand
    environment: dict[str, tuple[float, ...]] = field(default_factory=dict)
    surfaces: list[tuple[float, ...]] = field(default_factory=list)
    materials: list[tuple[float, ...]] = field(default_factory=list)  # of the boxes
    ellipsoids: list[tuple[float, ...]] = field(default_factory=list)  # centre xyz, radii xyz, surface
    hills: list[tuple[float, ...]] = field(default_factory=list)  # as ellipsoids, casting no shadow
    frusta: list[tuple[float, ...]] = field(default_factory=list)  # x, z, bottom, top, radius below, radius above, surface
    boxes: list[tuple[float, ...]] = field(default_factory=list)  # centre xyz, half sides xyz, own x axis as x and z, material
    polyhedra: list[tuple[list[Plane], tuple[float, ...], int]] = field(default_factory=list)  # planes; position and reach; surface of the first plane
    curtains: list[tuple[float, ...]] = field(default_factory=list)  # see packing.CURTAIN_FIELDS
    footprints: list[Point] = field(default_factory=list)  # x, z, radius: contact shade on the floor
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def half(self) -> float:
        """Half the picture's width in the image plane at distance 1."""
        return math.tan(math.radians(self.angle) / 2)

    def surface(self, material: Material, scale: Point = (0, 0, 0), centre: Point = (0, 0, 0), taper: float = 0.0, normal: Point = (0, 0, 0)) -> int:
        """Add a surface and return its index."""
        self.surfaces.append((*scale, *centre, taper, *normal, *material.numbers()))
        return len(self.surfaces) - 1

    def ellipsoid(self, centre: Point, radii: Point, material: Material, hill: bool = False) -> None:
        """Add an axis-aligned ellipsoid."""
        x, y, z = radii
        surface = self.surface(material, (1 / x**2, 1 / y**2, 1 / z**2), centre)
        (self.hills if hill else self.ellipsoids).append((*centre, *radii, surface))

    def frustum(self, x: float, z: float, bottom: float, top: float, below: float, above: float, material: Material) -> None:
        """Add an upright cylinder, cone or anything between, with both caps."""
        numbers = material.numbers()
        self.frusta.append((x, z, bottom, top, below, above, len(self.surfaces)))
        self.surfaces += (
            (1, 0, 1, x, 0, z, (below - above) / (top - bottom), 0, 0, 0, *numbers),
            (0, 0, 0, 0, 0, 0, 0, 0, 1, 0, *numbers),
            (0, 0, 0, 0, 0, 0, 0, 0, -1, 0, *numbers),
        )

    def polyhedron(self, planes: list[tuple[Plane, Material]], position: Point, yaw: float, reach: Point) -> None:
        """Add a convex solid given by planes in its own axes, turned by `yaw` radians about y and moved to `position`.

        `reach` bounds it: distance from its own y axis, lowest and highest y, in its own axes.
        """
        cos, sin = math.cos(yaw), math.sin(yaw)
        x, y, z = position
        turned = []
        first = len(self.surfaces)
        for (nx, ny, nz, d), material in planes:
            length = math.sqrt(nx * nx + ny * ny + nz * nz)
            a, b, c = (cos * nx + sin * nz) / length, ny / length, (cos * nz - sin * nx) / length
            turned.append((a, b, c, d / length + a * x + b * y + c * z))
            self.surfaces.append((0, 0, 0, 0, 0, 0, 0, a, b, c, *material.numbers()))
        self.polyhedra.append((turned, (x, y, z, *reach), first))

    def box(self, half: Point, position: Point, yaw: float, material: Material) -> None:
        """Add a box with half sides `half` around `position`."""
        self.boxes.append((*position, *half, math.cos(yaw), -math.sin(yaw), len(self.materials)))
        self.materials.append(material.numbers())
