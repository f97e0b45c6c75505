# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the vertices of a frame lie in the image and how they are numbered: a grid, or a closed surface for a full turn.

Both number their vertices in lines: the vertices of a line follow one another, then comes the next line. The lines of the grid are the
columns of the image from the left, each from the bottom up. The closed surface is a UV sphere, welded where the turn ends: its lines are
the rows of the image from the top, each of them a ring, between a vertex for the upper pole and one for the lower pole.
"""

from __future__ import annotations

from dataclasses import dataclass

from .graph import Field, Graph


@dataclass(frozen=True)
class Axis:
    """The vertices along one axis of the image, counted from the left or the top, as single values.

    `count` of them; the first one at `begin` and the next one after `pitch`, fractions of the axis. All lie on centres of pixels.
    The rule is that of `core.lifting.vertex_pixels`.
    """

    count: Field
    begin: Field
    pitch: Field

    @classmethod
    def of(cls, pixels: Field, step: Field, closed: Field | None = None) -> Axis:
        """An axis with a vertex every `step` pixels; where it is `closed`, its end is its beginning."""
        last = pixels - 1
        limit = last if closed is None else closed.choose(last // 2, last, "INT")
        step = step.minimum(limit).maximum(1)
        margin = (last % step) // 2
        first = margin if closed is None else closed.choose(0, margin, "INT")
        return cls(last // step + 1, (first.float() + 0.5) / pixels, step / pixels)

    @property
    def extent(self) -> Field:
        """From the first vertex to the last one."""
        return self.pitch * (self.count - 1)

    def fraction(self, number: Field) -> Field:
        """Where a vertex lies on the axis."""
        return number.float().times_plus(self.pitch, self.begin)

    def number(self, fraction: Field) -> Field:
        """The vertex that lies there on the axis."""
        return ((fraction - self.begin) / self.pitch).whole()


class Lattice:
    """The vertices of a frame: places, numbers and neighbors. `closed` is one boolean: a full turn."""

    def __init__(self, graph: Graph, width: Field, height: Field, step: Field, closed: Field) -> None:
        self.graph, self.closed = graph, closed
        self.x, self.y = Axis.of(width, step, closed), Axis.of(height, step)
        self.first = closed.choose(1, 0, "INT")
        """The number of the first vertex that is no pole."""
        self.line = closed.choose(self.x.count, self.y.count, "INT")
        """Vertices in a line."""
        self.lines = closed.choose(self.y.count, self.x.count, "INT")

    def mesh(self) -> tuple[Field, Field]:
        """The flat mesh: its vertices at (u, v, 0), the fractions of the image from the left and the bottom; poles at v = 1 and 0.

        And a number of the faces of the closed surface: the u of their middle, above 1 where they cross the end of the turn.
        """
        sphere, middle = self._sphere()
        mesh = self.closed.choose(sphere, self._grid(), "GEOMETRY")
        return self.graph.call("GeometryNodeSetShadeSmooth", {0: mesh}), middle

    def points(self) -> Field:
        """A point instead of every vertex but the poles, at (u, v, 0), by rows from the top."""
        index, columns = self.graph.index(), self.x.count
        place = self.graph.vector(self.x.fraction(index % columns), self._up(index // columns), 0.0)
        return self.graph.call("GeometryNodePoints", {"Count": columns * self.y.count, "Position": place})

    def next_along(self, vertex: Field) -> Field:
        """The next vertex of the line; meaningless for the last one of an open line."""
        return self.closed.choose(self.after_along(vertex, 1), vertex + 1, "INT")

    def next_across(self, vertex: Field) -> Field:
        """The vertex beside this one in the next line; meaningless in the last line."""
        return vertex + self.line

    def before_along(self, vertex: Field, count: Field) -> Field:
        """The vertex so many places before this one in its line; the first one of an open line."""
        place = self._place(vertex)
        around = vertex - place + (place + (self.line - count)) % self.line
        return self.closed.choose(around, vertex - place.minimum(count), "INT")

    def after_along(self, vertex: Field, count: Field | int) -> Field:
        """The vertex so many places after this one in its line; the last one of an open line."""
        place = self._place(vertex)
        around = vertex - place + (place + count) % self.line
        return self.closed.choose(around, vertex + (self.line - 1 - place).minimum(count), "INT")

    def before_across(self, vertex: Field, count: Field) -> Field:
        """The vertex so many lines before this one; the one in the first line."""
        return (vertex - self.line * count).maximum(self._place(vertex) + self.first)

    def after_across(self, vertex: Field, count: Field) -> Field:
        """The vertex so many lines after this one; the one in the last line."""
        last = self.line * (self.lines - 1) + self.first
        return (vertex + self.line * count).minimum(self._place(vertex) + last)

    def corner(self, face: Field) -> Field:
        """The vertex of a quad that comes first: the other ones are further along and across. No vertex for the fans around the poles."""
        # In the grid a line of faces has one face less than vertices; the sphere has the fan around the upper pole first.
        return self.closed.choose(face - self.line + 1, face + face // (self.line - 1), "INT")

    def is_fan(self, face: Field) -> Field:
        """Whether a face of the closed surface has a pole as a corner."""
        corner = self.corner(face)
        return (corner < 1) | (corner > self.line * (self.lines - 1))

    def is_pole(self, vertex: Field) -> Field:
        """Whether a vertex of the closed surface is a pole."""
        return (vertex < 1) | (vertex > self.line * self.lines)

    def vertex_at(self, place: Field) -> Field:
        """The number of the vertex at (u, v)."""
        u, v = self.graph.split(place)
        column, row = self.x.number(u), self.y.number(v.times_plus(-1.0, 1.0))
        ring = row * self.line + column + 1
        return self.closed.choose(ring, column * self.line + (self.line - 1 - row), "INT")

    def uv(self, middle: Field) -> Field:
        """UV of a corner: the place of its vertex, on the closed surface without a jump inside of a face."""
        place = self.graph.position()
        u, v = self.graph.split(place)
        # The vertex of the first column is also at u + 1; a pole is everywhere, and has the colors of its row.
        unrolled = u + (middle - u).round()
        highest = self.y.begin.times_plus(-1.0, 1.0)
        pole = (v < 1e-6) | (v > 1.0 - 1e-6)
        closed = self.graph.vector(pole.choose(middle, unrolled), v.maximum(highest - self.y.extent).minimum(highest), 0.0)
        # Stored as it is, the position takes a third of the time of anything computed.
        return self.closed.choose(closed, place, "VECTOR")

    def _grid(self) -> Field:
        x, y = self.x, self.y
        sizes = {"Size X": x.extent, "Size Y": y.extent, "Vertices X": x.count, "Vertices Y": y.count}
        grid = self.graph.call("GeometryNodeMeshGrid", sizes, "Mesh")
        # A grid has its middle at the origin.
        middle = self.graph.vector(x.extent.times_plus(0.5, x.begin), y.extent.times_plus(0.5, y.begin).times_plus(-1.0, 1.0), 0.0)
        return self.graph.call("GeometryNodeTransform", {"Geometry": grid, "Translation": middle})

    def _sphere(self) -> tuple[Field, Field]:
        columns, rows = self.x.count, self.y.count
        sphere = self.graph.call("GeometryNodeMeshUVSphere", {"Segments": columns, "Rings": rows + 1}, "Mesh")
        index = self.graph.index()
        # Division rounds towards 0: the poles are rows -1 and `rows`.
        row, column = (index - 1 + columns) // columns - 1, (index - 1) % columns
        place = self.graph.vector(self.x.fraction(column), self._up(row).maximum(0.0).minimum(1.0), 0.0)
        number = index % columns
        end = self.x.fraction(number + 1).minimum(self.x.begin + 1.0)
        placed, middle = self.graph.captured(self.graph.place(sphere, place), "FACE", (self.x.fraction(number) + end) * 0.5)
        return placed, middle

    def _place(self, vertex: Field) -> Field:
        """The place of a vertex in its line."""
        return self.closed.choose(vertex - 1, vertex, "INT") % self.line

    def _up(self, row: Field) -> Field:
        """The v of a row, counted from the top."""
        return self.y.fraction(row).times_plus(-1.0, 1.0)
