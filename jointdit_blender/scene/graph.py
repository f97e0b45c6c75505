# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write node groups as formulas: sockets that can be added, multiplied and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import bpy

Number = float | int
# What Capture Attribute and Sample Index call the types of sockets.
CAPTURED: dict[str, Literal["FLOAT", "BOOLEAN", "INT"]] = {"VALUE": "FLOAT", "BOOLEAN": "BOOLEAN", "INT": "INT"}
MATH_NODES = {"VALUE": "ShaderNodeMath", "INT": "FunctionNodeIntegerMath"}


class Field:
    """An output socket in a node tree; arithmetic on it adds nodes. Integers stay integers, everything else is a float."""

    def __init__(self, graph: Graph, socket: bpy.types.NodeSocket) -> None:
        self.graph = graph
        self.socket = socket

    @property
    def key(self) -> tuple[str, str]:
        """What tells this socket from all others of the tree."""
        return self.socket.node.name, self.socket.identifier

    def _math(self, operation: str, *operands: Any) -> Field:
        values = (self, *operands)
        whole = all(isinstance(value, int) or (isinstance(value, Field) and value.socket.type == "INT") for value in values)
        return self.graph.call(MATH_NODES["INT" if whole else "VALUE"], dict(enumerate(values)), operation=operation)

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
        return self.graph.call("FunctionNodeIntegerMath", {0: number, 1: self}, operation="DIVIDE")

    def times_plus(self, factor: Field | Number, more: Field | Number) -> Field:
        """`self * factor + more` in one node."""
        return self._math("MULTIPLY_ADD", factor, more)

    def sin(self) -> Field:
        return self._math("SINE")

    def cos(self) -> Field:
        return self._math("COSINE")

    def tan(self) -> Field:
        return self._math("TANGENT")

    def sign(self) -> Field:
        return self._math("SIGN")

    def round(self) -> Field:
        return self._math("ROUND")

    def power(self, exponent: Field | Number) -> Field:
        """This non-negative number to the power of `exponent`."""
        return self._math("POWER", exponent)

    def whole(self) -> Field:
        """The nearest whole number."""
        return self.graph.call("FunctionNodeFloatToInt", {"Float": self}, rounding_mode="ROUND")

    def float(self) -> Field:
        """This value as a float: mixed arithmetic of two integer fields would stay whole."""
        return self._math("ADD", 0.0) if self.socket.type == "INT" else self

    def reciprocal(self) -> Field:
        """1 divided by this."""
        return self.graph.call("ShaderNodeMath", {0: 1.0, 1: self}, operation="DIVIDE")

    def _compare(self, operation: str, other: Field | Number) -> Field:
        kind = "INT" if self.socket.type == "INT" and isinstance(other, int) else "FLOAT"
        return self.graph.call("FunctionNodeCompare", {"A": self, "B": other}, data_type=kind, operation=operation)

    def __le__(self, other: Field | Number) -> Field:
        return self._compare("LESS_EQUAL", other)

    def __lt__(self, other: Field | Number) -> Field:
        return self._compare("LESS_THAN", other)

    def __gt__(self, other: Field | Number) -> Field:
        return self._compare("GREATER_THAN", other)

    def equals(self, other: Field | int) -> Field:
        """Whether two whole numbers are the same."""
        return self._compare("EQUAL", other)

    def _logic(self, operation: str, *others: Field) -> Field:
        return self.graph.call("FunctionNodeBooleanMath", dict(enumerate((self, *others))), operation=operation)

    def __and__(self, other: Field) -> Field:
        return self._logic("AND", other)

    def __or__(self, other: Field) -> Field:
        return self._logic("OR", other)

    def __invert__(self) -> Field:
        return self._logic("NOT")

    def choose(self, true: Any, false: Any, kind: str = "FLOAT") -> Field:
        """`true` where this boolean holds, else `false`; `kind` as the Switch node names it.

        When this is one value for all, the other branch costs nothing.
        """
        return self.graph.call("GeometryNodeSwitch", {"Switch": self, "True": true, "False": false}, "Output", input_type=kind)


