"""The recorded stories again, as another PBX or another day would have told them: of an hour-long talk, with chan_sip's names.
What comes out must be the same call."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import pytest
from call_stories import TOLD
from call_story import MOBILE, Story
from test_tracker_recordings import RECORDINGS, events_of, seen

from perezvon.calls import Answered, CallEnded, Event, ExpectedCall, Fact, Numbering, Tracker
from perezvon.calls.call import Call, Leg, Outcome
from perezvon.calls.recorded import read_recording

STORIES = [pytest.param(story, id=story.name) for story in TOLD.values()]
LONG = 2 * 3600.0 + 17 * 60.0


def told(events: Iterable[Event]) -> list[Fact]:
    tracker = Tracker("pbx", Numbering())
    facts: list[Fact] = []
    for event in events:
        uid = event["uniqueid"]
        if event.name == "Newchannel" and uid.startswith("click-") and not uid.endswith(";2"):
            tracker.expect(ExpectedCall(event.at, uid, "101", MOBILE))
        facts += tracker.feed(event)
    return facts


def calls_of(facts: Iterable[Fact]) -> list[Call]:
    records = [fact.record for fact in facts if isinstance(fact, CallEnded)]
    return sorted((call for call in records if not call.absorbed_into), key=lambda call: call.started)


@cache
def really(name: str) -> tuple[list[Event], list[Fact]]:
    events = events_of(TOLD[name])
    return events, told(events)


def later(events: Iterable[Event], since: float) -> list[Event]:
    """All that came after `since` comes `LONG` seconds later."""
    return [replace(event, at=event.at + LONG) if event.at > since else event for event in events]


@pytest.mark.parametrize("story", STORIES)
def test_a_call_of_hours_is_the_same_call(story: Story) -> None:
    """The last talk goes on for hours; where nobody talks, the waiting does."""
    events, facts = really(story.name)
    begins = [fact.at for fact in facts if isinstance(fact, Answered)] or [fact.at for fact in facts[:1]] or [events[0].at]
    since = begins[-1]
    short, long = calls_of(facts), calls_of(told(later(events, since)))
    assert [seen(call, one) for call, one in zip(long, story.expected, strict=True)] == list(story.expected)
    for before, after in zip(short, long, strict=True):
        talked = before.answered is not None and before.answered <= since < (before.ended or 0.0)
        assert after.duration == pytest.approx(before.duration + LONG * talked, abs=0.001)


def test_the_hours_are_told() -> None:
    """The test above compares something."""
    events, facts = really("hold")
    (call,) = calls_of(told(later(events, facts[-2].at)))
    assert call.outcome is Outcome.ANSWERED
    assert call.duration > LONG


# ---- chan_sip

TRUNK_DIALLED = re.compile(r"(?<=/)(\+?\w+)@(carrier|bitrix24|multifon)\b")
DIAL_STRING = re.compile(r"(?m)^(DialString: )(\+?\w+)@(\w+)\r?$")


def of_chan_sip(story: Story) -> list[Event]:
    """`SIP/101-0000002a` where it was `PJSIP/101-0000002a`; `Dial(SIP/carrier/7916…)` where it was `Dial(PJSIP/7916…@carrier)`."""
    text = gzip.decompress((RECORDINGS / f"{story.name}.ami.gz").read_bytes()).decode()
    text = DIAL_STRING.sub(r"\1\3/\2", TRUNK_DIALLED.sub(r"\2/\1", text))
    return read_recording(text.replace("PJSIP/", "SIP/").encode())


def as_sip(call: Call) -> Call:
    def renamed(leg: Leg) -> Leg:
        return replace(leg, channel=leg.channel.replace("PJSIP/", "SIP/"))

    return replace(call, legs=tuple(map(renamed, call.legs)))


@pytest.mark.parametrize("story", STORIES)
def test_names_of_chan_sip_make_no_difference(story: Story) -> None:
    calls = [as_sip(call) for call in calls_of(really(story.name)[1])]
    assert calls_of(told(of_chan_sip(story))) == calls
    assert all("PJSIP" not in leg.channel for call in calls for leg in call.legs)
