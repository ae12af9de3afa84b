"""Missed calls of some days and when they were called back, from the journal of calls, counted by the database.

`ix_call_missed` has the missed calls alone, `ix_call_client` the next talk with each client: the table is not read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Integer, String, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import call

_MISSED: ColumnElement[str] = literal_column("'missed'", String)
_ANSWERED: ColumnElement[str] = literal_column("'answered'", String)
"""Written out: with a parameter in this place no database would use the partial index."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of one day (its place among those asked for), one line and one employee who called back ("": nobody whom we know).
    A client counts once from his first missed call until somebody talks with him: `back` of them. `seconds` (of all),
    `longest`: until then."""

    day: int
    line: str
    by: str
    calls: int
    clients: int
    back: int = 0
    seconds: float = 0.0
    longest: float = 0.0


async def shares(conn: AsyncConnection, portal: str, days: Sequence[float], until: float) -> list[Share]:
    """`days`: when each begins, POSIX seconds. Whoever hides his number cannot be called back, and counts each time."""
    later = call.alias("later")
    talked = (
        later.c.client == call.c.client,
        later.c.client != "",
        later.c.portal == portal,
        later.c.started > call.c.started,
        later.c.outcome == _ANSWERED,
    )
    back = select(func.min(later.c.started)).where(*talked).scalar_subquery()
    one = (
        select(call.c.client, call.c.line, call.c.started, back.label("back"))
        .where(call.c.portal == portal, call.c.outcome == _MISSED, call.c.started >= days[0], call.c.started < until)
        .cte("one")
    )
    whose = case((one.c.client == "", one.c.started), else_=0.0)
    wait = (
        select(
            one.c.client,
            func.max(one.c.line).label("line"),
            func.min(one.c.started).label("first"),
            func.count().label("calls"),
            one.c.back,
        )
        .group_by(one.c.client, one.c.back, whose)
        .cte("wait")
    )
    who = call.alias("who")
    by = (
        select(func.max(who.c.last_talker))
        .where(
            who.c.client == wait.c.client, who.c.portal == portal, who.c.started == wait.c.back, who.c.outcome == _ANSWERED
        )
        .scalar_subquery()
    )
    day = case(*((wait.c.first < begin, place) for place, begin in enumerate(days[1:])), else_=len(days) - 1)
    told = select(
        (day if len(days) > 1 else literal_column("0", Integer)).label("day"),
        wait.c.line,
        func.coalesce(by, "").label("by"),
        wait.c.calls,
        (wait.c.back - wait.c.first).label("lasted"),
    ).cte("told")
    query = select(
        told.c.day,
        told.c.line,
        told.c.by,
        func.sum(told.c.calls).label("calls"),
        func.count().label("clients"),
        func.count(told.c.lasted).label("back"),
        func.sum(told.c.lasted).label("seconds"),
        func.max(told.c.lasted).label("longest"),
    ).group_by(told.c.day, told.c.line, told.c.by)
    return [
        Share(row.day, row.line, row.by, row.calls, row.clients, row.back, row.seconds or 0.0, row.longest or 0.0)
        for row in await conn.execute(query)
    ]


async def rung(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """At whose telephones these ended calls rang, by call: extensions."""
    if not ids:
        return {}
    rows = await conn.execute(select(call.c.id, call.c.state).where(call.c.id.in_(ids), call.c.live.is_(False)))
    return {row.id: frozenset(json.loads(row.state).get("rung") or ()) for row in rows}
