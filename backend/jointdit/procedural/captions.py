# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions for a scene: true words only, in one of many wordings chosen by the seed and the variant."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from . import words
from .scene import Scene

FEWEST_WORDS = 2
MOST_WORDS = 30
NUMBERS = {2: "two", 3: "three", 4: "four"}


@dataclass
class Wording:
    """What may be said of one scene: the main thing, then what can be left out.

    subject: what it shows, with articles; bare: the same as keywords; place, details, sky: phrases that follow it; tags: keywords of the surroundings;
    says: a sentence about the sky.
    """

    subject: str
    bare: list[str]
    place: str = ""
    details: list[str] = field(default_factory=list)
    sky: str = ""
    tags: list[str] = field(default_factory=list)
    says: str = ""
    count: int = 1


def article(text: str) -> str:
    """The words with "a" or "an" before them."""
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def colour_words(rng: Random, name: str) -> str:
    """One of a colour's names."""
    return rng.choice(words.COLOURS[name])


def thing_words(rng: Random, thing: dict[str, Any], bare: bool, coloured: bool = True) -> str:
    """ "a red ball", "small white house with a blue roof", "a red and white lighthouse"."""
    shape = thing["shape"]
    noun = rng.choice(words.NOUNS[shape])
    if thing.get("form") in words.TREE_FORMS and rng.random() < 0.6:
        noun = rng.choice(words.TREE_FORMS[thing["form"]])
    elif shape == "tree" and thing["colour"] != "green" and coloured and rng.random() < 0.3:
        noun = "tree in bloom" if thing["colour"] == "pink" else "autumn tree"
    if thing.get("walls") == "brick" and rng.random() < 0.5:
        noun = f"brick {noun}"
    parts = [noun]
    if coloured:
        colour = colour_words(rng, thing["colour"])
        if shape == "lighthouse":
            colour = rng.choice((f"{colour} and white", f"{colour} and white striped"))
        parts.insert(0, colour)
    if thing.get("size") and rng.random() < 0.2:
        parts.insert(0, rng.choice(words.SIZES[thing["size"]]))
    if "roof" in thing and coloured and rng.random() < 0.33:
        parts.append(f"with {article(colour_words(rng, thing['roof']))} roof")
    text = " ".join(parts)
    return text if bare else article(text)


def things_words(rng: Random, things: list[dict[str, Any]], with_sides: bool, bare: bool, coloured: bool) -> str:
    """All things joined and, if asked, with their sides."""
    order = things[:]
    if rng.random() < 0.4:
        rng.shuffle(order)
    parts = [thing_words(rng, thing, bare, coloured) + (" " + rng.choice(words.SIDE[thing["side"]]) if with_sides else "") for thing in order]
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2 and not with_sides and rng.random() < 0.35:
        first, second = (thing["side"] for thing in order)
        if first != "centre" and second != first:
            relation = {"left": ("to the left of", "left of"), "right": ("to the right of", "right of")}[first]
            return f"{parts[0]} {rng.choice(relation)} {parts[1]}"
        return f"{parts[0]} {rng.choice(('next to', 'beside', 'near'))} {parts[1]}"
    joiner = rng.choice((" and ", " and ", " with " if not with_sides else " and "))
    return ", ".join(parts[:-1]) + joiner + parts[-1]


def village_words(rng: Random, about: dict[str, Any], coloured: bool) -> str:
    """The houses of a village together, or each with its colour."""
    houses = about["objects"]
    count = NUMBERS[len(houses)]
    form = rng.random()
    if form < 0.4 and len(houses) < 4:
        return things_words(rng, houses, rng.random() < 0.3, False, coloured)
    plain = rng.choice(("a small village", "a village", f"{count} houses", f"{count} cottages", f"a village of {count} houses", "a hamlet", "some houses"))
    if form < 0.7 and coloured:
        colours = [colour_words(rng, house["colour"]) for house in houses[:3]]
        return f"{count} houses, {', '.join(colours[:-1])} and {colours[-1]}" if len(houses) < 4 else f"{plain} with {article(colours[0])} house"
    return plain


def sky_key(about: dict[str, Any]) -> str:
    """The entry of the sky's words."""
    return "sunrise" if about["time"] == "sunrise" else about["sky"]


