"""Our pages inside the portals: who opened one, of which call its card is, in which calls he may act. Implements
web.PortalDoor over the house that stands at the moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from perezvon.bitrix24 import OAuthGrant
from perezvon.bitrix24.address import root
from perezvon.bitrix24.events import Forged
from perezvon.bitrix24.visitor import Opened, PortalUser, behind
from perezvon.calls.call import Call, Party
from perezvon.conference import ConferenceError, Consultation, Employee
from perezvon.service.clicks import Exchange
from perezvon.service.house import House
from perezvon.service.portals import PortalLink
from perezvon.settings.portal import PortalSettings
from perezvon.storage import portal_calls
from perezvon.storage.database import Database
from perezvon.web.portal_door import CardCall, CardContext, Colleague

log = structlog.get_logger(__name__)


class PortalRooms:
    """`house()` is None while none stands."""

    def __init__(self, database: Database, house: Callable[[], House | None]) -> None:
        self._database = database
        self._house = house

    def _link(self, portal: str) -> PortalLink | None:
        house = self._house()
        return house.portals.get(portal) if house is not None else None

    # ---- web.PortalDoor

    def origin(self, portal: str) -> str:
        link = self._link(portal)
        if link is None or not isinstance(link.client.address, OAuthGrant):
            return ""
        return root(link.client.address.rest)

    def proves(self, portal: str, application_token: str) -> bool:
        link = self._link(portal)
        return link is not None and bool(application_token) and link.proves(application_token)

    async def admit(self, portal: str, opened: Opened) -> PortalUser:
        link = self._link(portal)
        if link is None:
            raise Forged("there is no such portal")
        return await behind(link.client, opened)

    def stands(self, portal: str, user: str) -> bool:
        link = self._link(portal)
        if link is None:
            return False
        known = link.directory.by_user(user)
        return known is None or known.active

    def settings(self, portal: str) -> PortalSettings | None:
        link = self._link(portal)
        return link.settings if link is not None else None

    def pbxs(self, portal: str) -> frozenset[str]:
        return frozenset(exchange.settings.name for exchange in self._exchanges(portal))

    def extension(self, portal: str, user: str) -> str:
        link = self._link(portal)
        known = link.directory.by_user(user) if link is not None else None
        return known.extension if known is not None and known.active else ""

    def names(self, portal: str) -> Mapping[str, str]:
        link = self._link(portal)
        return {one.extension: one.name for one in link.directory.employees if one.extension} if link is not None else {}

    def users(self, portal: str) -> Mapping[str, str]:
        link = self._link(portal)
        return {one.user_id: one.name for one in link.directory.employees} if link is not None else {}

    def colleagues(self, portal: str) -> list[Colleague]:
        link = self._link(portal)
        people = link.directory.employees if link is not None else ()
        return [Colleague(one.user_id, one.name, one.extension) for one in people if one.active and one.extension]

    async def call_of(self, portal: str, user: str, card: CardContext) -> CardCall | None:
        async with self._database.read() as conn:
            shown = await portal_calls.find(conn, portal, card.portal_call) if card.portal_call else None
        extension = self.extension(portal, user)
        if shown is not None:
            exchange = self._exchange(portal, shown.pbx)
            live = _live(exchange, lambda call: call.id == shown.call)
            if user not in shown.users and not (live is not None and extension and extension in live.rung):
                log.warning("card: refused, it was not shown to him", portal=portal, user=user, call=shown.call)
                return None
            return self._card(portal, user, extension, shown.call, shown.pbx, exchange, live)
        found = self._over_own_line(portal, user, extension, card)
        if found is None and card.call and not self._goes_on(portal, card.call):
            return CardCall(card.call, "", Employee(portal, user, "", extension))
        return found

    def _goes_on(self, portal: str, call: str) -> bool:
        return any(_live(exchange, lambda one: one.id == call) is not None for exchange in self._exchanges(portal))

    # ----

    def _over_own_line(self, portal: str, user: str, extension: str, card: CardContext) -> CardCall | None:
        """A call that the portal has registered by itself, over its own SIP line: we know it by the client's number, and
        the PBX does not say whose telephone it is. One with an employee whom the PBX does name is his alone."""
        link = self._link(portal)
        if link is None or not card.number:
            return None
        for exchange in self._exchanges(portal):
            client = exchange.numbering.international(card.number)
            live = _live(exchange, lambda call, client=client: _means(call, client, card.call))
            if live is None:
                continue
            named = {leg.extension for leg in live.legs if leg.party is Party.EMPLOYEE and leg.answered is not None}
            known = {one for one in named if one and link.directory.by_extension(one) is not None}
            if known and extension not in known:
                log.warning("card: refused, another employee talks in this call", portal=portal, user=user, call=live.id)
                return None
            return self._card(portal, user, extension, live.id, exchange.settings.name, exchange, live)
        return None

    def _card(
        self,
        portal: str,
        user: str,
        extension: str,
        call: str,
        pbx: str,
        exchange: Exchange | None,
        live: Call | None,
    ) -> CardCall:
        talk = _talk(exchange, call) if live is not None else None
        link = self._link(portal)
        named = link is not None and any(
            link.directory.by_extension(one) for one in (talk.employees if talk else ()) if one
        )
        own = not named and talk is not None  # nobody whom the PBX names talks in it
        return CardCall(call, pbx, Employee(portal, user, pbx, extension, call if own else ""), live, talk)

    def _exchanges(self, portal: str) -> list[Exchange]:
        house = self._house()
        if house is None:
            return []
        mine: list[Exchange] = []
        for name, exchange in house.exchanges.items():
            owner = house.settings.portal_of(name)
            if owner is not None and owner.name == portal:
                mine.append(exchange)
        return mine

    def _exchange(self, portal: str, pbx: str) -> Exchange | None:
        return next((one for one in self._exchanges(portal) if one.settings.name == pbx), None)


def _means(call: Call, client: str, known: str) -> bool:
    return call.id == known if known else bool(client) and call.client == client


def _live(exchange: Exchange | None, wanted: Callable[[Call], bool]) -> Call | None:
    """The newest that goes on."""
    if exchange is None:
        return None
    found = [call for call in exchange.switchboard.tracker.live() if wanted(call)]
    return max(found, key=lambda call: call.started, default=None)


def _talk(exchange: Exchange | None, call: str) -> Consultation | None:
    try:
        return exchange.control.look(call) if exchange is not None else None
    except ConferenceError:
        return None
