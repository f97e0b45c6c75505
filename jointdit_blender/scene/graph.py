# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write node groups as formulas: sockets that can be added, multiplied and compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import bpy

Number = float | int
MATH_NODES = {"VALUE": "ShaderNodeMath", "INT": "FunctionNodeIntegerMath"}


class Field:
    """An output socket in a node tree; arithmetic on it adds nodes. Integers stay integers, everything else is a float."""

    def __init__(self, graph: Graph, socket: bpy.types.NodeSocket) -> None:
        self.graph = graph
        self.socket = socket

    def _math(self, operation: str, *operands: Any) -> Field:
        values = (self, *operands)
        whole = all(isinstance(value, int) or (isinstance(value, Field) and value.socket.type == "INT") for value in values)
        node = self.graph.node(MATH_NODES["INT" if whole else "VALUE"], operation=operation)
        for socket, value in zip(node.inputs, values, strict=False):
            self.graph.connect(value, socket)
        return Field(self.graph, node.outputs[0])

    def __add__(self, other: Field | Number) -> Field:
        return self._math("ADD", other)

    def __sub__(self, other: Field | Number) -> Field:
        return self._math("SUBTRACT", other)

    def __mul__(self, other: Field | Number) -> Field:
        return self._math("MULTIPLY", other)

    def __truediv__(self, other: Field | Number) -> Field:
        return self.float()._math("DIVIDE", other)

    def __mod__(self, other: Field | Number) -> Field:
        """Remainder of non-negative whole numbers."""
        return self._math("MODULO", other)

    def __floordiv__(self, other: Field | Number) -> Field:
        """Division of non-negative whole numbers."""
        return self._math("DIVIDE", other)

    def __abs__(self) -> Field:
        return self._math("ABSOLUTE")

    def minimum(self, other: Field | Number) -> Field:
        return self._math("MINIMUM", other)

    def maximum(self, other: Field | Number) -> Field:
        return self._math("MAXIMUM", other)

    def under(self, number: int) -> Field:
        """The whole `number` divided by this whole number."""
        node = self.graph.node("FunctionNodeIntegerMath", operation="DIVIDE")
        self.graph.connect(number, node.inputs[0])
        self.graph.connect(self, node.inputs[1])
        return Field(self.graph, node.outputs[0])

    def times_plus(self, factor: Field | Number, more: Field | Number) -> Field:
        """`self * factor + more` in one node."""
        return self._math("MULTIPLY_ADD", factor, more)

    def sin(self) -> Field:
        return self._math("SINE")

    def cos(self) -> Field:
        return self._math("COSINE")

    def tan(self) -> Field:
        return self._math("TANGENT")

    def float(self) -> Field:
        """This value as a float: mixed arithmetic of two integer fields would stay whole."""
        return self._math("ADD", 0.0) if self.socket.type == "INT" else self

    def reciprocal(self) -> Field:
        """1 divided by this."""
        node = self.graph.node("ShaderNodeMath", operation="DIVIDE")
        self.graph.connect(1.0, node.inputs[0])
        self.graph.connect(self, node.inputs[1])
        return Field(self.graph, node.outputs[0])

    def _compare(self, operation: str, other: Field | Number) -> Field:
        kind = "INT" if self.socket.type == "INT" and isinstance(other, int) else "FLOAT"
        node = self.graph.node("FunctionNodeCompare", data_type=kind, operation=operation)
        self.graph.connect(self, _enabled(node.inputs, "A"))
        self.graph.connect(other, _enabled(node.inputs, "B"))
        return Field(self.graph, node.outputs[0])

    def __le__(self, other: Field | Number) -> Field:
        return self._compare("LESS_EQUAL", other)

    def __lt__(self, other: Field | Number) -> Field:
        return self._compare("LESS_THAN", other)

    def __gt__(self, other: Field | Number) -> Field:
        return self._compare("GREATER_THAN", other)

    def _logic(self, operation: str, *others: Field) -> Field:
        node = self.graph.node("FunctionNodeBooleanMath", operation=operation)
        for socket, value in zip(node.inputs, (self, *others), strict=False):
            self.graph.connect(value, socket)
        return Field(self.graph, node.outputs[0])

    def __and__(self, other: Field) -> Field:
        return self._logic("AND", other)

    def __invert__(self) -> Field:
        return self._logic("NOT")

    def choose(self, true: Any, false: Any, kind: str = "FLOAT") -> Field:
        """`true` where this boolean holds, else `false`; `kind` as the Switch node names it."""
        node = self.graph.node("GeometryNodeSwitch", input_type=kind)
        self.graph.connect(self, _enabled(node.inputs, "Switch"))
        self.graph.connect(true, _enabled(node.inputs, "True"))
        self.graph.connect(false, _enabled(node.inputs, "False"))
        return Field(self.graph, _enabled(node.outputs, "Output"))