def surroundings(rng: Random, about: dict[str, Any], wording: Wording, coloured: bool) -> None:
    """Fill in what outdoor scenes share: details, sky and tags."""
    if about["relief"] == "mountains" and about["kind"] == "objects":
        mountains = rng.choice(words.MOUNTAINS_ARE[about["mountains"]]) if coloured else "mountains"
        far = (f"in front of {mountains}", f"with {mountains} behind", f"and {mountains} in the background", f"before {mountains}")
        wording.details.append(rng.choice(far))
        wording.tags.append(mountains)
    elif about["relief"] == "hills" and about["kind"] == "objects":
        hills = "hills" if about["shore"] or not coloured else rng.choice((*words.HILLS_ARE[about["ground"]][:2], "hills"))
        wording.details.append(rng.choice((f"in front of {hills}", f"with {hills} behind", f"with {hills} in the distance")))
        wording.tags.append(hills)
    if about["trees"] and about["group"]:
        trees = "fir trees" if about["trees"] == "fir" else "trees"
        wording.details.append(rng.choice((f"with {trees}", f"among {trees}", f"with {trees} around")))
    if about["road"] and about["kind"] == "objects":
        wording.details.append(rng.choice(words.ROAD_WITH[about["road"]]))
    if about["road"]:
        wording.tags.append(rng.choice(words.ROAD_TAGS[about["road"]]))
    if about["barrier"]:
        wording.details.append(rng.choice(words.BARRIER_WITH[about["barrier"]]))
        wording.tags.append(about["barrier"])
    for name, some in (("rocks", ("with rocks", "with some rocks", "with a few stones")), ("bushes", ("with bushes", "with green bushes", "with some shrubs"))):
        if about[name]:
            wording.details.append(rng.choice(some) if coloured else f"with {name}")
            wording.tags.append(name)
    rng.shuffle(wording.details)
    if about["style"] == "line":
        return
    key = sky_key(about)
    if not about["horizon"]:
        wording.sky = rng.choice(words.SKY_UNSEEN[key] or ("",))
        return
    wording.sky = rng.choice(words.MOON if about["moon"] and rng.random() < 0.3 else words.SKY_WITH[key])
    wording.says = rng.choice(words.SKY_SAYS[key])
    if about["light"] and rng.random() < 0.22:
        lit = rng.choice(words.LIGHT_FROM[about["light"]])
        wording.sky = lit if rng.random() < 0.5 else f"{wording.sky}, {lit}"
    wording.tags.append(rng.choice(words.SKY_TAGS[key]))


def ground_words(rng: Random, about: dict[str, Any], coloured: bool) -> tuple[str, str, str]:
    """Where things are, what the land is, and a keyword for it."""
    if about["shore"] and rng.random() < 0.85:
        return tuple(rng.choice(table[about["shore"]]) for table in (words.SHORE_AT, words.SHORE_IS, words.SHORE_TAGS))
    if not coloured:
        return "", "a plain", "plain"
    return tuple(rng.choice(table[about["ground"]]) for table in (words.GROUND_AT, words.GROUND_IS, words.GROUND_TAGS))


def outdoor_words(rng: Random, about: dict[str, Any], bare: bool) -> Wording:
    """Things in a landscape."""
    coloured, things = about["coloured"], about["objects"]
    place, _, tag = ground_words(rng, about, coloured)
    subject = village_words(rng, about, coloured) if about["group"] else things_words(rng, things, rng.random() < 0.35, bare, coloured)
    wording = Wording(subject, [thing_words(rng, thing, True, coloured) for thing in things], place, tags=[tag], count=len(things))
    surroundings(rng, about, wording, coloured)
    return wording


