"""The conference: whatever the manager does, it is one call, he is its talker, and nobody is lost or doubled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from ami_script import UP, Script, calls_of, facts_of, kinds, told
from call_stories import TOLD
from conference_script import (
    CLIENT,
    CLIENT_E164,
    DID,
    FOURTH,
    FOURTH_E164,
    PORTAL,
    THIRD,
    THIRD_E164,
    Conference,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pbx_model import PbxModel, snapshot_after
from test_tracker_recordings import events_of, wanted

from perezvon.calls import (
    Answered,
    CallEnded,
    CallStarted,
    Event,
    Fact,
    Held,
    InMenu,
    JoinedConference,
    LeftTalk,
    MenuChosen,
    MenuStep,
    Numbering,
    Ringing,
    Snapshot,
    ThirdParty,
    ThirdStep,
    Tracker,
)
from perezvon.calls.call import Call, Direction, Leg, LegOutcome, Outcome, Party
from perezvon.calls.wanted import WANTED, WANTED_VARIABLES

NUMBERINGS = {
    "nothing told": Numbering(),
    "trunks and lines told": Numbering(trunks=frozenset({"carrier", PORTAL}), lines=frozenset({"+74951234567"})),
    "the portal told": Numbering(portals=frozenset({PORTAL})),
}
WAYS: dict[str, Callable[[], Conference]] = {
    "incoming": lambda: Conference().incoming_talk(),
    "outgoing": lambda: Conference().outgoing_talk(),
}
both_ways = pytest.mark.parametrize("way", WAYS)
all_numberings = pytest.mark.parametrize("numbering", NUMBERINGS)


def the_call(pbx: Script, numbering: Numbering | None = None) -> Call:
    [call] = calls_of(pbx, numbering)
    return call


def thirds(call: Call) -> list[Leg]:
    return [leg for leg in call.legs if leg.party is Party.THIRD_PARTY]


def held(pbx: Script) -> list[bool]:
    return [fact.on for fact in facts_of(pbx) if isinstance(fact, Held)]


def whole(way: str) -> Conference:
    pbx = WAYS[way]()
    pbx.consult()
    pbx.code()
    pbx.rings()
    pbx.private()
    pbx.merge()
    pbx.end_by_client()
    return pbx


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


# ---- the voice menu


def menu_call(*, answered_by_script: bool = True) -> Conference:
    pbx = Conference()
    pbx.client = pbx.incoming("PJSIP/carrier-00000001", CLIENT, DID, context="perezvon-in")
    if answered_by_script:
        pbx.up(pbx.client)
    pbx.menu(pbx.client, "began")
    pbx.wait(0.2)
    return pbx


def test_a_key_of_the_menu_counts_once() -> None:
    pbx = menu_call()
    pbx.key(pbx.client, "2")
    pbx.menu(pbx.client, "key", key="2", to="101")
    pbx.hangup(pbx.client)
    assert [fact.key for fact in facts_of(pbx) if isinstance(fact, MenuChosen)] == ["2"]
    assert the_call(pbx).menu == ("2",)


def test_a_key_counts_once_when_the_beginning_was_missed() -> None:
    pbx = menu_call()
    del pbx.events[-1]
    pbx.key(pbx.client, "1")
    pbx.key(pbx.client, "2")
    pbx.menu(pbx.client, "key", key="12", to="101")
    pbx.hangup(pbx.client)
    assert "".join(the_call(pbx).menu) == "12"


def test_keys_of_several_digits_and_wrong_ones_are_kept() -> None:
    pbx = menu_call()
    for digit in "9", "1", "2":
        pbx.key(pbx.client, digit)
    pbx.menu(pbx.client, "wrong", key="9")
    pbx.menu(pbx.client, "key", key="12", to="101")
    pbx.menu(pbx.client, "key", key="x, Event: Hangup")
    pbx.hangup(pbx.client)
    assert the_call(pbx).menu == ("9", "12")


def test_a_caller_in_the_menu_is_told_of_at_once() -> None:
    pbx = menu_call()
    assert kinds(facts_of(pbx)) == ["CallStarted", "InMenu"]


def test_the_way_through_the_menu_is_told() -> None:
    pbx = menu_call()
    pbx.menu(pbx.client, "wrong", key="9", heard="intro 1")
    pbx.menu(pbx.client, "key", key="1", to=THIRD, heard="1 2")
    pbx.menu(pbx.client, "rings", to=THIRD)
    pbx.menu(pbx.client, "over", to=THIRD, result="NOANSWER")
    pbx.menu(pbx.client, "no step of ours")
    pbx.hangup(pbx.client)
    told = [fact for fact in facts_of(pbx) if isinstance(fact, InMenu)]
    assert [(fact.step, fact.key, fact.to, fact.heard, fact.result) for fact in told] == [
        (MenuStep.BEGAN, "", "", (), ""),
        (MenuStep.WRONG, "9", "", ("intro", "1"), ""),
        (MenuStep.KEY, "1", THIRD_E164, ("1", "2"), ""),
        (MenuStep.RINGS, "", THIRD_E164, (), ""),
        (MenuStep.OVER, "", THIRD_E164, (), "NOANSWER"),
    ]


STEPS: list[dict[str, str]] = [
    {"step": "began"},
    {"step": "wrong", "key": "9", "heard": " intro 1"},
    {"step": "key", "key": "1", "to": THIRD, "heard": " 1 2"},
    {"step": "over", "to": THIRD, "result": "NOANSWER"},
]
WHOLE = [
    (MenuStep.BEGAN, "", "", (), ""),
    (MenuStep.WRONG, "9", "", ("intro", "1"), ""),
    (MenuStep.KEY, "1", THIRD_E164, ("1", "2"), ""),
    (MenuStep.RINGS, "", THIRD_E164, (), ""),
    (MenuStep.OVER, "", THIRD_E164, (), "NOANSWER"),
]


def played_menu() -> tuple[Conference, list[Event]]:
    """With the keys as AMI tells of them; and the menu's own events."""
    pbx = Conference()
    pbx.client = pbx.incoming("PJSIP/carrier-00000001", CLIENT, DID, context="perezvon-in")
    pbx.up(pbx.client)
    for step in STEPS:
        if "key" in step:
            pbx.wait(1.5)
            pbx.key(pbx.client, step["key"])
        pbx.menu_plays(**step)
    return pbx, [event for event in pbx.events if event.name == "UserEvent"]


