# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render somebody's scene through a camera of ours: the picture as the file wants it, and the exact depth at the middle of every pixel."""

from __future__ import annotations

import ctypes.util
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..core.errors import JointDiTError
from ..core.files import reason
from ..core.pairs import OBJECT, read_depth, read_layer
from .seethrough import lets_through, without_fog
from .units import meters

EEVEE = "BLENDER_EEVEE_NEXT" if bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE"
SENSOR = 36.0
CARDS = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")
CHANCES = 12
"""Renders at most, from which a pixel's depth is taken where something is transparent."""
SAME = 1e-3
"""Depths that differ by less are the same."""
MOST_OBJECTS = 32767
"""Numbers that Blender can give to objects."""


class CaptureError(JointDiTError):
    """Something cannot be rendered; `str(error)` is a sentence for a person."""


@dataclass(frozen=True)
class Lens:
    """What a camera sees at distance 1: half of its width and height, and the middle of it; in camera space."""

    half_width: float
    half_height: float
    center_x: float = 0.0
    center_y: float = 0.0

    @classmethod
    def of_angle(cls, fov: float, aspect: float) -> Lens:
        """With a horizontal field of view in degrees."""
        half = math.tan(math.radians(fov) / 2.0)
        return cls(half, half / aspect)

    @classmethod
    def of_camera(cls, scene: bpy.types.Scene, camera: bpy.types.Object, aspect: float) -> Lens:
        """The largest view of this aspect within what the camera sees at the scene's own resolution; as if the picture had been cropped."""
        corners = [corner / -corner.z for corner in camera.data.view_frame(scene=scene)]
        left, right = min(corner.x for corner in corners), max(corner.x for corner in corners)
        bottom, top = min(corner.y for corner in corners), max(corner.y for corner in corners)
        half_width, half_height = (right - left) / 2.0, (top - bottom) / 2.0
        if half_width > half_height * aspect:
            half_width = half_height * aspect
        else:
            half_height = half_width / aspect
        return cls(half_width, half_height, (left + right) / 2.0, (bottom + top) / 2.0)

    @property
    def fov(self) -> float:
        """Degrees, horizontal; without a shift."""
        return math.degrees(2.0 * math.atan(self.half_width))

    def intrinsics(self, size: tuple[int, int]) -> list[list[float]]:
        """The matrix from camera axes (x right, y down, z forward) to pixels, 0 at the outer edge of the first."""
        width, height = size
        fx, fy = width / (2.0 * self.half_width), height / (2.0 * self.half_height)
        return [[fx, 0.0, width / 2.0 - self.center_x * fx], [0.0, fy, height / 2.0 + self.center_y * fy], [0.0, 0.0, 1.0]]


@dataclass(frozen=True)
class Look:
    """How pictures are rendered; None: as the file wants it."""

    size: tuple[int, int]
    engine: str | None = None
    samples: int | None = None
    device: str = "auto"


