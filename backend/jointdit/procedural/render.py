# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds to pictures with exact disparity: one ray per pixel centre, four more where an edge needs smoothing."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .captions import caption
from .casting import Vector
from .packing import Packed, pack
from .sampling import HORIZONTAL_ANGLE, sample
from .scene import Scene
from .shading import shade
from .tracing import SKY, nearest

RAYS_AT_ONCE = {"cpu": 65536, "cuda": 8_000_000}
SUBSAMPLES = ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125))  # rotated 2x2 grid, in pixels


@dataclass(frozen=True)
class Batch:
    """Pictures with their geometry and words.

    image (B, 3, H, W) float32 sRGB in [0, 1]; disparity (B, 1, H, W) float32, 1/z at the pixel centre, sky 0, scaled per image
    so that the least is 0 and the nearest 1; depth (B, 1, H, W) planar z in metres, inf for the sky; sky (B, 1, H, W) bool.
    """

    image: Tensor
    disparity: Tensor
    depth: Tensor
    sky: Tensor
    captions: list[str]
    attributes: list[dict[str, Any]]


def directions(packed: Packed, x: Tensor, y: Tensor) -> Vector:
    """Directions (L, R) with planar depth 1 for image plane coordinates x right, y up, each broadcastable to (L, R)."""
    cos, sin = torch.cos(packed.camera[:, 1:2]), torch.sin(packed.camera[:, 1:2])
    return x.expand(packed.camera.shape[0], -1), y * cos + sin, cos - y * sin


def look(packed: Packed, x: Tensor, y: Tensor) -> tuple[Vector, Tensor, Tensor]:
    """Linear colour, planar depth and edge key (L, R) of rays through the image plane at x, y."""
    direction = directions(packed, x, y)
    zero = torch.zeros_like(packed.camera[:, :1])
    origin = (zero, packed.camera[:, :1], zero)
    hits = nearest(packed, origin, direction)
    colour, key = shade(packed, origin, direction, (x.expand_as(direction[0]), y.expand_as(direction[0])), hits)
    depth = torch.where(hits.surface == SKY, float("inf"), hits.t)
    return colour, depth, key


def pixel_plane(size: int, device: torch.device) -> tuple[Tensor, Tensor, float]:
    """Image plane coordinates (1, H*W) of the pixel centres, x right and y up, and a pixel's side."""
    half = math.tan(math.radians(HORIZONTAL_ANGLE) / 2)
    centres = ((torch.arange(size, device=device, dtype=torch.float32) + 0.5) / size * 2 - 1) * half
    y, x = torch.meshgrid(-centres, centres, indexing="ij")
    return x.reshape(1, -1), y.reshape(1, -1), 2 * half / size


def edges(key: Tensor, size: int) -> Tensor:
    """Bool (L, H*W): pixels whose key differs from a neighbour's."""
    grid = key.reshape(-1, size, size)
    edge = torch.zeros_like(grid, dtype=torch.bool)
    down, right = grid[:, 1:] != grid[:, :-1], grid[:, :, 1:] != grid[:, :, :-1]
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    edge[:, :, 1:] |= right
    edge[:, :, :-1] |= right
    return edge.reshape(key.shape)


def smooth_edges(packed: Packed, colour: Tensor, key: Tensor, plane: tuple[Tensor, Tensor, float], size: int, most: int) -> None:
    """Replace the colour (3, L, H*W) of edge pixels by the mean of four rays each."""
    x, y, step = plane
    scene, pixel = edges(key, size).nonzero(as_tuple=True)
    offsets = torch.tensor(SUBSAMPLES, device=key.device) * step
    for at in range(0, len(scene), max(1, most // len(SUBSAMPLES))):
        rows, columns = scene[at : at + most // len(SUBSAMPLES)], pixel[at : at + most // len(SUBSAMPLES)]
        # stored sample by sample, so that the long axis is the contiguous one
        sub_x, sub_y = ((offsets[:, i, None] + axis[0, columns]).t() for i, axis in enumerate((x, y)))
        finer, _, _ = look(packed.rows(rows), sub_x, sub_y)
        for channel, value in zip(colour, finer, strict=True):
            value = value.clamp(0, 1)
            channel[rows, columns] = (value[:, 0] + value[:, 1] + value[:, 2] + value[:, 3]) / 4


def encode(linear: Tensor) -> Tensor:
    """Linear light to sRGB in [0, 1]."""
    linear = linear.clamp(0, 1)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055)


def chunks(scenes: Sequence[Scene], count: int) -> Iterator[list[int]]:
    """Indices of scenes that can be rendered together: indoors apart from outdoors, at most `count` at once, alike next to alike."""
    for stage in (True, False):
        chosen = [i for i, scene in enumerate(scenes) if ("room" in scene.environment) is stage]
        chosen.sort(key=lambda i: (len(scenes[i].curtains), len(scenes[i].polyhedra), len(scenes[i].frusta), len(scenes[i].ellipsoids)))
        for at in range(0, len(chosen), count):
            yield chosen[at : at + count]


def normalised(depth: Tensor) -> Tensor:
    """Disparity (B, 1, H, W) in [0, 1] from planar depth, min-max per image."""
    disparity = 1 / depth
    low, high = disparity.amin((1, 2, 3), keepdim=True), disparity.amax((1, 2, 3), keepdim=True)
    return (disparity - low) / (high - low)


@torch.no_grad()
def render(seeds: Sequence[int], size: int = 128, device: str | torch.device = "cpu") -> Batch:
    """One scene per seed, depending on that seed alone, at size x size pixels.

    On a busy CPU several processes of one torch thread each are faster than one process of many threads.
    """
    device = torch.device(device)
    scenes = [sample(seed) for seed in seeds]
    most = RAYS_AT_ONCE.get(device.type, RAYS_AT_ONCE["cuda"])
    plane = pixel_plane(size, device)
    image = torch.empty(len(scenes), 3, size * size, device=device)
    depth = torch.empty(len(scenes), size * size, device=device)
    for chosen in chunks(scenes, max(1, most // (size * size))):
        packed = pack([scenes[i] for i in chosen], device)
        colour, distance, key = look(packed, plane[0], plane[1])
        stacked = torch.stack([c.expand_as(distance) for c in colour])
        smooth_edges(packed, stacked, key, plane, size, most)
        image[chosen] = encode(stacked).transpose(0, 1)
        depth[chosen] = distance
    depth = depth.reshape(-1, 1, size, size)
    return Batch(
        image=image.reshape(-1, 3, size, size),
        disparity=normalised(depth),
        depth=depth,
        sky=depth.isinf(),
        captions=[caption(scene) for scene in scenes],
        attributes=[scene.about for scene in scenes],
    )
