# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in every format -> a pipeline that makes the same pictures: each tensor read once, nothing held twice, sentences for what cannot be."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny_files
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from jointdit.assembly import SCHEDULE, assemble
from jointdit.errors import CheckpointError
from jointdit.memory import Plan
from jointdit.packed import Fp8Linear, GgufLinear
from jointdit.pipeline import JointDiTPipeline
from jointdit.weights.pieces import NEEDED, find_pieces
from jointdit.weights.source import TensorSource
from jointdit.weights.tokenizers import clip_tokenizer, t5_tokenizer
from jointdit.weights.transformer_files import load_transformer
from tiny_files import FLUX, flux_parts

AXES = FLUX["axes_dims_rope"]
# How far latents may be from those of the exact weights after two steps, relative to their deviation: by the bits that the form keeps.
TOLERANCES = {
    "f32": 1e-5, "f16": 2e-3, "bf16": 2e-2, "fp8": 0.2, "fp8_e5m2": 0.35, "fp8_scaled": 0.2, "fp8_scaled_new": 0.2, "fp8_scaled_rows": 0.2,
    "gguf_f16": 2e-3, "gguf_bf16": 2e-2, "q8_0": 0.05, "q5_0": 0.3, "q4_0": 0.5, "q4_1": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def exact() -> JointDiTPipeline:
    """The pipeline put together from modules, without any file."""
    pipeline = JointDiTPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULE), vae=tiny_files.tiny_autoencoder(), text_encoder=tiny_files.tiny_clip(49408, 77),
        tokenizer=clip_tokenizer(), text_encoder_2=tiny_files.tiny_t5(32128), tokenizer_2=t5_tokenizer(), transformer=tiny_files.tiny_joint(),
        max_sequence_length=8,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def latents_of(pipeline: JointDiTPipeline) -> np.ndarray:
    out = pipeline("a red house", height=48, width=64, num_inference_steps=2, generator=torch.Generator().manual_seed(1), output_type="latent")
    return np.stack([out.images.float().numpy(), out.disparity.float().numpy()])


def difference(pipeline: JointDiTPipeline, exact: JointDiTPipeline) -> float:
    a, b = latents_of(pipeline), latents_of(exact)
    return float(np.sqrt(((a - b) ** 2).mean()) / b.std())


def pieces_in(*paths: Path) -> dict:
    found = find_pieces(paths)
    assert not found.missing(), found
    return {name: found.best(name) for name in NEEDED}


def write_parts(folder: Path, flux_form: str = "f32") -> None:
    for part, tensors in flux_parts(readable=True).items():
        tiny_files.write(tensors, folder / f"{part}.safetensors", flux_form if part == "flux" else "f32")


@pytest.mark.parametrize("form", tiny_files.FORMS)
def test_every_form_of_flux_gives_the_same_picture(form: str, tmp_path: Path, exact: JointDiTPipeline) -> None:
    write_parts(tmp_path, form)
    pipeline = assemble(pieces_in(tmp_path), AXES, text_length=8)
    packed = {type(layer) for layer in pipeline.transformer.modules()} & {Fp8Linear, GgufLinear}
    assert packed == ({Fp8Linear} if "fp8" in form else {GgufLinear} if form in ("q8_0", "q5_0", "q4_0", "q4_1") else set())
    error = difference(pipeline_in_float32(pipeline), exact)
    assert error < TOLERANCES[form], error
    assert error > 0 or form == "f32"  # the rounded weights were really used


def pipeline_in_float32(pipeline: JointDiTPipeline) -> JointDiTPipeline:
    pipeline.place(Plan("cpu", 0, 0, True, 0), torch.device("cpu"), torch.float32)
    return pipeline


