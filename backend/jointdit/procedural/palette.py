# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named colours, grounds and skies of the procedural scenes. Colours are sRGB triples in [0, 1]; lights are linear."""

from dataclasses import dataclass
from random import Random

Colour = tuple[float, float, float]

OBJECT_COLOURS: dict[str, Colour] = {
    "red": (0.82, 0.08, 0.07),
    "green": (0.10, 0.58, 0.16),
    "blue": (0.10, 0.25, 0.85),
    "yellow": (0.97, 0.84, 0.08),
    "orange": (0.97, 0.47, 0.05),
    "purple": (0.50, 0.15, 0.68),
    "white": (0.93, 0.93, 0.92),
    "black": (0.07, 0.07, 0.08),
    "pink": (0.97, 0.50, 0.70),
    "brown": (0.43, 0.25, 0.12),
    "grey": (0.50, 0.50, 0.51),
}

DOOR: Colour = (0.30, 0.17, 0.09)
WINDOW: Colour = (0.16, 0.22, 0.30)
TRUNK: Colour = (0.36, 0.24, 0.15)


@dataclass(frozen=True)
class Ground:
    """What the scene stands on: its two colours, mottled by noise, and the object colours that would be lost on it."""

    name: str
    colour: Colour
    second: Colour
    too_alike: tuple[str, ...]


GROUNDS: dict[str, Ground] = {
    ground.name: ground
    for ground in (
        Ground("grass", (0.34, 0.58, 0.18), (0.22, 0.43, 0.12), ("green",)),
        Ground("sand", (0.90, 0.76, 0.50), (0.80, 0.63, 0.38), ("brown", "yellow")),
        Ground("snow", (0.90, 0.92, 0.95), (0.76, 0.82, 0.90), ("white",)),
        Ground("dirt", (0.50, 0.35, 0.22), (0.38, 0.26, 0.16), ("brown",)),
        Ground("stone", (0.55, 0.55, 0.55), (0.42, 0.42, 0.43), ("grey",)),
        Ground("water", (0.05, 0.25, 0.36), (0.04, 0.19, 0.30), ("blue", "green")),
    )
}


@dataclass(frozen=True)
class Sky:
    """A sky and its light. `sun` and `ambient` are linear; elevation (degrees) is the range the light comes from."""

    zenith: Colour
    horizon: Colour
    sun: Colour
    ambient: Colour
    elevation: tuple[float, float]
    cloud: tuple[float, float]  # cover, 0 none to 1 full
    cloud_colour: Colour
    fog: tuple[float, float]  # distance in metres at which the haze has taken 63 %
    shade: float = 0.85  # how much of the direct light a shadow takes


SKIES: dict[str, Sky] = {
    "clear": Sky((0.16, 0.42, 0.86), (0.70, 0.84, 0.96), (1.05, 0.98, 0.86), (0.34, 0.39, 0.47), (28, 60), (0.0, 0.0), (1.0, 1.0, 1.0), (700, 1600)),
    "cloudy": Sky((0.22, 0.46, 0.84), (0.74, 0.84, 0.94), (0.90, 0.86, 0.78), (0.40, 0.43, 0.48), (30, 60), (0.42, 0.62), (0.97, 0.97, 0.98), (600, 1300)),
    "sunset": Sky((0.28, 0.27, 0.52), (0.98, 0.60, 0.32), (1.00, 0.58, 0.30), (0.36, 0.28, 0.32), (10, 20), (0.0, 0.45), (0.93, 0.52, 0.46), (500, 1200)),
    "overcast": Sky(
        (0.56, 0.60, 0.65), (0.78, 0.80, 0.82), (0.26, 0.26, 0.26), (0.62, 0.64, 0.67), (50, 75), (0.75, 0.95), (0.70, 0.73, 0.76), (160, 450), 0.35
    ),
    "night": Sky((0.03, 0.05, 0.17), (0.11, 0.16, 0.34), (0.30, 0.35, 0.48), (0.105, 0.125, 0.20), (30, 55), (0.0, 0.0), (0.2, 0.25, 0.4), (500, 1200)),
    "fog": Sky((0.74, 0.77, 0.80), (0.80, 0.82, 0.84), (0.20, 0.20, 0.19), (0.62, 0.64, 0.66), (40, 70), (0.0, 0.0), (1.0, 1.0, 1.0), (26, 48), 0.35),
    "golden": Sky((0.33, 0.49, 0.76), (0.99, 0.86, 0.62), (1.18, 0.80, 0.44), (0.37, 0.34, 0.37), (11, 18), (0.0, 0.42), (1.0, 0.90, 0.76), (450, 1100)),
}
SUNRISE = Sky((0.40, 0.45, 0.70), (0.99, 0.74, 0.62), (0.98, 0.70, 0.52), (0.40, 0.36, 0.42), (10, 20), (0.0, 0.45), (0.98, 0.72, 0.70), (400, 900))

ROADS: dict[str, Colour] = {"asphalt": (0.27, 0.27, 0.29), "dirt": (0.56, 0.43, 0.29), "gravel": (0.66, 0.63, 0.58)}
SEA: Colour = (0.05, 0.25, 0.36)

ROOM_COLOURS: dict[str, Colour] = {
    "white": (0.90, 0.89, 0.87),
    "blue": (0.42, 0.58, 0.80),
    "green": (0.52, 0.70, 0.50),
    "yellow": (0.93, 0.83, 0.48),
    "pink": (0.92, 0.68, 0.72),
    "grey": (0.62, 0.63, 0.65),
    "red": (0.70, 0.26, 0.23),
    "orange": (0.92, 0.62, 0.36),
    "purple": (0.60, 0.48, 0.74),
}

FLOORS: dict[str, tuple[Colour, Colour]] = {
    "wooden": ((0.62, 0.42, 0.25), (0.52, 0.34, 0.19)),
    "grey": ((0.50, 0.50, 0.51), (0.45, 0.45, 0.46)),
    "white": ((0.86, 0.85, 0.83), (0.80, 0.79, 0.77)),
    "dark": ((0.22, 0.20, 0.19), (0.18, 0.16, 0.15)),
}


def vary(rng: Random, colour: Colour, amount: float = 0.03) -> Colour:
    """The colour a little off."""
    red, green, blue = (min(1.0, max(0.0, c + rng.uniform(-amount, amount))) for c in colour)
    return red, green, blue


def scaled(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor below 1) or lighter."""
    red, green, blue = (min(1.0, c * factor) for c in colour)
    return red, green, blue


def linear(colour: Colour) -> Colour:
    """sRGB triple in [0, 1] to linear light in [0, 1]."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return red, green, blue
