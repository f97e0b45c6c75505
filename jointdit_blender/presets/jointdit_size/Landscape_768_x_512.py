# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

settings = bpy.context.scene.jointdit

settings.use_size = True
settings.width = 768
settings.height = 512
