# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts and plans against the full-size model on the meta device: parameters, operations, bytes of work; and the table of plans that cards get."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_files
import torch
from diffusers import AutoencoderKL
from hypothesis import given
from hypothesis import strategies as st
from jointdit import memory
from jointdit.cost import Sizes, bits_of_blocks, decode_bytes, large_layers, operations, prepared_bytes, sizes_of, unpacking_bytes, work_bytes
from jointdit.errors import InputError
from jointdit.joint_attention import JointFluxAttnProcessor
from jointdit.memory import GIB, PLANS, Machine, Plan, Work, choose, travellers
from jointdit.packed import Fp8Linear, Nf4Linear
from jointdit.placement import place, visit_bytes
from jointdit.prepared import Prepared, velocity
from jointdit.transformer import JointDiTTransformer2DModel
from jointdit.weights.source import open_source
from jointdit.weights.transformer_files import load_transformer
from meta import PeakBytes
from test_placement import wide_pipeline
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import T5Config, T5EncoderModel

# Bytes of FLUX's T5 and CLIP, of its autoencoder, of what is on the card while T5 comes layer by layer.
ENCODERS, AUTOENCODER, ENCODER_VISIT, TEXT = int(9.77e9), int(0.335e9), int(0.95e9), 512


@pytest.fixture(scope="module")
def full_size() -> JointDiTTransformer2DModel:
    with torch.device("meta"):
        model = JointDiTTransformer2DModel().to(torch.bfloat16)
    model.fuse_projections()
    return model.eval()


@pytest.fixture(scope="module")
def sizes(full_size: JointDiTTransformer2DModel) -> Sizes:
    return sizes_of(full_size, TEXT, ENCODERS, AUTOENCODER, ENCODER_VISIT)


def card(gibibytes: float, kind: str = "cuda") -> Machine:
    """A card of so many GiB with little else on it, in a machine with enough memory."""
    return Machine(kind, f"a card of {gibibytes} GiB", int(gibibytes * GIB), int(0.96 * gibibytes * GIB), 64 * GIB, True)


