# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which graphics card this machine has, which build of PyTorch suits it, and how large that is."""

from __future__ import annotations

import re
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from .command import Command
from .interpreter import WorkerError

PATIENCE = 2.0
"""Seconds that the driver's own program may take to answer."""
FIRST_DRIVER = 525
"""The first NVIDIA driver for CUDA 12; the oldest PyTorch that the image generator works with has no build for an older CUDA."""
OWN_INDEX = "index"
"""The build that the person's own package index has, where uv shall not look for another one."""
_NAMES = re.compile(r"auto|cpu|xpu|index|cu\d{2,3}|rocm\d+(\.\d+)*")
_QUERY = ("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
_USUAL_PLACE = Path("C:/Program Files/NVIDIA Corporation/NVSMI/nvidia-smi.exe")

# Bytes to download and on disk, by accelerator and system. Sums of the sizes that the package index states for the runtime's requirements with
# PyTorch 2.15 (November 2026), with 20 MB for uv and 35 MB for Python; on disk as measured on Linux (CUDA 5.5 GB for PyTorch alone, CPU below).
# PyTorch for CUDA on Windows is one file of 1.8 (CUDA 13) to 2.7 GiB (CUDA 12.8) in public logs of uv; ROCm and what Windows unpacks are estimates.
_SIZES = {
    ("cuda", "linux"): (3.2e9, 6.5e9),
    ("cuda", "win32"): (2.9e9, 6e9),
    ("rocm", "linux"): (5e9, 16e9),
    ("cpu", "linux"): (0.4e9, 1.5e9),
    ("cpu", "win32"): (0.3e9, 1.3e9),
    ("cpu", "darwin"): (0.3e9, 1.2e9),
}


@dataclass(frozen=True)
class Graphics:
    """The card to work on: `text` names it for a person; `kind` is “cuda”, “rocm”, “metal” or “”. `outdated`: its driver is too old."""

    text: str
    kind: str = ""
    outdated: bool = False


@dataclass(frozen=True)
class Build:
    """A build of PyTorch: its name for uv, what it is in words, and about how many bytes it and all else need."""

    name: str
    words: str
    download: int
    disk: int


def find_graphics(system: str = sys.platform) -> Graphics:
    """Look for a card; takes at most about two seconds, and finds none rather than fail."""
    if system == "darwin":
        return Graphics("Apple GPU", "metal")
    for program in (shutil.which("nvidia-smi"), str(_USUAL_PLACE)):
        if program and Path(program).is_file():
            found = read_cards(_ask(program))
            if found:
                return found
    if system == "linux" and shutil.which("rocm_agent_enumerator"):
        return Graphics("AMD GPU with ROCm", "rocm")
    return Graphics("no NVIDIA card was found")


def read_cards(answer: str) -> Graphics | None:
    """The card with the most memory in what nvidia-smi says; None where it names no card."""
    cards = []
    for line in answer.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 3 and (driver := re.match(r"(\d+)[\d.]*$", fields[1])):
            memory = re.match(r"\d+", fields[2])
            cards.append((int(memory[0]) if memory else 0, fields[0], fields[1], int(driver[1])))
    if not cards:
        return None
    _, name, version, major = max(cards)
    return Graphics(f"{name} (driver {version})", "cuda", outdated=major < FIRST_DRIVER)


def is_same_card(one: str, other: str) -> bool:
    """Whether two texts of `Graphics` ask for the same build: the same card, with drivers of the same main version."""
    return re.sub(r"(\(driver \d+)[\d.]*\)", r"\1", one) == re.sub(r"(\(driver \d+)[\d.]*\)", r"\1", other)


def choose_build(asked: str, graphics: Graphics, system: str = sys.platform) -> Build:
    """The build to install where `asked` (“auto”, “cpu”, “index”, or uv's name of one) is wished; raises ValueError for any other word.

    uv itself chooses between the builds for CUDA by driver and card; where there is neither NVIDIA's nor AMD's card it is not left to choose, since
    it would fetch one for Intel's, on which the image generator does not work.
    """
    if not _NAMES.fullmatch(asked):
        raise ValueError(asked)
    kind, name = "cpu", asked
    if asked == "auto":
        if graphics.kind == "metal":
            words = "for Apple's GPU"
        elif graphics.outdated:
            name, words = (
                "cpu",
                f"for the processor, since the driver of the card is too old ({FIRST_DRIVER} or newer is needed: update it first to use the card)",
            )
        elif graphics.kind:
            kind, words = graphics.kind, f"for {graphics.text}"
        else:
            name, words = "cpu", f"for the processor, which takes much longer than a graphics card ({graphics.text})"
    elif asked == OWN_INDEX:
        kind, words = "cuda" if system == "linux" else "cpu", "that your package index has"
    else:
        kind = "rocm" if asked.startswith("rocm") else "cpu" if asked == "cpu" else "cuda"
        words = "for the processor, as chosen" if asked == "cpu" else f"“{asked}”, as chosen"
    download, disk = _SIZES.get((kind, system)) or _SIZES.get((kind, "linux"), _SIZES["cpu", "linux"])
    return Build(name, words, int(download), int(disk))


def _ask(program: str) -> str:
    """What nvidia-smi prints; nothing where it cannot answer in time. A driver that hangs may not even let it be killed, so nobody waits for that."""
    try:
        command = Command([program, *_QUERY])
    except WorkerError:
        return ""
    if command.wait(PATIENCE) == 0:
        return "\n".join(command.lines())
    threading.Thread(target=command.stop, name="jointdit graphics", daemon=True).start()
    return ""
