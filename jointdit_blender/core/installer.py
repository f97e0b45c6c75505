# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the image generator into a folder of its own, by the person's wish: planned first, then done step by step without ever waiting.

Blender's own Python is used once, to make an environment in which pip fetches uv, and is not changed. uv then makes the environment that runs the
image generator, where it can with a Python of its own, and fetches what the wheel in the extension asks for; it chooses the build of PyTorch.
"""

from __future__ import annotations

import atexit
import json
import platform
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .command import Command
from .downloads import Growth, read_downloads
from .environment import (
    STEPS,
    InstallError,
    Package,
    Record,
    has_long_paths,
    path_problem,
    read_package,
    read_record,
    size_of,
    tool,
    uninstall,
    variables,
)
from .errors import JointDiTError
from .failures import KEPT, RUNTIME_NOTICE, Failure, explain, kind_of, without_names
from .graphics import OWN_INDEX, choose_build, find_graphics, is_same_card
from .interpreter import WorkerError, interpreter_of
from .report import size_text

__all__ = ("InstallError", "Installation", "Installed", "Plan", "installed", "interpreter_of", "plan_installation", "uninstall")

UV = "uv>=0.9,<1"
PYTHONS = ">=3.11,<3.14"
PIP = """
import ensurepip, pathlib, runpy, sys
sys.path.insert(0, str(next(pathlib.Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))))
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
CHECK = """
import json
import diffusers, jointdit, torch
device, name, problem = "cpu", "the processor", ""
if torch.cuda.is_available():
    device, name = "cuda", torch.cuda.get_device_name()
    try:
        torch.ones(1, device="cuda").add_(1).item()
    except RuntimeError as error:
        problem = str(error).strip().split("\\n")[0]
elif torch.backends.mps.is_available():
    device, name = "mps", "Apple's GPU"
print(json.dumps({"version": jointdit.__version__, "torch": torch.__version__, "device": device, "name": name, "problem": problem}))
"""
_LOG_LINES = 80

Steps = Generator[None, None, None]


@dataclass(frozen=True)
class Plan:
    """What an installation will do. `backend` is the build of PyTorch: “auto”, “cpu”, “index”, or what uv calls one.

    Of what is there, `update` keeps all but the image generator itself, and `again` nothing but what has been downloaded.
    """

    folder: Path
    package: Path
    backend: str
    device: str
    download: int
    disk: int
    free: int
    words: str = ""
    update: bool = False
    again: bool = False

    @property
    def sentence(self) -> str:
        """For the person, before they consent: what is fetched, how large, where it goes, and which build of PyTorch it is, and why."""
        if self.update:
            fetched = "The image generator is brought up to the version of this extension. Only packages that changed are downloaded"
        elif self.again:
            fetched = "The image generator is installed anew: its packages are removed, and only those are downloaded that are not kept from the last time"
        else:
            fetched = (
                f"About {size_text(self.download)} are downloaded from the package indexes of Python and PyTorch: PyTorch {self.words}, and other packages"
            )
        return (
            f"{fetched}. They take about {size_text(self.disk)} in “{self.folder}”, where {size_text(self.free)} are free. "
            "Blender's own Python is not changed, and removing the installation removes all of it."
        )


@dataclass(frozen=True)
class Installed:
    """What is installed in a folder. `outdated`: the extension brings another image generator than this one."""

    version: str
    backend: str
    torch: str
    complete: bool
    outdated: bool


def plan_installation(folder: Path, package: Path, backend: str = "auto") -> Plan:
    """Look at the machine, for at most about two seconds, and say what an installation of `package` in `folder` would do.

    `package` is the wheel, or the folder of the extension that has it. Raises `InstallError`.
    """
    folder = folder.expanduser().absolute()
    wheel = read_package(package)
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise InstallError("PyTorch is no longer made for Macs with Intel processors: choose a Python on another machine, or an Apple silicon Mac.")
    problem = path_problem(folder, has_long_paths())
    if problem:
        raise InstallError(problem)
    graphics = find_graphics()
    try:
        build = choose_build(backend, graphics)
    except ValueError as error:
        raise InstallError(f"“{backend}” is no build of PyTorch: choose auto, cpu, or a name such as cu128.") from error
    free = _free(folder)
    record = read_record(folder)
    first = _first_step(record or Record(), folder, wheel, build.name, graphics.text)
    update = record is not None and first in ("packages", "check") and "packages" in record.finished
    again = not first
    wanted = wheel.path.stat().st_size if update or again else build.disk
    if free < wanted and wanted - size_of(folder) > free:
        raise InstallError(
            f"About {size_text(wanted)} are needed in “{folder}”, but only {size_text(free)} are free there. Make room, or choose a smaller build of PyTorch."
        )
    download = 0 if update or again else build.download
    return Plan(folder, wheel.path, build.name, graphics.text, download, build.disk, free, build.words, update, again)


