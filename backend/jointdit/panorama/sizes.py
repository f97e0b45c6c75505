# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of a panorama job: of the whole, of its windows, and of what the memory must hold. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from .asked import DEFAULT_VIEWS, panorama_size, view_side

if TYPE_CHECKING:
    from ..jobs import Job

DECODED_BESIDE = 128
"""Pixels on both sides together: 8 latents each."""


def job_size(job: Job, photograph: tuple[int, int] | None, native: int) -> tuple[int, int]:
    """(width, height) at which a panorama is made. Raises `InputError` with a sentence for sizes that do not tile, or a photograph that is not 2:1."""
    if photograph is not None and photograph[0] != 2 * photograph[1]:
        raise InputError(
            f"{job.image.name} has {photograph[0]} x {photograph[1]} pixels, but a photograph of the whole sphere is twice as wide as high "
            "(equirectangular). Choose another one, or estimate its depth as a single picture."
        )
    return panorama_size(job.kind, job.width, job.height, native)


def window_size(job: Job, size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in pixels of one of the windows that are denoised together."""
    side = size[1] if job.kind == "strip" else view_side(size[0])
    return side, side


def model_size(job: Job, size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in pixels of the largest picture that the model sees while a panorama of a size is made; its decoder also sees across the seam."""
    if job.kind == "strip":
        return size[0] + DECODED_BESIDE, size[1]
    if job.route == "latents":
        return size[0] + DECODED_BESIDE, size[1] + DECODED_BESIDE
    return window_size(job, size)


def agreement_bytes(job: Job, size: tuple[int, int]) -> int:
    """About the bytes that making views agree takes: decoded pictures and means of both branches, and who sees what. Nothing for a strip."""
    if job.kind == "strip":
        return 0
    views, pixels = job.views or DEFAULT_VIEWS, view_side(size[0]) ** 2
    shared = 0.3 * views  # a place is seen by so many views, and each keeps its number, two coordinates and a weight
    return round(views * pixels * (4 * 6 * 3 + 20 * shared))
