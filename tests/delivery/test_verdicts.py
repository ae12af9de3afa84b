"""What outcomes mean for the steps of a lane: tables of moves, outcomes and the states that follow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from call_steps import finish, hide, record, register, show, stored

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import (
    Ambiguous,
    AuthRefused,
    BadParameters,
    CallNotFound,
    Forbidden,
    NotSent,
    OperationLimited,
    PortalError,
    RateLimited,
    Temporary,
    UserNotFound,
)
from perezvon.delivery.kinds import OVER_ALREADY, Probe
from perezvon.delivery.runs import Move, plan_run
from perezvon.delivery.verdicts import ASSUMED, FORGOTTEN, FOUND, SUBSTITUTED, Verdict, judge
from perezvon.storage.steps import State

NEW, UNSURE, DONE, DEAD = State.NEW, State.UNSURE, State.DONE, State.DEAD
KNOWN = (DONE, {"CALL_ID": "externalCall.1"})
NOT_FOUND = (UNSURE, {"error": "CallNotFound"})

WHOLE = [register("c"), show("c", 1), hide("c", 1), finish("c"), record("c", "/none.mp3")]
CARD, END = WHOLE[:2], [WHOLE[0], WHOLE[3], WHOLE[4]]

REGISTERED = Answer({"CALL_ID": "externalCall.1", "CRM_CREATED_LEAD": None})
FINISHED = Answer({"ID": 7, "CALL_ID": "externalCall.1", "CALL_DURATION": 5})
ATTACHED = Answer({"FILE_ID": 9})
TRUE, FALSE = Answer(True), Answer(False)
ROW = Answer([{"ID": "7", "CALL_ID": "externalCall.1", "EXTERNAL_CALL_ID": "test-c"}])
NO_ROW = Answer([])
FOREIGN_ROW = Answer([{"ID": "8", "CALL_ID": "externalCall.2", "EXTERNAL_CALL_ID": "test-other"}])
REFUSED = BadParameters("Unsupported phone number format")


def told(kind: type[PortalError]) -> PortalError:
    return kind("as the test says")


def judged(drafts: list[Any], marks: list[Any], outcomes: list[Any], *, substitute: str = "", attempts: int = 1) -> Verdict:
    steps = [replace(step, attempts=attempts) if step.pending else step for step in stored(drafts, *marks)]
    run = plan_run("c", steps, 1000.0, paused={}, large=lambda _: False)
    moves = run.moves[: len(outcomes)] or tuple(Move(step) for step in steps if step.pending)
    return judge(moves, outcomes, steps, substitute=substitute)


@pytest.mark.parametrize(
    ("drafts", "marks", "outcomes", "states"),
    [
        (CARD, [NEW, NEW], [REGISTERED, TRUE], [DONE, DONE]),
        # the portal knows no such live call: over, or lost, it is looked up
        (CARD, [KNOWN, NEW], [FALSE], [UNSURE]),
        (CARD, [KNOWN, NOT_FOUND], [ROW], [DONE]),
        (CARD, [KNOWN, NOT_FOUND], [NO_ROW], [NEW, NEW]),
        (CARD, [KNOWN, NOT_FOUND], [told(Forbidden)], [DONE]),
        (CARD, [KNOWN, NOT_FOUND], [told(NotSent)], [UNSURE]),
        (WHOLE[:3], [KNOWN, DONE, NEW], [FALSE], [DONE]),
        (END, [NEW, NEW, NEW], [REGISTERED, FINISHED, ATTACHED], [DONE, DONE, DONE]),
        # the portal refuses the first for good: what needed it will be skipped
        (CARD, [NEW, NEW], [REFUSED, FALSE], [DEAD, NEW]),
        # not done: what came after it in the batch is its consequence
        (CARD, [NEW, NEW], [told(Temporary), FALSE], [NEW, NEW]),
        (END, [NEW, NEW, NEW], [told(OperationLimited), told(CallNotFound), told(CallNotFound)], [NEW, NEW, NEW]),
        (END, [KNOWN, NEW, NEW], [told(Temporary), told(CallNotFound)], [NEW, NEW]),
        # the card was hidden before it was shown: both again, in order
        ([WHOLE[0], show("c", 1, 2), WHOLE[2]], [KNOWN, NEW, NEW], [told(Temporary), TRUE], [NEW, NEW]),
        # but a finish that worked has worked
        ([*WHOLE[:2], WHOLE[3]], [KNOWN, DONE, NEW], [FINISHED], [DONE]),
        (WHOLE[:4], [KNOWN, DONE, NEW, NEW], [told(Temporary), FINISHED], [NEW, DONE]),
        # nothing left the house, or nobody knows
        (CARD, [NEW, NEW], [told(NotSent)] * 2, [NEW, NEW]),
        (CARD, [NEW, NEW], [told(RateLimited)] * 2, [NEW, NEW]),
        (CARD, [NEW, NEW], [told(AuthRefused)] * 2, [NEW, NEW]),
        (CARD, [NEW, NEW], [told(Ambiguous)] * 2, [UNSURE, UNSURE]),
        (END, [NEW, NEW, NEW], [told(Ambiguous)] * 3, [UNSURE, UNSURE, UNSURE]),
        # rights that are missing are a matter of the method: nothing is lost
        (CARD, [NEW, NEW], [told(Forbidden), FALSE], [NEW, NEW]),
        # an answer that says nothing
        (CARD, [NEW, NEW], [Answer([]), FALSE], [UNSURE, NEW]),
        # finished already, by whomever: looked up
        (END, [KNOWN, NEW, NEW], [told(CallNotFound), ATTACHED], [UNSURE, NEW]),
        # the statistics are slow
        (END, [KNOWN, DONE, NEW], [told(CallNotFound)], [NEW]),
        (END, [KNOWN, DONE, NEW], [Answer({})], [UNSURE]),
        # a hole in the answer, but the finish names the call
        (END, [NEW, NEW, NEW], [told(Ambiguous), FINISHED, ATTACHED], [DONE, DONE, NEW]),
        (END, [NEW, NEW, NEW], [told(Ambiguous), FINISHED, told(Ambiguous)], [DONE, DONE, UNSURE]),
        # looked up
        (END, [KNOWN, UNSURE, UNSURE], [ROW], [DONE]),
        (END, [KNOWN, UNSURE, UNSURE], [NO_ROW], [NEW]),
        (END, [KNOWN, UNSURE, UNSURE], [FOREIGN_ROW], [NEW]),
        (END, [KNOWN, UNSURE, UNSURE], [told(Ambiguous)], [UNSURE]),
        (END, [KNOWN, UNSURE, UNSURE], [told(NotSent)], [UNSURE]),
        (END, [KNOWN, UNSURE, UNSURE], [told(Forbidden)], [NEW]),
        (END, [UNSURE, UNSURE, UNSURE], [ROW], [DONE]),
        (END, [UNSURE, UNSURE, UNSURE], [FOREIGN_ROW], [NEW, NEW]),
    ],
)
def test_states(drafts: list[Any], marks: list[Any], outcomes: list[Any], states: list[State]) -> None:
    assert [one.state for one in judged(drafts, marks, outcomes).settled] == states


def test_a_dead_call_is_noted() -> None:
    (settled,) = judged(CARD, [KNOWN, NOT_FOUND], [ROW]).settled
    assert settled.note == OVER_ALREADY
    (settled,) = judged([show("c", 1, call_id="externalCall.9")], [NEW], [FALSE]).settled
    assert settled.note == OVER_ALREADY, "a click's call is the portal's own: there is nothing to register anew"


def test_a_lead_that_was_not_made_is_noted() -> None:
    answer = Answer({"CALL_ID": "x", "LEAD_CREATION_ERROR": "it is an employee's number"})
    (settled,) = judged(CARD[:1], [NEW], [answer]).settled
    assert str(settled.note) == "the portal made no lead: it is an employee's number"


def test_an_answer_that_was_lost_is_found() -> None:
    (settled,) = judged(END, [UNSURE, UNSURE, UNSURE], [ROW]).settled
    assert (settled.state, settled.note, settled.result["CALL_ID"]) == (DONE, FOUND, "externalCall.1")


def test_a_call_that_the_portal_forgot_is_registered_once_more() -> None:
    again = judged(END, [KNOWN, NOT_FOUND, NEW], [NO_ROW])
    assert [(one.id, one.state, one.note) for one in again.settled] == [(1, NEW, FORGOTTEN), (2, NEW, None)]
    assert again.forgotten == 1

    steps = stored(END, KNOWN, NOT_FOUND, NEW)
    steps[0] = replace(steps[0], note=FORGOTTEN)
    move = Move(steps[1], Probe(call_id="externalCall.1"))
    twice = judge([move], [NO_ROW], steps, substitute="")
    assert ([one.state for one in twice.settled], twice.forgotten) == ([DEAD], 0)
    clicked = stored([finish("c", call_id="externalCall.1")], NOT_FOUND)
    move = Move(clicked[0], Probe(call_id="externalCall.1"))
    assert [one.state for one in judge([move], [NO_ROW], clicked, substitute="").settled] == [DEAD]


def test_a_call_that_was_forgotten_before_its_recording_came_is_told_as_a_whole() -> None:
    """The portal's backup is older than the finish. First its statistics are given time."""
    marks = [KNOWN, (DONE, {"CALL_ID": "externalCall.1"}), NEW]
    for attempts, state in ((1, NEW), (4, NEW), (5, UNSURE)):
        assert [one.state for one in judged(END, marks, [told(CallNotFound)], attempts=attempts).settled] == [state]
    doubted = [*marks[:2], NOT_FOUND]
    again = judged(END, doubted, [NO_ROW], attempts=5)
    assert [(one.id, one.state) for one in again.settled] == [(1, NEW), (2, NEW), (3, NEW)]
    assert (again.settled[0].note, again.forgotten) == (FORGOTTEN, 1)
    assert [one.state for one in judged(END, doubted, [ROW], attempts=5).settled] == [NEW], "slow, but there"
    assert [one.state for one in judged(END, doubted, [ROW], attempts=10).settled] == [DEAD]
    assert [one.state for one in judged(END, doubted, [told(Forbidden)], attempts=5).settled] == [DEAD]
    clicked = stored([finish("c", call_id="x"), record("c", "/none.mp3", call_id="x")], DONE, NEW)
    clicked[1] = replace(clicked[1], attempts=5)
    assert [one.state for one in judge([Move(clicked[1])], [told(CallNotFound)], clicked, substitute="").settled] == [DEAD]