def way_of(facts: Iterable[Fact]) -> list[tuple[MenuStep, str, str, tuple[str, ...], str]]:
    told = [fact for fact in facts if isinstance(fact, InMenu)]
    seconds = [int(fact.at) for fact in told]  # so the story tells them
    assert seconds == sorted(seconds)
    return [(fact.step, fact.key, fact.to, fact.heard, fact.result) for fact in told]


@pytest.mark.parametrize("lost", range(8))
def test_steps_that_nobody_has_seen_are_told_by_the_next(lost: int) -> None:
    """`lost`: bit by bit, which of the menu's events but the last."""
    pbx, told = played_menu()
    gone = [event for place, event in enumerate(told) if lost >> place & 1]
    pbx.events = [event for event in pbx.events if event not in gone]
    pbx.hangup(pbx.client)
    assert way_of(facts_of(pbx)) == WHOLE
    assert "".join(the_call(pbx).menu) == "91"


@pytest.mark.parametrize("seen", range(len(STEPS) + 1))
def test_steps_that_nobody_has_seen_are_told_by_the_dump(seen: int) -> None:
    """The service was away after so many of them; what came while the PBX was dumped is not told twice."""
    pbx, told = played_menu()
    missed = pbx.events.index(told[seen]) if seen < len(told) else len(pbx.events)
    before = Tracker("pbx", Numbering())
    facts = [fact for event in pbx.events[:missed] for fact in before.feed(event)]
    tracker = Tracker("pbx", Numbering())
    tracker.restore(json.loads(json.dumps([before.export(call.id) for call in before.live()])))
    facts += tracker.resync(snapshot_after(pbx.events))
    facts += [fact for event in pbx.events[missed:] if event.name == "UserEvent" for fact in tracker.feed(event)]
    assert way_of(facts) == WHOLE
    assert [fact.key for fact in facts if isinstance(fact, MenuChosen)] == ["9", "1"]


