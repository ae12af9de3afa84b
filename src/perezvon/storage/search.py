"""The list of calls, searched: newest first, page after page, within milliseconds of 100 000 calls.

Whatever is asked for, the index `ix_call_journal` is read in its own order, without the table, until the page is full. A
page begins after the last row of the one before (keyset), so that later pages are as fast as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls.call import Direction, Outcome
from perezvon.storage.calls import StoredCall, read_call
from perezvon.storage.schema import call, employee

_SHOWN = [column for column in call.c if column.name not in ("state", "plan")]


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for; fields left alone do not narrow. `client` and `line`: digits anywhere in the number. `employee`:
    the extension that talked last. `pbxs`: calls of these alone. `since` and `until`: POSIX seconds of the call's start.
    `live`: under way.

    `after`: the last row of the page before (its `started` and `id`).
    """

    client: str = ""
    line: str = ""
    employee: str = ""
    pbxs: frozenset[str] = frozenset()
    direction: Direction | None = None
    outcome: Outcome | None = None
    live: bool = False
    since: float | None = None
    until: float | None = None
    after: tuple[float, str] | None = None


def ids(wanted: Filter, limit: int) -> Select[tuple[str]]:
    """Newest first."""
    return select(call.c.id).where(*_conditions(wanted)).order_by(call.c.started.desc(), call.c.id.desc()).limit(limit)


async def found(conn: AsyncConnection, wanted: Filter, limit: int) -> list[StoredCall]:
    """Without `state` and `plan`, which are large."""
    some = list((await conn.execute(ids(wanted, limit))).scalars())
    if not some:
        return []
    rows = await conn.execute(select(*_SHOWN).where(call.c.id.in_(some)))
    told = [read_call(row) for row in rows]
    return sorted(told, key=lambda one: (one.started, one.id), reverse=True)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, part in ((call.c.client, wanted.client), (call.c.line, wanted.line)):
        if part:
            conditions.append(column.contains(part, autoescape=True))
    exact: tuple[tuple[Any, str], ...] = (
        (call.c.last_talker, wanted.employee),
        (call.c.direction, wanted.direction.value if wanted.direction else ""),
        (call.c.outcome, wanted.outcome.value if wanted.outcome else ""),
    )
    conditions += [column == value for column, value in exact if value]
    if wanted.pbxs:
        conditions.append(call.c.pbx.in_(sorted(wanted.pbxs)))
    if wanted.live:
        conditions.append(call.c.live.is_(True))
    if wanted.since is not None:
        conditions.append(call.c.started >= wanted.since)
    if wanted.until is not None:
        conditions.append(call.c.started < wanted.until)
    if wanted.after is not None:
        started, call_id = wanted.after
        conditions += [
            call.c.started <= started,
            or_(call.c.started < started, and_(call.c.started == started, call.c.id < call_id)),
        ]
    return conditions


async def names(conn: AsyncConnection, extensions: set[str]) -> dict[str, str]:
    """Of the employees who have these extensions, in whatever portal."""
    if not extensions:
        return {}
    query = select(employee.c.extension, employee.c.name).where(employee.c.extension.in_(extensions))
    return {row.extension: row.name for row in await conn.execute(query) if row.name}
