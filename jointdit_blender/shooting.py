# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All pictures of one scene for a training set: through its own cameras, along paths around what they look at, each in several lights."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

from .core import daylight
from .core.batch_log import settings_hash
from .core.captions import TemplateError, caption, clean, listed, view_words
from .core.daylight import Light
from .core.pairs import VERSION, Pair, unique_slugs
from .core.viewpoints import View, looking, path
from .core.worker import VERSION as PROGRAM
from .scene.capture import Lens, Studio
from .scene.named import object_word
from .scene.pixels import load_picture, read_colors
from .scene.relight import Sun, find_sun, has_lamps, relit
from .scene.survey import Survey, show_what_renders

MOST_SEEDS = 2**31
"""Of Cycles' noise, which is another one in every picture."""
DARKEST, BRIGHTEST = 1.5, 253.5
"""Mean values of pictures that show nothing."""
SMALLEST_RELIEF = 1e-3
"""Of the nearest and the farthest distance of a picture; less is flat."""


@dataclass(frozen=True)
class Result:
    """What has become of one planned picture; a note says why there is none."""

    made: int = 0
    before: int = 0
    note: str = ""


@dataclass(frozen=True)
class Shot:
    """One camera at one time. `camera`: the object whose own view this is, or around whose target the path leads; `way`: “own”, or the path."""

    name: str
    frame: int
    camera: str
    way: str
    matrix: Matrix
    lens: Lens
    clip: tuple[float, float]


