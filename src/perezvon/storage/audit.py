"""The audit log: who changed what, when, from where. Rows are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import String, and_, cast, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import audit, setting_version

_NEWEST = 2000

SETTINGS_SAVED = "settings_saved"


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


async def about(conn: AsyncConnection, subject: str, actions: Sequence[str], limit: int) -> list[Entry]:
    """What was done to one subject, newest first, as far as it is among the newest rows: nothing is searched for long."""
    newest = select(audit).order_by(audit.c.id.desc()).limit(_NEWEST).subquery()
    query = select(newest).where(newest.c.subject == subject, newest.c.action.in_(actions))
    rows = await conn.execute(query.order_by(newest.c.id.desc()).limit(limit))
    return [Entry(row.at, row.who, row.action, row.subject, row.detail, row.peer, row.id) for row in rows]


async def read(conn: AsyncConnection, limit: int = 50, after: tuple[float, int] | None = None) -> list[Entry]:
    """Newest first, the saved versions of the settings among them (`detail` is the note then). `after`: the last row of
    the page before (its `at` and `id`)."""
    both = union_all(_NOTED, _SETTINGS).subquery()
    query = select(both)
    if after is not None:
        at, last = after
        query = query.where(or_(both.c.at < at, and_(both.c.at == at, both.c.id < last)))
    rows = await conn.execute(query.order_by(both.c.at.desc(), both.c.id.desc()).limit(limit))
    return [Entry(row.at, row.who, row.action, row.subject, row.detail, row.peer, row.id) for row in rows]


# Ids of both tables in one row of numbers: even ones are of the log, odd ones of the settings.
_NOTED = select(
    (audit.c.id * 2).label("id"), audit.c.at, audit.c.who, audit.c.action, audit.c.subject, audit.c.detail, audit.c.peer
)
_SETTINGS = select(
    (setting_version.c.id * 2 + 1).label("id"),
    setting_version.c.at,
    setting_version.c.who,
    literal(SETTINGS_SAVED).label("action"),
    cast(setting_version.c.id, String).label("subject"),
    setting_version.c.note.label("detail"),
    literal("").label("peer"),
)
