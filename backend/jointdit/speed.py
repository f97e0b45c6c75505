# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes the same arithmetic faster on this machine: attention kernels, compiled blocks, products in 8 bits. And step caches, which are approximations."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from diffusers import FirstBlockCacheConfig
from diffusers.models.attention_dispatch import AttentionBackendName

from .memory import Plan
from .packed import Fp8Linear

if TYPE_CHECKING:
    from .transformer import JointDiTTransformer2DModel

# How much of the rate of large matrix products a whole step reaches; for estimates of time.
SHARE_OF_MATRIX_RATE = 0.6
RECOMPILE_LIMIT = 64


def best_attention(device: torch.device) -> str:
    """diffusers' name of the fastest exact attention kernel that is installed. Nothing is fetched for it."""
    if device.type != "cuda" or torch.version.hip is not None:
        return "native"
    generation = torch.cuda.get_device_capability(device)[0]
    if generation == 9 and find_spec("flash_attn_interface") is not None:  # FlashAttention 3 is made for Hopper alone
        return "_flash_3"
    return "_native_cudnn" if generation >= 9 and torch.backends.cudnn.is_available() else "native"


def use_attention(transformer: JointDiTTransformer2DModel, kernel: str) -> None:
    """Let this model attend by a kernel. diffusers' own setter would change it for every other model of the process too."""
    for block in (*transformer.transformer_blocks, *transformer.single_transformer_blocks):
        block.attn.processor._attention_backend = AttentionBackendName(kernel)


def fp8_products(device: torch.device) -> bool:
    """Whether the device multiplies float8 with a scale for each row, tried on a small product: Hopper does; of Ada and later, by system and version, some."""
    if device.type != "cuda" or torch.version.hip is not None or torch.cuda.get_device_capability(device) < (8, 9):
        return False
    layer = Fp8Linear.pack(torch.nn.Linear(64, 64, device=device, dtype=torch.bfloat16), products=True)
    try:
        with torch.no_grad():
            return bool(layer(torch.ones(32, 64, device=device, dtype=torch.bfloat16)).isfinite().all())
    except RuntimeError:
        return False


def may_compile(device: torch.device, plan: Plan) -> bool:
    """Whether compiling blocks is worth trying: a CUDA card, a compiler for it, and blocks that stay where they are."""
    return device.type == "cuda" and find_spec("triton") is not None and plan.visiting == 0


def compile_blocks(transformer: JointDiTTransformer2DModel, **options: Any) -> None:
    """Compile every kind of block when it first runs (regional compilation), again for each task, and once more when a second picture size comes.

    `options` go to torch.compile.
    """
    # Three tasks, the first, the middle and the last block of a kind, and sizes fixed or free make more graphs than torch allows by default.
    torch._dynamo.config.recompile_limit = max(RECOMPILE_LIMIT, torch._dynamo.config.recompile_limit)
    transformer.compile_repeated_blocks(fullgraph=True, **options)


def is_compile_error(error: BaseException) -> bool:
    """Whether an error comes from torch.compile and not from the model."""
    modules = ("torch._dynamo", "torch._inductor", "triton")
    return any(kind.__module__.startswith(modules) for kind in type(error).__mro__)


def set_step_cache(transformer: JointDiTTransformer2DModel, threshold: float) -> None:
    """Skip the blocks of a step whose first block changed by less than `threshold` (relative); 0 switches it off. An approximation.

    First Block Cache, as diffusers has it. The threshold is one number over both branches, so a resting image can hide a moving disparity:
    judge it by the disparity that it gives. Compiled blocks run as they are meanwhile: the cache decides on values, which a compiled graph cannot.
    """
    for block in (*transformer.transformer_blocks, *transformer.single_transformer_blocks):
        if threshold > 0 and block._compiled_call_impl is not None:
            block.compiled_before, block._compiled_call_impl = block._compiled_call_impl, None
        elif threshold == 0 and getattr(block, "compiled_before", None) is not None:
            block._compiled_call_impl, block.compiled_before = block.compiled_before, None
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
        if device.type in ("cuda", "mps"):
            getattr(torch, device.type).synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best
