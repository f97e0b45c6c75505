# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""FID, Inception score and CLIP score of pictures, by torchmetrics with torch-fidelity's Inception network (the extra `evaluate`).

Pictures are uint8 tensors (N, 3, H, W) of any size: the network scales them to its own 299 pixels itself, as torch-fidelity does.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..pictures import read_image
from .folders import plain

SPLITS = 10
"""Parts of which the Inception score is the mean, as usual."""
CLIP_MODEL = "openai/clip-vit-large-patch14"
STEADY = 2048
"""With fewer pictures than the Inception network has features, FID says more of their number than of their quality."""

INSTALL = 'pip install -c constraints.txt ".[evaluate]"'

Report = Callable[[str], None]


def batches(paths: Mapping[str, Path], report: Report, most: int = 16) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Names and pictures, as many at once as follow each other in one size. What cannot be read is reported in a sentence and left out."""
    names: list[str] = []
    pictures: list[torch.Tensor] = []
    for name, path in paths.items():
        try:
            picture = torch.from_numpy(np.array(read_image(path))).permute(2, 0, 1)
        except InputError as error:
            report(f"{name} is left out: {error}")
            continue
        if pictures and (len(pictures) == most or pictures[0].shape != picture.shape):
            yield names, torch.stack(pictures)
            names, pictures = [], []
        names.append(name)
        pictures.append(picture)
    if pictures:
        yield names, torch.stack(pictures)


def frechet_distance(generated: Iterable[torch.Tensor], real: Iterable[torch.Tensor], extractor: torch.nn.Module | int = 2048) -> float:
    """FID of two sets of pictures; `extractor` makes features (N, F) of pictures. Raises `InputError` for fewer than two, or without the network."""
    with _importing():
        from torchmetrics.image.fid import FrechetInceptionDistance
    with _loading("The Inception network"):
        metric = FrechetInceptionDistance(feature=extractor).to(_device())
    for pictures, true in ((real, True), (generated, False)):
        for batch in pictures:
            metric.update(batch.to(metric.device), real=true)
    if min(int(metric.real_features_num_samples), int(metric.fake_features_num_samples)) < 2:
        raise InputError("FID compares sets of pictures: it needs at least two that can be read on each side.")
    return max(0.0, float(metric.compute()))  # of the same pictures it may round to a little below 0


def inception_score(pictures: Iterable[torch.Tensor], extractor: torch.nn.Module | str = "logits_unbiased", splits: int = SPLITS) -> tuple[float, float]:
    """Mean and deviation over parts of the Inception score; `extractor` makes logits (N, classes) of pictures. The parts are drawn by one fixed seed.

    Raises `InputError` without pictures, or without the network.
    """
    with _importing():
        from torchmetrics.image.inception import InceptionScore
    with _loading("The Inception network"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it keeps the logits of all pictures, which are small
        metric = InceptionScore(feature=extractor, splits=splits).to(_device())
    for batch in pictures:
        metric.update(batch.to(metric.device))
    count = sum(len(part) for part in metric.features)
    if not count:
        raise InputError("There is no picture that can be read. Choose another folder.")
    metric.splits = min(splits, count)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the deviation of a single part, which is not used
        torch.manual_seed(0)
        mean, deviation = metric.compute()
    return float(mean), float(deviation) if metric.splits > 1 else 0.0


def clip_score(pictures: Iterable[tuple[torch.Tensor, Sequence[str]]], model: str | Callable[[], tuple[Any, Any]] = CLIP_MODEL) -> float:
    """Mean over pictures of 100 times the cosine of picture and prompt; `model` is a name or folder for transformers, or makes a model and its processor.

    Raises `InputError` without pictures, or without the model.
    """
    with _importing():
        from torchmetrics.multimodal.clip_score import CLIPScore
    with _loading(f"The CLIP model {model}" if isinstance(model, str) else "The CLIP model"):
        network, processor = model() if callable(model) else _clip(model)
        metric = CLIPScore(model_name_or_path=lambda: (ClipFeatures(network), processor)).to(_device())
    for batch, prompts in pictures:
        metric.update(list(batch.to(metric.device)), list(prompts))
    if not int(metric.n_samples):
        raise InputError("No picture that can be read has a prompt. Give the prompts with --prompts FILE.")
    return float(metric.compute())


def _clip(name: str) -> tuple[Any, Any]:
    from transformers import CLIPModel, CLIPProcessor

    return CLIPModel.from_pretrained(name), CLIPProcessor.from_pretrained(name)


class ClipFeatures(torch.nn.Module):
    """A CLIP model of transformers 5, which answers in structures, for torchmetrics, which wants the projected features alone."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model, self.config = model.eval(), model.config

    def get_image_features(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, F)."""
        return self.model.get_image_features(pixels).pooler_output

    def get_text_features(self, tokens: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """(N, F)."""
        return self.model.get_text_features(tokens, attended).pooler_output


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")  # FID adds up in float64, which Apple's GPUs do not have


@contextmanager
def _importing() -> Iterator[None]:
    """What is wrong with the libraries, as a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f'Measures of pictures need the extra "evaluate". Install it: {INSTALL}') from error
    except (ImportError, OSError, RuntimeError) as error:  # torchvision for another torch raises RuntimeError
        raise InputError(f'The libraries of the extra "evaluate" do not fit together ({reason(error)}). Install them again: {INSTALL}') from error


