"""The conference: whatever the manager does, it is one call, he is its talker, and nobody is lost or doubled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ami_script import UP, Script, calls_of, facts_of, kinds, told
from conference_calls import NUMBERINGS, WAYS, all_numberings, both_ways, held, the_call, thirds, whole
from conference_script import CLIENT, CLIENT_E164, FOURTH, FOURTH_E164, PORTAL, THIRD, THIRD_E164, Conference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perezvon.calls import (
    Answered,
    CallEnded,
    CallStarted,
    Event,
    Fact,
    Held,
    JoinedConference,
    LeftTalk,
    Numbering,
    Ringing,
    Snapshot,
    ThirdParty,
    ThirdStep,
    Tracker,
)
from perezvon.calls.call import Direction, LegOutcome, Outcome, Party
from perezvon.calls.wanted import WANTED, WANTED_VARIABLES


@both_ways
@all_numberings
def test_one_call_with_a_third_person(way: str, numbering: str) -> None:
    pbx = whole(way)
    call = the_call(pbx, NUMBERINGS[numbering])
    assert call.direction is Direction(way)
    assert (call.client, call.line) == (CLIENT_E164, "+74951234567")
    assert call.outcome is Outcome.ANSWERED
    assert call.talkers == (PORTAL,)
    assert call.last_talker == PORTAL
    assert call.third_parties == (THIRD_E164,)
    assert (call.transfers, call.forwarded_to, call.picked_up_by) == ((), "", "")
    gone = next(e.at for e in pbx.events if e.name == "Hangup" and e["uniqueid"] == pbx.client.uid)
    first = next(e.at for e in reversed(pbx.events[:60]) if e.name == "BridgeEnter" and e["bridgeuniqueid"] == "bridge-1")
    assert call.answered == first
    assert call.ended == gone
    assert call.duration == pytest.approx(gone - first)
    [third] = thirds(call)
    up = next(
        e.at for e in pbx.events if e.name == "Newstate" and e["uniqueid"] == pbx.thirds[0].uid and e["channelstate"] == "6"
    )
    assert (third.extension, third.answered, third.outcome) == (THIRD_E164, up, LegOutcome.ANSWERED)
    assert third.rang is not None
    assert len(call.legs) == 3


@both_ways
def test_what_is_told_in_order(way: str) -> None:
    facts = facts_of(whole(way))
    assert kinds(facts) == [
        "CallStarted",
        *(["Ringing"] if way == "incoming" else []),
        "Answered",
        "JoinedConference",
        "Held",
        "ThirdParty",
        "ThirdParty",
        "JoinedConference",
        "Held",
        "JoinedConference",
        "ThirdParty",
        "CallEnded",
    ]
    joined = [fact for fact in facts if isinstance(fact, JoinedConference)]
    assert [(fact.party, fact.number) for fact in joined] == [
        (Party.CLIENT, CLIENT_E164),
        (Party.THIRD_PARTY, THIRD_E164),
        (Party.EMPLOYEE, PORTAL),
    ]
    steps = [(fact.number, fact.step, fact.outcome) for fact in facts if isinstance(fact, ThirdParty)]
    assert steps == [
        (THIRD_E164, ThirdStep.RUNG, None),
        (THIRD_E164, ThirdStep.ANSWERED, None),
        (THIRD_E164, ThirdStep.LEFT, LegOutcome.ANSWERED),
    ]
    assert {fact.by for fact in facts if isinstance(fact, ThirdParty)} == {PORTAL}
    assert [fact.on for fact in facts if isinstance(fact, Held)] == [True, False]


@both_ways
def test_the_third_persons_phone_is_no_card(way: str) -> None:
    """Also when he is an employee."""
    pbx = WAYS[way]()
    pbx.consult()
    pbx.rings("102", "102")
    pbx.private()
    pbx.merge()
    pbx.end_by_client()
    facts = facts_of(pbx)
    rung = {fact.extension for fact in facts if isinstance(fact, Ringing)}
    answered = {fact.extension for fact in facts if isinstance(fact, Answered)}
    assert "102" not in rung | answered
    call = the_call(pbx)
    assert (call.third_parties, call.last_talker) == (("102",), PORTAL)


def _busy(pbx: Conference) -> None:
    pbx.rings()
    pbx.fails("BUSY", "busy", 17)


def _no_answer(pbx: Conference) -> None:
    pbx.rings()
    pbx.fails("NOANSWER", "noanswer", 19)


def _cancel(pbx: Conference) -> None:
    pbx.rings()
    pbx.drops_ringing()


def _drop(pbx: Conference) -> None:
    pbx.rings()
    pbx.private()
    pbx.drops_talking()


def _third_hangs_up_in_private(pbx: Conference) -> None:
    pbx.rings()
    pbx.private()
    pbx.third_hangs_up()


def _third_hangs_up_in_the_room(pbx: Conference) -> None:
    pbx.rings()
    pbx.private()
    pbx.merge()
    pbx.third_hangs_up()


def _bad_code(pbx: Conference) -> None:
    pbx.code("999")
    pbx.step(pbx.manager, "badcode", "manager", code="999")
    pbx.step(pbx.manager, "code", "manager")


def _nothing_keyed_in(pbx: Conference) -> None:
    pbx.back()


CELLS = {
    "busy": (_busy, LegOutcome.BUSY, False),
    "no answer": (_no_answer, LegOutcome.NO_ANSWER, False),
    "* while it rings": (_cancel, LegOutcome.CANCELLED, False),
    "* in the private talk": (_drop, LegOutcome.ANSWERED, True),
    "the third hangs up in the private talk": (_third_hangs_up_in_private, LegOutcome.ANSWERED, True),
    "the third hangs up in the room": (_third_hangs_up_in_the_room, LegOutcome.ANSWERED, True),
    "a wrong code": (_bad_code, None, False),
    "no code": (_nothing_keyed_in, None, False),
}


@both_ways
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(way: str, cell: str) -> None:
    act, outcome, named = CELLS[cell]
    pbx = WAYS[way]()
    pbx.consult()
    act(pbx)
    pbx.end_by_client()
    call = the_call(pbx)
    assert [leg.outcome for leg in thirds(call)] == ([outcome] if outcome else [])
    assert call.third_parties == ((THIRD_E164,) if named else ())
    assert (call.talkers, call.last_talker, call.outcome) == ((PORTAL,), PORTAL, Outcome.ANSWERED)
    assert not any(isinstance(fact, LeftTalk) for fact in facts_of(pbx))
    back = cell in {"* while it rings", "* in the private talk", "no code"} or "hangs up" in cell
    assert held(pbx) == ([True, False] if back else [True])


@both_ways
@pytest.mark.parametrize("when", ["code", "rings", "private", "room"])
def test_the_client_hangs_up_first(way: str, when: str) -> None:
    """His call is over then; whatever the others do afterwards is none."""
    pbx = WAYS[way]()
    pbx.consult()
    if when != "code":
        pbx.rings()
    if when in {"private", "room"}:
        pbx.private()
    if when == "room":
        pbx.merge()
    pbx.goes(pbx.client, "client")
    over = pbx.events[-1].at
    pbx.wait(2)
    if when == "rings":
        pbx.private()
    if when == "room":
        pbx.leave_room(pbx.manager)
    if when in {"code", "room"}:
        pbx.step(pbx.manager, "code", "manager")
        pbx.rings(FOURTH)
        pbx.private()
        pbx.wait(5)
    if pbx.manager.bridge:
        pbx.leave(pbx.manager)
    pbx.everybody_else_goes()
    facts = facts_of(pbx)
    assert [fact.at for fact in facts if isinstance(fact, CallEnded)] == [over]
    assert [kind for kind in kinds(facts) if kind == "CallStarted"] == ["CallStarted"]
    assert kinds(facts)[-1] == "CallEnded"


@both_ways
@pytest.mark.parametrize("when", ["code", "private", "room"])
def test_the_manager_hangs_up(way: str, when: str) -> None:
    pbx = WAYS[way]()
    pbx.consult()
    if when != "code":
        pbx.rings()
        pbx.private()
    if when == "room":
        pbx.merge()
    pbx.goes(pbx.manager, "manager")
    pbx.everybody_else_goes()
    call = the_call(pbx)
    assert call.last_talker == PORTAL
    assert call.ended == next(e.at for e in pbx.events if e.name == "Hangup" and e["uniqueid"] == pbx.client.uid)


@both_ways
def test_the_others_stay_when_the_manager_leaves(way: str) -> None:
    pbx = WAYS[way]()
    pbx.consult()
    pbx.rings()
    pbx.private()
    pbx.merge()
    pbx.goes(pbx.manager, "manager")
    gone = pbx.events[-1].at
    pbx.wait(30)
    pbx.everybody_else_goes()
    facts = facts_of(pbx)
    assert [(fact.extension, fact.at) for fact in facts if isinstance(fact, LeftTalk)] == [(PORTAL, gone)]
    call = the_call(pbx)
    assert call.ended is not None
    assert call.ended > gone + 29
    assert call.last_talker == PORTAL


@both_ways
def test_one_third_person_after_the_other(way: str) -> None:
    pbx = WAYS[way]()
    pbx.consult()
    pbx.rings()
    pbx.private()
    pbx.merge()
    pbx.consult()
    pbx.rings(FOURTH)
    pbx.private()
    pbx.merge()
    pbx.end_by_client()
    call = the_call(pbx)
    assert call.third_parties == (THIRD_E164, FOURTH_E164)
    assert [leg.extension for leg in thirds(call)] == [THIRD_E164, FOURTH_E164]
    assert held(pbx) == [True, False], "in the second private talk the client talks with the first third person"


# ---- by transfer


@both_ways
def test_a_transfer_to_the_conference_is_none(way: str) -> None:
    pbx = WAYS[way]()
    pbx.refer_to_900()
    pbx.comes_back()
    pbx.rings()
    pbx.private()
    pbx.merge()
    pbx.end_by_client()
    call = the_call(pbx)
    assert call.transfers == ()
    assert call.direction is Direction(way)
    assert (call.talkers, call.third_parties) == ((PORTAL,), (THIRD_E164,))
    assert not any(isinstance(fact, LeftTalk) for fact in facts_of(pbx))
    assert held(pbx) == [True, False]


@both_ways
def test_a_manager_who_does_not_come_back_has_left(way: str) -> None:
    pbx = WAYS[way]()
    pbx.refer_to_900()
    pbx.end(pbx.manager, "NOANSWER")
    pbx.hangup(pbx.manager, cause=19)
    pbx.step(pbx.client, "over", result="NOANSWER")
    told_then = pbx.events[-1].at
    pbx.wait(3)
    pbx.hangup(pbx.client)
    facts = facts_of(pbx)
    assert [(fact.extension, fact.at) for fact in facts if isinstance(fact, LeftTalk)] == [(PORTAL, told_then)]
    assert the_call(pbx).outcome is Outcome.ANSWERED


@both_ways
def test_a_second_call_of_the_manager_is_the_same_call(way: str) -> None:
    pbx = WAYS[way]()
    pbx.second_call_to_900()
    pbx.wait(3)
    pbx.rings()
    pbx.private()
    pbx.merge()
    pbx.end_by_client()
    call = the_call(pbx)
    assert call.direction is Direction(way)
    assert (call.talkers, call.last_talker, call.third_parties) == ((PORTAL,), PORTAL, (THIRD_E164,))
    assert not any(isinstance(fact, LeftTalk) for fact in facts_of(pbx))


@both_ways
def test_a_third_person_rung_by_a_button(way: str) -> None:
    """An Originate has a linkedid of its own; the room's variable tells where it belongs."""
    pbx = WAYS[way]()
    pbx.consult()
    pbx.back()
    third = pbx.new("PJSIP/carrier-0000000f", uid="perezvon-third-1", number=THIRD)
    pbx.variable(third, "__PEREZVON_ROOM", pbx.room)
    pbx.begin(None, third, f"{THIRD}@carrier")
    pbx.ringing(third)
    pbx.thirds.append(third)
    pbx.up(third)
    pbx.step(third, "joined", "third")
    pbx.enter_room(third, "third", marked=True)
    pbx.wait(5)
    pbx.end_by_client()
    call = the_call(pbx)
    assert (call.third_parties, call.talkers) == ((THIRD_E164,), (PORTAL,))
    assert [fact.step for fact in facts_of(pbx) if isinstance(fact, ThirdParty)] == [
        ThirdStep.RUNG,
        ThirdStep.ANSWERED,
        ThirdStep.LEFT,
    ]


