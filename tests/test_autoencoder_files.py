# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""FLUX's autoencoder out of the original layout and of diffusers' gives what the autoencoder gave that the file was written from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from jointdit.errors import CheckpointError
from jointdit.weights.autoencoder_files import load_autoencoder
from jointdit.weights.source import open_source
from safetensors.torch import save_file
from tiny_files import autoencoder_original
from torch import Tensor

CHANNELS = (8, 16, 24, 32)
SMALLER = {
    "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 16, "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
}  # fmt: skip


def _autoencoder(**options) -> AutoencoderKL:
    """Every block of another width, so that none can be mistaken for another; no parameter left at 0 or 1."""
    config = {
        "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4, "block_out_channels": CHANNELS, "layers_per_block": 2,
        "latent_channels": 16, "norm_num_groups": 8, "use_quant_conv": False, "use_post_quant_conv": False, "scaling_factor": 0.3611, "shift_factor": 0.1159,
        "sample_size": 1024,
    }  # fmt: skip
    model = AutoencoderKL(**config | options)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def _original(model: AutoencoderKL, prefix: str = "") -> dict[str, Tensor]:
    """The layout of `ae.safetensors`."""
    tensors = autoencoder_original(model.state_dict(), len(model.config.block_out_channels))
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _saved(path: Path, state: dict[str, Tensor]):
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return open_source(path)


@torch.no_grad()
def _assert_same(loaded: AutoencoderKL, truth: AutoencoderKL) -> None:
    picture = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1
    latents = truth.encode(picture).latent_dist.mode()
    assert latents.shape == (1, 16, 2, 3)
    assert torch.equal(loaded.encode(picture).latent_dist.mode(), latents)
    assert torch.equal(loaded.decode(latents).sample, truth.decode(latents).sample)
    for key in ("scaling_factor", "shift_factor", "sample_size", "block_out_channels", "layers_per_block", "latent_channels", "norm_num_groups"):
        assert loaded.config[key] == truth.config[key], key


def test_the_layout_of_these_tests_is_the_original_one():
    """diffusers' own reader is the witness."""
    model = _autoencoder()
    read = convert_ldm_vae_checkpoint(_original(model), model.config)
    state = model.state_dict()
    assert read.keys() == state.keys() and all(torch.equal(read[name], state[name]) for name in state)


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae."])
def test_the_original_layout(tmp_path, prefix):
    model = _autoencoder()
    state = _original(model, prefix)
    if prefix == "first_stage_model.":  # a checkpoint of everything
        state["model.diffusion_model.img_in.weight"] = torch.ones(2, 2)
    loaded = load_autoencoder(_saved(tmp_path / "ae.safetensors", state))
    _assert_same(loaded, model)
    assert not loaded.training and not any(parameter.is_meta for parameter in loaded.parameters())


@pytest.mark.parametrize(
    "options",
    [
        SMALLER,
        {"use_quant_conv": True, "use_post_quant_conv": True},
        {"mid_block_add_attention": False},
    ],
)
@pytest.mark.parametrize("layout", [_original, AutoencoderKL.state_dict])
def test_the_architecture_is_read_from_the_shapes(tmp_path, layout, options):
    model = _autoencoder(**options)
    loaded = load_autoencoder(_saved(tmp_path / "ae.safetensors", layout(model)))
    latents = torch.randn(1, 16, 2, 3)
    with torch.no_grad():
        assert torch.equal(loaded.decode(latents).sample, model.decode(latents).sample)
    for key in ("block_out_channels", "layers_per_block", "norm_num_groups", "use_quant_conv", "use_post_quant_conv", "mid_block_add_attention"):
        assert loaded.config[key] == model.config[key], key


def test_diffusers_folder_brings_its_own_values(tmp_path):
    model = _autoencoder(scaling_factor=0.5, shift_factor=0.25, norm_num_groups=4, sample_size=256)
    model.save_pretrained(tmp_path / "vae")
    _assert_same(load_autoencoder(open_source(tmp_path / "vae")), model)


def test_diffusers_layout_without_a_folder(tmp_path):
    model = _autoencoder()
    _assert_same(load_autoencoder(_saved(tmp_path / "diffusion_pytorch_model.safetensors", model.state_dict())), model)


@pytest.mark.parametrize("other", [{"model_type": "t5"}, [], {"_class_name": "AutoencoderKL", "latent_channels": 4, "scaling_factor": 0.18215}])
def test_the_config_of_another_model_beside_the_file_is_left_alone(tmp_path, other):
    model = _autoencoder()
    (tmp_path / "config.json").write_text(json.dumps(other))
    _assert_same(load_autoencoder(_saved(tmp_path / "ae.safetensors", _original(model))), model)


def test_another_precision(tmp_path):
    state = {name: tensor.bfloat16() for name, tensor in _original(_autoencoder()).items()}
    source = _saved(tmp_path / "ae.safetensors", state)
    assert load_autoencoder(source).dtype == torch.float32
    assert load_autoencoder(source, torch.bfloat16).dtype == torch.bfloat16


def _refused(source) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_autoencoder(source)
    return str(caught.value)


def test_an_autoencoder_of_stable_diffusion_is_named(tmp_path):
    model = _autoencoder(latent_channels=4, use_quant_conv=True, use_post_quant_conv=True)
    for i, state in enumerate((_original(model), model.state_dict())):
        assert "4 latent channels, as Stable Diffusion's has" in _refused(_saved(tmp_path / f"{i}.safetensors", state))


def test_other_models_are_refused(tmp_path):
    assert "not FLUX's autoencoder" in _refused(_saved(tmp_path / "f.safetensors", {"img_in.weight": torch.ones(2, 2)}))
    alone = {"encoder.conv_in.weight": torch.ones(8, 3, 3, 3), "decoder.conv_in.weight": torch.ones(8, 16, 3, 3)}
    assert "no blocks" in _refused(_saved(tmp_path / "g.safetensors", alone))


def test_a_damaged_config_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    assert str(tmp_path / "config.json") in _refused(_saved(tmp_path / "ae.safetensors", _original(_autoencoder())))


@pytest.mark.parametrize("layout", [_original, AutoencoderKL.state_dict])
def test_whichever_tensor_is_missing_or_misshapen_gets_a_sentence(tmp_path, layout):
    whole = layout(_autoencoder(**SMALLER, use_quant_conv=True, use_post_quant_conv=True))
    for i, name in enumerate(whole):
        shorter = whole[name][tuple(slice(side - 1) for side in whole[name].shape[:2])]
        damaged = ({n: t for n, t in whole.items() if n != name}, whole | {name: shorter}, whole | {name: torch.ones(())})[i % 3]
        assert "safetensors" in _refused(_saved(tmp_path / f"{i}.safetensors", damaged)), name


@pytest.mark.parametrize("name", ["encoder.mid.attn_1.q.weight", "encoder.down.2.block.0.conv1.weight", "quant_conv.weight", "decoder.conv_in.weight"])
def test_a_missing_tensor_is_no_other_architecture(tmp_path, name):
    whole = _original(_autoencoder(use_quant_conv=True, use_post_quant_conv=True))
    del whole[name]
    assert name in _refused(_saved(tmp_path / "ae.safetensors", whole))
