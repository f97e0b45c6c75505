# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JointDiT: one diffusion transformer that makes an RGB image and its disparity together (ICCV 2025)."""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["JointDiTPipeline", "JointDiTTransformer2DModel", "__version__"]


def __getattr__(name: str) -> object:
    # The model classes bring torch with them; they are imported when asked for, so that the command line answers at once.
    if name == "JointDiTPipeline":
        from .pipeline import JointDiTPipeline

        return JointDiTPipeline
    if name == "JointDiTTransformer2DModel":
        from .transformer import JointDiTTransformer2DModel

        return JointDiTTransformer2DModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
