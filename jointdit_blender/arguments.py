# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the command line. The options that build say the same as the panel and as `BuildOptions`."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .core.request import DIRECTIONS, KINDS, VIEWS

if TYPE_CHECKING:
    from .scene.options import BuildOptions

EXPORTS = (".glb", ".ply", ".usd", ".usdc", ".obj")
TEMPLATES = ("backdrop", "room", "dome", "points")
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
    "pack": "pack",
}
"""Options of the command line and the fields of `BuildOptions` that they set. All are None unless they are given."""


def parse(argv: list[str]) -> argparse.Namespace:
    """Raises SystemExit, having said why, when the words make no sense."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.template == "dome" and arguments.prompt is not None:
        arguments.panorama = arguments.panorama or "sphere"
    _check(parser, arguments)
    _check_panorama(parser, arguments)
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
    options = replace(start, **given)
    # A backdrop hangs on its camera, whatever the template says of the ground.
    return options if options.backdrop is None else replace(options, ground=None, floor=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jointdit", description="From a sentence, a frame folder or two pictures to a Blender scene.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    scene = commands.add_parser("scene", help="make a .blend file", description="Make a .blend file with a surface or points and their camera.")
    source = scene.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompt", help="generate image and depth from this sentence")
    source.add_argument("--frame", type=Path, metavar="FOLDER", help="a frame folder")
    source.add_argument("--image", type=Path, help="a picture; needs --disparity or --depth")
    source.add_argument("--panorama-photo", type=Path, metavar="FILE", help="find the depth of this photograph of 360 x 180 degrees")
    scene.add_argument("--depth", type=Path, metavar="FILE", help="distance in meters for every pixel of --image: EXR or NPY")
    scene.add_argument("--disparity", type=Path, metavar="FILE", help="closeness for every pixel of --image: EXR, 16-bit PNG or NPY")
    scene.add_argument("--out", type=Path, required=True, metavar="FILE.blend")
    scene.add_argument("--into", type=Path, metavar="FILE.blend", help="build into this file instead of an empty one; it is changed only if --out names it too")
    scene.add_argument("--output", type=Path, metavar="FOLDER", help="where frame folders are made (default: “frames” beside the .blend)")
    scene.add_argument("--render", type=Path, metavar="FILE.png", help="also render the scene through its camera")
    scene.add_argument("--template", choices=TEMPLATES, help="start from the settings of a quick start; other options change them")
    _add_building(scene)
    _add_results(scene)
    _add_panorama(scene)
    generation = scene.add_argument_group("with --prompt or --panorama-photo")
    generation.add_argument("--seed", type=int, default=0)
    generation.add_argument("--size", type=_size, metavar="N or WxH", help="pixels; a sphere is twice as wide as high")
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
    depth.add_argument("--clean", action=argparse.BooleanOptionalAction, default=None, help="clean edges and remove specks (yes)")
    behind = "continue behind things what stands behind them (yes)"
    depth.add_argument("--back-layer", action=argparse.BooleanOptionalAction, default=None, help=behind)
    sky = "where the sky goes: if there is one on a far sheet, or kept, removed, on a far dome, on the world (auto)"
    depth.add_argument("--sky", choices=("auto", "keep", "remove", "dome", "world"), help=sky)
    depth.add_argument("--sky-cutoff", type=_share, metavar="SHARE", help="share of disparity up to which pixels are sky (found)")
    depth.add_argument("--point-size", type=_positive, metavar="FACTOR", help="size of points, 1 where neighbors touch (1)")

    placing = scene.add_argument_group("placing")
    placing.add_argument("--backdrop", type=_positive, metavar="METRES", help="fit the picture to the scene's camera, so far away")
    placing.add_argument("--focal-length", type=_positive, metavar="MM", help="with --backdrop: focal length that the camera gets")
    follow = "with --backdrop: let it move with the camera (yes)"
    placing.add_argument("--follow", action=argparse.BooleanOptionalAction, default=None, help=follow)
    placing.add_argument("--ground", type=_positive, metavar="METRES", help="level the ground, the camera so high above it")
    placing.add_argument("--floor", action="store_const", const=True, help="add a floor that catches shadows")

    look = scene.add_argument_group("look")
    look.add_argument("--relit", action="store_const", const=True, help="let the scene's lights shine on the picture")
    look.add_argument("--environment", action="store_const", const=True, help="surround the scene with the picture, so that it gives light")
    look.add_argument("--link", dest="pack", action="store_const", const=False, help="leave the pictures in the frame folder instead of the .blend")


def _add_results(scene: argparse.ArgumentParser) -> None:
    results = scene.add_argument_group("plain meshes")
    bake = "also make a plain mesh; with a number, simplified to this error in percent of the distance"
    results.add_argument("--bake", type=_positive, nargs="?", const=0.0, metavar="ERROR", help=bake)
    export = f"write the plain mesh as {', '.join(EXPORTS)}; may be repeated"
    results.add_argument("--export", type=Path, action="append", default=[], metavar="FILE", help=export)


def _add_panorama(scene: argparse.ArgumentParser) -> None:
    panorama = scene.add_argument_group("panoramas, with --prompt")
    panorama.add_argument("--panorama", choices=KINDS, help="make everything around, or a band along the horizon")
    panorama.add_argument("--around", type=Path, metavar="FRAME", help="a frame folder that becomes the view ahead")
    part = f"what is seen there instead of the prompt: {', '.join(DIRECTIONS)}; may be repeated"
    panorama.add_argument("--part", type=_part, action="append", default=[], metavar="DIRECTION=TEXT", help=part)
    panorama.add_argument("--views", type=int, choices=VIEWS, help="of how many views a sphere is made")


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if (arguments.image is None) != (arguments.disparity is None and arguments.depth is None):
        parser.error("--image goes together with --disparity or --depth")
    if arguments.disparity is not None and arguments.depth is not None:
        parser.error("--depth takes the place of --disparity")
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
    backdrop = arguments.backdrop is not None or arguments.template == "backdrop"
    if not backdrop and (arguments.focal_length is not None or arguments.follow is not None):
        parser.error("--focal-length and --follow need --backdrop")
    if backdrop and (arguments.ground is not None or arguments.floor):
        parser.error("--backdrop excludes --ground and --floor: a backdrop hangs on the camera")
    if arguments.sky_cutoff is not None and arguments.sky == "keep":
        parser.error("--sky-cutoff has no use with --sky keep")
    imported = (arguments.scale, arguments.shift, arguments.focal, arguments.principal_point)
    if arguments.image is None and any(value is not None for value in imported):
        parser.error("--scale, --shift, --focal and --principal-point belong to --image")
    for path in arguments.export:
        if path.suffix.lower() not in EXPORTS:
            parser.error(f"--export must end in {', '.join(EXPORTS)}")


def _check_panorama(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.panorama is not None and arguments.prompt is None:
        parser.error("--panorama goes together with --prompt; for a photograph there is --panorama-photo")
    if arguments.panorama != "sphere" and (arguments.around is not None or arguments.part):
        parser.error("--around and --part belong to --panorama sphere")
    if arguments.views is not None and arguments.panorama != "sphere" and arguments.panorama_photo is None:
        parser.error("--views belongs to --panorama sphere and --panorama-photo")
    if is_panorama(arguments) and arguments.fov is not None:
        parser.error("--fov has no meaning for a panorama: it is a full turn")
    if is_panorama(arguments) and (arguments.backdrop is not None or arguments.template == "backdrop"):
        parser.error("a panorama is no backdrop: it surrounds the camera")


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0.0):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and 1")
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
