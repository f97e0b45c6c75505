# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory plans laid out on the processor, where the arithmetic is the same: every plan gives the picture, visitors come one after the other and go home."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from jointdit.cost import large_layers
from jointdit.memory import Plan, spread
from jointdit.packed import Fp8Linear, GgufLinear, Nf4Linear
from jointdit.pipeline import JointDiTPipeline
from jointdit.placement import Visitors, layer_by_layer
from jointdit.transformer import JointDiTTransformer2DModel
from tiny import tiny_pipeline
from torch import nn

CPU = torch.device("cpu")


def wide_pipeline() -> JointDiTPipeline:
    """The tiny pipeline with a transformer of three blocks of each kind, wide enough for NF4's blocks of 64."""
    pipeline = tiny_pipeline()
    torch.manual_seed(5)
    transformer = JointDiTTransformer2DModel(
        in_channels=16, num_layers=3, num_single_layers=3, attention_head_dim=32, num_attention_heads=2, joint_attention_dim=24, pooled_projection_dim=12,
        axes_dims_rope=(4, 14, 14), lora_rank=2, vector_lora_ranks=(2, 2), text_lora_rank=2,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape))
    pipeline.register_modules(transformer=transformer.eval())
    return pipeline


def latents_of(pipeline: JointDiTPipeline) -> np.ndarray:
    out = pipeline("a red cube", num_inference_steps=3, generator=torch.Generator().manual_seed(1), output_type="latent")
    return np.concatenate([out.images.float().numpy(), out.disparity.float().numpy()])


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return latents_of(wide_pipeline())


def placed(name: str, visiting: int = 0, parked: int = 0, stay: bool = False, dtype: torch.dtype = torch.float32) -> JointDiTPipeline:
    pipeline = wide_pipeline()
    pipeline.place(Plan(name, visiting, parked, stay, 0), CPU, dtype)
    return pipeline


@pytest.mark.parametrize(
    ("name", "visiting", "parked", "stay"), [("full", 0, 0, True), ("exact", 0, 0, False), ("exact", 2, 2, False), ("exact", 6, 0, False), ("cpu", 0, 0, True)]
)
def test_exact_plans_are_exact(expected: np.ndarray, name: str, visiting: int, parked: int, stay: bool) -> None:
    pipeline = placed(name, visiting, parked, stay)
    for _ in range(2):  # the second picture finds everything where the first left it
        np.testing.assert_allclose(latents_of(pipeline), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("name", "kind", "tolerance"), [("fp8", Fp8Linear, 0.06), ("nf4", Nf4Linear, 0.25)])
@pytest.mark.parametrize("visiting", [0, 4])
def test_packed_plans_are_near(expected: np.ndarray, name: str, kind: type, tolerance: float, visiting: int) -> None:
    pipeline = placed(name, visiting)
    layers = [layer for block in pipeline.transformer.transformer_blocks for _, layer in large_layers(block)]
    assert layers and all(type(layer) is kind for layer in layers)
    error = np.sqrt(((latents_of(pipeline) - expected) ** 2).mean()) / expected.std()
    assert 0 < error < tolerance


def test_a_packed_model_is_unpacked_where_there_is_room() -> None:
    pipeline = placed("fp8")
    pipeline.place(Plan("full", 0, 0, True, 0), CPU, torch.float32)
    assert not any(isinstance(layer, (Fp8Linear, Nf4Linear, GgufLinear)) for layer in pipeline.transformer.modules())


def test_the_autoencoder_stays_float32_and_the_rest_gets_the_dtype() -> None:
    pipeline = placed("exact", dtype=torch.bfloat16)
    assert pipeline.transformer.dtype == torch.bfloat16 and pipeline.vae.dtype == torch.float32
    assert np.isfinite(latents_of(pipeline)).all()
    # What is lent is converted on the way; at home it stays what it was, mapped from its file.
    assert pipeline.text_encoder_2.dtype == torch.float32
    assert pipeline.transformer.transformer_blocks[0].norm1.linear.weight.dtype == torch.float32


def test_spread_is_even() -> None:
    assert spread(57, 0) == [] and spread(4, 4) == [0, 1, 2, 3]
    for chosen in (1, 2, 8, 19, 56):
        places = spread(57, chosen)
        gaps = [b - a for a, b in zip(places, [*places[1:], places[0] + 57], strict=True)]
        assert len(set(places)) == chosen and max(gaps) - min(gaps) <= 1


class Guests:
    """Three layers that travel, the last of which stays."""

    def __init__(self) -> None:
        self.visitors = Visitors(CPU)
        self.layers = [nn.Linear(4, 4) for _ in range(3)]
        for i, layer in enumerate(self.layers):
            self.visitors.add(layer, layer.parameters(), stays=i == 2)
        self.homes = [layer.weight.data_ptr() for layer in self.layers]

    def away(self) -> list[bool]:
        return [layer.weight.data_ptr() != home for layer, home in zip(self.layers, self.homes, strict=True)]


def test_visitors_come_in_turn_and_go_home() -> None:
    guests = Guests()
    copies: list[weakref.ref] = []
    for layer in guests.layers * 2:
        with guests.visitors.visit(layer):
            copies.append(weakref.ref(layer.weight.data.untyped_storage()))
            gc.collect()
            assert guests.away()[guests.layers.index(layer)]
    assert guests.away() == [False, False, True]
    guests.visitors.park()
    assert guests.away() == [False, False, False]
    gc.collect()
    assert all(copy() is None for copy in copies)  # nothing of them is left on the card


