# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear layers whose weights are stored in fewer bits and unpacked for each product.

They are `nn.Linear`s with the same names, so users' LoRAs find them, and all their data are plain tensors (parameters and buffers), so they can be moved
to a card and away block by block, which the layers of the quantisation libraries cannot.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Self

import torch
from diffusers.quantizers.gguf.utils import GGML_QUANT_SIZES, dequantize_functions
from torch import Tensor, nn
from torch.nn import functional

ALL = slice(None)
FP8 = torch.float8_e4m3fn
FP8_LARGEST = torch.finfo(FP8).max
NF4_BLOCK = 64  # weights that share one scale
# Quantiles of the normal distribution with an exact zero: QLoRA (arXiv 2305.14314), appendix E.
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


class PackedLinear(nn.Linear):
    """A frozen linear layer; `weight` holds packed data as bytes, row by row. `in_features` and `out_features` are those of the unpacked weight.

    Bytes, for float8 too: libraries take the dtype of a floating-point weight for the dtype to compute in.
    """

    by_row: tuple[str, ...] = ()  # names of the buffers that hold something for each row

    def __init__(self, in_features: int, out_features: int, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(in_features, out_features, bias=False, device="meta")
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def unpacked(self, dtype: torch.dtype, rows: slice = ALL) -> Tensor:
        """The weight (out_features, in_features), or some of its rows."""
        raise NotImplementedError

    def forward(self, x: Tensor, rows: slice = ALL) -> Tensor:
        """(..., in_features) -> (..., out_features), or the outputs `rows` alone; in the dtype of `x`."""
        return functional.linear(x, self.unpacked(x.dtype, rows), None if self.bias is None else self.bias[rows])

    def packed_bytes(self) -> int:
        """Bytes of the weight and of its scales."""
        return sum(t.numel() * t.element_size() for t in (self.weight, *(getattr(self, name) for name in self.by_row)))

    def plain(self, dtype: torch.dtype) -> nn.Linear:
        """An ordinary linear layer with the unpacked weight."""
        layer = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        layer.weight, layer.bias = nn.Parameter(self.unpacked(dtype), requires_grad=False), self.bias
        return layer

    def split(self, rows: slice) -> Self:
        """The layer that gives the outputs `rows` alone; shares this layer's memory."""
        part = copy.copy(self)  # a shallow copy of the module; its dictionaries of tensors are made new below
        part._parameters = {name: None if p is None else nn.Parameter(p[rows], requires_grad=False) for name, p in self._parameters.items()}
        part._buffers = {name: tensor[rows] if name in self.by_row else tensor for name, tensor in self._buffers.items()}
        part.out_features = len(range(*rows.indices(self.out_features)))
        return part


class Fp8Linear(PackedLinear):
    """Weights as float8 (e4m3) with one scale a row. `products` multiplies in float8 as well, where the card can (Ada, Hopper and later)."""

    by_row = ("scale",)

    def __init__(self, in_features: int, out_features: int, weight: Tensor, bias: Tensor | None, scale: Tensor, products: bool = False) -> None:
        """`weight` (out, in) float8, `scale` (out, 1) float32."""
        super().__init__(in_features, out_features, weight.view(torch.uint8), bias)
        self.register_buffer("scale", scale)
        self.kind = weight.dtype
        self.products = products

    @classmethod
    def pack(cls, linear: nn.Linear, products: bool = False) -> Fp8Linear:
        """Round a linear layer's weight; the largest weight of a row becomes the largest float8."""
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / FP8_LARGEST
        return cls(linear.in_features, linear.out_features, (weight / scale).to(FP8), linear.bias, scale, products)

    def unpacked(self, dtype: torch.dtype, rows: slice = ALL) -> Tensor:
        return self.weight[rows].view(self.kind).to(dtype) * self.scale[rows].to(dtype)

    def forward(self, x: Tensor, rows: slice = ALL) -> Tensor:
        if not self.products:
            return super().forward(x, rows)
        flat = x.flatten(0, -2)
        # In the inputs' own dtype and without a copy of their magnitudes: in float32 they would outweigh everything else of a large picture.
        low, high = torch.aminmax(flat, dim=1, keepdim=True)
        scale = torch.maximum(-low, high).float().clamp(min=1e-12) / FP8_LARGEST
        y = torch._scaled_mm(
            (flat * (1 / scale).to(flat.dtype)).to(FP8), self.weight[rows].view(self.kind).t(), scale_a=scale, scale_b=self.scale[rows].t(),
            bias=None if self.bias is None else self.bias[rows], out_dtype=x.dtype, use_fast_accum=True,
        )  # fmt: skip
        return y.unflatten(0, x.shape[:-1])


class Nf4Linear(PackedLinear):
    """Weights as 4-bit NormalFloat (QLoRA, section 3): 16 values, and one scale for each block of 64 weights, in bfloat16."""

    by_row = ("largest",)

    def __init__(self, in_features: int, out_features: int, weight: Tensor, bias: Tensor | None, largest: Tensor) -> None:
        """`weight` (out, in / 2) uint8, the first of two weights in the high bits; `largest` (out, in / 64) each block's largest magnitude."""
        super().__init__(in_features, out_features, weight, bias)
        self.register_buffer("largest", largest)
        # A byte is two weights: one look-up in the 256 pairs of values gives both. Kept on the device: making it there anew would halt the card each time.
        code = torch.tensor(NF4, device=weight.device)
        self.register_buffer("pairs", torch.stack([code.repeat_interleave(16), code.repeat(16)], dim=1))

    @classmethod
    def pack(cls, linear: nn.Linear) -> Nf4Linear:
        """Round a linear layer's weight to the nearest of the 16 values; `in_features` must be a multiple of 64."""
        blocks = linear.weight.detach().float().unflatten(1, (-1, NF4_BLOCK))
        largest = blocks.abs().amax(dim=-1).bfloat16()
        code = torch.tensor(NF4, device=blocks.device)
        blocks /= largest.float().clamp(min=1e-12)[..., None]
        nearest = torch.bucketize(blocks, (code[1:] + code[:-1]) / 2, out_int32=True).to(torch.uint8).flatten(1)
        return cls(linear.in_features, linear.out_features, nearest[:, ::2] << 4 | nearest[:, 1::2], linear.bias, largest)

    def unpacked(self, dtype: torch.dtype, rows: slice = ALL) -> Tensor:
        values = functional.embedding(self.weight[rows].int(), self.pairs.to(dtype)).view(-1, self.in_features // NF4_BLOCK, NF4_BLOCK)
        return (values * self.largest[rows].to(dtype)[..., None]).flatten(1)


class GgufLinear(PackedLinear):
    """Weights as they stand in a GGUF file (Q4_K, Q8_0, ...), unpacked by diffusers' functions."""

    def __init__(self, in_features: int, out_features: int, weight: Tensor, bias: Tensor | None, quant_type: int) -> None:
        """`weight` (out, bytes of a row) uint8, `quant_type` as in `gguf.GGMLQuantizationType`."""
        super().__init__(in_features, out_features, weight, bias)
        self.quant_type = quant_type

    def unpacked(self, dtype: torch.dtype, rows: slice = ALL) -> Tensor:
        block, nbytes = GGML_QUANT_SIZES[self.quant_type]
        # Scales are float16 in the file: unpacked in bfloat16 they would lose three bits more.
        precise = torch.float32 if dtype == torch.float32 else torch.float16
        values = dequantize_functions[self.quant_type](self.weight[rows].reshape(-1, nbytes), block, nbytes, precise)
        return values.view(-1, self.in_features).to(dtype)


def rows_of(linear: nn.Linear, start: int, stop: int) -> nn.Linear:
    """The layer that gives the outputs `start` to `stop` of `linear` alone; shares its memory."""
    if isinstance(linear, PackedLinear):
        return linear.split(slice(start, stop))
    part = nn.Linear(linear.in_features, stop - start, bias=False, device="meta")
    part.weight = nn.Parameter(linear.weight[start:stop], linear.weight.requires_grad)
    part.bias = None if linear.bias is None else nn.Parameter(linear.bias[start:stop], linear.bias.requires_grad)
    return part


def stacked(linears: list[nn.Linear]) -> nn.Linear:
    """One layer that gives the outputs of several, one after the other; the weights are copied (on the meta device this costs nothing)."""
    whole = nn.Linear(linears[0].in_features, sum(linear.out_features for linear in linears), bias=False, device="meta")
    whole.weight = nn.Parameter(torch.cat([linear.weight for linear in linears]), requires_grad=False)
    if linears[0].bias is not None:
        whole.bias = nn.Parameter(torch.cat([linear.bias for linear in linears]), requires_grad=False)
    return whole


def product_of_rows(linear: nn.Linear, x: Tensor, start: int, stop: int) -> Tensor:
    """The outputs `start` to `stop` of `linear`: (..., in_features) -> (..., stop - start)."""
    if isinstance(linear, PackedLinear):
        return linear(x, slice(start, stop))
    return functional.linear(x, linear.weight[start:stop], None if linear.bias is None else linear.bias[start:stop])


def tensors_of(module: nn.Module, recurse: bool = True) -> Iterator[tuple[bool, Tensor]]:
    """A module's parameters and buffers, each once, with whether its dtype may be changed: packed weights and their scales stay what they are."""
    seen: set[int] = set()
    for part in module.modules() if recurse else [module]:
        for name, tensor in (*part._parameters.items(), *part._buffers.items()):
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                packed = isinstance(part, PackedLinear) and name != "bias"
                yield tensor.is_floating_point() and not packed, tensor
