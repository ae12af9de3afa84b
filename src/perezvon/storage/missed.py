"""Clients whom nobody answered: of each the missed calls since somebody talked with him last, and the portal's task.

A row is an episode: from a missed call to the end of its task. The rules say what it becomes (`save`), in the transaction
that stores the call; the portal's sender tells what it has found there (`heed`), in the one that stores the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Executable, Table, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.missed import Missed
from perezvon.storage.insert import Insert, built_once
from perezvon.storage.schema import missed

DAY = 86400.0
WEEK = 7 * DAY

_COLUMNS = tuple(field.name for field in fields(Missed))


@dataclass(frozen=True, slots=True)
class Seen:
    """What the portal's answers say of an episode. `anew`: the missed call (POSIX seconds) with which counting begins anew,
    because the task before was closed or deleted by hand; `remind`: when the new one is to be brought to mind. `over`: the
    successful call after which it was closed."""

    lane: str
    task: str = ""
    responsible: str = ""
    anew: float | None = None
    over: float | None = None
    remind: float | None = None


def _save(insert: Callable[[Table], Insert]) -> Executable:
    statement = insert(missed)
    key = ("portal", "client", "episode")
    changed = {name: statement.excluded[name] for name in _COLUMNS if name not in key}
    return statement.on_conflict_do_update(index_elements=list(key), set_=changed)


_SAVE = built_once(_save)


async def latest(conn: AsyncConnection, portal: str, client: str) -> Missed | None:
    """The client's last episode."""
    query = select(missed).where(missed.c.portal == portal, missed.c.client == client)
    row = (await conn.execute(query.order_by(missed.c.episode.desc()).limit(1))).one_or_none()
    return None if row is None else Missed(**{name: getattr(row, name) for name in _COLUMNS})


async def save(conn: AsyncConnection, row: Missed) -> None:
    await conn.execute(_SAVE(conn), asdict(row))


async def heed(conn: AsyncConnection, seen: Seen) -> None:
    """What has come since stays as it is: a call may have been quicker than the portal's answer."""
    its = update(missed).where(missed.c.lane == seen.lane)
    if seen.task:
        await conn.execute(its.values(task=seen.task, responsible=seen.responsible))
    if seen.anew is not None:
        await conn.execute(its.values(first=seen.anew))
        await conn.execute(its.where(missed.c.last <= seen.anew).values(misses=1))
        await conn.execute(its.where(missed.c.called_back < seen.anew).values(called_back=None))
        waits = its.where(missed.c.called_back.is_(None), missed.c.closed.is_(None))
        await conn.execute(waits.values(remind=seen.remind))
    if seen.over is not None:
        back = func.coalesce(missed.c.called_back, seen.over)
        over = its.where(missed.c.last <= seen.over, missed.c.closed.is_(None))
        await conn.execute(over.values(closed=seen.over, called_back=back, remind=None))


@dataclass(frozen=True, slots=True)
class Tally:
    """Clients who wait for a call back since the last week, and since when the first of them (POSIX seconds); of the last
    day, how many were talked to after a missed call, and after how many seconds on average."""

    waiting: int = 0
    oldest: float | None = None
    called_back: int = 0
    after: float | None = None


async def tally(conn: AsyncConnection, portal: str, now: float) -> Tally:
    its, back = missed.c.portal == portal, missed.c.called_back
    waits = (its, back.is_(None), missed.c.closed.is_(None), missed.c.first >= now - WEEK)
    waiting, oldest = (await conn.execute(select(func.count(), func.min(missed.c.first)).where(*waits))).one()
    lasted = select(func.count(), func.avg(back - missed.c.first)).where(its, back >= now - DAY, back >= missed.c.first)
    called_back, after = (await conn.execute(lasted)).one()
    return Tally(waiting, oldest, called_back, after)


async def due(conn: AsyncConnection, portal: str, now: float) -> list[Missed]:
    """Whose task is to be brought to mind."""
    rows = await conn.execute(select(missed).where(missed.c.portal == portal, missed.c.remind <= now).limit(100))
    return [Missed(**{name: getattr(row, name) for name in _COLUMNS}) for row in rows]


async def next_due(conn: AsyncConnection, portal: str) -> float | None:
    """POSIX seconds."""
    query = select(func.min(missed.c.remind)).where(missed.c.portal == portal)
    return (await conn.execute(query)).scalar_one()
