# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live geometry-nodes group: the vertices of a frame, lifted by the disparity picture, torn at edges in depth.

One group, made by code, serves every frame of the file. All that an artist may want to move is an input of the modifier; nothing is baked.

With d the disparity and a, b its values at `Near` and `Far` (1 and 0 unless the mapping of the frame says otherwise), n = (d - b) / (a - b)
and 1/Z = b' + sign(n) |n|^gamma (a' - b'), where a' = 1/near and b' = 1/far. That is every mapping that is affine in disparity.
`core.lifting` has the same in numpy.

The parts (surface, strips, back layer) are flat until the end: vertices at (u, v, 0) with 1/Z as an attribute. Then they are joined, get
their UV map and are lifted, all at once: copying large meshes is what takes time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import bpy

from ..core.lifting import SLOPE_ALLOWANCE, TEAR_REACH
from ..core.patches import BACK_OFFSET, FILL_REACH, STRIP_JUMP
from .graph import Field, Graph
from .topology import Lattice

GROUP_NAME, GROUP_VERSION = "JointDiT Frame", 3
UV_NAME, COLOR_NAME = "UVMap", "Color"
VERSION_KEY = "jointdit_version"
# 1/Z of every vertex while the group works; not in its result.
INVERSE_NAME = "JointDiT 1/Z"
# 1/Z that stands for a hole, so far from every real one that the slope to it is steeper than any.
HOLE, STEEPEST = -1e30, 1e20
# Angles are single precision: a full turn may be a little less than it should.
ANGLE_SLACK = 1e-5

_FLOAT, _INT, _BOOL, _MENU = "NodeSocketFloat", "NodeSocketInt", "NodeSocketBool", "NodeSocketMenu"
_IMAGE, _MATERIAL = "NodeSocketImage", "NodeSocketMaterial"


@dataclass(frozen=True)
class Input:
    """One input of the modifier. A menu has `items`, the first of which is the default."""

    name: str
    kind: str
    default: float | int | bool | None = None
    low: float | None = None
    high: float | None = None
    subtype: str = "NONE"
    description: str = ""
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Inputs under one heading."""

    name: str
    inputs: tuple[Input, ...]
    closed: bool = False


PANELS = (
    Panel(
        "Depth",
        (
            Input("Near", _FLOAT, 2.0, 1e-6, 1e9, "DISTANCE", "Distance of the nearest pixel"),
            Input("Far", _FLOAT, 40.0, 1e-6, 1e9, "DISTANCE", "Distance of the farthest pixel"),
            Input("Gamma", _FLOAT, 1.0, 0.05, 20.0, "NONE", "Above 1 pushes what is between near and far away, below 1 pulls it closer"),
            Input("Field of View", _FLOAT, math.radians(55.0), 1e-3, 2.0 * math.pi, "ANGLE", "Angle between the left and the right edge of the image"),
            Input(
                "Projection",
                _MENU,
                description="How the image was projected; a panorama of 360 degrees becomes a closed surface",
                items=("Perspective", "Cylindrical", "Equirectangular"),
            ),
        ),
    ),
    Panel(
        "Surface",
        (
            Input("Output", _MENU, description="A surface, or a point cloud", items=("Mesh", "Points")),
            Input("Step", _INT, 1, 1, 1024, "NONE", "Pixels between two vertices: 1 gives every pixel a vertex"),
            Input("Tear", _FLOAT, 0.06, 0.0, 1e6, "NONE", "Jump in depth, relative to the distance, at which the surface is torn"),
            Input(
                "Torn Faces",
                _MENU,
                description="Cut them out; fill the cuts, as seen from the camera, with strips at the distance of what lies behind; or keep them",
                items=("Cut", "Fill", "Keep"),
            ),
            Input("Clean Edges", _BOOL, False, description="Use the disparity with sharp borders and without loose specks, where the frame has it"),
            Input("Sky Cut-off", _FLOAT, 0.0, 0.0, 1.0, "FACTOR", "Remove sky up to this closeness (0 at Far, 1 at Near); 0 keeps everything"),
            Input("Back Layer", _BOOL, False, description="Add a second surface behind the borders of objects, where the frame has one"),
            Input("Point Size", _FLOAT, 1.0, 0.0, 100.0, "NONE", "Size of a point; at 1 the points just cover the image"),
        ),
    ),
    Panel(
        "Data",
        (
            Input("Disparity", _IMAGE, description="Closeness of every pixel: a float picture, Non-Color"),
            Input("Maps", _IMAGE, description="Float picture, Non-Color. Disparity with clean edges (R) and of the back layer (G); where sky may be (B)"),
            Input("Image", _IMAGE, description="The picture, for the colors of points"),
            Input("Material", _MATERIAL),
            Input("Back Material", _MATERIAL, description="Material of the back layer"),
            Input("Disparity at Near", _FLOAT, 1.0, description="Value of the disparity picture at the near distance"),
            Input("Disparity at Far", _FLOAT, 0.0, description="Value of the disparity picture at the far distance"),
            Input("Vertical Angle", _FLOAT, math.pi, 1e-3, math.pi, "ANGLE", "Angle between the upper and the lower edge of a panorama"),
            Input(
                "Distance",
                _MENU,
                description="What the disparity measures: depth along the view axis, distance from the camera, or its horizontal part. "
                "A panorama has no planar distance; there it counts as radial",
                items=("Planar", "Radial", "Horizontal"),
            ),
            Input("Principal X", _FLOAT, 0.5, description="Where the optical axis meets the image, from the left, as a fraction of the width"),
            Input("Principal Y", _FLOAT, 0.5, description="Where the optical axis meets the image, from the top, as a fraction of the height"),
        ),
        closed=True,
    ),
)
INPUTS = {declared.name: declared for panel in PANELS for declared in panel.inputs}


def frame_group() -> bpy.types.GeometryNodeTree:
    """The group of this version: the file's own when it has it, else a new one."""
    for group in bpy.data.node_groups:
        if group.library is None and group.name.startswith(GROUP_NAME) and group.get(VERSION_KEY) == GROUP_VERSION:
            return cast(bpy.types.GeometryNodeTree, group)
    group = cast(bpy.types.GeometryNodeTree, bpy.data.node_groups.new(GROUP_NAME, "GeometryNodeTree"))
    group[VERSION_KEY] = GROUP_VERSION
    group.is_modifier = True
    _declare(group)
    _Writer(group).write()
    # A menu knows its items only when it is linked.
    for socket in group.interface.items_tree:
        if socket.item_type == "SOCKET" and socket.in_out == "INPUT" and INPUTS[socket.name].items:
            socket.default_value = INPUTS[socket.name].items[0]
    return group


