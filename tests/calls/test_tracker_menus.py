"""The voice menu: the way through it is told once, whole, and in order, whatever of it was not seen."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from ami_script import facts_of, kinds
from conference_calls import the_call
from conference_script import CLIENT, CLIENT_E164, DID, PORTAL, THIRD, THIRD_E164, Conference
from hypothesis import given
from hypothesis import strategies as st
from pbx_model import snapshot_after

from perezvon.calls import Event, Fact, InMenu, MenuChosen, MenuStep, Numbering, Tracker
from perezvon.calls.call import Direction, Outcome


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
