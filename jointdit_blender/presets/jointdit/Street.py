# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

settings = bpy.context.scene.jointdit

settings.style = "PHOTO"
settings.near = 1.5
settings.far = 80.0
settings.tear = 0.05
settings.sky = "AUTO"
settings.torn = "FILL"
settings.build = "RELIEF"
