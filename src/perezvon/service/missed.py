"""Missed calls: the rules of rules/missed.py in the transaction that stores a call, and the reminders in their time.

The client's row is read and written in the same transaction as the call, and the database has one writer: of two calls of
one client that end at the same moment the second finds what the first has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls import Call
from perezvon.rules import Decision
from perezvon.rules.missed import after, concerns, remind
from perezvon.rules.triggers import late_by_number
from perezvon.service.policies import PortalRules
from perezvon.storage import lanes, missed
from perezvon.storage.database import Database
from perezvon.storage.insist import insist

log = structlog.get_logger(__name__)

LOOK = 20.0
"""Seconds after which it is looked again whose time has come: rows come from several PBXs."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of one call. `lane`: where the decision's steps go."""

    call: str
    lane: str
    decision: Decision


async def follow(conn: AsyncConnection, rules: PortalRules, ended: Iterable[Call]) -> list[Followed]:
    """Updates the clients' rows; the steps are the caller's to store. A defect in the rules loses no call."""
    done: list[Followed] = []
    for call in ended:
        if rules.policy.missed is None or not call.client or not concerns(call):
            continue
        known = await missed.latest(conn, rules.portal, call.client[:40])
        try:
            row, reason, step = after(known, call, rules.portal, rules.policy, rules.people)
        except Exception:
            log.exception("the rules for missed calls failed on a call", portal=rules.portal, call=call.id)
            continue
        if row is not None:
            await missed.save(conn, row)
        if reason is not None:
            done.append(Followed(call.id, row.lane if row else "", Decision(reason, (step,) if step else ())))
    return done


class Reminder:
    """Brings the tasks of one portal to mind for which `remind_after` is over."""

    def __init__(
        self,
        portal: str,
        database: Database,
        rules: Callable[[], PortalRules],
        stored: Callable[[str], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._portal = portal
        self._database = database
        self._rules = rules
        self._stored = stored
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            pause = await insist(self._look, "reminders", portal=self._portal)
            await asyncio.sleep(pause)

    async def _look(self) -> float:
        """Gives the seconds until the next look."""
        now = self._clock()
        async with self._database.glance() as conn:
            first = await missed.next_due(conn, self._portal)
        if first is None or first > now:
            return LOOK if first is None else max(0.05, min(LOOK, first - now))
        if await self._database.write(lambda conn: self._remind(conn, now)):
            self._stored(self._portal)
        return 0.05

    async def _remind(self, conn: AsyncConnection, now: float) -> int:
        """The steps and the rows in one transaction. Gives the number of steps."""
        policy = self._rules().policy
        count = 0
        for row in await missed.due(conn, self._portal, now):
            done, step = remind(row, policy)
            await missed.save(conn, done)
            if step is not None:
                count += 1
                await lanes.append(conn, self._portal, row.lane, [step], now)
                if policy.triggers.late:
                    late = late_by_number(step.key, row.client)
                    await lanes.append(conn, self._portal, f"{row.lane}:late", [late], now)
        return count
