"""A PBX that is not listened to from some moment on: what AMI told before and the log after must make the whole call, told
once, wherever the cut is. On the recordings of a real Asterisk that `tests/asterisk/record_cel.py` makes."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from perezvon.asterisk.cel_source import CelFile
from perezvon.calls import CallEnded, CallStarted, Fact, Numbering, Snapshot, Tracker
from perezvon.calls.call import Call
from perezvon.calls.recorded import read_recording
from perezvon.recordings import Folder
from perezvon.service.absence import Absence
from perezvon.storage import Database, calls

KEPT = Path(__file__).parents[1] / "asterisk" / "cel"
STORIES = (
    *("incoming_answered", "incoming_busy", "incoming_no_answer_cause_16", "group_second_answers", "group_client_gives_up"),
    *("queue_ringall", "queue_abandoned", "menu_key", "blind_by_code", "blind_by_refer", "attended_by_code"),
    *("attended_by_replaces", "outgoing_answered", "outgoing_busy", "outgoing_no_answer", "outgoing_then_blind"),
    *("pickup_directed", "forwarded_by_pbx", "incoming_two_from_one_number", "follow_me"),
)
NUMBERING = Numbering(trunks=frozenset({"carrier", "bitrix24"}), lines=frozenset({"+74951234567"}))


def records(facts: Iterable[Fact]) -> list[dict[str, Any]]:
    ended = [fact.record for fact in facts if isinstance(fact, CallEnded) and not fact.record.absorbed_into]
    return [told(call) for call in sorted(ended, key=lambda call: call.started)]


def told(call: Call) -> dict[str, Any]:
    record = call.as_json()
    names = ("id", "direction", "client", "line", "outcome", "talkers", "last_talker", "transfers")
    return {name: record[name] for name in names} | {"duration": pytest.approx(call.duration, abs=0.1)}


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("story", STORIES)
async def test_cut_anywhere(story: str, part: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = read_recording(KEPT / f"{story}.ami.gz")
    log = tmp_path / "Master.csv"
    log.write_bytes(gzip.decompress((KEPT / f"{story}.csv.gz").read_bytes()))
    whole = Tracker("pbx", NUMBERING)
    expected = records([fact for event in events for fact in whole.feed(event)])
    cut = events[0].at + (events[-1].at - events[0].at) * part
    tracker = Tracker("pbx", NUMBERING)
    facts = [fact for event in events if event.at <= cut for fact in tracker.feed(event)]
    until = max(event.at for event in events if event.at <= cut)
    over = {fact.call for fact in facts if isinstance(fact, CallEnded)}

    async def stored_as_ended(_conn: object, ids: Iterable[str]) -> set[str]:
        return over & set(ids)

    monkeypatch.setattr(calls, "ended_among", stored_as_ended)
    nobody = Snapshot(at=events[-1].at + 1, channels=(), bridges={}, waiting={})
    async with await Database.open(tmp_path / "data") as database:
        absence = Absence("pbx", CelFile(log), Folder(tmp_path), database)
        missed = await absence.events(tracker, until, {}, nobody)
        facts += [fact for event in missed for fact in tracker.feed(event)]
        facts += tracker.resync(nobody)
        again = await absence.events(tracker, nobody.at, {}, nobody)
    assert records(facts) == expected
    started = [fact.call for fact in facts if isinstance(fact, CallStarted)]
    assert len(started) == len(set(started)), "a call was told twice"
    assert again == []