def installed(folder: Path, package: Path | None = None) -> Installed | None:
    """What is installed in `folder`, compared with the wheel of the extension; None where nothing is."""
    record = read_record(folder)
    if record is None:
        return None
    outdated = False
    if package is not None:
        try:
            outdated = record.digest != read_package(package).digest
        except InstallError:
            outdated = False  # no wheel, no newer wheel
    complete = record.finished == STEPS and interpreter_of(folder).is_file()
    return Installed(record.version, record.backend, record.torch, complete, outdated)


class Installation:
    """One run. `poll` is called from a timer and takes milliseconds; it is over when `finished`, however that is.

    `done` of `total` bytes are the files that have arrived of those that uv has begun to fetch; both are 0 where nothing is fetched.
    """

    def __init__(self, plan: Plan, python: Path | None = None) -> None:
        """Starts nothing; `python` is Blender's."""
        self.plan = plan
        self.phase, self.message = "", ""
        self.done = self.total = 0
        self.finished = self.failed = self.cancelled = False
        self._python = python or Path(sys.executable)
        self._record = Record()
        self._variables: dict[str, str] = {}
        self._command: Command | None = None
        self._stopper: threading.Thread | None = None
        self._steps: Steps | None = None
        self._begun = self._ended = 0.0
        self._story: list[str] = []
        self._detail = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return (self._ended or time.monotonic()) - self._begun if self._begun else 0.0

    def start(self) -> None:
        """Begin; whatever goes wrong is told at a later `poll`.

        Finished steps of an earlier run are not done again, unless all are finished: then the environment is made anew.
        """
        self._begun = time.monotonic()
        self._steps = self._course()
        atexit.register(self._leave)

    def poll(self) -> None:
        """Take in the news, and begin the next step where one has ended."""
        if self._steps is None or self.finished:
            return
        try:
            next(self._steps)
        except StopIteration:
            self._end()
        except _StoppedError:
            self.cancelled = True
            self._end(f"The installation was stopped. {KEPT}: install again to go on.")
        except JointDiTError as error:
            self.failed = True
            self._end(str(error), error.detail)
        except OSError as error:
            self.failed = True
            self._end(f"“{error.filename or self.plan.folder}” cannot be written ({error.strerror or error}). {Failure.DENIED.value}")

    def cancel(self) -> None:
        """Have the running program and all that it started stopped; returns at once, and a later `poll` says that it has ended."""
        if self.finished or self._stopper is not None:
            return
        self.phase = "Stopping"
        command = self._command
        self._stopper = threading.Thread(target=command.stop if command else lambda: None, name="jointdit stop", daemon=True)
        self._stopper.start()

    def report(self) -> str:
        """Text for a bug report: the system, the steps, and what was printed last; without names of persons or secrets."""
        system = f"{platform.platform()}, Python {platform.python_version()}"
        plan = f"PyTorch {self.plan.backend!r}; {self.plan.device}; {size_text(self.plan.free)} free; {self.plan.package.name} in {self.plan.folder}"
        log = self._command.log().splitlines()[-_LOG_LINES:] if self._command else []
        state = "failed" if self.failed else "stopped" if self.cancelled else "finished" if self.finished else self.phase or "not started"
        parts = [system, plan, *self._story, f"{state} after {self.elapsed:.0f} s: {self.message}", self._detail or "\n".join(log)]
        return without_names("\n".join(part for part in parts if part))

    def _course(self) -> Steps:
        """All steps, each until its programs have ended."""
        folder = self.plan.folder
        wheel = read_package(self.plan.package)
        folder.mkdir(parents=True, exist_ok=True)
        self._record = record = read_record(folder) or Record()
        self._variables = variables(folder)
        # Who installs what is installed already has a reason to: a library was lost, or the driver is another one.
        record.forget(_first_step(record, folder, wheel, self.plan.backend, self.plan.device) or "environment")
        record.save(folder)
        for step, work in zip(STEPS, (self._get_tools, self._make_environment, self._get_packages, self._check), strict=True):
            if step in record.finished:
                continue
            begin = time.monotonic()
            yield from work(wheel)
            record.steps = [*record.finished, step]
            record.save(folder)
            self._story.append(f"{step}: {time.monotonic() - begin:.1f} s")

    def _get_tools(self, wheel: Package) -> Steps:
        self.phase = "Preparing the installer"
        tools = self.plan.folder / "tools"
        get = ["install", "--disable-pip-version-check", "--no-input", "--only-binary=uv", UV]
        command = yield from self._run([self._python, "-m", "venv", "--clear", tools])
        if command.code == 0 and tool(self.plan.folder, "python").is_file():
            command = yield from self._run([tool(self.plan.folder, "python"), "-m", "pip", *get])
            uv = tool(self.plan.folder, "uv")
        else:
            # Some Blenders come without the parts of Python that start an environment, but with pip in a wheel.
            command = yield from self._run([self._python, "-c", PIP, *get, "--target", tools])
            uv = tools / "bin" / tool(tools, "uv").name
        if command.code == 0 and uv.is_file():
            self._record.uv = [str(uv)]
            return
        problem = _failure(command)
        elsewhere = shutil.which("uv")
        for other in ([elsewhere] if elsewhere else [], [str(self._python), "-m", "uv"]):
            if not other:
                continue
            command = yield from self._run([*other, "--version"])
            version = re.match(r"uv (\d+)\.(\d+)", command.log())
            if command.code == 0 and version and (int(version[1]), int(version[2])) >= (0, 9):
                self._record.uv = other
                return
        raise problem

    def _make_environment(self, wheel: Package) -> Steps:
        self.phase = "Making the environment"
        make: list[str | Path] = ["venv", "--clear", self.plan.folder / "env", "--python"]
        # A Python that only this environment uses outlives updates of Blender and of the system; but where none can be fetched, any will do.
        for choice in (
            [PYTHONS, "--python-preference", "only-managed"],
            [PYTHONS, "--python-preference", "only-system", "--no-python-downloads"],
            [self._python, "--no-python-downloads"],
        ):
            command = yield from self._uv([*make, *choice])
            if command.code == 0:
                return
            if kind_of(command.log()) in (Failure.SPACE, Failure.DENIED):
                break
        raise _failure(command)

    def _get_packages(self, wheel: Package) -> Steps:
        self.phase = "Looking for packages"
        self._record.version, self._record.digest = wheel.version, wheel.digest
        self._record.backend, self._record.card = self.plan.backend, self.plan.device
        self._record.save(self.plan.folder)
        # Halves of files that were loading when a run was stopped.
        yield from self._uv(["cache", "prune"])
        choice = [] if self.plan.backend == OWN_INDEX else ["--torch-backend", self.plan.backend]
        wanted = f"jointdit[runtime] @ {wheel.path.as_uri()}"
        command = yield from self._uv(["pip", "install", "--python", interpreter_of(self.plan.folder), *choice, "--reinstall-package", "jointdit", wanted])
        if command.code != 0:
            raise _failure(command)

    def _check(self, wheel: Package) -> Steps:
        self.phase = "Checking the installation"
        command = yield from self._run([interpreter_of(self.plan.folder), "-c", CHECK])
        try:
            told = {name: str(value) for name, value in json.loads(command.lines()[-1]).items()}
            version, torch, device, name, problem = (told[key] for key in ("version", "torch", "device", "name", "problem"))
        except (IndexError, ValueError, KeyError, AttributeError) as error:
            log = command.log()
            if kind_of(log) is not Failure.NO_RUNTIME:
                # What a virus scanner has taken may be missing from uv's cache too, which goes with the installation.
                sentence = "Install again; if it fails again, remove the installation, then install, or copy the report."
                raise self._refused(f"The image generator was installed, but it does not start. {sentence}") from error
            raise self._refused(Failure.NO_RUNTIME.value, keep=RUNTIME_NOTICE in log.lower()) from error
        if problem:
            raise self._refused(
                f"PyTorch {torch} cannot compute on {name} ({problem}). Choose another build of PyTorch, such as cu126 for an older card, then install again."
            )
        self._record.version, self._record.torch, self._record.device = version, torch, name
        self.message = f"The image generator {version} is installed. PyTorch {torch} works on {name}."
        if device == "cpu" and self.plan.backend not in ("cpu", OWN_INDEX) and "NVIDIA" in self.plan.device:
            self.message += f" It has no build that fits {self.plan.device}: update the driver and restart, then install again."

    def _refused(self, sentence: str, *, keep: bool = False) -> InstallError:
        """The error of a check that failed. What does not work is made anew at the next try; with `keep` it is only checked again."""
        self._record.forget("check" if keep else "environment")
        self._record.save(self.plan.folder)
        return InstallError(sentence)

    def _uv(self, words: Sequence[str | Path]) -> Generator[None, None, Command]:
        """Run uv, counting what it loads. Where it does not know a certificate, once more with those that the system knows."""
        uv = self._record.uv or []
        # Settings of a project in the folder that Blender was started from are not ours.
        words = [*uv, *words, "--directory", self.plan.folder]
        command = yield from self._run(words, loads=True)
        if command.code != 0 and kind_of(command.log()) is Failure.CERTIFICATE and "UV_SYSTEM_CERTS" not in self._variables:
            self._variables |= {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
            command = yield from self._run(words, loads=True)
        return command

    def _run(self, words: Sequence[str | Path], loads: bool = False) -> Generator[None, None, Command]:
        """Run a program until it has ended; raises `_StoppedError` where the person wished it to stop."""
        if self._stopper is not None:
            raise _StoppedError
        phase = self.phase
        try:
            self._command = command = Command(words, self._variables)
        except WorkerError as error:
            raise InstallError(f"{error} See whether a virus scanner has taken it away, then install again.") from error
        growth = Growth(self.plan.folder) if loads else None
        try:
            while not command.ended and not (self._stopper and not self._stopper.is_alive()):
                if growth and self._stopper is None:
                    self._count(command.log(), growth.nbytes)
                yield
        finally:
            if growth:
                growth.stop()
            self.done = self.total = 0
        told = " ".join(word if "\n" not in word else "PROGRAM" for word in command.arguments)
        self._story.append(f"{told.replace(str(self.plan.folder), '…')} -> {command.code}")
        if self._stopper is not None:
            raise _StoppedError
        self.phase = phase
        return command

    def _count(self, log: str, grown: int) -> None:
        downloads = read_downloads(log)
        if not downloads.total:
            return
        self.done, self.total = downloads.done, downloads.total
        if downloads.loading:
            others = f" and {len(downloads.loading) - 1} more" if len(downloads.loading) > 1 else ""
            self.phase = f"Downloading {downloads.loading[0]}{others}, {size_text(grown)} unpacked"
        else:
            self.phase = "Installing the packages"

    def _end(self, message: str = "", detail: str = "") -> None:
        self.message, self._detail = message or self.message, detail
        self.finished, self._ended = True, time.monotonic()
        self.phase = ""
        atexit.unregister(self._leave)

    def _leave(self) -> None:
        """Blender is about to end: no program of ours goes on without it. Threads cannot be started any more."""
        if self._command:
            self._command.stop()


class _StoppedError(Exception):
    """The person wished to stop."""


def _first_step(record: Record, folder: Path, wheel: Package, backend: str, card: str) -> str:
    """The first step that is to be done for this wheel and build; "" where all of them are done."""
    stale = ""
    same = record.backend == backend and (backend != "auto" or not record.card or is_same_card(record.card, card))
    if not (record.uv and Path(record.uv[0]).is_file()):
        stale = "tools"
    elif not same or not interpreter_of(folder).is_file():
        # Another build of PyTorch brings other libraries with it: what would be left of the old ones is not worth keeping apart.
        stale = "environment"
    elif record.digest != wheel.digest:
        stale = "packages"
    return next((step for step in STEPS if step == stale or step not in record.finished), "")


def _failure(command: Command) -> InstallError:
    error = InstallError(explain(command.log(), command.code))
    error.detail = command.log()
    return error


def _free(folder: Path) -> int:
    """Bytes that are free where the folder is, or will be. Raises `InstallError` where nothing can be written there."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
        return shutil.disk_usage(place).free
    except OSError as error:
        raise InstallError(f"Nothing can be written in “{place}” ({error.strerror or error}): see to it that your account may, then try again.") from error