def test_no_more_than_two_visitors_are_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    guests = Guests()
    fetched: list[nn.Module] = []
    fetch = Visitors._fetch
    monkeypatch.setattr(Visitors, "_fetch", lambda self, module: fetched.append(module) or fetch(self, module))
    with guests.visitors.visit(guests.layers[0]):
        assert fetched == guests.layers[:2]  # itself, and the next one meanwhile
    with guests.visitors.visit(guests.layers[1]):
        assert fetched == guests.layers  # the next one had come already
    with guests.visitors.visit(nn.Linear(1, 1)):  # who does not travel passes
        assert fetched == guests.layers


def test_a_visitor_goes_home_after_a_failure() -> None:
    guests = Guests()
    with pytest.raises(RuntimeError, match="out of memory"), guests.visitors.visit(guests.layers[0]):
        raise RuntimeError("out of memory")
    assert guests.away() == [False, False, False]


def test_an_encoder_lends_its_layers_one_at_a_time() -> None:
    pipeline = tiny_pipeline()
    encoder = pipeline.text_encoder_2
    ids = torch.tensor([[3, 4, 1]])
    with torch.no_grad():
        expected = encoder(ids)[0]
        seen: list[torch.dtype] = []
        layer = encoder.encoder.block[0]
        watch = layer.layer[0].register_forward_hook(lambda *_: seen.append(layer.layer[0].SelfAttention.q.weight.dtype))
        with layer_by_layer(encoder, CPU, torch.bfloat16):
            assert layer.layer[0].SelfAttention.q.weight.dtype == torch.float32  # not before its turn
            made = encoder(ids)[0]
            assert layer.layer[0].SelfAttention.q.weight.dtype == torch.float32  # nor after it
        watch.remove()
    assert seen == [torch.bfloat16] and made.dtype == torch.bfloat16
    assert torch.allclose(made.float(), expected, atol=0.05)
    assert encoder.dtype == torch.float32 and not layer._forward_pre_hooks and not layer._forward_hooks


def test_a_prompt_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = tiny_pipeline()
    calls: list[int] = []
    pipeline.text_encoder.register_forward_hook(lambda module, inputs, output: calls.append(len(output.pooler_output)))
    first = pipeline.encode_prompt(["a red cube", "a house", "a red cube"])
    again = pipeline.encode_prompt(["a house", "a red cube"])
    assert calls == [2]  # two different prompts, together
    assert torch.equal(first[0][[1, 0]], again[0]) and torch.equal(first[1][[1, 0]], again[1])
    pipeline.encode_prompt(["a house"], max_sequence_length=4)
    assert calls == [2, 1]  # another length is another text


def test_only_so_many_prompts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jointdit.pipeline.REMEMBERED_PROMPTS", 2)
    pipeline = tiny_pipeline()
    for prompt in ("a", "b", "a", "c"):
        pipeline.encode_prompt([prompt])
    assert {prompt for prompt, _ in pipeline._encoded} == {"a", "c"}
    assert len(pipeline.encode_prompt(["d", "e", "f"])[0]) == 3  # more at once than are remembered


def test_a_preview_is_small_and_shows_the_picture() -> None:
    pipeline = tiny_pipeline()
    latents = torch.randn(2, 40 * 64, 16, generator=torch.Generator().manual_seed(0))
    image, disparity = pipeline.preview(latents, 640, 1024)
    assert image.shape[-2:] == disparity.shape[-2:] and max(image.shape[-2:]) <= 256
    assert image.shape[-1] / image.shape[-2] == pytest.approx(1.6, rel=0.05)
    middle = torch.randn(2, 16 * 24, 16, generator=torch.Generator().manual_seed(0))
    assert max(pipeline.preview(middle, 256, 384)[0].shape[-2:]) <= 256  # the plans count with no more
    small = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(0))
    whole = pipeline.decode(small, 30, 32)
    assert all(torch.equal(a, b) for a, b in zip(pipeline.preview(small, 30, 32), whole, strict=True))


def test_unloading_gives_the_memory_back() -> None:
    """Measured in a process of its own: 256 MB of weights come, and go."""
    program = (
        "import gc, psutil, torch, sys; from jointdit.models import Models, _Loaded; from jointdit.memory import Plan; from jointdit.wishes import Wish;"
        "from tiny import tiny_pipeline; p = psutil.Process(); m = Models(); pipe = tiny_pipeline();"
        "pipe.transformer.extra = torch.nn.Linear(8192, 8192); pipe.place(Plan('cpu', 0, 0, True, 0), torch.device('cpu'), torch.float32);"
        "m._loaded = _Loaded('x', Wish(), None, None, 16, pipe.placement.plan, pipe); del pipe; held = p.memory_info().rss;"
        "freed = m.unload(); print(held - p.memory_info().rss, freed)"
    )
    environment_path = ":".join(p for p in sys.path if p)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": environment_path, "PATH": ""})
    given_back, said = map(int, run.stdout.split())
    assert given_back > 250e6 and said > 268e6
