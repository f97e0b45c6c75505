# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live geometry-nodes group: a grid of texels, lifted by the disparity picture, torn at edges in depth.

The group is made by code, once for each projection and kind of distance, and shared by all frames of the file.
All that an artist may want to move is an input of the modifier; nothing is baked.

With d the disparity and a, b its values at `Near` and `Far` (1 and 0 unless the mapping of the frame says otherwise),
1/Z = b' + (d - b) / (a - b) * (a' - b'), where a' = 1/near and b' = 1/far. That is every mapping that is affine in disparity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

import bpy

from ..core.frame import Camera
from ..core.lifting import SLOPE_ALLOWANCE, TEAR_REACH
from .graph import Field, Graph

GROUP_VERSION = 2
UV_NAME, COLOR_NAME = "UVMap", "Color"
VERSION_KEY = "jointdit_version"
# Pixels within which the distance behind a cut is looked for: the width of a soft edge.
FILL_REACH = 3
# 1/Z that stands for a hole, so far from every real one that the slope to it is steeper than any.
HOLE, STEEPEST = -1e30, 1e20
# What Capture Attribute calls the types of sockets.
CAPTURED: dict[str, Literal["FLOAT", "BOOLEAN", "INT"]] = {"VALUE": "FLOAT", "BOOLEAN": "BOOLEAN", "INT": "INT"}

_FLOAT, _INT, _BOOL = "NodeSocketFloat", "NodeSocketInt", "NodeSocketBool"


@dataclass(frozen=True)
class Input:
    """One input of the modifier."""

    name: str
    kind: str
    default: float | int | bool | None = None
    low: float | None = None
    high: float | None = None
    subtype: str = "NONE"
    description: str = ""


INPUTS = (
    Input("Near", _FLOAT, 2.0, 1e-6, 1e9, "DISTANCE", "Distance of the nearest pixel"),
    Input("Far", _FLOAT, 40.0, 1e-6, 1e9, "DISTANCE", "Distance of the farthest pixel"),
    Input("Field of View", _FLOAT, math.radians(55.0), 1e-3, 2.0 * math.pi, "ANGLE", "Angle between the left and the right edge of the image"),
    Input("Vertical Angle", _FLOAT, math.pi, 1e-3, math.pi, "ANGLE", "Angle between the upper and the lower edge of a panorama"),
    Input("Tear", _FLOAT, 0.06, 0.0, 1e6, "NONE", "Jump in depth, relative to the distance, at which the surface is cut"),
    Input("Fill Gaps", _BOOL, False, description="Close the cuts, as seen from the camera, with strips at the distance of what lies behind"),
    Input("Step", _INT, 1, 1, 1024, "NONE", "Pixels between two vertices: 1 gives every pixel a vertex"),
    Input("Points", _BOOL, False, description="Make a point cloud instead of a surface"),
    Input("Point Size", _FLOAT, 1.0, 0.0, 100.0, "NONE", "Size of a point; at 1 the points just cover the image"),
    Input("Disparity", "NodeSocketImage", description="Closeness of every pixel: a float picture, Non-Color"),
    Input("Image", "NodeSocketImage", description="The picture, for the colors of points"),
    Input("Material", "NodeSocketMaterial"),
    Input("Disparity at Near", _FLOAT, 1.0, description="Value of the disparity picture at the near distance"),
    Input("Disparity at Far", _FLOAT, 0.0, description="Value of the disparity picture at the far distance"),
    Input("Principal X", _FLOAT, 0.5, description="Where the optical axis meets the image, from the left, as a fraction of the width"),
    Input("Principal Y", _FLOAT, 0.5, description="Where the optical axis meets the image, from the top, as a fraction of the height"),
)


def frame_group(camera: Camera, distance: str) -> bpy.types.GeometryNodeTree:
    """The group for this projection and kind of distance: the file's own when it has a current one, else a new one."""
    shape = "full turn" if camera.wraps else camera.projection
    name = f"JointDiT Frame ({shape}, {distance})"
    for group in bpy.data.node_groups:
        if group.library is None and group.name.startswith(name) and group.get(VERSION_KEY) == GROUP_VERSION:
            return group
    group = cast(bpy.types.GeometryNodeTree, bpy.data.node_groups.new(name, "GeometryNodeTree"))
    group[VERSION_KEY] = GROUP_VERSION
    group.is_modifier = True
    _declare(group)
    _Writer(group, camera, distance).write()
    return group


