# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds a frame: a world that lights the scene, a far dome, and a floor that catches shadows."""

from __future__ import annotations

import math
from typing import Any, cast

import bpy
import numpy as np
from mathutils import Matrix

from .graph import Graph
from .group import UV_NAME
from .material import frame_material

DOME_COLUMNS, DOME_ROWS = 256, 128
FLOOR_CELLS = 10


def set_world(scene: bpy.types.Scene, name: str, image: bpy.types.Image, forward: Matrix | None = None, strength: float = 1.0) -> bpy.types.World:
    """Make a world of an equirectangular picture the scene's own; it is seen, and lights the scene. The world before it stays in the file.

    `forward` is the matrix of a camera or of a frame: the picture's centre column lies along its -z, the top row along its y. None stands
    for a frame as it is built: forward is +Y, up is +Z.
    """
    world = bpy.data.worlds.new(name)
    if bpy.app.version < (5, 0, 0):
        world.use_nodes = True
    tree = world.node_tree
    assert tree is not None, "a world that uses nodes has a tree"
    tree.nodes.clear()
    graph = Graph(tree)
    direction = graph.call("ShaderNodeTexCoord", {}, "Generated")
    angles = _into_picture(forward).to_euler()
    turned = graph.call("ShaderNodeMapping", {"Vector": direction, "Rotation": (angles.x, angles.y, angles.z)}, vector_type="VECTOR")
    color = graph.call("ShaderNodeTexEnvironment", {"Vector": turned}, "Color", image=image, projection="EQUIRECTANGULAR", interpolation="Linear")
    background = graph.call("ShaderNodeBackground", {"Color": color, "Strength": strength})
    output = graph.node("ShaderNodeOutputWorld")
    graph.connect(background, output.inputs["Surface"])
    graph.arrange(width=320.0)
    before, scene.world = scene.world, world
    if before is not None and before.users == 0:
        # Blender does not save what nobody uses.
        before.use_fake_user = True
    return world


def far_dome(name: str, image: bpy.types.Image, radius: float) -> bpy.types.Object:
    """A closed sphere of `radius` metres that shows an equirectangular picture to a camera in its middle; not linked to a collection yet.

    It is in camera space like a frame: the picture's centre column lies along -z, the top row along y, and the faces look inward. It casts no
    shadow, so that lamps outside of it light the scene; in Cycles the picture itself lights the scene too.
    """
    mesh = _sphere(name, radius)
    mesh.materials.append(frame_material(name, image, wraps=True))
    dome = bpy.data.objects.new(name, mesh)
    dome.visible_shadow = False
    return dome


def floor(name: str, size: float) -> bpy.types.Object:
    """A square of `size` metres at z = 0 that faces up and shows nothing but the shadows that fall on it; not linked to a collection yet.

    Only Cycles knows shadow catchers: in EEVEE it is a plain gray floor. What Cycles shows through one is the world and never an object, so where
    the floor lies above a frame's own ground, the scene needs the picture of the frame's surroundings as its world. It is drawn as wires in the
    viewport, not to hide that ground.
    """
    side = (np.linspace(-0.5, 0.5, FLOOR_CELLS + 1) * size).astype(np.float32)
    x, y = np.meshgrid(side, side)
    columns, rows = (axis.ravel() for axis in np.meshgrid(np.arange(FLOOR_CELLS), np.arange(FLOOR_CELLS)))
    first = rows * (FLOOR_CELLS + 1) + columns
    corners = np.stack([first, first + 1, first + FLOOR_CELLS + 2, first + FLOOR_CELLS + 1], axis=1)
    mesh = _mesh(name, np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3), corners.ravel(), np.full(len(corners), 4))
    plane = bpy.data.objects.new(name, mesh)
    plane.is_shadow_catcher = True
    plane.display_type = "WIRE"
    return plane


