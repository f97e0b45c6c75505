# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directions around a point, and pictures that look along them: pure geometry on tensors.

Axes are those of a frame's camera: x right, y up, -z forward. The middle of an equirectangular panorama looks forward, its left and right edges look back.
Pixel centres lie at +1/2. Functions work in the dtype and on the device of what they are given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

GOLDEN = (1 + math.sqrt(5)) / 2


@dataclass(frozen=True)
class View:
    """A perspective picture with square pixels. Degrees: `yaw` to the right of forward, `pitch` above the horizon, `angle` its horizontal field of view.

    `principal_point` is where the optical axis meets it, as fractions of width and height from the top left corner.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    angle: float = 90.0
    principal_point: tuple[float, float] = (0.5, 0.5)

    @property
    def half(self) -> float:
        """Half of the picture's width at planar depth 1."""
        return math.tan(math.radians(self.angle) / 2)

    def axes(self, like: Tensor) -> Tensor:
        """(3, 3): the rows are the view's right, up and backward directions."""
        yaw, pitch = math.radians(self.yaw), math.radians(self.pitch)
        right = (math.cos(yaw), 0.0, math.sin(yaw))
        up = (-math.sin(yaw) * math.sin(pitch), math.cos(pitch), math.cos(yaw) * math.sin(pitch))
        back = (-math.sin(yaw) * math.cos(pitch), -math.sin(pitch), math.cos(yaw) * math.cos(pitch))
        return torch.tensor((right, up, back), dtype=like.dtype, device=like.device)

    def rays(self, height: int, width: int, like: Tensor) -> Tensor:
        """(height, width, 3): the directions of the pixel centres, as long as planar depth 1 makes them."""
        x = ((torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) / width - self.principal_point[0]) * 2 * self.half
        y = (self.principal_point[1] * height - (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5)) / width * 2 * self.half
        y, x = torch.meshgrid(y, x, indexing="ij")
        return torch.stack([x, y, -torch.ones_like(x)], dim=-1) @ self.axes(like)

    def project(self, directions: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Where directions (..., 3) of any length meet a picture of this view: (..., 2) from -1 to 1 across it, x right and y down; and planar depths (...).

        Behind the view the depth is not positive and the place means nothing.
        """
        x, y, z = (directions @ self.axes(directions).T).unbind(-1)
        depth = -z
        scale = depth.clamp(min=1e-6) * self.half
        across = x / scale + 2 * self.principal_point[0] - 1
        down = -y / scale * (width / height) + 2 * self.principal_point[1] - 1
        return torch.stack([across, down], dim=-1), depth

    def turned(self, yaw: float) -> View:
        """The view turned to the right by degrees."""
        return View((self.yaw + yaw + 180) % 360 - 180, self.pitch, self.angle, self.principal_point)


def layout(count: int, angle: float | None = None) -> tuple[View, ...]:
    """Views all over the sphere, both poles and the four sides among them; without an `angle` as wide as they must be to overlap well.

    They are the directions of a cube's faces (6), with its corners (14), its edges (18), or both (26).
    A turn by 90 degrees maps them onto each other. Raises KeyError for other counts.
    """
    faces = [(yaw, 0.0) for yaw in (0, 90, 180, -90)] + [(0, 90.0), (0, -90.0)]
    edges = [(yaw, 0.0) for yaw in (45, 135, -135, -45)] + [(yaw, pitch) for pitch in (45.0, -45.0) for yaw in (0, 90, 180, -90)]
    slope = math.degrees(math.atan(1 / math.sqrt(2)))
    corners = [(yaw, pitch) for pitch in (slope, -slope) for yaw in (45, 135, -135, -45)]
    directions = {6: faces, 14: faces + corners, 18: faces + edges, 26: faces + edges + corners}[count]
    angle = angle or (110.0 if count == 6 else 90.0)
    return tuple(View(float(yaw), pitch, angle) for yaw, pitch in directions)


def equirectangular_rays(height: int, width: int, like: Tensor) -> Tensor:
    """(height, width, 3): unit directions of a panorama's pixel centres."""
    longitude = ((torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) / width * 2 - 1) * math.pi
    latitude = (0.5 - (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) / height) * math.pi
    latitude, longitude = torch.meshgrid(latitude, longitude, indexing="ij")
    return torch.stack([latitude.cos() * longitude.sin(), latitude.sin(), -latitude.cos() * longitude.cos()], dim=-1)


def even_directions(count: int, like: Tensor) -> Tensor:
    """(count, 3): unit directions of a Fibonacci lattice, each standing for the same solid angle. None of them is a pole."""
    index = torch.arange(count, dtype=torch.float64)
    y = 1 - (2 * index + 1) / count
    around = 2 * math.pi * (index / GOLDEN % 1)
    radius = (1 - y * y).sqrt()
    return torch.stack([radius * around.sin(), y, -radius * around.cos()], dim=-1).to(like)


def sample(picture: Tensor, places: Tensor) -> Tensor:
    """(C, h, w) at places (..., 2) as `project` gives them -> (C, ...), bilinear; beyond the picture its border goes on."""
    shape = places.shape[:-1]
    grid = places.reshape(1, 1, -1, 2).to(picture.dtype)
    return grid_sample(picture[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0].reshape(len(picture), *shape)


def around_poles(panorama: Tensor, columns: int, rows: int) -> Tensor:
    """(..., H, W) with so many columns and rows more on each side: what is there on the sphere, across the seam and across the poles."""
    if rows:
        half = panorama.shape[-1] // 2
        top, bottom = (panorama[..., edge, :].flip(-2).roll(half, -1) for edge in (slice(0, rows), slice(-rows, None)))
        panorama = torch.cat([top, panorama, bottom], dim=-2)
    lead = panorama.shape[:-2]
    wrapped = pad(panorama.reshape(1, -1, *panorama.shape[-2:]), (columns, columns, 0, 0), mode="circular") if columns else panorama
    return wrapped.reshape(*lead, *wrapped.shape[-2:])


def sample_equirectangular(panorama: Tensor, directions: Tensor) -> Tensor:
    """(C, H, W), W even, along directions (..., 3) of any length -> (C, ...), bilinear, without a seam."""
    height, width = panorama.shape[-2:]
    x, y, z = directions.unbind(-1)
    longitude, latitude = torch.atan2(x, -z), torch.atan2(y, torch.hypot(x, z))
    padded = around_poles(panorama, 1, 1)
    across = longitude / math.pi * width / (width + 2)
    down = -latitude / (math.pi / 2) * height / (height + 2)
    return sample(padded, torch.stack([across, down], dim=-1))


def border_weight(places: Tensor, ramp: float) -> Tensor:
    """(...) from places (..., 2): 1 inside a picture, falling to 0 at its border over `ramp` of its half side, 0 beyond; smooth."""
    inside = ((1 - places.abs()).amin(-1) / ramp).clamp(0, 1)
    return inside * inside * (3 - 2 * inside)