def test_two_conferences_at_once_do_not_mix() -> None:
    one, other = whole("incoming"), whole("outgoing")
    shifted = [
        Event(
            e.name,
            e.at + 0.005,
            {k: v + "9" if k.endswith(("uniqueid", "linkedid", "room", "conference")) else v for k, v in e.headers.items()},
        )
        for e in other.events
    ]
    shifted = [
        replace(e, headers={k: v.replace("-0000", "-0009") if k.endswith("channel") else v for k, v in e.headers.items()})
        for e in shifted
    ]
    shifted = [
        replace(e, headers={**e.headers, "value": e.headers["value"] + "9"}) if e["variable"] == "__PEREZVON_ROOM" else e
        for e in shifted
    ]
    calls = calls_of(sorted([*one.events, *shifted], key=lambda e: e.at))
    assert sorted(call.direction for call in calls) == [Direction.INCOMING, Direction.OUTGOING]
    assert [call.third_parties for call in calls] == [(THIRD_E164,)] * 2


# ---- the portal


@all_numberings
def test_a_call_handed_on_to_the_portal_came_in(numbering: str) -> None:
    """Though the number dialled there is the one that the client dialled."""
    pbx = Conference().incoming_talk()
    pbx.hangup(pbx.manager, pbx.client)
    call = the_call(pbx, NUMBERINGS[numbering])
    assert (call.direction, call.talkers, call.forwarded_to) == (Direction.INCOMING, (PORTAL,), "")


