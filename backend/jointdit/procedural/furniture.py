# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Furniture, built around (x, z) with its front towards its own -z, and what hangs on walls or lies on floors."""

from random import Random

from .palette import DOOR, FLOORS, OBJECT_COLOURS, Colour, scaled, vary
from .scene import Material, Scene
from .solids import Stand

WHITE: Colour = (0.93, 0.93, 0.91)
BOOKS: tuple[Colour, ...] = tuple(OBJECT_COLOURS[name] for name in ("red", "blue", "green", "brown", "orange", "white"))
FROM_WALL = {"wardrobe": 0.32, "shelf": 0.2, "sofa": 0.5, "bed": 0.7}  # metres from the back wall to the middle of what stands along it


def legs(scene: Scene, at: Stand, wide: float, deep: float, high: float, thick: float, wood: Material) -> None:
    """Four legs at the corners of a rectangle."""
    for across in (-wide, wide):
        for along in (-deep, deep):
            at.box(scene, (thick, high / 2, thick), across, high / 2, along, wood)


def table(scene: Scene, at: Stand, rng: Random) -> float:
    """A table top on four legs."""
    wide, deep, top = at.height * rng.uniform(0.75, 0.95), at.height * rng.uniform(0.5, 0.65), at.height * 0.05
    wood = Material(at.colour)
    at.box(scene, (wide, top, deep), 0, at.height - top, 0, wood)
    legs(scene, at, 0.88 * wide, 0.85 * deep, 0.9 * at.height, 0.05 * at.height, wood)
    return at.height * 0.5


def bed(scene: Scene, at: Stand, rng: Random) -> float:
    """A bed along the back wall: mattress in the colour, white pillow, wooden head board."""
    wide, deep = at.height * 1.15, at.height * 0.62
    scene.box((wide, at.height * 0.24, deep), (at.x, at.height * 0.28, at.z), 0, Material(at.colour))
    head = -1 if at.x < 0 else 1
    scene.box((at.height * 0.05, at.height * 0.5, deep * 1.04), (at.x + head * wide, at.height * 0.5, at.z), 0, Material(OBJECT_COLOURS["brown"]))
    pillow = (at.x + head * wide * 0.74, at.height * 0.55, at.z)
    scene.ellipsoid(pillow, (wide * 0.2, at.height * 0.12, deep * 0.7), Material((0.95, 0.95, 0.95)))
    return at.height * 0.8


def chair(scene: Scene, at: Stand, rng: Random) -> float:
    """A seat with a back on four legs."""
    half, seat, thick = at.height * 0.24, at.height * 0.48, at.height * 0.028
    wood = Material(at.colour)
    at.box(scene, (half, thick, half), 0, seat, 0, wood)
    legs(scene, at, 0.86 * half, 0.86 * half, seat - thick, thick, wood)
    if rng.random() < 0.5:
        at.box(scene, (half, 0.22 * at.height, thick), 0, 0.78 * at.height, half - thick, wood)
    else:
        for across in (-0.86 * half, 0.86 * half):
            at.box(scene, (thick, 0.25 * at.height, thick), across, 0.74 * at.height, half - thick, wood)
        for up in (0.7, 0.93):
            at.box(scene, (half, 0.055 * at.height, thick), 0, up * at.height, half - thick, wood)
    return at.height * 0.3


def wardrobe(scene: Scene, at: Stand, rng: Random) -> float:
    """A tall cupboard with two doors."""
    wide, deep = at.height * rng.uniform(0.26, 0.32), 0.28
    at.box(scene, (wide, 0.5 * at.height, deep), 0, 0.5 * at.height, 0, Material(at.colour))
    panel, knob = Material(scaled(at.colour, 1.12 if max(at.colour) < 0.85 else 0.9)), Material(scaled(at.colour, 0.35))
    for side in (-1, 1):
        at.box(scene, (0.46 * wide, 0.45 * at.height, 0.012), side * 0.49 * wide, 0.5 * at.height, -deep, panel)
        at.box(scene, (0.018, 0.06, 0.02), side * 0.1 * wide, 0.52 * at.height, -deep - 0.02, knob)
    return wide


def shelf(scene: Scene, at: Stand, rng: Random) -> float:
    """A book shelf: sides, boards and rows of books."""
    wide, deep, thick = at.height * rng.uniform(0.24, 0.3), 0.16, 0.018
    wood, count = Material(at.colour), rng.choice((3, 4))
    for side in (-1, 1):
        at.box(scene, (thick, at.height / 2, deep), side * wide, at.height / 2, 0, wood)
    at.box(scene, (wide, at.height / 2, 0.01), 0, at.height / 2, deep - 0.01, Material(scaled(at.colour, 0.75)))
    gap = (at.height - 2 * thick) / count
    for board in range(count + 1):
        at.box(scene, (wide, thick, deep), 0, thick + board * gap, 0, wood)
    for board in range(count):
        left, end = -0.94 * wide, wide * rng.uniform(-0.1, 0.9)
        while left < end:
            half, high = rng.uniform(0.05, 0.1) * wide / 0.5, gap * rng.uniform(0.28, 0.4)
            at.box(scene, (half, high, 0.7 * deep), left + half, 2 * thick + board * gap + high, 0, Material(vary(rng, rng.choice(BOOKS), 0.05)))
            left += 2 * half
    return wide


