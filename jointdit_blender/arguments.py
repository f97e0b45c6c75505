# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the command line. The options that build say the same as the panel and as `BuildOptions`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .core import wishes
from .core.errors import JointDiTError
from .core.request import DIRECTIONS, KINDS, VIEWS, Request

if TYPE_CHECKING:
    from .scene.options import BuildOptions

EXPORTS = (".glb", ".ply", ".usd", ".usdc", ".obj")
TEMPLATES = ("backdrop", "room", "dome", "points")
SOURCES = ("prompt", "frame", "image", "photo", "panorama_photo")
"""What a scene is made of: one of them."""
BUILDING = {
    "geometry": "geometry",
    "near": "near",
    "far": "far",
    "fov": "horizontal_angle",
    "gamma": "gamma",
    "step": "step",
    "tear": "tear",
    "torn": "torn",
    "clean": "clean",
    "back_layer": "back_layer",
    "sky": "sky",
    "sky_cutoff": "sky_cutoff",
    "point_size": "point_size",
    "backdrop": "backdrop",
    "focal_length": "focal_length",
    "follow": "follow",
    "ground": "ground",
    "floor": "floor",
    "relit": "relit",
    "environment": "environment",
}
"""Options of the command line and the fields of `BuildOptions` that they set. All are None unless they are given."""
DEFAULTS: dict[str, Any] = {"seed": 0, "export": [], "part": []}
"""Of the options of `scene`; all others are None unless they are given."""
DESCRIPTION = "From a sentence, a picture, a frame folder or two pictures to a Blender scene."
EXIT_CODES = "Exit code: 0 done, 1 failed with a sentence, 2 wrong usage, 130 stopped by Ctrl-C."
BATCH_EXIT_CODES = "Exit code: 0 all rows are done, 1 some have failed, 2 wrong usage or a bad list, 130 stopped by Ctrl-C."


class UsageError(JointDiTError):
    """The words make no sense; `usage` says which there are."""

    def __init__(self, sentence: str, usage: str = "") -> None:
        super().__init__(sentence)
        self.usage = usage


class _Parser(argparse.ArgumentParser):
    """Argparse without its exit: inside Blender the process must not end."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse."""
        raise UsageError(f"{message}.", self.format_usage())


def parse(argv: list[str]) -> argparse.Namespace:
    """The command and its options. Raises `UsageError` when the words make no sense, and SystemExit when only help was wanted."""
    given = _parser().parse_args(argv)
    if given.command == "scene":
        return argparse.Namespace(command=given.command, **vars(complete(vars(given))))
    if given.command == "render-set":
        from .render_set_arguments import complete_render_set

        complete_render_set(given)
    return given


def scene_words() -> tuple[str, ...]:
    """The options of `scene`, without dashes before and with underscores inside."""
    return tuple(vars(_scene_parser().parse_args([])))


def parse_scene(argv: list[str]) -> dict[str, Any]:
    """The options of `scene` that these words give, and no others. Raises `UsageError`."""
    return {name: value for name, value in vars(_scene_parser().parse_args(argv)).items() if value is not None}


def complete(given: Mapping[str, Any]) -> argparse.Namespace:
    """All options of `scene`, when these are given. Raises `UsageError` when they do not go together."""
    known = {name: value for name, value in given.items() if value is not None}
    arguments = argparse.Namespace(**{name: known.get(name, DEFAULTS.get(name)) for name in scene_words()})
    if arguments.template == "dome" and arguments.prompt is not None and arguments.disparity is None:
        arguments.panorama = arguments.panorama or "sphere"
    _check(arguments)
    _check_panorama(arguments)
    return arguments


def is_panorama(arguments: argparse.Namespace) -> bool:
    """Whether a panorama is to be made."""
    return arguments.panorama is not None or arguments.panorama_photo is not None


def build_options(arguments: argparse.Namespace) -> BuildOptions:
    """The template, or the default, changed by every option that is given. A panorama becomes a dome if nothing else is said."""
    # Not at the top: they need bpy, and wrong usage is told without it.
    from .scene.options import BuildOptions
    from .scene.templates import TEMPLATES

    start = TEMPLATES[arguments.template.upper()] if arguments.template else BuildOptions()
    if is_panorama(arguments) and start.geometry == "mesh":
        start = replace(start, geometry="dome")
    given: dict[str, Any] = {field: getattr(arguments, name) for name, field in BUILDING.items() if getattr(arguments, name) is not None}
    if arguments.link is not None:
        given["pack"] = not arguments.link
    options = replace(start, **given)
    # A backdrop hangs on its camera, whatever the template says of the ground.
    return options if options.backdrop is None else replace(options, ground=None, floor=False)


