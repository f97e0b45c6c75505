# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

settings = bpy.context.scene.jointdit

settings.style = "MINIATURE"
settings.near = 0.3
settings.far = 2.0
settings.tear = 0.06
settings.sky = "KEEP"
settings.torn = "FILL"
settings.build = "RELIEF"
