# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What training takes on a card, counted from the model before a weight is moved. Nothing here is measured."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import InputError
from ..memory import GIB, MARGIN
from ..packed import PackedLinear
from ..transformer import JointDiTTransformer2DModel
from .options import JointOptions

# What autograd keeps of one block under autocast, in tokens x inner width x 2 bytes: 21.5 and 20.4, counted on both kinds with hooks on what it saves.
KEPT_WIDTHS = 22
# While one block is gone through backwards as much again is in work.
WORK_WIDTHS = 2 * KEPT_WIDTHS


@dataclass(frozen=True)
class Need:
    """Bytes on the card, by what they are for."""

    base: int
    addons: int
    gradients: int
    optimizer: int
    average: int
    rounded_copies: int
    activations: int

    @property
    def total(self) -> int:
        """All of it, with what the driver and the allocator take."""
        return sum(getattr(self, part.name) for part in fields(self)) + int(MARGIN)

    def lines(self) -> list[str]:
        """For a person."""
        parts = [(part.name.replace("_", " "), getattr(self, part.name)) for part in fields(self)]
        return [f"{name:<16}{nbytes / GIB:8.2f} GiB" for name, nbytes in [*parts, ("in all", self.total)] if nbytes]


def need(model: JointDiTTransformer2DModel, options: JointOptions, tokens: int, small: bool) -> Need:
    """What a model with its add-ons in place takes; `tokens` are those of one branch, image and text. Weights may be anywhere."""
    addons = model.addon_parameters()
    own = {id(p) for p in addons.values()}
    packed = {id(layer.weight) for layer in model.modules() if isinstance(layer, PackedLinear)}
    each = 4 if small else 2
    base = sum(p.numel() * (p.element_size() if id(p) in packed else each) for p in model.parameters() if id(p) not in own)
    count, size = sum(p.numel() for p in addons.values()), {"float32": 4, "bfloat16": 2}[options.addon_dtype]
    if options.optimizer == "adamw":
        optimizer = 2 * count * size
    else:
        # A row and a column of each matrix, and the update of the largest one.
        optimizer = 4 * sum(sum(p.shape) for p in addons.values()) + 3 * 4 * max(p.numel() for p in addons.values())
    blocks = len(model.transformer_blocks) + len(model.single_transformer_blocks)
    checkpointing = options.gradient_checkpointing if options.gradient_checkpointing is not None else not small
    widths = blocks + WORK_WIDTHS if checkpointing else KEPT_WIDTHS * blocks + KEPT_WIDTHS
    rounded = options.precision == "bfloat16"
    return Need(
        base=base,
        addons=count * size,
        gradients=count * size,
        optimizer=optimizer,
        average=count * (4 + size) if options.average else 0,  # float32, and what is put aside while it stands in the model
        rounded_copies=2 * count if rounded and size == 4 else 0,
        activations=widths * 2 * options.batch * tokens * model.inner_dim * (2 if rounded else 4),
    )


def refuse_too_large(needed: Need, card: str, total: int) -> None:
    """Raise `InputError` where the weights alone, with their gradients and the optimizer, are more than a card has."""
    fixed = needed.total - needed.activations
    if fixed > total:
        raise InputError(
            f"{card} has {total / GIB:.0f} GiB, and this training takes about {needed.total / GIB:.0f} GiB, {fixed / GIB:.0f} of it whatever the batch. "
            "Use --optimizer adafactor, --average 0, --addon-dtype bfloat16 or a smaller --rank; or a base model in 8 bits."
        )
