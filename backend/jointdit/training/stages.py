# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two stages of a small JointDiT: a FLUX-like base learnt from scratch on images, then the paper's stage on the frozen base."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

from ..latents import image_position_ids, pack
from ..transformer import JointDiTTransformer2DModel
from .data import Latents
from .flow import add_noise, shifted_logit_normal, unbalanced_sigmas, velocity_loss
from .loop import Schedule, train
from .text import learn_tokenizer, roughen

PROMPT_DROP = 0.1
BASE_SHIFT = 1.65  # exp(0.5): FLUX's schedule for pictures of few tokens


@dataclass
class TextSide:
    """Tokenizer and the two text encoders, in FLUX's roles: CLIP for one pooled vector, T5 for a vector a token."""

    tokenizer: PreTrainedTokenizerFast
    clip: CLIPTextModel
    t5: T5EncoderModel
    length: int

    def ids(self, prompts: list[str]) -> Tensor:
        """(N, length) token ids, padded and cut."""
        return self.tokenizer(prompts, padding="max_length", max_length=self.length, truncation=True, return_tensors="pt").input_ids

    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(N, length, D) token states and (N, P) pooled vectors."""
        return self.t5(ids)[0], self.clip(ids).pooler_output


def learn_tokenizer_of(captions: list[str], length: int) -> PreTrainedTokenizerFast:
    """The tokenizer of a training set: its captions, roughened, so that common filler words have tokens of their own."""
    words = random.Random(0)
    return learn_tokenizer((roughen(c, words) for c in captions), length)


def new_text_side(tokenizer: PreTrainedTokenizerFast, length: int, width: int = 160) -> TextSide:
    """Two small text encoders with fresh weights; they are learnt together with the base."""
    words = len(tokenizer)
    clip = CLIPTextConfig(
        vocab_size=words, hidden_size=96, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=length,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.pad_token_id, pad_token_id=tokenizer.pad_token_id, projection_dim=96,
    )  # fmt: skip
    t5 = T5Config(
        vocab_size=words, d_model=width, d_kv=32, d_ff=2 * width, num_layers=2, num_heads=width // 32, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, decoder_start_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return TextSide(tokenizer, CLIPTextModel(clip), T5EncoderModel(t5), length)


def new_base(text: TextSide, layers: int, single_layers: int, heads: int, head_dim: int, rope: tuple[int, int, int]) -> FluxTransformer2DModel:
    """A small FLUX without guidance embedding; modulations and the output start at zero, so that training starts calm."""
    model = FluxTransformer2DModel(
        in_channels=64, num_layers=layers, num_single_layers=single_layers, attention_head_dim=head_dim, num_attention_heads=heads,
        joint_attention_dim=text.t5.config.d_model, pooled_projection_dim=text.clip.config.hidden_size, guidance_embeds=False, axes_dims_rope=rope,
    )  # fmt: skip
    for name, parameter in model.named_parameters():
        if name.startswith("proj_out.") or "norm_out.linear" in name or ("norm" in name and ".linear." in name):
            nn.init.zeros_(parameter)
    return model


def _captions(latents: Latents, chosen: Tensor, generator: torch.Generator) -> list[str]:
    """Captions of the chosen samples, roughened, some of them dropped."""
    words = random.Random(int(torch.randint(2**31, (), generator=generator)))
    return ["" if words.random() < PROMPT_DROP else roughen(latents.captions[i], words) for i in chosen.tolist()]


def train_base(
    model: FluxTransformer2DModel, text: TextSide, latents: Latents, schedule: Schedule, checkpoint: Path,
    minutes: float | None = None, on_checkpoint: Callable[[int], None] | None = None,
) -> bool:  # fmt: skip
    """Stage 1: flow matching of images alone, base and text encoders together. Returns whether it is finished."""
    rows, columns = (n // 2 for n in latents.rgb.shape[-2:])
    ids = image_position_ids(rows, columns), torch.zeros(text.length, 3)
    named = {"transformer": model, "clip": text.clip, "t5": text.t5}
    parameters = {f"{prefix}.{n}": p for prefix, module in named.items() for n, p in module.named_parameters() if p.requires_grad}

    def loss(step: int, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents.rgb), (schedule.batch,), generator=generator)
        clean = pack(latents.rgb[chosen].float())
        noise = torch.randn(clean.shape, generator=generator)
        sigma = shifted_logit_normal(schedule.batch, BASE_SHIFT, generator)
        tokens = text.ids(_captions(latents, chosen, generator))
        with torch.autocast("cpu", torch.bfloat16):
            states, pooled = text(tokens)
            velocity = model(add_noise(clean, noise, sigma), states, pooled, sigma, *ids, return_dict=False)[0]
        return velocity_loss(velocity, clean, noise)

    return train(parameters, loss, schedule, checkpoint, minutes=minutes, on_checkpoint=on_checkpoint)


def train_joint(
    model: JointDiTTransformer2DModel, text: TextSide, latents: Latents, schedule: Schedule, checkpoint: Path,
    minutes: float | None = None, on_checkpoint: Callable[[int], None] | None = None,
) -> bool:  # fmt: skip
    """Stage 2, the paper's method: the base is frozen; depth LoRAs and joint layers learn joint conditional flow matching (equation 4)
    with unbalanced timestep sampling. Returns whether it is finished."""
    rows, columns = (n // 2 for n in latents.rgb.shape[-2:])
    ids = image_position_ids(rows, columns), torch.zeros(text.length, 3)
    model.requires_grad_(False)
    parameters = model.addon_parameters()
    for parameter in parameters.values():
        parameter.requires_grad_(True)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents.rgb), (schedule.batch,), generator=generator)
        clean = pack(torch.cat([latents.rgb[chosen], latents.depth[chosen]]).float())
        noise = torch.randn(clean.shape, generator=generator)
        sigma = torch.cat(unbalanced_sigmas(schedule.batch, generator))
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                states, pooled = text(text.ids(_captions(latents, chosen, generator)))
            velocity = model(add_noise(clean, noise, sigma), states.repeat(2, 1, 1), pooled.repeat(2, 1), sigma, *ids, return_dict=False)[0]
        return velocity_loss(velocity, clean, noise)

    return train(parameters, loss, schedule, checkpoint, minutes=minutes, on_checkpoint=on_checkpoint)
