# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit features`: the feature view of the paper's figure 6, as a picture, as arrays and as figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from .errors import InputError, JointDiTError, OutputError

if TYPE_CHECKING:
    from torch import Tensor

    from .features import View

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
MOST_SEED = 2**63 - 1


@click.command("features")
@click.argument("prompts", nargs=-1)
@click.option("--prompts-file", type=FILE, help="More prompts: text with one a line.")
@click.option("--frames", type=FOLDER, help="A folder of frame folders to look at, instead of generating pairs.")
@click.option("--output", type=FOLDER, default=Path("jointdit-features"), show_default=True, help="Folder for features.png, features.npy and features.json.")
@click.option("--samples", type=click.IntRange(1), help="Pairs to find the components of; default: 50, or all frames.")
@click.option("--shown", type=click.IntRange(1), default=6, show_default=True, help="Pairs on the sheet.")
@click.option("--blocks", help="Double-stream blocks, such as 0,6,18, or all; default: a few.")
@click.option("--without", type=click.Choice(["joint", "adaptive"]), multiple=True, help="Show also what is left without joint connection or adaptive weights.")
@click.option("--sigma", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.52, show_default=True, help="Noise level; 1 is noise.")
@click.option("--size", type=click.IntRange(16), help="Pixels of each side; default: the model's own.")
@click.option("--seed", type=click.IntRange(0, MOST_SEED), default=0, show_default=True, help="Of the first pair; the others follow it.")
@click.option("--steps", type=click.IntRange(2), default=20, show_default=True, help="Sampling steps.")
@click.option("--guidance", type=click.FloatRange(0), help="How strictly prompts are followed; default: the model's own.")
@click.option("--model", default="embedded", show_default=True, help="A model's name, or the folder of a pipeline.")
def features_command(prompts: tuple[str, ...], prompts_file: Path | None, frames: Path | None, output: Path, shown: int, **options: Any) -> None:
    """Show what the two branches look at half-way from noise to picture: principal components of the features of the double-stream blocks.

    Pairs are generated from PROMPTS, which take turns; choose prompts of one kind, such as rooms.
    """
    try:
        view = _view(_prompts(prompts, prompts_file, frames), frames, output, **options)
        _write(view, output, shown)
    except JointDiTError as error:
        raise click.ClickException(str(error)) from error


def _prompts(prompts: tuple[str, ...], file: Path | None, frames: Path | None) -> list[str]:
    if bool(frames) == bool(prompts or file):
        raise InputError("Give either prompts, or frame folders with --frames.")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines() if file else []
    except (OSError, ValueError) as error:
        raise InputError(f"The prompts in {file} cannot be read ({error}). Save them as text in UTF-8.") from error
    found = [*prompts, *(line.strip() for line in lines if line.strip())]
    if not found and not frames:
        raise InputError("There is no prompt. Describe what the pictures shall show.")
    return found


def _view(
    prompts: list[str], frames: Path | None, output: Path, samples: int | None, blocks: str | None, without: tuple[str, ...], sigma: float,
    size: int | None, seed: int, steps: int, guidance: float | None, model: str,
) -> View:  # fmt: skip
    from .features import SAMPLES, choose_blocks, look, noised, sampled
    from .frame import check_output
    from .models import Models
    from .wishes import Wish

    check_output(output)
    models = Models()
    found = models.find(model)
    given = _read_frames(frames, samples) if frames else None
    side = size or found.index.get("native_size") or 1024
    height, width = given[1].shape[-2:] if given else (side, side)
    pipeline = models.pipeline(found, Wish(width, height, steps, compile="off"))
    at_once = max(1, models.pairs_at_once(width, height, steps))
    chosen = choose_blocks(pipeline, _numbers(blocks, len(pipeline.transformer.transformer_blocks)))
    count = len(given[0]) if given else samples or SAMPLES
    variants = list(dict.fromkeys(without))
    with tqdm(total=count * ((0 if given else steps) + 1 + len(variants)), desc="looking", leave=False, file=sys.stderr) as bar:
        seeds = range(seed, seed + count)
        if given:
            pairs = noised(pipeline, *given, seeds, sigma)
        else:
            turns = [prompts[i % len(prompts)] for i in range(count)]
            pairs = sampled(pipeline, turns, seeds, width, height, steps, guidance, sigma, at_once, bar.update)
        return look(pipeline, pairs, chosen, variants, guidance, at_once, bar.update)


def _numbers(blocks: str | None, count: int) -> list[int] | None:
    if blocks is None or blocks == "all":
        return None if blocks is None else list(range(count))
    try:
        return [int(number) for number in blocks.split(",")]
    except ValueError as error:
        raise InputError(f"{blocks!r} are no numbers of blocks; write 0,6,18, or all.") from error


def _read_frames(folder: Path, most: int | None) -> tuple[list[str], Tensor, Tensor]:
    """Prompts, images (N, 3, H, W) and disparities (N, H, W) in [0, 1] of frame folders of one size. Raises `InputError`."""
    import numpy as np
    import torch

    from .evaluation.folders import maps_in, prompts_in
    from .pictures import checked_disparity, read_disparity, read_image

    frames = [(name, path) for name, path in sorted(maps_in(folder).items()) if path.is_dir()][:most]
    if not frames:
        raise InputError(f"The folder {folder} holds no frame folders. Make some with jointdit generate.")
    prompts = prompts_in(folder)
    images = [np.asarray(read_image(path / "image.png"), np.float32) / 255 for _, path in frames]
    disparities = [checked_disparity(read_disparity(path / "disparity.exr"), name) for name, path in frames]
    if len({part.shape[:2] for part in (*images, *disparities)}) > 1:
        raise InputError("The frames are not all of one size, but the features of all are looked at together. Choose frames of one size.")
    return (
        [prompts.get(name, " ") for name, _ in frames],
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack(disparities)),
    )


def _write(view: View, output: Path, shown: int) -> None:
    import numpy as np

    from .features import BRANCHES, as_table, figures
    from .features_sheet import sheet

    about = {
        "prompts": view.pairs.prompts,
        "maps": {"axes": ["variant", "block", "branch", "sample", "row", "column", "component"], "shape": view.maps.shape, "branches": BRANCHES},
        "variants": view.variants,
        "blocks": view.blocks,
        **figures(view),
    }
    try:
        sheet(view, shown).save(output / "features.png")
        np.save(output / "features.npy", view.maps)
        (output / "features.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The features cannot be written to {output} ({error.strerror or error}). Free some space or choose another folder.") from error
    click.echo(as_table(view))
    click.echo(output / "features.png")
