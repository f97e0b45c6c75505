# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the full model is made of, and where each piece can be had: text and numbers only, nothing is asked of any server."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError

HUB = "https://huggingface.co"
FLUX = "black-forest-labs/FLUX.1-dev"
FLUX_LICENCE = "FLUX.1-dev Non-Commercial License"


NEEDED = ("flux", "addons", "autoencoder", "clip", "t5")
"""The pieces without which no model works; tokenizers come with the program."""

@dataclass(frozen=True)
class Offer:
    """One piece of the full model: `files` are paths inside `repository`, and those in `optional` may be missing there.

    `nbytes` is the approximate size of all files in bytes. On `page` the licence is shown and, where the repository is `gated`, accepted after logging in.
    """

    piece: str
    title: str
    repository: str
    files: tuple[str, ...]
    nbytes: int
    licence: str
    gated: bool
    page: str
    optional: tuple[str, ...] = ()


def _of_flux(piece: str, title: str, nbytes: int, *files: str) -> Offer:
    """A piece that lies in FLUX.1-dev's own repository, under its licence."""
    return Offer(piece, title, FLUX, files, nbytes, FLUX_LICENCE, True, f"{HUB}/{FLUX}")


OFFERS: tuple[Offer, ...] = (
    _of_flux("flux", "FLUX.1-dev's transformer", 23_803_000_000, "flux1-dev.safetensors"),
    Offer(
        "addons",
        "JointDiT's add-ons",
        "byungki-kwon/JointDiT",
        ("jointdit.safetensors", "jointdit.json"),
        4_700_000_000,
        "see the repository's page",
        False,
        f"{HUB}/byungki-kwon/JointDiT",
        optional=("jointdit.json",),
    ),
    _of_flux("autoencoder", "FLUX.1-dev's autoencoder", 335_300_000, "ae.safetensors"),
    _of_flux("clip", "Text encoder CLIP-L", 246_100_000, "text_encoder/config.json", "text_encoder/model.safetensors"),
    _of_flux(
        "t5",
        "Text encoder T5-XXL",
        9_524_600_000,
        "text_encoder_2/config.json",
        "text_encoder_2/model.safetensors.index.json",
        "text_encoder_2/model-00001-of-00002.safetensors",
        "text_encoder_2/model-00002-of-00002.safetensors",
    ),
    _of_flux(
        "tokenizer",
        "Tokenizer of CLIP-L",
        1_600_000,
        "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
    ),
    _of_flux(
        "tokenizer_2",
        "Tokenizer of T5-XXL",
        3_200_000,
        "tokenizer_2/special_tokens_map.json",
        "tokenizer_2/spiece.model",
        "tokenizer_2/tokenizer.json",
        "tokenizer_2/tokenizer_config.json",
    ),
)
PIECES: tuple[str, ...] = tuple(offer.piece for offer in OFFERS)


def find_offer(piece: str) -> Offer:
    """The offer of a piece.

    Raises:
        InputError: there is no such piece.
    """
    for offer in OFFERS:
        if offer.piece == piece:
            return offer
    raise InputError(f"There is no piece {piece!r}; choose among {', '.join(PIECES)}.")


def size_text(nbytes: int) -> str:
    """Bytes as a person writes them, in units of 1000 as hubs and disks count: '23.8 GB', '335 MB', '1.6 MB', '12 bytes'."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if nbytes >= factor:
            amount = nbytes / factor
            return f"{amount:.1f} {unit}" if amount < 99.95 else f"{amount:.0f} {unit}"
    return f"{nbytes} bytes"


def describe(piece: str) -> str:
    """One sentence about a piece: what it is, where it comes from, how large it is, and under which licence.

    Raises:
        InputError: there is no such piece.
    """
    offer = find_offer(piece)
    folder = offer.files[0].rpartition("/")[0]
    what = f"the folder {folder}/" if folder else next(name for name in offer.files if name not in offer.optional)
    where = f"{offer.page.removeprefix('https://')}, {size_text(offer.nbytes)}"
    if not offer.gated:
        return f"{offer.title}: {what} from {where}; licence: {offer.licence}"
    kind = "non-commercial licence" if offer.licence == FLUX_LICENCE else offer.licence
    return f"{offer.title}: {what} from {where}; {kind}, which must be accepted on its page after logging in"
