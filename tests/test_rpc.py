# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The framing of messages, from both ends: whatever bytes come, nothing raises, nothing is lost, nothing grows without bound."""

from __future__ import annotations

import io
import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jointdit.worker import messages

from jointdit_blender.core import rpc
from jointdit_blender.core.jobs import Job

TEXTS = st.text(max_size=50)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
PARAMS = st.dictionaries(TEXTS, JSON, max_size=4)


def feed(data: bytes, cuts: list[int], decoder: rpc.Decoder | None = None) -> list[rpc.Message]:
    decoder = decoder or rpc.Decoder()
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [message for begin, end in pairwise(borders) for message in decoder.feed(data[begin:end])]


@given(st.lists(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), max_size=6), st.lists(st.integers(0), max_size=5))
def test_arbitrary_bytes_become_messages_and_never_raise(lines: list[bytes], cuts: list[int]) -> None:
    data = b"\n".join(lines) + b"\n"
    whole = feed(data, [])
    assert feed(data, cuts) == whole
    assert len(whole) == sum(bool(line.strip()) for line in data.split(b"\n"))


@given(st.lists(st.tuples(st.integers(0, 2**31), JSON, TEXTS, PARAMS), max_size=4), st.lists(st.integers(0), max_size=6))
def test_what_the_worker_sends_arrives_at_any_chunk_borders(contents: list[tuple[int, Any, str, dict[str, Any]]], cuts: list[int]) -> None:
    sent, expected = b"", []
    for number, value, text, params in contents:
        sent += messages.encode({"id": number, "result": value})
        sent += messages.encode({"id": number, "error": messages.error_object(-32001, "It failed." + text, text)})
        sent += messages.encode({"method": "$/progress", "params": params})
        expected += [rpc.Answer(number, value), rpc.Failure(number, -32001, "It failed." + text, text), rpc.Notice("$/progress", params)]
    assert feed(sent, cuts) == expected


@given(st.integers(0, 2**31), TEXTS, PARAMS)
def test_what_the_client_sends_arrives(number: int, method: str, params: dict[str, Any]) -> None:
    sent = rpc.request(number, method, params) + rpc.notification(method, params)
    assert list(messages.read(io.BytesIO(sent))) == [messages.Message(number, method, params), messages.Message(None, method, params)]


@given(st.binary(max_size=300), st.integers(1, 40))
def test_the_worker_reads_arbitrary_bytes_line_by_line(data: bytes, limit: int) -> None:
    read = list(messages.read(io.BytesIO(data), limit))
    assert all(isinstance(message, messages.ProtocolError | messages.Message) for message in read)
    assert len(read) <= data.count(b"\n") + 1


def test_half_a_surrogate_pair_passes_in_both_directions() -> None:
    text = "half \ud83d of a picture"
    (message,) = messages.read(io.BytesIO(rpc.request(1, "generate", {"prompt": text})))
    assert isinstance(message, messages.Message) and message.params == {"prompt": text}
    assert feed(messages.encode({"id": 1, "result": text}), []) == [rpc.Answer(1, text)]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_no_message(number: str) -> None:
    line = f'{{"jsonrpc": "2.0", "method": "$/progress", "params": {{"elapsed": {number}}}}}\n'.encode()
    (message,) = feed(line, [])
    assert isinstance(message, rpc.Rubbish)


@pytest.mark.parametrize(("text", "shown"), [("häuser 🏠", "häuser 🏠"), ("half \ud83d of", "half ? of"), ("\udcff", "?")])
def test_halves_of_surrogate_pairs_are_made_readable(text: str, shown: str) -> None:
    assert rpc.readable(text) == shown


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"elapsed": 1e400, "step": 10**400, "total": -(10**400)}, ("sampling", 1_000_000, 0, 1e6)),
        ({"elapsed": 10**400}, ("sampling", 2, 9, 1e6)),
        ({"elapsed": math.nan, "step": math.nan, "total": math.inf}, ("sampling", 2, 9, 0.0)),
        ({"elapsed": -5, "step": "3", "total": [1]}, ("sampling", 2, 9, 0.0)),
        ({"elapsed": None, "phase": 7, "step": True}, ("sampling", 1, 9, 1.5)),
        ({"phase": "half \ud83d"}, ("half ?", 2, 9, 1.5)),
    ],
)
def test_odd_progress_becomes_what_blender_can_show(params: dict[str, Any], expected: tuple[str, int, int, float]) -> None:
    job = Job(1, {}, phase="sampling", step=2, total=9, elapsed=1.5)
    job.advance(params)
    assert (job.phase, job.step, job.total, job.elapsed) == expected
    assert [type(value) for value in (job.phase, job.step, job.total, job.elapsed)] == [str, int, int, float]


def test_odd_sentences_of_a_failure_become_readable() -> None:
    job = Job(1, {})
    job.fail("It failed \ud83d.", "trace \udcff")
    assert (job.message, job.detail) == ("It failed ?.", "trace ?")


def test_a_line_that_is_too_long_is_dropped_and_the_next_one_read() -> None:
    good = messages.encode({"id": 1, "result": None})
    long, after = feed(b"x" * 5000 + b"\n" + good, [1, 900, 4000], rpc.Decoder(limit=1000))
    assert isinstance(long, rpc.Rubbish) and after == rpc.Answer(1, None)
    read = list(messages.read(io.BytesIO(b"x" * 5000 + b"\n" + rpc.request(1, "shutdown")), limit=1000))
    assert isinstance(read[0], messages.ProtocolError) and read[0].code == messages.PARSE_ERROR
    assert read[1:] == [messages.Message(1, "shutdown", {})]


def test_a_line_of_exactly_the_limit_is_read() -> None:
    line = rpc.request(1, "shutdown")
    assert list(messages.read(io.BytesIO(line + line), limit=len(line))) == [messages.Message(1, "shutdown", {})] * 2
    answer = messages.encode({"id": 1, "result": None})
    assert feed(answer, [], rpc.Decoder(limit=len(answer) - 1)) == [rpc.Answer(1, None)]


def test_deeply_nested_rubbish_is_refused() -> None:
    nested = b"[" * 200_000 + b"]" * 200_000 + b"\n"
    (message,) = feed(nested, [])
    assert isinstance(message, rpc.Rubbish)
    (refused,) = messages.read(io.BytesIO(nested))
    assert isinstance(refused, messages.ProtocolError)


def test_errors_of_any_shape_become_sentences() -> None:
    for error in ({}, {"message": 5}, {"message": "", "code": "x", "data": 7}):
        (failure,) = feed(json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode() + b"\n", [])
        assert isinstance(failure, rpc.Failure) and failure.message.endswith(".")
