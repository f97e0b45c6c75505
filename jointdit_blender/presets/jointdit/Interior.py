# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

settings = bpy.context.scene.jointdit

settings.style = "PHOTO"
settings.near = 1.0
settings.far = 8.0
settings.tear = 0.08
settings.sky = "KEEP"
settings.torn = "FILL"
settings.build = "RELIEF"