class Graph:
    """A node tree that is being written."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        # Names of linked nodes: asking Blender for them takes longer than making them.
        self._links: list[tuple[str, str]] = []
        # What `call` made: a formula that occurs twice is computed once, and fewer nodes are made sooner.
        self._made: dict[Any, bpy.types.Node] = {}

    def node(self, kind: str, **properties: Any) -> bpy.types.Node:
        """A new node of type `kind` with `properties` set."""
        node = self.tree.nodes.new(kind)
        for name, value in properties.items():
            # Every change makes Blender look at the whole tree.
            if getattr(node, name) != value:
                setattr(node, name, value)
        return node

    def connect(self, value: Any, socket: bpy.types.NodeSocket) -> None:
        """Link a field to an input socket, or set the socket's own value; None leaves it empty."""
        if isinstance(value, Field):
            self.tree.links.new(value.socket, socket)
            self._links.append((value.socket.node.name, socket.node.name))
        elif value is not None:
            # Only the classes of the single types of sockets have a value.
            cast(Any, socket).default_value = value

    def call(self, kind: str, inputs: Mapping[Any, Any], output: str | int = 0, **properties: Any) -> Field:
        """One of the outputs of a node whose visible inputs are fed by name (or by place, where versions differ in names).

        The same node with the same inputs is the same.
        """
        fed = tuple((name, value.key if isinstance(value, Field) else (type(value), value)) for name, value in inputs.items())
        made = (kind, fed, tuple(properties.items()))
        node = self._made.get(made)
        if node is None:
            node = self._made[made] = self.node(kind, **properties)
            for name, value in inputs.items():
                self.connect(value, node.inputs[name] if isinstance(name, int) else _enabled(node.inputs, name))
        return Field(self, node.outputs[output] if isinstance(output, int) else _enabled(node.outputs, output))

    def vector(self, x: Any, y: Any, z: Any) -> Field:
        return self.call("ShaderNodeCombineXYZ", {"X": x, "Y": y, "Z": z})

    def index(self) -> Field:
        """The number of the point, vertex, edge or face that is computed."""
        return self.call("GeometryNodeInputIndex", {})

    def position(self) -> Field:
        return self.call("GeometryNodeInputPosition", {})

    def attribute(self, name: str) -> Field:
        """A number that is stored under this name."""
        return self.call("GeometryNodeInputNamedAttribute", {"Name": name}, "Attribute", data_type="FLOAT")

    def store(self, geometry: Field, name: str, kind: str, domain: str, value: Field, selection: Field | None = None) -> Field:
        """The geometry with an attribute; where `selection` does not hold, the attribute stays what it is."""
        inputs = {"Geometry": geometry, "Selection": selection, "Name": name, "Value": value}
        return self.call("GeometryNodeStoreNamedAttribute", inputs, data_type=kind, domain=domain)

    def captured(self, geometry: Field, domain: str, *values: Field) -> list[Field]:
        """Compute values once, and keep them with the geometry: the geometry, then the values."""
        node = self.node("GeometryNodeCaptureAttribute", domain=domain)
        items = cast(bpy.types.GeometryNodeCaptureAttribute, node).capture_items
        self.connect(geometry, node.inputs["Geometry"])
        names = [f"Captured {number}" for number, _ in enumerate(values, 1)]
        for name, value in zip(names, values, strict=True):
            items.new(CAPTURED[value.socket.type], name)
            self.connect(value, node.inputs[name])
        return [Field(self, node.outputs[name]) for name in ("Geometry", *names)]

    def sample(self, geometry: Field, value: Field, index: Field) -> Field:
        """A number or boolean of another geometry's points, at the point of this number."""
        inputs = {"Geometry": geometry, "Value": value, "Index": index}
        return self.call("GeometryNodeSampleIndex", inputs, data_type=CAPTURED[value.socket.type], domain="POINT")

    def part(self, geometry: Field, domain: str, selection: Field) -> Field:
        """The part of a geometry where `selection` holds."""
        return self.call("GeometryNodeSeparateGeometry", {"Geometry": geometry, "Selection": selection}, "Selection", domain=domain)

    def place(self, geometry: Field, position: Field) -> Field:
        """The geometry with its points at `position`."""
        return self.call("GeometryNodeSetPosition", {"Geometry": geometry, "Position": position})

    def split(self, vector: Field) -> tuple[Field, Field]:
        """The first two components."""
        return self.call("ShaderNodeSeparateXYZ", {0: vector}, 0), self.call("ShaderNodeSeparateXYZ", {0: vector}, 1)

    def scale(self, vector: Field, factor: Field) -> Field:
        return self.call("ShaderNodeVectorMath", {"Vector": vector, "Scale": factor}, operation="SCALE")

    def vector_times_plus(self, vector: Field, factor: Field, more: Field) -> Field:
        """`vector * factor + more`, component by component."""
        return self.call("ShaderNodeVectorMath", {0: vector, 1: factor, 2: more}, operation="MULTIPLY_ADD")

    def menu(self, chosen: Field, items: Sequence[str]) -> Field:
        """The place of the chosen item of a menu among `items`, which become the items of the menu."""
        node = cast(Any, self.node("GeometryNodeMenuSwitch", data_type="INT"))
        # The two items of a new node are kept: so the numbers of items in files and curves are their places.
        for number, name in enumerate(items):
            if number < len(node.enum_items):
                node.enum_items[number].name = name
            else:
                node.enum_items.new(name)
        for number, name in enumerate(items):
            self.connect(number, _enabled(node.inputs, name))
        self.connect(chosen, node.inputs[0])
        return Field(self, node.outputs[0])

    def pick(self, number: Field, *values: Field, kind: str = "FLOAT") -> Field:
        """The value at this place among `values`; the others cost nothing."""
        node = cast(Any, self.node("GeometryNodeIndexSwitch", data_type=kind))
        while len(node.index_switch_items) < len(values):
            node.index_switch_items.new()
        self.connect(number, node.inputs[0])
        for socket, value in zip(list(node.inputs)[1:], values, strict=False):
            self.connect(value, socket)
        return Field(self, node.outputs[0])

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
        places: list[float] = []
        for column in depth.values():
            row = rows[column] = rows.get(column, -1) + 1
            places += column * width, -row * height
        self.tree.nodes.foreach_set("location", places)


def _enabled(sockets: Iterable[bpy.types.NodeSocket], name: str) -> bpy.types.NodeSocket:
    """The visible socket of this name: 4.5 keeps hidden ones of other types under the same name."""
    for socket in sockets:
        if socket.name == name and socket.enabled:
            return socket
    raise KeyError(name)