def test_a_folder_in_diffusers_layout(tmp_path: Path, exact: JointDiTPipeline) -> None:
    tiny_files.tiny_flux().save_pretrained(tmp_path / "transformer", max_shard_size="100KB")
    tiny_files.tiny_autoencoder().save_pretrained(tmp_path / "vae")
    tiny_files.tiny_clip(49408, 77).save_pretrained(tmp_path / "text_encoder")
    tiny_files.tiny_t5(32128).save_pretrained(tmp_path / "text_encoder_2")
    tiny_files.write(flux_parts()["addons"], tmp_path / "x.safetensors", "f32")
    assert difference(pipeline_in_float32(assemble(pieces_in(tmp_path), AXES, text_length=8)), exact) < 1e-5


def test_everything_in_one_file(tmp_path: Path, exact: JointDiTPipeline) -> None:
    parts = flux_parts(readable=True)
    prefixes = {"flux": "model.diffusion_model.", "autoencoder": "vae.", "clip": "text_encoders.clip_l.transformer.", "t5": "text_encoders.t5xxl.transformer."}
    everything = {prefix + name: tensor for part, prefix in prefixes.items() for name, tensor in parts[part].items()}
    tiny_files.write(everything, tmp_path / "all.safetensors", "f32")
    tiny_files.write(parts["addons"], tmp_path / "addons.safetensors", "f32")
    assert difference(pipeline_in_float32(assemble(pieces_in(tmp_path), AXES, text_length=8)), exact) < 1e-5


@pytest.mark.parametrize("form", ["bf16", "fp8_scaled", "q4_0"])
def test_each_tensor_is_read_once(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parts(tmp_path, form)
    pieces = pieces_in(tmp_path)
    read: Counter[tuple[str, str]] = Counter()
    plain = TensorSource.__getitem__

    def counted(self: TensorSource, name: str) -> torch.Tensor:
        read[self.title, name] += 1
        return plain(self, name)

    monkeypatch.setattr(TensorSource, "__getitem__", counted)
    assemble(pieces, AXES, text_length=8)
    assert set(read.values()) == {1}
    assert len(read) == sum(len(piece.open()) for piece in pieces.values())


def test_memory_is_not_taken_twice(tmp_path: Path) -> None:
    """Loading 600 MB takes no copy of them: they stay on the mapped file until they are placed."""
    big = {"img_in.weight": torch.zeros(1)} | {f"double_blocks.{i}.img_attn.qkv.weight": torch.ones(3 * 4096, 4096, dtype=torch.bfloat16) for i in range(6)}
    tiny_files.write(big, tmp_path / "big.safetensors")
    program = (
        "import psutil, sys, pathlib; from jointdit.weights.source import open_source; import torch; p = psutil.Process();"
        "s = open_source(pathlib.Path(sys.argv[1])); before = p.memory_full_info().uss;"
        "kept = [s.dense(n, torch.bfloat16) for n in s]; print(p.memory_full_info().uss - before, sum(t.numel() for t in kept))"
    )
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "big.safetensors"], capture_output=True, text=True, check=True)
    grown, count = map(int, run.stdout.split())
    assert count > 3e8 and grown < 20e6, grown


def test_the_pipeline_itself_finds_its_files(tmp_path: Path, exact: JointDiTPipeline) -> None:
    write_parts(tmp_path, "f32")
    pipeline = JointDiTPipeline.from_files(tmp_path)
    assert pipeline.config.max_sequence_length == 512 and pipeline.transformer.config.axes_dims_rope == AXES
    pipeline.register_to_config(max_sequence_length=8)
    assert difference(pipeline_in_float32(pipeline), exact) < 1e-5
    (tmp_path / "clip.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"Missing: .*CLIP"):
        JointDiTPipeline.from_files(str(tmp_path))


def test_a_model_is_laid_out_without_a_copy_of_it(tmp_path: Path) -> None:
    """300 MB: read, fused and placed in the dtype of the files, they take a small part of that in memory of the process's own."""
    joint = tiny_files.tiny_joint(num_attention_heads=32, num_layers=1, num_single_layers=6).to(torch.bfloat16)
    size = 2 * sum(p.numel() for p in joint.parameters())
    tiny_files.write(tiny_files.flux_tensors(joint), tmp_path / "flux.safetensors")
    tiny_files.write(tiny_files.addon_tensors(joint), tmp_path / "addons.safetensors")
    del joint
    program = (
        "import psutil, sys, torch; from types import SimpleNamespace; from pathlib import Path; from jointdit.memory import Plan;"
        "from jointdit.placement import place; from jointdit.weights.source import open_source;"
        "from jointdit.weights.transformer_files import load_transformer;"
        "p = psutil.Process(); before = p.memory_full_info().uss; none = torch.nn.Identity();"
        "model = load_transformer(*(open_source(Path(path)) for path in sys.argv[1:]));"
        "pipe = SimpleNamespace(transformer=model, text_encoder=none, text_encoder_2=none, vae=none);"
        "place(pipe, Plan('exact', 0, 0, False, 0), torch.device('cpu'), torch.bfloat16); print(p.memory_full_info().uss - before)"
    )
    files = tmp_path / "flux.safetensors", tmp_path / "addons.safetensors"
    run = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, check=True)
    assert size > 280e6 and int(run.stdout) < 0.15 * size, (size, run.stdout)


