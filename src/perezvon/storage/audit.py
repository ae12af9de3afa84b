"""The audit log: who changed what, when, from where. Rows are added, never changed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import audit


@dataclass(frozen=True, slots=True)
class Entry:
    """`at`: POSIX seconds, UTC. `action`: a word of web/deeds.py. `detail`: what changed, never a secret. `id`: 0 before it
    is stored."""

    at: float
    who: str
    action: str
    subject: str = ""
    detail: str = ""
    peer: str = ""
    id: int = 0


async def note(conn: AsyncConnection, entry: Entry) -> None:
    """In the transaction of the change itself."""
    values = {name: getattr(entry, name) for name in Entry.__slots__ if name != "id"}
    await conn.execute(audit.insert().values(values))


async def read(conn: AsyncConnection, limit: int = 50, after: tuple[float, int] | None = None) -> list[Entry]:
    """Newest first. `after`: the last row of the page before (its `at` and `id`)."""
    query = select(audit)
    if after is not None:
        at, last = after
        query = query.where(or_(audit.c.at < at, and_(audit.c.at == at, audit.c.id < last)))
    rows = await conn.execute(query.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit))
    return [Entry(row.at, row.who, row.action, row.subject, row.detail, row.peer, row.id) for row in rows]
