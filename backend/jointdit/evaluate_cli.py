# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit evaluate …`: figures of what a model makes, as a table and as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from tqdm import tqdm

from .errors import InputError, JointDiTError, OutputError

if TYPE_CHECKING:
    import numpy as np

    from .evaluation.depth import Compared, Estimate
    from .evaluation.folders import Pair

Item = TypeVar("Item")
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
SPACES = ("disparity", "depth")
NOTES = 10
"""So many pictures that were left out are named; JSON has all."""


class Measuring(click.Group):
    """Errors that a person can mend end as one sentence and exit code 1."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except JointDiTError as error:
            raise click.ClickException(str(error)) from error


@click.group("evaluate", cls=Measuring)
def evaluate_group() -> None:
    """Measure what a model makes."""


def json_file(command: Callable[..., None]) -> Callable[..., None]:
    """The option `--json FILE`, as `file`."""
    return click.option("--json", "file", type=FILE, help="Also write the figures to this file.")(command)


def _check(file: Path | None) -> None:
    """Before any long work: that the figures can be written."""
    from .frame import check_output

    if file is not None:
        check_output(file.absolute().parent)


def _write(file: Path | None, figures: Any) -> None:
    if file is None:
        return
    try:
        file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The figures cannot be written to {file} ({error.strerror or error}). Choose another file.") from error


def _watch(items: Sequence[Item]) -> Iterable[Item]:
    return tqdm(items, desc="measuring", leave=False, file=sys.stderr)


def _tell(notes: Sequence[str]) -> None:
    for note in notes[:NOTES]:
        click.echo(f"Note: {note}", err=True)
    if len(notes) > NOTES:
        click.echo(f"Note: and {len(notes) - NOTES} more were left out.", err=True)


def _tell_compared(title: str, protocol: dict[str, Any], compared: Compared, file: Path | None) -> None:
    from .evaluation.depth import as_json, as_table

    _tell([f"{name} is left out. {why}" for name, why in compared.left_out.items()])
    click.echo(as_table(title, compared))
    _write(file, as_json(protocol, compared))


@evaluate_group.command("depth")
@click.argument("predictions", type=FOLDER)
@click.argument("truth", type=FOLDER)
@click.option("--dataset", default="other", show_default=True, help="Whose range and crop count: nyuv2, scannet, kitti, diode, eth3d or other.")
@click.option("--predicted", type=click.Choice(SPACES), default="disparity", show_default=True, help="What the predictions hold.")
@click.option("--alignment", type=click.Choice(SPACES), help="Where scale and shift are fitted; default: in what the predictions hold.")
@click.option("--nearest", type=float, help="Nearest depth that counts, in metres; default: the dataset's.")
@click.option("--farthest", type=float, help="Farthest depth that counts, in metres; default: the dataset's.")
@click.option("--png-step", type=float, help="Metres per step of 16-bit PNG files with true depth; default: the dataset's.")
@click.option("--model", help="A model that estimates the depth of the pictures in PREDICTIONS, which then holds no maps: a name, or the folder of a pipeline.")
@click.option("--steps", type=click.IntRange(1), default=20, show_default=True, help="Sampling steps of the model.")
@click.option("--side", type=click.IntRange(16), help="Longer side at which the model sees the pictures; default: as they are, as far as the model can.")
@json_file
def evaluate_depth(
    predictions: Path,
    truth: Path,
    dataset: str,
    predicted: str,
    alignment: str | None,
    nearest: float | None,
    farthest: float | None,
    png_step: float | None,
    model: str | None,
    steps: int,
    side: int | None,
    file: Path | None,
) -> None:
    """AbsRel, delta1 and edge F1 of the maps in PREDICTIONS against the depth in TRUTH, up to scale and shift, by Marigold's protocol.

    Both folders hold frame folders, EXR, NPY or 16-bit PNG files of the same names. True depth is in metres. With --model PREDICTIONS holds pictures.
    """
    from .evaluation.depth import DATASETS, compare_estimates, compare_folders
    from .evaluation.folders import pictures_in

    if dataset not in DATASETS:
        raise InputError(f"There is no dataset {dataset!r}; choose one of {', '.join(DATASETS)}.")
    changes = {"nearest": nearest, "farthest": farthest, "png_step": png_step}
    asked = replace(DATASETS[dataset], **{name: value for name, value in changes.items() if value is not None})
    if model is not None and predicted != "disparity":
        raise InputError("The model estimates disparity: leave out --predicted, or --model.")
    if not 0 <= asked.nearest < asked.farthest or (png_step is not None and png_step <= 0):
        raise InputError("The nearest depth must be smaller than the farthest, and a step of a PNG larger than 0.")
    _check(file)
    space = alignment or predicted
    if model is None:
        compared = compare_folders(predictions, truth, asked, predicted, space, _watch)
    else:
        with tempfile.TemporaryDirectory(prefix="jointdit-evaluate-") as scratch:
            estimate = _by_model(model, steps, Path(scratch), side)
            compared = compare_estimates(pictures_in(predictions), truth, asked, estimate, space, _watch)
    settings = {name: None if value == float("inf") else value for name, value in asdict(asked).items()}
    estimates = {} if model is None else {"model": model, "steps": steps, "side": side}
    _tell_compared(asked.title, {"predicted": predicted, "alignment": space, "dataset": settings, **estimates}, compared, file)


@evaluate_group.command("consistency")
@click.argument("generated", type=FOLDER)
@click.argument("depth", type=FOLDER)
@click.option("--predictions", type=FOLDER, help="Maps that were estimated from the pictures; default: the model estimates them.")
@click.option("--predicted", type=click.Choice(SPACES), default="disparity", show_default=True, help="What these maps hold.")
@click.option("--model", default="embedded", show_default=True, help="A model's name, or the folder of a pipeline.")
@click.option("--steps", type=click.IntRange(1), default=20, show_default=True, help="Sampling steps of the estimate.")
@click.option("--near", type=float, default=2.0, show_default=True, help="Distance of the nearest pixel of a disparity map in metres.")
@click.option("--far", type=float, default=40.0, show_default=True, help="Distance of the farthest pixel of a disparity map in metres.")
@json_file
def evaluate_consistency(
    generated: Path, depth: Path, predictions: Path | None, predicted: str, model: str, steps: int, near: float, far: float, file: Path | None
) -> None:
    """How well pictures in GENERATED keep to the maps in DEPTH that they were made for: their depth is estimated again and compared.

    GENERATED holds frame folders or pictures; DEPTH frame folders or disparity maps of the same names.
    """
    from .evaluation.depth import compare_given
    from .evaluation.folders import maps_in, pictures_in, read_prediction

    if not 0 < near < far:
        raise InputError(f"The near distance ({near:g} m) must be above 0 and smaller than the far distance ({far:g} m).")
    _check(file)
    pictures = pictures_in(generated)
    protocol = {"estimates": "precomputed" if predictions else model, "steps": None if predictions else steps, "near": near, "far": far}
    if predictions is None:
        with tempfile.TemporaryDirectory(prefix="jointdit-evaluate-") as scratch:
            compared = compare_given(pictures, depth, _by_model(model, steps, Path(scratch)), near, far, _watch)
    else:
        maps = maps_in(predictions)

        def read(pair: Pair) -> tuple[np.ndarray, str]:
            if pair.name not in maps:
                raise InputError("Nothing was estimated from it.")
            return read_prediction(maps[pair.name], predicted)

        compared = compare_given(pictures, depth, read, near, far, _watch)
    _tell_compared("given depth", protocol, compared, file)


def _by_model(model: str, steps: int, scratch: Path, side: int | None = None) -> Estimate:
    """Estimates of a model, by way of frame folders in the folder `scratch`. It sees pictures whose longer side is `side`; None leaves that to the job."""
    from .jobs import Job, generate
    from .models import Models
    from .pictures import read_disparity, read_image

    models = Models()
    models.find(model)  # one sentence, rather than one for each picture

    def estimate(pair: Pair) -> tuple[np.ndarray, str]:
        width, height = read_image(pair.first).size if side else (0, 0)
        longer = {} if side is None else {"width" if width >= height else "height": side}
        job = Job(task="image_to_depth", output=scratch, image=pair.first, steps=steps, model=model, **longer)
        return read_disparity(generate(job, models, lambda _: None).frame / "disparity.exr"), "disparity"

    return estimate


@evaluate_group.command("images")
@click.argument("generated", type=FOLDER)
@click.option("--real", type=FOLDER, help="Real pictures, for FID.")
@click.option("--prompts", type=FILE, help="Prompts for the CLIP score: JSON of names, or a line for each picture; default: those of frame folders.")
@click.option("--clip-model", help="CLIP model by name or folder; default: ViT-L/14.")
@json_file
def evaluate_images(generated: Path, real: Path | None, prompts: Path | None, clip_model: str | None, file: Path | None) -> None:
    """FID, Inception score and CLIP score of the pictures in GENERATED. Their networks are downloaded when they are first used."""
    from .evaluation.folders import pictures_in, prompts_in
    from .evaluation.images import CLIP_MODEL, as_table, measure, read_prompts

    _check(file)
    pictures = pictures_in(generated)
    asked = read_prompts(prompts, [*pictures]) if prompts else prompts_in(generated)
    measured = measure(pictures, pictures_in(real) if real else {}, asked, clip_model or CLIP_MODEL)
    _tell(measured.notes)
    click.echo(as_table(generated.absolute().name, measured))
    _write(file, asdict(measured))


@evaluate_group.command("ranking")
@click.argument("folders", type=FOLDER, nargs=-1)
@click.option("--prompts", type=FILE, help="Prompts: JSON of names, or a line for each picture; default: those of frame folders.")
@click.option("--scorer", default="pickscore", show_default=True, help="pickscore, imagereward, or a CLIP model of this kind by name or folder.")
@click.option("--scores", type=FILE, help="Scores by another program, as JSON of methods, pictures and scores; instead of FOLDERS.")
@json_file
def evaluate_ranking(folders: tuple[Path, ...], prompts: Path | None, scorer: str, scores: Path | None, file: Path | None) -> None:
    """Which of several methods' pictures people would prefer, by a model of their choices.

    There is one of FOLDERS for each method; pictures of one prompt are named alike.
    """
    from .evaluation.preference import scorer_of
    from .evaluation.ranking import as_json, as_table, pictures_to_rank, rank, read_scores, score, titled

    if bool(folders) == bool(scores):
        raise InputError("Give either the folders of the methods, or scores of another program with --scores FILE.")
    _check(file)
    notes: dict[str, None] = {}
    if scores:
        scored = read_scores(scores)
    else:
        pictures = pictures_to_rank(titled(folders), prompts, notes.setdefault)
        scored = score(pictures, scorer_of(scorer), notes.setdefault, _watch)
    ranking = rank(scored, notes.setdefault)
    _tell([*notes])
    click.echo(as_table(ranking))
    _write(file, as_json(scores.name if scores else scorer, scored, ranking, [*notes]))


@evaluate_group.command("panorama")
@click.option("--model", default="embedded", show_default=True, help="A model's name, or the folder of a pipeline.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Panoramas of each prompt.")
@click.option("--steps", type=click.IntRange(1), default=20, show_default=True, help="Sampling steps.")
@click.option("--scenes", type=click.IntRange(1), default=12, show_default=True, help="Procedural panoramas with exact depth.")
@json_file
def evaluate_panorama(model: str, seeds: int, steps: int, scenes: int, file: Path | None) -> None:
    """Seams, poles, turns and overlaps of spheres, strips and photographs; and the solved depth of procedural spheres."""
    from .evaluation.panorama import as_json, as_table, measure_model, solved_depth
    from .models import Models
    from .wishes import Wish

    _check(file)
    models = Models()
    found = models.find(model)
    side = min(found.index.get("native_size") or 1024, 512)
    pipeline = models.pipeline(found, Wish(4 * side, side, steps))
    solved = [solved_depth(range(scenes), noise) for noise in (0.0, 0.01, 0.02)]
    batch = max(1, models.pairs_at_once(side, side, steps))
    measures = measure_model(pipeline, seeds, steps, batch, lambda what: click.echo(what, err=True))
    click.echo(as_table(measures, solved))
    _write(file, as_json(measures, solved))


@evaluate_group.command("embedded")
@click.option("--model", default="embedded", show_default=True, help="A model's name, or the folder of a pipeline.")
@click.option("--pictures", type=click.IntRange(1), default=64, show_default=True, help="Held-out scenes.")
@click.option("--steps", type=click.IntRange(1), default=20, show_default=True, help="Sampling steps.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Other scenes and other noise.")
@click.option("--only", multiple=True, help="One of the measures, by its name in docs/evaluation.md; may be repeated. Default: all.")
@click.option("--sheet", type=FILE, help="Also write a picture of 64 generated pictures with their disparities.")
@json_file
def evaluate_embedded(model: str, pictures: int, steps: int, seed: int, only: tuple[str, ...], sheet: Path | None, file: Path | None) -> None:
    """All three tasks of a small model that learned from procedural scenes, on scenes that no training has seen, with the targets for it."""
    from .evaluation.contact_sheet import check_sheet, save_sheet
    from .evaluation.embedded import MEASURES, SHEET, Settings, Subject, as_json, as_table, measure, needs_probe
    from .evaluation.probe import Probe
    from .models import Models
    from .wishes import Wish

    unknown = [name for name in only if name not in MEASURES]
    if unknown:
        raise InputError(f"There is no measure {unknown[0]!r}; choose from {', '.join(MEASURES)}.")
    _check(file)
    _check(sheet)
    if sheet is not None:
        check_sheet(sheet)
    chosen = only or MEASURES
    probe = Probe.load() if needs_probe(chosen) else None
    models = Models()
    found = models.find(model)
    side = found.index.get("native_size") or 1024
    pipeline = models.pipeline(found, Wish(side, side, steps))
    settings = Settings(pictures, steps, seed, max(1, min(pictures, 64, models.pairs_at_once(side, side, steps))))
    with tqdm(desc="measuring", bar_format="{desc}", leave=False, file=sys.stderr) as bar:
        subject = Subject(pipeline, settings, bar.set_description_str)
        measured = measure(subject, probe, chosen)
        bar.clear()
        click.echo(as_table(measured))
        if file is not None:
            _write(file, as_json(measured, settings, {"model": model, "revision": found.revision(), "prompts": subject.scenes.captions}))
        if sheet is not None:  # last, since it may need pictures of its own
            save_sheet(sheet, *(of[:SHEET] for of in subject.joint))
