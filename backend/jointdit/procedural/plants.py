# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees and bushes of several kinds."""

from random import Random

from .palette import TRUNK, Colour, scaled, vary
from .scene import Material, Scene
from .solids import Stand

BIRCH: Colour = (0.82, 0.80, 0.76)
LEAF: Colour = (0.18, 0.42, 0.13)
FORMS = {"round": 0.30, "full": 0.30, "fir": 0.25, "poplar": 0.15}  # of single trees


def leaves(rng: Random, colour: Colour, height: float) -> Material:
    """Foliage of a tree that is `height` metres high, no two alike."""
    own = vary(rng, scaled(colour, rng.uniform(0.88, 1.1)), 0.025)
    return Material(own, scaled(own, 0.58), 0.8, height * 0.09)


def trunk(rng: Random, scene: Scene, x: float, z: float, height: float, top: float, white: bool = False) -> None:
    """A trunk up to `top` of a tree that is `height` metres high."""
    thick = height * rng.uniform(0.030, 0.045)
    bark = BIRCH if white else vary(rng, TRUNK)
    scene.frustum(x, z, 0, top, thick * 1.25, thick * 0.8, Material(bark, scaled(bark, 0.6), 0.6, height * 0.05))


def grow(rng: Random, scene: Scene, form: str, x: float, z: float, height: float, colour: Colour) -> None:
    """A tree of one of FORMS."""
    if form == "fir":
        trunk(rng, scene, x, z, height, 0.3 * height)
        green, wide, tiers = leaves(rng, colour, height), height * rng.uniform(0.22, 0.29), rng.choice((2, 3, 3, 4))
        bottom = rng.uniform(0.10, 0.2)
        for tier in range(tiers):
            low = bottom + (0.94 - bottom) * tier / (tiers + 0.4)
            top = min(1.0, low + 1.5 * (1 - bottom) / tiers)
            scene.frustum(x, z, low * height, (1.0 if tier == tiers - 1 else top) * height, wide * (1 - 0.78 * tier / tiers), 0, green)
        return
    trunk(rng, scene, x, z, height, 0.6 * height, white=rng.random() < 0.15)
    if form == "poplar":
        wide = height * rng.uniform(0.11, 0.15)
        scene.ellipsoid((x, 0.56 * height, z), (wide, 0.44 * height, wide), leaves(rng, colour, height))
    elif form == "round":
        wide, tall = height * rng.uniform(0.25, 0.33), height * rng.uniform(0.29, 0.34)
        scene.ellipsoid((x, height - tall, z), (wide, tall, wide), leaves(rng, colour, height))
    else:
        size = height * rng.uniform(0.20, 0.23)
        scene.ellipsoid((x, 0.98 * height - size, z), (size * 1.1, size, size * 1.1), leaves(rng, colour, height))
        turn = rng.choice((-1, 1))
        for across, up, along in ((-0.17, 0.58, -0.05), (0.17, 0.63, 0.04), (0.03, 0.52, -0.12))[: rng.choice((2, 3, 3))]:
            lump = size * rng.uniform(0.78, 1.0)
            place = (x + turn * across * height, up * height, z + along * height)
            scene.ellipsoid(place, (lump * 1.1, lump * 0.92, lump * 1.1), leaves(rng, colour, height))


def tree(scene: Scene, at: Stand, rng: Random) -> float:
    """A tree that stands for itself; only green ones are firs."""
    form = rng.choices(list(FORMS), list(FORMS.values()))[0]
    if form == "fir" and at.name != "green":
        form = "full"
    at.notes["form"] = form
    grow(rng, scene, form, at.x, at.z, at.height, at.colour)
    return at.height * 0.14


def grove(rng: Random, scene: Scene, kind: str) -> None:
    """Five to eight trees of one kind ("fir" or "round") at different distances, none hiding the whole view."""
    count = rng.randint(5, 8)
    spread = scene.half
    for index in range(count):
        z, height = rng.uniform(11, 32), rng.uniform(4, 7.5)
        x = ((index + rng.uniform(0.2, 0.8)) / count * 2 - 1) * spread * z
        plant(rng, scene, kind, x, z, height)


def plant(rng: Random, scene: Scene, kind: str, x: float, z: float, height: float) -> None:
    """A plain green tree that belongs to the landscape."""
    form = kind if kind == "fir" else rng.choice(("round", "full"))
    grow(rng, scene, form, x, z, height, LEAF)
    scene.footprints.append((x, z, height * 0.12))


def bush(rng: Random, scene: Scene, x: float, z: float, height: float) -> None:
    """A round bush, two lumps."""
    for side in (-1, 1):
        size = height * rng.uniform(0.5, 0.65)
        place = (x + side * size * 0.7, size * 0.55, z + rng.uniform(-0.4, 0.4) * size)
        scene.ellipsoid(place, (size * 1.05, size, size), leaves(rng, LEAF, height * 4))
    scene.footprints.append((x, z, height * 0.8))
