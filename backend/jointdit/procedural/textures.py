# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tileable noise, made once from a fixed seed: a fractal texture for surfaces and clouds, a jagged line for mountain crests."""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 512  # texels; one unit of texture coordinate is one tile
CREST_POINTS = 8192
CREST_TILE = 32.0  # mountains in one tile of the crest line
SEED = 20260


@lru_cache(maxsize=4)
def fractal(device: torch.device) -> Tensor:
    """Fractal noise (1, 1, SIDE + 1, SIDE + 1), values in about [0, 1] around 0.5, the last row and column repeating the first."""
    rng = np.random.default_rng(SEED)
    frequency = np.fft.fftfreq(SIDE) * SIDE
    radius = np.hypot(frequency[:, None], frequency[None, :])
    spectrum = np.fft.fft2(rng.standard_normal((SIDE, SIDE))) / np.maximum(radius, 3.0) ** 1.75
    spectrum[radius < 1.5] = 0
    noise = np.fft.ifft2(spectrum).real
    noise = np.clip(0.5 + 0.2 * noise / noise.std(), 0, 1)
    return torch.from_numpy(np.pad(noise, (0, 1), mode="wrap").astype(np.float32))[None, None].to(device)


@lru_cache(maxsize=4)
def crest_line(device: torch.device) -> Tensor:
    """Jagged periodic profile (CREST_POINTS + 1,) in [0, 1]: peaks of triangle shape with rougher and rougher detail."""
    rng = np.random.default_rng(SEED + 1)
    place = np.arange(CREST_POINTS) / CREST_POINTS * CREST_TILE
    line = np.zeros(CREST_POINTS)
    for octave in range(7):
        knots = int(CREST_TILE) * 2**octave
        x = np.arange(knots) + rng.uniform(-0.35, 0.35, knots)
        y = rng.uniform(0, 1, knots)
        y[::2] = y[::2] * 0.4  # valleys between the peaks
        y[1::2] = 0.45 + 0.55 * y[1::2]
        line += np.interp(place * 2**octave, x, y, period=knots) * 0.42**octave
    line = (line - line.min()) / (line.max() - line.min())
    return torch.from_numpy(np.append(line, line[0]).astype(np.float32)).to(device)


def noise(u: Tensor, v: Tensor) -> Tensor:
    """Bilinear look-up of the fractal texture at any (u, v), one tile a unit; same shape, in [0, 1]."""
    u, v = torch.broadcast_tensors(u, v)
    grid = torch.stack((u - u.floor(), v - v.floor()), -1).reshape(1, 1, -1, 2) * 2 - 1
    return F.grid_sample(fractal(u.device), grid, mode="bilinear", padding_mode="border", align_corners=True).reshape(u.shape)


def crest(place: Tensor) -> Tensor:
    """Height in [0, 1] of the crest line at `place` (in mountains); same shape. Ray misses may carry nan: they look up 0."""
    at = torch.nan_to_num(place / CREST_TILE, 0.0, 0.0, 0.0)
    at = (at - at.floor()) * CREST_POINTS
    low = at.floor().clamp(0, CREST_POINTS - 1)
    line = crest_line(place.device)
    index = low.long()
    return torch.lerp(line[index], line[index + 1], at - low)
