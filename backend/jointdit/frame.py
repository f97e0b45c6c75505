# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame folders (docs/frame.md): written under a temporary name first, so that nobody ever reads half of one; and read as a front view of a panorama."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .errors import InputError, OutputError
from .pictures import read_disparity, read_image, write_exr

FORMAT, VERSION = "jointdit-frame", 1


def check_output(folder: Path) -> None:
    """Make the output folder and try to write into it, before any long work. Raises `OutputError` with a sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"Nothing can be written to the folder {folder} ({error.strerror or error}). Choose another output folder.") from error


def folder_name(prompt: str, seed: int) -> str:
    """A short name that a person recognises and every file system accepts: the first words of the prompt and the seed."""
    words = "-".join(re.findall(r"[a-z0-9]+", prompt.lower()))[:48].strip("-")
    return f"{words or 'frame'}-{seed}"


def write_frame(output: Path, name: str, image: Image.Image, disparity: np.ndarray, about: Mapping[str, Any]) -> Path:
    """Write `image.png`, `disparity.exr` (float32 (H, W)) and `frame.json` (`about`, completed) into a new folder of `output`.

    Returns the folder: `name`, or `name-2`, ... where that exists; older results are never touched. Raises `OutputError` and leaves nothing behind.
    """
    check_output(output)
    if image.size != disparity.shape[::-1]:
        raise ValueError(f"image {image.size} and disparity {disparity.shape[::-1]} differ in size")
    document = {"format": FORMAT, "version": VERSION, **about, "width": image.width, "height": image.height}
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=output))
    try:
        image.save(temporary / "image.png")
        write_exr(temporary / "disparity.exr", disparity)
        (temporary / "frame.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.chmod(0o755)  # mkdtemp makes folders that only their owner may read
        return _rename_to_free(temporary, output / name)
    except OSError as error:
        raise OutputError(f"The result cannot be written to {output} ({error.strerror or error}). Free some space or choose another folder.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename_to_free(temporary: Path, wanted: Path) -> Path:
    for number in range(1, 100_000):
        target = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if target.exists():
            continue
        try:
            temporary.rename(target)
        except OSError:
            if not target.exists():  # not taken by somebody else a moment ago, but a real failure
                raise
        else:
            return target
    raise OutputError(f"The folder {wanted.parent} holds too many results of the name {wanted.name}. Choose another output folder.")


@dataclass(frozen=True)
class Front:
    """A perspective frame: an image and its disparity (H, W), and 1/z = scale * d + shift in 1/metres. The angle is horizontal, in degrees."""

    image: Image.Image
    disparity: np.ndarray
    horizontal_angle: float
    principal_point: tuple[float, float]
    scale: float
    shift: float

    @property
    def far(self) -> float:
        """Distance of the farthest pixel in metres; infinite where that is the sky."""
        farthest = self.scale * float(self.disparity.min()) + self.shift
        return 1 / farthest if farthest > 0 else float("inf")


def read_perspective(folder: Path) -> Front:
    """Read a perspective frame folder. Raises `InputError` with a sentence where it cannot be the front view of a panorama."""
    try:
        about = json.loads((folder / "frame.json").read_text(encoding="utf-8"))
        camera, mapping = about["camera"], about["mapping"]
        if about["format"] != FORMAT or about["version"] > VERSION:
            raise InputError(f"{folder} is a frame of a newer version ({about['version']}) or of another kind. Update this program.")
        if camera["projection"] != "perspective" or about["distance"] != "planar":
            raise InputError(f"{folder.name} is a {camera['projection']} frame; a front view must be an ordinary, perspective one.")
        angle, point = float(camera["horizontal_angle"]), tuple(map(float, camera.get("principal_point") or (0.5, 0.5)))
        if "near" in mapping:
            near, far = float(mapping["near"]), float(mapping["far"])
            scale, shift = 1 / near - 1 / far, 1 / far
        else:
            scale, shift = float(mapping["scale"]), float(mapping["shift"])
    except OSError as error:
        raise InputError(f"{folder} is no frame folder: its frame.json cannot be read ({error.strerror or error}). Choose another one.") from error
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise InputError(f"The frame.json in {folder} is damaged ({error}). Choose another frame, or make it again.") from error
    image, disparity = read_image(folder / "image.png"), read_disparity(folder / "disparity.exr")
    if image.size != disparity.shape[::-1] or min(image.size) < 16 or len(point) != 2 or not 1 <= angle < 175 or scale <= 0:
        raise InputError(f"The frame in {folder} does not fit together: sizes, angle or mapping are wrong. Make it again.")
    if not np.isfinite(disparity).all() or scale * float(disparity.min()) + shift < -1e-9:
        raise InputError(f"The disparity in {folder} has holes, or places behind infinity. Fill the holes first.")
    return Front(image, disparity, angle, point, scale, shift)
