# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit render-set`: starts Blender, which renders .blend files to a training set (docs/render-set.md), and starts it again if a file crashes it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from .errors import InputError, JointDiTError
from .lines import say

WRONG_USAGE, STOPPED = 2, 130
# Loaded by its file: a folder of modules of another Python on Blender's path would hide Blender's own.
LOAD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("jointdit_blender", {package!r}, submodule_search_locations=[{folder!r}])
module = sys.modules["jointdit_blender"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
"""
IN_PROGRAM = "from jointdit_blender.headless import command\nsys.exit(command(sys.argv[sys.argv.index('--') + 1:]))\n"
IN_MODULE = "from jointdit_blender.__main__ import main\nsys.exit(main())\n"


def _option(name: str, about: str, **more: Any) -> click.Option:
    return click.Option([f"--{name}"], help=about, **more)


# Blender checks their values; what is not given is not passed on.
PASSED = (
    _option("out", "Where the pictures go.", type=click.Path(path_type=Path), required=True),
    _option("scene", "Only this scene; may be repeated.", multiple=True),
    _option("camera", "Only this camera; may be repeated.", multiple=True),
    _option("frames", "Frames of the timeline, as 1,10,20-100:5; default: the one at which the file was saved."),
    _option("path", "Also look from elsewhere at what the cameras look at: orbit, dolly or random."),
    _option("count", "Pictures on the path, for each scene; default: 16."),
    _option("fov", "Their horizontal field of view in degrees; default: 35..75."),
    _option("own/--no-own", "Render through the scene's own cameras too; default: yes.", default=None),
    _option("lights", "Pictures for each camera, each in other light; default: 1."),
    _option("engine", "cycles or eevee; default: the file's own."),
    _option("samples", "Default: the file's own."),
    _option("size", "Pixels, as N or WxH; default: 512."),
    _option("device", "Where Cycles renders: auto, cpu or gpu."),
    _option("seed", "The same seed gives the same cameras and light; default: 0."),
    _option("caption", "Template of the captions."),
    _option("allow-missing", "Render files although textures or libraries of theirs are lost.", is_flag=True),
)


@dataclass
class Told:
    """What Blender has said of the files so far."""

    last: int = 0
    made: int = 0
    before: int = 0
    failed: int = 0
    ended: dict[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """In words."""
        counted = f"{self.last} {'file' if self.last == 1 else 'files'}" + (f", {self.failed} failed" if self.failed else "")
        return f"{counted}: {self.made} {'picture' if self.made == 1 else 'pictures'} made" + (f", {self.before} made before." if self.before else ".")


class RenderSet(click.Command):
    """Its options are those that are passed on, and two of its own."""

    def __init__(self) -> None:
        blender = _option("blender", "The Blender program; default: the one on PATH, else the module bpy of this Python.", type=click.Path(path_type=Path))
        lines = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON lines, for programs.")
        files = click.Argument(["files"], nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILES.blend...")
        about = "Render .blend FILES to pictures with exact depth and captions, to train on. Run the same command again to go on."
        super().__init__("render-set", params=[files, *PASSED, blender, lines], callback=_run, help=about)


def _run(files: tuple[Path, ...], blender: Path | None, as_json: bool, **options: Any) -> None:
    try:
        words = [*(str(path.absolute()) for path in files), *_words(options), "--json"]
        code = _render(find_blender(blender), files, words, as_json)
    except JointDiTError as error:
        if as_json:
            say(error=str(error))
            sys.exit(1)
        raise click.ClickException(str(error)) from error
    sys.exit(code)


def find_blender(chosen: Path | None = None) -> list[str]:
    """How a command of the add-on's is started, without its words. Raises `InputError`."""
    spec = importlib.util.find_spec("jointdit_blender")
    if spec is None or spec.origin is None:
        raise InputError("This installation of JointDiT lacks the part that runs inside Blender; use “blender --command jointdit render-set” instead.")
    load = LOAD.format(package=spec.origin, folder=str(Path(spec.origin).parent))
    if chosen is not None and chosen.suffix == ".app":
        chosen = chosen / "Contents/MacOS/Blender"
    program = str(chosen.expanduser()) if chosen is not None else shutil.which("blender")
    if chosen is not None and not chosen.expanduser().is_file():
        raise InputError(f"There is no Blender at {chosen}; name the program itself with --blender.")
    if program is not None:
        return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python-expr", load + IN_PROGRAM, "--"]
    if importlib.util.find_spec("bpy") is not None:
        return [sys.executable, "-c", load + IN_MODULE]
    raise InputError("No Blender was found; install it, or name the program with --blender.")


def _words(options: dict[str, Any]) -> list[str]:
    """Options as words again."""
    words = []
    for parameter in PASSED:
        value = options[str(parameter.name)]
        if isinstance(value, bool):
            words += [parameter.opts[0]] if value else parameter.secondary_opts
        else:
            values = value if isinstance(value, tuple) else () if value is None else (value,)
            # In one word: a value may begin with a dash.
            words += [f"{parameter.opts[0]}={item.absolute() if isinstance(item, Path) else item}" for item in values]
    return words


def _render(start: list[str], files: tuple[Path, ...], words: list[str], as_json: bool) -> int:
    told = Told()
    code = 0
    while told.last < len(files):
        code = _follow([*start, "render-set", *words, f"--first={told.last + 1}"], told, as_json)
        # Without files to speak of it has said why there are none; a code 1 without any word is a Blender that does not start.
        if code == WRONG_USAGE or (told.ended and "failed" not in told.ended) or (code == 1 and not told.ended and not told.last):
            return code
        if told.ended or code == STOPPED:
            break
        _tell_crash(files, told, code, as_json)
    code = STOPPED if code == STOPPED else 1 if told.failed else 0
    status = {0: "done", STOPPED: "stopped"}.get(code, "failed")
    sentence = str(told.ended.get("message", "Stopped.")) if code == STOPPED else told.sentence
    if as_json:
        say(status=status, exit=code, made=told.made, before=told.before, failed=told.failed, message=sentence)
    else:
        click.echo(sentence)
    return code


def _tell_crash(files: tuple[Path, ...], told: Told, code: int, as_json: bool) -> None:
    """The file after the last one that Blender has spoken of has ended it."""
    told.last += 1
    told.failed += 1
    sentence = f"Blender has crashed (exit code {code}); open the file in Blender to see what is wrong."
    path = files[told.last - 1]
    if as_json:
        say(file=str(path.absolute()), number=told.last, status="failed", made=0, before=0, message=sentence, notes=[])
    else:
        click.echo(f"file {told.last} of {len(files)}: {path.name}: failed. {sentence}", err=True)


def _follow(command: list[str], told: Told, as_json: bool) -> int:
    """Run Blender to its end; its progress goes to standard error as it comes. Raises `InputError` when it cannot be started."""
    try:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{command[0]} cannot be started ({error.strerror or error}); name another Blender with --blender.") from error
    assert child.stdout is not None, "Popen was given a pipe"
    stopped = False
    try:
        while True:
            try:
                for line in child.stdout:
                    _hear(line, told, as_json)
                code = child.wait()
                return STOPPED if stopped else code
            except KeyboardInterrupt:
                if stopped:
                    return STOPPED
                # Ctrl-C has reached Blender too; it ends when the picture at hand is done, and says how many there are.
                stopped = True
    finally:
        if child.poll() is None:
            child.terminate()


def _hear(line: str, told: Told, as_json: bool) -> None:
    """One line of Blender's: ours are JSON objects, and it has its own."""
    try:
        said = json.loads(line)
    except ValueError:
        return
    if not isinstance(said, dict) or "status" not in said:
        return
    if "number" not in said:
        told.ended = said
        if said["status"] == "stopped":
            told.made, told.before = int(said["made"]), int(said["before"])
        return
    told.last = int(said["number"])
    told.made, told.before = told.made + int(said["made"]), told.before + int(said["before"])
    told.failed += said["status"] != "done"
    if as_json:
        say(**said)


render_set_command = RenderSet()