def landscape_words(rng: Random, about: dict[str, Any], bare: bool) -> Wording:
    """A landscape without things."""
    coloured = about["coloured"]
    place, land, tag = ground_words(rng, about, coloured)
    subject, key, details = land, tag, []
    if about["relief"] == "hills":
        hills = rng.choice(words.HILLS_ARE[about["ground"]]) if coloured and not about["shore"] else "hills"
        subject, place = (f"{land} with {hills}", "") if about["shore"] else (hills, "")
        key = hills
    elif about["relief"] == "mountains":
        mountains = rng.choice(words.MOUNTAINS_ARE[about["mountains"]]) if coloured else "mountains"
        subject, place, key = rng.choice((
            (mountains, f"{rng.choice(('behind', 'beyond', 'over', 'above'))} {land}", mountains),
            (f"{land} {rng.choice(('with', 'before', 'in front of', 'and'))} {mountains}", "", mountains),
        ))  # fmt: skip
    else:
        place = ""
    if about["trees"]:
        trees = rng.choice(words.TREES_ARE[about["trees"]]) if coloured else "trees"
        far = {"none": "", "hills": "in front of hills", "mountains": "in front of mountains"}[about["relief"]] if rng.random() < 0.5 else ""
        subject, place, key = trees, far or ground_words(rng, about, coloured)[0], trees
    if about["road"]:
        subject, place = f"{rng.choice(words.ROAD_IS[about['road']])} {land}", ""
        if about["relief"] == "hills":
            place = rng.choice(("towards hills", "towards the hills"))
        if about["relief"] == "mountains":
            place = rng.choice(("towards the mountains", "leading to mountains", "with mountains behind"))
    single = subject.startswith(land) or subject.split()[0] in ("a", "an", "the")
    wording = Wording(subject, [key], place, details, tags=[tag] if tag != key else [], count=1 if single else 2)
    surroundings(rng, about, wording, coloured)
    return wording


def room_words(rng: Random, about: dict[str, Any], bare: bool) -> Wording:
    """A room with or without things."""
    coloured, things = about["coloured"], about["objects"]
    walls = colour_words(rng, about["walls"]) if about["walls"] not in ("blue", "green", "red") else about["walls"]
    wooden = about["floor"] == "wooden" and coloured
    room = rng.choice((f"{walls} room", f"room with {walls} walls", "room", f"{walls} room")) if coloured else "room"
    if coloured and rng.random() < 0.2:
        room = f"room with {article(about['floor'])} floor"
    details = [rng.choice(words.FIXTURES[name]) for name in about["fixtures"]]
    if about["rug"]:
        rug = article(f"{about['rug']} {rng.choice(('rug', 'carpet'))}") if coloured else "a rug"
        details.append(rng.choice((f"with {rug}", f"with {rug} on the floor")))
    rng.shuffle(details)
    tags = [f"{walls} walls" if coloured else "room", *(name for name in about["fixtures"]), *(["wooden floor"] if wooden else []), "interior"]
    if not things:
        return Wording(f"{rng.choice(('an empty', 'an empty', 'a bare', 'an unfurnished'))} {room}", [f"empty {room}"], "", details, tags=tags)
    subject = things_words(rng, things, rng.random() < 0.35, bare, coloured)
    place = rng.choice((f"in {article(room)}",) * 4 + ("indoors", "in a room", "inside a room", "in the room"))
    return Wording(subject, [thing_words(rng, thing, True, coloured) for thing in things], place, details, tags=tags, count=len(things))


def studio_words(rng: Random, about: dict[str, Any], bare: bool) -> Wording:
    """Solids on a stage."""
    coloured, things = about["coloured"], about["objects"]
    tone = about["backdrop"]
    place = rng.choice((
        f"on {article(tone + ' background')}", f"on {article(tone + ' floor')}", "in a studio", f"against {article(tone + ' backdrop')}", "on a stage",
    )) if coloured else ""  # fmt: skip
    subject = things_words(rng, things, rng.random() < 0.35, bare, coloured)
    tags = [f"{tone} background"] if coloured else []
    return Wording(subject, [thing_words(rng, thing, True, coloured) for thing in things], place, tags=tags, count=len(things))


def phrase(rng: Random, wording: Wording, length: float) -> str:
    """Subject, place, details and sky in this order, each kept with the chance `length`."""
    kept = [wording.subject, *(part for part in (wording.place, *wording.details, wording.sky) if part and rng.random() < length)]
    return joined(kept)


def joined(parts: list[str]) -> str:
    """Phrases in a row; of two that begin with "with" the second goes on with "and"."""
    text, before = parts[0], parts[0]
    for part in parts[1:]:
        text += f" and {part.removeprefix('with ')}" if before.startswith("with ") and part.startswith("with a") else f" {part}"
        before = part
    return text


