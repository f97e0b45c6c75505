# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text encoders out of the files of other programs give what the encoder gave that the file was written from."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_files
import torch
from jointdit.errors import CheckpointError
from jointdit.weights.source import open_source
from jointdit.weights.text_encoders import load_clip, load_t5
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel, T5ForConditionalGeneration

END = 49
CLIP_IDS = torch.tensor([[48, 3, 7, 11, END, END, END], [48, 3, 7, 11, 5, 9, END]])
T5_IDS = torch.tensor([[5, 8, 30, 31, 1, 0, 0, 0], [3, 2, 9, 17, 40, 41, 42, 1]])


def _randomised(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """No parameter left at 0 or 1, where a mistake would not show; and none so large that rounding errors grow from layer to layer."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise / parameter.shape[1] ** 0.5 / 2 if parameter.ndim > 1 else parameter + 0.2 * noise)
    return model.eval()


def _clip(eos_token_id: int = END) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=50, hidden_size=128, intermediate_size=96, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=7,
        eos_token_id=eos_token_id, bos_token_id=48, projection_dim=128,
    )  # fmt: skip
    return _randomised(CLIPTextModel(config))


def _t5(gated: bool = True) -> T5EncoderModel:
    config = T5Config(
        vocab_size=50, d_model=64, d_kv=8, d_ff=96, num_layers=3, num_heads=4, relative_attention_num_buckets=8, is_encoder_decoder=False,
        feed_forward_proj="gated-gelu" if gated else "relu",
    )  # fmt: skip
    return _randomised(T5EncoderModel(config))


def _state(model: torch.nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {prefix + name: tensor.clone() for name, tensor in model.state_dict().items()}


def _saved(path: Path, state: dict[str, Tensor]):
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return open_source(path)


@torch.no_grad()
def _same_clip(loaded: CLIPTextModel, truth: CLIPTextModel) -> None:
    ours, theirs = loaded(CLIP_IDS), truth(CLIP_IDS)
    torch.testing.assert_close(ours.last_hidden_state, theirs.last_hidden_state, rtol=0, atol=0)
    torch.testing.assert_close(ours.pooler_output, theirs.pooler_output, rtol=0, atol=0)


@torch.no_grad()
def _t5_error(loaded: T5EncoderModel, truth: T5EncoderModel) -> float:
    """Relative error of the tokens' states."""
    ours, theirs = loaded(T5_IDS)[0].float(), truth(T5_IDS)[0]
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize(
    "prefix",
    ["text_model.", "", "transformer.text_model.", "text_encoders.clip_l.transformer.text_model.", "cond_stage_model.transformer.text_model."],
)
def test_clip_under_every_name(tmp_path, prefix):
    clip = _clip()
    extra = {"logit_scale": torch.ones(()), "text_projection.weight": torch.ones(3, 3), prefix + "embeddings.position_ids": torch.arange(7)[None]}
    _same_clip(load_clip(_saved(tmp_path / "clip_l.safetensors", _state(clip, prefix) | extra), torch.float32), clip)


def test_clip_of_diffusers_folder(tmp_path):
    """FLUX's config says that the text ends with token 2, by which transformers means the highest id: the pooled state must be the same."""
    clip = _clip(eos_token_id=2)
    clip.save_pretrained(tmp_path / "text_encoder")
    _same_clip(load_clip(open_source(tmp_path / "text_encoder"), torch.float32), clip)


def test_the_pooled_state_is_that_of_the_first_end_of_the_text(tmp_path):
    loaded = load_clip(_saved(tmp_path / "clip_l.safetensors", _state(_clip(), "text_model.")), torch.float32)
    with torch.no_grad():
        out = loaded(CLIP_IDS)
    assert torch.equal(out.pooler_output, out.last_hidden_state[[0, 1], [4, 6]])


def test_clip_in_another_precision(tmp_path):
    clip = _clip()
    loaded = load_clip(_saved(tmp_path / "clip_l.safetensors", _state(clip, "text_model.")), torch.bfloat16)
    assert loaded.dtype == torch.bfloat16 and not loaded.training
    assert all(not tensor.is_meta for tensor in (*loaded.parameters(), *loaded.buffers()))
    torch.testing.assert_close(loaded(CLIP_IDS).pooler_output.float(), clip(CLIP_IDS).pooler_output, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("prefix", ["", "transformer.", "text_encoders.t5xxl.transformer."])
@pytest.mark.parametrize("left_out", ["encoder.embed_tokens.weight", "shared.weight", None])
def test_t5_under_every_name(tmp_path, prefix, left_out):
    t5 = _t5()
    state = {prefix + name: tensor for name, tensor in _state(t5).items() if name != left_out}
    loaded = load_t5(_saved(tmp_path / "t5xxl_fp16.safetensors", state), torch.float32)
    assert _t5_error(loaded, t5) == 0
    assert loaded.encoder.embed_tokens.weight is loaded.shared.weight


def test_t5_without_the_word_encoder(tmp_path):
    t5 = _t5()
    state = {name.removeprefix("encoder."): tensor for name, tensor in _state(t5).items() if "embed_tokens" not in name}
    assert _t5_error(load_t5(_saved(tmp_path / "t5.safetensors", state), torch.float32), t5) == 0


def test_t5_of_diffusers_folder_in_shards(tmp_path):
    t5 = _t5()
    t5.save_pretrained(tmp_path / "text_encoder_2", max_shard_size="100KB")
    assert len(list((tmp_path / "text_encoder_2").glob("*.safetensors"))) > 1
    assert _t5_error(load_t5(open_source(tmp_path / "text_encoder_2"), torch.float32), t5) == 0


def test_the_first_t5_without_gates(tmp_path):
    t5 = _t5(gated=False)
    assert _t5_error(load_t5(_saved(tmp_path / "t5.safetensors", _state(t5)), torch.float32), t5) == 0


def test_the_encoder_of_a_whole_t5(tmp_path):
    config = T5Config(vocab_size=50, d_model=64, d_kv=8, d_ff=96, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu", decoder_start_token_id=0)
    whole = _randomised(T5ForConditionalGeneration(config))
    loaded = load_t5(_saved(tmp_path / "t5.safetensors", _state(whole)), torch.float32)
    with torch.no_grad():
        assert torch.equal(loaded(T5_IDS)[0], whole.encoder(T5_IDS)[0])


def test_t5_in_bfloat16(tmp_path):
    t5 = _t5()
    loaded = load_t5(_saved(tmp_path / "t5.safetensors", _state(t5)), torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16} and 0 < _t5_error(loaded, t5) < 0.03


def test_t5_is_never_float16(tmp_path):
    with pytest.raises(ValueError, match="float16"):
        load_t5(_saved(tmp_path / "t5.safetensors", _state(_t5())), torch.float16)


@pytest.mark.parametrize("form", ["fp8", "fp8_scaled", "fp8_scaled_new", "fp8_scaled_rows"])
def test_t5_in_fp8(tmp_path, form):
    """Beside the bound on the error: exactly the model of the numbers that the file holds."""
    t5, truth = _t5(), _t5()
    stored = tiny_files.encode(_state(t5), form)
    for name, parameter in truth.named_parameters():
        module = name.removesuffix("weight")
        scale = stored.get(f"{module}scale_weight", stored.get(f"{module}weight_scale", torch.ones(())))
        parameter.data = stored[name].float() * scale
    loaded = load_t5(_saved(tmp_path / "t5xxl_fp8_e4m3fn.safetensors", stored), torch.float32)
    assert _t5_error(loaded, truth) < 1e-6
    assert 0 < _t5_error(loaded, t5) < 0.1


@pytest.mark.parametrize(("form", "error"), [("gguf_f16", 0.001), ("gguf_bf16", 0.01), ("q8_0", 0.02), ("q5_0", 0.15), ("q4_0", 0.3)])
def test_t5_of_llama_cpp(tmp_path, form, error):
    t5 = _t5()
    path = tiny_files.write(tiny_files.t5_llama_cpp(_state(t5)), tmp_path / "t5-v1_1-xxl-encoder.gguf", form, architecture="t5encoder")
    loaded = load_t5(open_source(path), torch.float32)
    assert 0 < _t5_error(loaded, t5) <= error
    assert all(type(parameter) is torch.nn.Parameter and parameter.dtype == torch.float32 for parameter in loaded.parameters())


def test_the_encoders_of_a_checkpoint_of_everything(tmp_path):
    source = open_source(tiny_files.write_everything(tmp_path / "everything.safetensors", "f32"))
    clip, t5 = load_clip(source, torch.float32), load_t5(source, torch.float32)
    assert all(torch.equal(clip.state_dict()[name], tensor) for name, tensor in tiny_files.tiny_clip().state_dict().items())
    assert all(torch.equal(t5.state_dict()[name], tensor) for name, tensor in tiny_files.tiny_t5().state_dict().items())


def _refused(load, source) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(source, torch.float32)
    assert source.title in str(caught.value)
    return str(caught.value)


def test_other_models_are_refused(tmp_path):
    clip, t5 = _saved(tmp_path / "c.safetensors", _state(_clip(), "text_model.")), _saved(tmp_path / "t.safetensors", _state(_t5()))
    assert "t5xxl_fp16.safetensors" in _refused(load_t5, clip)
    assert "clip_l.safetensors" in _refused(load_clip, t5)
    llama = _saved(tmp_path / "l.safetensors", {"model.layers.0.self_attn.q_proj.weight": torch.ones(2, 2), "model.embed_tokens.weight": torch.ones(2, 2)})
    assert "only writes text" in _refused(load_t5, llama)
    assert "clip_l.safetensors" in _refused(load_clip, llama)


def test_a_decoder_alone_is_refused(tmp_path):
    state = {name.replace("encoder.", "decoder."): tensor for name, tensor in _state(_t5()).items()}
    assert "holds no encoder" in _refused(load_t5, _saved(tmp_path / "t.safetensors", state))


def test_umt5_is_refused(tmp_path):
    name = "encoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight"
    state = _state(_t5())
    state[name.format(1)] = state[name.format(0)].clone()
    assert "UMT5" in _refused(load_t5, _saved(tmp_path / "t.safetensors", state))


@pytest.mark.parametrize(("model", "load", "prefix"), [(_clip, load_clip, "text_model."), (_t5, load_t5, "")], ids=["clip", "t5"])
def test_whichever_tensor_is_missing_or_misshapen_gets_a_sentence(tmp_path, model, load, prefix):
    whole = _state(model(), prefix)
    whole.pop("encoder.embed_tokens.weight", None)
    for i, name in enumerate(whole):
        # A matrix without its last row and column, a vector without its last number
        shorter = whole[name][tuple(slice(side - 1) for side in whole[name].shape)]
        for j, state in enumerate(({n: t for n, t in whole.items() if n != name}, whole | {name: shorter}, whole | {name: torch.ones(())})):
            _refused(load, _saved(tmp_path / f"{i}-{j}.safetensors", state))
