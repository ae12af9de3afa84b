"""Recordings of the sandbox's real Asterisk, replayed: each must give the record that its story tells, with the talk as long
as the other end of the wire has measured it. `record.py` makes them anew."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from call_stories import TOLD
from call_story import MOBILE, Story

from perezvon.calls import CallEnded, Event, ExpectedCall, Numbering, Tracker
from perezvon.calls.call import Call
from perezvon.calls.recorded import read_recording
from perezvon.calls.wanted import WANTED, WANTED_VARIABLES

RECORDINGS = Path(__file__).parent / "recordings"
TRUTHS: dict[str, dict[str, float] | None] = json.loads((RECORDINGS / "truth.json").read_text())
STORY_PARAMS = [pytest.param(story, id=story.name) for story in TOLD.values()]
NUMBERINGS = {
    "nothing told": Numbering(),
    "trunks and lines told": Numbering(trunks=frozenset({"carrier", "bitrix24"}), lines=frozenset({"+74951234567"})),
}


def events_of(story: Story) -> list[Event]:
    return read_recording(RECORDINGS / f"{story.name}.ami.gz")


def wanted(events: Iterable[Event]) -> list[Event]:
    """What a live connection lets through."""
    return [
        event
        for event in events
        if event.name in WANTED and (event.name != "VarSet" or event["variable"] in WANTED_VARIABLES)
    ]


def played(events: Iterable[Event], numbering: Numbering) -> list[Call]:
    tracker = Tracker("pbx", numbering)
    calls: list[Call] = []
    for event in events:
        uid = event["uniqueid"]
        if event.name == "Newchannel" and uid.startswith("click-") and not uid.endswith(";2"):
            tracker.expect(ExpectedCall(event.at, uid, "101", MOBILE))
        calls += [fact.record for fact in tracker.feed(event) if isinstance(fact, CallEnded)]
    assert tracker.live() == []
    return sorted((call for call in calls if not call.absorbed_into), key=lambda call: call.started)


def seen(call: Call, expected: dict[str, Any]) -> dict[str, Any]:
    record = call.as_json()
    record["recordings"] = len(record["recordings"])
    found = {key: record[key] for key in expected}
    for key, wanted_value in expected.items():
        if isinstance(wanted_value, set):
            found[key] = set(found[key]) if key == "rung" else wanted_value if found[key] in wanted_value else found[key]
    return found


@pytest.mark.parametrize("numbering", [pytest.param(value, id=name) for name, value in NUMBERINGS.items()])
@pytest.mark.parametrize("story", STORY_PARAMS)
def test_story(story: Story, numbering: Numbering) -> None:
    events = events_of(story)
    calls = played(events, numbering)
    assert [seen(call, one) for call, one in zip(calls, story.expected, strict=True)] == list(story.expected)
    truth = TRUTHS[story.name]
    if truth is not None:
        assert calls[0].duration == pytest.approx(truth["duration"], abs=0.1)
    assert played(wanted(events), numbering) == calls


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("forwarded_by_pbx", "101"),
        ("forwarded_by_phone_to_mobile", "101"),
        ("follow_me", "102"),
        ("group_then_mobile", ""),
        ("incoming_answered", ""),
    ],
)
def test_in_whose_place_a_mobile_is_rung(name: str, extension: str) -> None:
    [call] = played(wanted(events_of(TOLD[name])), Numbering())
    assert call.forwarded_by == extension


def test_nothing_is_left_behind() -> None:
    """No story is without its recording, and no recording without its story."""
    assert {path.name.removesuffix(".ami.gz") for path in RECORDINGS.glob("*.ami.gz")} == set(TOLD)
