# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts, photographs and front views in; a panorama with its depth out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..latents import pack
from ..pipeline import JointDiTPipeline
from ..sampler import Sampler
from .agreement import looks, mean, unit_rays
from .asked import DEFAULT_VIEWS, default_parts, view_side
from .fill import filled_distances, filled_picture, toned_to
from .merge import merge
from .noise import sphere_noise
from .solve import Alignment, solve
from .sphere import View, around_poles, equirectangular_rays, layout, sample, sample_equirectangular
from .strip import denoise_strip
from .views import Agreement, Known, denoise_views, stretched
from .wrapped import denoise_wrapped

DECODE_PADDING = 8
"""Latent pixels across the seam that the autoencoder sees too."""
WIDE = 110.0
"""Degrees of view of level views that would not overlap otherwise."""
SIDEWAYS = {"front": 0.0, "right": 90.0, "back": 180.0, "left": -90.0}
POLE = 60.0
"""Degrees of pitch from which a view shows nothing but what is above or below."""
TONE_REACH = 0.3
"""Radians over which the colours around a known picture pass over into its own."""
STEP = 0.7
"""Of the logarithm of distance; more than that between a known picture and what is beside it is a step and stays one."""
LEAST = 1e-3
"""Of the nearest 1/r; what is farther is sky and is not led anywhere."""
PREVIEW_HEIGHT = 96

Preview = Callable[[], tuple[Tensor, Tensor]]
"""Makes an image (1, 3, h, w) and a disparity (1, h, w), both in [0, 1]."""


@dataclass(frozen=True)
class Watch:
    """Called while a panorama is made: after each batch of windows (it may raise to stop), and after each step with what it has come to."""

    after_batch: Callable[[int], None] = lambda step: None
    after_step: Callable[[int, Preview], None] = lambda step, preview: None

    def later(self, steps: int) -> Watch:
        """The same for what comes after so many steps."""
        return Watch(lambda step: self.after_batch(step + steps), lambda step, preview: self.after_step(step + steps, preview))


@dataclass(frozen=True)
class Recipe:
    """How a panorama is made. Sizes in pixels of the whole; at most `batch` windows work at a time.

    `device` is where views are made to agree; `turn` (degrees) turns the noise, and all that comes of it.
    """

    width: int
    height: int
    prompt: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    steps: int = 20
    guidance: float = 3.5
    seed: int = 0
    views: int = DEFAULT_VIEWS
    batch: int = 4
    device: torch.device | str = "cpu"
    turn: float = 0.0

    def generator(self) -> torch.Generator:
        """The source of all that is random."""
        return torch.Generator("cpu").manual_seed(self.seed)


@dataclass(frozen=True)
class Strip:
    """A cylindrical panorama: image (3, H, W) and disparity (H, W), float32 in [0, 1]."""

    image: Tensor
    disparity: Tensor


@dataclass(frozen=True)
class Sphere:
    """An equirectangular panorama: image (3, H, 2H) float32 in [0, 1], 1/r (H, 2H) float64, and the views (N) with their disparities that it comes from.

    1/r is in 1/metres where a front view gave the scale, else in units of its own.
    """

    image: Tensor
    inverse: np.ndarray
    views: Sequence[View]
    disparities: Sequence[np.ndarray]
    alignment: Alignment


