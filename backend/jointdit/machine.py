# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine has: the device to work on, and its memory."""

from __future__ import annotations

import gc
import platform

import psutil
import torch

from .errors import InputError
from .memory import Machine
from .speed import fp8_products


def best_device() -> torch.device:
    """CUDA where there is one, else Apple's GPU, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def device_named(name: str | None) -> torch.device:
    """The device that is asked for: auto (or None) for the best one, cpu, cuda, cuda:1, mps. Raises `InputError` for one that is not here."""
    if name in (None, "auto"):
        return best_device()
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if name not in [here for kind, count in counts.items() if count for here in (kind, *(f"{kind}:{index}" for index in range(count)))]:
        raise InputError(f"There is no device {name} here. Choose --device auto.")
    return torch.device(name)


def this_machine(device: torch.device) -> Machine:
    """What a memory plan needs to know of a device. Apple's GPU and the processor use the machine's own memory."""
    memory = psutil.virtual_memory()
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return Machine("cuda", torch.cuda.get_device_name(device), total, free, memory.available, fp8_products(device))
    name = platform.processor() or platform.machine()
    free = memory.available
    if device.type == "mps":
        free = min(free, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return Machine(device.type, name, memory.total, free, memory.available)


def working_dtype(device: torch.device, small: bool) -> torch.dtype:
    """The dtype to work in: bfloat16, but float32 for a small model on the processor."""
    return torch.float32 if device.type == "cpu" and small else torch.bfloat16


def release_memory() -> None:
    """Give the memory that torch keeps for later back to the card and to the system: what is not in use, page-locked memory included."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        if hasattr(torch.accelerator, "empty_host_cache"):  # newer than the oldest torch that is allowed
            torch.accelerator.empty_host_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
