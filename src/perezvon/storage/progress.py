"""How far the events of each PBX have been dealt with, so that what happened while we were down can be read up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Executable, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.insert import Insert, built_once
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


def _save(insert: Callable[[Table], Insert]) -> Executable:
    statement = insert(progress)
    changed = {name: statement.excluded[name] for name in ("until", "startup")}
    return statement.on_conflict_do_update(index_elements=["pbx"], set_=changed)


_SAVE = built_once(_save)


async def save(conn: AsyncConnection, pbx: str, now: Progress) -> None:
    await conn.execute(_SAVE(conn), {"pbx": pbx, "until": now.until, "startup": now.startup})
