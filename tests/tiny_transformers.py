# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny depth models and captioners with random weights, in folders as transformers saves them: of the classes that people use, LLaVA and Depth Anything V2."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny import learn_tokenizer
from torch import nn
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipProcessor,
    CLIPVisionConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

CHAT = (
    "{% for message in messages %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} answer:{% endif %}"
)


def _randomised(model: nn.Module, scale: float) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def tiny_depth_model(folder: Path, kind: str = "relative") -> Path:
    """Depth Anything V2, 28 pixels a side; `kind` "relative" gives disparity, "metric" meters. Returns the folder."""
    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=1, image_size=28, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, head_hidden_size=8,
        depth_estimation_type=kind, max_depth=20 if kind == "metric" else 1,
    )  # fmt: skip
    model = _randomised(DepthAnythingForDepthEstimation(config), 0.3)
    with torch.no_grad():
        model.head.conv3.weight.abs_()  # above 0, where the last layer lets nothing else pass
        model.head.conv3.weight.mul_(0.02 if kind == "metric" else 1.0)  # not at the largest depth everywhere
    model.save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 28, "width": 28}, keep_aspect_ratio=True, ensure_multiple_of=14).save_pretrained(folder)
    return folder


def tiny_llava(folder: Path) -> Path:
    """A captioner that chats. Returns the folder."""
    tokenizer = learn_tokenizer(["a red cube on a green meadow", "answer: describe this"], length=512, vocabulary=300)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8, projection_dim=8
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=512, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    image = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=image, vision_feature_layer=-1, image_seq_length=4)
    _randomised(LlavaForConditionalGeneration(config), 1.0).save_pretrained(folder)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}), tokenizer=tokenizer, patch_size=8,
        vision_feature_select_strategy="default", chat_template=CHAT, num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tiny_blip(folder: Path) -> Path:
    """A captioner that only describes. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    words = folder / "vocab.txt"
    words.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "red", "cube", "on", "the", "hill"]), encoding="utf-8")
    tokenizer = BertTokenizer(vocab=str(words))
    small = {"hidden_size": 16, "intermediate_size": 16, "projection_dim": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **small, "vocab_size": len(tokenizer), "encoder_hidden_size": 16, "max_position_embeddings": 512, "bos_token_id": 5, "eos_token_id": 3,
        "sep_token_id": 3, "pad_token_id": 0,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config={**small, "image_size": 16, "patch_size": 8}, projection_dim=8, image_text_hidden_size=8)
    _randomised(BlipForConditionalGeneration(config), 0.7).save_pretrained(folder)
    BlipProcessor(image_processor=BlipImageProcessorPil(size={"height": 16, "width": 16}), tokenizer=tokenizer).save_pretrained(folder)
    return folder