def on_meta(model: JointDiTTransformer2DModel, side: int, steps: int = 20) -> tuple[torch.Tensor, Prepared]:
    """Latents and a prepared schedule of one pair, all on the meta device."""
    tokens = (side // 16) ** 2
    blocks = len(model.transformer_blocks), len(model.single_transformer_blocks)
    with torch.device("meta"):
        modulations = [torch.empty(steps, 2, width * 3072, dtype=torch.bfloat16) for width in (12,) * blocks[0] + (3,) * blocks[1]]
        rotary = torch.empty(TEXT + tokens, 128), torch.empty(TEXT + tokens, 128)
        text, output = torch.empty(2, TEXT, 3072, dtype=torch.bfloat16), torch.empty(steps, 2, 6144, dtype=torch.bfloat16)
        return torch.empty(2, tokens, 64, dtype=torch.bfloat16), Prepared(text, rotary, tuple(modulations), output, (0.5, 0.5), "both")


def test_parameters_are_all_counted(full_size: JointDiTTransformer2DModel, sizes: Sizes) -> None:
    assert sizes.transformer == sum(p.numel() for p in full_size.parameters()) == 14_255_811_648
    modulation_of_flux = 19 * 2 * (6 * 3072 * 3072 + 6 * 3072) + 38 * (3 * 3072 * 3072 + 3 * 3072) + 2 * 3072 * 3072 + 2 * 3072
    loras = 64 * (19 * 2 * (3072 + 6 * 3072) + 38 * (3072 + 3 * 3072))
    assert sizes.modulation == modulation_of_flux + loras
    assert len(sizes.blocks) == 57 and sum(sizes.blocks) > 0.75 * sizes.transformer


@pytest.mark.parametrize(("side", "published"), [(512, 53.2), (1024, 199.1)])
def test_operations_are_those_that_torch_counts(full_size: JointDiTTransformer2DModel, side: int, published: float) -> None:
    latents, prepared = on_meta(full_size, side)
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: lambda x, a, b, **_: 2 * a[0] * a[1] * b[1]}) as counter, torch.no_grad():
        velocity(full_size, latents, prepared, 0)
    counted = operations(full_size.config, (side // 16) ** 2, TEXT)
    assert counted.total / 1e12 == pytest.approx(published, rel=0.002)
    # The last block leaves its text out, and embedding and output layer are not counted: together less than a hundredth.
    assert counter.get_total_flops() == pytest.approx(counted.total, rel=0.01)
    assert counted.total / counted.one_branch == pytest.approx(2.47 if side == 512 else 2.68, abs=0.01)


@pytest.mark.parametrize("side", [512, 1024, 2048])
def test_bytes_of_work_are_those_that_live_at_once(side: int, sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two blocks of each kind are enough: every block frees what it used. Attention as its fused kernels do it: without a matrix of scores."""
    monkeypatch.setattr(JointFluxAttnProcessor, "attend", lambda self, q, k, v, mask=None: torch.empty_like(q).flatten(2, 3))
    with torch.device("meta"):
        model = JointDiTTransformer2DModel(num_layers=2, num_single_layers=2).to(torch.bfloat16)
    model.fuse_projections()
    latents, prepared = on_meta(model, side)
    known = (*model.parameters(), latents, prepared.text, *prepared.rotary, *prepared.modulations, prepared.output_modulation)
    with torch.no_grad(), PeakBytes(known) as counted:
        velocity(model, latents, prepared, 0)
    estimated = work_bytes(sizes, (side // 16) ** 2)
    assert 0.8 * estimated < counted.peak <= estimated


@pytest.mark.parametrize("storage", [Fp8Linear.pack, Nf4Linear.pack, lambda layer: Fp8Linear.pack(layer, products=True)], ids=["fp8", "nf4", "products"])
@pytest.mark.parametrize("side", [512, 1024, 2048])
def test_bytes_of_work_over_packed_weights(side: int, storage: Callable[[nn.Linear], nn.Linear], sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JointFluxAttnProcessor, "attend", lambda self, q, k, v, mask=None: torch.empty_like(q).flatten(2, 3))
    with torch.device("meta"):
        model = JointDiTTransformer2DModel(num_layers=1, num_single_layers=2).to(torch.bfloat16)
        model.fuse_projections()
        for block in (*model.transformer_blocks, *model.single_transformer_blocks):
            for name, layer in large_layers(block):
                block.set_submodule(name, storage(layer))
    latents, prepared = on_meta(model, side)
    known = (*model.parameters(), *model.buffers(), latents, prepared.text, *prepared.rotary, *prepared.modulations, prepared.output_modulation)
    with torch.no_grad(), PeakBytes(known) as counted:
        velocity(model, latents, prepared, 0)
    assert counted.peak <= work_bytes(sizes, (side // 16) ** 2) + unpacking_bytes(sizes)


def test_bytes_of_an_encoder_that_comes_layer_by_layer() -> None:
    """T5-XXL's encoder, 24 layers of 193 million numbers and a word table of 132 million, in bfloat16."""
    config = T5Config(vocab_size=32128, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64, feed_forward_proj="gated-gelu")
    with torch.device("meta"):
        encoder = T5EncoderModel(config).to(torch.bfloat16)
    assert visit_bytes(encoder) == pytest.approx(2 * (193e6 + 132e6), rel=0.01)
    assert visit_bytes(encoder) * 5 // 4 < ENCODER_VISIT


def test_bytes_of_a_prepared_schedule(full_size: JointDiTTransformer2DModel, sizes: Sizes) -> None:
    _, prepared = on_meta(full_size, 512)
    held = sum(t.numel() * t.element_size() for t in (*prepared.modulations, prepared.output_modulation))
    assert held <= prepared_bytes(sizes, 20) < 1.1 * held


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1024, 1024), (2048, 512)])
def test_bytes_of_decoding(width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        autoencoder = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(128, 256, 512, 512),
            layers_per_block=2, latent_channels=16, use_quant_conv=False, use_post_quant_conv=False,
        )  # fmt: skip
        latents = torch.empty(1, 16, height // 8, width // 8)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", lambda q, *rest, **options: torch.empty_like(q))
    with torch.no_grad(), PeakBytes([*autoencoder.parameters(), latents]) as counted:
        autoencoder.decode(latents)
    assert 0.9 * decode_bytes(width, height) < counted.peak <= decode_bytes(width, height)


@pytest.mark.parametrize(
    ("gibibytes", "plan", "below"),
    [(80, "full", 48), (48, "full", 48), (32, "exact", 30), (24, "exact", 23.5), (16, "fp8", 15.5), (12, "nf4", 11.5), (8, "nf4", 7.7)],
)
def test_cards_get_the_plan_that_is_made_for_them(sizes: Sizes, gibibytes: float, plan: str, below: float) -> None:
    """At 1024 x 1024. `peak` includes a third of a GiB for what is no tensor."""
    chosen = choose(sizes, card(gibibytes), Work(1024, 1024))
    assert chosen.name == plan and chosen.peak < below * GIB
    assert chosen.encoders_stay == (plan == "full") and chosen.modulations_stay == (plan == "full")
    assert f"{chosen.peak / GIB:.1f} GiB" in chosen.reason and chosen.reason.endswith(".")


@given(
    free=st.floats(3.5, 100), width=st.sampled_from([256, 512, 1024, 2048]), height=st.sampled_from([256, 512, 1024]), bits=st.sampled_from([16.0, 8.0, 4.5])
)
def test_a_plan_fits_what_is_free(sizes: Sizes, free: float, width: int, height: int, bits: float) -> None:
    machine = Machine("cuda", "card", int(free * GIB), int(free * GIB), 64 * GIB)
    try:
        plan = choose(sizes, machine, Work(width, height), bits_stored=bits)
    except InputError as error:
        assert "Choose a smaller size" in str(error) and free < 8
        return
    assert plan.peak <= machine.free
    assert plan.visiting >= 0 and plan.visiting + plan.parked <= len(sizes.blocks)
    assert not (bits < 16 and plan.name in ("fp8", "nf4"))  # what is packed already is not packed anew


def test_more_memory_never_means_a_smaller_plan(sizes: Sizes) -> None:
    ranks = [PLANS.index(choose(sizes, card(g), Work(1024, 1024)).name) for g in (6, 8, 10, 12, 16, 20, 24, 32, 48, 80)]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("kind", ["q4_0", "q8_0", "fp8_scaled"])
def test_bytes_of_a_packed_file_are_those_that_lie_on_the_card(kind: str, tmp_path: Path) -> None:
    """Of a file whose base is packed and whose joint connections are not, laid out as it is stored."""
    parts = tiny_files.flux_parts()
    sources = [open_source(tiny_files.write(parts[part], tmp_path / part, form)) for part, form in (("flux", kind), ("addons", "bf16"))]
    model = load_transformer(*sources)
    blocks = (*model.transformer_blocks, *model.single_transformer_blocks)
    sizes, bits = sizes_of(model, 8), bits_of_blocks(blocks)
    pipeline = SimpleNamespace(transformer=model, text_encoder=nn.Identity(), text_encoder_2=nn.Identity(), vae=nn.Identity())
    place(pipeline, Plan("stored", 0, 0, False, 0), torch.device("cpu"), torch.bfloat16)
    once = {id(t) for block in blocks for layer in block.modulation_layers() for t in (*layer.parameters(), *layer.buffers())}
    once |= {id(t) for t in model.norm_out.linear.parameters()}
    lying = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()) if id(t) not in once)
    # Biases and the 256 pairs of NF4 are not counted one by one; of a tiny model they are a large part.
    assert lying == pytest.approx(memory._weights("stored", sizes, bits, 0, 0), rel=0.03)


