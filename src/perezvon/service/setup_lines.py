"""The wizard's fourth step: which numbers of the company calls have come to, out of our own list and the PBX's log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.asterisk.cel_events import events_of
from perezvon.asterisk.cel_source import CelSource
from perezvon.calls import CallStarted, Event, Numbering, Tracker
from perezvon.calls.call import Direction
from perezvon.storage import counters, setup
from perezvon.web.setup_desk import FoundLine

log = structlog.get_logger(__name__)

DAYS = 14
RECENT = 2000
"""Calls of our own list that are looked at."""

USUAL = (Path("/var/log/asterisk/cel-custom/Master.csv"),)
"""Where a PBX on this machine keeps its channel events."""


def usual_log() -> str:
    """One that is there and can be read; "" for none."""
    for path in USUAL:
        try:
            with path.open("rb"):
                return str(path)
        except OSError:
            continue
    return ""


async def told_by_log(source: CelSource, pbx: str, numbering: Numbering, now: float) -> Counter[str]:
    """Numbers that were called, as the PBX writes them. Raises CelUnreadable."""
    rows = await source.read(now - DAYS * 86400.0, now)
    return await asyncio.to_thread(lambda: _called(Tracker(pbx, numbering), events_of(rows)))


def _called(tracker: Tracker, events: Iterable[Event]) -> Counter[str]:
    found: Counter[str] = Counter()
    for event in events:
        try:
            facts = tracker.feed(event)
        except Exception:
            # A defect in one call never stops the next.
            log.exception("wizard: the tracker failed on an event of the log")
            continue
        for fact in facts:
            if isinstance(fact, CallStarted) and fact.direction is Direction.INCOMING:
                found[fact.line_raw or fact.line] += 1
    return found


async def told_by_calls(conn: AsyncConnection) -> Counter[str]:
    """Of the newest calls, and of all to numbers that were not known."""
    found = Counter(await setup.lines_called(conn, RECENT))
    for one in await counters.read(conn, "line:"):
        number = one.name.split(":", 2)[2]
        found[number] = max(found[number], one.value)
    return found


def proposed(heard: Iterable[Mapping[str, int]], numbering: Numbering, known: frozenset[str]) -> tuple[FoundLine, ...]:
    """Each number once, in international form, the busiest first; without those that are `known`, and extensions."""
    calls: Counter[str] = Counter()
    raw: dict[str, set[str]] = {}
    for source in heard:
        here: Counter[str] = Counter()
        for told, count in source.items():
            number = numbering.international(told)
            digits = number.removeprefix("+")
            if not digits.isdigit() or not 5 <= len(digits) <= 15 or numbering.is_extension(told):
                continue
            if number in known or told in known:
                continue
            here[number] += count
            raw.setdefault(number, set()).add(told)
        for number, count in here.items():
            calls[number] = max(calls[number], count)
    return tuple(
        FoundLine(number, tuple(sorted(raw[number] - {number})), count) for number, count in calls.most_common(100)
    )
