"""Missed calls of some days and when they were called back, from the journal of calls.

The index `ix_call_journal` is read over the days; of clients who were missed, the next talk is found by `ix_call_client`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import call

MOST = 20_000


@dataclass(frozen=True, slots=True)
class MissedCall:
    """Times are POSIX seconds. `back`: when somebody talked with the client after it, on whichever side the call began;
    `by`: the extension that did."""

    id: str
    client: str
    line: str
    started: float
    back: float | None = None
    by: str = ""


async def missed_calls(conn: AsyncConnection, portal: str, since: float, until: float) -> list[MissedCall]:
    """The oldest first."""
    query = (
        select(call.c.id, call.c.client, call.c.line, call.c.started)
        .where(
            call.c.started >= since,
            call.c.started < until,
            call.c.outcome == "missed",
            call.c.direction == "incoming",
            call.c.portal == portal,
        )
        .order_by(call.c.started)
        .limit(MOST)
    )
    rows = (await conn.execute(query)).all()
    clients = {row.client for row in rows if row.client}
    talks: dict[str, list[tuple[float, str]]] = {}
    if clients:
        answered = (
            select(call.c.client, call.c.started, call.c.last_talker)
            .where(call.c.started >= since, call.c.outcome == "answered", call.c.direction != "internal")
            .order_by(call.c.started)
        )
        for row in await conn.execute(answered):
            if row.client in clients:
                talks.setdefault(row.client, []).append((row.started, row.last_talker))
    found: list[MissedCall] = []
    for row in rows:
        back = next(((at, by) for at, by in talks.get(row.client, ()) if at > row.started), (None, ""))
        found.append(MissedCall(row.id, row.client, row.line, row.started, back[0], back[1]))
    return found


async def rung(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """At whose telephones these ended calls rang, by call: extensions."""
    if not ids:
        return {}
    rows = await conn.execute(select(call.c.id, call.c.state).where(call.c.id.in_(ids), call.c.live.is_(False)))
    return {row.id: frozenset(json.loads(row.state).get("rung") or ()) for row in rows}
