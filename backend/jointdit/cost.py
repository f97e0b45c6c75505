# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture costs: operations of the two-branch transformer, bytes of its parts, and the bytes that work in progress takes.

Counted from the architecture, without a weight in memory. The tests compare the counts with the model run on the meta device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from .transformer import JointDiTTransformer2DModel

# Most live bytes within a step, in tokens x inner width x bytes of a number (attention kernels that keep no matrix of scores).
WORK_WIDTHS = 22
# Most live bytes of decoding one picture in float32, for each of its pixels: the last up block of FLUX's autoencoder holds 768 numbers for each.
DECODE_BYTES_PER_PIXEL = 4 * 800


@dataclass(frozen=True)
class Operations:
    """Floating-point operations (a multiplication and an addition are two) of one step for one pair of an image and its disparity."""

    linear: int
    self_attention: int
    joint_attention: int
    joint_linear: int
    lora: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.linear + self.self_attention + self.joint_attention + self.joint_linear + self.lora

    @property
    def one_branch(self) -> int:
        """What FLUX alone would take for the image alone."""
        return (self.linear + self.self_attention) // 2


def operations(config: Mapping[str, Any], image_tokens: int, text_tokens: int) -> Operations:
    """Count one step at a number of image and text tokens a branch; `config` is the transformer's.

    Modulations, text projections and everything else that happens once a picture are left out, and so is what the last block does not compute.
    """
    d, rank = config["num_attention_heads"] * config["attention_head_dim"], config["lora_rank"]
    doubles, singles = config["num_layers"], config["num_single_layers"]
    tokens, blocks = image_tokens + text_tokens, doubles + singles
    attention = 4 * tokens**2 * d * blocks * 2
    return Operations(
        # q, k, v and output are 4 d x d, the feed-forward part 8: in either kind of block, for both branches.
        linear=2 * 12 * d * d * tokens * blocks * 2,
        self_attention=attention,
        joint_attention=attention,
        joint_linear=2 * 4 * d * d * tokens * blocks,
        lora=2 * rank * d * tokens * (6 * doubles + 8 * singles),
    )


@dataclass(frozen=True)
class Sizes:
    """Numbers of parameters, by what a memory plan does with them.

    `blocks`: the large linear layers of each block, joint connection included, in the order of work; `block_rest`: norms and the depth LoRAs that every step
    uses, of all blocks together; `modulation`: layers that work once for a schedule and a prompt; `rest`: embeddings and the output layer.
    `encoders`, `autoencoder` and `encoder_visit` are bytes: of both text encoders and of the autoencoder as they are stored, and the most that is on the card
    while the encoders come layer by layer.
    """

    blocks: tuple[int, ...]
    block_rest: int
    modulation: int
    rest: int
    inner_width: int
    text_tokens: int
    encoders: int = 0
    autoencoder: int = 0
    encoder_visit: int = 0

    @property
    def transformer(self) -> int:
        """All parameters of the transformer."""
        return sum(self.blocks) + self.block_rest + self.modulation + self.rest


def sizes_of(model: JointDiTTransformer2DModel, text_tokens: int, encoders: int = 0, autoencoder: int = 0, encoder_visit: int = 0) -> Sizes:
    """Count the parameters of a model, which may be on the meta device; the bytes of the other parts are passed through.

    A layer that holds packed weights counts with the weights that it stands for.
    """
    blocks, block_rest, modulation = [], 0, 0
    for block in (*model.transformer_blocks, *model.single_transformer_blocks):
        once = sum(_parameters(layer) for layer in block.modulation_layers())
        large = large_weights(block)
        blocks.append(large)
        modulation += once
        block_rest += _parameters(block) - large - once
    modulation += _parameters(model.norm_out.linear)
    rest = _parameters(model) - sum(blocks) - block_rest - modulation
    return Sizes(tuple(blocks), block_rest, modulation, rest, model.inner_dim, text_tokens, encoders, autoencoder, encoder_visit)


def large_layers(block: nn.Module) -> list[tuple[str, nn.Linear]]:
    """The linear layers of a block that hold nearly all its weights and work in every step, by name: what a memory plan stores in fewer bits."""
    from torch import nn

    once = {id(layer) for part in block.modulation_layers() for layer in part.modules()}
    return [
        (name, layer) for name, layer in block.named_modules() if isinstance(layer, nn.Linear) and id(layer) not in once and "lora" not in name
    ]


def large_weights(block: nn.Module) -> int:
    """Parameters of a block's large layers."""
    return sum(_parameters(layer) for _, layer in large_layers(block))


def bits_of_blocks(blocks: Iterable[nn.Module]) -> float:
    """Mean bits in which the large layers of blocks will lie on a card that keeps packed files as they are; 16 where nothing is packed.

    A large layer that the file does not pack, such as the joint connection beside a GGUF, is packed to 8 bits then.
    """
    from .packed import PackedLinear

    layers = [layer for block in blocks for _, layer in large_layers(block)]
    if not any(isinstance(layer, PackedLinear) for layer in layers):
        return 16.0
    nbytes = sum(layer.packed_bytes() if isinstance(layer, PackedLinear) else layer.in_features * layer.out_features for layer in layers)
    return 8 * nbytes / sum(layer.in_features * layer.out_features for layer in layers)


def _parameters(module: nn.Module) -> int:
    """Parameters of a module; a packed linear layer counts as what it stands for."""
    from .packed import PackedLinear

    packed = [layer for layer in module.modules() if isinstance(layer, PackedLinear)]
    inside = {id(p) for layer in packed for p in layer.parameters()}
    plain = sum(p.numel() for p in module.parameters() if id(p) not in inside)
    return plain + sum(layer.in_features * layer.out_features + (0 if layer.bias is None else layer.out_features) for layer in packed)


def work_bytes(sizes: Sizes, image_tokens: int, pairs: int = 1, bytes_each: int = 2) -> int:
    """Bytes of work in progress while the blocks run."""
    return WORK_WIDTHS * 2 * pairs * (image_tokens + sizes.text_tokens) * sizes.inner_width * bytes_each


def unpacking_bytes(sizes: Sizes) -> int:
    """Bytes that a packed layer takes while it works: its weight in 16 bits, and as much twice over on the way there (NF4's indices, GGUF's parts)."""
    # The largest layer has 7 d x d weights of a single-stream block's 16, or 4 of a double-stream block's 28.
    return 3 * 2 * max(7 * min(sizes.blocks) // 16, 4 * max(sizes.blocks) // 28)


def prepared_bytes(sizes: Sizes, steps: int, pairs: int = 1, bytes_each: int = 2) -> int:
    """Bytes of the modulations of a whole schedule."""
    # A modulation layer has as many outputs as it has parameters for each of its `inner_width` inputs; the LoRAs beside it count little.
    return steps * 2 * pairs * (sizes.modulation // sizes.inner_width) * bytes_each


def decode_bytes(width: int, height: int) -> int:
    """Bytes of work in progress while FLUX's autoencoder decodes one picture in float32; the two pictures are decoded one after the other."""
    return DECODE_BYTES_PER_PIXEL * width * height
