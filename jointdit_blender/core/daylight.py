# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other light for a scene, as plain numbers by a seed, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

LOW_SUN, HIGH_SUN = 10.0, 45.0
"""Degrees above the horizon."""
WARM, COOL = 4200.0, 7500.0
"""Kelvins below and above which light is called warm and cool."""
NEUTRAL = 6500.0
SEEN = 0.05
"""Share of what is seen on which the sun must shine to be spoken of."""
SOFT = 0.35
"""The factor of the sun's strength below which the light is called soft."""


@dataclass(frozen=True)
class Light:
    """What is changed of a scene's light. Number 0 is the scene's own: all factors 1, nothing turned.

    `sun_elevation` in degrees (None: as it is), `turn` in degrees around the vertical for sun and world, `kelvin` for lamps and, in scenes without a sun,
    for the world; strengths are factors, `exposure` is in stops.
    """

    number: int = 0
    mood: str = "own"
    sun_elevation: float | None = None
    turn: float = 0.0
    sun_kelvin: float = NEUTRAL
    sun_strength: float = 1.0
    kelvin: float = NEUTRAL
    lamp_strength: float = 1.0
    world_strength: float = 1.0
    exposure: float = 0.0


@dataclass(frozen=True)
class Mood:
    """The ranges that a light's numbers are drawn from."""

    name: str
    elevation: tuple[float, float]
    kelvin: tuple[float, float]
    sun: tuple[float, float]
    world: tuple[float, float]


UNDER_THE_SUN = (
    Mood("noon", (48.0, 72.0), (5600.0, 6500.0), (0.9, 1.2), (0.9, 1.2)),
    Mood("afternoon", (18.0, 40.0), (4600.0, 5800.0), (0.8, 1.15), (0.8, 1.1)),
    Mood("sunset", (3.0, 9.0), (2500.0, 3400.0), (0.7, 1.1), (0.45, 0.7)),
    Mood("overcast", (40.0, 65.0), (6200.0, 7200.0), (0.1, 0.25), (1.2, 1.7)),
)
WITHOUT_SUN = (
    Mood("warm", (0.0, 0.0), (2700.0, 3600.0), (1.0, 1.0), (0.7, 1.1)),
    Mood("cool", (0.0, 0.0), (8500.0, 12000.0), (1.0, 1.0), (0.8, 1.2)),
    Mood("dim", (0.0, 0.0), (4500.0, 6500.0), (1.0, 1.0), (0.4, 0.55)),
    Mood("bright", (0.0, 0.0), (5500.0, 7000.0), (1.0, 1.0), (1.3, 1.7)),
)
WORDS = {"warm": "in warm light", "cool": "in cool light", "dim": "in dim light", "bright": "in bright light"}


def variants(count: int, *, sun: bool, seed: str) -> list[Light]:
    """The scene's own light and so many less one others; `sun`: whether the scene has one. The first of them are of different moods."""
    random = Random(seed)
    moods: list[Mood] = []
    while len(moods) < count - 1:
        moods += random.sample(UNDER_THE_SUN, 4) if sun else random.sample(WITHOUT_SUN, 4)
    return [Light(), *(_drawn(number, mood, sun, random) for number, mood in enumerate(moods[: count - 1], 1))]


def _drawn(number: int, mood: Mood, sun: bool, random: Random) -> Light:
    turn, exposure = random.uniform(-180.0, 180.0), random.uniform(-0.3, 0.3)
    elevation, kelvin = random.uniform(*mood.elevation), random.uniform(*mood.kelvin)
    sun_strength, world = random.uniform(*mood.sun), random.uniform(*mood.world)
    if sun:
        return Light(number, mood.name, elevation, turn, kelvin, sun_strength, world_strength=world, exposure=exposure)
    lamps = world * random.uniform(0.9, 1.1)
    return Light(number, mood.name, turn=turn, kelvin=kelvin, lamp_strength=lamps, world_strength=world, exposure=exposure)


def tint(kelvin: float) -> tuple[float, float, float]:
    """Linear Rec.709 of a black body so hot, as bright as white, and white at `NEUTRAL`; from 1667 to 25,000 K.

    The chromaticity is the cubic approximation of the Planckian locus by Kim and others (2002).
    """
    red, green, blue = (value / white for value, white in zip(_black_body(kelvin), _black_body(NEUTRAL), strict=True))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return red / luminance, green / luminance, blue / luminance


def _black_body(kelvin: float) -> tuple[float, float, float]:
    t = 1000.0 / min(max(kelvin, 1667.0), 25000.0)
    x = ((-0.2661239 * t - 0.2343589) * t + 0.8776956) * t + 0.179910 if t >= 0.25 else ((-3.0258469 * t + 2.1070379) * t + 0.2226347) * t + 0.240390
    if t >= 1000.0 / 2222.0:
        y = ((-1.1063814 * x - 1.34811020) * x + 2.18555832) * x - 0.20219683
    elif t >= 0.25:
        y = ((-0.9549476 * x - 1.37418593) * x + 2.09137015) * x - 0.16748867
    else:
        y = ((3.0817580 * x - 5.87338670) * x + 3.75112997) * x - 0.37001483
    wide, deep = x / y, (1.0 - x - y) / y
    linear = (
        3.2404542 * wide - 1.5371385 - 0.4985314 * deep,
        -0.9692660 * wide + 1.8760108 + 0.0415560 * deep,
        0.0556434 * wide - 0.2040259 + 1.0572252 * deep,
    )
    red, green, blue = (max(value, 1e-3) for value in linear)
    return red, green, blue


def words(light: Light, elevation: float | None, lit: float, warmth: float) -> str:
    """What can truly be said of the light: “at sunset”; nothing where there is nothing sure to say.

    `elevation` of the sun in degrees (None: there is none), `lit`: the share of what is seen on which it shines, `warmth`: how much more red than blue
    its own color has.
    """
    if elevation is None:
        return WORDS.get(light.mood, "")
    if lit < SEEN or elevation < 0.0:
        return ""
    if light.sun_strength < SOFT:
        return "in soft light"
    warm = light.sun_kelvin < WARM or (light.number == 0 and warmth > 1.3)
    if elevation < LOW_SUN:
        return "at sunset" if warm else "under a low sun"
    if warm:
        return "in warm sunlight"
    return "under a high sun" if elevation > HIGH_SUN else "in sunlight"
