# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which memory plan fits this card: pure arithmetic on sizes, no weight is touched.

A plan says how the large layers are stored, how many blocks wait in the machine's memory and visit the card when it is their turn, and what leaves the card
while the pictures are decoded. From exact to small: everything resident in bfloat16; bfloat16 without the modulations, some blocks visiting; float8;
4 bits (NF4, or a GGUF file as it is); the processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .cost import Sizes, decode_bytes, prepared_bytes, unpacking_bytes, work_bytes
from .errors import InputError

GIB = 2**30
PLANS = ("full", "exact", "fp8", "nf4", "stored", "cpu")
"""Names of plans, the most exact first; "stored" keeps the layers as a GGUF or float8 file has them."""

PIXELS_PER_TOKEN = 16 * 16
PREVIEW_SIDE = 256  # pixels of the longer side of a preview, which is decoded between two steps
# What the driver, the kernels' workspaces and the allocator's gaps take besides the tensors.
MARGIN = 0.35 * GIB
# Share of the blocks that may visit before a plan with fewer bits is better.
MOST_VISITING = {"full": 0.0, "exact": 0.2, "fp8": 0.05, "nf4": 0.9, "stored": 0.9}
BITS = {"full": 16.0, "exact": 16.0, "fp8": 8.0, "nf4": 4.25}
MEANING = {
    "full": "everything on the card, bfloat16 (exact)",
    "exact": "bfloat16 (exact), modulations computed ahead",
    "fp8": "large layers in 8 bits",
    "nf4": "large layers in 4 bits (NF4)",
    "stored": "large layers as the file has them",
    "cpu": "on the processor",
}


@dataclass(frozen=True)
class Machine:
    """`kind` "cuda", "mps" or "cpu"; bytes of the card's memory in all and free (without what this program itself holds), and of the machine's own free memory.

    `fp8_products`: the card multiplies float8 (Ada, Hopper and later).
    """

    kind: str
    name: str
    total: int
    free: int
    memory_free: int
    fp8_products: bool = False


@dataclass(frozen=True)
class Plan:
    """How a model lies in memory. `visiting` blocks live in the machine's memory; `parked` blocks leave the card while pictures are decoded.

    `peak` is the estimated most bytes on the card (or of the machine, on the processor), `reason` a sentence.
    """

    name: str
    visiting: int
    parked: int
    encoders_stay: bool
    peak: int
    reason: str = ""

    @property
    def modulations_stay(self) -> bool:
        """Whether the modulation layers are on the card all the time."""
        return self.name == "full"

    @property
    def title(self) -> str:
        """One clause for a person."""
        parts = [MEANING[self.name]]
        if self.visiting:
            parts.append(f"{self.visiting} blocks visiting from the machine's memory")
        return ", ".join(parts)


@dataclass(frozen=True)
class Work:
    """What shall be made: pictures up to a size in pixels, one at a time, in so many steps."""

    width: int
    height: int
    steps: int = 20

    @property
    def tokens(self) -> int:
        """Image tokens of one branch."""
        return self.width * self.height // PIXELS_PER_TOKEN