class Studio:
    """One scene with a camera of ours in it. Use it as a context manager; afterwards the scene is as it was."""

    def __init__(self, scene: bpy.types.Scene, layer: bpy.types.ViewLayer, look: Look) -> None:
        self._scene, self._layer, self._look = scene, layer, look
        self._device = ""
        self.scale = meters(scene)
        """Meters of a unit."""

    def __enter__(self) -> Studio:
        self._before = self._scene.camera
        self._lens = bpy.data.cameras.new("JointDiT")
        self.camera = bpy.data.objects.new("JointDiT", self._lens)
        """Ours."""
        self._scene.collection.objects.link(self.camera)
        # Markers would change the camera back.
        self._bound = [(marker, marker.camera) for marker in self._scene.timeline_markers if marker.camera is not None]
        for marker, _ in self._bound:
            marker.camera = None
        self._scene.camera = self.camera
        return self

    def __exit__(self, *_exception: object) -> None:
        self._scene.camera = self._before
        for marker, camera in self._bound:
            marker.camera = camera
        bpy.data.objects.remove(self.camera)
        bpy.data.cameras.remove(self._lens)

    def place(self, matrix: Matrix, lens: Lens, clip: tuple[float, float]) -> None:
        """Put the camera somewhere; it has neither depth of field nor a lens of glass."""
        data = self._lens
        data.sensor_fit, data.sensor_width, data.lens = "HORIZONTAL", SENSOR, SENSOR / (2.0 * lens.half_width)
        data.shift_x, data.shift_y = lens.center_x / (2.0 * lens.half_width), lens.center_y / (2.0 * lens.half_width)
        data.clip_start, data.clip_end = clip
        location, rotation, _ = matrix.decompose()
        self.camera.matrix_world = Matrix.LocRotScale(location, rotation, None)

    def picture(self, path: Path, seed: int) -> None:
        """Render what is seen to an 8-bit sRGB PNG. Raises `CaptureError`."""
        cycles, render = self._scene.cycles, self._scene.render
        settings: list[tuple[Any, str, Any]] = [*self._common(path), *_format(render, "PNG", "RGB", "8")]
        settings += _as_srgb(self._scene)
        if self._look.engine:
            settings += [(render, "engine", {"cycles": "CYCLES", "eevee": EEVEE}[self._look.engine])]
        settings += [(cycles, "seed", seed), (cycles, "use_animated_seed", False)]
        if self._look.samples:
            settings += [(cycles, "samples", self._look.samples), (self._scene.eevee, "taa_render_samples", self._look.samples)]
        engine = self._look.engine or render.engine
        if engine in ("eevee", EEVEE):
            check_eevee()
        if engine in ("cycles", "CYCLES"):
            self._device = self._device or _device(self._look.device)
            settings += [(cycles, "device", self._device)]
        self._render(settings, path)

    def depth(self, path: Path) -> tuple[np.ndarray, dict[str, float]]:
        """Planar distances in meters at the middles of pixels, inf where nothing is seen, (height, width) float32; and objects by their share of the
        picture, largest first. `path` is for the render, and may be removed afterwards. Raises `CaptureError` and `FileError`.
        """
        cycles, render = self._scene.cycles, self._scene.render
        numbered = list(bpy.data.objects)[:MOST_OBJECTS]
        settings: list[tuple[Any, str, Any]] = [*self._common(path), *_format(render, "OPEN_EXR_MULTILAYER", "RGBA", "32")]
        # One ray through the middle of each pixel; Cycles' Depth is the distance along the camera's axis.
        settings += [(render, "engine", "CYCLES"), (render, "use_freestyle", False), (cycles, "device", "CPU"), (cycles, "samples", 1)]
        settings += [(cycles, "pixel_filter_type", "BOX"), (cycles, "filter_width", 0.01), (cycles, "use_adaptive_sampling", False)]
        settings += [(cycles, "use_denoising", False), (cycles, "max_bounces", 0), (cycles, "time_limit", 0.0), (cycles, "seed", 0)]
        settings += [(cycles, "use_animated_seed", False), (self._layer, "use_pass_z", True), (self._layer, "use_pass_object_index", True)]
        settings += [(item, "pass_index", number) for number, item in enumerate(numbered, 1)]
        settings += [(self._layer, "pass_alpha_threshold", 0.5)]
        depth, indices = self._measured(settings, path)
        counted = Counter(indices[np.isfinite(depth)].astype(int).ravel().tolist())
        shares = {numbered[number - 1].name: count / depth.size for number, count in counted.most_common() if 0 < number <= len(numbered)}
        return depth, shares

    def _measured(self, settings: list[tuple[Any, str, Any]], path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Depth and the numbers of objects. What is more than half transparent is looked through: among several renders the farthest depth counts."""
        with without_fog(self._scene):
            self._render(settings, path)
            depth, indices = read_depth(path, self.scale), read_layer(path, OBJECT)
            for seed in range(1, CHANCES if lets_through() else 1):
                self._render([*settings, (self._scene.cycles, "seed", seed)], path)
                other = read_depth(path, self.scale)
                farther = other > depth * (1.0 + SAME)
                depth, indices = np.where(farther, other, depth), np.where(farther, read_layer(path, OBJECT), indices)
                if seed > 1 and not farther.any():
                    break
        return depth, indices

    def _common(self, path: Path) -> list[tuple[Any, str, Any]]:
        """What both renders need: the whole view of one layer at our size, sharp, without anything done to the picture afterwards."""
        render = self._scene.render
        width, height = self._look.size
        # Braces in a path are instructions.
        text = str(path).replace("{", "{{").replace("}", "}}")
        numbers = [("resolution_x", width), ("resolution_y", height), ("resolution_percentage", 100), ("pixel_aspect_x", 1.0), ("pixel_aspect_y", 1.0)]
        off = ["use_border", "use_crop_to_border", "use_file_extension", "use_compositing", "use_sequencer", "use_motion_blur", "use_multiview"]
        # Kept data would hold what another render has changed since.
        off += ["use_placeholder", "use_single_layer", "film_transparent", "use_persistent_data"]
        # The metadata of a picture tell of the machine and the time.
        off += [name for name in dir(render) if name.startswith("use_stamp")]
        settings: list[tuple[Any, str, Any]] = [(render, "filepath", text), *((render, name, value) for name, value in numbers)]
        settings += [(render, name, False) for name in off if isinstance(getattr(render, name, None), bool)]
        # Drawings and the shapes of lamps are seen without having any depth.
        settings += [(item, "hide_render", True) for item in bpy.data.objects if item.type in ("GREASEPENCIL", "GPENCIL")]
        settings += [(item, "visible_camera", False) for item in bpy.data.objects if item.type == "LIGHT"]
        return settings + [(layer, "use", layer == self._layer) for layer in self._scene.view_layers]

    def _render(self, settings: Sequence[tuple[Any, str, Any]], path: Path) -> None:
        path.unlink(missing_ok=True)
        try:
            with _changed(settings):
                bpy.ops.render.render(write_still=True, scene=self._scene.name)
        except (RuntimeError, TypeError) as error:
            # A TypeError is a value that this Blender does not know, such as an engine that is not installed.
            raise CaptureError(f"The scene “{self._scene.name}” cannot be rendered ({reason(error)}); render it once in Blender to see why.") from error
        if not path.is_file():
            raise CaptureError(f"Blender has written no picture of the scene “{self._scene.name}”; render it once in Blender to see why.")


def check_eevee() -> None:
    """Raises `CaptureError` where Blender would crash: EEVEE draws by OpenGL, which on Linux needs a screen, or EGL."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and ctypes.util.find_library("EGL") is None:
        raise CaptureError("EEVEE needs a screen or the library EGL (Debian and Ubuntu: libegl1); install it, or choose --engine cycles.")


def _format(render: Any, file_format: str, mode: str, bits: str) -> list[tuple[Any, str, Any]]:
    """Settings in the order in which Blender takes them: each decides what the next may be."""
    image = render.image_settings
    settings: list[tuple[Any, str, Any]] = []
    if bpy.app.version >= (5, 0, 0):
        settings.append((image, "media_type", "MULTI_LAYER_IMAGE" if file_format == "OPEN_EXR_MULTILAYER" else "IMAGE"))
    settings += [(image, "file_format", file_format), (image, "color_mode", mode), (image, "color_depth", bits), (image, "color_management", "FOLLOW_SCENE")]
    if file_format == "OPEN_EXR_MULTILAYER":
        settings.append((image, "exr_codec", "NONE"))
        if hasattr(image, "use_exr_interleave"):
            settings.append((image, "use_exr_interleave", True))
    return settings


def _as_srgb(scene: Any) -> list[tuple[Any, str, Any]]:
    """Settings for a picture as an sRGB screen shows it, with the file's own view; none where the file's color management knows no such screen."""
    display, view = scene.display_settings, scene.view_settings
    own = display.display_device
    if own == "sRGB":
        return []
    kept = [(view, name, getattr(view, name)) for name in ("view_transform", "look")]
    try:
        display.display_device = "sRGB"
        display.display_device = own
    except TypeError:
        return []
    return [(display, "display_device", "sRGB"), *kept]


def _device(wanted: str) -> str:
    """Cycles' device: the card, if there is one that Cycles can use."""
    if wanted == "cpu":
        return "CPU"
    addon = bpy.context.preferences.addons.get("cycles")
    preferences: Any = addon.preferences if addon is not None else None
    for kind in CARDS if preferences is not None else ():
        try:
            preferences.compute_device_type = kind
        except TypeError:
            continue
        preferences.refresh_devices()
        cards = [device for device in preferences.devices if device.type == kind]
        if cards:
            for device in preferences.devices:
                device.use = device.type == kind
            return "GPU"
    if wanted == "gpu":
        raise CaptureError("Cycles finds no graphics card that it can use; leave out --device to render on the processor.")
    return "CPU"


@contextmanager
def _changed(settings: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """Meanwhile these values hold."""
    before: list[tuple[Any, str, Any]] = []
    try:
        for owner, name, value in settings:
            before.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)
        yield
    finally:
        # The other way round: the media type decides which file formats may be set.
        for owner, name, value in reversed(before):
            setattr(owner, name, value)
