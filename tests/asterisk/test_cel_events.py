"""Two accounts of the same calls, recorded together from a real Asterisk (`record_cel.py`): what the tracker makes of the
channel event log alone must be what it makes of AMI."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perezvon.asterisk.cel import parse
from perezvon.asterisk.cel_events import events_of
from perezvon.calls import CallEnded, Event, ExpectedCall, Numbering, Tracker
from perezvon.calls.call import Call, Outcome
from perezvon.calls.recorded import read_recording

KEPT = Path(__file__).parent / "cel"
STORIES = sorted(path.name.removesuffix(".csv.gz") for path in KEPT.glob("*.csv.gz"))
UNTOLD: dict[str, dict[str, Any]] = {
    "dialler_rings_the_client_first": {"client": ""},
    "follow_me": {"rung": ["+79160000002", "101", "102"]},
}
"""What the log does not have: the number that an Originate has dialled, and that of a second Dial in a row, in vain."""

MOBILE = "79160000009"


def played(events: list[Event]) -> list[Call]:
    tracker = Tracker("pbx", Numbering(trunks=frozenset({"carrier", "bitrix24"}), lines=frozenset({"+74951234567"})))
    calls: list[Call] = []
    for event in events:
        uid = event["uniqueid"]
        if event.name == "Newchannel" and uid.startswith("click-") and not uid.endswith(";2"):
            tracker.expect(ExpectedCall(event.at, uid, "101", MOBILE))
        calls += [fact.record for fact in tracker.feed(event) if isinstance(fact, CallEnded)]
    assert tracker.live() == []
    return sorted((call for call in calls if not call.absorbed_into), key=lambda call: call.started)


def told(call: Call) -> dict[str, Any]:
    record = call.as_json()
    names = ("id", "direction", "client", "line", "outcome", "talkers", "last_talker", "transfers", "queue", "menu")
    return {name: record[name] for name in names} | {"rung": sorted(record["rung"])}


def from_cel(story: str) -> list[Event]:
    rows = sorted(parse(gzip.decompress((KEPT / f"{story}.csv.gz").read_bytes()).split(b"\n")), key=lambda row: row.at)
    return events_of(rows)


def test_the_log_may_tell_of_the_dialler_before_who_was_busy() -> None:
    rows = sorted(parse(gzip.decompress((KEPT / "outgoing_busy.csv.gz").read_bytes()).split(b"\n")), key=lambda row: row.at)
    [first, *others] = [place for place, row in enumerate(rows) if row.kind == "HANGUP"]
    assert rows[others[-1]].uniqueid == rows[others[-1]].linkedid, "recorded the other way round"
    dialler, busy = rows[others[-1]], rows[first]
    rows[first], rows[others[-1]] = replace(dialler, at=busy.at), replace(busy, at=dialler.at)
    assert [call.outcome for call in played(events_of(rows))] == [Outcome.BUSY]


@pytest.mark.parametrize("story", STORIES)
def test_log_tells_what_ami_told(story: str) -> None:
    by_ami = played(read_recording(KEPT / f"{story}.ami.gz"))
    by_cel = played(from_cel(story))
    assert [told(call) for call in by_cel] == [told(call) | UNTOLD.get(story, {}) for call in by_ami]
    for one, other in zip(by_cel, by_ami, strict=True):
        assert one.duration == pytest.approx(other.duration, abs=0.1)
        assert one.started == pytest.approx(other.started, abs=0.1)
