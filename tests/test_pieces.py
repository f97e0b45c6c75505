# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' files are recognised by what is in them, whatever they are called and wherever they lie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import tiny_files
import torch
from jointdit.checkpoints import flux_tensors
from jointdit.weights import pieces as pieces_module
from jointdit.weights.files import WeightsFile
from jointdit.weights.kinds import UNKNOWN, Kind, identify
from jointdit.weights.pieces import NEEDED, Found, Piece, find_pieces
from jointdit.weights.source import open_source
from safetensors.torch import save_file

TOKENIZERS = Path(pieces_module.__file__).parent / "tokenizer_data"


def kind_of(shapes: Mapping[str, tuple[int, ...]], folder: Path) -> Kind:
    """The kind of a file with tensors of these names and shapes."""
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, folder / "file.safetensors")
    return identify(open_source(folder / "file.safetensors"))


@pytest.mark.parametrize("form", ["bf16", "fp8", "fp8_scaled", "fp8_scaled_new", "q8_0", "q4_0"])
@pytest.mark.parametrize("piece", NEEDED)
def test_single_files_with_misleading_names(tmp_path: Path, form: str, piece: str) -> None:
    path = tiny_files.write(tiny_files.flux_parts()[piece], tmp_path / ("t5xxl.gguf" if piece == "flux" else "flux1-dev.safetensors"), form)
    found = find_pieces([path])
    layout = {"clip": "", "t5": ""}.get(piece, "original")
    assert found.remarks == () and [(p.kind, p.path, p.prefix) for p in found.pieces] == [(Kind(piece, layout), path, "")]
    source = found.pieces[0].open()
    assert set(source) == set(tiny_files.flux_parts()[piece]) and source.nbytes() == found.pieces[0].nbytes
    if piece == "flux":
        assert found.pieces[0].stored_as == tiny_files.STORED_AS[form]
    assert found.best(piece) == found.pieces[0]
    assert found.missing() == tuple(other for other in NEEDED if other != piece)


def test_text_encoders_in_other_names(tmp_path: Path) -> None:
    parts = tiny_files.flux_parts()
    tiny_files.write(tiny_files.t5_llama_cpp(parts["t5"]), tmp_path / "t5.gguf", "q8_0", architecture="t5encoder")
    tiny_files.write({name.removeprefix("text_model."): tensor for name, tensor in parts["clip"].items()}, tmp_path / "clip.safetensors")
    assert [p.kind for p in find_pieces([tmp_path]).pieces] == [Kind("clip"), Kind("t5", "llama.cpp")]


def test_a_pipeline_folder(tmp_path: Path) -> None:
    folder = tiny_files.write_pipeline_folder(tmp_path / "FLUX.1-dev")
    found = find_pieces([tmp_path])
    assert found.remarks == ()
    assert {(p.kind.piece, p.kind.layout): p.path.relative_to(folder).as_posix() for p in found.pieces} == {
        ("flux", "diffusers"): "transformer",
        ("autoencoder", "diffusers"): "vae/diffusion_pytorch_model.safetensors",
        ("clip", ""): "text_encoder/model.safetensors",
        ("t5", ""): "text_encoder_2",
        ("tokenizer", ""): "tokenizer",
        ("tokenizer_2", ""): "tokenizer_2",
    }
    assert found.missing() == ("addons",)
    flux = found.best("flux")
    assert flux is not None and len(flux.open().files) > 1
    state = tiny_files.tiny_flux().to(torch.bfloat16).state_dict()
    source = flux.open()
    assert set(source) == set(state) and all(torch.equal(source[name], tensor) for name, tensor in state.items())


def test_a_pipeline_folder_with_a_shard_missing(tmp_path: Path) -> None:
    folder = tiny_files.write_pipeline_folder(tmp_path)
    shard = sorted((folder / "transformer").glob("*.safetensors"))[1]
    shard.unlink()
    found = find_pieces([folder])
    assert found.missing() == ("flux", "addons")
    assert len(found.remarks) == 1 and shard.name in found.remarks[0]


