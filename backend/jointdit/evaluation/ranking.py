# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several methods paint the same prompts; a preference model ranks their pictures, prompt by prompt. The paper's table 7, and the last columns of table 4."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest, rankdata

from ..errors import InputError
from ..pictures import read_image
from .folders import pictures_in, prompts_in
from .images import read_prompts
from .preference import Scorer

CONFIDENCE = 0.95
AT_ONCE = 16
"""Pictures that are scored together."""

Scores = Mapping[str, Mapping[str, float]]
"""By method, by picture."""


@dataclass(frozen=True)
class Picture:
    """One method's picture of one prompt."""

    method: str
    name: str
    path: Path
    prompt: str


@dataclass(frozen=True)
class Duel:
    """Two methods against each other: on how many prompts the first was preferred, the second, or neither.

    `rate` is the first's share of the decided prompts, between `low` and `high` with 95 % confidence (Wilson); `p` is that of the sign test: how likely
    such a difference is by chance alone. All are None where no prompt is decided.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    rate: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class Ranking:
    """What came out for the pictures that all methods have.

    `shares[method]` are the shares of prompts on which the method has rank 1, 2, ...; methods of equal score share the ranks that they take up, so that each
    rank's shares sum to 1. `mean_ranks` and `mean_scores` are means over the prompts.
    """

    pictures: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]
    mean_ranks: dict[str, float]
    mean_scores: dict[str, float]
    duels: tuple[Duel, ...]


def titled(folders: Sequence[Path]) -> dict[str, Path]:
    """The folders by the shortest ends of their paths that tell them apart. Raises `InputError` for fewer than two, or the same twice."""
    places = [folder.absolute() for folder in folders]
    if len(places) < 2:
        raise InputError("A ranking compares the pictures of at least two folders. Give one for each method.")
    if len({place.resolve() for place in places}) < len(places):
        raise InputError("The same folder was given twice. Give one folder for each method.")
    for parts in range(1, max(len(place.parts) for place in places) + 1):
        titles = [Path(*place.parts[-parts:]).as_posix() for place in places]
        if len(set(titles)) == len(titles):
            break
    return dict(zip(titles, places, strict=True))


def prompts_for(methods: Mapping[str, Path], file: Path | None, names: Iterable[str]) -> dict[str, set[str]]:
    """What each picture was asked for: of a file as `images.read_prompts` reads it, else of the methods' frame folders, which may disagree.

    Raises `InputError` for a file that cannot be used.
    """
    if file is not None:
        return {name: {prompt} for name, prompt in read_prompts(file, sorted(names)).items()}
    found: dict[str, set[str]] = {}
    for folder in methods.values():
        for name, prompt in prompts_in(folder).items():
            found.setdefault(name, set()).add(prompt)
    return found


def pictures_to_rank(methods: Mapping[str, Path], prompts_file: Path | None, report: Callable[[str], None]) -> list[Picture]:
    """The pictures that all methods have and that have a prompt. What is left out is reported in sentences. Raises `InputError` where nothing is left."""
    pictures = {method: pictures_in(folder) for method, folder in methods.items()}
    asked = prompts_for(methods, prompts_file, set().union(*pictures.values()))
    prompts: dict[str, str] = {}
    for name in _shared(pictures, "picture", report):
        if len(found := asked.get(name, set())) == 1:
            prompts[name] = next(iter(found))
        else:
            report(f"{name} is left out: {'its frame folders were made from different prompts' if found else 'it has no prompt'}.")
    if not prompts:
        raise InputError("No picture that all folders have has a prompt. Give the prompts with --prompts FILE.")
    return [Picture(method, name, pictures[method][name], prompt) for name, prompt in prompts.items() for method in methods]


def score(
    pictures: Sequence[Picture],
    scorer: Scorer,
    report: Callable[[str], None],
    watch: Callable[[Sequence[Picture]], Iterable[Picture]] = lambda pictures: pictures,
) -> dict[str, dict[str, float]]:
    """Scores by method, by picture; `watch` may show the progress. What cannot be scored is reported in sentences and has none."""
    scores: dict[str, dict[str, float]] = {picture.method: {} for picture in pictures}
    for batch in _batches(watch(pictures), AT_ONCE):
        images = []
        for picture in batch:
            try:
                images.append((picture, read_image(picture.path)))
            except InputError as error:
                report(f"{picture.name} by {picture.method} cannot be scored. {error}")
        if images:
            values = scorer([picture.prompt for picture, _ in images], [image for _, image in images])
            for (picture, _), value in zip(images, values, strict=True):
                if math.isfinite(value):
                    scores[picture.method][picture.name] = value
                else:
                    report(f"{picture.name} by {picture.method} cannot be scored. The model gives no finite number.")
    return scores


def read_scores(file: Path) -> dict[str, dict[str, float]]:
    """Scores that another program made: JSON as {method: {picture: score}}. Raises `InputError`."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"The scores in {file} cannot be read ({error}). Save them as JSON in UTF-8.") from error
    if not isinstance(content, dict) or not all(isinstance(scores, dict) and all(map(_is_score, scores.values())) for scores in content.values()):
        raise InputError(f'{file} must be a JSON object of methods, pictures and scores, such as {{"ours": {{"kitchen": 0.7}}, "theirs": {{"kitchen": 0.4}}}}.')
    if len(content) < 2:
        raise InputError(f"{file} has scores of {len(content)} methods; a ranking compares at least two.")
    return content


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shared(pictures: Mapping[str, Mapping[str, Any]], what: str, report: Callable[[str], None]) -> list[str]:
    """The names that all methods have; others are reported."""
    names = sorted(set().union(*pictures.values()))
    for name in names:
        lacking = [method for method, found in pictures.items() if name not in found]
        if lacking:
            report(f"{name} is left out: no {what} of it by {', '.join(lacking)}.")
    shared = [name for name in names if all(name in found for found in pictures.values())]
    if not shared:
        raise InputError(f"There is no {what} of one name by all methods. Name the pictures of one prompt alike, such as kitchen.png.")
    return shared


