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
from functools import partial

import torch
from torch import Tensor

from ..latents import pack, unpack
from ..pipeline import JointDiTPipeline
from ..sampler import Sampler, even_batches
from .agreement import Look, cosines, looks, mean, unit_rays
from .solve import solve
from .sphere import View

POINTS, ITERATIONS = 5000, 8
"""Rays and rounds of the solve within a step. It starts anew each time: from the solution of the step before it could not leave a wrong one, as what is
agreed on comes back as the next estimate."""
AT_ONCE = 4
"""Views that the autoencoder sees between two looks at whether to stop."""
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

    `images` (N, 3, s, s) are the views' pictures where these are given and only the depth is to agree. The means are taken on `device`.
    Afterwards `pictures` (N, 3, s, s) and `disparities` (N, s, s) are what was agreed on last: after the last step they
    are the result, which need not go through the autoencoder once more.
    """

    pipeline: JointDiTPipeline
    views: Sequence[View]
    side: int
    known: Sequence[Known] = ()
    images: Tensor | None = None
    device: torch.device | str = "cpu"
    pictures: Tensor | None = None
    disparities: Tensor | None = None
    _seen: list[list[Look]] = field(default_factory=list)

    @property
    def everybody(self) -> list[View]:
        """The views, then the known pictures'."""
        return [*self.views, *(known.view for known in self.known)]

    def __call__(self, clean: Tensor, breathe: Callable[[], None] = lambda: None) -> Tensor:
        """Clean estimates (2N, C, h, w) -> the same in agreement; `breathe` is called now and then and may raise to stop."""
        of_images, of_maps = clean.chunk(2)
        with self.pipeline.seeing():
            own = self._in_parts(self.pipeline.decode_disparity, of_maps, breathe)
            self.disparities = self._agreed_disparities(own)
            # What the autoencoder loses is lost in both, so that views which agree stay as they are.
            of_maps = of_maps + self._change(self.pipeline.encode_disparity, own, self.disparities, breathe).to(clean)
            if self.images is None:
                own = self._in_parts(self.pipeline.decode_image, of_images, breathe)
                self.pictures = self._agreed([*own, *(known.image.to(own) for known in self.known)])
                of_images = of_images + self._change(self.pipeline.encode_image, own, self.pictures, breathe).to(clean)
            else:
                self.pictures = self.images.to(own)
        return torch.cat([of_images, of_maps])

    def _in_parts(self, work: Callable[[Tensor], Tensor], tensors: Tensor, breathe: Callable[[], None]) -> Tensor:
        """Let the autoencoder work on a few views at a time; the result is on the agreement's device."""
        parts = []
        for part in tensors.split(AT_ONCE):
            breathe()
            parts.append(work(part).to(self.device))
        return torch.cat(parts)

    def _change(self, encode: Callable[[Tensor], Tensor], own: Tensor, agreed: Tensor, breathe: Callable[[], None]) -> Tensor:
        """What the agreement changes in the latents (N, C, h, w)."""
        return self._in_parts(encode, agreed, breathe) - self._in_parts(encode, own, breathe)

    def _look(self, like: Tensor) -> list[list[Look]]:
        """Who sees the rays of each view; found once."""
        if not self._seen:
            sides = [(self.side, self.side)] * len(self.views) + [tuple(known.disparity.shape) for known in self.known]
            rays = [unit_rays(view, self.side, self.side, like) for view in self.views]
            self._seen = [looks(self.everybody, sides, some, len(self.known)) for some in rays]
        return self._seen

    def _agreed(self, pictures: Sequence[Tensor]) -> Tensor:
        """Pictures (C, h, w) of everybody, averaged along the rays of the views: (N, C, s, s)."""
        return torch.stack([mean(pictures, seen, self.side**2).unflatten(1, (self.side, self.side)) for seen in self._look(pictures[0])])

    def _agreed_disparities(self, own: Tensor) -> Tensor:
        """The mean of inverse distances, as each view's own disparity: (N, s, s)."""
        # An early estimate has little contrast; up to scale and shift it says the same from 0 to 1, where a shift is never negative.
        disparities = [*map(stretched, own), *(known.disparity.to(own) for known in self.known)]
        fixed = {len(self.views) + index: (known.scale, known.shift) for index, known in enumerate(self.known)}
        alignment = solve(self.everybody, [one.cpu() for one in disparities], fixed, POINTS, iterations=ITERATIONS)
        slants = [cosines(view, *one.shape, one) for view, one in zip(self.everybody, disparities, strict=True)]
        pairs = zip(slants, disparities, alignment.scales, alignment.shifts, strict=True)
        agreed = self._agreed([(slant * (scale * one + shift))[None] for slant, one, scale, shift in pairs])[:, 0]
        return torch.stack([_in_range_of(one, inverse / slant) for one, inverse, slant in zip(own, agreed, slants, strict=False)])


def stretched(disparity: Tensor) -> Tensor:
    """(h, w) from 0 to 1."""
    low, high = disparity.min(), disparity.max()
    return (disparity - low) / (high - low).clamp(min=1e-6)


def _in_range_of(own: Tensor, inverse: Tensor) -> Tensor:
    """1/z (h, w) as a disparity with the range of a view's own estimate; what is nearly flat is not blown up to it.

    A disparity means nothing but what it is up to scale and shift, and the model knows it from 0 to 1: not the solved scale decides, which would let a
    view fade or burst, but the estimate.
    """
    low, high = inverse.min(), inverse.max()
    part = (inverse - low) / torch.maximum(high - low, FLAT * high.abs()).clamp(min=1e-12)
    return own.min() + part * (own.max() - own.min())


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
        for first, past in even_batches(count, batch):
            pairs = [half[first:past] for half in latents.chunk(2)]
            change = unpack(sampler.velocity(pack(torch.cat(pairs)), step, prompts[first:past]), *(side // 2 for side in latents.shape[-2:]))
            for half, part in zip(velocity.chunk(2), change.chunk(2), strict=True):
                half[first:past] = part
            after_batch(step)
        # z = (1 - sigma) * clean + sigma * noise, so that this is the noise; of a held branch nothing is left of it.
        held = sampler.task == "image_to_depth"
        clean, noise = latents - sigma * velocity, latents + (1 - sigma) * velocity
        clean = agree(clean, partial(after_batch, step)).to(latents)
        stepped = (1 - following) * clean + following * noise
        latents = torch.cat([latents.chunk(2)[0], stepped.chunk(2)[1]]) if held else stepped
        after_step(step)
    return latents


