# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch pieces of the catalogue from a hub, only when asked: what has arrived survives a cut, a cancel and a kill, and the next call goes on from there.

huggingface_hub brings login, endpoint and connections. Its own hf_hub_download is not used: in version 2.4 it throws the partial file away whenever it
fails, which is too much to lose of 24 GB; and it tells the hub about the caller's environment. Files come by plain HTTP, which every hub and mirror serves.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from filelock import FileLock, Timeout
from huggingface_hub import constants, get_session, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled, RemoteEntryNotFoundError
from huggingface_hub.utils import get_token_to_send, hf_raise_for_status

from .. import __version__
from .catalogue import HUB, Offer, find_offer, size_text
from .partial import DownloadError, PartialFile, disk_errors

REDIRECTS = 10  # a renamed repository answers with one
LOCK_NAME = ".download.lock"

__all__ = ["DownloadError", "DownloadProgress", "PlannedFile", "download", "download_plan", "plan_download"]


class _Absent(DownloadError):
    """The hub has the repository but not the file, which does no harm where the file is optional."""


@dataclass(frozen=True)
class DownloadProgress:
    """`done` of `total` bytes of all files together are on the disk; `file` is the path in its repository of the one at work.

    A partial file is read again before it is continued, and counts as it is read. `done` falls where a hub begins a file anew.
    """

    file: str
    done: int
    total: int


@dataclass(frozen=True)
class PlannedFile:
    """One file of an offer as `hub` has it now: `size` in bytes, `etag` its hash, `url` where it is, `path` where it will be."""

    offer: Offer
    name: str
    hub: str
    url: str
    etag: str
    size: int
    path: Path

    @property
    def there(self) -> bool:
        """Whether the whole file is on the disk; a file of another size is fetched anew."""
        return self.path.is_file() and self.path.stat().st_size == self.size

    @property
    def part(self) -> Path:
        """Where the file grows; the hash in its name keeps a newer version from continuing an older one."""
        return self.path.with_name(f"{self.path.name}.{re.sub(r'[^0-9A-Za-z]', '', self.etag)[:16]}.part")

    @property
    def missing(self) -> int:
        """Bytes that have yet to come."""
        if self.there:
            return 0
        have = self.part.stat().st_size if self.part.is_file() else 0
        return max(self.size - have, 0)


def plan_download(pieces: Sequence[str], folder: Path, endpoint: str | None = None, token: str | None = None) -> list[PlannedFile]:
    """Ask the hub about every file of the pieces; nothing is fetched or written. Optional files that the hub lacks are left out.

    `endpoint` and `token` default to what huggingface_hub uses: HF_ENDPOINT, and HF_TOKEN or the login on this machine.

    Raises:
        InputError: there is no such piece.
        DownloadError: the hub cannot be reached or refuses; the sentence says what to do.
    """
    hub, headers = _hub(endpoint), _headers(token)
    offers = [find_offer(piece) for piece in dict.fromkeys(pieces)]
    found = [_locate(offer, name, folder, hub, headers) for offer in offers for name in offer.files]
    return [file for file in found if file is not None]


def download(
    pieces: Sequence[str], folder: Path, report: Callable[[DownloadProgress], None], endpoint: str | None = None, token: str | None = None
) -> list[Path]:
    """Fetch the pieces into the folder, as `download_plan` does; returns all their files.

    Raises:
        InputError: there is no such piece.
        DownloadError: a file cannot be fetched; the sentence says what to do.
    """
    return download_plan(plan_download(pieces, folder, endpoint, token), folder, report, token)


def download_plan(
    plan: Sequence[PlannedFile],
    folder: Path,
    report: Callable[[DownloadProgress], None],
    token: str | None = None,
    *,
    attempts: int = 5,
    pause: float = 1.0,
) -> list[Path]:
    """Fetch what is missing of a plan; returns the paths of all its files. A file gets its name when it is complete and its hash is right.

    A broken connection is taken up again; after `attempts` in a row that brought nothing the download gives up, having waited `pause` seconds more each time.
    An exception that `report` raises (CancelledError) stops the download; what has arrived stays for the next one.

    Raises:
        DownloadError: a file cannot be fetched or written; the sentence says what to do.
    """
    headers = _headers(token)
    _check_space(sum(file.missing for file in plan), folder)
    total, done = sum(file.size for file in plan), 0

    def advance(name: str, count: int) -> None:
        nonlocal done
        done += count
        report(DownloadProgress(name, done, total))

    with _alone(folder):
        done = sum(file.size for file in plan if file.there)
        for file in plan:
            if not file.there:
                _fetch(file, headers, partial(advance, file.name), attempts, pause)
    return [file.path for file in plan]


