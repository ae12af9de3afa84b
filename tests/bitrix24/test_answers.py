"""Whatever comes back, reading it gives an answer or an error, never an exception."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from perezvon.bitrix24 import Answer, Command, methods
from perezvon.bitrix24.answers import Timing, read_answer, read_batch, tolerant_json
from perezvon.bitrix24.errors import PortalError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
members = ("result", "error", "error_description", "argument", "total", "next", "time")
parts = ("result", "result_error", "result_total", "result_next", "result_time")


@given(st.binary(max_size=500), st.integers(100, 599))
def test_any_bytes(body: bytes, status: int) -> None:
    assert isinstance(read_answer(body, status, "text/html", "x.y"), Answer | PortalError)


@given(
    st.dictionaries(st.sampled_from(members), json_values, max_size=6), st.sampled_from([200, 400, 401, 403, 429, 500, 503])
)
def test_any_answer_like_object(data: dict[str, Any], status: int) -> None:
    outcome = read_answer(json.dumps(data).encode(), status, "application/json", "x.y")
    assert isinstance(outcome, Answer | PortalError)
    if "result" in data and not data.get("error"):
        assert isinstance(outcome, Answer)


@given(st.dictionaries(st.sampled_from(parts), json_values | st.dictionaries(st.sampled_from("abc"), json_values)))
def test_any_batch_gives_one_outcome_for_each_command(data: dict[str, Any]) -> None:
    commands = [Command(key, "x.y", {}) for key in "abc"]
    for halt in (True, False):
        outcomes = read_batch(Answer(data), commands, halt=halt)
        assert len(outcomes) == 3
        assert all(isinstance(outcome, Answer | PortalError) for outcome in outcomes)


@given(json_values)
def test_typed_values_are_read_out_of_anything(value: Any) -> None:
    methods.read_finished(value)
    methods.read_statistic(value)
    methods.read_user(value)
    methods.read_file_id(value)
    for read in (methods.read_registered, methods.read_upload_slot):
        with suppress(PortalError):
            read(value)


def test_the_time_block() -> None:
    time = {"duration": 0.12, "finish": "1700000000.5", "operating": 0, "operating_reset_at": 1700000600, "x": []}
    outcome = read_answer(json.dumps({"result": 1, "time": time, "total": "7", "next": 50}).encode(), 200, "", "x.y")
    assert outcome == Answer(1, 7, 50, Timing(0.12, 1700000000.5, 0.0, 1700000600.0))


def test_an_inner_object_is_never_taken_for_the_answer() -> None:
    whole = '{"result":{"result":{"a":{"result":1}},"result_error":[]},"time":{}}'
    for length in range(1, len(whole)):
        assert not isinstance(tolerant_json(whole[:length].encode()), dict), whole[:length]
    assert tolerant_json(f"<br/>Warning{whole}<br/>Notice".encode()) == json.loads(whole)


def test_a_long_error_is_cut() -> None:
    body = json.dumps({"error": "E" * 10**6, "error_description": "x" * 10**6}).encode()
    error = read_answer(body, 400, "application/json", "x.y")
    assert isinstance(error, PortalError)
    assert len(str(error)) < 5000