def test_who_may_not_read_the_statistics_trusts_the_second_refusal() -> None:
    (first,) = judged(END, [KNOWN, NOT_FOUND, NEW], [told(Forbidden)], attempts=1).settled
    assert first.state is DEAD
    (second,) = judged(END, [KNOWN, NOT_FOUND, NEW], [told(Forbidden)], attempts=2).settled
    assert (second.state, second.note) == (DONE, ASSUMED)


def test_a_refused_employee_is_replaced_once() -> None:
    verdict = judged(CARD, [NEW, NEW], [told(UserNotFound), FALSE], substitute="7")
    assert [one.state for one in verdict.settled] == [NEW, NEW]
    assert verdict.substitutes == ((1, "7"),)
    assert verdict.wait == 0.0
    assert verdict.settled[0].note is not None
    assert verdict.settled[0].note.text == SUBSTITUTED.text
    for nobody in ("", "1"):  # nobody to replace him, or he is the one
        again = judged(CARD[:1], [NEW], [told(UserNotFound)], substitute=nobody)
        assert [one.state for one in again.settled] == [DEAD]


@pytest.mark.parametrize(
    ("outcome", "attempts", "wait"),
    [
        (told(Ambiguous), 1, 2.0),
        (told(Ambiguous), 3, 8.0),
        (told(Ambiguous), 50, 60.0),
        (Temporary("busy", retry_after=7.0), 1, 7.0),
        (told(NotSent), 5, 0.0),
        (told(RateLimited), 5, 0.0),
        (told(OperationLimited), 5, 0.0),
        (told(CallNotFound), 2, 4.0),
        (FINISHED, 1, 0.0),
    ],
)
def test_how_long_a_lane_waits(outcome: Any, attempts: int, wait: float) -> None:
    assert judged(END[:2], [KNOWN, NEW], [outcome], attempts=attempts).wait == wait