@pytest.mark.parametrize(("visiting", "parked"), [(0, 2), (2, 0), (2, 1), (1, 4), (3, 3)])
def test_what_travels_is_what_is_counted_as_away(visiting: int, parked: int) -> None:
    """Blocks of the two kinds differ in size: seen on a card that four bits with 14 parked blocks took half a GiB more than was counted."""
    model = wide_pipeline().transformer
    sizes = sizes_of(model, 8)
    assert sizes.blocks[0] > 1.5 * sizes.blocks[-1]
    pipeline = SimpleNamespace(transformer=model, text_encoder=nn.Identity(), text_encoder_2=nn.Identity(), vae=nn.Identity())
    placement = place(pipeline, Plan("exact", visiting, parked, False, 0), torch.device("cpu"), torch.bfloat16)
    away = sum(layer.in_features * layer.out_features for block in placement._visitors._homes for _, layer in large_layers(block))
    biases = sum(layer.out_features for block in placement._visitors._homes for _, layer in large_layers(block) if layer.bias is not None)
    assert memory._away(sizes, visiting, parked) == away + biases
    assert len(placement._visitors._homes) == visiting + parked and len(placement._visitors._stays) == parked


def test_visitors_are_spread_and_the_largest_of_the_others_are_parked() -> None:
    sizes = (5, 5, 5, 2, 2, 2, 2, 2)
    assert travellers(sizes, 0, 2) == (set(), {0, 1})
    visitors, parked = travellers(sizes, 2, 3)
    assert visitors == {2, 6} and parked == {0, 1, 3}
    assert travellers(sizes, 0, 8) == (set(), set(range(8))) and travellers(sizes, 8, 0) == (set(range(8)), set())


