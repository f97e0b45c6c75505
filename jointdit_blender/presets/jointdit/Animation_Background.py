# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

settings = bpy.context.scene.jointdit

settings.style = "ANIMATION"
settings.near = 2.0
settings.far = 60.0
settings.tear = 0.06
settings.sky = "AUTO"
settings.torn = "FILL"
settings.build = "RELIEF"
