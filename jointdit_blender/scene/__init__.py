# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a frame folder to objects in Blender: `build_frame` and what it is made of."""
