# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program without a window: a prompt, a frame folder or pictures to a .blend file.

`python -m jointdit_blender scene …` (Blender as a Python module) · `blender --command jointdit scene …` (the installed extension) ·
`blender -b --python headless.py -- scene …`
"""

from __future__ import annotations

import ctypes
import importlib
import math
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import bpy

    from .core.frame import Camera, Frame
    from .scene.builder import BuildOptions

EYES = 1.6
"""Metres."""
DONE, FAILED, WRONG_USAGE, STOPPED = 0, 1, 2, 130


class HeadlessError(Exception):
    """`str(error)` is the one sentence that the person sees."""


def command(argv: list[str]) -> int:
    """Run the program; returns its exit code: 0 done, 1 failed with a sentence on stderr, 2 wrong usage."""
    # All imports of ours are local: as a script this file has no package of its own.
    from .arguments import parse

    try:
        arguments = parse(argv)
    except SystemExit as stop:
        # Argparse has said why; inside Blender the process must not end here.
        return int(stop.code or 0)
    from .core.frame import FrameError
    from .core.request import RequestError
    from .core.worker import WorkerError
    from .scene.bake import BakeError
    from .scene.builder import BuildError
    from .scene.export import ExportError

    try:
        with _quiet_stdout():
            sentence = make_scene(arguments)
    except (HeadlessError, FrameError, BuildError, BakeError, ExportError, RequestError, WorkerError) as error:
        print(f"jointdit: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("jointdit: Stopped.", file=sys.stderr)
        return STOPPED
    print(sentence, flush=True)
    return DONE


def make_scene(arguments: Namespace) -> str:
    """Make the frame if there is none, build it in an empty or a given file and save that; returns the sentences for the person."""
    import bpy

    from .arguments import build_options
    from .scene.builder import build_frame

    out = arguments.out.absolute()
    render = arguments.render.absolute() if arguments.render else None
    exports = [path.absolute() for path in arguments.export]
    for path in (out, render, *exports):
        if path is not None:
            _check_writable(path)
    if arguments.into is not None and not arguments.into.is_file():
        raise HeadlessError(f"There is no file {arguments.into} to build into; choose another one.")
    options = build_options(arguments)
    frame = _frame(arguments, options, (arguments.output or out.parent / "frames").absolute())
    if arguments.frame is None:
        # The frame that was just made has these values already.
        options = replace(options, near=None, far=None, horizontal_angle=None)
    for warning in frame.warnings:
        print(f"jointdit: {warning}", file=sys.stderr)

    _open(arguments.into)
    if options.backdrop is not None and bpy.context.scene.camera is None:
        _add_camera(bpy.context.scene)
    result = build_frame(bpy.context, frame, options)
    for note in result.notes:
        print(f"jointdit: {note}", file=sys.stderr)
    sentences = [result.sentence]
    if arguments.bake is not None or exports:
        sentences += _bake(result.object, arguments.bake, exports)
    _write(out, render, _inset(frame, options))
    return f"{'. '.join(sentences)}: {arguments.out}"


def _inset(frame: Frame, options: BuildOptions) -> tuple[float, float]:
    """The fractions of the width and the height that are empty on either side of what the frame's camera sees.

    The outermost vertices lie in the middle of the outermost pixels. A backdrop, a dome and a full turn have no rim there.
    """
    if options.backdrop is not None or options.geometry == "dome":
        return 0.0, 0.0
    return 0.0 if frame.camera.wraps else 0.5 * options.step / frame.width, 0.5 * options.step / frame.height


def _open(path: Path | None) -> None:
    """An empty file, or the person's."""
    import bpy

    if path is None:
        # The preferences stay as they are: this may run inside somebody's Blender, out of an extension.
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        # An unlit picture should look like itself; the default view transform is made for light.
        bpy.context.scene.view_settings.view_transform = "Standard"
        return
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path.absolute()), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise HeadlessError(f"{path} cannot be opened ({_reason(error)}); choose another file.") from error


def _reason(error: Exception) -> str:
    """What Blender says, in one line."""
    return " ".join(str(error).removeprefix("Error: ").split())


def _add_camera(scene: bpy.types.Scene | None) -> None:
    """A camera at the height of the eyes, which looks along +Y."""
    import bpy

    assert scene is not None, "a file has a scene"
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0.0, 0.0, EYES), (math.pi / 2.0, 0.0, 0.0)
    scene.collection.objects.link(camera)
    scene.camera = camera


def _bake(relief: bpy.types.Object, percent: float | None, exports: list[Path]) -> list[str]:
    """Make the plain mesh and write it; sentences with its numbers. It stays in the file if baking was asked for."""
    import bpy

    from .scene.bake import bake
    from .scene.export import export

    baked = bake(bpy.context, relief, error=percent / 100.0 if percent else None, keep_live=True)
    for path in exports:
        export(bpy.context, baked.object, path)
    if percent is None:
        bpy.data.batch_remove({part for item in (baked.object, *baked.object.children) for part in (item, item.data)})
        relief.hide_viewport = relief.hide_render = False
        relief.hide_set(False)
    return [baked.sentence]


