# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny pipeline with random weights, of the same classes as the full-size one, for tests of the pipeline's own behaviour."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler
from jointdit.pipeline import JointDiTPipeline
from jointdit.transformer import JointDiTTransformer2DModel
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

PAD, END = "<pad>", "</s>"


def learn_tokenizer(captions: Iterable[str], length: int, vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    """Byte-level BPE learnt from captions (no text is ever unknown), ending each prompt with `</s>` and padding with `<pad>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, model_max_length=length)


def tiny_pipeline(guidance_embeds: bool = True, depth_transform: str = "none") -> JointDiTPipeline:
    """Random but fixed weights; 8 x down, 4 latent channels, 32 pixels native."""
    torch.manual_seed(0)
    tokenizer = learn_tokenizer(["a red cube on a green meadow", "a house by the sea"], length=8, vocabulary=300)
    clip = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=8,
        eos_token_id=tokenizer.eos_token_id, projection_dim=12,
    )  # fmt: skip
    t5 = T5Config(vocab_size=len(tokenizer), d_model=24, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    transformer = JointDiTTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24, pooled_projection_dim=12,
        guidance_embeds=guidance_embeds, axes_dims_rope=(4, 6, 6), lora_rank=2, vector_lora_ranks=(2, 2), text_lora_rank=2,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in transformer.addon_parameters().values():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(8, 8, 8, 8), layers_per_block=1,
        latent_channels=4, norm_num_groups=4, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1, scaling_factor=0.7,
    )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, base_image_seq_len=256, max_image_seq_len=4096)
    pipeline = JointDiTPipeline(
        scheduler=scheduler, vae=vae.eval(), text_encoder=CLIPTextModel(clip).eval(), tokenizer=tokenizer, text_encoder_2=T5EncoderModel(t5).eval(),
        tokenizer_2=tokenizer, transformer=transformer.eval(), native_size=32, max_sequence_length=8, depth_transform=depth_transform,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
