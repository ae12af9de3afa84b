"""What happened at a PBX while nobody listened to it: out of its channel event log, and out of its recordings' names.

The log is read from a little before the moment up to which everything is stored. What has been dealt with already is left
out, call by call: a call that has ended is stored as ended, and of a running one it is known up to when it was followed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import structlog

from perezvon.asterisk.cel import CelUnreadable, Row
from perezvon.asterisk.cel_events import events_of
from perezvon.asterisk.cel_source import CelSource
from perezvon.calls import CallEnded, Event, Fact, Snapshot, Tracker
from perezvon.calls.noting import MENU
from perezvon.calls.recording import is_private
from perezvon.recordings import Folder, named_after
from perezvon.storage import calls
from perezvon.storage.database import Database
from perezvon.storage.insist import insist

log = structlog.get_logger(__name__)

FARTHEST = 24 * 3600.0
"""Seconds that are read up at most."""

BEFORE = 120.0
"""Seconds before that which are read too: calls that nobody had been told of yet, and who was dialling whom."""

OVERLAP = 0.5
"""Seconds by which the times of an event in AMI and in the log may differ."""

FLUSHED = 1.0
"""Seconds that Asterisk gets to write down what it has just told."""

_GLANCE = 0.05
ONCE_ONLY = frozenset({"DTMFEnd", "BlindTransfer", "AttendedTransfer"})
"""Events that count each time they are told."""


class Absence:
    """`source`: the log, None when there is none. `folder`: where the recordings are."""

    def __init__(self, pbx: str, source: CelSource | None, folder: Folder, database: Database) -> None:
        self.pbx = pbx
        self._source = source
        self._folder = folder
        self._database = database

    async def events(
        self, tracker: Tracker, until: float, followed: Mapping[str, float], snapshot: Snapshot
    ) -> list[Event]:
        """What was missed between `until` and the snapshot, in order of time. `followed`: up to when single calls were
        followed, where that is not `until` (call id -> POSIX seconds)."""
        if self._source is None:
            return []
        since = max(until - BEFORE, snapshot.at - FARTHEST)
        started = time.monotonic()
        try:
            rows = await self._written(self._source, since, tracker, snapshot)
        except CelUnreadable as error:
            log.warning("what was missed stays unknown", pbx=self.pbx, error=str(error))
            return []
        events = await asyncio.to_thread(events_of, rows)
        present = {entry.get("uniqueid", "") for entry in snapshot.channels}
        events = [event for event in events if not (_by_menu(event) and event["uniqueid"] in present)]
        missed = await self._missed(events, tracker, until, followed, OVERLAP + _cut_off(rows))
        log.info(
            "log read up",
            pbx=self.pbx,
            seconds=round(snapshot.at - until, 1),
            rows=len(rows),
            missed=len(missed),
            took=round(time.monotonic() - started, 3),
        )
        return missed

    async def _written(self, source: CelSource, since: float, tracker: Tracker, snapshot: Snapshot) -> list[Row]:
        """The rows, once every channel that is gone is also gone in the log."""
        present = {entry.get("uniqueid", "") for entry in snapshot.channels}
        known = tracker.channels()
        deadline = time.monotonic() + FLUSHED
        while True:
            rows = await source.read(since, snapshot.at)
            ended = {row.uniqueid for row in rows if row.kind == "HANGUP"}
            begun = {row.uniqueid for row in rows if row.kind == "CHAN_START"}
            if not (begun | known) - ended - present or snapshot.restarted or time.monotonic() > deadline:
                return rows
            await asyncio.sleep(_GLANCE)

    async def _missed(
        self, events: Sequence[Event], tracker: Tracker, until: float, followed: Mapping[str, float], overlap: float
    ) -> list[Event]:
        last: dict[str, float] = {}
        channels: dict[str, set[str]] = {}
        for event in events:
            link = event["linkedid"]
            last[link] = max(last.get(link, 0.0), event.at)
            channels.setdefault(link, set()).add(event["uniqueid"] or link)
        since: dict[str, float] = {}
        unknown: dict[str, set[str]] = {}
        for link, uids in channels.items():
            call = tracker.call_of(link)
            if call:
                since[link] = followed.get(call, until)
            elif last[link] > until - overlap:
                unknown[link] = {f"{self.pbx}-{uid}" for uid in (link, *uids)}
        over = await self._over({call for group in unknown.values() for call in group})
        for link, group in unknown.items():
            if not group & over:
                since[link] = 0.0
        return [event for event in events if _is_missed(event, since.get(event["linkedid"]), overlap)]

    async def _over(self, ids: Collection[str]) -> set[str]:
        async def read() -> set[str]:
            async with self._database.read() as conn:
                return await calls.ended_among(conn, ids)

        return await insist(read, "calls", pbx=self.pbx)

    async def recorded(self, facts: Sequence[Fact]) -> list[Fact]:
        """The facts, with the recordings of calls that ended unseen, as far as the files' names tell whose they are."""
        return await with_recordings(self.pbx, self._folder, facts)


async def with_recordings(
    pbx: str, folder: Folder, facts: Sequence[Fact], channels: Mapping[str, Sequence[str]] | None = None
) -> list[Fact]:
    """The same for any facts of this PBX. `channels`: the unique ids of a call's further channels, by that of its first:
    their recordings are its own too."""
    calls: dict[str, list[str]] = {}
    moments: dict[str, float] = {}
    for fact in facts:
        if isinstance(fact, CallEnded) and fact.record.answered is not None and not fact.record.recordings:
            first = fact.call.removeprefix(f"{pbx}-")
            calls[fact.call] = list(dict.fromkeys((first, *((channels or {}).get(first, ())))))
            moments |= dict.fromkeys(calls[fact.call], fact.record.started)
    if not calls:
        return list(facts)
    found = await asyncio.to_thread(named_after, folder, moments)
    names = {
        call: dict.fromkeys(name for uid in uids for name in found.get(uid, ()) if not is_private(name))
        for call, uids in calls.items()
    }
    return [
        replace(fact, record=replace(fact.record, recordings=tuple(names[fact.call])))
        if isinstance(fact, CallEnded) and names.get(fact.call)
        else fact
        for fact in facts
    ]


def _by_menu(event: Event) -> bool:
    """A key of our voice menu that dials. Of a channel that is still there the snapshot tells more."""
    return event.name == "Newexten" and event["context"] == MENU


def _cut_off(rows: Sequence[Row]) -> float:
    """Seconds by which the log's times may be too early: FreePBX's table has no fractions."""
    return 1.0 if rows and all(row.at.is_integer() for row in rows) else 0.0


def _is_missed(event: Event, since: float | None, overlap: float) -> bool:
    if since is None:
        return False
    return event.at > (since if event.name in ONCE_ONLY else since - overlap)
