"""The application's page in the portal: for its administrators what is wrong and how to put it right, and what is set; for
everybody else his own calls of today, and who waits for his call back. Nothing of other portals and their PBXs: they may be
another company's, with the same extensions."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from perezvon.calls.call import Direction, Outcome
from perezvon.settings.portal import inside_pages
from perezvon.storage import missed, missed_report, search
from perezvon.storage.database import Database
from perezvon.storage.search import Filter
from perezvon.web.inside_sessions import Guest
from perezvon.web.portal_door import PortalDoor
from perezvon.web.status import StatusSource
from perezvon.web.troubles import troubles

MOST = 100
MOST_MISSED = 200


class StatePage:
    def __init__(
        self, door: PortalDoor, database: Database, status: StatusSource, clock: Callable[[], float] = time.time
    ) -> None:
        self._door = door
        self._database = database
        self._status = status
        self._clock = clock

    async def values(self, guest: Guest) -> dict[str, Any]:
        values = await self._own(guest)
        return values | (await self._administrators(guest) if guest.admin else {"portal": None})

    async def _administrators(self, guest: Guest) -> dict[str, Any]:
        now = await self._status.status()
        settings = self._door.settings(guest.portal)
        pbxs = self._door.pbxs(guest.portal)
        subjects = {f"portal {guest.portal}", *(f"asterisk {pbx}" for pbx in pbxs)}
        found = list(troubles(now))
        return {
            "portal": next((one for one in now.portals if one.name == guest.portal), None),
            "pbxs": [one for one in now.pbxs if one.name in pbxs],
            "troubles": [one for one in found if one.subject in subjects],
            "elsewhere": sum(1 for one in found if one.subject not in subjects),
            "settings": settings,
            "pages": inside_pages(settings) if settings is not None else {},
            "users": self._door.users(guest.portal),
        }

    async def _own(self, guest: Guest) -> dict[str, Any]:
        pbxs = self._door.pbxs(guest.portal)
        extension = self._door.extension(guest.portal, guest.user) if pbxs else ""
        now = self._clock()
        midnight = datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        async with self._database.read() as conn:
            mine = (
                await search.found(conn, Filter(employee=extension, pbxs=pbxs, since=midnight), MOST) if extension else []
            )
            asked = Filter(outcome=Outcome.MISSED, direction=Direction.INCOMING, pbxs=pbxs, since=midnight)
            lost = await search.found(conn, asked, MOST_MISSED) if extension else []
            rung = await missed_report.rung(conn, [row.id for row in lost])
            waiting = [
                one
                for one in await missed.waiting(conn, now - missed.WEEK, MOST_MISSED)
                if one.portal == guest.portal and one.responsible == guest.user
            ]
        return {
            "extension": extension,
            "mine": [row for row in mine if row.portal in (guest.portal, "")],
            "lost": [row for row in lost if extension in rung.get(row.id, ()) and row.portal in (guest.portal, "")],
            "waiting": waiting,
        }
