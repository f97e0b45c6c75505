# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

settings = bpy.context.scene.jointdit

settings.style = "PHOTO"
settings.near = 2.0
settings.far = 40.0
settings.tear = 0.06
settings.sky = "REMOVE"
settings.torn = "CUT"
settings.build = "POINTS"
