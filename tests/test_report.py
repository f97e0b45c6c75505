# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backend's commands say, taken in line by line, whatever it is; and the errands that say it, as real processes and threads."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from engine import clerk, standin
from hypothesis import given
from hypothesis import strategies as some

from jointdit_blender.core.errand import BackendCommand, Errand, InThread
from jointdit_blender.core.interpreter import WorkerError
from jointdit_blender.core.report import Report, size_text, time_text, without_tokens


def end(errand: Errand, seconds: float = 30.0) -> None:
    """Look at an errand until it has ended."""
    until = time.monotonic() + seconds
    while not errand.finished:
        assert time.monotonic() < until, errand.report()
        errand.poll()
        time.sleep(0.01)


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-in's answers."""
    monkeypatch.setenv("CLERK", str(tmp_path / "answers"))
    (tmp_path / "answers").mkdir()
    return tmp_path / "answers"


def ask(answers: Path, *words: str, secrets: dict[str, str] | None = None) -> BackendCommand:
    errand = BackendCommand(standin.write_interpreter(answers.parent, script=Path(clerk.__file__)), words, "Asking", secrets)
    errand.start()
    return errand


# Lines


def test_a_model_that_is_told_again_takes_its_place() -> None:
    report = Report()
    report.feed(json.dumps({"model": "a", "title": "A", "complete": True, "size": 10}))
    report.feed(json.dumps({"model": "b", "title": "B", "complete": False, "missing": [{"piece": "clip", "title": "CLIP", "size": 5, "gated": True}]}))
    report.feed(json.dumps({"model": "a", "title": "A", "complete": True, "size": 10, "reason": "It fits.", "seconds": 2.5, "side": 128, "steps": 20}))
    assert list(report.models) == ["a", "b"] and report.models["a"].reason == "It fits." and report.models["a"].seconds == 2.5
    (piece,) = report.models["b"].missing
    assert not report.models["b"].complete and (piece.name, piece.title, piece.size, piece.missing, piece.gated) == ("clip", "CLIP", 5, 5, True)


def test_progress_results_and_errors() -> None:
    report = Report()
    for line in ('{"done": 3, "total": 9, "file": "a/b"}', '{"piece": "t5", "size": 9, "missing": 4}', '{"result": {"folder": "x"}}'):
        report.feed(line)
    assert (report.done, report.total, report.file) == (3, 9, "a/b") and report.result == {"folder": "x"}
    assert (report.pieces[0].size, report.pieces[0].missing) == (9, 4)
    report.feed('{"error": "The disk is full."}')
    assert report.error == "The disk is full."


@pytest.mark.parametrize("line", ["", "null", "[1]", "42", "{", '{"unknown": 1}', '{"result": 5}', "Loading weights: 100%", '{"done": null}', "\x00"])
def test_what_is_no_news_is_passed_over(line: str) -> None:
    report = Report()
    report.feed(line)
    assert report == Report()


odd = some.recursive(some.none() | some.booleans() | some.floats() | some.integers() | some.text(), lambda inner: some.lists(inner, max_size=3), max_leaves=4)


keys = some.sampled_from(["finding", "model", "piece", "done", "error", "result", "size", "total", "missing", "good", "text", "seconds"])


@given(some.dictionaries(keys, odd))
def test_odd_values_make_no_trouble(said: dict[str, object]) -> None:
    report = Report()
    report.feed(json.dumps(said))
    for text in (report.error, report.file, *(finding.text for finding in report.findings), *report.models):
        text.encode("utf-8")
    assert report.done >= 0 and report.total >= 0 and all(model.size >= 0 and model.seconds >= 0 for model in report.models.values())


def test_words_for_numbers() -> None:
    assert [size_text(n) for n in (12, 1_600_000, 335_300_000, 23_803_000_000)] == ["12 bytes", "1.6 MB", "335 MB", "23.8 GB"]
    assert [time_text(n) for n in (0.4, 31, 150, 9000)] == ["a second", "31 seconds", "2 minutes", "2 hours"]
    assert without_tokens("sent hf_AbC123 to x") == "sent hf_… to x"


