# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions from a template and the names in a scene: true words only, so what is not known is left out."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping

from .errors import JointDiTError

FIELDS = ("file", "scene", "layer", "collection", "objects", "light", "camera")
TEMPLATE = "{objects}, {light}, {camera}"
LARGEST = 4
"""So many things are named at most."""
LEAST = 0.01
"""Share of a picture that a kind of things must fill to be named."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SILENT = _words(
    "collection scene view layer viewlayer master plane mesh object grid circle curve bezier nurbs path surface text empty volume group geometry geo "
    "lattice metaball hair instance proxy untitled default temp tmp new render backdrop cyclorama"
)
"""Words that say nothing, or that say something else to who has not made the scene: a plane is an aircraft."""
BEFORE = _words("sm sk mat geo grp ob obj msh mesh env prop props")
AFTER = _words("lod lo hi low high hp lp res l r left right final copy wip front back top bottom geo grp msh mesh obj")
"""Abbreviations of pipelines at the start and at the end of a name."""
MASS = _words("grass water sand snow ground sky ice fog smoke fire foliage ivy moss furniture gravel dirt mud hay wood stone glass")


class TemplateError(JointDiTError):
    """A template makes no sense; `str(error)` is a sentence for a person."""


def check_template(template: str) -> None:
    """Raises `TemplateError` when it has a field that there is none of, or a lone brace."""
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise TemplateError(f"“{template}” is no template ({error}); write fields as {{objects}}.") from error
    unknown = sorted(fields - set(FIELDS))
    if unknown:
        raise TemplateError(f"There is no field {{{unknown[0]}}} for captions; there are {', '.join(f'{{{name}}}' for name in FIELDS)}.")


def caption(template: str, values: Mapping[str, str]) -> str:
    """The template with its fields filled in. Between commas, a part with a field about which nothing is known is left out. Raises `TemplateError`."""
    check_template(template)
    kept = []
    for part in template.split(","):
        fields = [name for _, name, _, _ in string.Formatter().parse(part) if name is not None]
        if all(values.get(name) for name in fields):
            kept.append(" ".join(part.format(**{name: values[name] for name in fields}).split()))
    return ", ".join(part for part in kept if part)


def clean(name: str) -> str:
    """A name as a word: “SM_OldTree_LOD0.003” -> “old tree”; empty where it says nothing."""
    text = re.sub(r"\.\d+$", "", name)
    text = re.sub(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    parts = [part.lower() for part in re.split(r"[\W_]+", text) if part]
    parts = [re.sub(r"\d+$", "", part) for part in parts]
    while parts and (parts[0] in BEFORE or not parts[0]):
        parts.pop(0)
    while parts and (parts[-1] in AFTER or not parts[-1]):
        parts.pop()
    kept = [part for part in parts if part]
    return "" if all(part in SILENT or len(part) < 2 for part in kept) else " ".join(kept)


def listed(things: Iterable[tuple[str, float]]) -> str:
    """Words for things and their shares of a picture, as people list them, the largest first: “a table, grass and an old tree”.

    Things without a word are left out, and so are kinds of things that together fill less than `LEAST`. They are not counted: a chair may be made of
    several objects, and one object may be seen many times.
    """
    shares: dict[str, float] = {}
    for word, share in things:
        if word:
            shares[word] = shares.get(word, 0.0) + share
    large = sorted((word for word, share in shares.items() if share >= LEAST), key=lambda word: -shares[word])
    told = [_with_article(word) for word in large[:LARGEST]]
    return " and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 1 else "".join(told)


def view_words(pitch: float, fov: float) -> str:
    """How a camera looks: `pitch` in degrees above the horizon, `fov` of its wider side."""
    told = []
    if pitch < -30.0:
        told.append("from above")
    elif pitch > 20.0:
        told.append("from below")
    if fov > 65.0:
        told.append("wide angle")
    elif fov < 18.0:
        told.append("telephoto")
    return ", ".join(told)


def _with_article(name: str) -> str:
    last = name.split()[-1]
    if last in MASS or (last.endswith("s") and not last.endswith("ss")):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
