# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of one sphere, denoised together: in every step their clean estimates are made to agree.

Each view is an ordinary perspective picture, as the model has learned them. A step estimates what it will be without noise; the estimates are decoded,
averaged along the rays of each view, encoded again and given their own noise back (the idea of SyncTweedies, Kim et al., NeurIPS 2024: what is averaged
are clean estimates, since the mean of noisy latents has too little noise). Where views agree a step is the plain Euler step of each.
Disparities of views have a scale and a shift each, which are solved anew in every step; what is averaged are inverse distances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..latents import pack, unpack
from ..pipeline import JointDiTPipeline
from ..sampler import Sampler
from .agreement import Look, cosines, looks, mean, unit_rays
from .solve import Alignment, solve
from .sphere import View

POINTS, ITERATIONS = 4000, 4
"""Rays and rounds of the solve within a step, which starts from that of the step before."""


FLAT = 0.05
"""Of the nearest place's 1/z: less relief than that is none."""


@dataclass(frozen=True)
class Known:
    """A picture that is there already: image (3, h, w) in [0, 1], disparity (h, w), and 1/z = scale * d + shift in 1/metres."""

    view: View
    image: Tensor
    disparity: Tensor
    scale: float
    shift: float


@dataclass
class Agreement:
    """Makes the clean estimates of N views agree, each `side` pixels square. `known` pictures are kept in both modalities.

    With `image` or `depth` false that modality is left alone. Afterwards `pictures` (N, 3, s, s) and `disparities` (N, s, s) are what was agreed on last:
    after the last step they are the result, which need not go through the autoencoder once more.
    """

    pipeline: JointDiTPipeline
    views: Sequence[View]
    side: int
    known: Sequence[Known] = ()
    image: bool = True
    depth: bool = True
    pictures: Tensor | None = None
    disparities: Tensor | None = None
    alignment: Alignment | None = None
    _seen: list[list[Look]] = field(default_factory=list)

    @property
    def everybody(self) -> list[View]:
        """The views, then the known pictures'."""
        return [*self.views, *(known.view for known in self.known)]

    def __call__(self, clean: Tensor) -> Tensor:
        """Clean estimates (2N, C, h, w) -> the same in agreement."""
        pictures, decoded = self.pipeline.decode_image(clean).chunk(2)
        disparities = self.pipeline.disparity_of(decoded)
        self._look(pictures)
        images = [*pictures, *(known.image.to(pictures) for known in self.known)]
        maps = [*disparities, *(known.disparity.to(pictures) for known in self.known)]
        change_image = change_depth = torch.zeros_like(clean[: len(self.views)])
        self.pictures, self.disparities = pictures, disparities
        if self.image:
            self.pictures = self._agreed(images)
            change_image = self.pipeline.encode_image(self.pictures) - self.pipeline.encode_image(pictures)
        if self.depth:
            self.disparities = self._agreed_disparities(maps)
            change_depth = self.pipeline.encode_disparity(self.disparities) - self.pipeline.encode_disparity(disparities)
        # What the autoencoder loses is lost in both, so that views which agree stay as they are.
        return clean + torch.cat([change_image, change_depth]).to(clean)

    def _look(self, like: Tensor) -> None:
        """Find once who sees what."""
        if not self._seen:
            sides = [(self.side, self.side)] * len(self.views) + [tuple(known.disparity.shape) for known in self.known]
            rays = [unit_rays(view, self.side, self.side, like) for view in self.views]
            self._seen = [looks(self.everybody, sides, some, len(self.known)) for some in rays]

    def _agreed(self, pictures: Sequence[Tensor]) -> Tensor:
        """Pictures (C, h, w) of everybody, averaged along the rays of the views: (N, C, s, s)."""
        return torch.stack([mean(pictures, seen, self.side**2).unflatten(1, (self.side, self.side)) for seen in self._seen])

    def _agreed_disparities(self, disparities: Sequence[Tensor]) -> Tensor:
        """The mean of inverse distances, as each view's own disparity: (N, s, s)."""
        fixed = {len(self.views) + index: (known.scale, known.shift) for index, known in enumerate(self.known)}
        arrays = [disparity.double().cpu().numpy() for disparity in disparities]
        self.alignment = solve(self.everybody, arrays, fixed, POINTS, self.alignment, ITERATIONS if self.alignment else 12)
        pairs = list(zip(self.alignment.scales, self.alignment.shifts, strict=True))
        slants = [cosines(view, *disparity.shape, disparity) for view, disparity in zip(self.everybody, disparities, strict=True)]
        inverse = [slant * (s * disparity + t) for slant, disparity, (s, t) in zip(slants, disparities, pairs, strict=True)]
        agreed = self._agreed([one[None] for one in inverse])[:, 0]
        return torch.stack([_normalised(one / slant) for one, slant in zip(agreed, slants, strict=False)])


def _normalised(inverse: Tensor) -> Tensor:
    """1/z (h, w) as the disparity that a model knows: 0 at the farthest place, 1 at the nearest; what is nearly flat is not blown up to that."""
    low, high = inverse.min(), inverse.max()
    return (inverse - low) / torch.maximum(high - low, FLAT * high.abs()).clamp(min=1e-12)


def denoise_views(
    sampler: Sampler,
    latents: Tensor,
    prompts: Sequence[int],
    agree: Agreement,
    batch: int,
    after_batch: Callable[[int], None] = lambda step: None,
    after_step: Callable[[int], None] = lambda step: None,
) -> Tensor:
    """From noise to clean latents of N views: (2N, C, h, w), RGB first, in and out; a held RGB branch comes clean.

    `prompts` (N,) are the sampler's prompts of the views; at most `batch` views work at a time. `after_batch(step)` is called while a step goes on.
    """
    count = len(latents) // 2
    for step in range(len(sampler.sigmas) - 1):
        sigma, following = sampler.sigmas[step].to(latents), sampler.sigmas[step + 1].to(latents)
        velocity = torch.zeros_like(latents)
        for first in range(0, count, batch):
            pairs = [half[first : first + batch] for half in latents.chunk(2)]
            change = unpack(sampler.velocity(pack(torch.cat(pairs)), step, prompts[first : first + batch]), *(side // 2 for side in latents.shape[-2:]))
            for half, part in zip(velocity.chunk(2), change.chunk(2), strict=True):
                half[first : first + batch] = part
            after_batch(step)
        # z = (1 - sigma) * clean + sigma * noise, so that this is the noise; of a held branch nothing is left of it.
        held = sampler.task == "image_to_depth"
        clean, noise = latents - sigma * velocity, latents + (1 - sigma) * velocity
        clean = agree(clean)
        stepped = (1 - following) * clean + following * noise
        latents = torch.cat([latents.chunk(2)[0], stepped.chunk(2)[1]]) if held else stepped
        after_step(step)
    return latents


