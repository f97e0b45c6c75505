# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame's own camera renders the picture again: markers come out where they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from frames import hills, make_frame

bpy = pytest.importorskip("bpy")

from rendering import render  # noqa: E402

from jointdit_blender.core.frame import Camera  # noqa: E402
from jointdit_blender.scene.builder import BuildOptions, build_frame  # noqa: E402

BLUR, WINDOW = 1.5, 6


def spots(width: int, height: int) -> np.ndarray:
    """Centres of 12 markers in pixels from the top left corner, (12, 2): all over the picture, none on a pixel's centre."""
    x = np.array([0.12, 0.37, 0.64, 0.88]) * width + 0.3
    y = np.array([0.18, 0.52, 0.83]) * height - 0.2
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def marked(width: int, height: int) -> np.ndarray:
    """Soft white spots on black, (height, width, 3) uint8."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    light = sum(np.exp(-((x[None, :] - spot[0]) ** 2 + (y[:, None] - spot[1]) ** 2) / (2.0 * BLUR**2)) for spot in spots(width, height))
    return np.round(255.0 * np.minimum(light, 1.0)).astype(np.uint8)[..., None].repeat(3, axis=-1)


def centroids(rgb: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Where the spots next to given places are, (n, 2), by the mean of their light."""
    light = rgb[..., 0].astype(np.float64)
    x, y = np.meshgrid(np.arange(light.shape[1]) + 0.5, np.arange(light.shape[0]) + 0.5)
    found = []
    for spot in near:
        weight = light * (np.abs(x - spot[0]) < WINDOW) * (np.abs(y - spot[1]) < WINDOW)
        assert weight.sum() > 500.0, "the spot is in the picture"
        found.append(((weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()))
    return np.array(found)


@pytest.mark.parametrize(
    ("size", "camera", "distance"),
    [
        ((96, 64), Camera("perspective", 55.0), "planar"),
        ((64, 96), Camera("perspective", 40.0, None, (0.35, 0.7)), "planar"),
        ((96, 96), Camera("perspective", 110.0, None, (0.6, 0.45)), "radial"),
        ((128, 64), Camera("equirectangular", 360.0, 180.0), "radial"),
        ((128, 72), Camera("equirectangular", 200.0, 100.0), "radial"),
        ((160, 64), Camera("cylindrical", 360.0, 80.0), "horizontal"),
        ((96, 72), Camera("cylindrical", 150.0, 100.0), "radial"),
    ],
)
def test_a_rendered_marker_is_where_it_was(tmp_path: Path, size: tuple[int, int], camera: Camera, distance: str) -> None:
    rgb = marked(*size)
    frame = make_frame(tmp_path / "frame", hills(*size), rgb=rgb, camera=camera, distance=distance)
    build_frame(bpy.context, frame, BuildOptions(torn="keep", clean=False, back_layer=False, sky="keep"))
    scene = bpy.context.scene
    assert scene.render.resolution_x * size[1] == scene.render.resolution_y * size[0], "the picture's aspect"
    seen = render(scene, tmp_path / "seen.png", size, samples=16)
    true = centroids(rgb, spots(*size))
    np.testing.assert_allclose(true, spots(*size), atol=0.2)
    error = np.abs(centroids(seen, true) - true).max()
    print(f"{camera.projection} {size}: off by at most {error:.3f} px")
    assert error < 0.1
