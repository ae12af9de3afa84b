"""Keeps the company's numbers as lines of a portal, as the settings name them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from perezvon.bitrix24 import Portal
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.lines import keep_lines
from perezvon.rules.vocabulary import Reason
from perezvon.service import policies
from perezvon.settings.model import Settings

log = structlog.get_logger(__name__)

CHECK = 3600.0
"""Seconds between two looks whether the company's numbers are lines of the portal as the settings name them."""
RETRY = 60.0


class LineKeeper:
    """`problem`: why they are not. `installed()`: whether we may speak to the portal at all."""

    def __init__(
        self,
        portal: str,
        client: Callable[[], Portal],
        settings: Callable[[], Settings],
        installed: Callable[[], bool],
    ) -> None:
        self._portal = portal
        self._client = client
        self._settings = settings
        self._installed = installed
        self._wake = asyncio.Event()
        self.problem: str | Reason = ""

    def wake(self) -> None:
        """The settings have changed, or the application was installed anew."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. With several portals nobody knows whose a number is, until a call has brought it there."""
        while True:
            self._wake.clear()
            settings = self._settings()
            if self._installed() and settings.line:
                try:
                    await keep_lines(self._client(), policies.external_lines(settings), add=len(settings.portal) == 1)
                except PortalError as error:
                    self.problem = error.why
                    log.warning("lines not kept", portal=self._portal, error=str(error))
                else:
                    self.problem = ""
            elif not settings.line:
                self.problem = ""
            try:
                async with asyncio.timeout(RETRY if self.problem else CHECK):
                    await self._wake.wait()
            except TimeoutError:
                continue
