# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker: one thread listens, the main thread works through the requests one at a time."""

from __future__ import annotations

import os
import queue
import threading
import time
import traceback
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, BinaryIO

from jointdit.errors import CancelledError, InputError, JointDiTError
from jointdit.worker import messages
from jointdit.worker.engine import Engine, ProgressNews
from jointdit.worker.messages import Message, ProtocolError, RequestId, error_object

PROTOCOL = 1
METHODS = ("initialize", "generate", "models/list", "models/unload", "shutdown")
GRACE_SECONDS = 5.0
"""How long a job may take to notice that the parent is gone."""


@dataclass(eq=False)
class Request:
    """A request that waits or runs."""

    id: RequestId
    method: str
    params: dict[str, Any]
    cancelled: threading.Event = field(default_factory=threading.Event)
    running: bool = False


class Server:
    """Serves one client on two binary streams; `run` returns the exit code."""

    def __init__(self, engine: Engine, requests: BinaryIO, answers: BinaryIO, grace: float = GRACE_SECONDS) -> None:
        self._engine = engine
        self._input = requests
        self._output = answers
        self._grace = grace
        self._writing = threading.Lock()
        self._guard = threading.Lock()  # of `_open` and of `Request.running`
        self._open: dict[RequestId, Request] = {}
        self._waiting: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._asked_to_initialize = False
        self._initialized = False
        self._shut_down = False

    def run(self) -> int:
        """Work until `exit` or the end of the requests."""
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        while (request := self._waiting.get()) is not None:
            with self._guard:
                # The id of a request that was dropped may have come again, with another request.
                request.running = self._open.get(request.id) is request
            if request.running:
                with _Answer(self, request) as answer:
                    answer.result = self._perform(request)
        self._ended.set()
        return 0

    # The listening thread

    def _listen(self) -> None:
        """Sort every line: what needs the model waits for the main thread, the rest is answered here."""
        for message in messages.read(self._input):
            if isinstance(message, ProtocolError):
                self._refuse(message)
            elif message.id is None:
                if message.method == "exit":
                    break
                if message.method == "$/cancelRequest":
                    self._cancel(message.params.get("id"))
            else:
                try:
                    self._accept(message, message.id)
                except ProtocolError as error:
                    self._refuse(error)
        self._leave()

    def _accept(self, message: Message, request_id: RequestId) -> None:
        if message.method == "initialize":
            self._asked_to_initialize = True
        if not self._asked_to_initialize:
            raise ProtocolError(messages.NOT_INITIALIZED, "The first request is `initialize`.", request_id)
        if self._shut_down:
            raise ProtocolError(messages.INVALID_REQUEST, "After `shutdown` only `exit` is accepted.", request_id)
        if message.method not in METHODS:
            raise ProtocolError(messages.UNKNOWN_METHOD, f"There is no method “{message.method[:80]}”.", request_id)
        request = Request(request_id, message.method, message.params)
        with self._guard:
            if request_id in self._open:
                raise ProtocolError(messages.INVALID_REQUEST, "A request with this id is still open.", request_id)
            ahead = sum(other.method == "generate" for other in self._open.values())
            self._open[request_id] = request
        if message.method == "shutdown":
            self._shut_down = True
            self._cancel_all()
        elif message.method == "generate" and ahead:
            self._progress(request_id, "waiting", 0, ahead, 0.0, None)
        self._waiting.put(request)

    def _cancel(self, request_id: object) -> None:
        """Stop a running request within a step, drop a waiting one; an unknown one is already answered."""
        with self._guard:
            request = self._open.get(request_id) if isinstance(request_id, RequestId) else None
            if request is None or request.method == "shutdown":
                return
            request.cancelled.set()
            waiting = not request.running
            if waiting:
                del self._open[request.id]
        if waiting:
            self._send({"id": request.id, "error": error_object(messages.CANCELLED, "The job was cancelled.")})

    def _cancel_all(self) -> None:
        with self._guard:
            ids = list(self._open)
        for request_id in ids:
            self._cancel(request_id)

    def _leave(self) -> None:
        """The parent is gone or has said `exit`: stop the job and make sure that the process ends."""
        self._cancel_all()
        self._waiting.put(None)
        if not self._ended.wait(self._grace):
            os._exit(1)

    # The main thread

    def _perform(self, request: Request) -> Any:
        if request.method == "initialize":
            return self._initialize(request)
        if not self._initialized:
            raise ProtocolError(messages.NOT_INITIALIZED, "`initialize` did not succeed.", request.id)
        if request.method == "generate":
            return self._generate(request)
        if request.method == "models/list":
            return {"models": self._engine.models()}
        if request.method == "models/unload":
            return {"freed": self._engine.unload()}
        return None

    def _initialize(self, request: Request) -> dict[str, Any]:
        if self._initialized:
            raise ProtocolError(messages.INVALID_REQUEST, "`initialize` was answered before.", request.id)
        asked = request.params.get("protocol")
        if asked != PROTOCOL:
            raise InputError(f"The worker speaks protocol {PROTOCOL}, not {asked!r}: update the extension and the backend to the same version.")
        answer = {"protocol": PROTOCOL, **self._engine.describe()}
        self._initialized = True
        return answer

    def _generate(self, request: Request) -> dict[str, Any]:
        begun = time.monotonic()

        def report(news: ProgressNews) -> None:
            if request.cancelled.is_set():
                raise CancelledError("The job was cancelled.")
            preview = None if news.preview is None else str(news.preview)
            self._progress(request.id, news.phase, news.step, news.total, time.monotonic() - begun, preview)

        result = self._engine.generate(request.params, report)
        return {"frame": str(result.frame), "warnings": list(result.warnings)}

    # Both threads

    def close(self, request: Request, content: dict[str, Any]) -> None:
        """Send the one answer to a request that ran."""
        with self._guard:
            if self._open.get(request.id) is request:
                del self._open[request.id]
        self._send({"id": request.id, **content})

    def _refuse(self, error: ProtocolError) -> None:
        self._send({"id": error.request_id, "error": error_object(error.code, str(error))})

    def _progress(self, request_id: RequestId, phase: str, step: int, total: int, elapsed: float, preview: str | None) -> None:
        params = {"id": request_id, "phase": phase, "step": step, "total": total, "elapsed": round(elapsed, 3), "preview": preview}
        self._send({"method": "$/progress", "params": params})

    def _send(self, content: dict[str, Any]) -> None:
        line = memoryview(messages.encode(content))
        with self._writing:
            try:
                while line:
                    line = line[self._output.write(line) :]
            except OSError:
                # Nobody reads any more. Standard input ends at the same time, and that is what ends the worker.
                return


