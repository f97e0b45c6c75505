# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny parts of the kind that the embedded model has, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from jointdit.autoencoder import PatchAutoencoder
from jointdit.pipeline import JointDiTPipeline
from jointdit.prompt_encoder import PromptEncoder
from jointdit.training.export import assemble
from jointdit.training.recipe import tiny
from jointdit.training.text import tokenizer_of
from jointdit.transformer import JointDiTTransformer2DModel
from transformers import BertConfig, BertModel

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "blue", "cube", "ball", "house", "on", "snow")


def _config(words: int) -> BertConfig:
    return BertConfig(
        vocab_size=words, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64, pad_token_id=0
    )


def small_bert(folder: Path) -> Path:
    """A folder with a random BERT as all-MiniLM-L6-v2 comes: configuration, weights, word pieces."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    BertModel(_config(len(VOCABULARY))).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return folder


def small_pipeline() -> JointDiTPipeline:
    """A pipeline like the embedded model's, much smaller; native size 128."""
    torch.manual_seed(0)
    recipe = tiny()
    transformer = JointDiTTransformer2DModel(
        in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=32, num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32,
        guidance_embeds=False, axes_dims_rope=(8, 12, 12), lora_rank=2, vector_lora_ranks=(2, 2), text_lora_rank=2,
    )  # fmt: skip
    vae = PatchAutoencoder(encoder_width=16, decoder_width=16, quarter_width=16, half_width=8, decoder_depth=1)
    vae.start_from(torch.randn(500, 192))
    text = PromptEncoder(_config(len(VOCABULARY))).eval()
    pipeline = assemble(recipe, vae.eval(), tokenizer_of(list(VOCABULARY), 8), text, transformer.eval())
    pipeline.register_to_config(max_sequence_length=8)
    return pipeline
