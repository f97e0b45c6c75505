# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON-RPC 2.0, one object a line: reading requests, writing answers. Knows nothing of jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
UNKNOWN_METHOD = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
NOT_INITIALIZED = -32002
JOB_FAILED = -32001
CANCELLED = -32800

LINE_LIMIT = 4 * 1024 * 1024
"""Bytes of one request; what is longer is refused without being kept in memory."""

RequestId = int | str


class ProtocolError(Exception):
    """A line that is answered with an error object at once."""

    def __init__(self, code: int, message: str, request_id: RequestId | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


@dataclass(frozen=True)
class Message:
    """A request, or a notification when `id` is None."""

    id: RequestId | None
    method: str
    params: dict[str, Any] = field(default_factory=dict)


def read(stream: BinaryIO, limit: int = LINE_LIMIT) -> Iterator[Message | ProtocolError]:
    """Every line of the stream until its end, each as a message or as the error to answer with."""
    while line := stream.readline(limit + 1):
        if len(line) > limit and not line.endswith(b"\n"):
            while (rest := stream.readline(limit)) and not rest.endswith(b"\n"):
                pass
            yield ProtocolError(PARSE_ERROR, f"The line is longer than {limit} bytes.")
        elif line.strip():
            try:
                yield parse(line)
            except ProtocolError as error:
                yield error


def parse(line: bytes) -> Message:
    """One line as a message; raises `ProtocolError`."""
    try:
        content = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(PARSE_ERROR, f"The line is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ProtocolError(INVALID_REQUEST, "A request is one JSON object a line.")
    request_id = content.get("id")
    if request_id is not None and (isinstance(request_id, bool) or not isinstance(request_id, RequestId)):
        raise ProtocolError(INVALID_REQUEST, "The id of a request is an integer or a string.")
    method, params = content.get("method"), content.get("params")
    if content.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise ProtocolError(INVALID_REQUEST, 'A request has "jsonrpc": "2.0" and a "method".', request_id)
    if params is not None and not isinstance(params, dict):
        raise ProtocolError(INVALID_PARAMS, "The parameters are named: a JSON object.", request_id)
    return Message(request_id, method, params or {})


def encode(content: dict[str, Any]) -> bytes:
    """One line of the answer stream. ASCII escapes let even half a surrogate pair through."""
    return json.dumps({"jsonrpc": "2.0", **content}, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def error_object(code: int, message: str, detail: str = "") -> dict[str, Any]:
    """A JSON-RPC error; `detail` is text for a bug report."""
    return {"code": code, "message": message, **({"data": {"detail": detail}} if detail else {})}


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
