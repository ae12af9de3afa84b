"""Whatever comes, the tracker neither raises nor keeps a call whose channels have hung up, nor grows."""

from __future__ import annotations

import json
import random
import time

import pytest
from ami_script import Chan, Script, kinds
from call_stories import TOLD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_tracker_recordings import events_of

from perezvon.calls import CallEnded, Event, Numbering, Snapshot, Tracker
from perezvon.calls.facts import Fact
from perezvon.calls.tracker import HANDLERS
from perezvon.calls.wanted import TRACKED

NUMBERING = Numbering()
SOME = [
    "queue_ringall",
    "attended_by_replaces",
    "blonde_by_code",
    "pickup_group",
    "follow_me",
    "click_to_call_local",
    "hold",
]

RARE = [
    "",
    "<unknown>",
    "s",
    "101",
    "79161234567",
    "Local/101@x-1;1",
    "Local/101@x-1;2",
    "PJSIP/101-1",
    "PJSIP/m-1",
    "/",
    ";",
]
NAMES = st.sampled_from([*RARE, "SIP/<MASQ>", "PJSIP/101-1<ZOMBIE>", "AsyncGoto/SIP/x-1", "CBAnn/r-1;2", "\x00", "Ж" * 40])
HEADERS = st.sampled_from(
    [
        "channel",
        "uniqueid",
        "linkedid",
        "channelstate",
        "calleridnum",
        "exten",
        "context",
        "variable.PEREZVON_ROOM",
        "destchannel",
        "destuniqueid",
        "destlinkedid",
        "destchannelstate",
        "dialstring",
        "dialstatus",
        "forward",
        "bridgeuniqueid",
        "bridgetechnology",
        "cause",
        "newname",
        "digit",
        "variable",
        "value",
        "application",
        "appdata",
        "extension",
        "result",
        "desttype",
        "queue",
        "transfererchannel",
        "transfereruniqueid",
        "transfereechannel",
        "transfereeuniqueid",
        "origtransfererchannel",
        "origtransfereruniqueid",
        "secondtransfererchannel",
        "secondtransfereruniqueid",
        "targetchannel",
        "targetuniqueid",
        "localonechannel",
        "localoneuniqueid",
        "localtwochannel",
        "localtwouniqueid",
        "userevent",
        "step",
        "role",
        "room",
        "key",
        "conference",
    ]
)
UIDS = st.sampled_from(["1.1", "1.2", "1.3", "1.4", "1.5", ""])
VALUES = st.one_of(
    NAMES,
    UIDS,
    st.sampled_from(["0", "4", "5", "6", "99", "-1", "³", "ANSWER", "CANCEL", "Success", "App", "Bridge", "b1", "b2"]),
    st.sampled_from(["PerezvonRoom", "PerezvonMenu", "joined", "code", "over", "client", "manager", "third", "900"]),
    st.sampled_from(["perezvon-out", "perezvon-room-client", "perezvon-room-manager", "perezvon-room-third"]),
    st.sampled_from(
        [
            "MIXMONITOR_FILENAME",
            "PEREZVON_ROOM",
            "FROM_DID",
            "Read",
            "X,menu",
            "Queue",
            "holding_bridge",
            "1",
            "79160000009@m",
        ]
    ),
    st.text(max_size=8),
)


@st.composite
def nonsense(draw: st.DrawFn) -> Event:
    headers = draw(st.dictionaries(HEADERS, VALUES, max_size=14))
    for key in list(headers):
        if key.endswith("uniqueid") and key != "bridgeuniqueid":
            headers[key] = draw(UIDS)
    name = draw(st.sampled_from([*HANDLERS, "Unheard", ""]))
    return Event(
        name, draw(st.floats(0, 9e10, allow_nan=False)), headers, draw(st.dictionaries(VALUES, VALUES, max_size=1))
    )


def hang_up_all(tracker: Tracker, uids: list[str], at: float = 9.5e10) -> list[Fact]:
    facts: list[Fact] = []
    for uid in uids:
        facts += tracker.feed(Event("Hangup", at, {"uniqueid": uid, "cause": "16"}))
    return facts


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(nonsense(), max_size=40))
def test_nonsense(events: list[Event]) -> None:
    tracker = Tracker("pbx", NUMBERING)
    for event in events:
        tracker.feed(event)
        for call in tracker.live():
            json.dumps(call.as_json())
            json.dumps(tracker.export(call.id))
    json.dumps(tracker.export_loose())
    hang_up_all(tracker, ["1.1", "1.2", "1.3", "1.4", "1.5"])
    assert tracker.live() == []


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(story=st.sampled_from(SOME), seed=st.integers(0, 2**32), loss=st.floats(0, 0.5), doubling=st.floats(0, 0.5))
def test_lost_doubled_and_shuffled_events(story: str, seed: int, loss: float, doubling: float) -> None:
    """A real call's events in any order, some lost, some twice; only hangups are never lost."""
    chance = random.Random(seed)
    events = [event for event in events_of(TOLD[story]) if event.name == "Hangup" or chance.random() > loss]
    events += [event for event in events if chance.random() < doubling]
    if chance.random() < 0.5:
        chance.shuffle(events)
    tracker = Tracker("pbx", NUMBERING)
    facts: list[Fact] = []
    for event in events:
        facts += tracker.feed(event)
    assert tracker.live() == []
    for call in {fact.call for fact in facts}:
        names = kinds(fact for fact in facts if fact.call == call)
        assert names[0] == "CallStarted"
        assert names[-1] == "CallEnded"
        assert names.count("CallEnded") == 1


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(nonsense(), max_size=20), st.lists(st.dictionaries(HEADERS, VALUES, max_size=8), max_size=6), st.booleans())
def test_nonsense_in_a_dump(events: list[Event], entries: list[dict[str, str]], restarted: bool) -> None:
    tracker = Tracker("pbx", NUMBERING)
    for event in events:
        tracker.feed(event)
    snapshot = Snapshot(9.2e10, tuple(entries), {"b1": ("PJSIP/101-1", "")}, {"q": ("PJSIP/m-1",)}, restarted)
    tracker.resync(snapshot)
    if not restarted:
        assert tracker.resync(snapshot) == []
    facts = tracker.resync(Snapshot(9.3e10, (), {}, {}))
    assert tracker.live() == []
    assert all(isinstance(fact, CallEnded) or fact.at <= 9.3e10 for fact in facts)


