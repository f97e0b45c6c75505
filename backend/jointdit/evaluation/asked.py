# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a procedural scene is, as questions with answers, and which of them its caption tells: only what is asked for can be missed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..procedural import words
from ..procedural.rewording import PLACES

ABSENT = "-"
ANYTHING = "*"
"""An answer: whatever there is, but something."""

TOPICS = ("colour", "side", "roof")
"""What is asked of things."""
IGNORED = ("objects", "coloured", "weather", "time", "group")
"""Of a place: what is told elsewhere, or not in words of its own."""
SKY = ("sky", "moon", "light")
COLORED = ("ground", "mountains", "walls", "floor", "rug", "backdrop", "colour", "roof")
"""Line drawings show no sky, and those without color none of these."""
NAMES = {"colour": "color", "kind": "kind of place"}


def _merged(*tables: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {answer: tuple(phrase for table in tables for phrase in table.get(answer, ())) for table in tables for answer in table}


def _sky(table: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """A sunrise looks like a sunset."""
    return {**{answer: table[answer] for answer in table if answer != "sunrise"}, "sunset": (*table["sunset"], *table.get("sunrise", ()))}


CAMERA = _merged(words.CAMERA_BEFORE, words.CAMERA_AFTER)
PHRASES: dict[str, Mapping[str, Sequence[str]]] = {
    "kind": {"room": ("room", "indoors"), "studio": ("studio", "stage", "backdrop")},
    "style": _merged(words.STYLE_BEFORE, words.STYLE_AFTER, {"line": words.COLOURED_LINES}),
    "camera": CAMERA,
    "lens": CAMERA,
    "ground": _merged(words.GROUND_AT, words.GROUND_IS, words.HILLS_ARE),
    "shore": _merged(words.SHORE_AT, words.SHORE_IS),
    "relief": {"hills": ("hills", "dunes"), "mountains": ("mountains", "peaks", "summits", "alps", "mountain range")},
    "mountains": words.MOUNTAINS_ARE,
    "trees": words.TREES_ARE,
    "road": _merged(words.ROAD_WITH, words.ROAD_IS),
    "barrier": words.BARRIER_WITH,
    "rocks": {"True": ("with rocks", "with some rocks", "with a few stones")},
    "bushes": {"True": ("with bushes", "with green bushes", "with some shrubs")},
    "sky": _merged(_sky(words.SKY_WITH), _sky(words.SKY_SAYS), {"night": words.MOON}),
    "moon": {"True": words.MOON},
    "light": words.LIGHT_FROM,
    **{name: {"True": phrases} for name, phrases in words.FIXTURES.items()},
}
"""By question and answer, the phrases that tell it. One that several answers share tells that there is something; the longest in a caption counts."""
TAGS: dict[str, Mapping[str, Sequence[str]]] = {
    "ground": words.GROUND_TAGS,
    "shore": words.SHORE_TAGS,
    "road": words.ROAD_TAGS,
    "sky": _sky(words.SKY_TAGS),
    "barrier": {name: (name,) for name in words.BARRIER_WITH},
    **{name: {"True": (name,)} for name in ("rocks", "bushes", *words.FIXTURES)},
}
"""The same of keywords, which stand between commas."""
TOLD_BY = {"walls": "(?:{}) (?:walls|room)", "floor": "(?:{}) floor", "backdrop": "(?:{}) (?:background|backdrop)", "rug": "(?:{}) (?:rug|carpet)"}
"""Questions whose answers are words that tell other things as well."""
AMBIGUOUS = {"floor": ("grey", "white")}
""" "On a white floor" may be in a room or in a studio."""
SHAPES: dict[str, tuple[str, ...]] = {**words.NOUNS, "tree": (*words.NOUNS["tree"], *(phrase for form in words.TREE_FORMS.values() for phrase in form))}


@dataclass(frozen=True)
class Asked:
    """One thing that a prompt asks for: `answer` to the probe's `question`, counted under `topic`; of `alike` things of one shape any may have it."""

    topic: str
    question: str
    answer: str
    alike: int = 1


def answers(about: Mapping[str, Any]) -> dict[str, list[str]]:
    """Every question that a scene answers, with all its right answers: of the place, and of each shape (`ball colour`) one for each thing.

    What is empty or false is not there; each word of a list is a question of its own; numbers are no answers.
    """
    found: dict[str, list[str]] = {}
    for question, value in about.items():
        if isinstance(value, str | bool) and value and question not in IGNORED:
            found[question] = [str(value)]
        elif isinstance(value, list | tuple) and question not in IGNORED:
            found |= {one: ["True"] for one in value if isinstance(one, str)}
    for thing in about.get("objects", ()):
        for topic in TOPICS:
            if thing.get(topic):
                found.setdefault(f"{thing['shape']} {topic}", []).append(thing[topic])
    return found


def hidden(about: Mapping[str, Any], question: str) -> bool:
    """Whether nobody could answer a question from this scene's picture."""
    topic = question.rpartition(" ")[2]
    return (about.get("style") == "line" and topic in SKY) or (about.get("coloured") is False and topic in COLORED)


def asked(caption: str, about: Mapping[str, Any]) -> list[Asked]:
    """What of a scene its caption tells in words. What it leaves out is not asked for."""
    caption = caption.lower()
    found = []
    for question, (answer,) in answers({**about, "objects": ()}).items():
        told = None if hidden(about, question) else _told(caption, question, answer)
        if told is not None:
            found.append(Asked(NAMES.get(question, question), question, told))
    return [*found, *_of_things(caption, about.get("objects", ()), plural=bool(about.get("group")))]


def asked_in_other_words(prompt: str, about: Mapping[str, Any]) -> list[Asked]:
    """The same of a prompt that `rewording.reworded` made of a scene: it tells every thing with its color, the ground and the sky, and maybe a side."""
    things = about.get("objects", ())
    alike = Counter(thing["shape"] for thing in things)
    found = [Asked(question, question, about[question]) for question in ("ground", "sky") if about.get(question) and not hidden(about, question)]
    for thing in things:
        told = {"shape": ANYTHING, "colour": thing["colour"], **({"side": thing["side"]} if PLACES[thing["side"]] in prompt else {})}
        found += _wishes(thing["shape"], {topic: answer for topic, answer in told.items() if not hidden(about, topic)}, alike[thing["shape"]])
    return found


def _wishes(shape: str, told: Mapping[str, str], alike: int) -> list[Asked]:
    # A thing that is there has a side, even where it shows no color.
    return [Asked(NAMES.get(topic, topic), f"{shape} {'side' if topic == 'shape' else topic}", answer, alike) for topic, answer in told.items()]


def _told(caption: str, question: str, answer: str) -> str | None:
    """The answer, or `ANYTHING`, if the caption tells it."""
    if question in TOLD_BY:
        names = _any(words.COLOURS.get(answer, (answer,)))
        return answer if answer not in AMBIGUOUS.get(question, ()) and re.search(rf"\b{TOLD_BY[question].format(names)}\b", caption) else None
    if question not in PHRASES:  # what this program knows nothing of is told by its own name
        return answer if re.search(rf"\b{re.escape(question if answer == 'True' else answer)}\b", caption) else None
    pattern, owners = _phrases(question)
    longest = max((match[0] for match in pattern.finditer(caption)), key=len, default="")
    if not longest and question in TAGS:
        parts = [part.strip(" .").rpartition(" of ")[2] for part in caption.split(",")]
        return answer if {*parts} & {*TAGS[question].get(answer, ())} else None
    sharing = owners.get(longest, frozenset())
    return None if answer not in sharing else answer if len(sharing) == 1 else ANYTHING


@cache
def _phrases(question: str) -> tuple[re.Pattern[str], dict[str, frozenset[str]]]:
    """A pattern of all phrases of a question, and the answers that each of them tells."""
    owners: dict[str, set[str]] = {}
    for answer, phrases in PHRASES[question].items():
        for phrase in phrases:
            owners.setdefault(re.sub("^(?:an?|the) ", "", phrase), set()).add(answer)
    return re.compile(rf"\b(?:{_any(owners)})\b"), {phrase: frozenset(sharing) for phrase, sharing in owners.items()}


def _of_things(caption: str, things: Sequence[Mapping[str, Any]], plural: bool) -> list[Asked]:
    whole = [(thing["shape"], _described(caption, thing)) for thing in things]
    told = [(shape, described) for shape, described in whole if described]
    named = Counter(shape for shape, _ in told)
    for shape, described in whole:
        # Named without its color; but "a red ball" is no blue ball that is there, too.
        if not described and len(re.findall(rf"\b(?:{_noun(shape)}){'s?' if plural else ''}\b", caption)) > named[shape]:
            told.append((shape, {"shape": ANYTHING}))
            named[shape] += 1
    return [wish for shape, described in told for wish in _wishes(shape, described, named[shape])]


def _described(caption: str, thing: Mapping[str, Any]) -> dict[str, str]:
    """What a caption tells of a thing that it names with its color: "a red and white striped lighthouse", "a white house with a red roof on the left"."""
    colours = _any(words.COLOURS.get(thing.get("colour", ""), (thing.get("colour") or "(?!)",)))
    before = rf"\b(?:{colours})(?: and white)?(?: striped| brick| autumn)? (?:{_noun(thing['shape'])})\b(?: in bloom)?"
    match = re.search(rf"{before}(?: with an? (?P<roof>[a-z ]+?) roof)?(?: (?P<side>[a-z ]+))?", caption)
    if match is None:
        return {}
    told = {"shape": ANYTHING, "colour": thing["colour"]}
    if match["roof"] and match["roof"] in words.COLOURS.get(thing.get("roof", ""), ()):
        told["roof"] = thing["roof"]
    # "To the left of a cube" is no side of the picture.
    if re.match(rf"(?:{_any(words.SIDE.get(thing.get('side', ''), ('(?!)',)))})\b(?! of)", match["side"] or ""):
        told["side"] = thing["side"]
    return told


def _noun(shape: str) -> str:
    return _any(SHAPES.get(shape, (shape,)))


def _any(phrases: Iterable[str]) -> str:
    """A pattern of any of the phrases, longer ones first."""
    return "|".join(phrase if phrase == "(?!)" else re.escape(phrase) for phrase in sorted({*phrases}, key=lambda phrase: (-len(phrase), phrase)))
