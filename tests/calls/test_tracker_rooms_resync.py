"""Conferences that are found by a dump of the PBX: after a restart, with and without what was remembered."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from ami_script import calls_of, kinds
from call_stories import TOLD
from conference_calls import NUMBERINGS, WAYS, all_numberings, both_ways
from conference_script import CLIENT_E164, FOURTH, PORTAL, THIRD_E164, Conference
from pbx_model import PbxModel, snapshot_after
from test_tracker_recordings import events_of, wanted

from perezvon.calls import CallEnded, CallStarted, Held, Numbering, Ringing, Tracker
from perezvon.calls.call import Direction

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
