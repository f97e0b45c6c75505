# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker and its client as real processes: jobs, cancelling, and every kind of sudden death. No torch: see `engine.standin`."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine import misfits, standin
from engine.patience import PATIENCE

from jointdit_blender.core.frame import read_frame
from jointdit_blender.core.interpreter import find_interpreter
from jointdit_blender.core.worker import Limits, State, Worker, WorkerClient, WorkerError

ROOT = Path(__file__).resolve().parents[1]
KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL
MakeJob = Callable[..., dict[str, Any]]


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    return standin.write_interpreter(tmp_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny pipeline with random weights."""
    pytest.importorskip("torch", reason="NOT TESTED: torch is not installed, so the real worker did not run")
    from tiny import tiny_pipeline

    folder = str(tmp_path_factory.mktemp("tiny") / "pipeline")
    tiny_pipeline().save_pretrained(folder)
    return folder


def alive(pid: int) -> bool:
    """Whether a process that need not be our child still runs."""
    if sys.platform == "win32":
        return str(pid) in subprocess.run(["tasklist", "/FI", f"PID eq {pid}"], capture_output=True, text=True, check=True).stdout
    if Path("/proc/self/stat").exists():
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False
    return subprocess.run(["ps", "-p", str(pid), "-o", "stat="], capture_output=True, text=True).stdout.strip()[:1] not in ("", "Z")


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def drive(worker: Worker, condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Let the worker's messages in until the condition holds."""

    def step() -> bool:
        worker.wait(0.05)
        return condition()

    return until(step, seconds)


class TestClient:
    """`WorkerClient` and `Worker` with a real process below them."""

    def test_jobs_run_in_one_process_which_ends_with_the_client(self, interpreter: Path, job: MakeJob) -> None:
        with WorkerClient(interpreter) as client:
            news: list[dict[str, Any]] = []
            result = client.run(job(), news.append)
            pid = client.worker.pid
            assert pid and read_frame(Path(result["frame"])).width == 64
            assert [n["step"] for n in news if n["phase"] == "sampling"] == [1, 2, 3]
            client.run(job(), news.append)
            assert client.worker.pid == pid
            assert client.worker.about["models"][0]["name"] == "standin"
        assert not alive(pid)

    def test_a_prompt_of_twelve_thousand_characters_arrives(self, interpreter: Path, job: MakeJob) -> None:
        with WorkerClient(interpreter) as client:
            result = client.run(job("many words " * 1100), lambda _: None)
        assert "prompt is long" in result["warnings"][0]

    @pytest.mark.parametrize(("prompt", "words"), [("full", "disk is full"), ("defect", "defect"), ("crash", "stopped unexpectedly")])
    def test_a_job_that_fails_is_a_sentence_with_a_report_and_the_next_one_works(
        self, interpreter: Path, job: MakeJob, prompt: str, words: str
    ) -> None:
        with WorkerClient(interpreter) as client:
            with pytest.raises(WorkerError, match=words) as caught:
                client.run(job(prompt), lambda _: None)
            assert caught.value.detail
            if prompt == "crash":
                assert "the graphics driver has left the building" in caught.value.detail
            assert client.run(job(), lambda _: None)["frame"]

    def test_killing_the_worker_in_a_job_is_told_and_the_next_job_has_a_new_one(self, interpreter: Path, job: MakeJob) -> None:
        with WorkerClient(interpreter) as client:
            pids = []

            def kill(news: dict[str, Any]) -> None:
                if news["step"] == 3:
                    pids.append(client.worker.pid)
                    os.kill(pids[-1], KILL)

            with pytest.raises(WorkerError, match="stopped unexpectedly"):
                client.run(job(steps=10_000), kill)
            assert client.run(job(), lambda _: None)["frame"] and client.worker.pid not in pids
            os.kill(client.worker.pid or 0, KILL)  # and now while it is idle
            assert client.run(job(), lambda _: None)["frame"]

    @pytest.mark.parametrize("prompt", ["a hill", "deaf"])
    def test_killing_the_client_leaves_no_orphan(self, interpreter: Path, job: MakeJob, prompt: str) -> None:
        program = (
            "import json, sys; from jointdit_blender.core.worker import WorkerClient\n"
            "with WorkerClient(sys.argv[1]) as client:\n"
            "    client.run(json.loads(sys.argv[2]), lambda news: print(client.worker.pid, flush=True))"
        )
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", program, str(interpreter), json.dumps(job(prompt, steps=100_000))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as client:
            assert client.stdout
            pid = int(client.stdout.readline())
            assert alive(pid)
            client.kill()
        assert until(lambda: not alive(pid))

    def test_leaving_python_stops_a_worker_that_nobody_closed(self, interpreter: Path, job: MakeJob) -> None:
        program = (
            "import json, sys; from jointdit_blender.core.worker import Worker\n"
            "worker = Worker(sys.argv[1]); job = worker.submit(json.loads(sys.argv[2]))\n"
            "while job.step < 2: worker.wait(0.1)\n"
            "print(worker.pid)"
        )
        command = [sys.executable, "-c", program, str(interpreter), json.dumps(job(steps=100_000))]
        done = subprocess.run(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=20 * PATIENCE, check=True)
        assert not alive(int(done.stdout))

    def test_a_time_limit_ends_the_job(self, interpreter: Path, job: MakeJob) -> None:
        with WorkerClient(interpreter) as client:
            with pytest.raises(WorkerError, match="not ready within 1 seconds"):
                client.run(job(steps=100_000), lambda _: None, timeout=1.0)
            assert client.run(job(), lambda _: None)["frame"]

    def test_a_worker_that_falls_silent_is_stopped(self, interpreter: Path, job: MakeJob) -> None:
        with WorkerClient(interpreter, Limits(silence=0.5)) as client, pytest.raises(WorkerError, match="no news for"):
            client.run(job("deaf", steps=10_000), lambda _: None)

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            ("rubbish", "Welcome to the shell"),
            ("binary", "does not answer as the image generator does"),
            ("deaf", "did not answer within 1 seconds"),
            ("bare", "does not have the package jointdit"),
            ("torchless", "cannot load torch: install jointdit with its extra “runtime” there"),
            ("dies", "ended before it was ready"),
            ("old", "another protocol"),
        ],
    )
    def test_a_program_that_is_not_the_worker_is_told_in_bounded_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: MakeJob, kind: str, words: str
    ) -> None:
        monkeypatch.setenv("MISFIT", kind)
        monkeypatch.delenv("PYTHONPATH", raising=False)
        interpreter = standin.write_interpreter(tmp_path, script=Path(misfits.__file__))
        begun = time.monotonic()
        with WorkerClient(interpreter, Limits(start=1.0 if kind == "deaf" else 20.0 * PATIENCE)) as client, pytest.raises(WorkerError, match=words) as caught:
            client.run(job(), lambda _: None)
        assert time.monotonic() - begun < 15.0 * PATIENCE and str(caught.value).endswith(".")
        if kind == "dies":
            assert "libcudart" in caught.value.detail
        if kind == "torchless":
            assert "ModuleNotFoundError" in caught.value.detail and "Exit code" in caught.value.detail

    def test_a_job_in_the_queue_survives_the_death_of_the_worker(self, interpreter: Path, job: MakeJob) -> None:
        worker = Worker(interpreter)
        try:
            doomed, waiting, dropped = worker.submit(job("crash")), worker.submit(job()), worker.submit(job())
            worker.cancel(dropped)
            assert drive(worker, lambda: waiting.state.finished)
            assert (doomed.state, waiting.state, dropped.state) == (State.FAILED, State.DONE, State.CANCELLED)
        finally:
            worker.stop()

    def test_a_worker_that_dies_once_is_started_again_and_the_job_is_done(self, interpreter: Path, job: MakeJob) -> None:
        worker = Worker(interpreter)
        try:
            tried = worker.submit(job("crash once", preview=True))
            assert drive(worker, lambda: tried.state.finished)
            assert (tried.state, tried.restarts, tried.message) == (State.DONE, 1, "")
            assert tried.step == tried.total or tried.phase == "writing"
        finally:
            worker.stop()

    @pytest.mark.parametrize("wait", [True, False])
    def test_a_released_worker_is_gone_and_the_next_job_starts_another(self, interpreter: Path, job: MakeJob, wait: bool) -> None:
        worker = Worker(interpreter)
        try:
            assert worker.idle is None and not worker.release()
            first = worker.submit(job(steps=1000))
            assert drive(worker, lambda: first.step > 1)
            assert worker.idle is None and not worker.release(), "it has something to do"
            worker.cancel(first)
            assert drive(worker, lambda: first.state.finished)
            pid = worker.pid
            time.sleep(0.05)
            assert worker.idle is not None and worker.idle >= 0.05 and pid is not None
            begun = time.monotonic()
            assert worker.release(wait=wait) and worker.pid is None
            if wait:
                assert not alive(pid)
            else:
                assert time.monotonic() - begun < 0.05
                end = time.monotonic() + 5 * PATIENCE
                while alive(pid) and time.monotonic() < end:
                    time.sleep(0.02)
                assert not alive(pid)
            second = worker.submit(job())
            assert drive(worker, lambda: second.state.finished) and second.state is State.DONE
        finally:
            worker.stop()

    def test_cancelling_keeps_the_process_if_it_listens(self, interpreter: Path, job: MakeJob) -> None:
        worker = Worker(interpreter)
        try:
            running = worker.submit(job(steps=100_000))
            assert drive(worker, lambda: running.step > 2)
            pid = worker.pid
            worker.cancel(running)
            assert running.state is State.CANCELLING
            assert drive(worker, lambda: running.state.finished, 1.0)
            assert (running.state, running.message, worker.pid) == (State.CANCELLED, "", pid)
        finally:
            worker.stop()

    def test_cancelling_ends_a_process_that_does_not_listen(self, interpreter: Path, job: MakeJob) -> None:
        worker = Worker(interpreter, Limits(cancel=0.3))
        try:
            running = worker.submit(job("deaf", steps=100_000))
            assert drive(worker, lambda: running.phase == "loading")
            worker.cancel(running)
            assert drive(worker, lambda: running.state.finished, 3.0)
            assert (running.state, worker.pid) == (State.CANCELLED, None)
        finally:
            worker.stop()

    def test_a_job_that_was_finished_before_it_was_cancelled_is_kept_and_not_built(self, interpreter: Path, job: MakeJob, tmp_path: Path) -> None:
        worker = Worker(interpreter)
        try:
            late = worker.submit(job())
            assert drive(worker, lambda: bool(late.news))
            # The answer is on its way to us, or has come, and nobody has looked yet.
            assert until(lambda: bool(list((tmp_path / "out").glob("standin-*/frame.json"))))
            worker.cancel(late)
            assert late.state is State.CANCELLING
            assert drive(worker, lambda: late.state.finished)
            frame = late.result["frame"]
            assert (late.state, late.message) == (State.CANCELLED, f"It was finished already and is kept in {frame}.")
            assert read_frame(Path(frame)).width == 64
            following = worker.submit(job())
            assert drive(worker, lambda: following.state.finished) and (following.state, following.message) == (State.DONE, "")
        finally:
            worker.stop()

    def test_nothing_is_handed_out_while_the_worker_is_on_hold(self, interpreter: Path, job: MakeJob) -> None:
        worker = Worker(interpreter)
        try:
            first = worker.submit(job())
            assert drive(worker, lambda: first.state.finished)
            worker.hold = True
            waiting = worker.submit(job())
            assert not drive(worker, lambda: waiting.state is not State.WAITING, 0.1)
            assert worker.busy and worker.idle is not None, "the process has nothing to do, whoever waits"
            assert worker.release(wait=True) and worker.pid is None
            assert not drive(worker, lambda: worker.pid is not None, 0.1)
            worker.hold = False
            assert drive(worker, lambda: waiting.state.finished) and waiting.state is State.DONE
        finally:
            worker.stop()

    def test_a_job_that_comes_while_another_thread_ends_the_process_gets_a_new_one(self, interpreter: Path, job: MakeJob) -> None:
        looked, handed_out, main = threading.Event(), threading.Event(), threading.current_thread()

        class Watched(Worker):
            """In any other thread it hesitates after it has looked, so that the main thread may come between."""

            @property
            def idle(self) -> float | None:
                found = super().idle
                if threading.current_thread() is not main:
                    looked.set()
                    handed_out.wait(0.3)
                return found

        worker = Watched(interpreter)
        try:
            first = worker.submit(job())
            assert drive(worker, lambda: first.state.finished)
            render = threading.Thread(target=worker.release, kwargs={"wait": True})
            render.start()
            assert looked.wait(10)
            second = worker.submit(job())
            worker.poll()
            handed_out.set()
            assert drive(worker, lambda: second.state.finished, 2.0) and second.state is State.DONE
            render.join(10)
        finally:
            worker.stop()

    def test_a_process_that_cannot_be_killed_holds_nobody(self, interpreter: Path, job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
        """As one that is stuck in a driver. The stand-in ends two seconds after its input, in the middle of a job; till then it stays."""
        monkeypatch.setattr(subprocess.Popen, "kill", lambda _: None)
        monkeypatch.setattr("jointdit_blender.core.process.KILLING", 0.2)
        worker = Worker(interpreter, Limits(silence=0.3, stop=0.2))
        try:
            stuck = worker.submit(job("deaf", steps=100_000))
            longest, pids = 0.0, set()
            while not stuck.state.finished:
                begun = time.monotonic()
                worker.poll()
                longest = max(longest, time.monotonic() - begun)
                pids.add(worker.pid)
                time.sleep(0.01)
            assert stuck.state is State.FAILED and "no news" in stuck.message and "Exit code unknown" in stuck.detail
            assert longest < 1.5 and worker.pid is None
            again = worker.submit(job("deaf", steps=100_000))
            assert drive(worker, lambda: again.phase == "loading")
            pids.add(worker.pid)
            begun = time.monotonic()
            worker.stop()
            assert time.monotonic() - begun < 1.5 and again.state is State.CANCELLED
            assert until(lambda: not any(map(alive, pids - {None})))
        finally:
            worker.stop()

    def test_polling_never_blocks(self, interpreter: Path, job: MakeJob) -> None:
        worker = Worker(interpreter)
        try:
            running = worker.submit(job(steps=300))
            worker.poll()  # starts the process
            longest = 0.0
            while not running.state.finished:
                begun = time.monotonic()
                worker.poll()
                longest = max(longest, time.monotonic() - begun)
                time.sleep(0.01)
            assert running.state is State.DONE and longest < 0.1 * PATIENCE
        finally:
            worker.stop()


class TestFinding:
    """Which Python becomes the backend's."""

    def test_the_chosen_one_comes_before_the_variable(self, interpreter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JOINTDIT_PYTHON", str(interpreter))
        assert find_interpreter(sys.executable) == Path(sys.executable)
        assert find_interpreter(None) == find_interpreter("") == interpreter

    def test_without_either_it_is_this_one_if_it_has_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("JOINTDIT_PYTHON", raising=False)
        assert find_interpreter() == Path(sys.executable)
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        with pytest.raises(WorkerError, match=r"not set up: press Set Up… .*JointDiT tab.*, or name a Python .* in JOINTDIT_PYTHON\."):
            find_interpreter()

    def test_what_is_missing_is_told_in_a_sentence(self, tmp_path: Path, job: MakeJob) -> None:
        text = tmp_path / "notes.txt"
        text.write_text("not a program")
        for chosen, words in ((tmp_path / "python9", "There is no Python at"), (tmp_path, "is a folder"), (text, "cannot be started")):
            with WorkerClient(chosen) as client, pytest.raises(WorkerError, match=words):
                client.run(job(), lambda _: None)


class TestRealBackend:
    """The whole way with torch: the client, the pipes, the pipeline, the frame folder. Slow only by torch's import."""

    def test_a_small_random_pipeline_generates_is_cancelled_and_fails_in_sentences(self, model: str, tmp_path: Path) -> None:
        job = {"task": "joint", "prompt": "a red cube", "output": str(tmp_path / "out"), "steps": 3, "seed": 1, "model": model}
        news: list[dict[str, Any]] = []
        with WorkerClient(sys.executable) as client:
            frame = read_frame(Path(client.run(job, news.append, timeout=250)["frame"]))
            assert (frame.prompt, frame.seed, frame.width) == ("a red cube", 1, 32)
            assert [n["step"] for n in news if n["phase"] == "sampling"][-1] == 3
            with pytest.raises(WorkerError, match="no model"):
                client.run(job | {"model": "nobody"}, lambda _: None)
            worker, pid = client.worker, client.worker.pid
            running = worker.submit(job | {"steps": 1000})
            assert drive(worker, lambda: running.phase == "sampling" and running.step > 1, 60.0)
            worker.cancel(running)
            assert drive(worker, lambda: running.state.finished, 10.0)
            assert (running.state, worker.pid) == (State.CANCELLED, pid)
            assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [frame.folder.name]

    def test_killing_it_in_the_middle_of_a_step_leaves_nothing_and_the_next_job_works(self, model: str, tmp_path: Path) -> None:
        job = {"task": "joint", "prompt": "a red cube", "output": str(tmp_path / "out"), "steps": 2, "seed": 1, "model": model}
        pids = []
        with WorkerClient(sys.executable) as client:

            def kill(news: dict[str, Any]) -> None:
                if news["phase"] == "sampling" and news["step"] == 3:
                    pids.append(client.worker.pid)
                    os.kill(pids[-1], KILL)

            with pytest.raises(WorkerError, match="stopped unexpectedly") as caught:
                client.run(job | {"steps": 1000}, kill, timeout=250)
            assert "Exit code" in caught.value.detail and not alive(pids[0])
            frame = read_frame(Path(client.run(job, lambda _: None, timeout=250)["frame"]))
            assert client.worker.pid not in pids
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [frame.folder.name]

    def test_the_embedded_model_generates(self, tmp_path: Path) -> None:
        job = {"task": "joint", "prompt": "a red house on a green hill", "output": str(tmp_path), "steps": 2, "seed": 1}
        with WorkerClient(sys.executable) as client:
            result = client.run(job, lambda _: None, timeout=250)
            assert [model["name"] for model in client.worker.about["models"]] == ["embedded"]
        assert read_frame(Path(result["frame"])).prompt == job["prompt"]
