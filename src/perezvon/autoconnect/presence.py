"""Which employees are at work by the portal: their working day and their absences, asked every half minute.

Only those are asked for whom a rule has looked at within the last day: whose client has called, who is first on a line, who
deputises. What is older than a quarter of an hour counts no more: then nobody is kept from being rung by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo

import structlog

from perezvon.asking import OwnTables
from perezvon.bitrix24 import Portal, owners
from perezvon.bitrix24.errors import AuthRefused, Forbidden, NotFound, PortalError

EVERY = 30.0
STALE = 900.0
KEEPS_FOR = 3600.0
"""Seconds for which it is known whose working days are kept at all."""
WANTED_FOR = 86400.0
SHORT_OF = 600.0
"""Seconds for which nothing is asked that the portal does not allow."""
MOST = 400
RESERVE = 15.0
"""Requests of the portal's burst that are left to calls."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings want to be asked. `zone`: of the portal's days."""

    workday: bool = False
    absences: bool = False
    zone: tzinfo | None = None

    def __bool__(self) -> bool:
        return self.workday or self.absences


class Presence:
    """Of one portal. `portal()`: None while it cannot be asked. `named()`: the users whom the settings name. `own` owns the
    questions under way."""

    def __init__(
        self,
        name: str,
        portal: Callable[[], Portal | None],
        wanted: Callable[[], Wanted],
        named: Callable[[], Iterable[str]],
        own: OwnTables,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._portal = portal
        self._wanted = wanted
        self._named = named
        self._own = own
        self._clock = clock
        self._looked_at: dict[str, float] = {}
        self._workday: dict[str, tuple[str, float]] = {}
        self._keeps: dict[str, tuple[bool, float]] = {}
        self._absences: dict[str, tuple[tuple[tuple[float, float], ...], float]] = {}
        self._refused: dict[str, float] = {}
        self.trouble = ""

    # ---- what is known

    def notice(self, user: str, status: str) -> None:
        """A workday that another answer has told."""
        self._workday[user] = (status, self._clock())

    def workday(self) -> dict[str, str]:
        since = self._clock() - STALE
        kept = {user: status for user, (status, at) in self._workday.items() if at > since}
        return {user: status for user, status in kept.items() if self._keeps.get(user, (True, 0.0))[0]}

    def absent(self, at: float) -> dict[str, float]:
        """Until when, of those who are absent at that moment."""
        since = self._clock() - STALE
        ends = {
            user: max((end for begin, end in spans if begin <= at < end), default=0.0)
            for user, (spans, told) in self._absences.items()
            if told > since
        }
        return {user: end for user, end in ends.items() if end}

    # ---- asking

    async def ask(self, users: Iterable[str], deadline: float) -> None:
        """Those of them of whom nothing is known yet: until the deadline (of the loop's clock) at the latest. From now on
        all of them are asked for every half minute."""
        asked = [user for user in users if user.isascii() and user.isdecimal()]
        now, wanted = self._clock(), self._wanted()
        self._looked_at.update(dict.fromkeys(asked, now))
        missing = [user for user in asked if self._lacks(user, wanted)]
        portal = self._portal()
        patience = deadline - asyncio.get_running_loop().time()
        if not missing or portal is None or patience <= 0 or portal.bucket.tokens() < 1:
            return
        task = self._own.begin(self._fetch(portal, missing, wanted, None), "attendance")
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            log.warning("autoconnect: the portal is slow to tell who is at work", portal=self._name, users=len(missing))

    def _lacks(self, user: str, wanted: Wanted) -> bool:
        since = self._clock() - STALE
        lacks_day = wanted.workday and self._may(owners.WORKDAY) and self._workday.get(user, ("", 0.0))[1] <= since
        lacks_absence = wanted.absences and self._may(owners.ACCESSIBILITY)
        return lacks_day or (lacks_absence and self._absences.get(user, ((), 0.0))[1] <= since)

    def _may(self, method: str) -> bool:
        return self._refused.get(method, 0.0) <= self._clock()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            now, wanted, portal = self._clock(), self._wanted(), self._portal()
            if wanted:
                self._looked_at |= dict.fromkeys(self._named(), now)
            self._looked_at = {user: at for user, at in self._looked_at.items() if at > now - WANTED_FOR}
            newest = sorted(self._looked_at, key=lambda user: -self._looked_at[user])[:MOST]
            if wanted and newest and portal is not None:
                await self._fetch(portal, newest, wanted, RESERVE)
            await asyncio.sleep(EVERY)

    async def _fetch(self, portal: Portal, users: list[str], wanted: Wanted, reserve: float | None) -> None:
        now = self._clock()
        workday = wanted.workday and self._may(owners.WORKDAY)
        absences = wanted.absences and self._may(owners.ACCESSIBILITY)
        if not (workday or absences):
            return
        keeps = {user for user in users if self._keeps.get(user, (True, 0.0))[1] <= now - KEEPS_FOR}
        try:
            told = await owners.attendance(
                portal, users, workday=workday, absences=absences, keeps=keeps, now=now, zone=wanted.zone, reserve=reserve
            )
        except PortalError as error:
            self._tell(str(error))
            return
        except Exception:  # callers, and whoever owns `run`, must go on
            log.exception("autoconnect: a defect of ours while the portal was asked who is at work", portal=self._name)
            return
        self._workday.update({user: (status, now) for user, status in told.workday.items()})
        self._keeps.update({user: (does, now) for user, does in told.keeps.items()})
        self._absences.update({user: (spans, now) for user, spans in told.absences.items()})
        for error in told.troubles:
            if isinstance(error, (AuthRefused, Forbidden)) or (isinstance(error, NotFound) and not told.workday):
                self._refused[error.method] = now + SHORT_OF
        self._tell(str(told.troubles[0]) if told.troubles else "")

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("autoconnect: who is at work is not told", portal=self._name, error=trouble)
        self.trouble = trouble