def test_an_extension_that_the_portal_tells_is_the_employees() -> None:
    pbx = Script()
    caller = pbx.incoming(f"PJSIP/{PORTAL}-00000001", "12", CLIENT, context="perezvon-out")
    client = pbx.dial(caller, "PJSIP/carrier-00000002", f"{CLIENT}@carrier", number=CLIENT)
    pbx.answer(client)
    pbx.talk(client, caller)
    pbx.hangup(client, caller)
    call = the_call(pbx, Numbering(portals=frozenset({PORTAL})))
    assert (call.direction, call.talkers) == (Direction.OUTGOING, ("12",))
    [started] = [fact for fact in facts_of(pbx, Numbering(portals=frozenset({PORTAL}))) if isinstance(fact, CallStarted)]
    assert started.channel == caller.name


# ---- whatever comes


def steps_of(pbx: Conference) -> list[str]:
    """What can be done now."""
    if pbx.manager in pbx.inside:
        return ["consult", *(["third_hangs_up"] if pbx.thirds and pbx.thirds[-1] in pbx.inside else [])]
    if pbx.manager.bridge:
        return ["merge", "drops_talking", "third_hangs_up"] if pbx.client in pbx.inside else ["consult"]
    if pbx.thirds and pbx.thirds[-1] not in pbx.inside:
        return ["private", "drops_ringing", "busy"]
    return ["code", "rings", "back"]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), way=st.sampled_from(sorted(WAYS)), loss=st.floats(0, 0.4), cut=st.booleans())