def choose(sizes: Sizes, machine: Machine, work: Work, wanted: str = "auto", bits_stored: float = 16.0, smaller_than: str | None = None) -> Plan:
    """The most exact plan that fits.

    `wanted` names a plan to take instead; `bits_stored` are the bits of a number in the file: a GGUF or float8 file is kept as it is where bfloat16 does not
    fit, because rounding it twice gains nothing. `smaller_than` rules out that plan and all before it (out of memory happened there).
    Raises `InputError` with a sentence where nothing fits or there is no such plan.
    """
    if wanted not in ("auto", *PLANS):
        raise InputError(f"There is no memory plan {wanted!r}; choose auto or one of {', '.join(PLANS)}.")
    if wanted == "cpu" or (wanted == "auto" and machine.kind == "cpu"):
        return _on_processor(sizes, machine, work, bits_stored)
    names = [name for name in PLANS[:-1] if _possible(name, machine, bits_stored)]
    if smaller_than is not None:
        names = names[names.index(smaller_than) + 1 :] if smaller_than in names else []
    if wanted != "auto":
        if wanted not in names:
            raise InputError(f"The memory plan {wanted} is not possible here: {_why_not(wanted, machine, bits_stored)}. Choose auto.")
        names = [wanted]
    what_next = "Choose a smaller size, close other programs that use the card, or choose the memory plan cpu."
    if not names:
        raise InputError(f"No memory plan smaller than {smaller_than} is left for {machine.name}. {what_next}")
    most_visiting = {name: 0.0 if machine.kind == "mps" or name == "full" else 1.0 if wanted != "auto" else MOST_VISITING[name] for name in names}
    asked = "asked for" if wanted != "auto" else "the most exact plan that fits"
    for name in names:
        plan = _fitted(name, sizes, machine, work, bits_stored, most_visiting[name])
        if plan is not None:
            needs = f"at {work.width} x {work.height} it takes about {plan.peak / GIB:.1f} GiB of the {machine.free / GIB:.1f} GiB free."
            return replace(plan, reason=f"{plan.title}: {asked}; {needs}")
    if wanted == "auto" and machine.kind == "mps":
        return _on_processor(sizes, machine, work, bits_stored)
    last, count = names[-1], len(sizes.blocks)
    visiting = math.floor(most_visiting[last] * count)
    parked = 0 if machine.kind == "mps" or last == "full" else count - visiting
    smallest = _needed(last, sizes, work, bits_stored, visiting, parked) + (sizes.encoders if last == "full" else 0)
    raise InputError(
        f"{machine.name} has {machine.free / GIB:.1f} GiB free, and pictures of {work.width} x {work.height} pixels need at least {smallest / GIB:.1f} GiB "
        f"of it and {_at_home(last, sizes, bits_stored, visiting, parked) / GIB:.1f} GiB of the machine's own memory. {what_next}"
    )


def pairs_at_once(plan: Plan, sizes: Sizes, machine: Machine, work: Work, bits_stored: float = 16.0, reserved: int = 0, most: int = 16) -> int:
    """How many pictures of a size may be denoised together under a plan: as many as fit beside the weights and what is reserved, `most` at most.

    0 where the reserved bytes alone are too many; one picture then fits without them.
    """
    if plan.name == "cpu":
        spare = machine.memory_free - plan.peak
        each = work_bytes(sizes, work.tokens, bytes_each=4)
    else:
        spare = machine.free - MARGIN - _denoising(plan.name, sizes, work, bits_stored, plan.visiting)
        each = work_bytes(sizes, work.tokens) + prepared_bytes(sizes, 1)
    return max(0, min(most, 1 + math.floor((spare - reserved) / each)))


def _possible(name: str, machine: Machine, bits_stored: float) -> bool:
    return not _why_not(name, machine, bits_stored)


def _why_not(name: str, machine: Machine, bits_stored: float) -> str:
    """Why a plan cannot be; empty where it can."""
    if name == "stored" and bits_stored >= 16:
        return "the file holds no packed weights"
    if name in ("fp8", "nf4") and bits_stored < 16:
        return "the file holds packed weights already, which are kept as they are"
    if name == "fp8" and machine.kind == "mps":
        return "Apple's cards know no 8-bit floating point"
    return ""


def _fitted(name: str, sizes: Sizes, machine: Machine, work: Work, bits_stored: float, most_visiting: float) -> Plan | None:
    """The plan with as few visiting blocks as possible, or None where too many would have to."""
    count = len(sizes.blocks)
    visiting = next(
        (k for k in range(math.floor(most_visiting * count) + 1) if _denoising(name, sizes, work, bits_stored, k) + MARGIN <= machine.free), None
    )
    if visiting is None:
        return None
    # Apple's card shares the machine's memory: what leaves it for the same memory makes no room.
    most_parked = count - visiting if machine.kind != "mps" else 0
    parked = next((k for k in range(most_parked + 1) if _decoding(name, sizes, work, bits_stored, visiting, k) + MARGIN <= machine.free), None)
    if parked is None or _at_home(name, sizes, bits_stored, visiting, parked) > machine.memory_free:
        return None
    peak = _needed(name, sizes, work, bits_stored, visiting, parked)
    if name != "full":
        return Plan(name, visiting, parked, False, round(peak))
    return Plan(name, 0, 0, True, round(peak + sizes.encoders)) if parked == 0 and peak + sizes.encoders <= machine.free else None


