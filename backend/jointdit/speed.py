# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes the same arithmetic faster on this machine: attention kernels, compiled blocks, products in 8 bits. And step caches, which are approximations."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from diffusers import FirstBlockCacheConfig

from .memory import Plan

if TYPE_CHECKING:
    from .transformer import JointDiTTransformer2DModel

# How much of the rate of large matrix products a whole step reaches; for estimates of time.
SHARE_OF_MATRIX_RATE = 0.6


def best_attention(device: torch.device) -> str:
    """diffusers' name of the fastest exact attention kernel that is installed. Nothing is fetched for it."""
    if device.type != "cuda" or torch.version.hip is not None:
        return "native"
    hopper_or_later = torch.cuda.get_device_capability(device)[0] >= 9
    if hopper_or_later and find_spec("flash_attn_interface") is not None:
        return "_flash_3"
    return "_native_cudnn" if hopper_or_later and torch.backends.cudnn.is_available() else "native"


def fp8_products(device: torch.device) -> bool:
    """Whether the device multiplies float8: NVIDIA's Ada, Hopper and later."""
    return device.type == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability(device) >= (8, 9)


def may_compile(device: torch.device, plan: Plan) -> bool:
    """Whether compiling blocks is worth trying: a CUDA card, a compiler for it, and blocks that stay where they are."""
    return device.type == "cuda" and find_spec("triton") is not None and plan.visiting == 0


def compile_blocks(transformer: JointDiTTransformer2DModel) -> None:
    """Compile every kind of block once, when it first runs (regional compilation). Each new picture size compiles again."""
    transformer.compile_repeated_blocks(fullgraph=True)


def is_compile_error(error: BaseException) -> bool:
    """Whether an error comes from torch.compile and not from the model."""
    modules = ("torch._dynamo", "torch._inductor", "triton")
    return any(kind.__module__.startswith(modules) for kind in type(error).__mro__)


def set_step_cache(transformer: JointDiTTransformer2DModel, threshold: float) -> None:
    """Skip the blocks of a step whose first block changed by less than `threshold` (relative); 0 switches it off. An approximation.

    First Block Cache, as diffusers has it. The threshold is one number over both branches, so a resting image can hide a moving disparity:
    judge it by the disparity that it gives.
    """
    if transformer.is_cache_enabled:
        transformer.disable_cache()
    if threshold > 0:
        transformer.enable_cache(FirstBlockCacheConfig(threshold=threshold))


def matrix_rate(device: torch.device, dtype: torch.dtype, side: int = 2048, seconds: float = 0.2) -> float:
    """Measured operations a second of square matrix products on a device, the best of several."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.float32).to(dtype) for _ in range(2))
    a @ b
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best
