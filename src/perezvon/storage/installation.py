"""The identity of this installation: made once, part of every EXTERNAL_CALL_ID, so that two installations on one portal
never take each other's calls for their own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import installation


@dataclass(frozen=True, slots=True)
class Installation:
    """`created`: POSIX seconds, UTC."""

    id: str
    created: float


async def identity(conn: AsyncConnection, now: float) -> Installation:
    """The installation of this database, made when there is none yet (so: inside `Database.write`)."""
    row = (await conn.execute(select(installation.c.id, installation.c.created))).one_or_none()
    if row is not None:
        return Installation(row.id, row.created)
    made = Installation(secrets.token_hex(6), now)
    await conn.execute(installation.insert().values(id=made.id, created=made.created))
    return made
