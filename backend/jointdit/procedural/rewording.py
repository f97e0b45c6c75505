# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts in words that no caption uses, to find out whether a model understands more than the words it was taught with."""

import re
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

from . import words

HELD_OUT_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "colour": {
        "red": ("cherry-colored", "ruby", "vermilion"),
        "green": ("jade", "leaf-colored", "viridian"),
        "blue": ("cobalt", "sapphire", "ultramarine"),
        "yellow": ("lemon", "canary-colored", "mustard"),
        "orange": ("tangerine", "pumpkin-colored", "apricot"),
        "purple": ("plum-colored", "amethyst", "lilac"),
        "white": ("chalky", "milky", "alabaster"),
        "black": ("jet-black", "inky", "coal-colored"),
        "pink": ("salmon", "flamingo-colored", "fuchsia"),
        "brown": ("chestnut", "walnut-colored", "umber"),
        "grey": ("ashen", "slate-colored", "pewter"),
    },
    "noun": {
        "ball": ("spheroid", "marble"),
        "cube": ("dice", "crate", "hexahedron"),
        "cone": ("funnel", "traffic pylon"),
        "cylinder": ("barrel", "drum", "oil tank"),
        "column": ("obelisk", "pylon", "monolith"),
        "pyramid": ("ziggurat", "tetrahedron"),
        "house": ("dwelling", "bungalow", "villa"),
        "tree": ("oak", "maple", "sapling"),
        "tower": ("watchtower", "belfry", "fortress keep"),
        "lighthouse": ("beacon", "pharos"),
        "rock": ("crag", "outcrop", "megalith"),
        "bench": ("garden seat", "pew"),
        "table": ("desk", "workbench"),
        "bed": ("bunk", "mattress"),
        "chair": ("stool", "armchair"),
        "wardrobe": ("armoire", "locker"),
        "shelf": ("bookcase", "rack"),
        "sofa": ("settee", "loveseat"),
        "lamp": ("torchiere", "lantern"),
    },
    "sky": {
        "clear": ("beneath cloudless heavens", "at noon", "beneath a spotless firmament"),
        "cloudy": ("with cumulus drifting overhead", "on a breezy partly overclouded afternoon"),
        "sunset": ("at sundown", "at nightfall"),
        "sunrise": ("at cockcrow", "at the first beams"),
        "overcast": ("beneath gloomy heavens", "beneath a dreary leaden firmament"),
        "night": ("at midnight", "beneath the constellations"),
        "fog": ("in murky haze", "in hazy vapor"),
        "golden": ("in late sunbeams", "in honeyed rays"),
    },
    "ground": {
        "grass": ("on turf", "in verdant countryside", "on a savanna"),
        "sand": ("in an arid wasteland", "in the sahara"),
        "snow": ("on the tundra", "on arctic ice", "in the frosty polar region"),
        "dirt": ("on mud", "on soil", "on loam"),
        "stone": ("on bedrock", "on slabs", "in a quarry"),
        "water": ("in a lagoon", "in a bay", "amid tides"),
    },
}
PLACES = {"left": "toward the left edge", "centre": "halfway across", "right": "toward the right edge"}


def plain_words(phrases: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The single words of one class."""
    return {word for options in phrases.values() for phrase in options for word in phrase.split()}


Words = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Phrases by kind (`colour`, `noun`, `ground`, `sky`) and class."""


@cache
def _known() -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    """What captions say, as a pattern, the longest first, and the class that each phrase stands for."""
    owners: dict[str, tuple[str, str]] = {}
    for kind, tables in (
        ("ground", (words.GROUND_AT,)), ("land", (words.GROUND_IS,)), ("sky", (words.SKY_WITH, words.SKY_TAGS, {"night": words.MOON})),
        ("noun", (words.NOUNS, {"tree": sum(words.TREE_FORMS.values(), ())})), ("colour", (words.COLOURS,)),
    ):  # fmt: skip
        for table in tables:
            owners |= {phrase: (kind, name) for name, phrases in table.items() for phrase in phrases if phrase not in owners}
    longest = sorted(owners, key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, longest))})\b(?! (?:(?:brick |stone )?wall|plain|roof tiles))"), owners


def reworded(scene: str | Mapping[str, Any], seed: int = 0, table: Words = HELD_OUT_WORDS) -> str:
    """A caption, or a scene's attributes, as a prompt in the words of `table`: colours, things, what they stand on, and the sky.

    Words of a caption that stand for something else stay. The same scene and seed give the same prompt.
    """
    if isinstance(scene, str):
        return _caption_reworded(scene, seed, table)
    rng = Random(f"reworded {seed}")
    parts = []
    for thing in scene["objects"]:
        parts.append(f"a {rng.choice(table['colour'][thing['colour']])} {rng.choice(table['noun'][thing['shape']])}")
    subject = " and ".join(parts) or ("a area" if scene["kind"] == "landscape" else "a interior")
    if len(parts) == 1 and rng.random() < 0.3:
        subject += f" {PLACES[scene['objects'][0]['side']]}"
    sky = "sunrise" if scene.get("time") == "sunrise" else scene.get("sky")
    around = [rng.choice(table[kind][name]) for kind, name in (("ground", scene.get("ground")), ("sky", sky)) if name]
    return _articles(" ".join((subject, *around)))


def _caption_reworded(text: str, seed: int, table: Words) -> str:
    rng = Random(f"reworded {seed} {text}")
    pattern, owners = _known()

    def other(match: re.Match[str]) -> str:
        kind, name = owners[match[1]]
        return rng.choice(table["ground"][name]).split(" ", 1)[-1] if kind == "land" else rng.choice(table[kind][name])

    return _articles(pattern.sub(other, text[0].lower() + text[1:]))


def _articles(text: str) -> str:
    """With "a" or "an" as the next word asks."""
    return re.sub(r"\ban? (?=(\w))", lambda match: "an " if match[1] in "aeiou" else "a ", text)