# What the hub says


def _hub(endpoint: str | None) -> str:
    """The hub's address without a slash at its end."""
    hub = (endpoint or constants.ENDPOINT).rstrip("/")
    if not re.match(r"https?://[\w.\-]+(:\d+)?(/|$)|https?://\[[0-9a-fA-F:.]+\]", hub):
        raise DownloadError(f"{hub!r} is no address of a hub; write it like {HUB}, or leave out --endpoint and HF_ENDPOINT.")
    return hub


def _headers(token: str | None) -> dict[str, str]:
    """Headers for all requests. Files are asked for uncompressed, so that their sizes and ranges are those of the bytes on the disk."""
    headers = {"user-agent": f"jointdit/{__version__}", "accept-encoding": "identity"}
    known = get_token_to_send(token)
    return headers | {"authorization": f"Bearer {known}"} if known else headers


def _sent(headers: dict[str, str], url: str, hub: str) -> dict[str, str]:
    """Headers for one address. The login goes to the hub that was asked and to the public one that a mirror may lead to, to nobody else."""
    if _origin(url) in (_origin(hub), _origin(HUB)):
        return headers
    return {key: value for key, value in headers.items() if key != "authorization"}


def _locate(offer: Offer, name: str, folder: Path, hub: str, headers: dict[str, str]) -> PlannedFile | None:
    """Size, hash and address of one file; None for an optional file that is not there."""
    url = hf_hub_url(offer.repository, name, endpoint=hub)
    linked = (constants.HUGGINGFACE_HEADER_X_LINKED_ETAG, constants.HUGGINGFACE_HEADER_X_LINKED_SIZE)
    try:
        with _refusals(offer, name, hub, headers):
            for _ in range(REDIRECTS):
                asked = _sent(headers, url, hub)
                answer = get_session().request("HEAD", url, headers=asked, timeout=constants.HF_HUB_ETAG_TIMEOUT, follow_redirects=False)
                hf_raise_for_status(answer)
                # A redirect with the file's hash and size leads to its storage, at an address that soon expires: the download asks for a fresh one.
                if not answer.has_redirect_location or all(header in answer.headers for header in linked):
                    break
                url = urljoin(url, answer.headers["location"])
    except _Absent:
        if name in offer.optional:
            return None
        raise
    except HTTPError as error:
        raise DownloadError(f"{hub} cannot be reached ({_reason(error)}); check the network, the proxy and HF_ENDPOINT, then try again.") from error
    etag = answer.headers.get(linked[0]) or answer.headers.get("etag") or ""
    size = answer.headers.get(linked[1]) or ("" if answer.is_redirect else answer.headers.get("content-length") or "")
    if not etag or not size.isdigit():
        raise DownloadError(f"{hub} does not say how large {name} is, so it is no hub that this program knows; check --endpoint and HF_ENDPOINT.")
    return PlannedFile(offer, name, hub, url, etag.removeprefix("W/").strip('"'), int(size), folder / name)


