"""Clicks on a number in the portal: each is taken once, whichever way and however often its event arrives.

State: new -> dialling (our Originate is out) -> calling (the call is known) -> finished; or dropped (a double of an earlier
click, or refused). Each move names the states it may come from, so that two moves never both win.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.insert import insert
from perezvon.storage.schema import click


class ClickState(StrEnum):
    NEW = "new"
    DIALLING = "dialling"
    CALLING = "calling"
    FINISHED = "finished"
    DROPPED = "dropped"


OPEN = (ClickState.NEW, ClickState.DIALLING, ClickState.CALLING)


@dataclass(frozen=True, slots=True)
class Click:
    """`portal_call`: the portal's CALL_ID. `received`: POSIX seconds, UTC. `uniqueid`: ChannelId of our Originate.
    `call`: the id of the call that came of it. `call_list`: the portal's list that it belongs to."""

    portal: str
    portal_call: str
    user_id: str
    number: str
    received: float
    line: str = ""
    uniqueid: str = ""
    call: str = ""
    state: ClickState = ClickState.NEW
    error: str = ""
    call_list: str = ""


async def take(conn: AsyncConnection, new: Click) -> bool:
    """False when this CALL_ID of the portal has been taken before."""
    statement = insert(conn, click).values(
        portal=new.portal,
        portal_call=new.portal_call,
        user_id=new.user_id,
        number=new.number,
        line=new.line,
        received=new.received,
        uniqueid=new.uniqueid,
        call=new.call,
        state=new.state.value,
        error=new.error,
        call_list=new.call_list,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["portal", "portal_call"]).returning(click.c.id)
    return (await conn.execute(statement)).one_or_none() is not None


async def move(
    conn: AsyncConnection,
    portal: str,
    portal_call: str,
    to: ClickState,
    *,
    only_from: Sequence[ClickState] = OPEN,
    uniqueid: str | None = None,
    call: str | None = None,
    error: str | None = None,
) -> bool:
    """False when the click is in none of the states `only_from` (or unknown): nothing was changed then."""
    changed = {"state": to.value, "uniqueid": uniqueid, "call": call, "error": error}
    statement = (
        update(click)
        .where(click.c.portal == portal, click.c.portal_call == portal_call, click.c.state.in_(only_from))
        .values({name: value for name, value in changed.items() if value is not None})
        .returning(click.c.id)
    )
    return (await conn.execute(statement)).one_or_none() is not None


async def find(conn: AsyncConnection, portal: str, portal_call: str) -> Click | None:
    return await _one(conn, click.c.portal == portal, click.c.portal_call == portal_call)


async def by_uniqueid(conn: AsyncConnection, uniqueid: str) -> Click | None:
    return await _one(conn, click.c.uniqueid == uniqueid) if uniqueid else None


async def recent(conn: AsyncConnection, portal: str, user_id: str, number: str, since: float) -> list[Click]:
    """Earlier clicks of the same user on the same number, newest first (the portal sends a double click as two calls)."""
    where = (click.c.portal == portal, click.c.user_id == user_id, click.c.number == number, click.c.received >= since)
    return [_click(row) for row in await conn.execute(select(click).where(*where).order_by(click.c.id.desc()))]


async def unfinished(conn: AsyncConnection, portal: str) -> list[Click]:
    """In order of arrival."""
    rows = await conn.execute(select(click).where(click.c.state.in_(OPEN), click.c.portal == portal).order_by(click.c.id))
    return [_click(row) for row in rows]


async def _one(conn: AsyncConnection, *where: ColumnElement[bool]) -> Click | None:
    row = (await conn.execute(select(click).where(*where))).one_or_none()
    return None if row is None else _click(row)


def _click(row: Row[tuple[object, ...]]) -> Click:
    return Click(
        portal=row.portal,
        portal_call=row.portal_call,
        user_id=row.user_id,
        number=row.number,
        received=row.received,
        line=row.line,
        uniqueid=row.uniqueid,
        call=row.call,
        state=ClickState(row.state),
        error=row.error,
        call_list=row.call_list or "",
    )
