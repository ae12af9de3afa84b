"""Keeps the places of one portal that lead to our pages as the settings want them (bitrix24/placements.py).

A reinstallation or a restored portal loses them without a word, so they are looked at now and then, as events are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from perezvon.bitrix24 import Portal
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.placements import ANALYTICS, CARD, MENU, Bound, Place, keep
from perezvon.rules.vocabulary import Reason
from perezvon.settings.portal import PortalSettings, inside_pages, inside_path
from perezvon.web.translations import LANGUAGES, catalog

log = structlog.get_logger(__name__)

CHECK = 600.0
RETRY = 120.0

PAGES = {
    "card": (CARD, Reason("Conference")),
    "analytics": (ANALYTICS, Reason("Missed calls and call-backs")),
    "app": (MENU, Reason("Perezvon: telephony")),
}
"""Our pages: the portal's place for each, and what it is called there."""


def wanted(settings: PortalSettings) -> list[Place]:
    places: list[Place] = []
    for page, handler in inside_pages(settings).items():
        code, title = PAGES[page]
        titles = {language: catalog(language).gettext(title.text) for language in LANGUAGES}
        own = titles.pop(settings.language)
        places.append(Place(code, handler, {settings.language: own, **titles}))
    return places


class PlacementKeeper:
    """`bound`: what the portal has. `installed()`: whether we may speak to the portal at all."""

    def __init__(
        self, client: Callable[[], Portal], settings: Callable[[], PortalSettings], installed: Callable[[], bool]
    ) -> None:
        self._client = client
        self._settings = settings
        self._installed = installed
        self._wake = asyncio.Event()
        self.bound = Bound()

    @property
    def problems(self) -> tuple[Reason, ...]:
        return self.bound.problems

    def wake(self) -> None:
        """The settings have changed, or the application was installed anew."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        idle = False
        while True:
            self._wake.clear()
            client, settings = self._client(), self._settings()
            places = wanted(settings)
            if client.is_application and self._installed() and (places or not idle):
                await self._keep(client, settings, places)
                idle = not places and not self.bound.problems
            try:
                async with asyncio.timeout(RETRY if self.bound.problems else CHECK):
                    await self._wake.wait()
                    idle = False
            except TimeoutError:
                continue

    async def _keep(self, client: Portal, settings: PortalSettings, places: list[Place]) -> None:
        ours = [inside_path(settings.name, page) for page in PAGES]
        try:
            self.bound = await keep(client, places, ours)
        except PortalError as error:
            self.bound = Bound(self.bound.places, (error.why,))
        for problem in self.bound.problems:
            log.warning("place in the portal not bound", portal=settings.name, problem=str(problem))
