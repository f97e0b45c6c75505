# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packed linear layers against their formats' definitions in float64."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch
from jointdit.packed import NF4, Fp8Linear, GgufLinear, Nf4Linear, PackedLinear, rows_of, stacked, tensors_of
from torch import nn


def linear(rows: int = 24, columns: int = 128) -> nn.Linear:
    torch.manual_seed(0)
    layer = nn.Linear(columns, rows)
    with torch.no_grad():
        layer.weight *= torch.logspace(-3, 0, rows)[:, None]  # rows of very different size
    return layer.requires_grad_(False)


def gguf_linear(kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q4_0) -> GgufLinear:
    layer = linear()
    return GgufLinear(128, 24, torch.from_numpy(gguf.quants.quantize(layer.weight.numpy(), kind)), layer.bias, kind)


SCALED_MM = torch._scaled_mm
PACKED = {"fp8": lambda: Fp8Linear.pack(linear()), "nf4": lambda: Nf4Linear.pack(linear()), "gguf": gguf_linear}


def test_float8_keeps_three_bits_after_the_first_in_every_row() -> None:
    layer, packed = linear(), Fp8Linear.pack(linear())
    weight, back = layer.weight.double(), packed.unpacked(torch.float32).double()
    scale = weight.abs().amax(1, keepdim=True) / 448
    # Half a unit of the last of 3 mantissa bits; below the smallest normal number, half the smallest step.
    allowed = torch.maximum(weight.abs() * 2**-4, scale * 2**-10) * 1.001
    assert ((weight - back).abs() <= allowed).all()
    assert packed.weight.nbytes == 24 * 128 and packed.scale.dtype == torch.float32


def test_nf4_takes_the_nearest_of_16_values() -> None:
    packed = Nf4Linear.pack(linear())
    blocks = linear().weight.double().reshape(24, 2, 64)
    largest = blocks.abs().amax(-1).bfloat16().double()
    code = torch.tensor(NF4, dtype=torch.float64)
    expected = code[(blocks / largest[..., None])[..., None].sub(code).abs().argmin(-1)] * largest[..., None]
    assert torch.allclose(packed.unpacked(torch.float32).double(), expected.reshape(24, 128), rtol=1e-6)
    assert packed.weight.nbytes == 24 * 64 and packed.largest.dtype == torch.bfloat16
    assert len(NF4) == 16 and NF4[7] == 0 and NF4[0] == -1 and NF4[-1] == 1


@pytest.mark.parametrize("kind", [gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q5_1, gguf.GGMLQuantizationType.Q4_0])
def test_gguf_is_what_its_library_unpacks(kind: gguf.GGMLQuantizationType) -> None:
    layer = gguf_linear(kind)
    expected = gguf.quants.dequantize(layer.weight.numpy(), kind)
    np.testing.assert_allclose(layer.unpacked(torch.float32).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_layer_multiplies_like_its_unpacked_weight(kind: str) -> None:
    layer, x = PACKED[kind](), torch.randn(2, 5, 128)
    expected = x.double() @ layer.unpacked(torch.float32).double().T + layer.bias.double()
    assert torch.allclose(layer(x).double(), expected, atol=1e-5)
    assert torch.allclose(layer.plain(torch.float32)(x).double(), expected, atol=1e-5)


def test_products_in_float8_round_the_inputs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, exact = Fp8Linear.pack(linear(), products=True), linear()
    layer.bias.data = layer.bias.data.bfloat16()
    asked: list[dict] = []
    monkeypatch.setattr(torch, "_scaled_mm", lambda *matrices, **options: asked.append({"matrices": matrices, **options}) or SCALED_MM(*matrices, **options))
    x = (torch.randn(2, 16, 128) * torch.logspace(-2, 2, 16)[:, None]).bfloat16()
    made, expected = layer(x), exact(x.float())
    assert made.shape == expected.shape and made.dtype == torch.bfloat16
    # Each input row and each weight row is rounded by 2^-4 at most: the error is a small part of what the row can give.
    reach = x.float().norm(dim=-1, keepdim=True) * exact.weight.norm(dim=1)
    assert ((made.float() - expected).abs() < 0.03 * reach + 0.01 * expected.abs() + 1e-3).all()
    assert not torch.equal(made.float(), Fp8Linear.pack(linear())(x.float()))
    # What the card's kernel asks for and the processor's does not: row-major times column-major e4m3, whole float32 scales, bfloat16 out.
    (a, b), scale_a, scale_b = asked[0]["matrices"], asked[0]["scale_a"], asked[0]["scale_b"]
    assert a.dtype == b.dtype == torch.float8_e4m3fn and a.stride(1) == 1 and b.stride(0) == 1
    assert scale_a.shape == (32, 1) and scale_b.shape == (1, 24) and scale_a.dtype == scale_b.dtype == torch.float32
    assert scale_a.is_contiguous() and scale_b.is_contiguous() and asked[0]["out_dtype"] == asked[0]["bias"].dtype == torch.bfloat16


@pytest.mark.parametrize("kind", PACKED)
def test_rows_are_views(kind: str) -> None:
    layer, x = PACKED[kind](), torch.randn(3, 128)
    part = rows_of(layer, 8, 20)
    assert torch.allclose(part(x), layer(x)[:, 8:20], atol=1e-6)
    assert part.weight.untyped_storage().data_ptr() == layer.weight.untyped_storage().data_ptr()
    assert layer.out_features == 24 and part.out_features == 12


@pytest.mark.parametrize("kind", PACKED)
def test_only_the_bias_may_change_its_dtype(kind: str) -> None:
    layer = PACKED[kind]()
    assert isinstance(layer, nn.Linear) and isinstance(layer, PackedLinear)
    wide = [tensor for is_wide, tensor in tensors_of(layer) if is_wide]
    assert len(wide) == 1 and wide[0] is layer.bias


def test_bytes_are_counted_with_the_scales() -> None:
    assert Nf4Linear.pack(linear()).packed_bytes() == 24 * 128 * 4.25 / 8
    assert gguf_linear().packed_bytes() == 24 * 128 * 4.5 / 8
    assert Fp8Linear.pack(linear()).packed_bytes() == 24 * 128 + 24 * 4


def test_stacked_layers_give_all_outputs() -> None:
    a, b, x = linear(8), linear(16), torch.randn(3, 128)
    assert torch.equal(stacked([a, b])(x), torch.cat([a(x), b(x)], dim=-1))
