"""How far the events of each PBX have been dealt with, so that what happened while we were down can be read up."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.insert import insert
from perezvon.storage.schema import progress


@dataclass(frozen=True, slots=True)
class Progress:
    """`until`: everything that the PBX told up to this moment (its clock, POSIX seconds) is stored. `startup`: when that
    PBX was started, in its own words."""

    until: float
    startup: str


async def load(conn: AsyncConnection, pbx: str) -> Progress | None:
    """None for a PBX that was never watched."""
    row = (await conn.execute(select(progress).where(progress.c.pbx == pbx))).one_or_none()
    return None if row is None else Progress(row.until, row.startup)


async def save(conn: AsyncConnection, pbx: str, now: Progress) -> None:
    values = {"until": now.until, "startup": now.startup}
    statement = insert(conn, progress).values(pbx=pbx, **values)
    await conn.execute(statement.on_conflict_do_update(index_elements=["pbx"], set_=values))