@pytest.mark.parametrize("left_out", NEEDED)
def test_a_missing_piece_is_named_with_where_to_get_it(left_out: str, tmp_path: Path) -> None:
    write_parts(tmp_path)
    pieces = pieces_in(tmp_path)
    del pieces[left_out]
    with pytest.raises(CheckpointError, match=r"Missing: .*huggingface\.co.*(GB|MB)"):
        assemble(pieces, AXES)


def test_addons_of_another_width(tmp_path: Path) -> None:
    write_parts(tmp_path)
    pieces = pieces_in(tmp_path)
    wide = tiny_files.addon_tensors(tiny_files.tiny_joint(num_attention_heads=3))
    tiny_files.write(wide, tmp_path / "other" / "wide.safetensors", "f32")
    pieces["addons"] = find_pieces([tmp_path / "other"]).best("addons")
    with pytest.raises(CheckpointError, match="different models"):
        assemble(pieces, AXES)


def test_encoders_of_another_model(tmp_path: Path) -> None:
    write_parts(tmp_path)
    flux = tiny_files.tiny_joint(pooled_projection_dim=64)
    tiny_files.write(tiny_files.flux_tensors(flux), tmp_path / "flux.safetensors", "f32")
    tiny_files.write(tiny_files.addon_tensors(flux), tmp_path / "addons.safetensors", "f32")
    with pytest.raises(CheckpointError, match="CLIP text encoder is 32 wide, but the FLUX transformer expects 64"):
        assemble(pieces_in(tmp_path), AXES)


def test_a_lora_is_no_base_model(tmp_path: Path) -> None:
    layer = "transformer.single_transformer_blocks.0.attn.to_q"
    lora = {f"{layer}.lora_A.weight": torch.ones(4, 64), f"{layer}.lora_B.weight": torch.ones(64, 4)}
    path = tiny_files.write(lora, tmp_path / "flux1-dev.safetensors")
    found = find_pieces([path])
    assert found.best("flux") is None and "flux" in found.missing()
    addons = tiny_files.write(flux_parts()["addons"], tmp_path / "addons.safetensors")
    with pytest.raises(CheckpointError, match="not a FLUX transformer"):
        load_transformer(find_pieces([path]).pieces[0].open(), find_pieces([addons]).pieces[0].open())


def test_a_file_that_is_cut_off_leaves_a_remark(tmp_path: Path) -> None:
    write_parts(tmp_path)
    whole = (tmp_path / "flux.safetensors").read_bytes()
    (tmp_path / "flux.safetensors").write_bytes(whole[: len(whole) // 2])
    found = find_pieces([tmp_path])
    assert found.missing() == ("flux",)
    assert any("flux.safetensors" in remark for remark in found.remarks)


def test_weights_of_whole_numbers_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({name: (100 * tensor).to(torch.int8) for name, tensor in flux_parts()["flux"].items()}, tmp_path / "flux.safetensors")
    assert any("int8" in remark for remark in find_pieces([tmp_path]).remarks)
