"""The state that the journal keeps: a tracker that gets it back goes on as if nothing had happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ami_script import Script
from call_story import MOBILE, Story
from pbx_model import PbxModel
from test_tracker_recordings import RECORDINGS, STORY_PARAMS, events_of, wanted

from perezvon.calls import CallEnded, CallStarted, Event, ExpectedCall, Fact, Numbering, Tracker
from perezvon.calls.recorded import read_recording
from perezvon.calls.state import StateError

NUMBERING = Numbering()
SMALL = 10_000
SAME = ("direction", "client", "outcome", "rung", "talkers", "last_talker", "transfers", "picked_up_by", "queue", "menu")


def gist(record: dict[str, Any]) -> dict[str, Any]:
    """What a dump can bring back. Why a dial failed while nobody looked on is not in it, nor in which order phones rang, nor
    that an answered phone had not rung but picked the call up."""
    found = {key: record[key] for key in SAME}
    found["rung"] = sorted(found["rung"]) if not found["picked_up_by"] else []
    if found["outcome"] != "answered":
        found["outcome"] = "missed" if found["outcome"] == "missed" else "not answered"
    return found


def stored(state: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(state)
    assert len(text) < SMALL
    return json.loads(text)


def fresh(event: Event, tracker: Tracker) -> list[Fact]:
    uid = event["uniqueid"]
    if event.name == "Newchannel" and uid.startswith("click-") and not uid.endswith(";2"):
        tracker.expect(ExpectedCall(event.at, uid, "101", MOBILE))
    return tracker.feed(event)


def cut_everywhere(events: list[Event], step: int) -> None:
    whole = Tracker("pbx", NUMBERING)
    told: list[list[Fact]] = []
    states: list[list[dict[str, Any]]] = []
    for event in events:
        told.append(fresh(event, whole))
        states.append([whole.export(call.id) for call in whole.live()] + [whole.export_loose()])
    for cut in range(0, len(events), step):
        tracker = Tracker("pbx", NUMBERING)
        tracker.restore([stored(state) for state in states[cut]])
        rest = [fresh(event, tracker) for event in events[cut + 1 :]]
        assert rest == told[cut + 1 :], f"cut after event {cut}: {events[cut].name}"


@pytest.mark.parametrize("story", STORY_PARAMS)
def test_goes_on_after_any_event(story: Story) -> None:
    cut_everywhere(wanted(events_of(story)), step=2)


@pytest.mark.parametrize("name", ["atxfer", "pickup", "q", "fwd", "lo"])
def test_goes_on_after_any_event_of_the_recordings(name: str, corpora: Path) -> None:
    cut_everywhere(read_recording(corpora / "asterisk22" / f"{name}.json"), step=2)


def restarted_everywhere(events: list[Event], step: int) -> None:
    """We are killed after any event, and come back at once: only what was kept with the facts is there, and a dump of the PBX."""
    whole = Tracker("pbx", NUMBERING)
    model = PbxModel()
    kept: dict[str, dict[str, Any]] = {}
    ended: dict[str, dict[str, Any]] = {}
    moments: list[tuple[dict[str, dict[str, Any]], Any]] = []
    for event in events:
        facts = fresh(event, whole)
        model.feed(event)
        for fact in facts:
            if isinstance(fact, CallEnded):
                kept.pop(fact.call, None)
                if not fact.record.absorbed_into:
                    ended[fact.call] = fact.record.as_json()
        for call in {fact.call for fact in facts} & {call.id for call in whole.live()}:
            kept[call] = whole.export(call)
        moments.append((dict(kept), model.snapshot(event.at)))
    for cut in range(0, len(events), step):
        tracker = Tracker("pbx", NUMBERING)
        states, snapshot = moments[cut]
        tracker.restore([stored(state) for state in states.values()])
        facts = tracker.resync(snapshot)
        assert tracker.resync(snapshot) == [], "a second dump tells nothing new"
        for event in events[cut + 1 :]:
            facts += fresh(event, tracker)
        assert tracker.live() == []
        begun = set(states) | {fact.call for fact in facts if isinstance(fact, CallStarted)}
        for fact in facts:
            if isinstance(fact, CallEnded) and fact.call in states and fact.call in ended:
                assert gist(fact.record.as_json()) == gist(ended[fact.call]), f"cut after {cut}"
        assert {fact.call for fact in facts if isinstance(fact, CallEnded)} == begun


@pytest.mark.parametrize("story", STORY_PARAMS)
def test_goes_on_after_a_kill_with_a_dump(story: Story) -> None:
    restarted_everywhere(events_of(story), step=2)


def test_the_state_of_an_endless_queue_call_stays_small() -> None:
    """Twenty agents are rung forty times."""
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", "79161234567", "74951234567")
    tracker = Tracker("pbx", NUMBERING)
    for _ in range(40):
        phones = [pbx.dial(client, f"PJSIP/{n}-{pbx.number:08x}", str(n)) for n in range(101, 121)]
        pbx.ringing(*phones)
        for phone in phones:
            pbx.end(phone, "NOANSWER")
        pbx.hangup(*phones)
    for event in pbx.events:
        tracker.feed(event)
    (call,) = tracker.live()
    assert len(json.dumps(tracker.export(call.id))) < SMALL
    assert call.rung == tuple(str(n) for n in range(101, 121))


def test_a_foreign_state_is_refused() -> None:
    tracker = Tracker("pbx", NUMBERING)
    with pytest.raises(StateError, match="version 99"):
        tracker.restore([{"version": 99}])
    with pytest.raises(StateError, match="cannot be read"):
        tracker.restore([{"version": 1, "call": {"legs": 3}, "channels": []}])


def test_an_unknown_call_cannot_be_exported() -> None:
    with pytest.raises(KeyError):
        Tracker("pbx", NUMBERING).export("nothing")


def test_recordings_are_where_the_stories_say() -> None:
    assert RECORDINGS.is_dir()
