"""Whether an announcement of which nobody knows is sent again: by what the chat has more, and whose that may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from call_steps import WHY, finish, stored

from perezvon.bitrix24.answers import Answer
from perezvon.delivery.after import Ask, Later
from perezvon.delivery.announcing import ASSUMED, PATIENCE, beside, next_of, told
from perezvon.delivery.joining import Sent, tell
from perezvon.rules.vocabulary import Kind, Priority, StepDraft
from perezvon.storage.steps import State, Step

PARAMS = {
    "to": "chat1",
    "parts": ["text"],
    "always": True,
    "finish": "c:finish",
    "started": 1000.0,
    "wait": 0.0,
    "tag": "t",
}
NOTED = {"last": 100, "count": 7, "sends": 0}


def lane(state: State = State.UNSURE, attempts: int = 1, **result: Any) -> tuple[Step, list[Step]]:
    draft = StepDraft("c:announce", Kind.ANNOUNCE, PARAMS, Priority.CRM, WHY)
    steps = stored([finish("c"), draft], (State.DONE, {"CALL_ID": "x"}), (state, {**NOTED, **result}))
    steps[1] = replace(steps[1], attempts=attempts)
    return steps[1], steps


def others(*made: tuple[State, int], to: str = "chat1") -> list[Step]:
    step, _ = lane()
    return [
        replace(step, id=50 + place, params={**PARAMS, "to": to}, state=state, result={"message": message})
        for place, (state, message) in enumerate(made)
    ]


def verdict(last: int, count: int, beside_it: Sequence[Step] = (), **result: Any) -> tuple[str, str]:
    step, steps = lane(**result)
    step = beside(step, beside_it)
    asked = next_of(step, [steps[0], step], 1000.0)
    assert isinstance(asked, Ask)
    assert asked.stage == "verify"
    answer = Answer({"last_message_id": last, "message_count": count})
    settled = told(step, asked, answer, [steps[0], step]).settled
    return settled.state.value, str(settled.note or "")


@pytest.mark.parametrize(
    ("last", "count", "beside_it", "state"),
    [
        (100, 7, [], "new"),
        (101, 8, [], "done"),
        (101, 8, others((State.DONE, 101)), "new"),
        (102, 9, others((State.DONE, 101)), "done"),
        (101, 8, others((State.DONE, 99)), "done"),
        (101, 8, others((State.DONE, 101), to="chat2"), "done"),
        (101, 8, others((State.SENDING, 0)), "unsure"),
        (102, 9, others((State.SENDING, 0)), "done"),
        (102, 9, others((State.UNSURE, 0), (State.UNSURE, 0)), "unsure"),
        (103, 10, others((State.UNSURE, 0), (State.UNSURE, 0)), "done"),
        (99, 6, [], "new"),
    ],
)
def test_by_what_the_chat_has_more(last: int, count: int, beside_it: list[Step], state: str) -> None:
    assert verdict(last, count, beside_it)[0] == state


def test_others_are_not_waited_for_for_ever() -> None:
    assert verdict(101, 8, others((State.UNSURE, 0)), looks=PATIENCE) == ("done", str(ASSUMED))


def test_a_look_that_was_cut_off_is_no_sending() -> None:
    step, steps = lane(attempts=0)
    asked = next_of(step, steps, 1000.0)
    assert isinstance(asked, Ask)
    assert asked.stage == "look"


@pytest.mark.parametrize("sent", [State.NEW, State.DONE])
def test_an_address_that_stands_in_the_activity_is_told_as_soon_as_it_stands_there(sent: State) -> None:
    url = "https://pbx.example.com/recordings/1.x"
    linked = tell("c:record", "c:finish", Sent(None, 12.0), f"Recording of the call: {url}")
    params = {**PARAMS, "to": "16", "wait": 45.0, "parts": ["heard at ", {"place": "recording", "filters": []}]}
    draft = StepDraft("c:announce", Kind.ANNOUNCE, params, Priority.CRM, WHY)
    steps = stored([finish("c"), draft, linked], (State.DONE, {"CALL_ID": "x"}), State.NEW, sent)
    asked = next_of(steps[1], steps, 1001.0)
    if sent is State.NEW:
        assert isinstance(asked, Later)
    else:
        assert isinstance(asked, Ask)
        assert asked.params["MESSAGE"] == f"heard at {url}"
