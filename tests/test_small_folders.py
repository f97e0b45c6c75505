# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of small models in 8 bits, and the text encoder in both roles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from jointdit.errors import CheckpointError
from jointdit.models import Model
from jointdit.prompt_encoder import PromptEncoder
from jointdit.training.text import FREE_LAYERS, freeze, kept_pieces, smaller_encoder, tokenizer_of
from jointdit.weights.small_folders import PACKED, load_packed, pack_matrix, save_packed, unpack_matrix
from small_model import VOCABULARY, small_bert, small_pipeline
from torch import nn


def test_rounding_is_at_most_half_a_step_of_each_row() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((7, 33)) * 10.0 ** rng.uniform(-4, 3, (7, 1))
    codes, scale = pack_matrix(torch.from_numpy(weight))
    back = unpack_matrix(codes, scale).double().numpy()
    assert codes.dtype == torch.int8
    assert np.all(np.abs(back - weight) <= 0.51 * np.abs(weight).max(axis=1, keepdims=True) / 127)


def test_a_row_of_zeros_stays_one() -> None:
    codes, scale = pack_matrix(torch.zeros(2, 5000))
    assert torch.equal(unpack_matrix(codes, scale), torch.zeros(2, 5000))


def test_packing_twice_changes_nothing_more(tmp_path: Path) -> None:
    """What a later training stage starts from is what is shipped."""
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(100, 60), nn.LayerNorm(60))
    save_packed(layer, tmp_path)
    once = load_packed(tmp_path)
    layer.load_state_dict(once)
    save_packed(layer, tmp_path)
    twice = load_packed(tmp_path)
    assert all((once[name] - twice[name]).abs().max() <= 2e-3 * once[name].abs().max() for name in once)
    assert torch.equal(once["0.bias"], layer[0].bias) and (tmp_path / PACKED).stat().st_size < 2 * 6000


def test_a_packed_pipeline_is_the_one_that_was_saved(tmp_path: Path) -> None:
    """Up to the rounding; the encoder is stored once and has both roles."""
    from jointdit.training.export import export

    pipeline = small_pipeline()
    export(pipeline, tmp_path / "model")
    assert not (tmp_path / "model/text_encoder").exists()
    again = Model("small", tmp_path / "model").load()
    assert again.text_encoder is again.text_encoder_2
    made, other = (pipe("a red cube", generator=torch.Generator().manual_seed(0), num_inference_steps=2, output_type="np") for pipe in (pipeline, again))
    assert made.images.shape == other.images.shape
    assert np.abs(made.images - other.images).mean() < 0.01 < np.abs(made.images - made.images[:, ::-1]).mean()
    tokens, pooled = again.encode_prompt(["a red cube"])
    assert tokens.shape == (1, 8, 32) and pooled.shape == (1, 32)


def test_a_damaged_folder_is_a_sentence(tmp_path: Path) -> None:
    from jointdit.training.export import export

    export(small_pipeline(), tmp_path / "model")
    file = tmp_path / "model/transformer" / PACKED
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="install it again"):
        Model("small", tmp_path / "model").load()
    config = tmp_path / "model/text_encoder_2/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"hidden_size": 64}))
    with pytest.raises(CheckpointError, match="install it again"):
        Model("small", tmp_path / "model").load()


# The encoder


def test_padding_is_not_listened_to(tmp_path: Path) -> None:
    """Words get the same states however long the padding is, and the pooled vector is the mean of the words' states."""
    encoder, pieces = smaller_encoder(small_bert(tmp_path), VOCABULARY, 2, 8)
    tokenizer = tokenizer_of(pieces, 8)
    with torch.no_grad():
        short, long = (encoder(tokenizer("a red cube", padding="max_length", max_length=n, return_tensors="pt").input_ids) for n in (5, 8))
    assert torch.allclose(short.last_hidden_state[:, :5], long.last_hidden_state[:, :5], atol=1e-5)
    assert torch.allclose(long.pooler_output, short.last_hidden_state.mean(1), atol=1e-5)


def test_the_smaller_encoder_reads_like_the_whole_one(tmp_path: Path) -> None:
    """With all layers and fewer word pieces, the states of known words are those of the original."""
    from transformers import BertModel

    folder = small_bert(tmp_path)
    kept = [piece for piece in VOCABULARY if piece != "ball"]
    encoder, pieces = smaller_encoder(folder, kept, 2, 8)
    assert pieces == kept
    tokenizer = tokenizer_of(kept, 8)
    ids = tokenizer("A red CUBE", return_tensors="pt").input_ids
    whole = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.no_grad():
        expected = whole(input_ids=torch.tensor([[VOCABULARY.index(piece) for piece in ("[CLS]", "a", "red", "cube", "[SEP]")]])).last_hidden_state
        assert torch.allclose(encoder(ids).last_hidden_state, expected, atol=1e-5)


def test_only_the_last_layers_are_trained(tmp_path: Path) -> None:
    encoder = freeze(smaller_encoder(small_bert(tmp_path), VOCABULARY, 2, 8)[0])
    trained = {name.split(".")[2] for name, p in encoder.named_parameters() if p.requires_grad}
    assert len(trained) == min(2, FREE_LAYERS) and not encoder.embeddings.word_embeddings.weight.requires_grad


def test_words_of_a_dictionary_and_parts_of_words_are_kept() -> None:
    vocabulary = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "!", "7", "1984", "red", "london", "##ing", "##7", "##77", "ü", "##ü"]
    assert kept_pieces(vocabulary, {"red", "blue"}) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "!", "7", "red", "##ing", "##7"]


def test_an_unknown_word_is_read_in_parts() -> None:
    tokenizer = tokenizer_of([*VOCABULARY, "##e", "##l", "t"], 8)
    assert tokenizer.tokenize("red teel cube") == ["red", "t", "##e", "##e", "##l", "cube"]


def test_a_prompt_encoder_is_saved_and_loaded_by_transformers(tmp_path: Path) -> None:
    encoder, _ = smaller_encoder(small_bert(tmp_path / "bert"), VOCABULARY, 2, 8)
    encoder.save_pretrained(tmp_path / "saved")
    again = PromptEncoder.from_pretrained(tmp_path / "saved")
    assert all(torch.equal(a, b) for a, b in zip(encoder.state_dict().values(), again.state_dict().values(), strict=True))
