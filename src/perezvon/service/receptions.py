"""Autoconnect put together: what is known of clients and employees, portal by portal, and the script for each PBX."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from perezvon.asking import OwnTables
from perezvon.asterisk.agi import AgiCall
from perezvon.autoconnect import Clients, Desk, Hook, Presence, Reception
from perezvon.bitrix24 import Portal
from perezvon.bitrix24.directory import Directory
from perezvon.calls import Numbering
from perezvon.customisation import Customiser, Point
from perezvon.rules.connecting import Connecting, Person
from perezvon.rules.numbers import Towards, formatted
from perezvon.service import policies
from perezvon.service.dialplan_hooks import customised_distribution
from perezvon.service.portals import PortalLink
from perezvon.settings.model import Settings
from perezvon.storage.database import Database

log = structlog.get_logger(__name__)


class Receptions:
    """`settings()` gives those that apply now. Made with the portals' links, `run` until cancelled."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        portals: Mapping[str, PortalLink],
        database: Database,
        *,
        clock: Callable[[], float],
        remember: bool = True,
        customiser: Customiser | None = None,
    ) -> None:
        """`remember`: whether what the portal says is stored for a restart (a test on the command line does not).
        `customiser`: where the integrator's hook is asked."""
        self._customiser = customiser
        self._settings = settings
        self._clock = clock
        self._own = OwnTables(database, "autoconnect")
        self._desks = {name: self._desk(link, remember=remember) for name, link in portals.items()}
        self._of_pbx: dict[str, Reception] = {}
        self._rules: dict[str, tuple[Settings, Connecting]] = {}

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, desk in self._desks.items():
                    tasks.create_task(desk.presence.run(), name=f"attendance at {name}")
                await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        self._own.cancel()
        await self._own.close()

    @property
    def troubles(self) -> dict[str, str]:
        """By portal: what it does not tell just now."""
        told = {name: desk.clients.trouble or desk.presence.trouble for name, desk in self._desks.items()}
        return {name: why for name, why in told.items() if why}

    async def connect(self, call: AgiCall) -> None:
        """The script `connect`, of whichever PBX."""
        reception = self.of(call.pbx)
        if reception is None:
            log.warning("autoconnect: asked by a PBX that the settings do not name", pbx=call.pbx)
            return
        await reception.connect(call)

    def of(self, pbx: str) -> Reception | None:
        settings = self._settings()
        entry = next((entry for entry in settings.asterisk if entry.name == pbx), None)
        if entry is None:
            return None
        if pbx not in self._of_pbx:
            self._of_pbx[pbx] = Reception(
                pbx,
                self._settings,
                lambda: self._desk_of(pbx),
                lambda: self._connecting(pbx),
                policies.numbering(settings, entry),
                self._own,
                clock=self._clock,
                hook=self._hook(pbx),
            )
        return self._of_pbx[pbx]

    def _hook(self, pbx: str) -> Hook | None:
        customiser, point = self._customiser, Point.CUSTOMIZE_AUTODISTRIBUTION
        if customiser is None:
            return None
        return Hook(
            lambda: customiser.limits.of(point) if customiser.wants(point) else 0.0,
            partial(customised_distribution, customiser, pbx),
        )

    def _desk_of(self, pbx: str) -> Desk | None:
        portal = self._settings().portal_of(pbx)
        return None if portal is None else self._desks.get(portal.name)

    def _connecting(self, pbx: str) -> Connecting:
        settings = self._settings()
        kept = self._rules.get(pbx)
        if kept is None or kept[0] is not settings:
            kept = self._rules[pbx] = (settings, policies.connecting(settings, settings.portal_of(pbx)))
        return kept[1]

    def _desk(self, link: PortalLink, *, remember: bool) -> Desk:
        staff: list[tuple[Directory, tuple[Mapping[str, Person], Mapping[str, Person]]]] = []

        def portal() -> Portal | None:
            return link.client if link.installed else None

        def people() -> tuple[Mapping[str, Person], Mapping[str, Person]]:
            if not staff or staff[0][0] is not link.directory:
                staff[:] = [(link.directory, policies.staff(link.directory))]
            return staff[0][1]

        def phone(client: str, number: str) -> str:
            policy = link.rules().policy
            line = policy.line(Numbering(region=self._settings().calls.region).international(number), number, "")
            return formatted(client, line.number, policy.to_crm, Towards.CRM).number

        def attended() -> policies.Attended:
            return policies.attended(self._settings(), link.settings)

        def named() -> list[str]:
            settings = self._settings()
            extensions = [line.first_employee for line in settings.line]
            extensions += [one for entry in settings.autoconnect.deputy for one in (entry.employee, *entry.deputies)]
            found = (people()[1].get(extension) for extension in extensions)
            return [person.user for person in found if person is not None]

        presence = Presence(link.name, portal, attended, named, self._own, clock=self._clock)
        clients = Clients(link.name, portal, self._own, presence.notice, clock=self._clock, remember=remember)
        return Desk(clients, presence, people, phone)
