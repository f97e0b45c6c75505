# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text, an image or a disparity in; an image and its disparity out: the three tasks of JointDiT in one diffusers pipeline.

The tasks differ only by the noise levels of the two branches: both start as noise (joint generation), the RGB branch is held clean (image to depth),
or the depth branch is held clean (depth to image). Sigma is 1 for noise and 0 for clean.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

# diffusers' loader finds our model classes only in modules that are imported already.
from . import autoencoder as _autoencoder
from . import prompt_encoder as _prompt_encoder
from . import transformer as _transformer
from .errors import InputError
from .latents import pack, pad_to_multiple, scheduler_shift, unpack
from .memory import PREVIEW_SIDE, Plan
from .placement import Placement, place
from .sampler import Sampler
from .weights.small_folders import packed_components

TASKS = ("joint", "image_to_depth", "depth_to_image")
SMALLEST_SIDE = 16
REMEMBERED_PROMPTS = 32  # 4 MB each at full size


@dataclass
class JointDiTPipelineOutput(BaseOutput):
    """`images`: PIL images, or (N, H, W, 3) / (N, 3, H, W) in [0, 1], or latents; `disparity`: float32 (N, H, W) in [0, 1], 1 = nearest."""

    images: Any
    disparity: Any


class JointDiTPipeline(DiffusionPipeline):
    """JointDiT (ICCV 2025) with the conventions of diffusers' pipelines.

    `depth_transform`: "none" or "inverse" (the model stores 1 - disparity). `default_guidance`, `native_size` (pixels of the longer side that the model was
    trained at), `horizontal_angle` (degrees of view that its pictures commonly have), `largest_pitch` (degrees up or down that it can look) and `title`,
    `licence`, `note` describe the model to a person.
    """

    model_cpu_offload_seq = "text_encoder->text_encoder_2->transformer->vae"
    _callback_tensor_inputs = ["latents", "denoised"]

    def __init__(
        self,
        scheduler,
        vae,
        text_encoder,
        tokenizer,
        text_encoder_2,
        tokenizer_2,
        transformer,
        depth_transform: str = "none",
        default_guidance: float = 3.5,
        native_size: int = 1024,
        max_sequence_length: int = 512,
        horizontal_angle: float = 55.0,
        title: str = "FLUX.1-dev + JointDiT",
        licence: str = "FLUX.1-dev Non-Commercial License",
        note: str = "",
        largest_pitch: float = 90.0,
    ) -> None:
        super().__init__()
        self.register_modules(
            scheduler=scheduler, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer,
            text_encoder_2=text_encoder_2, tokenizer_2=tokenizer_2, transformer=transformer,
        )  # fmt: skip
        self.register_to_config(
            depth_transform=depth_transform, default_guidance=default_guidance, native_size=native_size,
            max_sequence_length=max_sequence_length, horizontal_angle=horizontal_angle, title=title, licence=licence, note=note,
            largest_pitch=largest_pitch,
        )  # fmt: skip
        self.placement: Placement | None = None
        self._encoded: OrderedDict[tuple[str, int], tuple[Tensor, Tensor]] = OrderedDict()
        # FLUX's autoencoder halves the sides between its blocks; ours states its reduction.
        self.vae_scale_factor = vae.config.get("reduction") or 2 ** (len(vae.config.block_out_channels) - 1)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> JointDiTPipeline:
        """As diffusers' own; components that a folder stores in 8 bits (`weights.small_folders`) are unpacked to float32, or to the asked `dtype`."""
        folder = Path(pretrained_model_name_or_path)
        if (folder / "model_index.json").is_file():
            classes = (_transformer.JointDiTTransformer2DModel, _prompt_encoder.PromptEncoder, _autoencoder.PatchAutoencoder)
            kinds = {kind.__name__: kind for kind in classes}
            dtype = options.get("dtype")
            packed = packed_components(folder, kinds)
            cast = isinstance(dtype, torch.dtype)
            options = {name: part.to(dtype) if cast and isinstance(part, torch.nn.Module) else part for name, part in packed.items()} | options
        return super().from_pretrained(pretrained_model_name_or_path, **options)

    @classmethod
    def from_files(cls, *paths: Path | str) -> JointDiTPipeline:
        """A pipeline from the pieces of a FLUX.1-dev with JointDiT in files and folders, found by what is in them: see docs/models.md.

        The weights stay on the mapped files; `place` brings them to a device. Raises `CheckpointError` that names what is missing and where it is to be had.
        """
        from .assembly import assemble
        from .weights.library import USED
        from .weights.pieces import find_pieces

        found = find_pieces(Path(path) for path in paths)
        return assemble({piece.kind.piece: piece for piece in map(found.best, USED) if piece is not None})

    @property
    def size_multiple(self) -> int:
        """Sides of what the model sees are multiples of this many pixels: the autoencoder's reduction times the 2 x 2 patches."""
        return 2 * self.vae_scale_factor

    def place(self, plan: Plan, device: torch.device, dtype: torch.dtype, fp8_products: bool = False) -> None:
        """Lay the weights down as a memory plan says; see `placement.place`. To be called once, with the weights in the machine's memory."""
        self.placement = place(self, plan, device, dtype, fp8_products)

    @property
    def device_at_work(self) -> torch.device:
        """Where the transformer works."""
        return self._execution_device

    @property
    def _execution_device(self) -> torch.device:
        return self.placement.device if self.placement is not None else super()._execution_device

    def encode_prompt(self, prompts: Sequence[str], max_sequence_length: int | None = None) -> tuple[Tensor, Tensor]:
        """Text tokens (N, T, D) of the second encoder and pooled vectors (N, P) of the first, as FLUX reads them (padding attended to, no mask).

        What was encoded lately is remembered, in the machine's memory: the same prompt again does not wake the encoders.
        """
        length = max_sequence_length or self.config.max_sequence_length
        new = [p for p in dict.fromkeys(prompts) if (p, length) not in self._encoded]
        if new:
            both = dict.fromkeys((self.text_encoder, self.text_encoder_2))  # a small model has one encoder in both roles
            with self._at_work("encoding", *both):
                read = self.text_encoder_2(self._token_ids(self.tokenizer_2, new, length))
                if len(both) > 1:
                    pooled = self.text_encoder(self._token_ids(self.tokenizer, new, self.tokenizer.model_max_length)).pooler_output
                else:
                    pooled = read.pooler_output
                tokens = read[0]
            for prompt, *encoded in zip(new, tokens.cpu(), pooled.cpu(), strict=True):
                self._encoded[prompt, length] = tuple(encoded)
        for prompt in prompts:
            self._encoded.move_to_end((prompt, length))
        tokens, pooled = (torch.stack([self._encoded[p, length][i] for p in prompts]) for i in range(2))
        while len(self._encoded) > REMEMBERED_PROMPTS:
            self._encoded.popitem(last=False)
        device, dtype = self._execution_device, self.transformer.dtype
        return tokens.to(device, dtype), pooled.to(device, dtype)

    def forget_prompts(self) -> None:
        """Drop what `encode_prompt` remembers: prompts that follow are encoded in batches that do not depend on those before."""
        self._encoded.clear()

    def _at_work(self, what: str, *modules: torch.nn.Module, **options: bool) -> AbstractContextManager[None]:
        """While modules work; the placement, if there is one, brings them."""
        return nullcontext() if self.placement is None else getattr(self.placement, what)(*modules, **options)

    def seeing(self) -> AbstractContextManager[None]:
        """While many pictures are encoded and decoded: the autoencoder stays on the device until they all are."""
        return self._at_work("seeing", self.vae)

    def _token_ids(self, tokenizer, prompts: Sequence[str], length: int) -> Tensor:
        ids = tokenizer(list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
        return ids.to(self._execution_device)

    def unread_words(self, prompt: str) -> bool:
        """Whether the prompt is longer than the model reads."""
        return len(self.tokenizer_2(prompt, truncation=False).input_ids) > self.config.max_sequence_length

    def encode_image(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> normalised latents (N, C, H / 8, W / 8) in float32, the mean of the autoencoder's distribution."""
        with self._at_work("seeing", self.vae):
            pictures = (2 * image - 1).to(self.vae.device, self.vae.dtype)
            latents = torch.cat([self.vae.encode(one).latent_dist.mode().float() for one in pictures.split(1)])
        return (latents - self.vae.config.shift_factor) * self.vae.config.scaling_factor

    def encode_disparity(self, disparity: Tensor) -> Tensor:
        """(N, H, W) in [0, 1], 1 = nearest -> latents as in `encode_image`; the disparity goes in as a grey picture."""
        if self.config.depth_transform == "inverse":
            disparity = 1 - disparity
        return self.encode_image(disparity[:, None].expand(-1, 3, -1, -1))

    def decode_image(self, latents: Tensor, roomy: bool = True) -> Tensor:
        """Latents (N, C, h, w) -> (N, 3, H, W) in [0, 1]. Always in float32: bfloat16 has too few steps for a smooth disparity.

        One picture after the other, so that the memory does not grow with N. `roomy`: on a small card blocks of the transformer may have to leave meanwhile.
        """
        if self.vae.dtype != torch.float32:
            self.vae.to(torch.float32)  # it stays so: it is small, and rounding it again for every picture would gain nothing
        latents = latents.float() / self.vae.config.scaling_factor + self.vae.config.shift_factor
        # Without TF32, which rounds what goes into a convolution to 10 bits.
        with self._at_work("seeing", self.vae, roomy=roomy), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            pictures = [self.vae.decode(one.to(self.vae.device)).sample.clamp(-1, 1) for one in latents.split(1)]
        return (torch.cat(pictures) + 1) / 2

    def decode_disparity(self, latents: Tensor, roomy: bool = True) -> Tensor:
        """Latents (N, C, h, w) -> float32 (N, H, W) in [0, 1]: the mean of the three decoded channels."""
        return self.disparity_of(self.decode_image(latents, roomy))

    def disparity_of(self, pictures: Tensor) -> Tensor:
        """The decoded pictures (N, 3, H, W) of disparities -> (N, H, W)."""
        disparity = pictures.mean(dim=1)
        return 1 - disparity if self.config.depth_transform == "inverse" else disparity

    def decode(self, latents: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Packed latents of both branches (2N, L, C), as the callback gets them, -> image (N, 3, H, W) and disparity (N, H, W), padding cut off.

        `height` and `width` are those of the result, which may be no multiples of `size_multiple`.
        """
        padding = pad_to_multiple(height, width, self.size_multiple)
        maps = unpack(latents, padding.height // self.size_multiple, padding.width // self.size_multiple)
        images, disparities = padding.crop(self.decode_image(maps)).chunk(2)
        return images, self.disparity_of(disparities)

    @torch.no_grad()
    def preview(self, latents: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """A small look at packed latents of both branches: as `decode`, but no side has more than `PREVIEW_SIDE` pixels.

        The latents themselves are shrunk before they are decoded, which takes little time and memory however large the picture is.
        """
        padding = pad_to_multiple(height, width, self.size_multiple)
        shrink = -(-max(padding.height, padding.width) // PREVIEW_SIDE)
        maps = unpack(latents, padding.height // self.size_multiple, padding.width // self.size_multiple)
        pictures = self.decode_image(torch.nn.functional.avg_pool2d(maps.float(), shrink, ceil_mode=True), roomy=False)
        images, disparities = (padding.crop(pictures) if shrink == 1 else pictures).chunk(2)
        return images, self.disparity_of(disparities)

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        image: Image.Image | np.ndarray | Tensor | Sequence[Image.Image] | None = None,
        disparity: np.ndarray | Tensor | None = None,
        task: str = "auto",
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 20,
        guidance_scale: float | None = None,
        negative_prompt: str = "",
        num_images_per_prompt: int = 1,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[JointDiTPipeline, int, Tensor, dict[str, Tensor]], dict[str, Tensor] | None] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        max_sequence_length: int | None = None,
    ) -> JointDiTPipelineOutput | tuple[Any, Any]:
        """Make images and their disparities.

        `task` "auto" is image_to_depth where only an image is given, depth_to_image where only a disparity is given, else joint. `image` in [0, 1] (or PIL),
        `disparity` (H, W) or (N, H, W) in [0, 1], 1 = nearest. Height and width are those of what is given, else the model's native size; sides that are no
        multiple of `size_multiple` are padded inside and cropped back. `guidance_scale` is the distilled guidance where the transformer embeds it (FLUX.1-dev),
        else classifier-free guidance against `negative_prompt`, less of it for the depth. One generator draws the noises one by one; a list gives each its own.
        The callback sees `latents` and `denoised` (the clean estimate), both packed (2N, L, C), RGB first, and may return new `latents`.
        Raises `InputError` for sizes, values or combinations that cannot be used.
        """
        task = _resolve_task(task, image, disparity)
        device, guidance = self._execution_device, self.config.default_guidance if guidance_scale is None else guidance_scale
        known = _known_picture(task, image, disparity)
        prompts = _prompts(prompt, known, num_images_per_prompt)
        height, width = _resolve_size(height, width, known, self.config.native_size)
        padding = pad_to_multiple(height, width, self.size_multiple)
        rows, columns = padding.height // self.size_multiple, padding.width // self.size_multiple
        if num_inference_steps < 1:
            raise InputError("The number of steps must be at least 1.")

        guided, unguided = self.guided_text(prompts, negative_prompt, guidance, max_sequence_length)
        condition = None
        if known is not None:
            picture = padding.apply(_resize(known, height, width)).repeat_interleave(len(prompts) // len(known), dim=0)
            encode = self.encode_image if task == "image_to_depth" else self.encode_disparity
            condition = pack(encode(picture)).to(device)
        noise = pack(_noise((2, self.vae.config.latent_channels, 2 * rows, 2 * columns), len(prompts), generator, device))

        def after_step(step: int, timestep: Tensor, tensors: dict[str, Tensor]) -> Tensor:
            if callback_on_step_end is None:
                return tensors["latents"]
            changed = callback_on_step_end(self, step, timestep, {k: tensors[k] for k in callback_on_step_end_tensor_inputs})
            return (changed or {}).get("latents", tensors["latents"])

        latents = self.denoise(noise, guided, (rows, columns), num_inference_steps, guidance, task, condition, unguided, after_step)
        if output_type == "latent":
            images, disparities = unpack(latents, rows, columns).chunk(2)
        else:
            images, disparities = self.decode(latents, height, width)
        self.maybe_free_model_hooks()
        if output_type in ("np", "pil"):
            images, disparities = images.permute(0, 2, 3, 1).cpu().numpy(), disparities.cpu().numpy()
        if output_type == "pil":
            images = [Image.fromarray((255 * x).round().astype(np.uint8)) for x in images]
        return JointDiTPipelineOutput(images=images, disparity=disparities) if return_dict else (images, disparities)

    @torch.no_grad()
    def denoise(
        self,
        latents: Tensor,
        text: tuple[Tensor, Tensor],
        grid: tuple[int, int],
        steps: int,
        guidance: float,
        task: str = "joint",
        condition: Tensor | None = None,
        unguided: tuple[Tensor, Tensor] | None = None,
        after_step: Callable[[int, Tensor, dict[str, Tensor]], Tensor] | None = None,
    ) -> Tensor:
        """The Euler sum from noise to clean latents, in float32: packed latents (2N, L, C), RGB first, in and out.

        `text` are token states (N, T, D) and pooled vectors (N, P), `unguided` the same for classifier-free guidance; `grid` the rows and columns of patches.
        In a conditional task the known branch is `condition` (N, L, C): its noise level is 0 and it is put back before and after each step.
        `after_step(step, timestep, {"latents", "denoised"})` returns the latents to go on with.
        """
        sampler = self.sampler(text, grid, steps, guidance, task, unguided)
        with self.progress_bar(total=steps) as bar:
            for step, timestep in enumerate(self.scheduler.timesteps):
                sigma = self.scheduler.sigmas[step]
                latents = _hold(latents, condition, task)
                change = sampler.velocity(latents, step)
                denoised = _hold(latents - sigma * change, condition, task)
                latents = _hold(self.scheduler.step(change, timestep, latents, return_dict=False)[0], condition, task)
                if after_step is not None:
                    latents = after_step(step, timestep, {"latents": latents, "denoised": denoised})
                bar.update()
        return latents

    def sampler(
        self, text: tuple[Tensor, Tensor], grid: tuple[int, int], steps: int, guidance: float, task: str = "joint",
        unguided: tuple[Tensor, Tensor] | None = None,
    ) -> Sampler:  # fmt: skip
        """The model with prompts and the noise schedule of a grid of patches; arguments as in `denoise`."""
        shift = scheduler_shift(grid[0] * grid[1], self.scheduler.config)
        self.scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=shift, device=self._execution_device)
        self.scheduler.set_begin_index(0)
        return Sampler(self.transformer, text, unguided, self.scheduler.sigmas, guidance, grid, task, self._visit)

    def guided_text(
        self, prompts: Sequence[str], negative_prompt: str, guidance: float, max_sequence_length: int | None = None
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor] | None]:
        """The encoded prompts, and what classifier-free guidance needs beside them where the model takes its guidance so."""
        text = self.encode_prompt(prompts, max_sequence_length)
        if self.transformer.config.guidance_embeds or guidance <= 1 or all(p.strip() == negative_prompt for p in prompts):
            return text, None
        return text, self.encode_prompt([negative_prompt] * len(prompts), max_sequence_length)

    def _visit(self, block: torch.nn.Module) -> AbstractContextManager[None]:
        return nullcontext() if self.placement is None else self.placement.visit(block)


def _resolve_task(task: str, image: Any, disparity: Any) -> str:
    if task == "auto":
        if image is not None and disparity is not None:
            raise InputError("An image and a disparity were given together: name the task, image_to_depth or depth_to_image.")
        task = "image_to_depth" if image is not None else "depth_to_image" if disparity is not None else "joint"
    if task not in TASKS:
        raise InputError(f"There is no task {task!r}; choose one of {', '.join(TASKS)}.")
    if task == "image_to_depth" and image is None:
        raise InputError("Depth of an image was asked for, but no image was given.")
    if task == "depth_to_image" and disparity is None:
        raise InputError("An image for a disparity was asked for, but no disparity was given.")
    return task


def _known_picture(task: str, image: Any, disparity: Any) -> Tensor | None:
    """The picture that the task starts from: (N, 3, H, W), or (N, H, W) for a disparity, float32 in [0, 1]; None for joint generation."""
    if task == "joint":
        return None
    if task == "image_to_depth":
        images = image if isinstance(image, Sequence) else [image]
        tensors = [_image_tensor(x) for x in images]
        picture = torch.cat(tensors) if len({x.shape[1:] for x in tensors}) == 1 else None
        if picture is None:
            raise InputError("The images of one call must have one size; process them one after the other.")
    else:
        picture = torch.as_tensor(np.array(disparity) if not isinstance(disparity, Tensor) else disparity).float()
        picture = picture[None] if picture.ndim == 2 else picture
        if picture.ndim != 3:
            raise InputError("A disparity must have the shape (height, width) or (count, height, width).")
    if not torch.isfinite(picture).all():
        raise InputError("The picture holds values that are not finite (NaN or infinity). Fill the holes first.")
    if picture.min() < -1e-4 or picture.max() > 1 + 1e-4:
        raise InputError("The values of the picture must lie between 0 and 1.")
    return picture.clamp(0, 1)


def _image_tensor(image: Image.Image | np.ndarray | Tensor) -> Tensor:
    """(N, 3, H, W) float32 in [0, 1] from a PIL image, an array (H, W, 3) or (N, H, W, 3), or a tensor (3, H, W) or (N, 3, H, W)."""
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"), np.float32) / 255
    if image.ndim not in (3, 4):
        raise InputError("An image must have the shape (height, width, 3); this one has no colour channels.")
    if isinstance(image, np.ndarray):
        image = torch.from_numpy(np.ascontiguousarray(image, np.float32)).movedim(-1, -3)
    image = image[None] if image.ndim == 3 else image
    if image.ndim != 4 or image.shape[1] != 3:
        raise InputError("An image must have three colour channels.")
    return image.float()


def _prompts(prompt: str | Sequence[str] | None, known: Tensor | None, per_prompt: int) -> list[str]:
    """One prompt an image. Without a prompt it is a single space, as in the released program for depth estimation."""
    prompts = [" " if prompt is None else prompt] if prompt is None or isinstance(prompt, str) else list(prompt)
    if known is not None and len(prompts) == 1:
        prompts = prompts * len(known)
    if known is not None and len(known) not in (1, len(prompts)):
        raise InputError(f"{len(prompts)} prompts and {len(known)} pictures were given; give one prompt, or one for each.")
    # Half a surrogate pair, as broken text brings along, is no text for a tokenizer.
    return [p.encode("utf-8", "replace").decode() for p in prompts for _ in range(per_prompt)]


def _resolve_size(height: int | None, width: int | None, known: Tensor | None, native: int) -> tuple[int, int]:
    default_height, default_width = (native, native) if known is None else known.shape[-2:]
    height, width = height or default_height, width or default_width
    if min(height, width) < SMALLEST_SIDE:
        raise InputError(f"A picture of {width} x {height} pixels is too small; the smallest side is {SMALLEST_SIDE}.")
    return height, width


def _resize(picture: Tensor, height: int, width: int) -> Tensor:
    """(N, 3, H, W) or (N, H, W) to another size, antialiased; unchanged where the size fits."""
    if picture.shape[-2:] == (height, width):
        return picture
    flat = picture if picture.ndim == 4 else picture[:, None]
    flat = torch.nn.functional.interpolate(flat, (height, width), mode="bilinear", antialias=True)
    return flat if picture.ndim == 4 else flat[:, 0]


def _noise(shape: tuple[int, ...], count: int, generator: torch.Generator | Sequence[torch.Generator] | None, device: torch.device) -> Tensor:
    """Standard normal noise (2 count, C, h, w), RGB first. Image by image, both branches together, so that a seed means the same in any batch."""
    if isinstance(generator, Sequence) and len(generator) != count:
        raise InputError(f"{len(generator)} generators were given for {count} images; give one, or one for each.")
    generators = generator if isinstance(generator, Sequence) else [generator] * count
    pairs = torch.stack([randn_tensor(shape, generator=g, device=device, dtype=torch.float32) for g in generators], dim=1)
    return pairs.flatten(0, 1)


def _hold(latents: Tensor, condition: Tensor | None, task: str) -> Tensor:
    """Put the known branch back: nothing may drift in it."""
    if condition is None:
        return latents
    rgb, depth = latents.chunk(2)
    return torch.cat([condition, depth] if task == "image_to_depth" else [rgb, condition])
