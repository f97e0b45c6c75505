# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes that train one model, one for each card, through accelerate.

`accelerate launch -m jointdit train joint ...` and `torchrun -m jointdit train joint ...` start them; what they say in the environment is all that is needed.
Each process works on its own part of every batch, and the gradients are averaged, so that all take the same step.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor

MEGABYTES_AT_ONCE = 256
"""Gradients travel in parcels of this size: fewer are slow, larger ones need memory."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together: `rank` of `count`, working on `device`."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def reduce(self, gradients: Sequence[Tensor]) -> None:
        """Replace the tensors by their mean over all processes, in place. All processes must give tensors of the same shapes in the same order."""
        from accelerate.utils import reduce

        for parcel in _parcels(gradients):
            flat = torch.cat([tensor.flatten() for tensor in parcel])
            mean = reduce(flat, reduction="mean")
            for tensor, part in zip(parcel, mean.split([tensor.numel() for tensor in parcel]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process; all must ask."""
        from accelerate.utils import reduce

        return bool(reduce(torch.tensor([float(flag)], device=self.device), reduction="sum").item())

    def wait(self) -> None:
        """Until all processes are here."""
        from accelerate import PartialState

        PartialState().wait_for_everyone()

    def close(self) -> None:
        """Leave the other processes."""
        from accelerate import PartialState

        PartialState().destroy_process_group()


def ranks_here() -> Ranks | None:
    """The processes that this one was started with, or None where it is alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return None
    from accelerate import PartialState

    cpu = not torch.cuda.is_available()
    # The others wait while the first makes its sheets.
    state = PartialState(cpu=cpu, timeout=timedelta(hours=1))
    return Ranks(state.process_index, state.num_processes, torch.device("cpu") if cpu else state.device)


def _parcels(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors in groups of one dtype and of about `MEGABYTES_AT_ONCE`."""
    parcels: list[list[Tensor]] = []
    room = 0
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        if not parcels or size > room or parcels[-1][0].dtype != tensor.dtype:
            parcels.append([])
            room = MEGABYTES_AT_ONCE * 2**20
        parcels[-1].append(tensor)
        room -= size
    return parcels
