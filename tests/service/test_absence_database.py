"""The same as test_absence_log.py where the log is FreePBX's table: no fractions of seconds, so that nothing is in order but
by its number."""

from __future__ import annotations

from pathlib import Path

import pytest
from cel_tables import SQLITE, make, rows_of, whole_seconds
from test_absence_log import KEPT, NUMBERING, STORIES, records

from perezvon.asterisk.cel_source import cel_source
from perezvon.calls import Fact, Snapshot, Tracker
from perezvon.calls.recorded import read_recording
from perezvon.recordings import Folder
from perezvon.service.absence import Absence
from perezvon.storage import Database

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("story", STORIES)
async def test_a_whole_call_was_missed(story: str, tmp_path: Path) -> None:
    events = read_recording(KEPT / f"{story}.ami.gz")
    await make(
        f"sqlite+aiosqlite:///{tmp_path / 'master.db'}", SQLITE, rows_of(story), lambda text: str(whole_seconds(text))
    )
    whole = Tracker("pbx", NUMBERING)
    expected = records([fact for event in events for fact in whole.feed(event)])
    tracker = Tracker("pbx", NUMBERING)
    nobody = Snapshot(at=events[-1].at + 1, channels=(), bridges={}, waiting={})
    async with await Database.open(tmp_path / "data") as database:
        absence = Absence("pbx", cel_source(f"sqlite:///{tmp_path / 'master.db'}"), Folder(tmp_path), database)
        missed = await absence.events(tracker, events[0].at, {}, nobody)
    facts: list[Fact] = [fact for event in missed for fact in tracker.feed(event)]
    facts += tracker.resync(nobody)
    found = records(facts)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert {**one, "duration": 0} == {**other, "duration": 0}


async def test_a_log_that_cannot_be_reached_is_told_and_nothing_else(tmp_path: Path) -> None:
    nobody = Snapshot(at=2e9, channels=(), bridges={}, waiting={})
    async with await Database.open(tmp_path / "data") as database:
        absence = Absence("pbx", cel_source("mysql://reader:secret@127.0.0.1:9/asteriskcdrdb"), Folder(tmp_path), database)
        assert await absence.events(Tracker("pbx", NUMBERING), 2e9 - 60, {}, nobody) == []
