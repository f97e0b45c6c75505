# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JointDiT for scripts (docs/python-api.md): generate, build, bake, export, save. The command line is made of nothing else.

`from jointdit_blender import api` in a Python that has bpy, `from bl_ext.user_default.jointdit import api` in Blender. All functions return when
they are done; use them on Blender's main thread. Whatever cannot be done raises a `JointDiTError` whose text is a sentence for a person.
Distances are metres, angles degrees, sizes pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import bpy

from . import preferences
from .core import wishes as _wishes
from .core.errors import JointDiTError
from .core.files import FileError, check_writable
from .core.frame import Camera, Frame, FrameError, NearFar, ScaleShift, read_frame
from .core.request import Request, RequestError
from .core.wishes import Wishes
from .core.worker import WorkerClient, WorkerError
from .scene import export as _export
from .scene import files as _files
from .scene.bake import Baked, BakeError
from .scene.bake import bake as _bake
from .scene.builder import OPTIONS_KEY, BuildResult, build_frame
from .scene.export import ExportError
from .scene.imported import ImportOptions, import_frame
from .scene.options import BuildError, BuildOptions
from .scene.preview import render_preview

__all__ = (
    "BakeError",
    "Baked",
    "BuildError",
    "BuildOptions",
    "BuildResult",
    "Camera",
    "ExportError",
    "FileError",
    "Frame",
    "FrameError",
    "Generator",
    "ImportOptions",
    "JointDiTError",
    "NearFar",
    "Progress",
    "Request",
    "RequestError",
    "ScaleShift",
    "Wishes",
    "WorkerError",
    "bake",
    "build",
    "estimate_depth",
    "export",
    "generate",
    "import_pictures",
    "load",
    "new_file",
    "open_file",
    "paint",
    "plain",
    "render",
    "save",
)

Progress = Callable[[dict[str, Any]], None]
"""Called with `phase`, `step`, `total`, `elapsed` (seconds) and `preview`, as docs/protocol.md tells of `$/progress`."""


class Generator:
    """One image generator for many results: its model is loaded once. Use it as a context manager.

    The process starts with the first result, starts again when it has died, and ends with the block.
    """

    def __init__(self, python: Path | str | None = None, output: Path | str | None = None) -> None:
        """`python`: the interpreter that has the package jointdit; None: that of the add-on's preferences or installation, of JOINTDIT_PYTHON, or this one.

        `output`: the folder in which frame folders are made; None: that of the add-on's preferences, or `frames` in the current folder.
        """
        self._client = WorkerClient(interpreter(python))
        self._output = output

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._client.close()

    def run(self, request: Request, *, output: Path | str | None = None, on_progress: Progress | None = None) -> Frame:
        """Make what a request asks for, in the folder `output` or else the generator's.

        Raises `RequestError`, `FileError` (nothing can be written there), `WorkerError` or `FrameError`.
        """
        if not request.model:
            request = replace(request, model=preferences.model(bpy.context))
        folder = _folder(output or self._output)
        job = request.to_job(folder)
        check_writable(folder / "frame")
        result = self._client.run(job, on_progress or _nothing)
        frame = read_frame(str(result["frame"]))
        told = tuple(str(warning) for warning in result.get("warnings", ()))
        return replace(frame, warnings=(*frame.warnings, *(warning for warning in told if warning not in frame.warnings)))

    def generate(
        self,
        prompt: str = "",
        *,
        image: Path | str | None = None,
        disparity: Path | str | None = None,
        output: Path | str | None = None,
        on_progress: Progress | None = None,
        **wishes: Unpack[Wishes],
    ) -> Frame:
        """Generate an image and its depth from a sentence, the depth of an `image`, or an image that follows a `disparity`; see `api.generate`."""
        request = _wishes.request(prompt, image=image, disparity=disparity, **wishes)
        return self.run(request, output=output, on_progress=on_progress)


def generate(
    prompt: str = "",
    *,
    image: Path | str | None = None,
    disparity: Path | str | None = None,
    output: Path | str | None = None,
    python: Path | str | None = None,
    on_progress: Progress | None = None,
    **wishes: Unpack[Wishes],
) -> Frame:
    """Generate an image and its depth from a sentence: a new frame folder in `output`.

    With `image` its depth is found instead, with `disparity` (a picture of closeness, white is near) an image that follows it.
    `wishes` are `seed`, `size`, `steps`, `guidance`, `model`, `near`, `far`, `horizontal_angle`, `panorama`, … as `Wishes` explains them. `output` and
    `python` are those of `Generator`, which is the better choice for more than one result. Raises `RequestError` (the wishes make no sense),
    `WorkerError` (the image generator is missing or fails), `FileError` (the folder cannot be written) or `FrameError`.
    """
    with Generator(python, output) as generator:
        return generator.generate(prompt, image=image, disparity=disparity, on_progress=on_progress, **wishes)


def estimate_depth(
    image: Path | str,
    *,
    output: Path | str | None = None,
    python: Path | str | None = None,
    on_progress: Progress | None = None,
    **wishes: Unpack[Wishes],
) -> Frame:
    """Find the depth of a picture. `task="panorama_depth"` takes it for an equirectangular photograph of 360 x 180 degrees. Raises as `generate`."""
    return generate(image=image, output=output, python=python, on_progress=on_progress, **wishes)


def paint(
    disparity: Path | str,
    prompt: str,
    *,
    output: Path | str | None = None,
    python: Path | str | None = None,
    on_progress: Progress | None = None,
    **wishes: Unpack[Wishes],
) -> Frame:
    """Paint an image that follows a picture of closeness (white is near). Raises as `generate`."""
    return generate(prompt, disparity=disparity, output=output, python=python, on_progress=on_progress, **wishes)


