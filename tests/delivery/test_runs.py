"""What of a lane may be sent next: tables of steps and the run that they give."""

from __future__ import annotations

import pytest
from call_steps import finish, hide, record, register, show, stored

from perezvon.bitrix24.methods import HIDE, STATISTIC
from perezvon.delivery.kinds import Probe
from perezvon.delivery.runs import EXPIRED, HIDDEN_AGAIN, MISSING, NOT_SHOWN, OVER, REPLACED, plan_run
from perezvon.storage.lanes import NEEDS_FAILED
from perezvon.storage.steps import State

NEW, UNSURE, DONE, DEAD, SKIPPED = State.NEW, State.UNSURE, State.DONE, State.DEAD, State.SKIPPED
KNOWN = (DONE, {"CALL_ID": "externalCall.1"})
NOT_FOUND = (UNSURE, {"error": "CallNotFound"})

OWN = [register("c"), show("c", 1), hide("c", 1), finish("c", 1), record("c", "/none.mp3")]
WHOLE = [register("c"), show("c", 1, 2), hide("c", 2), finish("c"), record("c", "/none.mp3")]


@pytest.mark.parametrize(
    ("drafts", "marks", "sent", "skipped"),
    [
        # a call begins: both ride together
        (WHOLE[:2], [NEW, NEW], ["register", "show"], {}),
        # a whole call is late: nobody needs the card any more, nor its hiding
        (WHOLE, [NEW] * 5, ["register", "finish", "attach_record"], {"show": OVER, "hide": NOT_SHOWN}),
        # the card was shown before: it has to be hidden
        (WHOLE, [KNOWN, DONE, NEW, NEW, NEW], ["hide"], {}),
        (OWN, [KNOWN, DONE, NEW, NEW, NEW], ["hide", "finish", "attach_record"], {}),
        # shown perhaps: hidden surely
        (WHOLE, [KNOWN, UNSURE, NEW, NEW, NEW], ["hide"], {"show": OVER}),
        # shown to two, hidden for one, and not sent yet
        (WHOLE[:3], [KNOWN, NEW, NEW], ["show", "hide"], {}),
        ([register("c"), show("c", 1), hide("c", 1)], [KNOWN, NEW, NEW], [], {"show": HIDDEN_AGAIN, "hide": NOT_SHOWN}),
        # ...but earlier it was up
        (
            [register("c"), show("c", 1), show("c", 1, number=1), hide("c", 1)],
            [KNOWN, DONE, NEW, NEW],
            ["hide"],
            {"show": HIDDEN_AGAIN},
        ),
        # register itself shows the card
        ([register("c", 1, SHOW=1), hide("c", 1)], [NEW, NEW], ["register", "hide"], {}),
        # what a dead step was needed for
        (
            WHOLE,
            [DEAD, NEW, NEW, NEW, NEW],
            [],
            {"show": NEEDS_FAILED, "hide": NEEDS_FAILED, "finish": NEEDS_FAILED, "attach_record": NEEDS_FAILED},
        ),
        (WHOLE, [KNOWN, DONE, DEAD, NEW, NEW], ["finish", "attach_record"], {}),
        (WHOLE, [KNOWN, DONE, DONE, DEAD, NEW], [], {"attach_record": NEEDS_FAILED}),
        ([finish("c")], [NEW], [], {"finish": MISSING}),
        # a click on a number: the portal's own id
        (
            [finish("c", call_id="externalCall.9"), record("c", "/x", call_id="externalCall.9")],
            [NEW, NEW],
            ["finish", "attach_record"],
            {},
        ),
        # a longer recording
        (
            [register("c"), finish("c"), record("c", "/a"), record("c", "/b", 1)],
            [KNOWN, DONE, NEW, NEW],
            ["attach_record"],
            {"attach_record": REPLACED},
        ),
        # nothing left
        (WHOLE, [KNOWN, DONE, DONE, DONE, DONE], [], {}),
        # of unknown outcome, and harmless to repeat
        (WHOLE[:2], [UNSURE, UNSURE], ["register", "show"], {}),
        (WHOLE[:4], [KNOWN, DONE, UNSURE, NEW], ["hide"], {}),
        (WHOLE, [KNOWN, DONE, DONE, DONE, UNSURE], ["attach_record"], {}),
        # ... and not: looked up first, and what follows waits for the answer
        (WHOLE, [KNOWN, DONE, DONE, UNSURE, NEW], ["finish?"], {}),
        (WHOLE, [KNOWN, DONE, UNSURE, UNSURE, UNSURE], ["hide"], {}),
        (OWN, [KNOWN, DONE, UNSURE, UNSURE, UNSURE], ["hide", "finish?"], {}),
        (WHOLE, [KNOWN, DONE, DONE, NOT_FOUND, NEW], ["finish?"], {}),
        (WHOLE, [UNSURE, SKIPPED, SKIPPED, UNSURE, UNSURE], ["register?"], {}),
        (WHOLE, [UNSURE, NEW, NEW, NEW, NEW], ["register", "finish", "attach_record"], {"show": OVER, "hide": NOT_SHOWN}),
    ],
)
def test_a_run(drafts: list, marks: list, sent: list[str], skipped: dict) -> None:
    steps = stored(drafts, *marks)
    run = plan_run("c", steps, 1000.0, paused={}, large=lambda _: False)
    assert [move.step.kind.value + "?" * (move.probe is not None) for move in run.moves] == sent
    notes = {steps[one.id - 1].kind.value: one.note.text for one in run.skips if one.note}
    assert notes == {kind: reason.text for kind, reason in skipped.items()}
    assert all(one.state is SKIPPED for one in run.skips)
    assert run.wait is None


