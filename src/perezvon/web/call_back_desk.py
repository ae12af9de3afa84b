"""Calling back a client who was missed, whoever asks for it: a page's button or a program; and what became of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.missed import Missed
from perezvon.rules.orders import Order, Ordered
from perezvon.rules.vocabulary import Reason
from perezvon.storage import audit, missed, orders
from perezvon.storage.clicks import ClickState
from perezvon.storage.database import Database
from perezvon.storage.orders import StoredOrder
from perezvon.web.deeds import Deed
from perezvon.web.people import Actor
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.switchroom import Switchroom, Telephone

MOST = 200
HOUR = 3600.0
"""For so long it is told what became of a call back."""

NO_PHONE = Reason("whoever is responsible has no telephone here: choose whose telephone shall ring")
NOT_HIS = Reason("this employee has no telephone any more: choose another one")
OLD_PAGE = Reason("this page is too old: load it again")

ByClient = Mapping[tuple[str, str], StoredOrder]
"""The last order of each client, by portal and client."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What can be done about a client, and what is being done. `why`: it was refused. `state`: of the last order."""

    portal: str
    client: str
    ticket: str
    state: str = ""
    who: str = ""
    call: str = ""
    why: Reason | None = None

    @property
    def under_way(self) -> bool:
        return self.state in (ClickState.NEW, ClickState.DIALLING, ClickState.CALLING)

    @property
    def look(self) -> str:
        return f"/missed/call-back?portal={quote(self.portal)}&client={quote(self.client)}"


@dataclass(frozen=True, slots=True)
class MissedClients:
    """`waiting`: nobody has talked with them since; `back`: somebody has, within the last day. `people`: names of the
    users who are responsible."""

    waiting: Sequence[Missed]
    back: Sequence[Missed]
    people: Mapping[str, str]
    ordered: ByClient


class CallBackDesk:
    """`room`: None calls nobody back. `clock`: POSIX seconds. Raises storage.Unavailable."""

    def __init__(self, database: Database, room: Switchroom | None, clock: Callable[[], float]) -> None:
        self._database = database
        self._room = room
        self._clock = clock

    async def look(self) -> MissedClients:
        now = self._clock()
        async with self._database.read() as conn:
            waiting = await missed.waiting(conn, now - missed.WEEK, MOST)
            back = await missed.called_back(conn, now - missed.DAY, MOST)
            people = await missed.responsible(conn, {one.responsible for one in (*waiting, *back) if one.responsible})
            ordered = await _ordered(conn, {one.portal for one in waiting}, now)
        return MissedClients(waiting, back, people, ordered)

    async def ordered(self, portal: str) -> ByClient:
        async with self._database.read() as conn:
            return await _ordered(conn, {portal}, self._clock())

    def telephones(self, portal: str) -> Sequence[Telephone]:
        return self._room.telephones(portal) if self._room is not None else ()

    async def call_back(
        self, actor: Actor, portal: str, client: str, user: str, ticket: str
    ) -> tuple[Telephone | None, Reason | None]:
        """Whose telephone rings, and why nothing came of it. `user`: "" for the responsible; `ticket`: two orders with the
        same are one. Raises Refused when this client was never missed."""
        now = self._clock()
        async with self._database.read() as conn:
            episode = await missed.latest(conn, portal, client)
        if episode is None or self._room is None:
            raise Refused(NOT_THERE)
        phone = next((one for one in self.telephones(portal) if one.user == (user or episode.responsible)), None)
        if phone is None:
            return None, NOT_HIS if user else NO_PHONE
        if not _fresh(ticket, now):
            return phone, OLD_PAGE
        order = Order(f"page:{ticket}", Ordered.PAGE, client, phone.user)
        refused = await self._room.call_back(portal, order)
        if refused is None:
            what = f"{portal}: {phone.extension} {phone.name}, {order.key}"
            entry = actor.did(now, Deed.CALLED_BACK, client, what)
            await self._database.write(lambda conn: audit.note(conn, entry))
        return phone, refused

    def ticket(self) -> str:
        return f"{self._clock():010.0f}:{secrets.token_hex(8)}"

    def cell(self, portal: str, client: str, ordered: ByClient, refused: Reason | None = None) -> Cell:
        last = ordered.get((portal, client))
        if last is None or refused is not None:
            return Cell(portal, client, self.ticket(), why=refused)
        phone = next((one for one in self.telephones(portal) if one.user == last.order.user), None)
        who = f"{phone.extension} {phone.name}".strip() if phone is not None else ""
        why = None
        if last.state is ClickState.DROPPED and self._room is not None:
            why = self._room.refusal(portal, last.order.key) or Reason("{why}", {"why": last.error})
        return Cell(portal, client, self.ticket(), last.state.value, who, last.call, why)


async def _ordered(conn: AsyncConnection, portals: set[str], now: float) -> dict[tuple[str, str], StoredOrder]:
    """The last order of the page, by portal and client."""
    found: dict[tuple[str, str], StoredOrder] = {}
    for portal in portals:
        for one in await orders.since(conn, portal, f"page:{now - HOUR:010.0f}"):
            found.setdefault((portal, one.order.number), one)
    return found


def _fresh(ticket: str, now: float) -> bool:
    """Made by us not long ago: with it two clicks are one."""
    made = re.fullmatch(r"(\d{10}):[0-9a-f]{16}", ticket, re.ASCII)
    return made is not None and now - 12 * HOUR < float(made[1]) <= now + 60
