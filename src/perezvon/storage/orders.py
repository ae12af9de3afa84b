"""Calls that a robot of the portal or a callback form has ordered: each is taken once.

State: new (to be dialled, from `not_before` on) -> dialling (an employee is rung) -> new again (he did not come, the next
is to be tried), or calling (the portal is told of the call) -> finished; or dropped (nobody came, or it was refused). Each
move names the states it may come from, so that two moves never both win.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.orders import Order
from perezvon.storage.clicks import OPEN, ClickState
from perezvon.storage.insert import insert
from perezvon.storage.schema import call_order


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """`received`, `not_before`: POSIX seconds, UTC. `digest`: the same for the same event, whichever way it came.
    `tries`: how many employees have been rung in vain. `uniqueid`: ChannelId of the last Originate; `call`: the id of the
    call that came of it."""

    portal: str
    order: Order
    received: float
    digest: str = ""
    tries: int = 0
    not_before: float = 0.0
    uniqueid: str = ""
    call: str = ""
    state: ClickState = ClickState.NEW
    error: str = ""


async def take(conn: AsyncConnection, new: StoredOrder, since: float) -> bool:
    """False when the same has been taken before (of events without an id: since then)."""
    alike = select(call_order.c.id).where(
        call_order.c.portal == new.portal, call_order.c.digest == new.digest, call_order.c.received >= since
    )
    if new.digest and (await conn.execute(alike.limit(1))).first() is not None:
        return False
    statement = insert(conn, call_order).values(
        portal=new.portal,
        key=new.order.key,
        digest=new.digest,
        received=new.received,
        body=json.dumps(asdict(new.order)),
        tries=new.tries,
        not_before=new.not_before,
        uniqueid=new.uniqueid,
        call=new.call,
        state=new.state.value,
        error=new.error,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["portal", "key"]).returning(call_order.c.id)
    return (await conn.execute(statement)).one_or_none() is not None


async def move(
    conn: AsyncConnection,
    portal: str,
    key: str,
    to: ClickState,
    *,
    only_from: Sequence[ClickState] = OPEN,
    order: Order | None = None,
    **changed: str | float,
) -> bool:
    """False when the order is in none of the states `only_from` (or unknown): nothing was changed then. `changed`:
    uniqueid, call, tries, not_before, error."""
    values: dict[str, Any] = {"state": to.value, **changed}
    if order is not None:
        values["body"] = json.dumps(asdict(order))
    statement = (
        update(call_order)
        .where(call_order.c.portal == portal, call_order.c.key == key, call_order.c.state.in_(only_from))
        .values(values)
        .returning(call_order.c.id)
    )
    return (await conn.execute(statement)).one_or_none() is not None


async def find(conn: AsyncConnection, portal: str, key: str) -> StoredOrder | None:
    where = (call_order.c.portal == portal, call_order.c.key == key)
    row = (await conn.execute(select(call_order).where(*where))).one_or_none()
    return None if row is None else _order(row)


async def since(conn: AsyncConnection, portal: str, key: str, limit: int = 200) -> list[StoredOrder]:
    """Those whose keys come after `key` and begin like it up to its first colon, the last that came first."""
    alike = call_order.c.key.startswith(f"{key.partition(':')[0]}:", autoescape=True)
    where = (call_order.c.portal == portal, call_order.c.key >= key, alike)
    rows = await conn.execute(select(call_order).where(*where).order_by(call_order.c.id.desc()).limit(limit))
    return [_order(row) for row in rows]


async def unfinished(conn: AsyncConnection, portal: str) -> list[StoredOrder]:
    """In order of arrival."""
    where = (call_order.c.state.in_(OPEN), call_order.c.portal == portal)
    return [_order(row) for row in await conn.execute(select(call_order).where(*where).order_by(call_order.c.id))]


def _order(row: Row[tuple[object, ...]]) -> StoredOrder:
    return StoredOrder(
        portal=row.portal,
        order=Order.from_json(json.loads(row.body)),
        received=row.received,
        digest=row.digest,
        tries=row.tries,
        not_before=row.not_before,
        uniqueid=row.uniqueid,
        call=row.call,
        state=ClickState(row.state),
        error=row.error,
    )