def one_call(pbx: Script, number: int) -> None:
    client = pbx.incoming(f"PJSIP/multifon-{number:08x}", f"7916{number:07}", "74951234567")
    out = pbx.dial_local(client, "101", "hop")
    assert out.twin is not None
    phone: Chan = pbx.dial(out.twin, f"PJSIP/101-{number:08x}", "101")
    pbx.answer(phone)
    pbx.talk(phone, out.twin)
    pbx.answer(out)
    pbx.talk(out, client)
    pbx.hangup(client, out, out.twin, phone)


@pytest.mark.slow
@pytest.mark.parametrize("forgetful", [False, True], ids=["whole", "every tenth hangup is told twice and late"])
def test_nothing_is_kept_of_calls_that_are_over(forgetful: bool) -> None:
    tracker = Tracker("pbx", NUMBERING)
    late: list[Event] = []
    for number in range(1_500):
        pbx = Script(at=1_700_000_000.0 + number * 10, number=number * 10)
        one_call(pbx, number)
        for event in pbx.events:
            tracker.feed(event)
            if forgetful and event.name in {"Hangup", "BridgeLeave", "Newstate"} and number % 10 == 0:
                late.append(event)
        for event in late[:50]:
            tracker.feed(event)
        late.clear()
    loose = tracker.export_loose()
    assert tracker.live() == []
    assert loose["waiting"] == []
    assert loose["channels"] == []
    assert len(json.dumps(loose)) < 20_000


def test_a_crowd_in_one_room_costs_no_square() -> None:
    """Five hundred clients in a conference: each has his call, and none takes longer because of the others."""
    pbx = Script()
    clients = [pbx.incoming(f"PJSIP/multifon-{n:08x}", f"7916{n:07}", "74951234567") for n in range(500)]
    room = pbx.talk(clients[0], technology="softmix")
    for client in clients[1:]:
        pbx.enter(client, room, "softmix")
    pbx.hangup(*clients)
    tracker = Tracker("pbx", NUMBERING)
    begin = time.process_time()
    ended = [fact for event in pbx.events for fact in tracker.feed(event) if isinstance(fact, CallEnded)]
    assert len(ended) == 500
    assert time.process_time() - begin < 20


def test_exactly_what_is_handled_is_wanted() -> None:
    assert set(HANDLERS) - {"Newexten"} == TRACKED


def test_a_hangup_before_its_channel() -> None:
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", "79161234567", "74951234567")
    pbx.hangup(client)
    tracker = Tracker("pbx", NUMBERING)
    facts = [fact for event in reversed(pbx.events) for fact in tracker.feed(event)]
    assert facts == []
    assert tracker.export_loose()["channels"] == []


def test_all_recordings_at_once() -> None:
    """Several calls in one stream do not disturb one another."""
    alone: dict[str, dict[str, object]] = {}
    everything: list[Event] = []
    for story in TOLD.values():
        if story.name.startswith("click"):
            continue  # they share their ids
        events = events_of(story)
        tracker = Tracker("pbx", NUMBERING)
        for event in events:
            for fact in tracker.feed(event):
                if isinstance(fact, CallEnded):
                    alone[f"{story.name} {fact.call}"] = fact.record.as_json()
        first = events[0].at
        everything += [Event(e.name, e.at - first, own(story.name, e.headers), e.variables) for e in events]
    everything.sort(key=lambda event: event.at)
    tracker = Tracker("pbx", NUMBERING)
    together: dict[str, dict[str, object]] = {}
    for event in everything:
        for fact in tracker.feed(event):
            if isinstance(fact, CallEnded):
                name, _, uid = fact.call.removeprefix("pbx-").partition("|")
                together[f"{name} pbx-{uid}"] = fact.record.as_json()
    assert set(together) == set(alone)
    for key in ("direction", "client", "outcome", "rung", "talkers", "last_talker", "transfers", "queue", "menu"):
        assert {name: one[key] for name, one in together.items()} == {name: one[key] for name, one in alone.items()}


def own(story: str, headers: object) -> dict[str, str]:
    """The same headers, of a PBX on which this story's channels and bridges are like no other's."""
    assert isinstance(headers, dict)
    found: dict[str, str] = {}
    for key, value in headers.items():
        if value and (key.endswith(("uniqueid", "linkedid"))):
            found[key] = f"{story}|{value}"
        elif value and key.endswith("channel") and "/" in value:
            body, semicolon, half = value.partition(";")
            found[key] = f"{body}{abs(hash(story)) % 10**8}{semicolon}{half}"
        else:
            found[key] = value
    return found