def _frame(arguments: Namespace, options: BuildOptions, output: Path) -> Frame:
    from .core.frame import read_frame

    if arguments.frame is not None:
        return read_frame(arguments.frame)
    if arguments.image is not None:
        return _imported(arguments, options, output)
    return read_frame(_generated(arguments, options, output))


def _generated(arguments: Namespace, options: BuildOptions, output: Path) -> str:
    """The frame folder that the backend makes from the prompt or the photograph."""
    from .core.request import Request
    from .core.worker import WorkerClient
    from .progress import ProgressLine

    width, height = arguments.size or (None, None)
    chosen = {"near": options.near, "far": options.far, "horizontal_angle": options.horizontal_angle, "model": arguments.model}
    request = Request(
        task="panorama_depth" if arguments.panorama_photo else "panorama" if arguments.panorama else "joint",
        prompt=arguments.prompt or "",
        image=arguments.panorama_photo,
        kind=arguments.panorama or "sphere",
        parts=dict(arguments.part),
        front=arguments.around,
        views=arguments.views,
        width=width,
        height=height,
        seed=arguments.seed,
        steps=arguments.steps,
        guidance=arguments.guidance,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    job = request.to_job(output)
    _check_writable(output / "frame")
    with ProgressLine(sys.stderr) as progress, WorkerClient(arguments.python) as client:
        result = client.run(job, progress.show)
    return str(result["frame"])


def _imported(arguments: Namespace, options: BuildOptions, output: Path) -> Frame:
    from .core.frame import NearFar, ScaleShift
    from .scene.imported import ImportOptions, import_frame

    mapping: NearFar | ScaleShift
    if arguments.scale is not None:
        mapping = ScaleShift(arguments.scale, arguments.shift or 0.0)
    else:
        near, far = options.near or 2.0, options.far or 40.0
        if not 0.0 < near < far:
            raise HeadlessError(f"Near ({near:g} m) must be above 0 and smaller than far ({far:g} m).")
        mapping = NearFar(near, far)
    depth, values = (arguments.disparity, "nearness") if arguments.depth is None else (arguments.depth, "meters")
    return import_frame(arguments.image, depth, output, ImportOptions(_camera(arguments), mapping, values=values))


def _camera(arguments: Namespace) -> Camera:
    """The camera of an imported picture: from its field of view, or from focal length and principal point in pixels."""
    from .core.frame import Camera
    from .scene.pixels import picture_size

    if arguments.focal is None and arguments.principal_point is None:
        return Camera(horizontal_angle=arguments.fov or Camera.horizontal_angle)
    width, height = picture_size(arguments.image)
    angle = arguments.fov or Camera.horizontal_angle
    if arguments.focal is not None:
        angle = 2.0 * math.degrees(math.atan(width / (2.0 * arguments.focal)))
    x, y = arguments.principal_point or (width / 2.0, height / 2.0)
    return Camera(horizontal_angle=angle, principal_point=(x / width, y / height))


def _check_writable(path: Path) -> None:
    """Make the folder of a file and see that it takes files; hours of computing must not end at a read-only disk."""
    try:
        if path.is_dir():
            raise HeadlessError(f"{path} is a folder; give the name of a file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise HeadlessError(f"Nothing can be written in {path.parent} ({error.strerror or error}); choose another folder.") from error


def _write(out: Path, render: Path | None, inset: tuple[float, float]) -> None:
    """Preview, less `inset` on every side, and .blend under temporary names, and in place when both are complete."""
    import bpy

    from .scene.preview import render_preview

    work = out.with_name(f".{out.stem}.part.blend")
    work_render = render.with_name(f".{render.stem}.part.png") if render else None
    try:
        if work_render:
            scene = bpy.context.scene
            assert scene is not None, "build_frame has built in it"
            render_preview(scene, work_render, inset=inset)
        bpy.ops.wm.save_as_mainfile(filepath=str(work), check_existing=False, copy=True)
        work.replace(out)
        if render and work_render:
            work_render.replace(render)
    except (OSError, RuntimeError) as error:
        raise HeadlessError(f"{out} cannot be saved ({_reason(error)}); choose another place.") from error
    finally:
        for leftover in (work, work_render):
            if leftover:
                leftover.unlink(missing_ok=True)


@contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Keep Blender's chatter, from Python and from C, off standard output, where the result's sentence goes."""
    kept = os.dup(1)
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            os.dup2(nowhere.fileno(), 1)
            yield
    finally:
        _flush_c_output()
        os.dup2(kept, 1)
        os.close(kept)


def _flush_c_output() -> None:
    """Empty the buffer of C's own standard output; where that cannot be reached the chatter comes before the sentence."""
    if sys.platform != "win32":
        ctypes.CDLL(None).fflush(None)


def _run_as_script() -> int:
    """`blender -b --python headless.py -- scene …`: a script has no package, so it imports itself as part of one."""
    folder = Path(__file__).resolve().parent
    sys.path.insert(0, str(folder.parent))
    headless = importlib.import_module(f"{folder.name}.headless")
    return int(headless.command(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []))


if __name__ == "__main__":
    sys.exit(_run_as_script())