@pytest.mark.parametrize(("exten", "expected"), [("2", [MenuStep.KEY, MenuStep.RINGS]), ("typed", [MenuStep.RINGS])])
def test_whom_a_key_rang_is_known_from_the_channel_event_log(exten: str, expected: list[MenuStep]) -> None:
    """Which the service reads when all was over before it came back."""
    pbx = Conference()
    pbx.client = pbx.incoming("PJSIP/carrier-00000001", CLIENT, DID, context="perezvon-in")
    pbx.up(pbx.client)
    pbx.menu_plays("began")
    for _ in range(2):
        pbx.exten(pbx.client, "Dial", f"PJSIP/{THIRD}@carrier,20,rg", context="perezvon-menu-keys", exten=exten)
    pbx.hangup(pbx.client)
    key = exten if exten == "2" else ""
    assert [(one[0], one[1], one[2]) for one in way_of(facts_of(pbx))[1:]] == [
        (step, key if step is MenuStep.KEY else "", THIRD_E164) for step in expected
    ]
    assert the_call(pbx).menu == ((key,) if key else ())


def test_a_second_visit_of_the_menu_has_a_story_of_its_own() -> None:
    pbx, _ = played_menu()
    pbx.story = ""
    pbx.wait(5)
    for step in STEPS:
        pbx.menu_plays(**step)
    pbx.hangup(pbx.client)
    assert way_of(facts_of(pbx)) == WHOLE * 2


@given(st.text("|:0123456789abkey.", max_size=60))
def test_a_story_that_is_none_does_no_harm(story: str) -> None:
    pbx = menu_call()
    pbx.menu(pbx.client, "key", key="1", story=story)
    pbx.hangup(pbx.client)
    assert kinds(facts_of(pbx))[-1] == "CallEnded"


def test_the_menu_leads_to_an_outside_number() -> None:
    """Incoming, answered by that number; nobody calls out, nobody forwards an extension."""
    pbx = menu_call()
    pbx.menu(pbx.client, "key", key="1", to=THIRD)
    pbx.menu(pbx.client, "rings", to=THIRD)
    outside = pbx.dial(pbx.client, "PJSIP/carrier-00000005", f"{THIRD}@carrier", number=THIRD)
    pbx.answer(outside)
    pbx.talk(outside, pbx.client)
    pbx.wait(9)
    pbx.hangup(pbx.client, outside)
    call = the_call(pbx)
    assert (call.direction, call.client, call.outcome) == (Direction.INCOMING, CLIENT_E164, Outcome.ANSWERED)
    assert (call.talkers, call.forwarded_to, call.menu) == ((THIRD_E164,), THIRD_E164, ("1",))


def test_then_to_bitrix24() -> None:
    pbx = menu_call()
    pbx.menu(pbx.client, "rings", to=THIRD)
    outside = pbx.dial(pbx.client, "PJSIP/carrier-00000005", f"{THIRD}@carrier", number=THIRD)
    pbx.wait(20)
    pbx.end(outside, "NOANSWER")
    pbx.hangup(outside, cause=19)
    pbx.menu(pbx.client, "over", result="NOANSWER")
    portal = pbx.dial(pbx.client, f"PJSIP/{PORTAL}-00000006", f"{DID}@{PORTAL}", number=DID)
    pbx.answer(portal)
    pbx.talk(portal, pbx.client)
    pbx.wait(3)
    pbx.hangup(pbx.client, portal)
    call = the_call(pbx)
    assert (call.rung, call.talkers, call.last_talker) == ((THIRD_E164, PORTAL), (PORTAL,), PORTAL)


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


# ---- starting in the middle


STATES: dict[str, Callable[[Conference], None]] = {
    "code": lambda pbx: None,
    "rings": lambda pbx: ignore(pbx.rings()),
    "private": lambda pbx: ignore(pbx.rings(), pbx.private()),
    "room": lambda pbx: ignore(pbx.rings(), pbx.private(), pbx.merge()),
}


