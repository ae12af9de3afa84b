"""Calls: what the tracker and the planner must remember of a live one, the final record of an ended one, and the list.

A row is saved whole each time; its plain columns are there to be searched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Executable, Row, Table, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls.call import Direction, Outcome
from perezvon.storage.insert import Insert, built_once, insert
from perezvon.storage.schema import call

Json = Any

MOST_AT_ONCE = 500
"""Ids in one query: databases have a limit for parameters."""

_UNTOLD = and_(call.c.portal == "", call.c.live.is_(False))


@dataclass(frozen=True, slots=True)
class StoredCall:
    """Times are POSIX seconds, UTC; `duration` seconds of talk. `portal`: "" when the call is not reported to any.

    `state`: `Tracker.export` while `live`, with `followed` (up to when, the PBX's clock); `Call.as_json` when ended.
    `plan`: `PlanState.as_json`.
    """

    id: str
    pbx: str
    direction: Direction
    started: float
    live: bool
    portal: str = ""
    client: str = ""
    line: str = ""
    answered: float | None = None
    ended: float | None = None
    outcome: Outcome | None = None
    duration: float = 0.0
    last_talker: str = ""
    state: Mapping[str, Json] = field(default_factory=dict[str, Json])
    plan: Mapping[str, Json] = field(default_factory=dict[str, Json])


async def save(conn: AsyncConnection, rows: Iterable[StoredCall]) -> None:
    """The calls as they are now, in the place of what was known before."""
    values = [_values(row) for row in rows]
    if values:
        await conn.execute(_SAVE(conn), values)


def _save(insert: Callable[[Table], Insert]) -> Executable:
    statement = insert(call)
    changed = {column.name: statement.excluded[column.name] for column in call.c if column.name != "id"}
    return statement.on_conflict_do_update(index_elements=["id"], set_=changed)


_SAVE = built_once(_save)


async def add(conn: AsyncConnection, row: StoredCall) -> bool:
    """False, and nothing is done, when the call is stored already."""
    statement = insert(conn, call).values(_values(row)).on_conflict_do_nothing(index_elements=["id"]).returning(call.c.id)
    return (await conn.execute(statement)).one_or_none() is not None


def _values(row: StoredCall) -> dict[str, Any]:
    return {
        "id": row.id,
        "pbx": row.pbx,
        "portal": row.portal,
        "direction": row.direction.value,
        "client": row.client,
        "line": row.line,
        "started": row.started,
        "answered": row.answered,
        "ended": row.ended,
        "outcome": row.outcome.value if row.outcome else None,
        "duration": row.duration,
        "last_talker": row.last_talker,
        "live": row.live,
        "state": json.dumps(row.state),
        "plan": json.dumps(row.plan),
    }


async def load_live(conn: AsyncConnection, pbx: str) -> list[StoredCall]:
    """The calls that were under way, oldest first: for `Tracker.restore`."""
    rows = await conn.execute(
        select(call).where(call.c.pbx == pbx, call.c.live.is_(True)).order_by(call.c.started, call.c.id)
    )
    return [read_call(row) for row in rows]


async def ended_among(conn: AsyncConnection, ids: Iterable[str]) -> set[str]:
    """Those of the calls that are stored as ended."""
    wanted = list(ids)
    over: set[str] = set()
    for start in range(0, len(wanted), MOST_AT_ONCE):
        some = wanted[start : start + MOST_AT_ONCE]
        over.update((await conn.execute(select(call.c.id).where(call.c.id.in_(some), call.c.live.is_(False)))).scalars())
    return over


async def stored_among(conn: AsyncConnection, ids: Iterable[str]) -> set[str]:
    """Those of the calls that are stored, live or ended."""
    wanted = list(ids)
    known: set[str] = set()
    for start in range(0, len(wanted), MOST_AT_ONCE):
        known.update(
            (await conn.execute(select(call.c.id).where(call.c.id.in_(wanted[start : start + MOST_AT_ONCE])))).scalars()
        )
    return known


async def left_out_among(conn: AsyncConnection, ids: Iterable[str]) -> dict[str, str]:
    """Those of the calls that are over, and that a filter kept from the portal: the filter."""
    wanted = list(ids)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), MOST_AT_ONCE):
        query = select(call.c.id, call.c.plan).where(call.c.id.in_(wanted[start : start + MOST_AT_ONCE]), _UNTOLD)
        plans = {row.id: json.loads(row.plan) for row in await conn.execute(query)}
        found |= {call_id: plan["left_out"] for call_id, plan in plans.items() if plan.get("left_out")}
    return found


async def tell_late(conn: AsyncConnection, row: StoredCall) -> bool:
    """The portal and the plan of a call that is over and that no portal was told of; what was seen of it stays. False, and
    nothing is done, when one was told."""
    told = {"portal": row.portal, "plan": json.dumps(row.plan)}
    statement = call.update().where(call.c.id == row.id, _UNTOLD).values(told).returning(call.c.id)
    return (await conn.execute(statement)).one_or_none() is not None


async def find(conn: AsyncConnection, call_id: str) -> StoredCall | None:
    row = (await conn.execute(select(call).where(call.c.id == call_id))).one_or_none()
    return None if row is None else read_call(row)


async def last_talk(conn: AsyncConnection, pbx: str, client: str) -> tuple[str, float] | None:
    """Who talked with a client (E.164) last on this PBX, in whichever direction, and when that call began."""
    query = (
        select(call.c.last_talker, call.c.started)
        .where(call.c.client == client, call.c.pbx == pbx, call.c.last_talker != "", call.c.live.is_(False))
        .order_by(call.c.started.desc())
        .limit(1)
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else (row.last_talker, row.started)


@dataclass(frozen=True, slots=True)
class Search:
    """What `search` looks for; fields left alone do not narrow. `since` and `until`: POSIX seconds of the call's start.

    `client`: E.164, whole. `after`: the last row of the page before (its `started` and `id`).
    """

    pbx: str = ""
    client: str = ""
    line: str = ""
    talker: str = ""
    direction: Direction | None = None
    outcome: Outcome | None = None
    live: bool | None = None
    since: float | None = None
    until: float | None = None
    after: tuple[float, str] | None = None


async def search(conn: AsyncConnection, wanted: Search, limit: int = 50) -> list[StoredCall]:
    """Newest first. Without `state` and `plan`, which are large: `find` has them."""
    small = [column for column in call.c if column.name not in ("state", "plan")]
    query = select(*small)
    for column, value in (
        (call.c.pbx, wanted.pbx),
        (call.c.client, wanted.client),
        (call.c.line, wanted.line),
        (call.c.last_talker, wanted.talker),
        (call.c.direction, wanted.direction and wanted.direction.value),
        (call.c.outcome, wanted.outcome and wanted.outcome.value),
    ):
        if value:
            query = query.where(column == value)
    if wanted.live is not None:
        query = query.where(call.c.live.is_(wanted.live))
    if wanted.since is not None:
        query = query.where(call.c.started >= wanted.since)
    if wanted.until is not None:
        query = query.where(call.c.started < wanted.until)
    if wanted.after is not None:
        started, call_id = wanted.after
        query = query.where(or_(call.c.started < started, and_(call.c.started == started, call.c.id < call_id)))
    rows = await conn.execute(query.order_by(call.c.started.desc(), call.c.id.desc()).limit(limit))
    return [read_call(row) for row in rows]


def read_call(row: Row[Any]) -> StoredCall:
    """`state` and `plan` are empty when the query left them out."""
    known = row._mapping  # pyright: ignore[reportPrivateUsage]  # SQLAlchemy's public name
    return StoredCall(
        id=row.id,
        pbx=row.pbx,
        portal=row.portal,
        direction=Direction(row.direction),
        client=row.client,
        line=row.line,
        started=row.started,
        answered=row.answered,
        ended=row.ended,
        outcome=Outcome(row.outcome) if row.outcome else None,
        duration=row.duration,
        last_talker=row.last_talker,
        live=bool(row.live),
        state=json.loads(known["state"]) if "state" in known else {},
        plan=json.loads(known["plan"]) if "plan" in known else {},
    )