def test_any_way_through_the_conference(data: st.DataObject, way: str, loss: float, cut: bool) -> None:
    """One call, ended once, nobody talking or ringing afterwards; also when events are lost (hangups are not)."""
    pbx = WAYS[way]()
    for _ in range(data.draw(st.integers(1, 9))):
        match data.draw(st.sampled_from(steps_of(pbx))):
            case "busy":
                pbx.fails("BUSY", "busy", 17)
            case step:
                getattr(pbx, step)()
    if data.draw(st.booleans()):
        pbx.goes(pbx.manager, "manager")
    pbx.everybody_else_goes()
    chance = data.draw(st.randoms(use_true_random=False))
    events = [e for e in pbx.events if e.name == "Hangup" or not cut or chance.random() > loss]
    tracker = Tracker("pbx", Numbering())
    facts: list[Fact] = [fact for event in events for fact in tracker.feed(event)]
    facts += tracker.resync(Snapshot(pbx.at + 5, (), {}, {}))
    assert tracker.live() == []
    for call in {fact.call for fact in facts}:
        names = kinds(fact for fact in facts if fact.call == call)
        assert (names[0], names[-1], names.count("CallEnded")) == ("CallStarted", "CallEnded", 1)
    if not cut:
        assert len({fact.call for fact in facts}) == 1
        [record] = [fact.record for fact in facts if isinstance(fact, CallEnded)]
        assert (record.talkers, record.client) == ((PORTAL,), CLIENT_E164)


def test_what_is_needed_is_wanted() -> None:
    pbx = whole("incoming")
    names = {event.name for event in pbx.events} - {"Newexten", "BridgeDestroy"}
    assert names <= WANTED
    assert {"_PEREZVON_ROOM", "__PEREZVON_ROOM", "PEREZVON_LINE"} <= WANTED_VARIABLES
    live = [e for e in pbx.events if e.name in WANTED and (e.name != "VarSet" or e["variable"] in WANTED_VARIABLES)]
    assert calls_of(live) == calls_of(pbx)


def test_a_user_event_of_somebody_else() -> None:
    pbx = Conference().incoming_talk()
    pbx.send("UserEvent", **told(pbx.client), userevent="Survey", step="joined", room="x", role="third")
    pbx.hangup(pbx.manager, pbx.client)
    call = the_call(pbx)
    assert call.third_parties == ()
    assert UP == 6
