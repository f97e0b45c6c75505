# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's side of docs/protocol.md as a real process, with nothing of ours at the other end. No torch: see `engine.standin`."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine import standin
from engine.patience import PATIENCE

from jointdit_blender.core.frame import read_frame

MakeJob = Callable[..., dict[str, Any]]
INITIALIZE = {"protocol": 1, "client": {"name": "test", "version": "0"}}


class Wire:
    """The worker at the end of two pipes, with nothing of ours between."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._errors: list[bytes] = []
        threading.Thread(target=self._pump, args=(self.process.stdout, self._lines.put), daemon=True).start()
        self._logger = threading.Thread(target=self._pump, args=(self.process.stderr, self._errors.append), daemon=True)
        self._logger.start()

    @staticmethod
    def _pump(pipe: Any, put: Callable[[bytes], None]) -> None:
        for line in pipe:
            put(line)

    def raw(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method: str, params: dict[str, Any] | None = None, **members: Any) -> None:
        content = {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params}), **members}
        self.raw(json.dumps(content).encode() + b"\n")

    def next(self, seconds: float = 10.0) -> dict[str, Any]:
        content = json.loads(self._lines.get(timeout=seconds * PATIENCE))
        assert content.pop("jsonrpc") == "2.0"
        return content

    def answer(self, number: int | str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The answer with this id, and the params of the progress before it."""
        progress = []
        while "id" not in (content := self.next()) or content["id"] != number:
            if content.get("method") == "$/progress":
                progress.append(content["params"])
        return content, progress

    def ended(self, seconds: float = 5.0) -> int:
        return self.process.wait(seconds * PATIENCE)

    def log(self) -> str:
        self._logger.join(5)
        return b"".join(self._errors).decode()


@pytest.fixture
def bare() -> Iterator[Wire]:
    wire = Wire([sys.executable, standin.__file__])
    yield wire
    wire.process.kill()
    wire.process.wait()


@pytest.fixture
def wire(bare: Wire) -> Wire:
    bare.send("initialize", INITIALIZE, id=0)
    assert bare.next()["result"]["protocol"] == 1
    return bare