@pytest.mark.parametrize("form", ["bf16", "fp8", "fp8_scaled", "fp8_scaled_new"])
def test_a_checkpoint_of_everything(tmp_path: Path, form: str) -> None:
    path = tiny_files.write_everything(tmp_path / "file.safetensors", form)
    found = find_pieces([path])
    assert found.remarks == () and found.missing() == ("addons",)
    for piece in ("flux", "autoencoder", "clip", "t5"):
        best, expected = found.best(piece), tiny_files.flux_parts()[piece]
        assert best is not None and best.path == path and best.prefix
        source = best.open()
        assert {name: source.shape(name) for name in source} == {name: tuple(tensor.shape) for name, tensor in expected.items()}
        assert all((source.dense(name, torch.float32) - tensor).abs().max() < 0.06 for name, tensor in expected.items())


def test_the_parts_of_another_models_checkpoint_are_left_alone(tmp_path: Path) -> None:
    """Stable Diffusion 3 comes with an autoencoder whose names and shapes are those of FLUX's."""
    sd3 = {"model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight": torch.ones(1, 1)}
    sd3 |= {f"vae.{name}": tensor for name, tensor in tiny_files.flux_parts()["autoencoder"].items()}
    save_file(sd3, tmp_path / "sd3.safetensors")
    found = find_pieces([tmp_path])
    assert found.pieces == () and found.remarks == (f"{tmp_path / 'sd3.safetensors'} is Stable Diffusion 3; it is left out.",)


def test_stable_diffusion_3s_autoencoder_is_known_by_its_config(tmp_path: Path) -> None:
    vae = tiny_files.tiny_autoencoder()
    vae.register_to_config(scaling_factor=1.5305, shift_factor=0.0609)
    vae.save_pretrained(tmp_path)
    found = find_pieces([tmp_path])
    assert found.pieces == () and "Stable Diffusion 3" in found.remarks[0]


def test_kinds_of_flux(tmp_path: Path) -> None:
    for changes, words in (({"guidance_embeds": False}, "schnell"), ({"in_channels": 96, "out_channels": 64}, "Fill")):
        flux = tiny_files.tiny_flux(**changes)
        save_file(flux.state_dict(), tmp_path / "diffusers.safetensors")
        joint = tiny_files.JointDiTTransformer2DModel.from_flux(flux, **tiny_files.RANKS)
        save_file(flux_tensors(joint), tmp_path / "original.safetensors")
        for layout in ("diffusers", "original"):
            kind = identify(open_source(tmp_path / f"{layout}.safetensors"))
            assert (kind.piece, kind.layout) == ("flux", layout) and words in kind.note and "not made" in kind.note
    whole = tiny_files.tiny_joint()
    save_file(whole.state_dict(), tmp_path / "joint.safetensors")
    assert "whole JointDiT" in identify(open_source(tmp_path / "joint.safetensors")).note


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "lora_unet_double_blocks_0_img_attn_proj.alpha"], Kind("lora", "original")),
        (["lora_unet_single_blocks_3_linear1.lora_up.weight", "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight"], Kind("lora", "original")),
        (["transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight"], Kind("lora", "diffusers")),
        (["transformer.transformer_blocks.0.attn.to_k.lora.down.weight"], Kind("lora", "diffusers")),
        (["lora_transformer_single_transformer_blocks_0_attn_to_k.lora_down.weight"], Kind("lora", "diffusers")),
        (["double_blocks.0.img_attn.qkv.lora_A.weight", "double_blocks.0.img_attn.norm.key_norm.scale"], Kind("lora", "original")),
        (["diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight"], Kind("lora", "original")),
        (["double_blocks.0.processor.proj_lora1.down.weight"], Kind("lora", "original")),
        (["lycoris_double_blocks_0_img_attn_proj.lokr_w1"], Kind("lora", "original")),
        (["lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_k.lora_down.weight"], Kind("other", "", "a LoRA for another model than FLUX.1")),
        (["lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_k.lora_up.weight"], Kind("other", "", "a LoRA for another model than FLUX.1")),
        (["diffusion_model.blocks.0.cross_attn.k.lora_A.weight"], Kind("other", "", "a LoRA for another model than FLUX.1")),
    ],
)  # fmt: skip
def test_loras(tmp_path: Path, names: list[str], expected: Kind) -> None:
    assert kind_of(dict.fromkeys(names, (2, 2)), tmp_path) == expected


