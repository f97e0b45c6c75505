# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a folder of pictures to a training set: captions, disparities, latents and text embeddings (`jointdit prepare`)."""

DEPTH_MODEL = "depth-anything/Depth-Anything-V2-Small-hf"
"""Depth Anything V2 in transformers' format; its small version is the one under a license that allows every use."""