def request(arguments: argparse.Namespace) -> Request | None:
    """What the image generator is asked for; None when nothing has to be generated. Raises `RequestError`."""
    if arguments.frame is not None or arguments.image is not None:
        return None
    options = build_options(arguments)
    return wishes.request(
        arguments.prompt or "",
        image=arguments.photo or arguments.panorama_photo,
        disparity=arguments.disparity,
        task="panorama_depth" if arguments.panorama_photo else None,
        seed=arguments.seed,
        size=arguments.size,
        steps=arguments.steps,
        guidance=arguments.guidance,
        model=arguments.model,
        near=options.near,
        far=options.far,
        horizontal_angle=options.horizontal_angle,
        panorama=arguments.panorama,
        parts=dict(arguments.part),
        around=arguments.around,
        views=arguments.views,
    )


def _parser() -> argparse.ArgumentParser:
    from .render_set_arguments import ABOUT, add_render_set  # not at the top: it takes its kinds of numbers from here

    parser = _Parser(prog="jointdit", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    about = "Make a .blend file with a surface or points and their camera."
    scene = commands.add_parser("scene", help="make a .blend file", description=about, epilog=EXIT_CODES)
    _add_scene(scene, required=True)
    _add_batch(commands.add_parser("batch", help="make one for every row of a list", description=_BATCH, epilog=BATCH_EXIT_CODES))
    add_render_set(commands.add_parser("render-set", help="render .blend files to pictures with depth, to train on", description=ABOUT))
    about = "Say which programs there are, whether the image generator starts, and what it says of this machine and its models."
    doctor = commands.add_parser("doctor", help="look whether everything works", description=about)
    _add_python(doctor)
    return parser


def _scene_parser() -> argparse.ArgumentParser:
    """The options of `scene` alone, of which none is required."""
    parser = _Parser(prog="jointdit scene", add_help=False, allow_abbrev=False)
    _add_scene(parser, required=False)
    return parser


def _add_scene(scene: argparse.ArgumentParser, *, required: bool) -> None:
    _add_source(scene, required=required)
    scene.add_argument("--out", type=Path, required=required, metavar="FILE.blend")
    scene.add_argument("--render", type=Path, metavar="FILE.png", help="also render the scene through its camera")
    scene.add_argument("--json", action="store_const", const=True, help="end with one JSON object on standard output instead of a sentence")
    _add_building(scene)
    results = _add_results(scene)
    export = f"write the plain mesh as {', '.join(EXPORTS)}; may be repeated"
    results.add_argument("--export", type=Path, action="append", metavar="FILE", help=export)
    _add_making(scene)


_BATCH = (
    "Make a .blend file for every row of a CSV file or of JSON lines, one after another. Columns have the names of the options of “scene”; "
    "the options given here count for all rows that say nothing else. Run the same command again to go on."
)


def _add_batch(batch: argparse.ArgumentParser) -> None:
    batch.add_argument("list", type=Path, metavar="LIST", help=".csv, .jsonl or .json")
    batch.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the .blend files go, each by its name, and frame folders")
    batch.add_argument("--log", type=Path, metavar="FILE", help="JSON lines, one for each row as soon as it ends (default: batch.jsonl in the folder)")
    batch.add_argument("--fail-fast", action="store_true", help="stop at the first row that fails")
    batch.add_argument("--retry-failed", action="store_true", help="try rows again that failed before")
    batch.add_argument("--render", action="store_const", const=True, help="also render each scene to a .png beside its .blend")
    _add_source(batch, required=False)
    _add_building(batch)
    results = _add_results(batch)
    kinds = [kind.removeprefix(".") for kind in EXPORTS]
    results.add_argument("--export", choices=kinds, action="append", help="also write each plain mesh beside its .blend; may be repeated")
    _add_making(batch)


def _add_python(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--python", type=Path, metavar="INTERPRETER", help="the Python in which the backend is installed")


def _add_source(scene: argparse.ArgumentParser, *, required: bool) -> None:
    source = scene.add_mutually_exclusive_group(required=required)
    source.add_argument("--prompt", help="generate image and depth from this sentence; with --disparity an image that follows it")
    source.add_argument("--frame", type=Path, metavar="FOLDER", help="a frame folder")
    source.add_argument("--image", type=Path, help="a picture; needs --disparity or --depth")
    source.add_argument("--photo", type=Path, metavar="FILE", help="find the depth of this picture")
    source.add_argument("--panorama-photo", type=Path, metavar="FILE", help="find the depth of this photograph of 360 x 180 degrees")
    scene.add_argument("--depth", type=Path, metavar="FILE", help="distance in meters for every pixel of --image: EXR or NPY")
    scene.add_argument("--disparity", type=Path, metavar="FILE", help="closeness for every pixel of --image: EXR, 16-bit PNG or NPY")
    into = "build into this file instead of an empty one; it is changed only if --out names it too"
    scene.add_argument("--into", type=Path, metavar="FILE.blend", help=into)
    scene.add_argument("--output", type=Path, metavar="FOLDER", help="where frame folders are made (default: “frames” beside the .blend)")
    scene.add_argument("--template", choices=TEMPLATES, help="start from the settings of a quick start; other options change them")


def _add_building(scene: argparse.ArgumentParser) -> None:
    depth = scene.add_argument_group("depth and surface")
    depth.add_argument("--geometry", choices=("mesh", "points", "dome"), help="what is built (mesh; of a panorama a dome)")
    depth.add_argument("--near", type=_positive, metavar="METRES", help="distance of the nearest pixel")
    depth.add_argument("--far", type=_positive, metavar="METRES", help="distance of the farthest pixel")
    depth.add_argument("--gamma", type=_positive, metavar="NUMBER", help="above 1 brings the middle distances farther away, below 1 nearer (1)")
    depth.add_argument("--fov", type=_angle, metavar="DEGREES", help="horizontal field of view")
    depth.add_argument("--step", type=_count, metavar="PIXELS", help="pixels between two vertices (1)")
    depth.add_argument("--tear", type=_positive, metavar="SHARE", help="relative jump in depth at which the surface is torn (0.06)")
    torn = "torn faces: left out, moved back to what lies behind, or kept (fill)"
    depth.add_argument("--torn", choices=("cut", "fill", "keep"), help=torn)
    _add_switch(depth, "--clean", "clean edges and remove specks (yes)")
    _add_switch(depth, "--back-layer", "continue behind things what stands behind them (yes)")
    sky = "where the sky goes: if there is one on a far sheet, or kept, removed, on a far dome, on the world (auto)"
    depth.add_argument("--sky", choices=("auto", "keep", "remove", "dome", "world"), help=sky)
    depth.add_argument("--sky-cutoff", type=_share, metavar="SHARE", help="share of disparity up to which pixels are sky (found)")
    depth.add_argument("--point-size", type=_positive, metavar="FACTOR", help="size of points, 1 where neighbors touch (1)")

    placing = scene.add_argument_group("placing")
    placing.add_argument("--backdrop", type=_positive, metavar="METRES", help="fit the picture to the scene's camera, so far away")
    placing.add_argument("--focal-length", type=_positive, metavar="MM", help="with --backdrop: focal length that the camera gets")
    _add_switch(placing, "--follow", "with --backdrop: let it move with the camera (yes)")
    placing.add_argument("--ground", type=_positive, metavar="METRES", help="level the ground, the camera so high above it")
    _add_switch(placing, "--floor", "add a floor that catches shadows")

    look = scene.add_argument_group("look")
    _add_switch(look, "--relit", "let the scene's lights shine on the picture")
    _add_switch(look, "--environment", "surround the scene with the picture, so that it gives light")
    _add_switch(look, "--link", "leave the pictures in the frame folder instead of the .blend")


def _add_switch(parser: argparse._ActionsContainer, name: str, about: str) -> None:
    parser.add_argument(name, action=argparse.BooleanOptionalAction, default=None, help=about)


def _add_results(scene: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    results = scene.add_argument_group("plain meshes")
    bake = "also make a plain mesh; with a number, simplified to this error in percent of the distance"
    results.add_argument("--bake", type=_positive, nargs="?", const=0.0, metavar="ERROR", help=bake)
    return results


def _add_making(scene: argparse.ArgumentParser) -> None:
    """What is said to the image generator, and of pictures from elsewhere."""
    _add_panorama(scene)
    generation = scene.add_argument_group("with --prompt, --photo or --panorama-photo")
    generation.add_argument("--seed", type=_whole, help="the same seed and settings make the same picture (0)")
    generation.add_argument("--size", type=_size, metavar="N or WxH", help="pixels; a sphere is twice as wide as high")
    generation.add_argument("--steps", type=_count)
    generation.add_argument("--guidance", type=_number)
    generation.add_argument("--model")
    _add_python(generation)
    imported = scene.add_argument_group("with --image")
    imported.add_argument("--scale", type=_number, help="metric disparity: 1/Z = scale * d + shift, instead of near and far")
    imported.add_argument("--shift", type=_number)
    imported.add_argument("--focal", type=_positive, metavar="PIXELS", help="focal length, instead of --fov")
    imported.add_argument("--principal-point", type=_number, nargs=2, metavar=("X", "Y"), help="in pixels from the top left corner")


def _add_panorama(scene: argparse.ArgumentParser) -> None:
    panorama = scene.add_argument_group("panoramas, with --prompt")
    panorama.add_argument("--panorama", choices=KINDS, help="make everything around, or a band along the horizon")
    panorama.add_argument("--around", type=Path, metavar="FRAME", help="a frame folder that becomes the view ahead")
    part = f"what is seen there instead of the prompt: {', '.join(DIRECTIONS)}; may be repeated"
    panorama.add_argument("--part", type=_part, action="append", metavar="DIRECTION=TEXT", help=part)
    panorama.add_argument("--views", type=int, choices=VIEWS, help="of how many views a sphere is made")


def _check(arguments: argparse.Namespace) -> None:
    if all(getattr(arguments, name) is None for name in SOURCES):
        _refuse(f"one of {', '.join(map(_option, SOURCES))} is needed")
    if (arguments.image is None) != (arguments.disparity is None and arguments.depth is None) and (arguments.prompt is None or arguments.depth is not None):
        _refuse("--image goes together with --disparity or --depth")
    if arguments.disparity is not None and arguments.depth is not None:
        _refuse("--depth takes the place of --disparity")
    if arguments.scale is not None and (arguments.near is not None or arguments.far is not None):
        _refuse("--scale takes the place of --near and --far")
    if arguments.shift is not None and arguments.scale is None:
        _refuse("--shift needs --scale")
    if arguments.focal is not None and arguments.fov is not None:
        _refuse("--focal takes the place of --fov")
    if arguments.out is None or arguments.out.suffix != ".blend":
        _refuse("--out must end in .blend")
    if arguments.render is not None and arguments.render.suffix.lower() != ".png":
        _refuse("--render must end in .png")
    backdrop = arguments.backdrop is not None or arguments.template == "backdrop"
    if not backdrop and (arguments.focal_length is not None or arguments.follow is not None):
        _refuse("--focal-length and --follow need --backdrop")
    if backdrop and (arguments.ground is not None or arguments.floor):
        _refuse("--backdrop excludes --ground and --floor: a backdrop hangs on the camera")
    if arguments.sky_cutoff is not None and arguments.sky == "keep":
        _refuse("--sky-cutoff has no use with --sky keep")
    imported = (arguments.scale, arguments.shift, arguments.focal, arguments.principal_point)
    if arguments.image is None and any(value is not None for value in imported):
        _refuse("--scale, --shift, --focal and --principal-point belong to --image")
    for path in arguments.export:
        if path.suffix.lower() not in EXPORTS:
            _refuse(f"--export must end in {', '.join(EXPORTS)}")


def _check_panorama(arguments: argparse.Namespace) -> None:
    if arguments.panorama is not None and arguments.prompt is None:
        _refuse("--panorama goes together with --prompt; for a photograph there is --panorama-photo")
    if arguments.panorama != "sphere" and (arguments.around is not None or arguments.part):
        _refuse("--around and --part belong to --panorama sphere")
    if arguments.views is not None and arguments.panorama != "sphere" and arguments.panorama_photo is None:
        _refuse("--views belongs to --panorama sphere and --panorama-photo")
    if is_panorama(arguments) and arguments.fov is not None:
        _refuse("--fov has no meaning for a panorama: it is a full turn")
    if is_panorama(arguments) and arguments.disparity is not None:
        _refuse("a panorama does not follow a --disparity")
    if is_panorama(arguments) and (arguments.backdrop is not None or arguments.template == "backdrop"):
        _refuse("a panorama is no backdrop: it surrounds the camera")


def _refuse(reason: str) -> NoReturn:
    usage = _Parser(prog="jointdit scene")
    _add_scene(usage, required=True)
    usage.error(reason)


def _option(word: str) -> str:
    return f"--{word.replace('_', '-')}"


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number") from error


def _positive(text: str) -> float:
    value = _number(text)
    if value <= 0.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _share(text: str) -> float:
    value = _number(text)
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and 1")
    return value


def _angle(text: str) -> float:
    value = _positive(text)
    if value > 360.0:
        raise argparse.ArgumentTypeError(f"{text} is more than a full turn")
    return value


def _count(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return value


def _part(text: str) -> tuple[str, str]:
    direction, equals, words = text.partition("=")
    if not equals or direction not in DIRECTIONS or not words.strip():
        raise argparse.ArgumentTypeError(f"{text} is no part; give DIRECTION=TEXT, as up=clouds, with one of {', '.join(DIRECTIONS)}")
    return direction, words


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise argparse.ArgumentTypeError(f"{text} is no size; give N or WxH, as 128 or 192x128")
    return int(sides[0]), int(sides[-1])