# Errands


def test_a_command_is_heard_while_it_runs(answers: Path) -> None:
    clerk.write(answers, "doctor", {"finding": "device", "good": True, "text": "a card"}, "wait 0.5", {"result": {"healthy": True}})
    errand = ask(answers, "doctor")
    until = time.monotonic() + 30
    while not errand.told.findings and time.monotonic() < until:
        errand.poll()
    assert errand.told.findings and not errand.finished
    end(errand)
    assert (errand.failed, errand.cancelled, errand.told.result) == (False, False, {"healthy": True}) and errand.elapsed >= 0.4
    assert clerk.asked(answers)[0]["words"] == ["doctor", "--json"]


def test_a_result_counts_whatever_the_exit_code(answers: Path) -> None:
    clerk.write(answers, "doctor", {"finding": "memory", "good": False, "text": "none"}, {"result": {"healthy": False}}, "exit 1")
    errand = ask(answers, "doctor")
    end(errand)
    assert not errand.failed and not errand.told.findings[0].good


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([{"error": "There is no model 'x'."}, "exit 1"], "There is no model 'x'."),
        (["complain (ModuleNotFoundError: No module named 'jointdit')", "exit 1"], "does not have the package jointdit"),
        (["complain Error: No such option: --json", "exit 2"], "is older than this add-on"),
        (["complain Traceback", "exit 1"], "ended without a result"),
        ([], "ended without a result"),
    ],
)
def test_a_failure_is_a_sentence_and_a_report(answers: Path, lines: list[object], words: str) -> None:
    clerk.write(answers, "models-list", *lines)
    errand = ask(answers, "models", "list")
    end(errand)
    assert errand.failed and words in errand.message and errand.message in errand.report() and "models list --json" in errand.report()


def test_a_token_reaches_the_program_and_no_report(answers: Path) -> None:
    clerk.write(answers, "models-download", "complain Bearer hf_Secret1 was refused", {"error": "The hub does not know the token."}, "exit 1")
    errand = ask(answers, "models", "download", "--yes", secrets={"HF_TOKEN": "hf_Secret1"})
    end(errand)
    (asked,) = clerk.asked(answers)
    assert asked["token"] == "hf_Secret1" and "hf_Secret1" not in " ".join(asked["words"])
    assert "hf_Secret1" not in errand.report() and "was refused" in errand.report() and "HF_TOKEN" not in os.environ


def test_cancelling_ends_the_program_and_does_not_wait(answers: Path) -> None:
    clerk.write(answers, "models-download", {"done": 1, "total": 2, "file": "a"}, "wait 60", {"result": {}})
    errand = ask(answers, "models", "download")
    until = time.monotonic() + 30
    while not errand.done and time.monotonic() < until:
        errand.poll()
    begin = time.monotonic()
    errand.cancel()
    errand.cancel()
    assert time.monotonic() - begin < 0.5 and errand.phase == "Stopping"
    end(errand, 10)
    assert errand.cancelled and not errand.failed and errand.message == "Stopped."


def test_a_program_that_is_not_there_has_failed_at_once(tmp_path: Path) -> None:
    errand = BackendCommand(tmp_path / "python", ["doctor"], "Asking")
    errand.start()
    assert errand.finished and errand.failed and "cannot be started" in errand.message and "doctor" in errand.report()


def test_a_thread_brings_a_value_a_sentence_or_a_defect() -> None:
    well, badly, defect = InThread(lambda: 42, "Counting"), InThread(_refuse, "Asking", (WorkerError,)), InThread(_break, "Breaking", (WorkerError,))
    for errand in (well, badly, defect):
        errand.start()
        end(errand, 5)
    assert well.value == 42 and not well.failed
    assert badly.failed and badly.message == "The disk is full."
    assert defect.failed and "has a defect" in defect.message and "ZeroDivisionError" in defect.report() and sys.version in defect.report()


def _refuse() -> None:
    raise WorkerError("The disk is full.")


def _break() -> float:
    return 1 / 0
