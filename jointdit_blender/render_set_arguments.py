# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the command `render-set` (docs/render-set.md)."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from .arguments import UsageError, _count, _number, _size, _whole
from .core.captions import FIELDS, TEMPLATE, TemplateError, check_template
from .core.viewpoints import PATHS

ABOUT = (
    "Render .blend files to pictures with exact depth and captions, to train on: through their own cameras, along paths around what these look at, "
    "and in other light. The files are opened, never saved. Run the same command again to go on."
)
EXIT_CODES = "Exit code: 0 all is done, 1 a file or a scene has failed, 2 wrong usage, 130 stopped by Ctrl-C."
COUNT, FOV = 16, (35.0, 75.0)
MOST_PIXELS = 4096
LEAST_PIXELS = 16


def add_render_set(parser: argparse.ArgumentParser) -> None:
    """The options of `render-set`."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.blend")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the pictures go; nothing is written elsewhere")
    parser.add_argument("--scene", action="append", default=[], metavar="NAME", help="only this scene; may be repeated (all with a camera)")
    parser.add_argument("--camera", action="append", default=[], metavar="NAME", help="only this camera; may be repeated (all of the scene)")
    parser.add_argument("--frames", type=_frames, metavar="LIST", help="frames of the timeline, as 1,10,20-100:5 (the one at which the file was saved)")
    parser.add_argument("--seed", type=_whole, default=0, help="the same seed gives the same cameras and light (0)")
    parser.add_argument("--allow-missing", action="store_true", help="render files although textures or libraries of theirs are lost")
    parser.add_argument("--first", type=_count, default=1, metavar="N", help="begin with the N-th of the files (1)")
    parser.add_argument("--json", action="store_true", help="one JSON object for each file, and one for all, on standard output")
    cameras = parser.add_argument_group("more cameras")
    cameras.add_argument("--path", choices=PATHS, help="also look from elsewhere at what the cameras look at: around it, towards it, or from anywhere")
    cameras.add_argument("--count", type=_count, metavar="N", help="pictures on the path, for each scene (16)")
    cameras.add_argument("--fov", type=_span, metavar="FROM..TO", help="their horizontal field of view in degrees (35..75)")
    cameras.add_argument("--own", action=argparse.BooleanOptionalAction, default=True, help="render through the scene's own cameras too (yes)")
    light = parser.add_argument_group("light and look")
    light.add_argument("--lights", type=_count, default=1, metavar="K", help="pictures for each camera, each in other light; the first in the scene's own (1)")
    light.add_argument("--engine", choices=("cycles", "eevee"), help="instead of the file's own")
    light.add_argument("--samples", type=_count, metavar="N", help="instead of the file's own")
    light.add_argument("--size", type=_pixels, default=(512, 512), metavar="N or WxH", help="pixels (512)")
    light.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help="where Cycles renders (a graphics card, if there is one)")
    fields = ", ".join(f"{{{name}}}" for name in FIELDS)
    parser.add_argument("--caption", type=_template, default=TEMPLATE, metavar="TEMPLATE", help=f"text with the fields {fields} (“{TEMPLATE}”)")
    parser.epilog = EXIT_CODES


def complete_render_set(given: argparse.Namespace) -> None:
    """Put in what depends on other options. Raises `UsageError` when they do not go together."""
    if given.path is None and (given.count is not None or given.fov is not None):
        raise UsageError("--count and --fov need --path.")
    if given.path is None and not given.own:
        raise UsageError("--no-own leaves nothing to render without --path.")
    if given.first > len(given.files):
        raise UsageError(f"There are only {len(given.files)} files to begin with.")
    given.count, given.fov = given.count or COUNT, given.fov or FOV


def _frames(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(-?\d+)(?:(?:-|\.\.)(-?\d+)(?::(\d+))?)?", part.strip())
        if match is None or match[3] == "0":
            raise argparse.ArgumentTypeError(f"{text} is no list of frames; write 1,10,20-100:5")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f"{part.strip()} ends before it begins; write {last}-{first}")
        found += range(first, last + 1, int(match[3] or 1))
    return tuple(dict.fromkeys(found))


def _span(text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    first, last = _number(low), _number(high if dots else low)
    if not 5.0 <= first <= last <= 120.0:
        raise argparse.ArgumentTypeError(f"{text} is no range from 5 to 120 degrees; write 35..75")
    return first, last


def _pixels(text: str) -> tuple[int, int]:
    size = _size(text)
    if not all(LEAST_PIXELS <= side <= MOST_PIXELS for side in size):
        raise argparse.ArgumentTypeError(f"{text} is no size from {LEAST_PIXELS} to {MOST_PIXELS} pixels; write 512, or 640x480")
    return size


def _template(text: str) -> str:
    try:
        check_template(text)
    except TemplateError as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from error
    return text
