"""The last good snapshot of a portal's employees, so that a restart without the portal still knows everybody."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import employee


@dataclass(frozen=True, slots=True)
class Employee:
    """`extension`: "" when the portal's profile has none. `phones`: E.164."""

    user_id: str
    extension: str
    name: str
    active: bool = True
    phones: tuple[str, ...] = ()


async def replace(conn: AsyncConnection, portal: str, people: Iterable[Employee], now: float) -> None:
    """The whole snapshot; who is not in it is forgotten."""
    await conn.execute(employee.delete().where(employee.c.portal == portal))
    rows = [
        {
            "portal": portal,
            "user_id": person.user_id,
            "extension": person.extension,
            "name": person.name,
            "active": person.active,
            "phones": json.dumps(person.phones),
            "refreshed": now,
        }
        for person in people
    ]
    if rows:
        await conn.execute(employee.insert(), rows)


async def load(conn: AsyncConnection, portal: str) -> tuple[list[Employee], float | None]:
    """The snapshot, and when it was taken (POSIX seconds, UTC; None when there is none)."""
    rows = (await conn.execute(select(employee).where(employee.c.portal == portal).order_by(employee.c.user_id))).all()
    people = [
        Employee(row.user_id, row.extension, row.name, bool(row.active), tuple(json.loads(row.phones))) for row in rows
    ]
    return people, rows[0].refreshed if rows else None