def test_loras_for_flux_2_have_wider_single_blocks(tmp_path: Path) -> None:
    for rows, piece in ((7, "lora"), (9, "other")):
        shapes = {"single_blocks.0.linear1.lora_A.weight": (2, 32), "single_blocks.0.linear1.lora_B.weight": (rows * 32, 2)}
        assert kind_of(shapes, tmp_path).piece == piece


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"model.diffusion_model.input_blocks.0.0.weight": (4, 4, 3, 3)}, "UNet of Stable Diffusion"),
        ({"input_blocks.0.0.weight": (4, 4, 3, 3), "label_emb.0.0.weight": (4, 4)}, "Stable Diffusion XL"),
        ({"down_blocks.0.resnets.0.conv1.weight": (4, 4, 3, 3)}, "UNet of Stable Diffusion"),
        ({"joint_blocks.0.context_block.attn.qkv.weight": (4, 4)}, "Stable Diffusion 3"),
        ({"double_stream_modulation_img.lin.weight": (4, 4), "double_blocks.0.img_attn.qkv.weight": (4, 4)}, "FLUX.2"),
        ({"controlnet_blocks.0.weight": (4, 4), "transformer_blocks.0.attn.add_q_proj.weight": (4, 4)}, "ControlNet for FLUX"),
        ({"transformer_blocks.0.img_mlp.net.0.proj.weight": (4, 4)}, "Qwen"),
        ({"cap_embedder.0.weight": (4,)}, "Z-Image"),
        ({"vision_model.encoder.layers.0.self_attn.q_proj.weight": (4, 4)}, "image encoder"),
        ({"text_model.embeddings.token_embedding.weight": (2, 1280), "text_model.encoder.layers.0.self_attn.q_proj.weight": (4, 4)}, "CLIP-G"),
        ({"encoder.block.0.layer.0.SelfAttention.q.weight": (4, 4), "shared.weight": (2, 1472)}, "ByT5"),
        (
            {f"encoder.block.{i}.layer.0.SelfAttention.{name}.weight": (4, 4) for i in (0, 1) for name in ("q", "relative_attention_bias")}
            | {"shared.weight": (4, 4)},
            "UMT5",
        ),
        ({"model.layers.0.self_attn.q_proj.weight": (4, 4)}, "language model"),
        ({"double_blocks.0.img_attn.qkv.weight": (4, 4)}, UNKNOWN),
        ({"encoder.block.0.layer.0.SelfAttention.q.weight": (4, 4)}, UNKNOWN),
        ({"x": (1,)}, UNKNOWN),
    ],
)  # fmt: skip
def test_other_models_are_named(tmp_path: Path, shapes: dict[str, tuple[int, ...]], words: str) -> None:
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "flux1-dev.safetensors")
    found = find_pieces([tmp_path])
    assert found.pieces == () and len(found.remarks) == 1 and words in found.remarks[0] and found.remarks[0].endswith("; it is left out.")


@pytest.mark.parametrize("channels", [4, 32])
def test_other_autoencoders(tmp_path: Path, channels: int) -> None:
    state = tiny_files.tiny_autoencoder(channels).state_dict()
    for tensors in (state, tiny_files.autoencoder_original(state)):
        kind = identify(open_source(tiny_files.write(tensors, tmp_path / "file")))
        assert kind.piece == "other" and f"{channels} latent channels" in kind.note


