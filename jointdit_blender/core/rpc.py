# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's side of docs/protocol.md on bytes alone: requests become lines, chunks of a pipe become messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CANCELLED = -32800
LINE_LIMIT = 4 * 1024 * 1024
"""Bytes of one message; what is longer is dropped without being kept in memory."""


@dataclass(frozen=True)
class Answer:
    """The result of the request `id`."""

    id: int
    result: Any


@dataclass(frozen=True)
class Failure:
    """The error that answers the request `id` (None: the worker could not read which). `message` is a sentence."""

    id: int | None
    code: int
    message: str
    detail: str = ""


@dataclass(frozen=True)
class Notice:
    """A notification, such as `$/progress`."""

    method: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Rubbish:
    """A line that is no message; `text` is its beginning."""

    text: str


Message = Answer | Failure | Notice | Rubbish


def request(request_id: int, method: str, params: dict[str, Any] | None = None) -> bytes:
    """The line of a request."""
    return _line({"id": request_id, "method": method}, params)


def notification(method: str, params: dict[str, Any] | None = None) -> bytes:
    """The line of a notification."""
    return _line({"method": method}, params)


class Decoder:
    """Cuts the worker's output into messages, however the pipe chops it up. Never raises on what it is fed."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._begun = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """The messages that this chunk completes. Consume all before feeding again."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line, skipped = bytes(self._begun) + end, self._skipping
            self._begun.clear()
            self._skipping = False
            if not skipped and len(line) > self._limit:
                yield _too_long(line)
            elif not skipped and line.strip():
                yield parse(line)
        if not self._skipping:
            self._begun += rest
            if len(self._begun) > self._limit:
                self._skipping = True
                yield _too_long(bytes(self._begun))
                self._begun.clear()


def parse(line: bytes) -> Message:
    """One line as a message."""
    try:
        content = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _rubbish(line)
    if not isinstance(content, dict) or content.get("jsonrpc") != "2.0":
        return _rubbish(line)
    method, message_id, error = content.get("method"), content.get("id"), content.get("error")
    if isinstance(method, str) and message_id is None:
        params = content.get("params")
        return Notice(method, params if isinstance(params, dict) else {})
    if isinstance(message_id, bool) or not isinstance(message_id, int | None):
        return _rubbish(line)
    if isinstance(error, dict):
        return _failure(message_id, error)
    if message_id is not None and "result" in content:
        return Answer(message_id, content["result"])
    return _rubbish(line)


def readable(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair: JSON lets them pass, but Blender and files refuse them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _no_constant(name: str) -> float:
    """Refuse NaN and Infinity, which Python would take for JSON."""
    raise ValueError(f"{name} is not JSON")


def _failure(message_id: int | None, error: dict[str, Any]) -> Failure:
    code, message, data = error.get("code"), error.get("message"), error.get("data")
    detail = data.get("detail") if isinstance(data, dict) else None
    return Failure(
        message_id,
        code if isinstance(code, int) else 0,
        message if isinstance(message, str) and message else "The image generator reported an error without a reason.",
        detail if isinstance(detail, str) else "",
    )


def _line(head: dict[str, Any], params: dict[str, Any] | None) -> bytes:
    content = {"jsonrpc": "2.0", **head} | ({} if params is None else {"params": params})
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _rubbish(line: bytes) -> Rubbish:
    return Rubbish(line[:200].decode("utf-8", "replace").strip())


def _too_long(line: bytes) -> Rubbish:
    return Rubbish(f"a line of more than {len(line) - 1} bytes: {_rubbish(line[:80]).text}")