class _Answer:
    """Answers a request with its result or with whatever error leaves the block: the worker survives every job."""

    def __init__(self, server: Server, request: Request) -> None:
        self._server = server
        self._request = request
        self.result: Any = None

    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False
        if error is None:
            self._server.close(self._request, {"result": self.result})
            return True
        content = _error_of(error)
        if content["code"] == messages.INTERNAL_ERROR:
            # For the log, which may be all that is left when the client is gone.
            traceback.print_exception(error)
        self._server.close(self._request, {"error": content})
        return True


def _error_of(error: Exception) -> dict[str, Any]:
    """The error object of docs/protocol.md for an exception."""
    detail = "".join(traceback.format_exception(error))
    if isinstance(error, ProtocolError):
        return error_object(error.code, str(error))
    if isinstance(error, CancelledError):
        return error_object(messages.CANCELLED, str(error) or "The job was cancelled.")
    if isinstance(error, InputError):
        return error_object(messages.INVALID_PARAMS, str(error), detail)
    if isinstance(error, JointDiTError):
        return error_object(messages.JOB_FAILED, str(error), detail)
    if isinstance(error, MemoryError):
        return error_object(messages.JOB_FAILED, "The memory of this machine does not suffice: choose a smaller size.", detail)
    if isinstance(error, ImportError) and (package := (error.name or "torch").partition(".")[0]) != "jointdit":
        sentence = f"The Python of the image generator cannot load {package}: install jointdit with its extra “runtime” there, as the manual says."
        return error_object(messages.JOB_FAILED, sentence, detail)
    return error_object(messages.INTERNAL_ERROR, f"The image generator has a defect ({type(error).__name__}): please send the report.", detail)
