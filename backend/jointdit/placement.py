# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a pipeline to a device as a memory plan says, and move its parts while it works.

A pipeline arrives with its weights mapped from the files. Block by block the large layers are fused, packed and laid down where the plan wants them, so
that no more than one block is in memory twice. The text encoders come to the card when a prompt is new, the autoencoder when pictures are encoded or decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .cost import large_layers, large_weights
from .memory import Plan, travellers
from .packed import FP8, Fp8Linear, Nf4Linear, PackedLinear, tensors_of

if TYPE_CHECKING:
    from .pipeline import JointDiTPipeline

CPU = torch.device("cpu")


class Visitors:
    """Modules whose weights have their home in the machine's memory and come to the card when it is their turn.

    A visitor leaves after its work, and the next one's copy is under way meanwhile. One that `stays` leaves only when it is parked.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._tensors: dict[nn.Module, list[Tensor]] = {}
        self._homes: dict[nn.Module, list[Tensor]] = {}
        self._stays: set[nn.Module] = set()
        self._present: set[nn.Module] = set()
        self._coming: dict[nn.Module, list[Tensor]] = {}
        self._copying = torch.cuda.Stream(device) if device.type == "cuda" else None

    def add(self, module: nn.Module, tensors: Iterable[Tensor], stays: bool = False) -> None:
        """Make `tensors` of a module travel. They are moved to the machine's memory, page-locked where the card is NVIDIA's or AMD's."""
        travelling = list(tensors)
        for tensor in travelling:
            home = tensor.data.to(CPU)
            tensor.data = home.pin_memory() if self._copying is not None else home
        self._homes[module] = [tensor.data for tensor in travelling]
        self._tensors[module] = travelling
        if stays:
            self._stays.add(module)

    @contextmanager
    def visit(self, module: nn.Module) -> Iterator[None]:
        """While a module works. Modules that do not travel pass freely."""
        if module not in self._homes or module in self._present:
            yield
            return
        self._settle(module, self._coming.pop(module, None) or self._fetch(module))
        following = self._next(module)
        if following is not None and following not in self._coming:
            self._coming[following] = self._fetch(following)
        try:
            yield
        finally:
            if module not in self._stays:
                self._send_home(module)

    def park(self) -> bool:
        """Everything that travels leaves the card; returns whether anything was there."""
        left = bool(self._coming or self._present)
        self._coming.clear()
        for module in list(self._present):
            self._send_home(module)
        return left

    def _fetch(self, module: nn.Module) -> list[Tensor]:
        """Begin to copy a module's tensors to the card."""
        if self._copying is None:
            return [home.to(self._device, copy=True) for home in self._homes[module]]
        # What these copies will overwrite may still be in use by work that is queued.
        self._copying.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._copying):
            return [home.to(self._device, non_blocking=True) for home in self._homes[module]]

    def _settle(self, module: nn.Module, copies: list[Tensor]) -> None:
        if self._copying is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._copying)
        for tensor, copied in zip(self._tensors[module], copies, strict=True):
            tensor.data = copied
        self._present.add(module)

    def _send_home(self, module: nn.Module) -> None:
        for tensor, home in zip(self._tensors[module], self._homes[module], strict=True):
            tensor.data = home
        self._present.discard(module)

    def _next(self, module: nn.Module) -> nn.Module | None:
        """The visitor whose turn comes next, in the order in which they were added, round and round."""
        order = list(self._homes)
        start = order.index(module) + 1
        return next((m for m in order[start:] + order[: start - 1] if m not in self._present), None)


class Placement:
    """Where the parts of a pipeline are while it works. Made by `place`."""

    def __init__(self, plan: Plan, device: torch.device, dtype: torch.dtype, visitors: Visitors) -> None:
        self.plan = plan
        self.device = device
        self.dtype = dtype
        self.visit: Callable = visitors.visit
        self._visitors = visitors

    @contextmanager
    def encoding(self, *encoders: nn.Module) -> Iterator[None]:
        """While prompts are encoded: text encoders work on the device, layer by layer where they have layers; parked blocks make room for them."""
        self._make_room()
        with ExitStack() as stack:
            for encoder in () if self.plan.encoders_stay else encoders:
                stack.enter_context(layer_by_layer(encoder, self.device, self.dtype))
            yield

    @contextmanager
    def seeing(self, autoencoder: nn.Module, roomy: bool = True) -> Iterator[None]:
        """While pictures are encoded or decoded: the autoencoder works on the device, and parked blocks make room if it shall be `roomy`."""
        if roomy:
            self._make_room()
        with ExitStack() as stack:
            if not self.plan.encoders_stay:
                stack.enter_context(lent([autoencoder], self.device, torch.float32))
            yield

    def _make_room(self) -> None:
        """Park what travels; it comes back at its next turn."""
        if self._visitors.park() and self.device.type == "cuda":
            # What visitors leave behind belongs to their copies' stream; others find it only so. Nothing that is queued may still read it.
            torch.cuda.current_stream(self.device).synchronize()
            torch.cuda.empty_cache()