def _declare(group: bpy.types.GeometryNodeTree) -> None:
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    for declared in INPUTS:
        socket = group.interface.new_socket(declared.name, in_out="INPUT", socket_type=declared.kind, description=declared.description)
        if declared.subtype != "NONE":
            socket.subtype = declared.subtype
        if declared.default is not None:
            socket.default_value = declared.default
        if declared.low is not None:
            socket.min_value, socket.max_value = declared.low, declared.high


class _Writer:
    """Writes the nodes; every method is one step of the way from the grid to the surface."""

    def __init__(self, group: bpy.types.GeometryNodeTree, camera: Camera, distance: str) -> None:
        self.graph = Graph(group)
        self.projection, self.wraps, self.distance = camera.projection, camera.wraps, distance
        source = self.graph.node("NodeGroupInput")
        self.inputs = {socket.name: Field(self.graph, socket) for socket in source.outputs if socket.name}
        info = self.graph.node("GeometryNodeImageInfo")
        self.graph.connect(self.inputs["Disparity"], info.inputs["Image"])
        self.width = Field(self.graph, info.outputs["Width"])
        self.height = Field(self.graph, info.outputs["Height"])
        self.inverse_near = self.inputs["Near"].reciprocal()
        self.inverse_far = self.inputs["Far"].reciprocal()
        span = self.inputs["Disparity at Near"] - self.inputs["Disparity at Far"]
        self.gain = (self.inverse_near - self.inverse_far) / span

    def write(self) -> None:
        grid, self.u, self.v_up = self._grid()
        inverse = self._inverse(self._disparity(self.u, self.v_up))
        seen = (inverse > 0.0) & (inverse < 1e30)
        grid, self.inverse = self._captured(grid, seen.choose(inverse, HOLE))
        self.valid = self.inverse > 0.0
        self.uv, self.ray = self.graph.vector(self.u, self.v_up, 0.0), self._ray()
        output = self.graph.node("NodeGroupOutput")
        geometry = self.inputs["Points"].choose(self._points(grid), self._surface(grid), "GEOMETRY")
        self.graph.connect(geometry, output.inputs[0])
        self.graph.arrange()

    def _grid(self) -> tuple[Field, Field, Field]:
        """A grid whose vertices lie on texel centres, and their place in the image: u from the left, v from the bottom, 0 to 1."""
        columns, size_x, middle_x = self._axis(self.width, self.wraps)
        rows, size_y, middle_y = self._axis(self.height, False)
        self.columns, self.rows = columns, rows
        self.last_row, self.last_column = rows - 1, (columns - 1) * rows
        grid = self.graph.call("GeometryNodeMeshGrid", {"Size X": size_x, "Size Y": size_y, "Vertices X": columns, "Vertices Y": rows}, "Mesh")
        position = self.graph.call("GeometryNodeInputPosition", {})
        x, y = self.graph.split(position)
        u = x + middle_x
        if self.wraps:
            # The last column is the first one again, also where the step does not divide the width.
            u = u.minimum(self.width.reciprocal() * 0.5 + 1.0)
        return grid, u, y + middle_y

    def _axis(self, pixels: Field, closed: bool) -> tuple[Field, Field, Field]:
        """Number of vertices, extent and middle along an axis of the image, the last two as fractions of the axis."""
        last = pixels - 1
        step = self.inputs["Step"].minimum(last)
        if closed:
            count = (last // step) + 2
            extent = step * (count - 1)
            first = extent * 0
        else:
            count = (last // step) + 1
            extent = step * (count - 1)
            first = (last - extent) // 2
        middle = (first.float() + 0.5 + extent.float() * 0.5) / pixels
        return count, extent / pixels, middle

    def _disparity(self, u: Field, v_up: Field) -> Field:
        """The disparity picture at a place in the image, read without interpolation."""
        vector = self.graph.vector(u, v_up, 0.0)
        color = self.graph.call(
            "GeometryNodeImageTexture",
            {"Image": self.inputs["Disparity"], "Vector": vector},
            "Color",
            interpolation="Closest",
            extension="REPEAT" if self.wraps else "EXTEND",
        )
        # A color would become a number by its luminance, with rounding.
        return self.graph.call("FunctionNodeSeparateColor", {"Color": color}, 0)

    def _inverse(self, disparity: Field) -> Field:
        return (disparity - self.inputs["Disparity at Far"]) * self.gain + self.inverse_far

    def _ray(self) -> Field:
        """What a unit of distance is in space for a vertex, in the camera's axes."""
        half = self.inputs["Field of View"] * 0.5
        if self.projection == "perspective":
            scale = half.tan() * 2.0
            x = (self.u - self.inputs["Principal X"]) * scale
            y = (self.v_up + self.inputs["Principal Y"] - 1.0) * scale * (self.height / self.width)
            return self._normalized(x, y, -1.0)
        longitude = (self.u * 2.0 - 1.0) * half
        half_vertical = self.inputs["Vertical Angle"] * 0.5
        up = self.v_up * 2.0 - 1.0
        if self.projection == "cylindrical":
            return self._normalized(longitude.sin(), up * half_vertical.tan(), longitude.cos() * -1.0)
        latitude = up * half_vertical
        flat = latitude.cos()
        return self._normalized(longitude.sin() * flat, latitude.sin(), longitude.cos() * flat * -1.0)

    def _normalized(self, x: Field, y: Field, z: Field | float) -> Field:
        ray = self.graph.vector(x, y, z)
        if self.distance == "planar":
            return ray
        measured = ray if self.distance == "radial" else self.graph.vector(x, 0.0, z)
        length = self.graph.call("ShaderNodeVectorMath", {"Vector": measured}, "Value", operation="LENGTH")
        return self.graph.scale(ray, length.reciprocal())

    def _surface(self, grid: Field) -> Field:
        grid, torn = self._torn_faces(grid)
        surface = self._lifted(self._without(grid, torn), self.inverse)
        backed = self.graph.join(surface, self._gaps(grid, torn))
        return self._with_material(self.inputs["Fill Gaps"].choose(backed, surface, "GEOMETRY"))

    def _gaps(self, grid: Field, torn: Field) -> Field:
        """The torn faces at the distance of what lies behind: strips that close the cuts as seen from the camera."""
        reach = self.inputs["Step"].under(FILL_REACH).maximum(1)
        index = self.graph.call("GeometryNodeInputIndex", {})
        row = index % self.rows
        around = (index - row.minimum(reach), index + (self.last_row - row).minimum(reach))
        grid, behind, place = self._captured(grid, self._farthest(grid, self.inverse, self.inverse, around), index)
        row, side = place % self.rows, reach * self.rows
        around = ((place - side).maximum(row), (place + side).minimum(row + self.last_column))
        behind = self._farthest(grid, behind, self._sample(grid, behind, place, "FLOAT"), around)
        # Beside a hole there is nothing to close.
        solid = self.graph.call("GeometryNodeFieldOnDomain", {"Value": self.valid}, data_type="BOOLEAN", domain="FACE")
        return self._lifted(self._without(self._without(grid, ~torn), ~solid), behind)

    def _farthest(self, grid: Field, values: Field, here: Field, places: tuple[Field, Field]) -> Field:
        """The least 1/Z of this vertex and of those at two places, holes left out."""
        for place in places:
            value = self._sample(grid, values, place, "FLOAT")
            here = (value > 0.0).choose(value, here).minimum(here)
        return here

    def _lifted(self, flat: Field, inverse: Field) -> Field:
        """A part of the grid with its UV map, moved to the distance 1 / `inverse`."""
        # Computed once a vertex and then copied to its four corners.
        uv = self.graph.call("GeometryNodeFieldOnDomain", {"Value": self.uv}, data_type="FLOAT_VECTOR", domain="POINT")
        mapped = self._store(flat, UV_NAME, "FLOAT2", "CORNER", uv)
        position = self.graph.scale(self.ray, inverse.reciprocal())
        return self.graph.call("GeometryNodeSetPosition", {"Geometry": mapped, "Position": position})

    def _points(self, grid: Field) -> Field:
        kept = self.graph.call("GeometryNodeDeleteGeometry", {"Geometry": grid, "Selection": ~self.valid}, 0, domain="POINT", mode="ALL")
        colors = self.graph.call("GeometryNodeImageTexture", {"Image": self.inputs["Image"], "Vector": self.uv}, "Color", interpolation="Closest")
        mapped = self._store(kept, UV_NAME, "FLOAT2", "POINT", self.uv)
        colored = self._store(mapped, COLOR_NAME, "FLOAT_COLOR", "POINT", colors)
        distance = self.inverse.reciprocal()
        # Half the diagonal of a pixel's footprint: circles of this radius cover the square.
        pixel = self.inputs["Field of View"] if self.projection != "perspective" else (self.inputs["Field of View"] * 0.5).tan() * 2.0
        radius = distance * pixel * self.inputs["Step"] / self.width * self.inputs["Point Size"] * math.sqrt(0.5)
        cloud = self.graph.call(
            "GeometryNodeMeshToPoints",
            {"Mesh": colored, "Position": self.graph.scale(self.ray, distance), "Radius": radius},
            mode="VERTICES",
        )
        return self._with_material(cloud)

    def _torn_faces(self, grid: Field) -> tuple[Field, Field]:
        """The grid, and its faces with an edge that jumps in depth; the rule is that of `core.lifting.torn_edges`.

        The grid counts vertices and faces column by column. An edge belongs to its lower or left vertex: working on vertices and
        their neighbours by number is several times faster than asking the mesh for its edges.
        """
        index = self.graph.call("GeometryNodeInputIndex", {})
        row = index % self.rows
        reach = self.inputs["Step"].under(TEAR_REACH)
        up_reach, side_reach = ((vertices // 4).minimum(reach).maximum(1) for vertices in (self.rows, self.columns))
        up = self._whole_edges(
            grid,
            behind=index - row.minimum(up_reach),
            over=index + 1,
            ahead=index + (self.last_row - row).minimum(up_reach + 1),
            reach=up_reach,
        )
        stride = side_reach * self.rows
        right = index + self.rows
        side = self._whole_edges(
            grid,
            behind=(index - stride).maximum(row),
            over=right,
            ahead=(right + stride).minimum(row + self.last_column),
            reach=side_reach,
        )
        grid, both, up, side = self._captured(grid, up & side, up, side)
        # A face is numbered like its lower left vertex, but a column has one face less than vertices.
        corner = index + index // self.last_row
        edges = ((both, corner), (up, corner + self.rows), (side, corner + 1))
        first, second, third = (self._sample(grid, whole, number, "BOOLEAN") for whole, number in edges)
        return grid, ~(first & second & third)

    def _whole_edges(self, grid: Field, *, behind: Field, over: Field, ahead: Field, reach: Field) -> Field:
        """For every vertex whether its edge to the vertex number `over` is whole; `behind` and `ahead` lie `reach` outside of the edge's ends."""
        start = self.inverse
        before, end, after = (self._sample(grid, start, number, "FLOAT") for number in (behind, over, ahead))
        slope = abs(start - before).maximum(abs(end - after)) * (reach.float().reciprocal() * SLOPE_ALLOWANCE)
        # Beside a hole there is no slope.
        slope = (slope < STEEPEST).choose(slope, 0.0)
        # Above 0, so that an edge between two holes is not whole.
        tear = self.inputs["Tear"].maximum(1e-6)
        return abs(start - end) <= start.minimum(end).times_plus(tear, slope)

    def _without(self, geometry: Field, faces: Field) -> Field:
        return self.graph.call("GeometryNodeDeleteGeometry", {"Geometry": geometry, "Selection": faces}, 0, domain="FACE", mode="ALL")

    def _sample(self, geometry: Field, value: Field, index: Field, kind: str) -> Field:
        """A value of the vertices at the vertex of this number."""
        inputs = {"Geometry": geometry, "Value": value, "Index": index}
        return self.graph.call("GeometryNodeSampleIndex", inputs, data_type=kind, domain="POINT")

    def _captured(self, geometry: Field, *values: Field) -> list[Field]:
        """Compute values of the vertices once, and keep them with them: the geometry, then the values."""
        node = self.graph.node("GeometryNodeCaptureAttribute", domain="POINT")
        items = cast(bpy.types.GeometryNodeCaptureAttribute, node).capture_items
        self.graph.connect(geometry, node.inputs["Geometry"])
        names = [f"Captured {number}" for number, _ in enumerate(values, 1)]
        for name, value in zip(names, values, strict=True):
            items.new(CAPTURED[value.socket.type], name)
            self.graph.connect(value, node.inputs[name])
        return [Field(self.graph, node.outputs[name]) for name in ("Geometry", *names)]

    def _store(self, geometry: Field, name: str, kind: str, domain: str, value: Field) -> Field:
        return self.graph.call("GeometryNodeStoreNamedAttribute", {"Geometry": geometry, "Name": name, "Value": value}, data_type=kind, domain=domain)

    def _with_material(self, geometry: Field) -> Field:
        return self.graph.call("GeometryNodeSetMaterial", {"Geometry": geometry, "Material": self.inputs["Material"]})