def test_tokenizers(tmp_path: Path) -> None:
    tiny_files.write_clip_tokenizer(tmp_path / "a")
    tiny_files.write_t5_tokenizer(tmp_path / "b")
    tiny_files.write_t5_tokenizer(tmp_path / "c", spiece=True)
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"<s>": 0, "</s>": 1, "▁a": 2}}}), encoding="utf-8")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "tokenizer.json").write_text("[]", encoding="utf-8")
    found = find_pieces([tmp_path])
    assert {p.path.name: p.kind.piece for p in found.pieces} == {"a": "tokenizer", "b": "tokenizer_2", "c": "tokenizer_2"}
    assert len(found.remarks) == 1 and "bad" in found.remarks[0]
    with pytest.raises(pieces_module.CheckpointError, match="no weights"):
        found.pieces[0].open()


@pytest.mark.skipif(not TOKENIZERS.is_dir(), reason="the full-size tokenizers are not there")
def test_full_size_tokenizers() -> None:
    assert {p.path.name: p.kind.piece for p in find_pieces([TOKENIZERS]).pieces} == {"clip": "tokenizer", "t5": "tokenizer_2"}


def test_a_folder_of_many_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ComfyUI's `models`: what is no weights is passed over, what is damaged gets a remark, links lead nowhere twice, and no data are read."""
    parts = tiny_files.flux_parts()
    flux = tiny_files.write(parts["flux"], tmp_path / "unet" / "flux.safetensors")
    tiny_files.write(parts["flux"], tmp_path / "unet" / "half.safetensors").write_bytes(flux.read_bytes()[:5000])
    tiny_files.write(parts["autoencoder"], tmp_path / "vae" / "ae.sft", "f32")
    tiny_files.write(parts["addons"], tmp_path / "loras" / "x.safetensors", prefix="diffusion_model.")
    for name in ("put_models_here", "a.txt", "b.png", "c.safetensors.part", "d.yaml", "e.bin"):
        (tmp_path / "vae" / name).write_bytes(b"anything")
    torch.save({"x": torch.ones(1)}, tmp_path / "upscaler.pth")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "unet" / "around").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "unet" / "again.safetensors").symlink_to(flux)
    (tmp_path / "unet" / "nowhere.safetensors").symlink_to(tmp_path / "gone.safetensors")
    (tmp_path / "unet" / "itself").symlink_to(tmp_path / "unet" / "itself")
    monkeypatch.setattr(WeightsFile, "read", lambda self, name: pytest.fail(f"{name} was read"))
    found = find_pieces([tmp_path, flux, tmp_path / "nothing"])
    assert sorted(p.kind.piece for p in found.pieces) == ["addons", "autoencoder", "flux"]
    assert found.missing() == ("clip", "t5")
    remarks = "\n".join(found.remarks)
    for word in ("half.safetensors is cut off", "upscaler.pth is a pickle", "nowhere.safetensors", "nothing"):
        assert word in remarks
    assert len(found.remarks) == 4 and all(remark.endswith(".") for remark in found.remarks)
    assert find_pieces([tmp_path, flux, tmp_path / "nothing"]) == found


def piece(stored_as: str, name: str = "a", nbytes: int = 1, kind: str = "flux", note: str = "") -> Piece:
    return Piece(Kind(kind, "original", note), Path(name), "", stored_as, nbytes)


def test_the_best_of_several() -> None:
    order = [
        piece("bf16", "a"), piece("bf16", "b"), piece("bf16", "aa"), piece("f16"), piece("f8_e4m3", "long name", 2), piece("f8_e4m3"),
        piece("f8_e5m2", nbytes=9), piece("q8_0", nbytes=8), piece("q4_k", nbytes=5), piece("q4_0", nbytes=4),
        piece("bf16", note="schnell"), piece("q4_0", note="schnell"),
    ]  # fmt: skip
    while order:
        assert Found(tuple(reversed(order)), ()).best("flux") == Found(tuple(order), ()).best("flux") == order[0]
        order.pop(0)
    assert Found((), ()).best("flux") is None and Found((), ()).missing() == NEEDED
    autoencoders = piece("bf16", kind="autoencoder"), piece("f32", "longer", kind="autoencoder")
    assert Found(autoencoders, ()).best("autoencoder") == autoencoders[1]
