# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a frame looks: its picture as light (unlit), or as the color of a matte surface that the scene lights (relit).

All frames of a file share one shader group, "JointDiT Surface", and each has a small material that feeds its picture to the group.
Unlit, the camera sees exactly the picture, whatever lamps there are; in Cycles what the picture shows also lights the objects around it,
as a screen would.
"""

from __future__ import annotations

from typing import Any, cast

import bpy

from .graph import Field, Graph
from .group import UV_NAME, VERSION_KEY

SURFACE_NAME = "JointDiT Surface"
SURFACE_VERSION = 1
PLAIN_NAME = "JointDiT Plain"
FAR_AWAY = 1e6


def surface_group() -> bpy.types.ShaderNodeTree:
    """The shader group of all frames: the file's own when it has a current one, else a new one. Inputs: Color, Relight (0 to 1), Roughness."""
    for group in bpy.data.node_groups:
        if group.library is None and group.name.startswith(SURFACE_NAME) and group.get(VERSION_KEY) == SURFACE_VERSION:
            return cast(bpy.types.ShaderNodeTree, group)
    group = cast(bpy.types.ShaderNodeTree, bpy.data.node_groups.new(SURFACE_NAME, "ShaderNodeTree"))
    group[VERSION_KEY] = SURFACE_VERSION
    group.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
    group.interface.new_socket("Color", in_out="INPUT", socket_type="NodeSocketColor", description="The picture")
    _declare_factor(group, "Relight", 0.0, "0: the picture is light. 1: the picture is the color of a surface that the lights of the scene fall on")
    _declare_factor(group, "Roughness", 1.0, "Roughness of the relit surface")

    graph = Graph(group)
    source = graph.node("NodeGroupInput")
    color, relight, roughness = (Field(graph, source.outputs[name]) for name in ("Color", "Relight", "Roughness"))
    emission = graph.call("ShaderNodeEmission", {"Color": color, "Strength": 1.0})
    # The picture has its highlights already.
    surface = graph.call("ShaderNodeBsdfPrincipled", {"Base Color": color, "Roughness": roughness, "Specular IOR Level": 0.0})
    # The first socket is Fac in 4.5 and Factor in 5.2.
    mix = graph.call("ShaderNodeMixShader", {0: relight, 1: emission, 2: surface})
    output = graph.node("NodeGroupOutput")
    graph.connect(mix, output.inputs["Shader"])
    graph.arrange(width=320.0, height=300.0)
    return group


def frame_material(name: str, image: bpy.types.Image, relit: bool = False, wraps: bool = False) -> bpy.types.Material:
    """A material that shows `image`, placed by the UV attribute of the mesh or of the points, opaque whatever alpha the picture has.

    `wraps`: the right edge of the picture is its left edge, and u may run past 1.
    """
    material = _empty(name)
    graph = Graph(_tree(material))
    uv = graph.call("ShaderNodeAttribute", {}, "Vector", attribute_type="GEOMETRY", attribute_name=UV_NAME)
    if wraps:
        uv = _between_rows(graph, uv, image.size[1])
    color = _picture(graph, image, uv, wraps)
    surface = graph.call("ShaderNodeGroup", {"Color": color}, "Shader", node_tree=surface_group())
    _finish(graph, surface, color, SURFACE_NAME)
    relight(material, relit)
    return material


def plain_material(name: str, image: bpy.types.Image, relit: bool = False, wraps: bool = False) -> bpy.types.Material:
    """The same look with nothing but a Principled node, a picture and a UV map, which exporters to other programs understand.

    Unlit it is black and emits the picture; relit the picture is its base color.
    """
    material = _empty(name)
    graph = Graph(_tree(material))
    uv = graph.call("ShaderNodeUVMap", {}, "UV", uv_map=UV_NAME)
    color = _picture(graph, image, uv, wraps)
    surface = graph.call("ShaderNodeBsdfPrincipled", {"Roughness": 1.0, "Specular IOR Level": 0.0})
    _finish(graph, surface, color, PLAIN_NAME)
    relight(material, relit)
    return material