def test_a_packed_file_is_kept_packed_where_bfloat16_does_not_fit(sizes: Sizes) -> None:
    assert choose(sizes, card(12), Work(1024, 1024), bits_stored=4.8).name == "stored"
    assert choose(sizes, card(80), Work(1024, 1024), bits_stored=4.8).name == "full"


def test_the_next_plan_after_memory_ran_out(sizes: Sizes) -> None:
    names = ["full"]
    while names[-1] != "nf4":
        names.append(choose(sizes, card(80), Work(512, 512), smaller_than=names[-1]).name)
    assert names == ["full", "exact", "fp8", "nf4"]
    with pytest.raises(InputError, match="No memory plan smaller than nf4 is left"):
        choose(sizes, card(80), Work(512, 512), smaller_than="nf4")


def test_the_numbers_of_a_refusal_are_what_is_needed(sizes: Sizes) -> None:
    """A card with so much would have been enough, one with a little less not."""
    for wanted in ("auto", "full", "exact", "nf4"):
        with pytest.raises(InputError, match="Choose a smaller size") as caught:
            choose(sizes, Machine("cuda", "card", GIB, GIB, 64 * GIB), Work(1024, 1024), wanted)
        needed = float(re.search(r"need at least ([\d.]+) GiB", str(caught.value))[1])
        enough, short = (Machine("cuda", "card", int(g * GIB), int(g * GIB), 64 * GIB) for g in (needed + 0.1, needed - 0.1))
        assert choose(sizes, enough, Work(1024, 1024), wanted).peak <= enough.free
        with pytest.raises(InputError):
            choose(sizes, short, Work(1024, 1024), wanted)


def test_blocks_visit_only_where_the_machine_can_hold_them(sizes: Sizes) -> None:
    poor = Machine("cuda", "card", 8 * GIB, 8 * GIB, 8 * GIB)
    with pytest.raises(InputError, match="of the machine's own memory"):
        choose(sizes, poor, Work(512, 512), "exact")
    assert choose(sizes, poor, Work(512, 512)).name == "nf4"


def test_apples_memory_is_shared_so_nothing_visits(sizes: Sizes) -> None:
    plan = choose(sizes, card(32, "mps"), Work(1024, 1024))
    assert plan.name == "exact" and plan.visiting == plan.parked == 0
    assert choose(sizes, card(16, "mps"), Work(1024, 1024)).name == "nf4"
    assert choose(sizes, card(6, "mps"), Work(1024, 1024)).name == "cpu"


def test_long_schedules_take_memory(sizes: Sizes) -> None:
    assert choose(sizes, card(32), Work(512, 512, 1000)).peak > choose(sizes, card(32), Work(512, 512, 20)).peak + 3 * GIB


def test_a_plan_may_be_asked_for(sizes: Sizes) -> None:
    assert choose(sizes, card(80), Work(512, 512), "nf4").name == "nf4"
    visiting = choose(sizes, card(8), Work(512, 512), "exact")  # exact on a small card, with most blocks visiting
    assert visiting.name == "exact" and visiting.visiting > 30 and visiting.peak < 8 * GIB
    assert choose(sizes, card(80), Work(512, 512), "cpu").name == "cpu"
    with pytest.raises(InputError, match="There is no memory plan 'tiny'"):
        choose(sizes, card(80), Work(512, 512), "tiny")
    with pytest.raises(InputError, match="Apple"):
        choose(sizes, card(80, "mps"), Work(512, 512), "fp8")
    with pytest.raises(InputError, match="holds no packed weights"):
        choose(sizes, card(80), Work(512, 512), "stored")


def test_the_processor_is_honest_about_memory(sizes: Sizes) -> None:
    machine = Machine("cpu", "processor", 16 * GIB, 12 * GIB, 12 * GIB)
    plan = choose(sizes, machine, Work(1024, 1024))
    assert plan.name == "cpu" and plan.peak > 30 * GIB and "read from the disk again" in plan.reason
