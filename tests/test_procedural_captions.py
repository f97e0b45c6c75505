# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions of procedural scenes are true in all their wordings, name what is unusual, and leave some words to evaluation."""

import re

import pytest
from jointdit.procedural.captions import FEWEST_WORDS, MOST_WORDS, caption
from jointdit.procedural.rewording import HELD_OUT_WORDS, plain_words, reworded
from jointdit.procedural.sampling import sample

SCENES = 1500
SHAPE_OF = {
    "ball": "ball", "sphere": "ball", "orb": "ball", "globe": "ball", "cube": "cube", "box": "cube", "block": "cube", "cone": "cone", "cylinder": "cylinder",
    "column": "column", "pillar": "column", "pyramid": "pyramid", "house": "house", "cottage": "house", "hut": "house", "cabin": "house", "farmhouse": "house",
    "tree": "tree", "poplar": "tree", "conifer": "tree", "fir": "tree", "tower": "tower", "turret": "tower", "lighthouse": "lighthouse", "rock": "rock",
    "boulder": "rock", "stone": "rock", "bench": "bench", "table": "table", "bed": "bed", "chair": "chair", "wardrobe": "wardrobe", "cupboard": "wardrobe",
    "closet": "wardrobe", "cabinet": "wardrobe", "shelf": "shelf", "bookshelf": "shelf", "sofa": "sofa", "couch": "sofa", "lamp": "lamp",
}  # fmt: skip
COLOUR_OF = {
    "red": "red", "scarlet": "red", "crimson": "red", "green": "green", "emerald": "green", "blue": "blue", "azure": "blue", "yellow": "yellow",
    "orange": "orange", "amber": "orange", "purple": "purple", "violet": "purple", "white": "white", "ivory": "white", "black": "black", "ebony": "black",
    "pink": "pink", "rosy": "pink", "brown": "brown", "grey": "grey", "gray": "grey",
}  # fmt: skip
KINDS = "autumn|castle|round|brick|park|standing|floor|book|fir|pine|tall thin|slender"
THING = re.compile(rf"\b({'|'.join(COLOUR_OF)})(?: and white)?(?: striped)?(?: (?:{KINDS}))? ({'|'.join(SHAPE_OF)})\b(?! (?:wall|plain|floor|tree|forest))")
ROOF = re.compile(rf"\b({'|'.join(COLOUR_OF)}) roof\b")
WEATHER = {  # what the words claim, by what the scene knows
    r"at night|nighttime|stars|starry|moon|by night|dark night|it is night": ("time", "night"),
    r"sunset|dusk|twilight|evening glow|in the evening|evening light|sun goes down|is setting|it is evening": ("time", "sunset"),
    r"sunrise|dawn|daybreak|early morning|morning light|is rising|sun comes up": ("time", "sunrise"),
    r"\bfog|\bmist": ("weather", "fog"),
    r"golden hour|golden light|is golden": ("time", "golden hour"),
    r"overcast|grey day|grey clouds": ("weather", "overcast"),
    r"lit from the left|light from the left|sun on the left": ("light", "left"),
    r"against the light|against the sun|backlit": ("light", "front"),
    r"beach|coast|seaside|sea shore": ("shore", "sea"),
    r"\blake": ("shore", "lake"),
    r"brick wall|wall of bricks": ("barrier", "brick wall"),
    r"stone wall|wall of stones": ("barrier", "stone wall"),
    r"fence": ("barrier", "wooden fence"),
    r"wide.angle|wide view": ("lens", "wide"),
    r"telephoto|zoomed|close-up": ("lens", "telephoto"),
    r"bird's-eye|aerial|from above|from the air|high above": ("camera", "bird's-eye"),
    r"low angle|from below|from the ground": ("camera", "low"),
    r"flat.shad|flat illus|low poly|flat design|flat style|flat colours": ("style", "flat"),
    r"drawing|sketch|ink lines|line art|drawn with": ("style", "line"),
    r"\brug|carpet": ("rug", None),
}
MUST = {  # what is always named
    ("style", "flat"): r"flat|low poly", ("style", "line"): r"drawing|sketch|ink|line art|drawn",
    ("lens", "wide"): r"wide", ("lens", "telephoto"): r"telephoto|zoomed|close-up", ("camera", "bird's-eye"): r"bird's-eye|aerial|above|from the air",
}  # fmt: skip


