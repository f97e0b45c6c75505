# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model hub on this machine: a real HTTP server that answers as the public one does, and fails on request."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urljoin, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1000  # bytes; larger files are redirected to the storage, which is this server under its other name
BLOCK = 4096  # bytes that are sent at once


@dataclass(frozen=True)
class Request:
    """One request: `span` is the header Range, `login` the header Authorization; '' where there was none."""

    method: str
    path: str
    span: str
    login: str


@dataclass
class Hub:
    """`files` by (repository, path). A gated repository answers 401 without a token, 403 unless the token is in `accepted`; unknown tokens get 401.

    `renamed` repositories answer with a redirect to another name, which may begin with another host.
    Failures: `cut_after` bytes the connection of a large file breaks, `cuts` times; `stall_after` bytes it says nothing more until `go_on` is set;
    `status` answers every request with an error; `damage` sends other bytes than promised; `ranges = False` knows no ranges.
    """

    files: dict[tuple[str, str], bytes]
    gated: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    cut_after: int = 0
    cuts: int = 0
    stall_after: int = 0
    status: int = 0
    damage: bool = False
    ranges: bool = True
    renamed: dict[str, str] = field(default_factory=dict)
    log: list[Request] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Hub:
        handler = type("BoundHandler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def storage(self) -> str:
        """Another origin than the hub's, so that clients drop their login on the way."""
        return f"http://localhost:{self._server.server_port}/storage"

    def gets(self) -> list[Request]:
        """The requests that brought contents."""
        return [request for request in self.log if request.method == "GET" and ("/storage/" in request.path or not self._large(request.path))]

    def _large(self, path: str) -> bool:
        repository, _, name = path.strip("/").partition("/resolve/main/")
        return len(self.files.get((repository, name), b"")) > LARGE


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        """The log is for the tests, not for the terminal."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.log.append(Request(self.command, path, self.headers.get("Range", ""), self.headers.get("Authorization", "")))
        if hub.status:
            return self._fail(hub.status)
        stored = path.startswith("/storage/")
        repository, found, name = path.removeprefix("/storage").strip("/").partition("/resolve/main/")
        if not found:
            return self._fail(404)
        if repository in hub.renamed:
            return self._send(307, {"Location": urljoin("/", f"{hub.renamed[repository]}/resolve/main/{name}")})
        if not stored and not self._may_read(repository):
            return None
        if repository not in {known for known, _ in hub.files}:
            return self._fail(404, "RepoNotFound", "Repository not found")
        data = hub.files.get((repository, name))
        if data is None:
            return self._fail(404, "EntryNotFound", "Entry not found")
        if stored:
            return self._send_data(data, {"ETag": '"storage-has-tags-of-its-own"'})
        headers = {"X-Repo-Commit": COMMIT}
        if len(data) <= LARGE:
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            return self._send_data(data, headers | {"ETag": f'"{blob}"'})
        digest = hashlib.sha256(data).hexdigest()
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data)), "ETag": '"pointer"', "Location": f"{hub.storage}{path}?expires=soon"}
        # Storage in chunks is offered too; a client may ignore it.
        chunks = {"X-Xet-Hash": digest, "Link": f'<{hub.endpoint}/api/xet-read-token>; rel="xet-auth"'}
        return self._send(302, headers | linked | chunks)

    def _may_read(self, repository: str) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.tokens:
            self._fail(401, "", "Invalid credentials in Authorization header")
        elif repository in self.hub.gated and not token:
            self._fail(401, "GatedRepo", f"Access to model {repository} is restricted. You must have access to it and be authenticated.")
        elif repository in self.hub.gated and token not in self.hub.accepted:
            self._fail(403, "GatedRepo", f"Access to model {repository} is restricted and you are not in the authorized list.")
        else:
            return True
        return False

    def _fail(self, status: int, code: str = "", message: str = "") -> None:
        self._send(status, ({"X-Error-Code": code} if code else {}) | ({"X-Error-Message": message} if message else {}))

    def _send(self, status: int, headers: dict[str, str], length: int = 0) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(length)}).items():
            self.send_header(name, value)
        self.end_headers()

    def _send_data(self, data: bytes, headers: dict[str, str]) -> None:
        hub, start = self.hub, 0
        span = self.headers.get("Range", "")
        if span and hub.ranges:
            start = int(span.removeprefix("bytes=").rstrip("-"))
            headers = headers | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        self._send(206 if start else 200, headers | ({"Accept-Ranges": "bytes"} if hub.ranges else {}), len(data) - start)
        if self.command == "HEAD":
            return
        if hub.damage:
            data = bytes(len(data))
        for begin in range(start, len(data), BLOCK):
            sent = begin - start
            if hub.cuts and len(data) > LARGE and sent >= hub.cut_after:
                hub.cuts -= 1
                self.close_connection = True
                return
            if hub.stall_after and sent >= hub.stall_after and not hub.go_on.wait(20):
                return
            try:
                self.wfile.write(data[begin : min(begin + BLOCK, len(data))])
            except OSError:  # the client is gone
                self.close_connection = True
                return