class Graph:
    """A node tree that is being written."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        # Names of linked nodes: asking Blender for them takes longer than making them.
        self._links: list[tuple[str, str]] = []

    def node(self, kind: str, **properties: Any) -> bpy.types.Node:
        """A new node of type `kind` with `properties` set."""
        node = self.tree.nodes.new(kind)
        for name, value in properties.items():
            setattr(node, name, value)
        return node

    def connect(self, value: Any, socket: bpy.types.NodeSocket) -> None:
        """Link a field to an input socket, or set the socket's own value."""
        if isinstance(value, Field):
            self.tree.links.new(value.socket, socket)
            self._links.append((value.socket.node.name, socket.node.name))
        else:
            # Only the classes of the single types of sockets have a value.
            cast(Any, socket).default_value = value

    def call(self, kind: str, inputs: dict[str, Any], output: str | int = 0, **properties: Any) -> Field:
        """Add a node, feed its visible inputs by name, and return one of its outputs."""
        node = self.node(kind, **properties)
        for name, value in inputs.items():
            self.connect(value, _enabled(node.inputs, name))
        return Field(self, node.outputs[output] if isinstance(output, int) else _enabled(node.outputs, output))

    def vector(self, x: Any, y: Any, z: Any) -> Field:
        return self.call("ShaderNodeCombineXYZ", {"X": x, "Y": y, "Z": z})

    def split(self, vector: Field) -> tuple[Field, Field]:
        """The first two components."""
        node = self.node("ShaderNodeSeparateXYZ")
        self.connect(vector, node.inputs[0])
        return Field(self, node.outputs[0]), Field(self, node.outputs[1])

    def scale(self, vector: Field, factor: Field) -> Field:
        return self.call("ShaderNodeVectorMath", {"Vector": vector, "Scale": factor}, operation="SCALE")

    def join(self, *geometries: Field) -> Field:
        node = self.node("GeometryNodeJoinGeometry")
        # The last link comes first in the result.
        for geometry in reversed(geometries):
            self.connect(geometry, node.inputs[0])
        return Field(self, node.outputs[0])

    def arrange(self, width: float = 190.0, height: float = 190.0) -> None:
        """Lay the nodes out in columns, left to right in the order of computation."""
        depth = {node.name: 0 for node in self.tree.nodes}
        changed = True
        # Most nodes are made after what they need, so few rounds suffice.
        while changed:
            changed = False
            for start, end in self._links:
                if depth[end] <= depth[start]:
                    depth[end] = depth[start] + 1
                    changed = True
        rows: dict[int, int] = {}
        for node in self.tree.nodes:
            column = depth[node.name]
            row = rows[column] = rows.get(column, -1) + 1
            node.location = (column * width, -row * height)


def _enabled(sockets: Iterable[bpy.types.NodeSocket], name: str) -> bpy.types.NodeSocket:
    """The visible socket of this name: 4.5 keeps hidden ones of other types under the same name."""
    for socket in sockets:
        if socket.name == name and socket.enabled:
            return socket
    raise KeyError(name)