def _batches(items: Iterable[Picture], most: int) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    for item in items:
        batch.append(item)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch


def rank(scores: Scores, report: Callable[[str], None]) -> Ranking:
    """Rank the methods on each picture that all of them have a score of. Others are reported. Raises `InputError` where there is none."""
    names, methods = _shared(scores, "score", report), list(scores)
    table = np.array([[scores[method][name] for method in methods] for name in names])
    best, last = (rankdata(-table, method=ties, axis=1) for ties in ("min", "max"))
    ranks = np.arange(1, len(methods) + 1)
    # A method that shares the ranks a to b has each of them on 1 / (b - a + 1) of a prompt.
    held = ((best[..., None] <= ranks) & (ranks <= last[..., None])) / (last - best + 1)[..., None]
    shares, mean_ranks, mean_scores = held.mean(axis=0), ((best + last) / 2).mean(axis=0), table.mean(axis=0)
    return Ranking(
        pictures=tuple(names),
        shares={method: tuple(row) for method, row in zip(methods, shares.tolist(), strict=True)},
        mean_ranks=dict(zip(methods, mean_ranks.tolist(), strict=True)),
        mean_scores=dict(zip(methods, mean_scores.tolist(), strict=True)),
        duels=tuple(duel(methods[a], methods[b], table[:, a], table[:, b]) for a, b in combinations(range(len(methods)), 2)),
    )


def duel(first: str, second: str, first_scores: np.ndarray, second_scores: np.ndarray) -> Duel:
    """Two methods' scores (N,) of the same prompts against each other."""
    wins, losses = int((first_scores > second_scores).sum()), int((first_scores < second_scores).sum())
    ties, decided = len(first_scores) - wins - losses, wins + losses
    if not decided:
        return Duel(first, second, 0, 0, ties, None, None, None, None)
    test = binomtest(wins, decided)
    low, high = test.proportion_ci(CONFIDENCE, method="wilson")
    return Duel(first, second, wins, losses, ties, wins / decided, float(low), float(high), float(test.pvalue))


def as_table(ranking: Ranking) -> str:
    """Two tables of Markdown: the ranks as in the paper's table 7, and each method against each other."""
    ranks = range(1, len(ranking.shares) + 1)
    rows = [
        f"| {_cell(method)} | {' | '.join(f'{100 * share:.2f}' for share in shares)} | {ranking.mean_ranks[method]:.2f} | {ranking.mean_scores[method]:.3f} |"
        for method, shares in ranking.shares.items()
    ]
    count = len(ranking.pictures)
    head = f"| {count} prompt{'' if count == 1 else 's'} | {' | '.join(f'rank {number} %' for number in ranks)} | mean rank | mean score |"
    return "\n".join([head, "|---" * (len(ranks) + 3) + "|", *rows, "", DUELS, *map(_row, ranking.duels)])


DUELS = "| preferred | over | wins % | 95 % confidence | decided | ties | p |\n|---|---|---|---|---|---|---|"


def _cell(method: str) -> str:
    """A name that does not end its cell of the table."""
    return method.replace("|", "\\|")


def _row(one: Duel) -> str:
    names = f"| {_cell(one.first)} | {_cell(one.second)} |"
    if one.rate is None:
        return f"{names} - | - | 0 | {one.ties} | - |"
    interval = f"{100 * one.low:.1f} to {100 * one.high:.1f}"
    return f"{names} {100 * one.rate:.1f} | {interval} | {one.wins + one.losses} | {one.ties} | {one.p:.2g} |"


def as_json(scorer: str, scores: Scores, ranking: Ranking, notes: Sequence[str]) -> dict[str, Any]:
    """Every figure and every score, and what was left out."""
    return {
        "scorer": scorer,
        "prompts": len(ranking.pictures),
        "methods": {
            method: {"rank_shares": shares, "mean_rank": ranking.mean_ranks[method], "mean_score": ranking.mean_scores[method]}
            for method, shares in ranking.shares.items()
        },
        "pairs": [vars(one) for one in ranking.duels],
        "confidence": CONFIDENCE,
        "scores": {name: {method: scores[method][name] for method in scores} for name in ranking.pictures},
        "left_out": list(notes),
    }
