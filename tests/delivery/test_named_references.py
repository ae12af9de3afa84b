"""Several portal calls in one lane (`calls.transfers = "each"`): every step finds the registration that it means."""

from __future__ import annotations

from dataclasses import replace

from call_steps import finish, record, register, show, stored

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.encoding import ResultRef
from perezvon.delivery.joining import finished_call
from perezvon.delivery.kinds import Probe
from perezvon.delivery.prepare import command
from perezvon.delivery.runs import Move, call_id, plan_run
from perezvon.delivery.verdicts import FORGOTTEN, judge
from perezvon.rules.vocabulary import Kind, Ref, StepDraft
from perezvon.storage.steps import State, read_params, write_params

FIRST = Ref(Kind.REGISTER, "CALL_ID", "c:register")
SECOND = Ref(Kind.REGISTER, "CALL_ID", "c:register-2")


def later(draft: StepDraft) -> StepDraft:
    return replace(draft, key=f"{draft.key}-2", params={**draft.params, "CALL_ID": SECOND})


LANE = [
    register("c"),
    finish("c", call_id=FIRST),
    replace(register("c"), key="c:register-2"),
    later(show("c", 2)),
    later(finish("c", 2, duration=0)),
]
KNOWN = [(State.DONE, {"CALL_ID": "externalCall.1"}), State.DONE, (State.DONE, {"CALL_ID": "externalCall.2"})]


def test_a_named_reference_survives_the_database() -> None:
    params = {"CALL_ID": SECOND, "USER_ID": [1], "OTHER": Ref(Kind.REGISTER, "CALL_ID")}
    assert read_params(write_params(params)) == params


def test_each_step_goes_to_its_own_portal_call() -> None:
    steps = stored(LANE, *KNOWN, State.DONE, State.UNSURE)
    assert [call_id(steps, step) for step in steps] == ["", "externalCall.1", "", "externalCall.2", "externalCall.2"]
    run = plan_run("c", steps, 1000.0, paused={}, large=lambda _: False)
    assert run.moves == (Move(steps[4], Probe(call_id="externalCall.2")),)


def test_all_in_one_batch_refer_to_each_other() -> None:
    steps = stored(LANE, *[State.NEW] * 5)
    run = plan_run("c", steps, 1000.0, paused={}, large=lambda _: False)
    riding = [move.step.id for move in run.moves]
    refs = [command(move, steps, riding).params.get("CALL_ID") for move in run.moves]
    assert refs == [None, ResultRef("s1", ("CALL_ID",)), None, ResultRef("s3", ("CALL_ID",))]


def test_the_recording_belongs_to_the_first_call_in_which_somebody_talked() -> None:
    assert finished_call(stored(LANE, *KNOWN, State.DONE, State.DONE)) == FIRST
    recorded = stored([*LANE, record("c", "/a.mp3", call_id=FIRST)], *KNOWN, State.DONE, State.DONE, State.NEW)
    assert call_id(recorded, recorded[-1]) == "externalCall.1"
    missed = [LANE[0], finish("c", duration=0)]
    assert finished_call(stored(missed, State.DONE, State.DONE)) == Ref(Kind.REGISTER, "CALL_ID")
    assert finished_call(stored(LANE[:1], State.DONE)) is None


def test_the_one_that_the_portal_forgot_is_registered_again_and_not_the_other() -> None:
    steps = stored(LANE, *KNOWN[:1], (State.UNSURE, {"error": "CallNotFound"}), KNOWN[2], State.DONE, State.NEW)
    move = Move(steps[1], Probe(call_id="externalCall.1"))
    settled = judge([move], [Answer([])], steps, substitute="").settled
    assert [(one.id, one.state, one.note) for one in settled] == [(1, State.NEW, FORGOTTEN), (2, State.NEW, None)]
