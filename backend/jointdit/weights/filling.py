# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a model that has shapes but no memory (torch's meta device) the tensors of a file: each is read once and kept once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from ..errors import CheckpointError
from .source import TensorSource


def fill(model: nn.Module, source: TensorSource, names: Mapping[str, str], dtype: torch.dtype | None, what: str) -> None:
    """Put the tensors of `source` into `model`, which lies on the meta device, as `dtype` on the CPU, and set it to evaluation.

    A dtype of None keeps the stored one, so that the data may stay on the mapped file.

    `names` maps every name in the model's state to its name in the file; two names may share a tensor. A 1 x 1 convolution of a file is a linear layer's
    matrix, so trailing sides of 1 are dropped. `what` names the piece to a person ("T5 text encoder").
    Raises `CheckpointError` for tensors that are missing or misshapen, before anything is read.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    missing = sorted({names[name] for name in shapes if names[name] not in source})
    if missing:
        raise CheckpointError(
            f"{source.title} lacks {len(missing)} tensors of the {what}, the first is {missing[0]}. "
            "It was not downloaded completely or belongs to another model: get it again."
        )
    for name, expected in shapes.items():
        found = source.shape(names[name])
        if _without_ones(found, len(expected)) != expected:
            raise CheckpointError(
                f"The tensor {names[name]} of {source.title} has the shape {tuple(found)}, but the {what} needs {expected}. "
                "The file is damaged or belongs to another model: get it again."
            )
    # Names that share a tensor must not read it twice: the embeddings of T5-XXL are 260 MB.
    read = {original: source.dense(original, dtype or source.wide_dtype(original)) for original in dict.fromkeys(names[name] for name in shapes)}
    state = {name: read[names[name]].reshape(shape) for name, shape in shapes.items()}
    model.load_state_dict(state, strict=True, assign=True)
    model.eval()


def _without_ones(shape: tuple[int, ...], sides: int) -> tuple[int, ...]:
    """(512, 512, 1, 1) -> (512, 512) where `sides` is 2; unchanged where something else than 1 would be lost."""
    return tuple(shape[:sides]) if all(side == 1 for side in shape[sides:]) else tuple(shape)


def count(source: TensorSource, prefix: str) -> int:
    """How many numbered modules `prefix` has: 1 + the highest N of `<prefix>N.`."""
    numbers = (name.removeprefix(prefix).split(".", 1)[0] for name in source if name.startswith(prefix))
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)


def side(source: TensorSource, name: str, axis: int, what: str) -> int:
    """One side of a tensor's shape, from which the architecture is read. Raises `CheckpointError` where the tensor is missing or flatter than that."""
    if name not in source:
        raise CheckpointError(f"{source.title} is not a complete {what}: the tensor {name} is missing. Get it again, or choose another file.")
    shape = source.shape(name)
    if axis >= len(shape) or shape[axis] < 1:
        raise CheckpointError(f"The tensor {name} of {source.title} has the shape {tuple(shape)}, which no {what} has. Get it again, or choose another file.")
    return shape[axis]
