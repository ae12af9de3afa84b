"""The OAuth grant of each portal, sealed by its owner (this room never sees it open)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.insert import insert
from perezvon.storage.schema import token


@dataclass(frozen=True, slots=True)
class SealedToken:
    """`member_id`: the portal's own lasting name. `updated`: POSIX seconds, UTC."""

    portal: str
    sealed: bytes
    member_id: str
    updated: float


async def save(conn: AsyncConnection, grant: SealedToken) -> None:
    """Takes the place of the portal's earlier grant."""
    changed = {"sealed": grant.sealed, "member_id": grant.member_id, "updated": grant.updated}
    statement = insert(conn, token).values(portal=grant.portal, **changed)
    await conn.execute(statement.on_conflict_do_update(index_elements=["portal"], set_=changed))


async def load(conn: AsyncConnection, portal: str) -> SealedToken | None:
    row = (await conn.execute(select(token).where(token.c.portal == portal))).one_or_none()
    return None if row is None else SealedToken(row.portal, row.sealed, row.member_id, row.updated)


async def forget(conn: AsyncConnection, portal: str) -> None:
    await conn.execute(token.delete().where(token.c.portal == portal))
