# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes and their wordings, thought up in other processes: all of a training set that needs no pixels.

What those processes import is kept small: there are many of them, and each imports it.
"""

from __future__ import annotations

import random
import signal
import string
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Any

from ..procedural.captions import caption
from ..procedural.render import Prepared, prepare
from ..procedural.sampling import sample

WORDINGS = 4  # captions of each scene that training chooses from; one more names its disparity
DEPTH_MAP = "depth map of "
MOST_PROCESSES = 61  # of a pool on Windows
AHEAD = 3  # chunks a process that wait to be used

# Words that people write around what they want; the small model learns that they change nothing.
FILLERS = (
    "beautiful", "detailed", "highly detailed", "cinematic", "epic", "nice", "very", "really", "simple", "realistic", "4k", "8k", "masterpiece",
    "please", "i want", "show me", "give me", "make", "with", "there is", "a view of", "scene of", "an image of", "in the style of", "lovely", "old",
    "ancient", "modern", "fantasy", "dramatic", "peaceful", "quiet", "wide shot", "backdrop", "background", "concept art", "illustration", "artstation",
)  # fmt: skip


@dataclass(frozen=True)
class Thought:
    """Scenes that can be drawn, and the wordings of each."""

    prepared: Prepared
    words: list[list[str]]


def roughen(caption: str, generator: random.Random) -> str:
    """A caption as a person may type it: now and then filler words, an unknown word, capitals, punctuation."""
    if generator.random() < 0.25:
        words = caption.split(" ")
        for _ in range(generator.randint(1, 3)):
            unknown = "".join(generator.choices(string.ascii_lowercase, k=generator.randint(3, 8)))
            filler = generator.choice(FILLERS) if generator.random() < 0.8 else unknown
            words.insert(generator.choice((0, len(words), generator.randint(0, len(words)))), filler)
        caption = " ".join(words)
    if generator.random() < 0.1:
        caption = caption.capitalize()
    if generator.random() < 0.1:
        caption = caption.rstrip(".") + "."
    return caption


def wordings(seed: int, scene: Any) -> list[str]:
    """Captions of one scene: the first as it is, the others in other words and roughened as people type; last, what its disparity is called."""
    first = caption(scene)
    others = [roughen(caption(scene, variant), random.Random(f"{seed} {variant}")) for variant in range(1, WORDINGS)]
    return [first, *others, DEPTH_MAP + first]


def think(seeds: range) -> Thought:
    """The scenes of some seeds."""
    return Thought(prepare(seeds), [wordings(seed, sample(seed)) for seed in seeds])


def thought_up(seeds: range, chunk: int, processes: int) -> Iterator[Thought]:
    """The scenes of some seeds in order, a chunk at a time, thought up ahead in `processes` processes."""
    server = sys.platform == "linux"  # elsewhere forking is unsafe once torch is there, or there is none
    context = get_context("forkserver" if server else "spawn")
    if server:
        context.set_forkserver_preload([__name__])
    processes = min(processes, MOST_PROCESSES)
    chunks = iter([range(first, min(first + chunk, seeds.stop)) for first in range(seeds.start, seeds.stop, chunk)])
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_quietly) as pool:
        waiting: list[Future[Thought]] = [pool.submit(think, seeds) for seeds in islice(chunks, AHEAD * processes)]
        while waiting:
            thought = waiting.pop(0).result()
            following = next(chunks, None)
            if following is not None:
                waiting.append(pool.submit(think, following))
            yield thought


def _quietly() -> None:
    """One thread, and no word at Ctrl+C: that is for the process that asked."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