def _origin(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _reason(error: Exception) -> str:
    """What a library says about an error, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _refusals(offer: Offer, name: str, hub: str, headers: dict[str, str]) -> Iterator[None]:
    """Answers of a hub that mean no become sentences."""
    try:
        yield
    except HfHubHTTPError as error:
        raise _refusal(error, offer, name, hub, headers) from error
    except OfflineModeIsEnabled as error:
        raise DownloadError("HF_HUB_OFFLINE is set, so nothing may be downloaded; unset it (and TRANSFORMERS_OFFLINE), then try again.") from error


def _refusal(error: HfHubHTTPError, offer: Offer, name: str, hub: str, headers: dict[str, str]) -> DownloadError:
    """The sentence for a hub's refusal."""
    status = error.response.status_code
    login = f"create a token on {HUB}/settings/tokens, then run `hf auth login` or set HF_TOKEN"
    if status == 401 and "authorization" in headers:
        return DownloadError(f"{hub} does not know the token that was sent: it is wrong or has expired; {login}, and try again.")
    if status == 401 and offer.gated:
        return DownloadError(f"{name} can be had only after logging in: accept the licence ({offer.licence}) on {offer.page}, {login}, and try again.")
    if status == 401:
        return DownloadError(f"{hub} asks for a login for {offer.repository}, or has no such repository; look at {offer.page}, {login}, and try again.")
    if status == 403:
        what = f"the licence ({offer.licence}) has not been accepted yet" if offer.gated else "the account may not read it"
        return DownloadError(
            f"{hub} does not give {name} to this account: {what}, or the token may not read gated repositories. Open {offer.page}, "
            "log in and accept what is asked there, then try again."
        )
    if status == 404 and isinstance(error, RemoteEntryNotFoundError):
        return _Absent(f"{offer.repository} on {hub} has no file {name}; look at {offer.page} for what has become of it, or try another --endpoint.")
    if status == 404:
        return DownloadError(f"{hub} has no repository {offer.repository}; check --endpoint and HF_ENDPOINT, or look at {offer.page}.")
    if status == 429 or status >= 500:
        return DownloadError(f"{hub} is busy or out of order (it answers {status}); try again in some minutes: what has arrived is kept.")
    return DownloadError(f"{hub} refuses {name} (it answers {status}); try again later, or another --endpoint.")


# What the disk says


def _check_space(needed: int, folder: Path) -> None:
    """Enough room for so many bytes, before anything is fetched."""
    place = folder.absolute()
    with disk_errors(folder):
        while not place.exists() and place != place.parent:
            place = place.parent
        free = shutil.disk_usage(place).free
    if needed > free:
        raise DownloadError(f"{size_text(needed)} are needed in {folder}, but only {size_text(free)} are free there; free some space or choose another folder.")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two downloads must not write into the same partial file; the system frees the lock of a process that is gone."""
    lock = FileLock(folder / LOCK_NAME)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise DownloadError(f"Another download into {folder} is running; wait until it has ended, or stop it.") from error
    try:
        yield
    finally:
        lock.release()


# From one to the other


def _fetch(file: PlannedFile, headers: dict[str, str], advance: Callable[[int], None], attempts: int, pause: float) -> None:
    """Fetch one file, from where its partial file ends."""
    part = PartialFile(file.part, file.path, file.size, file.etag)
    with part.stream:
        part.read_back(advance)
        failures = 0
        while part.size < file.size:
            before, reason = part.size, "the answer ended too early"
            try:
                _continue(file, part, headers, advance)
            except HTTPError as error:
                reason = _reason(error)
            if part.size >= file.size:
                break
            failures = 0 if part.size > before else failures + 1
            if failures >= attempts:
                raise DownloadError(
                    f"The connection to {file.hub} broke at {size_text(part.size)} of {size_text(file.size)} of {file.name} ({reason}). "
                    "What has arrived is kept; run the download again to go on."
                )
            time.sleep(pause * failures)
        part.finish()


def _continue(file: PlannedFile, part: PartialFile, headers: dict[str, str], advance: Callable[[int], None]) -> None:
    """Ask for the rest of a file once, and append what comes."""
    wanted = _sent(headers, file.url, file.hub) | ({"range": f"bytes={part.size}-"} if part.size else {})
    with (
        _refusals(file.offer, file.name, file.hub, headers),
        # Where the hub leads to its storage, the session follows without the login.
        get_session().stream("GET", file.url, headers=wanted, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT, follow_redirects=True) as answer,
    ):
        hf_raise_for_status(answer)
        if part.size and answer.status_code != 206:  # this hub cannot continue: it sends everything again
            advance(-part.size)
            part.restart()
        for block in answer.iter_bytes():
            part.append(block)
            advance(len(block))
            if part.size > file.size:
                return
