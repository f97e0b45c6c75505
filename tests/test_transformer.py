# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transformer's own promises: zero add-ons are stock FLUX, the RGB half never sees the LoRA, the adaptive weights are the formulas of the paper."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from diffusers import FluxTransformer2DModel
from hypothesis import given
from hypothesis import strategies as st
from jointdit.checkpoints import addon_tensors, flux_tensors, load_transformer, read_addon_options
from jointdit.errors import CheckpointError
from jointdit.joint_attention import adaptive_weights
from jointdit.transformer import JointDiTTransformer2DModel
from safetensors.torch import load_file, save_file

ROWS, COLUMNS, TEXT = 3, 4, 5
SMALL = {
    "in_channels": 16, "num_layers": 1, "num_single_layers": 2, "attention_head_dim": 16, "num_attention_heads": 2, "joint_attention_dim": 24,
    "pooled_projection_dim": 12, "guidance_embeds": True, "axes_dims_rope": (4, 6, 6),
}  # fmt: skip
RANKS = {"lora_rank": 4, "vector_lora_ranks": (3, 5), "text_lora_rank": 6}


def inputs(pairs: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    n = 2 * pairs
    return {
        "hidden_states": torch.randn(n, ROWS * COLUMNS, 16, generator=generator),
        "encoder_hidden_states": torch.randn(n, TEXT, 24, generator=generator),
        "pooled_projections": torch.randn(n, 12, generator=generator),
        "timestep": torch.rand(n, generator=generator),
        "img_ids": torch.randint(0, 9, (ROWS * COLUMNS, 3), generator=generator).float(),
        "txt_ids": torch.zeros(TEXT, 3),
        "guidance": torch.full((n,), 3.5),
    }


def small_flux(seed: int = 0, **changes) -> FluxTransformer2DModel:
    torch.manual_seed(seed)
    return FluxTransformer2DModel(**{**SMALL, **changes}).eval()


def random_addons(model: JointDiTTransformer2DModel, seed: int = 1) -> JointDiTTransformer2DModel:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.addon_parameters().values():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@torch.no_grad()
def test_zeroed_addons_are_stock_flux() -> None:
    flux = small_flux()
    joint = JointDiTTransformer2DModel.from_flux(flux, **RANKS).eval()
    x = inputs()
    assert torch.equal(joint(**x).sample, flux(**x).sample)


@torch.no_grad()
def test_without_the_joint_layers_the_lora_changes_the_depth_half_alone() -> None:
    flux = small_flux()
    joint = random_addons(JointDiTTransformer2DModel.from_flux(flux, **RANKS))
    for name, parameter in joint.named_parameters():
        if ".to_joint." in name:
            parameter.zero_()
    x = inputs()
    ours, stock = joint(**x).sample, flux(**x).sample
    assert torch.equal(ours[:2], stock[:2])
    assert (ours[2:] - stock[2:]).abs().amax(dim=(1, 2)).min() > 1e-3


@torch.no_grad()
def test_each_pair_is_its_own_world() -> None:
    """Branches are joined within a pair, never across the batch."""
    joint = random_addons(JointDiTTransformer2DModel.from_flux(small_flux(), **RANKS))
    x = inputs(pairs=3)
    whole = joint(**x).sample
    for i in range(3):
        pair = {k: v if k.endswith("ids") else v[[i, 3 + i]] for k, v in x.items()}
        assert torch.allclose(joint(**pair).sample, whole[[i, 3 + i]], atol=1e-5)


@torch.no_grad()
def test_both_branches_hear_each_other() -> None:
    joint = random_addons(JointDiTTransformer2DModel.from_flux(small_flux(), **RANKS))
    x = inputs(pairs=1)
    before = joint(**x).sample
    for changed, other in ((0, 1), (1, 0)):
        y = dict(x, hidden_states=x["hidden_states"].clone())
        y["hidden_states"][changed] += 1
        assert (joint(**y).sample[other] - before[other]).abs().max() > 1e-4


@given(st.floats(0, 1), st.floats(0, 1))
def test_adaptive_weights_are_the_formulas(s_rgb: float, s_depth: float) -> None:
    def expected(own: float, other: float) -> float:
        fraction = own / (own + other) if own + other > 0 else 0.5
        return 1 / (1 + math.exp(-3 * (fraction - 0.5)))

    pair = torch.tensor([s_rgb], dtype=torch.float64), torch.tensor([s_depth], dtype=torch.float64)
    noise = adaptive_weights(*pair, form="noise_fraction")
    assert noise.tolist() == pytest.approx([expected(s_rgb, s_depth), expected(s_depth, s_rgb)], abs=1e-12)
    clean = adaptive_weights(*pair, form="clean_fraction")
    assert clean.tolist() == pytest.approx([expected(1 - s_depth, 1 - s_rgb), expected(1 - s_rgb, 1 - s_depth)], abs=1e-12)


def test_adaptive_weights_at_the_corners() -> None:
    zero, one = torch.zeros(1), torch.ones(1)
    assert adaptive_weights(zero, zero).tolist() == [0.5, 0.5]
    assert adaptive_weights(one, one, form="clean_fraction").tolist() == [0.5, 0.5]
    assert adaptive_weights(one, zero)[0].item() == pytest.approx(0.8176, abs=1e-4)  # a clean partner
    with pytest.raises(ValueError, match="noise_fraction"):
        adaptive_weights(one, one, form="something else")


def test_only_the_addons_get_gradients_when_the_base_is_frozen() -> None:
    joint = random_addons(JointDiTTransformer2DModel.from_flux(small_flux(), **RANKS)).train().requires_grad_(False)
    for parameter in joint.addon_parameters().values():
        parameter.requires_grad_(True)
    joint(**inputs()).sample.square().mean().backward()
    added = joint.addon_parameters()
    # The last single block's text rows are thrown away, but its joint layer still serves the image rows: everything added is reached.
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in added.values())
    assert all(p.grad is None for name, p in joint.named_parameters() if name not in added)


