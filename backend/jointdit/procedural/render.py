# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds to pictures with exact disparity: one ray per pixel centre, four more where an edge needs smoothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .captions import caption
from .casting import Vector
from .packing import Packed, pack
from .sampling import sample
from .scene import Scene
from .shading import SHADED, shade
from .styles import drawn
from .tiles import GRID, TILES
from .tracing import SKY, nearest, steps

RAYS_AT_ONCE = {"cpu": 4 * 65536, "cuda": 256 * 65536}
SUBSAMPLES = ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125))  # rotated 2x2 grid, in pixels


@dataclass(frozen=True)
class Batch:
    """Pictures with their geometry and words.

    image (B, 3, H, W) float32 sRGB in [0, 1]; disparity (B, 1, H, W) float32, 1/z at the pixel centre, sky 0, scaled per image
    so that the least is 0 and the nearest 1; depth (B, 1, H, W) planar z in metres, inf for the sky; sky (B, 1, H, W) bool;
    horizontal_angle (B): each picture's field of view in degrees.
    """

    image: Tensor
    disparity: Tensor
    depth: Tensor
    sky: Tensor
    captions: list[str]
    attributes: list[dict[str, Any]]
    horizontal_angle: list[float]


@dataclass(frozen=True)
class Prepared:
    """Scenes ready to be drawn at any size on any device: NumPy arrays that cross cheaply between processes.

    parts: places in the batch (n,) and the packed scenes, indoors apart from outdoors. fill, warm (B,): of line drawings, as `styles.drawn` takes them;
    fill is below 0 for all other pictures.
    """

    parts: list[tuple[np.ndarray, Packed[np.ndarray]]]
    captions: list[str]
    attributes: list[dict[str, Any]]
    horizontal_angle: list[float]
    fill: np.ndarray
    warm: np.ndarray


def directions(packed: Packed[Tensor], x: Tensor, y: Tensor) -> Vector:
    """Directions (L, R) with planar depth 1 for coordinates x right, y up in the picture, -1 to 1, each broadcastable to (L, R)."""
    pitch, half = packed.camera[:, 1:2], packed.camera[:, 2:3]
    cos, sin = torch.cos(pitch), torch.sin(pitch)
    x, y = (x * half).expand(len(pitch), -1), y * half
    return x, y * cos + sin, cos - y * sin


def look(packed: Packed[Tensor], x: Tensor, y: Tensor) -> tuple[Vector, Tensor, Tensor]:
    """Linear colour, planar depth and edge key (L, R) of rays through the picture at x, y as in `directions`."""
    direction = directions(packed, x, y)
    zero = torch.zeros_like(packed.camera[:, :1])
    origin = (zero, packed.camera[:, :1], zero)
    plans = steps(packed.seen | {f"shading {kind}": lists for kind, lists in packed.shading.items()})
    shading = {kind: plans[f"shading {kind}"] for kind in packed.shading}
    hits = nearest(packed, plans, origin, direction)
    half = packed.camera[:, 2:3]
    colour, key = shade(packed, plans, shading, origin, direction, (x * half, y * half), hits)
    depth = torch.where(hits.surface == SKY, float("inf"), hits.t)
    return colour, depth, key