class Shooting:
    """One scene, which must be the one that Blender shows. `pictures` does the work."""

    def __init__(self, arguments: Namespace, studio: Studio, scene: bpy.types.Scene, layer: bpy.types.ViewLayer, file: Path, prefix: str, out: Path) -> None:
        """`prefix`: what the names of its pictures begin with."""
        self.arguments, self.studio, self.scene, self.layer, self.file, self.prefix, self.out = arguments, studio, scene, layer, file, prefix, out
        self.since = file.stat().st_mtime
        self.aspect = arguments.size[0] / arguments.size[1]
        self.frames: tuple[int, ...] = arguments.frames or (scene.frame_current,)
        self.notes: list[str] = []
        self.cameras = self._cameras()
        self.reached: dict[str, list[Vector]] = {}
        self.places: dict[str, list[list[View]]] = {}
        self.lights = arguments.lights if has_lamps(scene) else 1
        if self.lights < arguments.lights:
            self.notes.append(f"The scene “{scene.name}” has neither lamps nor a world, so its light stays as it is.")

    @property
    def total(self) -> int:
        """Pictures that are planned."""
        own = len(self.cameras) * len(self.frames) if self.arguments.own else 0
        return (own + (self.arguments.count if self.arguments.path and self.cameras else 0)) * self.lights

    def pictures(self) -> Iterator[Result]:
        """Make them one after another. Raises `CaptureError` and `FileError`."""
        yield from (Result(note=note) for note in self.notes)
        for position, frame in enumerate(self.frames):
            self.scene.frame_set(frame)
            show_what_renders(self.scene, self.layer)
            survey = Survey(self.scene, bpy.context.evaluated_depsgraph_get())
            if self.arguments.own:
                for name, camera in self.cameras.items():
                    yield from self._shoot(self._own(name, camera, frame), survey)
            if self.arguments.path:
                for number in self._numbers(position):
                    found = self._generated(number, frame, survey)
                    if isinstance(found, str):
                        yield from [Result(note=found), *[Result()] * (self.lights - 1)]
                    else:
                        yield from self._shoot(found, survey)

    def _cameras(self) -> dict[str, bpy.types.Object]:
        """The cameras to work with, by a part of a file's name."""
        # In an order and with names that do not depend on which of them are wanted.
        there = [item for item in self.scene.objects if item.type == "CAMERA" and item.name in self.layer.objects and item != self.studio.camera]
        there.sort(key=lambda item: item.name)
        wanted = self.arguments.camera
        named = {name: item for name, item in zip(unique_slugs([item.name for item in there]), there, strict=True) if not wanted or item.name in wanted}
        if not named:
            where = f"called {' or '.join(wanted)}" if wanted else "in its view layer"
            self.notes.append(f"The scene “{self.scene.name}” has no camera {where}; it is left out.")
        for item in named.values():
            if item.data.type != "PERSP":
                self.notes.append(f"The camera “{item.name}” is no perspective camera; it is left out.")
        return {name: item for name, item in named.items() if item.data.type == "PERSP"}

    def _own(self, name: str, camera: bpy.types.Object, frame: int) -> Shot:
        evaluated = camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
        data = evaluated.data
        lens = Lens.of_camera(self.scene, evaluated, self.aspect)
        location, rotation, _ = evaluated.matrix_world.decompose()
        matrix = Matrix.LocRotScale(location, rotation, None)
        return Shot(f"{name}-f{frame:04d}", frame, camera.name, "own", matrix, lens, (data.clip_start, data.clip_end))

    def _numbers(self, position: int) -> list[int]:
        """The places of the path that belong to one of the frames."""
        count = self.arguments.count
        return [number for number in range(count) if number * len(self.frames) // count == position] if self.cameras else []

    def _generated(self, number: int, frame: int, survey: Survey) -> Shot | str:
        """One place of the path, or why there is none."""
        kind, names = self.arguments.path, list(self.cameras)
        name = names[number % len(names)]
        own = self._own(name, self.cameras[name], frame)
        eye = own.matrix.translation
        if name not in self.places:
            target = survey.target(own.matrix, own.lens.half_width, own.lens.half_height)
            if target is None or (target - eye).length < 1e-3:
                return f"The camera “{own.camera}” looks at nothing, so no path leads around it."
            count = len(range(names.index(name), self.arguments.count, len(names)))
            seed = f"{self.arguments.seed}/{self.prefix}/{name}/{kind}"
            self.places[name] = path(kind, (eye.x, eye.y, eye.z), (target.x, target.y, target.z), count, self.arguments.fov, seed)
            self.reached[name] = [eye]
        view = survey.choose(self.places[name][number // len(names)], self.reached[name], self.aspect, own.clip[0])
        if view is None:
            return f"Place {number} of the path in “{self.scene.name}” is left out: everything there is blocked."
        self.reached[name].append(Vector(view.position))
        matrix, lens = Matrix(looking(view).tolist()), Lens.of_angle(view.fov, self.aspect)
        return Shot(f"{name}-{kind}{number:04d}-f{frame:04d}", frame, own.camera, kind, matrix, lens, own.clip)

    def _shoot(self, shot: Shot, survey: Survey) -> Iterator[Result]:
        """One camera in all its lights; the depth, which light does not change, is rendered once."""
        lights = daylight.variants(self.lights, sun=find_sun(self.scene) is not None, seed=f"{self.arguments.seed}/{self.prefix}/{shot.name}")
        todo = [(light, Pair(self.out, f"{self.prefix}-{shot.name}-l{light.number:02d}"), self._settings(shot, light)) for light in lights]
        left = [(light, pair, settings) for light, pair, settings in todo if not pair.is_complete(settings, self.since)]
        yield from [Result(before=1)] * (len(todo) - len(left))
        if not left:
            return
        self.studio.place(shot.matrix, shot.lens, shot.clip)
        work = left[0][1].workplace / f"{self.prefix}-{shot.name}.exr"
        try:
            depth, shares = self.studio.depth(work)
        finally:
            work.unlink(missing_ok=True)
        if not _has_relief(depth):
            yield Result(note=f"{self.prefix}-{shot.name} is left out: it shows nothing but sky, or one flat wall.")
            yield from [Result()] * (len(left) - 1)
            return
        seen = survey.seen(shot.matrix, shot.lens.half_width, shot.lens.half_height)
        for light, pair, settings in left:
            yield self._picture(shot, light, pair, settings, depth, shares, survey, seen)

    def _picture(
        self,
        shot: Shot,
        light: Light,
        pair: Pair,
        settings: str,
        depth: np.ndarray,
        shares: dict[str, float],
        survey: Survey,
        seen: list[Vector | None],
    ) -> Result:
        work = pair.workplace / pair.image.name
        with relit(self.scene, light):
            self.studio.picture(work, Random(f"{self.arguments.seed}/{pair.name}").randrange(MOST_SEEDS))
            sun = find_sun(self.scene)
            words = self._light_words(light, sun, survey, seen, shot.matrix.translation)
        mean = _mean(work)
        if not DARKEST <= mean <= BRIGHTEST:
            work.unlink(missing_ok=True)
            return Result(note=f"{pair.name} is left out: it is all {'black' if mean < DARKEST else 'white'} in this light.")
        text = self._caption(shot, shares, words)
        pair.write(work, depth, text, self._about(shot, light, settings, depth, shares, text))
        return Result(made=1)

    def _light_words(self, light: Light, sun: Sun | None, survey: Survey, seen: list[Vector | None], eye: Vector) -> str:
        if sun is None:
            return daylight.words(light, None, 0.0, 1.0)
        return daylight.words(light, sun.elevation, survey.lit(seen, eye, sun.towards), sun.warmth)

    def _caption(self, shot: Shot, shares: dict[str, float], light: str) -> str:
        """By the template, or by the property “caption” of the camera or of the scene; by the file's name where nothing else is known."""
        camera: Any = bpy.data.objects[shot.camera]
        own = next((str(owner["caption"]) for owner in (camera, camera.data, self.scene) if owner.get("caption")), None)
        seen = [(bpy.data.objects[name], share) for name, share in shares.items()]
        home = next((item.users_collection[0].name for item, _ in seen if item.users_collection), "")
        forward = -shot.matrix.to_3x3().col[2]
        values = {
            "file": clean(self.file.stem),
            "scene": clean(self.scene.name),
            "layer": clean(self.layer.name),
            "collection": clean(home),
            "objects": listed((object_word(item), share) for item, share in seen),
            "light": light,
            "camera": view_words(math.degrees(math.asin(max(-1.0, min(1.0, forward.z)))), self._widest(shot.lens)),
        }
        try:
            return caption(own or self.arguments.caption, values) or values["file"]
        except TemplateError:
            # A person's own words may have braces in them.
            return own or values["file"]

    def _widest(self, lens: Lens) -> float:
        return math.degrees(2.0 * math.atan(max(lens.half_width, lens.half_height)))

    def _settings(self, shot: Shot, light: Light) -> str:
        """A hash of all that a picture follows from, but the file."""
        options = {name: getattr(self.arguments, name) for name in ("size", "engine", "samples", "seed", "caption")}
        camera = np.asarray(shot.matrix).round(5).tolist(), [round(value, 6) for value in asdict(shot.lens).values()]
        return settings_hash({"version": VERSION, **options, "camera": camera, "clip": shot.clip, "frame": shot.frame, "light": asdict(light)})

    def _about(self, shot: Shot, light: Light, settings: str, depth: np.ndarray, shares: dict[str, float], text: str) -> dict[str, Any]:
        there = depth[np.isfinite(depth)]
        size = self.arguments.size
        engine = {"cycles": "CYCLES", "eevee": "EEVEE"}.get(self.arguments.engine or "", self.scene.render.engine)
        vertical = math.degrees(2.0 * math.atan(shot.lens.half_height))
        sky = float(1.0 - there.size / depth.size)
        return {
            "version": VERSION,
            "program": f"JointDiT {PROGRAM}, Blender {bpy.app.version_string}",
            "file": self.file.name,
            "scene": self.scene.name,
            "view_layer": self.layer.name,
            "frame": shot.frame,
            "caption": text,
            "size": list(size),
            "camera": {
                "name": shot.camera,
                "path": shot.way,
                "matrix": np.asarray(self._in_meters(shot.matrix)).tolist(),
                "intrinsics": shot.lens.intrinsics(size),
                "horizontal_angle": shot.lens.fov,
                "vertical_angle": vertical,
            },
            "light": asdict(light),
            "seed": self.arguments.seed,
            "engine": engine,
            "distance": "planar",
            # 1/Z = d / near + (1 - d) / far; without a far distance, where there is sky, 1/Z = d / near.
            "mapping": {"near": float(there.min()), "far": None if sky else float(there.max())},
            "sky": sky,
            "objects": {name: round(share, 4) for name, share in list(shares.items())[:20]},
            "settings": settings,
        }

    def _in_meters(self, matrix: Matrix) -> Matrix:
        scaled = matrix.copy()
        scaled.translation *= self.studio.scale
        return scaled


def _has_relief(depth: np.ndarray) -> bool:
    there = depth[np.isfinite(depth)]
    if not there.size:
        return False
    return there.size < depth.size or float(there.max()) > float(there.min()) * (1.0 + SMALLEST_RELIEF)


def _mean(path: Path) -> float:
    image = load_picture(path)
    try:
        return float(read_colors(image).mean())
    finally:
        bpy.data.images.remove(image)
