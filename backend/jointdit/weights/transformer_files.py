# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""FLUX's and JointDiT's weights files -> the transformer, with the weights as they are stored and where they are stored.

Nothing is copied and nothing is unpacked: dense tensors are views of the mapped files, 8-bit and GGUF weights become packed layers. A memory plan then decides
what is brought where, and in which form. Each tensor is read once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..layout import SWAPPED, addon_table, config_from_shapes, count, flux_table, refuse_differences, refuse_shape
from ..packed import Fp8Linear, GgufLinear
from ..transformer import JointDiTTransformer2DModel
from .source import TensorSource

# Where there is no add-on file: the ranks of add-ons that will be replaced.
_NO_ADDONS = {
    f"{layer}.lora_A.weight": (1,) for layer in ("double_blocks.0.img_attn.qkv", "vector_in.in_layer", "vector_in.out_layer", "txt_in")
}


def load_transformer(
    flux: TensorSource, addons: TensorSource | None, axes_dims_rope: tuple[int, int, int] | None = None, **options: Any
) -> JointDiTTransformer2DModel:
    """The model from a FLUX in its original layout or in diffusers', and JointDiT's add-ons.

    From the original layout the projections come fused, as they are stored; from diffusers' layout separate. `options` override the model's arguments
    (`adaptive_form`). Without `addons` theirs have no data, and are to be replaced before anything runs.
    Raises `CheckpointError` naming what is missing, left over or misshapen.
    """
    original = "img_in.weight" in flux
    shapes = {name: flux.shape(name) for name in flux}
    addon_shapes = _NO_ADDONS if addons is None else {name: addons.shape(name) for name in addons}
    config = config_from_shapes(shapes if original else _original_shapes(shapes), addon_shapes, axes_dims_rope) | options
    with torch.device("meta"):
        model = JointDiTTransformer2DModel(**config)
    if original:
        model.fuse_projections()
    counts = config["num_layers"], config["num_single_layers"]
    table = flux_table(*counts, config["guidance_embeds"], fused=original)
    names = {theirs: ours[0] for theirs, ours in table.items()} if original else {name: name for ours in table.values() for name in ours}
    refuse_differences("FLUX file", names, flux)
    if addons is not None:
        refuse_differences("JointDiT add-on file", addon_table(*counts), addons)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    state = {}
    for source, entries in ((flux, names), *([] if addons is None else [(addons, addon_table(*counts))])):
        for theirs, ours in entries.items():
            refuse_shape(theirs, source.shape(theirs), wanted[ours])
            if not _install_packed(model, ours, source, theirs):
                value = source.dense(theirs, source.wide_dtype(theirs))
                state[ours] = torch.cat(value.chunk(2)[::-1]) if original and ours.startswith(SWAPPED) else value
    model.load_state_dict(state, strict=False, assign=True)
    return model.requires_grad_(False).eval()


def _install_packed(model: nn.Module, name: str, source: TensorSource, theirs: str) -> bool:
    """Put a packed layer in the place of the linear layer whose weight is stored packed, its bias still to come; False where the weight is not packed."""
    stored = source.stored_as(theirs)
    if stored in ("bf16", "f16", "f32", "f64") or "blocks." not in name or not name.endswith(".weight"):
        return False
    path = name.removesuffix(".weight")
    linear = model.get_submodule(path)
    if not isinstance(linear, nn.Linear):
        return False
    weight = source[theirs]
    if stored.startswith("f8"):
        scale = source.scale(theirs)
        rows = torch.ones(linear.out_features, 1) if scale is None else scale.expand(linear.out_features, 1).contiguous()
        layer: nn.Linear = Fp8Linear(linear.in_features, linear.out_features, weight, linear.bias, rows)
    else:
        layer = GgufLinear(linear.in_features, linear.out_features, _bytes_of(weight), linear.bias, weight.quant_type)
    model.set_submodule(path, layer)
    return True


def _bytes_of(weight: Tensor) -> Tensor:
    """The plain bytes of diffusers' GGUF parameter."""
    return weight.as_tensor().detach()


def _original_shapes(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The shapes under FLUX's original names of a model in diffusers' layout, as far as they are there."""
    blocks = [count(shapes, prefix) for prefix in ("transformer_blocks", "single_transformer_blocks")]
    if min(blocks) < 1:
        raise CheckpointError("This is not a FLUX transformer: it has no blocks of FLUX's kind. Choose a file such as flux1-dev.safetensors.")
    table = flux_table(*blocks, guidance="time_text_embed.guidance_embedder.linear_1.weight" in shapes)
    return {
        original: (sum(shapes[name][0] for name in ours), *shapes[ours[0]][1:]) for original, ours in table.items() if all(name in shapes for name in ours)
    }