@contextmanager
def _loading(what: str) -> Iterator[None]:
    """What goes wrong while a network is fetched, as a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:  # torchmetrics looks for torch-fidelity only now
        raise InputError(f'Measures of pictures need the extra "evaluate". Install it: {INSTALL}') from error
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{what} cannot be loaded ({reason(error)}). It is downloaded when it is first used: connect to the internet once, "
            "or copy the file from another computer (docs/evaluation.md says where to)."
        ) from error


def reason(error: Exception) -> str:
    """The first line of what a library says."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".")


def read_prompts(file: Path, names: Sequence[str]) -> dict[str, str]:
    """Prompts by the names of pictures: a JSON object {name or file name: prompt}, or a text with one line for each picture, in the order of names.

    Raises `InputError` where the file cannot be used.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        content = json.loads(text) if file.suffix.lower() == ".json" else None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"The prompts in {file} cannot be read ({error}). Save them as text in UTF-8, or as JSON.") from error
    if content is not None:
        if not isinstance(content, dict) or not all(isinstance(prompt, str) for prompt in content.values()):
            raise InputError(f'{file} must be a JSON object of names and prompts, such as {{"kitchen": "a kitchen with a red table"}}.')
        return {name if name in names else _name_of(name): prompt for name, prompt in content.items()}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != len(names):
        raise InputError(f"{file} has {len(lines)} prompts, but there are {len(names)} pictures. Write one line for each, in the order of their names.")
    return dict(zip(sorted(names), lines, strict=True))


def _name_of(file_name: str) -> str:
    path = PurePosixPath(file_name)
    return (path.parent / plain(path.stem)[0]).as_posix()


def with_prompts(paths: Mapping[str, Path], prompts: Mapping[str, str], report: Report) -> Iterator[tuple[torch.Tensor, list[str]]]:
    """Pictures and their prompts, for `clip_score`; pictures without a prompt are reported and left out."""
    for name in sorted(paths.keys() - prompts.keys()):
        report(f"{name} is left out of the CLIP score: it has no prompt.")
    for names, pictures in batches({name: path for name, path in paths.items() if name in prompts}, report):
        yield pictures, [prompts[name] for name in names]


@dataclass(frozen=True)
class Measured:
    """The scores of a folder of pictures, None where they were not asked for; how many pictures there are; and sentences about them."""

    pictures: int
    real: int
    fid: float | None
    inception: float
    inception_deviation: float
    clip: float | None
    clip_model: str | None
    notes: tuple[str, ...]


def measure(
    pictures: Mapping[str, Path],
    real: Mapping[str, Path],
    prompts: Mapping[str, str],
    clip: str | Callable[[], tuple[Any, Any]] = CLIP_MODEL,
    features: torch.nn.Module | int = 2048,
    logits: torch.nn.Module | str = "logits_unbiased",
) -> Measured:
    """All scores of pictures: FID where there are real ones, the CLIP score where there are prompts. Raises `InputError` where one cannot be found."""
    notes: dict[str, None] = {}  # a picture that cannot be read is met several times

    def report(sentence: str) -> None:
        notes[sentence] = None

    sides = {"generated": pictures, "real": real}
    seen: dict[str, set[str]] = {side: set() for side in sides}

    def each(side: str) -> Iterator[torch.Tensor]:
        for names, batch in batches(sides[side], report):
            seen[side].update(names)
            yield batch

    fid = frechet_distance(each("generated"), each("real"), features) if real else None
    inception, deviation = inception_score(each("generated"), logits)
    score = clip_score(with_prompts(pictures, prompts, report), clip) if prompts else None
    counts = [len(names) for names in seen.values()]
    if real and min(counts) < STEADY:
        report(f"FID of fewer than {STEADY} pictures depends on their number; compare it only with FID of as many.")
    return Measured(*counts, fid, inception, deviation, score, clip if prompts and isinstance(clip, str) else None, tuple(notes))


def as_table(title: str, measured: Measured) -> str:
    """The scores as a row of Markdown, as in the paper's tables."""
    fid, clip = ("-" if value is None else f"{value:.2f}" for value in (measured.fid, measured.clip))
    return (
        "| pictures of | FID | IS | CLIP | pictures | real |\n|---|---|---|---|---|---|\n"
        f"| {title} | {fid} | {measured.inception:.2f} ± {measured.inception_deviation:.2f} | {clip} | {measured.pictures} | {measured.real} |"
    )
