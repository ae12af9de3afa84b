"""Calls that we place, by the ChannelId that the employee's phone is rung under: clicks, and what was ordered of us."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules import Order, PlanState, Reason
from perezvon.storage import clicks, orders
from perezvon.storage.calls import StoredCall
from perezvon.storage.clicks import Click, ClickState

_EARLIER = (ClickState.NEW, ClickState.DIALLING)


class ClickBook:
    """Shared by whoever dials (clicks.py, orders.py) and the switchboards, which see the calls come about."""

    def __init__(self) -> None:
        self._expected: dict[str, Click] = {}
        self._orders: dict[str, Order] = {}
        self._reasons: dict[str, Sequence[Reason]] = {}

    def expect(self, uniqueid: str, click: Click, reasons: Sequence[Reason] = ()) -> None:
        """`reasons`: what the call shall tell of how the click was dialled."""
        self._expected[uniqueid] = click
        self._reasons[uniqueid] = reasons

    def expect_order(self, uniqueid: str, order: Order, reason: Reason | None = None) -> None:
        self._orders[uniqueid] = order
        self._reasons[uniqueid] = () if reason is None else (reason,)

    def forget(self, uniqueid: str) -> None:
        self._expected.pop(uniqueid, None)
        self._orders.pop(uniqueid, None)
        self._reasons.pop(uniqueid, None)

    def expected(self, uniqueid: str) -> Click | None:
        return self._expected.get(uniqueid)

    def ordered(self, uniqueid: str) -> Order | None:
        return self._orders.get(uniqueid)

    def reasons(self, uniqueid: str) -> Sequence[Reason]:
        return self._reasons.get(uniqueid, ())

    async def follow(self, conn: AsyncConnection, plan: PlanState, row: StoredCall, portal: str = "") -> None:
        """In the transaction that stores the call: its click, or order, goes with it. `portal`: that of the PBX."""
        if plan.order is not None:
            await _follow_order(conn, plan, plan.order, row, row.portal or portal)
        if not plan.portal_call or not row.portal:
            return
        if row.live:
            await clicks.move(conn, row.portal, plan.portal_call, ClickState.CALLING, only_from=_EARLIER, call=row.id)
        else:
            await clicks.move(conn, row.portal, plan.portal_call, ClickState.FINISHED, call=row.id)


async def _follow_order(conn: AsyncConnection, plan: PlanState, order: Order, row: StoredCall, portal: str) -> None:
    """An attempt for a callback form to which nobody has come to the phone leaves its order open: somebody else is rung."""
    if not portal or plan.held:
        return
    if row.live:
        await orders.move(conn, portal, order.key, ClickState.CALLING, only_from=_EARLIER, call=row.id)
    else:
        await orders.move(conn, portal, order.key, ClickState.FINISHED, call=row.id)
