# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that grows while it is downloaded, is hashed as it grows, and gets its name when it is complete and right."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import JointDiTError

BLOCK = 2**20  # bytes that are read at once where a partial file is hashed again


class DownloadError(JointDiTError):
    """A file cannot be fetched: no network, no permission, not there, no room on the disk, or damaged on the way."""


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Errors of the file system while `path` is written become sentences.

    Raises:
        DownloadError: the disk is full, or the path cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(f"The disk is full, {path} has no more room; free some space, then download again: it goes on where it stopped.") from error
        raise DownloadError(f"{path} cannot be written ({error.strerror or error}); choose another folder or mend its permissions.") from error


class PartialFile:
    """The file `part`, which becomes `path` once it has `size` bytes and the hash `etag`. Close `stream` after use.

    A large file's etag is its SHA-256, a small one's is git's own hash; an etag of another form is no hash, and then the size alone is checked.
    All methods raise DownloadError where the disk fails.
    """

    def __init__(self, part: Path, path: Path, size: int, etag: str) -> None:
        self.part, self.path, self.wanted, self.etag = part, path, size, etag
        with disk_errors(part):
            part.parent.mkdir(parents=True, exist_ok=True)
            self.stream = part.open("a+b")
        self.size = 0  # bytes that have been hashed; all of the file once `read_back` has run
        self.digest = self._new_digest()

    def _new_digest(self) -> hashlib._Hash | None:
        if re.fullmatch(r"[0-9a-f]{64}", self.etag):
            return hashlib.sha256()
        if re.fullmatch(r"[0-9a-f]{40}", self.etag):
            return hashlib.sha1(b"blob %d\0" % self.wanted, usedforsecurity=False)
        return None

    def _count(self, block: bytes) -> None:
        self.size += len(block)
        if self.digest is not None:
            self.digest.update(block)

    def read_back(self, advance: Callable[[int], None]) -> None:
        """Hash what an earlier download left; `advance` gets the bytes of each block."""
        self.stream.seek(0)
        while True:
            with disk_errors(self.part):
                block = self.stream.read(BLOCK)
            if not block:
                return
            self._count(block)
            advance(len(block))

    def append(self, block: bytes) -> None:
        """Write at the end; nothing stays in a buffer, so that a killed process loses nothing."""
        with disk_errors(self.part):
            self.stream.write(block)
            self.stream.flush()
        self._count(block)

    def restart(self) -> None:
        """Throw away all bytes."""
        with disk_errors(self.part):
            self.stream.truncate(0)
        self.size, self.digest = 0, self._new_digest()

    def finish(self) -> None:
        """Check the file and give it its name; partial files of older versions go.

        Raises:
            DownloadError: the file is damaged. It has been deleted, for no later download could mend it.
        """
        with disk_errors(self.part):
            os.fsync(self.stream.fileno())
            self.stream.close()
        right = self.size == self.wanted and (self.digest is None or self.digest.hexdigest() == self.etag)
        with disk_errors(self.path):
            if right:
                self.part.replace(self.path)
            for stale in self.path.parent.glob(f"{self.path.name}.*.part"):
                stale.unlink()
        if not right:
            raise DownloadError(
                f"{self.path.name} arrived damaged: its size or hash is not what the hub says. It has been deleted; download it again, "
                "and if that does not help, check the disk and try another network."
            )