class TestServer:
    """docs/protocol.md, seen from the client's end of the pipes."""

    def test_a_job_reports_every_step_and_names_a_complete_frame(self, wire: Wire, job: MakeJob) -> None:
        wire.send("generate", job(steps=4), id="a")
        answer, progress = wire.answer("a")
        assert [(p["phase"], p["step"], p["total"]) for p in progress] == [
            ("loading", 0, 1), *[("sampling", step, 4) for step in range(1, 5)], ("writing", 0, 1),
        ]  # fmt: skip
        assert all(p["id"] == "a" and p["preview"] is None for p in progress)
        assert [p["elapsed"] for p in progress] == sorted(p["elapsed"] for p in progress)
        frame = read_frame(Path(answer["result"]["frame"]))
        assert (frame.width, frame.height, answer["result"]["warnings"]) == (64, 48, [])

    def test_two_jobs_run_in_the_order_in_which_they_came(self, wire: Wire, job: MakeJob) -> None:
        wire.send("generate", job(steps=20, seed=1), id=1)
        wire.send("generate", job(seed=2), id=2)
        first, progress = wire.answer(1)
        assert {"id": 2, "phase": "waiting", "step": 0, "total": 1, "elapsed": 0.0, "preview": None} in progress
        assert not any(p["id"] == 2 and p["phase"] != "waiting" for p in progress)
        second, _ = wire.answer(2)
        assert "-1-" in first["result"]["frame"] and "-2-" in second["result"]["frame"]

    def test_cancelling_stops_the_job_within_a_step(self, wire: Wire, job: MakeJob) -> None:
        wire.send("generate", job(steps=10_000), id=1)
        while wire.next()["params"]["step"] < 3:
            pass
        wire.send("$/cancelRequest", {"id": 1})
        begun = time.monotonic()
        answer, progress = wire.answer(1)
        assert answer["error"]["code"] == -32800 and time.monotonic() - begun < 1.0 * PATIENCE
        assert len(progress) < 20 * PATIENCE
        wire.send("generate", job(), id=2)
        assert "result" in wire.answer(2)[0]

    def test_cancelling_a_waiting_job_drops_it_at_once(self, wire: Wire, job: MakeJob) -> None:
        wire.send("generate", job(steps=100), id=1)
        wire.send("generate", job(), id=2)
        wire.send("$/cancelRequest", {"id": 2})
        wire.send("$/cancelRequest", {"id": [7]})
        assert wire.answer(2)[0]["error"]["code"] == -32800
        assert "result" in wire.answer(1)[0]

    def test_the_id_of_a_dropped_job_may_be_used_again(self, wire: Wire, job: MakeJob) -> None:
        wire.send("generate", job(steps=100, seed=1), id=1)
        wire.send("generate", job(seed=2), id=2)
        wire.send("$/cancelRequest", {"id": 2})
        wire.send("generate", job(seed=3), id=2)
        assert wire.answer(2)[0]["error"]["code"] == -32800
        assert "-1-" in wire.answer(1)[0]["result"]["frame"]
        assert "-3-" in wire.answer(2)[0]["result"]["frame"]
        wire.send("models/list", id=3)
        assert wire.next()["id"] == 3, "a request gets one answer"

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            (b"hello", -32700),
            (b"\xff\xfe{}", -32700),
            (b"[" * 100_000, -32700),
            (b'{"jsonrpc": "2.0", "id": 1, "method": "generate", "params": {"seed": NaN}}', -32700),
            (b"[]", -32600),
            (b'{"id": 1, "method": "models/list"}', -32600),
            (b'{"jsonrpc": "2.0", "id": 1}', -32600),
            (b'{"jsonrpc": "2.0", "id": {}, "method": "models/list"}', -32600),
            (b'{"jsonrpc": "2.0", "id": 1, "method": "models/list", "params": [1]}', -32602),
            (b'{"jsonrpc": "2.0", "id": 1, "method": "generate", "params": {"task": "x"}}', -32602),
            (b'{"jsonrpc": "2.0", "id": 1, "method": "paint"}', -32601),
            (b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocol": 1}}', -32600),
        ],
    )
    def test_what_is_malformed_is_answered_and_the_worker_goes_on(self, wire: Wire, line: bytes, code: int) -> None:
        wire.raw(line + b"\n")
        error = wire.next()["error"]
        assert error["code"] == code and error["message"].endswith(".")
        wire.send("models/list", id=9)
        assert wire.next()["result"]["models"][0]["name"] == "standin"

    def test_a_line_without_end_does_not_fill_the_memory(self, wire: Wire) -> None:
        wire.raw(b"x" * (6 * 1024 * 1024) + b"\n")
        assert wire.next()["error"]["code"] == -32700
        wire.send("models/unload", id=9)
        assert wire.next()["result"] == {"freed": 123}

    def test_unknown_notifications_and_blank_lines_are_ignored(self, wire: Wire) -> None:
        wire.raw(b"\n \r\n")
        wire.send("$/setTrace", {"value": "off"})
        wire.send("models/list", id=1)
        assert wire.next()["id"] == 1

    def test_initialize_comes_first(self, bare: Wire) -> None:
        bare.send("models/list", id=1)
        assert bare.next()["error"]["code"] == -32002
        bare.send("initialize", {"protocol": 2}, id=2)
        assert bare.next()["error"]["code"] == -32602
        bare.send("generate", {}, id=3)
        assert bare.next()["error"]["code"] == -32002
        bare.send("initialize", INITIALIZE, id=4)
        assert bare.next()["result"]["device"]["kind"] == "cpu"

    @pytest.mark.parametrize(("prompt", "code"), [("defect", -32603), ("full", -32001)])
    def test_a_job_that_fails_leaves_a_sentence_a_report_and_a_worker(self, wire: Wire, job: MakeJob, prompt: str, code: int) -> None:
        wire.send("generate", job(prompt), id=1)
        error = wire.answer(1)[0]["error"]
        assert error["code"] == code and error["message"].endswith(".") and "Traceback" in error["data"]["detail"]
        wire.send("generate", job(), id=2)
        assert "result" in wire.answer(2)[0]

    @pytest.mark.parametrize(("prompt", "logged"), [("defect", True), ("full", False)])
    def test_a_defect_is_in_the_log_too(self, wire: Wire, job: MakeJob, prompt: str, logged: bool) -> None:
        wire.send("generate", job(prompt), id=1)
        wire.answer(1)
        wire.send("exit")
        assert wire.ended() == 0
        assert ("ZeroDivisionError: one over nothing" in wire.log()) is logged

    def test_what_a_job_prints_goes_to_the_log(self, wire: Wire, job: MakeJob) -> None:
        wire.send("generate", job("noise"), id=1)
        assert "result" in wire.answer(1)[0]
        wire.send("exit")
        assert wire.ended() == 0
        assert all(text in wire.log() for text in ("printed by Python", "printed by C", "printed by a child"))

    def test_shutdown_cancels_is_answered_and_leaves_only_exit(self, wire: Wire, job: MakeJob) -> None:
        wire.send("generate", job(steps=10_000), id=1)
        wire.send("shutdown", id=2)
        assert wire.answer(1)[0]["error"]["code"] == -32800
        assert wire.answer(2)[0] == {"id": 2, "result": None}
        wire.send("models/list", id=3)
        assert wire.next()["error"]["code"] == -32600
        wire.send("exit")
        assert wire.ended() == 0

    @pytest.mark.parametrize(("prompt", "code"), [("a hill", 0), ("deaf", 1)])
    def test_the_end_of_the_requests_ends_the_worker_in_the_middle_of_a_job(self, wire: Wire, job: MakeJob, prompt: str, code: int) -> None:
        wire.send("generate", job(prompt, steps=100_000), id=1)
        wire.next()
        assert wire.process.stdin
        wire.process.stdin.close()
        assert wire.ended() == code

    def test_a_job_with_an_id_that_is_still_open_is_refused(self, wire: Wire, job: MakeJob) -> None:
        wire.send("generate", job(steps=50), id=1)
        wire.send("generate", job(), id=1)
        assert wire.answer(1)[0]["error"]["code"] == -32600
        assert "result" in wire.answer(1)[0]
