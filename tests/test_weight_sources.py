# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every form of weights file gives the same names, shapes and numbers, reads nothing before it is asked, and says what is wrong with a bad one."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import gguf
import numpy as np
import pytest
import tiny_files
import torch
from diffusers.quantizers.gguf.utils import GGUFParameter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jointdit.errors import CheckpointError
from jointdit.weights import files
from jointdit.weights.files import QUANTISED, WeightsFile
from jointdit.weights.source import TensorSource, open_source
from safetensors.torch import save_file
from torch import Tensor

# Bits of the significand, the leading one included.
BITS = {"f32": 24, "f16": 11, "bf16": 8, "f8_e4m3": 4, "f8_e5m2": 3}
SMALLEST = {"f32": 0.0, "f16": 2**-24, "bf16": 0.0, "f8_e4m3": 2**-9, "f8_e5m2": 2**-16}
# Steps between the smallest and the largest number of a block of 32.
STEPS = {"q8_0": 254, "q5_0": 31, "q4_0": 15, "q4_1": 15}
QKV = "double_blocks.0.img_attn.qkv.weight"


def bound(value: Tensor, stored_as: str, scale: Tensor | None) -> Tensor:
    """How far a stored number may be off, from the formats' definitions."""
    if stored_as in STEPS:
        blocks = value.reshape(-1, 32)
        # The blocks that are coded around 0 have one step less on the positive side, so a whole step may be lost there.
        step = 2 * blocks.abs().amax(dim=1, keepdim=True) / STEPS[stored_as] * 1.1 + 1e-4
        return step.expand_as(blocks).reshape(value.shape)
    unit = 1.0 if scale is None else scale
    return value.abs() * 2.0 ** -BITS[stored_as] * 1.001 + SMALLEST[stored_as] * unit / 2 + 1e-7


def assert_same(source: TensorSource, expected: dict[str, Tensor]) -> None:
    assert set(source) == set(expected) and len(source) == len(expected)
    for name, value in expected.items():
        assert source.shape(name) == tuple(value.shape), name
        dense = source.dense(name, torch.float32)
        assert dense.dtype == torch.float32 and type(dense) is Tensor and dense.shape == value.shape
        assert ((dense - value).abs() <= bound(value, source.stored_as(name), source.scale(name))).all(), name


@pytest.mark.parametrize("form", tiny_files.FORMS)
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model.", "transformer."])
def test_every_form_holds_the_same_model(tmp_path: Path, form: str, prefix: str) -> None:
    flux = tiny_files.flux_parts()["flux"]
    path = tiny_files.write(flux, tmp_path / "clip_vision.whatever", form, prefix)
    source = open_source(path)
    assert_same(source, flux)
    assert source.stored_as(QKV) == tiny_files.STORED_AS[form]
    assert source.files == (path,) and source.title == path.name
    assert source.architecture == ("flux" if form in tiny_files.GGUF_FORMS else None)
    assert 0.9 * path.stat().st_size - 60_000 < source.nbytes() < path.stat().st_size


@pytest.mark.parametrize("form", tiny_files.FORMS)
def test_tensors_come_as_they_are_stored(tmp_path: Path, form: str) -> None:
    flux = tiny_files.flux_parts()["flux"]
    source = open_source(tiny_files.write(flux, tmp_path / "file", form))
    stored, name = source[QKV], source.stored_as(QKV)
    if name in STEPS:
        assert isinstance(stored, GGUFParameter) and stored.quant_type.name.lower() == name
        assert stored.quant_shape == source.shape(QKV) == flux[QKV].shape
    else:
        assert stored.dtype == files.DENSE[name] and stored.shape == flux[QKV].shape
    if "scaled" in form:
        scale = source.scale(QKV)
        assert scale is not None and scale.dtype == torch.float32 and scale.shape == ((flux[QKV].shape[0], 1) if "rows" in form else ())
        assert torch.allclose(stored.float().abs().max() * scale.max(), flux[QKV].abs().max())
        assert source.scale(QKV.replace("weight", "bias")) is None
    else:
        assert source.scale(QKV) is None