@torch.no_grad()
def make_strip(pipeline: JointDiTPipeline, recipe: Recipe, watch: Watch = Watch()) -> Strip:
    """A strip from a prompt, by the paper's method."""
    reduction, channels = pipeline.vae_scale_factor, pipeline.vae.config.latent_channels
    height, width = recipe.height // reduction, recipe.width // reduction
    generator = recipe.generator()
    canvas = torch.randn(2, channels, height, width, generator=generator).to(pipeline.device_at_work)
    canvas = canvas.roll(round(recipe.turn / 360 * width / 2) * 2, -1)
    sampler = _sampler(pipeline, [recipe.prompt], recipe, height // 2)

    def after_step(step: int, _canvas: Tensor, clean: Tensor) -> None:
        watch.after_step(step, lambda: pipeline.preview(pack(clean), recipe.height, recipe.width))

    canvas = denoise_strip(sampler, canvas, recipe.batch, generator, watch.after_batch, after_step)
    image, disparity = _decoded(pipeline, canvas, 0)
    return Strip(image, disparity)


@torch.no_grad()
def make_sphere(pipeline: JointDiTPipeline, recipe: Recipe, watch: Watch = Watch(), front: Known | None = None) -> Sphere:
    """A sphere from a prompt, by perspective views that agree; around a front view if there is one, which stays as it is."""
    side = view_side(recipe.width)
    views = views_of(recipe.views, pipeline.config.largest_pitch)
    parts = {**default_parts(recipe.prompt), **recipe.parts}
    texts, prompts = prompts_of(views, recipe.prompt, parts)
    known = [] if front is None else [_at_density(front, side / 2)]
    agree = Agreement(pipeline, views, side, known, device=recipe.device)
    _denoised(pipeline, agree, _noise(pipeline, views, side, recipe), texts, prompts, recipe, watch)
    watch.after_batch(recipe.steps)
    fine = [] if front is None else [_at_density(front, recipe.width / (2 * np.pi))]
    return _with_depth(_joined(agree.pictures, views, recipe.height, fine), views, agree.disparities, fine, recipe.height)


@torch.no_grad()
def make_wrapped(pipeline: JointDiTPipeline, recipe: Recipe, watch: Watch = Watch()) -> Sphere:
    """A sphere from a prompt, painted as one equirectangular picture; its depth is then found view by view, as a photograph's."""
    reduction, channels = pipeline.vae_scale_factor, pipeline.vae.config.latent_channels
    generator = recipe.generator()
    canvas = torch.randn(2, channels, recipe.height // reduction, recipe.width // reduction, generator=generator).to(pipeline.device_at_work)
    canvas = canvas.roll(round(recipe.turn / 360 * canvas.shape[-1] / 2) * 2, -1)
    text, unguided = pipeline.guided_text([recipe.prompt], "", recipe.guidance)
    grid = canvas.shape[-2] // 2, canvas.shape[-1] // 2
    sampler = pipeline.sampler(text, grid, recipe.steps, recipe.guidance, "joint", unguided)

    def after_step(step: int, clean: Tensor) -> None:
        watch.after_step(step, lambda: pipeline.preview(pack(clean), recipe.height, recipe.width))

    image, _ = _decoded(pipeline, denoise_wrapped(sampler, canvas, generator, after_step), DECODE_PADDING)
    return depth_of_photograph(pipeline, image, recipe, watch.later(recipe.steps))


@torch.no_grad()
def depth_of_photograph(pipeline: JointDiTPipeline, photograph: Tensor, recipe: Recipe, watch: Watch = Watch()) -> Sphere:
    """The depth of an equirectangular picture (3, H, 2H) in [0, 1], at the recipe's size; the picture stays as it is."""
    side = view_side(recipe.width)
    views = views_of(recipe.views, pipeline.config.largest_pitch)
    small = _resized(photograph, recipe.height, recipe.width)
    images = torch.stack([sample_equirectangular(small, unit_rays(view, side, side, small)).unflatten(1, (side, side)) for view in views])
    agree = Agreement(pipeline, views, side, images=images, device=recipe.device)
    noise = _noise(pipeline, views, side, recipe)
    latents = torch.cat([pipeline.encode_image(images).to(noise), noise[len(views) :]])
    _denoised(pipeline, agree, latents, [" "], [0] * len(views), recipe, watch, "image_to_depth")
    watch.after_batch(recipe.steps)
    return _with_depth(photograph, views, agree.disparities, [], recipe.height)


def _denoised(
    pipeline: JointDiTPipeline, agree: Agreement, latents: Tensor, texts: Sequence[str], prompts: Sequence[int], recipe: Recipe, watch: Watch,
    task: str = "joint",
) -> None:  # fmt: skip
    """Denoise the views until they have agreed."""
    sampler = _sampler(pipeline, texts, recipe, agree.side // pipeline.size_multiple, task)
    denoise_views(sampler, latents, prompts, agree, recipe.batch, watch.after_batch, lambda step: watch.after_step(step, lambda: preview_of(agree)))


def views_of(count: int, largest_pitch: float) -> tuple[View, ...]:
    """The views of a sphere that a model can look along; wider ones where the level views are left alone and few."""
    views = [view for view in layout(count) if abs(view.pitch) <= largest_pitch]
    if len(views) <= 4:
        views = [view for view in layout(count, WIDE) if abs(view.pitch) <= largest_pitch]
    return tuple(views)


def prompts_of(views: Sequence[View], prompt: str, parts: Mapping[str, str]) -> tuple[list[str], list[int]]:
    """Distinct prompts, and which of them each view has: that of its direction where there is one, else the whole's."""
    texts = [_text(view, prompt, parts) for view in views]
    distinct = list(dict.fromkeys(texts))
    return distinct, [distinct.index(text) for text in texts]


def _text(view: View, prompt: str, parts: Mapping[str, str]) -> str:
    if abs(view.pitch) > 30:
        part = parts.get("up" if view.pitch > 0 else "down", prompt)
        # Below the pole a view shows the horizon as well.
        return part if abs(view.pitch) > POLE or prompt in part else f"{part}, {prompt}"
    near = [name for name, yaw in SIDEWAYS.items() if abs((view.yaw - yaw + 180) % 360 - 180) < 45]
    return parts.get(near[0], prompt) if near else prompt


def _sampler(pipeline: JointDiTPipeline, texts: Sequence[str], recipe: Recipe, patches: int, task: str = "joint") -> Sampler:
    """For square windows of so many patches a side."""
    text, unguided = pipeline.guided_text(texts, "", recipe.guidance)
    return pipeline.sampler(text, (patches, patches), recipe.steps, recipe.guidance, task, unguided)


def _noise(pipeline: JointDiTPipeline, views: Sequence[View], side: int, recipe: Recipe) -> Tensor:
    """(2N, C, h, w): the views' noise of both branches, RGB first."""
    pixels, channels = side // pipeline.vae_scale_factor, pipeline.vae.config.latent_channels
    noise = sphere_noise(views, 2 * channels, pixels, pixels, recipe.generator(), pipeline.device_at_work, recipe.turn)
    return torch.cat(noise.chunk(2, dim=1))


def _decoded(pipeline: JointDiTPipeline, canvas: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Image (3, H, W) and disparity (H, W) of latents (2, C, h, w) that wrap around, and around the poles if `rows` are to be seen there."""
    padded = around_poles(canvas, DECODE_PADDING, rows)
    across, down = (count * pipeline.vae_scale_factor for count in (DECODE_PADDING, rows))
    pictures = pipeline.decode_image(padded)[..., down : padded.shape[-2] * pipeline.vae_scale_factor - down, across:-across]
    return pictures[0].cpu(), pipeline.disparity_of(pictures[1:])[0].cpu()


def _joined(pictures: Tensor, views: Sequence[View], height: int, known: Sequence[Known] = ()) -> Tensor:
    """(3, H, 2H) in [0, 1] on the processor, from pictures (N, 3, h, w) of views. Known ones stay, and the colours around pass over into theirs."""
    pictures = pictures.float().cpu()
    rays = equirectangular_rays(height, 2 * height, pictures[0])
    seen = looks(views, [tuple(pictures.shape[-2:])] * len(views), rays.reshape(-1, 3))
    joined = mean(list(pictures), seen, 2 * height**2).unflatten(1, (height, 2 * height)).numpy()
    there = _seen(views, height)
    if not there.all():
        joined = filled_picture(joined, there)
    for one in known:
        inside = inside_of(one.view, one.image.shape[-2:], rays).numpy()
        places, _ = one.view.project(rays, *one.image.shape[-2:])
        joined = toned_to(joined, sample(one.image.float().cpu(), places).numpy(), inside, TONE_REACH)
    return torch.from_numpy(joined).float().clamp(0, 1)


def inside_of(view: View, shape: Sequence[int], rays: Tensor) -> Tensor:
    """Which rays (..., 3) meet a picture (h, w) of a view, half a pixel from its border at least: (...) bool."""
    places, depth = view.project(rays, *shape[-2:])
    margin = torch.tensor([1 / shape[-1], 1 / shape[-2]], dtype=rays.dtype)
    return (depth > 0) & (places.abs() <= 1 - margin).all(-1)


def _seen(views: Sequence[View], height: int, known: Sequence[Known] = ()) -> np.ndarray:
    """(H, 2H) bool: whether some view looks there. As far up, and down, all around as the least that is seen, so that the border is a circle.

    What a known picture shows is seen wherever it is.
    """
    rays = equirectangular_rays(height, 2 * height, torch.zeros((), dtype=torch.float64))
    inside = torch.zeros(rays.shape[:-1], dtype=torch.bool)
    for view in views:
        places, depth = view.project(rays, 1, 1)
        inside |= (depth > 0) & (places.abs().amax(-1) < 0.9)
    whole = inside.all(dim=1, keepdim=True)
    inside = whole.expand_as(inside) if whole.any() else inside
    for one in known:
        inside = inside | inside_of(one.view, one.disparity.shape, rays)
    return inside.numpy()


def _with_depth(image: Tensor, views: Sequence[View], maps: Sequence[Tensor], known: Sequence[Known], height: int) -> Sphere:
    """Solve and merge the views' disparities (h, w); a known one keeps its scale and its values."""
    everybody = [*views, *(one.view for one in known)]
    arrays = [one.cpu().double().numpy() for one in (*map(stretched, maps), *(one.disparity for one in known))]
    fixed = {len(views) + index: (one.scale, one.shift) for index, one in enumerate(known)}
    alignment = solve(everybody, arrays, fixed)
    inverse = merge(everybody, arrays, alignment, height, keep=tuple(fixed))
    there = _seen(views, height, known)
    inverse = inverse if there.all() else filled_distances(inverse, there)
    for one in known:
        inverse = _led_into(inverse, one)
    return Sphere(image.float().cpu(), inverse, everybody, arrays, alignment)


def _led_into(inverse: np.ndarray, known: Known) -> np.ndarray:
    """1/r (H, 2H) with a known picture's own inside, and surfaces around that go on from it, where there is no real step."""
    rays = equirectangular_rays(*inverse.shape, torch.zeros((), dtype=torch.float64))
    inside = inside_of(known.view, known.disparity.shape, rays).numpy()
    places, cosine = known.view.project(rays, *known.disparity.shape)
    own = (cosine * (known.scale * sample(known.disparity.cpu().double()[None], places)[0] + known.shift)).numpy()
    least = max(float(own[inside].min()), inverse.max() * LEAST)
    logs = toned_to(np.log(np.maximum(inverse, least))[None], np.log(np.maximum(own, least))[None], inside, TONE_REACH, STEP)[0]
    return np.where(inside, own, np.where(inverse > least, np.exp(logs), inverse))


def _at_density(known: Known, pixels: float) -> Known:
    """A known picture scaled down, where it is finer, to so many pixels a unit of its image plane: else reading it from afar would flicker."""
    width = max(16, round(2 * known.view.half * pixels))
    height, old = known.image.shape[-2:]
    if width >= old:
        return known
    size = max(16, round(width * height / old)), width
    disparity = interpolate(known.disparity[None, None], size, mode="bilinear", antialias=True)[0, 0]
    return Known(known.view, _resized(known.image, *size), disparity, known.scale, known.shift)


def _resized(picture: Tensor, height: int, width: int) -> Tensor:
    """(3, h, w) to another size, antialiased; unchanged where the size fits."""
    if picture.shape[-2:] == (height, width):
        return picture
    return interpolate(picture[None], (height, width), mode="bilinear", antialias=True)[0].clamp(0, 1)


def preview_of(agree: Agreement) -> tuple[Tensor, Tensor]:
    """A small look at what the views have agreed on so far."""
    rays = equirectangular_rays(PREVIEW_HEIGHT, 2 * PREVIEW_HEIGHT, agree.pictures).reshape(-1, 3)
    seen = looks(agree.views, [(agree.side, agree.side)] * len(agree.views), rays)
    pictures = [torch.cat([picture, disparity[None]]) for picture, disparity in zip(agree.pictures, agree.disparities, strict=True)]
    both = mean(pictures, seen, len(rays)).unflatten(1, (PREVIEW_HEIGHT, 2 * PREVIEW_HEIGHT)).clamp(0, 1)
    return both[None, :3], both[None, 3]
