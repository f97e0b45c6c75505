# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions said in other words, part by part, so that it is known which words stand for which."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ..procedural import synonyms, words

SAID_OTHERWISE = 0.6
"""The share of a caption's known phrases that are exchanged."""
WRAPPED = 0.3
"""The share of captions that get a sentence around them."""


@dataclass(frozen=True)
class Part:
    """Words of a caption and what is said for them; `told` is empty where words were added."""

    told: str
    said: str


@dataclass(frozen=True)
class Phrases:
    """Phrases of captions that mean one thing, of which `told` stands for all, and what people say instead."""

    told: str
    captions: frozenset[str]
    others: tuple[str, ...]


@cache
def vocabulary() -> tuple[Phrases, ...]:
    """Everything that captions say and that can be said otherwise."""
    found = []

    def add(told: str, captions: Sequence[str], others: Sequence[str]) -> None:
        found.append(Phrases(told, frozenset(phrase.lower() for phrase in (told, *captions)), tuple(others)))

    for captions, others in (
        (words.COLOURS, synonyms.COLOURS), (words.NOUNS, synonyms.NOUNS), (words.GROUND_AT, synonyms.GROUND), (words.SKY_WITH, synonyms.SKY),
    ):  # fmt: skip
        for name, phrases in captions.items():
            add(phrases[0], phrases, others[name])
    land = synonyms.LAND
    for ground, told in (("grass", "a meadow"), ("sand", "a desert"), ("snow", "a snowy plain"), ("water", "the sea")):
        add(told, words.GROUND_IS[ground], land[told])
    for shore, told, before in (("sea", "a beach", "on"), ("lake", "a lake", "by")):
        add(told, words.SHORE_IS[shore], land[told])
        add(f"{before} {told}", words.SHORE_AT[shore], [f"{before} {other}" for other in land[told]])
    for told, captions in (("mountains", ()), ("hills", ()), ("trees", words.TREES_ARE["round"]), ("fir trees", words.TREES_ARE["fir"])):
        add(told, [phrase for phrase in captions if phrase != "trees"], land[told])
    roads, barriers = words.ROAD_WITH, words.BARRIER_WITH
    for told, captions in (
        ("with a road", roads["asphalt"]), ("with a path", (*roads["dirt"], *roads["gravel"])), ("with a fence", barriers["wooden fence"]),
        ("with a stone wall", barriers["stone wall"]), ("with rocks", ("with some rocks", "with a few stones")),
        ("with bushes", ("with green bushes", "with some shrubs")), ("on the left", words.SIDE["left"]), ("in the middle", words.SIDE["centre"]),
        ("on the right", words.SIDE["right"]), ("next to", ("beside", "near")), ("large", words.SIZES["large"]), ("small", words.SIZES["small"]),
    ):  # fmt: skip
        add(told, captions, synonyms.DETAILS[told])
    for told, captions in (
        ("low poly", words.STYLE_AFTER["flat"]), ("line drawing", words.STYLE_AFTER["line"]), ("seen from above", words.CAMERA_AFTER["bird's-eye"]),
        ("from a low angle", words.CAMERA_AFTER["low"]), ("wide-angle", words.CAMERA_AFTER["wide"]), ("zoomed in", words.CAMERA_AFTER["telephoto"]),
    ):  # fmt: skip
        add(told, captions, synonyms.STYLES[told])
    return tuple(found)


@cache
def _pattern() -> tuple[re.Pattern[str], dict[str, Phrases]]:
    """All phrases of captions, the longest first, and whose they are."""
    owners: dict[str, Phrases] = {}
    for phrases in vocabulary():
        owners |= {phrase: phrases for phrase in phrases.captions if phrase not in owners}
    longest = sorted(owners, key=len, reverse=True)
    # "Stone wall" is no stone, "red brick wall" not red, "low poly picture of" begins a caption.
    no_more = r"(?! (?:(?:brick |stone )?wall|plain|roof tiles|(?:picture|render|art|view|shot|photo) of))"
    return re.compile(rf"\b({'|'.join(map(re.escape, longest))})\b{no_more}"), owners


def paraphrase(caption: str, generator: random.Random, share: float = SAID_OTHERWISE, wrapped: float = WRAPPED) -> list[Part]:
    """A caption with some of its phrases exchanged, and now and then a sentence around it, as parts in order.

    All that is told together is the caption, in small letters, with the phrase that stands for all where one is exchanged.
    """
    caption = caption.lower()
    pattern, owners = _pattern()
    parts: list[Part] = []
    end = 0
    for match in pattern.finditer(caption):
        if generator.random() >= share:
            continue
        if match.start() > end:
            parts.append(Part(caption[end : match.start()], caption[end : match.start()]))
        phrases = owners[match[1]]
        parts.append(Part(phrases.told, generator.choice(phrases.others)))
        end = match.end()
    if end < len(caption):
        parts.append(Part(caption[end:], caption[end:]))
    if generator.random() < wrapped:
        before, _, after = generator.choice(synonyms.WRAPPINGS).partition("{}")
        parts = [Part("", before)] * bool(before) + parts + [Part("", after)] * bool(after)
    return _with_articles(parts)


def told(parts: Sequence[Part]) -> str:
    """The caption."""
    return "".join(part.told for part in parts)


def said(parts: Sequence[Part]) -> str:
    """The paraphrase."""
    return "".join(part.said for part in parts)


def _with_articles(parts: Sequence[Part]) -> list[Part]:
    """With "a" or "an" at the end of a part as the next one asks, on both sides."""
    fixed = list(parts)
    for place, following in enumerate(parts[1:]):
        fixed[place] = Part(_article(fixed[place].told, following.told), _article(fixed[place].said, following.said))
    return fixed


def _article(text: str, following: str) -> str:
    return re.sub(r"\ban? $", f"{'an' if following[:1] in tuple('aeiou') else 'a'} ", text)