def keywords(rng: Random, wording: Wording) -> str:
    """Keywords with commas."""
    tags = [tag for tag in wording.tags if rng.random() < 0.85]
    parts = [*wording.bare, *tags]
    if wording.says and rng.random() < 0.3:
        parts.append(rng.choice(words.SCENERY))
    return ", ".join(parts)


def sentence(rng: Random, wording: Wording) -> str:
    """A whole sentence or two."""
    where = joined([part for part in (wording.place, *wording.details[:2]) if part] or [""])
    verb = "are" if wording.count > 1 and wording.subject.split()[0] not in ("a", "an", "the") else "is"
    form = rng.random()
    if form < 0.35:
        text = f"There {verb} {wording.subject} {where}"
    elif form < 0.55 and wording.place:
        text = f"{wording.subject} {'stand' if wording.count > 1 else 'stands'} {where}"
    elif form < 0.8:
        here = (f"Here {verb}", "This is" if verb == "is" else "These are")
        text = f"{rng.choice(('We see', 'You can see', 'The picture shows', *here))} {wording.subject} {where}"
    else:
        text = f"{rng.choice(('Show me', 'I want', 'Please make', 'Give me', 'Imagine'))} {wording.subject} {where}"
    text = text.strip()
    text = text[0].upper() + text[1:]
    if wording.says and rng.random() < 0.6:
        says = wording.says
        text += rng.choice((f", {says}.", f". {says[0].upper()}{says[1:]}.", f" and {says}."))
        return text
    return text + (f" {wording.sky}." if wording.sky and rng.random() < 0.5 else ".")


def marked(rng: Random, about: dict[str, Any], text: str, free: bool) -> str:
    """With the style, the lens and the camera's place named, before or after; free: sentences take marks only behind."""
    before, after = [], []
    named = [name for name in (about["lens"], about["camera"]) if name in words.CAMERA_BEFORE and (name != "low" or rng.random() < 0.7)]
    for name in named:
        if not before and not free and rng.random() < 0.5:
            before.append(rng.choice(words.CAMERA_BEFORE[name]))
        else:
            after.append(rng.choice(words.CAMERA_AFTER[name]))
    style = about["style"]
    if style != "photographic":
        if not before and not free and rng.random() < 0.65:
            tinted = style == "line" and about["coloured"] and rng.random() < 0.5
            before.append(rng.choice(words.COLOURED_LINES if tinted else words.STYLE_BEFORE[style]))
        else:
            after.append(rng.choice(words.STYLE_AFTER[style]))
    elif not before and not free and rng.random() < 0.18:
        before.append(rng.choice(words.PREFIXES))
    rng.shuffle(after)
    ending = "." if text.endswith(".") else ""
    return " ".join((*before, ", ".join((text.removesuffix("."), *after)))) + ending


def caption(scene: Scene, variant: int = 0) -> str:
    """A caption of a scene, FEWEST_WORDS to MOST_WORDS words; each variant is another independent wording."""
    rng = Random(f"caption {scene.seed} {variant}")
    about = scene.about
    build = {"objects": outdoor_words, "landscape": landscape_words, "room": room_words, "studio": studio_words}[scene.kind]
    form, length = rng.random(), rng.uniform(0.25, 1.0)
    wording = build(rng, about, form < 0.1)
    free = False
    if form < 0.55:
        text = phrase(rng, wording, length)
    elif form < 0.68:
        text = keywords(rng, wording)
    elif form < 0.82:
        text, free = sentence(rng, wording), True
    elif form < 0.90 and wording.sky:
        text = f"{wording.sky}, {wording.subject}" + (f" {wording.place}" if rng.random() < 0.6 else "")
        free = True
    else:
        text = rng.choice((wording.subject, phrase(rng, wording, 0.3)))
    full = marked(rng, about, text, free)
    if len(full.split()) > MOST_WORDS:
        full = marked(rng, about, wording.subject, False)
    if len(full.split()) > MOST_WORDS:
        full = marked(rng, about, ", ".join(wording.bare), False)
    if len(full.split()) < FEWEST_WORDS:
        full = f"{rng.choice(words.PREFIXES)} {full}"
    if rng.random() < 0.1:
        full = full[0].upper() + full[1:]
    return full + "." if rng.random() < 0.06 and not full.endswith(".") else full
