"""How far the wizard of the first run has come: each step's mark, and what was typed into it and not saved yet."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls.call import Direction
from perezvon.storage.insert import insert
from perezvon.storage.schema import call, setup_step


@dataclass(frozen=True, slots=True)
class SetupStep:
    """`mark`: "", done or skipped. `draft`: sealed, None for none."""

    name: str
    mark: str = ""
    draft: bytes | None = None


async def load(conn: AsyncConnection) -> dict[str, SetupStep]:
    rows = await conn.execute(select(setup_step))
    return {row.name: SetupStep(row.name, row.mark, row.draft) for row in rows}


async def mark(conn: AsyncConnection, name: str, told: str, now: float) -> None:
    statement = insert(conn, setup_step).values(name=name, mark=told, at=now)
    await conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"mark": told, "at": now}))


async def keep(conn: AsyncConnection, name: str, draft: bytes | None, now: float) -> None:
    statement = insert(conn, setup_step).values(name=name, mark="", draft=draft, at=now)
    await conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"draft": draft, "at": now}))


async def lines_called(conn: AsyncConnection, newest: int) -> dict[str, int]:
    """The company's numbers that the newest calls came to, and how often."""
    recent = (
        select(call.c.line)
        .where(call.c.direction == Direction.INCOMING.value)
        .order_by(call.c.started.desc())
        .limit(newest)
        .subquery()
    )
    rows = await conn.execute(select(recent.c.line, func.count()).group_by(recent.c.line))
    return {number: count for number, count in rows if number}
