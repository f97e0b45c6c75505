# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A caption for a scene: true words only, in one of many wordings chosen by the seed."""

from random import Random
from typing import Any

from .scene import Scene

FEWEST_WORDS = 3
MOST_WORDS = 16
NOUNS = {
    "ball": ("ball", "sphere", "ball", "sphere"), "cube": ("cube", "box", "cube", "block"), "cone": ("cone",), "cylinder": ("cylinder",),
    "column": ("column", "pillar"), "pyramid": ("pyramid",), "house": ("house", "house", "cottage", "hut"), "tree": ("tree",),
    "tower": ("tower", "castle tower", "round tower"),
    "lighthouse": ("lighthouse",), "rock": ("rock", "boulder", "stone"), "table": ("table",), "bed": ("bed",),
}  # fmt: skip
PREFIXES = ("a picture of", "a photo of", "an image of", "3d render of", "a 3d render of", "photo of", "a rendering of", "a view of", "a scene with")
SIDE = {
    "left": ("on the left", "on the left side", "to the left"),
    "centre": ("in the middle", "in the centre", "in the center"),
    "right": ("on the right", "on the right side", "to the right"),
}
GROUND_AT = {
    "grass": ("on the grass", "on green grass", "in a meadow", "on a lawn", "in a green field", "on a grassy plain", "in a field"),
    "sand": ("in the desert", "on the sand", "in a sandy desert", "on sand", "on a sandy plain"),
    "snow": ("in the snow", "on snow", "on a snowy field", "on white snow", "in a snowy landscape"),
    "dirt": ("on brown earth", "on bare ground", "on dirt", "on brown ground"),
    "stone": ("on grey stone", "on a stone plain", "on gray ground", "on a rocky plain"),
    "water": ("on the water", "in the sea", "in the ocean", "on the sea", "in calm water"),
}
GROUND_IS = {
    "grass": ("a green meadow", "a grassy field", "a green field", "a meadow", "a wide lawn", "grassland"),
    "sand": ("a sandy desert", "a desert", "a sandy plain", "desert sand"),
    "snow": ("a snowy plain", "a snowy landscape", "a snow field", "a white winter landscape"),
    "dirt": ("a brown plain", "bare brown ground", "a barren brown land"),
    "stone": ("a grey stone plain", "a rocky plain", "a stony desert"),
    "water": ("a calm sea", "the ocean", "the sea", "open water", "a calm ocean"),
}
HILLS_ARE = {
    "grass": ("green hills", "rolling green hills", "grassy hills", "green hills in a meadow"),
    "sand": ("sand dunes", "desert dunes", "sandy hills", "a desert with dunes"),
    "snow": ("snowy hills", "white snowy hills", "hills covered in snow"),
    "dirt": ("brown hills", "bare brown hills"),
    "stone": ("grey hills", "stony hills"),
}
MOUNTAINS_ARE = {
    "snowy": ("snowy mountains", "snow-capped mountains", "mountains with snow", "snowy peaks"),
    "rocky": ("rocky mountains", "mountains", "bare mountains"),
    "green": ("green mountains", "mountains"),
    "red": ("red mountains", "red rocky mountains", "desert mountains"),
}
TREES_ARE = {
    "fir": ("fir trees", "green fir trees", "a fir forest", "pine trees", "trees"),
    "round": ("green trees", "trees", "a forest", "a grove of trees"),
}
SKY_WITH = {
    "clear": ("under a clear sky", "under a blue sky", "on a sunny day", "under a clear blue sky", "in bright daylight"),
    "cloudy": ("under a cloudy sky", "with clouds in the sky", "under white clouds", "under a blue sky with clouds"),
    "sunset": ("at sunset", "at dusk", "in the evening", "under an orange sky", "in the evening light", "with a low sun"),
    "overcast": ("on an overcast day", "under a grey sky", "on a grey day", "under an overcast sky", "in dull weather"),
    "night": ("at night", "under the stars", "at night under the stars", "under a starry sky", "in the dark night"),
}
MOON = ("in the moonlight", "under the moon", "at night with a moon")
ALSO_GREY = {"grey": ("grey", "gray")}


