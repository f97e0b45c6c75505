# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tokenizers that the package brings along: known sentences, properties, and folders that people have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jointdit.errors import CheckpointError
from jointdit.weights.tokenizers import SHIPPED, clip_tokenizer, t5_tokenizer

SENTENCES = (
    "a small house by the sea, at sunset",
    "Dark forest; mist between the trees. Wide shot!",
    "an old man's hat (it's red) & 3 birds",
    "a city of glass in the year 2049: rain, neon",
)


def _shipped(name: str) -> dict:
    return json.loads((SHIPPED / name / "tokenizer.json").read_text(encoding="utf-8"))


def test_clip_reads_a_sentence_as_clip_does():
    tokenizer = clip_tokenizer()
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer("  A Photo\tof\n a  CAT ").input_ids == tokenizer("a photo of a cat").input_ids
    assert len(tokenizer) == 49408


def test_clip_pads_with_the_end_of_the_text_and_cuts_at_77():
    tokenizer = clip_tokenizer()
    assert tokenizer.model_max_length == 77
    padded = tokenizer(["a cat", "word " * 200], padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    assert padded.shape == (2, 77)
    assert padded[0, :4].tolist() == [49406, 320, 2368, 49407] and set(padded[0, 3:].tolist()) == {49407}
    assert padded[1, -1] == 49407 and padded[1, -2] != 49407


def test_t5_reads_a_sentence_as_t5_does():
    tokenizer = t5_tokenizer()
    assert tokenizer("The house is wonderful.").input_ids == [37, 629, 19, 1627, 5, 1]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)
    assert len(tokenizer) == 32100 and tokenizer.model_max_length == 512
    assert tokenizer("a", padding="max_length", max_length=5).input_ids == [3, 9, 1, 0, 0]


@pytest.mark.parametrize("text", ["", " ", " \n\t "])
def test_nothing_is_nothing(text):
    """The prompt of depth estimation is a single space: sentencepiece trims it away."""
    assert t5_tokenizer()(text).input_ids == [1]
    assert clip_tokenizer()(text).input_ids == [49406, 49407]


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences_come_back(text):
    t5, clip = t5_tokenizer(), clip_tokenizer()
    assert t5.decode(t5(text).input_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) == text
    back = clip.decode(clip(text).input_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert "".join(back.split()) == "".join(text.lower().split())  # CLIP cuts at punctuation: blanks are lost


def test_blanks_around_and_between_words_do_not_matter():
    t5 = t5_tokenizer()
    assert t5("  a red\u00a0 cube\n on grass ").input_ids == t5("a red cube on grass").input_ids


def test_german_is_known():
    text = "eine große Straße über grüne Hügel, Häuser, schöne Übersicht"
    t5 = t5_tokenizer()
    assert t5.unk_token_id not in t5(text).input_ids
    assert t5.decode(t5(text).input_ids, skip_special_tokens=True) == text


def test_both_can_be_saved_with_a_pipeline_and_loaded_again(tmp_path):
    from transformers import AutoTokenizer

    for tokenizer in (clip_tokenizer(), t5_tokenizer()):
        tokenizer.save_pretrained(tmp_path)
        again = AutoTokenizer.from_pretrained(tmp_path)
        assert again.model_max_length == tokenizer.model_max_length and again.pad_token_id == tokenizer.pad_token_id
        assert again(list(SENTENCES)).input_ids == tokenizer(list(SENTENCES)).input_ids


def _protocol_buffer_field(number: int, content: bytes) -> bytes:
    length = len(content)
    assert length < 128 * 128
    return bytes([number << 3 | 2]) + (bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])) + content


def _sentencepiece_model() -> bytes:
    """A `spiece.model` as sentencepiece writes it: pieces of text, score (32 bits) and kind (a number), then settings."""
    pieces = [piece for piece, _ in _shipped("t5")["model"]["vocab"][:32000]]
    each = (_protocol_buffer_field(1, piece.encode()) + b"\x15\0\0\0\0" + b"\x18\x01" for piece in pieces)
    return b"".join(_protocol_buffer_field(1, content) for content in each) + _protocol_buffer_field(2, b"settings of the training: " + b"x" * 200)


def test_folders_of_the_same_tokenizers_are_taken(tmp_path):
    (tmp_path / "spiece.model").write_bytes(_sentencepiece_model())
    assert t5_tokenizer(tmp_path)("The house").input_ids == [37, 629, 1]
    assert t5_tokenizer(SHIPPED / "t5")("The house").input_ids == [37, 629, 1]
    (tmp_path / "vocab.json").write_text(json.dumps(_shipped("clip")["model"]["vocab"]), encoding="utf-8")
    assert clip_tokenizer(tmp_path)("a cat").input_ids == [49406, 320, 2368, 49407]
    assert clip_tokenizer(SHIPPED / "clip")("a cat").input_ids == [49406, 320, 2368, 49407]


def _refused(load, folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert str(folder) in str(caught.value) and "JointDiT brings the tokenizers along" in str(caught.value)
    return str(caught.value)


def test_other_tokenizers_are_refused():
    assert "not the one of FLUX's CLIP" in _refused(clip_tokenizer, SHIPPED / "t5")
    assert "not the one of FLUX's T5" in _refused(t5_tokenizer, SHIPPED / "clip")


def test_folders_without_a_tokenizer_are_named(tmp_path):
    assert "tokenizer.json nor vocab.json" in _refused(clip_tokenizer, tmp_path)
    assert "tokenizer.json nor spiece.model" in _refused(t5_tokenizer, tmp_path / "not there")


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"{}", b"[]", b"3", b'{"model": 3}', b'{"model": {"vocab": null}}', b'{"model": {"vocab": [[], 1, [2]]}}', b"\0\xff"]
)
def test_damaged_files_get_a_sentence(tmp_path, damage):
    (tmp_path / "tokenizer.json").write_bytes(damage)
    _refused(clip_tokenizer, tmp_path)
    _refused(t5_tokenizer, tmp_path)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\x0a", b"\x0a\xff", b"\x0a\x02\x0a\x05", b"\x0a\x03\x0a\x01\xff", b"\xff" * 20])
def test_a_damaged_sentencepiece_model_gets_a_sentence(tmp_path, damage):
    (tmp_path / "spiece.model").write_bytes(damage)
    _refused(t5_tokenizer, tmp_path)


def test_a_sentencepiece_model_that_ends_early_is_refused(tmp_path):
    (tmp_path / "spiece.model").write_bytes(_sentencepiece_model()[:200_000])
    _refused(t5_tokenizer, tmp_path)