def sofa(scene: Scene, at: Stand, rng: Random) -> float:
    """Seat, back, two arms and two cushions."""
    wide, deep, arm = at.height * rng.uniform(0.95, 1.2), 0.42, 0.11
    cloth, lighter = Material(at.colour), Material(scaled(at.colour, 1.12 if max(at.colour) < 0.85 else 0.93))
    at.box(scene, (wide, 0.18 * at.height, deep), 0, 0.23 * at.height, 0, cloth)
    at.box(scene, (wide, 0.45 * at.height, 0.11), 0, 0.55 * at.height, deep - 0.11, cloth)
    for side in (-1, 1):
        at.box(scene, (arm, 0.32 * at.height, deep), side * (wide - arm), 0.37 * at.height, 0, cloth)
        at.box(scene, ((wide - 2 * arm) * 0.485, 0.07 * at.height, deep - 0.14), side * (wide - 2 * arm) * 0.5, 0.47 * at.height, -0.12, lighter)
    return at.height * 0.8


def lamp(scene: Scene, at: Stand, rng: Random) -> float:
    """A standing lamp: foot, pole and shade, which has the colour."""
    metal = Material((0.30, 0.29, 0.28))
    scene.frustum(at.x, at.z, 0, 0.03, 0.14, 0.13, metal)
    scene.frustum(at.x, at.z, 0.03, at.height * 0.8, 0.018, 0.018, metal)
    scene.frustum(at.x, at.z, at.height * 0.76, at.height, at.height * 0.14, at.height * 0.09, Material(at.colour, glow=0.35))
    return 0.16


def window(rng: Random, scene: Scene, x: float, back: float) -> None:
    """A window in the back wall, with its frame and daylight."""
    wide, high, middle = rng.uniform(0.5, 0.75), rng.uniform(0.42, 0.55), rng.uniform(1.5, 1.65)
    white = Material(WHITE)
    scene.box((wide + 0.06, high + 0.06, 0.02), (x, middle, back), 0, white)
    scene.box((wide, high, 0.02), (x, middle, back - 0.012), 0, Material((0.66, 0.82, 0.95), glow=0.85))
    scene.box((0.022, high, 0.02), (x, middle, back - 0.022), 0, white)
    scene.box((wide, 0.022, 0.02), (x, middle, back - 0.022), 0, white)


def picture(rng: Random, scene: Scene, x: float, back: float) -> None:
    """A framed picture on the back wall: a plain landscape of two bands."""
    wide, high, middle = rng.uniform(0.28, 0.5), rng.uniform(0.24, 0.36), rng.uniform(1.5, 1.7)
    scene.box((wide, high, 0.02), (x, middle, back), 0, Material(rng.choice((WHITE, (0.20, 0.15, 0.11), (0.72, 0.56, 0.22)))))
    sky, land = rng.choice((((0.62, 0.78, 0.92), (0.30, 0.50, 0.22)), ((0.95, 0.70, 0.45), (0.40, 0.28, 0.36)), ((0.85, 0.86, 0.88), (0.25, 0.36, 0.52))))
    wide, high = wide - 0.05, high - 0.05
    scene.box((wide, high * 0.6, 0.02), (x, middle + 0.4 * high, back - 0.01), 0, Material(sky))
    scene.box((wide, high * 0.4, 0.02), (x, middle - 0.6 * high, back - 0.01), 0, Material(land))


def door(rng: Random, scene: Scene, x: float, back: float) -> None:
    """A door in the back wall."""
    wood = vary(rng, rng.choice((DOOR, WHITE, (0.55, 0.38, 0.22))), 0.02)
    scene.box((0.50, 1.06, 0.015), (x, 1.06, back), 0, Material(scaled(wood, 0.75)))
    scene.box((0.43, 1.0, 0.02), (x, 1.0, back - 0.01), 0, Material(wood))
    scene.box((0.05, 0.02, 0.04), (x + 0.33, 1.0, back - 0.04), 0, Material((0.65, 0.62, 0.55)))


def rug(rng: Random, scene: Scene, x: float, z: float, colour: Colour) -> None:
    """A rectangular rug with a border."""
    wide, deep = rng.uniform(0.9, 1.4), rng.uniform(0.6, 0.9)
    scene.box((wide, 0.006, deep), (x, 0.006, z), 0, Material(scaled(colour, 0.7)))
    scene.box((wide - 0.1, 0.009, deep - 0.1), (x, 0.009, z), 0, Material(colour))


def floor_of(name: str) -> Material:
    """The material of a named floor."""
    colour, second = FLOORS[name]
    return Material(colour, second, 0.7, 0.25, brick=0.16 if name == "wooden" else 0.0)
