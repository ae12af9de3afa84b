"""The conferences of all PBXs for the web: who may see and do what, one order at a time for a call, and news as they come.

Lives as long as the service; houses move in and out under it, and onlookers are told of that as of any change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from weakref import WeakValueDictionary

import structlog

from perezvon.asterisk import Fate
from perezvon.conference import (
    Add,
    Back,
    ConferenceError,
    Consult,
    Consultation,
    Delta,
    Drop,
    Invite,
    Join,
    Live,
    Mute,
    NoSuchCall,
    NotNow,
    NotReached,
    Onlooker,
    Operator,
    Order,
    PbxState,
    Place,
    Role,
    Rooms,
    Whole,
)
from perezvon.rules.vocabulary import Reason
from perezvon.service.dialling import Exchange
from perezvon.service.house import House

TICK = 0.5
"""Seconds between two looks for talks that have begun or ended, while somebody looks on."""

SHARE = 30
"""How many times as long as such a look takes is waited at least: a thousand calls must cost a few percent only."""

TURN = 5.0
"""Seconds that an order waits for another one about the same call."""

RINGS = 8.0
"""Seconds within which somebody who is invited rings, or is known not to."""

_UNKNOWN = Reason("there is no running call {call} in which you may act")
_ANOTHER = Reason("somebody else is doing something with this call just now: look again")
_UNREACHED = Reason("{number} was not reached: {why}")

log = structlog.get_logger(__name__)


class Conferences:
    """`run` belongs to a task of the caller. Implements web.ConferenceDesk."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._house: House | None = None
        self._hooks = ExitStack()
        self._live = Live(self._look)
        self._orders: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._inviting: set[asyncio.Task[None]] = set()

    def moved_in(self, house: House | None) -> None:
        self._hooks.close()
        self._house = house
        for exchange in self._exchanges():
            self._hooks.enter_context(exchange.rooms.listening(partial(self._happened, exchange)))

    async def run(self) -> None:
        """Until cancelled: looks for what nobody tells of, and owns those who are being invited."""
        try:
            pause = TICK
            while True:
                await asyncio.sleep(pause)
                pause = max(TICK, SHARE * self._refresh()) if self._live.watched else TICK
        finally:
            self._hooks.close()
            for inviting in self._inviting:
                inviting.cancel()
            await asyncio.gather(*self._inviting, return_exceptions=True)

    def close(self) -> None:
        """Ends every stream: the service stops."""
        self._live.close()

    # ---- web.ConferenceDesk

    def whole(self, who: Operator) -> Whole:
        return self._look().seen_by(who)

    def look(self, who: Operator, call: str) -> Consultation:
        return self._find(who, call)[1]

    def standing(self, who: Operator) -> bool:
        employee, house = who.employee, self._house
        if employee is None:
            return True
        owner = house.settings.portal_of(employee.pbx) if house is not None else None
        link = house.portals.get(employee.portal) if house is not None else None
        if owner is None or link is None or owner.name != employee.portal:
            return False
        known = link.directory.by_user(employee.user)
        if known is None or not known.active:
            return False
        return not employee.extension or known.extension == employee.extension

    def onlookers(self, who: Operator) -> tuple[int, int]:
        return self._live.watching(who), len(self._live)

    def onlooker(self, who: Operator) -> AbstractContextManager[Onlooker]:
        return self._live.onlooker(who)

    async def order(self, who: Operator, call: str, order: Order) -> Consultation | None:
        self._find(who, call)
        turn = self._orders.setdefault(call, asyncio.Lock())
        try:
            async with asyncio.timeout(TURN):
                await turn.acquire()
        except TimeoutError:
            raise NotNow(_ANOTHER) from None
        try:
            exchange, _ = self._find(who, call)  # he may have left while he waited
            await self._do(exchange, call, order)
        finally:
            turn.release()
        try:
            return self.look(who, call)
        except NoSuchCall:
            return None

    # ---- doing

    async def _do(self, exchange: Exchange, call: str, order: Order) -> None:
        control = exchange.control
        match order:
            case Consult():
                await control.start(call)
            case Add(number=number, code=code):
                await (control.add(call, number) if number else control.add_by_code(call, code))
            case Invite(number=number, code=code):
                await self._invite(exchange, call, number or await control.number_of(code))
            case Join():
                await control.join(call)
            case Back():
                await control.back(call)
            case Drop(channel=channel):
                await control.drop(call, channel)
            case Mute(channel=channel, on=on):
                await control.mute(call, channel, on=on)

    async def _invite(self, exchange: Exchange, call: str, number: str) -> None:
        """Returns as soon as it rings. What becomes of it then is news."""
        rooms, seen = exchange.rooms, exchange.control.look(call)
        channels = {person.channel for person in seen.room.people}
        before = {person.channel for person in seen.room.people if person.role is Role.THIRD}

        def rings(_: Rooms) -> bool:
            room = rooms.find(channels)
            return room is not None and any(
                person.role is Role.THIRD and person.place is Place.RINGING and person.channel not in before
                for person in room.people
            )

        inviting = asyncio.create_task(self._invited(exchange, call, number), name=f"invited to {call}")
        self._inviting.add(inviting)
        inviting.add_done_callback(self._invitation_over)
        ringing = asyncio.create_task(rooms.until(rings, RINGS), name="rings")
        try:
            await asyncio.wait([inviting, ringing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ringing.cancel()
        if inviting.done():
            await inviting

    async def _invited(self, exchange: Exchange, call: str, number: str) -> None:
        told = await exchange.control.invite(call, number)
        log.info("conference: invited", call=call, number=number, fate=told.fate.value, why=told.reason)
        if told.fate is not Fate.ANSWERED:
            raise NotReached(Reason(_UNREACHED.text, {"number": number, "why": told.reason}))

    def _invitation_over(self, inviting: asyncio.Task[None]) -> None:
        self._inviting.discard(inviting)
        if inviting.cancelled():
            return
        match inviting.exception():
            case None:
                return
            case ConferenceError() as error:
                log.info("conference: an invitation led nowhere", task=inviting.get_name(), why=str(error))
            case error:
                log.error("conference: an invitation failed", task=inviting.get_name(), exc_info=error)

    # ---- looking

    def _exchanges(self) -> list[Exchange]:
        return list(self._house.exchanges.values()) if self._house is not None else []

    def _find(self, who: Operator, call: str) -> tuple[Exchange, Consultation]:
        """Raises NoSuchCall, also when it is none of his."""
        for exchange in self._exchanges():
            try:
                seen = exchange.control.look(call)
            except NoSuchCall:
                continue
            if who.may(seen):
                return exchange, seen
            log.warning("conference: refused, he does not talk in this call", who=who.name, call=call)
        raise NoSuchCall(Reason(_UNKNOWN.text, {"call": call[:100]}))

    def _look(self) -> Whole:
        exchanges = self._exchanges()
        return Whole(
            self._clock(),
            tuple(seen for exchange in exchanges for seen in exchange.control.consultations()),
            tuple(PbxState(one.settings.name, one.supervisor.status.state.value) for one in exchanges),
        )

    def _refresh(self) -> float:
        """The seconds that it took."""
        began = time.perf_counter()
        try:
            self._live.refresh()
        except Exception:
            log.exception("conference: the state cannot be looked at")
        return time.perf_counter() - began

    def _happened(self, exchange: Exchange, delta: Delta) -> None:
        """A change of a room, told to those who look on. A defect here must not touch the calls."""
        if not self._live.watched:
            return
        try:
            seen = exchange.control.of_room(delta.now) if delta.now is not None else None
            call = seen.call if seen is not None else self._live.call_of_room(exchange.settings.name, delta.room)
            if call and (seen is not None or delta.now is None):
                self._live.happened(call, delta.what, delta.at, seen)
        except Exception:
            log.exception("conference: a change could not be told", room=delta.room)