@pytest.fixture(scope="module")
def scenes():
    return [sample(seed) for seed in range(SCENES)]


def test_captions_are_true(scenes):
    seen, texts, claims = 0, set(), dict.fromkeys(WEATHER, 0)
    for scene in scenes:
        about = scene.about
        for variant in range(2):
            text = caption(scene, variant).lower().rstrip(".")
            assert FEWEST_WORDS <= len(text.split()) <= MOST_WORDS
            texts.add(text)
            things = {(thing["colour"], thing["shape"]) for thing in about["objects"]}
            said = {(COLOUR_OF[colour], SHAPE_OF[noun]) for colour, noun in THING.findall(text)}
            assert said <= things, (scene.seed, text)
            roofs = {thing["roof"] for thing in about["objects"] if "roof" in thing}
            assert {COLOUR_OF[roof] for roof in ROOF.findall(text)} <= roofs, text
            seen += bool(said)
            for pattern, (key, value) in WEATHER.items():
                if re.search(pattern, text):
                    claims[pattern] += 1
                    assert about.get(key) == value or (value is None and about.get(key)), (scene.seed, text, key)
            if about["style"] == "line" and not about["coloured"]:
                assert not said, text
    assert seen > 1500 and len(texts) > 0.9 * 2 * SCENES
    assert min(claims.values()) > 5, claims


def test_what_is_unusual_is_named(scenes):
    for scene in scenes:
        for variant in range(3):
            text = caption(scene, variant).lower()
            for (key, value), pattern in MUST.items():
                assert scene.about.get(key) != value or re.search(pattern, text), (scene.seed, text)


def test_variants_are_other_wordings_of_the_same_scene(scenes):
    assert all(caption(scene, 3) == caption(scene, 3) and caption(scene) == caption(scene, 0) for scene in scenes[:50])
    different = [len({caption(scene, variant) for variant in range(5)}) for scene in scenes[:200]]
    assert sum(different) / len(different) > 4.5


def test_held_out_words_are_in_no_caption(scenes):
    said = {word for scene in scenes for variant in range(4) for word in re.findall(r"[a-z'-]+", caption(scene, variant).lower())}
    small = {"a", "an", "in", "on", "at", "the", "with"}
    for kind, phrases in HELD_OUT_WORDS.items():
        assert not (plain_words(phrases) - small) & said, kind


def test_held_out_words_reword_every_scene(scenes):
    prompts = {reworded(scene.about, scene.seed) for scene in scenes}
    assert len(prompts) > 0.5 * SCENES
    scene = next(scene for scene in scenes if len(scene.about["objects"]) == 1 and scene.about.get("sky") == "night")
    prompt, thing = reworded(scene.about, 1), scene.about["objects"][0]
    assert prompt == reworded(scene.about, 1)
    for kind, name in (("colour", thing["colour"]), ("noun", thing["shape"]), ("sky", "night"), ("ground", scene.about["ground"])):
        assert any(phrase in prompt for phrase in HELD_OUT_WORDS[kind][name]), (prompt, kind)


def test_every_class_has_held_out_words(scenes):
    for scene in scenes:
        for thing in scene.about["objects"]:
            assert thing["colour"] in HELD_OUT_WORDS["colour"] and thing["shape"] in HELD_OUT_WORDS["noun"]
        assert scene.about.get("sky", "clear") in HELD_OUT_WORDS["sky"] and scene.about.get("ground", "grass") in HELD_OUT_WORDS["ground"]


def test_captions_are_reworded_with_held_out_words():
    text = "a red house next to a white sphere on the grass at night"
    prompt = reworded(text)
    for kind, name in (("colour", "red"), ("noun", "house"), ("colour", "white"), ("noun", "ball"), ("ground", "grass"), ("sky", "night")):
        assert any(phrase in prompt for phrase in HELD_OUT_WORDS[kind][name]), (prompt, kind)
    assert prompt == reworded(text) and "next to" in prompt and not re.search(r"\b(red|house|white|sphere|grass|night)\b", prompt)
    assert reworded("an empty room") == "an empty room"


def test_no_sky_is_told_of_that_cannot_be_seen(scenes):
    looked = 0
    for scene in scenes:
        if scene.about.get("horizon") is False:
            looked += 1
            assert not re.search(r"\bsky\b|clouds|stars|moon|mountain|peaks", caption(scene).lower()), caption(scene)
    assert looked > 10