def _declare(group: bpy.types.GeometryNodeTree) -> None:
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    for panel in PANELS:
        parent = group.interface.new_panel(panel.name, default_closed=panel.closed)
        for declared in panel.inputs:
            socket = group.interface.new_socket(declared.name, in_out="INPUT", socket_type=declared.kind, description=declared.description, parent=parent)
            # No attribute may stand for it: one value for the whole frame.
            socket.structure_type = "SINGLE"
            if declared.subtype != "NONE":
                socket.subtype = declared.subtype
            if declared.default is not None:
                socket.default_value = declared.default
            if declared.low is not None:
                socket.min_value, socket.max_value = declared.low, declared.high


class _Writer:
    """Writes the nodes; every method is one step of the way from the lattice to the surface."""

    def __init__(self, group: bpy.types.GeometryNodeTree) -> None:
        self.graph = Graph(group)
        source = self.graph.node("NodeGroupInput")
        self.inputs = {socket.name: Field(self.graph, socket) for socket in source.outputs if socket.name}
        self.menus = {name: self.graph.menu(self.inputs[name], declared.items) for name, declared in INPUTS.items() if declared.items}
        self.width, self.height = self._size("Disparity")
        self.has_maps = self._size("Maps")[0] > 0
        self.clean = self.inputs["Clean Edges"] & self.has_maps
        self.perspective = self.menus["Projection"].equals(0)
        full_turn = self.inputs["Field of View"] > 2.0 * math.pi - ANGLE_SLACK
        self.closed = full_turn & ~self.perspective & (self.width > 2)
        self.lattice = Lattice(self.graph, self.width, self.height, self.inputs["Step"], self.closed)
        self.inverse = self.graph.attribute(INVERSE_NAME)
        # On faces the attribute is the mean of the corners, which one hole makes negative.
        self.solid = self.inverse > 0.0

    def write(self) -> None:
        geometry = self.menus["Output"].equals(0).choose(self._mesh(), self._points(), "GEOMETRY")
        self.graph.connect(geometry, self.graph.node("NodeGroupOutput").inputs[0])
        self.graph.arrange()

    def _size(self, name: str) -> tuple[Field, Field]:
        node = self.graph.node("GeometryNodeImageInfo")
        self.graph.connect(self.inputs[name], node.inputs["Image"])
        return Field(self.graph, node.outputs["Width"]), Field(self.graph, node.outputs["Height"])

    # 1/Z

    def _picture(self, image: Field) -> Field:
        """A picture's colors where the vertices are."""
        inputs = {"Image": image, "Vector": self.graph.position()}
        return self.graph.call("GeometryNodeImageTexture", inputs, "Color", interpolation="Closest", extension="EXTEND")

    def _channel(self, color: Field, number: int) -> Field:
        # A color would become a number by its luminance, with rounding.
        return self.graph.call("FunctionNodeSeparateColor", {"Color": color}, number)

    def _front(self) -> Field:
        """1/Z of the surface, at vertices that are still flat."""
        color = self._picture(self.clean.choose(self.inputs["Maps"], self.inputs["Disparity"], "IMAGE"))
        nearness = self._nearness(self._channel(color, 0))
        inverse = self._inverse(nearness)
        cut_off = self.inputs["Sky Cut-off"]
        may_be_sky = self.clean.choose(self._channel(color, 2), self._channel(self._picture(self.inputs["Maps"]), 2))
        sky = (nearness <= cut_off) & (self.has_maps.choose(may_be_sky, 1.0) > 0.5)
        return (cut_off > 0.0).choose(sky.choose(HOLE, inverse), inverse)

    def _nearness(self, disparity: Field) -> Field:
        far = self.inputs["Disparity at Far"]
        return (disparity - far) * (self.inputs["Disparity at Near"] - far).reciprocal()

    def _inverse(self, nearness: Field) -> Field:
        """1/Z, or a hole."""
        gamma = self.inputs["Gamma"]
        curved = abs(nearness).power(gamma) * nearness.sign()
        far = self.inputs["Far"].reciprocal()
        part = ((gamma < 1.0) | (gamma > 1.0)).choose(curved, nearness)
        inverse = part.times_plus(self.inputs["Near"].reciprocal() - far, far)
        return ((inverse > 0.0) & (inverse < -HOLE)).choose(inverse, HOLE)

    def _with_inverse(self, geometry: Field, inverse: Field, selection: Field | None = None) -> Field:
        return self.graph.store(geometry, INVERSE_NAME, "FLOAT", "POINT", inverse, selection)

    # Points

    def _points(self) -> Field:
        points = self._with_inverse(self.lattice.points(), self._front())
        kept = self.graph.part(points, "POINT", self.solid)
        mapped = self.graph.store(kept, UV_NAME, "FLOAT2", "POINT", self.graph.position())
        colored = self.graph.store(mapped, COLOR_NAME, "FLOAT_COLOR", "POINT", self._picture(self.inputs["Image"]))
        # Half the diagonal of a pixel's footprint: circles of this radius cover the square.
        angle = self.inputs["Field of View"]
        pixel = self.perspective.choose(self._half_angle().tan() * 2.0, angle)
        size = pixel * self.lattice.x.pitch * self.inputs["Point Size"] * math.sqrt(0.5)
        sized = self.graph.call("GeometryNodeSetPointRadius", {"Points": colored, "Radius": self.inverse.reciprocal() * size})
        return self._lifted(self._with_material(sized, "Material"))

    # Surface

    def _mesh(self) -> Field:
        flat, middle = self.lattice.mesh()
        flat = self._with_inverse(flat, self._front())
        flat = self.closed.choose(self._with_poles(flat), flat, "GEOMETRY")
        torn_faces, has_maps = self.menus["Torn Faces"], self.has_maps
        keep, fill, back = torn_faces.equals(2), torn_faces.equals(1), self.inputs["Back Layer"] & has_maps
        marked, whole = self._torn(flat)
        marked = keep.choose(flat, marked, "GEOMETRY")
        surface = self._with_material(self.graph.part(marked, "FACE", keep.choose(self.solid, whole, "BOOLEAN")), "Material")
        strips = fill.choose(self._strips(marked, whole), None, "GEOMETRY")
        behind = back.choose(self._back(flat), None, "GEOMETRY")
        parts = (fill | back).choose(self.graph.join(surface, strips, behind), surface, "GEOMETRY")
        return self._lifted(self.graph.store(parts, UV_NAME, "FLOAT2", "CORNER", self.lattice.uv(middle)))

    def _with_poles(self, sphere: Field) -> Field:
        """The closed surface with its poles at the mean 1/Z of their row, or without them where the image does not reach them."""
        lattice, index = self.lattice, self.graph.index()
        full_height = self.inputs["Vertical Angle"] > math.pi - ANGLE_SLACK
        reached = self.menus["Projection"].equals(2) & full_height
        ring = self.graph.call("GeometryNodePoints", {"Count": lattice.line})
        means = []
        for start in (lattice.first, lattice.line * (lattice.lines - 1) + 1):
            inverse = self.graph.sample(sphere, self.inverse, index + start)
            inputs = {"Geometry": ring, "Selection": inverse > 0.0, "Attribute": inverse}
            mean = self.graph.call("GeometryNodeAttributeStatistic", inputs, "Mean", data_type="FLOAT", domain="POINT")
            means.append((mean > 0.0).choose(mean, HOLE))
        poles = (index < 1).choose(means[0], means[1])
        return self._with_inverse(sphere, reached.choose(poles, HOLE), lattice.is_pole(index))

    def _torn(self, flat: Field) -> tuple[Field, Field]:
        """The mesh, and whether its faces have no edge that jumps in depth; the rule is that of `core.lifting.torn_edges`.

        An edge belongs to the vertex that it starts from: working on vertices and their neighbors by number is several times faster than
        asking the mesh for its edges.
        """
        lattice, vertex, face = self.lattice, self.graph.index(), self.graph.index()
        reach = self.inputs["Step"].under(TEAR_REACH)
        reach_along, reach_across = ((count // 4).minimum(reach).maximum(1) for count in (lattice.line, lattice.lines))
        along = self._whole_edges(
            flat,
            behind=lattice.before_along(vertex, reach_along),
            over=lattice.next_along(vertex),
            ahead=lattice.after_along(vertex, reach_along + 1),
            reach=reach_along,
        )
        across = self._whole_edges(
            flat,
            behind=lattice.before_across(vertex, reach_across),
            over=lattice.next_across(vertex),
            ahead=lattice.after_across(vertex, reach_across + 1),
            reach=reach_across,
        )
        flat, both, along, across = self.graph.captured(flat, "POINT", along & across, along, across)
        corner = lattice.corner(face)
        edges = ((both, corner), (along, lattice.next_across(corner)), (across, lattice.next_along(corner)))
        first, second, third = (self.graph.sample(flat, edge, number) for edge, number in edges)
        quads = first & second & third
        # A fan is closed wherever there is something: a pole must not become a hole.
        faces = self.closed.choose(lattice.is_fan(face).choose(self.solid, quads, "BOOLEAN"), quads, "BOOLEAN")
        flat, captured = self.graph.captured(flat, "FACE", faces)
        return flat, captured

    def _whole_edges(self, flat: Field, *, behind: Field, over: Field, ahead: Field, reach: Field) -> Field:
        """For every vertex whether its edge to the vertex number `over` is whole; `behind` and `ahead` lie `reach` outside of the edge's ends."""
        start = self.inverse
        before, end, after = (self.graph.sample(flat, start, number) for number in (behind, over, ahead))
        # To a hole there is no slope; the other side's counts.
        steeper = self._unless_hole(abs(start - before)).maximum(self._unless_hole(abs(end - after)))
        slope = steeper * (reach.float().reciprocal() * SLOPE_ALLOWANCE)
        return abs(start - end) <= start.minimum(end).times_plus(self._tear(), slope)

    def _unless_hole(self, rise: Field) -> Field:
        return (rise < STEEPEST).choose(rise, 0.0)

    def _tear(self) -> Field:
        # Above 0, so that an edge between two holes is not whole.
        return self.inputs["Tear"].maximum(1e-6)

    def _strips(self, flat: Field, whole: Field) -> Field:
        """The torn faces at the distance of what lies behind: strips that close the cuts as seen from the camera.

        That is the farthest distance in the neighborhood of a vertex, holes left out. Beside a hole there is nothing to close.
        """
        lattice = self.lattice
        # In two steps, for asking every face of the mesh for its corners takes longer.
        strips = self.graph.part(self.graph.part(flat, "FACE", ~whole), "FACE", self.solid)
        reach = self.inputs["Step"].under(FILL_REACH).maximum(1)
        vertex, behind = lattice.vertex_at(self.graph.position()), self.inverse
        aside = [other - vertex for other in (lattice.before_along(vertex, reach), lattice.after_along(vertex, reach))]
        for line in (lattice.before_across(vertex, reach), vertex, lattice.after_across(vertex, reach)):
            for number in (line + aside[0], line, line + aside[1]):
                value = self.graph.sample(flat, self.inverse, number)
                behind = (value > 0.0).choose(value, behind).minimum(behind)
        return self._with_material(self._tiles(self._with_inverse(strips, behind)), "Material")

    def _tiles(self, strips: Field) -> Field:
        """Strips without sheets of rubber: a face that would be one becomes a tile of its own, all of it at its mean 1/Z."""
        strips, uneven = self.graph.captured(strips, "FACE", ~self._even_faces(self._tear().maximum(STRIP_JUMP)))
        strips = self.graph.call("GeometryNodeSplitEdges", {"Mesh": strips, "Selection": uneven})
        mean = self.graph.call("GeometryNodeFieldOnDomain", {"Value": self.inverse}, data_type="FLOAT", domain="FACE")
        return self._with_inverse(strips, mean, uneven)

    def _back(self, flat: Field) -> Field:
        """The back layer. It is small, so its edges are asked for; it needs no slopes, for it is made smooth."""
        lattice, index = self.lattice, self.graph.index()
        inverse = self._inverse(self._nearness(self._channel(self._picture(self.inputs["Maps"]), 1))) * (1.0 / BACK_OFFSET)
        inverse = self.closed.choose(lattice.is_pole(index).choose(HOLE, inverse), inverse)
        layer = self.graph.part(self._with_inverse(flat, inverse), "POINT", self.solid)
        return self._with_material(self.graph.part(layer, "FACE", self._even_faces(self._tear())), "Back Material")

    def _even_faces(self, most: Field) -> Field:
        """Whether the edges of a face jump by no more than this share of the distance; for small parts of the mesh."""
        ends = self.graph.node("GeometryNodeInputMeshEdgeVertices")
        one, other = (
            self.graph.call("GeometryNodeFieldAtIndex", {"Value": self.inverse, "Index": Field(self.graph, end)}, data_type="FLOAT", domain="POINT")
            for end in list(ends.outputs)[:2]
        )
        whole = abs(one - other) <= one.minimum(other) * most
        # A face is whole when all its edges are.
        return self.graph.call("GeometryNodeFieldOnDomain", {"Value": whole}, data_type="BOOLEAN", domain="EDGE")

    # Space

    def _lifted(self, flat: Field) -> Field:
        """The flat geometry moved to the distance Z."""
        kind = self.perspective.choose(self.menus["Distance"], self.menus["Distance"].maximum(1), "INT")
        ray = self.graph.pick(self.menus["Projection"], self._perspective_ray(), self._cylindrical_ray(), self._equirectangular_ray(), kind="VECTOR")
        level = self.graph.vector_times_plus(ray, self.graph.vector(1.0, 0.0, 1.0), self.graph.vector(0.0, 0.0, 0.0))
        # A pole is level with the rows beside it: horizontal distance has no meaning straight up.
        outermost = ((self.lattice.y.begin.times_plus(-2.0, 1.0)) * self._half_vertical_angle()).cos()
        radial, horizontal = self._length(ray), self._length(level).maximum(outermost)
        measured = self.graph.pick(kind, self.inverse, self.inverse * radial, self.inverse * horizontal)
        lifted = self.graph.place(flat, self.graph.scale(ray, measured.reciprocal()))
        return self.graph.call("GeometryNodeRemoveAttribute", {"Geometry": lifted, "Name": INVERSE_NAME})

    def _half_angle(self) -> Field:
        return self.inputs["Field of View"] * 0.5

    def _half_vertical_angle(self) -> Field:
        return self.inputs["Vertical Angle"] * 0.5

    def _perspective_ray(self) -> Field:
        """(x, y, -1) in the camera's axes; all in one node, for it is computed for every vertex of most frames."""
        scale = self._half_angle().tan() * 2.0
        tall = scale * (self.height / self.width)
        start_x, start_y = self.inputs["Principal X"] * scale * -1.0, (self.inputs["Principal Y"] - 1.0) * tall
        return self.graph.vector_times_plus(self.graph.position(), self.graph.vector(scale, tall, 0.0), self.graph.vector(start_x, start_y, -1.0))

    def _turned(self) -> tuple[Field, Field]:
        """Longitude in radians, and the place between the lower and the upper edge, -1 to 1."""
        u, v = self.graph.split(self.graph.position())
        angle = self.inputs["Field of View"]
        return u.times_plus(angle, angle * -0.5), v.times_plus(2.0, -1.0)

    def _cylindrical_ray(self) -> Field:
        longitude, up = self._turned()
        return self.graph.vector(longitude.sin(), up * self._half_vertical_angle().tan(), longitude.cos() * -1.0)

    def _equirectangular_ray(self) -> Field:
        longitude, up = self._turned()
        latitude = up * self._half_vertical_angle()
        flat = latitude.cos()
        return self.graph.vector(longitude.sin() * flat, latitude.sin(), longitude.cos() * flat * -1.0)

    def _length(self, vector: Field) -> Field:
        return self.graph.call("ShaderNodeVectorMath", {"Vector": vector}, "Value", operation="LENGTH")

    def _with_material(self, geometry: Field, name: str) -> Field:
        return self.graph.call("GeometryNodeSetMaterial", {"Geometry": geometry, "Material": self.inputs[name]})
