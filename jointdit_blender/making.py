# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One scene file from the options of `scene`, by the Python API: for the command and for every row of a batch."""

from __future__ import annotations

import math
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from . import api
from .arguments import build_options, request
from .core.files import check_there, check_writable, staged
from .scene.pixels import picture_size

EYES = 1.6
"""Metres."""


@dataclass(frozen=True)
class Made:
    """What has become of a scene: sentences for the person, absolute paths, `warnings` about the frame and the build."""

    sentence: str
    outputs: tuple[Path, ...]
    frame: Path
    vertices: int
    warnings: tuple[str, ...]


def make_scene(arguments: Namespace, generator: api.Generator, on_progress: api.Progress | None = None) -> Made:
    """Make the frame if there is none, build it in an empty or a given file and save that. Raises `JointDiTError`."""
    out = arguments.out.absolute()
    picture = arguments.render.absolute() if arguments.render else None
    exports = [path.absolute() for path in arguments.export]
    outputs = tuple(path for path in (out, picture, *exports) if path is not None)
    for path in outputs:
        check_writable(path)
    if arguments.into is not None:
        check_there(arguments.into)
    options = build_options(arguments)
    frame = _frame(arguments, options, generator, on_progress)
    if arguments.frame is None:
        # The frame that was just made has these values already.
        options = replace(options, near=None, far=None, horizontal_angle=None)
    _open(arguments.into, backdrop=options.backdrop is not None)
    built = api.build(frame, options)
    sentences = [built.sentence]
    if arguments.bake is not None or exports:
        sentences.append(_plain(built, arguments.bake, exports))
    # The picture is put in place when the file is, so that both are of one make.
    with staged(picture) if picture else nullcontext() as work:
        if work is not None:
            api.render(work, built)
        api.save(out)
    return Made(". ".join(sentences), outputs, frame.folder, built.vertices, (*frame.warnings, *built.notes))


def _frame(arguments: Namespace, options: api.BuildOptions, generator: api.Generator, on_progress: api.Progress | None) -> api.Frame:
    if arguments.frame is not None:
        return api.load(arguments.frame)
    output = (arguments.output or arguments.out.parent / "frames").absolute()
    asked = request(arguments)
    if asked is None:
        depth, values = (arguments.disparity, "nearness") if arguments.depth is None else (arguments.depth, "meters")
        about = api.ImportOptions(_camera(arguments), _mapping(arguments, options), values=values)
        return api.import_pictures(arguments.image, depth, about, output=output)
    return generator.run(asked, output=output, on_progress=on_progress)


def _mapping(arguments: Namespace, options: api.BuildOptions) -> api.NearFar | api.ScaleShift:
    """What the disparity of an imported picture means."""
    if arguments.scale is not None:
        return api.ScaleShift(arguments.scale, arguments.shift or 0.0)
    near, far = options.near or 2.0, options.far or 40.0
    if not 0.0 < near < far:
        raise api.FrameError(f"Near ({near:g} m) must be above 0 and smaller than far ({far:g} m).")
    return api.NearFar(near, far)


def _camera(arguments: Namespace) -> api.Camera:
    """The camera of an imported picture: from its field of view, or from focal length and principal point in pixels."""
    angle = arguments.fov or api.Camera.horizontal_angle
    if arguments.focal is None and arguments.principal_point is None:
        return api.Camera(horizontal_angle=angle)
    width, height = picture_size(arguments.image)
    if arguments.focal is not None:
        angle = 2.0 * math.degrees(math.atan(width / (2.0 * arguments.focal)))
    x, y = arguments.principal_point or (width / 2.0, height / 2.0)
    return api.Camera(horizontal_angle=angle, principal_point=(x / width, y / height))


def _open(into: Path | None, *, backdrop: bool) -> None:
    """An empty file, or the person's; with a camera at the height of the eyes, which looks along +Y, for a backdrop that has none to stand behind."""
    if into is None:
        api.new_file()
    else:
        api.open_file(into)
    scene = bpy.context.scene
    assert scene is not None, "a file has a scene"
    if backdrop and scene.camera is None:
        camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        camera.location, camera.rotation_euler = (0.0, 0.0, EYES), (math.pi / 2.0, 0.0, 0.0)
        scene.collection.objects.link(camera)
        scene.camera = camera


def _plain(built: api.BuildResult, percent: float | None, exports: list[Path]) -> str:
    """Make the plain mesh and write it; a sentence with its numbers. It stays in the file if baking was asked for."""
    error = percent / 100.0 if percent else None
    with api.plain(built) if percent is None else nullcontext(api.bake(built, error=error)) as baked:
        for path in exports:
            api.export(baked, path)
    return baked.sentence
