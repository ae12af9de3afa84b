"""Clicks under way, by the ChannelId that the employee's phone is rung under, and what calls make of them."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules import PlanState, Reason
from perezvon.storage import clicks
from perezvon.storage.calls import StoredCall
from perezvon.storage.clicks import Click, ClickState


class ClickBook:
    """Shared by whoever dials (clicks.py) and the switchboards, which see the calls come about."""

    def __init__(self) -> None:
        self._expected: dict[str, Click] = {}
        self._reasons: dict[str, Reason] = {}

    def expect(self, uniqueid: str, click: Click, reason: Reason | None = None) -> None:
        """`reason`: what the call shall tell of how the click was dialled."""
        self._expected[uniqueid] = click
        if reason is not None:
            self._reasons[uniqueid] = reason

    def forget(self, uniqueid: str) -> None:
        self._expected.pop(uniqueid, None)
        self._reasons.pop(uniqueid, None)

    def expected(self, uniqueid: str) -> Click | None:
        return self._expected.get(uniqueid)

    def reason(self, uniqueid: str) -> Reason | None:
        return self._reasons.get(uniqueid)

    async def follow(self, conn: AsyncConnection, plan: PlanState, row: StoredCall) -> None:
        """In the transaction that stores the call: its click goes with it."""
        if not plan.portal_call or not row.portal:
            return
        if row.live:
            earlier = (ClickState.NEW, ClickState.DIALLING)
            await clicks.move(conn, row.portal, plan.portal_call, ClickState.CALLING, only_from=earlier, call=row.id)
        else:
            await clicks.move(conn, row.portal, plan.portal_call, ClickState.FINISHED, call=row.id)
