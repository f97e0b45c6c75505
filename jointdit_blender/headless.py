# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program without a window: `scene` makes one .blend file, `batch` one for every row of a list, `render-set` makes pictures to train on of
.blend files, `doctor` looks whether everything works.

`python -m jointdit_blender scene …` (Blender as a Python module) · `blender --command jointdit scene …` (the installed extension) ·
`blender -b --python headless.py -- scene …`
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .making import Made

DONE, FAILED, WRONG_USAGE, STOPPED = 0, 1, 2, 130


def command(argv: list[str]) -> int:
    """Run the program; returns its exit code: 0 done, 1 failed with a sentence on stderr, 2 wrong usage, 130 stopped."""
    # All imports of ours are local: as a script this file has no package of its own.
    from .arguments import UsageError, parse

    try:
        arguments = parse(argv)
    except SystemExit:
        # Help was wanted; inside Blender the process must not end here.
        return DONE
    except UsageError as error:
        print(f"{error.usage}jointdit: {error}", file=sys.stderr)
        if "--json" in argv:
            _tell(status="failed", exit=WRONG_USAGE, message=str(error))
        return WRONG_USAGE
    run = {"scene": _scene, "batch": _batch, "render-set": _render_set, "doctor": _doctor}[arguments.command]
    with _interruptible():
        return run(arguments)


def _scene(arguments: Namespace) -> int:
    from .core.errors import JointDiTError

    began, out = time.monotonic(), str(arguments.out.absolute())
    try:
        with _quiet_stdout():
            made = _make(arguments)
    except JointDiTError as error:
        return _fail(arguments, FAILED, str(error))
    except KeyboardInterrupt:
        return _fail(arguments, STOPPED, "Stopped.")
    if arguments.json:
        paths = {"out": out, "outputs": [str(path) for path in made.outputs], "frame": str(made.frame)}
        seconds = round(time.monotonic() - began, 2)
        _tell(status="done", exit=DONE, message=made.sentence, **paths, vertices=made.vertices, seconds=seconds, warnings=list(made.warnings))
    else:
        print(f"{made.sentence}: {arguments.out}", flush=True)
    return DONE


def _make(arguments: Namespace) -> Made:
    from .api import Generator
    from .making import make_scene
    from .progress import ProgressLine

    with ProgressLine(sys.stderr) as progress, Generator(arguments.python) as generator:
        made = make_scene(arguments, generator, progress.show)
    for warning in made.warnings:
        print(f"jointdit: {warning}", file=sys.stderr)
    return made


def _fail(arguments: Namespace, code: int, sentence: str) -> int:
    print(f"jointdit: {sentence}", file=sys.stderr)
    if arguments.json:
        _tell(status="stopped" if code == STOPPED else "failed", exit=code, message=sentence, out=str(arguments.out.absolute()))
    return code


def _tell(**values: Any) -> None:
    """One line for a program, in plain ASCII whatever the terminal's encoding is."""
    print(json.dumps(values), flush=True)


def _batch(arguments: Namespace) -> int:
    from .batch import run_batch
    from .core.batch import ListError
    from .core.errors import JointDiTError

    try:
        with _quiet_stdout():
            summary = run_batch(arguments, sys.stderr)
    except JointDiTError as error:
        print(f"jointdit: {error}", file=sys.stderr)
        return WRONG_USAGE if isinstance(error, ListError) else FAILED
    except KeyboardInterrupt:
        print("jointdit: Stopped.", file=sys.stderr)
        return STOPPED
    print(summary.sentence, flush=True)
    return STOPPED if summary.stopped else FAILED if summary.failed else DONE


def _render_set(arguments: Namespace) -> int:
    from .core.errors import JointDiTError
    from .render_set import run_render_set

    with os.fdopen(os.dup(1), "w", encoding="ascii") as told:

        def tell(**values: Any) -> None:
            if arguments.json:
                print(json.dumps(values), file=told, flush=True)

        try:
            with _quiet_stdout():
                summary = run_render_set(arguments, sys.stderr, tell)
        except JointDiTError as error:
            print(f"jointdit: {error}", file=sys.stderr)
            tell(status="failed", exit=FAILED, message=str(error))
            return FAILED
        code = STOPPED if summary.stopped else FAILED if summary.failed else DONE
        status = {DONE: "done", FAILED: "failed", STOPPED: "stopped"}[code]
        tell(status=status, exit=code, made=summary.count.made, before=summary.count.before, failed=summary.failed, message=summary.sentence)
    if not arguments.json:
        print(summary.sentence, flush=True)
    return code


def _doctor(arguments: Namespace) -> int:
    from .doctor import examine

    try:
        healthy = examine(arguments.python, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        print("jointdit: Stopped.", file=sys.stderr)
        return STOPPED
    return DONE if healthy else FAILED


@contextmanager
def _interruptible() -> Iterator[None]:
    """Meanwhile Ctrl-C raises KeyboardInterrupt: a Blender without a window would only make a note of it and go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        # None: it was not Python's, and only its owner can put it back.
        if before is not None:
            signal.signal(signal.SIGINT, before)


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
