"""What pages see and do about running calls and deliveries, on the parts of the house. Implements web.Switchroom.

Lives as long as the service; houses move in and out under it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from perezvon.bitrix24.remedy import remedy
from perezvon.calls import Event, Fact
from perezvon.customisation.answer import Said
from perezvon.delivery.status import SenderStatus
from perezvon.rules import Decision, Order, PlanState, Reason
from perezvon.service.house import House
from perezvon.service.live_board import LiveBoard
from perezvon.service.portals import PortalLink
from perezvon.service.status import SKIES
from perezvon.service.what_if import replayed
from perezvon.storage.calls import StoredCall
from perezvon.storage.database import Database
from perezvon.storage.pauses import Pause
from perezvon.web.live import Board, Watcher
from perezvon.web.switchroom import Sending, Telephone

MOST_EVENTS = 400
_LINKS = ("linkedid", "destlinkedid", "uniqueid", "transfererlinkedid", "origtransfererlinkedid")

NOT_RUNNING = Reason("the service cannot do that just now: look at its status")


class Switchroom:
    """`run` belongs to a task of the caller."""

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._house: House | None = None
        self._live = LiveBoard(clock=clock)

    def moved_in(self, house: House | None) -> None:
        self._house = house
        self._live.moved_in(house)

    async def run(self) -> None:
        await self._live.run()

    def close(self) -> None:
        """Ends every stream: the service stops."""
        self._live.close()

    def board(self) -> Board:
        return self._live.board()

    def watchers(self, who: str) -> tuple[int, int]:
        return self._live.watchers(who)

    def watcher(self, who: str) -> AbstractContextManager[Watcher]:
        return self._live.watcher(who)

    # ---- one call

    def events(self, call: StoredCall) -> Sequence[Event]:
        exchange = self._house.exchanges.get(call.pbx) if self._house is not None else None
        if exchange is None:
            return ()
        uid = call.id.removeprefix(f"{call.pbx}-")
        origins = {uid, uid.partition("-")[0]}
        legs: Any = call.state.get("legs") or ()
        channels = {str(leg["channel"]) for leg in legs} if not call.live else set[str]()
        recent = tuple(exchange.switchboard.recent)
        links = {event["linkedid"] for event in recent if event["uniqueid"] in origins or event["channel"] in channels}
        ours = (links | origins) - {""}
        found = [event for event in recent if any(event[name] in ours for name in _LINKS)]
        return found[:MOST_EVENTS]

    def said(self, call: str) -> Sequence[Said]:
        return self._house.customiser.said(call) if self._house is not None else ()

    def planned(self, call: StoredCall, facts: Sequence[Fact]) -> Sequence[Decision] | None:
        rules = self._house.rules_for(call.pbx) if self._house is not None else None
        if rules is None:
            return None
        before = PlanState.from_json(call.plan) if call.plan else PlanState()
        begun = PlanState(portal_call=before.portal_call, order=before.order, call_list=before.call_list)
        begun = replace(begun, picked_up=before.picked_up)
        rounds = [([fact], {fact.call: None}) for fact in facts]
        return replayed(rounds, rules.policy, rules.people, {call.id: begun}).get(call.id, [])

    # ---- deliveries

    async def sending(self) -> tuple[Sending, ...]:
        house = self._house
        if house is None:
            return ()
        return tuple([_sending(link, await house.senders[name].status()) for name, link in house.portals.items()])

    def queued(self, portal: str) -> None:
        if self._house is not None and portal in self._house.senders:
            self._house.senders[portal].notify()

    def hold(self, portal: str, pause: Pause | None) -> None:
        if self._house is not None and portal in self._house.senders:
            self._house.senders[portal].hold(pause)

    # ---- calling back

    def follows_missed(self) -> bool:
        portals = self._house.portals.values() if self._house is not None else ()
        return any(link.rules().policy.missed is not None for link in portals)

    def telephones(self, portal: str) -> tuple[Telephone, ...]:
        link = self._link(portal)
        known = [] if link is None else [one for one in link.directory.employees if one.active and one.extension]
        known.sort(key=lambda one: (len(one.extension), one.extension))
        return tuple(Telephone(one.user_id, one.name, one.extension) for one in known)

    async def call_back(self, portal: str, order: Order) -> Reason | None:
        link = self._link(portal)
        if link is None or link.orders is None:
            return NOT_RUNNING
        return await link.orders.accept_page(order)

    def refusal(self, portal: str, key: str) -> Reason | None:
        link = self._link(portal)
        return link.orders.refusal(key) if link is not None and link.orders is not None else None

    def _link(self, portal: str) -> PortalLink | None:
        return self._house.portals.get(portal) if self._house is not None else None


def _sending(link: PortalLink, status: SenderStatus) -> Sending:
    application = link.client.is_application
    return Sending(
        portal=link.name,
        state=SKIES[status.sky] if link.installed else "waiting for installation",
        error=status.message,
        fix=None if status.error is None else remedy(status.error, application=application),
        application=application,
        queued=status.queued,
        oldest=status.oldest_age,
        dead=status.dead,
        under_way=status.under_way,
        paused_until=status.paused_until,
        pause=status.pause,
    )
