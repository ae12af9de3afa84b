"""Keeps a portal's triggers and robot as the settings want them, and removes them when these want them no more.

Whether the portal has anything of ours is remembered (a counter), so that one which never had is not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from perezvon.bitrix24 import Portal
from perezvon.bitrix24.automation import Wanted, keep
from perezvon.rules.vocabulary import Reason
from perezvon.service import policies
from perezvon.settings.portal import PortalSettings
from perezvon.storage import counters
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable

log = structlog.get_logger(__name__)

CHECK = 600.0
RETRY = 120.0
REGISTERED = "automation:"
"""Counter of a portal in which something of ours is registered."""

WEBHOOK_ONLY = Reason(
    "triggers and the robot need a local application, installed by an administrator: a webhook is not enough"
)
NO_ADDRESS = Reason("the robot needs public_url: the portal calls us at that address")


class AutomationKeeper:
    """`problems`: why something is not registered. `installed()`: whether we may speak to the portal at all."""

    def __init__(
        self,
        portal: str,
        database: Database,
        client: Callable[[], Portal],
        settings: Callable[[], PortalSettings],
        installed: Callable[[], bool],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._portal = portal
        self._database = database
        self._client = client
        self._settings = settings
        self._installed = installed
        self._clock = clock
        self._wake = asyncio.Event()
        self.problems: tuple[Reason, ...] = ()

    def wake(self) -> None:
        """The settings have changed, or the application was installed anew."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        known: Wanted | None = None
        while True:
            self._wake.clear()
            try:
                known = await self._look(policies.automation(self._settings()), known)
            except Unavailable as error:
                log.warning("automation waits for the database", portal=self._portal, error=str(error))
            for problem in self.problems:
                log.warning("automation not registered", portal=self._portal, problem=str(problem))
            try:
                async with asyncio.timeout(RETRY if self.problems else CHECK):
                    await self._wake.wait()
            except TimeoutError:
                continue
            known = None

    async def _look(self, wanted: Wanted, known: Wanted | None) -> Wanted | None:
        """`known`: what the portal has surely got, as far as we know. Gives the same."""
        client, settings = self._client(), self._settings()
        if not client.is_application:
            self.problems = (WEBHOOK_ONLY,) if settings.automation.wanted else ()
            return None
        missing = (NO_ADDRESS,) if settings.automation.robot and wanted.robot is None else ()
        self.problems = missing
        if not self._installed():
            return None
        counter = f"{REGISTERED}{self._portal}"
        async with self._database.read() as conn:
            registered = any(one.name == counter for one in await counters.read(conn, counter))
        if not wanted and not registered:
            return wanted
        if not registered:
            await self._database.write(lambda conn: counters.bump(conn, counter, self._clock()))
        problems = await keep(client, wanted, renew=wanted != known)
        if not wanted and not problems:
            await self._database.write(lambda conn: counters.clear(conn, counter))
        self.problems = (*missing, *problems)
        return None if problems else wanted