def tile_plane(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Coordinates (TILES, R) of the pixel centres of each tile, x right and y up, -1 to 1."""
    centres = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(-centres, centres, indexing="ij")
    side = size // GRID
    return tuple(axis.reshape(GRID, side, GRID, side).transpose(1, 2).reshape(TILES, -1) for axis in (x, y))


def assembled(values: Tensor, size: int) -> Tensor:
    """Tiles (n * TILES, R) as pictures (n, size, size)."""
    side = size // GRID
    return values.reshape(-1, GRID, GRID, side, side).transpose(2, 3).reshape(-1, size, size)


def edges(key: Tensor) -> Tensor:
    """Bool (n, H, W): pixels whose key differs from a neighbour's."""
    edge = torch.zeros_like(key, dtype=torch.bool)
    down, right = key[:, 1:] != key[:, :-1], key[:, :, 1:] != key[:, :, :-1]
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    edge[:, :, 1:] |= right
    edge[:, :, :-1] |= right
    return edge


def smooth_edges(packed: Packed[Tensor], colour: Tensor, edge: Tensor, most: int) -> None:
    """Replace the colour (n, 3, H, W) of edge pixels (n, H, W) by the mean of four rays each."""
    size, side = edge.shape[1], edge.shape[1] // GRID
    offsets = torch.tensor(SUBSAMPLES, device=edge.device)[:, :, None]
    found = edge.nonzero(as_tuple=True)
    for scene, down, across in zip(*(axis.split(max(1, most // len(SUBSAMPLES))) for axis in found), strict=True):
        row = scene * TILES + down // side * GRID + across // side
        sub_x = ((across + 0.5 + offsets[:, 0]) / size * 2 - 1).reshape(-1, 1)  # sample by sample; one ray a row
        sub_y = (1 - (down + 0.5 - offsets[:, 1]) / size * 2).reshape(-1, 1)
        finer, _, _ = look(packed.rows(row.repeat(len(SUBSAMPLES))), sub_x, sub_y)
        for channel, value in enumerate(finer):
            colour[scene, channel, down, across] = value.clamp(0, 1).reshape(len(SUBSAMPLES), -1).mean(0)


def encode(linear: Tensor) -> Tensor:
    """Linear light to sRGB in [0, 1]."""
    linear = linear.clamp(0, 1)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055)


def normalised(depth: Tensor) -> Tensor:
    """Disparity (B, 1, H, W) in [0, 1] from planar depth, min-max per image."""
    disparity = 1 / depth
    low, high = disparity.amin((1, 2, 3), keepdim=True), disparity.amax((1, 2, 3), keepdim=True)
    return (disparity - low) / (high - low)


def grouped(scenes: Sequence[Scene]) -> Iterator[list[int]]:
    """Indices of scenes that can be packed together: indoors apart from outdoors, alike next to alike."""
    for stage in (True, False):
        chosen = [i for i, scene in enumerate(scenes) if ("room" in scene.environment) is stage]
        if chosen:
            yield sorted(chosen, key=lambda i: (len(scenes[i].curtains), len(scenes[i].polyhedra), len(scenes[i].boxes), len(scenes[i].frusta)))


def prepare(seeds: Sequence[int]) -> Prepared:
    """Sample, caption and pack one scene per seed: all that needs no pixels. Works in any process and can be sent to another."""
    scenes = [sample(seed) for seed in seeds]
    return Prepared(
        parts=[(np.array(chosen), pack([scenes[i] for i in chosen])) for chosen in grouped(scenes)],
        captions=[caption(scene) for scene in scenes],
        attributes=[scene.about for scene in scenes],
        horizontal_angle=[scene.angle for scene in scenes],
        fill=np.array([scene.fill for scene in scenes], np.float32),
        warm=np.array([scene.warm for scene in scenes], np.float32),
    )


@torch.no_grad()
def draw(prepared: Prepared, size: int = 128, device: str | torch.device = "cpu") -> Batch:
    """The pictures of prepared scenes at size x size pixels, on a device.

    Raises:
        ValueError: if size is no multiple of GRID.
    """
    if size % GRID or size < GRID:
        raise ValueError(f"Pictures are made of {GRID} x {GRID} tiles. Choose a size that is a multiple of {GRID}, not {size}.")
    device = torch.device(device)
    most = RAYS_AT_ONCE.get(device.type, RAYS_AT_ONCE["cuda"])
    plane = tile_plane(size, device)
    count = len(prepared.captions)
    image = torch.empty(count, 3, size, size, device=device)
    depth = torch.empty(count, 1, size, size, device=device)
    for places, arrays in prepared.parts:
        packed = arrays.on(device)
        at_once = max(1, most // (size * size))
        for at in range(0, len(places), at_once):
            here = places[at : at + at_once]
            some = packed if at_once >= len(places) else packed.rows(slice(at * TILES, (at + len(here)) * TILES))
            light, far = pictures(some, plane, size, most, prepared.fill[here], prepared.warm[here])
            index = torch.from_numpy(here).to(device)
            image[index], depth[index] = light, far[:, None]
    return Batch(image, normalised(depth), depth, depth.isinf(), prepared.captions, prepared.attributes, prepared.horizontal_angle)


def pictures(packed: Packed[Tensor], plane: tuple[Tensor, Tensor], size: int, most: int, fill: np.ndarray, warm: np.ndarray) -> tuple[Tensor, Tensor]:
    """sRGB (n, 3, H, W) and planar depth (n, H, W) of packed scenes; fill, warm (n,) as in `Prepared`."""
    x, y = (axis.repeat(len(fill), 1) for axis in plane)
    colour, depth, key = look(packed, x, y)
    key = assembled(key, size)
    light = torch.stack([assembled(channel.expand_as(depth), size) for channel in colour], 1)
    edge = edges(key)
    lines = torch.from_numpy(np.flatnonzero(fill >= 0)).to(key.device)
    edge[lines] = False
    smooth_edges(packed, light, edge, most)
    light = encode(light)
    if len(lines):
        chosen = [torch.from_numpy(value[fill >= 0]).to(key.device) for value in (fill, warm)]
        light[lines] = drawn(light[lines], (key[lines] / (2 * SHADED)).floor(), *chosen)
    return light, assembled(depth, size)


def render(seeds: Sequence[int], size: int = 128, device: str | torch.device = "cpu") -> Batch:
    """One scene per seed, depending on that seed alone, at size x size pixels: `prepare` and `draw`.

    On a busy CPU several processes of one torch thread each are faster than one process of many threads.

    Raises:
        ValueError: if size is no multiple of GRID.
    """
    return draw(prepare(seeds), size, device)
