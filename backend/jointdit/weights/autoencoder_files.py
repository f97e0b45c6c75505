# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""FLUX's autoencoder from the files that users have: `ae.safetensors` in its original layout, or diffusers' folder `vae`.

The architecture is read from the tensors' shapes. What leaves no trace there (the latents' scale and shift) is FLUX's, unless diffusers' `config.json` lies
beside the weights.
"""

from __future__ import annotations

import json
import math
import re

import torch
from diffusers import AutoencoderKL

from ..errors import CheckpointError
from .filling import count, fill, side
from .source import TensorSource

WHAT = "autoencoder of FLUX"
LATENT_CHANNELS = 16
# `sample_size` leaves no trace in the weights either; it is the tile of diffusers' tiled decoding.
FLUX_VALUES = {"scaling_factor": 0.3611, "shift_factor": 0.1159, "sample_size": 1024}
MOST_GROUPS = 32

_MARK = "encoder.conv_in.weight"  # both layouts have it, whatever prefix stands before it
# Our names' patterns -> the original ones. The decoder's blocks are counted the other way round: see `_original_name`.
_ORIGINAL = (
    (r"\.(down|up)_blocks\.(\d+)\.resnets\.(\d+)\.", r".\1.\2.block.\3."),
    (r"\.down_blocks\.(\d+)\.downsamplers\.0\.", r".down.\1.downsample."),
    (r"\.up_blocks\.(\d+)\.upsamplers\.0\.", r".up.\1.upsample."),
    (r"\.mid_block\.resnets\.0\.", ".mid.block_1."),
    (r"\.mid_block\.resnets\.1\.", ".mid.block_2."),
    (r"\.mid_block\.attentions\.0\.", ".mid.attn_1."),
    (r"\.attn_1\.group_norm\.", ".attn_1.norm."),
    (r"\.attn_1\.to_([qkv])\.", r".attn_1.\1."),
    (r"\.attn_1\.to_out\.0\.", ".attn_1.proj_out."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
    (r"\.conv_norm_out\.", ".norm_out."),
)


def load_autoencoder(source: TensorSource, dtype: torch.dtype = torch.float32) -> AutoencoderKL:
    """The autoencoder, on the CPU, for evaluation. Other parts of the file, as in a checkpoint of everything, are left alone.

    Raises `CheckpointError` where the file holds no autoencoder, one with other than 16 latent channels, or a damaged one.
    """
    marks = sorted((name for name in source if name == _MARK or name.endswith("." + _MARK)), key=len)
    if not marks:
        raise CheckpointError(f"{source.title} is not FLUX's autoencoder: the tensor {_MARK} is missing. Choose ae.safetensors, or diffusers' folder vae.")
    prefix = marks[0].removesuffix(_MARK)
    original = any(name.startswith(f"{prefix}encoder.down.") for name in source)
    config = _config(source, prefix, "encoder.down.{}.block." if original else "encoder.down_blocks.{}.resnets.", original)
    with torch.device("meta"):
        model = AutoencoderKL(**config)
    blocks = len(config["block_out_channels"])
    names = {name: prefix + (_original_name(name, blocks) if original else name) for name in model.state_dict()}
    fill(model, source, names, dtype, WHAT)
    return model


def _config(source: TensorSource, prefix: str, resnets: str, original: bool) -> dict[str, object]:
    """Arguments of `AutoencoderKL`; `resnets` is the prefix of the resnets of the encoder's block {}."""
    latents = side(source, f"{prefix}decoder.conv_in.weight", 1, WHAT)
    if latents != LATENT_CHANNELS:
        raise CheckpointError(
            f"{source.title} is an autoencoder with {latents} latent channels, as Stable Diffusion's has; FLUX's has {LATENT_CHANNELS}. Choose ae.safetensors."
        )
    blocks = count(source, prefix + resnets.split("{", 1)[0])
    channels = tuple(side(source, f"{prefix}{resnets.format(i)}0.conv1.weight", 0, WHAT) for i in range(blocks))
    if not channels:
        raise CheckpointError(f"{source.title} is not FLUX's autoencoder: its encoder has no blocks. Choose ae.safetensors, or diffusers' folder vae.")

    def has(module: str) -> bool:
        """Any tensor counts: where one of a module is missing, the module is damaged, not absent."""
        return any(name.startswith(f"{prefix}{module}.") for name in source)

    return {
        "in_channels": side(source, prefix + _MARK, 1, WHAT),
        "out_channels": side(source, f"{prefix}decoder.conv_out.weight", 0, WHAT),
        "down_block_types": ("DownEncoderBlock2D",) * blocks,
        "up_block_types": ("UpDecoderBlock2D",) * blocks,
        "block_out_channels": channels,
        "layers_per_block": count(source, prefix + resnets.format(0)),
        "latent_channels": latents,
        "norm_num_groups": math.gcd(MOST_GROUPS, *channels),
        "mid_block_add_attention": has("encoder.mid.attn_1" if original else "encoder.mid_block.attentions"),
        "use_quant_conv": has("quant_conv"),
        "use_post_quant_conv": has("post_quant_conv"),
        **FLUX_VALUES,
        **_written_values(source),
    }


def _written_values(source: TensorSource) -> dict[str, object]:
    """What the weights do not show, from diffusers' `config.json` beside them; nothing where there is none for an autoencoder."""
    path = source.files[0].parent / "config.json"
    if not path.is_file():
        return {}
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The file {path} beside the autoencoder cannot be read ({error}). Get it again or remove it.") from error
    # A folder of single files may hold some other model's config.json.
    if not isinstance(written, dict) or written.get("_class_name") != "AutoencoderKL" or written.get("latent_channels") != LATENT_CHANNELS:
        return {}
    return {key: written[key] for key in (*FLUX_VALUES, "norm_num_groups") if written.get(key) is not None}


def _original_name(name: str, blocks: int) -> str:
    """diffusers' parameter name -> the original one, of an autoencoder with so many blocks."""
    for pattern, replacement in _ORIGINAL:
        name = re.sub(pattern, replacement, name)
    # The original counts the decoder's blocks from the finest to the coarsest, diffusers in the order of their work.
    return re.sub(r"^decoder\.up\.(\d+)\.", lambda match: f"decoder.up.{blocks - 1 - int(match[1])}.", name)