def load(folder: Path | str) -> Frame:
    """Read a frame folder (docs/frame.md). Raises `FrameError`."""
    return read_frame(folder)


def import_pictures(image: Path | str, depth: Path | str, options: ImportOptions | None = None, *, output: Path | str | None = None) -> Frame:
    """Make a frame folder in `output` of a picture and its disparity or depth from elsewhere (EXR, 16-bit PNG, NPY); `ImportOptions` says what they hold.

    Raises `FrameError` or `FileError`.
    """
    folder = _folder(output)
    check_writable(folder / "frame")
    return import_frame(Path(image), Path(depth), folder, options)


def new_file() -> None:
    """Leave the open file, which is not saved, for an empty one whose view transform shows pictures as they are."""
    _files.open_file()


def open_file(path: Path | str) -> None:
    """Leave the open file, which is not saved, for another; its scripts are not run. Raises `FileError`."""
    _files.open_file(Path(path))


def build(frame: Frame | Path | str, options: BuildOptions | None = None, *, context: bpy.types.Context | None = None, **changes: Any) -> BuildResult:
    """Build a frame, or the frame of a folder, in the scene: a relief, points or a dome, and its camera.

    `changes` are fields of `BuildOptions` that differ from `options`: `build(frame, geometry="points", far=20.0)`.
    Raises `BuildError` or `FrameError`; then nothing of it stays in the file. TypeError: there is no such field.
    """
    loaded = frame if isinstance(frame, Frame) else read_frame(frame)
    return build_frame(context or bpy.context, loaded, replace(options or BuildOptions(), **changes))


def bake(built: BuildResult | bpy.types.Object, *, error: float | None = None, keep_live: bool = True, context: bpy.types.Context | None = None) -> Baked:
    """Make an ordinary mesh of a live frame. `error` simplifies it: 0.001 lets it differ from the live one by a thousandth of the distance.

    The live object is hidden, or removed without `keep_live`. Raises `BakeError`; then nothing is changed.
    """
    return _bake(context or bpy.context, _object(built), error=error, keep_live=keep_live)


@contextmanager
def plain(built: BuildResult | bpy.types.Object, *, error: float | None = None, context: bpy.types.Context | None = None) -> Iterator[Baked]:
    """The ordinary mesh of a live frame for the time of a `with` block, to measure or export it; then everything is as before. Raises `BakeError`."""
    live = _object(built)
    baked = bake(live, error=error, context=context)
    try:
        yield baked
    finally:
        bpy.data.batch_remove({part for item in (baked.object, *baked.object.children) for part in (item, item.data)})
        live.hide_viewport = live.hide_render = False
        live.hide_set(False)


def export(item: Baked | BuildResult | bpy.types.Object, path: Path | str, *, context: bpy.types.Context | None = None) -> Path:
    """Write an object to GLB, PLY, USD, USDC or OBJ, by the ending of `path`, which is returned. Of a live frame its plain mesh is written.

    Raises `ExportError` or `BakeError`.
    """
    target = Path(path).absolute()
    if isinstance(item, BuildResult):
        with plain(item, context=context) as baked:
            return export(baked, target, context=context)
    _export.export(context or bpy.context, _object(item), target)
    return target


def render(path: Path | str, built: BuildResult | None = None, *, context: bpy.types.Context | None = None) -> Path:
    """Render the scene through its camera to a small PNG; its render settings stay as they are.

    With `built` the border of half a pixel around its picture, which no vertex reaches, is left out. Raises `BuildError`, as when there is no camera.
    """
    target = Path(path).absolute()
    scene = (context or bpy.context).scene
    if scene is None:
        raise BuildError("There is no scene to render; open or add one.")
    render_preview(scene, target, inset=_inset(built) if built else (0.0, 0.0))
    return target


def save(path: Path | str) -> Path:
    """Write a copy of the open file, complete or not at all, to a .blend, whose path is returned. The open file keeps its own name.

    Raises `FileError`.
    """
    target = Path(path).absolute()
    check_writable(target)
    _files.save_file(target)
    return target


def interpreter(python: Path | str | None = None) -> Path | str | None:
    """The Python that was chosen: here, in the add-on's preferences, or by installing it. None: nobody has chosen."""
    return python or preferences.interpreter(bpy.context) or None


def _folder(chosen: Path | str | None) -> Path:
    """Where frame folders are made."""
    if chosen:
        return Path(chosen).absolute()
    if preferences.preferences(bpy.context) is None:
        return Path.cwd() / "frames"
    try:
        return preferences.output_folder(bpy.context)
    except OSError as error:
        raise FileError(f"The folder for results cannot be made ({error.strerror or error}); choose another one in the add-on's preferences.") from error


def _object(item: Baked | BuildResult | bpy.types.Object) -> bpy.types.Object:
    return item.object if isinstance(item, Baked | BuildResult) else item


def _inset(built: BuildResult) -> tuple[float, float]:
    """The fractions of the width and the height that are empty on either side of what the frame's camera sees.

    The outermost vertices lie in the middle of the outermost pixels. A backdrop, a dome and a full turn have no rim there.
    """
    options, frame = BuildOptions.from_json(built.object[OPTIONS_KEY]), read_frame(built.object["frame"])
    if options.backdrop is not None or options.geometry == "dome":
        return 0.0, 0.0
    return 0.0 if frame.camera.wraps else 0.5 * options.step / frame.width, 0.5 * options.step / frame.height


def _nothing(_progress: dict[str, Any]) -> None:
    """Nobody wants to know."""
