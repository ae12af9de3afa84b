"""Everything that is kept of one client: found by his number, and deleted. Other calls in which he only appears
(brought in as a third person, rung by a menu) lose his number.

Rows are deleted, and on SQLite their bytes are overwritten (`secure_delete`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table, delete, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import (
    call,
    call_order,
    click,
    company_answer,
    conference_code,
    counter,
    fact,
    lane,
    missed,
    recording,
    step,
)

ERASED = "erased"
"""What stands in the place of his number in other calls."""

AT_ONCE = 200

MENTIONED: Sequence[tuple[Table, str, Sequence[str]]] = (
    (call, "id", ("state", "plan")),
    (fact, "id", ("body",)),
    (step, "id", ("params", "reason", "result", "error", "note")),
    (recording, "id", ("path", "found", "error")),
)
"""Columns of text in which a number may stand, by their tables' keys."""


@dataclass(frozen=True, slots=True)
class Whose:
    """A client's number: `forms` as it is kept in columns of its own, `digits` as it ends in every form."""

    forms: tuple[str, ...]
    digits: str

    @classmethod
    def of(cls, number: str) -> Whose:
        """`number`: E.164. Its national part is looked for: at most ten digits, as in Russia."""
        digits = re.sub(r"\D", "", number)
        national = digits[-10:]
        return cls(tuple(dict.fromkeys((f"+{digits}", digits, national, f"8{national}", f"7{national}"))), national)

    def without(self, value: str) -> str:
        return re.sub(rf"(?<![\d.])\+?\d{{0,4}}{self.digits}(?!\d)", ERASED, value)


async def calls_of(conn: AsyncConnection, whose: Whose) -> list[Any]:
    """Rows of `call`, oldest first."""
    query = select(call).where(call.c.client.in_(whose.forms)).order_by(call.c.started)
    return list(await conn.execute(query))


async def lanes_of_missed(conn: AsyncConnection, whose: Whose) -> list[str]:
    return list((await conn.execute(select(missed.c.lane).where(missed.c.client.in_(whose.forms)))).scalars())


async def counted(conn: AsyncConnection, whose: Whose) -> dict[str, int]:
    """Other rows that are his, by table; and rows of other calls in which his number stands."""
    found: dict[str, int] = {}
    for table, where in _own(whose).items():
        found[table.name] = len((await conn.execute(select(table).where(where))).all())
    mine = select(call.c.id).where(call.c.client.in_(whose.forms))
    for table, _, names in MENTIONED:
        query = select(table).where(_mentions(table, names, whose), _of(table).not_in(mine))
        found[f"other {table.name}"] = len((await conn.execute(query)).all())
    return {name: number for name, number in found.items() if number}


async def erase(conn: AsyncConnection, whose: Whose, calls: Collection[str], lanes: Collection[str]) -> None:
    """These calls, these lanes, and what else is his."""
    if conn.dialect.name == "sqlite":
        await conn.execute(text("PRAGMA secure_delete = ON"))
    ids = sorted(calls)
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        await _delete_lanes(conn, some)
        for table in (fact, recording):
            await conn.execute(delete(table).where(table.c.call.in_(some)))
        await conn.execute(delete(click).where(click.c.call.in_(some)))
        await conn.execute(delete(call).where(call.c.id.in_(some)))
    await _delete_lanes(conn, sorted(lanes))
    await conn.execute(delete(missed).where(missed.c.lane.in_(sorted(lanes))))
    for table, where in _own(whose).items():
        if table is not missed:
            await conn.execute(delete(table).where(where))
    for table, key, names in MENTIONED:
        await _forget(conn, table, table.c[key], names, whose)


async def _delete_lanes(conn: AsyncConnection, some: Sequence[str]) -> None:
    await conn.execute(delete(step).where(step.c.lane.in_(some)))
    await conn.execute(delete(lane).where(lane.c.id.in_(some)))


async def _forget(conn: AsyncConnection, table: Table, key: Column[Any], names: Sequence[str], whose: Whose) -> None:
    columns = [table.c[name] for name in names]
    mine = select(call.c.id).where(call.c.client.in_(whose.forms))  # those that are not erased now stay as they are
    query = select(key.label("its"), *columns).where(_mentions(table, names, whose), _of(table).not_in(mine))
    for row in (await conn.execute(query)).mappings().all():
        values: Mapping[str, Any] = {
            name: whose.without(row[name]) for name in names if isinstance(row[name], str) and whose.digits in row[name]
        }
        if values:
            await conn.execute(update(table).where(key == row["its"]).values(**values))


def _of(table: Table) -> Column[Any]:
    """The call of a row."""
    return table.c["id" if table is call else "lane" if table is step else "call"]


def _mentions(table: Table, names: Sequence[str], whose: Whose) -> Any:
    return or_(*(table.c[name].contains(whose.digits, autoescape=True) for name in names))


def _own(whose: Whose) -> dict[Table, Any]:
    return {
        missed: missed.c.client.in_(whose.forms),
        click: click.c.number.in_(whose.forms),
        call_order: call_order.c.body.contains(whose.digits),
        conference_code: conference_code.c.phone.in_(whose.forms),
        company_answer: company_answer.c.value.in_(whose.forms) | company_answer.c.body.contains(whose.digits),
        counter: counter.c.name.contains(whose.digits),
    }