def place(pipeline: JointDiTPipeline, plan: Plan, device: torch.device, dtype: torch.dtype, fp8_products: bool = False) -> Placement:
    """Lay a pipeline's weights down as the plan says, in `dtype` where they are not packed; the autoencoder in float32, so that a disparity is smooth.

    `fp8_products` multiplies 8-bit layers in 8 bits. The pipeline's modules are changed; it works through the placement from now on. Plans count with one
    picture at a time.
    """
    transformer = pipeline.transformer.requires_grad_(False).eval()
    blocks = [*transformer.transformer_blocks, *transformer.single_transformer_blocks]
    visiting, parked = travellers([large_weights(block) for block in blocks], plan.visiting, plan.parked)
    visitors = Visitors(device)
    # Users' LoRAs sit beside separate layers. On the processor a fused layer would be a copy of what is mapped from the file; a small model can afford it.
    fuse = not has_user_loras(transformer) and (device.type != "cpu" or dtype == torch.float32)
    for i, block in enumerate(blocks):
        once = block.modulation_layers()
        _move(once, device if plan.modulations_stay else CPU, dtype if plan.modulations_stay else None)
        _lay_down(block, device, dtype)
        if fuse:
            block.fuse_projections()
        for name, layer in large_layers(block):
            block.set_submodule(name, _stored(layer, plan.name, dtype, fp8_products))
        if i in visiting | parked:
            fixed = {id(t) for layer in once for _, t in tensors_of(layer)}
            visitors.add(block, [t for _, t in tensors_of(block) if id(t) not in fixed], stays=i in parked)
    in_blocks = {id(t) for block in blocks for _, t in tensors_of(block)}
    for wide, tensor in tensors_of(transformer):
        if id(tensor) not in in_blocks:
            tensor.data = tensor.data.to(device, dtype if wide else None)
    stay = device if plan.encoders_stay else CPU
    _move((pipeline.text_encoder, pipeline.text_encoder_2), stay, dtype if plan.encoders_stay else None)
    _move([pipeline.vae], stay, torch.float32)
    return Placement(plan, device, dtype, visitors)


def _lay_down(block: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Bring a block, without its modulation layers, to the device."""
    once = {id(part) for layer in block.modulation_layers() for part in layer.modules()}
    for part in block.modules():
        if id(part) not in once:
            for wide, tensor in tensors_of(part, recurse=False):
                tensor.data = tensor.data.to(device, dtype if wide else None)


def has_user_loras(transformer: nn.Module) -> bool:
    """Whether `loras.load_loras` has put LoRAs into the model."""
    return getattr(transformer, "_hf_peft_config_loaded", False)


def _stored(layer: nn.Linear, plan: str, dtype: torch.dtype, fp8_products: bool) -> nn.Linear:
    """A large layer as a plan stores it."""
    if isinstance(layer, PackedLinear):
        if isinstance(layer, Fp8Linear):
            layer.products = fp8_products and layer.kind == FP8
        return layer.plain(dtype) if plan in ("full", "exact") else layer
    # The joint connection is no part of the base model's file: it is packed alike, so that it does not outweigh the rest.
    if plan in ("fp8", "stored"):
        return Fp8Linear.pack(layer, fp8_products)
    if plan == "nf4" and layer.in_features % 64 == 0:
        return Nf4Linear.pack(layer)
    return layer


def _move(modules: Iterable[nn.Module], device: torch.device, dtype: torch.dtype | None) -> None:
    """Move modules, and turn their wide floats into `dtype`; packed weights keep theirs."""
    for module in modules:
        for wide, tensor in tensors_of(module):
            tensor.data = tensor.data.to(device, dtype if wide else None)


@contextmanager
def lent(modules: Iterable[nn.Module], device: torch.device, dtype: torch.dtype | None = None) -> Iterator[None]:
    """Lend modules to a device: copies of their tensors work there and are dropped; the originals stay where and what they are."""
    tensors = [(wide, tensor, tensor.data) for module in modules for wide, tensor in tensors_of(module)]
    try:
        for wide, tensor, home in tensors:
            tensor.data = home.to(device, dtype if wide else None, non_blocking=True)
        yield
    finally:
        for _, tensor, home in tensors:
            tensor.data = home


def layers_of(encoder: nn.Module) -> list[nn.Module]:
    """The layers of a text encoder: its longest list of modules by weight; none where it has no list."""
    lists = (m for m in encoder.modules() if isinstance(m, nn.ModuleList))
    return list(max(lists, key=lambda m: sum(p.numel() for p in m.parameters()), default=[]))


def visit_bytes(encoder: nn.Module) -> int:
    """The most bytes of an encoder that are on a device at once in `layer_by_layer`."""
    layers = [sum(t.numel() * t.element_size() for _, t in tensors_of(layer)) for layer in layers_of(encoder)]
    whole = sum(t.numel() * t.element_size() for _, t in tensors_of(encoder))
    return whole - sum(layers) + max(layers, default=0)


@contextmanager
def layer_by_layer(encoder: nn.Module, device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Lend a text encoder to a device, its layers only while each works; FLUX's T5 has 9.5 GB in 24 layers."""
    layers = layers_of(encoder)
    inside = {id(t) for layer in layers for _, t in tensors_of(layer)}
    rest = [(wide, t, t.data) for wide, t in tensors_of(encoder) if id(t) not in inside]
    loans: dict[nn.Module, ExitStack] = {layer: ExitStack() for layer in layers}

    def bring(layer: nn.Module, _inputs: object) -> None:
        loans[layer].enter_context(lent([layer], device, dtype))

    def send_home(layer: nn.Module, _inputs: object, _output: object) -> None:
        loans[layer].close()

    hooks = [hook for layer in layers for hook in (layer.register_forward_pre_hook(bring), layer.register_forward_hook(send_home))]
    try:
        for wide, tensor, home in rest:
            tensor.data = home.to(device, dtype if wide else None)
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for loan in loans.values():
            loan.close()
        for _, tensor, home in rest:
            tensor.data = home
