# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program without a window: a prompt, a frame folder or two pictures to a .blend file.

`python -m jointdit_blender scene …` (Blender as a Python module) · `blender --command jointdit scene …` (the installed extension) ·
`blender -b --python headless.py -- scene …`
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.frame import Camera, Frame

DONE, FAILED, WRONG_USAGE, STOPPED = 0, 1, 2, 130


class HeadlessError(Exception):
    """`str(error)` is the one sentence that the person sees."""


def command(argv: list[str]) -> int:
    """Run the program; returns its exit code: 0 done, 1 failed with a sentence on stderr, 2 wrong usage."""
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
        _check_usage(parser, arguments)
    except SystemExit as stop:
        # Argparse has said why; inside Blender the process must not end here.
        return int(stop.code or 0)
    from .core.frame import FrameError
    from .core.request import RequestError
    from .core.worker import WorkerError
    from .scene.builder import BuildError

    try:
        with _quiet_stdout():
            sentence = make_scene(arguments)
    except (HeadlessError, FrameError, BuildError, RequestError, WorkerError) as error:
        print(f"jointdit: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("jointdit: Stopped.", file=sys.stderr)
        return STOPPED
    print(sentence, flush=True)
    return DONE


def make_scene(arguments: argparse.Namespace) -> str:
    """Make the frame if there is none, build it in an empty file and save that; returns the sentence for the person."""
    import bpy

    from .scene.builder import BuildOptions, build_frame

    out = arguments.out.absolute()
    render = arguments.render.absolute() if arguments.render else None
    for path in (out, render):
        if path is not None:
            _check_writable(path)
    frame = _frame(arguments, (arguments.output or out.parent / "frames").absolute())
    for warning in frame.warnings:
        print(f"jointdit: {warning}", file=sys.stderr)

    # The preferences stay as they are: this may run inside somebody's Blender, out of an extension.
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    # An unlit picture should look like itself; the default view transform is made for light.
    bpy.context.scene.view_settings.view_transform = "Standard"
    # A frame that was just made has these values already.
    given = arguments.frame is not None
    options = BuildOptions(
        geometry=arguments.geometry,
        near=arguments.near if given else None,
        far=arguments.far if given else None,
        horizontal_angle=arguments.fov if given else None,
        tear=arguments.tear,
        fill_gaps=arguments.fill_gaps,
        step=arguments.step,
    )
    result = build_frame(bpy.context, frame, options)
    # The outermost vertices lie in the middle of the outermost pixels: what is beyond them is empty.
    _write(out, render, inset=(0.5 * arguments.step / frame.width, 0.5 * arguments.step / frame.height))
    return f"{result.sentence}: {arguments.out}"


def _frame(arguments: argparse.Namespace, output: Path) -> Frame:
    from .core.frame import read_frame

    if arguments.frame is not None:
        return read_frame(arguments.frame)
    if arguments.image is not None:
        return _imported(arguments, output)
    return read_frame(_generated(arguments, output))


def _generated(arguments: argparse.Namespace, output: Path) -> str:
    """The frame folder that the backend makes from the prompt."""
    from .core.request import Request
    from .core.worker import WorkerClient
    from .progress import ProgressLine

    width, height = arguments.size or (None, None)
    chosen = {"near": arguments.near, "far": arguments.far, "horizontal_angle": arguments.fov, "model": arguments.model}
    request = Request(
        prompt=arguments.prompt,
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


def _imported(arguments: argparse.Namespace, output: Path) -> Frame:
    from .core.frame import NearFar, ScaleShift
    from .scene.imported import ImportOptions, import_frame

    mapping: NearFar | ScaleShift
    if arguments.scale is not None:
        mapping = ScaleShift(arguments.scale, arguments.shift or 0.0)
    else:
        near, far = arguments.near or 2.0, arguments.far or 40.0
        if not 0.0 < near < far:
            raise HeadlessError(f"Near ({near:g} m) must be above 0 and smaller than far ({far:g} m).")
        mapping = NearFar(near, far)
    return import_frame(arguments.image, arguments.disparity, output, ImportOptions(_camera(arguments), mapping))


def _camera(arguments: argparse.Namespace) -> Camera:
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
        raise HeadlessError(f"{out} cannot be saved: {' '.join(str(error).split())}") from error
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jointdit", description="From a sentence, a frame folder or two pictures to a Blender scene.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    scene = commands.add_parser("scene", help="make a .blend file", description="Make a .blend file with a surface or points and their camera.")
    source = scene.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompt", help="generate image and depth from this sentence")
    source.add_argument("--frame", type=Path, metavar="FOLDER", help="a frame folder")
    source.add_argument("--image", type=Path, help="a picture; needs --disparity")
    scene.add_argument("--disparity", type=Path, metavar="FILE", help="closeness for every pixel of --image: EXR, 16-bit PNG or NPY")
    scene.add_argument("--out", type=Path, required=True, metavar="FILE.blend")
    scene.add_argument("--output", type=Path, metavar="FOLDER", help="where frame folders are made (default: “frames” beside the .blend)")
    scene.add_argument("--render", type=Path, metavar="FILE.png", help="also render the scene through its camera")
    scene.add_argument("--geometry", choices=("mesh", "points"), default="mesh")
    scene.add_argument("--near", type=_positive, metavar="METRES", help="distance of the nearest pixel")
    scene.add_argument("--far", type=_positive, metavar="METRES", help="distance of the farthest pixel")
    scene.add_argument("--fov", type=_angle, metavar="DEGREES", help="horizontal field of view")
    scene.add_argument("--tear", type=_positive, default=0.06, metavar="SHARE", help="relative jump in depth at which the surface is cut (0.06)")
    # On here, where nobody watches: through the camera a cut in a small frame is a black outline many pixels wide.
    fill_help = "close the cuts, as seen from the camera, with what lies behind (default: yes)"
    scene.add_argument("--fill-gaps", action=argparse.BooleanOptionalAction, default=True, help=fill_help)
    scene.add_argument("--step", type=_count, default=1, metavar="PIXELS", help="pixels between two vertices (1)")
    generation = scene.add_argument_group("with --prompt")
    generation.add_argument("--seed", type=int, default=0)
    generation.add_argument("--size", type=_size, metavar="N or WxH", help="pixels")
    generation.add_argument("--steps", type=_count)
    generation.add_argument("--guidance", type=float)
    generation.add_argument("--model")
    generation.add_argument("--python", type=Path, metavar="INTERPRETER", help="the Python in which the backend is installed")
    imported = scene.add_argument_group("with --image")
    imported.add_argument("--scale", type=float, help="metric disparity: 1/Z = scale * d + shift, instead of near and far")
    imported.add_argument("--shift", type=float)
    imported.add_argument("--focal", type=_positive, metavar="PIXELS", help="focal length, instead of --fov")
    imported.add_argument("--principal-point", type=float, nargs=2, metavar=("X", "Y"), help="in pixels from the top left corner")
    return parser


def _check_usage(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if (arguments.image is None) != (arguments.disparity is None):
        parser.error("--image and --disparity go together")
    if arguments.scale is not None and (arguments.near is not None or arguments.far is not None):
        parser.error("--scale takes the place of --near and --far")
    if arguments.shift is not None and arguments.scale is None:
        parser.error("--shift needs --scale")
    if arguments.focal is not None and arguments.fov is not None:
        parser.error("--focal takes the place of --fov")
    if arguments.out.suffix != ".blend":
        parser.error("--out must end in .blend")
    if arguments.render is not None and arguments.render.suffix.lower() != ".png":
        parser.error("--render must end in .png")


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0.0):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _angle(text: str) -> float:
    value = _positive(text)
    if value > 360.0:
        raise argparse.ArgumentTypeError(f"{text} is more than a full turn")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return value


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise argparse.ArgumentTypeError(f"{text} is no size; give N or WxH, as 128 or 192x128")
    return int(sides[0]), int(sides[-1])


def _run_as_script() -> int:
    """`blender -b --python headless.py -- scene …`: a script has no package, so it imports itself as part of one."""
    folder = Path(__file__).resolve().parent
    sys.path.insert(0, str(folder.parent))
    headless = importlib.import_module(f"{folder.name}.headless")
    return int(headless.command(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []))


if __name__ == "__main__":
    sys.exit(_run_as_script())
