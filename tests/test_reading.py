# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the text encoder learns other words: paraphrases part by part, their tokens' places, and the training itself."""

from __future__ import annotations

import copy
import random
import re
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jointdit.procedural import synonyms
from jointdit.procedural.captions import caption
from jointdit.procedural.rewording import HELD_OUT_WORDS, plain_words
from jointdit.procedural.sampling import sample
from jointdit.prompt_encoder import PromptEncoder
from jointdit.training.loop import Schedule
from jointdit.training.paraphrase import Part, paraphrase, said, told, vocabulary
from jointdit.training.reading import captions_of, draw_pair, learn_reading, pair_of, reading_loss
from jointdit.training.stages import Work
from jointdit.training.text import smaller_encoder, tokenizer_of
from small_model import VOCABULARY, small_bert
from transformers import PreTrainedTokenizerFast

COMMON = {"a", "an", "at", "amid", "beneath", "garden", "ice", "in", "on", "the", "under", "with", "late", "first", "polar", "rays", "colored", "oil", "region"}
"""Words of held-out phrases that say nothing by themselves."""


def test_no_synonym_is_held_out() -> None:
    """Else nothing could tell whether words that were never taught are understood."""
    held_out = set().union(*(re.findall(r"[a-z-]+", word) for table in HELD_OUT_WORDS.values() for word in plain_words(table))) - COMMON
    tables = (getattr(synonyms, name) for name in ("COLOURS", "NOUNS", "GROUND", "SKY", "LAND", "DETAILS", "STYLES"))
    taught = [*chain.from_iterable(chain.from_iterable(table.values()) for table in tables), *synonyms.WRAPPINGS]
    assert not {phrase: words for phrase in taught if (words := held_out & {*re.findall(r"[a-z-]+", phrase.lower())})}
    assert len(taught) > 1200


def test_every_class_has_other_words_and_none_says_two_things() -> None:
    assert all(len({*phrases.others}) >= 6 for phrases in vocabulary())
    for kind in (synonyms.COLOURS, synonyms.NOUNS, synonyms.GROUND, synonyms.SKY):
        said_for: dict[str, str] = {}
        for name, phrases in kind.items():
            for phrase in phrases:
                assert said_for.setdefault(phrase, name) == name, phrase


@given(st.integers(0, 10**6), st.integers(0, 7), st.integers(0, 10**6))
def test_a_paraphrase_is_the_caption_part_by_part(seed: int, variant: int, luck: int) -> None:
    text = caption(sample(seed), variant).lower()
    as_it_is = paraphrase(text, random.Random(luck), share=0.0, wrapped=0.0)
    assert told(as_it_is) == said(as_it_is) == text
    parts = paraphrase(text, random.Random(luck))
    said_for = {(phrases.told, other) for phrases in vocabulary() for other in phrases.others}
    for part in parts:
        kept = re.sub(r"\ban? $", "", part.told) == re.sub(r"\ban? $", "", part.said)
        assert kept or not part.told or (part.told, part.said) in said_for  # kept, added, or exchanged for a word of its own class
    assert "{" not in said(parts)


def test_articles_follow_the_word_on_each_side() -> None:
    parts = paraphrase("a red ball on an orange floor", random.Random(3), share=1.0, wrapped=0.0)
    assert told(parts) == "a red ball on an orange floor"
    assert not re.search(r"\ba [aeiou]", said(parts)) and not re.search(r"\ban [bcdfghjklmnpqrstvwxyz]", said(parts))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> tuple[PromptEncoder, PreTrainedTokenizerFast]:
    """A small encoder with random weights, and its tokenizer."""
    encoder, pieces = smaller_encoder(small_bert(tmp_path_factory.mktemp("bert")), VOCABULARY[4:], 2, 16)
    return encoder, tokenizer_of(pieces, 16)


def test_places_follow_the_parts(reader: tuple[PromptEncoder, PreTrainedTokenizerFast]) -> None:
    """ "a red cube" said as "please , a b a cube": CLS, then an added piece, one that stays, then three for "red"."""
    tokenizer = reader[1]
    one, two = VOCABULARY[-2], VOCABULARY[-1]
    parts = [Part("", f"{two} "), Part(f"{one} ", f"{one} "), Part(f"{one} {two}", f"{two} {two} {one}"), Part(f" {two}", f" {two}")]
    pair = pair_of(tokenizer, parts, 12)
    assert pair is not None
    assert pair.told[:7] == [*tokenizer(f"{one} {one} {two} {two}").input_ids, tokenizer.pad_token_id]
    assert pair.place == [0, 0, 1, 2, 2, 3, 4, 5, 8, 9, 10, 11]  # begin, added, same, three for two, same, end, padding
    assert len(pair.told) == len(pair.said) == 12
    assert pair_of(tokenizer, parts, 7) is None  # longer than can be read


def test_a_prompt_as_it_is_costs_nothing_and_padding_finds_padding(reader: tuple[PromptEncoder, PreTrainedTokenizerFast]) -> None:
    encoder, tokenizer = reader
    pair = pair_of(tokenizer, [Part("a red cube", "a red cube")], 16)
    assert pair is not None and pair.place == list(range(16)) and pair.told == pair.said
    assert reading_loss(encoder, copy.deepcopy(encoder), [pair, pair]).item() == pytest.approx(0.0, abs=1e-10)


def test_the_loss_is_what_it_says(reader: tuple[PromptEncoder, PreTrainedTokenizerFast]) -> None:
    """Computed again by hand, place by place."""
    encoder, tokenizer = reader
    pair = pair_of(tokenizer, [Part("a ", "a "), Part("red", "cube red"), Part(" cube", " cube")], 16)
    assert pair is not None
    wanted, read = encoder(torch.tensor([pair.told])), encoder(torch.tensor([pair.said]))
    states = torch.stack([wanted.last_hidden_state[0, place] for place in pair.place])
    each = [
        (ours - theirs).square().mean() / theirs.square().mean()
        for ours, theirs in ((read.last_hidden_state[0], states), (read.pooler_output, wanted.pooler_output))
    ]
    assert reading_loss(encoder, encoder, [pair]).item() == pytest.approx(sum(each).item(), rel=1e-5)


def test_it_learns_other_words_and_keeps_the_captions(reader: tuple[PromptEncoder, PreTrainedTokenizerFast], tmp_path: Path) -> None:
    encoder, tokenizer = copy.deepcopy(reader[0]), reader[1]
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    captions = ["a red cube"]  # what is said for it is unknown words to this encoder, which then mean red, or cube, by their place
    numbers = random.Random(1)
    pairs = [draw_pair(captions, tokenizer, 16, numbers) for _ in range(64)]
    teacher = copy.deepcopy(encoder)
    first = reading_loss(encoder, teacher, pairs).item()
    schedule = Schedule(steps=60, batch=16, learning_rate=3e-3, warmup=2, average=0.0)
    assert learn_reading(encoder, tokenizer, 16, captions, schedule, Work(tmp_path / "reading.pt", torch.device("cpu")))
    assert reading_loss(encoder, teacher, pairs).item() < 0.7 * first
    frozen = [name for name in before if name.startswith(("embeddings.", "encoder.layer.0."))]
    assert frozen and all(torch.equal(encoder.state_dict()[name], before[name]) for name in frozen)


def test_captions_come_in_several_wordings() -> None:
    assert captions_of(range(3)) == [caption(sample(seed), variant) for seed in range(3) for variant in range(8)]