def test_dense_rounds_once(tmp_path: Path) -> None:
    """fp8 times a scale that bf16 cannot hold: the product is made in float32."""
    scale = torch.tensor(1.00390625 + 2**-12)
    weight = torch.linspace(-400, 400, 64).reshape(8, 8).to(torch.float8_e4m3fn)
    save_file({"x.weight": weight, "x.scale_weight": scale}, tmp_path / "x.safetensors")
    source = open_source(tmp_path / "x.safetensors")
    assert torch.equal(source.dense("x.weight", torch.bfloat16), (weight.double() * scale.double()).to(torch.bfloat16))


@pytest.mark.parametrize("kind", sorted(QUANTISED))
def test_every_quantisation_is_dequantised_as_its_inventors_do(tmp_path: Path, kind: str) -> None:
    """Random blocks; gguf's NumPy code is another implementation than the one in use."""
    quantisation = QUANTISED[kind]
    block, size = gguf.GGML_QUANT_SIZES[quantisation]
    data = np.random.default_rng(0).integers(0, 256, (6, 2 * size), dtype=np.uint8)
    expected = gguf.quants.dequantize(data, quantisation)
    writer = gguf.GGUFWriter(tmp_path / "file", "flux")
    writer.add_tensor("some.weight", data, raw_dtype=quantisation)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    source = open_source(tmp_path / "file")
    assert source.stored_as("some.weight") == kind and source.shape("some.weight") == (6, 2 * block)
    np.testing.assert_allclose(source.dense("some.weight", torch.float32).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("form", ["bf16", "fp8_scaled", "q4_0"])
def test_opening_reads_no_data_and_asking_reads_once(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_files.write(tiny_files.flux_parts()["flux"], tmp_path / "file", form)
    reads: list[str] = []
    read = WeightsFile.read
    monkeypatch.setattr(WeightsFile, "read", lambda self, name: reads.append(name) or read(self, name))
    source = open_source(path)
    assert QKV in source and "nothing" not in source and source.shape(QKV) and source.stored_as(QKV) and source.nbytes() and list(source)
    assert source.subset("double_blocks.0.").shape("img_attn.qkv.weight") == source.shape(QKV)
    assert reads == []
    source.dense(QKV, torch.float32)
    assert reads.count(QKV) == 1 and set(reads) <= {QKV, QKV.replace("weight", "scale_weight")}
    # The numbers are those in the file now, so nothing was kept from the opening.
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(bytes(size - size // 2))
    zeros = [not source.dense(name, torch.float32).any() for name in source]
    assert 0.1 * len(zeros) < sum(zeros) < len(zeros)


def test_writing_into_a_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tiny_files.write(tiny_files.flux_parts()["flux"], tmp_path / "file")
    before = path.read_bytes()
    open_source(path)[QKV].zero_()
    assert path.read_bytes() == before


def test_numbers_across_word_boundaries(tmp_path: Path) -> None:
    """safetensors allows any order of tensors, so a bf16 one may begin at an odd byte."""
    value = torch.randn(5).to(torch.bfloat16)
    header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [3], "data_offsets": [0, 3]}, "b": {"dtype": "BF16", "shape": [5], "data_offsets": [3, 13]}})
    data = len(header).to_bytes(8, "little") + header.encode() + bytes(3) + value.view(torch.uint8).numpy().tobytes()
    (tmp_path / "odd.safetensors").write_bytes(data)
    assert torch.equal(open_source(tmp_path / "odd.safetensors")["b"], value)


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("form", ["bf16", "fp8_scaled"])
def test_shards_are_one_model(tmp_path: Path, index: bool, form: str) -> None:
    flux = tiny_files.flux_parts()["flux"]
    folder = tiny_files.write_shards(flux, tmp_path / "transformer", "diffusion_pytorch_model", form, 3, index)
    shards = sorted(folder.glob("*.safetensors"))
    for path in [folder, shards[1], *folder.glob("*.json")]:
        source = open_source(path)
        assert_same(source, flux)
        assert source.files == tuple(shards)
    assert open_source(folder).title == "transformer"
    shards[1].unlink()
    for path in [folder, shards[0], *folder.glob("*.json")]:
        with pytest.raises(CheckpointError, match=rf"1 of 3 shards .* {shards[1].name}\."):
            open_source(path)


def test_of_variants_in_a_folder_the_model_itself_is_taken(tmp_path: Path) -> None:
    vae = tiny_files.flux_parts()["autoencoder"]
    for name, form in (("diffusion_pytorch_model.fp16", "f16"), ("diffusion_pytorch_model", "f32")):
        tiny_files.write(vae, tmp_path / f"{name}.safetensors", form)
    assert open_source(tmp_path).stored_as("encoder.conv_in.weight") == "f32"
    (tmp_path / "diffusion_pytorch_model.safetensors").rename(tmp_path / "another.safetensors")
    with pytest.raises(CheckpointError, match="holds 2 models"):
        open_source(tmp_path)


def test_helpers_are_no_weights(tmp_path: Path) -> None:
    save_file(
        {"x.weight": torch.ones(2, 2), "position_ids": torch.arange(77)[None], "spiece_model": torch.zeros(999, dtype=torch.uint8)},
        tmp_path / "file",
        metadata={"made by": "a test"},
    )
    source = open_source(tmp_path / "file")
    assert list(source) == ["x.weight"]
    assert source.metadata("made by") == "a test" and source.metadata("nothing") is None


def test_what_a_gguf_says_of_itself(tmp_path: Path) -> None:
    t5 = tiny_files.t5_llama_cpp(tiny_files.flux_parts()["t5"])
    source = open_source(tiny_files.write(t5, tmp_path / "file", "q8_0", architecture="t5encoder"))
    assert_same(source, t5)
    assert source.architecture == source.metadata("general.architecture") == "t5encoder"
    assert source.subset("enc.blk.0.", "block").title == "block"


def test_gguf_headers_are_read_as_by_their_inventors(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "file", "flux")
    writer.add_custom_alignment(64)
    writer.add_token_list(["a", "▁b", ""])
    writer.add_token_scores([0.5, -1.0, 2.0])
    writer.add_bool("some.flag", True)
    writer.add_float64("some.number", 0.1)
    for i in range(3):
        writer.add_tensor(f"x{i}.weight", np.random.default_rng(i).standard_normal((i + 2, 5, 3)).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    theirs, ours = gguf.GGUFReader(tmp_path / "file"), open_source(tmp_path / "file")
    for key, field in theirs.fields.items():
        if not key.startswith("GGUF."):
            assert ours.metadata(key) == field.contents()
    assert list(ours) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        np.testing.assert_array_equal(ours[tensor.name].numpy(), tensor.data)


def test_loras_keep_the_word_transformer(tmp_path: Path) -> None:
    save_file({"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": torch.ones(1, 1)}, tmp_path / "file")
    assert next(iter(open_source(tmp_path / "file"))).startswith("transformer.")


def sentence(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        open_source(path)
    text = str(caught.value)
    assert text.endswith((".", ".)")) and len(text) > 40 and path.name in text
    return text


def test_no_file_and_no_model(tmp_path: Path) -> None:
    assert "There is no file" in sentence(tmp_path / "nothing.safetensors")
    assert "There is no file" in sentence(tmp_path / "nothing.safetensors.index.json")
    assert "holds no .safetensors" in sentence(tmp_path)
    (tmp_path / "empty.gguf").touch()
    assert "empty" in sentence(tmp_path / "empty.gguf")
    save_file({}, tmp_path / "none.safetensors")
    assert "holds no weights" in sentence(tmp_path / "none.safetensors")


@pytest.mark.parametrize("form", ["bf16", "q4_0", "gguf_f16"])
@pytest.mark.parametrize("kept", [0.999, 0.5, 0.2, 0.0001])
def test_cut_off_files(tmp_path: Path, form: str, kept: float) -> None:
    path = tiny_files.write(tiny_files.flux_parts()["flux"], tmp_path / "file", form)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert "again" in sentence(path)


@pytest.mark.parametrize("form", ["bf16", "q4_0"])
@given(data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_headers_get_a_sentence_or_are_read(tmp_path: Path, form: str, data: st.DataObject) -> None:
    parts = tiny_files.flux_parts()["flux"]
    path = tiny_files.write({name: parts[name] for name in (QKV, QKV.replace("weight", "bias"))}, tmp_path / "file", form)
    content = bytearray(path.read_bytes())
    for position, byte in data.draw(st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), min_size=1, max_size=4)):
        content[position] = byte
    path.write_bytes(content)
    try:
        source = open_source(path)
        for name in source:
            source.dense(name, torch.float32)
    except CheckpointError as error:
        assert str(error).endswith(".")


def test_a_file_cut_off_after_it_was_opened(tmp_path: Path) -> None:
    path = tiny_files.write(tiny_files.flux_parts()["flux"], tmp_path / "file")
    source = open_source(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="has changed"):
        [source[name] for name in source]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><html><body>Access to this model is restricted", "is a text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:123\n", "Git LFS"),
        (pickle.dumps({"x": 1}), "pickle"),
        (b"PK\x03\x04" + bytes(99), "pickle"),
        (bytes(4096), "no weights file"),
        (b"\x20\0\0\0\0\0\0\0{" + b"x" * 99, "makes no sense"),
        (b'\x09\0\0\0\0\0\0\0{"x": []}', "makes no sense"),
        (len(b"[" * 99999).to_bytes(8, "little") + b'{"a":' + b"[" * 99994, "makes no sense"),
        (b'\x42\0\0\0\0\0\0\0{"x.weight": {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]}}' + bytes(8), "makes no sense"),
        (b"GGUF\x03\0\0\0" + b"\xff" * 99, "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_weights_file(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "flux1-dev.safetensors").write_bytes(data)
    assert words in sentence(tmp_path / "flux1-dev.safetensors")


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin"])
def test_pickles_are_refused_unread(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save({"x": torch.ones(1)}, path)
    assert ".safetensors or .gguf" in sentence(path)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool])
def test_whole_numbers_are_no_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file({"x.weight": torch.ones(8, 8, dtype=dtype)}, tmp_path / "file")
    assert f"holds {str(dtype).removeprefix('torch.')} numbers" in sentence(tmp_path / "file")


def test_unknown_encodings(tmp_path: Path) -> None:
    save_file({"x.weight": torch.ones(4, 4).to(torch.float8_e8m0fnu)}, tmp_path / "e8m0")
    assert "f8_e8m0" in sentence(tmp_path / "e8m0")
    save_file({"x.weight": torch.ones(4, 64).to(torch.float8_e4m3fn), "x.weight_scale": torch.ones(4, 2)}, tmp_path / "blocks")
    assert "in blocks" in sentence(tmp_path / "blocks")
    writer = gguf.GGUFWriter(tmp_path / "iq", "flux")
    writer.add_tensor("x.weight", np.zeros((2, 66), np.uint8), raw_dtype=gguf.GGMLQuantizationType.IQ2_XXS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "iq2_xxs" in sentence(tmp_path / "iq")


@pytest.mark.parametrize("text", ["{", "{}", '{"weight_map": {}}', '{"weight_map": 3}', "[]"])
def test_bad_indexes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    assert "cannot be used" in sentence(path)


def test_shards_of_two_models(tmp_path: Path) -> None:
    for i in (1, 2):
        save_file({"x.weight": torch.ones(1)}, tmp_path / f"model-0000{i}-of-00002.safetensors")
    with pytest.raises(CheckpointError, match="both hold the tensor"):
        open_source(tmp_path)