def test_only_cards_expire() -> None:
    drafts = [register("c"), show("c", 1, expires=1030.0), hide("c", 1), finish("c")]
    in_time = plan_run("c", stored(drafts[:2], KNOWN, NEW), 1030.0, paused={}, large=lambda _: False)
    assert [move.step.kind.value for move in in_time.moves] == ["show"]
    late = plan_run("c", stored(drafts[:2], NEW, NEW), 1030.5, paused={}, large=lambda _: False)
    assert [move.step.kind.value for move in late.moves] == ["register"]
    assert [one.note for one in late.skips] == [EXPIRED]


def test_the_look_up_names_the_call() -> None:
    finished = plan_run("c", stored(WHOLE[:4], KNOWN, DONE, DONE, UNSURE), 1000.0, paused={}, large=lambda _: False)
    assert finished.moves[0].probe == Probe(call_id="externalCall.1")
    assert finished.moves[0].method == STATISTIC
    both = plan_run("c", stored([WHOLE[0], WHOLE[3]], UNSURE, UNSURE), 1000.0, paused={}, large=lambda _: False)
    assert both.moves[0].probe == Probe(external_call_id="test-c")


def test_a_paused_method_holds_the_lane_but_not_what_is_before_it() -> None:
    steps = stored(WHOLE[:4], KNOWN, DONE, NEW, NEW)
    run = plan_run("c", steps, 1000.0, paused={"telephony.externalCall.finish": 1100.0}, large=lambda _: False)
    assert [move.step.kind.value for move in run.moves] == ["hide"]
    assert run.wait is None
    run = plan_run("c", steps, 1000.0, paused={HIDE: 1100.0}, large=lambda _: False)
    assert (run.moves, run.wait) == ((), 1100.0)
    assert plan_run("c", steps, 1100.0, paused={HIDE: 1100.0}, large=lambda _: False).moves


def test_a_large_recording_goes_by_itself() -> None:
    steps = stored(WHOLE, KNOWN, DONE, DONE, NEW, NEW)
    before = plan_run("c", steps, 1000.0, paused={}, large=lambda step: step.id == 5)
    assert [move.step.kind.value for move in before.moves] == ["finish"]
    assert not before.upload
    alone = plan_run("c", stored(WHOLE, KNOWN, DONE, DONE, DONE, NEW), 1000.0, paused={}, large=lambda step: step.id == 5)
    assert [move.step.kind.value for move in alone.moves] == ["attach_record"]
    assert alone.upload