def article(words: str) -> str:
    """The words with "a" or "an" before them."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def thing_words(rng: Random, thing: dict[str, Any], bare: bool) -> str:
    """ "a red ball", "white house with a blue roof", "a red and white lighthouse"."""
    colour = rng.choice(ALSO_GREY.get(thing["colour"], (thing["colour"],)))
    noun = rng.choice(NOUNS[thing["shape"]])
    if thing["shape"] == "lighthouse":
        colour = rng.choice((f"{colour} and white", f"{colour} and white striped"))
    if thing["shape"] == "tree" and thing["colour"] != "green" and rng.random() < 0.3:
        noun = "tree in bloom" if thing["colour"] == "pink" else "autumn tree"
    words = f"{colour} {noun}"
    if "roof" in thing and rng.random() < 0.35:
        words += f" with {article(thing['roof'])} roof"
    return words if bare else article(words)


def things_words(rng: Random, things: list[dict[str, Any]], with_sides: bool, bare: bool) -> str:
    """All things, or rarely only the first, joined and, if asked, with their sides."""
    order = things[:]
    if rng.random() < 0.4:
        rng.shuffle(order)
    parts = [thing_words(rng, thing, bare) + (" " + rng.choice(SIDE[thing["side"]]) if with_sides else "") for thing in order]
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2 and not with_sides and rng.random() < 0.3:
        first, second = (thing["side"] for thing in order)
        if first != "centre" and (second != first):
            relation = {"left": ("to the left of", "left of"), "right": ("to the right of", "right of")}[first]
            return f"{parts[0]} {rng.choice(relation)} {parts[1]}"
        return f"{parts[0]} {rng.choice(('next to', 'beside'))} {parts[1]}"
    joiner = rng.choice((" and ", " and ", " with " if not with_sides else " and "))
    return ", ".join(parts[:-1]) + joiner + parts[-1]


def sky_words(rng: Random, about: dict[str, Any]) -> str:
    return rng.choice(MOON if about["moon"] and rng.random() < 0.3 else SKY_WITH[about["sky"]])


def landscape_words(rng: Random, about: dict[str, Any]) -> list[list[str]]:
    """Wordings from full to short of a landscape without things."""
    ground, sky = about["ground"], sky_words(rng, about)
    if about["relief"] == "hills":
        subject, place = rng.choice(HILLS_ARE[ground]), ""
    elif about["relief"] == "mountains":
        subject = rng.choice(MOUNTAINS_ARE[about["mountains"]])
        if rng.random() < 0.5:
            place = f"{rng.choice(('behind', 'beyond', 'over', 'above'))} {rng.choice(GROUND_IS[ground])}"
        else:
            subject, place = f"{rng.choice(GROUND_IS[ground])} {rng.choice(('with', 'before', 'in front of', 'and'))} {subject}", ""
    else:
        subject, place = rng.choice(GROUND_IS[ground]), ""
    if about["trees"]:
        trees = rng.choice(TREES_ARE[about["trees"]])
        far = {"none": "", "hills": "in front of hills", "mountains": "in front of mountains"}[about["relief"]] if rng.random() < 0.5 else ""
        subject, place = trees, far or rng.choice(GROUND_AT[ground])
    full, short = [subject, place, sky], [subject, sky]
    return [full, short] if rng.random() < 0.75 else [[subject, place], [subject]] if rng.random() < 0.5 else [short]


def room_words(rng: Random, about: dict[str, Any], subject: str) -> list[list[str]]:
    walls = about["walls"] if about["walls"] != "grey" else rng.choice(("grey", "gray"))
    floor = f"{about['floor']} floor"
    form = rng.random()
    if form < 0.3:
        return [[subject, f"in {article(walls + ' room')}"]]
    if form < 0.5:
        return [[subject, f"in a room with {walls} walls"]]
    if form < 0.65:
        return [[f"{article(walls + ' room')} with", subject], [subject, "in a room"]]
    if form < 0.8:
        return [[f"a room with {walls} walls and", subject], [subject, "in a room"]]
    if form < 0.9:
        return [[subject, f"on {article(floor)}"], [subject, "in a room"]]
    return [[subject, rng.choice(("in a room", "indoors", "inside a room"))]]


def studio_words(rng: Random, about: dict[str, Any], subject: str) -> list[list[str]]:
    if rng.random() < 0.55:
        return [[subject]]
    tone = about["backdrop"]
    return [
        [
            subject,
            rng.choice(
                (f"on {article(tone + ' background')}", f"on {article(tone + ' floor')}", "in a studio", f"against {article(tone + ' backdrop')}")
            ),
        ],
        [subject],
    ]


def outdoor_words(rng: Random, about: dict[str, Any], subject: str) -> list[list[str]]:
    """Wordings of things in a landscape; parts are dropped by chance and for length."""
    place, sky = rng.choice(GROUND_AT[about["ground"]]), sky_words(rng, about)
    far = ""
    if about["relief"] == "mountains":
        mountains = rng.choice(MOUNTAINS_ARE[about["mountains"]])
        far = rng.choice((f"in front of {mountains}", f"with {mountains} behind", f"and {mountains} in the background"))
    elif about["relief"] == "hills":
        hills = rng.choice((*HILLS_ARE[about["ground"]][:1], "hills"))
        far = rng.choice((f"in front of {hills}", f"with {hills} behind"))
    keep_place, keep_sky, keep_far = rng.random() < 0.75, rng.random() < 0.62, rng.random() < 0.6
    if far and keep_far:
        return [[subject, far, sky] if keep_sky else [subject, place, far], [subject, far], [subject, place]]
    return [[subject, place if keep_place else "", sky if keep_sky else ""], [subject, place], [subject]]


def caption(scene: Scene) -> str:
    """The caption of a scene: FEWEST_WORDS to MOST_WORDS words, lower case but for a few that begin with a capital letter."""
    rng = Random(f"caption {scene.seed}")
    about, things = scene.about, scene.about["objects"]
    bare = rng.random() < 0.15
    subject = things_words(rng, things, with_sides=rng.random() < 0.38, bare=bare) if things else ""
    short = things_words(rng, things, with_sides=False, bare=bare) if things else ""
    if scene.kind == "landscape":
        wordings = landscape_words(rng, about)
    else:
        words = {"objects": outdoor_words, "room": room_words, "studio": studio_words}[scene.kind]
        wordings = [*words(rng, about, subject), [short], [thing_words(rng, things[0], bare)]]
    prefix = rng.choice(PREFIXES) if rng.random() < 0.22 else ""
    for parts in wordings:
        text = " ".join(part for part in (prefix, *parts) if part)
        if len(text.split()) <= MOST_WORDS:
            break
    else:
        text = text.removeprefix(prefix).lstrip()
    if len(text.split()) < FEWEST_WORDS:
        text = f"{rng.choice(PREFIXES)} {text}"
    if rng.random() < 0.1:
        text = text[0].upper() + text[1:]
    return text + "." if rng.random() < 0.06 else text