def travellers(blocks: Sequence[int], visiting: int, parked: int) -> tuple[set[int], set[int]]:
    """The places of the blocks that visit, and of those that are parked while pictures are decoded; `blocks` are their sizes in the order of work.

    Visitors are spread as evenly as can be, so that their copies hide behind the work between them. Of the others the largest are parked.
    """
    visitors = set(spread(len(blocks), visiting))
    others = sorted((place for place in range(len(blocks)) if place not in visitors), key=lambda place: -blocks[place])
    return visitors, set(others[:parked])


def spread(count: int, chosen: int) -> list[int]:
    """`chosen` of `count` places, as evenly as can be."""
    return [(2 * i + 1) * count // (2 * chosen) for i in range(chosen)]


def _away(sizes: Sizes, visiting: int, parked: int) -> int:
    """Weights of the blocks that are not on the card."""
    return sum(sizes.blocks[place] for places in travellers(sizes.blocks, visiting, parked) for place in places)


def _at_home(name: str, sizes: Sizes, bits_stored: float, visiting: int, parked: int) -> float:
    """Bytes of page-locked memory that blocks take at home; the system's allocator rounds each tensor up to a power of two, by two thirds in all."""
    return _away(sizes, visiting, parked) * (bits_stored if name == "stored" else BITS[name]) / 8 * 5 / 3


def _weights(name: str, sizes: Sizes, bits_stored: float, visiting: int, parked: int) -> float:
    """Bytes of the transformer on the card while so many visiting and parked blocks are not there."""
    bits = bits_stored if name == "stored" else BITS[name]
    # A layer's scales: one float32 a row of float8, counted with the 16-bit rest by a small factor.
    blocks = (sum(sizes.blocks) - _away(sizes, visiting, parked)) * bits / 8 * 1.005
    return blocks + 2 * (sizes.block_rest + sizes.rest + (sizes.modulation if name == "full" else 0))


def _denoising(name: str, sizes: Sizes, work: Work, bits_stored: float, visiting: int) -> float:
    """Most bytes while the blocks run."""
    bits = bits_stored if name == "stored" else BITS[name]
    two_visitors = min(visiting, 2) * max(sizes.blocks) * bits / 8
    unpacking = unpacking_bytes(sizes) if bits < 16 else 0
    step = max(work_bytes(sizes, work.tokens) + unpacking, sizes.autoencoder + decode_bytes(PREVIEW_SIDE, PREVIEW_SIDE))
    return _weights(name, sizes, bits_stored, visiting, 0) + two_visitors + prepared_bytes(sizes, work.steps) + step


def _decoding(name: str, sizes: Sizes, work: Work, bits_stored: float, visiting: int, parked: int) -> float:
    """Most bytes while a picture is decoded, or a prompt encoded."""
    return _weights(name, sizes, bits_stored, visiting, parked) + max(sizes.autoencoder + decode_bytes(work.width, work.height), sizes.encoder_visit)


def _needed(name: str, sizes: Sizes, work: Work, bits_stored: float, visiting: int, parked: int) -> float:
    return max(_denoising(name, sizes, work, bits_stored, visiting), _decoding(name, sizes, work, bits_stored, visiting, parked)) + MARGIN


def _on_processor(sizes: Sizes, machine: Machine, work: Work, bits_stored: float) -> Plan:
    """Everything in the machine's memory, the files mapped into it: weights that do not fit are read again from the disk."""
    weights = sizes.transformer * min(bits_stored, 16) / 8 + sizes.encoders + sizes.autoencoder
    peak = weights + max(work_bytes(sizes, work.tokens, bytes_each=4), decode_bytes(work.width, work.height))
    short = "" if peak <= machine.memory_free else ", more than is free: the weights are read from the disk again and again"
    needs = f"at {work.width} x {work.height} it takes about {peak / GIB:.1f} GiB of the machine's {machine.memory_free / GIB:.1f} GiB free{short}."
    return Plan("cpu", 0, 0, True, round(peak), f"On the processor; {needs}")
