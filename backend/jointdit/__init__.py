# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JointDiT: one diffusion transformer that makes an RGB image and its disparity together (ICCV 2025)."""

__version__ = "0.1.0"