def _into_picture(forward: Matrix | None) -> Matrix:
    """The rotation from the world into the axes of an environment picture: Blender has its centre along +X, its top along +Z, its right along -Y."""
    from_camera = Matrix(((0.0, 0.0, -1.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
    axes = Matrix.Rotation(math.pi / 2.0, 3, "X") if forward is None else forward.to_quaternion().to_matrix()
    return from_camera @ axes.transposed()


def _sphere(name: str, radius: float) -> bpy.types.Mesh:
    """A welded sphere: the poles first (below, above), then the rings from the lowest one upwards, each from the left edge of the picture."""
    longitude = (np.arange(DOME_COLUMNS) / DOME_COLUMNS * 2.0 - 1.0) * np.pi
    latitude = (np.arange(1, DOME_ROWS) / DOME_ROWS - 0.5)[:, None] * np.pi
    ring = np.stack(np.broadcast_arrays(np.cos(latitude) * np.sin(longitude), np.sin(latitude), -np.cos(latitude) * np.cos(longitude)), axis=-1)
    poles = np.array([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    vertices = np.concatenate([poles, ring.reshape(-1, 3)]) * radius

    number = 2 + np.arange((DOME_ROWS - 1) * DOME_COLUMNS).reshape(DOME_ROWS - 1, DOME_COLUMNS)
    following = np.roll(number, -1, axis=1)
    below, above = np.zeros(DOME_COLUMNS, int), np.ones(DOME_COLUMNS, int)
    # Against the clock as seen from the middle, so that faces look inward.
    quads = np.stack([number[:-1], following[:-1], following[1:], number[1:]], axis=-1).reshape(-1, 4)
    fans = np.concatenate([np.stack([below, following[0], number[0]], axis=-1), np.stack([number[-1], following[-1], above], axis=-1)])

    # The last column ends at u = 1 where its vertices, welded to the first ones, begin at 0. The corner at a pole is in the middle.
    left, row = (axis.ravel() for axis in np.meshgrid(np.arange(DOME_COLUMNS), np.arange(1, DOME_ROWS - 1)))
    quad_uv = np.stack([(left, row), (left + 1, row), (left + 1, row + 1), (left, row + 1)], axis=0).transpose(2, 0, 1)
    left, first, last = np.arange(DOME_COLUMNS), np.full(DOME_COLUMNS, 1), np.full(DOME_COLUMNS, DOME_ROWS - 1)
    lower_uv = np.stack([(left + 0.5, first - 1), (left + 1, first), (left, first)], axis=0).transpose(2, 0, 1)
    upper_uv = np.stack([(left, last), (left + 1, last), (left + 0.5, last + 1)], axis=0).transpose(2, 0, 1)
    uv = np.concatenate([part.reshape(-1, 2) for part in (quad_uv, lower_uv, upper_uv)]) / (DOME_COLUMNS, DOME_ROWS)

    sizes = np.concatenate([np.full(len(quads), 4), np.full(len(fans), 3)])
    mesh = _mesh(name, vertices, np.concatenate([quads.ravel(), fans.ravel()]), sizes)
    layer = mesh.uv_layers.new(name=UV_NAME)
    _fill(layer.uv, "vector", uv.astype(np.float32))
    mesh.shade_smooth()
    return mesh


def _mesh(name: str, vertices: np.ndarray, corners: np.ndarray, sizes: np.ndarray) -> bpy.types.Mesh:
    """A mesh of (n, 3) vertices and of faces with so many corners each, the numbers of their vertices one after another."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    _fill(mesh.vertices, "co", vertices.astype(np.float32))
    mesh.loops.add(len(corners))
    _fill(mesh.loops, "vertex_index", corners.astype(np.int32))
    mesh.polygons.add(len(sizes))
    _fill(mesh.polygons, "loop_start", (np.cumsum(sizes) - sizes).astype(np.int32))
    mesh.update(calc_edges=True)
    return mesh


def _fill(collection: Any, name: str, values: np.ndarray) -> None:
    """Set one property of all items at once; the stubs take the array for a sequence of one type."""
    cast(Any, collection).foreach_set(name, values.ravel())
