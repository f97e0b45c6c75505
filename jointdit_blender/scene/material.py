# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture as light: an unlit material that shows the image on a surface and on points alike."""

from __future__ import annotations

import bpy

from .graph import Graph
from .group import UV_NAME


def frame_material(name: str, image: bpy.types.Image) -> bpy.types.Material:
    """A material that emits `image`, placed by the UV attribute that the group stores."""
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    assert tree is not None, "a material that uses nodes has a tree"
    tree.nodes.clear()
    graph = Graph(tree)
    uv = graph.call("ShaderNodeAttribute", {}, "Vector", attribute_type="GEOMETRY", attribute_name=UV_NAME)
    color = graph.call("ShaderNodeTexImage", {"Vector": uv}, "Color", image=image, interpolation="Linear", extension="EXTEND")
    emission = graph.call("ShaderNodeEmission", {"Color": color, "Strength": 1.0})
    output = graph.node("ShaderNodeOutputMaterial")
    graph.connect(emission, output.inputs["Surface"])
    # What Solid shading with texture colors shows, and what an exporter looks for.
    tree.nodes.active = color.socket.node
    graph.arrange(width=320.0)
    return material