def relight(material: bpy.types.Material, on: bool) -> None:
    """Let the lights of the scene fall on a material of this module, or show its picture as it is. Raises KeyError for any other material."""
    surface = _surface(material)
    if surface.name == SURFACE_NAME:
        _value(surface, "Relight").default_value = 1.0 if on else 0.0
        return
    tree = _tree(material)
    picture = next(node for node in tree.nodes if node.type == "TEX_IMAGE")
    lit, dark = ("Base Color", "Emission Color") if on else ("Emission Color", "Base Color")
    for link in surface.inputs[dark].links:
        tree.links.remove(link)
    _value(surface, dark).default_value = (0.0, 0.0, 0.0, 1.0)
    _value(surface, "Emission Strength").default_value = 0.0 if on else 1.0
    tree.links.new(picture.outputs["Color"], surface.inputs[lit])


def is_relit(material: bpy.types.Material) -> bool:
    """Whether the lights of the scene fall on a material of this module. Raises KeyError for any other material."""
    surface = _surface(material)
    if surface.name == SURFACE_NAME:
        return bool(_value(surface, "Relight").default_value > 0.5)
    return bool(surface.inputs["Base Color"].is_linked)


def _surface(material: bpy.types.Material) -> bpy.types.Node:
    """The node that decides the look."""
    for name in (SURFACE_NAME, PLAIN_NAME):
        node = _tree(material).nodes.get(name)
        if node is not None:
            return node
    raise KeyError(material.name)


def _declare_factor(group: bpy.types.ShaderNodeTree, name: str, default: float, description: str) -> None:
    # The stubs know only the base class of all sockets.
    socket: Any = group.interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketFloat", description=description)
    socket.subtype = "FACTOR"
    socket.default_value, socket.min_value, socket.max_value = default, 0.0, 1.0


def _empty(name: str) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    _tree(material).nodes.clear()
    cycles = getattr(material, "cycles", None)
    if cycles is not None:
        # A million faces as lamps of their own take most of the time of a render and add nothing: a picture is no small bright lamp,
        # and rays that meet it by chance light the scene as well.
        cycles.emission_sampling = "NONE"
    return material


def _tree(material: bpy.types.Material) -> bpy.types.ShaderNodeTree:
    tree = material.node_tree
    if tree is None:
        raise KeyError(material.name)
    return tree


def _picture(graph: Graph, image: bpy.types.Image, uv: Field, wraps: bool) -> Field:
    # Else the color would be darkened where the picture is transparent.
    if image.alpha_mode != "CHANNEL_PACKED":
        # Setting it has Blender read the picture again, and forget what was painted.
        image.alpha_mode = "CHANNEL_PACKED"
    extension = "REPEAT" if wraps else "EXTEND"
    return graph.call("ShaderNodeTexImage", {"Vector": uv}, "Color", image=image, interpolation="Linear", extension=extension)


def _between_rows(graph: Graph, uv: Field, height: int) -> Field:
    """UV that stays between the centres of the first and the last row: a repeated picture would mix the two poles."""
    rim = 0.5 / height
    inside = graph.call("ShaderNodeVectorMath", {0: uv, 1: (-FAR_AWAY, rim, 0.0)}, operation="MAXIMUM")
    return graph.call("ShaderNodeVectorMath", {0: inside, 1: (FAR_AWAY, 1.0 - rim, 0.0)}, operation="MINIMUM")


def _finish(graph: Graph, surface: Field, picture: Field, name: str) -> None:
    """Complete a material; the node of its look gets the `name` by which it is found."""
    output = graph.node("ShaderNodeOutputMaterial")
    graph.connect(surface, output.inputs["Surface"])
    # What Solid shading with texture colors shows, and what an exporter looks for.
    graph.tree.nodes.active = picture.socket.node
    graph.arrange(width=320.0)
    surface.socket.node.name = name


def _value(node: bpy.types.Node, name: str) -> Any:
    """An input socket with a value of its own; the stubs know only the base class of all sockets."""
    return node.inputs[name]