def ignore(*_: object) -> None: ...


def in_state(way: str, state: str) -> Conference:
    pbx = WAYS[way]()
    pbx.consult()
    STATES[state](pbx)
    return pbx


@both_ways
@all_numberings
@pytest.mark.parametrize("state", STATES)
def test_resync_without_any_memory(way: str, state: str, numbering: str) -> None:
    pbx = in_state(way, state)
    snapshot = snapshot_after(pbx.events)
    tracker = Tracker("pbx", NUMBERINGS[numbering])
    facts = tracker.resync(snapshot)
    assert [fact.direction for fact in facts if isinstance(fact, CallStarted)] == [Direction(way)]
    assert tracker.resync(snapshot) == []
    [call] = tracker.live()
    assert (call.client, call.talkers, call.last_talker) == (CLIENT_E164, (PORTAL,), PORTAL)
    assert call.third_parties == ((THIRD_E164,) if state in {"private", "room"} else ())
    assert [fact.on for fact in facts if isinstance(fact, Held)] == ([] if state == "room" else [True])
    assert {fact.extension for fact in facts if isinstance(fact, Ringing)} <= {PORTAL}
    seen = len(pbx.events)
    if state == "private":
        pbx.merge()
    pbx.end_by_client()
    facts += [fact for event in pbx.events[seen:] for fact in tracker.feed(event)]
    assert kinds(facts).count("CallStarted") == 1
    assert kinds(facts)[-1] == "CallEnded"
    assert tracker.live() == []


@both_ways
@pytest.mark.parametrize("state", STATES)
def test_restart_in_the_middle(way: str, state: str) -> None:
    """With the state that was kept nothing is told twice."""
    pbx = in_state(way, state)
    before = Tracker("pbx", Numbering())
    for event in pbx.events:
        before.feed(event)
    [call] = before.live()
    kept = json.loads(json.dumps(before.export(call.id)))
    snapshot = snapshot_after(pbx.events)
    assert before.resync(snapshot) == []
    after = Tracker("pbx", Numbering())
    after.restore([kept])
    assert after.resync(snapshot) == []
    assert after.live() == [call]
    seen = len(pbx.events)
    pbx.end_by_client()
    ends = [[fact for event in pbx.events[seen:] for fact in tracker.feed(event)] for tracker in (before, after)]
    assert ends[0] == ends[1]


@both_ways
def test_whoever_talks_on_without_the_client_is_no_call_after_a_restart(way: str) -> None:
    pbx = in_state(way, "room")
    pbx.goes(pbx.client, "client")
    tracker = Tracker("pbx", Numbering())
    assert tracker.resync(snapshot_after(pbx.events)) == []
    seen = len(pbx.events)
    pbx.consult()
    pbx.rings(FOURTH)
    pbx.private()
    pbx.everybody_else_goes()
    assert [fact for event in pbx.events[seen:] for fact in tracker.feed(event)] == []
    assert tracker.export_loose()["channels"] == []


@pytest.mark.parametrize("name", [name for name in TOLD if name.startswith("conference_")])
def test_found_at_any_moment_of_a_real_conference(name: str) -> None:
    """By a tracker that has never heard of it, with nothing but a dump of the PBX."""
    events = wanted(events_of(TOLD[name]))
    [whole] = calls_of(events)
    model = PbxModel()
    for cut, event in enumerate(events):
        model.feed(event)
        snapshot = model.snapshot(event.at)
        if not {"perezvon-room-client", "perezvon-callback"} & {channel["context"] for channel in snapshot.channels}:
            continue
        tracker = Tracker("pbx", Numbering())
        facts = tracker.resync(snapshot)
        assert tracker.resync(snapshot) == []
        for later in events[cut + 1 :]:
            facts += tracker.feed(later)
        assert tracker.live() == []
        ended = [fact.record for fact in facts if isinstance(fact, CallEnded) and not fact.record.absorbed_into]
        assert [(call.direction, call.client) for call in ended] == [(whole.direction, whole.client)], f"after {cut}"


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
