"""Cases worth counting for ever: e.g. calls of employees without a portal user (`unmapped:PBX:EXTENSION`)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.insert import insert
from perezvon.storage.schema import counter


@dataclass(frozen=True, slots=True)
class Counter:
    """`last`: when it was raised last, POSIX seconds, UTC."""

    name: str
    value: int
    last: float


async def bump(conn: AsyncConnection, name: str, now: float, by: int = 1) -> None:
    statement = insert(conn, counter).values(name=name, value=by, last=now)
    await conn.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": counter.c.value + by, "last": now})
    )


async def bump_among(conn: AsyncConnection, prefix: str, case: str, now: float, most: int) -> None:
    """`bump` of the case behind the prefix, where cases come from outside: never more than `most` of them are kept."""
    known = {one.name for one in await read(conn, prefix)}
    if f"{prefix}{case}" in known or len(known) < most:
        await bump(conn, f"{prefix}{case}", now)


async def read(conn: AsyncConnection, prefix: str = "") -> list[Counter]:
    """Those whose name starts with `prefix`, by name."""
    query = select(counter).where(counter.c.name.startswith(prefix, autoescape=True)).order_by(counter.c.name)
    return [Counter(row.name, row.value, row.last) for row in await conn.execute(query)]


async def clear(conn: AsyncConnection, name: str) -> None:
    """The case has been dealt with."""
    await conn.execute(counter.delete().where(counter.c.name == name))
