# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other light on somebody's scene, for as long as it is rendered: suns, lamps, world and exposure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Matrix, Vector

from ..core.daylight import Light, tint

Color = tuple[float, float, float]
LOWEST = 0.02
"""Radians: a sun is not moved below this height."""


@dataclass(frozen=True)
class Sun:
    """The strongest sun of a scene: whether a lamp or a sky, the way to it, and how much more red than blue its own color has."""

    towards: Vector
    warmth: float = 1.0

    @property
    def elevation(self) -> float:
        """Degrees above the horizon."""
        return math.degrees(math.asin(max(-1.0, min(1.0, self.towards.z))))


def find_sun(scene: bpy.types.Scene) -> Sun | None:
    """The strongest sun lamp that shines, else the sun in the world's sky texture; None: there is none."""
    lamps = _suns(scene)
    if lamps:
        lamp = max(lamps, key=lambda item: item.data.energy)
        color = lamp.data.color
        return Sun(_towards(lamp.matrix_world), color[0] / max(color[2], 1e-6))
    for node in _skies(scene.world):
        flat = math.cos(node.sun_elevation)
        # As both Cycles and EEVEE turn it: from +y over +x.
        return Sun(Vector((flat * math.sin(node.sun_rotation), flat * math.cos(node.sun_rotation), math.sin(node.sun_elevation))))
    return None


@contextmanager
def relit(scene: bpy.types.Scene, light: Light) -> Iterator[None]:
    """Meanwhile the scene has this light; number 0 is its own."""
    if light.number == 0:
        yield
        return
    with ExitStack() as stack:
        _relight_suns(scene, light, stack)
        _relight_lamps(scene, light, stack)
        if scene.world is not None:
            _relight_world(scene, light, stack)
        _change(stack, scene.view_settings, "exposure", scene.view_settings.exposure + light.exposure)
        yield


def _relight_suns(scene: bpy.types.Scene, light: Light, stack: ExitStack) -> None:
    suns = _suns(scene)
    if not suns:
        return
    key = max(suns, key=lambda item: item.data.energy)
    turned = Matrix.Rotation(math.radians(light.turn), 3, "Z")
    for sun in suns:
        # A copy that nothing moves: an animated or constrained sun would be put back when the render begins.
        copy, lamp = sun.copy(), sun.data.copy()
        stack.callback(bpy.data.lights.remove, lamp)
        copy.animation_data_clear()
        lamp.animation_data_clear()
        copy.constraints.clear()
        copy.parent, copy.data = None, lamp
        towards = turned @ _towards(sun.matrix_world)
        if sun == key and light.sun_elevation is not None:
            towards = _raised(towards, math.radians(light.sun_elevation))
        copy.matrix_world = towards.to_track_quat("Z", "Y").to_matrix().to_4x4()
        lamp.energy *= light.sun_strength
        lamp.color = _tinted(lamp.color, tint(light.sun_kelvin))
        for collection in sun.users_collection:
            collection.objects.link(copy)
        _change(stack, sun, "hide_render", True)


def _relight_lamps(scene: bpy.types.Scene, light: Light, stack: ExitStack) -> None:
    for lamp in {item.data for item in scene.objects if item.type == "LIGHT" and item.data.type != "SUN"}:
        _change(stack, lamp, "energy", lamp.energy * light.lamp_strength)
        _change(stack, lamp, "color", _tinted(lamp.color, tint(light.kelvin)))


def _relight_world(scene: bpy.types.Scene, light: Light, stack: ExitStack) -> None:
    before = scene.world
    world = before.copy()
    stack.callback(bpy.data.worlds.remove, world)
    _change(stack, scene, "world", world)
    red, green, blue = tint(light.kelvin)
    color = red * light.world_strength, green * light.world_strength, blue * light.world_strength
    tree = world.node_tree
    if tree is None or (bpy.app.version < (5, 0, 0) and not world.use_nodes):
        world.color = _tinted(world.color, color)
        return
    for node in [node for node in tree.nodes if node.type == "BACKGROUND"]:
        _multiply(tree, node.inputs["Color"], color)
    skies = _skies(world)
    for node in skies:
        if light.sun_elevation is not None:
            node.sun_elevation = math.radians(light.sun_elevation)
        node.sun_rotation -= math.radians(light.turn)
    for node in [node for node in tree.nodes if node.type in ("TEX_ENVIRONMENT", "TEX_SKY") and node not in skies]:
        _turn(tree, node.inputs["Vector"], math.radians(light.turn))


def _tinted(color: Any, factors: Color) -> Color:
    return color[0] * factors[0], color[1] * factors[1], color[2] * factors[2]


def _multiply(tree: bpy.types.NodeTree, socket: Any, factors: Color) -> None:
    if not socket.is_linked:
        socket.default_value = (*_tinted(socket.default_value, factors), 1.0)
        return
    node: Any = tree.nodes.new("ShaderNodeVectorMath")
    node.operation = "MULTIPLY"
    tree.links.new(socket.links[0].from_socket, node.inputs[0])
    node.inputs[1].default_value = factors
    tree.links.new(node.outputs[0], socket)


def _turn(tree: bpy.types.NodeTree, socket: Any, angle: float) -> None:
    """Turn a picture around the vertical: what is looked up turns the other way."""
    node: Any = tree.nodes.new("ShaderNodeMapping")
    if socket.is_linked:
        source = socket.links[0].from_socket
    else:
        source = tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"]
    tree.links.new(source, node.inputs["Vector"])
    node.inputs["Rotation"].default_value = (0.0, 0.0, -angle)
    tree.links.new(node.outputs["Vector"], socket)


def _suns(scene: bpy.types.Scene) -> list[Any]:
    return [item for item in scene.objects if item.type == "LIGHT" and item.data.type == "SUN" and not item.hide_render and item.data.energy > 0.0]


def has_lamps(scene: bpy.types.Scene) -> bool:
    """Whether anything can be relit: a lamp, or a world."""
    return scene.world is not None or any(item.type == "LIGHT" for item in scene.objects)


def _skies(world: bpy.types.World | None) -> list[Any]:
    """Sky textures that have a sun of their own."""
    if world is None or world.node_tree is None or (bpy.app.version < (5, 0, 0) and not world.use_nodes):
        return []
    kinds = ("NISHITA", "SINGLE_SCATTERING", "MULTIPLE_SCATTERING")
    nodes: list[Any] = [node for node in world.node_tree.nodes if node.type == "TEX_SKY"]
    return [node for node in nodes if node.sky_type in kinds]


def _towards(matrix: Matrix) -> Vector:
    """The way from which a sun lamp shines."""
    return Vector(matrix.to_3x3().col[2]).normalized()


def _raised(towards: Vector, elevation: float) -> Vector:
    """The same way seen from above, at another height."""
    flat = Vector((towards.x, towards.y)) if abs(towards.x) + abs(towards.y) > 1e-6 else Vector((1.0, 0.0))
    flat.normalize()
    height = max(elevation, LOWEST)
    return Vector((flat.x * math.cos(height), flat.y * math.cos(height), math.sin(height)))


def _change(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Set a value until the stack ends."""
    before = getattr(owner, name)
    # Colors are views into the data, which would change with it.
    stack.callback(setattr, owner, name, tuple(before) if hasattr(before, "foreach_get") or name == "color" else before)
    setattr(owner, name, value)