def test_gradient_checkpointing_changes_nothing() -> None:
    joint = random_addons(JointDiTTransformer2DModel.from_flux(small_flux(), **RANKS)).train()
    joint(**inputs()).sample.square().mean().backward()
    plain = {name: p.grad.clone() for name, p in joint.named_parameters() if p.grad is not None}
    joint.zero_grad()
    joint.enable_gradient_checkpointing()
    joint(**inputs()).sample.square().mean().backward()
    assert all(torch.allclose(plain[name], p.grad, atol=1e-6) for name, p in joint.named_parameters() if name in plain)


def test_save_and_load_pretrained(tmp_path: Path) -> None:
    joint = random_addons(JointDiTTransformer2DModel.from_flux(small_flux(), **RANKS))
    joint.save_pretrained(tmp_path)
    again = JointDiTTransformer2DModel.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(joint(**inputs()).sample, again(**inputs()).sample)


def released_files(folder: Path) -> tuple[Path, Path]:
    joint = random_addons(JointDiTTransformer2DModel.from_flux(small_flux(), **RANKS))
    flux, addons = folder / "flux.safetensors", folder / "addons.safetensors"
    save_file(flux_tensors(joint), flux)
    save_file(addon_tensors(joint), addons)
    return flux, addons


def test_other_programs_prefix_is_understood(tmp_path: Path) -> None:
    flux, addons = released_files(tmp_path)
    save_file({f"model.diffusion_model.{name}": t for name, t in load_file(flux).items()}, tmp_path / "prefixed.safetensors")
    plain, prefixed = (load_transformer(f, addons, (4, 6, 6)) for f in (flux, tmp_path / "prefixed.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), prefixed.state_dict().values(), strict=True))


def test_a_base_without_guidance_loads(tmp_path: Path) -> None:
    joint = random_addons(JointDiTTransformer2DModel.from_flux(small_flux(guidance_embeds=False), **RANKS))
    save_file(flux_tensors(joint), tmp_path / "flux.safetensors")
    save_file(addon_tensors(joint), tmp_path / "addons.safetensors")
    assert not load_transformer(tmp_path / "flux.safetensors", tmp_path / "addons.safetensors", (4, 6, 6)).config.guidance_embeds


def spoil(path: Path, how: str) -> None:
    tensors = load_file(path)
    name = next(iter(tensors))
    if how == "missing tensor":
        del tensors[name]
    elif how == "extra tensor":
        tensors["something.else"] = torch.zeros(1)
    elif how == "wrong shape":
        tensors[name] = torch.zeros(7, 7)
    save_file(tensors, path)
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "not safetensors":
        path.write_text("this is a text file")
    elif how == "no file":
        path.unlink()


@pytest.mark.parametrize("how", ["missing tensor", "extra tensor", "wrong shape", "truncated", "not safetensors", "no file"])
@pytest.mark.parametrize("which", [0, 1])
def test_bad_checkpoints_get_a_sentence(tmp_path: Path, how: str, which: int) -> None:
    files = released_files(tmp_path)
    spoil(files[which], how)
    with pytest.raises(CheckpointError) as caught:
        load_transformer(*files, (4, 6, 6))
    assert str(caught.value).endswith(".") and len(str(caught.value)) > 40


def test_addon_options(tmp_path: Path) -> None:
    addons = tmp_path / "jointdit.safetensors"
    assert read_addon_options(addons)["depth_transform"] == "none"
    addons.with_suffix(".json").write_text('{"depth_transform": "inverse", "is_txt_ids_training": false}')
    assert read_addon_options(addons)["depth_transform"] == "inverse"
    for text in ('{"is_attnmask_training": true}', '{"depth_transform": "sideways"}', "{"):
        addons.with_suffix(".json").write_text(text)
        with pytest.raises(CheckpointError):
            read_addon_options(addons)
